//! Blocks and files that are authentic, but elsewhere: swapped, copied, exchanged between tenants, cut off, extended.
//!
//! A block alone fails for its tag; with its entry of the tag block it is a whole sealed block, and only the block's
//! number, file and epoch in the authenticated data tell that it is not where it was written.

use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom::simulation::{Disk, SimDisk};
use strongroom::{Engine, ErrorKind};

use super::store::{BLOCK, ENTRY, Owner, Reading, Role, Store, TENANTS, Whole, entry_of, read_whole, role};
use crate::support::{config, kind_of, note};

/// Kinds that a moved block or a cut file may give.
const DAMAGE: [ErrorKind; 2] = [ErrorKind::Unauthentic, ErrorKind::Corrupted];

fn whole_on(disk: &SimDisk, place: &str) -> Whole {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let whole = read_whole(&disk).unwrap_or_else(|violation| panic!("{place}: {violation}"));
    // redb itself may panic over a file that was cut; the engine's boundary turns that into an error.
    assert!(whole.panics <= 2, "{place}: {} panics of redb's", whole.panics);
    whole
}

/// What reading is without a block: all of it set to zero.
fn without(store: &Store, owner: Owner, physical: u64) -> Whole {
    let holding = store.holding(owner);
    let disk = store.disk.snapshot();
    let mut bytes = disk.read_file(&holding.data).unwrap();
    bytes[at(physical, BLOCK)].fill(0);
    disk.write_file(&holding.data, &bytes).unwrap();
    whole_on(&disk, "a block of zeros")
}

fn at(physical: u64, length: u64) -> std::ops::Range<usize> {
    let start = usize::try_from(physical * BLOCK).unwrap();
    start..start + usize::try_from(length).unwrap()
}

fn entry_at(physical: u64) -> std::ops::Range<usize> {
    let start = usize::try_from(entry_of(physical)).unwrap();
    start..start + usize::try_from(ENTRY).unwrap()
}

/// The data blocks of a tenant's file that reading needs, and what each one costs.
fn needed(store: &Store, index: usize) -> Vec<(u64, Reading)> {
    let owner = Owner::Tenant(index);
    let blocks = store.allocated(&store.holding(owner).data).into_iter().flatten().step_by(BLOCK as usize);
    let data = blocks.map(|offset| offset / BLOCK).filter(|physical| role(*physical) == Role::Data);
    let costs = data.map(|physical| (physical, without(store, owner, physical).tenants[index].clone()));
    costs.filter(|(_, reading)| !reading.is_whole()).collect()
}

/// Puts `from`'s block, and if asked for its entry, in `to`'s place.
fn copy_block(from: &[u8], source: u64, to: &mut [u8], target: u64, with_entry: bool) {
    to[at(target, BLOCK)].copy_from_slice(&from[at(source, BLOCK)]);
    if with_entry {
        to[entry_at(target)].copy_from_slice(&from[entry_at(source)]);
    }
}

/// Asserts that of a tenant's records just those are refused, and that the other tenant is whole.
fn assert_costs(whole: &Whole, index: usize, damaged: &BTreeSet<usize>, place: &str) {
    assert_eq!(whole.refused, None, "{place}");
    assert_eq!(whole.tenants[index].damaged, *damaged, "{place}: {whole:?}");
    assert!(whole.kinds().iter().all(|kind| DAMAGE.contains(kind)), "{place}: {whole:?}");
    assert!(whole.tenants[1 - index].is_whole(), "{place} costs the other tenant: {whole:?}");
}

#[test]
fn blocks_swapped_or_copied_within_a_file_are_refused_and_cost_no_other_record() {
    let store = Store::new();
    let holding = store.holding(Owner::Tenant(0));
    let original = store.disk.read_file(&holding.data).unwrap();
    let needed = needed(&store, 0);
    let (mut cases, mut survivors) = (0, 0);
    for (index, (first, first_costs)) in needed.iter().enumerate() {
        // Neighbours and others, round the end.
        for distance in [1, 2, 3, 5, 8, 13] {
            let (second, second_costs) = &needed[(index + distance) % needed.len()];
            for (swap, with_entry) in [(true, false), (true, true), (false, false), (false, true)] {
                let mut bytes = original.clone();
                copy_block(&original, *first, &mut bytes, *second, with_entry);
                let mut damaged = second_costs.damaged.clone();
                if swap {
                    copy_block(&original, *second, &mut bytes, *first, with_entry);
                    damaged.extend(&first_costs.damaged);
                }
                let disk = store.disk.snapshot();
                disk.write_file(&holding.data, &bytes).unwrap();
                let place = format!("blocks {first} and {second}, swapped {swap}, entries too {with_entry}");
                let whole = whole_on(&disk, &place);
                assert_costs(&whole, 0, &damaged, &place);
                cases += 1;
                survivors += TENANTS[0].1 - damaged.len();
            }
        }
    }
    note(&format!("{cases} moves within a file; {survivors} records of the damaged tenant read right"));
    assert!(cases >= 500 && survivors >= 8_000, "{cases} cases, {survivors} survivors");
}

