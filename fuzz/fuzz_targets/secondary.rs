//! Fuzz target: any bytes as a row of secondary keys, of an index, a quota or a policy (FORMAT.md sections 7.3 and 7.5).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("secondary", data));
