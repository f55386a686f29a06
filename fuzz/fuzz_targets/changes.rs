//! Fuzz target: any bytes as a change in a frame (FORMAT.md section 9.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("changes", data));
