//! One tenant's data: a redb database in a sealed file, and before it a memtable of what only the journal has yet
//! (FORMAT.md sections 5 to 7).
//!
//! Changes enter the memtable. A checkpoint freezes it, puts it into redb in one sorted, durable, two-phase commit, and
//! then the anchor in the keyring takes its sequence. A tenant that was never checkpointed has no file.

mod agreement;
mod bound;
mod change;
mod checkpoint;
mod chunks;
mod copy;
mod count;
mod deciding;
mod erased;
mod expiry;
mod holds;
#[cfg(feature = "simulation")]
pub(crate) mod measured;
mod memtable;
mod opened;
mod own;
mod removed;
mod rewrite;
mod scan;
mod secondary;
mod snapshot;
mod standing;
mod subjects;
mod tables;
mod verify;

pub(crate) use bound::{Bounds, Demand, Scope};
use change::RowChange;
pub(crate) use change::{
    Changes, Destroyed, Table, UNSCRUBBED, destroyed_by, dropped_row, for_each_put, record_row,
    records_changed, row_key, takes_no_room,
};
pub(crate) use checkpoint::Frozen;
pub(crate) use chunks::{ChunkRows, ChunkTable, SetOwner};
pub use count::Usage;
pub(crate) use deciding::{Existing, InMemory, Seen};
pub(crate) use expiry::Swept;
pub(crate) use holds::Holds;
pub(crate) use own::{Doomed, INTENTS, OwnKeys, intent_key, own_row};
pub(crate) use removed::{RemovedPlace, RemovedRow, mark_of};
pub use rewrite::RewriteReport;
pub(crate) use scan::{Row, RowScan};
pub(crate) use secondary::{
    DECLARED, Edge, IndexKey, IndexPlace, PLACE_BYTES, SecondaryRow, change_value, encode_list, entry_data,
    entry_key, list_key, parse_list, split_secondary,
};
pub(crate) use snapshot::{Erasures, RowSnapshot};
pub(crate) use standing::Standing;
use standing::StandingCell;
pub(crate) use subjects::{ERASED, SubjectRows};
pub(crate) use tables::{Held, dropped_index_key, dropped_key, record_row_key, split_row_key};
pub use verify::FileReport;
pub(crate) use verify::RowToCheck;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::crypto::{Entropy, StructureKey};
use crate::disk::Disk;
use crate::error::{Error, Result, fail};
use crate::id::{CollectionId, FileId, Process, TenantId, Version};
use crate::keys::{Keyring, NO_FILE, REPLACE_FILE};
use crate::sealed_file::{FileIdentity, FileOptions, SealedFile};
use erased::Erased;
use memtable::Memtable;
use opened::{Opened, from_storage};
use tables::{
    CHUNKS, COMMIT, DIRECTORY, EXPIRY, META, ORIGIN, RECORDS, REMOVED, ReadTable, SECONDARY, SUBJECTS,
};

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    pub(crate) use super::change::fuzz_changes;
    pub(crate) use super::removed::fuzz_removed;
    pub(crate) use super::secondary::fuzz_secondary;
}

/// How a partition is opened.
#[derive(Clone, Debug)]
pub(crate) struct PartitionOptions {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Bound of redb's page cache in bytes; tag blocks may take a sixteenth more, and the blocks of a checkpoint on their way
    /// to the disk half as much.
    pub(crate) cache_bytes: usize,
    /// Verify at open, and demand afterwards that no block is an older version of itself.
    pub(crate) full_freshness: bool,
}

impl PartitionOptions {
    fn file_options(&self) -> FileOptions {
        FileOptions {
            entropy: Arc::clone(&self.entropy),
            tag_cache_bytes: self.cache_bytes / 16,
            // redb holds changed pages in so much of its cache: more never comes at once.
            behind_bytes: self.cache_bytes / 2,
        }
    }
}

/// What a file's anchor asks for at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rollback {
    /// Data older than the anchor is `RolledBack`.
    Refuse,
    /// Data older than the anchor is accepted.
    Accept,
}

/// The tables of a file as its last commit left them, opened once for all readers.
#[derive(Debug)]
struct Tables {
    records: ReadTable,
    directory: ReadTable,
    secondary: Option<ReadTable>,
    expiry: Option<ReadTable>,
    subjects: Option<ReadTable>,
    meta: ReadTable,
    /// `None` where the file has had no large value yet.
    chunks: Option<ReadTable>,
    removed: Option<ReadTable>,
    opened: Arc<Opened>,
}

