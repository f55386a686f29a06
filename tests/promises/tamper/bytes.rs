//! One byte altered at a time: every allocated byte of every file of a small store.
//!
//! **Units.** A file is cut into units whose bytes are authenticated together: the header, each root slot, each entry
//! of a tag block, each data block of a sealed file; a keyring; a marker; and so on. A *survey* alters one byte of each
//! unit of the sealed files in a store of its own, opens it, reads everything in every way, and so learns what damage
//! to the unit costs: nothing, some records, or the tenant.
//!
//! **Each byte.** Then every byte is altered, alone, and that which reads it is asked:
//!
//! | bytes | asked | asserted for each byte |
//! |---|---|---|
//! | sealed files, units that are read | get (of the catalog: the list of tenants) by an engine that has to open the file anew | the altered bit was read; the damaged record is an error of an allowed kind; for a data block, another record reads right; a unit that costs nothing costs nothing |
//! | sealed files, blocks that nothing refers to | `verify`, the same byte of each such block at a time | each of them is found, nothing else, and all records open |
//! | keyrings | opening, with the data file gone so that it ends behind the keyring | the altered bit was read; the keyring opens all the same; the file below is as before, but for an anchor |
//! | markers, root key, hint, locks | opening and reading everything | an error of an allowed kind, or everything is right |
//!
//! **Everything.** For every 127th byte of all files, and for every byte with `STRONGROOM_TAMPER=full` (about an hour),
//! the store is opened and everything is read in every way: what is refused must be just what the survey said, the other
//! tenant is whole, and of the damaged tenant all records but the unit's own read right. Their sum is asserted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom::simulation::Disk;
use strongroom::{Engine, ErrorKind, Tenant, TenantOptions};

use super::flip::{Flip, FlipDisk};
use super::store::{
    BLOCK, ENTRY, Holding, Owner, Reading, Role, Store, TENANTS, Whole, get, logical, read_whole,
    read_whole_as, role,
};
use crate::support::{config_on, counting_panics, kind_of, note};

/// Every how many bytes everything is read, unless all of them are asked for. No power of two, so that the bytes are
/// at other places in each block.
const STRIDE: u64 = 127;

/// Kinds that an altered sealed file, keyring or marker may give.
const DAMAGE: [ErrorKind; 3] = [ErrorKind::Unauthentic, ErrorKind::Corrupted, ErrorKind::UnsupportedFormat];

/// Bytes of a sealed file that are authenticated together.
#[derive(Clone, Debug)]
struct Unit {
    owner: Owner,
    path: Arc<Path>,
    bytes: Range<u64>,
    role: Role,
    cost: Cost,
}

/// What damage to a unit costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Whether the engine reads it at all before it closes the file.
    is_read: bool,
    whole: Whole,
    /// What `verify` says, where nothing else reads it.
    verdict: Verdict,
}

/// What `verify` says of damage to a block that nothing else reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// It does not read it either: redb, repairing in memory, puts another page there.
    #[default]
    Unseen,
    /// It counts the block; all tables and records are whole.
    Block,
    /// It counts the block, and finds fault with the tables: one of redb's own lists, of free pages among others.
    Tables,
}

impl Unit {
    fn flip(&self, offset: u64) -> Flip {
        Flip::at(&self.path, offset)
    }

    /// The first record that it costs: the witness.
    fn witness(&self) -> Option<usize> {
        match self.owner {
            Owner::Tenant(index) => self.cost.whole.tenants[index].damaged.first().copied(),
            Owner::System => (self.cost.whole.refused.or(self.cost.whole.unlisted).is_some()).then_some(0),
        }
    }

    /// A record that it does not cost, of a unit that costs some.
    fn survivor(&self) -> Option<usize> {
        let Owner::Tenant(index) = self.owner else { return None };
        self.witness()?;
        (0..TENANTS[index].1).find(|record| !self.cost.whole.tenants[index].damaged.contains(record))
    }
}

