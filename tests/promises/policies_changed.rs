//! Promise: a policy that is changed applies to the records that are there, as if they had been put under it, beside readers and
//! writers and whatever comes between; and nothing that was over comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Collection, Config, Durability, Engine, Index, Policy, PolicyReport, PutOptions, RekeyOptions, Result,
    ScanOptions, Tenant, TenantOptions,
};

use crate::support::{config, note};

const START_MS: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 86_400_000;

fn days(days: u64) -> Duration {
    Duration::from_millis(days * DAY_MS)
}

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    // No scrub takes the structure key of an older copy away.
    config(disk, seed)
        .background(false)
        .clock(Arc::clone(clock) as Arc<_>)
        .scrub_within(days(1_000))
        .clock_step(days(1_000))
}

fn new_store(policy: Policy) -> (SimDisk, Engine, Tenant, Arc<ManualClock>) {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new().policy(policy)).unwrap();
    (disk, engine, tenant, clock)
}

fn apply(tenant: &Tenant) -> PolicyReport {
    let report = tenant.apply_policies(RekeyOptions::new(), &mut |_, _| {}).unwrap();
    assert!(report.is_complete && tenant.policies_pending_since_ms().unwrap().is_none());
    report
}

/// In how many days after the start each record expires, by key.
fn expiries(collection: &Collection) -> BTreeMap<String, Option<u64>> {
    let entries = collection.scan_with(ScanOptions::new().keys_only(true)).unwrap().map(Result::unwrap);
    let expires = |expires_ms: u64| (expires_ms - START_MS) / DAY_MS;
    entries.map(|entry| (String::from_utf8(entry.key).unwrap(), entry.info.expires_ms.map(expires))).collect()
}

fn purges(collection: &Collection) -> Vec<u64> {
    let removed = collection.removed(ScanOptions::new()).unwrap();
    removed.map(|removed| (removed.unwrap().erased_from_ms - START_MS) / DAY_MS).collect()
}

fn of<const N: usize>(expected: [(&str, Option<u64>); N]) -> BTreeMap<String, Option<u64>> {
    expected.into_iter().map(|(key, expires)| (key.to_owned(), expires)).collect()
}

