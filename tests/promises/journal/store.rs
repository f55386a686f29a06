//! The store whose journals are damaged, and a reading of everything in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strongroom::simulation::{PowerLoss, SimDisk};
use strongroom::{Collection, Config, Engine, ErrorKind, Result, ScanOptions, Tenant, TenantOptions};

use super::layout::{self, Batch};
use crate::support::{config, kind_of};

/// The tenants; the last one is dedicated. Only the first has a file.
pub(super) const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// The first tenant of the shared lane.
pub(super) const A: usize = 0;
/// The second.
pub(super) const B: usize = 1;
/// The dedicated tenant.
pub(super) const DEDICATED: usize = 2;

/// What damage may be called.
pub(super) const DAMAGE: [ErrorKind; 6] = [
    ErrorKind::Unauthentic,
    ErrorKind::Corrupted,
    ErrorKind::RolledBack,
    ErrorKind::KeyMissing,
    ErrorKind::Unavailable,
    ErrorKind::UnsupportedFormat,
];

/// A tenant's records.
pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// With the shortest segments, and nothing that happens by itself.
pub(super) fn config_of(disk: &SimDisk, seed: u64) -> Config {
    config(disk, seed).segment_bytes(64 << 10).journal_bytes(128 << 10).background(false)
}

/// A store, its tenants' records in the journals alone.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) disk: SimDisk,
    /// The tenants' ids as they stand in file names.
    pub(super) ids: [String; 3],
    /// The system tenant's id, which is the shared lane's.
    pub(super) shared: String,
    /// What each change of a tenant puts, by its sequence. The first one makes the collection.
    pub(super) changes: [BTreeMap<u64, Records>; 3],
}

/// How the store is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Closed,
    Killed,
}

impl Store {
    /// A store with tenants and without records; the catalog is in its file.
    pub(super) fn empty() -> Self {
        let disk = SimDisk::new();
        let engine = Engine::create(config_of(&disk, 1)).unwrap();
        let ids = TENANTS.map(|name| {
            let options = TenantOptions::new();
            let options = if name == TENANTS[DEDICATED] { options.dedicated() } else { options };
            let tenant = engine.create_tenant(name, options).unwrap();
            if name == TENANTS[A] {
                documents(&tenant).put("in the file", name).unwrap();
            }
            tenant.id().to_string()
        });
        engine.checkpoint().unwrap();
        let shared = engine.store_id().to_string();
        engine.close().unwrap();
        let mut changes: [BTreeMap<u64, Records>; 3] = Default::default();
        let in_file = Records::from([(b"in the file".to_vec(), TENANTS[A].into())]);
        changes[A].extend([(1, Records::new()), (2, in_file)]);
        Self { disk, ids, shared, changes }
    }

    /// With rounds of records, each round in a segment of its own: the process was killed after each but the last.
    /// Somewhere a batch of the journal holds frames of both tenants of the shared lane.
    pub(super) fn new(rounds: u64, ended: Ended) -> Self {
        loop {
            let mut store = Self::empty();
            for round in 0..rounds {
                let is_last = round + 1 == rounds;
                store.round(round, if is_last { ended } else { Ended::Killed }, |store, engine| {
                    (0..2).for_each(|index| store.write_together(engine, round, index));
                    [A, B, DEDICATED].into_iter().for_each(|tenant| store.write(engine, tenant, round, 2));
                });
            }
            // Who meets in a batch is chance.
            if !store.shared_batches().is_empty() {
                return store;
            }
        }
    }

    /// Opens the store, works on it, and ends.
    pub(super) fn round(&mut self, seed: u64, ended: Ended, work: impl FnOnce(&mut Self, &Engine)) {
        let engine = Engine::open(config_of(&self.disk, 10 + seed)).unwrap();
        work(self, &engine);
        match ended {
            Ended::Closed => engine.close().unwrap(),
            Ended::Killed => self.disk = self.disk.power_loss(seed, PowerLoss::KeepAll),
        }
    }

