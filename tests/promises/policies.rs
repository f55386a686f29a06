//! Promise: what a policy says is kept: records that have to be kept for a least time can't be erased, removed or put over
//! before, what is put over is kept where that is asked for, and no policy is accepted that can't be kept.

use std::sync::Arc;
use std::time::Duration;

use strongroom::simulation::{ManualClock, SimDisk};
use strongroom::{
    Collection, Config, Durability, Engine, EraseReport, ErrorKind, Index, Overwrite, Policy, PutOptions,
    ScanOptions, Tenant,
};

use crate::support::{config, refusal};

const START_MS: u64 = 1_700_000_000_000;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

fn store(policy: Policy) -> (Arc<ManualClock>, Engine, Tenant, Collection) {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let config: Config = config(&disk, 1).background(false).clock(Arc::clone(&clock) as Arc<_>);
    let engine = Engine::create(config).unwrap();
    let tenant = engine.create_tenant("acme", policy).unwrap();
    let documents = tenant.collection("documents").unwrap();
    (clock, engine, tenant, documents)
}

fn value(documents: &Collection, key: &str) -> Option<Vec<u8>> {
    documents.get(key).unwrap().map(|value| value.to_vec())
}

/// Every way out, in memory and in the file, of the tenant's policy and a collection's.
#[test]
fn what_has_to_be_kept_for_a_least_time_can_not_go_before() {
    for in_file in [false, true] {
        let (clock, engine, tenant, documents) = store(Policy::new().minimum(10 * SECOND));
        let free = tenant.collection("free").unwrap();
        free.set_policy(Policy::new().minimum(Duration::from_millis(1))).unwrap();
        for collection in [&documents, &free] {
            collection.put_with("k", "value", PutOptions::new().subject("user-42")).unwrap();
            collection.put("l", "value").unwrap();
        }
        if in_file {
            tenant.checkpoint().unwrap();
        }
        clock.set(START_MS + 9_999);
        free.erase("k").unwrap();
        let version = documents.info("k").unwrap().unwrap().version;
        let refused = [
            documents.put("k", "new").map(|_| ()),
            documents.put_if_version("k", "new", version).map(|_| ()),
            documents.put_reader("k", &vec![7; 2 << 20][..], PutOptions::new()).map(|_| ()),
            documents.erase("k").map(|_| ()),
            documents.erase_if_version("k", version).map(|_| ()),
            documents.remove("k").map(|_| ()),
            documents.remove_prefix("").map(|_| ()),
            tenant.write(|batch| batch.erase(&documents, "k")).map(|_| ()),
            tenant.drop_collection("documents").map(|_| ()),
            tenant.erase_subject("user-42").map(|_| ()),
        ];
        for (place, refused) in refused.into_iter().enumerate() {
            assert_eq!(refusal(refused), ErrorKind::Held, "{place}");
        }
        for (report, held) in [(documents.erase_range::<&str>(..), 2), (documents.erase_prefix("k"), 1)] {
            assert_eq!(report.unwrap(), EraseReport { records: 0, held }, "ranges pass it and say so");
        }
        let soon = PutOptions::new().ttl(9 * SECOND);
        assert_eq!(refusal(documents.put_with("m", "value", soon)), ErrorKind::InvalidArgument);
        documents.put_with("m", "value", PutOptions::new().ttl(10 * SECOND)).unwrap();
        assert_eq!(documents.count(ScanOptions::new()).unwrap(), 3);
        assert_eq!(value(&documents, "k").as_deref(), Some(&b"value"[..]));
        tenant.drop_collection("free").unwrap();

        clock.set(START_MS + 10_000);
        documents.put("k", "new").unwrap();
        assert_eq!(refusal(documents.erase("k")), ErrorKind::Held, "that is another record");
        assert!(documents.remove("l").unwrap());
        assert_eq!(refusal(tenant.drop_collection("documents")), ErrorKind::Held);
        tenant.set_policy(Policy::new().minimum(10 * DAY)).unwrap();
        assert_eq!(refusal(documents.erase("l")), ErrorKind::Held, "what is removed counts too");
        tenant.set_policy(Policy::new()).unwrap();
        assert!(documents.erase("l").unwrap() && documents.erase("k").unwrap());
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    }
}

