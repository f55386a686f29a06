//! Promise: of a subject everything can be listed, and erased, over all collections of a tenant: its key first, so that it is
//! unreadable in every copy, then its records, whatever comes between; and nothing else goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Collection, Config, Engine, ErrorKind, Index, PutOptions, RekeyOptions, Result, ScanOptions, Selector,
    Tenant, TenantOptions,
};

use crate::support::{config, note, refusal};

const START_MS: u64 = 1_700_000_000_000;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

fn new_store(disk: &SimDisk) -> (Engine, Tenant, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START_MS));
    let engine = Engine::create(config_at(disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    (engine, tenant, clock)
}

fn of(subject: &str) -> PutOptions {
    PutOptions::new().subject(subject)
}

fn subjects(tenant: &Tenant) -> Vec<String> {
    tenant.subjects().unwrap().map(Result::unwrap).collect()
}

/// Collection and key of each record of a subject.
fn records(tenant: &Tenant, subject: &str) -> Vec<String> {
    let records = tenant.subject_records(subject).unwrap().map(|record| {
        let record = record.unwrap();
        format!("{}/{}", record.collection, String::from_utf8(record.key).unwrap())
    });
    let mut records: Vec<_> = records.collect();
    records.sort();
    records
}

fn keys(collection: &Collection) -> Vec<String> {
    let entries = collection.scan_with(ScanOptions::new().keys_only(true)).unwrap();
    entries.map(|entry| String::from_utf8(entry.unwrap().key).unwrap()).collect()
}

/// Puts, erases and overwrites at random, among checkpoints, rewrites, rekeys and sweeps.
#[test]
fn a_subjects_records_are_listed_whatever_was_done_to_them() {
    let disk = SimDisk::new();
    let (engine, tenant, clock) = new_store(&disk);
    let mut expected: BTreeMap<String, (&str, u64)> = BTreeMap::new();
    let names = ["ada", "bob", "ada lovelace", "cyd"];
    let mut state = 7_u64;
    let mut chance = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    let mut now = START_MS;
    for step in 0..3_000 {
        let (collection, key) = (["people", "letters"][usize::try_from(chance(2)).unwrap()], chance(90));
        let handle = tenant.collection(collection).unwrap();
        let place = format!("{collection}/{key:02}");
        match chance(10) {
            0 => {
                handle.erase(format!("{key:02}")).unwrap();
                expected.remove(&place);
            }
            1 => {
                handle.put(format!("{key:02}"), "of nobody").unwrap();
                expected.remove(&place);
            }
            2 => {
                let subject = names[usize::try_from(chance(4)).unwrap()];
                let options = of(subject).ttl(Duration::from_millis(100));
                handle.put_with(format!("{key:02}"), "value", options).unwrap();
                expected.insert(place, (subject, now + 100));
            }
            _ => {
                let subject = names[usize::try_from(chance(4)).unwrap()];
                handle.put_with(format!("{key:02}"), "value", of(subject)).unwrap();
                expected.insert(place, (subject, u64::MAX));
            }
        }
        match step % 500 {
            99 | 199 => tenant.checkpoint().unwrap(),
            299 => {
                now += 70;
                clock.set(now);
                engine.sweep().unwrap();
            }
            399 => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
            499 => {
                tenant.rotate_data_key().unwrap();
                tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
            }
            _ => {}
        }
        if step % 50 == 0 || step % 100 == 99 {
            for subject in names {
                let live = expected.iter().filter(|(_, (of, until))| *of == subject && now < *until);
                let live: Vec<_> = live.map(|(place, _)| place.clone()).collect();
                assert_eq!(records(&tenant, subject), live, "{step}: {subject}");
            }
        }
    }
    assert_eq!(subjects(&tenant), ["ada", "ada lovelace", "bob", "cyd"]);
    assert!(records(&tenant, "nobody").is_empty());
    assert_eq!(refusal(tenant.subject_records("")), ErrorKind::InvalidArgument);
    let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert!(
        !format!("{:?} {:?}", tenant.subjects().unwrap(), tenant.subject_records("ada").unwrap())
            .contains("ada")
    );
}

/// Records with secondary keys, one in chunks, some that expired, in memory and in the file; a scan and a snapshot are under way.
#[test]
fn erasing_a_subject_removes_its_records_from_all_collections_with_all_they_have() {
    for in_file in [false, true] {
        let disk = SimDisk::new();
        let (engine, tenant, clock) = new_store(&disk);
        let (people, letters) = (tenant.collection("people").unwrap(), tenant.collection("letters").unwrap());
        people.declare_index("email", Index::unique()).unwrap();
        people.put_with("1", "Ada", of("ada").index("email", "a@b")).unwrap();
        people.put_with("2", "Bob", of("bob").index("email", "c@d")).unwrap();
        letters.put_reader("large", &vec![7; (1 << 20) + 1][..], of("ada")).unwrap();
        for index in 0..2_500 {
            letters.put_with(format!("of-ada-{index:04}"), "value", of("ada")).unwrap();
        }
        letters.put_with("expires", "value", of("ada").ttl(Duration::from_secs(1))).unwrap();
        letters.put_with("stays", "value", of("bob")).unwrap();
        letters.put("of-nobody", "value").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        clock.set(START_MS + 2_000);
        let snapshot = tenant.snapshot().unwrap();
        let mut scan = letters.scan_with(ScanOptions::new()).unwrap();
        scan.next().unwrap().unwrap();
        assert!(tenant.erase_subject("ada").unwrap());
        assert!(!tenant.erase_subject("ada").unwrap());
        assert_eq!(subjects(&tenant), ["bob"]);
        assert!(records(&tenant, "ada").is_empty());
        let left = scan.map(|entry| String::from_utf8(entry.unwrap().key).unwrap());
        assert_eq!(left.collect::<Vec<_>>(), ["of-nobody", "stays"]);
        assert_eq!(snapshot.count(&letters, ScanOptions::new()).unwrap(), 2);
        assert_eq!(
            (keys(&people), keys(&letters)),
            (vec!["2".into()], vec!["of-nobody".into(), "stays".into()])
        );
        assert_eq!((letters.usage().unwrap().records, tenant.stats().unwrap().records), (2, 3));
        people.put_with("3", "Cyd", PutOptions::new().index("email", "a@b")).unwrap();
        // Somebody of the same name is somebody else.
        letters.put_with("again", "value", of("ada")).unwrap();
        tenant.checkpoint().unwrap();
        while strongroom::simulation::collect_chunks(&tenant).unwrap() {}
        assert_eq!(strongroom::simulation::chunk_rows(&tenant).unwrap(), []);
        assert_eq!(records(&tenant, "ada"), ["letters/again"]);
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(report.is_good() && report.file.records == 5, "{report:?}");
    }
}

/// A hold on one of its records keeps all of it; one on the records of another subject keeps nothing.
#[test]
fn a_subject_of_which_one_record_is_held_stays_whole() {
    let disk = SimDisk::new();
    let (_engine, tenant, _) = new_store(&disk);
    let letters = tenant.collection("letters").unwrap();
    for key in ["a", "b"] {
        letters.put_with(key, "value", of("ada")).unwrap();
    }
    letters.put_with("c", "value", of("bob")).unwrap();
    for checkpointed in [false, true] {
        if checkpointed {
            tenant.checkpoint().unwrap();
        }
        for selector in [Selector::record("letters", "b"), Selector::prefix("letters", "b")] {
            tenant.hold("case 17", selector).unwrap();
            assert_eq!(refusal(tenant.erase_subject("ada")), ErrorKind::Held);
            assert_eq!(records(&tenant, "ada"), ["letters/a", "letters/b"]);
            assert_eq!(letters.get("a").unwrap().as_deref(), Some(&b"value"[..]));
            tenant.release_hold("case 17").unwrap();
        }
    }
    tenant.hold("case 17", Selector::record("letters", "b")).unwrap();
    assert!(tenant.erase_subject("bob").unwrap());
    assert_eq!(keys(&letters), ["a", "b"]);
}

/// Puts of the subject, and of others over its records, while it is erased.
#[test]
fn what_is_put_while_a_subject_is_erased_is_erased_or_somebody_elses() {
    let disk = SimDisk::new();
    let (engine, tenant, _) = new_store(&disk);
    let letters = tenant.collection("letters").unwrap();
    for round in 0..10 {
        for index in 0..200 {
            letters.put_with(format!("{index:03}"), "first", of("ada")).unwrap();
        }
        std::thread::scope(|scope| {
            let (again, over) = (letters.clone(), letters.clone());
            scope.spawn(move || {
                (0..200).step_by(3).for_each(|index| {
                    again.put_with(format!("{index:03}"), "second", of("ada")).unwrap();
                });
            });
            scope.spawn(move || {
                (1..200).step_by(3).for_each(|index| {
                    over.put_with(format!("{index:03}"), "over", of("bob")).unwrap();
                });
            });
            assert!(tenant.erase_subject("ada").unwrap());
        });
        let entries = letters.scan_with(ScanOptions::new()).unwrap().map(Result::unwrap);
        let found: BTreeMap<_, _> = entries.map(|entry| (entry.key, entry.value.unwrap().to_vec())).collect();
        let bobs = found.values().filter(|value| &value[..] == b"over").count();
        assert_eq!(bobs, 67, "{round}: what was put over a record stays");
        assert!(found.values().all(|value| &value[..] != b"first"), "{round}");
        assert_eq!(records(&tenant, "ada").len() + 67, found.len(), "{round}");
        tenant.erase_subject("ada").unwrap();
    }
    assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
}

/// Power is lost at every disk operation of the erasure, and again a few operations into the next open.
#[test]
fn power_lost_at_any_operation_of_a_subjects_erasure_leaves_it_whole_or_unreadable_and_then_gone() {
    let disk = SimDisk::new();
    let (engine, tenant, clock) = new_store(&disk);
    let letters = tenant.collection("letters").unwrap();
    for index in 0..30 {
        letters.put_with(format!("ada-{index:02}"), "value", of("ada")).unwrap();
        letters.put_with(format!("bob-{index:02}"), "value", of("bob")).unwrap();
        if index == 15 {
            tenant.checkpoint().unwrap();
        }
    }
    drop((tenant, letters));
    engine.close().unwrap();
    let readable = |tenant: &Tenant| {
        let letters = tenant.collection("letters").unwrap();
        let entries = letters.scan_with(ScanOptions::new()).unwrap().map(Result::unwrap);
        let readable: Vec<_> = entries.filter(|entry| entry.value.is_some()).collect();
        let adas = readable.iter().filter(|entry| entry.key.starts_with(b"ada")).count();
        (adas, readable.len() - adas)
    };
    for offset in 0.. {
        let live = disk.snapshot();
        let engine = Engine::open(config_at(&live, 2, &clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
        let is_over = tenant.erase_subject("ada").is_ok();
        drop((tenant, engine));
        for (seed, policy) in [(0, PowerLoss::DropAll), (offset, PowerLoss::Random), (0, PowerLoss::KeepAll)]
        {
            let place = format!("{policy:?} at {offset}");
            let mut after = live.power_loss(seed, policy);
            if offset % 3 == 0 {
                after.inject(Fault { at_operation: after.operations() + offset, kind: FaultKind::PowerOff });
                drop(
                    Engine::open(config_at(&after, 3, &clock))
                        .map(|engine| engine.tenant("acme").map(|_| ())),
                );
                after = after.power_loss(seed, policy);
            }
            let engine = Engine::open(config_at(&after, 4, &clock)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let (adas, bobs) = readable(&tenant);
            assert_eq!(bobs, 30, "{place}");
            assert!(adas == 30 || adas == 0, "{place}: {adas}");
            assert!(!is_over || adas == 0, "{place}");
            let letters = tenant.collection("letters").unwrap();
            assert_eq!(
                keys(&letters).len(),
                30 + adas,
                "{place}: what is unreadable was removed when it was opened"
            );
            assert_eq!(tenant.erase_subject("ada").unwrap(), adas > 0, "{place}");
            assert_eq!(keys(&letters).len(), 30, "{place}");
            let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
            assert!(report.is_good(), "{place}: {report:?}");
        }
        if is_over {
            note(&format!("an erasure of {offset} disk operations"));
            assert!(offset > 8, "{offset}");
            break;
        }
    }
}
