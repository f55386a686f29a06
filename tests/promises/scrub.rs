//! Promise: within its deadline the sealed bytes of what was erased are in no file of the tenant and no journal, and the
//! receipt says so only then.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{Config, Engine, LedgerEvent, PutOptions, Receipt, Tenant, TenantOptions};

use crate::support::{config, note};

const START_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;
/// The search looks for so many bytes that stood in a file.
const WINDOW: usize = 32;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed)
        .background(false)
        .clock(Arc::clone(clock) as Arc<_>)
        .scrub_within(Duration::from_hours(8))
        .clock_step(Duration::from_hours(1_000))
}

fn is_data(path: &std::path::Path) -> bool {
    path.starts_with("/store")
}

/// Windows of what was written to the data directory meanwhile that are as good as random: sealed bytes. What was on the disk
/// earlier does not count: the journal writes the block that a batch begins in once more, with the end of the one before.
fn sealed(disk: &SimDisk, earlier: &SimDisk) -> HashSet<Vec<u8>> {
    let writes = disk.take_trace().into_iter().filter(|write| is_data(&write.path));
    let windows = writes.flat_map(|write| {
        let windows: Vec<_> = write.bytes.chunks_exact(WINDOW).map(<[u8]>::to_vec).collect();
        windows
    });
    let is_sealed = |window: &Vec<u8>| window.iter().collect::<HashSet<_>>().len() > WINDOW / 2;
    let windows = windows.filter(is_sealed).collect();
    &windows - &which_of(earlier, &windows)
}

/// How many of the windows are in files of the data directory, wherever they stand in there.
fn found(disk: &SimDisk, windows: &HashSet<Vec<u8>>) -> usize {
    which_of(disk, windows).len()
}

fn which_of(disk: &SimDisk, windows: &HashSet<Vec<u8>>) -> HashSet<Vec<u8>> {
    let place =
        |window: &[u8]| usize::from(window[0]) << 16 | usize::from(window[1]) << 8 | usize::from(window[2]);
    // Most places in a file are told apart from all windows by three bytes.
    let mut begins = vec![false; 1 << 24];
    windows.iter().for_each(|window| begins[place(window)] = true);
    let mut seen = HashSet::new();
    for path in disk.paths().into_iter().filter(|path| is_data(path)) {
        let bytes = disk.read_file(&path).unwrap();
        let candidates = bytes.windows(WINDOW).filter(|window| begins[place(window)]);
        seen.extend(candidates.filter(|window| windows.contains(*window)).map(<[u8]>::to_vec));
    }
    seen
}

fn states(tenant: &Tenant) -> Vec<bool> {
    tenant.receipts().unwrap().iter().map(|receipt| receipt.scrubbed_ms.is_some()).collect()
}

