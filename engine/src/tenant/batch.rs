//! A batch: changes of one tenant that become durable together or not at all.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, check_name, check_record_key, check_value};
use crate::partition::{Changes, Table, Usage, record_row};
use crate::record::{ChunkSet, ErasureKeys, KeySlots, RecordPlace, Times};
use crate::retention::{Erasure, Expiry, milliseconds};
use crate::tenant::change::{Condition, Terms, Unchanged};
use crate::tenant::collections::Targets;
use crate::tenant::index::{Indexed, KeyAndValue};
use crate::tenant::unique::Claim;
use crate::tenant::{Collection, Tenant};

/// When a write returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk.
    #[default]
    Durable,
    /// When it is with the operating system: the end of the process loses nothing, a power loss may lose what came in
    /// the configured time before it (default 10 ms), from the end. [`Tenant::flush`] makes it durable.
    Buffered,
}

/// What a put depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Absent,
    Version(Version),
}

/// What a put says besides key and value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    pub(super) written_ms: Option<u64>,
    pub(super) condition: Option<Expected>,
    pub(super) durability: Option<Durability>,
    pub(super) expiry: Option<Expiry>,
    pub(super) subject: Option<String>,
    pub(super) erasure: Option<Erasure>,
    pub(super) index: Vec<(String, Vec<u8>)>,
}

/// What a put puts.
#[derive(Clone, Copy)]
pub(super) enum NewValue<'a> {
    Whole(&'a [u8]),
    /// Chunks that are in the tenant's file, and the keys and collection they are sealed for.
    InChunks(&'a ChunkSet, KeySlots, CollectionId),
}

/// Names, keys and subjects are not shown (invariant 9).
impl fmt::Debug for PutOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutOptions")
            .field("written_ms", &self.written_ms)
            .field("condition", &self.condition)
            .field("durability", &self.durability)
            .field("expiry", &self.expiry)
            .field("has_subject", &self.subject.is_some())
            .field("erasure", &self.erasure)
            .field("index", &self.index.len())
            .finish()
    }
}

impl PutOptions {
    /// What [`Collection::put`] does.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the record another time of writing than now, in milliseconds since the epoch: for imports, which keep the
    /// time of the original.
    #[must_use]
    pub fn written_ms(mut self, written_ms: u64) -> Self {
        self.written_ms = Some(written_ms);
        self
    }

    /// How long the record is kept after it is written; overrides the policy's retention, not its maximum. From that
    /// millisecond on it is as if it were not there.
    #[must_use]
    pub fn ttl(mut self, time: Duration) -> Self {
        self.expiry = Some(Expiry::AfterMs(milliseconds(time)));
        self
    }

    /// The same as a time: when the record expires, in milliseconds since the epoch.
    #[must_use]
    pub fn expires_ms(mut self, expires_ms: u64) -> Self {
        self.expiry = Some(Expiry::AtMs(expires_ms));
        self
    }

    /// Only where there is no such record; else the batch is not made (`Conflict`).
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.condition = Some(Expected::Absent);
        self
    }

    /// Only where the record has this version; else the batch is not made (`Conflict`).
    #[must_use]
    pub fn if_version(mut self, version: Version) -> Self {
        self.condition = Some(Expected::Version(version));
        self
    }

    /// The person, or whatever else, that the record is about: 1 to 255 bytes of UTF-8 without control characters and
    /// without white space at the ends. The value can then be read only as long as the subject's key is there, which
    /// [`Tenant::erase_subject`] destroys.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Whether the record gets a key of its own, whatever the policy says ([`Policy::erasure`](crate::Policy::erasure)).
    #[must_use]
    pub fn erasure(mut self, erasure: Erasure) -> Self {
        self.erasure = Some(erasure);
        self
    }

    /// Gives the record a key in an index of its collection, 1 to 1,024 bytes; several times for several keys. It has them
    /// until it is put anew or gone: a put gives all of a record's secondary keys.
    #[must_use]
    pub fn index(mut self, name: impl Into<String>, key: impl AsRef<[u8]>) -> Self {
        self.index.push((name.into(), key.as_ref().to_vec()));
        self
    }

    /// Another durability than the store's. A batch is as durable as its most durable put.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }
}

/// Changes that are made together. See [`Tenant::write`] and [`Tenant::submit`].
#[derive(Debug)]
pub struct Batch {
    pub(super) tenant: Tenant,
    pub(super) changes: Changes,
    pub(super) conditions: Vec<Condition>,
    pub(super) targets: Targets,
    pub(super) claims: Vec<Claim>,
    /// The rows of secondary keys that records got in this batch, by record.
    indexed: HashMap<Vec<u8>, Vec<KeyAndValue>>,
    durability: Option<Durability>,
    pub(super) unchanged: Vec<Unchanged>,
    /// The records that it changes, once it has to know: as rows of the memtable.
    pub(super) changed: Option<HashSet<Vec<u8>>>,
    pub(super) bytes: usize,
    /// Whether it erases anything.
    erases: bool,
    /// Taken before anything is sealed: no destruction of a key goes unnoticed.
    mark: u64,
}

