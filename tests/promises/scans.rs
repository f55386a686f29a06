//! Promise: scans, pages and snapshots. Pages joined by cursors give each record once, whatever happened to the store in
//! between; a cursor opens where it belongs and nowhere else; a snapshot shows one moment of several collections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use strongroom::simulation::{Fault, FaultKind, ManualClock, SimDisk};
use strongroom::{Cursor, Engine, ErrorKind, Index, Policy, PutOptions, ScanOptions, Tenant, TenantOptions};

use crate::support::{config, refusal};

const TENANT: &str = "acme";

/// One page: its keys, and the cursor behind it as text.
fn page(tenant: &Tenant, options: ScanOptions, after: Option<&str>) -> (Vec<Vec<u8>>, Option<String>) {
    let options = match after {
        Some(text) => options.after(&text.parse::<Cursor>().unwrap()),
        None => options,
    };
    let mut scan = tenant.collection("documents").unwrap().scan_with(options).unwrap();
    let keys = scan.by_ref().map(|entry| entry.unwrap().key).collect();
    (keys, scan.cursor().unwrap().map(|cursor| cursor.to_string()))
}

#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Checkpoint,
    Rewrite,
    Reopen,
    /// A put at the beginning of the order, or a second time of a key that was passed.
    Put,
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![
        Just(Between::Nothing),
        Just(Between::Checkpoint),
        Just(Between::Rewrite),
        Just(Between::Reopen),
        Just(Between::Put)
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'k', 0xff]), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pages_joined_by_cursors_give_each_record_once_across_restarts_checkpoints_and_rewrites(
        in_file in prop::collection::btree_set(key(), 0..30),
        in_memory in prop::collection::btree_set(key(), 0..30),
        prefix in prop::collection::vec(prop::sample::select(vec![0_u8, b'k', 0xff]), 0..2),
        limit in 0_usize..7,
        reverse: bool,
        events in prop::collection::vec(between(), 1..5),
    ) {
        let disk = SimDisk::new();
        let mut engine = Engine::create(config(&disk, 1).background(false)).unwrap();
        let mut tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        let documents = tenant.collection("documents").unwrap();
        documents.put(b"k", b"there is a collection").unwrap();
        in_file.iter().for_each(|key| { documents.put(key, b"in the file").unwrap(); });
        tenant.checkpoint().unwrap();
        in_memory.iter().for_each(|key| { documents.put(key, b"in memory").unwrap(); });
        let options = || ScanOptions::new().prefix(&prefix).limit(limit).reverse(reverse).keys_only(true);
        let expected = page(&tenant, options().limit(usize::MAX), None).0;
        let counted = documents.count(options().limit(usize::MAX)).unwrap();
        prop_assert_eq!(counted, expected.len() as u64);
        prop_assert_eq!(documents.count(options()).unwrap(), expected.len().min(limit) as u64);
        drop(documents);

        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for (turn, event) in (0_u32..).zip(events.iter().cycle()) {
            let (keys, next) = page(&tenant, options(), after.as_deref());
            // A page of nothing gives the cursor it began with.
            prop_assert!(keys.len() == limit || next.is_none());
            found.extend(keys);
            if next.is_none() || limit == 0 {
                break;
            }
            after = next;
            match event {
                Between::Nothing => {}
                Between::Checkpoint => tenant.checkpoint().unwrap(),
                Between::Rewrite => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
                Between::Put => {
                    // What was passed is passed, in whatever version it is.
                    let passed = found.last().unwrap();
                    tenant.collection("documents").unwrap().put(passed, turn.to_le_bytes()).unwrap();
                }
                Between::Reopen => {
                    drop(tenant);
                    engine.close().unwrap();
                    engine = Engine::open(config(&disk, u64::from(turn) + 2).background(false)).unwrap();
                    tenant = engine.tenant(TENANT).unwrap();
                }
            }
        }
        if limit > 0 {
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_cursor_is_refused_wherever_it_does_not_belong() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let tenants = ["acme", "globex"].map(|name| engine.create_tenant(name, TenantOptions::new()).unwrap());
    for tenant in &tenants {
        for name in ["a", "b"] {
            let collection = tenant.collection(name).unwrap();
            for key in 0..5_u8 {
                collection.put([key], b"").unwrap();
            }
        }
    }
    let a = tenants[0].collection("a").unwrap();
    let cursor = {
        let mut scan = a.scan_with(ScanOptions::new().limit(2)).unwrap();
        assert_eq!(scan.by_ref().count(), 2);
        scan.cursor().unwrap().unwrap()
    };
    let text = cursor.to_string();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert!(a.scan_with(ScanOptions::new().after(&cursor)).is_ok());
    let elsewhere = [
        a.scan_with(ScanOptions::new().after(&cursor).reverse(true)),
        tenants[0].collection("b").unwrap().scan_with(ScanOptions::new().after(&cursor)),
        tenants[0].collection("none").unwrap().scan_with(ScanOptions::new().after(&cursor)),
        tenants[1].collection("a").unwrap().scan_with(ScanOptions::new().after(&cursor)),
    ];
    for refused in elsewhere {
        assert_eq!(refusal(refused), ErrorKind::InvalidArgument);
    }
    for index in 0..cursor.as_bytes().len() {
        let mut bytes = cursor.as_bytes().to_vec();
        bytes[index] ^= 0x40;
        let altered = Cursor::from_bytes(&bytes).unwrap();
        assert_eq!(refusal(a.scan_with(ScanOptions::new().after(&altered))), ErrorKind::InvalidArgument);
    }
    for bad in ["", "x", "a cursor?", &text[4..], &format!("{text}==")] {
        let refused = bad.parse::<Cursor>().and_then(|cursor| a.scan_with(ScanOptions::new().after(&cursor)));
        assert_eq!(refusal(refused), ErrorKind::InvalidArgument, "{bad}");
    }
    assert!(format!("{cursor:?}").len() < 20);
}

/// Whoever gets cursors learns no keys from them.
#[test]
fn a_page_before_records_that_are_not_there_any_more_is_the_last_one() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(1_700_000_000_000)));
    let config = config(&disk, 1).background(false).clock(Arc::clone(&clock) as Arc<_>);
    let engine = Engine::create(config).unwrap();
    let policy = Policy::new().removal_window(Duration::from_secs(10));
    let tenant = engine.create_tenant(TENANT, policy).unwrap();
    let documents = tenant.collection("documents").unwrap();
    documents.declare_index("all", Index::ordered()).unwrap();
    let own = || PutOptions::new().index("all", "x");
    documents.put_with("a", "value", own()).unwrap();
    documents.put_with("b", "value", own().ttl(Duration::from_secs(5))).unwrap();
    documents.put_with("c", "value", own().subject("s")).unwrap();
    for key in ["r", "s"] {
        documents.put(key, "value").unwrap();
        assert!(documents.remove(key).unwrap());
        clock.set(1_700_000_004_000);
    }
    let first = || ScanOptions::new().limit(1);
    let is_last = || {
        let mut scans =
            [documents.scan_with(first()).unwrap(), documents.find_range("all", first()).unwrap()];
        scans.each_mut().map(|scan| {
            assert_eq!(scan.next().unwrap().unwrap().key, b"a");
            assert!(scan.next().is_none());
            scan.cursor().unwrap().is_none()
        })
    };
    assert_eq!(is_last(), [false; 2]);
    let snapshot = tenant.snapshot().unwrap();
    clock.set(1_700_000_006_000);
    assert_eq!(is_last(), [false; 2], "there is the one of a subject");
    tenant.erase_subject("s").unwrap();
    assert_eq!(is_last(), [true; 2]);
    let mut scan = snapshot.scan(&documents, first()).unwrap();
    assert_eq!(scan.next().unwrap().unwrap().key, b"a");
    assert!(scan.cursor().unwrap().is_none(), "an older snapshot has the row, and no key of it");
    // Of those that were removed, the earlier one can't be restored any more.
    clock.set(1_700_000_012_000);
    let mut removed = documents.removed(first().reverse(true)).unwrap();
    assert_eq!(removed.next().unwrap().unwrap().key, b"s");
    assert!(removed.cursor().unwrap().is_none());
}