    /// What the change of one tenant puts: a record of its own, and one over another.
    fn change(tenant: usize, round: u64, index: u64) -> Records {
        // Changes of all tenants have the same length.
        let value = format!("{:8} record {index} of round {round}", TENANTS[tenant]).into_bytes();
        let names = [format!("key-{round}-{index}"), format!("key-over-{}", index % 2)];
        names.into_iter().map(|name| (name.into_bytes(), value.clone())).collect()
    }

    fn note(&mut self, tenant: usize, sequence: u64, records: Records) {
        if self.changes[tenant].is_empty() {
            self.changes[tenant].insert(1, Records::new());
        }
        self.changes[tenant].insert(sequence, records);
    }

    /// One change of a tenant, in a batch of the journal of its own.
    pub(super) fn write(&mut self, engine: &Engine, tenant: usize, round: u64, index: u64) {
        let records = Self::change(tenant, round, index);
        let version = put_all(&engine.tenant(TENANTS[tenant]).unwrap(), &records).unwrap();
        self.note(tenant, version.sequence, records);
    }

    /// One change of each tenant, in shared batches of the journal as far as that comes about.
    fn write_together(&mut self, engine: &Engine, round: u64, index: u64) {
        let submitted = [A, B, DEDICATED].map(|number| {
            let tenant = engine.tenant(TENANTS[number]).unwrap();
            let documents = documents(&tenant);
            let mut batch = tenant.batch();
            for (key, value) in Self::change(number, round, index) {
                batch.put(&documents, key, value).unwrap();
            }
            tenant.submit(batch).unwrap()
        });
        for (number, change) in submitted.into_iter().enumerate() {
            let version = change.wait().unwrap();
            self.note(number, version.sequence, Self::change(number, round, index));
        }
    }

    /// A tenant's records, without what some of its changes put.
    pub(super) fn records_without(&self, tenant: usize, is_lost: impl Fn(u64) -> bool) -> Records {
        let changes = &self.changes[tenant];
        let kept = changes.iter().filter(|(sequence, _)| !is_lost(**sequence));
        kept.flat_map(|(_, records)| records.clone()).collect()
    }

    pub(super) fn records(&self, tenant: usize) -> Records {
        self.records_without(tenant, |_| false)
    }

    /// The lanes, and the tenants in each.
    pub(super) fn lanes(&self) -> [(&str, &'static [usize]); 2] {
        [(&self.shared, &[A, B]), (&self.ids[DEDICATED], &[DEDICATED])]
    }

    /// The tenant of an id.
    pub(super) fn tenant_of(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }

    /// The segments of a lane with what is in them, in order.
    pub(super) fn segments(&self, lane: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let directory = format!("/store/journal/{lane}");
        let paths = self.disk.paths().into_iter();
        let segments = paths.filter(|path| path.parent() == Some(Path::new(&directory)));
        segments.map(|path| (path.clone(), self.disk.read_file(&path).unwrap())).collect()
    }

    /// The path of a lane's state.
    pub(super) fn state(lane: &str) -> PathBuf {
        format!("/store.keys/{lane}.lane").into()
    }

    /// The batches with frames of both tenants of the shared lane, and the segments they are in.
    pub(super) fn shared_batches(&self) -> Vec<(PathBuf, Vec<u8>, Batch)> {
        let mut found = Vec::new();
        for (path, bytes) in self.segments(&self.shared) {
            for batch in layout::batches(&bytes) {
                if self.tenants_in(&batch) == [A, B] {
                    found.push((path.clone(), bytes.clone(), batch));
                }
            }
        }
        found
    }

    /// The tenants that have a frame in a batch.
    pub(super) fn tenants_in(&self, batch: &Batch) -> Vec<usize> {
        let mut tenants: Vec<_> =
            batch.frames.iter().filter_map(|frame| self.tenant_of(&frame.tenant)).collect();
        tenants.sort_unstable();
        tenants
    }

    /// The store's disk, with another file in the place of one.
    pub(super) fn with(&self, path: &Path, bytes: &[u8]) -> SimDisk {
        let disk = self.disk.snapshot();
        disk.write_file(path, bytes).unwrap();
        disk
    }

    /// Reads everything. What must never happen is a panic: a wrong value, a missing record, an error of another kind.
    pub(super) fn read(&self, disk: &SimDisk, place: &str) -> Outcome {
        self.read_as(config_of(disk, 2), place)
    }

    /// [`Store::read`] with a configuration.
    pub(super) fn read_as(&self, config: Config, place: &str) -> Outcome {
        let engine = match Engine::open(config) {
            Ok(engine) => engine,
            Err(error) => {
                let kind = kind_of(&error);
                assert!(DAMAGE.contains(&kind), "{place}: {error:?}");
                return Outcome { store: Some(kind), tenants: [Some(kind); 3] };
            }
        };
        Outcome {
            store: None,
            tenants: [A, B, DEDICATED].map(|tenant| self.read_one(&engine, tenant, place)),
        }
    }

    /// Reads all of one tenant: everything it has, or an error.
    pub(super) fn read_one(&self, engine: &Engine, tenant: usize, place: &str) -> Option<ErrorKind> {
        match records_of(engine, tenant) {
            Ok(records) => {
                assert!(records == self.records(tenant), "{place}: a wrong answer of {}", TENANTS[tenant]);
                None
            }
            Err(kind) => {
                assert!(DAMAGE.contains(&kind), "{place}: {} gives {kind:?}", TENANTS[tenant]);
                Some(kind)
            }
        }
    }
}

/// What reading everything gave; nothing of it was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outcome {
    /// Why the store does not open, if it does not.
    pub(super) store: Option<ErrorKind>,
    /// Why the tenants do not, each; the others read everything.
    pub(super) tenants: [Option<ErrorKind>; 3],
}

