//! Promise: collections are created, renamed and dropped whole. A dropped collection is gone at once and for good, with all
//! that was in it, whenever the power goes; nothing that was under way ends up in it, nor in the next one of its name.

use std::sync::atomic::{AtomicBool, Ordering};

use strongroom::simulation::{Fault, FaultKind, PowerLoss, SimDisk};
use strongroom::{Engine, ErrorKind, ScanOptions, Tenant, TenantOptions};

use crate::support::{config, fill, key_of, refusal, value_of};

const TENANT: &str = "acme";
const COUNT: usize = 60;

fn tenant_on(disk: &SimDisk) -> (Engine, Tenant) {
    let engine = Engine::create(config(disk, 1).background(false)).unwrap();
    let tenant = engine.create_tenant(TENANT, TenantOptions::new()).unwrap();
    (engine, tenant)
}

fn names(tenant: &Tenant) -> Vec<String> {
    tenant.collections().unwrap().into_iter().map(|info| info.name).collect()
}

fn count(tenant: &Tenant, name: &str) -> u64 {
    tenant.collection(name).unwrap().count(ScanOptions::new()).unwrap()
}

#[test]
fn a_collection_is_created_once_listed_renamed_and_dropped() {
    let (engine, tenant) = tenant_on(&SimDisk::new());
    let documents = tenant.create_collection("documents").unwrap();
    assert_eq!(refusal(tenant.create_collection("documents")), ErrorKind::AlreadyExists);
    assert_eq!(refusal(tenant.create_collection(" x")), ErrorKind::InvalidArgument);
    assert_eq!(names(&tenant), ["documents"]);
    let version = documents.put(b"k", b"v").unwrap();
    let id = tenant.collections().unwrap()[0].id;
    for in_file in [false, true] {
        if in_file {
            tenant.checkpoint().unwrap();
        }
        tenant.rename_collection("documents", "papers").unwrap();
        assert_eq!(names(&tenant), ["papers"]);
        assert_eq!(tenant.collections().unwrap()[0].id, id);
        assert_eq!(documents.get(b"k").unwrap(), None, "a handle means a name");
        let papers = tenant.collection("papers").unwrap();
        assert_eq!(papers.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
        assert_eq!(papers.info(b"k").unwrap().unwrap().version, version);
        tenant.create_collection("other").unwrap();
        assert_eq!(refusal(tenant.rename_collection("papers", "other")), ErrorKind::AlreadyExists);
        assert_eq!(refusal(tenant.rename_collection("documents", "x")), ErrorKind::NotFound);
        assert_eq!(refusal(tenant.rename_collection("papers", "")), ErrorKind::InvalidArgument);
        tenant.rename_collection("papers", "documents").unwrap();
        tenant.drop_collection("other").unwrap();
        assert_eq!(refusal(tenant.drop_collection("other")), ErrorKind::NotFound);
    }
    tenant.drop_collection("documents").unwrap();
    assert_eq!(documents.get(b"k").unwrap(), None);
    assert!(names(&tenant).is_empty());
    documents.put(b"new", b"").unwrap();
    assert_ne!(tenant.collections().unwrap()[0].id, id, "another collection of the same name");
    assert_eq!(count(&tenant, "documents"), 1);
    assert_eq!(tenant.stats().unwrap().records, 1);
    engine.close().unwrap();
}

/// Its rows leave the file with a checkpoint, and the marks with them.
#[test]
fn what_was_dropped_leaves_the_file_and_nothing_else_does() {
    let disk = SimDisk::new();
    let (engine, tenant) = tenant_on(&disk);
    let records = || engine.verify_tenant(TENANT, &mut |_| {}).unwrap();
    fill(&tenant, COUNT).unwrap();
    for name in ["a", "b", "c"] {
        (0..20_u8).for_each(|key| tenant.collection(name).unwrap().put([key], b"v").map(|_| ()).unwrap());
    }
    tenant.checkpoint().unwrap();
    (20..30_u8).for_each(|key| tenant.collection("b").unwrap().put([key], b"v").map(|_| ()).unwrap());
    assert_eq!(tenant.stats().unwrap().records, COUNT as u64 + 70);
    tenant.drop_collection("b").unwrap();
    tenant.drop_collection("c").unwrap();
    assert_eq!(tenant.stats().unwrap().records, COUNT as u64 + 20);
    tenant.collection("c").unwrap().put(b"again", b"v").unwrap();
    tenant.checkpoint().unwrap();
    let report = records();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.file.records, COUNT as u64 + 21);
    assert_eq!(tenant.stats().unwrap().records, COUNT as u64 + 21);
    drop(tenant);
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
    let tenant = engine.tenant(TENANT).unwrap();
    assert_eq!((names(&tenant), count(&tenant, "c")), (vec!["a".into(), "c".into(), "documents".into()], 1));
    for index in 0..COUNT {
        let got = tenant.collection("documents").unwrap().get(key_of(index)).unwrap();
        assert_eq!(got.as_deref(), Some(&value_of(TENANT, index)[..]));
    }
}