/// What followed the policy goes on to; what had a time of its own is shortened; nothing but times changes.
#[test]
fn what_is_there_gets_the_times_of_the_policy_as_it_is() {
    for in_file in [false, true] {
        let (disk, engine, tenant, clock) = new_store(Policy::new().retention(days(30)));
        let (letters, bills) = (tenant.collection("letters").unwrap(), tenant.collection("bills").unwrap());
        letters.declare_index("from", Index::unique()).unwrap();
        bills.set_policy(Policy::new().retention(days(300)).maximum(days(300))).unwrap();
        letters.put_with("follows", "value", PutOptions::new().index("from", "ada")).unwrap();
        letters.put_with("own", "value", PutOptions::new().ttl(days(20)).subject("ada")).unwrap();
        letters.put_reader("large", &vec![7; (1 << 20) + 1][..], PutOptions::new()).unwrap();
        bills.put("bill", "value").unwrap();
        let before = letters.info("follows").unwrap().unwrap();
        let steps: [(Policy, [Option<u64>; 3], u64); 6] = [
            (Policy::new().retention(days(10)), [Some(10), Some(20), Some(10)], 2),
            (Policy::new().retention(days(90)).maximum(days(15)), [Some(15), Some(15), Some(10)], 2),
            // What was cut does not come back; what is in chunks is not longer than it was.
            (Policy::new().retention(days(90)), [Some(90), Some(15), Some(10)], 1),
            (Policy::new().minimum(days(40)).retention(days(50)), [Some(50), Some(40), Some(10)], 2),
            (Policy::new(), [None, Some(40), Some(10)], 1),
            (Policy::new().retention(days(8)), [Some(8), Some(40), Some(8)], 2),
        ];
        for (step, (policy, [follows, own, large], changed)) in steps.into_iter().enumerate() {
            if in_file {
                tenant.checkpoint().unwrap();
            }
            tenant.set_policy(policy).unwrap();
            assert!(tenant.policies_pending_since_ms().unwrap().is_some());
            let report = apply(&tenant);
            let expected = of([("follows", follows), ("large", large), ("own", own)]);
            assert_eq!(expiries(&letters), expected, "{step}");
            assert_eq!((report.changed, report.records, report.unreadable), (changed, 4, 0), "{step}");
            assert_eq!(report.large, u64::from((1..5).contains(&step)), "{step}");
            assert_eq!(expiries(&bills), of([("bill", Some(300))]), "its collection says something else");
        }
        bills.set_policy(Policy::new()).unwrap();
        assert_eq!(apply(&tenant).records, 1, "of the collection alone");
        assert_eq!(expiries(&bills), of([("bill", Some(8))]));
        let after = letters.info("follows").unwrap().unwrap();
        assert_eq!((after.version, after.written_ms), (before.version, before.written_ms));
        assert_eq!(letters.find("from", "ada").unwrap().count(), 1);
        assert_eq!(letters.get("own").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!((letters.usage().unwrap().records, tenant.stats().unwrap().records), (3, 4));
        assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
        clock.set(START_MS + 8 * DAY_MS - 1);
        assert!(letters.contains("follows").unwrap());
        clock.set(START_MS + 8 * DAY_MS);
        assert!(!letters.contains("follows").unwrap() && !letters.contains("large").unwrap());
        drop((tenant, letters, bills));
        engine.close().unwrap();
        let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
        assert_eq!(engine.sweep().unwrap().records, 3);
        let tenant = engine.tenant("acme").unwrap();
        assert!(tenant.erase_subject("ada").unwrap());
        assert_eq!(tenant.stats().unwrap().records, 0);
        assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
    }
}

#[test]
fn what_was_removed_can_be_restored_for_the_window_as_it_is() {
    for in_file in [false, true] {
        let (_disk, engine, tenant, clock) = new_store(Policy::new().removal_window(days(30)));
        let letters = tenant.collection("letters").unwrap();
        letters.put("a", "value").unwrap();
        letters.put_with("b", "value", PutOptions::new().ttl(days(20))).unwrap();
        letters.put_reader("c", &vec![7; (1 << 20) + 1][..], PutOptions::new().ttl(days(25))).unwrap();
        for key in ["a", "b", "c"] {
            assert!(letters.remove(key).unwrap());
        }
        assert_eq!(purges(&letters), [30, 20, 25]);
        for (policy, expected) in [
            (Policy::new().removal_window(days(10)), [10, 10, 10]),
            (Policy::new().removal_window(days(60)).maximum(days(40)), [40, 20, 25]),
            (Policy::new().removal_window(days(22)), [22, 20, 22]),
        ] {
            if in_file {
                tenant.checkpoint().unwrap();
            }
            tenant.set_policy(policy).unwrap();
            assert_eq!(apply(&tenant).unreadable, 0);
            assert_eq!(purges(&letters), expected);
        }
        // What is over stays over, and what is as good as over does.
        clock.set(START_MS + 20 * DAY_MS - 5_000);
        tenant.set_policy(Policy::new().removal_window(days(90)).minimum(days(80))).unwrap();
        apply(&tenant);
        assert_eq!(purges(&letters), [90, 20, 25]);
        clock.set(START_MS + 20 * DAY_MS);
        assert!(!letters.restore("b").unwrap() && letters.restore("a").unwrap());
        assert_eq!(engine.sweep().unwrap().records, 1);
        assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
    }
}

/// Longer policies come too late for what has expired, swept or not.
#[test]
fn nothing_that_has_expired_comes_back() {
    for in_file in [false, true] {
        let (_disk, engine, tenant, clock) = new_store(Policy::new().retention(days(30)));
        let letters = tenant.collection("letters").unwrap();
        letters.put("over", "value").unwrap();
        clock.set(START_MS + 5_000);
        letters.put("nearly", "value").unwrap();
        clock.set(START_MS + DAY_MS);
        letters.put("stays", "value").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        clock.set(START_MS + 30 * DAY_MS);
        tenant.set_policy(Policy::new().retention(days(300))).unwrap();
        assert_eq!(apply(&tenant).changed, 1);
        assert_eq!(expiries(&letters), of([("nearly", Some(30)), ("stays", Some(301))]));
        clock.set(START_MS + 30 * DAY_MS + 5_000);
        assert_eq!(expiries(&letters), of([("stays", Some(301))]));
        assert_eq!(engine.sweep().unwrap().records, 2);
    }
}

/// The key of the period in which a record now expires is the one that erases it; older copies wait for the one they had.
#[test]
fn older_copies_keep_the_key_of_the_period_that_they_had() {
    let (disk, engine, tenant, clock) = new_store(Policy::new().retention(days(30)));
    let letters = tenant.collection("letters").unwrap();
    letters.put("a", "value").unwrap();
    tenant.checkpoint().unwrap();
    let copy = disk.snapshot();
    tenant.set_policy(Policy::new().retention(days(10))).unwrap();
    apply(&tenant);
    let shortened = disk.snapshot();
    drop((tenant, letters));
    engine.close().unwrap();
    // The data as it was with today's key store, by the clock of its time: only a key that is gone hides anything.
    let read = |data: &SimDisk| {
        let (copy, clock) = (data.snapshot(), Arc::new(ManualClock::at(START_MS)));
        for path in copy.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
            copy.remove(&path).unwrap();
        }
        for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
            copy.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
        }
        let engine = Engine::open(config_at(&copy, 9, &clock).accept_rollback(true)).unwrap();
        engine.confirm_clock().unwrap();
        let letters = engine.tenant("acme").unwrap().collection("letters").unwrap();
        letters.get("a").unwrap().is_some()
    };
    assert!(read(&copy) && read(&shortened));
    for (day, in_copy, in_shortened) in [(12, true, false), (32, false, false)] {
        clock.set(START_MS + day * DAY_MS);
        let engine = Engine::open(config_at(&disk, 10 + day, &clock)).unwrap();
        engine.sweep().unwrap();
        engine.close().unwrap();
        assert_eq!((read(&copy), read(&shortened)), (in_copy, in_shortened), "{day}");
    }
}

