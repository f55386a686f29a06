//! Chunks that nothing refers to are collected, and no others: not those of a record, of an upload under way, or of what a
//! reader or snapshot still shows.

use std::io::{Read, Write};
use std::sync::Arc;

use strongroom::simulation::{ManualClock, PowerLoss, SimDisk, collect_chunks};
use strongroom::{Durability, Engine, ErrorKind, PutOptions, TenantOptions};

use super::{CHUNK, WHOLE, new_store, opened, put, read, sets, ticks, value};
use crate::support::{config, refusal};

const HOUR: u64 = 60 * 60 * 1_000;
const NOW: u64 = 1_700_000_000_000;

#[test]
fn chunks_of_replaced_and_erased_values_go_and_space_is_used_again() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    for seed in 0..3 {
        put(&scans, &format!("kept {seed}"), &value(seed, WHOLE + 1)).unwrap();
        put(&scans, &format!("gone {seed}"), &value(seed + 9, WHOLE + 1)).unwrap();
    }
    assert_eq!(sets(&engine), 6);
    tenant.checkpoint().unwrap();
    scans.put("gone 0", b"small").unwrap();
    scans.erase("gone 1").unwrap();
    put(&scans, "gone 2", &value(77, WHOLE + 2)).unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 7, "the file's own records still name them");
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
    tenant.checkpoint().unwrap();
    assert_eq!(engine.verify(&mut |_| {}).unwrap().tenants[1].file.chunk_sets_unused, 3);
    ticks(&engine);
    assert_eq!(sets(&engine), 4);
    assert_eq!(engine.verify(&mut |_| {}).unwrap().tenants[1].file.chunk_sets_unused, 0);
    let bytes = tenant.stats().unwrap().file_bytes;
    for seed in 0..30 {
        put(&scans, "gone 2", &value(seed, WHOLE + 2)).unwrap();
        ticks(&engine);
    }
    assert_eq!(sets(&engine), 5, "the newest, and that of the file's own record");
    let grown = tenant.stats().unwrap().file_bytes - bytes;
    assert!(grown < 6 << 20, "{grown} bytes more after 30 MiB were replaced");
    for seed in 0..3 {
        assert!(read(&scans, &format!("kept {seed}")).unwrap().unwrap() == value(seed, WHOLE + 1));
    }
    assert!(read(&scans, "gone 2").unwrap().unwrap() == value(29, WHOLE + 2));
}

#[test]
fn chunks_of_a_dropped_collection_go() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    put(&scans, "key", &value(1, WHOLE + 1)).unwrap();
    tenant.checkpoint().unwrap();
    put(&scans, "in memory", &value(2, WHOLE + 1)).unwrap();
    tenant.drop_collection("scans").unwrap();
    tenant.checkpoint().unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 0);
}

#[test]
fn a_round_is_bounded_and_the_next_ones_go_on() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    put(&scans, "key", &value(1, 1_100 * CHUNK)).unwrap();
    scans.erase("key").unwrap();
    tenant.checkpoint().unwrap();
    let rows = || strongroom::simulation::chunk_rows(&tenant).unwrap().len();
    let mut left = vec![rows()];
    while rows() > 0 {
        engine.tick().unwrap();
        left.push(rows());
        assert!(left.len() < 9, "{left:?}");
    }
    assert_eq!(left, [1_101, 589, 77, 0]);
}

#[test]
fn a_rewrite_leaves_behind_all_that_nothing_refers_to() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    put(&scans, "key", &value(1, 600 * CHUNK)).unwrap();
    put(&scans, "kept", &value(2, WHOLE + 1)).unwrap();
    scans.erase("key").unwrap();
    let report = tenant.rewrite(&mut |_, _| {}).unwrap().unwrap();
    assert!(report.bytes_before > 600 * CHUNK as u64 && report.bytes_after < 4 << 20, "{report:?}");
    assert_eq!(sets(&engine), 1);
    assert!(read(&scans, "kept").unwrap().unwrap() == value(2, WHOLE + 1));
}

