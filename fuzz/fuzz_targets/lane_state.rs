//! Fuzz target: any bytes as the state of a lane (FORMAT.md section 9.4).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("lane_state", data));
