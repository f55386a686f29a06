//! Promise: data keys are rotated by age and by count without anybody asking; by a deadline nothing is under an older one any more;
//! and where either silently stops, health says so.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{Config, DataKeyState, Engine, ErrorKind, PutOptions, RekeyOptions, Tenant, TenantOptions};

use crate::support::{config, fill, key_of, refusal, value_of};

const START_MS: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

fn new_store(disk: &SimDisk, clock: &Arc<ManualClock>) -> (Engine, Tenant) {
    let engine = Engine::create(config_at(disk, 1, clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    (engine, tenant)
}

fn current(tenant: &Tenant) -> u32 {
    tenant.data_keys().unwrap().last().unwrap().generation
}

/// Puts records under a key, and rotates; gives the key's generation.
fn filled_and_rotated(tenant: &Tenant, count: usize) -> u32 {
    fill(tenant, count).unwrap();
    let old = current(tenant);
    tenant.rotate_data_key().unwrap();
    old
}

#[test]
fn a_key_is_rotated_by_age_and_by_count_and_a_rotation_that_stops_is_told() {
    for is_by_age in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let config = config_at(&disk, 1, &clock).rotate_after_records(1_000);
        let config = config.rotate_after(Duration::from_hours(if is_by_age { 10 } else { 100 }));
        let engine = Engine::create(config).unwrap();
        let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
        let is_told = || {
            let health = engine.health().unwrap();
            let of_key = health.data_keys[0];
            assert_eq!((health.data_keys.len(), of_key.tenant), (1, tenant.id()));
            assert_eq!(health.oldest_data_key, Some((tenant.id(), of_key.age_ms)));
            let is_problem = health.problems().iter().any(|problem| problem.contains("rotation"));
            assert_eq!(is_problem, of_key.rotation_overdue);
            assert!(health.to_json().contains(&format!("\"rotation_overdue\":{is_problem}")));
            is_problem
        };
        let old = current(&tenant);
        fill(&tenant, if is_by_age { 10 } else { 990 }).unwrap();
        clock.set(START_MS + 9 * HOUR);
        engine.tick().unwrap();
        assert_eq!((current(&tenant), is_told()), (old, false), "not yet");
        clock.set(START_MS + 10 * HOUR);
        if !is_by_age {
            fill(&tenant, 10).unwrap();
        }
        // Nobody tends the store.
        assert!(!is_told(), "it is due now");
        clock.set(START_MS + 10 * HOUR + 4 * MINUTE);
        assert!(!is_told());
        clock.set(START_MS + 10 * HOUR + 5 * MINUTE);
        assert!(is_told());
        engine.tick().unwrap();
        let new = current(&tenant);
        assert!(new > old && !is_told());
        let key = engine.health().unwrap().data_keys[0];
        assert_eq!((key.generation, key.age_ms, key.records_sealed), (new, 0, 0));
        // One that is not used stays.
        clock.set(START_MS + 40 * HOUR);
        engine.tick().unwrap();
        assert_eq!((current(&tenant), is_told()), (new, false));
    }
}

#[test]
fn by_a_deadline_nothing_is_under_an_older_key_and_until_then_it_is_told() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let documents = tenant.collection("documents").unwrap();
    let large = vec![7; (1 << 20) + 1];
    documents.put_reader("large", &large[..], PutOptions::new()).unwrap();
    let old = filled_and_rotated(&tenant, 300);
    assert_eq!(refusal(tenant.set_rekey_deadline(current(&tenant), 1)), ErrorKind::Conflict);
    assert_eq!(refusal(tenant.set_rekey_deadline(1, 1)), ErrorKind::NotFound);
    assert_eq!(tenant.rekey_deadline().unwrap(), None);
    tenant.set_rekey_deadline(old, START_MS + HOUR).unwrap();
    let deadline = tenant.rekey_deadline().unwrap().unwrap();
    assert_eq!((deadline.generation, deadline.by_ms, deadline.met_ms), (old, START_MS + HOUR, None));
    assert!(engine.health().unwrap().is_good());
    let keys = tenant.data_keys().unwrap();
    let told: Vec<_> = keys.iter().map(|key| (key.rekey_by_ms, key.rekey_overdue)).collect();
    assert_eq!(told, [(Some(START_MS + HOUR), false), (None, false)]);
    clock.set(START_MS + HOUR);
    assert!(tenant.data_keys().unwrap()[0].rekey_overdue);
    let health = engine.health().unwrap();
    assert_eq!(health.rekeys_overdue, [tenant.id()]);
    assert!(health.to_json().contains(&format!("\"rekeys_overdue\":[\"{}\"]", tenant.id())));
    engine.tick().unwrap();
    assert_eq!(
        tenant.rekey_deadline().unwrap().unwrap().met_ms,
        Some(START_MS + HOUR),
        "one round is enough"
    );
    let health = engine.health().unwrap();
    assert!(health.rekeys_overdue.is_empty(), "{health:?}");
    assert_eq!(tenant.data_keys().unwrap()[0].rekey_by_ms, None);
    tenant.retire_data_key(old).unwrap();
    assert_eq!(tenant.data_keys().unwrap()[0].state, DataKeyState::Destroyed);
    assert_eq!(refusal(tenant.set_rekey_deadline(old, 1)), ErrorKind::NotFound);
    assert_eq!(documents.get("large").unwrap().as_deref(), Some(&large[..]));
    for index in 0..300 {
        assert_eq!(documents.get(key_of(index)).unwrap().as_deref(), Some(&value_of("acme", index)[..]));
    }
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// More records than a round seals anew, of which some are removed, restored and put meanwhile.
#[test]
fn rounds_go_on_where_the_last_one_ended_and_meet_what_moves() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let documents = tenant.collection("documents").unwrap();
    let old = filled_and_rotated(&tenant, 6_000);
    tenant.set_rekey_deadline(old, START_MS + HOUR).unwrap();
    engine.tick().unwrap();
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, None);
    let report = tenant.rekey(RekeyOptions::new().records(0), &mut |_, _| {}).unwrap();
    assert!(!report.is_complete, "there is more than one round does");
    // Behind where the round ended, to where it has been, and the other way round.
    assert!(documents.remove(key_of(5_900)).unwrap() && documents.remove(key_of(3)).unwrap());
    assert!(documents.remove(key_of(5_800)).unwrap() && documents.restore(key_of(5_800)).unwrap());
    documents.put(key_of(5_700), "new").unwrap();
    tenant.checkpoint().unwrap();
    engine.tick().unwrap();
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, Some(START_MS));
    let report = tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
    assert_eq!((report.resealed, report.is_complete), (0, true));
    tenant.retire_data_key(old).unwrap();
    assert!(documents.restore(key_of(5_900)).unwrap() && documents.restore(key_of(3)).unwrap());
    for index in [3, 5_800, 5_900] {
        assert_eq!(documents.get(key_of(index)).unwrap().as_deref(), Some(&value_of("acme", index)[..]));
    }
}

