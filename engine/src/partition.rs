//! One tenant's data: a redb database in a sealed file, with the anchor in its keyring (FORMAT.md sections 5 to 7).
//!
//! Until a journal stands before it, a batch is one durable two-phase commit of redb; then the anchor takes its
//! sequence; then it is acknowledged.

mod opened;
mod rewrite;
mod tables;
mod verify;

pub use rewrite::RewriteReport;
pub use tables::Version;
pub(crate) use tables::{record_row_key, split_row_key};
pub use verify::FileReport;

use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use redb::{OwnedRange, ReadableTableMetadata};

use crate::clock::Clock;
use crate::crypto::Entropy;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{CollectionId, FileId, Process, TenantId};
use crate::keys::{Keyring, OPEN_FOR_WRITING, REPLACE_FILE};
use crate::sealed_file::{FileIdentity, FileOptions, SealedFile};
use opened::{Opened, from_redb, from_storage};
use tables::{COMMIT, DIRECTORY, META, ORIGIN, RECORDS, TABLES};

/// A change of a tenant. Every change is one of these, in a batch (invariant 6).
pub(crate) enum Operation {
    /// Puts a sealed record, over what is there.
    PutRecord { collection: CollectionId, key: Vec<u8>, envelope: Vec<u8> },
    /// Puts a row of the directory, over what is there.
    PutDirectory { key: Vec<u8>, value: Vec<u8> },
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PutRecord { .. } => "PutRecord",
            Self::PutDirectory { .. } => "PutDirectory",
        })
    }
}

/// How a partition is opened.
#[derive(Clone, Debug)]
pub(crate) struct PartitionOptions {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Bound of redb's page cache in bytes; tag blocks may take a sixteenth more.
    pub(crate) cache_bytes: usize,
    /// Verify at open, and demand afterwards that no block is an older version of itself.
    pub(crate) full_freshness: bool,
}

impl PartitionOptions {
    fn file_options(&self) -> FileOptions {
        FileOptions { entropy: Arc::clone(&self.entropy), tag_cache_bytes: self.cache_bytes / 16 }
    }
}

/// What a file's anchor asks for at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rollback {
    /// Data older than the anchor is `RolledBack`.
    Refuse,
    /// Data older than the anchor is accepted, on a new timeline.
    Accept,
}

/// An open tenant file.
#[derive(Debug)]
pub(crate) struct Partition {
    options: PartitionOptions,
    directory: PathBuf,
    keyring: Arc<Keyring>,
    /// `None` after a failure, until the next call opens it anew.
    opened: RwLock<Option<Arc<Opened>>>,
    writer: Mutex<()>,
    closed: AtomicBool,
    process: Process,
}

/// The name of a tenant's file.
pub(crate) fn file_name(tenant: TenantId, file: FileId) -> String {
    format!("{tenant}.{file}.redb")
}

impl Partition {
    /// Makes the file that a new keyring's anchor names, durable when this returns.
    pub(crate) fn create(options: PartitionOptions, directory: &Path, keyring: Arc<Keyring>) -> Result<Self> {
        let partition = Self {
            options,
            directory: directory.to_owned(),
            keyring,
            opened: RwLock::new(None),
            writer: Mutex::new(()),
            closed: AtomicBool::new(false),
            process: Process::current(),
        };
        let anchor = partition.keyring.anchor();
        let opened = partition.create_file(anchor.current, anchor.current_epoch)?;
        let origin =
            [&partition.keyring.store().as_bytes()[..], partition.keyring.tenant().as_bytes()].concat();
        let first = Version { timeline: anchor.timeline, sequence: anchor.commit };
        opened.run(|db| {
            let mut transaction = db.begin_write().map_err(from_redb)?;
            transaction.set_quick_repair(true);
            for table in TABLES {
                transaction.open_table(table).map_err(from_redb)?;
            }
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.insert(ORIGIN, &origin[..]).map_err(from_redb)?;
            meta.insert(COMMIT, &first.encode()[..]).map_err(from_redb)?;
            drop(meta);
            transaction.commit().map_err(from_redb)
        })?;
        partition.sync_directory()?;
        *partition.opened.write() = Some(Arc::new(opened));
        Ok(partition)
    }