/// Puts, removals and restorations go on while policies change; in the end everything is as the last one says.
#[test]
fn what_is_written_while_a_policy_is_changed_is_made_by_the_older_one_and_changed_or_by_the_newer_one() {
    let (_disk, engine, tenant, _) = new_store(Policy::new());
    let letters = tenant.collection("letters").unwrap();
    for index in 0..300 {
        letters.put(format!("{index:03}"), "value").unwrap();
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (letters, ended) = (letters.clone(), &ended);
            scope.spawn(move || {
                for round in 0.. {
                    for index in (first..300).step_by(2) {
                        let key = format!("{index:03}");
                        match (index + round) % 3 {
                            0 => drop(letters.remove(&key).unwrap()),
                            1 => drop(letters.restore(&key)),
                            _ => drop(letters.put(&key, "newer").unwrap()),
                        }
                    }
                    if ended.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
        }
        for round in 1..=20 {
            let policy = Policy::new().retention(days(round)).removal_window(days(100 + round));
            tenant.set_policy(policy).unwrap();
            apply(&tenant);
        }
        ended.store(true, Ordering::Release);
    });
    let expected = |info: u64, written: u64| assert_eq!(info, written + 20 * DAY_MS);
    for entry in letters.scan_with(ScanOptions::new().keys_only(true)).unwrap().map(Result::unwrap) {
        expected(entry.info.expires_ms.unwrap(), entry.info.written_ms);
    }
    for removed in letters.removed(ScanOptions::new()).unwrap().map(Result::unwrap) {
        expected(removed.info.expires_ms.unwrap(), removed.info.written_ms);
    }
    assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good());
}

/// Between the pass that would have met it in one place and the one that meets it in the other.
#[test]
fn what_is_removed_while_a_policy_is_applied_gets_its_times_too() {
    let (_disk, _engine, tenant, _) = new_store(Policy::new());
    let letters = tenant.collection("letters").unwrap();
    for index in 0..600 {
        let options = PutOptions::new().durability(Durability::Buffered);
        letters.put_with(format!("{index:03}"), "value", options).unwrap();
    }
    tenant.set_policy(Policy::new().retention(days(10)).removal_window(days(100))).unwrap();
    let mut is_removed = false;
    let report = tenant.apply_policies(RekeyOptions::new(), &mut |done, _| {
        if done > 0 && done < 600 && !is_removed {
            is_removed = letters.remove("599").unwrap();
        }
    });
    assert!(report.unwrap().is_complete && is_removed);
    let removed: Vec<_> = letters.removed(ScanOptions::new()).unwrap().map(Result::unwrap).collect();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].info.expires_ms, Some(START_MS + 10 * DAY_MS));
}

#[test]
fn a_policy_that_is_changed_while_another_is_applied_counts_for_what_that_one_has_met() {
    let (_disk, _engine, tenant, _) = new_store(Policy::new());
    let letters = tenant.collection("letters").unwrap();
    for index in 0..600 {
        let options = PutOptions::new().durability(Durability::Buffered);
        letters.put_with(format!("{index:03}"), "value", options).unwrap();
    }
    tenant.set_policy(Policy::new().retention(days(10))).unwrap();
    let mut is_changed = false;
    let report = tenant.apply_policies(RekeyOptions::new(), &mut |done, _| {
        if done > 0 && done < 600 && !is_changed {
            is_changed = true;
            tenant.set_policy(Policy::new().retention(days(20))).unwrap();
        }
    });
    assert!(report.unwrap().is_complete && is_changed);
    assert!(expiries(&letters).values().all(|expires| *expires == Some(20)));
}

