//! Promise: nothing that a legal hold covers is destroyed, whatever asks for it, and nothing else is kept from going
//! (invariant 7). What is overdue goes with the first sweep after the release.

use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk, alter_chunks, chunk_rows};
use strongroom::{
    Collection, Config, Engine, ErrorKind, LedgerEvent, PutOptions, RekeyOptions, Result, ScanOptions,
    Selector, SweepReport, Tenant, TenantOptions,
};

use crate::support::{config, note, refusal};

const START_MS: u64 = 1_700_000_000_000;

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    let config = config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>);
    config.erasure_period(Duration::from_secs(1))
}

fn new_store(disk: &SimDisk, clock: &Arc<ManualClock>) -> (Engine, Tenant, Collection) {
    let engine = Engine::create(config_at(disk, 1, clock)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    (engine, tenant, documents)
}

fn reopen(
    engine: Engine,
    disk: &SimDisk,
    seed: u64,
    clock: &Arc<ManualClock>,
) -> (Engine, Tenant, Collection) {
    engine.close().unwrap();
    let engine = Engine::open(config_at(disk, seed, clock)).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    let documents = tenant.collection("documents").unwrap();
    (engine, tenant, documents)
}

fn of(subject: &str) -> PutOptions {
    PutOptions::new().subject(subject)
}

fn ttl(ms: u64) -> PutOptions {
    PutOptions::new().ttl(Duration::from_millis(ms))
}

fn keys(documents: &Collection) -> Vec<String> {
    let entries = documents.scan_with(ScanOptions::new().keys_only(true)).unwrap();
    entries.map(|entry| String::from_utf8(entry.unwrap().key).unwrap()).collect()
}

/// A call that destroys something, by its name.
type Destroyer = (&'static str, Box<dyn Fn() -> Result<()>>);

/// Every call that destroys the record `a-1`, of the subject `ada`, together with what it covers besides.
fn destroyers(tenant: &Tenant, documents: &Collection) -> Vec<Destroyer> {
    let mut all: Vec<Destroyer> = Vec::new();
    let with = || (tenant.clone(), documents.clone());
    let (_, d) = with();
    all.push(("erase", Box::new(move || d.erase("a-1").map(|_| ()))));
    let (_, d) = with();
    all.push((
        "erase_if_version",
        Box::new(move || d.erase_if_version("a-1", d.info("a-1")?.unwrap().version).map(|_| ())),
    ));
    let (t, d) = with();
    all.push((
        "a batch",
        Box::new(move || {
            t.write(|batch| {
                batch.put(&d, "zz-new", "value")?;
                batch.erase(&d, "a-1")
            })
            .map(|_| ())
        }),
    ));
    let (t, d) = with();
    all.push((
        "a submitted batch",
        Box::new(move || {
            let mut batch = t.batch();
            batch.put(&d, "a-1", "other")?;
            t.submit(batch)?.wait().map(|_| ())
        }),
    ));
    let (_, d) = with();
    all.push(("a put over it", Box::new(move || d.put("a-1", "other").map(|_| ()))));
    let (_, d) = with();
    all.push((
        "a large put over it",
        Box::new(move || d.put_reader("a-1", &vec![7; (1 << 20) + 1][..], PutOptions::new()).map(|_| ())),
    ));
    let (t, _) = with();
    all.push(("erase_subject", Box::new(move || t.erase_subject("ada").map(|_| ()))));
    let (t, _) = with();
    all.push(("drop_collection", Box::new(move || t.drop_collection("documents").map(|_| ()))));
    all
}

fn selectors() -> Vec<Selector> {
    vec![
        Selector::Tenant,
        Selector::collection("documents"),
        Selector::prefix("documents", "a-"),
        Selector::prefix("documents", ""),
        Selector::record("documents", "a-1"),
        Selector::subject("ada"),
    ]
}

/// In memory, in the file, after the store was opened anew, and after rekey and rewrite.
#[test]
fn nothing_erases_what_a_hold_covers_and_everything_does_after_its_release() {
    for (number, selector) in selectors().into_iter().enumerate() {
        for state in 0..4 {
            let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
            let (mut engine, mut tenant, mut documents) = new_store(&disk, &clock);
            documents.put_with("a-1", "kept", of("ada")).unwrap();
            documents.put_with("b-1", "free", of("bob")).unwrap();
            if number % 2 == 0 {
                tenant.hold("another case", Selector::record("documents", "a-0")).unwrap();
            }
            tenant.hold("case 17", selector.clone()).unwrap();
            if state > 0 {
                tenant.checkpoint().unwrap();
            }
            if state == 2 {
                (engine, tenant, documents) = reopen(engine, &disk, 2, &clock);
            }
            if state == 3 {
                tenant.rotate_data_key().unwrap();
                assert_eq!(tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap().resealed, 2);
                tenant.rewrite(&mut |_, _| {}).unwrap();
            }
            for (name, destroy) in destroyers(&tenant, &documents) {
                let place = format!("{selector:?} {state}: {name}");
                let error = destroy().expect_err(&place);
                assert_eq!(error.kind(), ErrorKind::Held, "{place}");
                for secret in ["acme", "documents", "a-1", "ada", "case"] {
                    assert!(!format!("{error} {error:?}").contains(secret), "{place}");
                }
                assert_eq!(documents.get("a-1").unwrap().as_deref(), Some(&b"kept"[..]), "{place}");
            }
            assert!(documents.get("zz-new").unwrap().is_none(), "all or nothing");
            let erased = documents.erase_prefix("").unwrap();
            let covers_all = matches!(number, 0 | 1 | 3);
            assert_eq!((erased.records, erased.held), if covers_all { (0, 2) } else { (1, 1) });
            // New records are none of its business.
            documents.put_with("a-2", "new", of("ada")).unwrap();
            tenant.release_hold("case 17").unwrap();
            if number % 2 == 0 {
                tenant.release_hold("another case").unwrap();
            }
            for (name, destroy) in destroyers(&tenant, &documents) {
                destroy().unwrap_or_else(|error| panic!("{selector:?} {state}: {name}: {error}"));
                if name != "drop_collection" {
                    documents.put_with("a-1", "again", of("ada")).unwrap();
                }
            }
            drop(engine);
        }
    }
}

#[test]
fn holds_have_names_of_their_own_and_are_listed_in_every_state() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    documents.put_with("a-1", "value", of("ada")).unwrap();
    for (number, selector) in selectors().into_iter().enumerate() {
        tenant.hold(&format!("case {number}"), selector).unwrap();
    }
    assert_eq!(refusal(tenant.hold("case 1", Selector::Tenant)), ErrorKind::AlreadyExists);
    assert_eq!(refusal(tenant.hold("n", Selector::collection("absent"))), ErrorKind::NotFound);
    assert_eq!(refusal(tenant.hold(" n", Selector::Tenant)), ErrorKind::InvalidArgument);
    assert_eq!(refusal(tenant.hold("n", Selector::record("documents", ""))), ErrorKind::InvalidArgument);
    assert_eq!(
        refusal(tenant.hold("n", Selector::prefix("documents", [7; 4_097]))),
        ErrorKind::InvalidArgument
    );
    assert_eq!(refusal(tenant.hold("n", Selector::subject(""))), ErrorKind::InvalidArgument);
    assert_eq!(refusal(tenant.release_hold("n")), ErrorKind::NotFound);
    tenant.rename_collection("documents", "papers").unwrap();
    let (_engine, tenant, _) = reopen(engine, &disk, 2, &clock);
    let holds = tenant.holds().unwrap();
    let renamed = |selector: Selector| match selector {
        Selector::Collection(_) => Selector::collection("papers"),
        Selector::Prefix { prefix, .. } => Selector::prefix("papers", prefix),
        Selector::Record { key, .. } => Selector::record("papers", key),
        other => other,
    };
    let found: Vec<_> = holds.iter().map(|hold| (hold.name.clone(), hold.selector.clone())).collect();
    let expected = selectors().into_iter().enumerate();
    let expected: Vec<_> = expected.map(|(number, all)| (format!("case {number}"), renamed(all))).collect();
    assert_eq!(found, expected);
    assert!(holds.iter().all(|hold| hold.placed_ms == START_MS));
    assert!(!format!("{holds:?} {tenant:?}").contains("case"));
    for hold in holds {
        assert_eq!(refusal(tenant.collection("papers").unwrap().erase("a-1")), ErrorKind::Held);
        tenant.release_hold(&hold.name).unwrap();
    }
    assert!(tenant.collection("papers").unwrap().erase("a-1").unwrap());
}

/// A record is free when no hold covers it any more.
#[test]
fn of_several_holds_each_holds_alone() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    documents.put_with("a-1", "value", of("ada").ttl(Duration::from_millis(500))).unwrap();
    for (number, selector) in selectors().into_iter().enumerate() {
        tenant.hold(&number.to_string(), selector).unwrap();
    }
    clock.set(START_MS + 5_000);
    for number in 0..selectors().len() {
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 0, held: 1 }, "{number}");
        tenant.release_hold(&number.to_string()).unwrap();
    }
    assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 0 });
    assert_eq!(engine.sweep().unwrap(), SweepReport::default());
}

