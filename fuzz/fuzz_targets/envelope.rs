//! Fuzz target: any bytes as the envelope of a record (FORMAT.md section 8).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("envelope", data));
