//! A moment of a tenant: its rows as they are now, whatever is changed later.
//!
//! It pins the memtables there are, of which the active one keeps what is overwritten from then on, and a read
//! transaction of the file, whose pages are not used again meanwhile.

use std::ops::Bound;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::change::{Table, row_key};
use crate::partition::chunks::ChunkTable;
use crate::partition::erased::ErasedSince;
use crate::partition::memtable::{MemtableSnapshot, Row as MemoryRow};
use crate::partition::removed::{self, RemovedPlace};
use crate::partition::scan::{Row, RowScan};
use crate::partition::tables::rows_of;
use crate::partition::{Partition, Tables, Usage, record_row_key};

/// Rows taken from a memtable at once.
const PIECE: usize = 256;

/// The rows of a tenant at one moment.
pub(crate) struct RowSnapshot {
    /// The memtables, the newest first.
    pub(super) memory: Vec<Arc<MemtableSnapshot>>,
    pub(super) tables: Option<Arc<Tables>>,
    pub(super) erased: Arc<ErasedSince>,
}

impl std::fmt::Debug for RowSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowSnapshot")
    }
}

impl Partition {
    /// The rows as they are now.
    pub(crate) fn snapshot(&self) -> Result<RowSnapshot> {
        let erased = Arc::new(ErasedSince::new(&self.erased));
        loop {
            let view = self.view()?;
            let tables = [Some(&view.active), view.frozen.as_ref().map(|frozen| &frozen.table)];
            let memory = tables.into_iter().flatten().map(|table| Arc::new(MemtableSnapshot::new(table)));
            let memory = memory.collect();
            // A large value whose record is in the memtable has its chunks in the file: in tables that were opened later
            // than these, if it came in between.
            let (now, then) = (&self.view.load().tables, &view.tables);
            if now.as_ref().map(Arc::as_ptr) == then.as_ref().map(Arc::as_ptr) {
                return Ok(RowSnapshot { memory, tables: view.tables.clone(), erased });
            }
        }
    }

    /// The version of a snapshot's last change.
    pub(crate) fn version_at(&self, snapshot: &RowSnapshot) -> Result<Version> {
        if let Some(version) = snapshot.memory.iter().find_map(|memory| memory.last()) {
            return Ok(version);
        }
        match &snapshot.tables {
            Some(tables) => {
                self.held_by(&tables.opened).map(|held| held.version).map_err(|error| snapshot.expired(error))
            }
            None => Ok(Version { timeline: 0, sequence: 0 }),
        }
    }
}

/// What was erased since a snapshot was made.
#[derive(Clone, Debug)]
pub(crate) struct Erasures(Arc<ErasedSince>);

impl Erasures {
    /// How often anything was, of this tenant: where it is the same as before, nothing was in between.
    pub(crate) fn count(&self) -> u64 {
        self.0.count()
    }

    /// Whether a record's row was; the entry of an index never is.
    ///
    /// # Errors
    /// `SnapshotExpired` where more was erased than can be told.
    pub(crate) fn reach(&self, row: &Row) -> Result<bool> {
        self.0.contains(Table::Records, &row.key, row.version)
    }
}

impl RowSnapshot {
    /// What was erased since.
    pub(crate) fn erasures(&self) -> Erasures {
        Erasures(Arc::clone(&self.erased))
    }

    /// The chunks that the file had; `None` where there was no file.
    pub(crate) fn chunk_table(&self) -> Option<ChunkTable> {
        self.tables.clone().map(ChunkTable::new)
    }

