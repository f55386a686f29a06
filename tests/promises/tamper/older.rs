//! Older versions put back: they are authentic, each block at its place, under its own tag.
//!
//! A thief of old copies, or a disk that loses writes, makes of them what was true once. A whole older file is told by
//! the anchor in the key store. An older block in a newer file is told by `verify`, and with [`Freshness::Full`] at open
//! and at each read; without, plain reads may fall for it, and the tests show that they do, so that those of
//! `Freshness::Full` mean something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use strongroom::simulation::SimDisk;
use strongroom::{Config, Engine, ErrorKind, Freshness, Tenant, TenantOptions};

use super::store::{BLOCK, ENTRY, Owner, Role, Store, TENANTS, close, entry_of, role};
use crate::support::{config, counting_panics, fill, key_of, kind_of, note, refusal, value_of};

/// The records of `acme` at one time: the round in which each was put last.
type State = BTreeMap<usize, usize>;

/// The store's past, the newest time last.
struct History {
    store: Store,
    /// The disk after each round, the store being closed.
    disks: Vec<SimDisk>,
    states: Vec<State>,
}

const ROUNDS: usize = 6;
const RECORDS: usize = TENANTS[0].1;

/// The value put in a round; those of the last round are the ones that the rest of the tests know.
fn value_in(round: usize, index: usize) -> Vec<u8> {
    if round == ROUNDS - 1 {
        return value_of("acme", index);
    }
    format!("acme record {index} of round {round} ").repeat(20).into_bytes()
}

impl History {
    fn new() -> Self {
        let disk = SimDisk::new();
        let engine = Engine::create(config(&disk, 1)).unwrap();
        let acme = engine.create_tenant(TENANTS[0].0, TenantOptions::new()).unwrap();
        fill(&engine.create_tenant(TENANTS[1].0, TenantOptions::new()).unwrap(), TENANTS[1].1).unwrap();
        drop(acme);
        close(engine);
        let (mut disks, mut states, mut state) = (Vec::new(), Vec::new(), State::new());
        for round in 0..ROUNDS {
            let engine = Engine::open(config(&disk, 10 + round as u64)).unwrap();
            let acme = engine.tenant("acme").unwrap();
            let documents = acme.collection("documents").unwrap();
            // The first round has most records, those between change a few, the last one has all.
            let last = round == ROUNDS - 1;
            let put = (0..RECORDS).filter(|index| last || round == 0 && *index < 34 || index % 8 == round);
            for index in put {
                documents.put(key_of(index), value_in(round, index)).unwrap();
                state.insert(index, round);
            }
            close(engine);
            disks.push(disk.snapshot());
            states.push(state.clone());
        }
        Self { store: Store::found_on(disk), disks, states }
    }

    fn path(&self) -> &Path {
        &self.store.holding(Owner::Tenant(0)).data
    }

    fn file(&self, round: usize) -> Vec<u8> {
        self.disks[round].read_file(self.path()).unwrap()
    }
}

/// What reading `acme` gave, where older values are let pass and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tolerant {
    refused: Option<ErrorKind>,
    right: usize,
    /// Records with a value they had in an earlier round.
    stale: BTreeSet<usize>,
    /// Records that are not there, as in an earlier round.
    missing: BTreeSet<usize>,
    kinds: BTreeSet<ErrorKind>,
}

impl Tolerant {
    fn is_deceived(&self) -> bool {
        !self.stale.is_empty() || !self.missing.is_empty()
    }

    fn is_right(&self) -> bool {
        *self == Self { right: RECORDS, ..Self::default() }
    }
}

fn read_tolerantly(tenant: &Tenant) -> Tolerant {
    let mut read = Tolerant::default();
    let documents = tenant.collection("documents").unwrap();
    for index in 0..RECORDS {
        match documents.get(key_of(index)) {
            Ok(Some(value)) if *value == value_in(ROUNDS - 1, index)[..] => read.right += 1,
            Ok(Some(value)) => {
                let once = (0..ROUNDS).any(|round| *value == value_in(round, index)[..]);
                assert!(once, "record {index} has a value it never had");
                read.stale.insert(index);
            }
            Ok(None) => {
                read.missing.insert(index);
            }
            Err(error) => {
                read.kinds.insert(kind_of(&error));
            }
        }
    }
    read
}