/// By puts of every sort; each version can be restored, and those who race lose none.
#[test]
fn what_is_put_over_is_kept_where_the_policy_says_so() {
    for in_file in [false, true] {
        let (_clock, engine, tenant, documents) = store(Policy::new().overwrite(Overwrite::Keep));
        documents.declare_index("email", Index::unique()).unwrap();
        let put = |value: &str| {
            documents.put_with("k", value, PutOptions::new().index("email", format!("{value}@x"))).unwrap()
        };
        let first = put("first");
        if in_file {
            tenant.checkpoint().unwrap();
        }
        let second = put("second");
        tenant
            .write(|batch| {
                batch.put(&documents, "k", "never seen")?;
                batch.put(&documents, "k", "third")
            })
            .unwrap();
        let large = vec![7; 2 << 20];
        documents.put_reader("k", &large[..], PutOptions::new()).unwrap();
        let refused = documents.put_with("k", "new", PutOptions::new().if_version(first));
        assert_eq!(refusal(refused), ErrorKind::Conflict);
        let removed: Vec<_> =
            documents.removed(ScanOptions::new()).unwrap().map(|one| one.unwrap()).collect();
        assert_eq!(removed.iter().map(|one| one.info.value_bytes).collect::<Vec<_>>(), [5, 6, 5]);
        assert_eq!((removed[0].info.version, removed[1].info.version), (first, second));
        assert_eq!(documents.find("email", "first@x").unwrap().count(), 0);
        documents.remove("k").unwrap();
        assert!(documents.restore_version("k", first).unwrap());
        assert_eq!(documents.find("email", "first@x").unwrap().count(), 1);
        assert_eq!(value(&documents, "k").as_deref(), Some(&b"first"[..]));
        assert!(engine.verify(&mut |_| {}).unwrap().is_good());
        let erases = tenant.collection("erases").unwrap();
        erases.set_policy(Policy::new().overwrite(Overwrite::Erase)).unwrap();
        for value in ["first", "second"] {
            erases.put("k", value).unwrap();
        }
        assert_eq!(erases.removed(ScanOptions::new()).unwrap().count(), 0);
    }
}

#[test]
fn of_puts_that_race_for_a_key_each_is_kept() {
    let (_clock, engine, tenant, documents) = store(Policy::new().overwrite(Overwrite::Keep));
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let documents = &documents;
            scope.spawn(move || {
                for round in 0..40 {
                    let options = PutOptions::new().durability(Durability::Buffered);
                    documents.put_with("k", format!("{worker} {round}"), options).unwrap();
                }
            });
        }
        for _ in 0..5 {
            tenant.checkpoint().unwrap();
        }
    });
    let kept = documents.removed(ScanOptions::new()).unwrap().count();
    assert_eq!((kept, tenant.usage().unwrap().records), (119, 120));
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// A day of periods and an hour between sweeps.
#[test]
fn a_policy_that_does_not_keep_what_is_promised_is_refused() {
    let (_clock, engine, tenant, documents) = store(Policy::new());
    let promised = |days: u32| Policy::new().erased_within(days * DAY);
    assert_eq!(refusal(tenant.set_policy(promised(31))), ErrorKind::InvalidArgument);
    tenant.set_policy(promised(32)).unwrap();
    assert_eq!(
        refusal(documents.set_policy(Policy::new().removal_window(31 * DAY))),
        ErrorKind::InvalidArgument
    );
    documents.set_policy(Policy::new().removal_window(7 * DAY)).unwrap();
    assert_eq!(
        refusal(tenant.set_policy(promised(8))),
        ErrorKind::InvalidArgument,
        "that of the collection too"
    );
    tenant.set_policy(promised(9).removal_window(7 * DAY)).unwrap();
    documents.set_policy(Policy::new()).unwrap();
    assert_eq!(refusal(engine.create_tenant("globex", promised(31))), ErrorKind::InvalidArgument);
    assert_eq!(engine.tenants().unwrap().len(), 1);
    for refused in [Policy::new().retention(SECOND), Policy::new().maximum(SECOND)] {
        assert_eq!(refusal(tenant.set_policy(refused.minimum(2 * SECOND))), ErrorKind::InvalidArgument);
    }
    tenant.set_policy(Policy::new().minimum(2 * SECOND)).unwrap();
    assert_eq!(refusal(documents.set_policy(Policy::new().maximum(SECOND))), ErrorKind::InvalidArgument);
}