/// What was done: bytes by the kind of place, and records that read right of a tenant whose file was damaged.
#[derive(Debug, Default)]
struct Tally {
    bytes: BTreeMap<&'static str, u64>,
    everything: u64,
    survivors: u64,
}

impl Tally {
    fn of(place: &'static str, bytes: u64) -> Self {
        Self { bytes: BTreeMap::from([(place, bytes)]), ..Self::default() }
    }

    fn add(mut self, other: Self) -> Self {
        for (place, bytes) in other.bytes {
            *self.bytes.entry(place).or_default() += bytes;
        }
        self.everything += other.everything;
        self.survivors += other.survivors;
        self
    }
}

type Job<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

/// Runs jobs in as many threads as there are processors.
fn in_threads<T: Send>(jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let jobs = Mutex::new(jobs.into_iter().rev().collect::<Vec<_>>());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        let run = || std::iter::from_fn(next).map(|job| { let t = cpu(); let r = job(); println!("JOB {} {:.3}", std::any::type_name::<T>(), cpu() - t); r }).collect::<Vec<_>>();
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a job failed")).collect()
    })
}

#[test]
fn an_altered_byte_anywhere_is_refused_or_changes_nothing_and_the_rest_still_reads() {
    let store = Store::new();
    let total = store.allocated_bytes();
    let units = survey(&store);
    check_costs(&units);

    let mut jobs: Vec<Job<'_, Tally>> = Vec::new();
    for holding in &store.holdings {
        let of_owner = units.iter().filter(|unit| unit.owner == holding.owner).collect::<Vec<_>>();
        // A block that costs some records: reading one of them makes the engine open the file anew.
        let bait = of_owner.iter().copied().find(|unit| unit.role == Role::Data && unit.survivor().is_some());
        for unit in of_owner.iter().copied().filter(|unit| unit.cost.is_read) {
            let store = &store;
            if unit.owner == Owner::System && unit.witness().is_none() {
                jobs.push(Box::new(move || { println!("KIND harmless {:?}", unit.role); alter_harmless_of_system(store, unit)}));
            } else {
                jobs.push(Box::new(move || { let t = cpu(); let r = alter_read(store, unit, bait); println!("KIND read {:?} {:?} {:?} {:.3}", unit.owner, unit.role, unit.witness().is_some(), cpu() - t);r}));
            }
        }
        jobs.push(Box::new(|| { let t = cpu(); let r = alter_keyring(&store, holding); println!("KIND keyring - - - {:.3}", cpu() - t);r}));
    }
    let (store, units) = (&store, &units);
    for start in (0..BLOCK).step_by(256) {
        jobs.push(Box::new(move || { let t = cpu(); let r = alter_unread(store, units, start..start + 256); println!("KIND unread - - - {:.3}", cpu() - t);r}));
    }
    jobs.push(Box::new(|| alter_others(store)));
    let stride = if std::env::var("STRONGROOM_TAMPER").is_ok_and(|all| all == "full") { 1 } else { STRIDE };
    for part in 0..64 {
        jobs.push(Box::new(move || { let t = cpu(); let r = alter_and_read_everything(store, units, stride, part); println!("KIND everything - - - {:.3}", cpu() - t);r}));
    }
    let tally = in_threads(jobs).into_iter().fold(Tally::default(), Tally::add);

    note(&format!("{total} bytes altered, one at a time: {:?}", tally.bytes));
    note(&format!(
        "everything read for {} of them; {} records read right in files that were damaged",
        tally.everything, tally.survivors
    ));
    assert_eq!(tally.bytes.values().sum::<u64>(), total, "every allocated byte was altered once");
    assert!(total >= 400_000, "the store has shrunk to {total} bytes");
    assert!(tally.everything >= total / stride);
}