#[test]
fn what_was_sealed_before_and_uploads_do_not_slip_under_a_met_deadline() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let documents = tenant.collection("documents").unwrap();
    let mut upload = documents.begin_upload("large", PutOptions::new()).unwrap();
    upload.write_all(&vec![7; 2 << 20]).unwrap();
    let mut batch = tenant.batch();
    batch.put(&documents, "late", "sealed before").unwrap();
    let old = filled_and_rotated(&tenant, 10);
    tenant.set_rekey_deadline(old, START_MS).unwrap();
    engine.tick().unwrap();
    let refused = tenant.submit(batch).and_then(strongroom::Submitted::wait);
    let refused = refused.unwrap_err();
    assert!(refused.kind() == ErrorKind::Conflict && refused.is_retryable(), "{refused:?}");
    assert_eq!(documents.get("late").unwrap(), None);
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, None, "the upload is under it");
    assert_eq!(engine.health().unwrap().rekeys_overdue, [tenant.id()]);
    assert!(engine.health().unwrap().problems().iter().any(|problem| problem.contains("deadline")));
    upload.publish().unwrap();
    // The next pass begins after a while.
    engine.tick().unwrap();
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, None);
    clock.set(START_MS + 10 * MINUTE);
    engine.tick().unwrap();
    assert!(tenant.rekey_deadline().unwrap().unwrap().met_ms.is_some());
    assert!(engine.health().unwrap().is_good(), "{:?}", engine.health().unwrap().problems());
    tenant.retire_data_key(old).unwrap();
    assert_eq!(documents.get("large").unwrap().unwrap().len(), 2 << 20);
}

#[test]
fn a_deadline_reaches_what_is_under_keys_that_are_older_still() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let first = filled_and_rotated(&tenant, 10);
    let documents = tenant.collection("documents").unwrap();
    documents.put("under the second", "value").unwrap();
    let second = current(&tenant);
    tenant.rotate_data_key().unwrap();
    tenant.set_rekey_deadline(second, START_MS + HOUR).unwrap();
    engine.tick().unwrap();
    assert!(tenant.rekey_deadline().unwrap().unwrap().met_ms.is_some());
    for generation in [first, second] {
        tenant.retire_data_key(generation).unwrap();
    }
    assert_eq!(documents.get(key_of(9)).unwrap().as_deref(), Some(&value_of("acme", 9)[..]));
}