/// A batch's parts.
pub(super) struct BatchParts {
    pub(super) changes: Changes,
    pub(super) terms: Terms,
    pub(super) durability: Option<Durability>,
}

impl Batch {
    pub(super) fn new(tenant: &Tenant) -> Self {
        Self {
            tenant: tenant.clone(),
            changes: Changes::default(),
            conditions: Vec::new(),
            targets: Targets::new(tenant),
            claims: Vec::new(),
            indexed: HashMap::new(),
            durability: None,
            unchanged: Vec::new(),
            changed: None,
            bytes: 0,
            erases: false,
            mark: tenant.0.keyring.destructions().mark(),
        }
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub(super) fn into_parts(mut self) -> Result<BatchParts> {
        if self.erases {
            self.tenant.put_unscrubbed(&mut self.changes)?;
        }
        let terms = Terms {
            conditions: self.conditions,
            targets: Some(self.targets),
            claims: self.claims,
            unchanged: self.unchanged,
            mark: Some(self.mark),
            is_users: true,
        };
        Ok(BatchParts { changes: self.changes, terms, durability: self.durability })
    }

    /// Operations so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.len() == 0
    }

    /// Puts a record, over what is there. Of two puts of one key in a batch the later one counts.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty key or a collection of another tenant; `Held` where the policy still keeps what is there, and
    /// `InvalidArgument` where the record would expire before it may be gone; `LimitExceeded` for a key over 4,096 bytes,
    /// a value over 1 MiB, or a batch over 100,000 operations or 64 MiB; each secondary key counts as an operation.
    pub fn put(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        self.put_with(collection, key, value, PutOptions::new())
    }

    /// [`Batch::put`] with options. Its condition is one of the whole batch, and so is that its unique keys are free
    /// (`Conflict`), as the whole batch leaves things.
    ///
    /// # Errors
    /// Those of [`Batch::put`]; `NotFound` for an index that the collection does not declare; `InvalidArgument` for a malformed
    /// subject; `Conflict`, retryable, where the subject's key is destroyed at this moment.
    #[allow(clippy::needless_pass_by_value, reason = "options are built for one call")]
    pub fn put_with(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: PutOptions,
    ) -> Result<()> {
        check_value(value.as_ref())?;
        self.put_value(collection, key.as_ref(), NewValue::Whole(value.as_ref()), &options)
    }

