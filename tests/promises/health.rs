//! Promise: how a store does is told from memory, without names, and what is wrong is told.

use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{Disk, Fault, FaultKind, ManualClock, OpenMode, SimDisk};
use strongroom::{Engine, ErrorKind, TenantOptions};

use crate::support::{config, fill, key_of, refusal, secret_in, small_store, value_of};

#[test]
fn a_store_that_is_well_says_so_without_names() {
    let disk = SimDisk::new();
    small_store(&disk, 20).unwrap();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let before = (disk.operations(), disk.reads());
    let health = engine.health().unwrap();
    assert_eq!(disk.operations(), before.0, "it changes nothing");
    assert!(disk.reads() - before.1 < 20, "and reads little");
    assert!(health.is_good(), "{:?}", health.problems());
    assert_eq!((health.tenants_open, health.store), (1, engine.store_id()));
    assert_eq!((health.regions.len(), health.lanes.len()), (1, 1));
    let told = health.to_json();
    assert_eq!(secret_in(&told), None, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["good"], &told["tenants_open"]), (&true.into(), &1.into()));
    drop(acme);
}

/// It is asked each second, whatever the store has to do besides.
#[test]
fn the_health_of_many_open_tenants_is_told_without_their_files() {
    let disk = SimDisk::new();
    let config = config(&disk, 1).background(false).cache_bytes(256 << 10).total_cache_bytes(16 << 20);
    let engine = Engine::create(config.open_tenants(300)).unwrap();
    let tenants: Vec<_> = (0..256)
        .map(|number| {
            let tenant = engine.create_tenant(&format!("tenant {number}"), TenantOptions::new()).unwrap();
            fill(&tenant, 30).unwrap();
            tenant.collection("documents").unwrap().erase(key_of(1)).unwrap();
            let generation = tenant.rotate_data_key().unwrap();
            tenant.set_rekey_deadline(generation - 1, 1_000).unwrap();
            tenant.checkpoint().unwrap();
            tenant
        })
        .collect();
    engine.health().unwrap();
    let (operations, reads) = (disk.operations(), disk.reads());
    for _ in 0..10 {
        let health = engine.health().unwrap();
        assert_eq!(health.tenants_open, tenants.len());
        assert!(health.to_json().len() > 256 * 100);
    }
    assert_eq!(disk.operations(), operations, "it changes nothing");
    assert!(disk.reads() - reads < 10 * 20, "{} reads", disk.reads() - reads);
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let disk = SimDisk::new();
    small_store(&disk, 20).unwrap();
    let problems = |engine: &Engine| engine.health().unwrap().problems();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();

    disk.set_capacity(Some(100 << 20));
    assert!(problems(&engine)[0].contains("make room"), "{:?}", problems(&engine));
    disk.set_capacity(None);
    assert!(problems(&engine).is_empty());

    disk.detach("/store.keys");
    let [problem] = &problems(&engine)[..] else { panic!("{:?}", problems(&engine)) };
    assert!(problem.contains("/store.keys"), "{problem}");
    disk.attach("/store.keys");

    let id = engine.tenant_info("globex").unwrap().id;
    let keyring = format!("/store.keys/{id}.keyring");
    let whole = disk.read_file(&keyring).unwrap();
    disk.write_file(&keyring, [0; 4_096]).unwrap();
    refusal(engine.tenant("globex"));
    let [problem] = &problems(&engine)[..] else { panic!("{:?}", problems(&engine)) };
    assert!(problem.contains(&id.to_string()), "{problem}");
    assert_eq!(secret_in(problem), None);
    disk.write_file(&keyring, whole).unwrap();
    engine.tenant("globex").unwrap();
    assert!(problems(&engine).is_empty(), "it opens again");

    let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
    documents.put(key_of(1), value_of("acme", 1)).unwrap();
    disk.inject(Fault { at_operation: disk.operations(), kind: FaultKind::Enospc });
    assert_eq!(refusal(engine.tenant("acme").unwrap().checkpoint()), ErrorKind::Io);
    assert!(
        problems(&engine).iter().any(|problem| problem.contains("checkpoint")),
        "{:?}",
        problems(&engine)
    );
    disk.heal();
    engine.tenant("acme").unwrap().checkpoint().unwrap();
    assert!(problems(&engine).is_empty());

    disk.inject(Fault { at_operation: disk.operations() + 1, kind: FaultKind::FailedSync });
    assert_eq!(refusal(documents.put(key_of(2), value_of("acme", 2))), ErrorKind::Io);
    assert!(problems(&engine)[0].contains("open the store again"), "{:?}", problems(&engine));
}