#[test]
fn a_cursor_shows_nothing_of_the_key_it_stands_at() {
    let engine = Engine::create(config(&SimDisk::new(), 1).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    for number in 0..3 {
        documents.put(format!("customer-{number}@example.org"), b"").unwrap();
    }
    let cursor = || {
        let mut scan = documents.scan_with(ScanOptions::new().limit(1)).unwrap();
        drop(scan.next());
        scan.cursor().unwrap().unwrap()
    };
    let (one, other) = (cursor(), cursor());
    assert_ne!(one, other, "of the same place");
    let secrets: [&[u8]; 2] = [b"customer", b"example.org"];
    for secret in secrets {
        assert!(!one.as_bytes().windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn a_snapshot_shows_one_moment_of_several_collections_while_others_write() {
    let engine = Engine::create(config(&SimDisk::new(), 1).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let (a, b) = (tenant.collection("a").unwrap(), tenant.collection("b").unwrap());
    let put = |number: u32| {
        tenant.write(|batch| {
            batch.put(&a, b"k", number.to_le_bytes())?;
            batch.put(&a, number.to_be_bytes(), b"")?;
            batch.put(&b, b"k", number.to_le_bytes())
        })
    };
    put(0).unwrap();
    let done = AtomicBool::new(false);
    let (mut last, mut moments, mut counts) = (0, 0_u32, BTreeMap::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                put(number).unwrap();
                match number % 40 {
                    0 => tenant.checkpoint().unwrap(),
                    20 => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
                    _ if done.load(Ordering::Acquire) => break,
                    _ => {}
                }
            }
        });
        // Until the threads have met: how soon is the scheduler's affair.
        while counts.len() < 25 {
            let snapshot = tenant.snapshot().unwrap();
            let version = snapshot.version().unwrap();
            for _ in 0..2 {
                let number = |collection| snapshot.get(collection, b"k").unwrap().unwrap().to_vec();
                let (in_a, in_b) = (number(&a), number(&b));
                assert_eq!(in_a, in_b);
                let number = u32::from_le_bytes(in_a.try_into().unwrap());
                assert!(number >= last);
                last = number;
                assert_eq!(snapshot.info(&a, b"k").unwrap().unwrap().version, version);
                let options = ScanOptions::new().reverse(true);
                let newest = snapshot.scan(&a, options).unwrap().nth(1).unwrap().unwrap();
                assert_eq!(newest.key, number.to_be_bytes(), "behind the key k");
                let count = snapshot.count(&a, ScanOptions::new()).unwrap();
                assert_eq!(count, u64::from(number) + 2);
                counts.insert(number, count);
                std::thread::yield_now();
            }
            moments += 1;
        }
        done.store(true, Ordering::Release);
    });
    println!("{moments} snapshots of {} moments", counts.len());
    let kept = tenant.snapshot().unwrap();
    put(1_000_000).unwrap();
    assert_eq!(kept.get(&a, 1_000_000_u32.to_be_bytes()).unwrap(), None);
    assert_eq!(kept.collections().unwrap().len(), 2);
    tenant.collection("c").unwrap().put(b"k", b"").unwrap();
    assert_eq!(kept.count(&tenant.collection("c").unwrap(), ScanOptions::new()).unwrap(), 0);
    a.erase(0_u32.to_be_bytes()).unwrap();
    assert_eq!(kept.get(&a, 0_u32.to_be_bytes()).unwrap(), None, "what is erased is gone for all");
    let other = engine.create_tenant("globex", TenantOptions::new()).unwrap().collection("a").unwrap();
    assert_eq!(refusal(kept.get(&other, b"k")), ErrorKind::InvalidArgument);
    engine.close().unwrap();
    assert_eq!(refusal(kept.get(&a, b"k")), ErrorKind::Poisoned);
}

#[test]
fn a_snapshot_of_a_file_that_failed_says_that_it_expired() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    documents.put(b"k", b"v").unwrap();
    for key in 0..200_u16 {
        documents.put(key.to_be_bytes(), [7; 3_000]).unwrap();
    }
    tenant.checkpoint().unwrap();
    tenant.rewrite(&mut |_, _| {}).unwrap();
    drop((documents, tenant));
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
    let tenant = engine.tenant(TENANT).unwrap();
    let documents = tenant.collection("documents").unwrap();
    let snapshot = tenant.snapshot().unwrap();
    disk.inject(Fault { at_operation: disk.reads(), kind: FaultKind::ReadEio });
    assert_eq!(refusal(snapshot.get(&documents, b"k")), ErrorKind::Io);
    assert_eq!(documents.get(b"k").unwrap().as_deref(), Some(&b"v"[..]), "the file was opened anew");
    assert_eq!(refusal(snapshot.get(&documents, 7_u16.to_be_bytes())), ErrorKind::SnapshotExpired);
    assert!(tenant.snapshot().unwrap().get(&documents, b"k").unwrap().is_some());
}