#[test]
fn blocks_exchanged_between_tenants_are_refused_with_and_without_their_tags() {
    let store = Store::new();
    let holdings = [0, 1].map(|index| store.holding(Owner::Tenant(index)));
    let originals = holdings.map(|holding| store.disk.read_file(&holding.data).unwrap());
    let needed = [0, 1].map(|index| needed(&store, index));
    let mut cases = 0;
    // Every second pair, among them the same places in both files.
    for (index, (first, first_costs)) in needed[0].iter().enumerate() {
        for (second, second_costs) in needed[1].iter().skip(index % 2).step_by(2) {
            for with_entry in [false, true] {
                let mut bytes = originals.clone();
                copy_block(&originals[0], *first, &mut bytes[1], *second, with_entry);
                copy_block(&originals[1], *second, &mut bytes[0], *first, with_entry);
                let disk = store.disk.snapshot();
                for (holding, bytes) in holdings.iter().zip(&bytes) {
                    disk.write_file(&holding.data, bytes).unwrap();
                }
                let place =
                    format!("block {first} of one and {second} of the other, entries too {with_entry}");
                let whole = whole_on(&disk, &place);
                let costs = [&first_costs.damaged, &second_costs.damaged];
                for (reading, costs) in whole.tenants.iter().zip(costs) {
                    assert_eq!(reading.damaged, *costs, "{place}: {whole:?}");
                }
                assert!(whole.kinds().iter().all(|kind| DAMAGE.contains(kind)), "{place}: {whole:?}");
                cases += 1;
            }
        }
    }
    note(&format!("{cases} exchanges of blocks between two tenants"));
    assert!(cases >= 400, "{cases}");
}

#[test]
fn roots_headers_and_tag_blocks_of_another_tenant_are_refused() {
    let store = Store::new();
    let [mine, other] = [0, 1].map(|index| store.holding(Owner::Tenant(index)));
    let [original, foreign] = [mine, other].map(|holding| store.disk.read_file(&holding.data).unwrap());
    for (blocks, costs_all) in [(&[0][..], true), (&[1], false), (&[2], false), (&[1, 2], true), (&[3], true)]
    {
        let mut bytes = original.clone();
        for physical in blocks {
            bytes[at(*physical, BLOCK)].copy_from_slice(&foreign[at(*physical, BLOCK)]);
        }
        let disk = store.disk.snapshot();
        disk.write_file(&mine.data, &bytes).unwrap();
        let place = format!("blocks {blocks:?} of another tenant");
        let damaged = (0..if costs_all { TENANTS[0].1 } else { 0 }).collect();
        assert_costs(&whole_on(&disk, &place), 0, &damaged, &place);
    }
    // A tenant's own two root slots exchanged: the slot's number is authenticated too.
    let mut bytes = original.clone();
    copy_root(&original, 1, &mut bytes, 2);
    copy_root(&original, 2, &mut bytes, 1);
    let disk = store.disk.snapshot();
    disk.write_file(&mine.data, &bytes).unwrap();
    assert_costs(&whole_on(&disk, "roots swapped"), 0, &(0..TENANTS[0].1).collect(), "roots swapped");
}

fn copy_root(from: &[u8], source: u64, to: &mut [u8], target: u64) {
    to[at(target, BLOCK)].copy_from_slice(&from[at(source, BLOCK)]);
}

#[test]
fn whole_files_and_keyrings_exchanged_between_tenants_are_refused() {
    let store = Store::new();
    let [mine, other] = [0, 1].map(|index| store.holding(Owner::Tenant(index)));
    for (data, keyring) in [(true, false), (false, true), (true, true)] {
        let disk = store.disk.snapshot();
        for (exchanged, a, b) in [(data, &mine.data, &other.data), (keyring, &mine.keyring, &other.keyring)] {
            if exchanged {
                disk.copy_file(a, "/aside").unwrap();
                disk.copy_file(b, a).unwrap();
                disk.copy_file("/aside", b).unwrap();
            }
        }
        let place = format!("exchanged: data {data}, keyring {keyring}");
        let whole = whole_on(&disk, &place);
        for (reading, (_, count)) in whole.tenants.iter().zip(TENANTS) {
            assert_eq!((reading.refused, reading.damaged.len()), (true, count), "{place}: {whole:?}");
            assert_eq!(reading.kinds, BTreeSet::from([ErrorKind::Unauthentic]), "{place}");
        }
        // Whichever tenant it is, the error says so by its id and names the file.
        let engine = Engine::open(config(&disk, 2)).unwrap();
        for (holding, (name, _)) in [mine, other].into_iter().zip(TENANTS) {
            let error = engine.tenant(name).unwrap_err();
            let file = if keyring { &holding.keyring } else { &holding.data };
            let text = error.to_string();
            assert!(text.contains(&holding.id) && text.contains(file.to_str().unwrap()), "{text}");
        }
    }
    // The catalog's own files in the place of a tenant's, and the other way round.
    let system = store.holding(Owner::System);
    for (from, to, whose) in [(system, mine, Owner::Tenant(0)), (mine, system, Owner::System)] {
        for (a, b) in [(&from.data, &to.data), (&from.keyring, &to.keyring)] {
            let disk = store.disk.snapshot();
            disk.copy_file(a, b).unwrap();
            let whole = whole_on(&disk, "a file of the catalog's");
            let refused = if whose == Owner::System { whole.refused } else { whole.kinds().first().copied() };
            assert_eq!(refused, Some(ErrorKind::Unauthentic), "{whole:?}");
        }
    }
}

