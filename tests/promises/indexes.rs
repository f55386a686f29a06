//! Promise: secondary keys. An index shows exactly the records that have a key in it, at every moment: after overwriting,
//! erasing, checkpoints, rewrites and power losses; at most one record has a unique key; an index that is added to a filled
//! collection ends up as if it had been there from the beginning.
//!
//! A value says which keys its record was put with, so that every state can be checked by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use strongroom::simulation::{Clock, Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Collection, Config, Cursor, Engine, ErrorKind, Index, PutOptions, Result, ScanOptions, Tenant,
    TenantOptions, Version,
};

use crate::support::{config, refusal};

const TENANT: &str = "acme";
const NONE: u8 = 0xff;

/// Small memtables, so that checkpoints come in between.
fn small(disk: &SimDisk, seed: u64) -> Config {
    config(disk, seed).background(false).memtable_bytes(64 << 10)
}

fn people(tenant: &Tenant) -> Collection {
    tenant.collection("people").unwrap()
}

fn declare(people: &Collection) -> Result<()> {
    people.declare_index("email", Index::unique())?;
    people.declare_index("tag", Index::ordered())
}

/// The keys of a value: one that is unique, or none, and tags.
fn keys_of(value: &[u8]) -> (Option<Vec<u8>>, BTreeSet<Vec<u8>>) {
    let (email, tags) = value.split_first().unwrap();
    ((*email != NONE).then(|| vec![*email]), tags.iter().map(|tag| tag_key(*tag)).collect())
}

/// Some have zero bytes in them, some are prefixes of others.
fn tag_key(tag: u8) -> Vec<u8> {
    [vec![1], vec![1, 0], vec![1, 0, 0], vec![0], vec![0xff], b"tag".to_vec()][usize::from(tag) % 6].clone()
}

fn options_of(value: &[u8]) -> PutOptions {
    let (email, tags) = keys_of(value);
    let options = tags.iter().fold(PutOptions::new(), |options, tag| options.index("tag", tag));
    email.iter().fold(options, |options, email| options.index("email", email))
}

/// An index's keys, each with its record's.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Compares both indexes with what the values say; gives the records.
fn check(people: &Collection) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let records: BTreeMap<_, _> = people
        .scan_with(ScanOptions::new())
        .unwrap()
        .map(|entry| entry.map(|entry| (entry.key, entry.value.unwrap().to_vec())).unwrap())
        .collect();
    let (mut emails, mut tags) = (Pairs::new(), Pairs::new());
    for (key, value) in &records {
        let (email, tagged) = keys_of(value);
        emails.extend(email.map(|email| (email, key.clone())));
        tags.extend(tagged.into_iter().map(|tag| (tag, key.clone())));
    }
    for (index, mut expected) in [("email", emails), ("tag", tags)] {
        expected.sort();
        let found = |options| -> Pairs {
            let scan = people.find_range(index, options).unwrap();
            let pair = |entry: strongroom::Entry| {
                assert_eq!(entry.value.as_deref(), Some(&records[&entry.key][..]));
                (entry.index_key.unwrap(), entry.key)
            };
            scan.map(|entry| pair(entry.unwrap())).collect()
        };
        assert_eq!(found(ScanOptions::new()), expected, "{index}");
        let mut backwards = found(ScanOptions::new().reverse(true));
        backwards.reverse();
        assert_eq!(backwards, expected, "{index}, backwards");
        for key in expected.iter().map(|(key, _)| key).collect::<BTreeSet<_>>() {
            let of_key = |(known, _): &&(Vec<u8>, Vec<u8>)| known == key;
            let expected: Vec<_> = expected.iter().filter(of_key).map(|(_, record)| record.clone()).collect();
            let found = people.find(index, key).unwrap().map(|entry| entry.unwrap().key);
            assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
    records
}

fn verify(engine: &Engine) {
    let report = engine.verify_tenant(TENANT, &mut |_| {}).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        email: u8,
        tags: Vec<u8>,
    },
    /// Several in one batch, of which some meet.
    Batch(Vec<(u8, u8, Vec<u8>)>),
    Erase(u8),
    /// A put that says nothing of keys: the record has none from then on.
    Bare(u8),
    Checkpoint,
    Rewrite,
    Reopen,
}

