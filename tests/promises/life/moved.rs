//! Moved: the tenant is whole in the other region, with everything that was acknowledged, and nothing of it is left where it
//! was. Refused without a word about residency; whole in one of the two whenever power goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Config, Engine, ErrorKind, MoveOptions, PutOptions, RegionPaths, Result, Tenant, TenantOptions,
};

use super::erased::{files_with, marks_of};
use super::{START_MS, config_at};
use crate::support::{fill, note, read_all, refusal};

fn store(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config_at(disk, seed, clock)
}

fn create(disk: &SimDisk, clock: &Arc<ManualClock>) -> Engine {
    let config = store(disk, 1, clock).region("eu", RegionPaths::new("/eu"));
    Engine::create(config.region("us", RegionPaths::new("/us"))).unwrap()
}

fn move_to(engine: &Engine, region: &str) -> Result<()> {
    engine.move_tenant("acme", region, MoveOptions::new().override_residency(), &mut |_| {})
}

/// Files below a region's directories, of the tenant.
fn left_in(disk: &SimDisk, region: &str, tenant: &Tenant) -> Vec<PathBuf> {
    let (root, keys) = (format!("/{region}"), format!("/{region}.keys"));
    let there = |path: &PathBuf| path.starts_with(Path::new(&root)) || path.starts_with(Path::new(&keys));
    files_with(disk, &marks_of(tenant.id())).into_iter().filter(there).collect()
}

/// With records in file and journal, in chunks, under subjects' keys, with an index.
fn filled(engine: &Engine, options: TenantOptions) -> Tenant {
    let acme = engine.create_tenant("acme", options).unwrap();
    fill(&acme, 40).unwrap();
    let documents = acme.collection("documents").unwrap();
    documents.put_with("of", "value", PutOptions::new().subject("user")).unwrap();
    acme
}

