//! Fuzz target: any bytes as sizes and a row of a large value's chunk (FORMAT.md section 8.1).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("chunk", data));
