//! Erased: nothing of the tenant is in any file, no copy of its data can be read with the key store of today, and whoever
//! holds a handle is told so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom::simulation::{Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, PutOptions, ScanOptions, TenantId, TenantOptions};

use super::{START_MS, config_at, new_store};
use crate::support::{fill, read_all, refusal};

/// Files that hold any of some bytes, or have them in their names.
pub(super) fn files_with(disk: &SimDisk, needles: &[Vec<u8>]) -> Vec<PathBuf> {
    let mut by_first: Vec<Vec<&Vec<u8>>> = vec![Vec::new(); 256];
    needles.iter().for_each(|needle| by_first[usize::from(needle[0])].push(needle));
    let holds = |path: &PathBuf| {
        let bytes = disk.read_file(path).unwrap_or_default();
        let named = path
            .file_name()
            .is_some_and(|name| needles.iter().any(|needle| name.as_encoded_bytes().starts_with(needle)));
        let is_there =
            |at: usize| by_first[usize::from(bytes[at])].iter().any(|needle| bytes[at..].starts_with(needle));
        named || (0..bytes.len()).any(is_there)
    };
    // The ledger says what was destroyed, and stays.
    let paths = disk.paths().into_iter();
    paths
        .filter(|path| path.extension().is_none_or(|extension| extension != "ledger"))
        .filter(holds)
        .collect()
}

/// What names a tenant in files: its id, as bytes and as text.
pub(super) fn marks_of(id: TenantId) -> Vec<Vec<u8>> {
    vec![id.as_bytes().to_vec(), id.to_string().into_bytes()]
}

/// The wrapped section keys and the sealed keys of all slots, in a keyring or a file of subject slots.
fn wrapped_in(disk: &SimDisk, path: &Path) -> Vec<Vec<u8>> {
    let bytes = disk.read_file(path).unwrap_or_default();
    let header = bytes.get(136..2_184).unwrap_or_default().as_chunks::<1_024>().0;
    let sections = header.iter().map(|wrapped| wrapped[..64].to_vec());
    let slots = bytes.get(4 * 4_096..).unwrap_or_default().as_chunks::<128>().0;
    let keys = slots.iter().map(|slot| slot[24..72].to_vec());
    sections.chain(keys).filter(|key| key.iter().any(|byte| *byte != 0)).collect()
}

#[test]
fn the_ledger_of_an_erased_tenant_stays_and_says_so_at_its_end() {
    let (disk, _clock, engine, acme, _globex) = new_store();
    let ledger = Path::new("/store.keys").join(format!("{}.ledger", acme.id()));
    let people = acme.collection("people").unwrap();
    people.put_with("one", "value", PutOptions::new().subject("one")).unwrap();
    acme.erase_subject("one").unwrap();
    let before = disk.read_file(&ledger).unwrap();
    engine.erase_tenant("acme").unwrap();
    let after = disk.read_file(&ledger).unwrap();
    assert!(after.starts_with(&before) && after.len() == before.len() + 128, "one entry more");
    assert_eq!(after[before.len() + 16], 16, "it is of the tenant");
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.is_good() && report.unknown_files.is_empty(), "{report:?}");
}

