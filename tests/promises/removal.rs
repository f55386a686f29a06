//! Promise: what is removed is gone for readers and comes back whole; once its time is over it is erased for good. Nothing is
//! removed, restored or erased that should not be, wherever it lies: in memory, in the file, or between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom::simulation::{ManualClock, SimDisk, collect_chunks};
use strongroom::{
    Collection, Config, Engine, ErrorKind, Index, Policy, PutOptions, Quota, RekeyOptions, RemovedRecord,
    ScanOptions, Tenant, Usage,
};

use crate::support::{config, refusal};

const START_MS: u64 = 1_700_000_000_000;
const WINDOW_MS: u64 = 10_000;
const DAY_MS: u64 = 86_400_000;

struct Home {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    engine: Engine,
    tenant: Tenant,
    documents: Collection,
}

fn config_at(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>) -> Config {
    config(disk, seed).background(false).clock(Arc::clone(clock) as Arc<_>)
}

impl Home {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let engine = Engine::create(config_at(&disk, 1, &clock)).unwrap();
        let policy = Policy::new().removal_window(Duration::from_millis(WINDOW_MS));
        let tenant = engine.create_tenant("acme", policy).unwrap();
        let documents = tenant.collection("documents").unwrap();
        Self { disk, clock, engine, tenant, documents }
    }

    fn checkpoint_if(&self, is_asked: bool) {
        if is_asked {
            self.tenant.checkpoint().unwrap();
        }
    }

    fn removed(&self) -> Vec<RemovedRecord> {
        removed(&self.documents, ScanOptions::new())
    }

    fn removed_keys(&self) -> Vec<String> {
        self.removed().into_iter().map(|record| String::from_utf8(record.key).unwrap()).collect()
    }

    fn keys(&self) -> Vec<String> {
        let entries = self.documents.scan_with(ScanOptions::new()).unwrap();
        entries.map(|entry| String::from_utf8(entry.unwrap().key).unwrap()).collect()
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.documents.get(key).unwrap().map(|value| value.to_vec())
    }

    #[track_caller]
    fn is_good(&self) {
        let report = self.engine.verify_tenant("acme", &mut |_| {}).unwrap();
        assert!(report.is_good(), "{report:#?}");
    }

    fn reopened(self) -> Self {
        self.engine.close().unwrap();
        let engine = Engine::open(config_at(&self.disk, 2, &self.clock)).unwrap();
        let tenant = engine.tenant("acme").unwrap();
        let documents = tenant.collection("documents").unwrap();
        Self { engine, tenant, documents, ..self }
    }
}

fn removed(documents: &Collection, options: ScanOptions) -> Vec<RemovedRecord> {
    documents.removed(options).unwrap().collect::<strongroom::Result<_>>().unwrap()
}

/// Checkpoints come, or do not, after each step: of `at`, a bit for each.
fn at_each(steps: u32, test: impl Fn(&Home, &dyn Fn(u32))) {
    for at in 0..1 << steps {
        let home = Home::new();
        test(&home, &|step| home.checkpoint_if(at & 1 << step != 0));
        home.is_good();
    }
}