    /// The rows of a table between two keys.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        reverse: bool,
    ) -> Result<RowScan> {
        RowScan::new(self, table, from, to, reverse).map_err(|error| self.expired(error))
    }

    /// A row: its version, if its table keeps one, and its value.
    pub(crate) fn row<T>(
        &self,
        table: Table,
        key: &[u8],
        read: impl FnOnce(Option<Version>, &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let row = row_key(table, key);
        if let Some(found) = self.memory.iter().find_map(|memory| memory.get(&row)) {
            return found.value.map(|value| read(Some(found.version), &value)).transpose();
        }
        let Some(tables) = &self.tables else { return Ok(None) };
        let found = tables.get(table, key).map_err(|error| self.expired(error))?;
        found.map(|found| read(None, found.value())).transpose()
    }

    /// A record's row: version and envelope.
    pub(crate) fn record<T>(
        &self,
        collection: CollectionId,
        key: &[u8],
        read: impl FnOnce(Version, &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let row = record_row_key(collection, key);
        let read = |version, value: &[u8]| {
            let is_erased = self.erased.contains(Table::Records, &row, version)?;
            (!is_erased).then(|| read(version, value)).transpose()
        };
        let found = self.row(Table::Records, &row, |version, value| match version {
            Some(version) => read(version, value),
            None => Version::split(value).and_then(|(version, envelope)| read(version, envelope)),
        });
        Ok(found?.flatten())
    }

    /// A row of the directory.
    pub(crate) fn directory_row<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.row(Table::Directory, key, |_, value| read(value))
    }

    /// The rows of the directory whose keys begin with `prefix`, which ends with a letter, in order; their keys without it.
    pub(crate) fn directory_rows(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut end = prefix.to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        self.rows_between(prefix.len(), &Bound::Included(prefix.to_vec()), &Bound::Excluded(end))
    }

    /// The same of those that belong to a collection.
    pub(crate) fn directory_rows_of(
        &self,
        kind: u8,
        collection: CollectionId,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let (from, to) = rows_of(collection);
        let row = |key: Vec<u8>| [&[kind][..], &key].concat();
        let to = match to {
            Bound::Unbounded => Bound::Excluded(vec![kind + 1]),
            bound => bound.map(row),
        };
        self.rows_between(1, &from.map(row), &to)
    }

    /// The rows of the directory between two keys; their keys without so many bytes.
    fn rows_between(
        &self,
        without: usize,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let rows = self.scan(Table::Directory, from, to, false)?;
        rows.map(|row| row.map(|row| (row.key[without..].to_vec(), row.value.to_vec()))).collect()
    }

    /// Calls `visit` with each record of a collection that memory changes: its key, and its envelope if it is there.
    pub(super) fn for_each_in_memory(
        &self,
        collection: CollectionId,
        mut visit: impl FnMut(&[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        self.for_each_row_in_memory(Table::Records, rows_of(collection), |_, row, value| {
            visit(&row[CollectionId::BYTES..], value)
        })
    }

    /// The same of rows of a table, with the memtable that has each, 0 the newest, and their keys in the table.
    pub(super) fn for_each_row_in_memory(
        &self,
        table: Table,
        (from, to): (Bound<Vec<u8>>, Bound<Vec<u8>>),
        mut visit: impl FnMut(usize, &[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let row = |key: Vec<u8>| row_key(table, &key);
        let to = match to {
            Bound::Unbounded => Bound::Excluded(vec![table as u8 + 1]),
            to => to.map(row),
        };
        for (place, memory) in self.memory.iter().enumerate() {
            let mut from = from.clone().map(row);
            loop {
                let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                let rows = memory.range(bounds, false, PIECE);
                let Some((last, _)) = rows.last() else { break };
                let next = Bound::Excluded(last.to_vec());
                for (row, found) in rows {
                    if self.memory[..place].iter().all(|newer| newer.get(&row).is_none()) {
                        visit(place, &row[1..], found.value.as_deref())?;
                    }
                }
                from = next;
            }
        }
        Ok(())
    }

    /// A removed record, by its row's key, if it is there.
    pub(super) fn removed_row(&self, row: &[u8]) -> Result<Option<Row>> {
        let place = RemovedPlace::parse(row)?;
        let found = self.removed_of(place.collection, &place.key)?.into_iter();
        let mut found = found.filter(|(found, _)| found.version == place.version);
        Ok(found.next().map(|(_, value)| Row { key: row.to_vec(), version: place.version, value }))
    }

    /// Whether a removed record is there.
    pub(super) fn is_removed(&self, row: &[u8]) -> Result<bool> {
        Ok(self.removed_row(row)?.is_some())
    }

    /// The rows of a table in memory whose values `wanted` accepts.
    pub(super) fn rows_in_memory(&self, table: Table, wanted: impl Fn(&[u8]) -> bool) -> Vec<Row> {
        let mut found = Vec::new();
        let to = [table as u8 + 1];
        for (place, memory) in self.memory.iter().enumerate() {
            let mut from = Bound::Included(vec![table as u8]);
            loop {
                let rows =
                    memory.range((from.as_ref().map(Vec::as_slice), Bound::Excluded(&to)), false, PIECE);
                let Some((last, _)) = rows.last() else { break };
                from = Bound::Excluded(last.to_vec());
                for (row, MemoryRow { version, value }) in rows {
                    if let Some(value) = value.filter(|value| wanted(value))
                        && self.memory[..place].iter().all(|newer| newer.get(&row).is_none())
                    {
                        found.push(Row { key: row[1..].to_vec(), version, value });
                    }
                }
            }
        }
        found
    }

    /// Counts a collection's records one by one.
    pub(super) fn count_rows(&self, collection: CollectionId) -> Result<Usage> {
        let (from, to) = rows_of(collection);
        let mut usage = Usage::default();
        for row in self.scan(Table::Records, &from, &to, false)? {
            let row = row?;
            usage = usage.plus(Usage::of_envelope(&row.key[CollectionId::BYTES..], &row.value));
        }
        let (from, to) = rows_of(collection);
        for row in self.scan(Table::Removed, &from, &to, false)? {
            let row = row?;
            usage = usage.plus(removed::usage_of(&row.key, &row.value)?.1);
        }
        Ok(usage)
    }

    /// What an error of a file that was opened anew since means for a snapshot of it.
    fn expired(&self, error: Error) -> Error {
        let is_stale = self.tables.as_ref().is_some_and(|tables| tables.opened.is_stale());
        if !is_stale || error.kind() != ErrorKind::Poisoned {
            return error;
        }
        fail!(SnapshotExpired, "the tenant's file failed and is opened anew: take another snapshot")
    }
}
