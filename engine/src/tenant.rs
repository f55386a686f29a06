//! One tenant: the handle through which all of its data is reached, and the only one (invariant 8).

mod ahead;
mod batch;
mod change;
mod checkpoint;
mod collect;
mod collections;
mod data_keys;
mod deadline;
mod digests;
mod handle;
mod holds;
#[cfg(all(test, feature = "simulation"))]
mod home;
mod index;
mod minimum;
mod moving;
mod open;
mod pace;
mod policies;
mod quota;
mod recopy;
mod rekey;
mod removal;
mod retention;
mod scan;
mod scrub;
mod session;
mod slots;
mod snapshot;
mod standing;
mod subjects;
mod submitted;
mod unique;
mod upload;
mod upload_row;
mod value;

pub use batch::{Batch, Durability, PutOptions};
pub(crate) use checkpoint::{Keeper, Rotation};
pub use data_keys::{DataKeyInfo, DataKeyState};
pub use deadline::RekeyDeadline;
pub use handle::{Collection, EraseReport};
pub(crate) use open::Opening;
pub use open::RecoveryReport;
pub use policies::PolicyReport;
pub use rekey::{RekeyOptions, RekeyReport};
pub use removal::RemovedScan;
pub use retention::SweepReport;
pub use scan::{Entry, Scan};
pub use scrub::{Horizon, Receipt};
pub use session::Session;
pub use snapshot::Snapshot;
pub use subjects::{SubjectRecord, SubjectRecords, Subjects};
pub use submitted::Submitted;
pub use upload::Upload;
pub use value::ValueReader;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::collection::CursorSealer;
use crate::crypto::Entropy;
use crate::error::{Error, Result, fail};
use crate::id::{Process, TenantId, Version};
use crate::journal::{Commit, FrameReport, FrameSealer, Lane, Link};
use crate::keys::{Keyring, KeyringHealth, Lease, LeaseTerms, SlotKind, SubjectsFound};
use crate::limits::check_name;
use crate::partition::{Changes, FileReport, Partition, Table};
use crate::record::{Envelope, Plaintext, RecordPlace, RecordSealer};
use batch::BatchParts;
use bytes::Bytes;
use change::{Change, Terms};
use checkpoint::Gate;
use collect::Collector;
use collections::Collections;
use data_keys::SavedCounts;
pub(crate) use digests::Digests;
use index::Indexes;
use quota::Quotas;
use retention::Policies;
use slots::Slots;

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    pub(crate) use super::deadline::fuzz_deadline;
    pub(crate) use super::recopy::fuzz_copy_row;
    pub(crate) use super::upload_row::fuzz_upload_row;
}

/// A tenant's handle. Cheap to clone; usable from any thread. No call takes another tenant beside it.
#[derive(Clone)]
pub struct Tenant(Arc<Inner>, Arc<str>);

struct Inner {
    id: TenantId,
    partition: Arc<Partition>,
    lane: Arc<Lane<Partition>>,
    link: Arc<Link<Partition>>,
    gate: Gate,
    collector: Collector,
    keeper: Arc<dyn Keeper>,
    durability: Durability,
    keyring: Arc<Keyring>,
    sealer: RecordSealer,
    cursors: CursorSealer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    digests: Option<Arc<Digests>>,
    collections: Collections,
    slots: Slots,
    indexes: Indexes,
    policies: Policies,
    /// One application of policies at a time.
    applying: Mutex<()>,
    quotas: Arc<Quotas>,
    counts: Mutex<SavedCounts>,
    /// One change of the data keys at a time.
    rotating: Mutex<()>,
    /// Which data key should be rotated, and since when that is known, in milliseconds since the epoch.
    rotation_due: Mutex<Option<(u32, u64)>>,
    /// One rekey at a time, and how far the rounds of maintenance have come with theirs.
    rekeying: Mutex<deadline::Progress>,
    /// One change of the holds at a time.
    holding: Mutex<()>,
    /// Periods that are over, whose keys held records still need.
    periods_held: AtomicUsize,
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
    pub(crate) lane: Arc<Lane<Partition>>,
    pub(crate) keeper: Arc<dyn Keeper>,
    pub(crate) durability: Durability,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Where names are not shown.
    pub(crate) digests: Option<Arc<Digests>>,
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
    /// Bytes of the journal's frames that its file does not have yet.
    pub journal_bytes: u64,
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
    /// A handle over a partition that has everything up to `last`: a sequence, and the tag of its frame.
    fn assemble(parts: TenantParts, partition: Arc<Partition>, last: (u64, [u8; 16])) -> Result<Self> {
        let TenantParts { name, lane, keeper, durability, keyring, clock, entropy, digests, store } = parts;
        let id = keyring.tenant();
        let epoch = keyring.anchor().current_epoch;
        let key = partition.structure_key(epoch)?;
        let sealer = FrameSealer::new(keyring.store(), id, epoch, &key)?;
        let quotas = Arc::new(Quotas::load(&partition)?);
        let link = Arc::new(Lane::link(Arc::clone(&partition), id, sealer, last));
        let inner = Inner {
            id,
            partition,
            lane,
            link,
            gate: Gate::default(),
            collector: Collector::default(),
            keeper,
            durability,
            cursors: CursorSealer::new(keyring.cursor_key(), keyring.store(), id),
            sealer: RecordSealer::new(Arc::clone(&keyring), Arc::clone(&entropy)),
            keyring,
            clock,
            entropy,
            digests,
            collections: Collections::default(),
            slots: Slots::default(),
            indexes: Indexes::default(),
            policies: Policies::default(),
            applying: Mutex::new(()),
            quotas,
            counts: Mutex::default(),
            rotating: Mutex::new(()),
            rotation_due: Mutex::default(),
            rekeying: Mutex::default(),
            holding: Mutex::new(()),
            periods_held: AtomicUsize::new(0),
            process: Process::current(),
            _store: store,
        };
        let tenant = Self(Arc::new(inner), name.into());
        tenant.take_up_holds()?;
        tenant.0.partition.take_up_own_keys()?;
        Ok(tenant)
    }

