//! Fuzz target: any bytes as an entry of an erasure ledger (FORMAT.md section 4.8).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("ledger", data));
