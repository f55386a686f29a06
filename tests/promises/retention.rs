//! Promise: what has expired is gone at that millisecond, for good, and its bytes go with the next sweep; nothing goes before
//! its time, and a wrong clock destroys nothing (invariant 10).

use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Collection, Config, Engine, ErrorKind, Index, Policy, PutOptions, ScanOptions, Tenant, TenantOptions,
};

use crate::support::{config, note, refusal};

const START_MS: u64 = 1_700_000_000_000;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

fn ttl(ms: u64) -> PutOptions {
    PutOptions::new().ttl(Duration::from_millis(ms))
}

fn new_store(disk: &SimDisk, clock: &Arc<ManualClock>) -> (Engine, Tenant, Collection) {
    let engine = Engine::create(config_at(disk, 1, clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    (engine, tenant, documents)
}

fn keys(documents: &Collection) -> Vec<String> {
    let entries = documents.scan_with(ScanOptions::new()).unwrap();
    entries.map(|entry| String::from_utf8(entry.unwrap().key).unwrap()).collect()
}

/// In memory, in the file, and in a snapshot and a scan that began before.
#[test]
fn an_expired_record_is_invisible_at_the_millisecond_in_every_answer() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (_engine, tenant, documents) = new_store(&disk, &clock);
        let version = documents.put_with("goes", "value", ttl(1_000)).unwrap();
        documents.put("stays", "value").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        let snapshot = tenant.snapshot().unwrap();
        let before = documents.scan_with(ScanOptions::new()).unwrap();
        clock.set(START_MS + 999);
        assert_eq!(documents.get("goes").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(documents.info("goes").unwrap().unwrap().expires_ms, Some(START_MS + 1_000));
        assert_eq!((keys(&documents).len(), tenant.stats().unwrap().records), (2, 2));
        clock.set(START_MS + 1_000);
        assert_eq!(documents.get("goes").unwrap(), None);
        assert_eq!(documents.info("goes").unwrap(), None);
        assert!(!documents.contains("goes").unwrap());
        assert_eq!(keys(&documents), ["stays"]);
        assert_eq!(before.count(), 1);
        assert_eq!(snapshot.get(&documents, "goes").unwrap(), None);
        assert_eq!(snapshot.count(&documents, ScanOptions::new()).unwrap(), 1);
        assert_eq!(documents.count(ScanOptions::new()).unwrap(), 1);
        assert_eq!(tenant.stats().unwrap().records, 1);
        assert!(!documents.erase("goes").unwrap());
        assert_eq!(refusal(documents.put_if_version("goes", "new", version)), ErrorKind::Conflict);
        documents.put_if_absent("goes", "new").unwrap();
        assert_eq!((keys(&documents).len(), tenant.stats().unwrap().records), (2, 2));
    }
}

/// Random expiries, some of records that are put over or erased: the sweep takes what is due and nothing else.
#[test]
fn a_sweep_removes_what_is_due_from_the_file_and_nothing_else() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    let mut expected = Vec::new();
    for index in 0..600_u64 {
        let key = format!("{index:03}");
        documents.put_with(&key, vec![7; 100], ttl(1 + index * 7 % 100)).unwrap();
        match index % 5 {
            0 => expected.push((key.clone(), documents.put(&key, "for good").map(|_| u64::MAX).unwrap())),
            1 => assert!(documents.erase(&key).unwrap()),
            2 => {
                documents.put_with(&key, "later", ttl(50 + index % 60)).unwrap();
                expected.push((key, 50 + index % 60));
            }
            _ => expected.push((key, 1 + index * 7 % 100)),
        }
        if index % 97 == 0 {
            tenant.checkpoint().unwrap();
        }
    }
    let mut left = tenant.stats().unwrap().records;
    assert_eq!(left, expected.len() as u64);
    for at in [0, 1, 30, 55, 99, 200] {
        clock.set(START_MS + at);
        expected.retain(|(_, ttl_ms)| *ttl_ms > at);
        let swept = engine.sweep().unwrap().records;
        assert_eq!(swept, left - expected.len() as u64, "{at}");
        left = expected.len() as u64;
        // What is left is there although no clock hides anything: all of the file's records are counted.
        tenant.checkpoint().unwrap();
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert_eq!((report.file.records, report.file.pending), (left, 0), "{at}");
        assert_eq!(keys(&documents), expected.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
        assert_eq!(engine.sweep().unwrap().records, 0);
    }
    assert_eq!(expected.len(), 120);
    tenant.rewrite(&mut |_, _| {}).unwrap();
    documents.put_with("after the rewrite", "value", ttl(10)).unwrap();
    clock.set(START_MS + 210);
    assert_eq!(engine.sweep().unwrap().records, 1);
}

/// Tenants that nobody opens are swept too, and what is swept was already gone before it.
#[test]
fn a_rewritten_file_and_a_closed_tenant_are_swept_by_the_tick() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    documents.put_with("goes", "value", ttl(5_000)).unwrap();
    tenant.checkpoint().unwrap();
    tenant.rewrite(&mut |_, _| {}).unwrap();
    drop((tenant, documents));
    engine.close().unwrap();

    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    clock.set(START_MS + 3_599_999);
    engine.tick().unwrap();
    let disk_before = disk.snapshot();
    clock.set(START_MS + 3_600_000);
    engine.tick().unwrap();
    drop(engine);
    for (disk, records) in [(disk_before, 1), (disk, 0)] {
        let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert_eq!(report.file.records, records);
        assert_eq!(engine.tenant_stats("acme").unwrap().records, 0);
    }
}