impl Tables {
    fn open(opened: Arc<Opened>) -> Result<Self> {
        Ok(Self {
            records: opened.table(RECORDS)?,
            directory: opened.table(DIRECTORY)?,
            secondary: opened.table_if_any(SECONDARY)?,
            expiry: opened.table_if_any(EXPIRY)?,
            subjects: opened.table_if_any(SUBJECTS)?,
            meta: opened.table(META)?,
            chunks: opened.table_if_any(CHUNKS)?,
            removed: opened.table_if_any(REMOVED)?,
            opened,
        })
    }

    /// A table; none where the file has no row of it.
    fn of(&self, table: Table) -> Option<&ReadTable> {
        match table {
            Table::Records => Some(&self.records),
            Table::Directory => Some(&self.directory),
            Table::Secondary => self.secondary.as_ref(),
            Table::Expiry => self.expiry.as_ref(),
            Table::Removed => self.removed.as_ref(),
        }
    }

    /// A row's value as the file has it.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<redb::AccessGuard<'static, &'static [u8]>>> {
        let Some(table) = self.of(table) else { return Ok(None) };
        self.opened.watch(|| table.get(key).map_err(from_storage))
    }
}

/// Everything a reader looks at, replaced as a whole.
#[derive(Clone, Debug)]
struct View {
    active: Arc<Memtable>,
    /// What a checkpoint puts into the file.
    frozen: Option<Frozen>,
    /// `None` while the tenant has no file.
    tables: Option<Arc<Tables>>,
    /// How often the file's rows were replaced.
    number: u64,
}

/// An open tenant.
#[derive(Debug)]
pub(crate) struct Partition {
    options: PartitionOptions,
    directory: PathBuf,
    keyring: Arc<Keyring>,
    view: ArcSwap<View>,
    /// Who replaces the view.
    replacing: Mutex<()>,
    /// Who writes to the file.
    writer: Mutex<()>,
    /// What a leader decided in the batch under way, by row.
    decided: Mutex<HashMap<Bytes, InMemory>>,
    /// What was swept since it was opened.
    pub(crate) swept: Mutex<Swept>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) own: Arc<OwnKeys>,
    /// What was erased while somebody scans.
    erased: Arc<Erased>,
    /// Whether its records may be read and written.
    pub(crate) standing: StandingCell,
    closed: AtomicBool,
    /// Whether it was closed because its key provider gives its keys no more.
    is_denied: AtomicBool,
    process: Process,
}

/// The name of a tenant's file.
pub(crate) fn file_name(tenant: TenantId, file: FileId) -> String {
    format!("{tenant}.{file}.redb")
}

impl Partition {
    fn new(options: PartitionOptions, directory: &Path, keyring: Arc<Keyring>) -> Self {
        let view = View { active: Arc::default(), frozen: None, tables: None, number: 0 };
        Self {
            options,
            directory: directory.to_owned(),
            keyring,
            view: ArcSwap::from_pointee(view),
            replacing: Mutex::new(()),
            writer: Mutex::new(()),
            decided: Mutex::default(),
            swept: Mutex::default(),
            holds: Arc::default(),
            own: Arc::default(),
            erased: Arc::default(),
            standing: StandingCell::default(),
            closed: AtomicBool::new(false),
            is_denied: AtomicBool::new(false),
            process: Process::current(),
        }
    }

    /// A new tenant's data: nothing, and no file.
    pub(crate) fn create(options: PartitionOptions, directory: &Path, keyring: Arc<Keyring>) -> Self {
        Self::new(options, directory, keyring)
    }

    /// Opens the file that the anchor names, if there is one yet.
    pub(crate) fn open(
        options: PartitionOptions,
        directory: &Path,
        keyring: Arc<Keyring>,
        rollback: Rollback,
    ) -> Result<Self> {
        let partition = Self::new(options, directory, keyring);
        partition.drop_unfinished()?;
        if partition.keyring.anchor().flags & NO_FILE != 0 {
            // A file that no anchor counts is made anew from the journal.
            partition.remove_file(partition.keyring.anchor().current)?;
            return Ok(partition);
        }
        let opened = partition.reopen(rollback)?;
        let tables = Arc::new(Tables::open(opened)?);
        partition.replace_view(|view| view.tables = Some(tables));
        Ok(partition)
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.keyring.tenant()
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What the clock says.
    pub(crate) fn now_ms(&self) -> u64 {
        self.options.clock.now_ms()
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

    fn remove_file(&self, file: FileId) -> Result<()> {
        let path = self.path_of(file);
        match self.options.disk.remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(format!("removing {}", path.display()), error)),
            Ok(()) => self.sync_directory(),
        }
    }

