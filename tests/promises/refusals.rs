//! Promise: bad input and a failing disk get a clear error, nothing acknowledged is lost, and the store works again once
//! it is mended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use strongroom::simulation::{Disk, Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Config, Engine, ErrorKind, KeyFile, Passphrase, RegionPaths, TenantOptions};

use crate::support::{ROOT_KEY, STORE, config, fill, key_of, read_all, small_store};

fn contents(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.paths().into_iter().map(|path| (path.clone(), disk.read_file(&path).unwrap())).collect()
}

fn kind_of<T>(result: strongroom::Result<T>) -> ErrorKind {
    result.err().expect("it should have been refused").kind()
}

#[test]
fn a_wrong_key_is_key_unavailable_and_changes_no_file() {
    let disk = SimDisk::new();
    small_store(&disk, 5).unwrap();
    let other = SimDisk::new();
    small_store(&other, 0).unwrap();
    let before = contents(&disk);
    let wrong_file = config(&disk, 2).key_provider("default", KeyFile::at(ROOT_KEY).on_disk(Arc::new(other)));
    assert_eq!(kind_of(Engine::open(wrong_file)), ErrorKind::KeyUnavailable);
    let passphrase = config(&disk, 2).key_provider("default", Passphrase::new(*b"not even a key file"));
    assert_eq!(kind_of(Engine::open(passphrase)), ErrorKind::KeyUnavailable);
    let none = Config::new(STORE).disk(Arc::new(disk.clone()));
    assert_eq!(kind_of(Engine::open(none)), ErrorKind::KeyUnavailable);
    assert!(contents(&disk) == before, "a file changed");
    disk.set_mode(ROOT_KEY, 0o644).unwrap();
    assert_eq!(kind_of(Engine::open(config(&disk, 2))), ErrorKind::KeyUnavailable);
    disk.set_mode(ROOT_KEY, 0o640).unwrap();
    assert_eq!(kind_of(Engine::open(config(&disk, 2))), ErrorKind::KeyUnavailable);
    let group = KeyFile::at(ROOT_KEY).allow_group_read().on_disk(Arc::new(disk.clone()));
    assert!(Engine::open(config(&disk, 2).key_provider("default", group)).is_ok());
}

/// Whoever fills a batch may put another one in its place.
#[test]
fn a_batch_of_another_tenant_is_neither_submitted_nor_written() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1)).unwrap();
    let [ours, theirs] =
        ["ours", "theirs"].map(|name| engine.create_tenant(name, TenantOptions::new()).unwrap());
    let sealed = || {
        let mut batch = theirs.batch();
        batch.put(&theirs.collection("c")?, b"k", b"secret")?;
        Ok(batch)
    };
    let swapped = ours.write(|batch| {
        *batch = sealed()?;
        Ok(())
    });
    assert_eq!(kind_of(swapped), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(ours.submit(sealed().unwrap())), ErrorKind::InvalidArgument);
    assert_eq!(ours.stats().unwrap().records, 0);
    theirs.write(|batch| sealed().map(|sealed| *batch = sealed)).unwrap();
    assert_eq!(theirs.collection("c").unwrap().get(b"k").unwrap().as_deref(), Some(&b"secret"[..]));
}

#[test]
fn nothing_is_ever_created_over_anything() {
    let disk = SimDisk::new();
    small_store(&disk, 1).unwrap();
    let before = contents(&disk);
    assert_eq!(kind_of(Engine::create(config(&disk, 2))), ErrorKind::AlreadyExists);
    assert!(contents(&disk) == before);
    for path in disk.paths() {
        // One file of it is enough.
        let lone = SimDisk::new();
        lone.create_dir_all(path.parent().unwrap()).unwrap();
        lone.write_file(&path, &before[&path]).unwrap();
        assert_eq!(kind_of(Engine::create(config(&lone, 2))), ErrorKind::AlreadyExists, "{}", path.display());
        assert_eq!(contents(&lone).len(), 1, "{}", path.display());
    }
}

#[test]
fn open_never_creates_and_says_that_the_volume_is_missing() {
    let disk = SimDisk::new();
    assert_eq!(kind_of(Engine::open(config(&disk, 1))), ErrorKind::Unavailable);
    assert!(disk.paths().is_empty());
    small_store(&disk, 1).unwrap();
    for directory in ["/store", "/store.keys"] {
        disk.detach(directory);
        assert_eq!(kind_of(Engine::open(config(&disk, 1))), ErrorKind::Unavailable, "{directory}");
        disk.attach(directory);
    }
    assert!(Engine::open(config(&disk, 1)).is_ok());
}

