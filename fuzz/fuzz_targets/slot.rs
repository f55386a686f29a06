//! Fuzz target: any bytes as the state of a keyring's slot (FORMAT.md section 4.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("slot", data));
