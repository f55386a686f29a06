//! What a damaged store may give: each record as it was put, or an error. Never another value, never "no such record";
//! and to a tenant whose own files and the store's are whole, everything.

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use strongroom::simulation::SimDisk;
use strongroom::{Collection, Engine, Error, ErrorKind, Freshness, ScanOptions, Tenant};

use crate::golden::{COLLECTION, Golden, Owner};
use crate::store::{self, TENANTS};

const NEW_KEY: &[u8] = b"new";
const NEW_VALUE: &[u8] = b"put after the damage";

/// Whether the record that is put after the damage is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewRecord {
    No,
    Yes,
    /// The put gave an error: it may be there, whole.
    Perhaps,
}

/// How a damaged store is examined, besides reading it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Means {
    /// Opened with freshness in full.
    pub full_freshness: bool,
    /// Verified.
    pub verify: bool,
    /// Written, closed, opened and read again.
    pub write: bool,
}

/// One store, damaged.
#[derive(Debug)]
pub struct Examination<'a> {
    golden: &'a Golden,
    disk: SimDisk,
    /// Whose files were changed.
    touched: BTreeSet<Owner>,
    means: Means,
    new: [NewRecord; 2],
}

impl<'a> Examination<'a> {
    /// Of a damaged copy of the golden store.
    pub fn new(golden: &'a Golden, disk: SimDisk, touched: BTreeSet<Owner>, means: Means) -> Self {
        Self { golden, disk, touched, means, new: [NewRecord::No; 2] }
    }

    /// Opens and reads the store; then, as `means` says, verifies it, writes and closes it, opens and reads it again.
    ///
    /// # Panics
    /// On a finding.
    pub fn run(mut self) {
        let Some(engine) = self.open(2) else { return };
        let errors = self.read(&engine);
        if self.means.verify {
            self.verify(&engine, errors);
        }
        if !self.means.write {
            return;
        }
        self.put(&engine);
        let closed = engine.close();
        let is_damaged = self.touched.iter().any(|owner| *owner != Owner::Nobody);
        assert!(is_damaged || closed.is_ok(), "an undamaged store does not close: {closed:?}");
        if let Some(engine) = self.open(3) {
            self.read(&engine);
        }
    }

    fn open(&self, seed: u64) -> Option<Engine> {
        let freshness = if self.means.full_freshness { Freshness::Full } else { Freshness::Standard };
        let config = store::config(&self.disk, &store::clock(), seed).freshness(freshness);
        match Engine::open(config) {
            Ok(engine) => Some(engine),
            Err(error) => {
                self.check_error(&error, None);
                None
            }
        }
    }

    /// Whether an error has a cause: damage to the store's files, or to those of the tenant concerned.
    fn is_touched(&self, tenant: Option<usize>) -> bool {
        self.touched.contains(&Owner::Store)
            || self.touched.contains(&Owner::SharedLane) && tenant != Some(1)
            || tenant.is_some_and(|tenant| self.touched.contains(&Owner::Tenant(tenant)))
    }

    fn check_error(&self, error: &Error, tenant: Option<usize>) {
        assert!(self.is_touched(tenant), "an error over undamaged files: {error:?}");
        let of_damage = [
            ErrorKind::KeyUnavailable,
            ErrorKind::KeyMissing,
            ErrorKind::Unavailable,
            ErrorKind::Unauthentic,
            ErrorKind::Corrupted,
            ErrorKind::RolledBack,
            ErrorKind::UnsupportedFormat,
            ErrorKind::SnapshotExpired,
            ErrorKind::Poisoned,
        ];
        assert!(of_damage.contains(&error.kind()), "damage is no reason for this error: {error:?}");
    }

    /// Reads everything in every way, and gives how many errors each tenant met.
    fn read(&self, engine: &Engine) -> [usize; 2] {
        [0, 1].map(|tenant| match engine.tenant(TENANTS[tenant]) {
            Ok(open) => self.read_tenant(&open, tenant),
            Err(error) => {
                self.check_error(&error, Some(tenant));
                1
            }
        })
    }

    fn read_tenant(&self, open: &Tenant, tenant: usize) -> usize {
        let documents = open.collection(COLLECTION).expect("the name is good");
        self.get_all(&documents, tenant)
            + self.scan(&documents, tenant, false, false)
            + self.scan(&documents, tenant, true, true)
    }

