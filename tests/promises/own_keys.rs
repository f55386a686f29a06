//! Promise: a record with a key of its own is gone in every copy of the data once it is erased, put over, swept, or dropped
//! with its collection; until then nothing takes its value away.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Collection, Config, Durability, Engine, Erasure, ErrorKind, LedgerEvent, Overwrite, Policy, PutOptions,
    RekeyOptions, Result, Tenant,
};

use crate::support::{config, note, refusal};

const START_MS: u64 = 1_700_000_000_000;
const SECOND_MS: u64 = 1_000;
const LARGE: usize = (1 << 20) + 70_000;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

fn own() -> PutOptions {
    PutOptions::new().erasure(Erasure::Record)
}

/// What is put: the collections `own`, whose policy asks for keys of their own, `kept`, which keeps what is put over, and
/// `shared`, where some puts ask.
fn value_of(collection: &str, key: &str) -> Vec<u8> {
    let text = format!("{collection} {key} ");
    let length = if key.starts_with("large") { LARGE } else { 100 };
    text.bytes().cycle().take(length).collect()
}

const KEYS: [&str; 14] = [
    "erase",
    "range 1",
    "range 2",
    "over",
    "plain over",
    "batch",
    "removed",
    "purged",
    "expires",
    "stays",
    "restored",
    "large erased",
    "large stays",
    "submitted",
];

fn fill(tenant: &Tenant) -> Result<()> {
    let policy = Policy::new().erasure(Erasure::Record).removal_window(Duration::from_secs(5));
    let [owned, kept, dropped, shared] =
        ["own", "kept", "dropped", "shared"].map(|name| tenant.collection(name).unwrap());
    owned.set_policy(policy)?;
    kept.set_policy(Policy::new().erasure(Erasure::Record).overwrite(Overwrite::Keep))?;
    dropped.set_policy(policy)?;
    // A file that the copy has, too.
    tenant.checkpoint()?;
    for key in KEYS {
        let mut options = PutOptions::new();
        if key == "expires" {
            options = options.ttl(Duration::from_secs(4));
        }
        if key == "stays" {
            options = options.subject("user").ttl(Duration::from_secs(1_000));
        }
        owned.put_reader(key, &value_of("own", key)[..], options)?;
    }
    for key in ["over", "stays", "erase"] {
        kept.put(key, value_of("kept", key))?;
    }
    for key in ["a", "b", "removed", "large"] {
        dropped.put_reader(key, &value_of("dropped", key)[..], PutOptions::new())?;
    }
    assert!(dropped.remove("removed")?);
    shared.put_with("own", value_of("shared", "own"), own())?;
    shared.put("stays", value_of("shared", "stays"))?;
    shared.put("erase", value_of("shared", "erase")).map(|_| ())
}

/// Every way out, and what is not one.
fn take_away(tenant: &Tenant, engine: &Engine, clock: &ManualClock) -> Result<()> {
    let [owned, kept, shared] = ["own", "kept", "shared"].map(|name| tenant.collection(name).unwrap());
    assert!(owned.erase("erase")?);
    assert_eq!(owned.erase_prefix("range")?.records, 2);
    owned.put("over", "another")?;
    owned.put_with(
        "plain over",
        "another",
        PutOptions::new().erasure(Erasure::Shared).durability(Durability::Buffered),
    )?;
    tenant.write(|batch| {
        batch.put(&owned, "batch", "one")?;
        batch.put(&owned, "batch", "two")
    })?;
    let mut batch = tenant.batch();
    batch.erase(&owned, "submitted")?;
    tenant.submit(batch)?.wait()?;
    assert!(owned.remove("removed")? && owned.erase("removed")?);
    assert!(owned.remove("purged")?);
    assert!(owned.erase("large erased")?);
    assert!(kept.remove("over")? && kept.restore("over")?);
    kept.put("over", "another")?;
    assert!(kept.remove("over")?, "a second one removed of the key");
    assert!(kept.erase("erase")?);
    // Nothing of this is an end.
    assert!(owned.remove("restored")? && owned.restore("restored")?);
    tenant.rotate_data_key()?;
    tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?;
    assert!(shared.erase("own")? && shared.erase("erase")?);
    tenant.drop_collection("dropped")?;
    clock.set(START_MS + 6 * SECOND_MS);
    engine.sweep_tenant("acme")?;
    tenant.rewrap(None)?;
    tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?;
    Ok(())
}