/// With subject keys, a large value, more in the journal than in the file, and a lane of its own or not.
#[test]
fn nothing_of_an_erased_tenant_is_in_any_file() {
    for (dedicated, in_file, is_open) in [
        (false, false, true),
        (false, true, true),
        (true, true, true),
        (true, false, false),
        (false, true, false),
    ] {
        let (disk, clock, engine, acme, globex) = new_store();
        drop(acme);
        let options = if dedicated { TenantOptions::new().dedicated() } else { TenantOptions::new() };
        let initech = engine.create_tenant("initech", options).unwrap();
        fill(&initech, 40).unwrap();
        let documents = initech.collection("documents").unwrap();
        for subject in 0..40 {
            let options = PutOptions::new().subject(format!("user-{subject}"));
            documents.put_with(format!("of-{subject}"), "value", options).unwrap();
        }
        if in_file {
            documents.put_reader("large", &vec![3; 3 << 20][..], PutOptions::new()).unwrap();
            initech.checkpoint().unwrap();
            fill(&initech, 20).unwrap();
        }
        let id = initech.id();
        let keys =
            [format!("{id}.keyring"), format!("{id}.slots")].map(|name| Path::new("/store.keys").join(name));
        let wrapped: Vec<_> = keys.iter().flat_map(|path| wrapped_in(&disk, path)).collect();
        assert!(wrapped.len() > 40, "{}", wrapped.len());
        assert!(files_with(&disk, &marks_of(id)).len() >= 3);
        let mut held = Some((initech, documents));
        let engine = if is_open {
            engine
        } else {
            held = None;
            drop(globex.clone());
            engine.close().unwrap();
            Engine::open(config_at(&disk, 2, &clock)).unwrap()
        };

        engine.erase_tenant("initech").unwrap();
        assert_eq!(files_with(&disk, &marks_of(id)), Vec::<PathBuf>::new(), "{dedicated} {in_file}");
        assert_eq!(files_with(&disk, &wrapped), Vec::<PathBuf>::new());
        assert_eq!(refusal(engine.tenant("initech")), ErrorKind::NotFound);
        assert_eq!(refusal(engine.erase_tenant("initech")), ErrorKind::NotFound);
        if let Some((initech, documents)) = held {
            assert_eq!(refusal(documents.get("key-00001")), ErrorKind::NotFound);
            assert_eq!(refusal(documents.put("key-00001", "value")), ErrorKind::NotFound);
            assert_eq!(refusal(documents.scan_with(ScanOptions::new())), ErrorKind::NotFound);
            assert!(initech.rotate_data_key().is_err() && initech.checkpoint().is_err());
            assert!(initech.rewrite(&mut |_, _| {}).is_err());
            drop((documents, initech));
            engine.tick().unwrap();
            assert_eq!(files_with(&disk, &marks_of(id)), Vec::<PathBuf>::new());
        }
        // The others have everything, here and after a kill, what they had in the journal too.
        for disk in [disk.power_loss(1, PowerLoss::DropAll), disk.power_loss(2, PowerLoss::KeepAll)] {
            let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
            for name in ["acme", "globex"] {
                assert_eq!(read_all(&engine.tenant(name).unwrap(), 40).right, 40);
            }
            let report = engine.verify(&mut |_| {}).unwrap();
            assert!(report.is_good() && report.tenants.len() == 3, "{report:?}");
            engine.create_tenant("initech", TenantOptions::new()).unwrap();
        }
    }
}

/// The data directory of before with the key store of today, its rollback accepted: the erased tenant can't be read, every
/// other one can.
#[test]
fn a_copy_of_the_data_of_an_erased_tenant_is_unreadable_with_the_keys_of_today() {
    let (disk, clock, engine, acme, globex) = new_store();
    acme.checkpoint().unwrap();
    globex.checkpoint().unwrap();
    engine.flush().unwrap();
    let copy = disk.power_loss(1, PowerLoss::KeepAll);
    let opened = |keys: &SimDisk| {
        let mixed = copy.snapshot();
        let of_keys = |path: &PathBuf| path.starts_with("/store.keys");
        for path in mixed.paths().into_iter().filter(of_keys) {
            mixed.remove(&path).unwrap();
        }
        for path in keys.paths().into_iter().filter(of_keys) {
            mixed.write_file(&path, keys.read_file(&path).unwrap()).unwrap();
        }
        Engine::open(config_at(&mixed, 9, &clock).accept_rollback(true)).unwrap()
    };
    // Neither a removal nor a suspension: those are a matter of the catalog.
    engine.remove_tenant("acme", super::DAY).unwrap();
    let before = opened(&disk);
    assert_eq!(read_all(&before.tenant("acme").unwrap(), 40).right, 40);
    engine.erase_tenant("acme").unwrap();
    let after = opened(&disk);
    assert_eq!(refusal(after.tenant("acme")), ErrorKind::KeyMissing);
    assert_eq!(read_all(&after.tenant("globex").unwrap(), 40).right, 40);
    // With the keys of then it can: that is what makes this a test.
    let old = opened(&copy);
    assert_eq!(read_all(&old.tenant("acme").unwrap(), 40).right, 40);
}