#[test]
fn directories_that_lie_in_each_other_are_refused() {
    let disk = SimDisk::new();
    let base = config(&disk, 1);
    let key_at = |path: &str| KeyFile::at(path).on_disk(Arc::new(disk.clone()));
    for refused in [
        base.clone().keys("/store/keys"),
        base.clone().keys("/"),
        base.clone().keys("/store"),
        base.clone().region("eu", RegionPaths::new("/store/eu")),
        base.clone().region("eu", RegionPaths::new("/eu").keys("/store.keys/eu")),
        base.clone().region("eu", RegionPaths::new("/eu")).region("us", RegionPaths::new("/eu/us")),
        base.clone().region("default", RegionPaths::new("/eu")),
        base.clone().region("EU", RegionPaths::new("/eu")),
        base.clone().key_provider("default", key_at("/store/root-key")),
        base.clone().key_provider("default", key_at("/store.keys/root-key")),
    ] {
        assert_eq!(kind_of(Engine::create(refused)), ErrorKind::InvalidArgument);
    }
    assert!(disk.paths().is_empty());
}

#[test]
fn a_second_opening_is_busy_and_names_the_process() {
    let disk = SimDisk::new();
    small_store(&disk, 1).unwrap();
    let engine = Engine::open(config(&disk, 1)).unwrap();
    let refused = Engine::open(config(&disk, 2)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(
        refused.is_retryable() && refused.to_string().contains(&format!("process {}", std::process::id()))
    );
    let tenant = engine.tenant("acme").unwrap();
    engine.close().unwrap();
    assert_eq!(kind_of(tenant.collections()), ErrorKind::Poisoned);
    let again = Engine::open(config(&disk, 2)).unwrap();
    assert_eq!(
        kind_of(tenant.collections()),
        ErrorKind::Poisoned,
        "an old handle does not come back to life"
    );
    drop(again);
    // Without close, the lock lives as long as any handle.
    let tenant = Engine::open(config(&disk, 3)).unwrap().tenant("acme").unwrap();
    assert_eq!(kind_of(Engine::open(config(&disk, 4))), ErrorKind::Busy);
    drop(tenant);
    assert!(Engine::open(config(&disk, 4)).is_ok());
}

#[test]
fn a_missing_region_stops_its_own_tenants_only_and_they_work_again_once_it_is_back() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1).region("eu", RegionPaths::new("/eu"))).unwrap();
    for (name, region) in [("acme", "default"), ("globex", "eu")] {
        fill(&engine.create_tenant(name, TenantOptions::new().region(region)).unwrap(), 5).unwrap();
    }
    engine.close().unwrap();
    disk.detach("/eu");
    let engine = Engine::open(config(&disk, 2)).unwrap();
    assert_eq!(kind_of(engine.tenant("globex")), ErrorKind::Unavailable);
    assert_eq!(read_all(&engine.tenant("acme").unwrap(), 5).right, 5);
    let problems = engine.regions().unwrap().into_iter().filter(|region| region.problem.is_some());
    assert_eq!(problems.map(|region| region.name).collect::<Vec<_>>(), ["eu"]);
    assert!(!engine.verify(&mut |_| {}).unwrap().is_good());
    disk.attach("/eu");
    assert_eq!(read_all(&engine.tenant("globex").unwrap(), 5).right, 5);
    // An empty directory where the volume should be is not an empty region.
    engine.close().unwrap();
    disk.remove("/eu").unwrap();
    disk.create_dir_all(Path::new("/eu")).unwrap();
    assert_eq!(kind_of(Engine::open(config(&disk, 3)).unwrap().tenant("globex")), ErrorKind::Unavailable);
}

/// What becomes of a put, and of the next one, when the disk fails at one operation.
#[derive(Debug, Default, PartialEq, Eq)]
struct Struck {
    /// The put failed.
    failed: usize,
    /// The next put failed too, until the store was opened again.
    poisoned: usize,
}