/// Cuts the sealed files into units and learns what damage to each costs.
fn survey(store: &Store) -> Vec<Unit> {
    let mut jobs: Vec<Job<'_, Unit>> = Vec::new();
    for holding in &store.holdings {
        for range in store.allocated(&holding.data) {
            for start in range.step_by(BLOCK as usize) {
                let role = role(start / BLOCK);
                let size = if role == Role::Tags { ENTRY } else { BLOCK };
                for first in (start..start + BLOCK).step_by(size as usize) {
                    jobs.push(Box::new(move || {
                        let path = Arc::clone(&holding.data);
                        let disk = FlipDisk::over(store.disk.snapshot());
                        disk.set(vec![Flip::at(&path, first)]);
                        let mut is_read = false;
                        let config = config_on(&(Arc::new(disk.clone()) as Arc<dyn Disk>), 2);
                        let whole = read_whole_as(config, || is_read = disk.seen() > 0)
                            .unwrap_or_else(|violation| panic!("{role:?} at {first}: {violation}"));
                        let verdict = if is_read { Verdict::Unseen } else { verdict(store, holding, first) };
                        let cost = Cost { is_read, whole, verdict };
                        Unit { owner: holding.owner, path, bytes: first..first + size, role, cost }
                    }));
                }
            }
        }
    }
    in_threads(jobs)
}

/// What `verify` says of a byte that nothing else reads.
fn verdict(store: &Store, holding: &Holding, offset: u64) -> Verdict {
    let disk = FlipDisk::over(store.disk.snapshot());
    disk.set(vec![Flip::at(&holding.data, offset)]);
    let engine = Engine::open(config_on(&(Arc::new(disk.clone()) as Arc<dyn Disk>), 2)).unwrap();
    let report = engine.verify(&mut |_| {}).unwrap();
    let of_owner = report.tenants.iter().find(|tenant| tenant.id.to_string() == holding.id).unwrap();
    let found = of_owner.file.blocks_discarded + of_owner.file.blocks_bad.len() as u64;
    assert_eq!(found, u64::from(disk.seen() > 0), "verify read an altered byte at {offset}: {of_owner:?}");
    match (disk.seen() > 0, &of_owner.file.tables) {
        (false, _) => Verdict::Unseen,
        (true, None) => Verdict::Block,
        (true, Some(_)) => Verdict::Tables,
    }
}

/// What must hold of the units: damage in one tenant's file costs nothing of another's, header and data cost where
/// they are read, either root slot may go.
fn check_costs(units: &[Unit]) {
    let mut refusing = [0, 0];
    let mut records_lost = [0, 0];
    for unit in units {
        let Cost { is_read, whole, .. } = &unit.cost;
        let Unit { owner, bytes, role, .. } = unit;
        assert!(whole.panics == 0 && whole.kinds().iter().all(|kind| DAMAGE.contains(kind)), "{unit:?}");
        match role {
            Role::Header => assert!(!whole.is_whole(), "{owner:?}: the header of the file does not matter"),
            Role::Root => {
                assert!(*is_read && whole.is_whole(), "{owner:?}: one root slot is enough: {whole:?}")
            }
            Role::Data => {
                let costs = Whole { unclosed: None, ..whole.clone() };
                assert_eq!(*is_read, !costs.is_whole(), "{owner:?}: {bytes:?} {whole:?}");
            }
            Role::Tags => {}
        }
        if let Owner::Tenant(index) = *owner {
            assert!(
                whole.tenants[1 - index].is_whole(),
                "{owner:?} {bytes:?} costs the other tenant: {whole:?}"
            );
            assert_eq!((whole.refused, whole.unlisted), (None, None), "{owner:?} {bytes:?}");
            if *role == Role::Data && *is_read {
                let reading = &whole.tenants[index];
                refusing[index] += usize::from(reading.damaged.len() == TENANTS[index].1);
                records_lost[index] += reading.damaged.len();
                // A leaf of redb's, or the pages of one record: no block in between costs the neighbours.
                assert!(reading.damaged.len() <= 10 || reading.damaged.len() == TENANTS[index].1, "{unit:?}");
            }
        }
    }
    note(&format!(
        "data blocks that cost a whole tenant: {refusing:?}; records lost, summed: {records_lost:?}"
    ));
    assert!(refusing[0] <= 9 && refusing[1] <= 9, "more blocks than the tables need cost a whole tenant");
}

