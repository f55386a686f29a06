//! Promise: a tenant that is suspended or removed refuses reads and writes whatever handles are held, while what looks after
//! it goes on; renamed it keeps everything; erased it is gone for good. Nobody else notices.

mod crash;
mod erased;
mod moved;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom::simulation::{ManualClock, SimDisk};
use strongroom::{
    Collection, Config, Engine, ErrorKind, Index, PutOptions, RekeyOptions, ScanOptions, Tenant,
    TenantOptions, TenantState,
};

use crate::support::{config, fill, read_all, refusal};

const START_MS: u64 = 1_700_000_000_000;
const DAY: Duration = Duration::from_hours(24);

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    let guard: Arc<dyn strongroom::simulation::Clock> = Arc::clone(clock) as _;
    config(disk, seed).clock(guard).background(false)
}

/// A store with `acme` and `globex`, 40 records each.
fn two_tenants(disk: &SimDisk, clock: &Arc<ManualClock>) -> (Engine, Tenant, Tenant) {
    let engine = Engine::create(config_at(disk, 1, clock)).unwrap();
    let acme = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let globex = engine.create_tenant("globex", TenantOptions::new()).unwrap();
    fill(&acme, 40).unwrap();
    fill(&globex, 40).unwrap();
    (engine, acme, globex)
}

fn new_store() -> (SimDisk, Arc<ManualClock>, Engine, Tenant, Tenant) {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (engine, acme, globex) = two_tenants(&disk, &clock);
    (disk, clock, engine, acme, globex)
}

/// What every kind of read and write of records gives.
fn asked(tenant: &Tenant, documents: &Collection) -> Vec<strongroom::Result<()>> {
    let batch = || {
        let mut batch = tenant.batch();
        batch.put(documents, "batch", "value").map(|()| batch)
    };
    vec![
        documents.get("key-00001").map(|_| ()),
        documents.get_range("key-00001", 0..4).map(|_| ()),
        documents.get_reader("key-00001").map(|_| ()),
        documents.get_into("key-00001", &mut [0; 10_000]).map(|_| ()),
        documents.info("key-00001").map(|_| ()),
        documents.contains("key-00001").map(|_| ()),
        documents.scan_with(ScanOptions::new()).map(|_| ()),
        documents.count(ScanOptions::new()).map(|_| ()),
        documents.find("email", "a@b").map(|_| ()),
        tenant.snapshot().map(|_| ()),
        documents.put("key-x", "value").map(|_| ()),
        documents.put_reader("key-x", &b"value"[..], PutOptions::new()).map(|_| ()),
        documents.begin_upload("key-y", PutOptions::new()).map(drop),
        documents.remove("key-00038").map(|_| ()),
        documents.restore("key-00038").map(|_| ()),
        documents.removed(ScanOptions::new()).map(|_| ()),
        documents.erase("key-00039").map(|_| ()),
        documents.erase_prefix("key-0003").map(|_| ()),
        tenant.write(|_| Ok(())).map(|_| ()),
        batch().and_then(|batch| tenant.submit(batch)).and_then(strongroom::Submitted::wait).map(|_| ()),
        tenant.erase_subject("nobody").map(|_| ()),
        tenant.create_collection("new").map(|_| ()),
        tenant.rename_collection("new", "newer"),
        tenant.drop_collection("newer").map(|_| ()),
        documents.declare_index("more", Index::ordered()),
        documents.drop_index("more"),
    ]
}