#[test]
fn policies_say_how_long_records_are_kept() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
    let acme = engine.create_tenant("acme", Policy::new().retention(hour)).unwrap();
    let [a, b] = ["a", "b"].map(|name| acme.collection(name).unwrap());
    b.set_policy(Policy::new().maximum(10 * second)).unwrap();
    let expires_s = |collection: &Collection, options: PutOptions| {
        collection.put_with("k", "value", options).unwrap();
        collection.info("k").unwrap().unwrap().expires_ms.map(|ms| (ms - START_MS) / 1_000)
    };
    let check = |a: &Collection, b: &Collection| {
        assert_eq!(expires_s(a, PutOptions::new()), Some(3_600));
        assert_eq!(expires_s(a, ttl(7_000_000)), Some(7_000));
        assert_eq!(expires_s(b, PutOptions::new()), Some(10));
        assert_eq!(expires_s(b, ttl(7_000)), Some(7));
        assert_eq!(expires_s(b, PutOptions::new().expires_ms(START_MS + 9_999_999)), Some(10));
        assert_eq!(expires_s(b, PutOptions::new().written_ms(START_MS - 4_000)), Some(6));
    };
    check(&a, &b);
    assert_eq!(refusal(acme.set_policy(Policy::new().retention(Duration::ZERO))), ErrorKind::InvalidArgument);
    let none = acme.collection("none").unwrap();
    assert_eq!(refusal(none.set_policy(Policy::new().maximum(Duration::ZERO))), ErrorKind::InvalidArgument);
    assert_eq!(acme.collections().unwrap().len(), 2);
    engine.close().unwrap();

    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let [a, b] = ["a", "b"].map(|name| acme.collection(name).unwrap());
    check(&a, &b);
    assert_eq!(acme.policy().unwrap().retention_time(), Some(hour));
    assert_eq!(b.policy().unwrap().maximum_time(), Some(10 * second));
    acme.set_policy(Policy::new()).unwrap();
    assert_eq!(expires_s(&a, PutOptions::new()), None);
    assert_eq!(expires_s(&b, PutOptions::new()), Some(10));
}

#[test]
fn a_clock_that_jumps_destroys_nothing_until_somebody_confirms_it() {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    documents.put_with("month", "value", ttl(30 * 86_400_000)).unwrap();
    tenant.checkpoint().unwrap();
    clock.set(START_MS + YEAR_MS);
    for _ in 0..2 {
        assert_eq!(refusal(engine.sweep()), ErrorKind::ClockJump);
        assert_eq!(refusal(engine.sweep_tenant("acme")), ErrorKind::ClockJump);
        assert_eq!(refusal(engine.tick()), ErrorKind::ClockJump);
    }
    assert_eq!(documents.get("month").unwrap(), None, "it has expired by the clock");
    clock.set(START_MS + 1_000);
    assert!(documents.contains("month").unwrap(), "and is there when the clock is set right");
    assert_eq!(engine.sweep().unwrap().records, 0);
    // So it is where the store is opened under the wrong clock.
    engine.close().unwrap();
    clock.set(START_MS + YEAR_MS);
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    assert_eq!(refusal(engine.sweep()), ErrorKind::ClockJump);
    engine.confirm_clock().unwrap();
    assert_eq!(engine.sweep().unwrap().records, 1);
    drop(engine);
    // What was confirmed lasts, and going back beyond the step is a jump too.
    let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
    assert_eq!(engine.sweep().unwrap().records, 0);
    clock.set(START_MS);
    assert_eq!(refusal(engine.sweep()), ErrorKind::ClockJump);
}

