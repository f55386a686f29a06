//! After a loss that is accepted: what can be read is there, in order, nothing is invented, and the tenant goes on. Tenants
//! of which nobody knows whether they lack something are refused until somebody says so.

use strongroom::simulation::{PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind};

use super::layout::{self, Batch};
use super::store::{
    A, B, DEDICATED, Ended, Outcome, Records, Store, TENANTS, all_in, config_of, documents, records_of,
};
use crate::support::{kind_of, note, refusal};

const AFTER: (&[u8], &[u8]) = (b"after", b"the loss");

/// Flips a byte of a batch's MAC: none of its frames counts any more.
fn without_batch(store: &Store, path: &std::path::Path, batch: &Batch) -> SimDisk {
    let mut bytes = store.disk.read_file(path).unwrap();
    bytes[batch.place.end - 1] ^= 1;
    store.with(path, &bytes)
}

/// The sequences that a tenant has in a batch's frames.
fn sequences(store: &Store, batch: &Batch, tenant: usize) -> Vec<u64> {
    let frames = batch.frames.iter().filter(|frame| store.tenant_of(&frame.tenant) == Some(tenant));
    frames.flat_map(|frame| frame.first..frame.first + u64::from(frame.count)).collect()
}

/// Opens the store and expects these records of each tenant, refused ones apart.
fn expect(disk: &SimDisk, seed: u64, expected: &[Result<Records, ErrorKind>; 3], place: &str) -> Engine {
    let engine = Engine::open(config_of(disk, seed)).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    for tenant in [A, B, DEDICATED] {
        assert!(records_of(&engine, tenant) == expected[tenant], "{place}: {}", TENANTS[tenant]);
    }
    engine
}

/// What is in a tenant's one collection that a salvage named.
fn nameless(engine: &Engine, tenant: usize) -> Result<Records, ErrorKind> {
    let tenant = engine.tenant(TENANTS[tenant]).unwrap();
    let [collection] = &tenant.collections().unwrap()[..] else { panic!("there is one collection") };
    assert_eq!(collection.name, format!("salvaged-{}", collection.id));
    all_in(&tenant.collection(&collection.name).unwrap())
}

/// Salvages a tenant that has lost these sequences, and goes on: writes, closes, opens, checkpoints.
fn salvage_and_go_on(store: &Store, disk: &SimDisk, lost: &[(usize, Vec<u64>)], place: &str) {
    let mut expected = [A, B, DEDICATED].map(|tenant| Ok(store.records(tenant)));
    lost.iter().for_each(|(tenant, _)| expected[*tenant] = Err(ErrorKind::Corrupted));
    let engine = Engine::open(config_of(disk, 30)).unwrap();
    for (tenant, lost) in lost {
        let kind = records_of(&engine, *tenant).unwrap_err();
        assert!([ErrorKind::Corrupted, ErrorKind::Unauthentic].contains(&kind), "{place}: {kind:?}");
        let report = engine.salvage(TENANTS[*tenant]).unwrap();
        let left = store.records_without(*tenant, |sequence| lost.contains(&sequence));
        let in_file = if *tenant == A { 2 } else { 0 };
        let readable = store.changes[*tenant].len() - lost.len() - in_file;
        assert_eq!((report.changes, report.changes_lost), (readable as u64, lost.len() as u64), "{place}");
        if *tenant != A && lost.contains(&1) {
            // The change that gave the collection its name: it has another one now, and all that can be read.
            assert_eq!(report.collections_named, 1, "{place}");
            assert!(nameless(&engine, *tenant) == Ok(left), "{place}: {}", TENANTS[*tenant]);
            expected[*tenant] = Ok(Records::new());
        } else {
            assert_eq!(report.collections_named, 0, "{place}");
            assert!(records_of(&engine, *tenant) == Ok(left.clone()), "{place}: {}", TENANTS[*tenant]);
            expected[*tenant] = Ok(left);
        }
    }
    // Again: there is nothing to salvage, and nothing is lost by it.
    for (tenant, _) in lost {
        assert_eq!(engine.salvage(TENANTS[*tenant]).unwrap().changes_lost, 0, "{place}");
    }
    engine.close().unwrap();
    // Opened again before anything is written, as it is and after a kill.
    for ended in [Ended::Killed, Ended::Closed] {
        let engine = expect(disk, 31, &expected, place);
        if ended == Ended::Killed {
            drop(expect(&disk.power_loss(1, PowerLoss::DropAll), 32, &expected, place));
        }
        engine.close().unwrap();
    }
    let engine = expect(disk, 33, &expected, place);
    for (tenant, _) in lost {
        documents(&engine.tenant(TENANTS[*tenant]).unwrap()).put(AFTER.0, AFTER.1).unwrap();
        expected[*tenant].as_mut().unwrap().insert(AFTER.0.to_vec(), AFTER.1.to_vec());
    }
    engine.close().unwrap();
    expect(disk, 34, &expected, place).close().unwrap();
    let engine = expect(disk, 35, &expected, place);
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    expect(disk, 36, &expected, place).close().unwrap();
    let engine = expect(disk, 37, &expected, place);
    assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "{place}");
}