fn email() -> impl Strategy<Value = u8> {
    prop_oneof![2 => 0..5_u8, 1 => Just(NONE)]
}

fn step() -> impl Strategy<Value = Step> {
    let tags = || prop::collection::vec(0..6_u8, 0..4);
    prop_oneof![
        6 => (0..8_u8, email(), tags()).prop_map(|(key, email, tags)| Step::Put { key, email, tags }),
        2 => prop::collection::vec((0..8_u8, email(), tags()), 0..4).prop_map(Step::Batch),
        2 => (0..8_u8).prop_map(Step::Erase),
        1 => (0..8_u8).prop_map(Step::Bare),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Rewrite),
        1 => Just(Step::Reopen),
    ]
}

fn value_of(email: u8, tags: &[u8]) -> Vec<u8> {
    [&[email], tags].concat()
}

/// What a batch leads to, if no two records then have one unique key.
fn after(model: &BTreeMap<u8, Vec<u8>>, puts: &[(u8, Vec<u8>)]) -> Option<BTreeMap<u8, Vec<u8>>> {
    let mut model = model.clone();
    model.extend(puts.iter().cloned());
    let emails: Vec<_> = model.values().filter_map(|value| keys_of(value).0).collect();
    let distinct: BTreeSet<_> = emails.iter().collect();
    (distinct.len() == emails.len()).then_some(model)
}