    /// The tenant's id: what logs and errors call it.
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.0.id
    }

    /// The tenant's name, as it was when the store gave this handle; where the store is open for maintenance, its digest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.1
    }

    /// A collection by name: 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
    /// Where there is none, the first put creates it. The handle means the collection that has the name when it is used.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against these rules.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        check_name("collection", name)?;
        Ok(Collection::new(self.clone(), name))
    }

    /// An empty batch, for [`Tenant::submit`].
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(self)
    }

    /// Makes the changes that `fill` puts into a batch, all or none of them, over any of the tenant's collections.
    /// Durable when this returns, unless another [`Durability`] was asked for. An error of `fill` changes nothing.
    ///
    /// # Errors
    /// What `fill` gives; `Held` where a hold covers what the batch would erase or put over; `Conflict` where a condition of the batch does not hold, or a collection that it puts into is
    /// dropped at the same time, or, retryable, a policy is changed; `LimitExceeded` where a quota would be exceeded, and beyond the bounds of a
    /// batch; `Io` when the disk fails or is full: then the batch may still be there after the next open, whole;
    /// `Poisoned` after a failed sync, until the store is opened again.
    pub fn write(&self, fill: impl FnOnce(&mut Batch) -> Result<()>) -> Result<Version> {
        self.check_usable()?;
        let mut batch = Batch::new(self);
        fill(&mut batch)?;
        self.check_owns(&batch)?;
        let BatchParts { changes, terms, durability } = batch.into_parts()?;
        if changes.len() + terms.conditions.len() == 0 {
            return self.0.partition.version();
        }
        self.make(changes, &terms, self.is_durable(durability))
    }

    /// Hands in a batch and does not wait: many can be under way from one thread, and share one write and one sync. The
    /// order in which batches are handed in is the order in which they are made; only one that has to be decided anew, because a
    /// checkpoint or another thread replaced what it depends on (conditions, quotas, unique keys, holds, keys of single records),
    /// comes after those that were handed in before it is waited for.
    ///
    /// A batch that gives unique keys, or puts over or erases records that have keys of their own or of subjects under a hold,
    /// is handed in once those before it are made.
    ///
    /// # Errors
    /// `InvalidArgument` for a batch of another tenant; `Io`. What becomes of the batch, [`Submitted`] tells.
    pub fn submit(&self, batch: Batch) -> Result<Submitted> {
        self.check_usable()?;
        self.check_owns(&batch)?;
        let BatchParts { changes, terms, durability } = batch.into_parts()?;
        if changes.len() + terms.conditions.len() == 0 {
            return Ok(Submitted::nothing(self, self.0.partition.version()?));
        }
        self.before_write()?;
        Submitted::new(self, changes.into_bytes(), terms, self.is_durable(durability))
    }

    /// A batch is sealed for one tenant; in the journal of another one it could not be read.
    fn check_owns(&self, batch: &Batch) -> Result<()> {
        if batch.tenant().id() == self.0.id {
            return Ok(());
        }
        Err(fail!(InvalidArgument, "the batch belongs to another tenant"))
    }

    /// Makes everything durable that was written with [`Durability::Buffered`] until now.
    ///
    /// # Errors
    /// `Io` when the sync fails: what was not durable may be lost, and the store has to be opened again.
    pub fn flush(&self) -> Result<()> {
        self.0.process.check()?;
        self.0.lane.flush()
    }

    fn is_durable(&self, asked: Option<Durability>) -> bool {
        asked.unwrap_or(self.0.durability) == Durability::Durable
    }

    fn make(&self, changes: Changes, terms: &Terms, is_durable: bool) -> Result<Version> {
        self.before_write()?;
        self.make_at_once(changes, terms, is_durable)
    }

    /// The same of a change that a full memtable does not hold back: what makes checkpoints may wait for none.
    fn make_at_once(&self, changes: Changes, terms: &Terms, is_durable: bool) -> Result<Version> {
        let bytes = changes.into_bytes();
        loop {
            let change = Change::new(&self.0.partition, bytes.clone(), terms)?;
            let doomed = change.doomed().to_vec();
            if let Some(version) =
                self.0.lane.commit(&self.0.link, change, is_durable || !doomed.is_empty())?
            {
                self.settle_assignments(&bytes);
                self.after_made(&doomed)?;
                return Ok(version);
            }
        }
    }

    /// Hands in a change; gives the slots whose keys go with it, too.
    fn enqueue(
        &self,
        bytes: &Bytes,
        terms: &Terms,
        is_durable: bool,
    ) -> Result<(Commit<Partition>, Vec<u64>)> {
        let mut change = Change::new(&self.0.partition, bytes.clone(), terms)?;
        if change.has_looked() {
            self.0.lane.await_earlier()?;
            change = Change::new(&self.0.partition, bytes.clone(), terms)?;
        }
        let doomed = change.doomed().to_vec();
        let commit = self.0.lane.submit(&self.0.link, change, is_durable || !doomed.is_empty())?;
        Ok((commit, doomed))
    }

    /// A change is in effect that takes records away that have these slots of their own.
    fn after_made(&self, doomed: &[u64]) -> Result<()> {
        let destroyed = if doomed.is_empty() { Ok(()) } else { self.destroy_doomed(doomed) };
        self.after_write();
        destroyed
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// Those of reading.
    pub fn stats(&self) -> Result<TenantStats> {
        self.0.process.check()?;
        Ok(TenantStats {
            records: self.0.partition.record_count()?,
            collections: self.collections()?.len(),
            file_bytes: self.0.partition.file_bytes()?,
            journal_bytes: self.0.lane.pending_bytes(self.0.id),
            key_store_bytes: self.0.keyring.file_bytes()?,
            version: self.0.partition.version()?,
            structure_slot: self.0.keyring.anchor().current_epoch,
            data_slot: self.0.keyring.current_data_slot()?,
        })
    }

    /// Verifies every block, the tables, and the value of every record. `progress` gets how many more were done.
    pub(crate) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<FileReport> {
        self.0.process.check()?;
        self.0.partition.verify(&mut |row| self.check_row(row), progress)
    }

    /// Verifies the frames of the journal that the tenant's file does not have. Checkpoints wait meanwhile, writers do not.
    pub(crate) fn verify_journal(&self, progress: &mut dyn FnMut(u64)) -> Result<FrameReport> {
        self.0.process.check()?;
        let mut sealer = |epoch| self.frame_sealer(epoch).map(Arc::new);
        Ok(self.without_checkpoints(|| self.0.lane.check_frames(self.0.id, &mut sealer, progress)))
    }

    /// Whether a record whose value lies in chunks is there. Where the data key it is under was retired since, it was sealed
    /// anew before, and is there if the record as it is now has its version.
    ///
    /// # Errors
    /// `SnapshotExpired` where it is not the same record any more.
    fn check_value(&self, place: RecordPlace<'_>, version: Version, envelope: &Envelope<'_>) -> Result<bool> {
        let inner = &*self.0;
        if inner.sealer.check(place, envelope)? {
            return Ok(true);
        }
        if inner.keyring.lives(SlotKind::Data, envelope.slots.data.into())? {
            return Ok(false);
        }
        let now = inner.partition.record(place.collection, place.key, |version_now, envelope_now| {
            let now = Envelope::parse(envelope_now)?;
            if now.salt() == envelope.salt() {
                return Ok(false);
            }
            if version_now == version { self.check_value(place, version, &now) } else { Err(changed()) }
        })?;
        now.ok_or_else(changed)
    }

    /// Opens a record's value, read with its version. Where the data key it is under was retired since, it was sealed anew
    /// before: then the record as it is now is opened.
    ///
    /// # Errors
    /// `SnapshotExpired` where it is not the same record any more.
    fn open_value(
        &self,
        place: RecordPlace<'_>,
        version: Version,
        envelope: &Envelope<'_>,
    ) -> Result<Option<Plaintext>> {
        let inner = &*self.0;
        if let Some(value) = inner.sealer.open(place, envelope)? {
            return Ok(Some(value));
        }
        if inner.keyring.lives(SlotKind::Data, envelope.slots.data.into())? {
            // Another key of it is destroyed.
            return Ok(None);
        }
        let now = inner.partition.record(place.collection, place.key, |version_now, envelope_now| {
            let now = Envelope::parse(envelope_now)?;
            if now.salt() == envelope.salt() {
                return Ok(None);
            }
            if version_now == version { self.open_value(place, version, &now) } else { Err(changed()) }
        })?;
        now.ok_or_else(changed)
    }

    /// Verifies the slots of subject keys and mends what can be mended.
    pub(crate) fn verify_subjects(&self, progress: &mut dyn FnMut(u64)) -> Result<SubjectsFound> {
        self.0.keyring.verify_subjects(progress)
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
        self.change_directory(rows.into_iter().map(|(key, value)| (key, Some(value))))
    }

    /// Puts rows into the directory, or removes those without a value, in one batch; for the catalog.
    pub(crate) fn change_directory(
        &self,
        rows: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<Version> {
        self.0.process.check()?;
        let mut changes = Changes::default();
        for (key, value) in rows {
            match value {
                Some(value) => changes.put(Table::Directory, &[&key], &[&value]),
                None => changes.delete(Table::Directory, &[&key]),
            }
        }
        self.make_directory(changes)
    }

    /// Makes changes of the directory, durable when this returns.
    fn make_directory(&self, changes: Changes) -> Result<Version> {
        if changes.len() == 0 {
            return self.0.partition.version();
        }
        self.make_at_once(changes, &Terms::default(), true)
    }

    /// Periods that are over, whose keys can't be destroyed yet because held records need them.
    pub(crate) fn periods_held(&self) -> usize {
        self.0.periods_held.load(Ordering::Relaxed)
    }

    /// Bytes of the journal that its file does not have.
    pub(crate) fn journal_bytes(&self) -> u64 {
        self.0.lane.pending_bytes(self.0.id)
    }

    /// Bytes that it holds in memory because its file does not have them.
    pub(crate) fn memtable_bytes(&self) -> usize {
        self.0.partition.memtable_bytes()
    }

    /// Whether this is the only handle of it, and its journal gives what its file does not have. One that failed to sync
    /// gives more: changes of which the callers were told that they failed.
    pub(crate) fn can_be_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && !self.0.lane.is_poisoned()
    }

    /// The most that its file's pages take in memory, in bytes, whatever part of it is there now.
    pub(crate) fn cache_bytes(&self) -> u64 {
        self.0.partition.cache_bytes()
    }

    /// Whether it is another handle of the same opening.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The lease of its keys.
    pub(crate) fn lease(&self) -> &Lease {
        self.0.keyring.lease()
    }

    /// Has its key provider asked again where it is time; nobody waits. Whether it is asked.
    pub(crate) fn renew_lease(&self, now_ms: u64, terms: LeaseTerms) -> bool {
        self.0.keyring.renew_lease(now_ms, terms)
    }

    /// Refuses everything through the handle and its clones from now on, and closes them: its keys are not good any more. Those
    /// that open values are wiped from memory.
    pub(crate) fn deny(&self) -> Result<()> {
        self.0.partition.deny();
        self.0.keyring.forget_content();
        self.0.sealer.forget_all();
        self.0.lane.leave(&self.0.link);
        self.0.partition.close()
    }

    /// The name of the key provider that wraps the tenant's keys.
    #[must_use]
    pub fn key_provider(&self) -> String {
        self.0.keyring.provider()
    }

    /// Has the tenant's section keys wrapped anew, by the provider that wraps them (whose key was rotated) or by another one
    /// (a customer's own). Nothing else is sealed anew; records stay as they are. Durable when this returns. What the provider
    /// gives is unwrapped again before anything is written. Copies of the key store keep the older wrapping.
    ///
    /// # Errors
    /// `KeyUnavailable` from either provider, or where none has this name: nothing is changed then; `Io`.
    pub fn rewrap(&self, provider: Option<&str>) -> Result<()> {
        self.0.process.check()?;
        self.0.partition.check_open()?;
        self.0.keyring.rewrap(provider)
    }

    /// Closes the handle and all its clones. What was made through them before is in effect.
    pub(crate) fn close(&self) -> Result<()> {
        self.0.process.check()?;
        if let Err(error) = self.give_back_slots() {
            // They are spent for nothing.
            tracing::debug!(tenant = %self.0.id, %error, "slots of the key store were not given back");
        }
        self.0.lane.leave(&self.0.link);
        self.0.partition.close()
    }
}

/// What a reader needs is gone with a data key that was retired since.
fn changed() -> Error {
    fail!(SnapshotExpired, "a record's key was retired since: take another snapshot")
}
