//! Fuzz target: any bytes as a hold's row in the directory (FORMAT.md section 7.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("hold_row", data));
