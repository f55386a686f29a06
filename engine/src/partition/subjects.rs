//! The table of subjects: which records of the file, removed ones too, are under which subject's key (FORMAT.md section 7.9).
//!
//! A checkpoint derives it from the rows that it puts and replaces; nobody else writes it. So every row of it stands for a
//! row of the file. A file from before there was such a table gets it whole with its next checkpoint.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use redb::{ReadableTable, WriteTransaction};

use crate::error::{Result, fail};
use crate::id::Version;
use crate::partition::opened::{from_redb, from_storage};
use crate::partition::removed::RemovedRow;
use crate::partition::snapshot::RowSnapshot;
use crate::partition::tables::{META, RECORDS, REMOVED, SUBJECTS, has_table, split_row_key};
use crate::partition::{Partition, Row, Table};
use crate::record;

/// Says that a file has its table of subjects.
pub(super) const LISTED: &[u8] = b"subjects";
/// Rows of the file looked up at a time.
const PIECE: usize = 256;
const SLOT: usize = 8;
/// Directory rows: the slot of a subject that is erased, some of whose records may be there still.
pub(crate) const ERASED: &[u8] = b"sr";

/// `slot, big-endian || table || row's key`.
fn subject_key(slot: u64, table: Table, row: &[u8]) -> Vec<u8> {
    [&slot.to_be_bytes()[..], &[table as u8], row].concat()
}

/// The subject of a row of a table of records.
fn subject_of(table: Table, value: &[u8]) -> Option<u64> {
    if table == Table::Removed {
        return record::subject_slot(RemovedRow::parse(value).ok()?.envelope);
    }
    record::subject_slot(value)
}

/// Changes of the table, gathered while rows of the file are changed.
#[derive(Debug, Default)]
pub(super) struct SubjectChanges(Vec<(Vec<u8>, bool)>);

impl SubjectChanges {
    /// A record is put into the file, or leaves it: `value` without its version.
    pub(super) fn note(&mut self, table: Table, row: &[u8], value: &[u8], is_there: bool) {
        if let Some(slot) = subject_of(table, value) {
            self.0.push((subject_key(slot, table, row), is_there));
        }
    }

    /// Puts the changes into the table.
    pub(super) fn apply(&mut self, transaction: &WriteTransaction) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut table = transaction.open_table(SUBJECTS).map_err(from_redb)?;
        // Of two changes of one row the later one counts.
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, is_there) in self.0.drain(..) {
            if is_there {
                table.insert(&key[..], &[][..]).map_err(from_storage)?;
            } else {
                table.remove(&key[..]).map_err(from_storage)?;
            }
        }
        Ok(())
    }
}

/// Makes the table of a file that has none yet, from all of its records.
pub(super) fn list_all(transaction: &WriteTransaction) -> Result<()> {
    let mut meta = transaction.open_table(META).map_err(from_redb)?;
    if meta.get(LISTED).map_err(from_storage)?.is_some() {
        return Ok(());
    }
    meta.insert(LISTED, &[][..]).map_err(from_storage)?;
    let records = transaction.open_table(RECORDS).map_err(from_redb)?;
    let mut changes = SubjectChanges::default();
    for row in records.iter().map_err(from_storage)? {
        let (key, value) = row.map_err(from_storage)?;
        changes.note(Table::Records, key.value(), Version::split(value.value())?.1, true);
    }
    if has_table(transaction, REMOVED)? {
        let removed = transaction.open_table(REMOVED).map_err(from_redb)?;
        for row in removed.iter().map_err(from_storage)? {
            let (key, value) = row.map_err(from_storage)?;
            changes.note(Table::Removed, key.value(), value.value(), true);
        }
    }
    changes.apply(transaction)
}

/// The records of a subject at one moment, in memory and in the file: those that are there in the order of their rows' keys, then
/// removed ones.
pub(crate) struct SubjectRows {
    snapshot: RowSnapshot,
    slot: u64,
    /// Those in memory that were not given yet, by table and key.
    memory: BTreeMap<(u8, Vec<u8>), Row>,
    /// Those of the file that were looked up, the last one first.
    file: Vec<(Table, Row)>,
    from: Option<Bound<Vec<u8>>>,
}