#[test]
fn what_a_reader_or_snapshot_shows_stays_readable_after_it_was_collected() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    let tenant = engine.tenant("acme").unwrap();
    let (old, new) = (value(1, WHOLE + CHUNK), value(2, WHOLE + 9));
    put(&scans, "key", &old).unwrap();
    let in_memory = tenant.snapshot().unwrap();
    tenant.checkpoint().unwrap();
    let in_file = tenant.snapshot().unwrap();
    let mut reader = scans.get_reader("key").unwrap().unwrap();
    put(&scans, "key", &new).unwrap();
    tenant.checkpoint().unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 1);
    for round in 0..3 {
        put(&scans, "other", &value(round, 20 * CHUNK)).unwrap();
        ticks(&engine);
    }
    let mut shown = Vec::new();
    reader.read_to_end(&mut shown).unwrap();
    assert!(shown == old);
    for snapshot in [in_memory, in_file] {
        assert!(*snapshot.get(&scans, "key").unwrap().unwrap() == old[..]);
        let mut shown = Vec::new();
        snapshot.get_reader(&scans, "key").unwrap().unwrap().read_to_end(&mut shown).unwrap();
        assert!(shown == old);
    }
    assert!(read(&scans, "key").unwrap().unwrap() == new);
}

#[test]
fn an_upload_under_way_stays_and_one_whose_lease_is_over_goes() {
    let disk = SimDisk::new();
    let clock = Arc::new(ManualClock::at(NOW));
    let config = || config(&disk, 1).clock(clock.clone()).background(false);
    let engine = Engine::create(config()).unwrap();
    let scans = engine.create_tenant("acme", TenantOptions::new()).unwrap().collection("scans").unwrap();
    let begin = |key: &str| {
        let mut upload = scans.begin_upload(key, PutOptions::new()).unwrap();
        upload.write_all(&value(3, 70 * CHUNK)).unwrap();
        upload
    };
    let (held, left, extended) = (begin("held"), begin("left").id(), begin("extended").id());
    clock.set(NOW + 23 * HOUR);
    ticks(&engine);
    assert_eq!(sets(&engine), 3);
    drop(scans.resume_upload(extended).unwrap());
    clock.set(NOW + 25 * HOUR);
    ticks(&engine);
    assert_eq!(
        sets(&engine),
        2,
        "the one that was left goes; the one that was gone on with, and the one that is held, stay"
    );
    assert_eq!(refusal(scans.resume_upload(left)), ErrorKind::NotFound);
    let mut held = held;
    held.write_all(b"more").unwrap();
    held.publish().unwrap();
    let mut whole = value(3, 70 * CHUNK);
    whole.extend(b"more");
    assert!(read(&scans, "held").unwrap().unwrap() == whole);
    clock.set(NOW + 50 * HOUR);
    drop(scans);
    engine.close().unwrap();
    // Not in its own process only.
    let engine = Engine::open(config()).unwrap();
    let scans = engine.tenant("acme").unwrap().collection("scans").unwrap();
    ticks(&engine);
    assert_eq!(sets(&engine), 1);
    assert_eq!(refusal(scans.resume_upload(extended)), ErrorKind::NotFound);
    assert!(read(&scans, "held").unwrap().unwrap() == whole);
}

#[test]
fn a_put_that_failed_leaves_nothing_for_long() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    scans.put("key", b"small").unwrap();
    let refused = scans.put_reader("key", &value(1, 70 * CHUNK)[..], PutOptions::new().if_absent());
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert_eq!(sets(&engine), 1);
    ticks(&engine);
    assert_eq!(sets(&engine), 0);
}

/// A buffered put over a large value may be lost again: until then the value is the record's.
#[test]
fn a_value_is_not_collected_before_what_replaces_it_is_on_the_disk() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..12 {
        let disk = SimDisk::new();
        let (engine, scans) = new_store(&disk);
        let old = value(1, WHOLE + 1);
        put(&scans, "key", &old).unwrap();
        scans.put_with("key", b"new", PutOptions::new().durability(Durability::Buffered)).unwrap();
        if seed % 3 == 1 {
            // Not a whole tick, which begins with a sync.
            collect_chunks(&engine.tenant("acme").unwrap()).unwrap();
        }
        let left = disk.power_loss(seed, PowerLoss::DropAll);
        std::mem::forget((engine, scans));
        let (engine, scans) = opened(&left, 2);
        let found = read(&scans, "key").unwrap().unwrap();
        assert!(found == old || found == b"new", "{} bytes", found.len());
        if found == old {
            lost += 1
        } else {
            kept += 1
        }
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    }
    assert!(lost > 0 && kept > 0, "{lost} and {kept}");
}
