//! Fuzz target: any bytes as the key or the value of a removed record's row (FORMAT.md section 7.8).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("removed", data));