    /// Opens the file that the anchor names, after finishing or undoing an interrupted rewrite.
    pub(crate) fn open(
        options: PartitionOptions,
        directory: &Path,
        keyring: Arc<Keyring>,
        rollback: Rollback,
    ) -> Result<Self> {
        let partition = Self {
            options,
            directory: directory.to_owned(),
            keyring,
            opened: RwLock::new(None),
            writer: Mutex::new(()),
            closed: AtomicBool::new(false),
            process: Process::current(),
        };
        partition.settle_rewrite()?;
        if partition.keyring.anchor().flags & OPEN_FOR_WRITING != 0 {
            // What was written after the last close may have been lost: later versions must be greater.
            partition.keyring.update_anchor(|anchor| anchor.timeline += 1)?;
        }
        if rollback == Rollback::Accept {
            partition.accept_rollback()?;
        }
        partition.opened()?;
        Ok(partition)
    }

    fn tenant(&self) -> TenantId {
        self.keyring.tenant()
    }

    fn path_of(&self, file: FileId) -> PathBuf {
        self.directory.join(file_name(self.tenant(), file))
    }

    fn sync_directory(&self) -> Result<()> {
        self.options
            .disk
            .sync_dir(&self.directory)
            .map_err(|error| Error::io(format!("syncing the directory {}", self.directory.display()), error))
    }

    fn create_file(&self, file: FileId, epoch: u32) -> Result<Opened> {
        let key = self.structure_key(epoch)?;
        let sealed = SealedFile::create(
            &*self.options.disk,
            &self.path_of(file),
            self.identity(file, epoch),
            &key,
            self.options.clock.now_ms(),
            &self.options.file_options(),
        )?;
        Opened::open(Arc::new(sealed), self.options.cache_bytes, true)
    }

    fn identity(&self, file: FileId, epoch: u32) -> FileIdentity {
        FileIdentity { store: self.keyring.store(), tenant: self.tenant(), file, epoch }
    }

    fn structure_key(&self, epoch: u32) -> Result<crate::crypto::StructureKey> {
        self.keyring.structure_key(epoch)?.ok_or_else(|| {
            fail!(
                KeyMissing,
                "the structure key {epoch} of tenant {} was destroyed by a rewrite",
                self.tenant()
            )
        })
    }

    fn open_sealed(&self) -> Result<Arc<SealedFile>> {
        let anchor = self.keyring.anchor();
        let key = self.structure_key(anchor.current_epoch)?;
        let path = self.path_of(anchor.current);
        let identity = self.identity(anchor.current, anchor.current_epoch);
        SealedFile::open(&*self.options.disk, &path, identity, &key, &self.options.file_options())
            .map(Arc::new)
    }