#[test]
fn whether_records_are_secret_is_the_collections_or_else_the_tenants_to_say() {
    let (_clock, _engine, tenant, documents) = store(Policy::new().secret(true));
    assert!(documents.is_secret().unwrap());
    documents.set_policy(Policy::new().secret(false)).unwrap();
    assert!(!documents.is_secret().unwrap());
    assert!(tenant.collection("none yet").unwrap().is_secret().unwrap());
    documents.set_policy(Policy::new().removal_window(DAY)).unwrap();
    assert!(documents.is_secret().unwrap(), "its own policy says nothing of it");
    tenant.set_policy(Policy::new()).unwrap();
    documents.set_policy(Policy::new()).unwrap();
    assert!(!documents.is_secret().unwrap());
}

/// What is put while its collection is dropped, its subject or its tenant erased: where the put is acknowledged, and the minimum
/// keeps it, it is there afterwards.
#[test]
fn what_a_minimum_keeps_is_not_lost_to_a_destruction_that_began_when_it_was_not_there() {
    let (_clock, engine, tenant, _) = store(Policy::new().minimum(10 * SECOND));
    // Old enough to go.
    let old = || PutOptions::new().written_ms(START_MS - 20_000).subject("user");
    let mut ends = [0; 2];
    for round in 0..400 {
        let name = format!("c-{round}");
        let documents = tenant.collection(&name).unwrap();
        documents.put_with("old", "value", old()).unwrap();
        let start = std::sync::Barrier::new(2);
        let erased = std::thread::scope(|scope| {
            let put = scope.spawn(|| {
                start.wait();
                for _ in 0..round % 7 {
                    std::hint::spin_loop();
                }
                // One that meets the drop of its collection is refused, until that is decided.
                while documents.put_with("new", "value", PutOptions::new().subject("user")).is_err() {}
            });
            start.wait();
            let erased = match round % 2 {
                0 => tenant.erase_subject("user").map(|_| ()),
                _ => tenant.drop_collection(&name).map(|_| ()),
            };
            put.join().unwrap();
            erased
        });
        ends[usize::from(erased.is_ok())] += 1;
        if let Err(error) = erased {
            assert_eq!(error.kind(), ErrorKind::Held, "{error}");
        }
        assert!(
            value(&documents, "new").is_some(),
            "round {round}: acknowledged, kept by the minimum, and gone"
        );
    }
    crate::support::note(&format!("{} refused, {} done", ends[0], ends[1]));
    assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
    assert!(tenant.collection("c-0").unwrap().contains("new").unwrap(), "and it goes on");
}

/// In every state of the tenant, in memory and in the file, and by the sweep when its window is over.
#[test]
fn a_tenant_is_not_erased_while_a_policy_keeps_a_record_of_it() {
    for in_file in [false, true] {
        let (clock, engine, tenant, documents) = store(Policy::new());
        let kept = tenant.collection("kept").unwrap();
        kept.set_policy(Policy::new().minimum(10 * SECOND)).unwrap();
        documents.put("k", "value").unwrap();
        kept.put("k", "value").unwrap();
        if in_file {
            tenant.checkpoint().unwrap();
        }
        assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
        assert_eq!(value(&kept, "k").as_deref(), Some(&b"value"[..]));
        drop((tenant, documents, kept));
        engine.remove_tenant("acme", 2 * SECOND).unwrap();
        assert_eq!(refusal(engine.erase_tenant("acme")), ErrorKind::Held);
        clock.set(START_MS + 9_999);
        engine.sweep().unwrap();
        engine.restore_tenant("acme").unwrap();
        let kept = engine.tenant("acme").unwrap().collection("kept").unwrap();
        assert_eq!(value(&kept, "k").as_deref(), Some(&b"value"[..]));
        drop(kept);
        engine.remove_tenant("acme", Duration::ZERO).unwrap();
        clock.set(START_MS + 10_000);
        engine.sweep().unwrap();
        assert_eq!(refusal(engine.tenant("acme").map(|_| ())), ErrorKind::NotFound);
        assert!(engine.tenants().unwrap().is_empty());
    }
}
