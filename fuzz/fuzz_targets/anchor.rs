//! Fuzz target: any bytes as the plain text of an anchor (FORMAT.md section 4.5).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("anchor", data));
