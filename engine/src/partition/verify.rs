//! Verification of a tenant's file, while writers go on: every block, the tables, every row.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{ChunkSetId, CollectionId, Version};
use crate::partition::agreement::{Rows, flaw};
use crate::partition::change::Table;
use crate::partition::chunks::{ChunkRows, names_set, next_set};
use crate::partition::opened::{boundary, from_redb, from_storage, open_database, open_if_any};
use crate::partition::removed::{RemovedPlace, RemovedRow, file_names};
use crate::partition::secondary::{DECLARED, declared_by, parse_list, resolve};
use crate::partition::tables::{
    CHUNKS, COMMIT, DIRECTORY, Held, META, RECORDS, REMOVED, ReadTable, SECONDARY, record_row_key,
    split_row_key,
};
use crate::partition::{Partition, RowSnapshot};
use crate::record::{self, Envelope};
use crate::sealed_file::{BlockCheck, SealedFile, View};

/// What was found in a tenant's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Blocks that opened.
    pub blocks: u64,
    /// Blocks of the file that were never written.
    pub blocks_unwritten: u64,
    /// Blocks that do not open and that the tables refer to, or may.
    pub blocks_bad: Vec<u64>,
    /// Blocks that do not open and that nothing refers to: what a crash left of a batch that was never acknowledged.
    pub blocks_discarded: u64,
    /// Why the tables contradict each other, if they do: an older version of a block was put back.
    pub tables: Option<String>,
    /// Records whose value opened; one that the file holds in an older version counts twice.
    pub records: u64,
    /// Records among them that only the journal has yet.
    pub pending: u64,
    /// Removed records, which can be restored, whose value opened; one that the file holds too counts twice.
    pub removed: u64,
    /// Chunks of large values of both that opened.
    pub chunks: u64,
    /// Sets of chunks to which no record refers: of uploads under way or given up, and of values that were replaced or
    /// erased. They are collected in time.
    pub chunk_sets_unused: u64,
    /// Records that do not open, removed ones with the others.
    pub records_bad: u64,
    /// What the first of them said.
    pub record_problem: Option<String>,
    /// Records whose value was not opened, because the store is open for maintenance; removed ones with the others.
    pub records_unopened: u64,
    /// Entries of indexes and lists of records' keys that were compared with each other and with the records.
    pub secondary_keys: u64,
    /// Those that do not agree with the others.
    pub secondary_keys_bad: u64,
    /// What is wrong with the first of them.
    pub secondary_problem: Option<String>,
}

impl FileReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.blocks_bad.is_empty() && self.tables.is_none() && self.records_bad + self.secondary_keys_bad == 0
    }
}

/// A record to check: its collection, key and envelope, where its chunks are, and progress.
pub(crate) struct RowToCheck<'a> {
    pub(crate) collection: CollectionId,
    pub(crate) key: &'a [u8],
    pub(crate) envelope: &'a [u8],
    pub(crate) chunks: &'a dyn ChunkRows,
    pub(crate) progress: &'a mut dyn FnMut(u64),
}

