//! Promise: no wrong answers (invariant 4), over a whole store: each allocated byte of each file of a small store is
//! flipped, one at a time, in a bit that goes round with its offset. Each is an error or changes nothing; no other tenant
//! is refused anything.
//!
//! After a flip the store is opened, and what the damaged file can touch is read by get: of a tenant's keyring or data all
//! records of this tenant, of any other file both tenants with a record each. After one in [`SAMPLE`] of the flips more is
//! read: all records of both tenants, whatever file was damaged, and those of a damaged tenant by scan as well. Holes of a
//! file have no bytes on a disk: the count is of what is allocated, and asserted. So is what was still read: refusing
//! everything does not count.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::simulation::SimDisk;
use strongroom::{Engine, ErrorKind};

use crate::support::{Readings, config, kind_of, note, read_all, scan_all, small_store};

/// One batch of them: each commit leaves blocks behind that are flipped as well.
const RECORDS: usize = 10;
const TENANTS: [&str; 2] = ["acme", "globex"];
/// Prime to every structure's size, so that the sample meets every place of each.
const SAMPLE: u64 = 31;
const DAMAGE: [ErrorKind; 7] = [
    ErrorKind::Unauthentic,
    ErrorKind::Corrupted,
    ErrorKind::RolledBack,
    ErrorKind::KeyMissing,
    ErrorKind::KeyUnavailable,
    ErrorKind::Unavailable,
    ErrorKind::UnsupportedFormat,
];

/// What became of the flips in the files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    flips: usize,
    /// Everything that was read was as it was put.
    unchanged: usize,
    store_refused: usize,
    tenant_refused: usize,
    /// The tenant opened, and some of its records were refused or all of them.
    records_refused: usize,
    /// Records of the damaged tenant that were read while others of it were refused.
    read_beside_damage: usize,
    /// Records of tenants that were not damaged.
    read_of_others: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.flips += other.flips;
        self.unchanged += other.unchanged;
        self.store_refused += other.store_refused;
        self.tenant_refused += other.tenant_refused;
        self.records_refused += other.records_refused;
        self.read_beside_damage += other.read_beside_damage;
        self.read_of_others += other.read_of_others;
    }
}

type Tallies = BTreeMap<&'static str, Tally>;

/// A file of the store.
struct Target {
    path: PathBuf,
    kind: &'static str,
    /// The tenant whose file it is, where it is one tenant's.
    of: Option<usize>,
    pages: Vec<Range<u64>>,
}

fn targets(disk: &SimDisk) -> Vec<Target> {
    let engine = Engine::open(config(disk, 9)).unwrap();
    let ids = TENANTS.map(|name| engine.tenant_info(name).unwrap().id.to_string());
    engine.close().unwrap();
    let target = |path: PathBuf| {
        let text = path.to_str().unwrap();
        let of = ids.iter().position(|id| text.contains(id));
        let kind = match (path.extension().and_then(|end| end.to_str()), of) {
            (Some("keyring"), None) => "keyring of the catalog",
            (Some("keyring"), Some(_)) => "keyrings of tenants",
            (Some("redb"), None) => "data of the catalog",
            (Some("redb"), Some(_)) => "data of tenants",
            (Some("marker"), None) => "markers",
            (Some("lane"), None) => "lane states",
            _ => "others",
        };
        let length = disk.read_file(&path).unwrap().len() as u64;
        let ranges = disk.allocated_ranges(&path).unwrap().into_iter();
        let pages = ranges.flat_map(|range| range.step_by(4096));
        let pages = pages.map(|start| start..length.min(start + 4096)).collect();
        Target { path, kind, of, pages }
    };
    disk.paths().into_iter().map(target).collect()
}

fn flip(disk: &SimDisk, target: &Target, offset: u64) -> Tally {
    let place = || format!("{} byte {offset}", target.path.display());
    let mut tally = Tally { flips: 1, ..Tally::default() };
    let disk = disk.snapshot();
    disk.flip(&target.path, offset, 1 << (offset % 8)).unwrap();
    let engine = match Engine::open(config(&disk, offset)) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(DAMAGE.contains(&kind_of(&error)), "{}: {error:?}", place());
            assert_eq!(target.of, None, "{}: one tenant's file stopped the store: {error:?}", place());
            tally.store_refused = 1;
            return tally;
        }
    };
    let sampled = offset.is_multiple_of(SAMPLE);
    let mut refused = false;
    for (index, name) in TENANTS.into_iter().enumerate() {
        let damaged = target.of == Some(index);
        if !damaged && target.of.is_some() && !sampled {
            continue;
        }
        let tenant = match engine.tenant(name) {
            Ok(tenant) => tenant,
            Err(error) => {
                assert!(damaged && DAMAGE.contains(&kind_of(&error)), "{}: {error:?}", place());
                tally.tenant_refused = 1;
                refused = true;
                continue;
            }
        };
        let readings = read_all(&tenant, if damaged || sampled { RECORDS } else { 1 });
        check(&readings, damaged, &place);
        if damaged && sampled {
            check(&scan_all(&tenant, RECORDS, offset.is_multiple_of(2)), damaged, &place);
        }
        if readings.refused > 0 {
            refused = true;
            tally.records_refused = 1;
            tally.read_beside_damage = readings.right;
        }
        if !damaged {
            tally.read_of_others += readings.right;
        }
    }
    tally.unchanged = usize::from(!refused);
    tally
}

