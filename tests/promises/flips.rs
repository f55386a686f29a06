//! Promise: no wrong answers (invariant 4), sampled over whole stores: a byte flipped anywhere in any file is an error or
//! changes nothing, and the other tenant reads everything.
//!
//! One byte in `STRONGROOM_FLIP_STRIDE` (61, which is prime to every structure's size) of every allocated byte is flipped;
//! 1 flips each one. Every byte of a keyring, header, slot and envelope is flipped in the engine's unit tests.

use std::ops::Range;
use std::path::{Path, PathBuf};

use strongroom::simulation::SimDisk;
use strongroom::{Engine, ErrorKind};

use crate::support::{config, read_all, small_store};

const RECORDS: usize = 20;
const DAMAGE: [ErrorKind; 7] = [
    ErrorKind::Unauthentic,
    ErrorKind::Corrupted,
    ErrorKind::RolledBack,
    ErrorKind::KeyMissing,
    ErrorKind::KeyUnavailable,
    ErrorKind::Unavailable,
    ErrorKind::UnsupportedFormat,
];

#[derive(Debug, Default)]
struct Tally {
    flips: usize,
    unchanged: usize,
    store_refused: usize,
    tenant_refused: usize,
    records_refused: usize,
    records_read_beside_damage: usize,
}

/// The tenants' ids as they stand in file names.
fn ids(disk: &SimDisk) -> [String; 2] {
    let engine = Engine::open(config(disk, 9)).unwrap();
    ["acme", "globex"].map(|name| engine.tenant_info(name).unwrap().id.to_string())
}

fn flip(disk: &SimDisk, path: &Path, offset: u64, ids: &[String; 2], tally: &mut Tally) {
    let place = || format!("{} byte {offset}", path.display());
    let disk = disk.snapshot();
    let mut bytes = disk.read_file(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 1 << (offset % 8);
    disk.write_file(path, &bytes).unwrap();
    tally.flips += 1;
    let engine = match Engine::open(config(&disk, offset)) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(DAMAGE.contains(&error.kind()), "{}: {error:?}", place());
            let of_one_tenant = ids.iter().any(|id| path.to_str().unwrap().contains(id.as_str()));
            assert!(!of_one_tenant, "{}: one tenant's file stopped the store: {error:?}", place());
            tally.store_refused += 1;
            return;
        }
    };
    let mut refused = 0;
    for (name, id) in ["acme", "globex"].iter().zip(ids) {
        let mine = path.to_str().unwrap().contains(id.as_str());
        match engine.tenant(name) {
            Ok(tenant) => {
                let readings = read_all(&tenant, RECORDS);
                assert_eq!(readings.wrong, 0, "{}: a wrong answer", place());
                assert!(readings.kinds.iter().all(|kind| DAMAGE.contains(kind)), "{}: {readings:?}", place());
                assert!(
                    mine || readings.refused == 0,
                    "{}: another tenant is refused: {readings:?}",
                    place()
                );
                if readings.refused > 0 {
                    tally.records_read_beside_damage += readings.right;
                }
                refused += readings.refused;
            }
            Err(error) => {
                assert!(mine && DAMAGE.contains(&error.kind()), "{}: {error:?}", place());
                tally.tenant_refused += 1;
                refused += RECORDS;
            }
        }
    }
    tally.records_refused += refused;
    tally.unchanged += usize::from(refused == 0);
}

fn run(
    disk: &SimDisk,
    work: &[(PathBuf, Range<u64>)],
    stride: usize,
    ids: &[String; 2],
    half: usize,
) -> Tally {
    let mut tally = Tally::default();
    let all = work.iter().flat_map(|(path, range)| range.clone().map(move |offset| (path, offset)));
    for (path, offset) in all.step_by(stride).skip(half).step_by(2) {
        flip(disk, path, offset, ids, &mut tally);
    }
    tally
}

#[test]
fn a_flipped_byte_anywhere_is_refused_or_changes_nothing() {
    let disk = SimDisk::new();
    small_store(&disk, RECORDS).unwrap();
    let ids = ids(&disk);
    let stride =
        std::env::var("STRONGROOM_FLIP_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(61);
    let work: Vec<_> = disk
        .paths()
        .into_iter()
        .flat_map(|path| {
            let length = disk.read_file(&path).unwrap().len() as u64;
            let ranges = disk.allocated_ranges(&path).unwrap().into_iter();
            ranges.map(move |range| (path.clone(), range.start..range.end.min(length)))
        })
        .collect();
    let bytes: u64 = work.iter().map(|(_, range)| range.end - range.start).sum();
    let (a, b) = std::thread::scope(|scope| {
        let [a, b] = [0, 1].map(|half| {
            let (disk, work, ids) = (&disk, &work, &ids);
            scope.spawn(move || run(disk, work, stride, ids, half))
        });
        (a.join().unwrap(), b.join().unwrap())
    });
    println!("{bytes} bytes allocated; {a:?} {b:?}");
    assert_eq!(a.flips + b.flips, usize::try_from(bytes).unwrap().div_ceil(stride));
    assert!(bytes > 300_000, "the store is too small: {bytes} bytes");
    // Refusing everything does not count.
    assert!(a.unchanged + b.unchanged > (a.flips + b.flips) / 10);
    assert!(a.records_read_beside_damage + b.records_read_beside_damage > 1_000);
    assert!(a.records_refused + b.records_refused > 500);
}
