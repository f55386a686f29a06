//! Fuzz target: any bytes as the row of a value that is sealed anew (FORMAT.md section 7.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("copy_row", data));