#[test]
fn salvage_gives_all_that_can_be_read_and_the_tenant_goes_on() {
    let store = Store::new(3, Ended::Closed);
    let mut cases = 0;
    for (lane, tenants) in store.lanes() {
        for (path, bytes) in store.segments(lane) {
            for batch in layout::batches(&bytes).iter().filter(|batch| !batch.is_index) {
                let lost: Vec<_> = tenants
                    .iter()
                    .map(|tenant| (*tenant, sequences(&store, batch, *tenant)))
                    .filter(|(_, lost)| !lost.is_empty())
                    .collect();
                let place = format!("batch {} of {} is damaged", batch.sequence, path.display());
                salvage_and_go_on(&store, &without_batch(&store, &path, batch), &lost, &place);
                cases += 1;
                // One frame's text: the others of the batch are not touched.
                for frame in &batch.frames {
                    let mut altered = bytes.clone();
                    altered[frame.text().start] ^= 1;
                    let tenant = store.tenant_of(&frame.tenant).unwrap();
                    let lost = (frame.first..frame.first + u64::from(frame.count)).collect();
                    let place = format!("{} {} of batch {}", TENANTS[tenant], frame.first, batch.sequence);
                    salvage_and_go_on(&store, &store.with(&path, &altered), &[(tenant, lost)], &place);
                    cases += 1;
                }
            }
        }
    }
    note(&format!("{cases} losses salvaged"));
    assert!(cases >= 45, "{cases}");
}

/// A store in which a batch of A's is damaged whose loss leaves a trace of nothing: it was A's last one, the process was
/// killed, and only B wrote after it.
fn doubtful() -> (Store, SimDisk) {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        (0..2).for_each(|index| {
            [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, 0, index))
        });
    });
    store.round(1, Ended::Killed, |store, engine| {
        for tenant in [B, A, B, B] {
            let index = store.changes[tenant].len() as u64;
            store.write(engine, tenant, 1, index);
        }
    });
    let (path, bytes) = store.segments(&store.shared).pop().unwrap();
    let batches = layout::batches(&bytes);
    let last_of_a = batches.iter().rfind(|batch| store.tenants_in(batch) == [A]).unwrap();
    let disk = without_batch(&store, &path, last_of_a);
    (store, disk)
}

#[test]
fn who_may_lack_something_without_a_trace_is_refused_until_salvaged() {
    let (store, disk) = doubtful();
    let refused = Outcome::refusing(&[A], ErrorKind::Corrupted);
    // It stays so over clean closes, and writes of others.
    for seed in 0..3 {
        assert_eq!(store.read(&disk, "doubtful"), refused, "open {seed}");
        let engine = Engine::open(config_of(&disk, 40 + seed)).unwrap();
        assert_eq!(refusal(engine.tenant(TENANTS[A])), ErrorKind::Corrupted);
        assert_eq!(refusal(engine.checkpoint()), ErrorKind::Corrupted, "the others are checkpointed");
        engine.close().unwrap();
    }
    let engine = Engine::open(config_of(&disk, 50)).unwrap();
    let report = engine.salvage(TENANTS[A]).unwrap();
    assert_eq!(report.changes_lost, 0, "there is no trace of it");
    let last = *store.changes[A].keys().last().unwrap();
    let left = store.records_without(A, |sequence| sequence == last);
    assert!(records_of(&engine, A) == Ok(left.clone()));
    engine.close().unwrap();
    let expected = [Ok(left), Ok(store.records(B)), Ok(store.records(DEDICATED))];
    for seed in 51..53 {
        let engine = expect(&disk, seed, &expected, "salvaged");
        engine.checkpoint().unwrap();
        engine.close().unwrap();
    }
    drop(expect(&disk.power_loss(1, PowerLoss::DropAll), 54, &expected, "salvaged, and the power went"));
}