/// It is invisible all the same, and reads where the clock is set back and confirmed.
#[test]
fn what_is_held_outlives_its_expiry_and_its_period_and_goes_with_the_sweep_after_the_release() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (engine, tenant, documents) = new_store(&disk, &clock);
        documents.put_with("held", "held", ttl(500)).unwrap();
        documents.put_with("of-ada", "of-ada", of("ada").ttl(Duration::from_millis(500))).unwrap();
        documents.put_with("free", "free", ttl(500)).unwrap();
        documents.put("for-good", "for-good").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        tenant.hold("case 17", Selector::prefix("documents", "he")).unwrap();
        tenant.hold("case 18", Selector::subject("ada")).unwrap();
        clock.set(START_MS + 500);
        assert_eq!(keys(&documents), ["for-good"], "a hold shows nothing that has expired");
        clock.set(START_MS + 5_000);
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 2 });
        assert_eq!(refusal(documents.put("held", "other")), ErrorKind::Held);
        assert!(engine.health().unwrap().periods_held.is_empty());
        tenant.checkpoint().unwrap();
        tenant.rewrite(&mut |_, _| {}).unwrap();
        let then = Arc::new(ManualClock::at(START_MS));
        let readable = |data: &SimDisk| {
            let mixed = data.snapshot();
            for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
                mixed.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
            }
            let engine = Engine::open(config_at(&mixed, 9, &then).accept_rollback(true)).unwrap();
            engine.confirm_clock().unwrap();
            let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
            let entries = documents.scan_with(ScanOptions::new()).unwrap().map(Result::unwrap);
            let readable = entries.filter(|entry| entry.value.is_some());
            readable.map(|entry| String::from_utf8(entry.key).unwrap()).collect::<Vec<_>>()
        };
        engine.flush().unwrap();
        assert_eq!(readable(&disk), ["for-good", "held", "of-ada"]);
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(report.is_good() && report.file.records == 3, "{report:?}");
        let (engine, tenant, documents) = {
            drop((tenant, documents));
            reopen(engine, &disk, 2, &clock)
        };
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 0, held: 2 });
        tenant.release_hold("case 17").unwrap();
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 1 });
        tenant.release_hold("case 18").unwrap();
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 0 });
        assert_eq!(keys(&documents), ["for-good"]);
        assert_eq!(engine.verify_tenant("acme", &mut |_| {}).unwrap().file.records, 1);
    }
}