/// Readers and writers of two tenants while one of them is erased: nobody gets a wrong answer, nothing panics, and the
/// other one's are all served.
#[test]
fn an_erasure_among_readers_and_writers_concerns_its_tenant_alone() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let engine = Engine::create(config_at(&disk, 1, &clock).background(true)).unwrap();
    let globex = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    fill(&globex, 40).unwrap();
    for _ in 0..6 {
        let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
        fill(&acme, 40).unwrap();
        let id = acme.id();
        std::thread::scope(|scope| {
            let (acme, globex) = (&acme, &globex);
            let mut threads = Vec::new();
            for thread in 0..3 {
                threads.push(scope.spawn(move || {
                    let documents = acme.collection("documents").unwrap();
                    for index in 0.. {
                        let outcome = match thread {
                            0 => documents.put(format!("more-{index}"), "value").map(|_| ()),
                            1 => documents.get("key-00003").map(|value| {
                                assert_eq!(value.unwrap()[..], crate::support::value_of("acme", 3))
                            }),
                            _ => documents
                                .scan_with(ScanOptions::new().limit(20))
                                .and_then(|mut scan| scan.try_for_each(|entry| entry.map(drop))),
                        };
                        if let Err(error) = outcome {
                            // What was under way when the files were closed is told to look again.
                            let told = [ErrorKind::NotFound, ErrorKind::Poisoned, ErrorKind::SnapshotExpired];
                            assert!(told.contains(&error.kind()), "{error}");
                            if error.kind() == ErrorKind::NotFound {
                                return;
                            }
                        }
                    }
                }));
            }
            let others = scope.spawn(move || {
                let documents = globex.collection("documents").unwrap();
                for index in 0..200 {
                    documents.put("more", index.to_string()).unwrap();
                    assert_eq!(documents.get("more").unwrap().unwrap()[..], *index.to_string().as_bytes());
                }
            });
            while acme.stats().is_ok_and(|stats| stats.records < 50) {
                std::thread::yield_now();
            }
            engine.erase_tenant("acme").unwrap();
            others.join().unwrap();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        drop(acme);
        assert_eq!(files_with(&disk, &marks_of(id)), Vec::<PathBuf>::new());
    }
    assert_eq!(read_all(&globex, 40).right, 40);
}

/// An I/O error at each operation: the tenant is gone or there, and a sweep finishes what was begun.
#[test]
fn an_erasure_that_the_disk_interrupts_is_finished_by_a_sweep() {
    let (disk, clock, engine, acme, globex) = new_store();
    acme.checkpoint().unwrap();
    globex.checkpoint().unwrap();
    fill(&acme, 10).unwrap();
    fill(&globex, 10).unwrap();
    let id = acme.id();
    drop((acme, globex));
    engine.close().unwrap();
    let mut interrupted = 0;
    for offset in 0.. {
        let disk = disk.snapshot();
        let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
        engine.tenant("acme").unwrap();
        let at_operation = disk.operations() + offset;
        disk.inject(Fault { at_operation, kind: FaultKind::Eio });
        let outcome = engine.erase_tenant("acme");
        disk.heal();
        let is_past = disk.operations() <= at_operation;
        match &outcome {
            Ok(()) => {}
            Err(_) if engine.tenant_info("acme").is_ok() => {
                assert_eq!(read_all(&engine.tenant("acme").unwrap(), 40).right, 40);
                continue;
            }
            Err(error) => {
                assert!(error.to_string().contains("is being erased"), "{error}");
                let health = engine.health().unwrap();
                assert_eq!(health.tenants_unfinished, [(id, error.kind())]);
                assert!(health.problems().iter().any(|problem| problem.contains("a sweep tries again")));
                interrupted += 1;
            }
        }
        let engine = match engine.sweep() {
            // A journal that failed to sync takes nothing more until the store is opened again, which finishes it too.
            Err(error) if error.kind() == ErrorKind::Poisoned => {
                drop(engine);
                Engine::open(config_at(&disk, 3, &clock)).unwrap()
            }
            swept => swept.map(|_| engine).unwrap(),
        };
        assert_eq!(files_with(&disk, &marks_of(id)), Vec::<PathBuf>::new(), "{offset}");
        assert!(engine.health().unwrap().tenants_unfinished.is_empty());
        assert_eq!(read_all(&engine.tenant("globex").unwrap(), 40).right, 40);
        if is_past {
            break;
        }
    }
    assert!(interrupted > 8, "{interrupted}");
}

/// Neither at once nor when its window is over; what has expired and is not held is swept meanwhile.
#[test]
fn a_tenant_of_which_anything_is_held_is_not_erased_before_that_is_released() {
    for is_open in [true, false] {
        let (disk, clock, engine, acme, globex) = new_store();
        let id = acme.id();
        let documents = acme.collection("documents").unwrap();
        let options = PutOptions::new().ttl(std::time::Duration::from_secs(1));
        documents.put_with("expires", "value", options).unwrap();
        let held =
            strongroom::Selector::Record { collection: "documents".into(), key: b"key-00007".to_vec() };
        acme.hold("case-17", held).unwrap();
        let engine = if is_open {
            engine
        } else {
            drop((acme, globex, documents));
            engine.close().unwrap();
            Engine::open(config_at(&disk, 2, &clock)).unwrap()
        };
        assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
        assert_eq!(read_all(&engine.tenant("acme").unwrap(), 40).right, 40);
        engine.remove_tenant("acme", std::time::Duration::from_mins(1)).unwrap();
        assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
        clock.set(START_MS + 120_000);
        assert_eq!(engine.sweep().unwrap().records, 1);
        assert_eq!(engine.tenants().unwrap().len(), 2);
        // Its window is over, but somebody has to be able to release the hold.
        engine.restore_tenant("acme").unwrap();
        let acme = engine.tenant("acme").unwrap();
        assert_eq!(read_all(&acme, 40).right, 40);
        acme.release_hold("case-17").unwrap();
        engine.erase_tenant("acme").unwrap();
        assert_eq!(files_with(&disk, &marks_of(id)), Vec::<PathBuf>::new());
    }
    let (disk, _clock, engine, acme, _globex) = new_store();
    acme.hold("case-17", strongroom::Selector::Tenant).unwrap();
    assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
    acme.release_hold("case-17").unwrap();
    engine.erase_tenant("acme").unwrap();
    assert_eq!(files_with(&disk, &marks_of(acme.id())), Vec::<PathBuf>::new());
}

/// Where a region's volume is not mounted, nothing is begun.
#[test]
fn an_erasure_waits_for_its_region() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let config = config_at(&disk, 1, &clock).region("eu", strongroom::RegionPaths::new("/eu"));
    let engine = Engine::create(config).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new().region("eu")).unwrap();
    fill(&acme, 10).unwrap();
    disk.detach("/eu");
    assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Unavailable);
    disk.attach("/eu");
    assert_eq!(read_all(&acme, 10).right, 10);
    engine.erase_tenant("acme").unwrap();
    assert_eq!(files_with(&disk, &marks_of(acme.id())), Vec::<PathBuf>::new());
}
