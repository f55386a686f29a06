//! How many records a collection has, and how many bytes: exact in the file, kept by each checkpoint in the commit that
//! changes the rows (FORMAT.md section 7.2).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::bound::Scope;
use crate::partition::change::{self, Table, row_key};
use crate::partition::memtable::MemtableSnapshot;
use crate::partition::opened::{from_redb, from_storage};
use crate::partition::removed::{self, RemovedPlace};
use crate::partition::secondary::Writing;
use crate::partition::tables::{
    DROPPED, META, RECORDS, REMOVED, has_table, record_row_key, rows_of, split_row_key,
};
use crate::partition::{Partition, RowSnapshot, expiry};
use crate::record;
use crate::record::Envelope;

/// Says that a file has counts.
pub(super) const COUNTED: &[u8] = b"counted";
const COUNT: &[u8] = b"count";

/// A number of records, and the bytes of their keys and values together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

impl Usage {
    /// One record.
    pub(crate) fn of(key: &[u8], value_bytes: u64) -> Self {
        Self { records: 1, bytes: (key.len() as u64).saturating_add(value_bytes) }
    }

    /// One record, from its envelope.
    pub(crate) fn of_envelope(key: &[u8], envelope: &[u8]) -> Self {
        // What does not parse counts as a record without a value, when it comes and when it goes.
        Self::of(key, Envelope::parse(envelope).map_or(0, |envelope| envelope.value_bytes()))
    }