/// The older data with today's keys, at the time of the copy.
fn opened_copy(copy: &SimDisk, today: &SimDisk, clock: &Arc<ManualClock>) -> Engine {
    let copy = copy.snapshot();
    for path in copy.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
        copy.remove(&path).unwrap();
    }
    for path in today.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
        copy.write_file(&path, today.read_file(&path).unwrap()).unwrap();
    }
    let engine = Engine::open(config_at(&copy, 99, clock).accept_rollback(true)).unwrap();
    engine.confirm_clock().unwrap();
    engine
}

fn read(collection: &Collection, key: &str) -> Option<Vec<u8>> {
    collection.get(key).unwrap().map(|value| value.to_vec())
}

fn destroyed(tenant: &Tenant) -> Vec<u64> {
    let entries = tenant.ledger().unwrap();
    let slot = |event| if let LedgerEvent::SubjectKey { slot } = event { Some(slot) } else { None };
    entries.into_iter().filter_map(|entry| slot(entry.event)).collect()
}

#[test]
fn what_is_taken_away_is_gone_in_an_older_copy_with_todays_keys_and_nothing_else_is() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine =
            Engine::create(config_at(&disk, 1, &clock).erasure_period(Duration::from_hours(24))).unwrap();
        let tenant = engine.create_tenant("acme", Policy::new()).unwrap();
        fill(&tenant).unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        let copy = disk.snapshot();
        take_away(&tenant, &engine, &clock).unwrap();
        let destroyed = destroyed(&tenant);
        assert_eq!(destroyed.len(), destroyed.iter().collect::<BTreeSet<_>>().len(), "each key once");
        // What goes of the copy: of `own` all but `stays`, `restored` and `large stays`; of `kept` `erase`; `dropped`; one of
        // `shared`. And the first of two that one batch put.
        assert_eq!(destroyed.len(), (KEYS.len() - 3) + 1 + 4 + 1 + 1);
        let owned = tenant.collection("own").unwrap();
        for key in ["stays", "restored", "large stays"] {
            assert_eq!(read(&owned, key), Some(value_of("own", key)), "{key}");
        }
        assert_eq!(read(&owned, "batch").as_deref(), Some(&b"two"[..]));
        // The removed ones of `kept` are there: the newest comes back first.
        let kept = tenant.collection("kept").unwrap();
        drop((tenant, owned, kept));
        engine.close().unwrap();

        let back = Arc::new(ManualClock::at(START_MS));
        let engine = opened_copy(&copy, &disk, &back);
        let tenant = engine.tenant("acme").unwrap();
        let stays = |collection: &str, key: &str| match collection {
            "own" => ["stays", "restored", "large stays"].contains(&key),
            "kept" => key != "erase",
            "shared" => key != "own",
            _ => false,
        };
        let all = KEYS.map(|key| ("own", key)).into_iter();
        let all = all.chain(["over", "stays", "erase"].map(|key| ("kept", key)));
        let all = all.chain(["a", "b", "removed", "large"].map(|key| ("dropped", key)));
        for (name, key) in all.chain(["own", "stays", "erase"].map(|key| ("shared", key))) {
            let collection = tenant.collection(name).unwrap();
            if (name, key) == ("dropped", "removed") {
                assert!(!collection.restore(key).unwrap());
            }
            let expected = stays(name, key).then(|| value_of(name, key));
            assert!(read(&collection, key) == expected, "{name} {key}, in the file {in_file}");
        }
    }
}

#[test]
fn what_is_removed_of_records_with_keys_of_their_own_is_restored_until_its_window_is_over() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", Policy::new().overwrite(Overwrite::Keep)).unwrap();
    let kept = tenant.collection("kept").unwrap();
    for value in ["first", "second", "third"] {
        kept.put_with("k", value, own()).unwrap();
        tenant.checkpoint().unwrap();
    }
    assert!(destroyed(&tenant).is_empty());
    assert_eq!(read(&kept, "k").as_deref(), Some(&b"third"[..]));
    assert!(kept.erase("k").unwrap());
    // An erasure takes what was removed of the key with it, all of it.
    assert_eq!(destroyed(&tenant).len(), 3);
    assert!(!kept.restore("k").unwrap());
    for value in ["fourth", "fifth"] {
        kept.put_with("k", value, own()).unwrap();
    }
    assert!(kept.remove("k").unwrap() && kept.restore("k").unwrap());
    assert_eq!(read(&kept, "k").as_deref(), Some(&b"fifth"[..]));
    assert_eq!(destroyed(&tenant).len(), 3);
    clock.set(START_MS + 31 * 86_400 * SECOND_MS);
    engine.confirm_clock().unwrap();
    engine.sweep().unwrap();
    assert_eq!(destroyed(&tenant).len(), 4, "the removed one, whose window is over");
    assert_eq!(read(&kept, "k").as_deref(), Some(&b"fifth"[..]));
}

