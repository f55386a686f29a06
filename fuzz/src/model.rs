//! A store, and a map of what it must hold, driven by the same operations and compared at each step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::OnceLock;

use strongroom::limits::{RECORD_KEY_BYTES_MAX, VALUE_BYTES_MAX};
use strongroom::simulation::{Clock, ManualClock, SimDisk};
use strongroom::{Engine, Entry, ErrorKind, PutOptions, Result, Scan, ScanOptions, Tenant, Version};

use crate::operation::{Collection, Condition, Key, Operation, Put, Puts, Range, Value};
use crate::store::{self, TENANTS};

/// Values of the greatest length in one run: with a sanitizer each takes a tenth of a second whenever it is read.
const LONGEST_VALUES_MAX: usize = 1;

/// A record as it must read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    value: Vec<u8>,
    version: Version,
    written_ms: u64,
}

type Records = BTreeMap<Vec<u8>, Record>;

/// What a tenant must hold.
#[derive(Debug, Default)]
struct TenantModel {
    collections: BTreeMap<&'static str, Records>,
    version: Option<Version>,
}

/// A scan that was begun earlier: a snapshot, so later operations do not show in it, but erasures do.
struct Held {
    /// Tenant and collection.
    of: (usize, &'static str),
    scan: Scan,
    left: std::vec::IntoIter<(Vec<u8>, Record)>,
}

/// The store and its model.
pub struct Model {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    engine: Option<Engine>,
    /// Opens so far: the seed of each one's randomness.
    opens: u64,
    tenants: [TenantModel; 2],
    held: Option<Held>,
    longest_values: usize,
}

impl Model {
    /// A store with two empty tenants; made once in a process, then copied.
    ///
    /// # Panics
    /// On a finding.
    pub fn new() -> Self {
        static EMPTY: OnceLock<SimDisk> = OnceLock::new();
        let empty = EMPTY.get_or_init(|| {
            let disk = SimDisk::new();
            store::create(&disk).and_then(Engine::close).expect("an empty store is made");
            disk
        });
        let mut model = Self {
            disk: empty.snapshot(),
            clock: store::clock(),
            engine: None,
            opens: 1,
            tenants: Default::default(),
            held: None,
            longest_values: 0,
        };
        model.open();
        model
    }