/// The copy's records have the key that was destroyed, the store's do not.
#[test]
fn the_key_of_a_period_goes_although_a_record_of_it_is_held() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    documents.put_with("held", "held", ttl(500)).unwrap();
    documents.put_with("free", "free", ttl(500)).unwrap();
    tenant.hold("case 17", Selector::record("documents", "held")).unwrap();
    tenant.checkpoint().unwrap();
    let copy = disk.power_loss(1, PowerLoss::KeepAll);
    clock.set(START_MS + 5_000);
    assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 1 });
    engine.flush().unwrap();
    let then = Arc::new(ManualClock::at(START_MS));
    for path in disk.paths().into_iter().filter(|path| path.starts_with("/store.keys")) {
        copy.write_file(&path, disk.read_file(&path).unwrap()).unwrap();
    }
    let engine = Engine::open(config_at(&copy, 9, &then).accept_rollback(true)).unwrap();
    let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
    assert_eq!(documents.get("held").unwrap(), None);
    assert_eq!(documents.get("free").unwrap(), None);
}

/// A value in chunks too; and what can't be sealed anew keeps its key, and health says so.
#[test]
fn a_held_value_in_chunks_outlives_the_key_of_its_period_unless_it_is_damaged() {
    for is_damaged in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (engine, tenant, documents) = new_store(&disk, &clock);
        let large = vec![7; (1 << 20) + 1];
        documents.put_reader("held", &large[..], ttl(500)).unwrap();
        tenant.hold("case 17", Selector::Tenant).unwrap();
        if is_damaged {
            let (key, mut row) = chunk_rows(&tenant).unwrap().swap_remove(9);
            row[100] ^= 1;
            alter_chunks(&tenant, &[(key, Some(row))]).unwrap();
        }
        for seconds in 5..8 {
            clock.set(START_MS + seconds * 1_000);
            assert_eq!(engine.sweep().unwrap(), SweepReport { records: 0, held: 1 });
            let health = engine.health().unwrap();
            let overdue = health.problems().iter().any(|problem| problem.contains("overdue"));
            if is_damaged {
                assert_eq!(health.periods_held, [(tenant.id(), 1)]);
                assert!(overdue);
            } else {
                assert!(health.periods_held.is_empty() && !overdue);
                assert_eq!(period_keys(&tenant), 1, "destroyed, once");
            }
        }
        drop(documents);
        tenant.release_hold("case 17").unwrap();
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 1, held: 0 });
        assert!(engine.health().unwrap().periods_held.is_empty());
        for _ in 0..4 {
            engine.tick().unwrap();
        }
        assert!(chunk_rows(&tenant).unwrap().is_empty(), "chunks of neither set are left");
    }
}