    /// The open database; opened anew where it failed.
    fn opened(&self) -> Result<Arc<Opened>> {
        if let Some(opened) = &*self.opened.read()
            && !opened.is_stale()
        {
            return Ok(Arc::clone(opened));
        }
        let mut slot = self.opened.write();
        if self.closed.load(Ordering::Acquire) {
            return Err(fail!(Poisoned, "the store was closed: open it again"));
        }
        if let Some(opened) = &*slot
            && !opened.is_stale()
        {
            return Ok(Arc::clone(opened));
        }
        if let Some(stale) = &*slot {
            stale.retire();
            if stale.file.sync_failed() && self.keyring.anchor().flags & REPLACE_FILE == 0 {
                self.keyring.update_both_anchors(|anchor| anchor.flags |= REPLACE_FILE)?;
            }
            *slot = None;
        }
        let opened = self.reopen()?;
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn reopen(&self) -> Result<Arc<Opened>> {
        let file = self.open_sealed()?;
        if self.options.full_freshness {
            verify::verify_fresh(&file, self.keyring.anchor().commit)?;
        }
        let opened = Arc::new(Opened::open(file, self.options.cache_bytes, false)?);
        self.check_origin(&opened)?;
        let anchor = self.keyring.anchor();
        let held = self.last_commit(&opened)?;
        if held.sequence < anchor.commit {
            return Err(fail!(
                RolledBack,
                "tenant {}: the file ends at commit {}, but commit {} was acknowledged: put the newest copy back, or \
                 accept the rollback",
                self.tenant(),
                held.sequence,
                anchor.commit
            ));
        }
        if held.sequence > anchor.commit {
            // A commit that was not acknowledged may be in the page cache only, and is about to be seen.
            opened.file.sync()?;
        }
        if anchor.flags & REPLACE_FILE != 0 {
            return self.replace(&opened, &mut |_, _| {}).map(|(replaced, _)| replaced);
        }
        Ok(opened)
    }

    fn check_origin(&self, opened: &Opened) -> Result<()> {
        let origin = opened.table(META)?;
        let expected = [&self.keyring.store().as_bytes()[..], self.tenant().as_bytes()].concat();
        let matches = opened.watch(|| {
            let row = origin.get(ORIGIN).map_err(from_storage)?;
            Ok(row.is_some_and(|row| row.value() == expected))
        })?;
        if matches {
            Ok(())
        } else {
            Err(fail!(Unauthentic, "tenant {}: the file says it is another's", self.tenant()))
        }
    }

    fn last_commit(&self, opened: &Opened) -> Result<Version> {
        let meta = opened.table(META)?;
        opened.watch(|| {
            let row = meta.get(COMMIT).map_err(from_storage)?;
            let row =
                row.ok_or_else(|| fail!(Corrupted, "tenant {}: the file has no commit", self.tenant()))?;
            Version::parse(row.value())
        })
    }

    /// Lowers the anchor to what the file holds and starts a new timeline.
    fn accept_rollback(&self) -> Result<()> {
        let opened = Opened::open(self.open_sealed()?, self.options.cache_bytes, false)?;
        self.check_origin(&opened)?;
        let held = self.last_commit(&opened)?;
        drop(opened);
        let timeline = self.keyring.anchor().timeline.max(held.timeline) + 1;
        self.keyring.update_both_anchors(|anchor| {
            anchor.commit = held.sequence;
            anchor.timeline = timeline;
        })
    }

    /// Makes a batch durable, all or nothing, and gives its version.
    ///
    /// After an error the batch may still be there, whole; never a part of it.
    pub(crate) fn commit(&self, operations: &[Operation]) -> Result<Version> {
        let _writer = self.writer.lock();
        let opened = self.opened()?;
        let before = self.last_commit(&opened)?;
        let version = Version { timeline: self.keyring.anchor().timeline, sequence: before.sequence + 1 };
        if let Err(error) = apply(&opened, version, operations) {
            // Where a reader met a damaged block, redb refuses this commit too: the file is opened anew, which tells
            // whether the commit was made (and syncs it), and if not, it is made now.
            let held = self.opened().and_then(|reopened| self.last_commit(&reopened));
            match held {
                Ok(held) if held == version => {}
                Ok(_) if error.kind() == ErrorKind::Poisoned => apply(&*self.opened()?, version, operations)?,
                _ => return Err(error),
            }
        }
        self.keyring.update_anchor(|anchor| {
            anchor.commit = version.sequence;
            anchor.flags |= OPEN_FOR_WRITING;
        })?;
        Ok(version)
    }

    /// The last batch.
    pub(crate) fn version(&self) -> Result<Version> {
        let opened = self.opened()?;
        self.last_commit(&opened)
    }

    /// A record's row: version and envelope.
    pub(crate) fn record<T>(
        &self,
        collection: CollectionId,
        key: &[u8],
        read: impl FnOnce(Version, &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let opened = self.opened()?;
        let table = opened.table(RECORDS)?;
        let row = opened.watch(|| table.get(&record_row_key(collection, key)[..]).map_err(from_storage))?;
        row.map(|row| {
            let (version, envelope) = Version::split(row.value())?;
            read(version, envelope)
        })
        .transpose()
    }

    /// A row of the directory.
    pub(crate) fn directory_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let opened = self.opened()?;
        let table = opened.table(DIRECTORY)?;
        opened.watch(|| Ok(table.get(key).map_err(from_storage)?.map(|row| row.value().to_vec())))
    }

    /// The rows of the directory whose keys begin with `kind`, in order.
    pub(crate) fn directory_rows(&self, kind: u8) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let opened = self.opened()?;
        let table = opened.table(DIRECTORY)?;
        opened.watch(|| {
            let range = table.range::<&[u8]>(&[kind][..]..&[kind + 1][..]).map_err(from_storage)?;
            let row = |row: std::result::Result<_, _>| {
                let (key, value): (redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>) =
                    row.map_err(from_storage)?;
                Ok((key.value()[1..].to_vec(), value.value().to_vec()))
            };
            range.map(row).collect()
        })
    }