    fn create_file(&self, file: FileId, epoch: u32) -> Result<Opened> {
        self.options
            .disk
            .create_dir_all(&self.directory)
            .map_err(|error| Error::io(format!("creating {}", self.directory.display()), error))?;
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

    /// The structure key of an epoch.
    pub(crate) fn structure_key(&self, epoch: u32) -> Result<StructureKey> {
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

    fn replace_view(&self, change: impl FnOnce(&mut View)) {
        let _replacing = self.replacing.lock();
        let mut view = View::clone(&self.view.load());
        change(&mut view);
        self.view.store(Arc::new(view));
    }

    /// Refuses a handle that was closed: the store, or a later handle of the tenant, may be at work on its files.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_denied.load(Ordering::Acquire) {
            return Err(fail!(
                KeyUnavailable,
                "the key provider does not give the keys of tenant {} any more, or could not be reached for too long",
                self.tenant()
            ));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(fail!(Poisoned, "the store was closed, or the tenant opened anew: open it again"));
        }
        Ok(())
    }

    /// Refuses everything from now on: its keys must not be used any more.
    pub(crate) fn deny(&self) {
        self.is_denied.store(true, Ordering::Release);
    }

    /// The view, its file opened anew where it failed.
    fn view(&self) -> Result<Arc<View>> {
        self.check_open()?;
        let view = self.view.load_full();
        match &view.tables {
            Some(tables) if tables.opened.is_stale() => self.renew(),
            _ => Ok(view),
        }
    }

    /// Opens a file that failed anew.
    fn renew(&self) -> Result<Arc<View>> {
        let _replacing = self.replacing.lock();
        self.check_open()?;
        let mut view = View::clone(&self.view.load());
        if let Some(stale) = view.tables.as_ref().filter(|tables| tables.opened.is_stale()) {
            stale.opened.retire();
            if stale.opened.file.sync_failed() && self.keyring.anchor().flags & REPLACE_FILE == 0 {
                self.keyring.update_both_anchors(|anchor| anchor.flags |= REPLACE_FILE)?;
            }
            view.tables = Some(Arc::new(Tables::open(self.reopen(Rollback::Refuse)?)?));
            view.number += 1;
            self.view.store(Arc::new(view));
        }
        Ok(self.view.load_full())
    }

    fn reopen(&self, rollback: Rollback) -> Result<Arc<Opened>> {
        let file = self.open_sealed()?;
        let anchor = self.keyring.anchor();
        let demanded = if rollback == Rollback::Accept { 0 } else { anchor.commit };
        if self.options.full_freshness {
            verify::verify_fresh(&file, demanded)?;
        }
        let opened = Arc::new(Opened::open(file, self.options.cache_bytes, false)?);
        self.check_origin(&opened)?;
        let held = self.held_by(&opened)?.version;
        if held.sequence < demanded && opened.file.has_unreadable_root() {
            return Err(fail!(
                Io,
                "tenant {}: the disk fails to give the newest root of the file: mend the disk, or put a copy back",
                self.tenant()
            ));
        }
        if held.sequence < demanded {
            return Err(fail!(
                RolledBack,
                "tenant {}: the file ends at sequence {}, but {} was checkpointed: put the newest copy back, or accept \
                 the rollback",
                self.tenant(),
                held.sequence,
                anchor.commit
            ));
        }
        if held.sequence > anchor.commit {
            // A commit that the anchor does not know may be in the page cache only, and is about to be relied upon.
            opened.file.sync()?;
            self.take_into_anchor(&self.held_by(&opened)?)?;
        }
        if anchor.flags & REPLACE_FILE != 0 {
            return self.replace_file(&opened);
        }
        Ok(opened)
    }