fn read_all_of(disk: &FlipDisk, place: &dyn std::fmt::Display) -> Whole {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    read_whole(&disk).unwrap_or_else(|violation| panic!("{place}: {violation}"))
}

/// An engine that stays open while bytes are altered below it.
struct Live {
    disk: FlipDisk,
    engine: Engine,
    tenant: Option<Tenant>,
}

impl Live {
    fn open(store: &Store, owner: Owner) -> Self {
        let disk = FlipDisk::over(store.disk.snapshot());
        let engine = Engine::open(config_on(&(Arc::new(disk.clone()) as Arc<dyn Disk>), 3)).unwrap();
        let tenant = match owner {
            Owner::System => {
                // A failed write: the engine must open the catalog's file anew, of which it then has nothing in memory.
                let data = &store.holding(owner).data;
                disk.below().detach(data);
                engine
                    .create_tenant("spare", TenantOptions::new())
                    .expect_err("the catalog can't be written");
                disk.below().attach(data);
                None
            }
            Owner::Tenant(index) => Some(engine.tenant(TENANTS[index].0).unwrap()),
        };
        Self { disk, engine, tenant }
    }

    /// Reads one record, or the list of tenants; panics where what is read is wrong.
    fn read(&self, record: usize, place: &Flip) -> Result<(), ErrorKind> {
        match &self.tenant {
            Some(tenant) => {
                // Ids of collections stay in memory; this reads their rows.
                let collections = tenant.collections().map_err(|error| kind_of(&error))?;
                assert_eq!(collections.len(), 1, "{place:?}");
                get(tenant, record).unwrap_or_else(|wrong| panic!("{place:?}: {wrong}"))
            }
            None => match self.engine.tenants() {
                Ok(tenants) => {
                    let names = tenants.iter().map(|info| &*info.name);
                    assert!(names.eq(TENANTS.map(|(name, _)| name)), "{place:?}: a tenant is missing");
                    Ok(())
                }
                Err(error) => Err(kind_of(&error)),
            },
        }
    }
}

/// Alters each byte of a unit that is read. Before each one the engine has met an error and must open the file anew, so
/// that it reads header, roots, tags and tables again: where the last read was right, the `bait` sees to that.
fn alter_read(store: &Store, unit: &Unit, bait: Option<&Unit>) -> Tally {
    let ((), panics) = counting_panics(|| {
        let live = Live::open(store, unit.owner);
        let record = unit.witness().or_else(|| bait.and_then(Unit::survivor)).unwrap_or(0);
        let mut fresh = unit.owner == Owner::System;
        for offset in unit.bytes.clone() {
            let place = unit.flip(offset);
            if let Some(bait) = bait.filter(|_| !fresh) {
                live.disk.set(vec![bait.flip(bait.bytes.start)]);
                let baited = live.read(bait.witness().unwrap(), &place);
                assert!(baited.is_err(), "{place:?}: the bait was not read");
            }
            live.disk.set(vec![place.clone()]);
            let read = live.read(record, &place);
            assert!(live.disk.seen() > 0, "{place:?}: nothing read the altered byte");
            match (read, unit.witness()) {
                (Ok(()), None) => {}
                (Err(kind), Some(_)) if DAMAGE.contains(&kind) => {}
                (read, witness) => panic!("{place:?}: {read:?}, although the damage costs {witness:?}"),
            }
            fresh = read.is_err();
            if unit.role == Role::Data
                && let Some(survivor) = unit.survivor()
            {
                // The file is open again now, and in memory but for the block that is altered.
                assert_eq!(live.read(survivor, &place), Ok(()), "{place:?}: an undamaged record");
                fresh = true;
            }
        }
    });
    assert_eq!(panics, 0, "{unit:?}");
    Tally::of("sealed files, read", unit.bytes.end - unit.bytes.start)
}