/// Opens one record's value, for its tags; how many chunks it has. `None`: the store is open for maintenance, and it was not
/// opened.
pub(crate) type RowCheck<'a> = &'a mut dyn FnMut(RowToCheck<'_>) -> Result<Option<u64>>;

/// Memory for redb's pages while a view is checked.
const VIEW_CACHE_BYTES: usize = 8 << 20;

impl Partition {
    /// Verifies everything. `progress` gets the blocks and rows done so far.
    pub(crate) fn verify(&self, check: RowCheck<'_>, progress: &mut dyn FnMut(u64)) -> Result<FileReport> {
        let mut report = FileReport::default();
        let (view, memory) = {
            let _writer = self.writer.lock();
            let now = self.view()?;
            let view = now.tables.as_ref().map(|tables| {
                tables.opened.file.sync()?;
                Ok(View::new(&tables.opened.file))
            });
            let frozen = now.frozen.as_ref().map(|frozen| Arc::clone(&frozen.table));
            (view.transpose()?, [Some(Arc::clone(&now.active)), frozen])
        };
        if let Some(view) = view {
            let tables = check_tables(&view, self.keyring.anchor().commit);
            let walked = tables.and_then(|db| {
                check_rows(&db, &mut report, check, progress)?;
                check_removed(&db, &mut report, check, progress)?;
                report.chunk_sets_unused = self.count_unused(&db)?;
                check_secondary(&db, &mut report, progress)
            });
            check_blocks(&view, walked.is_ok(), &mut report, progress);
            report.tables = walked.err().map(|error| error.to_string());
        }
        let (mut large, mut removed) = (Vec::new(), Vec::new());
        for table in memory.iter().flatten() {
            table.for_each(|row, found| -> Result<()> {
                let (Some((&table, key)), Some(value)) = (row.split_first(), &found.value) else {
                    return Ok(());
                };
                if table == Table::Removed as u8 && !value.is_empty() {
                    removed.push((key.to_vec(), value.clone()));
                } else if table == Table::Records as u8 {
                    report.pending += 1;
                    if Envelope::parse(value).is_ok_and(|envelope| envelope.chunks.is_some()) {
                        // Its chunks take longer than writers can be kept from the memtable.
                        large.push((key.to_vec(), value.clone()));
                        return Ok(());
                    }
                    report.note(check_row(check, key, value, &None, progress));
                    progress(1);
                }
                Ok(())
            })?;
        }
        for (key, envelope) in large {
            let checked = check_row(check, &key, &envelope, &Newest(self), progress);
            // One that was replaced meanwhile may have lost its chunks.
            if checked.is_ok() || self.has_envelope(&key, &envelope)? {
                report.note(checked);
            }
            progress(1);
        }
        for (row, value) in removed {
            let checked = check_removed_row(check, &row, &value, &Newest(self), progress);
            // One that was restored or erased meanwhile may have lost its chunks.
            if checked.is_ok() || self.look_at_removed(&row)?.2.as_deref() == Some(&value[..]) {
                report.note_removed(checked);
            }
            progress(1);
        }
        check_secondary_at(&self.snapshot()?, &mut report)?;
        Ok(report)
    }
}

/// The secondary keys that the memtables change, over those of the file.
fn check_secondary_at(snapshot: &RowSnapshot, report: &mut FileReport) -> Result<()> {
    let rows = snapshot.directory_rows(&[DECLARED])?;
    let declared = rows.iter().filter_map(|(key, row)| declared_by(key, row)).collect();
    if snapshot.memory.iter().all(|memory| memory.last().is_none()) {
        return Ok(());
    }
    for row in snapshot.scan(Table::Secondary, &Bound::Unbounded, &Bound::Unbounded, false)? {
        let row = row?;
        report.note_secondary(flaw(snapshot, &declared, false, &row.key, (row.version, &row.value)));
    }
    Ok(())
}

impl Rows for RowSnapshot {
    fn record(&self, collection: CollectionId, key: &[u8]) -> Result<Option<(Version, bool)>> {
        RowSnapshot::record(self, collection, key, |version, envelope| {
            Ok((version, record::expires_ms(envelope).is_some()))
        })
    }

    fn secondary(&self, key: &[u8]) -> Result<Option<(Version, Vec<u8>)>> {
        self.row(Table::Secondary, key, |change, value| match change {
            Some(change) => {
                resolve(change, &Bytes::copy_from_slice(value)).map(|(of, data)| (of, data.to_vec()))
            }
            None => Version::split(value).map(|(of, data)| (of, data.to_vec())),
        })
    }
}

/// The tables of a file as one transaction shows them.
struct FileRows {
    records: ReadTable,
    secondary: ReadTable,
}

impl Rows for FileRows {
    fn record(&self, collection: CollectionId, key: &[u8]) -> Result<Option<(Version, bool)>> {
        let found = self.records.get(&record_row_key(collection, key)[..]).map_err(from_storage)?;
        let read = |row: &[u8]| {
            Version::split(row).map(|(version, envelope)| (version, record::expires_ms(envelope).is_some()))
        };
        found.map(|found| read(found.value())).transpose()
    }

    fn secondary(&self, key: &[u8]) -> Result<Option<(Version, Vec<u8>)>> {
        let found = self.secondary.get(key).map_err(from_storage)?;
        found.map(|found| Version::split(found.value()).map(|(of, data)| (of, data.to_vec()))).transpose()
    }
}

fn check_secondary(db: &Database, report: &mut FileReport, progress: &mut dyn FnMut(u64)) -> Result<()> {
    boundary(|| {
        let transaction = db.begin_read().map_err(from_redb)?;
        let secondary = match transaction.open_table(SECONDARY) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            opened => opened.map_err(from_redb)?,
        };
        let directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
        let mut declared = HashSet::new();
        for row in directory.range::<&[u8]>(&[DECLARED][..]..&[DECLARED + 1]).map_err(from_storage)? {
            let (key, row) = row.map_err(from_storage)?;
            declared.extend(declared_by(&key.value()[1..], row.value()));
        }
        let rows = FileRows { records: transaction.open_table(RECORDS).map_err(from_redb)?, secondary };
        for row in rows.secondary.iter().map_err(from_storage)? {
            let (key, value) = row.map_err(from_storage)?;
            let checked = Version::split(value.value())
                .and_then(|said| flaw(&rows, &declared, true, key.value(), said));
            report.note_secondary(checked);
            progress(1);
        }
        Ok(())
    })
}

