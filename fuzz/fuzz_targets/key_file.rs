//! Fuzz target: any bytes as the file of a root key (FORMAT.md section 4.7).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("key_file", data));