fn open_and_read(config: Config) -> Tolerant {
    let engine = Engine::open(config).unwrap();
    match engine.tenant("acme") {
        Ok(tenant) => read_tolerantly(&tenant),
        Err(error) => Tolerant { refused: Some(kind_of(&error)), ..Tolerant::default() },
    }
}

fn block(bytes: &[u8], physical: u64) -> &[u8] {
    let start = usize::try_from(physical * BLOCK).unwrap();
    bytes.get(start..start + usize::try_from(BLOCK).unwrap()).unwrap_or_default()
}

fn entry(bytes: &[u8], physical: u64) -> &[u8] {
    let start = usize::try_from(entry_of(physical)).unwrap();
    bytes.get(start..start + usize::try_from(ENTRY).unwrap()).unwrap_or_default()
}

/// Puts a block and its entry of an older file into a newer one.
fn put_back(older: &[u8], newer: &mut [u8], physical: u64) {
    let length = usize::try_from(BLOCK).unwrap();
    let start = usize::try_from(physical).unwrap() * length;
    newer[start..start + length].copy_from_slice(block(older, physical));
    if role(physical) == Role::Data {
        let start = usize::try_from(entry_of(physical)).unwrap();
        newer[start..start + usize::try_from(ENTRY).unwrap()].copy_from_slice(entry(older, physical));
    }
}

/// The data blocks that were written in both files and differ.
fn replaceable(older: &[u8], newer: &[u8]) -> Vec<u64> {
    let blocks = older.len().min(newer.len()) as u64 / BLOCK;
    let data = (0..blocks).filter(|physical| role(*physical) == Role::Data);
    let zero = [0; ENTRY as usize];
    data.filter(|physical| {
        let (was, is) = (entry(older, *physical), entry(newer, *physical));
        was != is && was != zero && is != zero
    })
    .collect()
}

#[test]
fn an_older_block_put_back_below_an_open_store_never_shows_an_older_value_with_full_freshness() {
    let history = History::new();
    let newest = history.file(ROUNDS - 1);
    let (mut cases, mut refused) = (0, 0);
    for round in 0..ROUNDS - 1 {
        let older = history.file(round);
        for physical in replaceable(&older, &newest) {
            let disk = history.store.disk.snapshot();
            let engine = Engine::open(config(&disk, 2).freshness(Freshness::Full)).unwrap();
            let tenant = engine.tenant("acme").unwrap();
            let before = disk.read_file(history.path()).unwrap();
            let mut bytes = before.clone();
            put_back(&older, &mut bytes, physical);
            disk.write_file(history.path(), &bytes).unwrap();
            let (read, _) = counting_panics(|| read_tolerantly(&tenant));
            assert!(!read.is_deceived(), "block {physical} of round {round}: {read:?}");
            refused += usize::from(!read.is_right());
            cases += 1;
            // The newest block again: the store works on, without being opened anew.
            disk.write_file(history.path(), &before).unwrap();
            assert!(read_tolerantly(&tenant).is_right(), "block {physical} of round {round} was mended");
        }
    }
    note(&format!("{cases} older blocks put back below an open store, {refused} of them met and refused"));
    assert!(refused >= 20, "{refused} of {cases}");
}