fn large() -> Vec<u8> {
    (0..(2_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_moved_tenant_has_everything_and_nothing_of_it_is_left_where_it_was() {
    for (dedicated, in_file) in [(false, false), (false, true), (true, false), (true, true)] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = create(&disk, &clock);
        let globex = engine.create_tenant("globex", TenantOptions::new().region("eu")).unwrap();
        fill(&globex, 40).unwrap();
        let options = TenantOptions::new().region("eu");
        let acme = filled(&engine, if dedicated { options.dedicated() } else { options });
        let documents = acme.collection("documents").unwrap();
        if in_file {
            documents.put_reader("large", &large()[..], PutOptions::new()).unwrap();
            acme.checkpoint().unwrap();
            fill(&acme, 30).unwrap();
        }
        // Only where that is said in so many words.
        let plain = engine.move_tenant("acme", "us", MoveOptions::new(), &mut |_| {});
        assert_eq!(refusal(plain), ErrorKind::InvalidArgument);
        assert_eq!(refusal(move_to(&engine, "eu")), ErrorKind::InvalidArgument);
        assert_eq!(refusal(move_to(&engine, "nowhere")), ErrorKind::NotFound);
        assert_eq!(read_all(&acme, 40).right, 40);
        assert!(left_in(&disk, "us", &acme).is_empty());

        move_to(&engine, "us").unwrap();
        assert_eq!(engine.tenant_info("acme").unwrap().region, "us");
        assert_eq!(left_in(&disk, "eu", &acme), Vec::<PathBuf>::new(), "{dedicated} {in_file}");
        assert!(left_in(&disk, "us", &acme).len() >= 2);
        // The handle of before says so.
        assert_eq!(refusal(documents.get("key-00001")), ErrorKind::Poisoned);
        assert_eq!(refusal(documents.put("key-00001", "value")), ErrorKind::Poisoned);
        assert_eq!(refusal(acme.rotate_data_key()), ErrorKind::Poisoned);
        for _ in 0..2 {
            let engine = &engine;
            let now = engine.tenant("acme").unwrap();
            let documents = now.collection("documents").unwrap();
            assert_eq!(read_all(&now, 40).right, 40);
            assert_eq!(documents.get("of").unwrap().as_deref(), Some(&b"value"[..]));
            assert_eq!(documents.get("large").unwrap().is_some(), in_file);
            if in_file {
                assert_eq!(documents.get("large").unwrap().unwrap()[..], large());
            }
            documents.put("after", "value").unwrap();
            assert!(now.erase_subject("nobody").is_ok_and(|erased| !erased));
            now.rewrite(&mut |_, _| {}).unwrap();
            fill(&now, 40).unwrap();
        }
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
        // And back, over a kill; its subject's key is destroyed where it is now.
        let killed = disk.power_loss(1, PowerLoss::DropAll);
        let engine = Engine::open(store(&killed, 2, &clock)).unwrap();
        move_to(&engine, "eu").unwrap();
        let acme = engine.tenant("acme").unwrap();
        assert_eq!(left_in(&killed, "us", &acme), Vec::<PathBuf>::new());
        assert!(acme.erase_subject("user").unwrap());
        let documents = acme.collection("documents").unwrap();
        assert_eq!(documents.get("of").unwrap(), None);
        assert!(documents.contains("after").unwrap());
        assert_eq!(read_all(&acme, 40).right, 40);
        assert_eq!(read_all(&engine.tenant("globex").unwrap(), 40).right, 40);
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good(), "{report:#?}");
    }
}

/// Three writers, which ask for the tenant again when their handle has ended: whatever was acknowledged is there, in order.
/// What was damaged unnoticed in the old place is not taken for moved: the source is erased only once the copy has opened.
#[test]
fn a_file_of_which_the_copy_does_not_open_stays_where_it_is() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = create(&disk, &clock);
    let acme = filled(&engine, TenantOptions::new().region("eu"));
    acme.checkpoint().unwrap();
    let is_its =
        |path: &PathBuf| path.starts_with("/eu") && path.extension().is_some_and(|end| end == "redb");
    let of_acme = files_with(&disk, &marks_of(acme.id()));
    let file = of_acme.into_iter().find(is_its).unwrap();
    disk.flip(&file, 100, 1).unwrap();
    assert_eq!(refusal(move_to(&engine, "us")), ErrorKind::Unauthentic);
    assert_eq!(engine.tenant_info("acme").unwrap().region, "eu");
    assert_eq!(left_in(&disk, "us", &acme), Vec::<PathBuf>::new());
    disk.flip(&file, 100, 1).unwrap();
    let acme = engine.tenant("acme").unwrap();
    assert_eq!(read_all(&acme, 40).right, 40);
    move_to(&engine, "us").unwrap();
    assert_eq!(read_all(&engine.tenant("acme").unwrap(), 40).right, 40);
}

