//! Tenants with little to say move out of the way of one with much: into a cold segment, without a file for each.

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Config, Engine, ErrorKind, TenantOptions};

use super::layout::{self, Part};
use super::store::{self, Store, documents};
use crate::support::{kind_of, note};

const WRITER: &str = "globex";
/// Beyond so many bytes the journal's oldest segments are emptied.
const JOURNAL_BYTES: u64 = 256 << 10;

fn config_of(disk: &SimDisk, seed: u64) -> Config {
    store::config_of(disk, seed).journal_bytes(JOURNAL_BYTES)
}

fn name_of(index: usize) -> String {
    format!("tenant {index}")
}

/// A store of many tenants with one small record each, and one that has written much; not tended yet.
fn many(tenants: usize, catalog: Catalog) -> SimDisk {
    let disk = SimDisk::new();
    let engine = Engine::create(config_of(&disk, 1)).unwrap();
    let create = |index| engine.create_tenant(&name_of(index), TenantOptions::new()).unwrap();
    let tenants: Vec<_> = (0..tenants).map(create).collect();
    engine.create_tenant(WRITER, TenantOptions::new()).unwrap();
    if catalog == Catalog::InItsFile {
        engine.checkpoint().unwrap();
    }
    for (index, tenant) in tenants.iter().enumerate() {
        documents(tenant).put("key", format!("the only record of {index}")).unwrap();
    }
    write_much(&engine, 0);
    disk.power_loss(1, PowerLoss::KeepAll).snapshot()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Catalog {
    InItsFile,
    InTheJournal,
}

fn value_of(round: usize, index: usize) -> Vec<u8> {
    format!("{round} {index} ").repeat(1_500).into_bytes()
}

/// About half a megabyte of one tenant.
fn write_much(engine: &Engine, round: usize) {
    let tenant = engine.tenant(WRITER).unwrap();
    for index in 0..60 {
        documents(&tenant).put(format!("key-{index}"), value_of(round, index)).unwrap();
    }
}

/// Why not everything is there, if it is not.
fn check(engine: &Engine, tenants: usize, round: usize) -> Result<(), String> {
    let get = |name: &str, key: &str| -> strongroom::Result<Option<Vec<u8>>> {
        let value = documents(&engine.tenant(name)?).get(key)?;
        Ok(value.map(|value| value.to_vec()))
    };
    for index in 0..tenants {
        let found = get(&name_of(index), "key").map_err(|error| format!("tenant {index}: {error}"))?;
        if found != Some(format!("the only record of {index}").into_bytes()) {
            return Err(format!("tenant {index} has {found:?}"));
        }
    }
    for index in 0..60 {
        let found = get(WRITER, &format!("key-{index}")).map_err(|error| format!("the writer: {error}"))?;
        if found != Some(value_of(round, index)) {
            return Err(format!("record {index} of the writer is not there"));
        }
    }
    Ok(())
}

/// The tenants that are refused; the others have their record.
fn refused(disk: &SimDisk, tenants: usize, place: &str) -> Vec<usize> {
    let engine = Engine::open(config_of(disk, 9)).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let refused = (0..tenants).filter(|index| match engine.tenant(&name_of(*index)) {
        Ok(tenant) => {
            let found = documents(&tenant).get("key").unwrap();
            let expected = format!("the only record of {index}");
            assert_eq!(found.as_deref(), Some(expected.as_bytes()), "{place}: tenant {index}");
            false
        }
        Err(error) => {
            let kind = kind_of(&error);
            assert!([ErrorKind::Corrupted, ErrorKind::Unauthentic].contains(&kind), "{place}: {error:?}");
            true
        }
    });
    refused.collect()
}

#[test]
fn damage_of_a_cold_segment_costs_those_whose_frames_are_in_it() {
    const FEW: usize = 8;
    let disk = many(FEW, Catalog::InItsFile);
    let engine = Engine::open(config_of(&disk, 2)).unwrap();
    engine.tenant(WRITER).unwrap();
    engine.tick().unwrap();
    let ids: Vec<_> =
        (0..FEW).map(|index| engine.tenant_info(&name_of(index)).unwrap().id.to_string()).collect();
    let killed = disk.power_loss(1, PowerLoss::KeepAll).snapshot();
    engine.close().unwrap();
    let cold = disk.paths().into_iter().rev().find_map(|path| {
        let is_segment = path.to_str().unwrap().ends_with(".journal");
        let bytes = is_segment.then(|| disk.read_file(&path).unwrap())?;
        (bytes[10] == 2).then_some((path, bytes))
    });
    let (path, bytes) = cold.expect("a cold segment was made");
    let batches = layout::batches(&bytes);
    let owner = |id: &String| ids.iter().position(|known| known == id);
    let all: Vec<_> =
        batches.iter().flat_map(|batch| &batch.frames).filter_map(|frame| owner(&frame.tenant)).collect();
    assert!(ids.iter().all(|id| all.contains(&owner(id).unwrap())), "each tenant's frames were moved");
    let everybody: Vec<_> = (0..FEW).collect();

    // The cold segments are named in both copies of the lane's state.
    let system = Engine::open(config_of(&disk.snapshot(), 3)).unwrap().store_id().to_string();
    for killed in [&killed, &disk] {
        let state = Store::state(&system);
        let bytes = killed.read_file(&state).unwrap();
        for offset in (0..bytes.len()).step_by(61) {
            let altered = killed.snapshot();
            let mut bytes = bytes.clone();
            bytes[offset] ^= 1;
            altered.write_file(&state, &bytes).unwrap();
            assert_eq!(refused(&altered, FEW, &format!("byte {offset} of the state")), [0; 0]);
        }
    }

    let gone = disk.snapshot();
    gone.remove(&path).unwrap();
    assert_eq!(refused(&gone, FEW, "deleted"), everybody);
    let end = batches.last().unwrap().padded().end;
    let mut texts = 0;
    for (offset, (part, id)) in layout::parts(&bytes)[..end].iter().enumerate().step_by(5) {
        let is_catalog = id.as_ref().is_some_and(|id| owner(id).is_none());
        let batch = batches.iter().find(|batch| batch.place.contains(&offset));
        let is_crc = batch.is_some_and(|batch| (4..8).contains(&(offset - batch.place.start)));
        if is_catalog && *part == Part::FrameText {
            continue;
        }
        let altered = disk.snapshot();
        let mut bytes = bytes.clone();
        bytes[offset] ^= 1;
        altered.write_file(&path, &bytes).unwrap();
        let place = format!("byte {offset}, {part:?}");
        let expected = match part {
            Part::FrameText => vec![owner(id.as_ref().unwrap()).unwrap()],
            Part::BatchHeader if is_crc => Vec::new(),
            Part::BatchHeader | Part::FrameInClear | Part::Mac => everybody.clone(),
            _ => Vec::new(),
        };
        texts += usize::from(*part == Part::FrameText);
        assert_eq!(refused(&altered, FEW, &place), expected, "{place}");
    }
    assert!(texts > 200, "{texts}");
}

fn count(disk: &SimDisk, extension: &str) -> usize {
    disk.paths().iter().filter(|path| path.to_str().unwrap().ends_with(extension)).count()
}

#[test]
fn many_tenants_with_one_record_each_make_room_without_a_file_for_each() {
    const MANY: usize = 300;
    let disk = many(MANY, Catalog::InTheJournal);
    let before = count(&disk, ".journal");
    let engine = Engine::open(config_of(&disk, 2)).unwrap();
    // The writer is open, so that a checkpoint takes what it has.
    engine.tenant(WRITER).unwrap();
    for round in 1..4 {
        engine.tick().unwrap();
        let stats = engine.lanes().unwrap()[0].stats;
        assert!(stats.segment_bytes <= JOURNAL_BYTES, "{stats:?}");
        assert!(stats.pending_tenants > MANY as u64, "the small ones wait in the journal: {stats:?}");
        assert_eq!(count(&disk, ".journal") as u64, stats.segments);
        assert!(before >= 8 && stats.segments <= 4, "{before} segments became {}", stats.segments);
        assert!(count(&disk, ".redb") <= 2, "{} files", count(&disk, ".redb"));
        check(&engine, MANY, round - 1).unwrap();
        write_much(&engine, round);
    }
    engine.tick().unwrap();
    engine.close().unwrap();
    assert!(count(&disk, ".redb") <= 2);
    for seed in 3..5 {
        let engine = Engine::open(config_of(&disk, seed)).unwrap();
        check(&engine, MANY, 3).unwrap();
        // Written again, each tenant's next frame follows on one that was moved.
        for index in 0..MANY {
            let tenant = engine.tenant(&name_of(index)).unwrap();
            documents(&tenant).put("another", "record").unwrap();
        }
        engine.tick().unwrap();
        engine.close().unwrap();
    }
    let engine = Engine::open(config_of(&disk, 5)).unwrap();
    check(&engine, MANY, 3).unwrap();
    for index in 0..MANY {
        let tenant = engine.tenant(&name_of(index)).unwrap();
        assert!(documents(&tenant).contains("another").unwrap());
    }
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// Loses power at each operation of a tick; gives how many there are, and what was lost.
fn crash(disk: &SimDisk, tenants: usize, policies: &[PowerLoss], synced: bool) -> (u64, Vec<String>) {
    let mut lost = Vec::new();
    for offset in 0.. {
        let disk = disk.snapshot();
        disk.without_sync(!synced);
        let engine = Engine::open(config_of(&disk, 2)).unwrap();
        engine.tenant(WRITER).unwrap();
        disk.inject(Fault { at_operation: disk.operations() + offset, kind: FaultKind::PowerOff });
        let ticked = engine.tick();
        for (seed, policy) in (0..).zip(policies) {
            let after = disk.power_loss(offset * 16 + seed, *policy);
            let found = Engine::open(config_of(&after, 3)).map_err(|error| error.to_string());
            let found = found.and_then(|engine| {
                check(&engine, tenants, 0)?;
                // And once more, after another tick and a clean close.
                engine.tick().and_then(|()| engine.close()).map_err(|error| error.to_string())?;
                let engine = Engine::open(config_of(&after, 4)).map_err(|error| error.to_string())?;
                check(&engine, tenants, 0)
            });
            lost.extend(found.err().map(|why| format!("operation {offset}, {policy:?}: {why}")));
        }
        if ticked.is_ok() {
            return (offset, lost);
        }
    }
    unreachable!("a tick ends");
}

#[test]
fn a_power_loss_at_any_operation_of_a_relocation_loses_nothing() {
    const FEW: usize = 12;
    let disk = many(FEW, Catalog::InTheJournal);
    let policies =
        [PowerLoss::DropAll, PowerLoss::KeepAll, PowerLoss::Random, PowerLoss::Random, PowerLoss::Random];
    let (operations, lost) = crash(&disk, FEW, &policies, true);
    note(&format!("{operations} operations of a tick, each with {} outcomes", policies.len()));
    assert!(lost.is_empty(), "{} losses: {}", lost.len(), lost[0]);
    assert!(operations >= 30, "{operations}");
    // The control: without syncs the same power losses lose something.
    let (_, lost) = crash(&disk, FEW, &policies[2..], false);
    note(&format!("without syncs {} outcomes lose something", lost.len()));
    assert!(lost.len() as u64 > operations / 2, "only {} outcomes without syncs lose something", lost.len());
}
