//! Promise: counts are exact, and a quota is never exceeded. What a collection holds is what a scan finds, after
//! overwriting, erasing, dropping, checkpoints, rewrites and power losses; of puts that race for the last place of a quota
//! exactly as many are made as there is room, and none is refused while there is room for sure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use proptest::prelude::*;
use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Config, Engine, ErrorKind, Quota, Result, ScanOptions, Tenant, TenantOptions, Usage};

use crate::support::{config, refusal};

const TENANT: &str = "acme";
const COLLECTIONS: [&str; 2] = ["a", "b"];

fn small(disk: &SimDisk, seed: u64) -> Config {
    config(disk, seed).background(false).memtable_bytes(64 << 10)
}

fn scanned(tenant: &Tenant, name: &str) -> Usage {
    let entries = tenant.collection(name).unwrap().scan_with(ScanOptions::new()).unwrap();
    entries.map(|entry| entry.unwrap()).fold(Usage::default(), |usage, entry| Usage {
        records: usage.records + 1,
        bytes: usage.bytes + (entry.key.len() + entry.value.unwrap().len()) as u64,
    })
}

/// Compares counts with what scans find.
fn check(tenant: &Tenant) -> Usage {
    let mut total = Usage::default();
    for name in COLLECTIONS {
        let found = scanned(tenant, name);
        assert_eq!(tenant.collection(name).unwrap().usage().unwrap(), found);
        total = Usage { records: total.records + found.records, bytes: total.bytes + found.bytes };
    }
    assert_eq!(tenant.usage().unwrap(), total);
    total
}

#[derive(Clone, Debug)]
enum Step {
    Puts(Vec<(bool, u8, u16)>),
    Erase(bool, u8),
    Drop(bool),
    Checkpoint,
    Rewrite,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![4 => 0..40_u16, 1 => 4_000..20_000_u16];
    prop_oneof![
        6 => prop::collection::vec((any::<bool>(), 0..9_u8, length()), 0..5).prop_map(Step::Puts),
        2 => (any::<bool>(), 0..9_u8).prop_map(|(collection, key)| Step::Erase(collection, key)),
        1 => any::<bool>().prop_map(Step::Drop),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Rewrite),
        1 => Just(Step::Reopen),
    ]
}

fn put_all(tenant: &Tenant, puts: &[(bool, u8, u16)]) -> Result<()> {
    let made = tenant.write(|batch| {
        puts.iter().try_for_each(|(collection, key, length)| {
            let collection = tenant.collection(COLLECTIONS[usize::from(*collection)])?;
            batch.put(&collection, vec![7; 1 + usize::from(*key)], vec![0; usize::from(*length)])
        })
    });
    made.map(drop)
}

type Model = BTreeMap<(bool, u8), u64>;

/// What a quota counts.
fn usage_of(model: &Model, of: impl Fn(bool) -> bool) -> Usage {
    let counted = model.iter().filter(|((collection, _), _)| of(*collection));
    counted.fold(Usage::default(), |usage, ((_, key), length)| Usage {
        records: usage.records + 1,
        bytes: usage.bytes + 1 + u64::from(*key) + length,
    })
}