#[test]
fn writers_go_on_over_a_move_and_lose_nothing() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let config = store(&disk, 1, &clock).region("eu", RegionPaths::new("/eu"));
    let engine = Engine::create(config.region("us", RegionPaths::new("/us")).background(true)).unwrap();
    drop(filled(&engine, TenantOptions::new().region("eu")));
    let ended = AtomicBool::new(false);
    let last: [AtomicU64; 3] = Default::default();
    let mut again = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (engine, ended, last) = (&engine, &ended, &last[thread]);
                scope.spawn(move || {
                    let mut documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
                    let mut again = 0;
                    for number in 1.. {
                        while let Err(error) =
                            documents.put(format!("w-{thread}-{number}"), number.to_string())
                        {
                            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                            again += 1;
                            documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
                        }
                        last.store(number, Ordering::Release);
                        if ended.load(Ordering::Acquire) {
                            return again;
                        }
                    }
                    again
                })
            })
            .collect();
        for round in 0..6 {
            let before: Vec<_> = last.iter().map(|last| last.load(Ordering::Acquire)).collect();
            while last.iter().zip(&before).any(|(last, before)| last.load(Ordering::Acquire) < before + 20) {
                std::thread::yield_now();
            }
            move_to(&engine, ["us", "eu"][round % 2]).unwrap();
        }
        ended.store(true, Ordering::Release);
        again = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    assert!(again >= 6, "{again}");
    let killed = disk.power_loss(1, PowerLoss::DropAll);
    let engine = Engine::open(store(&killed, 2, &clock)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let documents = acme.collection("documents").unwrap();
    for (thread, last) in last.iter().enumerate() {
        for number in 1..=last.load(Ordering::Acquire) {
            let value = documents.get(format!("w-{thread}-{number}")).unwrap();
            assert_eq!(value.as_deref(), Some(number.to_string().as_bytes()), "{thread} {number}");
        }
    }
    assert_eq!(read_all(&acme, 40).right, 40);
    assert_eq!(left_in(&killed, "us", &acme), Vec::<PathBuf>::new());
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// A store that was moved in to one operation of the disk, and what a region must hold then.
fn whole_in_one_region(disk: &SimDisk, engine: &Engine, place: &str) -> String {
    let region = engine.tenant_info("acme").unwrap().region;
    let acme = engine.tenant("acme").unwrap();
    assert_eq!(read_all(&acme, 40).right, 40, "{place}");
    let documents = acme.collection("documents").unwrap();
    assert_eq!(documents.get("of").unwrap().as_deref(), Some(&b"value"[..]), "{place}");
    let other = if region == "eu" { "us" } else { "eu" };
    assert_eq!(left_in(disk, other, &acme), Vec::<PathBuf>::new(), "{place}");
    assert_eq!(engine.health().unwrap().tenants_unfinished, [], "{place}");
    assert_eq!(read_all(&engine.tenant("globex").unwrap(), 20).right, 20, "{place}");
    assert!(engine.verify(&mut |_| {}).unwrap().is_good(), "{place}");
    region
}

fn to_be_moved(dedicated: bool) -> (SimDisk, Arc<ManualClock>) {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = create(&disk, &clock);
    let globex = engine.create_tenant("globex", TenantOptions::new().region("eu")).unwrap();
    fill(&globex, 20).unwrap();
    let options = TenantOptions::new().region("eu");
    let acme = filled(&engine, if dedicated { options.dedicated() } else { options });
    acme.checkpoint().unwrap();
    fill(&acme, 20).unwrap();
    drop((acme, globex));
    engine.close().unwrap();
    (disk, clock)
}

#[test]
fn power_lost_at_any_operation_of_a_move_leaves_the_tenant_whole_in_one_region() {
    for dedicated in [false, true] {
        let (disk, clock) = to_be_moved(dedicated);
        let (mut stayed, mut moved) = (0, 0);
        for offset in 0.. {
            let live = disk.snapshot();
            let engine = Engine::open(store(&live, 2, &clock)).unwrap();
            engine.tenant("acme").unwrap();
            live.inject(Fault { at_operation: live.operations() + offset, kind: FaultKind::PowerOff });
            let is_over = move_to(&engine, "us").is_ok();
            drop(engine);
            let policies = [PowerLoss::DropAll, PowerLoss::Random, PowerLoss::KeepAll];
            for policy in [policies[(offset % 3) as usize], policies[((offset + 1) % 3) as usize]] {
                let place = format!("{policy:?} at {offset}");
                let mut after = live.power_loss(offset, policy);
                if offset % 4 == 0 {
                    // In recovery, too.
                    let at_operation = after.operations() + offset % 29;
                    after.inject(Fault { at_operation, kind: FaultKind::PowerOff });
                    drop(Engine::open(store(&after, 4, &clock)));
                    after = after.power_loss(offset, policy);
                }
                let engine = Engine::open(store(&after, 3, &clock)).unwrap();
                let region = whole_in_one_region(&after, &engine, &place);
                assert!(!is_over || region == "us", "{place}: reported as moved");
                if region == "us" {
                    moved += 1
                } else {
                    stayed += 1
                }
                // It can be moved from wherever it is.
                let acme = engine.tenant("acme").unwrap();
                acme.collection("documents").unwrap().put("after", "value").unwrap();
                move_to(&engine, if region == "eu" { "us" } else { "eu" }).unwrap();
                let there = engine.tenant("acme").unwrap().collection("documents").unwrap();
                assert!(there.contains("after").unwrap(), "{place}");
            }
            if is_over {
                note(&format!("a move of {offset} disk operations; {stayed} stayed, {moved} moved"));
                break;
            }
        }
        assert!(stayed > 20 && moved > 10, "{stayed} {moved}");
    }
}

/// Where the journal of the catalog fails at the switch, nobody may write to either before the store is opened again: it may
/// have moved.
#[test]
fn an_io_error_at_any_operation_of_a_move_loses_nothing_that_is_acknowledged_afterwards() {
    let (disk, clock) = to_be_moved(false);
    let (mut refused, mut moved) = (0, 0);
    for offset in 0.. {
        for kind in [FaultKind::Eio, FaultKind::FailedSync] {
            let live = disk.snapshot();
            let engine = Engine::open(store(&live, 2, &clock)).unwrap();
            engine.tenant("acme").unwrap();
            let at_operation = live.operations() + offset;
            live.inject(Fault { at_operation, kind });
            let outcome = move_to(&engine, "us");
            live.heal();
            let place = format!("{kind:?} at {offset}: {outcome:?}");
            moved += u64::from(engine.tenant_info("acme").unwrap().region == "us");
            // Whoever is let write may rely on it, whatever the journal of the catalog does.
            let put =
                engine.tenant("acme").and_then(|acme| acme.collection("documents")?.put("after", "value"));
            refused += u64::from(put.is_err());
            for policy in [PowerLoss::DropAll, PowerLoss::KeepAll] {
                let after = live.power_loss(offset, policy);
                let engine = Engine::open(store(&after, 3, &clock)).unwrap();
                whole_in_one_region(&after, &engine, &place);
                let there = engine.tenant("acme").unwrap().collection("documents").unwrap();
                assert!(put.is_err() || there.contains("after").unwrap(), "{place}");
            }
            // Without a crash a sweep clears what is left, unless the journal takes nothing.
            if engine.sweep().is_ok() {
                whole_in_one_region(&live, &engine, &place);
            }
            if live.operations() <= at_operation {
                note(&format!("{moved} moved, {refused} refused a write"));
                assert!(moved > 10 && refused > 0, "{moved} {refused}");
                return;
            }
        }
    }
}

#[test]
fn what_is_left_where_the_volume_is_gone_is_destroyed_when_it_is_back() {
    let (disk, clock) = to_be_moved(false);
    let engine = Engine::open(store(&disk, 2, &clock)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    disk.detach("/us");
    assert_eq!(refusal(move_to(&engine, "us")), ErrorKind::Unavailable);
    disk.attach("/us");
    // It goes while the tenant is copied.
    let mut copied = 0;
    let moved = engine.move_tenant("acme", "us", MoveOptions::new().override_residency(), &mut |bytes| {
        copied += bytes;
        disk.detach("/us.keys");
    });
    assert!(moved.is_err() && copied > 0);
    assert_eq!(engine.health().unwrap().tenants_unfinished.len(), 1);
    assert_eq!(engine.tenant_info("acme").unwrap().region, "eu");
    assert_eq!(read_all(&engine.tenant("acme").unwrap(), 40).right, 40);
    assert_eq!(refusal(move_to(&engine, "us")), ErrorKind::Unavailable);
    disk.attach("/us.keys");
    assert_eq!(refusal(move_to(&engine, "us")), ErrorKind::Busy);
    assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Busy);
    engine.sweep().unwrap();
    assert!(left_in(&disk, "us", &acme).is_empty());
    move_to(&engine, "us").unwrap();
    whole_in_one_region(&disk, &engine, "");
    engine.suspend_tenant("acme").unwrap();
    move_to(&engine, "eu").unwrap();
    let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
    assert_eq!(refusal(documents.get("of")), ErrorKind::Suspended);
    engine.erase_tenant("acme").unwrap();
    assert_eq!(files_with(&disk, &marks_of(acme.id())), Vec::<PathBuf>::new());
}
