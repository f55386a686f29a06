//! A scan: rows of the memtables and of the file, merged, as they were when it began.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use redb::OwnedRange;

use crate::error::Result;
use crate::id::Version;
use crate::partition::change::{Table, row_key};
use crate::partition::erased::ErasedSince;
use crate::partition::memtable::{MemtableSnapshot, Row as MemoryRow};
use crate::partition::opened::from_storage;
use crate::partition::removed;
use crate::partition::secondary::resolve;
use crate::partition::snapshot::RowSnapshot;
use crate::partition::{Opened, Partition, Tables};

/// Rows taken from a memtable at once.
const PIECE: usize = 64;

/// A row's key, version (of a record) and value.
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) value: Bytes,
}

/// Rows of one table, in one direction.
pub(crate) struct RowScan {
    memory: Vec<MemorySource>,
    file: Option<FileSource>,
    reverse: bool,
    table: Table,
    /// Asked of records.
    erased: Option<Arc<ErasedSince>>,
    /// The tables they are from, kept open.
    _tables: Option<Arc<Tables>>,
}

impl std::fmt::Debug for RowScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowScan")
    }
}

struct MemorySource {
    snapshot: Arc<MemtableSnapshot>,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    ready: VecDeque<(Bytes, MemoryRow)>,
    is_done: bool,
}

impl MemorySource {
    /// The next row, with its table in front of its key.
    fn peek(&mut self, reverse: bool) -> Option<&(Bytes, MemoryRow)> {
        if self.ready.is_empty() && !self.is_done {
            let bounds = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
            self.ready = self.snapshot.range(bounds, reverse, PIECE).into();
            self.is_done = self.ready.len() < PIECE;
            if let Some((last, _)) = self.ready.back() {
                let edge = Bound::Excluded(last.to_vec());
                *(if reverse { &mut self.to } else { &mut self.from }) = edge;
            }
        }
        self.ready.front()
    }
}

struct FileSource {
    /// Leaked after a panic of redb's.
    rows: Option<OwnedRange<&'static [u8], &'static [u8]>>,
    opened: Arc<Opened>,
    has_versions: bool,
    next: Option<Row>,
}

impl FileSource {
    fn fill(&mut self, reverse: bool) -> Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        let Some(rows) = self.rows.as_mut() else { return Ok(()) };
        let has_versions = self.has_versions;
        let row = self.opened.watch(|| {
            let row = if reverse { rows.next_back() } else { rows.next() };
            row.map(|row| {
                let (key, value) = row.map_err(from_storage)?;
                let (version, value) = if has_versions {
                    Version::split(value.value())?
                } else {
                    (Version { timeline: 0, sequence: 0 }, value.value())
                };
                Ok(Row { key: key.value().to_vec(), version, value: Bytes::copy_from_slice(value) })
            })
            .transpose()
        });
        match row {
            Ok(Some(row)) => {
                self.next = Some(row);
                Ok(())
            }
            ended => {
                // redb's iterator is of no further use, and after a panic must not even be dropped.
                let rows = self.rows.take();
                if self.opened.has_panicked() {
                    std::mem::forget(rows);
                }
                ended.map(|_| ())
            }
        }
    }
}

impl Partition {
    /// The rows of the directory whose keys begin with `kind`, in order; their keys without it.
    pub(crate) fn directory_rows(&self, kind: u8) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.directory_rows_of(&[kind])
    }

    /// The rows of the directory whose keys begin with `prefix`, which ends with a letter, in order; their keys without it.
    pub(crate) fn directory_rows_of(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.snapshot()?.directory_rows(prefix)
    }
}

impl Table {
    /// A row as the memtable has it.
    fn row(self, key: &[u8], version: Version, value: Bytes) -> Result<Row> {
        let (version, value) = match self {
            Self::Secondary => resolve(version, &value)?,
            Self::Records | Self::Directory | Self::Expiry | Self::Removed => (version, value),
        };
        Ok(Row { key: key.to_vec(), version, value })
    }
}

