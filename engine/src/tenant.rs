//! One tenant: the handle through which all of its data is reached, and the only one (invariant 8).

mod batch;
mod handle;
mod scan;

pub use batch::{Batch, PutOptions};
pub use handle::Collection;
pub use scan::{Entry, Scan};

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::collection::{self, CollectionInfo};
use crate::crypto::{Entropy, random};
use crate::error::{Result, fail};
use crate::id::{CollectionId, Process, TenantId};
use crate::keys::{Keyring, KeyringHealth};
use crate::limits::check_name;
use crate::partition::{FileReport, Operation, Partition, RewriteReport, Version};
use crate::record::{Envelope, RecordPlace, RecordSealer};

/// A tenant's handle. Cheap to clone; usable from any thread. No call takes another tenant beside it.
#[derive(Clone)]
pub struct Tenant(Arc<Inner>);

struct Inner {
    id: TenantId,
    name: String,
    partition: Partition,
    keyring: Arc<Keyring>,
    sealer: RecordSealer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Collections seen so far, by name.
    collections: RwLock<HashMap<String, CollectionId>>,
    creating_collection: Mutex<()>,
    process: Process,
    /// What keeps the store's locks for as long as any handle lives.
    _store: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// What a tenant's handle is made of.
pub(crate) struct TenantParts {
    pub(crate) name: String,
    pub(crate) partition: Partition,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: Arc<dyn Any + Send + Sync>,
}

/// Sizes and counts of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStats {
    /// Records of all collections.
    pub records: u64,
    /// Collections.
    pub collections: usize,
    /// Bytes of the tenant's file that are allocated on the disk.
    pub file_bytes: u64,
    /// Bytes of its keyring.
    pub key_store_bytes: u64,
    /// The last batch.
    pub version: Version,
    /// The slot of the structure key its file is sealed under.
    pub structure_slot: u32,
    /// The slot of the data key for new records.
    pub data_slot: u32,
}

impl Tenant {
    pub(crate) fn new(parts: TenantParts) -> Self {
        let TenantParts { name, partition, keyring, clock, entropy, store } = parts;
        Self(Arc::new(Inner {
            id: keyring.tenant(),
            name,
            partition,
            sealer: RecordSealer::new(Arc::clone(&keyring), Arc::clone(&entropy)),
            keyring,
            clock,
            entropy,
            collections: RwLock::default(),
            creating_collection: Mutex::new(()),
            process: Process::current(),
            _store: store,
        }))
    }

    /// The tenant's id: what logs and errors call it.
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.0.id
    }

    /// The tenant's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// A collection by name: 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
    /// It is created by the first put.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against these rules.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        check_name("collection", name)?;
        Ok(Collection::new(self.clone(), name))
    }

    /// The collections there are, ordered by name.
    ///
    /// # Errors
    /// Those of reading.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.0.process.check()?;
        let rows = self.0.partition.directory_rows(collection::DIRECTORY_KIND)?;
        rows.iter().map(|(name, row)| collection::parse_row(name, row)).collect()
    }

    /// Makes the changes that `fill` puts into a batch, all or none of them, over any of the tenant's collections.
    /// Durable when this returns. An error of `fill` changes nothing.
    ///
    /// # Errors
    /// What `fill` gives; `LimitExceeded` beyond the bounds of a batch; `Io` when the disk fails or is full: then the
    /// batch may still be there after the next open, whole.
    pub fn write(&self, fill: impl FnOnce(&mut Batch<'_>) -> Result<()>) -> Result<Version> {
        self.0.process.check()?;
        let mut batch = Batch::new(self);
        fill(&mut batch)?;
        let operations = batch.into_operations();
        if operations.is_empty() {
            return self.0.partition.version();
        }
        self.0.partition.commit(&operations)
    }

    /// Rewrites the tenant's file: compacts it, leaves the remnants of overwritten records behind, and puts it under a
    /// new structure key, destroying the old one. `progress` gets the rows copied and the rows there are, now and then.
    /// Writers of this tenant wait.
    ///
    /// # Errors
    /// `Io` when the disk fails or is full; the tenant goes on with its old file.
    pub fn rewrite(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<RewriteReport> {
        self.0.process.check()?;
        self.0.partition.rewrite(progress)
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// Those of reading.
    pub fn stats(&self) -> Result<TenantStats> {
        self.0.process.check()?;
        let (records, file_bytes) = self.0.partition.size()?;
        Ok(TenantStats {
            records,
            collections: self.collections()?.len(),
            file_bytes,
            key_store_bytes: self.0.keyring.file_bytes()?,
            version: self.0.partition.version()?,
            structure_slot: self.0.keyring.anchor().current_epoch,
            data_slot: self.0.keyring.current_data_slot()?,
        })
    }

    /// Verifies every block, the tables, and the value of every record. `progress` gets how many more were done.
    pub(crate) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<FileReport> {
        self.0.process.check()?;
        let mut check = |collection, key: &[u8], envelope: &[u8]| {
            let envelope = Envelope::parse(envelope)?;
            self.0.sealer.open(RecordPlace { collection, key }, &envelope).map(|_| ())
        };
        self.0.partition.verify(&mut check, progress)
    }

    pub(crate) fn keyring_health(&self) -> &KeyringHealth {
        self.0.keyring.health()
    }

    /// Whether a file of this name is the tenant's current one.
    pub(crate) fn owns_file(&self, name: &str) -> bool {
        crate::partition::file_name(self.0.id, self.0.keyring.anchor().current) == name
    }

    /// A row of the directory; for the catalog.
    pub(crate) fn directory_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.process.check()?;
        self.0.partition.directory_row(key)
    }

    /// The rows of the directory of one kind; for the catalog.
    pub(crate) fn directory_rows(&self, kind: u8) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.process.check()?;
        self.0.partition.directory_rows(kind)
    }

    /// Puts rows into the directory, in one batch; for the catalog.
    pub(crate) fn put_directory(
        &self,
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Version> {
        self.0.process.check()?;
        let rows = rows.into_iter().map(|(key, value)| Operation::PutDirectory { key, value });
        self.0.partition.commit(&rows.collect::<Vec<_>>())
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.0.process.check()?;
        self.0.partition.close()
    }

    /// A collection's id, if it was created.
    fn find_collection(&self, name: &str) -> Result<Option<CollectionId>> {
        if let Some(id) = self.0.collections.read().get(name) {
            return Ok(Some(*id));
        }
        let Some(row) = self.0.partition.directory_row(&collection::directory_key(name))? else {
            return Ok(None);
        };
        let info = collection::parse_row(name.as_bytes(), &row)?;
        self.0.collections.write().insert(info.name, info.id);
        Ok(Some(info.id))
    }

    /// A collection's id; it is created if need be, in a batch of its own.
    fn need_collection(&self, name: &str) -> Result<CollectionId> {
        if let Some(id) = self.find_collection(name)? {
            return Ok(id);
        }
        let _creating = self.0.creating_collection.lock();
        if let Some(id) = self.find_collection(name)? {
            return Ok(id);
        }
        let taken: Vec<_> = self.collections()?.iter().map(|info| info.id).collect();
        let id = CollectionId(u64::from_be_bytes(random(&*self.0.entropy)?));
        if taken.contains(&id) {
            return Err(fail!(Internal, "the generator of random bytes repeated a collection's id"));
        }
        let row = collection::encode_row(id, self.0.clock.now_ms());
        self.put_directory([(collection::directory_key(name), row)])?;
        self.0.collections.write().insert(name.to_owned(), id);
        Ok(id)
    }
}