#[test]
fn older_roots_and_mixtures_of_files_never_show_an_older_value() {
    let history = History::new();
    let newest = history.file(ROUNDS - 1);
    for round in 0..ROUNDS - 1 {
        let older = history.file(round);
        for roots in [&[1][..], &[2], &[1, 2]] {
            for tags_too in [false, true] {
                let mut bytes = newest.clone();
                roots.iter().for_each(|physical| put_back(&older, &mut bytes, *physical));
                if tags_too {
                    put_back(&older, &mut bytes, 3);
                }
                let disk = history.store.disk.snapshot();
                disk.write_file(history.path(), &bytes).unwrap();
                let place = format!("roots {roots:?} of round {round}, tags {tags_too}");
                let (read, _) = counting_panics(|| open_and_read(config(&disk, 2)));
                assert!(!read.is_deceived(), "{place}: {read:?}");
                if roots.len() == 2 {
                    assert!(read.refused.is_some(), "{place}: {read:?}");
                } else if !tags_too {
                    assert!(read.is_right(), "{place}: one root is enough: {read:?}");
                }
            }
        }
        // Everything of the older file, but for the roots.
        let mut bytes = newest.clone();
        let end = older.len().min(newest.len());
        bytes[3 * usize::try_from(BLOCK).unwrap()..end]
            .copy_from_slice(&older[3 * usize::try_from(BLOCK).unwrap()..end]);
        let disk = history.store.disk.snapshot();
        disk.write_file(history.path(), &bytes).unwrap();
        let (full, _) = counting_panics(|| open_and_read(config(&disk, 2).freshness(Freshness::Full)));
        assert!(full.refused.is_some(), "all blocks of round {round} under the newest root: {full:?}");
    }
}

#[test]
fn an_older_file_is_rolled_back_until_that_is_accepted_on_a_new_timeline() {
    let history = History::new();
    for round in 0..ROUNDS - 1 {
        for at_open in [false, true] {
            let disk = history.store.disk.snapshot();
            disk.write_file(history.path(), history.file(round)).unwrap();
            let engine = Engine::open(config(&disk, 2)).unwrap();
            assert_eq!(refusal(engine.tenant("acme")), ErrorKind::RolledBack, "round {round}");
            let globex = engine.tenant("globex").unwrap();
            super::store::assert_reads_all(&globex, TENANTS[1].1);
            let report = engine.verify_tenant("acme", &mut |_| {}).unwrap();
            assert!(!report.is_good() && report.problem.is_some(), "{report:?}");
            let newest_timeline = timeline_of(&history.store.disk);

            // By the one tenant, or by the configuration.
            let engine = if at_open {
                engine.close().unwrap();
                Engine::open(config(&disk, 3).accept_rollback(true)).unwrap()
            } else {
                engine.accept_rollback("acme").unwrap();
                engine
            };
            let acme = engine.tenant("acme").unwrap();
            let documents = acme.collection("documents").unwrap();
            for index in 0..RECORDS {
                let expected = history.states[round].get(&index).map(|round| value_in(*round, index));
                assert_eq!(
                    documents.get(key_of(index)).unwrap().as_deref(),
                    expected.as_deref(),
                    "round {round}"
                );
            }
            let version = documents.put(key_of(0), "after the rollback").unwrap();
            assert!(version.timeline > newest_timeline, "{version} does not come after {newest_timeline}");
            assert!(engine.verify(&mut |_| {}).unwrap().is_good());
            engine.close().unwrap();

            // Accepted is accepted: it opens like any other from now on.
            let engine = Engine::open(config(&disk, 4)).unwrap();
            let documents = engine.tenant("acme").unwrap().collection("documents").unwrap();
            assert_eq!(&*documents.get(key_of(0)).unwrap().unwrap(), b"after the rollback");
        }
    }
}

fn timeline_of(disk: &SimDisk) -> u32 {
    let engine = Engine::open(config(&disk.snapshot(), 2)).unwrap();
    engine.tenant_stats("acme").unwrap().version.timeline
}