    fn get_all(&self, documents: &Collection, tenant: usize) -> usize {
        let mut errors = 0;
        for (key, value) in self.expected(tenant) {
            match documents.get(key) {
                Ok(Some(got)) => assert!(*got == *value, "a wrong value of {}", key.escape_ascii()),
                Ok(None) => assert!(self.may_lack(tenant, key), "{} is missing", key.escape_ascii()),
                Err(error) => {
                    self.check_error(&error, Some(tenant));
                    errors += 1;
                }
            }
            match documents.contains(key) {
                Ok(there) => {
                    assert!(there || self.may_lack(tenant, key), "{} is missing", key.escape_ascii());
                }
                Err(error) => {
                    self.check_error(&error, Some(tenant));
                    errors += 1;
                }
            }
        }
        errors
    }

    fn scan(&self, documents: &Collection, tenant: usize, reverse: bool, keys_only: bool) -> usize {
        let mut expected: Vec<_> = self.expected(tenant).collect();
        if reverse {
            expected.reverse();
        }
        let mut expected = expected.into_iter();
        let entries = match documents.scan_with(ScanOptions::new().reverse(reverse).keys_only(keys_only)) {
            Ok(entries) => entries,
            Err(error) => {
                self.check_error(&error, Some(tenant));
                return 1;
            }
        };
        let (mut errors, mut lacking) = (0, 0);
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let skipped = expected.by_ref().take_while(|(key, _)| **key != entry.key[..]);
                    lacking += skipped.filter(|(key, _)| !self.may_lack(tenant, key)).count();
                    // After the error of a record the scan goes on with the next.
                    assert!(lacking <= errors, "a scan passed over {lacking} records and told of {errors}");
                    let value = entry.value.as_deref();
                    let right = self.value(tenant, &entry.key);
                    assert!(right.is_some(), "a record that was never put: {}", entry.key.escape_ascii());
                    assert!(if keys_only { value.is_none() } else { value == right }, "a wrong value");
                }
                Err(error) => {
                    self.check_error(&error, Some(tenant));
                    errors += 1;
                }
            }
        }
        let lacking = expected.filter(|(key, _)| !self.may_lack(tenant, key)).count();
        assert!(lacking == 0 || errors > 0, "a scan ended {lacking} records early without an error");
        errors
    }

    /// A store that verifies gives everything; an undamaged tenant verifies.
    fn verify(&self, engine: &Engine, errors: [usize; 2]) {
        let report = match engine.verify(&mut |_| {}) {
            Ok(report) => report,
            Err(error) => return self.check_error(&error, None),
        };
        assert!(report.unknown_files.is_empty(), "a file of the store is unknown: {report:?}");
        for (tenant, name) in TENANTS.iter().enumerate() {
            let found = report.tenants.iter().find(|found| found.name.as_deref() == Some(name));
            let found = found.expect("the catalog was read, so every tenant is in the report");
            assert!(found.is_good() || self.is_touched(Some(tenant)), "undamaged, and not good: {found:?}");
            assert!(!found.is_good() || errors[tenant] == 0, "verified, and did not read: {found:?}");
        }
    }

    fn put(&mut self, engine: &Engine) {
        for (tenant, name) in TENANTS.iter().enumerate() {
            let put =
                engine.tenant(name).and_then(|open| open.collection(COLLECTION)?.put(NEW_KEY, NEW_VALUE));
            self.new[tenant] = match put {
                Ok(_) => NewRecord::Yes,
                Err(error) => {
                    self.check_error(&error, Some(tenant));
                    NewRecord::Perhaps
                }
            };
        }
    }

    /// All records that may be there, in ascending order of keys.
    fn expected(&self, tenant: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let new = (self.new[tenant] != NewRecord::No).then_some((NEW_KEY, NEW_VALUE));
        let old = self.golden.records(tenant).iter().map(|(key, value)| (&key[..], &value[..]));
        old.chain(new)
    }

    fn value(&self, tenant: usize, key: &[u8]) -> Option<&[u8]> {
        self.expected(tenant).find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    fn may_lack(&self, tenant: usize, key: &[u8]) -> bool {
        key == NEW_KEY && self.new[tenant] != NewRecord::Yes
    }
}