/// Alters each byte of the catalog's file that is read and costs nothing: opens the store for each.
fn alter_harmless_of_system(store: &Store, unit: &Unit) -> Tally {
    for offset in unit.bytes.clone() {
        let disk = FlipDisk::over(store.disk.snapshot());
        disk.set(vec![unit.flip(offset)]);
        let engine = Engine::open(config_on(&(Arc::new(disk.clone()) as Arc<dyn Disk>), 3)).unwrap();
        assert!(disk.seen() > 0, "{:?}: nothing read the altered byte", unit.flip(offset));
        let names: Vec<_> = engine.tenants().unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(names, TENANTS.map(|(name, _)| name), "{:?}", unit.flip(offset));
    }
    Tally::of("sealed files, read", unit.bytes.end - unit.bytes.start)
}

/// Alters the bytes at the same place of all data blocks that only `verify` reads.
fn alter_unread(store: &Store, units: &[Unit], places: Range<u64>) -> Tally {
    let live = Live::open(store, Owner::Tenant(0));
    let mut altered = 0;
    let unread = || units.iter().filter(|unit| unit.role == Role::Data && !unit.cost.is_read);
    for with_tables in [false, true] {
        // Those that nothing reads are altered once more with the others: no one must notice.
        let hit: Vec<_> = unread().filter(|unit| (unit.cost.verdict == Verdict::Tables) == with_tables).collect();
        for place in places.clone() {
            live.disk.set(hit.iter().map(|unit| unit.flip(unit.bytes.start + place)).collect());
            let report = live.engine.verify(&mut |_| {}).unwrap();
            altered += hit.len() as u64;
            for (owner, found) in Owner::ALL.into_iter().zip(&report.tenants) {
                let expected = hit.iter().filter(|unit| unit.owner == owner && unit.cost.verdict != Verdict::Unseen);
                let expected: BTreeSet<_> = expected.map(|unit| logical(unit.bytes.start / BLOCK)).collect();
                let bad: BTreeSet<_> = found.file.blocks_bad.iter().copied().collect();
                let found_all = found.file.blocks_discarded + bad.len() as u64 == expected.len() as u64;
                assert!(found_all && bad.is_subset(&expected), "{owner:?}, byte {place}: {found:?}");
                assert_eq!(found.file.tables.is_some(), with_tables && !expected.is_empty(), "{owner:?}: {found:?}");
                if let Owner::Tenant(index) = owner
                    && found.file.tables.is_none()
                {
                    let records = (found.file.records, found.file.records_bad);
                    assert_eq!(records, (TENANTS[index].1 as u64, 0), "{owner:?}, byte {place}: {found:?}");
                }
            }
        }
    }
    Tally::of("sealed files, unread", altered)
}