    pub(super) fn put_value(
        &mut self,
        collection: &Collection,
        key: &[u8],
        value: NewValue<'_>,
        options: &PutOptions,
    ) -> Result<()> {
        check_record_key(key)?;
        options.subject.as_deref().map_or(Ok(()), |subject| check_name("subject", subject))?;
        self.check_owner(collection)?;
        let keys: usize = options.index.iter().map(|(_, index_key)| 2 * index_key.len() + key.len()).sum();
        let value_bytes = if let NewValue::Whole(value) = value { value.len() } else { 0 };
        let bytes = key.len() + value_bytes + keys;
        self.check_bounds(self.bytes + bytes)?;
        let tenant = self.tenant.clone();
        let inner = &tenant.0;
        let (id, policy) = self.tenant.collection_for_put(collection.name())?;
        let indexed = if options.index.is_empty() {
            None
        } else {
            Some(Indexed::resolve(&self.tenant, id, &options.index)?)
        };
        let usage = match value {
            NewValue::Whole(value) => value.len() as u64,
            NewValue::InChunks(chunks, ..) => chunks.value_bytes,
        };
        self.targets.add(id, Usage::of(key, usage));
        let written_ms = options.written_ms.unwrap_or_else(|| inner.clock.now_ms());
        let expires_ms = policy.expires_ms(written_ms, options.expiry);
        policy.check_expiry(written_ms, expires_ms)?;
        self.replace(id, key, policy)?;
        let follows = expires_ms.is_some() && matches!(options.expiry, None | Some(Expiry::Policy(_)));
        let times = Times { written_ms, expires_ms, follows };
        let place = RecordPlace { collection: id, key };
        let envelope = match value {
            NewValue::Whole(value) => {
                let subject = match &options.subject {
                    Some(subject) => Some(self.tenant.subject_slot(&mut self.changes, subject.as_bytes())?),
                    None => None,
                };
                let period = self.tenant.period_for(&mut self.changes, expires_ms)?;
                let own = self.tenant.own_slot(&mut self.changes, id, options.erasure, policy)?;
                inner.sealer.seal(place, times, ErasureKeys { period, subject, own }, value)?
            }
            NewValue::InChunks(chunks, slots, collection) if collection == id => {
                inner.sealer.seal_chunked(place, slots, times, chunks)?
            }
            NewValue::InChunks(chunks, ..) => {
                return Err(fail!(NotFound, "the collection of the upload {} was dropped", chunks.id));
            }
        };
        self.note_changed(id, key);
        self.take_back_keys(id, key);
        self.changes.put(Table::Records, &[&id.to_be_bytes(), key], &[&envelope]);
        if let Some(indexed) = indexed {
            indexed.put(&mut self.changes, id, key, None);
            self.claims.extend(indexed.claims(id, key));
            self.indexed.insert(record_row(id, key), indexed.rows(id, key));
        }
        if let Some(expected) = options.condition {
            let expected = match expected {
                Expected::Absent => None,
                Expected::Version(version) => Some(version),
            };
            self.conditions.push(Condition {
                collection: id,
                key: key.to_vec(),
                expected,
                salt: None,
                is_own: false,
            });
        }
        if options.durability == Some(Durability::Durable) || self.durability.is_none() {
            self.durability = options.durability;
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Erases a record, if it is there, and what was removed of its key: at once, and what reads began with before does not show
    /// it any more either. Of a put
    /// and an erase of one key in a batch the later one counts.
    ///
    /// # Errors
    /// Those of [`Batch::put`] for a key and a collection.
    pub fn erase(&mut self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        check_record_key(key)?;
        self.check_owner(collection)?;
        let bytes = self.bytes + key.len();
        self.check_bounds(bytes)?;
        let Some(id) = self.tenant.find_collection(collection.name())? else { return Ok(()) };
        self.check_erasure(id, key)?;
        self.note_changed(id, key);
        self.take_back_keys(id, key);
        self.changes.delete(Table::Records, &[&id.to_be_bytes(), key]);
        self.bytes = bytes;
        self.erases = true;
        Ok(())
    }

    /// Erases a record that has this version; otherwise the batch is not made (`Conflict`).
    ///
    /// # Errors
    /// Those of [`Batch::erase`]; `Conflict` at once where there is no such collection.
    pub fn erase_if_version(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        version: Version,
    ) -> Result<()> {
        let key = key.as_ref();
        if self.tenant.find_collection(collection.name())?.is_none() {
            return Err(fail!(Conflict, "there is no such record any more: read it again and decide anew"));
        }
        self.require(collection, key, Some(version))?;
        self.erase(collection, key)
    }

    /// Removes a row of the directory.
    pub(super) fn delete_directory(&mut self, key: &[u8]) {
        self.changes.delete(Table::Directory, &[key]);
    }

    /// Makes the batch depend on a record that it need not change: on the version it has, or, for `None`, on its absence.
    /// Otherwise the batch is not made (`Conflict`).
    ///
    /// # Errors
    /// Those of [`Batch::put`] for a key and a collection.
    pub fn require(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        version: Option<Version>,
    ) -> Result<()> {
        let key = key.as_ref();
        check_record_key(key)?;
        self.check_owner(collection)?;
        let bytes = self.bytes + key.len();
        self.check_bounds(bytes)?;
        let collection = self.tenant.need_collection(collection.name())?;
        self.conditions.push(Condition {
            collection,
            key: key.to_vec(),
            expected: version,
            salt: None,
            is_own: false,
        });
        self.bytes = bytes;
        Ok(())
    }

    /// Takes back the secondary keys that an earlier put of this batch gave a record: only the last one counts.
    fn take_back_keys(&mut self, collection: CollectionId, key: &[u8]) {
        if self.indexed.is_empty() {
            return;
        }
        if let Some(rows) = self.indexed.remove(&record_row(collection, key)) {
            self.changes.withdraw(&rows);
            self.claims.retain(|claim| claim.collection != collection || claim.key != key);
        }
    }

    pub(super) fn check_owner(&self, collection: &Collection) -> Result<()> {
        if collection.tenant().id() == self.tenant.id() {
            return Ok(());
        }
        Err(fail!(InvalidArgument, "the collection belongs to another tenant than the batch"))
    }

    pub(super) fn check_bounds(&self, bytes: usize) -> Result<()> {
        if self.changes.len() + self.conditions.len() < BATCH_OPERATIONS_MAX && bytes <= BATCH_BYTES_MAX {
            return Ok(());
        }
        Err(fail!(
            LimitExceeded,
            "a batch holds at most {BATCH_OPERATIONS_MAX} operations and {BATCH_BYTES_MAX} bytes: use several"
        ))
    }
}