#[test]
fn who_lacks_nothing_can_be_in_doubt_too_and_loses_nothing_by_salvage() {
    let (mut store, _) = doubtful();
    // All that A has is in its file; then only B writes, and the process is killed.
    store.round(2, Ended::Closed, |_, engine| engine.checkpoint().unwrap());
    store.round(3, Ended::Killed, |store, engine| {
        (10..13).for_each(|index| store.write(engine, B, 3, index));
    });
    let (path, bytes) = store.segments(&store.shared).pop().unwrap();
    let batches = layout::batches(&bytes);
    let first = batches.iter().find(|batch| !batch.is_index).unwrap();
    let disk = without_batch(&store, &path, first);
    // The catalog is in its file too: each batch says that no later one has a frame of it.
    assert_eq!(store.read(&disk, "in doubt"), Outcome::refusing(&[A, B], ErrorKind::Corrupted));
    salvage_and_go_on_from_file(&store, &disk);
}

fn salvage_and_go_on_from_file(store: &Store, disk: &SimDisk) {
    let engine = Engine::open(config_of(disk, 60)).unwrap();
    // Others' checkpoints do not settle it: the damage stays as long as A was not asked about.
    engine.salvage(TENANTS[B]).unwrap();
    let left = records_of(&engine, B);
    engine.checkpoint().unwrap();
    assert_eq!(damaged(&engine), 1);
    assert_eq!(records_of(&engine, A), Err(ErrorKind::Corrupted));
    assert_eq!(engine.salvage(TENANTS[A]).unwrap(), strongroom::RecoveryReport::default());
    assert!(records_of(&engine, A) == Ok(store.records(A)));
    engine.close().unwrap();
    for seed in 61..64 {
        let engine = Engine::open(config_of(disk, seed)).unwrap();
        assert!(records_of(&engine, A) == Ok(store.records(A)) && records_of(&engine, B) == left);
        engine.tenant(TENANTS[A]).unwrap().checkpoint().unwrap();
        engine.close().unwrap();
    }
}

/// The places at which journals are damaged.
fn damaged(engine: &Engine) -> u64 {
    engine.lanes().unwrap().iter().map(|lane| lane.stats.damaged).sum()
}

/// The only frame that a tenant has: where it is gone, nothing but an index tells that there was one.
#[test]
fn a_tenant_whose_only_frame_is_gone_is_no_empty_tenant() {
    for ended in [Ended::Closed, Ended::Killed] {
        let mut store = Store::empty();
        store.round(0, Ended::Closed, |store, engine| {
            for tenant in [A, B, DEDICATED] {
                store.write(engine, tenant, 0, 0);
                engine.tenant(TENANTS[tenant]).unwrap().checkpoint().unwrap();
                store.write(engine, tenant, 0, 1);
            }
        });
        if ended == Ended::Killed {
            store.round(1, Ended::Killed, |store, engine| store.write(engine, A, 1, 0));
        }
        for (lane, _) in store.lanes() {
            for (path, bytes) in store.segments(lane) {
                let batches = layout::batches(&bytes);
                // Of each tenant the last frame is the one that its file lacks; of A's two, both.
                for batch in batches.iter().filter(|batch| !batch.is_index) {
                    let needed: Vec<_> = store
                        .tenants_in(batch)
                        .into_iter()
                        .filter(|tenant| {
                            let last = *store.changes[*tenant].keys().last().unwrap();
                            let lacked = if *tenant == A && ended == Ended::Killed { 2 } else { 1 };
                            sequences(&store, batch, *tenant).iter().any(|sequence| sequence + lacked > last)
                        })
                        .collect();
                    let place = format!("batch {} of {}", batch.sequence, path.display());
                    let is_unconfirmed =
                        ended == Ended::Killed && lane == store.shared && batch == batches.last().unwrap();
                    if is_unconfirmed {
                        continue;
                    }
                    let outcome = store.read(&without_batch(&store, &path, batch), &place);
                    assert_eq!(
                        outcome,
                        Outcome::refusing(&needed, ErrorKind::Corrupted),
                        "{place}, {ended:?}"
                    );
                }
            }
        }
    }
}