/// A round looks at 65,536 rows: the next one at those behind.
#[test]
fn what_lies_behind_more_rows_than_a_round_looks_at_is_met_by_the_next_one() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let documents = tenant.collection("documents").unwrap();
    documents.put("z", "under the older key").unwrap();
    let old = current(&tenant);
    tenant.rotate_data_key().unwrap();
    for first in (0..66_000).step_by(1_000) {
        let put = |batch: &mut strongroom::Batch| {
            (first..first + 1_000).try_for_each(|index| batch.put(&documents, format!("{index:05}"), ""))
        };
        tenant.write(put).unwrap();
    }
    tenant.set_rekey_deadline(old, START_MS + HOUR).unwrap();
    engine.tick().unwrap();
    assert_eq!(tenant.rekey_deadline().unwrap().unwrap().met_ms, None);
    engine.tick().unwrap();
    assert!(tenant.rekey_deadline().unwrap().unwrap().met_ms.is_some());
    tenant.retire_data_key(old).unwrap();
}

/// Health goes on to tell of it when the tenant is closed, and until it is met.
#[test]
fn a_deadline_that_is_over_is_told_of_a_tenant_that_was_closed() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock).open_tenants(1)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let id = tenant.id();
    let old = filled_and_rotated(&tenant, 10);
    tenant.set_rekey_deadline(old, START_MS + HOUR).unwrap();
    assert!(engine.health().unwrap().rekeys_overdue.is_empty());
    drop(tenant);
    for name in ["globex", "initech"] {
        engine.create_tenant(name, TenantOptions::new()).unwrap();
    }
    let health = engine.health().unwrap();
    assert!(health.data_keys.iter().all(|key| key.tenant != id), "it is open");
    clock.set(START_MS + HOUR);
    assert_eq!(engine.health().unwrap().rekeys_overdue, [id]);
    engine.sweep().unwrap();
    assert!(engine.health().unwrap().rekeys_overdue.is_empty());
}

/// A closed tenant is found by the sweep, after a restart too.
#[test]
fn the_deadline_of_a_tenant_that_nobody_opens_is_met_by_the_sweep() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&disk, &clock);
    let old = filled_and_rotated(&tenant, 300);
    tenant.set_rekey_deadline(old, START_MS + HOUR).unwrap();
    drop(tenant);
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    engine.tick().unwrap();
    engine.sweep().unwrap();
    let tenant = engine.tenant("acme").unwrap();
    assert!(tenant.rekey_deadline().unwrap().unwrap().met_ms.is_some());
    tenant.retire_data_key(old).unwrap();
}

#[test]
fn power_loss_at_any_operation_of_a_round_keeps_the_deadline_and_the_records() {
    let (before, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant) = new_store(&before, &clock);
    let old = filled_and_rotated(&tenant, 30);
    drop(tenant);
    engine.close().unwrap();
    let script = |disk: &SimDisk| {
        let engine = Engine::open(config_at(disk, 2, &clock))?;
        engine.tenant("acme")?.set_rekey_deadline(old, START_MS + HOUR)?;
        engine.tick()?;
        engine.tenant("acme")?.rekey_deadline()
    };
    let whole = before.snapshot();
    let first = whole.operations();
    assert!(script(&whole).unwrap().unwrap().met_ms.is_some());
    for at in 0..whole.operations() - first {
        let disk = before.snapshot();
        disk.inject(Fault { at_operation: first + at, kind: FaultKind::PowerOff });
        let outcome = script(&disk);
        let policies = [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll];
        let disk = disk.power_loss(at, policies[(at % 3) as usize]);
        let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        let deadline = tenant.rekey_deadline().unwrap();
        assert!(
            outcome.is_err() || deadline.is_some_and(|deadline| deadline.met_ms.is_some()),
            "operation {at}"
        );
        let is_met = deadline.is_some_and(|deadline| deadline.met_ms.is_some());
        let left = tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap().resealed;
        assert!(!is_met || left == 0, "operation {at}: {left} are left of a deadline that is met");
        tenant.retire_data_key(old).unwrap();
        let documents = tenant.collection("documents").unwrap();
        for index in 0..30 {
            let value = documents.get(key_of(index)).unwrap();
            assert_eq!(value.as_deref(), Some(&value_of("acme", index)[..]), "operation {at}");
        }
    }
}