#[test]
fn a_removed_record_is_gone_in_every_answer_and_comes_back_as_it_was() {
    at_each(3, |home, step| {
        let documents = &home.documents;
        documents.declare_index("email", Index::unique()).unwrap();
        documents.declare_index("city", Index::ordered()).unwrap();
        let options =
            PutOptions::new().ttl(Duration::from_mins(1)).index("email", "a@b").index("city", "Bern");
        let version = documents.put_with("k", "value", options).unwrap();
        documents.put("other", "value").unwrap();
        let (info, usage) = (documents.info("k").unwrap().unwrap(), home.tenant.usage().unwrap());
        step(0);
        let before = home.tenant.snapshot().unwrap();
        home.clock.set(START_MS + 1_000);
        assert!(documents.remove("k").unwrap());
        assert!(!documents.remove("k").unwrap());
        step(1);
        let between = home.tenant.snapshot().unwrap();
        assert_eq!((home.value("k"), home.keys()), (None, vec!["other".to_owned()]));
        assert_eq!((documents.info("k").unwrap(), documents.contains("k").unwrap()), (None, false));
        assert_eq!(documents.find("email", "a@b").unwrap().count(), 0);
        assert_eq!(documents.find("city", "Bern").unwrap().count(), 0);
        assert_eq!(documents.count(ScanOptions::new()).unwrap(), 1);
        assert_eq!(home.tenant.stats().unwrap().records, 1);
        assert_eq!(refusal(documents.put_if_version("k", "new", version)), ErrorKind::Conflict);
        assert_eq!(refusal(documents.remove_if_version("k", version)), ErrorKind::Conflict);
        let expected = RemovedRecord {
            key: b"k".to_vec(),
            info,
            removed_ms: START_MS + 1_000,
            erased_from_ms: START_MS + 1_000 + WINDOW_MS,
        };
        assert_eq!(home.removed(), [expected]);
        assert_eq!(home.tenant.usage().unwrap(), usage, "it counts until it is erased");
        assert_eq!(before.get(documents, "k").unwrap().as_deref(), Some(&b"value"[..]));

        home.clock.set(START_MS + 2_000);
        assert!(documents.restore("k").unwrap());
        assert!(!documents.restore("k").unwrap());
        step(2);
        assert_eq!(home.value("k").as_deref(), Some(&b"value"[..]));
        assert_eq!(documents.info("k").unwrap(), Some(info));
        assert_eq!((home.removed(), home.tenant.usage().unwrap()), (vec![], usage));
        assert_eq!(documents.find("email", "a@b").unwrap().count(), 1);
        assert_eq!(documents.find("city", "Bern").unwrap().count(), 1);
        assert_eq!(home.tenant.stats().unwrap().records, 2);
        for (snapshot, records) in [(&before, 2), (&between, 1), (&home.tenant.snapshot().unwrap(), 2)] {
            assert_eq!(snapshot.count(documents, ScanOptions::new()).unwrap(), records);
        }
        assert_eq!(between.get(documents, "k").unwrap(), None, "it was not there at that moment");
        documents.put_if_version("k", "new", version).unwrap();
        assert_eq!(documents.find("email", "a@b").unwrap().count(), 0, "a put gives all keys");
    });
}

/// In memory, in the file, or removed in memory of the file; after a restart, and a rewrite too.
#[test]
fn what_was_removed_survives_restarts_and_rewrites() {
    for at in 0..8 {
        let home = Home::new();
        home.documents.declare_index("city", Index::ordered()).unwrap();
        home.documents.put_with("k", "value", PutOptions::new().index("city", "Bern")).unwrap();
        home.checkpoint_if(at & 1 != 0);
        home.documents.remove("k").unwrap();
        home.checkpoint_if(at & 2 != 0);
        if at & 4 != 0 {
            home.tenant.rewrite(&mut |_, _| {}).unwrap();
        }
        let home = home.reopened();
        assert_eq!((home.keys(), home.removed_keys()), (vec![], vec!["k".to_owned()]));
        assert!(home.documents.restore("k").unwrap());
        let home = home.reopened();
        assert_eq!((home.keys(), home.removed_keys()), (vec!["k".to_owned()], vec![]));
        assert_eq!(home.documents.find("city", "Bern").unwrap().count(), 1);
        home.is_good();
    }
}

#[test]
fn once_the_window_is_over_it_can_not_be_restored_and_the_sweep_erases_it() {
    at_each(2, |home, step| {
        let documents = &home.documents;
        documents.put("window", "value").unwrap();
        documents.put_with("expires", "value", PutOptions::new().ttl(Duration::from_secs(5))).unwrap();
        documents.put("later", "value").unwrap();
        let before = home.tenant.snapshot().unwrap();
        step(0);
        documents.remove("window").unwrap();
        documents.remove("expires").unwrap();
        step(1);
        home.clock.set(START_MS + 4_999);
        documents.remove("later").unwrap();
        assert_eq!(home.removed_keys(), ["expires", "later", "window"]);
        home.clock.set(START_MS + 5_000);
        assert_eq!(home.removed_keys(), ["later", "window"], "never past the time at which it expires");
        assert!(!documents.restore("expires").unwrap());
        assert_eq!(home.engine.sweep().unwrap().records, 1);
        home.clock.set(START_MS + WINDOW_MS - 1);
        assert_eq!(home.engine.sweep().unwrap().records, 0);
        assert!(before.get(documents, "window").unwrap().is_some());
        home.clock.set(START_MS + WINDOW_MS);
        assert_eq!(home.removed_keys(), ["later"]);
        assert!(!documents.restore("window").unwrap());
        assert_eq!(home.engine.sweep().unwrap().records, 1);
        assert_eq!(before.get(documents, "window").unwrap(), None, "for a snapshot from before too");
        assert_eq!(home.tenant.usage().unwrap(), Usage { records: 1, bytes: 10 });
        home.tenant.checkpoint().unwrap();
        let file = home.engine.verify_tenant("acme", &mut |_| {}).unwrap().file;
        assert_eq!((file.records, file.removed), (0, 1));
        assert!(documents.restore("later").unwrap());
        assert_eq!(home.engine.sweep().unwrap().records, 0);
        home.clock.set(START_MS + 2 * WINDOW_MS);
        assert_eq!(home.engine.sweep().unwrap().records, 0, "what was restored is not erased");
        assert_eq!(home.keys(), ["later"]);
    });
}