/// Keys of periods that the ledger says were destroyed.
fn period_keys(tenant: &Tenant) -> usize {
    let ledger = tenant.ledger().unwrap();
    ledger.iter().filter(|entry| matches!(entry.event, LedgerEvent::PeriodKey { .. })).count()
}

/// More than a sweep looks up at a time, and more than one commit of it takes.
#[test]
fn a_sweep_passes_what_is_held_however_much_it_is() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    for thousand in 0..4 {
        tenant
            .write(|batch| {
                (0..1_000).try_for_each(|index| {
                    let key =
                        format!("{}-{thousand}{index:03}", if index % 3 == 0 { "held" } else { "free" });
                    batch.put_with(&documents, key, "value", ttl(1 + index % 400))
                })
            })
            .unwrap();
    }
    tenant.hold("case 17", Selector::prefix("documents", "held-")).unwrap();
    clock.set(START_MS + 200);
    let first = engine.sweep().unwrap();
    clock.set(START_MS + 10_000);
    let second = engine.sweep().unwrap();
    assert_eq!((first.records + second.records, second.held), (4 * 666, 4 * 334));
    assert!(first.records > 1_000 && first.held > 500 && second.records > 1_000, "{first:?} {second:?}");
    assert_eq!(engine.sweep().unwrap(), SweepReport { records: 0, held: second.held });
    tenant.release_hold("case 17").unwrap();
    assert_eq!(engine.sweep().unwrap(), SweepReport { records: second.held, held: 0 });
    assert_eq!(engine.verify_tenant("acme", &mut |_| {}).unwrap().file.records, 0);
}

/// Threads erase while another places and releases a hold: what is there when it was placed is there when it is released.
#[test]
fn a_hold_that_races_with_erasures_is_before_or_after_each() {
    for subject in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (_engine, tenant, documents) = new_store(&disk, &clock);
        let put = |index: usize| documents.put_with(index.to_string(), "value", of("ada"));
        let selector = if subject { Selector::subject("ada") } else { Selector::collection("documents") };
        let (mut refused, mut kept) = (0, 0);
        for round in 0..40 {
            for index in 0..20 {
                put(index).unwrap();
            }
            std::thread::scope(|scope| {
                let erasing = [0, 1].map(|half| {
                    let documents = &documents;
                    scope.spawn(move || {
                        (0..20).filter(|index| index % 2 == half).fold(0, |refused, index| {
                            match documents.erase(index.to_string()) {
                                Ok(_) => refused,
                                Err(error) if error.kind() == ErrorKind::Held => refused + 1,
                                Err(error) => panic!("{error}"),
                            }
                        })
                    })
                });
                tenant.hold("case 17", selector.clone()).unwrap();
                let there = keys(&documents);
                refused += erasing.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
                assert_eq!(keys(&documents), there, "{round}: something went after the hold was placed");
                kept += there.len();
                tenant.release_hold("case 17").unwrap();
            });
        }
        note(&format!("{refused} erasures were refused, {kept} records stayed"));
        assert_eq!(refused, kept);
    }
}