#[test]
fn a_part_of_a_policys_application_is_durable_when_it_returns() {
    let (disk, _engine, tenant, clock) = new_store(Policy::new());
    let letters = tenant.collection("letters").unwrap();
    for index in 0..30 {
        letters.put(format!("{index:02}"), "value").unwrap();
    }
    tenant.set_policy(Policy::new().retention(days(10))).unwrap();
    let report = tenant.apply_policies(RekeyOptions::new().records(10), &mut |_, _| {}).unwrap();
    assert_eq!((report.changed, report.is_complete), (10, false));
    let after = disk.power_loss(1, PowerLoss::DropAll);
    let engine = Engine::open(config_at(&after, 2, &clock)).unwrap();
    let letters = engine.tenant("acme").unwrap().collection("letters").unwrap();
    assert_eq!(expiries(&letters).values().filter(|expires| **expires == Some(10)).count(), 10);
}

/// Power is lost at every disk operation; the sweep goes on, and who asks for a part of it gets that.
#[test]
fn power_lost_at_any_operation_of_a_policys_change_leaves_the_older_or_the_newer_one() {
    let (disk, engine, tenant, clock) = new_store(Policy::new().retention(days(30)));
    let letters = tenant.collection("letters").unwrap();
    for index in 0..24 {
        letters.put(format!("{index:02}"), "value").unwrap();
        if index == 12 {
            tenant.checkpoint().unwrap();
        }
    }
    assert!(letters.remove("00").unwrap());
    drop((tenant, letters));
    engine.close().unwrap();
    for offset in 0.. {
        let live = disk.snapshot();
        let engine = Engine::open(config_at(&live, 2, &clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
        let is_set = tenant.set_policy(Policy::new().retention(days(10)).removal_window(days(5))).is_ok();
        let is_over = is_set
            && tenant
                .apply_policies(RekeyOptions::new(), &mut |_, _| {})
                .is_ok_and(|report| report.is_complete);
        drop((tenant, engine));
        for (seed, policy) in [(0, PowerLoss::DropAll), (offset, PowerLoss::Random), (0, PowerLoss::KeepAll)]
        {
            let place = format!("{policy:?} at {offset}");
            let after = live.power_loss(seed, policy);
            let engine = Engine::open(config_at(&after, 4, &clock)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let letters = tenant.collection("letters").unwrap();
            let is_newer = tenant.policy().unwrap().retention_time() == Some(days(10));
            assert!(is_newer || !is_set, "{place}");
            let found = expiries(&letters);
            let shortened = found.values().filter(|expires| **expires == Some(10)).count();
            let as_before = found.values().filter(|expires| **expires == Some(30)).count();
            assert_eq!((found.len(), shortened + as_before), (23, 23), "{place}: {found:?}");
            assert!(!is_over || shortened == 23, "{place}");
            let pending = tenant.policies_pending_since_ms().unwrap().is_some();
            assert_eq!(pending || shortened == 23, is_newer, "{place}");
            let part = tenant.apply_policies(RekeyOptions::new().records(3), &mut |_, _| {}).unwrap();
            assert!(
                part.changed <= 3 && part.is_complete != (shortened < 20 && is_newer),
                "{place}: {part:?}"
            );
            engine.sweep().unwrap();
            assert!(tenant.policies_pending_since_ms().unwrap().is_none(), "{place}");
            let (expected, window) = if is_newer { (10, 5) } else { (30, 30) };
            assert!(expiries(&letters).values().all(|expires| *expires == Some(expected)), "{place}");
            assert_eq!(purges(&letters), [window], "{place}");
            assert!(engine.verify_tenant("acme", &mut |_| {}).unwrap().is_good(), "{place}");
        }
        if is_over {
            note(&format!("a policy's change of {offset} disk operations"));
            assert!(offset > 25, "{offset}");
            break;
        }
    }
}

/// A tenant that nobody opens gets it by the sweep.
#[test]
fn a_sweep_applies_the_policy_of_a_tenant_that_is_not_open() {
    let (disk, engine, tenant, clock) = new_store(Policy::new());
    tenant.collection("letters").unwrap().put("a", "value").unwrap();
    drop(tenant);
    engine.sweep().unwrap();
    let tenant = engine.tenant("acme").unwrap();
    tenant.set_policy(Policy::new().retention(days(3))).unwrap();
    tenant.set_policy(Policy::new().retention(days(3)).secret(true)).unwrap();
    drop(tenant);
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    engine.sweep().unwrap();
    let tenant = engine.tenant("acme").unwrap();
    assert_eq!(tenant.policies_pending_since_ms().unwrap(), None);
    assert_eq!(expiries(&tenant.collection("letters").unwrap()), of([("a", Some(3))]));
}
