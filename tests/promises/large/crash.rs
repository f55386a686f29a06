//! Power loss at every operation of the disk: the old value whole or the new one whole, and the new one where it was
//! acknowledged.

use std::io::Write;
use std::sync::Mutex;

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Collection, Engine, PutOptions, Result};

use super::{CHUNK, WHOLE, new_store, opened, put, read, sets, ticks, value};
use crate::support::config;

/// The collection of a store that may lose power while it is opened.
pub(super) fn open(disk: &SimDisk, seed: u64) -> Result<(Engine, Collection)> {
    let engine = Engine::open(config(disk, seed).background(false))?;
    let scans = engine.tenant("acme")?.collection("scans")?;
    Ok((engine, scans))
}

/// Runs `script` on a copy of the disk once for each of its operations on the disk, losing power there, in one of three
/// ways by turns; gives the disk that is left and what the script said to `check`.
pub(super) fn at_every_operation<T>(
    before: &SimDisk,
    shift: u64,
    script: impl Fn(&SimDisk) -> Result<T>,
    check: impl Fn(&SimDisk, Result<T>, u64),
) {
    let whole = before.snapshot();
    let first = whole.operations();
    script(&whole).unwrap();
    let count = whole.operations() - first;
    println!("{count} operations of the disk");
    for at in 0..=count {
        let disk = before.snapshot();
        disk.inject(Fault { at_operation: first + at, kind: FaultKind::PowerOff });
        let outcome = script(&disk);
        let policies = [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll];
        check(&disk.power_loss(at, policies[((at + shift) % 3) as usize]), outcome, at);
    }
}

#[test]
fn power_loss_at_any_operation_of_a_large_put_leaves_the_old_or_the_new_value() {
    let (old, new) = (value(1, WHOLE + 7), value(2, 17 * CHUNK));
    for (shift, has_file, has_old) in [(0, false, false), (1, true, false), (2, true, true)] {
        let before = SimDisk::new();
        let (engine, scans) = new_store(&before);
        scans.put("small", b"small").unwrap();
        if has_file {
            engine.tenant("acme").unwrap().checkpoint().unwrap();
        }
        if has_old {
            put(&scans, "key", &old).unwrap();
        }
        engine.close().unwrap();
        let script = |disk: &SimDisk| {
            let (engine, scans) = open(disk, 2)?;
            put(&scans, "key", &new)?;
            drop(engine);
            Ok(())
        };
        at_every_operation(&before, shift, script, |disk, outcome, at| {
            let (engine, scans) = opened(disk, 3);
            let found = read(&scans, "key").unwrap();
            let is_old = found.as_deref() == has_old.then_some(&old[..]);
            let is_new = found.as_deref() == Some(&new[..]);
            assert!(
                is_new || (is_old && outcome.is_err()),
                "operation {at}: {:?}",
                found.map(|found| found.len())
            );
            assert_eq!(scans.get("small").unwrap().as_deref(), Some(&b"small"[..]));
            let report = engine.verify(&mut |_| {}).unwrap();
            assert!(report.is_good(), "operation {at}: {report:#?}");
            put(&scans, "key", &new).unwrap();
            drop(engine);
            let (_engine, scans) = opened(&disk.power_loss(at, PowerLoss::DropAll), 4);
            assert!(read(&scans, "key").unwrap().unwrap() == new, "operation {at}: acknowledged and lost");
        });
    }
}

#[test]
fn power_loss_at_any_operation_of_a_collection_takes_only_what_nothing_refers_to() {
    let (old, new) = (value(1, WHOLE + 7), value(2, 17 * CHUNK));
    let before = SimDisk::new();
    let (engine, scans) = new_store(&before);
    put(&scans, "key", &old).unwrap();
    put(&scans, "erased", &old).unwrap();
    engine.tenant("acme").unwrap().checkpoint().unwrap();
    put(&scans, "key", &new).unwrap();
    scans.erase("erased").unwrap();
    engine.close().unwrap();
    let script = |disk: &SimDisk| {
        let (engine, scans) = open(disk, 2)?;
        engine.tick()?;
        engine.tenant("acme")?.checkpoint()?;
        engine.tick()?;
        engine.tick()?;
        drop(scans);
        Ok(sets(&engine))
    };
    at_every_operation(&before, 0, script, |disk, outcome, at| {
        if let Ok(sets) = outcome {
            assert_eq!(sets, 1, "operation {at}");
        }
        let (engine, scans) = opened(disk, 3);
        assert!(read(&scans, "key").unwrap().unwrap() == new, "operation {at}");
        assert!(read(&scans, "erased").unwrap().is_none(), "operation {at}");
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good(), "operation {at}: {report:#?}");
        engine.tenant("acme").unwrap().checkpoint().unwrap();
        ticks(&engine);
        assert_eq!(sets(&engine), 1, "operation {at}: what nothing refers to goes");
        assert!(read(&scans, "key").unwrap().unwrap() == new, "operation {at}");
    });
}

#[test]
fn power_loss_at_any_operation_of_an_upload_keeps_what_was_said_to_be_durable() {
    let new = value(2, 18 * CHUNK + 5);
    let before = SimDisk::new();
    let (engine, scans) = new_store(&before);
    scans.put("key", b"old").unwrap();
    engine.close().unwrap();
    let noted = Mutex::new((None, 0));
    let script = |disk: &SimDisk| {
        *noted.lock().unwrap() = (None, 0);
        let (engine, scans) = open(disk, 2)?;
        let mut upload = scans.begin_upload("key", PutOptions::new())?;
        noted.lock().unwrap().0 = Some(upload.id());
        for part in new.chunks(7 * CHUNK + 1_000) {
            upload.write_all(part).and_then(|()| upload.flush()).map_err(strongroom::Error::from_io)?;
            noted.lock().unwrap().1 = upload.durable_bytes();
        }
        upload.publish()?;
        drop(engine);
        Ok(())
    };
    at_every_operation(&before, 0, script, |disk, outcome, at| {
        let (id, durable) = *noted.lock().unwrap();
        let (engine, scans) = opened(disk, 3);
        let found = read(&scans, "key").unwrap().unwrap();
        assert!(found == new || (outcome.is_err() && found == b"old"), "operation {at}");
        if found == b"old"
            && let Some(id) = id
        {
            let mut upload = scans.resume_upload(id).unwrap();
            let resumed = upload.durable_bytes();
            assert!(
                resumed >= durable,
                "operation {at}: {resumed} bytes are durable, {durable} were said to be"
            );
            upload.write_all(&new[resumed as usize..]).unwrap();
            upload.publish().unwrap();
        }
        drop(engine);
        let (engine, scans) = opened(&disk.power_loss(at, PowerLoss::DropAll), 4);
        let found = read(&scans, "key").unwrap().unwrap();
        assert!(found == new || id.is_none(), "operation {at}: acknowledged and lost");
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    });
}
