//! Fuzz target: any bytes as a row of the catalog, of a tenant and of a region (FORMAT.md section 7.3).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strongroom::simulation::fuzz_parser("catalog", data));