/// The clock is set back, the process is killed, the power goes: what a sweep knew to be expired stays so.
#[test]
fn time_that_goes_back_revives_nothing() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, _tenant, documents) = new_store(&disk, &clock);
    documents.put_with("a", "value", ttl(100_000)).unwrap();
    clock.set(START_MS + 100_000);
    assert!(!documents.contains("a").unwrap());
    clock.set(START_MS + 5);
    assert!(!documents.contains("a").unwrap());
    documents.put_with("b", "value", ttl(1_000)).unwrap();
    assert_eq!(documents.info("b").unwrap().unwrap().expires_ms, Some(START_MS + 101_000));
    engine.tick().unwrap();
    for policy in [PowerLoss::KeepAll, PowerLoss::DropAll] {
        let engine = Engine::open(config_at(&disk.power_loss(1, policy), 2, &clock)).unwrap();
        let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
        assert!(!documents.contains("a").unwrap() && documents.contains("b").unwrap());
    }
}

/// Of a tenant that is closed the sweep remembers when it has something to do; whoever opens it in between changes that.
#[test]
fn a_tenant_that_was_opened_and_closed_between_two_sweeps_is_swept() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock).open_tenants(1)).unwrap();
    for name in ["acme", "globex"] {
        engine.create_tenant(name, TenantOptions::new()).unwrap();
    }
    for round in 1..4_u64 {
        // The other tenant takes the only place.
        engine.tenant("globex").unwrap();
        engine.tick().unwrap();
        assert_eq!(engine.sweep().unwrap().records, 0);
        engine.tenant("acme").unwrap().collection("c").unwrap().put_with("k", "value", ttl(5_000)).unwrap();
        engine.tenant("globex").unwrap();
        engine.tick().unwrap();
        clock.set(START_MS + round * 5_000);
        assert_eq!(engine.sweep().unwrap().records, 1, "{round}");
    }
}

/// Its secondary keys go with it: nobody finds it, a unique key is free again, and the sweep leaves no entry behind.
#[test]
fn an_expired_record_frees_its_secondary_keys() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (engine, tenant, documents) = new_store(&disk, &clock);
        documents.declare_index("email", Index::unique()).unwrap();
        documents.put_with("goes", "value", ttl(1_000).index("email", "a@b")).unwrap();
        documents.put_with("stays", "value", PutOptions::new().index("email", "c@d")).unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        let take = |key: &str| documents.put_with(key, "value", PutOptions::new().index("email", "a@b"));
        assert_eq!(refusal(take("other")), ErrorKind::Conflict);
        clock.set(START_MS + 1_000);
        assert_eq!(documents.find("email", "a@b").unwrap().count(), 0);
        assert_eq!(documents.find("email", "c@d").unwrap().count(), 1);
        if in_file {
            assert_eq!(engine.sweep().unwrap().records, 1);
        }
        take("other").unwrap();
        assert_eq!(engine.sweep().unwrap().records, u64::from(!in_file));
        assert_eq!(documents.find("email", "a@b").unwrap().count(), 1);
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(report.is_good(), "{report:?}");
    }
}

/// As an import of old records does.
#[test]
fn records_that_have_expired_already_take_no_keys_of_periods_of_their_own() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let config = config_at(&disk, 1, &clock).erasure_period(Duration::from_secs(1));
    let engine = Engine::create(config).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    // More periods than there may be keys of.
    tenant
        .write(|batch| {
            (1..=5_000).try_for_each(|second| {
                let options = PutOptions::new().written_ms(1).expires_ms(START_MS - 1_000 * second);
                batch.put_with(&documents, second.to_be_bytes(), "value", options)
            })
        })
        .unwrap();
    assert!(keys(&documents).is_empty());
    assert_eq!(engine.sweep().unwrap().records, 5_000);
}