impl Outcome {
    /// Nothing is refused.
    pub(super) const WHOLE: Self = Self { store: None, tenants: [None; 3] };

    /// Just these tenants are refused, with one kind of error.
    pub(super) fn refusing(tenants: &[usize], kind: ErrorKind) -> Self {
        let refused = |tenant| tenants.contains(&tenant).then_some(kind);
        Self { store: None, tenants: [A, B, DEDICATED].map(refused) }
    }

    /// A lane as a whole is refused; of the shared one so is the catalog, and with it the store.
    pub(super) fn refusing_lane(tenants: &[usize], kind: ErrorKind) -> Self {
        if tenants.contains(&A) {
            return Self { store: Some(kind), tenants: [Some(kind); 3] };
        }
        Self::refusing(tenants, kind)
    }
}

/// The collection that all records are in.
pub(super) fn documents(tenant: &Tenant) -> Collection {
    tenant.collection("documents").unwrap()
}

/// Puts records in one batch.
pub(super) fn put_all(tenant: &Tenant, records: &Records) -> Result<strongroom::Version> {
    let documents = documents(tenant);
    tenant.write(|batch| records.iter().try_for_each(|(key, value)| batch.put(&documents, key, value)))
}

/// All records of a tenant, by scans in both directions and by get, which must agree.
pub(super) fn records_of(engine: &Engine, tenant: usize) -> Result<Records, ErrorKind> {
    let tenant = engine.tenant(TENANTS[tenant]).map_err(|error| kind_of(&error))?;
    all_in(&documents(&tenant))
}

/// A collection's records.
pub(super) fn all_in(documents: &Collection) -> Result<Records, ErrorKind> {
    let scan = |reverse| -> Result<Records> {
        let entries = documents.scan_with(ScanOptions::new().reverse(reverse))?;
        entries.map(|entry| entry.map(|entry| (entry.key, entry.value.unwrap().to_vec()))).collect()
    };
    let records = scan(false).map_err(|error| kind_of(&error))?;
    assert!(records == scan(true).unwrap(), "the directions of a scan differ");
    for (key, value) in &records {
        assert!(documents.get(key).unwrap().as_deref() == Some(value), "get and scan differ");
    }
    Ok(records)
}