/// A tenant that nobody opens is swept of what was removed from it.
#[test]
fn the_tick_erases_what_was_removed_from_a_closed_tenant() {
    let home = Home::new();
    home.documents.put("k", "value").unwrap();
    home.documents.remove("k").unwrap();
    let home = home.reopened();
    let (disk, clock) = (home.disk.clone(), Arc::clone(&home.clock));
    drop((home.tenant, home.documents));
    home.engine.close().unwrap();
    let engine = Engine::open(config_at(&disk, 3, &clock)).unwrap();
    clock.set(START_MS + 3_600_000);
    engine.tick().unwrap();
    drop(engine);
    let engine = Engine::open(config_at(&disk, 4, &clock)).unwrap();
    assert_eq!(engine.tenant("acme").unwrap().usage().unwrap(), Usage::default());
}

#[test]
fn a_record_put_over_a_removed_one_keeps_it_from_being_restored_until_it_is_gone() {
    at_each(3, |home, step| {
        let documents = &home.documents;
        let first = documents.put("k", "first").unwrap();
        documents.remove("k").unwrap();
        step(0);
        let second = documents.put("k", "second").unwrap();
        step(1);
        assert_eq!(refusal(documents.restore("k")), ErrorKind::Conflict);
        assert_eq!(home.value("k").as_deref(), Some(&b"second"[..]));
        documents.remove("k").unwrap();
        step(2);
        let versions: Vec<_> = home.removed().into_iter().map(|record| record.info.version).collect();
        assert_eq!(versions, [first, second]);
        assert!(documents.restore_version("k", first).unwrap());
        assert!(!documents.restore_version("k", first).unwrap());
        assert_eq!(home.value("k").as_deref(), Some(&b"first"[..]));
        assert_eq!(refusal(documents.restore("k")), ErrorKind::Conflict);
        documents.remove("k").unwrap();
        assert!(documents.restore("k").unwrap());
        assert_eq!(home.value("k").as_deref(), Some(&b"second"[..]), "the newest one comes first");
        assert_eq!(home.removed_keys(), ["k"]);
    });
}

/// What is removed, or in a memtable that is being put into the file, or in the file alone.
#[test]
fn erasing_a_key_erases_what_was_removed_of_it_and_nothing_of_another_key() {
    at_each(4, |home, step| {
        let documents = &home.documents;
        for key in ["k", "k\0", "k\0\0", "k\u{1}", "j", "l"] {
            for value in ["first", "second"] {
                documents.put(key, value).unwrap();
                documents.remove(key).unwrap();
            }
        }
        step(0);
        documents.put("k", "third").unwrap();
        documents.remove("k").unwrap();
        let before = documents.removed(ScanOptions::new().prefix("k")).unwrap();
        step(1);
        documents.put("k", "fourth").unwrap();
        assert!(documents.erase("k").unwrap());
        assert!(!documents.erase("k").unwrap());
        documents.put("k", "fifth").unwrap();
        documents.remove("k").unwrap();
        step(2);
        assert_eq!(before.count(), 9, "a list is a snapshot");
        let of_k: Vec<_> = home.removed_keys();
        let expected = ["j", "j", "k", "k\0", "k\0", "k\0\0", "k\0\0", "k\u{1}", "k\u{1}", "l", "l"];
        assert_eq!(of_k, expected);
        let bytes = |key: &str| 2 * key.len() as u64 + 11;
        let total = 6 + ["j", "k\0", "k\0\0", "k\u{1}", "l"].into_iter().map(bytes).sum::<u64>();
        assert_eq!(home.tenant.usage().unwrap(), Usage { records: 11, bytes: total });
        assert!(documents.restore("k").unwrap());
        assert_eq!(home.value("k").as_deref(), Some(&b"fifth"[..]));
        assert!(documents.erase("l").unwrap(), "there is no record of it, only removed ones");
        assert_eq!(documents.erase_range("k".."k\0").unwrap().records, 1);
        step(3);
        assert_eq!(documents.erase_prefix("k").unwrap().records, 6);
        assert_eq!((home.removed_keys(), home.keys()), (vec!["j".to_owned(); 2], vec![]));
        home.tenant.checkpoint().unwrap();
        let file = home.engine.verify_tenant("acme", &mut |_| {}).unwrap().file;
        assert_eq!((file.records, file.removed), (0, 2));
        assert_eq!(home.tenant.usage().unwrap(), Usage { records: 2, bytes: 13 });
    });
}