    fn check_origin(&self, opened: &Opened) -> Result<()> {
        let origin = opened.table(META)?;
        let expected = self.origin();
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

    fn origin(&self) -> Vec<u8> {
        [&self.keyring.store().as_bytes()[..], self.tenant().as_bytes()].concat()
    }

    fn held_by(&self, opened: &Opened) -> Result<Held> {
        let meta = opened.table(META)?;
        opened.watch(|| {
            let row = meta.get(COMMIT).map_err(from_storage)?;
            let row =
                row.ok_or_else(|| fail!(Corrupted, "tenant {}: the file has no commit", self.tenant()))?;
            Held::parse(row.value())
        })
    }

    /// What the file holds; nothing where there is no file.
    pub(crate) fn held(&self) -> Result<Held> {
        match &self.view()?.tables {
            Some(tables) => self.held_by(&tables.opened),
            None => Ok(Held { version: Version { timeline: 0, sequence: 0 }, tag: [0; 16] }),
        }
    }

    /// Lets changes from the journal take effect. Each was parsed before it was written.
    pub(crate) fn apply(&self, changes: &[(Version, Bytes)]) -> Result<()> {
        let parsed = changes.iter().map(|(version, bytes)| Ok((*version, change::parse(bytes)?)));
        let parsed = parsed.collect::<Result<Vec<_>>>()?;
        let erased = |(version, rows): &(Version, Vec<RowChange>)| {
            rows.iter().filter_map(|change| change.erased(version.sequence)).collect::<Vec<_>>()
        };
        let erased: Vec<_> = parsed.iter().flat_map(erased).collect();
        let may_have_removed = self.may_have_removed();
        self.view.load().active.insert(parsed, may_have_removed);
        self.erased.note(&erased);
        Ok(())
    }

    /// Bytes in the memtable that takes the changes, about.
    pub(crate) fn active_bytes(&self) -> usize {
        self.view.load().active.bytes()
    }

    /// Bytes in the memtables, about.
    pub(crate) fn memtable_bytes(&self) -> usize {
        let view = self.view.load();
        view.active.bytes() + view.frozen.as_ref().map_or(0, Frozen::bytes)
    }

    /// Whether a checkpoint is under way or failed.
    pub(crate) fn is_frozen(&self) -> bool {
        self.view.load().frozen.is_some()
    }

    /// A row, from wherever it is: its version, if its table keeps one, and its value.
    fn row<T>(
        &self,
        table: Table,
        key: &[u8],
        read: impl FnOnce(Option<Version>, &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        let row = change::row_key(table, key);
        let view = self.view.load();
        let in_memory =
            view.active.get(&row).or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.get(&row)));
        if let Some(found) = in_memory {
            return found.value.map(|value| read(Some(found.version), &value)).transpose();
        }
        let Some(tables) = &view.tables else { return Ok(None) };
        if tables.opened.is_stale() {
            drop(view);
            self.renew()?;
            return self.row(table, key, read);
        }
        let found = tables.get(table, key)?;
        found.map(|found| read(None, found.value())).transpose()
    }

    /// A record's row: version and envelope.
    pub(crate) fn record<T>(
        &self,
        collection: CollectionId,
        key: &[u8],
        read: impl FnOnce(Version, &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.row(Table::Records, &record_row_key(collection, key), |version, value| {
            if let Some(version) = version {
                return read(version, value);
            }
            let (version, envelope) = Version::split(value)?;
            read(version, envelope)
        })
    }

    /// A row of the directory.
    pub(crate) fn directory_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.row(Table::Directory, key, |_, value| Ok(value.to_vec()))
    }

    /// The last version there is; of a tenant that has none, all zero.
    pub(crate) fn version(&self) -> Result<Version> {
        self.check_open()?;
        let view = self.view.load();
        let in_memory =
            view.active.last().or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.last()));
        match in_memory {
            Some(version) => Ok(version),
            None => Ok(self.held()?.version),
        }
    }

    /// Bytes of the file that are allocated on the disk.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        let view = self.view()?;
        let Some(tables) = &view.tables else { return Ok(0) };
        let path = tables.opened.file.path();
        let info = self.options.disk.info(path);
        let info = info.map_err(|error| Error::io(format!("examining {}", path.display()), error))?;
        Ok(info.allocated_bytes)
    }

    /// The most that the file's pages and tags take in memory, in bytes.
    pub(crate) fn cache_bytes(&self) -> u64 {
        let Some(tables) = &self.view.load().tables else { return 0 };
        let pages = tables.opened.file.len().min(self.options.cache_bytes as u64);
        pages + pages / 16
    }

    /// Closes the file. Reads under way end with an error.
    pub(crate) fn close(&self) -> Result<()> {
        let _writer = self.writer.lock();
        let _replacing = self.replacing.lock();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let view = self.view.load_full();
        let Some(tables) = &view.tables else { return Ok(()) };
        let repeated = if tables.opened.is_stale() || !tables.opened.file.was_written() {
            Ok(())
        } else {
            tables.opened.file.repeat_root()
        };
        tables.opened.retire();
        tables.opened.mark_stale();
        repeated
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if self.process.check().is_err() {
            // A forked child must not close its parent's database, which writes.
            std::mem::forget(self.view.load_full());
            return;
        }
        if let Err(error) = self.close() {
            tracing::warn!(tenant = %self.tenant(), %error, "a tenant was not closed cleanly");
        }
    }
}