/// Subjects are erased and collections dropped while holds on them are placed.
#[test]
fn a_hold_that_races_with_a_subject_or_a_collection_is_before_or_after_it() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (_engine, tenant, documents) = new_store(&disk, &clock);
    for round in 0..60 {
        documents.put_with("a", "value", of("ada")).unwrap();
        documents.put_with("b", "value", of("bob")).unwrap();
        let selector = match round % 3 {
            0 => Selector::subject("ada"),
            1 => Selector::record("documents", "a"),
            _ => Selector::collection("documents"),
        };
        std::thread::scope(|scope| {
            let erased = scope.spawn(|| tenant.erase_subject("ada").map(|_| ()));
            let dropped = scope.spawn(|| tenant.drop_collection("documents").map(|_| ()));
            let placed = tenant.hold("case 17", selector);
            let there = documents.get("a").unwrap();
            let [erased, dropped] = [erased.join().unwrap(), dropped.join().unwrap()];
            for outcome in [&erased, &dropped] {
                let kind = outcome.as_ref().err().map(strongroom::Error::kind);
                assert!(matches!(kind, None | Some(ErrorKind::Held)), "{round}: {outcome:?}");
            }
            match placed {
                Ok(()) => {
                    assert_eq!(documents.get("a").unwrap(), there, "{round}");
                    assert!(there.is_none() || (erased.is_err() && dropped.is_err()), "{round}");
                    tenant.release_hold("case 17").unwrap();
                }
                Err(error) => {
                    assert_eq!(
                        error.kind(),
                        ErrorKind::NotFound,
                        "{round}: the collection was dropped before"
                    );
                    assert!(dropped.is_ok());
                }
            }
        });
    }
}