#[track_caller]
fn check(readings: &Readings, damaged: bool, place: &dyn Fn() -> String) {
    assert_eq!(readings.wrong, 0, "{}: a wrong answer", place());
    assert!(readings.kinds.iter().all(|kind| DAMAGE.contains(kind)), "{}: {readings:?}", place());
    assert!(damaged || readings.refused == 0, "{}: another tenant is refused: {readings:?}", place());
}

/// Takes pages until there are none left.
fn work(disk: &SimDisk, pages: &[(&Target, Range<u64>)], next: &AtomicUsize) -> Tallies {
    let mut tallies = Tallies::new();
    while let Some((target, page)) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
        for offset in page.clone() {
            *tallies.entry(target.kind).or_default() += flip(disk, target, offset);
        }
    }
    tallies
}

fn run(disk: &SimDisk, targets: &[Target]) -> Tallies {
    let pages = targets.iter().flat_map(|target| target.pages.iter().map(move |page| (target, page.clone())));
    let (pages, next, mut tallies) = (pages.collect::<Vec<_>>(), AtomicUsize::new(0), Tallies::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(disk, &pages, &next))).collect();
        for worker in workers {
            for (kind, tally) in worker.join().unwrap() {
                *tallies.entry(kind).or_default() += tally;
            }
        }
    });
    tallies
}

#[test]
fn every_flipped_byte_is_refused_or_changes_nothing() {
    let disk = SimDisk::new();
    small_store(&disk, RECORDS).unwrap();
    let targets = targets(&disk);
    let tallies = run(&disk, &targets);
    note(&format!("{} files, {tallies:#?}", targets.len()));

    let bytes = |kind: &str| {
        let pages = targets.iter().filter(|target| target.kind == kind).flat_map(|target| &target.pages);
        pages.flat_map(Clone::clone).collect::<Vec<_>>()
    };
    for (kind, tally) in &tallies {
        assert_eq!(tally.flips, bytes(kind).len(), "{kind}");
        assert_eq!(
            tally.flips,
            tally.unchanged + tally.store_refused + tally.tenant_refused + tally.records_refused
        );
    }
    let kinds = |kind: &str| targets.iter().filter(|target| target.kind == kind).count();
    // One for each tenant and one for the catalog; two markers; one lane, its segments retired; the root key, two locks and
    // the hint. Segments are damaged in `journal.rs`.
    assert_eq!(["data of tenants", "keyrings of tenants", "markers", "others"].map(kinds), [2, 2, 2, 4]);
    assert_eq!(kinds("lane states"), 1);
    assert_eq!(["data of the catalog", "keyring of the catalog"].map(kinds), [1, 1]);
    assert!(tallies.values().map(|tally| tally.flips).sum::<usize>() > 300_000, "the store is too small");

    // Whatever happens to a tenant's files, the other one reads everything, each time it is asked.
    for kind in ["data of tenants", "keyrings of tenants"] {
        let sampled = bytes(kind).into_iter().filter(|offset| offset.is_multiple_of(SAMPLE)).count();
        assert_eq!(tallies[kind].read_of_others, sampled * RECORDS, "{kind}");
    }
    // Everything in a keyring is there twice.
    for kind in ["keyrings of tenants", "keyring of the catalog", "lane states"] {
        assert_eq!(tallies[kind].unchanged, tallies[kind].flips, "{kind}");
    }
    assert_eq!(tallies["markers"].store_refused, tallies["markers"].flips);
    let data = &tallies["data of tenants"];
    assert!(data.unchanged > data.flips / 4, "blocks that no table uses are no reason to refuse anything");
    assert!(data.records_refused > data.flips / 8);
    // The damage hides some records of the tenant, not most.
    assert!(data.read_beside_damage > data.records_refused * RECORDS / 2);
}
