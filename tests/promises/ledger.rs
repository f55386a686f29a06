//! Promise: every destruction of a key stands in the tenant's erasure ledger, once, and whatever is done to the ledger's file
//! is noticed (FORMAT.md section 4.8).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Config, Engine, ErrorKind, LedgerEntry, LedgerEvent, PutOptions, RekeyOptions, Result, Tenant,
    TenantOptions,
};

use crate::support::{config, refusal};

const START_MS: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 86_400_000;
const ENTRY: u64 = 128;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

fn ledger_of(disk: &SimDisk, tenant: &Tenant) -> PathBuf {
    let name = format!("{}.ledger", tenant.id());
    disk.paths().into_iter().find(|path| path.ends_with(&name)).expect("there is a ledger")
}

fn events(tenant: &Tenant) -> Vec<LedgerEvent> {
    let entries = tenant.ledger().unwrap();
    assert!(entries.iter().zip(1..).all(|(entry, number)| entry.number == number));
    entries.iter().map(|entry| entry.event).collect()
}

/// A store of which a key of each kind was destroyed.
fn destroyed(disk: &SimDisk, clock: &Arc<ManualClock>) -> Engine {
    let engine = Engine::create(config_at(disk, 1, clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let people = tenant.collection("people").unwrap();
    assert_eq!(events(&tenant), []);
    people.put_with("k", "value", PutOptions::new().subject("user-1")).unwrap();
    people.put_with("t", "value", PutOptions::new().ttl(Duration::from_millis(DAY_MS))).unwrap();
    people.put("stays", "value").unwrap();
    clock.set(START_MS + 5);
    assert!(tenant.erase_subject("user-1").unwrap());
    clock.set(START_MS + 2 * DAY_MS);
    engine.sweep().unwrap();
    let old = tenant.stats().unwrap().data_slot;
    tenant.rotate_data_key().unwrap();
    tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
    tenant.retire_data_key(old).unwrap();
    tenant.rewrite(&mut |_, _| {}).unwrap().unwrap();
    engine
}

#[test]
fn every_destruction_of_a_key_stands_in_the_ledger_in_its_order_and_time() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = destroyed(&disk, &clock);
    let before = engine.tenant("acme").unwrap().ledger().unwrap();
    let told: Vec<_> = before.iter().map(|entry| (entry.at_ms, entry.event)).collect();
    assert!(
        matches!(
            told[..],
            [
                (at_subject, LedgerEvent::SubjectKey { slot: 1 }),
                (at_period, LedgerEvent::PeriodKey { .. }),
                (_, LedgerEvent::DataKey { slot: 2 }),
                (_, LedgerEvent::StructureKey { slot: 1 }),
            ] if at_subject == START_MS + 5 && at_period == START_MS + 2 * DAY_MS
        ),
        "{told:?}"
    );
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    assert_eq!(tenant.ledger().unwrap(), before);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good() && report.unknown_files.is_empty(), "{report:?}");
    assert_eq!(report.tenants[1].keyring.ledger_entries, 4);
    // Another tenant has one of its own.
    let other = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    assert_eq!(events(&other), []);
}