/// Puts over one another from several threads: whoever comes last is there, and of the others no key is.
/// Batches under way of one key: the one that was handed in last stays, also where they had to be read against one another.
#[test]
fn of_batches_under_way_over_one_record_the_last_one_stays() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", Policy::new().erasure(Erasure::Record)).unwrap();
    let own = tenant.collection("own").unwrap();
    own.put(b"k", b"first").unwrap();
    for round in 0..100_u32 {
        let submit = |number: u32| {
            let mut batch = tenant.batch();
            batch.put(&own, b"k", (round * 4 + number).to_le_bytes()).unwrap();
            tenant.submit(batch).unwrap()
        };
        let (first, second) = (submit(0), submit(1));
        first.wait().unwrap();
        let third = submit(2);
        second.wait().unwrap();
        third.wait().unwrap();
        assert_eq!(
            own.get(b"k").unwrap().as_deref(),
            Some(&(round * 4 + 2).to_le_bytes()[..]),
            "round {round}"
        );
    }
}

#[test]
fn of_records_put_over_one_another_at_once_one_is_left_and_the_keys_of_all_others_are_gone() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", Policy::new()).unwrap();
    let own = tenant.collection("own").unwrap();
    own.set_policy(Policy::new().erasure(Erasure::Record)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (own, tenant) = (&own, &tenant);
            scope.spawn(move || {
                for index in 0..50 {
                    own.put("k", format!("{thread} {index}")).unwrap();
                    match index % 10 {
                        3 => drop(own.remove("k").unwrap()),
                        5 => drop(own.restore("k")),
                        7 => tenant.checkpoint().unwrap(),
                        _ => {}
                    }
                }
            });
        }
    });
    own.put("k", "last").unwrap();
    own.erase("k").unwrap();
    let destroyed = destroyed(&tenant);
    let once: BTreeSet<_> = destroyed.iter().collect();
    assert_eq!(once.len(), 201, "every put had a key, and none is left");
    assert_eq!(destroyed.len(), 201);
}

/// An older key store, put back, lacks the keys of what was put since: that those can't be destroyed keeps no other key.
#[test]
fn a_slot_that_the_key_store_lost_keeps_no_other_key_from_being_destroyed() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", Policy::new().erasure(Erasure::Record)).unwrap();
    let own = tenant.collection("own").unwrap();
    own.put("first", "value").unwrap();
    own.put("second", "value").unwrap();
    let before = disk.snapshot();
    for index in 0..80 {
        own.put(format!("{index}"), "value").unwrap();
    }
    drop((tenant, own));
    engine.close().unwrap();
    let slots = before.paths().into_iter().find(|path| path.to_string_lossy().ends_with(".slots")).unwrap();
    disk.write_file(&slots, before.read_file(&slots).unwrap()).unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    let own = tenant.collection("own").unwrap();
    assert_eq!(refusal(own.get("79").map(|_| ())), ErrorKind::KeyMissing);
    assert_eq!(refusal(own.erase("79").map(|_| ())), ErrorKind::KeyMissing, "said, and it is erased");
    assert_eq!(read(&own, "79"), None);
    assert!(own.erase("first").unwrap());
    assert_eq!(destroyed(&tenant).len(), 1);
    let _ = engine.tick();
    assert_eq!(read(&own, "second").as_deref(), Some(&b"value"[..]));
    drop((tenant, own));
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    assert!(tenant.collection("own").unwrap().erase("second").unwrap());
    assert_eq!(destroyed(&tenant).len(), 2);
}

type Step = fn(&Tenant, &Engine, &ManualClock) -> Result<()>;

/// What each step takes away of `own`.
const STEPS: [(&[&str], Step); 6] = [
    (&["erase"], |tenant, _, _| tenant.collection("own")?.erase("erase").map(|_| ())),
    (&["over"], |tenant, _, _| tenant.collection("own")?.put("over", "another").map(|_| ())),
    (&["range 1", "range 2"], |tenant, _, _| tenant.collection("own")?.erase_prefix("range").map(|_| ())),
    (&[], |tenant, _, _| tenant.collection("own")?.remove("purged").map(|_| ())),
    (&["purged", "expires"], |_, engine, clock| {
        clock.set(START_MS + 6 * SECOND_MS);
        engine.sweep_tenant("acme").map(|_| ())
    }),
    (&["a", "b"], |tenant, _, _| tenant.drop_collection("dropped").map(|_| ())),
];