fn put_all(tenant: &Tenant, puts: &[(u8, Vec<u8>)]) -> Result<Version> {
    let people = people(tenant);
    tenant.write(|batch| {
        puts.iter().try_for_each(|(key, value)| batch.put_with(&people, [*key], value, options_of(value)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn indexes_show_what_records_have_whatever_is_done_in_whatever_order(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let disk = SimDisk::new();
        let mut engine = Engine::create(small(&disk, 1)).unwrap();
        let mut tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        declare(&people(&tenant)).unwrap();
        let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for (number, step) in (2..).zip(&steps) {
            let puts = match step {
                Step::Put { key, email, tags } => vec![(*key, value_of(*email, tags))],
                Step::Batch(puts) => {
                    puts.iter().map(|(key, email, tags)| (*key, value_of(*email, tags))).collect()
                }
                Step::Bare(key) => vec![(*key, vec![NONE])],
                _ => Vec::new(),
            };
            match step {
                Step::Erase(key) => {
                    let was_there = model.remove(key).is_some();
                    prop_assert_eq!(people(&tenant).erase([*key]).unwrap(), was_there);
                }
                Step::Checkpoint => tenant.checkpoint().unwrap(),
                Step::Rewrite => drop(tenant.rewrite(&mut |_, _| {}).unwrap()),
                Step::Reopen => {
                    drop(tenant);
                    drop(engine);
                    engine = Engine::open(small(&disk, number)).unwrap();
                    tenant = engine.tenant(TENANT).unwrap();
                }
                _ => match (after(&model, &puts), put_all(&tenant, &puts)) {
                    (Some(new), Ok(_)) => model = new,
                    (None, Err(error)) => prop_assert_eq!(error.kind(), ErrorKind::Conflict),
                    (expected, made) => panic!("{} but {made:?}", expected.is_some()),
                },
            }
            let records = check(&people(&tenant));
            let expected: BTreeMap<_, _> =
                model.iter().map(|(key, value)| (vec![*key], value.clone())).collect();
            prop_assert_eq!(records, expected);
        }
        verify(&engine);
        tenant.checkpoint().unwrap();
        check(&people(&tenant));
        verify(&engine);
    }

    #[test]
    fn pages_of_an_index_give_each_entry_once_across_restarts_and_checkpoints(
        tags in prop::collection::vec(prop::collection::vec(0..6_u8, 0..4), 1..16),
        limit in 1_usize..5,
        reverse: bool,
        restarts: bool,
    ) {
        let disk = SimDisk::new();
        let mut engine = Engine::create(small(&disk, 1)).unwrap();
        let mut tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        declare(&people(&tenant)).unwrap();
        for (key, tags) in (0_u8..).zip(&tags) {
            put_all(&tenant, &[(key, value_of(NONE, tags))]).unwrap();
            if usize::from(key) == 8 {
                tenant.checkpoint().unwrap();
            }
        }
        let pair = |entry: Result<strongroom::Entry>| entry.map(|entry| (entry.index_key.unwrap(), entry.key)).unwrap();
        let options = || ScanOptions::new().reverse(reverse).keys_only(true);
        let whole: Pairs = people(&tenant).find_range("tag", options()).unwrap().map(pair).collect();
        let (mut pages, mut after) = (Pairs::new(), None::<Cursor>);
        for seed in 2.. {
            let options = options().limit(limit);
            let options = match &after {
                Some(cursor) => options.after(cursor),
                None => options,
            };
            let mut scan = people(&tenant).find_range("tag", options).unwrap();
            pages.extend(scan.by_ref().map(pair));
            after = scan.cursor().unwrap();
            drop(scan);
            let Some(cursor) = &after else { break };
            let elsewhere = people(&tenant).find_range("email", ScanOptions::new().reverse(reverse).after(cursor));
            prop_assert_eq!(refusal(elsewhere), ErrorKind::InvalidArgument);
            let elsewhere = people(&tenant).scan_with(ScanOptions::new().reverse(reverse).after(cursor));
            prop_assert_eq!(refusal(elsewhere), ErrorKind::InvalidArgument);
            if restarts {
                drop(tenant);
                engine.close().unwrap();
                engine = Engine::open(small(&disk, seed)).unwrap();
                tenant = engine.tenant(TENANT).unwrap();
            } else {
                tenant.checkpoint().unwrap();
            }
        }
        prop_assert_eq!(pages, whole);
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    fn byte(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(bound.into())).unwrap()
    }

    fn put(&mut self) -> (u8, Vec<u8>) {
        let email = if self.below(3) == 0 { NONE } else { self.byte(6) };
        let tags: Vec<_> = (0..self.below(4)).map(|_| self.byte(6)).collect();
        (self.byte(12), value_of(email, &tags))
    }
}

/// Whatever a power loss leaves: the indexes agree with the records there are, and what was acknowledged is there.
#[test]
fn after_a_power_loss_indexes_agree_with_records() {
    let count = std::env::var("STRONGROOM_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let first = std::env::var("STRONGROOM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut crashed = 0;
    for seed in first..first + count {
        let mut chance = Chance(seed);
        let disk = SimDisk::new();
        let engine = Engine::create(small(&disk, seed)).unwrap();
        let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
        declare(&people(&tenant)).unwrap();
        let at_operation = disk.operations() + chance.below(160);
        disk.inject(Fault { at_operation, kind: FaultKind::PowerOff });
        let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        let mut under_way = None;
        for _ in 0..40 {
            let (new, made) = match chance.below(10) {
                0 => (model.clone(), tenant.checkpoint()),
                1 => (model.clone(), tenant.rewrite(&mut |_, _| {}).map(drop)),
                2 => {
                    let key = chance.byte(12);
                    let mut new = model.clone();
                    new.remove(&key);
                    (new, people(&tenant).erase([key]).map(drop))
                }
                _ => {
                    let puts: Vec<_> = (0..=chance.below(2)).map(|_| chance.put()).collect();
                    match after(&model, &puts) {
                        Some(new) => (new, put_all(&tenant, &puts).map(drop)),
                        None => continue,
                    }
                }
            };
            if let Err(error) = made {
                assert_ne!(error.kind(), ErrorKind::Conflict, "seed {seed}");
                under_way = Some(new);
                crashed += 1;
                break;
            }
            model = new;
        }
        drop((tenant, engine));
        let disk = disk.power_loss(chance.below(u64::MAX), PowerLoss::Random);
        let engine = Engine::open(small(&disk, seed ^ 1 << 40)).unwrap();
        let tenant = engine.tenant(TENANT).unwrap();
        let records = check(&people(&tenant));
        let as_found = |model: &BTreeMap<u8, Vec<u8>>| {
            model.iter().map(|(key, value)| (vec![*key], value.clone())).collect::<BTreeMap<_, _>>()
        };
        let may_be = under_way.iter().chain([&model]).any(|model| as_found(model) == records);
        assert!(may_be, "seed {seed}: {} records of {}", records.len(), model.len());
        verify(&engine);
        tenant.checkpoint().unwrap();
        assert_eq!(check(&people(&tenant)), records, "seed {seed}");
        verify(&engine);
    }
    println!("{crashed} of {count} lost power");
    assert!(count < 50 || crashed > count / 2);
}

/// What a thread saw of a claim on a unique key.
struct Claimed {
    email: u8,
    owner: u8,
    /// The version that took it and the one that gave it back.
    from: Version,
    until: Option<Version>,
}

struct Refused {
    email: u8,
    owner: u8,
    begun: Version,
    ended: Version,
}

fn compete(tenant: &Tenant, owner: u8, rounds: u32) -> (Vec<Claimed>, Vec<Refused>) {
    let people = people(tenant);
    let now = || tenant.snapshot().unwrap().version().unwrap();
    let (mut claims, mut refusals) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let email = u8::try_from((round / 3 + u32::from(owner)) % 3).unwrap();
        let begun = now();
        match people.put_with([owner], [email], PutOptions::new().index("email", [email])) {
            Ok(from) => {
                std::thread::yield_now();
                let until = match round % 3 {
                    0 => people.put([owner], [NONE]).unwrap(),
                    1 => tenant.write(|batch| batch.erase(&people, [owner])).unwrap(),
                    // Another key takes the place of this one.
                    _ => {
                        match people.put_with([owner], [9], PutOptions::new().index("email", [10 + owner])) {
                            Ok(version) => version,
                            Err(error) => panic!("nobody else has it: {error:?}"),
                        }
                    }
                };
                claims.push(Claimed { email, owner, from, until: Some(until) });
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                refusals.push(Refused { email, owner, begun, ended: now() });
            }
        }
    }
    (claims, refusals)
}

/// Versions are one order of all writes: in it no two records ever have one key, and every refusal names a moment between
/// its call and its return at which another record had it.
#[test]
fn unique_keys_are_linearizable_among_threads() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    let mut seen = (0, 0);
    // Until the threads have met: how often is the scheduler's affair.
    for round in 0..100 {
        let tenant = engine.create_tenant(&format!("{TENANT} {round}"), TenantOptions::new()).unwrap();
        declare(&people(&tenant)).unwrap();
        let done = AtomicBool::new(false);
        let (mut claims, mut refusals) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4_u8)
                .map(|owner| {
                    scope.spawn({
                        let tenant = &tenant;
                        move || compete(tenant, owner, 150)
                    })
                })
                .collect();
            let checkpoints = scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    tenant.checkpoint().unwrap();
                }
            });
            for thread in threads {
                let (some, more) = thread.join().unwrap();
                claims.extend(some);
                refusals.extend(more);
            }
            done.store(true, Ordering::Release);
            checkpoints.join().unwrap();
        });
        for claim in &claims {
            let mut others =
                claims.iter().filter(|other| other.owner != claim.owner && other.email == claim.email);
            let overlaps = |other: &Claimed| {
                claim.until.is_none_or(|until| other.from < until)
                    && other.until.is_none_or(|until| claim.from < until)
            };
            assert!(!others.any(overlaps), "two records had one key at a time");
        }
        for refusal in &refusals {
            let mut others =
                claims.iter().filter(|other| other.owner != refusal.owner && other.email == refusal.email);
            let had_it = |other: &Claimed| {
                other.from <= refusal.ended && other.until.is_none_or(|until| refusal.begun < until)
            };
            assert!(others.any(had_it), "refused although nobody had the key");
        }
        seen = (seen.0 + claims.len(), seen.1 + refusals.len());
        if seen.1 > 20 {
            break;
        }
    }
    println!("{} claims, {} refusals", seen.0, seen.1);
    assert!(seen.1 > 20, "the threads hardly met");
}