#[test]
fn a_disk_that_fails_at_any_operation_of_a_put_loses_nothing_and_works_again() {
    for (kind, poisons) in [
        // Of a put's operations, one is the sync that makes it durable. After that one failed, nothing tells what is on
        // the disk: then, and only then, the store has to be opened again.
        (FaultKind::Eio, 1),
        // This fault waits for a sync, from the write before it on.
        (FaultKind::FailedSync, 2),
        (FaultKind::Enospc, 0),
        (FaultKind::ShortWrite, 0),
    ] {
        let mut struck = Struck::default();
        for offset in 0..60 {
            let disk = SimDisk::new();
            small_store(&disk, 12).unwrap();
            let engine = Engine::open(config(&disk, 3)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let documents = tenant.collection("documents").unwrap();
            disk.inject(Fault { at_operation: disk.operations() + offset, kind });
            // Large enough that the file has to grow.
            let put = documents.put(b"new", vec![5; 300_000]);
            if let Err(error) = &put {
                struck.failed += 1;
                assert_eq!(error.kind(), ErrorKind::Io, "{kind:?} at {offset}: {error:?}");
            }
            disk.heal();
            // In the same process, with the same handles.
            assert_eq!(read_all(&tenant, 12).right, 12, "{kind:?} at {offset}");
            let new = documents.get(b"new").unwrap();
            assert!(
                new.is_some() == put.is_ok(),
                "{kind:?} at {offset}: acknowledged and lost, or refused and there"
            );
            assert_eq!(read_all(&engine.tenant("globex").unwrap(), 12).right, 12);
            let after = documents.put(b"after", b"works again");
            let reopened = after.is_err().then(|| {
                let error = after.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Poisoned, "{kind:?} at {offset}: {error:?}");
                assert!(put.is_err(), "{kind:?} at {offset}: a put that succeeded poisoned the journal");
                struck.poisoned += 1;
                drop((tenant, documents, engine));
                Engine::open(config(&disk, 4))
                    .unwrap_or_else(|error| panic!("{kind:?} at {offset}: {error:?}"))
            });
            if let Some(engine) = &reopened {
                let tenant = engine.tenant("acme").unwrap();
                assert_eq!(read_all(&tenant, 12).right, 12, "{kind:?} at {offset}, opened again");
                tenant.collection("documents").unwrap().put(b"after", b"works again").unwrap();
                assert_eq!(read_all(&engine.tenant("globex").unwrap(), 12).right, 12);
            }
            // Whatever was acknowledged is on the disk, and not only in its cache.
            let after = disk.power_loss(offset, PowerLoss::DropAll);
            let engine = Engine::open(config(&after, 5)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            assert_eq!(read_all(&tenant, 12).right, 12, "{kind:?} at {offset}, after the power went");
            let documents = tenant.collection("documents").unwrap();
            assert_eq!(
                documents.get(b"after").unwrap().as_deref(),
                Some(&b"works again"[..]),
                "{kind:?} at {offset}"
            );
            assert!(put.is_err() || documents.get(b"new").unwrap().is_some(), "{kind:?} at {offset}");
            assert_eq!(read_all(&engine.tenant("globex").unwrap(), 12).right, 12, "{kind:?} at {offset}");
        }
        println!("{kind:?}: {struck:?}");
        assert!(struck.failed >= 2, "{kind:?} struck only {} times", struck.failed);
        assert_eq!(struck.poisoned, poisons, "{kind:?}");
    }
}

#[test]
fn a_full_disk_fails_the_put_and_works_again_when_there_is_room() {
    let disk = SimDisk::new();
    small_store(&disk, 12).unwrap();
    let engine = Engine::open(config(&disk, 3)).unwrap();
    let tenant = engine.tenant("acme").unwrap();
    let documents = tenant.collection("documents").unwrap();
    let used: u64 = disk.paths().iter().map(|path| disk.info(path).unwrap().allocated_bytes).sum();
    disk.set_capacity(Some(used + 40_000));
    let mut acknowledged = 0_usize;
    let refused = loop {
        match documents.put(format!("big-{acknowledged}"), vec![7; 10_000]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100, "the disk never filled up");
    };
    assert_eq!(refused.kind(), ErrorKind::Io);
    disk.set_capacity(None);
    for index in 0..acknowledged {
        assert!(documents.get(format!("big-{index}")).unwrap().is_some());
    }
    documents.put(b"after", b"works again").unwrap();
    assert_eq!(read_all(&tenant, 12).right, 12);
}

/// The store under a condition of the disk, and after it has passed.
fn while_disk_is(set: fn(&SimDisk), unset: fn(&SimDisk)) {
    let disk = SimDisk::new();
    small_store(&disk, 12).unwrap();
    let before = contents(&disk);
    set(&disk);
    let refused = Engine::open(config(&disk, 2)).expect_err("it can't be locked");
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused:?}");
    assert!(refused.to_string().contains("/store"), "{refused}");
    unset(&disk);
    assert!(contents(&disk) == before, "a file changed");

    let engine = Engine::open(config(&disk, 3)).unwrap();
    let (acme, globex) = (engine.tenant("acme").unwrap(), engine.tenant("globex").unwrap());
    acme.collection("documents").unwrap().put(b"first", b"acknowledged").unwrap();
    set(&disk);
    assert_eq!(kind_of(engine.create_tenant("initech", TenantOptions::new())), ErrorKind::Io);
    let put = acme.collection("documents").unwrap().put(b"second", vec![5; 300_000]);
    let during = read_all(&acme, 12);
    assert!(during.wrong == 0 && during.kinds.iter().all(|kind| *kind == ErrorKind::Io), "{during:?}");
    assert_eq!(read_all(&globex, 12).right, 12);
    unset(&disk);
    // In the same process, with the same handles.
    let documents = acme.collection("documents").unwrap();
    assert_eq!(documents.get(b"first").unwrap().as_deref(), Some(&b"acknowledged"[..]));
    assert!(put.is_err() || documents.get(b"second").unwrap().is_some());
    documents.put(b"after", b"works again").unwrap();
    assert_eq!(read_all(&acme, 12).right, 12);
    assert_eq!(kind_of(engine.tenant("initech")), ErrorKind::NotFound);
    engine.create_tenant("initech", TenantOptions::new()).unwrap();
}