#[test]
fn a_snapshot_from_before_the_removal_does_not_show_what_was_erased_since() {
    at_each(3, |home, step| {
        let documents = &home.documents;
        documents.put("k", "value").unwrap();
        documents.put("l", "value").unwrap();
        step(0);
        let snapshot = home.tenant.snapshot().unwrap();
        documents.remove("k").unwrap();
        documents.remove("l").unwrap();
        step(1);
        assert_eq!(snapshot.count(documents, ScanOptions::new()).unwrap(), 2);
        documents.erase("k").unwrap();
        step(2);
        assert_eq!(snapshot.get(documents, "k").unwrap(), None);
        assert!(documents.restore("l").unwrap());
        documents.put("k", "again").unwrap();
        let now = home.tenant.snapshot().unwrap();
        assert_eq!((snapshot.count(documents, ScanOptions::new()).unwrap(), home.keys().len()), (1, 2));
        assert_eq!(
            now.count(documents, ScanOptions::new()).unwrap(),
            2,
            "an older snapshot hides nothing here"
        );
    });
}

#[test]
fn a_unique_key_of_a_removed_record_is_free_and_restoring_needs_it_back() {
    at_each(3, |home, step| {
        let documents = &home.documents;
        documents.declare_index("email", Index::unique()).unwrap();
        let put = |key: &str| documents.put_with(key, "value", PutOptions::new().index("email", "a@b"));
        put("first").unwrap();
        step(0);
        assert_eq!(refusal(put("second")), ErrorKind::Conflict);
        documents.remove("first").unwrap();
        step(1);
        put("second").unwrap();
        step(2);
        assert_eq!(refusal(documents.restore("first")), ErrorKind::Conflict);
        assert_eq!((home.keys(), home.removed_keys()), (vec!["second".to_owned()], vec!["first".to_owned()]));
        assert_eq!(documents.restore_range::<&str>(..).unwrap(), 0, "it stays removed");
        documents.remove("second").unwrap();
        assert!(documents.restore("first").unwrap());
        assert_eq!(refusal(documents.restore("second")), ErrorKind::Conflict);
        let found: Vec<_> = documents.find("email", "a@b").unwrap().map(|entry| entry.unwrap().key).collect();
        assert_eq!(found, [b"first"]);
    });
}

/// Keys in indexes that were dropped since are left out, and so is what never was in one that is new.
#[test]
fn a_record_is_restored_into_the_indexes_that_are_there() {
    let home = Home::new();
    let documents = &home.documents;
    documents.declare_index("old", Index::ordered()).unwrap();
    documents.declare_index("stays", Index::ordered()).unwrap();
    documents.put_with("k", "value", PutOptions::new().index("old", "1").index("stays", "2")).unwrap();
    documents.remove("k").unwrap();
    documents.drop_index("old").unwrap();
    documents.declare_index("old", Index::ordered()).unwrap();
    documents.restore("k").unwrap();
    assert_eq!(documents.find("old", "1").unwrap().count(), 0);
    assert_eq!(documents.find("stays", "2").unwrap().count(), 1);
    home.is_good();
    home.tenant.checkpoint().unwrap();
    home.is_good();
}