#[test]
fn an_index_added_to_a_filled_collection_is_built_while_others_write() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let people = people(&tenant);
    for number in 0..700_u16 {
        let value = value_of(NONE, &[u8::try_from(number % 6).unwrap()]);
        people.put(number.to_be_bytes(), value).unwrap();
        if number == 500 {
            tenant.checkpoint().unwrap();
        }
    }
    declare(&people).unwrap();
    assert_eq!(refusal(people.find("tag", b"tag")), ErrorKind::Unavailable);
    assert!(people.indexes().unwrap().iter().all(|info| !info.is_ready));
    let done = AtomicBool::new(false);
    let mut keys = |entry: &strongroom::Entry| {
        Ok(keys_of(entry.value.as_deref().unwrap()).1.into_iter().collect::<Vec<_>>())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance(7);
            while !done.load(Ordering::Acquire) {
                let number = u16::try_from(chance.below(700)).unwrap();
                let value = value_of(NONE, &[chance.byte(6), chance.byte(6)]);
                people.put_with(number.to_be_bytes(), &value, options_of(&value)).unwrap();
            }
        });
        let mut looked_at = 0;
        let built = people.build_index("tag", &mut keys, &mut |count| looked_at = count).unwrap();
        done.store(true, Ordering::Release);
        println!("{built} built, {looked_at} looked at");
        assert!(looked_at >= 700 && built > 100);
    });
    let mut emails = |entry: &strongroom::Entry| {
        Ok(keys_of(entry.value.as_deref().unwrap()).0.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(people.build_index("email", &mut emails, &mut |_| {}).unwrap(), 0);
    check(&people);
    verify(&engine);
    tenant.checkpoint().unwrap();
    check(&people);
    verify(&engine);
    assert_eq!(people.build_index("tag", &mut keys, &mut |_| {}).unwrap(), 0, "it has them all");
}

#[test]
fn a_unique_index_is_not_built_over_records_that_share_a_key() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let people = people(&tenant);
    people.put(b"a", [1]).unwrap();
    people.put(b"b", [1]).unwrap();
    people.declare_index("email", Index::unique()).unwrap();
    people.declare_index("tag", Index::ordered()).unwrap();
    let mut keys = |entry: &strongroom::Entry| Ok(vec![entry.value.as_deref().unwrap().to_vec()]);
    assert_eq!(refusal(people.build_index("email", &mut keys, &mut |_| {})), ErrorKind::Conflict);
    assert_eq!(refusal(people.find("email", [1])), ErrorKind::Unavailable);
    people.put_with(b"b", [2], PutOptions::new().index("email", [2])).unwrap();
    people.build_index("email", &mut keys, &mut |_| {}).unwrap();
    assert_eq!(people.find("email", [1]).unwrap().next().unwrap().unwrap().key, b"a");
}

