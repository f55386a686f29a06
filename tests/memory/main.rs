//! Promise: a large value takes constant memory, written, read whole and by range, rewritten, and sealed anew under another key. In a binary of its
//! own, because it is the memory of the whole process that is measured: the most of it that was ever resident.
//!
//! The value has 256 MiB, or as many as `STRONGROOM_LARGE_MIB` says: 16 GiB, the size that the promise is about, with
//! `STRONGROOM_LARGE_MIB=16384 cargo test --release --package strongroom-tests --test memory`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]
#![allow(clippy::print_stdout, reason = "what was measured stands in the output")]

use std::io::{self, Read};

use strongroom::{Config, Engine, KeyFile, PutOptions, RekeyOptions, TenantOptions};

/// The bound, in KiB.
const BOUND_KIB: u64 = 64 << 10;

/// The byte of the value at an offset.
fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).to_le_bytes()[0]
}

/// The value, without being anywhere.
struct Value {
    at: u64,
    bytes: u64,
}

impl Read for Value {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut given = 0;
        for byte in out.iter_mut().take(usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX)) {
            *byte = byte_at(self.at);
            self.at += 1;
            given += 1;
        }
        Ok(given)
    }
}

/// The most memory that was resident so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_value_larger_than_the_memory_bound_is_written_and_read_within_it() {
    let mib: u64 =
        std::env::var("STRONGROOM_LARGE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(256);
    let bytes = mib << 20;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let config = Config::new(&data)
        .key_provider("default", KeyFile::at(directory.path().join("root-key")))
        .cache_bytes(8 << 20)
        .background(false);
    let before = peak_kib();
    let engine = Engine::create(config).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let scans = tenant.collection("scans").unwrap();
    scans.put_reader("key", Value { at: 0, bytes }, PutOptions::new()).unwrap();
    println!("{mib} MiB: {} KiB resident at most after writing, {before} before", peak_kib());

    let mut reader = scans.get_reader("key").unwrap().unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        let given = reader.read(&mut buffer).unwrap();
        if given == 0 {
            break;
        }
        for byte in &buffer[..given] {
            assert!(*byte == byte_at(at), "byte {at}");
            at += 1;
        }
    }
    assert_eq!(at, bytes);
    for start in (0..bytes).step_by(usize::try_from(bytes / 97).unwrap()) {
        let range = scans.get_range("key", start..start + 1_000).unwrap().unwrap();
        assert!((start..).zip(&range[..]).all(|(at, byte)| *byte == byte_at(at)), "from {start} on");
    }
    println!("{} KiB after reading", peak_kib());
    drop(reader);
    tenant.rewrite(&mut |_, _| {}).unwrap().unwrap();
    println!("{} KiB after a rewrite", peak_kib());
    let old = tenant.data_keys().unwrap()[0].generation;
    tenant.rotate_data_key().unwrap();
    let report = tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
    assert!(report.is_complete && report.large == 1 && report.bytes == bytes, "{report:?}");
    tenant.retire_data_key(old).unwrap();
    let range = scans.get_range("key", bytes - 1_000..bytes).unwrap().unwrap();
    assert!((bytes - 1_000..).zip(&range[..]).all(|(at, byte)| *byte == byte_at(at)), "after a rekey");
    println!("{} KiB after a rekey", peak_kib());
    let peak = peak_kib();
    assert!(peak < BOUND_KIB, "{peak} KiB were resident");
    engine.close().unwrap();
}