impl std::fmt::Debug for SubjectRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectRows")
    }
}

impl Partition {
    /// The records that are under the key of a slot, as they are now.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn records_of_subject(&self, slot: u64) -> Result<SubjectRows> {
        let snapshot = self.snapshot()?;
        let mut memory = BTreeMap::new();
        for table in [Table::Records, Table::Removed] {
            for row in snapshot.rows_in_memory(table, |value| subject_of(table, value) == Some(slot)) {
                if table == Table::Records || snapshot.is_removed(&row.key)? {
                    memory.insert((table as u8, row.key.clone()), row);
                }
            }
        }
        let from = Some(Bound::Included(slot.to_be_bytes().to_vec()));
        Ok(SubjectRows { snapshot, slot, memory, file: Vec::new(), from })
    }

    /// Whether the file, if there is one, says of each subject which records are its.
    pub(crate) fn lists_subjects(&self) -> Result<bool> {
        let view = self.view()?;
        let Some(tables) = &view.tables else { return Ok(true) };
        tables.opened.watch(|| Ok(tables.meta.get(LISTED).map_err(from_storage)?.is_some()))
    }
}

impl SubjectRows {
    /// Looks up what the file has next.
    fn look_up(&mut self) -> Result<()> {
        while self.file.is_empty()
            && let Some(from) = self.from.take()
        {
            let Some(tables) = &self.snapshot.tables else { return Ok(()) };
            let Some(subjects) = &tables.subjects else { return Ok(()) };
            let end = self.slot.checked_add(1).map(u64::to_be_bytes);
            let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
            let mut keys = Vec::new();
            tables.opened.watch(|| {
                let bounds = (from.as_ref().map(Vec::as_slice), end);
                for row in subjects.range::<&[u8]>(bounds).map_err(from_storage)?.take(PIECE) {
                    keys.push(row.map_err(from_storage)?.0.value().to_vec());
                }
                Ok(())
            })?;
            let Some(last) = keys.last() else { return Ok(()) };
            self.from = Some(Bound::Excluded(last.clone()));
            for key in keys.iter().rev() {
                self.file.extend(self.row(key)?);
            }
        }
        Ok(())
    }

    /// The row that one of the table stands for, if it is still there and the subject's.
    fn row(&self, key: &[u8]) -> Result<Option<(Table, Row)>> {
        let cut = || fail!(Corrupted, "a row of a subject is cut short");
        let (&table, row) = key.get(SLOT..).and_then(<[u8]>::split_first).ok_or_else(cut)?;
        if table == Table::Removed as u8 {
            let found = self.snapshot.removed_row(row)?;
            let found = found.filter(|row| subject_of(Table::Removed, &row.value) == Some(self.slot));
            return Ok(found.map(|row| (Table::Removed, row)));
        }
        let (collection, record_key) = split_row_key(row)?;
        let found = self.snapshot.record(collection, record_key, |version, envelope| {
            let value = Bytes::copy_from_slice(envelope);
            Ok(Row { key: row.to_vec(), version, value })
        })?;
        let found = found.filter(|row| subject_of(Table::Records, &row.value) == Some(self.slot));
        Ok(found.map(|row| (Table::Records, row)))
    }
}

impl Iterator for SubjectRows {
    type Item = Result<(Table, Row)>;

    fn next(&mut self) -> Option<Result<(Table, Row)>> {
        if let Err(error) = self.look_up() {
            return Some(Err(error));
        }
        let of = |table: u8| if table == Table::Removed as u8 { Table::Removed } else { Table::Records };
        let in_memory = self.memory.first_key_value().map(|(place, _)| place.clone());
        let in_file = self.file.last().map(|(table, row)| (*table as u8, row.key.clone()));
        match (in_memory, in_file) {
            (Some(place), in_file) if in_file.as_ref().is_none_or(|in_file| place <= *in_file) => {
                if in_file.as_ref() == Some(&place) {
                    self.file.pop();
                }
                self.memory.remove(&place).map(|row| Ok((of(place.0), row)))
            }
            _ => self.file.pop().map(Ok),
        }
    }
}
