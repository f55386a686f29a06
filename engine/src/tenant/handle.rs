//! A collection's handle.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use crate::collection::{RecordInfo, ScanOptions};
use crate::error::{ErrorKind, Result};
use crate::hold::held;
use crate::id::Version;
use crate::limits::check_record_key;
use crate::record::{Envelope, RecordPlace};
use crate::tenant::{PutOptions, Scan, Tenant};

/// Records that a range's erasure erases in one batch.
const ERASED_AT_ONCE: usize = 1_000;

/// A collection of a tenant. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Collection {
    tenant: Tenant,
    name: Arc<str>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// What the erasure of a range did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EraseReport {
    /// Records that were erased.
    pub records: u64,
    /// Records that stay, because a hold covers them, or the policy's minimum still keeps them.
    pub held: u64,
}

impl Collection {
    pub(super) fn new(tenant: Tenant, name: &str) -> Self {
        Self { tenant, name: name.into() }
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The collection's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a record, over what is there. Durable when this returns.
    ///
    /// Keys are 1 to 4,096 bytes, values 0 to 1,048,576 bytes: longer ones go through [`Collection::put_reader`].
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded` against these bounds; `Io` when the disk fails or is full: then the record may
    /// still be there after the next open.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Version> {
        self.put_with(key, value, PutOptions::new())
    }

    /// [`Collection::put`] with options.
    ///
    /// # Errors
    /// Those of [`Collection::put`]; `InvalidArgument` for a malformed subject.
    #[allow(clippy::needless_pass_by_value, reason = "options are built for one call")]
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: PutOptions,
    ) -> Result<Version> {
        let (key, value) = (key.as_ref(), value.as_ref());
        loop {
            match self.tenant.write(|batch| batch.put_with(self, key, value, options.clone())) {
                // A key it was sealed under was destroyed meanwhile: sealed again it gets another one.
                Err(error) if error.kind() == ErrorKind::Conflict && error.is_retryable() => {}
                ended => return ended,
            }
        }
    }

    /// Puts a record where there is none of this key.
    ///
    /// # Errors
    /// `Conflict` where there is one; those of [`Collection::put`].
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Version> {
        self.put_with(key, value, PutOptions::new().if_absent())
    }

    /// Puts a record over the one of this key, if it still has this version.
    ///
    /// # Errors
    /// `Conflict` where it has another one, or is not there; those of [`Collection::put`].
    pub fn put_if_version(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        version: Version,
    ) -> Result<Version> {
        self.put_with(key, value, PutOptions::new().if_version(version))
    }

    /// Erases a record, and what was removed of its key: gone at once, for scans under way too, durable when this returns.
    /// Whether there was anything. What is left of it in the bytes of files goes with the next rewrite.
    ///
    /// # Errors
    /// `Held` where a hold covers it; `InvalidArgument`, `LimitExceeded` for a key; those of writing.
    pub fn erase(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        while let Some(info) = self.info(key)? {
            match self.erase_if_version(key, info.version) {
                // It was changed meanwhile.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                made => return made.map(|_| true),
            }
        }
        let removed = self.erase_all_removed(ScanOptions::new().range(key..=key))?;
        if removed.held > 0 { Err(held()) } else { Ok(removed.records > 0) }
    }

    /// Erases a record, if it still has this version, and what was removed of its key.
    ///
    /// # Errors
    /// `Conflict` where it has another one, or is not there; those of [`Collection::erase`].
    pub fn erase_if_version(&self, key: impl AsRef<[u8]>, version: Version) -> Result<Version> {
        self.tenant.write(|batch| batch.erase_if_version(self, key, version))
    }

    /// Erases the records whose keys lie in `range`, removed ones too, but those that a hold covers or the policy's minimum
    /// still keeps; gives how many it were of
    /// both. In batches, each durable, so that a range may hold any number: an error leaves what was erased before it erased, and
    /// the same call goes on. A record that is put meanwhile may stay.
    ///
    /// # Errors
    /// Those of [`Collection::erase`] and of reading.
    pub fn erase_range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<EraseReport> {
        self.erase_all(ScanOptions::new().range(range))
    }

    /// [`Collection::erase_range`] of the records whose keys begin with `prefix`.
    ///
    /// # Errors
    /// Those of [`Collection::erase_range`].
    pub fn erase_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<EraseReport> {
        self.erase_all(ScanOptions::new().prefix(prefix))
    }

    fn erase_all(&self, options: ScanOptions) -> Result<EraseReport> {
        let there = self.erase_all_there(options.clone())?;
        let removed = self.erase_all_removed(options)?;
        Ok(EraseReport { records: there.records + removed.records, held: there.held + removed.held })
    }

    fn erase_all_there(&self, options: ScanOptions) -> Result<EraseReport> {
        let mut report = EraseReport::default();
        let mut options = options.keys_only(true).limit(ERASED_AT_ONCE);
        loop {
            // A scan of its own for each batch: none has to leave out what the one before erased.
            let entries = self.scan_with(options.clone())?.collect::<Result<Vec<_>>>()?;
            let Some(last) = entries.last() else { return Ok(report) };
            options.behind(&last.key);
            let count = entries.len();
            let made = self.tenant.write(|batch| {
                entries
                    .iter()
                    .try_for_each(|entry| batch.erase_if_version(self, &entry.key, entry.info.version))
            });
            match made {
                Ok(_) => report.records += count as u64,
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Held) => {
                    for entry in &entries {
                        match self.erase(&entry.key) {
                            Err(error) if error.kind() == ErrorKind::Held => report.held += 1,
                            erased => report.records += u64::from(erased?),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            if count < ERASED_AT_ONCE {
                return Ok(report);
            }
        }
    }

    /// Whether there is such a record. Its value is not opened.
    ///
    /// # Errors
    /// As [`Collection::info`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.info(key)?.is_some())
    }

    /// What is known of a record without opening its value.
    ///
    /// # Errors
    /// `Unauthentic`, `Corrupted` where the file is damaged there.
    pub fn info(&self, key: impl AsRef<[u8]>) -> Result<Option<RecordInfo>> {
        self.read(key.as_ref(), |_, version, envelope| Ok(record_info(version, envelope)))
    }

    /// The records whose keys lie in `range`, in ascending order: a snapshot, which later writes do not change.
    ///
    /// ```no_run
    /// # fn main() -> strongroom::Result<()> {
    /// # let invoices = strongroom::Engine::open(strongroom::Config::new("data"))?.tenant("acme")?.collection("invoices")?;
    /// for entry in invoices.scan(b"2026-".as_slice()..)? {
    ///     let entry = entry?;
    ///     println!("{} bytes", entry.value.map_or(0, |value| value.len()));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of reading; a damaged record is an error of its entry.
    pub fn scan<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Scan> {
        self.scan_with(ScanOptions::new().range(range))
    }

    /// [`Collection::scan`] with a prefix, a limit, behind a cursor, in descending order, or without values.
    ///
    /// # Errors
    /// `InvalidArgument` for a cursor that is not one of this collection's and direction's; those of [`Collection::scan`].
    pub fn scan_with(&self, options: ScanOptions) -> Result<Scan> {
        self.tenant.check_usable()?;
        let id = self.tenant.find_collection(&self.name)?;
        Scan::new(&self.tenant, &self.tenant.0.partition.snapshot()?, id, options)
    }

    /// How many records a scan would give, exactly. Every one of them is passed, and no value is opened.
    ///
    /// # Errors
    /// Those of [`Collection::scan_with`].
    pub fn count(&self, options: ScanOptions) -> Result<u64> {
        self.scan_with(options.keys_only(true))?.count_all()
    }

    pub(super) fn read<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(RecordPlace<'_>, Version, &Envelope<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.tenant.check_usable()?;
        check_record_key(key)?;
        let Some(collection) = self.tenant.find_collection(&self.name)? else { return Ok(None) };
        let place = RecordPlace { collection, key };
        let found = self.tenant.0.partition.record(collection, key, |version, envelope| {
            self.tenant.if_live(envelope, |envelope| read(place, version, envelope))
        })?;
        Ok(found.flatten())
    }
}

pub(super) fn record_info(version: Version, envelope: &Envelope<'_>) -> RecordInfo {
    RecordInfo {
        version,
        written_ms: envelope.times.written_ms,
        expires_ms: envelope.times.expires_ms,
        value_bytes: envelope.value_bytes(),
    }
}