/// More than one batch moves, by number and by bytes.
#[test]
fn ranges_and_prefixes_are_removed_and_restored_whole() {
    let home = Home::new();
    let documents = &home.documents;
    for first in [0, 1_000] {
        home.tenant
            .write(|batch| {
                (first..first + 1_000)
                    .try_for_each(|index| batch.put(documents, format!("a-{index:04}"), "value"))
            })
            .unwrap();
    }
    for index in 0..12 {
        documents.put(format!("b-{index:02}"), vec![7; 1 << 20]).unwrap();
    }
    documents.put("c", "stays").unwrap();
    assert_eq!(documents.remove_prefix("a-").unwrap(), 2_000);
    assert_eq!(documents.remove_range("b".."b-10").unwrap(), 10);
    assert_eq!((home.keys(), home.removed().len()), (vec!["b-10".into(), "b-11".into(), "c".into()], 2_010));
    documents.put("a-0007", "taken").unwrap();
    home.tenant.checkpoint().unwrap();
    assert_eq!(documents.restore_prefix("a-00").unwrap(), 99);
    assert_eq!(documents.restore_range("a-1".."c").unwrap(), 1_010);
    assert_eq!(documents.restore_range::<&str>(..).unwrap(), 900);
    assert_eq!(home.removed_keys(), ["a-0007"]);
    assert_eq!(home.keys().len(), 2_000 + 12 + 1);
    assert!(home.value("b-03").unwrap() == vec![7; 1 << 20]);
    home.is_good();
}

#[test]
fn a_batch_removes_and_restores_all_or_nothing() {
    let home = Home::new();
    let documents = &home.documents;
    let other = home.tenant.collection("other").unwrap();
    for key in ["a", "b"] {
        documents.put(key, "value").unwrap();
    }
    let refused = home.tenant.write(|batch| {
        assert!(batch.remove(documents, "a")?);
        batch.require(documents, "b", None)
    });
    assert_eq!((refusal(refused), home.removed().len()), (ErrorKind::Conflict, 0));
    home.tenant
        .write(|batch| {
            assert!(batch.remove(documents, "a")?);
            assert!(!batch.remove(documents, "nothing")?);
            assert!(!batch.remove(&other, "nothing")?);
            batch.put(documents, "a", "new")?;
            batch.put(&other, "c", "value")
        })
        .unwrap();
    assert_eq!((home.value("a").as_deref(), home.removed_keys()), (Some(&b"new"[..]), vec!["a".to_owned()]));
    let twice = home.tenant.write(|batch| {
        batch.put(documents, "d", "value")?;
        batch.remove(documents, "d").map(|_| ())
    });
    assert_eq!(refusal(twice), ErrorKind::InvalidArgument);
    // What a batch removed can be what it puts over, and what it read before can be changed before it is made.
    let changed = home.tenant.write(|batch| {
        batch.remove(documents, "b")?;
        documents.put("b", "changed").map(|_| ())
    });
    assert_eq!(refusal(changed), ErrorKind::Conflict);
    documents.erase("a").unwrap();
    documents.remove("b").unwrap();
    let raced = home.tenant.write(|batch| {
        assert!(batch.restore(documents, "b")?);
        documents.erase("b").map(|_| ())
    });
    assert_eq!(refusal(raced), ErrorKind::Conflict, "what was erased meanwhile does not come back");
    assert_eq!((home.keys(), home.removed_keys()), (Vec::<String>::new(), vec![]));
    assert_eq!(other.count(ScanOptions::new()).unwrap(), 1);
    assert_eq!(refusal(documents.remove("")), ErrorKind::InvalidArgument);
    assert_eq!(refusal(documents.restore([7; 4_097])), ErrorKind::LimitExceeded);
    let nowhere = home.tenant.collection("nowhere").unwrap();
    assert!(!nowhere.remove("k").unwrap() && !nowhere.restore("k").unwrap());
    assert_eq!(nowhere.remove_prefix("").unwrap() + nowhere.restore_prefix("").unwrap(), 0);
    assert_eq!(
        (removed(&nowhere, ScanOptions::new()).len(), home.tenant.collections().unwrap().len()),
        (0, 2)
    );
}