/// Over records in memory and in the file, some expired, some of an erased subject, some long; by key and by index.
#[test]
fn a_scan_that_opens_ahead_gives_what_one_does_that_does_not() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).background(false)).unwrap();
    let acme = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    documents.declare_index("place", Index::ordered()).unwrap();
    for number in 0..300_usize {
        let options = match number % 7 {
            3 => PutOptions::new().subject("ada"),
            5 => PutOptions::new().expires_ms(1),
            _ => PutOptions::new(),
        };
        let value = vec![b'v'; number * 31 % 5_000 + if number % 50 == 9 { 1 << 20 } else { 0 }];
        let options = options.index("place", format!("{:03}", number * 7 % 300));
        if value.len() > 1 << 20 {
            documents.put_reader(format!("{number:03}"), &value[..], options).unwrap();
        } else {
            documents.put_with(format!("{number:03}"), value, options).unwrap();
        }
        if number == 200 {
            acme.checkpoint().unwrap();
        }
    }
    assert!(acme.erase_subject("ada").unwrap());
    let plain = [
        ScanOptions::new(),
        ScanOptions::new().reverse(true),
        ScanOptions::new().limit(17),
        ScanOptions::new().prefix("1").limit(40).reverse(true),
        ScanOptions::new().keys_only(true),
        ScanOptions::new().limit(0),
    ];
    for options in plain {
        for ahead in [1, 3, 64, usize::MAX] {
            for is_index in [false, true] {
                // All its pages, one after the other.
                let all = |options: ScanOptions| {
                    let (mut entries, mut after) = (Vec::new(), None::<Cursor>);
                    loop {
                        let options = after.iter().fold(options.clone(), ScanOptions::after);
                        let scan = if is_index {
                            documents.find_range("place", options)
                        } else {
                            documents.scan_with(options)
                        };
                        let mut scan = scan.unwrap();
                        let before = entries.len();
                        entries.extend(scan.by_ref().map(|entry| {
                            let entry = entry.unwrap();
                            (entry.key, entry.value.map(|value| value.to_vec()), entry.info, entry.index_key)
                        }));
                        after = scan.cursor().unwrap();
                        if after.is_none() || entries.len() == before {
                            return entries;
                        }
                    }
                };
                let expected = all(options.clone());
                assert_eq!(
                    all(options.clone().open_ahead(ahead)),
                    expected,
                    "{options:?} {ahead} {is_index}"
                );
            }
        }
    }
}