#[test]
fn a_suspended_tenant_refuses_reads_and_writes_through_whatever_is_held() {
    let (disk, clock, engine, acme, globex) = new_store();
    let documents = acme.collection("documents").unwrap();
    documents.declare_index("email", Index::unique()).unwrap();
    documents.build_index("email", &mut |_| Ok(Vec::new()), &mut |_| {}).unwrap();
    for in_file in [false, true] {
        if in_file {
            acme.checkpoint().unwrap();
        }
        assert!(asked(&acme, &documents).into_iter().all(|asked| asked.is_ok()));
        fill(&acme, 40).unwrap();
        let mut scan = documents.scan_with(ScanOptions::new()).unwrap();
        scan.next().unwrap().unwrap();
        let snapshot = acme.snapshot().unwrap();
        let mut reader = documents.get_reader("key-00010").unwrap().unwrap();
        let upload = documents.begin_upload("upload", PutOptions::new()).unwrap();
        let mut batch = acme.batch();
        batch.put(&documents, "late", "value").unwrap();

        engine.suspend_tenant("acme").unwrap();
        engine.suspend_tenant("acme").unwrap();
        for (index, asked) in asked(&acme, &documents).into_iter().enumerate() {
            assert_eq!(refusal(asked), ErrorKind::Suspended, "{index}");
        }
        assert_eq!(refusal(scan.next().unwrap()), ErrorKind::Suspended);
        assert_eq!(refusal(snapshot.get(&documents, "key-00001")), ErrorKind::Suspended);
        let error = strongroom::Error::from_io(reader.read(&mut [0; 4]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Suspended);
        assert_eq!(refusal(upload.publish()), ErrorKind::Suspended);
        assert_eq!(refusal(acme.submit(batch)), ErrorKind::Suspended);
        // A new handle, too; it is for what looks after the tenant.
        let again = engine.tenant("acme").unwrap();
        assert_eq!(refusal(again.collection("documents").unwrap().get("key-00001")), ErrorKind::Suspended);
        assert_eq!(engine.tenant_info("acme").unwrap().state, TenantState::Suspended);
        assert_eq!(read_all(&globex, 40).right, 40);
        globex.collection("documents").unwrap().put("more", "value").unwrap();

        engine.resume_tenant("acme").unwrap();
        assert_eq!(read_all(&acme, 40).right, 40);
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 4);
        assert!(documents.get("late").unwrap().is_none() && documents.get("upload").unwrap().is_none());
        documents.put("after", "value").unwrap();
    }
    // It lasts, and through a kill.
    engine.suspend_tenant("acme").unwrap();
    let killed = disk.power_loss(1, strongroom::simulation::PowerLoss::DropAll);
    for disk in [killed, {
        drop((acme, documents, globex));
        engine.close().unwrap();
        disk
    }] {
        let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
        let acme = engine.tenant("acme").unwrap();
        assert_eq!(refusal(acme.collection("documents").unwrap().get("after")), ErrorKind::Suspended);
        engine.resume_tenant("acme").unwrap();
        assert_eq!(read_all(&acme, 40).right, 40);
        assert_eq!(refusal(engine.suspend_tenant("nobody")), ErrorKind::NotFound);
    }
}

#[test]
fn what_looks_after_a_tenant_goes_on_while_it_is_suspended_or_removed() {
    for removed in [false, true] {
        let (_disk, clock, engine, acme, _globex) = new_store();
        let documents = acme.collection("documents").unwrap();
        documents.put_with("goes", "value", PutOptions::new().ttl(Duration::from_secs(1))).unwrap();
        if removed {
            engine.remove_tenant("acme", DAY).unwrap();
        } else {
            engine.suspend_tenant("acme").unwrap();
        }
        clock.set(START_MS + 2_000);
        assert_eq!(engine.sweep().unwrap().records, 1, "records expire");
        let before = acme.stats().unwrap();
        let generation = acme.rotate_data_key().unwrap();
        let report = acme.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
        assert_eq!((report.generation, report.resealed, report.is_complete), (generation, 40, true));
        acme.retire_data_key(acme.data_keys().unwrap()[0].generation).unwrap();
        acme.checkpoint().unwrap();
        acme.rewrite(&mut |_, _| {}).unwrap().unwrap();
        engine.checkpoint().unwrap();
        engine.tick().unwrap();
        let after = engine.tenant_stats("acme").unwrap();
        assert_eq!((before.records, after.records), (40, 40));
        assert!(after.structure_slot > before.structure_slot);
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
        // Neither is it kept open for that.
        drop((documents, acme));
        if removed {
            engine.restore_tenant("acme").unwrap();
        } else {
            engine.resume_tenant("acme").unwrap();
        }
        let acme = engine.tenant("acme").unwrap();
        assert_eq!(read_all(&acme, 40).right, 40);
        assert_eq!(acme.collection("documents").unwrap().get("goes").unwrap(), None);
    }
}

/// Writers in threads: when the call has returned, nothing more is made.
#[test]
fn nothing_is_made_after_a_suspension_has_returned() {
    let (_disk, _clock, engine, acme, globex) = new_store();
    for round in 0..20 {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (acme, ended) = (&acme, &ended);
                scope.spawn(move || {
                    let documents = acme.collection("documents").unwrap();
                    loop {
                        let put = documents.put(format!("w-{thread}"), "value");
                        if let Err(error) = put {
                            assert_eq!(error.kind(), ErrorKind::Suspended);
                            if ended.load(Ordering::Acquire) {
                                return;
                            }
                        }
                    }
                });
            }
            let before = acme.stats().unwrap().version;
            while acme.stats().unwrap().version.sequence < before.sequence + 20 {
                std::thread::yield_now();
            }
            engine.suspend_tenant("acme").unwrap();
            let at = acme.stats().unwrap().version;
            for index in 0..50 {
                globex.collection("documents").unwrap().put(format!("g-{index}"), "value").unwrap();
            }
            assert_eq!(acme.stats().unwrap().version, at, "round {round}");
            ended.store(true, Ordering::Release);
        });
        engine.resume_tenant("acme").unwrap();
    }
}

