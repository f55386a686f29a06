//! A moment of a tenant, for reads over several collections.

use std::fmt;
use std::sync::Arc;

use crate::collection::{self, CollectionInfo, RecordInfo, ScanOptions};
use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::limits::check_record_key;
use crate::partition::RowSnapshot;
use crate::record::{Envelope, Plaintext, RecordPlace};
use crate::tenant::handle::record_info;
use crate::tenant::value::Source;
use crate::tenant::{Collection, Scan, Tenant, ValueReader};

/// The records of a tenant at one moment, over all of its collections: of a batch it shows all or nothing, and nothing of
/// what was written since. Cheap to make and to clone; usable from any thread. It shows everything that was acknowledged
/// before it was made.
///
/// As long as it lives, the tenant keeps what it shows: memtables beyond their bound, at most twice it, and the pages of its
/// file, which grows meanwhile. So it is for the length of a request, not for later.
#[derive(Clone)]
pub struct Snapshot {
    tenant: Tenant,
    rows: Arc<RowSnapshot>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Tenant {
    /// The tenant as it is now.
    ///
    /// # Errors
    /// Those of reading.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.check_usable()?;
        Ok(Snapshot { tenant: self.clone(), rows: Arc::new(self.0.partition.snapshot()?) })
    }
}

impl Snapshot {
    /// The version of the last batch that it shows; all zero before the first.
    ///
    /// # Errors
    /// Those of [`Snapshot::get`].
    pub fn version(&self) -> Result<Version> {
        self.check()?;
        self.tenant.0.partition.version_at(&self.rows)
    }

    /// The collections there were, ordered by name.
    ///
    /// # Errors
    /// Those of [`Snapshot::get`].
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.check()?;
        let rows = self.rows.directory_rows(&[collection::DIRECTORY_KIND])?;
        rows.iter().map(|(name, row)| collection::parse_row(name, row)).collect()
    }

    /// A record's value; `None` where there was no such record.
    ///
    /// # Errors
    /// `InvalidArgument` for a collection of another tenant; `LimitExceeded` for a value over 64 MiB; `SnapshotExpired` where the tenant's file failed and was opened
    /// anew since; those of [`Collection::get`].
    pub fn get(&self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<Option<Plaintext>> {
        match self.find_value(collection, key.as_ref())? {
            None => Ok(None),
            Some((info, source)) => source.into_value(info.value_bytes).map(Some),
        }
    }

    /// A record's value as a stream; `None` where there was no such record.
    ///
    /// # Errors
    /// Those of [`Snapshot::get`]; a damaged chunk is an error when it is read.
    pub fn get_reader(&self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<Option<ValueReader>> {
        let found = self.find_value(collection, key.as_ref())?;
        Ok(found.map(|(info, source)| ValueReader::new(&self.tenant, info, source)))
    }

    fn find_value(&self, collection: &Collection, key: &[u8]) -> Result<Option<(RecordInfo, Source)>> {
        let found = self.read(collection, key, |place, version, envelope| {
            self.tenant.open_envelope(place, version, envelope)
        })?;
        let Some((info, found)) = found.flatten() else { return Ok(None) };
        match found.over(self.rows.chunk_table())? {
            Ok(source) => Ok(Some((info, source))),
            Err(missing) => Err(missing.error()),
        }
    }

    /// What was known of a record without opening its value.
    ///
    /// # Errors
    /// Those of [`Snapshot::get`].
    pub fn info(&self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<Option<RecordInfo>> {
        self.read(collection, key.as_ref(), |_, version, envelope| Ok(record_info(version, envelope)))
    }

    /// The records of a collection.
    ///
    /// # Errors
    /// Those of [`Snapshot::get`] and [`Collection::scan_with`].
    pub fn scan(&self, collection: &Collection, options: ScanOptions) -> Result<Scan> {
        let id = self.find(collection)?;
        Scan::new(&self.tenant, &self.rows, id, options)
    }

    /// How many records a scan would give. No value is opened.
    ///
    /// # Errors
    /// Those of [`Snapshot::scan`].
    pub fn count(&self, collection: &Collection, options: ScanOptions) -> Result<u64> {
        self.scan(collection, options.keys_only(true))?.count_all()
    }

    fn check(&self) -> Result<()> {
        self.tenant.check_usable()?;
        self.tenant.0.partition.check_open()
    }

    /// A collection's id at that moment.
    fn find(&self, collection: &Collection) -> Result<Option<CollectionId>> {
        self.check()?;
        if collection.tenant().id() != self.tenant.id() {
            return Err(fail!(InvalidArgument, "the collection belongs to another tenant than the snapshot"));
        }
        let name = collection.name();
        let read = |row: &[u8]| collection::parse_row(name.as_bytes(), row).map(|info| info.id);
        let id = self.rows.directory_row(&collection::directory_key(name), read)?;
        // What was dropped since is gone for what came before too.
        Ok(id.filter(|id| !self.tenant.was_dropped(*id)))
    }

    fn read<T>(
        &self,
        collection: &Collection,
        key: &[u8],
        read: impl FnOnce(RecordPlace<'_>, Version, &Envelope<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        check_record_key(key)?;
        let Some(collection) = self.find(collection)? else { return Ok(None) };
        let place = RecordPlace { collection, key };
        let found = self.rows.record(collection, key, |version, envelope| {
            self.tenant.if_live(envelope, |envelope| read(place, version, envelope))
        })?;
        Ok(found.flatten())
    }
}