#[test]
fn a_ledger_that_was_changed_cut_put_back_older_or_exchanged_is_noticed_and_hinders_nothing() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = destroyed(&disk, &clock);
    let tenant = engine.tenant("acme").unwrap();
    let path = ledger_of(&disk, &tenant);
    let whole = disk.read_file(&path).unwrap();
    let older = {
        tenant.rewrite(&mut |_, _| {}).unwrap().unwrap();
        whole.clone()
    };
    let whole = disk.read_file(&path).unwrap();
    assert_eq!(whole.len() as u64, 6 * ENTRY);
    let put = |bytes: &[u8]| {
        disk.write_file(&path, bytes).unwrap();
        let (told, report) = (tenant.ledger(), engine.verify_tenant("acme", &mut |_| {}).unwrap());
        assert_eq!(told.is_ok(), report.is_good());
        told
    };
    for offset in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1 << (offset % 8);
        assert_eq!(refusal(put(&bytes)), ErrorKind::Unauthentic, "byte {offset}");
    }
    for cut in [1, 127, 128, 300] {
        assert_eq!(refusal(put(&whole[..whole.len() - cut])), ErrorKind::RolledBack, "cut by {cut}");
    }
    assert_eq!(refusal(put(&older)), ErrorKind::RolledBack);
    let mut exchanged = whole.clone();
    exchanged[128..384].rotate_left(128);
    assert_eq!(refusal(put(&exchanged)), ErrorKind::Unauthentic);
    // What stands behind the end and is no entry was being written.
    assert_eq!(put(&[&whole[..], &[7; 200]].concat()).unwrap().len(), 5);
    disk.remove(&path).unwrap();
    assert_eq!(refusal(tenant.ledger()), ErrorKind::RolledBack);

    // Another tenant's is not this one's.
    let other = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    other.collection("c").unwrap().put("k", "value").unwrap();
    for _ in 0..6 {
        other.checkpoint().unwrap();
        other.rewrite(&mut |_, _| {}).unwrap().unwrap();
    }
    disk.copy_file(ledger_of(&disk, &other), &path).unwrap();
    assert_eq!(refusal(tenant.ledger()), ErrorKind::Unauthentic);

    // Keys are destroyed all the same, and the chain goes on behind the damage.
    let people = tenant.collection("people").unwrap();
    people.put_with("k", "value", PutOptions::new().subject("user-2")).unwrap();
    assert!(tenant.erase_subject("user-2").unwrap());
    assert_eq!(people.get("k").unwrap(), None);
    assert_eq!(people.get("stays").unwrap().as_deref(), Some(&b"value"[..]));
    let now = disk.read_file(&path).unwrap();
    disk.write_file(&path, [&whole[..], &now[whole.len()..whole.len() + 128]].concat()).unwrap();
    assert_eq!(tenant.ledger().unwrap().len(), 6);
}

/// Destroys the keys of two subjects, and keeps what was told.
fn script(disk: &SimDisk, told: &mut Vec<LedgerEntry>) -> Result<()> {
    let engine = Engine::open(config(disk, 2).background(false))?;
    let tenant = engine.tenant("acme")?;
    for subject in ["user-1", "user-2"] {
        tenant.erase_subject(subject)?;
        *told = tenant.ledger()?;
    }
    tenant.rewrite(&mut |_, _| {})?;
    *told = tenant.ledger()?;
    drop(tenant);
    engine.close()
}

#[test]
fn power_loss_at_any_operation_leaves_each_destruction_in_the_ledger_once() {
    let before = SimDisk::new();
    let engine = Engine::create(config(&before, 1).background(false)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let people = tenant.collection("people").unwrap();
    for subject in ["user-1", "user-2", "user-3"] {
        people.put_with(subject, "value", PutOptions::new().subject(subject)).unwrap();
    }
    tenant.checkpoint().unwrap();
    drop((tenant, people));
    engine.close().unwrap();
    let (whole, mut told) = (before.snapshot(), Vec::new());
    let first = whole.operations();
    script(&whole, &mut told).unwrap();
    let last = whole.operations();
    assert_eq!(told.len(), 3);
    assert!(last - first > 40, "only {} operations", last - first);
    for at in first..=last {
        let disk = before.snapshot();
        disk.inject(Fault { at_operation: at, kind: FaultKind::PowerOff });
        let mut told = Vec::new();
        let _ = script(&disk, &mut told);
        for policy in [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll] {
            let disk = disk.power_loss(at, policy);
            let engine = Engine::open(config(&disk, 3).background(false)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let ledger = tenant.ledger().unwrap();
            assert!(ledger.starts_with(&told), "operation {at}: an entry was told and is gone");
            let people = tenant.collection("people").unwrap();
            for (subject, slot) in [("user-1", 1), ("user-2", 2), ("user-3", 3)] {
                let is_gone = people.get(subject).unwrap().is_none();
                let event = LedgerEvent::SubjectKey { slot };
                let entries = ledger.iter().filter(|entry| entry.event == event).count();
                assert_eq!(entries, usize::from(is_gone), "operation {at}: {subject}");
            }
            let epochs = |entry: &&LedgerEntry| matches!(entry.event, LedgerEvent::StructureKey { slot: 1 });
            let is_rewritten = tenant.stats().unwrap().structure_slot != 1;
            assert_eq!(ledger.iter().filter(epochs).count(), usize::from(is_rewritten), "operation {at}");
            assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "operation {at}");
        }
    }
}