#[test]
fn indexes_are_declared_listed_and_dropped() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let people = people(&tenant);
    assert_eq!(
        refusal(people.put_with(b"k", b"", PutOptions::new().index("tag", b"x"))),
        ErrorKind::NotFound
    );
    declare(&people).unwrap();
    declare(&people).unwrap();
    assert_eq!(refusal(people.declare_index("tag", Index::unique())), ErrorKind::AlreadyExists);
    let listed = people.indexes().unwrap();
    assert_eq!(listed.iter().map(|info| &info.name[..]).collect::<Vec<_>>(), ["email", "tag"]);
    assert!(listed[0].index.is_unique() && listed.iter().all(|info| info.is_ready));
    for bad in [vec![], vec![0; 1_025]] {
        let kind = refusal(people.put_with(b"k", b"", PutOptions::new().index("tag", bad)));
        assert!([ErrorKind::InvalidArgument, ErrorKind::LimitExceeded].contains(&kind));
    }
    let many = (0..65_u8).fold(PutOptions::new(), |options, key| options.index("tag", [key]));
    assert_eq!(refusal(people.put_with(b"k", b"", many)), ErrorKind::LimitExceeded);
    for in_file in [false, true] {
        people.put_with(b"k", [3, 2], options_of(&[3, 2])).unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        people.drop_index("tag").unwrap();
        assert_eq!(refusal(people.find("tag", b"x")), ErrorKind::NotFound);
        assert_eq!(refusal(people.drop_index("tag")), ErrorKind::NotFound);
        assert_eq!(people.find("email", [3]).unwrap().count(), 1);
        verify(&engine);
        tenant.checkpoint().unwrap();
        verify(&engine);
        people.declare_index("tag", Index::ordered()).unwrap();
        assert_eq!(refusal(people.find("tag", b"x")), ErrorKind::Unavailable, "a new one, of the same name");
        people.build_index("tag", &mut |_| Ok(Vec::new()), &mut |_| {}).unwrap();
        assert_eq!(people.find_range("tag", ScanOptions::new()).unwrap().count(), 0);
    }
    // With its collection everything is gone.
    tenant.drop_collection("people").unwrap();
    assert_eq!(refusal(people.find("email", [3])), ErrorKind::NotFound);
    assert!(people.indexes().unwrap().is_empty());
    tenant.checkpoint().unwrap();
    verify(&engine);
    declare(&people).unwrap();
    people.put_with(b"other", [3], options_of(&[3])).unwrap();
    check(&people);
}

