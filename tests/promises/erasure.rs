//! Promise: what is erased is gone at once, for everybody, and nothing else is.

use strongroom::simulation::SimDisk;
use strongroom::{Collection, Engine, ErrorKind, PutOptions, ScanOptions, Tenant, TenantOptions};

use crate::support::{config, refusal};

fn documents(disk: &SimDisk) -> (Engine, Tenant, Collection) {
    let engine = Engine::create(config(disk, 1).background(false)).unwrap();
    let tenant = engine.create_tenant("acme", TenantOptions::new()).unwrap();
    let documents = tenant.collection("documents").unwrap();
    (engine, tenant, documents)
}

fn keys_of(entries: impl Iterator<Item = strongroom::Result<strongroom::Entry>>) -> Vec<String> {
    entries.map(|entry| String::from_utf8(entry.unwrap().key).unwrap()).collect()
}

/// The records are in memory, in the file, or put into the file after the scan has begun.
#[test]
fn a_scan_under_way_does_not_show_what_was_erased_since_it_began() {
    for checkpoints in 0..8 {
        let checkpoint = |tenant: &Tenant, bit: u8| {
            if checkpoints & bit != 0 {
                tenant.checkpoint().unwrap();
            }
        };
        for reverse in [false, true] {
            let (_engine, tenant, documents) = documents(&SimDisk::new());
            for index in 0..500 {
                documents.put(format!("{index:03}"), "value").unwrap();
            }
            checkpoint(&tenant, 1);
            let whole = ScanOptions::new().reverse(reverse);
            let mut scan = documents.scan_with(whole.clone()).unwrap();
            let first = scan.next().unwrap().unwrap().key;
            assert!(documents.erase("250").unwrap());
            assert_eq!(documents.erase_prefix("3").unwrap().records, 100);
            checkpoint(&tenant, 2);
            // What is put again is a new record, which the older scan does not show.
            documents.put("250", "again").unwrap();
            checkpoint(&tenant, 4);
            let left = keys_of(scan);
            assert!(!left.iter().any(|key| key == "250" || key.starts_with('3')), "{checkpoints} {left:?}");
            assert_eq!(left.len(), 500 - 1 - 101);
            let now = keys_of(documents.scan_with(whole).unwrap());
            assert_eq!(now.len(), 400);
            assert!(now.contains(&"250".to_owned()) && now[0].as_bytes() == first);
        }
    }
}

#[test]
fn an_erased_record_is_absent_in_every_answer() {
    let (_engine, tenant, documents) = documents(&SimDisk::new());
    for in_file in [false, true] {
        let version = documents.put("k", "value").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        let other = documents.put("other", "value").unwrap();
        assert_eq!(refusal(documents.erase_if_version("k", other)), ErrorKind::Conflict);
        assert!(documents.contains("k").unwrap());
        documents.erase_if_version("k", version).unwrap();
        for checkpointed in [false, true] {
            if checkpointed {
                tenant.checkpoint().unwrap();
            }
            assert_eq!(documents.get("k").unwrap(), None);
            assert_eq!(documents.info("k").unwrap(), None);
            assert!(!documents.erase("k").unwrap());
            assert_eq!(refusal(documents.erase_if_version("k", version)), ErrorKind::Conflict);
            assert_eq!(refusal(documents.put_if_version("k", "new", version)), ErrorKind::Conflict);
            assert_eq!(tenant.stats().unwrap().records, 1);
        }
        documents.put_with("k", "again", PutOptions::new().if_absent()).unwrap();
        assert_eq!(documents.get("k").unwrap().as_deref(), Some(&b"again"[..]));
        documents.erase_range("a".."z").unwrap();
    }
}

#[test]
fn a_batch_erases_in_its_order_all_or_nothing_and_makes_no_collection() {
    let (_engine, tenant, documents) = documents(&SimDisk::new());
    documents.put("a", "value").unwrap();
    let nowhere = tenant.collection("nowhere").unwrap();
    tenant
        .write(|batch| {
            batch.put(&documents, "b", "value")?;
            batch.erase(&documents, "b")?;
            batch.erase(&documents, "c")?;
            batch.put(&documents, "c", "value")?;
            batch.erase(&nowhere, "d")
        })
        .unwrap();
    assert_eq!(keys_of(documents.scan_with(ScanOptions::new()).unwrap()), ["a", "c"]);
    let refused = tenant.write(|batch| {
        batch.erase(&documents, "a")?;
        batch.require(&documents, "c", None)
    });
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert!(documents.contains("a").unwrap());
    assert!(!nowhere.erase("d").unwrap());
    assert_eq!(nowhere.erase_range("a"..).unwrap().records, 0);
    assert_eq!(tenant.collections().unwrap().len(), 1);
    assert_eq!(refusal(documents.erase("")), ErrorKind::InvalidArgument);
    assert_eq!(refusal(documents.erase([7; 4_097])), ErrorKind::LimitExceeded);
}

/// More records than one batch erases, while others are put among them.
#[test]
fn a_range_is_erased_whole_whatever_is_put_meanwhile() {
    let (_engine, tenant, documents) = documents(&SimDisk::new());
    for thousand in 0..3 {
        let puts = |batch: &mut strongroom::Batch| {
            (0..1_000)
                .try_for_each(|index| batch.put(&documents, format!("b-{}", thousand * 1_000 + index), ""))
        };
        tenant.write(puts).unwrap();
    }
    documents.put("a", "stays").unwrap();
    documents.put("c", "stays").unwrap();
    tenant.checkpoint().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in (0..3_000).rev().step_by(7) {
                // Over records that may be about to be erased.
                let _ = documents.put(format!("b-{index}"), "again").unwrap();
            }
        });
        assert!(documents.erase_prefix("b-").unwrap().records >= 3_000 - 3_000 / 7 - 1);
    });
    documents.erase_range("b-".."b.").unwrap();
    assert_eq!(keys_of(documents.scan("".."z").unwrap()), ["a", "c"]);
}
