//! Fuzz target: any bytes as an entry of a tag block or root slot (FORMAT.md sections 5.2 and 5.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("tag_entry", data));