    /// Does the operation, and compares what it gave and what is there afterwards.
    ///
    /// # Panics
    /// On a finding.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Put(put) => {
                self.write(put.collection.tenant(), std::slice::from_ref(put));
                self.check_collection(put.collection.tenant(), put.collection.name());
            }
            Operation::Batch { tenant, puts } => {
                self.write(usize::from(*tenant), &puts.0);
                self.check_tenant(usize::from(*tenant));
            }
            Operation::Submit { tenant, batches } => {
                self.submit(usize::from(*tenant), &batches.0);
                self.check_tenant(usize::from(*tenant));
            }
            Operation::PutIf { put, condition } => {
                self.put_if(put, *condition);
                self.check_collection(put.collection.tenant(), put.collection.name());
            }
            Operation::Erase { collection, key } => {
                self.erase(*collection, &key.bytes());
                self.check_collection(collection.tenant(), collection.name());
            }
            Operation::EraseRange { collection, from, to } => {
                self.erase_range(*collection, (from.as_ref().map(Key::bytes), to.as_ref().map(Key::bytes)));
                self.check_collection(collection.tenant(), collection.name());
            }
            Operation::Checkpoint { tenant: None } => {
                self.engine().checkpoint().expect("checkpoints");
                self.check_all();
            }
            Operation::Checkpoint { tenant: Some(tenant) } => {
                self.tenant(usize::from(*tenant)).checkpoint().expect("checkpoints");
                self.check_tenant(usize::from(*tenant));
            }
            Operation::Tick => {
                self.engine().tick().expect("does what is due");
                self.check_all();
            }
            Operation::Get { collection, key } => self.get(*collection, &key.bytes()),
            Operation::Scan { collection, range } => self.scan(*collection, range),
            Operation::Hold { collection } => self.hold(*collection),
            Operation::Resume { records } => self.resume(usize::from(*records)),
            Operation::Rewrite { tenant } => {
                self.tenant(usize::from(*tenant)).rewrite(&mut |_, _| {}).expect("rewrites");
                self.check_tenant(usize::from(*tenant));
            }
            Operation::Verify => self.verify(),
            Operation::Wait { ms } => self.clock.set(self.clock.now_ms() + u64::from(*ms)),
            Operation::Reopen => {
                self.held = None;
                self.engine.take().expect("is open").close().expect("closes");
                self.open();
                self.check_all();
            }
            Operation::PowerLoss(loss) => {
                let (seed, policy) = loss.policy();
                let after = self.disk.power_loss(seed, policy);
                // What the old handles still write goes to the old disk.
                self.held = None;
                self.engine = None;
                self.disk = after;
                self.open();
                self.check_all();
            }
        }
    }

    /// Compares everything there is, after closing and opening.
    pub fn finish(&mut self) {
        self.resume(usize::MAX);
        self.apply(&Operation::Reopen);
    }

    fn open(&mut self) {
        self.opens += 1;
        let config = store::config(&self.disk, &self.clock, self.opens);
        self.engine = Some(Engine::open(config).expect("opens"));
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("is open")
    }

    fn tenant(&self, tenant: usize) -> Tenant {
        self.engine().tenant(TENANTS[tenant]).expect("the tenant opens")
    }

    fn collection(&self, tenant: usize, name: &str) -> strongroom::Collection {
        self.tenant(tenant).collection(name).expect("the name is good")
    }

    fn write(&mut self, tenant: usize, puts: &[Put]) {
        let puts: Vec<_> = puts
            .iter()
            .map(|put| (put.collection.name(), put.key.bytes(), self.value_bytes(&put.value)))
            .collect();
        let open = self.tenant(tenant);
        let written = open.write(|batch| {
            puts.iter().try_for_each(|(name, key, value)| batch.put(&open.collection(name)?, key, value))
        });
        let refused = puts.iter().position(|(_, key, value)| refusal(key, value).is_some());
        let model = &mut self.tenants[tenant];
        // A put that is not refused makes its collection, whatever becomes of the batch.
        for (name, ..) in &puts[..refused.unwrap_or(puts.len())] {
            model.collections.entry(name).or_default();
        }
        if let Some((_, key, value)) = refused.map(|index| &puts[index]) {
            assert_eq!(written.map_err(|error| error.kind()).err(), refusal(key, value), "refused");
            return;
        }
        let version = written.expect("the batch is written");
        if !puts.is_empty() {
            self.note(tenant, version, puts);
        }
    }

    /// Notes what a batch put.
    fn note(&mut self, tenant: usize, version: Version, puts: Vec<(&'static str, Vec<u8>, Vec<u8>)>) {
        let model = &mut self.tenants[tenant];
        assert!(model.version < Some(version), "{version} does not follow {:?}", model.version);
        model.version = Some(version);
        let written_ms = self.clock.now_ms();
        for (name, key, value) in puts {
            model.collections.entry(name).or_default().insert(key, Record { value, version, written_ms });
        }
    }

    /// Puts that are refused are left out: [`Model::write`] sees to those.
    fn submit(&mut self, tenant: usize, batches: &[Puts]) {
        let open = self.tenant(tenant);
        let mut under_way = Vec::new();
        for puts in batches {
            let puts: Vec<_> = puts
                .0
                .iter()
                .map(|put| (put.collection.name(), put.key.bytes(), self.value_bytes(&put.value)))
                .filter(|(_, key, value)| refusal(key, value).is_none())
                .collect();
            let mut batch = open.batch();
            for (name, key, value) in &puts {
                let collection = open.collection(name).expect("the name is good");
                batch.put(&collection, key, value).expect("the put is good");
            }
            under_way.push((puts, open.submit(batch).expect("is handed in")));
        }
        for (puts, submitted) in under_way {
            let version = submitted.wait().expect("the batch is written");
            if !puts.is_empty() {
                self.note(tenant, version, puts);
            }
        }
    }

    fn put_if(&mut self, put: &Put, condition: Condition) {
        let (tenant, name) = (put.collection.tenant(), put.collection.name());
        let (key, value) = (put.key.bytes(), self.value_bytes(&put.value));
        if refusal(&key, &value).is_some() {
            return;
        }
        let records = self.tenants[tenant].collections.entry(name).or_default();
        let current = records.get(&key).map(|record| record.version);
        let other = Version { timeline: u32::MAX, sequence: 1 };
        let options = PutOptions::new();
        let (options, is_met) = match condition {
            Condition::Absent => (options.if_absent(), current.is_none()),
            Condition::Current => (options.if_version(current.unwrap_or(other)), current.is_some()),
            Condition::Other => (options.if_version(other), false),
        };
        match self.collection(tenant, name).put_with(&key, &value, options) {
            Ok(version) => {
                assert!(is_met, "a put was made although its condition does not hold");
                self.note(tenant, version, vec![(name, key, value)]);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(!is_met, "a put was refused although its condition holds");
            }
        }
    }

    fn erase(&mut self, collection: Collection, key: &[u8]) {
        let erased = self.collection(collection.tenant(), collection.name()).erase(key);
        if let Some(kind) = refusal(key, &[]) {
            assert_eq!(erased.map_err(|error| error.kind()).err(), Some(kind), "refused");
            return;
        }
        let expected = self.forget(collection, |known| known == key);
        assert_eq!(u64::from(erased.expect("erases")), expected, "whether there was a record");
    }

    fn erase_range(&mut self, collection: Collection, range: (Bound<Vec<u8>>, Bound<Vec<u8>>)) {
        let open = self.collection(collection.tenant(), collection.name());
        let erased = open.erase_range(range.clone()).expect("erases");
        let expected = self.forget(collection, |key| is_in(&range, key));
        assert_eq!((erased.records, erased.held), (expected, 0), "how many were erased");
    }

    /// What is erased is gone for the scan that is kept, too; gives how many it was.
    fn forget(&mut self, collection: Collection, is_erased: impl Fn(&[u8]) -> bool) -> u64 {
        let tenant = &mut self.tenants[collection.tenant()];
        let Some(records) = tenant.collections.get_mut(collection.name()) else { return 0 };
        let gone: BTreeSet<_> = records.keys().filter(|key| is_erased(key)).cloned().collect();
        records.retain(|key, _| !gone.contains(key));
        // How many changes that took is the engine's affair.
        if !gone.is_empty() {
            tenant.version = None;
        }
        if let Some(held) =
            self.held.as_mut().filter(|held| held.of == (collection.tenant(), collection.name()))
        {
            let left: Vec<_> = held.left.by_ref().filter(|(key, _)| !gone.contains(key)).collect();
            held.left = left.into_iter();
        }
        gone.len() as u64
    }

    fn value_bytes(&mut self, value: &Value) -> Vec<u8> {
        match value {
            Value::Empty => Vec::new(),
            Value::Short(bytes) => bytes.to_vec(),
            Value::Fill { byte, bytes } => vec![*byte; usize::from(*bytes) % 20_000],
            Value::Longest { too_long } => {
                self.longest_values += 1;
                let is_allowed = self.longest_values <= LONGEST_VALUES_MAX;
                vec![7; if is_allowed { VALUE_BYTES_MAX + usize::from(*too_long) } else { 9 }]
            }
        }
    }

    fn get(&self, collection: Collection, key: &[u8]) {
        let open = self.collection(collection.tenant(), collection.name());
        let got = open.get(key);
        if let Some(kind) = refusal(key, &[]) {
            assert_eq!(got.map_err(|error| error.kind()).err(), Some(kind), "refused");
            return;
        }
        let got = got.expect("reads");
        let records = self.tenants[collection.tenant()].collections.get(collection.name());
        let expected = records.and_then(|records| records.get(key));
        assert_eq!(got.as_deref(), expected.map(|record| &record.value[..]), "the value differs");
        assert_eq!(open.contains(key).expect("reads"), expected.is_some(), "contains differs from get");
        let info = open.info(key).expect("reads");
        let info = info.map(|info| (info.version, info.written_ms, info.value_bytes, info.expires_ms));
        let expected =
            expected.map(|record| (record.version, record.written_ms, record.value.len() as u64, None));
        assert_eq!(info, expected, "what is known of the record differs");
    }

    fn scan(&self, collection: Collection, range: &Range) {
        let from = range.from.as_ref().map(Key::bytes);
        let to = range.to.as_ref().map(Key::bytes);
        let prefix = range.prefix.map_or(Vec::new(), |byte| vec![byte]);
        let limit = range.limit.map_or(usize::MAX, usize::from);
        let options = ScanOptions::new()
            .range((from.clone(), to.clone()))
            .prefix(&prefix)
            .reverse(range.reverse)
            .limit(limit)
            .keys_only(range.keys_only);

        let mut expected = self.records(collection);
        expected.retain(|(key, _)| key.starts_with(&prefix) && is_in(&(from.clone(), to.clone()), key));
        if range.reverse {
            expected.reverse();
        }
        expected.truncate(limit);
        let scan = self.collection(collection.tenant(), collection.name()).scan_with(options);
        compare(scan.expect("scans"), expected.into_iter(), range.keys_only);
    }

    fn hold(&mut self, collection: Collection) {
        let left = self.records(collection).into_iter();
        let scan = self.collection(collection.tenant(), collection.name()).scan_with(ScanOptions::new());
        let of = (collection.tenant(), collection.name());
        self.held = Some(Held { of, scan: scan.expect("scans"), left });
    }

    fn resume(&mut self, records: usize) {
        let Some(held) = &mut self.held else { return };
        compare(held.scan.by_ref().take(records), held.left.by_ref().take(records), false);
    }

    fn records(&self, collection: Collection) -> Vec<(Vec<u8>, Record)> {
        let records = self.tenants[collection.tenant()].collections.get(collection.name());
        records.into_iter().flatten().map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    fn check_collection(&self, tenant: usize, name: &str) {
        let expected = self.tenants[tenant].collections.get(name).into_iter().flatten();
        let scan = self.collection(tenant, name).scan_with(ScanOptions::new()).expect("scans");
        compare(scan, expected.map(|(key, record)| (key.clone(), record.clone())), false);
    }

    fn check_tenant(&self, tenant: usize) {
        let collections = &self.tenants[tenant].collections;
        let open = self.tenant(tenant);
        let names: BTreeSet<_> =
            open.collections().expect("lists").into_iter().map(|collection| collection.name).collect();
        assert!(names.iter().map(String::as_str).eq(collections.keys().copied()), "collections: {names:?}");
        for name in collections.keys() {
            self.check_collection(tenant, name);
        }
        let records: usize = collections.values().map(BTreeMap::len).sum();
        assert_eq!(open.stats().expect("counts").records, records as u64, "the count differs");
    }

    /// Checks the tenants that hold something; that the others hold nothing is seen by [`Operation::Verify`].
    fn check_all(&self) {
        let full = (0..TENANTS.len()).filter(|tenant| !self.tenants[*tenant].collections.is_empty());
        full.for_each(|tenant| self.check_tenant(tenant));
    }

    fn verify(&self) {
        let report = self.engine().verify(&mut |_| {}).expect("verifies");
        assert!(report.is_good() && report.unknown_files.is_empty(), "{report:?}");
        for (model, name) in self.tenants.iter().zip(TENANTS) {
            let found = report.tenants.iter().find(|found| found.name.as_deref() == Some(name));
            let records: usize = model.collections.values().map(BTreeMap::len).sum();
            assert_eq!(found.map(|found| found.file.records), Some(records as u64), "verified records");
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a key lies between two bounds; a range that ends before it begins holds none.
fn is_in((from, to): &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &[u8]) -> bool {
    let is_after = match from {
        Bound::Included(from) => key >= &from[..],
        Bound::Excluded(from) => key > &from[..],
        Bound::Unbounded => true,
    };
    let is_before = match to {
        Bound::Included(to) => key <= &to[..],
        Bound::Excluded(to) => key < &to[..],
        Bound::Unbounded => true,
    };
    is_after && is_before
}

/// Why a record is refused, if it is.
fn refusal(key: &[u8], value: &[u8]) -> Option<ErrorKind> {
    if key.is_empty() {
        Some(ErrorKind::InvalidArgument)
    } else if key.len() > RECORD_KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
        Some(ErrorKind::LimitExceeded)
    } else {
        None
    }
}

fn compare(
    scan: impl Iterator<Item = Result<Entry>>,
    mut expected: impl Iterator<Item = (Vec<u8>, Record)>,
    keys_only: bool,
) {
    for entry in scan {
        let entry = entry.expect("reads");
        let (key, record) = expected.next().expect("no more records were put");
        assert_eq!(entry.key, key, "another record than the next");
        assert_eq!(entry.value.as_deref(), (!keys_only).then_some(&record.value[..]), "the value differs");
        assert_eq!(entry.info.version, record.version, "the version differs");
        assert_eq!(entry.info.written_ms, record.written_ms, "the time differs");
        assert_eq!(entry.info.value_bytes, record.value.len() as u64, "the length differs");
    }
    assert_eq!(expected.next(), None, "a record is missing");
}