/// Power is lost at each operation of placing, sweeping under it, and releasing; the clock is set back to see what is there.
#[test]
fn power_lost_at_any_operation_under_a_hold_destroys_nothing_that_is_held() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, tenant, documents) = new_store(&disk, &clock);
    for index in 0..10 {
        documents.put_with(format!("held-{index}"), "value", ttl(1 + index)).unwrap();
        documents.put_with(format!("free-{index}"), "value", ttl(1 + index)).unwrap();
        if index == 5 {
            tenant.checkpoint().unwrap();
        }
    }
    drop((tenant, documents));
    engine.close().unwrap();
    let mut steps = Vec::new();
    for offset in 0.. {
        let live = disk.snapshot();
        clock.set(START_MS);
        let engine = Engine::open(config_at(&live, 2, &clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
        let is_placed = tenant.hold("case 17", Selector::prefix("documents", "held-")).is_ok();
        clock.set(START_MS + 5_000);
        let is_swept = is_placed && engine.sweep().is_ok();
        let is_released = is_swept && tenant.release_hold("case 17").is_ok();
        drop((tenant, engine));
        steps.push((is_placed, is_swept, is_released));
        for (seed, policy) in [(0, PowerLoss::DropAll), (offset, PowerLoss::Random), (0, PowerLoss::KeepAll)]
        {
            let place = format!("{policy:?} at {offset}");
            let after = live.power_loss(seed, policy);
            clock.set(START_MS);
            let engine = Engine::open(config_at(&after, 3, &clock)).unwrap();
            engine.confirm_clock().unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let documents = tenant.collection("documents").unwrap();
            let is_held = !tenant.holds().unwrap().is_empty();
            assert!(is_held || !is_placed || is_swept, "{place}: a hold that was placed is gone");
            assert!(!is_held || !is_released, "{place}: a hold that was released is back");
            let entries = documents.scan_with(ScanOptions::new()).unwrap().map(Result::unwrap);
            let found: Vec<_> = entries.filter(|entry| entry.value.is_some()).collect();
            let held = found.iter().filter(|entry| entry.key.starts_with(b"held")).count();
            assert_eq!(held, 10, "{place}: what was held is gone");
            assert!(!is_swept || found.len() == 10, "{place}: what was swept is there again");
            clock.set(START_MS + 5_000);
            let swept = engine.sweep().unwrap();
            assert_eq!(swept.held, if is_held { 10 } else { 0 }, "{place}");
            assert!(engine.health().unwrap().periods_held.is_empty(), "{place}");
            if is_held {
                tenant.release_hold("case 17").unwrap();
                engine.sweep().unwrap();
            }
            let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
            assert!(report.is_good() && report.file.records == 0, "{place}: {report:?}");
        }
        if is_released {
            break;
        }
    }
    let count = |step: fn(&(bool, bool, bool)) -> bool| steps.iter().filter(|found| step(found)).count();
    note(&format!("{} operations, {} after the hold was placed", steps.len(), count(|step| step.0)));
    assert!(count(|step| !step.0) > 2 && count(|step| step.0 && !step.1) > 20, "{steps:?}");
}

/// Removing is not erasing: what is removed under a hold can be restored until the hold is released and long after its window.
#[test]
fn what_is_removed_while_it_is_held_stays_removed_and_is_not_purged() {
    for selector in selectors() {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (engine, tenant, documents) = new_store(&disk, &clock);
        documents.put_with("a-1", "value", of("ada").ttl(Duration::from_secs(10))).unwrap();
        documents.put_with("b-1", "value", of("bob").ttl(Duration::from_secs(10))).unwrap();
        tenant.hold("case 17", selector.clone()).unwrap();
        assert!(documents.remove("a-1").unwrap(), "{selector:?}");
        for checkpointed in [false, true] {
            if checkpointed {
                tenant.checkpoint().unwrap();
            }
            assert_eq!(refusal(documents.erase("a-1")), ErrorKind::Held, "{selector:?}");
            assert_eq!(refusal(tenant.erase_subject("ada")), ErrorKind::Held, "{selector:?}");
            assert_eq!(refusal(tenant.drop_collection("documents")), ErrorKind::Held, "{selector:?}");
            let erased = documents.erase_prefix("a-").unwrap();
            assert_eq!((erased.records, erased.held), (0, 1), "{selector:?}");
        }
        // Over what is removed another one may be put, of which the hold may know nothing.
        documents.put("a-1", "another").unwrap();
        assert!(documents.remove("a-1").unwrap());
        clock.set(START_MS + 40 * 86_400_000);
        engine.confirm_clock().unwrap();
        let swept = engine.sweep().unwrap();
        assert!(swept.held >= 1 && swept.records + swept.held == 3, "{selector:?}: {swept:?}");
        assert!(engine.health().unwrap().periods_held.is_empty(), "{selector:?}");
        tenant.release_hold("case 17").unwrap();
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: swept.held, held: 0 }, "{selector:?}");
        let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(report.is_good() && report.file.records == 0, "{selector:?}: {report:?}");
    }
}

/// One that has expired is still there for the hold: what is restored would be put over it.
#[test]
fn nothing_is_restored_in_the_place_of_what_is_held_and_has_expired() {
    for in_file in [false, true] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let (engine, tenant, documents) = new_store(&disk, &clock);
        for key in ["k", "l"] {
            documents.put(key, "older").unwrap();
            assert!(documents.remove(key).unwrap());
        }
        documents.put_with("k", "held", ttl(1_000)).unwrap();
        tenant.hold("case 17", Selector::record("documents", "k")).unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        clock.set(START_MS + 1_000);
        assert_eq!(refusal(documents.restore("k")), ErrorKind::Held);
        assert_eq!(documents.restore_range::<&str>(..).unwrap(), 1, "the other one");
        assert_eq!(keys(&documents), ["l"]);
        assert_eq!(engine.sweep().unwrap(), SweepReport { records: 0, held: 1 });
        tenant.release_hold("case 17").unwrap();
        assert!(documents.restore("k").unwrap());
        assert_eq!(documents.get("k").unwrap().as_deref(), Some(&b"older"[..]));
    }
}