/// What has expired has no keys, before the sweep takes it away and after.
#[test]
fn an_expired_record_is_not_found_and_its_unique_key_is_free() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(1_700_000_000_000)));
    let engine = Engine::create(small(&disk, 1).clock(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let people = people(&tenant);
    declare(&people).unwrap();
    for (turn, in_file) in (0_u64..).zip([false, true]) {
        let options = options_of(&[1, 2]).ttl(Duration::from_mins(1));
        people.put_with([0, turn.to_le_bytes()[0]], [1, 2], options).unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        assert_eq!(refusal(put_all(&tenant, &[(9, vec![1])])), ErrorKind::Conflict);
        clock.set(1_700_000_000_000 + (turn + 1) * 61_000);
        assert_eq!(people.find("email", [1]).unwrap().count(), 0);
        put_all(&tenant, &[(9, vec![1])]).unwrap();
        assert_eq!(people.find("email", [1]).unwrap().next().unwrap().unwrap().key, [9]);
        check(&people);
        verify(&engine);
        tenant.checkpoint().unwrap();
        check(&people);
        verify(&engine);
        assert_eq!(engine.sweep().unwrap().records, 1);
        tenant.checkpoint().unwrap();
        check(&people);
        verify(&engine);
        assert_eq!(people.usage().unwrap().records, 1);
        people.erase([9]).unwrap();
    }
}

/// A batch counts as a whole: what it takes from one record it may give to another.
#[test]
fn a_batch_may_swap_unique_keys() {
    let engine = Engine::create(small(&SimDisk::new(), 1)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    let people = people(&tenant);
    declare(&people).unwrap();
    put_all(&tenant, &[(1, vec![1]), (2, vec![2])]).unwrap();
    for in_file in [false, true] {
        if in_file {
            tenant.checkpoint().unwrap();
        }
        put_all(&tenant, &[(1, vec![2]), (2, vec![1])]).unwrap();
        put_all(&tenant, &[(1, vec![1]), (2, vec![2])]).unwrap();
        assert_eq!(refusal(put_all(&tenant, &[(3, vec![1])])), ErrorKind::Conflict);
        assert_eq!(refusal(put_all(&tenant, &[(3, vec![7]), (4, vec![7])])), ErrorKind::Conflict);
        // Of several puts of one record the last one counts.
        put_all(&tenant, &[(3, vec![1]), (4, vec![7]), (3, vec![8]), (4, vec![NONE])]).unwrap();
        check(&people);
        let moved = tenant.write(|batch| {
            batch.erase(&people, [3])?;
            batch.put_with(&people, [4], [8], PutOptions::new().index("email", [8]))
        });
        moved.unwrap();
        check(&people);
    }
    verify(&engine);
}