    /// The records between two row keys, as they are now: later commits do not show.
    pub(crate) fn scan(&self, from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> Result<RowScan> {
        let opened = self.opened()?;
        let table = opened.table(RECORDS)?;
        let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let rows = opened.watch(|| table.range_owned::<&[u8]>(bounds).map_err(from_storage))?;
        Ok(RowScan { rows: Some(rows), opened })
    }

    /// Rows of the records table, and bytes of the file.
    pub(crate) fn size(&self) -> Result<(u64, u64)> {
        let opened = self.opened()?;
        let table = opened.table(RECORDS)?;
        let rows = opened.watch(|| table.len().map_err(from_storage))?;
        let path = opened.file.path();
        let info = self.options.disk.info(path);
        let info = info.map_err(|error| Error::io(format!("examining {}", path.display()), error))?;
        Ok((rows, info.allocated_bytes))
    }

    /// Closes the file. Reads under way end with an error.
    pub(crate) fn close(&self) -> Result<()> {
        let _writer = self.writer.lock();
        let mut slot = self.opened.write();
        self.closed.store(true, Ordering::Release);
        let Some(opened) = slot.take() else { return Ok(()) };
        let stale = opened.is_stale();
        let repeated = if stale { Ok(()) } else { opened.file.repeat_root() };
        opened.retire();
        repeated?;
        if stale {
            return Ok(());
        }
        if self.keyring.anchor().flags & OPEN_FOR_WRITING != 0 {
            self.keyring.update_anchor(|anchor| anchor.flags &= !OPEN_FOR_WRITING)?;
        }
        Ok(())
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if self.process.check().is_err() {
            // A forked child must not close its parent's database, which writes.
            std::mem::forget(self.opened.get_mut().take());
            return;
        }
        if let Err(error) = self.close() {
            tracing::warn!(tenant = %self.tenant(), %error, "a tenant was not closed cleanly");
        }
    }
}

fn apply(opened: &Opened, version: Version, operations: &[Operation]) -> Result<()> {
    opened.run(|db| {
        let mut transaction = db.begin_write().map_err(from_redb)?;
        // Two-phase: over sealed blocks a one-phase commit can't be told from a damaged one after a power loss.
        transaction.set_quick_repair(true);
        {
            let mut records = transaction.open_table(RECORDS).map_err(from_redb)?;
            let mut directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
            let mut row = Vec::new();
            for operation in operations {
                match operation {
                    Operation::PutRecord { collection, key, envelope } => {
                        row.clear();
                        row.extend(version.encode());
                        row.extend(envelope);
                        let key = record_row_key(*collection, key);
                        records.insert(&key[..], &row[..]).map_err(from_storage)?;
                    }
                    Operation::PutDirectory { key, value } => {
                        directory.insert(&key[..], &value[..]).map_err(from_storage)?;
                    }
                }
            }
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.insert(COMMIT, &version.encode()[..]).map_err(from_storage)?;
        }
        transaction.commit().map_err(from_redb)
    })
}

/// An iterator over rows, in both directions.
pub(crate) struct RowScan {
    /// Leaked after a panic of redb's.
    rows: Option<OwnedRange<&'static [u8], &'static [u8]>>,
    opened: Arc<Opened>,
}

/// A row's key, version and envelope.
pub(crate) type Row = (Vec<u8>, Version, Vec<u8>);

impl RowScan {
    fn step(&mut self, back: bool) -> Option<Result<Row>> {
        let rows = self.rows.as_mut()?;
        let row = self.opened.watch(|| {
            let row = if back { rows.next_back() } else { rows.next() };
            row.map(|row| {
                let (key, value) = row.map_err(from_storage)?;
                let (version, envelope) = Version::split(value.value())?;
                Ok((key.value().to_vec(), version, envelope.to_vec()))
            })
            .transpose()
        });
        if row.is_err() {
            // The end: redb's iterator is of no further use, and after a panic must not even be dropped.
            let rows = self.rows.take();
            if self.opened.has_panicked() {
                std::mem::forget(rows);
            }
        }
        row.transpose()
    }
}

impl Iterator for RowScan {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false)
    }
}

impl DoubleEndedIterator for RowScan {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}

impl std::fmt::Debug for RowScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowScan")
    }
}