fn exceeds(before: Usage, after: Usage, records: u64, bytes: u64) -> bool {
    after.records > records.max(before.records) || after.bytes > bytes.max(before.bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_what_scans_find_and_quotas_refuse_exactly_what_exceeds_them(
        steps in prop::collection::vec(step(), 1..30),
        tenant_bytes in 20_000..90_000_u64,
        records in 2..9_u64,
    ) {
        let disk = SimDisk::new();
        let mut engine = Engine::create(small(&disk, 1)).unwrap();
        let mut tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        tenant.set_quota(Quota::new().bytes(tenant_bytes)).unwrap();
        let limit_a = |tenant: &Tenant| {
            tenant.collection(COLLECTIONS[0]).unwrap().set_quota(Quota::new().records(records)).unwrap();
        };
        limit_a(&tenant);
        let mut model = Model::new();
        for (number, step) in (2..).zip(&steps) {
            match step {
                Step::Puts(puts) => {
                    let mut after = model.clone();
                    after.extend(puts.iter().map(|(collection, key, length)| ((*collection, *key), u64::from(*length))));
                    let is_over = exceeds(usage_of(&model, |_| true), usage_of(&after, |_| true), u64::MAX, tenant_bytes)
                        || exceeds(usage_of(&model, |b| !b), usage_of(&after, |b| !b), records, u64::MAX);
                    match put_all(&tenant, puts) {
                        Ok(()) => {
                            prop_assert!(!is_over, "a quota was exceeded");
                            model = after;
                        }
                        Err(error) => {
                            prop_assert_eq!(error.kind(), ErrorKind::LimitExceeded);
                            prop_assert!(is_over, "a put was refused although there is room: {}", error);
                        }
                    }
                }
                Step::Erase(collection, key) => {
                    let name = COLLECTIONS[usize::from(*collection)];
                    let was_there = model.remove(&(*collection, *key)).is_some();
                    let erased = tenant.collection(name).unwrap().erase(vec![7; 1 + usize::from(*key)]).unwrap();
                    prop_assert_eq!(erased, was_there);
                }
                Step::Drop(collection) => {
                    let name = COLLECTIONS[usize::from(*collection)];
                    let dropped = tenant.drop_collection(name);
                    prop_assert!(dropped.is_ok() || refusal(dropped) == ErrorKind::NotFound);
                    model.retain(|(of, _), _| of != collection);
                    if !collection {
                        prop_assert_eq!(tenant.collection(name).unwrap().quota().unwrap(), Quota::new());
                        limit_a(&tenant);
                    }
                }
                Step::Checkpoint => tenant.checkpoint().unwrap(),
                Step::Rewrite => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
                Step::Reopen => {
                    drop(tenant);
                    drop(engine);
                    engine = Engine::open(small(&disk, number)).unwrap();
                    tenant = engine.tenant(TENANT).unwrap();
                }
            }
            prop_assert_eq!(check(&tenant), usage_of(&model, |_| true));
        }
        tenant.checkpoint().unwrap();
        prop_assert_eq!(check(&tenant), usage_of(&model, |_| true));
        prop_assert_eq!(tenant.stats().unwrap().records, model.len() as u64);
    }
}

#[test]
fn after_a_power_loss_counts_are_what_scans_find() {
    let mut crashed = 0;
    for seed in 1..80_u64 {
        let disk = SimDisk::new();
        let engine = Engine::create(small(&disk, seed)).unwrap();
        let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        tenant.collection("a").unwrap().set_quota(Quota::new().records(1_000)).unwrap();
        disk.inject(Fault { at_operation: disk.operations() + seed * 2, kind: FaultKind::PowerOff });
        let mut number = 0_u64;
        let failed = loop {
            let key = u8::try_from(number * seed % 9).unwrap();
            let length = u16::try_from(number * 977 % 9_000).unwrap();
            let made = match number % 7 {
                5 => tenant.checkpoint(),
                6 => tenant.collection("a").unwrap().erase([7; 3]).map(drop),
                _ => put_all(&tenant, &[(false, key, length), (true, key, 5)]),
            };
            number += 1;
            if made.is_err() || number > 200 {
                break made.is_err();
            }
        };
        crashed += u32::from(failed);
        drop((tenant, engine));
        let disk = disk.power_loss(seed, PowerLoss::Random);
        let engine = Engine::open(small(&disk, seed ^ 1 << 40)).unwrap();
        let tenant = engine.tenant(TENANT).unwrap();
        let found = check(&tenant);
        tenant.checkpoint().unwrap();
        assert_eq!(check(&tenant), found, "seed {seed}");
    }
    println!("{crashed} of 79 lost power");
    assert!(crashed > 40);
}

#[test]
fn of_puts_that_race_for_the_last_places_exactly_as_many_are_made_as_there_are() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    for round in 0..6_u32 {
        let tenant = engine.create_tenant(&format!("{TENANT} {round}"), TenantOptions::new()).unwrap();
        let collections = COLLECTIONS.map(|name| tenant.collection(name).unwrap());
        let limit = 40 + u64::from(round);
        tenant.set_quota(Quota::new().records(limit)).unwrap();
        for thread in 0..4_u8 {
            collections[usize::from(thread % 2)].put([thread, 0], b"value").unwrap();
        }
        let (made, done) = (AtomicU32::new(4), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let putters: Vec<_> = (0..4_u8)
                .map(|thread| {
                    let (made, collection) = (&made, &collections[usize::from(thread % 2)]);
                    scope.spawn(move || {
                        for number in 1..30_u8 {
                            // Now and then over a record that is there, which adds none.
                            if number % 5 == 4 {
                                collection.put([thread, 0], b"again").unwrap();
                                continue;
                            }
                            match collection.put([thread, number], b"value") {
                                Ok(_) => drop(made.fetch_add(1, Ordering::AcqRel)),
                                Err(error) => assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error:?}"),
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    tenant.checkpoint().unwrap();
                }
            });
            putters.into_iter().for_each(|putter| putter.join().unwrap());
            done.store(true, Ordering::Release);
        });
        assert_eq!(u64::from(made.into_inner()), limit);
        assert_eq!(check(&tenant).records, limit);
        assert_eq!(refusal(collections[0].put(b"one more", b"")), ErrorKind::LimitExceeded);
        assert!(collections[0].erase([0, 0]).unwrap());
        collections[0].put(b"one more", b"").unwrap();
        assert_eq!(refusal(collections[0].put(b"and another", b"")), ErrorKind::LimitExceeded);
    }
}

#[test]
fn a_quota_set_while_others_put_holds_from_its_return_on() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    for round in 0..20_u32 {
        let tenant = engine.create_tenant(&format!("{TENANT} {round}"), TenantOptions::new()).unwrap();
        let documents = tenant.collection("a").unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let putters: Vec<_> = (0..3_u8)
                .map(|thread| {
                    let (documents, done) = (&documents, &done);
                    scope.spawn(move || {
                        for number in 0_u32.. {
                            let key = [&[thread][..], &number.to_be_bytes()].concat();
                            let put = documents.put(key, b"");
                            assert!(put.is_ok() || refusal(put) == ErrorKind::LimitExceeded);
                            if done.load(Ordering::Acquire) {
                                break;
                            }
                        }
                    })
                })
                .collect();
            while documents.usage().unwrap().records < 20 {
                std::thread::yield_now();
            }
            documents.set_quota(Quota::new().records(10)).unwrap();
            let at_return = documents.usage().unwrap();
            for _ in 0..50 {
                std::thread::yield_now();
            }
            done.store(true, Ordering::Release);
            putters.into_iter().for_each(|putter| putter.join().unwrap());
            assert_eq!(documents.usage().unwrap(), at_return, "it was over the quota already");
        });
        assert_eq!(documents.quota().unwrap(), Quota::new().records(10));
        documents.set_quota(Quota::new()).unwrap();
        documents.put(b"any number", b"").unwrap();
    }
}