#[test]
fn removed_records_are_listed_in_pages() {
    let home = Home::new();
    let documents = &home.documents;
    for index in 0..100 {
        documents.put(format!("{:02}", index % 50), "value").unwrap();
        documents.remove(format!("{:02}", index % 50)).unwrap();
        home.checkpoint_if(index % 37 == 0);
    }
    let whole = home.removed();
    assert_eq!(whole.len(), 100);
    assert!(whole.is_sorted_by_key(|record| (record.key.clone(), record.info.version)));
    for reverse in [false, true] {
        let mut options = ScanOptions::new().limit(7).reverse(reverse);
        let mut found = Vec::new();
        loop {
            let mut page = documents.removed(options.clone()).unwrap();
            found.extend(page.by_ref().map(|record| record.unwrap()));
            let Some(cursor) = page.cursor().unwrap() else { break };
            options = options.after(&cursor);
            assert_eq!(refusal(documents.scan_with(options.clone())), ErrorKind::InvalidArgument);
        }
        if reverse {
            found.reverse();
        }
        assert_eq!(found, whole);
    }
    let of_prefix = removed(documents, ScanOptions::new().prefix("1"));
    assert_eq!(of_prefix, whole.iter().filter(|record| record.key[0] == b'1').cloned().collect::<Vec<_>>());
    let of_range = removed(documents, ScanOptions::new().range("07"..="11"));
    assert_eq!(of_range.len(), 10);
}

#[test]
fn the_chunks_of_a_removed_value_stay_until_its_time_is_over() {
    for at in 0..4 {
        let home = Home::new();
        let value: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[0]).collect();
        home.documents.put_reader("k", &value[..], PutOptions::new()).unwrap();
        home.checkpoint_if(at & 1 != 0);
        home.documents.remove("k").unwrap();
        home.checkpoint_if(at & 2 != 0);
        while collect_chunks(&home.tenant).unwrap() {}
        home.is_good();
        home.tenant.rewrite(&mut |_, _| {}).unwrap();
        assert!(home.documents.restore("k").unwrap());
        assert!(home.value("k").unwrap() == value);
        home.documents.remove("k").unwrap();
        home.clock.set(START_MS + WINDOW_MS);
        assert_eq!(home.engine.sweep().unwrap().records, 1);
        while collect_chunks(&home.tenant).unwrap() {}
        assert_eq!(strongroom::simulation::chunk_rows(&home.tenant).unwrap().len(), 0);
    }
}

#[test]
fn removed_records_are_rekeyed_and_hold_a_data_key_until_they_are() {
    for in_file in [false, true] {
        let home = Home::new();
        for key in ["a", "b", "c"] {
            home.documents.put(key, format!("value of {key}")).unwrap();
        }
        home.documents.remove("a").unwrap();
        home.documents.remove("b").unwrap();
        home.checkpoint_if(in_file);
        let older = home.tenant.data_keys().unwrap()[0].generation;
        home.tenant.rotate_data_key().unwrap();
        home.documents.erase("c").unwrap();
        assert_eq!(refusal(home.tenant.retire_data_key(older)), ErrorKind::Conflict);
        let report = home.tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
        assert_eq!((report.resealed, report.is_complete), (2, true));
        home.tenant.retire_data_key(older).unwrap();
        home.checkpoint_if(in_file);
        assert!(home.documents.restore("a").unwrap());
        assert_eq!(home.value("a").as_deref(), Some(&b"value of a"[..]));
        assert_eq!(home.removed_keys(), ["b"]);
        home.is_good();
    }
}

#[test]
fn what_no_key_opens_any_more_can_not_be_restored() {
    let home = Home::new();
    home.documents.put_with("k", "value", PutOptions::new().subject("user-42")).unwrap();
    home.documents.remove("k").unwrap();
    assert!(home.tenant.erase_subject("user-42").unwrap());
    assert!(!home.documents.restore("k").unwrap());
    assert_eq!(home.value("k"), None);
}

#[test]
fn removed_records_count_for_quotas_until_they_are_erased() {
    let home = Home::new();
    let documents = &home.documents;
    documents.set_quota(Quota::new().records(3)).unwrap();
    for key in ["a", "b", "c"] {
        documents.put(key, "value").unwrap();
    }
    documents.remove("a").unwrap();
    assert_eq!(refusal(documents.put("d", "value")), ErrorKind::LimitExceeded);
    documents.put("b", "over").unwrap();
    assert!(documents.restore("a").unwrap(), "it counted already");
    documents.remove("a").unwrap();
    home.tenant.checkpoint().unwrap();
    documents.erase("a").unwrap();
    documents.put("d", "value").unwrap();
    documents.remove("d").unwrap();
    home.clock.set(START_MS + WINDOW_MS);
    assert_eq!(refusal(documents.put("e", "value")), ErrorKind::LimitExceeded);
    home.engine.sweep().unwrap();
    documents.put("e", "value").unwrap();
    assert_eq!(documents.usage().unwrap().records, 3);
}