impl Partition {
    /// Sets of chunks to which neither the file's records nor the newest ones refer.
    fn count_unused(&self, db: &Database) -> Result<u64> {
        let records =
            boundary(|| db.begin_read().map_err(from_redb)?.open_table(RECORDS).map_err(from_redb))?;
        let Some(chunks) = boundary(|| open_if_any(db, CHUNKS))? else { return Ok(0) };
        let removed = boundary(|| open_if_any(db, REMOVED))?;
        let (mut unused, mut last) = (0, None);
        while let Some((set, collection, key)) = boundary(|| next_set(&chunks, last))? {
            let row = record_row_key(collection, &key);
            let in_file = boundary(|| match records.get(&row[..]).map_err(from_storage)? {
                Some(row) => Ok(names_set(Version::split(row.value())?.1, set)),
                None => Ok(false),
            })?;
            let in_removed = removed.as_ref().is_some_and(|removed| {
                boundary(|| file_names(removed, (collection, &key), set)).unwrap_or(true)
            });
            let is_used = in_file
                || in_removed
                || self.snapshot()?.removed_names(collection, &key, set)?
                || self.record(collection, &key, |_, newest| Ok(names_set(newest, set)))? == Some(true);
            unused += u64::from(!is_used);
            last = Some(set);
        }
        Ok(unused)
    }
}

/// The chunks that the file has at each moment.
struct Newest<'a>(&'a Partition);

impl ChunkRows for Newest<'_> {
    fn chunk(&self, set: ChunkSetId, index: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        self.0.chunk_table()?.map_or(Ok(false), |table| table.chunk(set, index, read))
    }
}

