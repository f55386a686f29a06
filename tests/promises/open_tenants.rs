//! Promise: of any number of tenants a bounded number stays open, nobody notices which, and what somebody holds stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use strongroom::simulation::{Fault, FaultKind, SimDisk};
use strongroom::{Durability, Engine, ErrorKind, PutOptions, TenantOptions};

use crate::support::{config, refusal};

const TENANTS: usize = 12;

fn name(tenant: usize) -> String {
    format!("tenant-{tenant:02}")
}

fn store(disk: &SimDisk, open: usize) -> Engine {
    let engine =
        Engine::create(config(disk, 1).open_tenants(open).background(false).memtable_bytes(64 << 10))
            .unwrap();
    (0..TENANTS).for_each(|tenant| {
        engine.create_tenant(&name(tenant), TenantOptions::new()).unwrap();
    });
    engine
}

#[test]
fn tenants_beyond_the_bound_are_closed_and_open_again_with_all_they_had() {
    let disk = SimDisk::new();
    let engine = store(&disk, 3);
    assert_eq!(engine.open_tenants().unwrap(), 3);
    let mut expected: BTreeMap<(usize, usize), Vec<u8>> = BTreeMap::new();
    let check = |engine: &Engine, expected: &BTreeMap<(usize, usize), Vec<u8>>| {
        for ((tenant, key), value) in expected {
            let documents = engine.tenant(&name(*tenant)).unwrap().collection("documents").unwrap();
            assert_eq!(documents.get(key.to_be_bytes()).unwrap().as_deref(), Some(&value[..]));
        }
    };
    for round in 0..200_usize {
        // Each tenant comes again after all others: one that was put into last is long closed.
        let (tenant, key) = (round * 5 % TENANTS, round % 7);
        let value = format!("{tenant} {round}").repeat(1 + round % 9 * 40).into_bytes();
        let durability = if round % 3 == 0 { Durability::Buffered } else { Durability::Durable };
        let documents = engine.tenant(&name(tenant)).unwrap().collection("documents").unwrap();
        documents.put_with(key.to_be_bytes(), &value, PutOptions::new().durability(durability)).unwrap();
        expected.insert((tenant, key), value);
        drop(documents);
        assert!(engine.open_tenants().unwrap() <= 4, "the bound, and the one that was held");
        if round % 40 == 39 {
            check(&engine, &expected);
            engine.tick().unwrap();
        }
    }
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:?}");
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 2).open_tenants(1)).unwrap();
    check(&engine, &expected);
    assert_eq!(engine.open_tenants().unwrap(), 1);
}

#[test]
fn what_somebody_holds_stays_open() {
    let disk = SimDisk::new();
    let engine = store(&disk, 2);
    let held: Vec<_> = (0..6).map(|tenant| engine.tenant(&name(tenant)).unwrap()).collect();
    let collections: Vec<_> = held.iter().map(|tenant| tenant.collection("documents").unwrap()).collect();
    (6..TENANTS).for_each(|tenant| drop(engine.tenant(&name(tenant)).unwrap()));
    assert_eq!(engine.open_tenants().unwrap(), 6 + 1, "of the others the last one alone");
    drop(held);
    for collection in &collections {
        collection.put("key", "value").unwrap();
        drop(engine.tenant(&name(7)).unwrap());
        assert_eq!(collection.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    }
    drop(collections);
    drop(engine.tenant(&name(8)).unwrap());
    assert_eq!(engine.open_tenants().unwrap(), 2);
    engine.close().unwrap();
}

#[test]
fn pages_of_open_files_are_bounded_together() {
    let disk = SimDisk::new();
    let engine = store(&disk, TENANTS);
    for tenant in 0..TENANTS {
        engine.tenant(&name(tenant)).unwrap().collection("documents").unwrap().put("key", "value").unwrap();
    }
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    let open_of = |total_cache_bytes| {
        let engine = Engine::open(config(&disk, 2).total_cache_bytes(total_cache_bytes)).unwrap();
        (0..TENANTS).for_each(|tenant| drop(engine.tenant(&name(tenant)).unwrap()));
        let open = engine.open_tenants().unwrap();
        engine.close().unwrap();
        open
    };
    // Each counts with what its file has, and not with the mebibyte that it might take.
    let some = open_of(1 << 20);
    assert!((2..=TENANTS).contains(&some), "{some}");
    let (fewer, last) = (open_of((1 << 20) / 12), open_of(1));
    assert!(fewer < some && last == 1, "{fewer} of {some}, {last}");
}

/// A put that failed must not show later because its tenant was read from the journal again.
#[test]
fn a_tenant_whose_journal_failed_to_sync_stays_open() {
    let disk = SimDisk::new();
    let engine = store(&disk, 1);
    engine.tenant(&name(0)).unwrap().collection("documents").unwrap().put("key", "before").unwrap();
    disk.inject(Fault { at_operation: disk.operations(), kind: FaultKind::FailedSync });
    let documents = engine.tenant(&name(0)).unwrap().collection("documents").unwrap();
    assert_eq!(refusal(documents.put("key", "failed")), ErrorKind::Io);
    drop(documents);
    for tenant in 1..TENANTS {
        drop(engine.tenant(&name(tenant)).unwrap());
    }
    let documents = engine.tenant(&name(0)).unwrap().collection("documents").unwrap();
    assert_eq!(documents.get("key").unwrap().as_deref(), Some(&b"before"[..]));
}

#[test]
fn threads_that_ask_for_tenants_which_others_close_lose_nothing() {
    let disk = SimDisk::new();
    let engine = store(&disk, 2);
    let acknowledged = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let (engine, acknowledged) = (&engine, &acknowledged);
            scope.spawn(move || {
                for round in 0..60_usize {
                    let tenant = (thread * 7 + round * 5) % TENANTS;
                    let key = format!("{thread} {round}");
                    let documents = engine.tenant(&name(tenant)).unwrap().collection("documents").unwrap();
                    documents.put(&key, format!("{tenant} {key}")).unwrap();
                    acknowledged.lock().unwrap().insert((tenant, key));
                    if round % 5 == 0 {
                        let seen = acknowledged.lock().unwrap().first().cloned();
                        let (tenant, key) = seen.unwrap();
                        let documents =
                            engine.tenant(&name(tenant)).unwrap().collection("documents").unwrap();
                        let value = documents.get(&key).unwrap();
                        assert_eq!(value.as_deref(), Some(format!("{tenant} {key}").as_bytes()));
                    }
                }
            });
        }
    });
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 2)).unwrap();
    let acknowledged = acknowledged.lock().unwrap();
    assert_eq!(acknowledged.len(), 6 * 60);
    for (tenant, key) in acknowledged.iter() {
        let documents = engine.tenant(&name(*tenant)).unwrap().collection("documents").unwrap();
        assert_eq!(documents.get(key).unwrap().as_deref(), Some(format!("{tenant} {key}").as_bytes()));
    }
}
