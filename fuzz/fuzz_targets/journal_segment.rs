//! Fuzz target: any bytes as a journal's segment: its header, batches and frames (FORMAT.md sections 9.1 to 9.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("journal_segment", data));