/// Handles from before a salvage are of no use any more: two at once would give the same versions.
#[test]
fn an_old_handle_writes_nothing_beside_the_new_one() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        store.write(engine, B, 0, 0);
        let old = engine.tenant(TENANTS[B]).unwrap();
        let old_documents = documents(&old);
        assert_eq!(engine.salvage(TENANTS[B]).unwrap().changes_lost, 0);
        for index in 1..4 {
            assert_eq!(refusal(old_documents.put("old", "handle")), ErrorKind::Poisoned);
            assert_eq!(refusal(old.checkpoint()), ErrorKind::Poisoned);
            assert_eq!(refusal(old.rewrite(&mut |_, _| {})), ErrorKind::Poisoned);
            assert_eq!(refusal(old_documents.get("old")), ErrorKind::Poisoned);
            let batch = {
                let mut batch = old.batch();
                batch.put(&old_documents, "old", "handle").unwrap();
                batch
            };
            let submitted = old.submit(batch).and_then(strongroom::Submitted::wait);
            assert_eq!(kind_of(&submitted.unwrap_err()), ErrorKind::Poisoned);
            store.write(engine, B, 0, index);
        }
        assert!(records_of(engine, B) == Ok(store.records(B)));
    });
    assert_eq!(store.read(&store.disk, "after an old handle"), Outcome::WHOLE);
}

/// Where the catalog's own frames are damaged the store does not open, until the loss is accepted.
#[test]
fn a_damaged_catalog_is_refused_until_its_loss_is_accepted() {
    let mut store = Store::empty();
    store.round(0, Ended::Closed, |store, engine| {
        store.write(engine, B, 0, 0);
        engine.create_tenant("hooli", strongroom::TenantOptions::new()).unwrap();
        store.write(engine, B, 0, 1);
    });
    let (path, bytes) = store.segments(&store.shared).pop().unwrap();
    let batches = layout::batches(&bytes);
    let of_catalog =
        batches.iter().find(|batch| batch.frames.iter().any(|frame| frame.tenant == store.shared));
    let disk = without_batch(&store, &path, of_catalog.unwrap());
    assert_eq!(refusal(Engine::open(config_of(&disk, 2))), ErrorKind::Corrupted);
    let engine = Engine::open(config_of(&disk, 3).accept_rollback(true)).unwrap();
    assert_eq!(
        refusal(engine.tenant("hooli")),
        ErrorKind::NotFound,
        "its creation is lost: that was accepted"
    );
    engine.close().unwrap();
    for seed in 0..2 {
        assert_eq!(store.read_as(config_of(&disk, 4 + seed), "accepted"), Outcome::WHOLE);
    }
    let engine = Engine::open(config_of(&disk, 6)).unwrap();
    engine.create_tenant("hooli", strongroom::TenantOptions::new()).unwrap();
    engine.close().unwrap();
    assert!(Engine::open(config_of(&disk, 7)).unwrap().tenant("hooli").is_ok());
}

/// Damage does not stay for ever: once nobody is in doubt, a checkpoint leaves it behind, and segments retire again.
#[test]
fn a_checkpoint_leaves_damage_behind_once_nobody_is_in_doubt() {
    let store = Store::new(3, Ended::Closed);
    for (path, _, batch) in store.shared_batches() {
        let disk = without_batch(&store, &path, &batch);
        let engine = Engine::open(config_of(&disk, 70)).unwrap();
        assert_eq!(damaged(&engine), 1);
        for tenant in [A, B] {
            assert_eq!(refusal(engine.checkpoint()), ErrorKind::Corrupted);
            assert_eq!(damaged(&engine), 1, "somebody is in doubt");
            engine.salvage(TENANTS[tenant]).unwrap();
        }
        let left = [A, B].map(|tenant| records_of(&engine, tenant));
        let segments = store.segments(&store.shared).len();
        engine.checkpoint().unwrap();
        assert_eq!(damaged(&engine), 0);
        let now = Store { disk: disk.clone(), ..store.clone() }.segments(&store.shared).len();
        assert!(segments >= 3 && now <= 1, "{segments} segments became {now}");
        let after = disk.power_loss(1, PowerLoss::DropAll);
        engine.close().unwrap();
        let expected = [left[A].clone(), left[B].clone(), Ok(store.records(DEDICATED))];
        for disk in [after, disk] {
            let engine = expect(&disk, 71, &expected, "left behind");
            assert_eq!(damaged(&engine), 0);
            assert!(engine.verify(&mut |_| {}).unwrap().is_good());
        }
    }
}