/// A copy of the data directory from before, with the key store of today, its rollback accepted and the clock set back: what
/// expired in a period that is over stays unreadable, everything else reads.
#[test]
fn what_expired_in_a_period_that_is_over_is_unreadable_in_every_copy_of_the_data() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let minutes = |disk: &SimDisk, seed| config_at(disk, seed, &clock).erasure_period(Duration::from_mins(1));
    let engine = Engine::create(minutes(&disk, 1)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    // START_MS is 20 s into its minute.
    for (key, ttl_ms) in [("over-a", 1_000), ("over-b", 39_999), ("begun", 41_000), ("far", 7_200_000)] {
        documents.put_with(key, key, ttl(ttl_ms)).unwrap();
    }
    documents.put("for good", "for good").unwrap();
    // In chunks, whose time began with the first of them.
    let large = vec![7; (1 << 20) + 1];
    documents.put_reader("over-c", &large[..], ttl(2_000)).unwrap();
    assert_eq!(documents.get_range("over-c", 5..9).unwrap().as_deref(), Some(&[7; 4][..]));
    tenant.checkpoint().unwrap();
    let copy = disk.power_loss(1, PowerLoss::KeepAll);
    clock.set(START_MS + 39_999);
    assert_eq!(engine.sweep().unwrap().records, 3, "expired, but their period is not over");
    let readable = |copy: &SimDisk| {
        // The data of then, the key store of now.
        let mixed = copy.snapshot();
        for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
            mixed.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
        }
        let then = Arc::new(ManualClock::at(START_MS));
        let config = config_at(&mixed, 9, &then).accept_rollback(true);
        let engine = Engine::open(config).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        keys(&tenant.collection("documents").unwrap())
    };
    assert_eq!(readable(&copy), ["begun", "far", "for good", "over-a", "over-b", "over-c"]);
    clock.set(START_MS + 60_000);
    assert_eq!(engine.sweep().unwrap().records, 1);
    engine.flush().unwrap();
    assert_eq!(readable(&copy), ["begun", "far", "for good"]);
    assert_eq!(keys(&documents), ["far", "for good"]);
    clock.set(START_MS + 100_000);
    assert_eq!(engine.sweep().unwrap().records, 0, "nothing is left to remove, but a key is to destroy");
    assert_eq!(readable(&copy), ["far", "for good"]);
    // The same of a period that had another length before.
    drop((tenant, documents));
    engine.close().unwrap();
    let engine = Engine::open(minutes(&disk, 2).erasure_period(Duration::from_secs(1))).unwrap();
    let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
    documents.put_with("second", "value", ttl(500)).unwrap();
    clock.set(START_MS + 102_000);
    assert_eq!(engine.sweep().unwrap().records, 1);
    assert_eq!(documents.get("far").unwrap().as_deref(), Some(&b"far"[..]));
}

/// A sweep that removes records and destroys a key, and the clock set back after the crash.
#[test]
fn power_lost_at_any_operation_of_a_sweep_loses_nothing_that_stays_and_revives_nothing_that_was_reported() {
    const KEPT: usize = 20;
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let seconds = |disk: &SimDisk, seed| config_at(disk, seed, &clock).erasure_period(Duration::from_secs(1));
    let engine = Engine::create(seconds(&disk, 1)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    for index in 0..KEPT {
        documents.put_with(format!("goes-{index}"), "value", ttl(1 + index as u64)).unwrap();
        let options = if index % 2 == 0 { PutOptions::new() } else { ttl(10_000) };
        documents.put_with(format!("stays-{index}"), "value", options).unwrap();
        if index == KEPT / 2 {
            tenant.checkpoint().unwrap();
        }
    }
    drop((tenant, documents));
    engine.close().unwrap();

    for offset in 0.. {
        let live = disk.snapshot();
        clock.set(START_MS + 2_000);
        let engine = Engine::open(seconds(&live, 2)).unwrap();
        engine.tenant("acme").unwrap();
        live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
        let is_over = engine.sweep().is_ok();
        drop(engine);
        for (seed, policy) in [(0, PowerLoss::DropAll), (offset, PowerLoss::Random), (0, PowerLoss::KeepAll)]
        {
            let place = format!("{policy:?} at {offset}");
            let after = live.power_loss(seed, policy);
            clock.set(START_MS);
            let engine = Engine::open(seconds(&after, 3)).unwrap();
            let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
            let found = keys(&documents);
            assert_eq!(found.iter().filter(|key| key.starts_with("stays")).count(), KEPT, "{place}");
            assert!(!is_over || found.len() == KEPT, "{place}: what was swept is there again");
            clock.set(START_MS + 2_000);
            engine.sweep().unwrap();
            assert_eq!(keys(&documents).len(), KEPT, "{place}");
            let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
            assert!(report.is_good() && report.file.records == KEPT as u64, "{place}: {report:?}");
        }
        if is_over {
            note(&format!("a sweep of {offset} disk operations"));
            assert!(offset > 20, "{offset}");
            break;
        }
    }
}
