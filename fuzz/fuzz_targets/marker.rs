//! Fuzz target: any bytes as the marker of a directory (FORMAT.md section 3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("marker", data));