#[test]
fn what_was_removed_goes_with_its_collection() {
    for in_file in [false, true] {
        let home = Home::new();
        home.documents.put("k", "value").unwrap();
        home.documents.remove("k").unwrap();
        home.checkpoint_if(in_file);
        let list = home.documents.removed(ScanOptions::new()).unwrap();
        home.tenant.drop_collection("documents").unwrap();
        assert_eq!(refusal(list.collect::<strongroom::Result<Vec<_>>>()), ErrorKind::SnapshotExpired);
        assert!(!home.documents.restore("k").unwrap());
        home.documents.put("other", "value").unwrap();
        assert_eq!(home.removed_keys(), Vec::<String>::new());
        home.tenant.checkpoint().unwrap();
        let file = home.engine.verify_tenant("acme", &mut |_| {}).unwrap().file;
        assert_eq!((file.records, file.removed), (1, 0));
        home.clock.set(START_MS + DAY_MS);
        assert_eq!(home.engine.sweep().unwrap().records, 0);
    }
}

/// Windows of tenants and collections; without any, 30 days.
#[test]
fn policies_say_how_long_a_removed_record_can_be_restored() {
    let home = Home::new();
    let other = home.tenant.collection("other").unwrap();
    other.set_policy(Policy::new().removal_window(Duration::from_millis(5))).unwrap();
    let window = |collection: &Collection| {
        collection.put("k", "value").unwrap();
        collection.remove("k").unwrap();
        let found = removed(collection, ScanOptions::new());
        found.last().unwrap().erased_from_ms - START_MS
    };
    assert_eq!((window(&home.documents), window(&other)), (WINDOW_MS, 5));
    let home = home.reopened();
    home.tenant.set_policy(Policy::new()).unwrap();
    assert_eq!(window(&home.documents), 30 * DAY_MS);
    let zero = Policy::new().removal_window(Duration::ZERO);
    assert_eq!(refusal(home.tenant.set_policy(zero)), ErrorKind::InvalidArgument);
}

/// Everybody removes, restores, puts over and erases the same few keys, while keys are rotated and the file is rewritten:
/// of each record there is at any time at most one, and no two ever have one unique key.
#[test]
fn those_who_race_for_a_record_move_it_once() {
    let home = Home::new();
    let documents = &home.documents;
    documents.declare_index("email", Index::unique()).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                scope.spawn(move || {
                    for round in 0..300 {
                        let key = format!("{}", (worker + round) % 4);
                        let options = PutOptions::new().index("email", format!("{}", round % 3));
                        match (worker + round * 7) % 5 {
                            0 | 1 => {
                                let put = documents.put_with(&key, format!("{worker} {round}"), options);
                                assert!(put.is_ok() || refusal(put) == ErrorKind::Conflict);
                            }
                            2 => drop(documents.remove(&key).unwrap()),
                            3 => {
                                let restored = documents.restore(&key);
                                assert!(restored.is_ok() || refusal(restored) == ErrorKind::Conflict);
                            }
                            _ if round % 20 == 0 => drop(documents.erase(&key).unwrap()),
                            _ => drop(documents.remove_prefix(&key).unwrap()),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                home.tenant.rotate_data_key().unwrap();
                home.tenant.rekey(RekeyOptions::new(), &mut |_, _| {}).unwrap();
                let older = home.tenant.data_keys().unwrap();
                for key in older.iter().filter(|key| key.state == strongroom::DataKeyState::Older) {
                    if let Err(error) = home.tenant.retire_data_key(key.generation) {
                        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                    }
                }
                home.tenant.rewrite(&mut |_, _| {}).unwrap();
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for _ in 0..2 {
        let (live, gone) = (home.keys(), home.removed());
        assert!(live.iter().all(|key| home.value(key).is_some()));
        let usage = home.tenant.usage().unwrap();
        assert_eq!(usage.records, (live.len() + gone.len()) as u64);
        for email in 0..3 {
            assert!(documents.find("email", format!("{email}")).unwrap().count() <= 1);
        }
        home.is_good();
        home.tenant.checkpoint().unwrap();
    }
    for record in home.removed() {
        let (key, version) = (&record.key[..], record.info.version);
        if documents.contains(key).unwrap() {
            documents.erase_if_version(key, documents.info(key).unwrap().unwrap().version).unwrap();
            continue;
        }
        match documents.restore_version(key, version) {
            Ok(true) => {
                assert_eq!(documents.get(key).unwrap().unwrap().len() as u64, record.info.value_bytes)
            }
            Ok(false) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
}