#[test]
fn an_older_catalog_is_rolled_back_until_that_is_accepted() {
    let disk = SimDisk::new();
    Engine::create(config(&disk, 1)).unwrap().close().unwrap();
    let engine = Engine::open(config(&disk, 2)).unwrap();
    fill(&engine.create_tenant("acme", TenantOptions::new()).unwrap(), 20).unwrap();
    close(engine);
    let before = disk.snapshot();
    let engine = Engine::open(config(&disk, 3)).unwrap();
    fill(&engine.create_tenant("globex", TenantOptions::new()).unwrap(), 20).unwrap();
    let system = engine.store_id().to_string();
    close(engine);
    let paths = disk.paths();
    let catalog = paths.iter().find(|path| path.to_string_lossy().contains(&format!("{system}."))).unwrap();
    disk.write_file(catalog, before.read_file(catalog).unwrap()).unwrap();

    let error = Engine::open(config(&disk, 4)).unwrap_err();
    assert_eq!(kind_of(&error), ErrorKind::RolledBack);
    assert!(error.to_string().contains(&system), "{error}");
    let engine = Engine::open(config(&disk, 4).accept_rollback(true)).unwrap();
    super::store::assert_reads_all(&engine.tenant("acme").unwrap(), 20);
    assert_eq!(
        refusal(engine.tenant("globex")),
        ErrorKind::NotFound,
        "the catalog forgot it: that was accepted"
    );
    // Its files are still there, and said to be unknown.
    assert!(engine.verify(&mut |_| {}).unwrap().unknown_files.len() >= 2);
}

#[test]
fn an_older_keyring_opens_a_newer_file_and_an_old_copy_of_both_is_the_limit() {
    let history = History::new();
    let keyring = &history.store.holding(Owner::Tenant(0)).keyring;
    for round in 0..ROUNDS - 1 {
        let disk = history.store.disk.snapshot();
        disk.write_file(keyring, history.disks[round].read_file(keyring).unwrap()).unwrap();
        assert!(open_and_read(config(&disk, 2)).is_right(), "round {round}");
        // The limit that THREATS.md states: who puts back data and keys of one time together is not told apart.
        let disk = history.store.disk.snapshot();
        disk.write_file(keyring, history.disks[round].read_file(keyring).unwrap()).unwrap();
        disk.write_file(history.path(), history.file(round)).unwrap();
        let read = open_and_read(config(&disk, 2).freshness(Freshness::Full));
        assert!(
            read.refused.is_none() && read.is_deceived() && read.kinds.is_empty(),
            "round {round}: {read:?}"
        );
    }
}

#[test]
fn what_a_rewrite_replaced_does_not_come_back() {
    let history = History::new();
    let disk = history.store.disk.snapshot();
    let engine = Engine::open(config(&disk, 2)).unwrap();
    engine.tenant("acme").unwrap().rewrite(&mut |_, _| {}).unwrap();
    engine.close().unwrap();
    let rewritten = Store::found_on(disk.clone());
    let holding = rewritten.holding(Owner::Tenant(0));
    assert_ne!(&*holding.data, history.path());
    assert!(open_and_read(config(&disk.snapshot(), 3)).is_right());

    // The old file at its old name: reported, not used, not deleted.
    let with_old = disk.snapshot();
    with_old.write_file(history.path(), history.file(ROUNDS - 1)).unwrap();
    assert!(open_and_read(config(&with_old, 3)).is_right());
    let engine = Engine::open(config(&with_old, 3)).unwrap();
    engine.tenant("acme").unwrap();
    let unknown = engine.verify(&mut |_| {}).unwrap().unknown_files;
    assert_eq!(unknown, [history.path()]);
    engine.close().unwrap();
    assert!(with_old.read_file(history.path()).is_ok());

    // The old file at the new one's name.
    let renamed = disk.snapshot();
    renamed.write_file(&holding.data, history.file(ROUNDS - 1)).unwrap();
    assert_eq!(open_and_read(config(&renamed, 3)).refused, Some(ErrorKind::Unauthentic));

    // The old keyring: it names a file that is gone, or, beside the old file, an old copy of both.
    let old_keys = disk.snapshot();
    old_keys.write_file(&holding.keyring, history.store.disk.read_file(&holding.keyring).unwrap()).unwrap();
    assert_eq!(open_and_read(config(&old_keys, 3)).refused, Some(ErrorKind::Unavailable));

    // The new keyring and the old file alone: the structure key of the old file is gone for ever.
    let old_data = disk.snapshot();
    old_data.remove(&holding.data).unwrap();
    old_data.write_file(history.path(), history.file(ROUNDS - 1)).unwrap();
    assert_eq!(open_and_read(config(&old_data, 3)).refused, Some(ErrorKind::Unavailable));
}