#[test]
fn after_the_scrubbed_receipt_the_sealed_bytes_are_in_no_file_and_no_journal() {
    for (dedicated, large) in [(false, false), (true, false), (false, true)] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
        let options = if dedicated { TenantOptions::new().dedicated() } else { TenantOptions::new() };
        let tenant = engine.create_tenant("acme", options).unwrap();
        let other = engine.create_tenant("globex", TenantOptions::new()).unwrap();
        let (people, others) = (tenant.collection("people").unwrap(), other.collection("c").unwrap());
        people.put("stays", "value").unwrap();
        others.put("pending", "needs its frame").unwrap();

        let earlier = disk.snapshot();
        disk.trace(true);
        let value = vec![7; if large { 1_500_000 } else { 40_000 }];
        people.put_reader("goes", &value[..], PutOptions::new()).unwrap();
        people.put_with("subject", "value", PutOptions::new().subject("user-1")).unwrap();
        let in_journal = sealed(&disk, &earlier);
        tenant.checkpoint().unwrap();
        let in_file = sealed(&disk, &earlier);
        people.put("late", vec![9; 3_000]).unwrap();
        let late = sealed(&disk, &earlier);
        disk.trace(false);
        others.put("behind", "needs its frame too").unwrap();
        assert!(people.erase("goes").unwrap() && people.erase("late").unwrap());
        assert!(tenant.erase_subject("user-1").unwrap());
        let receipt = tenant.receipt().unwrap();
        assert_eq!(receipt.deadline_ms, START_MS + 8 * HOUR_MS);
        assert_eq!(states(&tenant), [false]);
        // The control: they are there, and a checkpoint does not remove them.
        tenant.checkpoint().unwrap();
        let before = [&in_journal, &in_file, &late].map(|windows| found(&disk, windows));
        assert!(before.iter().all(|count| *count > 20), "{before:?}");

        let kept = others.get("pending").unwrap();
        // The sweep is in time, and not too early: many erasures share a scrub.
        clock.set(START_MS + 5 * HOUR_MS);
        engine.sweep().unwrap();
        assert_eq!(states(&tenant), [false]);
        clock.set(START_MS + 6 * HOUR_MS);
        engine.sweep().unwrap();
        assert_eq!(states(&tenant), [true]);
        let scrubbed = tenant.receipts().unwrap()[0];
        assert_eq!(scrubbed, Receipt { scrubbed_ms: Some(START_MS + 6 * HOUR_MS), ..receipt });
        let after = [&in_journal, &in_file, &late].map(|windows| found(&disk, windows));
        note(&format!("scrub: sealed windows before {before:?}, after {after:?}"));
        assert_eq!(after, [0, 0, 0], "dedicated {dedicated}, large {large}");

        assert_eq!(people.get("stays").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(others.get("pending").unwrap(), kept);
        drop((tenant, other, people, others));
        engine.close().unwrap();
        let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
        let others = engine.tenant("globex").unwrap().collection("c").unwrap();
        assert_eq!(others.get("behind").unwrap().as_deref(), Some(&b"needs its frame too"[..]));
        assert_eq!(states(&engine.tenant("acme").unwrap()), [true]);
        // Nothing was erased since: nothing is rewritten.
        let epoch = engine.tenant_stats("acme").unwrap().structure_slot;
        clock.set(START_MS + 60 * HOUR_MS);
        engine.sweep().unwrap();
        assert_eq!(engine.tenant_stats("acme").unwrap().structure_slot, epoch);
    }
}

/// Of tenants that nobody opens, a store opened anew included; and each is scrubbed again for what is erased later.
#[test]
fn closed_tenants_are_scrubbed_in_time_and_what_is_erased_later_has_its_own_deadline() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    for name in ["acme", "globex", "initech"] {
        let tenant = engine.create_tenant(name, TenantOptions::new()).unwrap();
        let documents = tenant.collection("documents").unwrap();
        documents.put("a", "value").unwrap();
        documents.put("b", "value").unwrap();
        if name != "initech" {
            assert!(documents.erase("a").unwrap());
        }
    }
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock).open_tenants(0)).unwrap();
    let epochs =
        || ["acme", "globex", "initech"].map(|name| engine.tenant_stats(name).unwrap().structure_slot);
    let first = epochs();
    clock.set(START_MS + 6 * HOUR_MS);
    engine.tick().unwrap();
    let second = epochs();
    assert!(second[0] > first[0] && second[1] > first[1] && second[2] == first[2], "{first:?} {second:?}");
    let acme = engine.tenant("acme").unwrap();
    let documents = acme.collection("documents").unwrap();
    clock.set(START_MS + 7 * HOUR_MS);
    assert!(documents.erase("b").unwrap());
    let horizon = acme.horizon().unwrap();
    assert_eq!(
        (horizon.data_copies_ms, horizon.key_copies_ms),
        (START_MS + 15 * HOUR_MS, START_MS + 15 * HOUR_MS)
    );
    let receipt = acme.receipt().unwrap();
    assert_eq!(receipt.deadline_ms, START_MS + 15 * HOUR_MS);
    clock.set(START_MS + 12 * HOUR_MS);
    engine.tick().unwrap();
    assert_eq!(epochs(), second);
    // Where nobody does it, health says so.
    clock.set(START_MS + 15 * HOUR_MS);
    assert!(engine.health().unwrap().scrubs_overdue.is_empty());
    clock.set(START_MS + 15 * HOUR_MS + 1);
    let health = engine.health().unwrap();
    assert_eq!((health.is_good(), health.scrubs_overdue), (false, vec![acme.id()]));
    engine.tick().unwrap();
    assert!(epochs()[0] > second[0] && epochs()[1..] == second[1..]);
    assert_eq!(states(&acme), [true]);
    assert!(engine.health().unwrap().is_good());
    assert_eq!(acme.horizon().unwrap().data_copies_ms, START_MS + 23 * HOUR_MS + 1);
}