/// Alters each byte of a keyring. Everything in it stands there twice, so each must open all the same: the data file is
/// taken away, and the error must be about that one.
fn alter_keyring(store: &Store, holding: &Holding) -> Tally {
    let disk = FlipDisk::over(store.disk.snapshot());
    disk.below().remove(&holding.data).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let engine = match holding.owner {
        Owner::System => None,
        Owner::Tenant(_) => Some(Engine::open(config_on(&shared, 3)).unwrap()),
    };
    let original = store.disk.read_file(&holding.keyring).unwrap();
    for offset in 0..original.len() as u64 {
        let place = Flip::at(&holding.keyring, offset);
        disk.set(vec![place.clone()]);
        let refused = match (&engine, holding.owner) {
            (Some(engine), Owner::Tenant(index)) => engine.tenant(TENANTS[index].0).map(|_| ()),
            _ => Engine::open(config_on(&shared, 3)).map(|_| ()),
        };
        let error = refused.expect_err("the data file is gone");
        let behind = kind_of(&error) == ErrorKind::Unavailable && error.to_string().contains(".redb");
        assert!(behind, "{place:?}: {error:?}");
        assert!(disk.seen() > 0, "{place:?}: nothing read the altered byte");
        let now = disk.below().read_file(&holding.keyring).unwrap();
        if now != original {
            let differ = now.iter().zip(&original).enumerate().filter(|(_, (now, before))| now != before);
            let blocks: BTreeSet<_> = differ.map(|(index, _)| index as u64 / BLOCK).collect();
            assert!(
                now.len() == original.len() && blocks.iter().all(|block| [2, 3].contains(block)),
                "{place:?}"
            );
            disk.below().write_file(&holding.keyring, &original).unwrap();
        }
    }
    Tally::of("keyrings", original.len() as u64)
}

/// Alters each byte of the markers, the root key, the hint and the locks.
fn alter_others(store: &Store) -> Tally {
    let mut altered = 0;
    for path in store.disk.paths() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let allowed = match name {
            "strongroom.marker" => &DAMAGE[..],
            "root-key" => &[ErrorKind::KeyUnavailable],
            "store.toml" | "strongroom.lock" => &[],
            _ => continue,
        };
        let path: Arc<Path> = path.into();
        for offset in store.allocated(&path).into_iter().flatten() {
            let disk = FlipDisk::over(store.disk.snapshot());
            disk.set(vec![Flip::at(&path, offset)]);
            let whole = read_all_of(&disk, &format_args!("{} at {offset}", path.display()));
            assert_eq!(whole.is_whole(), allowed.is_empty(), "{} at {offset}: {whole:?}", path.display());
            assert!(
                whole.panics == 0 && whole.kinds().iter().all(|kind| allowed.contains(kind)),
                "{whole:?}"
            );
            altered += 1;
        }
    }
    Tally::of("markers, root key, hint, locks", altered)
}

/// Alters every `stride`th byte of everything and reads everything.
fn alter_and_read_everything(store: &Store, units: &[Unit], stride: u64, part: u64) -> Tally {
    let mut tally = Tally::default();
    let places = store.disk.paths().into_iter().flat_map(|path| {
        let ranges = store.allocated(&path);
        let path: Arc<Path> = path.into();
        ranges.into_iter().flatten().map(move |offset| Flip::at(&path, offset))
    });
    for (index, place) in (0_u64..).zip(places) {
        if index % stride != 0 || index / stride % 64 != part {
            continue;
        }
        let disk = FlipDisk::over(store.disk.snapshot());
        disk.set(vec![place.clone()]);
        let whole = read_all_of(&disk, &format_args!("{place:?}"));
        tally.everything += 1;
        assert_eq!(whole.panics, 0, "{place:?}");
        let unit = units.iter().find(|unit| unit.path == place.path && unit.bytes.contains(&place.offset));
        if let Some(unit) = unit {
            let costs = |whole: &Whole| {
                whole.tenants.clone().map(|Reading { refused, damaged, .. }| (refused, damaged))
            };
            assert_eq!(costs(&whole), costs(&unit.cost.whole), "{place:?}");
            assert_eq!(whole.refused.is_some(), unit.cost.whole.refused.is_some(), "{place:?}");
            if let Owner::Tenant(index) = unit.owner {
                tally.survivors += (TENANTS[index].1 - whole.tenants[index].damaged.len()) as u64;
            }
        } else if place.path.extension().is_some_and(|extension| extension == "keyring") {
            assert!(whole.is_whole(), "{place:?}: {whole:?}");
        }
    }
    tally
}

fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap(); s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9 }