#[test]
fn a_dropped_collection_is_gone_for_what_was_under_way_too() {
    let (_engine, tenant) = tenant_on(&SimDisk::new());
    fill(&tenant, COUNT).unwrap();
    tenant.checkpoint().unwrap();
    let documents = tenant.collection("documents").unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let mut scan = documents.scan_with(ScanOptions::new()).unwrap();
    scan.next().unwrap().unwrap();
    let mut batch = tenant.batch();
    batch.put(&documents, b"late", b"").unwrap();
    tenant.drop_collection("documents").unwrap();
    assert_eq!(snapshot.get(&documents, key_of(1)).unwrap(), None);
    assert_eq!(refusal(scan.next().unwrap()), ErrorKind::SnapshotExpired);
    assert!(scan.next().is_none());
    assert_eq!(refusal(tenant.submit(batch).unwrap().wait()), ErrorKind::Conflict);
    // So it is when nothing in memory says any more what became of it.
    let mut batch = tenant.batch();
    batch.put(&documents, b"later", b"").unwrap();
    tenant.drop_collection("documents").unwrap();
    tenant.checkpoint().unwrap();
    assert_eq!(refusal(tenant.submit(batch).unwrap().wait()), ErrorKind::Conflict);
    assert_eq!((names(&tenant).len(), tenant.stats().unwrap().records), (0, 0));
}

#[test]
fn threads_that_put_while_others_drop_leave_nothing_in_what_was_dropped() {
    let (engine, tenant) = tenant_on(&SimDisk::new());
    let done = AtomicBool::new(false);
    let (mut refused, mut made) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        let putters: Vec<_> = (0..3_u8)
            .map(|thread| {
                let (tenant, done) = (&tenant, &done);
                scope.spawn(move || {
                    let documents = tenant.collection("documents").unwrap();
                    let (mut refused, mut made) = (0_u32, 0_u32);
                    while !done.load(Ordering::Acquire) || made == 0 {
                        match documents.put([thread], made.to_le_bytes()) {
                            Ok(_) => made += 1,
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                                refused += 1;
                            }
                        }
                    }
                    (refused, made)
                })
            })
            .collect();
        for round in 0..150 {
            while matches!(tenant.drop_collection("documents"), Err(error) if error.kind() == ErrorKind::NotFound)
            {
                std::thread::yield_now();
            }
            if round % 10 == 0 {
                tenant.checkpoint().unwrap();
            }
        }
        done.store(true, Ordering::Release);
        for putter in putters {
            let (some, more) = putter.join().unwrap();
            refused += some;
            made += more;
        }
    });
    println!("{made} made, {refused} refused");
    let left = count(&tenant, "documents");
    assert_eq!(tenant.stats().unwrap().records, left, "records of collections that are not there");
    tenant.checkpoint().unwrap();
    assert_eq!(engine.verify_tenant(TENANT, &mut |_| {}).unwrap().file.records, left);
}

#[test]
fn power_loss_at_any_operation_leaves_a_collection_whole_or_gone() {
    let before = SimDisk::new();
    let (engine, tenant) = tenant_on(&before);
    fill(&tenant, COUNT).unwrap();
    tenant.checkpoint().unwrap();
    tenant.collection("documents").unwrap().put(b"in memory", b"").unwrap();
    tenant.collection("kept").unwrap().put(b"k", b"").unwrap();
    drop(tenant);
    std::mem::forget(engine);
    let mut outcomes = [0, 0];
    for policy in [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll] {
        for operation in 0.. {
            let disk = before.power_loss(operation, PowerLoss::KeepAll);
            let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
            let tenant = engine.tenant(TENANT).unwrap();
            disk.inject(Fault { at_operation: disk.operations() + operation, kind: FaultKind::PowerOff });
            let dropped = tenant.drop_collection("documents");
            let is_over = dropped.is_ok() && tenant.checkpoint().is_ok();
            drop((tenant, engine));
            let disk = disk.power_loss(operation, policy);
            let engine = Engine::open(config(&disk, 3).background(false)).unwrap();
            let tenant = engine.tenant(TENANT).unwrap();
            let left = count(&tenant, "documents");
            let is_gone = left == 0;
            assert!(is_gone || left == COUNT as u64 + 1, "half of it: {left}");
            assert!(is_gone || dropped.is_err(), "an acknowledged drop was undone");
            assert_eq!(names(&tenant).len(), if is_gone { 1 } else { 2 });
            assert_eq!(tenant.stats().unwrap().records, left + 1);
            tenant.checkpoint().unwrap();
            let report = engine.verify_tenant(TENANT, &mut |_| {}).unwrap();
            assert!(report.is_good() && report.file.records == left + 1, "{report:?}");
            outcomes[usize::from(is_gone)] += 1;
            if is_over {
                assert!(operation > 10, "only {operation} operations");
                break;
            }
        }
    }
    println!("{} whole, {} gone", outcomes[0], outcomes[1]);
    assert!(outcomes[0] > 3 && outcomes[1] > 10, "{outcomes:?}");
}