/// The horizon counts the copies of the key store; a receipt asked for where nothing was erased is scrubbed as well.
#[test]
fn the_horizon_counts_copies_of_the_key_store_and_a_scrub_can_be_made_at_once() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine =
        Engine::create(config_at(&disk, 1, &clock).key_copies_kept(Duration::from_hours(100))).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let horizon = tenant.horizon().unwrap();
    assert_eq!(horizon.key_copies_ms, START_MS + 108 * HOUR_MS);
    let receipt = tenant.receipt().unwrap();
    let through = tenant.scrub(&mut |_, _| {}).unwrap();
    assert!(through > receipt.through);
    assert_eq!(states(&tenant), [true]);
    let last = tenant.ledger().unwrap().pop().unwrap();
    assert_eq!(last.event, LedgerEvent::Scrubbed { through });
}

/// Writers, and erasures among them, go on while scrubs are made: every receipt is scrubbed by the next one.
#[test]
fn receipts_that_are_given_during_scrubs_are_all_scrubbed_in_the_end() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for index in 0..60 {
                documents.put(format!("{index}"), "value").unwrap();
                assert!(documents.erase(format!("{index}")).unwrap());
                tenant.receipt().unwrap();
            }
        });
        while !writer.is_finished() {
            tenant.scrub(&mut |_, _| {}).unwrap();
        }
    });
    clock.set(START_MS + 7 * HOUR_MS);
    engine.sweep().unwrap();
    let states = states(&tenant);
    assert_eq!(states.len(), 60);
    assert!(states.iter().all(|is_scrubbed| *is_scrubbed), "{states:?}");
}

#[test]
fn power_loss_at_any_operation_of_a_scrub_leaves_it_made_or_to_be_made() {
    let clock = Arc::new(ManualClock::at(START_MS));
    let before = SimDisk::new();
    let engine = Engine::create(config_at(&before, 1, &clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    let earlier = before.snapshot();
    before.trace(true);
    documents.put("goes", vec![7; 2_000]).unwrap();
    tenant.checkpoint().unwrap();
    let windows = sealed(&before, &earlier);
    before.trace(false);
    documents.put("stays", "value").unwrap();
    assert!(documents.erase("goes").unwrap());
    tenant.receipt().unwrap();
    drop((tenant, documents));
    engine.close().unwrap();
    assert!(found(&before, &windows) > 20);
    let script = |disk: &SimDisk| {
        let engine = Engine::open(config_at(disk, 2, &clock))?;
        engine.tenant("acme")?.scrub(&mut |_, _| {})?;
        engine.close()
    };
    let whole = before.snapshot();
    let first = whole.operations();
    script(&whole).unwrap();
    let last = whole.operations();
    assert!(last - first > 60, "only {} operations", last - first);
    for at in first..=last {
        let disk = before.snapshot();
        disk.inject(Fault { at_operation: at, kind: FaultKind::PowerOff });
        let ended = script(&disk).is_ok();
        let policies = [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll];
        let disk = disk.power_loss(at, policies[usize::try_from(at % 3).unwrap()]);
        let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        let is_scrubbed = states(&tenant) == [true];
        assert!(is_scrubbed || !ended, "operation {at}");
        if !is_scrubbed {
            clock.set(START_MS + 7 * HOUR_MS);
            engine.sweep().unwrap();
            clock.set(START_MS);
            assert_eq!(states(&tenant), [true], "operation {at}: it is made by the next sweep");
        }
        assert_eq!(found(&disk, &windows), 0, "operation {at}");
        let documents = tenant.collection("documents").unwrap();
        assert_eq!(documents.get("stays").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(documents.get("goes").unwrap(), None);
        assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "operation {at}");
    }
}