#[test]
fn a_renamed_tenant_keeps_everything_and_its_old_name_is_free() {
    let (disk, clock, engine, acme, _globex) = new_store();
    let id = acme.id();
    assert_eq!(refusal(engine.rename_tenant("acme", "globex")), ErrorKind::AlreadyExists);
    assert_eq!(refusal(engine.rename_tenant("acme", " x")), ErrorKind::InvalidArgument);
    assert_eq!(refusal(engine.rename_tenant("nobody", "x")), ErrorKind::NotFound);
    engine.rename_tenant("acme", "initech").unwrap();
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::NotFound);
    // The handle that is held, and the values that were put under it.
    acme.collection("documents").unwrap().put("after", "value").unwrap();
    assert_eq!((read_all(&acme, 40).right, acme.name()), (40, "acme"));
    let renamed = engine.tenant("initech").unwrap();
    assert_eq!((renamed.name(), renamed.id()), ("initech", id));
    assert!(renamed.collection("documents").unwrap().contains("after").unwrap());
    let other = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    assert_ne!(other.id(), id);
    assert!(!other.collection("documents").unwrap().contains("after").unwrap());
    assert_eq!(engine.open_tenants().unwrap(), 3);
    drop((acme, renamed, other));
    engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    assert_eq!(engine.tenant("initech").unwrap().id(), id);
    let names: Vec<_> = engine.tenants().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["acme", "globex", "initech"]);
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

#[test]
fn a_removed_tenant_is_gone_and_comes_back_as_it_was_while_its_window_lasts() {
    let (disk, clock, engine, acme, globex) = new_store();
    let documents = acme.collection("documents").unwrap();
    engine.suspend_tenant("acme").unwrap();
    let info = engine.remove_tenant("acme", DAY).unwrap();
    let expected =
        TenantState::Removed { removed_ms: START_MS, purge_ms: START_MS + 86_400_000, was_suspended: true };
    assert_eq!(info.state, expected);
    assert_eq!(refusal(engine.remove_tenant("acme", DAY)), ErrorKind::NotFound);
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::NotFound);
    assert_eq!(refusal(engine.suspend_tenant("acme")), ErrorKind::NotFound);
    assert_eq!(refusal(engine.resume_tenant("acme")), ErrorKind::NotFound);
    assert_eq!(refusal(engine.rename_tenant("acme", "other")), ErrorKind::NotFound);
    assert_eq!(refusal(engine.create_tenant("acme", TenantOptions::new())), ErrorKind::AlreadyExists);
    assert_eq!(refusal(documents.get("key-00001")), ErrorKind::NotFound);
    assert_eq!(refusal(documents.put("k", "value")), ErrorKind::NotFound);
    assert_eq!(engine.tenants().unwrap().len(), 2);
    assert_eq!(read_all(&globex, 40).right, 40);
    drop((documents, acme, globex));
    engine.close().unwrap();

    let engine = Engine::open(config_at(&disk, 2, &clock)).unwrap();
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::NotFound);
    clock.set(START_MS + 86_399_999);
    engine.sweep().unwrap();
    engine.restore_tenant("acme").unwrap();
    assert_eq!(refusal(engine.restore_tenant("acme")), ErrorKind::Conflict);
    let acme = engine.tenant("acme").unwrap();
    assert_eq!(refusal(acme.collection("documents").unwrap().get("key-00001")), ErrorKind::Suspended);
    engine.resume_tenant("acme").unwrap();
    assert_eq!(read_all(&acme, 40).right, 40);

    // Once more, and too late.
    engine.remove_tenant("acme", DAY).unwrap();
    clock.set(START_MS + 2 * 86_400_000);
    assert_eq!(refusal(engine.restore_tenant("acme")), ErrorKind::NotFound);
    assert_eq!(engine.tenants().unwrap().len(), 2);
    engine.tick().unwrap();
    assert_eq!(engine.tenants().unwrap().len(), 1);
    assert_eq!(refusal(engine.tenant_info("acme")), ErrorKind::NotFound);
    let new = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    assert!(!new.collection("documents").unwrap().contains("key-00001").unwrap());
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// A clock that jumps destroys nothing.
#[test]
fn a_removed_tenant_is_not_erased_by_a_clock_that_has_jumped() {
    let (_disk, clock, engine, acme, _globex) = new_store();
    engine.remove_tenant("acme", DAY).unwrap();
    clock.set(START_MS + 400 * 86_400_000);
    assert_eq!(refusal(engine.sweep()), ErrorKind::ClockJump);
    assert!(matches!(engine.tenant_info("acme").unwrap().state, TenantState::Removed { .. }));
    clock.set(START_MS + 1_000);
    engine.restore_tenant("acme").unwrap();
    assert_eq!(read_all(&acme, 40).right, 40);
}