impl RowScan {
    pub(super) fn new(
        snapshot: &RowSnapshot,
        table: Table,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        reverse: bool,
    ) -> Result<Self> {
        let low = match from {
            Bound::Included(key) => Bound::Included(row_key(table, key)),
            Bound::Excluded(key) => Bound::Excluded(row_key(table, key)),
            Bound::Unbounded => Bound::Included(vec![table as u8]),
        };
        let high = match to {
            Bound::Included(key) => Bound::Included(row_key(table, key)),
            Bound::Excluded(key) => Bound::Excluded(row_key(table, key)),
            Bound::Unbounded => Bound::Excluded(vec![table as u8 + 1]),
        };
        let memory = snapshot.memory.iter().map(|snapshot| MemorySource {
            snapshot: Arc::clone(snapshot),
            from: low.clone(),
            to: high.clone(),
            ready: VecDeque::new(),
            is_done: false,
        });
        let memory: Vec<_> = memory.collect();
        let tables = snapshot.tables.as_ref().and_then(|tables| Some((tables, tables.of(table)?)));
        let file = tables
            .map(|(tables, in_file)| {
                let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                let rows =
                    tables.opened.watch(|| in_file.range_owned::<&[u8]>(bounds).map_err(from_storage))?;
                let opened = Arc::clone(&tables.opened);
                Ok(FileSource {
                    rows: Some(rows),
                    opened,
                    has_versions: ![Table::Directory, Table::Removed].contains(&table),
                    next: None,
                })
            })
            .transpose()?;
        let erased = (table == Table::Records).then(|| Arc::clone(&snapshot.erased));
        Ok(Self { memory, file, reverse, table, erased, _tables: snapshot.tables.clone() })
    }

    /// Whether a row was erased since the snapshot was made, or, of a removed record, before in a memtable newer than the
    /// source that has it.
    fn was_erased(&self, row: &Row, source: usize) -> Result<bool> {
        if self.table == Table::Removed {
            // What is not empty is no mark itself.
            let mark = row_key(Table::Removed, removed::mark_of(&row.key));
            let is_marked = |newer: &MemorySource| newer.snapshot.get(&mark).is_some();
            return Ok(row.value.is_empty() || self.memory[..source].iter().any(is_marked));
        }
        let Some(erased) = &self.erased else { return Ok(false) };
        erased.contains(Table::Records, &row.key, row.version)
    }

    /// The next row, and the source that it is from.
    fn step(&mut self) -> Result<Option<(Row, usize)>> {
        let file_source = self.memory.len();
        loop {
            if let Some(file) = &mut self.file {
                file.fill(self.reverse)?;
            }
            let reverse = self.reverse;
            let mut first: Option<Vec<u8>> = None;
            let mut consider = |key: &[u8]| {
                let is_before =
                    first.as_deref().is_none_or(|known| if reverse { key > known } else { key < known });
                if is_before {
                    first = Some(key.to_vec());
                }
            };
            for source in &mut self.memory {
                if let Some((row, _)) = source.peek(reverse) {
                    consider(&row[1..]);
                }
            }
            if self.memory.iter().all(|source| source.ready.is_empty()) {
                // Nothing in memory: no need to compare.
                return Ok(self
                    .file
                    .as_mut()
                    .and_then(|file| file.next.take())
                    .map(|row| (row, file_source)));
            }
            if let Some(row) = self.file.as_ref().and_then(|file| file.next.as_ref()) {
                consider(&row.key);
            }
            let Some(key) = first else { return Ok(None) };
            // The newest source that has the key counts; the others pass over it.
            let mut newest: Option<Option<(Row, usize)>> = None;
            for (place, source) in self.memory.iter_mut().enumerate() {
                if source.ready.front().is_none_or(|(row, _)| row[1..] != key) {
                    continue;
                }
                let Some((_, found)) = source.ready.pop_front() else { continue };
                if newest.is_none() {
                    let row = found.value.map(|value| self.table.row(&key, found.version, value));
                    newest = Some(row.transpose()?.map(|row| (row, place)));
                }
            }
            if let Some(file) = &mut self.file
                && file.next.as_ref().is_some_and(|row| row.key == key)
            {
                let row = file.next.take();
                newest.get_or_insert(row.map(|row| (row, file_source)));
            }
            if let Some(Some(row)) = newest {
                return Ok(Some(row));
            }
        }
    }
}

impl Iterator for RowScan {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        let row = loop {
            let row = self.step().and_then(|row| match row {
                Some((row, source)) => Ok((!self.was_erased(&row, source)?).then_some(Some(row))),
                None => Ok(Some(None)),
            });
            if let Some(row) = row.transpose() {
                break row;
            }
        };
        if row.is_err() {
            self.memory.clear();
            self.file = None;
        }
        row.transpose()
    }
}
