//! Fuzz target: any bytes as the header of a keyring (FORMAT.md section 4.1).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("keyring_header", data));