#[test]
fn a_disk_that_is_read_only_refuses_writes_with_its_cause_and_works_again() {
    while_disk_is(|disk| disk.read_only(true), |disk| disk.read_only(false));
}

#[test]
fn a_directory_without_permission_refuses_with_its_cause_and_works_again() {
    while_disk_is(|disk| disk.deny(STORE), |disk| disk.allow(STORE));
    while_disk_is(|disk| disk.deny("/store.keys"), |disk| disk.allow("/store.keys"));
}

#[test]
fn a_failing_read_of_one_tenant_passes_and_stops_no_other() {
    let disk = SimDisk::new();
    small_store(&disk, 30).unwrap();
    let engine = Engine::open(config(&disk, 3)).unwrap();
    let globex = engine.tenant("globex").unwrap();
    for offset in 0..12 {
        disk.inject(Fault { at_operation: disk.reads() + offset, kind: FaultKind::ReadEio });
        let _ = engine.tenant("acme").map(|tenant| read_all(&tenant, 30));
        disk.heal();
        assert_eq!(read_all(&globex, 30).right, 30);
        assert_eq!(read_all(&engine.tenant("acme").unwrap(), 30).right, 30, "read {offset}");
    }
}

#[test]
fn foreign_empty_cut_and_newer_files_are_refused_by_name_and_not_replaced() {
    let disk = SimDisk::new();
    small_store(&disk, 5).unwrap();
    let names = ["strongroom.marker", ".keyring", ".redb"];
    for path in disk
        .paths()
        .into_iter()
        .filter(|path| names.iter().any(|name| path.to_str().unwrap().ends_with(name)))
    {
        let bytes = disk.read_file(&path).unwrap();
        // Both copies of a keyring's header lie in its first two blocks.
        let twice = if path.to_str().unwrap().ends_with(".keyring") { vec![0, 4_096] } else { vec![0] };
        let patched = |offset: usize, value: u8| {
            let mut bytes = bytes.clone();
            twice.iter().for_each(|copy| bytes[copy + offset] = value);
            bytes
        };
        let cases = [
            ("empty", Vec::new(), vec![ErrorKind::Corrupted]),
            ("cut", bytes[..bytes.len() / 2 / 512 * 512 + 100].to_vec(), vec![ErrorKind::Corrupted]),
            ("foreign", patched(0, b'x'), vec![ErrorKind::UnsupportedFormat]),
            ("a newer version", patched(8, 2), vec![ErrorKind::UnsupportedFormat]),
            ("a newer feature", patched(12, 1), vec![ErrorKind::UnsupportedFormat]),
        ];
        for (name, altered, kinds) in cases {
            let disk = disk.snapshot();
            disk.write_file(&path, &altered).unwrap();
            let opened = Engine::open(config(&disk, 2));
            let refused = match &opened {
                Err(error) => format!("{error:?}"),
                Ok(engine) => {
                    let errors: Vec<_> = ["acme", "globex"]
                        .iter()
                        .filter_map(|name| engine.tenant(name).err())
                        .map(|error| format!("{error:?}"))
                        .collect();
                    assert_eq!(errors.len(), 1, "{name} {}: one tenant's file, one tenant", path.display());
                    errors[0].clone()
                }
            };
            assert!(
                kinds.iter().any(|kind| refused.starts_with(kind.name())),
                "{name} {}: {refused}",
                path.display()
            );
            assert!(
                refused.contains(path.to_str().unwrap()),
                "{name}: {refused} does not name {}",
                path.display()
            );
            drop(opened);
            assert!(disk.read_file(&path).unwrap() == altered, "{name} {}: it was replaced", path.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_stored_or_refused_by_rule_and_is_never_a_path(
        name in prop_oneof![
            any::<String>(),
            "[./\\\\~ ]{1,12}",
            Just("../../etc/passwd".to_owned()),
            Just("x".repeat(10_000)),
            Just("nul\0".to_owned()),
        ],
    ) {
        let disk = SimDisk::new();
        let engine = Engine::create(config(&disk, 1)).unwrap();
        let allowed = !name.is_empty()
            && name.len() <= 255
            && !name.chars().any(char::is_control)
            && name.trim() == name;
        match engine.create_tenant(&name, TenantOptions::new()) {
            Ok(tenant) => {
                prop_assert!(allowed);
                tenant.collection(&name).unwrap().put(&name, b"value").unwrap();
                prop_assert_eq!(&engine.tenants().unwrap()[0].name, &name);
                prop_assert_eq!(kind_of(engine.create_tenant(&name, TenantOptions::new())), ErrorKind::AlreadyExists);
            }
            Err(error) => {
                prop_assert!(!allowed);
                prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
        }
        for path in disk.paths() {
            let inside = ["/store/", "/store.keys/"].iter().any(|directory| path.starts_with(directory));
            prop_assert!(inside || path == Path::new(ROOT_KEY), "{}", path.display());
            prop_assert!(name.len() < 4 || !path.to_str().unwrap().contains(&name) || "/store.keys".contains(&name));
        }
    }
}

#[test]
fn keys_values_and_batches_out_of_bounds_are_refused_and_change_nothing() {
    let disk = SimDisk::new();
    let engine = Engine::create(config(&disk, 1)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let globex = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    let documents = acme.collection("documents").unwrap();
    assert_eq!(kind_of(documents.put(b"", b"")), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(documents.put([0; 4_097], b"")), ErrorKind::LimitExceeded);
    assert_eq!(kind_of(documents.put(b"k", vec![0; (1 << 20) + 1])), ErrorKind::LimitExceeded);
    let stranger = globex.write(|batch| batch.put(&documents, b"k", b"v"));
    assert_eq!(kind_of(stranger), ErrorKind::InvalidArgument);
    let too_much = acme.write(|batch| {
        batch.put(&documents, key_of(0), b"v")?;
        (0..65).try_for_each(|index| batch.put(&documents, key_of(index), vec![0; 1 << 20]))
    });
    assert_eq!(kind_of(too_much), ErrorKind::LimitExceeded);
    assert!(acme.collections().unwrap().len() <= 1 && documents.scan::<&[u8]>(..).unwrap().next().is_none());
    documents.put([0; 4_096], vec![9; 1 << 20]).unwrap();
    documents.put([1], b"").unwrap();
    assert_eq!(documents.get([0; 4_096]).unwrap().map(|value| value.len()), Some(1 << 20));
    assert_eq!(documents.get([1]).unwrap().as_deref(), Some(&[][..]));
}

/// A checkpoint that can't be made holds writers back before memory runs out, and says why.
#[test]
fn a_disk_too_full_for_a_checkpoint_fails_puts_and_none_is_lost() {
    let disk = SimDisk::new();
    let small = |seed| config(&disk, seed).memtable_bytes(64 << 10).background(false);
    let engine = Engine::create(small(1)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    documents.put(b"first", b"value").unwrap();
    // Room for the journal, and none for the tenant's file.
    let used: u64 = disk.paths().iter().map(|path| disk.info(path).unwrap().allocated_bytes).sum();
    disk.set_capacity(Some(used + (8 << 20)));
    let mut made = 0;
    let failed = loop {
        assert!(made < 4_000, "nothing ever failed");
        match documents.put(format!("key-{made:05}"), vec![7; 10_000]) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(failed.kind(), ErrorKind::Io, "{failed:?}");
    disk.set_capacity(None);
    documents.put(b"last", b"value").unwrap();
    engine.close().unwrap();
    let engine = Engine::open(small(2)).unwrap();
    let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
    for number in 0..made {
        assert!(documents.contains(format!("key-{number:05}")).unwrap(), "{number} of {made}");
    }
    assert!(documents.contains(b"first").unwrap() && documents.contains(b"last").unwrap());
}