#[test]
fn power_lost_at_any_operation_takes_no_value_that_was_not_to_go_and_leaves_none_that_was_reported_gone() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
        let tenant = engine.create_tenant("acme", Policy::new()).unwrap();
        for name in ["own", "dropped"] {
            let collection = tenant.collection(name).unwrap();
            let policy = Policy::new().erasure(Erasure::Record).removal_window(Duration::from_secs(5));
            collection.set_policy(policy).unwrap();
        }
        tenant.checkpoint().unwrap();
        let [owned, dropped] = ["own", "dropped"].map(|name| tenant.collection(name).unwrap());
        for key in ["erase", "over", "range 1", "range 2", "purged", "stays"] {
            owned.put(key, value_of("own", key)).unwrap();
        }
        owned
            .put_with("expires", value_of("own", "expires"), PutOptions::new().ttl(Duration::from_secs(4)))
            .unwrap();
        for key in ["a", "b"] {
            dropped.put(key, value_of("own", key)).unwrap();
        }
        if in_file {
            tenant.checkpoint().unwrap();
        }
        drop((tenant, owned, dropped));
        engine.close().unwrap();
        let copy = disk.snapshot();
        let mut count = 0;
        for offset in 0.. {
            let (live, clock) = (disk.snapshot(), Arc::new(ManualClock::at(START_MS)));
            let engine = Engine::open(config_at(&live, 2, &clock)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
            let done = Cell::new(0);
            let is_over = STEPS
                .iter()
                .try_for_each(|(_, step)| step(&tenant, &engine, &clock).map(|()| done.set(done.get() + 1)));
            let is_over = is_over.is_ok();
            drop((tenant, engine));
            for policy in [PowerLoss::DropAll, PowerLoss::Random, PowerLoss::KeepAll] {
                let after = live.power_loss(offset, policy);
                let place = format!("{policy:?} at {offset}, in the file {in_file}");
                let engine = Engine::open(config_at(&after, 3, &clock)).unwrap();
                let tenant = engine.tenant("acme").unwrap();
                check(&tenant, done.get(), &place);
                // What a checkpoint of a replayed journal removes.
                tenant.checkpoint().unwrap();
                check(&tenant, done.get(), &place);
                assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "{place}");
                drop(tenant);
                engine.close().unwrap();
                check_copy(&copy, &after, done.get(), &place);
            }
            if is_over {
                count = offset;
                break;
            }
        }
        note(&format!("{count} disk operations"));
        assert!(count > 60, "{count}");
    }
}

/// Nothing is lost that was to stay or is not begun; nothing is there that was reported gone.
fn check(tenant: &Tenant, done: usize, place: &str) {
    let owned = tenant.collection("own").unwrap();
    assert_eq!(read(&owned, "stays"), Some(value_of("own", "stays")), "{place}");
    for (step, (keys, _)) in STEPS.iter().enumerate() {
        for key in *keys {
            let collection = tenant.collection(if step == 5 { "dropped" } else { "own" }).unwrap();
            let expected = Some(value_of("own", key));
            let found = read(&collection, key);
            // The step before it removes `purged`, and the clock hides `expires`.
            let is_hidden = *key == "purged" && done >= 3 || *key == "expires";
            if step > done && !is_hidden {
                assert_eq!(found, expected, "{key}, {done} done, {place}");
            } else if step < done {
                assert!(found.is_none() || found.as_deref() == Some(b"another"), "{key}, {place}");
            } else {
                let is_known = found.is_none() || found == expected || found.as_deref() == Some(b"another");
                assert!(is_known, "{key}, {place}");
            }
        }
    }
}

fn check_copy(copy: &SimDisk, today: &SimDisk, done: usize, place: &str) {
    let back = Arc::new(ManualClock::at(START_MS));
    let engine = opened_copy(copy, today, &back);
    let tenant = engine.tenant("acme").unwrap();
    let owned = tenant.collection("own").unwrap();
    assert_eq!(read(&owned, "stays"), Some(value_of("own", "stays")), "{place}");
    for (step, (keys, _)) in STEPS.iter().enumerate() {
        for key in *keys {
            let collection = tenant.collection(if step == 5 { "dropped" } else { "own" }).unwrap();
            let found = read(&collection, key);
            if step < done {
                assert_eq!(found, None, "{key}: reported gone, and in the copy, {place}");
            } else if step > done {
                assert_eq!(found, Some(value_of("own", key)), "{key}: gone before its time, {place}");
            }
        }
    }
}