/// A second process reads it where the holder put it, without a key, and it is gone with the holder.
#[test]
fn the_holder_publishes_it_and_takes_it_back() {
    let disk = SimDisk::new();
    small_store(&disk, 20).unwrap();
    let published = || config(&disk, 3).published_health();
    assert_eq!(refusal(published()), ErrorKind::NotFound);
    let engine = Engine::open(config(&disk, 2)).unwrap();
    engine.create_tenant("initech", TenantOptions::new()).unwrap();
    // The background thread does it within a second or so.
    let found = loop {
        match published() {
            Err(error) if error.kind() == ErrorKind::NotFound => std::thread::yield_now(),
            found => break found.unwrap(),
        }
    };
    assert!(found.good && found.age.is_zero(), "{found:?}: the clock stands");
    assert_eq!(secret_in(&found.json), None);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&found.json).unwrap()["tenants_open"], 1);
    let report = engine.verify(&mut |_| {}).unwrap();
    assert!(report.unknown_files.is_empty(), "{:?}", report.unknown_files);
    engine.close().unwrap();
    assert_eq!(refusal(published()), ErrorKind::NotFound);

    let file = "/store/strongroom.health";
    for bytes in [&b""[..], b"{}", b"{\"good\": 1}", &[0xff; 5_000], b"[["] {
        disk.write_file(file, bytes).unwrap();
        assert_eq!(refusal(published()), ErrorKind::Corrupted);
    }
    // Whatever lies there, the store opens.
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert!(disk.open(file.as_ref(), OpenMode::Read).is_ok());
    let engine = Engine::open(crate::support::config_on(&disk, 4).background(false)).unwrap();
    assert!(engine.health().unwrap().is_good());
}

/// A duty that is not done is overdue, one that fails says why, and both are well again when it is done.
#[test]
fn a_duty_that_stops_or_fails_is_told() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(1_700_000_000_000)));
    let at = |minutes: u64| 1_700_000_000_000 + minutes * 60_000;
    let config = config(&disk, 1).background(false).clock(Arc::clone(&clock) as Arc<_>);
    let engine = Engine::create(config.sweep_interval(Duration::from_hours(1))).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let overdue = || -> Vec<_> {
        let duties = engine.health().unwrap().duties.into_iter();
        duties.filter(|duty| duty.overdue).map(|duty| duty.name).collect()
    };
    assert!(engine.health().unwrap().is_good() && overdue().is_empty());
    clock.set(at(6));
    assert_eq!(overdue(), ["keys", "providers", "checkpoints", "segments", "chunks", "rekey"]);
    assert_eq!(engine.health().unwrap().problems().len(), 6);
    engine.tick().unwrap();
    assert!(engine.health().unwrap().is_good());
    let health = engine.health().unwrap();
    assert_eq!(health.oldest_data_key, Some((acme.id(), 6 * 60_000)));
    let last: Vec<_> = health.duties.iter().map(|duty| duty.last_ms).collect();
    assert_eq!(last, [Some(at(6)), Some(at(6)), Some(at(6)), Some(at(6)), Some(at(6)), None, Some(at(6))]);
    clock.set(at(126));
    assert!(overdue().contains(&"sweep"));
    engine.tick().unwrap();
    assert!(overdue().is_empty());

    clock.set(at(60 * 24 * 9));
    assert_eq!(refusal(engine.tick()), ErrorKind::ClockJump);
    let problems = engine.health().unwrap().problems();
    assert!(
        problems.iter().any(|problem| problem.contains("'sweep' waits because the clock jumped")),
        "{problems:?}"
    );
    engine.confirm_clock().unwrap();
    engine.tick().unwrap();
    let health = engine.health().unwrap();
    assert!(health.is_good(), "{:?}", health.problems());
    let told: serde_json::Value = serde_json::from_str(&health.to_json()).unwrap();
    assert_eq!((&told["duties"][5]["name"], &told["duties"][5]["overdue"]), (&"sweep".into(), &false.into()));
}