#[test]
fn files_cut_or_extended_anywhere_are_refused_or_unchanged_and_others_still_read() {
    let store = Store::new();
    let mut cases = 0;
    let mut nameless = BTreeSet::new();
    for holding in &store.holdings {
        for path in [&holding.data, &holding.keyring] {
            let original = store.disk.read_file(path).unwrap();
            let blocks = original.len() as u64 / BLOCK;
            let mut lengths: BTreeSet<_> = (0..=blocks + 70).map(|blocks| blocks * BLOCK).collect();
            lengths.extend((0..=blocks + 1).flat_map(|blocks| [blocks * BLOCK + 1, blocks * BLOCK + 512]));
            lengths.remove(&(original.len() as u64));
            for length in lengths {
                for fill in [0, 0x5a] {
                    let mut bytes = original.clone();
                    bytes.resize(usize::try_from(length).unwrap(), fill);
                    let disk = store.disk.snapshot();
                    disk.write_file(path, &bytes).unwrap();
                    let place = format!("{} with {length} bytes", path.display());
                    let whole = whole_on(&disk, &place);
                    cases += 1;
                    assert!(whole.kinds().iter().all(|kind| ALLOWED.contains(kind)), "{place}: {whole:?}");
                    if let Owner::Tenant(index) = holding.owner {
                        assert!(whole.refused.is_none() && whole.tenants[1 - index].is_whole(), "{place}");
                    }
                    if length < original.len() as u64 {
                        assert!(!whole.is_whole(), "{place}: nobody noticed");
                        nameless.extend(nameless_errors(&disk, holding.owner, &holding.id));
                        break;
                    }
                }
            }
        }
    }
    note(&format!("{cases} other lengths of files"));
    assert!(cases >= 1_000, "{cases}");
    assert!(nameless.is_empty(), "these errors do not name the tenant's id and file: {nameless:#?}");
}

/// A cut keyring may have lost its slots: then the keys are missing.
const ALLOWED: [ErrorKind; 3] = [ErrorKind::Unauthentic, ErrorKind::Corrupted, ErrorKind::KeyMissing];

/// The errors of reading the first and last record that do not say by id whose file is damaged, and which file.
fn nameless_errors(disk: &SimDisk, owner: Owner, id: &str) -> Vec<String> {
    let mut errors = Vec::new();
    match (Engine::open(config(disk, 2)), owner) {
        (Err(error), _) => errors.push(error),
        (Ok(engine), Owner::Tenant(index)) => match engine.tenant(TENANTS[index].0) {
            Err(error) => errors.push(error),
            Ok(tenant) => {
                let documents = tenant.collection("documents").unwrap();
                let ends = [0, TENANTS[index].1 - 1].map(crate::support::key_of);
                errors.extend(ends.into_iter().filter_map(|key| documents.get(key).err()));
            }
        },
        (Ok(_), Owner::System) => {}
    }
    let texts = errors.iter().map(|error| format!("{}: {error}", kind_of(error)));
    texts
        .filter(|text| !text.contains(id) || !(text.contains(".redb") || text.contains(".keyring")))
        .collect()
}

#[test]
fn a_marker_or_root_key_cut_anywhere_is_refused() {
    let store = Store::new();
    for (name, allowed) in
        [("strongroom.marker", ErrorKind::Corrupted), ("root-key", ErrorKind::KeyUnavailable)]
    {
        let paths = store.disk.paths();
        for path in paths.iter().filter(|path| path.ends_with(name)) {
            let original = store.disk.read_file(path).unwrap();
            for length in (0..original.len()).chain([original.len() + 1, 5_000]) {
                let mut bytes = original.clone();
                bytes.resize(length, b'\n');
                let disk = store.disk.snapshot();
                disk.write_file(path, &bytes).unwrap();
                let whole = whole_on(&disk, name);
                assert_eq!(whole.refused, Some(allowed), "{} with {length} bytes", path.display());
            }
        }
    }
}
