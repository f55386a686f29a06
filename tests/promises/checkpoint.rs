//! Promise: a checkpoint is made whole or not at all. It puts its rows into the file in several commits of redb's, of
//! which the last alone is durable: after a power loss at any of its operations the file has all of them or none, and
//! after an error at any of them the next checkpoint has its effect.

use std::sync::atomic::{AtomicBool, Ordering};

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Engine, FileReport, TenantOptions};

use crate::support::{config, fill, key_of, value_of};

const TENANT: &str = "acme";
const COUNT: usize = 120;
/// The least there can be: a commit for each 64 KiB of changed pages.
const CACHE: usize = 256 << 10;

/// A store whose tenant has a file with a tenth of its records; the others, and new values of those, are in the journal.
fn store(disk: &SimDisk) -> Engine {
    let engine = Engine::create(config(disk, 1).cache_bytes(CACHE).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    fill(&tenant, COUNT / 10).unwrap();
    tenant.checkpoint().unwrap();
    fill(&tenant, COUNT).unwrap();
    engine
}

fn verified(engine: &Engine) -> FileReport {
    let report = engine.verify_tenant(TENANT, &mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
    report.file
}

fn check(engine: &Engine) {
    let documents = engine.tenant(TENANT).unwrap().collection("documents").unwrap();
    for index in 0..COUNT {
        let got = documents.get(key_of(index)).unwrap();
        assert_eq!(got.as_deref(), Some(&value_of(TENANT, index)[..]));
    }
}

#[test]
fn power_loss_at_any_operation_of_a_checkpoint_leaves_all_of_it_or_nothing() {
    let before = SimDisk::new();
    std::mem::forget(store(&before));
    let mut outcomes = [0, 0];
    for policy in [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll] {
        for operation in 0.. {
            let disk = before.power_loss(operation, PowerLoss::KeepAll);
            let engine = Engine::open(config(&disk, 2).cache_bytes(CACHE).background(false)).unwrap();
            let tenant = engine.tenant(TENANT).unwrap();
            disk.inject(Fault { at_operation: disk.operations() + operation, kind: FaultKind::PowerOff });
            let is_over = tenant.checkpoint().is_ok();
            drop((tenant, engine));
            let disk = disk.power_loss(operation, policy);
            let engine = Engine::open(config(&disk, 3).cache_bytes(CACHE).background(false)).unwrap();
            let report = verified(&engine);
            let in_file = usize::try_from(report.records - report.pending).unwrap();
            assert!([COUNT / 10, COUNT].contains(&in_file), "{in_file} rows at operation {operation}");
            outcomes[usize::from(in_file == COUNT)] += 1;
            check(&engine);
            if is_over {
                assert!(operation > 30, "the checkpoint has only {operation} operations");
                break;
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "none and all of it: {outcomes:?}");
}

/// So much that a second thread writes it.
const LARGE: usize = 96 << 10;
const LARGE_COUNT: u8 = 60;

fn large_store(disk: &SimDisk) -> Engine {
    let engine = Engine::create(config(disk, 1).cache_bytes(CACHE).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    for round in 0..2 {
        for key in 0..LARGE_COUNT {
            documents.put([key], vec![key + round; LARGE]).unwrap();
        }
        if round == 0 {
            tenant.checkpoint().unwrap();
        }
    }
    engine
}

fn check_large(engine: &Engine) {
    let documents = engine.tenant(TENANT).unwrap().collection("documents").unwrap();
    for key in 0..LARGE_COUNT {
        assert!(documents.get([key]).unwrap().unwrap()[..] == vec![key + 1; LARGE], "record {key}");
    }
}

/// The same of a checkpoint whose blocks a second thread writes: where exactly the loss or the error falls differs from run
/// to run.
#[test]
fn a_large_checkpoint_that_was_cut_short_or_failed_loses_nothing_and_is_made_by_the_next_one() {
    let before = SimDisk::new();
    std::mem::forget(large_store(&before));
    let kinds = [FaultKind::PowerOff, FaultKind::Eio, FaultKind::ShortWrite, FaultKind::Enospc];
    for (kind, first) in kinds.into_iter().zip(1..) {
        let mut failed = 0;
        for operation in (first..).step_by(61) {
            let mut disk = before.power_loss(operation, PowerLoss::KeepAll);
            let mut engine = Engine::open(config(&disk, 2).cache_bytes(CACHE).background(false)).unwrap();
            let tenant = engine.tenant(TENANT).unwrap();
            disk.inject(Fault { at_operation: disk.operations() + operation, kind });
            let is_over = tenant.checkpoint().is_ok();
            drop(tenant);
            if kind == FaultKind::PowerOff {
                drop(engine);
                disk = disk.power_loss(operation, PowerLoss::Random);
                engine = Engine::open(config(&disk, 3).cache_bytes(CACHE).background(false)).unwrap();
            }
            check_large(&engine);
            disk.heal();
            engine.tenant(TENANT).unwrap().checkpoint().unwrap();
            assert_eq!(verified(&engine).pending, 0, "{kind:?} at operation {operation}");
            check_large(&engine);
            if is_over {
                break;
            }
            failed += 1;
        }
        assert!(failed > 3, "{kind:?}: the checkpoint had failed {failed} times");
    }
}

/// What a process wrote that was killed is in the page cache: the next one reads it, and must not delete segments because of
/// it before it is on the disk.
#[test]
fn what_a_killed_process_left_in_memory_is_relied_upon_only_on_the_disk() {
    let before = SimDisk::new();
    let engine = Engine::create(config(&before, 1).segment_bytes(64 << 10).background(false)).unwrap();
    fill(&engine.create_tenant(TENANT, TenantOptions::new().dedicated()).unwrap(), COUNT).unwrap();
    std::mem::forget(engine);
    let open = |disk: &SimDisk, seed| {
        Engine::open(config(disk, seed).segment_bytes(64 << 10).background(false)).unwrap()
    };
    for operation in 0.. {
        let disk = before.power_loss(operation, PowerLoss::KeepAll);
        let engine = open(&disk, 2);
        let tenant = engine.tenant(TENANT).unwrap();
        disk.inject(Fault { at_operation: disk.operations() + operation, kind: FaultKind::PowerOff });
        let is_over = tenant.checkpoint().is_ok();
        drop((tenant, engine));
        let disk = disk.power_loss(operation, PowerLoss::KeepAll);
        let engine = open(&disk, 3);
        engine.tenant(TENANT).unwrap();
        engine.tick().unwrap();
        drop(engine);
        let engine = open(&disk.power_loss(operation, PowerLoss::DropAll), 4);
        check(&engine);
        if is_over {
            break;
        }
    }
}

#[test]
fn a_checkpoint_that_failed_at_any_operation_is_made_by_the_next_one() {
    let before = SimDisk::new();
    std::mem::forget(store(&before));
    for kind in [FaultKind::Eio, FaultKind::ShortWrite, FaultKind::Enospc] {
        for operation in 0.. {
            let disk = before.power_loss(operation, PowerLoss::KeepAll);
            let engine = Engine::open(config(&disk, 2).cache_bytes(CACHE).background(false)).unwrap();
            let tenant = engine.tenant(TENANT).unwrap();
            disk.inject(Fault { at_operation: disk.operations() + operation, kind });
            let is_over = tenant.checkpoint().is_ok();
            check(&engine);
            disk.heal();
            tenant.checkpoint().unwrap();
            let report = verified(&engine);
            assert_eq!(
                (report.records, report.pending),
                (COUNT as u64, 0),
                "{kind:?} at operation {operation}"
            );
            check(&engine);
            if is_over {
                break;
            }
        }
    }
}

/// What was written just before a rewrite changed the key of frames is in the new file, or in a frame under the new key.
#[test]
fn a_rewrite_among_writers_leaves_no_frame_under_the_key_it_destroys() {
    let mut kept = 0;
    for round in 0..60 {
        let disk = SimDisk::new();
        let engine = Engine::create(config(&disk, round).background(false)).unwrap();
        let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        let documents = tenant.collection("documents").unwrap();
        documents.put(b"first", b"").unwrap();
        tenant.checkpoint().unwrap();
        let done = AtomicBool::new(false);
        let acknowledged: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u8)
                .map(|thread| {
                    let (documents, done) = (&documents, &done);
                    scope.spawn(move || {
                        let mut number = 0_u32;
                        while !done.load(Ordering::Acquire) {
                            documents.put([&[thread][..], &number.to_be_bytes()].concat(), b"").unwrap();
                            number += 1;
                        }
                        number
                    })
                })
                .collect();
            tenant.rewrite(&mut |_, _| {}).unwrap();
            done.store(true, Ordering::Release);
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let disk = disk.power_loss(round, PowerLoss::DropAll);
        let engine = Engine::open(config(&disk, round + 1_000).background(false)).unwrap();
        let documents = engine.tenant(TENANT).unwrap().collection("documents").unwrap();
        for (thread, count) in (0_u8..).zip(&acknowledged) {
            for number in 0..*count {
                let key = [&[thread][..], &number.to_be_bytes()].concat();
                assert!(documents.contains(key).unwrap(), "round {round}");
                kept += 1;
            }
        }
    }
    println!("{kept} records in 60 rewrites");
}