fn check_row(
    check: RowCheck<'_>,
    row: &[u8],
    envelope: &[u8],
    chunks: &dyn ChunkRows,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<u64>> {
    let (collection, key) = split_row_key(row)?;
    check(RowToCheck { collection, key, envelope, chunks, progress })
}

impl FileReport {
    fn note_secondary(&mut self, checked: Result<Option<&'static str>>) {
        self.secondary_keys += 1;
        let problem = match checked {
            Ok(None) => return,
            Ok(Some(flaw)) => flaw.to_owned(),
            Err(error) => error.to_string(),
        };
        self.secondary_keys_bad += 1;
        self.secondary_problem.get_or_insert(problem);
    }

    fn note(&mut self, opened: Result<Option<u64>>) {
        self.records += u64::from(matches!(opened, Ok(Some(_))));
        self.note_value(opened);
    }

    fn note_removed(&mut self, opened: Result<Option<u64>>) {
        self.removed += u64::from(matches!(opened, Ok(Some(_))));
        self.note_value(opened);
    }

    fn note_value(&mut self, opened: Result<Option<u64>>) {
        match opened {
            Ok(Some(chunks)) => self.chunks += chunks,
            Ok(None) => self.records_unopened += 1,
            Err(error) => {
                self.records_bad += 1;
                self.record_problem.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Verifies a file before it is used, and from then on demands the write number that each block has now.
pub(super) fn verify_fresh(file: &Arc<SealedFile>, commit: u64) -> Result<()> {
    let view = View::new(file);
    let mut report = FileReport::default();
    let tables = check_tables(&view, commit).map_err(|error| error.within(file.path().display()))?;
    drop(tables);
    check_blocks(&view, true, &mut report, &mut |_| {});
    if let Some(block) = report.blocks_bad.first() {
        return Err(fail!(Unauthentic, "{}: block {block} does not authenticate", file.path().display()));
    }
    file.remember_numbers()
}

/// Opens every block. Where redb walked the whole tree, a bad block that it did not ask for is not in use.
fn check_blocks(view: &View, walked: bool, report: &mut FileReport, progress: &mut dyn FnMut(u64)) {
    for block in 0..view.blocks() {
        match view.check(block) {
            BlockCheck::Good => report.blocks += 1,
            BlockCheck::NeverWritten => report.blocks_unwritten += 1,
            BlockCheck::Bad if walked && !view.was_asked(block) => report.blocks_discarded += 1,
            BlockCheck::Bad => report.blocks_bad.push(block),
        }
        progress(1);
    }
}

/// Checks redb's own checksums over the whole tree: an authentic older version of a block does not fit its parent.
fn check_tables(view: &View, commit: u64) -> Result<Database> {
    let mut db = open_database(view.clone(), VIEW_CACHE_BYTES).map_err(|error| match error.kind() {
        ErrorKind::Corrupted => rolled_back(&error),
        _ => error,
    })?;
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| db.check_integrity()));
    let failure = match checked {
        // Repaired means that only what redb can rebuild, its free lists, was not as it should be: after a crash.
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(from_redb(error)),
        Err(_) => Some(fail!(Corrupted, "redb panicked")),
    };
    if let Some(error) = failure {
        // redb may panic again when it closes what it found damaged.
        std::mem::forget(db);
        return Err(rolled_back(&error));
    }
    let held = boundary(|| {
        let meta = db.begin_read().map_err(from_redb)?.open_table(META).map_err(from_redb)?;
        let row = meta.get(COMMIT).map_err(from_storage)?;
        Held::parse(row.ok_or_else(|| fail!(Corrupted, "the file has no commit"))?.value())
    })?;
    if held.version.sequence < commit {
        return Err(fail!(
            RolledBack,
            "the file ends at sequence {}, {commit} was checkpointed",
            held.version.sequence
        ));
    }
    Ok(db)
}

fn rolled_back(error: &Error) -> Error {
    fail!(RolledBack, "the tables contradict each other, so older blocks were put back ({error})")
}

/// Opens the values of removed records.
fn check_removed(
    db: &Database,
    report: &mut FileReport,
    check: RowCheck<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    boundary(|| {
        let Some(removed) = open_if_any(db, REMOVED)? else { return Ok(()) };
        let chunks = open_if_any(db, CHUNKS)?;
        for row in removed.iter().map_err(from_storage)? {
            let (key, value) = row.map_err(from_storage)?;
            report.note_removed(check_removed_row(check, key.value(), value.value(), &chunks, progress));
            progress(1);
        }
        Ok(())
    })
}

fn check_removed_row(
    check: RowCheck<'_>,
    row: &[u8],
    value: &[u8],
    chunks: &dyn ChunkRows,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<u64>> {
    let RemovedPlace { collection, key, .. } = RemovedPlace::parse(row)?;
    let row = RemovedRow::parse(value)?;
    parse_list(row.list)?;
    check(RowToCheck { collection, key: &key, envelope: row.envelope, chunks, progress })
}

fn check_rows(
    db: &Database,
    report: &mut FileReport,
    check: RowCheck<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    boundary(|| {
        let records = db.begin_read().map_err(from_redb)?.open_table(RECORDS).map_err(from_redb)?;
        let chunks = open_if_any(db, CHUNKS)?;
        for row in records.iter().map_err(from_storage)? {
            let (key, value) = row.map_err(from_storage)?;
            let opened = Version::split(value.value())
                .and_then(|(_, envelope)| check_row(check, key.value(), envelope, &chunks, progress));
            report.note(opened);
            progress(1);
        }
        Ok(())
    })
}