    /// The same of a row of the file.
    fn of_row(key: &[u8], row: &[u8]) -> Self {
        Self::of_envelope(key, Version::split(row).map_or(&[], |(_, envelope)| envelope))
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_add(other.records),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn encode(self) -> Vec<u8> {
        [self.records.to_le_bytes(), self.bytes.to_le_bytes()].concat()
    }

    fn parse(row: &[u8]) -> Result<Self> {
        let parts = row.split_first_chunk().and_then(|(records, bytes)| {
            Some(Self {
                records: u64::from_le_bytes(*records),
                bytes: u64::from_le_bytes(bytes.try_into().ok()?),
            })
        });
        parts.ok_or_else(|| fail!(Corrupted, "the count of a collection is malformed"))
    }
}

pub(super) fn count_key(collection: CollectionId) -> Vec<u8> {
    [COUNT, &collection.to_be_bytes()].concat()
}

/// What a transaction adds and takes, by collection.
#[derive(Debug, Default)]
pub(super) struct Tally(HashMap<CollectionId, (Usage, Usage)>);

impl Tally {
    /// A row was put in place of another, or either of it.
    pub(super) fn note(&mut self, row: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Result<()> {
        let (collection, key) = split_row_key(row)?;
        let (added, taken) = self.0.entry(collection).or_default();
        *added = new.map_or(*added, |new| added.plus(Usage::of_row(key, new)));
        *taken = old.map_or(*taken, |old| taken.plus(Usage::of_row(key, old)));
        Ok(())
    }

    /// A removed record was put or taken away: its row, as it was or is.
    pub(super) fn note_removed(&mut self, row: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Result<()> {
        if let Some(old) = old {
            let (collection, usage) = removed::usage_of(row, old)?;
            let taken = &mut self.0.entry(collection).or_default().1;
            *taken = taken.plus(usage);
        }
        if let Some(new) = new {
            let (collection, usage) = removed::usage_of(row, new)?;
            let added = &mut self.0.entry(collection).or_default().0;
            *added = added.plus(usage);
        }
        Ok(())
    }

    /// Brings the file's counts up to date; where it has none yet, all rows are counted once.
    pub(super) fn settle(self, transaction: &WriteTransaction) -> Result<()> {
        let mut meta = transaction.open_table(META).map_err(from_redb)?;
        if meta.get(COUNTED).map_err(from_storage)?.is_none() {
            let mut all = Self::default();
            let records = transaction.open_table(RECORDS).map_err(from_redb)?;
            for row in records.iter().map_err(from_storage)? {
                let (key, value) = row.map_err(from_storage)?;
                all.note(key.value(), None, Some(value.value()))?;
            }
            if has_table(transaction, REMOVED)? {
                let removed = transaction.open_table(REMOVED).map_err(from_redb)?;
                for row in removed.iter().map_err(from_storage)? {
                    let (key, value) = row.map_err(from_storage)?;
                    all.note_removed(key.value(), None, Some(value.value()))?;
                }
            }
            meta.insert(COUNTED, &[][..]).map_err(from_storage)?;
            return all.write(&mut meta);
        }
        self.write(&mut meta)
    }

    fn write(self, meta: &mut Writing<'_>) -> Result<()> {
        for (collection, (added, taken)) in self.0 {
            let row = count_key(collection);
            let known = meta.get(&row[..]).map_err(from_storage)?;
            let known = known.map_or(Ok(Usage::default()), |known| Usage::parse(known.value()))?;
            let now = known.plus(added).minus(taken);
            if now == Usage::default() {
                meta.remove(&row[..]).map_err(from_storage)?;
            } else {
                meta.insert(&row[..], &now.encode()[..]).map_err(from_storage)?;
            }
        }
        Ok(())
    }
}

impl RowSnapshot {
    /// What a collection has, removed records with the others, exactly: what the file says, and a lookup in it for each row
    /// that only memory has.
    pub(crate) fn usage(&self, collection: CollectionId) -> Result<Usage> {
        let in_file = match &self.tables {
            Some(tables) => {
                let meta = &tables.meta;
                let counted = tables.opened.watch(|| {
                    let is_counted = meta.get(COUNTED).map_err(from_storage)?.is_some();
                    let count = meta.get(&count_key(collection)[..]).map_err(from_storage)?;
                    let count = count.map_or(Ok(Usage::default()), |count| Usage::parse(count.value()))?;
                    Ok(is_counted.then_some(count))
                })?;
                match counted {
                    Some(count) => count,
                    None => return self.count_rows(collection),
                }
            }
            None => Usage::default(),
        };
        let mut usage = in_file;
        self.for_each_in_memory(collection, |key, envelope| {
            let row = record_row_key(collection, key);
            if let Some(tables) = &self.tables
                && let Some(old) = tables.get(Table::Records, &row)?
            {
                usage = usage.minus(Usage::of_row(key, old.value()));
            }
            if let Some(envelope) = envelope {
                usage = usage.plus(Usage::of_envelope(key, envelope));
            }
            Ok(())
        })?;
        let bounds = rows_of(collection);
        let mut taken = Usage::default();
        self.for_each_row_in_memory(Table::Removed, bounds, |place, row, value| {
            if value == Some(&[]) {
                // A mark: the file's rows of the key are gone.
                taken = taken.plus(self.erased_in_file(row)?);
                return Ok(());
            }
            let mark = row_key(Table::Removed, removed::mark_of(row));
            let is_marked =
                |memory: &[Arc<MemtableSnapshot>]| memory.iter().any(|memory| memory.get(&mark).is_some());
            if !is_marked(&self.memory)
                && let Some(tables) = &self.tables
                && let Some(old) = tables.get(Table::Removed, row)?
            {
                taken = taken.plus(removed::usage_of(row, old.value())?.1);
            }
            match value {
                Some(value) if !is_marked(&self.memory[..place]) => {
                    usage = usage.plus(removed::usage_of(row, value)?.1);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(usage.minus(taken))
    }

    /// What the file has of the removed records of a mark's key.
    fn erased_in_file(&self, mark: &[u8]) -> Result<Usage> {
        let Some(tables) = &self.tables else { return Ok(Usage::default()) };
        let Some(in_file) = &tables.removed else { return Ok(Usage::default()) };
        let (from, to) = removed::rows_of_key(mark);
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        tables.opened.watch(|| {
            let mut usage = Usage::default();
            for row in in_file.range::<&[u8]>(range).map_err(from_storage)? {
                let (key, value) = row.map_err(from_storage)?;
                usage = usage.plus(removed::usage_of(key.value(), value.value())?.1);
            }
            Ok(usage)
        })
    }

    /// What a batch adds to a scope and takes from it: records, removed ones with the others.
    pub(crate) fn usage_changed(&self, scope: Scope, bytes: &Bytes) -> Result<(Usage, Usage)> {
        let (mut added, mut taken) = (Usage::default(), Usage::default());
        let (mut rows, mut marks) = (HashMap::new(), HashSet::new());
        for change in change::parse(bytes)? {
            if let Some(mark) = change.mark() {
                marks.insert(mark[1..].to_vec());
                rows.retain(|row: &Bytes, _| row.len() <= mark.len() || !row.starts_with(&mark));
            }
            let table = change.row.first().copied();
            if table == Some(Table::Records as u8) || table == Some(Table::Removed as u8) {
                rows.insert(change.row, change.value);
            }
        }
        let is_in = |collection: CollectionId| scope.is_none_or(|scope| scope == collection);
        for (row, value) in &rows {
            let (collection, key) = split_row_key(&row[1..])?;
            if !is_in(collection) {
                continue;
            }
            if row[0] == Table::Records as u8 {
                let old = self.record(collection, key, |_, old| Ok(Usage::of_envelope(key, old)))?;
                taken = taken.plus(old.unwrap_or_default());
                added = value.as_ref().map_or(added, |new| added.plus(Usage::of_envelope(key, new)));
                continue;
            }
            if !marks.contains(removed::mark_of(&row[1..])) {
                let place = RemovedPlace::parse(&row[1..])?;
                let old = self.removed_of(collection, &place.key)?;
                let old = old.iter().find(|(other, _)| *other == place);
                taken = old.map_or(Ok(taken), |(_, old)| {
                    removed::usage_of(&row[1..], old).map(|(_, usage)| taken.plus(usage))
                })?;
            }
            if let Some(new) = value {
                added = added.plus(removed::usage_of(&row[1..], new)?.1);
            }
        }
        for mark in &marks {
            let (collection, key) = removed::split_mark(mark)?;
            if !is_in(collection) {
                continue;
            }
            for (place, old) in self.removed_of(collection, &key)? {
                taken = taken.plus(removed::usage_of(&place.row(), &old)?.1);
            }
        }
        Ok((added, taken))
    }
}

impl Partition {
    /// Records there are, counting those that only the journal has: a lookup in the file for each of these, and for each
    /// that has expired and was not swept.
    pub(crate) fn record_count(&self) -> Result<u64> {
        let now_ms = self.now_ms();
        let is_live = |expires_ms: Option<u64>| expires_ms.is_none_or(|expires_ms| now_ms < expires_ms);
        let view = self.view()?;
        let tables = view.tables.as_deref();
        let mut count = 0;
        if let Some(tables) = tables {
            count = tables.opened.watch(|| {
                let expired = tables.expiry.as_ref().map(|expiry| expiry::count_expired(expiry, now_ms));
                Ok(tables
                    .records
                    .len()
                    .map_err(from_storage)?
                    .saturating_sub(expired.transpose()?.unwrap_or(0)))
            })?;
        }
        let mut add = |row: &[u8], value: Option<&[u8]>| {
            let Some((table, key)) = row.split_first() else { return Ok(()) };
            if *table != Table::Records as u8 {
                return Ok(());
            }
            let was_live = match tables {
                Some(tables) => tables.opened.watch(|| {
                    let Some(found) = tables.records.get(key).map_err(from_storage)? else {
                        return Ok(false);
                    };
                    Ok(is_live(record::expires_ms(Version::split(found.value())?.1)))
                })?,
                None => false,
            };
            let lives = value.is_some_and(|value| is_live(record::expires_ms(value)));
            count = count + u64::from(lives) - u64::from(was_live);
            Ok(())
        };
        if let Some(frozen) = &view.frozen {
            frozen.table.for_each(|row, found| match view.active.get(row) {
                Some(_) => Ok(()),
                None => add(row, found.value.as_deref()),
            })?;
        }
        view.active.for_each(|row, found| add(row, found.value.as_deref()))?;
        // Collections that were dropped since the last checkpoint.
        let snapshot = self.snapshot()?;
        for (id, _) in snapshot.directory_rows(&[DROPPED])? {
            let (collection, index) = split_row_key(&id)?;
            if !index.is_empty() {
                continue;
            }
            let (from, to) = rows_of(collection);
            for row in snapshot.scan(Table::Records, &from, &to, false)? {
                count = count.saturating_sub(u64::from(is_live(record::expires_ms(&row?.value))));
            }
        }
        Ok(count)
    }
}
