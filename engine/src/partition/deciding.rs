//! What is read before a change is decided, by its caller in memory and file, and by a leader in memory alone.

use bytes::Bytes;

use crate::error::Result;
use crate::id::{CollectionId, Version};
use crate::partition::change::{self, Table, row_key};
use crate::partition::opened::from_storage;
use crate::partition::removed::mark_of;
use crate::partition::secondary::{self, IndexKey, list_key};
use crate::partition::{Partition, memtable, record_row_key};
use crate::record;

/// Where a row was seen, and in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// In memory: the version of its change, or that it was removed.
    Memory(Option<Version>),
    /// In the file, whose rows were replaced so often until then.
    File(u64),
}

/// A record that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    version: Version,
    expires_ms: Option<u64>,
}

impl Existing {
    /// Its version, whether it has expired or not.
    pub(crate) fn version(self) -> Version {
        self.version
    }

    /// Its version, unless it has expired.
    pub(crate) fn version_at(self, now_ms: u64) -> Option<Version> {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms).then_some(self.version)
    }
}

/// What memory says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InMemory {
    /// It has this version, until it expires.
    There(Existing),
    /// It was removed.
    Removed,
    /// Nothing: the file tells.
    Unknown,
}

fn in_memory(row: &[u8], version: Version, value: Option<&[u8]>) -> InMemory {
    if value.is_none() {
        return InMemory::Removed;
    }
    InMemory::There(Existing { version, expires_ms: memtable::expires_ms(row, value) })
}

impl Partition {
    /// How often the file's rows were replaced, and a record's version in the file, with what `read` makes of its envelope.
    /// For conditions: what is read here holds as long as the number does and the memtable has nothing of the row.
    pub(crate) fn version_in_file<T>(
        &self,
        collection: CollectionId,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<(u64, Option<(Existing, T)>)> {
        let view = self.view()?;
        let Some(tables) = &view.tables else { return Ok((view.number, None)) };
        let row = record_row_key(collection, key);
        let found = tables.opened.watch(|| tables.records.get(&row[..]).map_err(from_storage))?;
        let existing = found.map(|found| {
            let (version, envelope) = Version::split(found.value())?;
            Ok((Existing { version, expires_ms: record::expires_ms(envelope) }, read(envelope)?))
        });
        Ok((view.number, existing.transpose()?))
    }

    /// What memory says of a row, with what a leader decided in the batch under way; and how often the file's rows were
    /// replaced.
    pub(crate) fn version_in_memory(&self, row: &[u8]) -> (u64, InMemory) {
        let view = self.view.load();
        if let Some(decided) = self.decided.lock().get(row) {
            return (view.number, *decided);
        }
        let found =
            view.active.get(row).or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.get(row)));
        let found =
            found.map_or(InMemory::Unknown, |found| in_memory(row, found.version, found.value.as_deref()));
        (view.number, found)
    }

    /// What memory says of a row's value; `None` where it says nothing, or a leader decided something in the batch under way.
    pub(crate) fn value_in_memory(&self, row: &[u8]) -> Option<Bytes> {
        if self.decided.lock().contains_key(row) {
            return None;
        }
        let view = self.view.load();
        let found =
            view.active.get(row).or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.get(row)));
        found.and_then(|row| row.value)
    }

    /// A removed record: where its row was seen and where the mark of its key, and what the row says.
    pub(crate) fn look_at_removed(&self, row: &[u8]) -> Result<(Seen, Seen, Option<Bytes>)> {
        let view = self.view()?;
        let mark = row_key(Table::Removed, mark_of(row));
        let row = row_key(Table::Removed, row);
        let memtables = [Some(&view.active), view.frozen.as_ref().map(|frozen| &frozen.table)];
        let memtables = || memtables.iter().flatten();
        let in_file = Seen::File(view.number);
        let seen = |row: &[u8]| {
            let found = memtables().find_map(|table| table.get(row));
            found.map_or(in_file, |found| Seen::Memory(found.value.is_some().then_some(found.version)))
        };
        let (row_seen, mark_seen) = (seen(&row), seen(&mark));
        for table in memtables() {
            if let Some(found) = table.get(&row) {
                return Ok((row_seen, mark_seen, found.value));
            }
            if table.get(&mark).is_some() {
                return Ok((row_seen, mark_seen, None));
            }
        }
        let Some(tables) = &view.tables else { return Ok((row_seen, mark_seen, None)) };
        let found = tables.get(Table::Removed, &row[1..])?;
        Ok((row_seen, mark_seen, found.map(|found| Bytes::copy_from_slice(found.value()))))
    }

    /// A record, whether it has expired or not: where it was seen, and what `read` makes of its envelope.
    pub(crate) fn look_at_record<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<(Seen, Option<T>)> {
        let view = self.view()?;
        let row = row_key(Table::Records, key);
        let in_memory =
            view.active.get(&row).or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.get(&row)));
        if let Some(found) = in_memory {
            let seen = Seen::Memory(found.value.is_some().then_some(found.version));
            return Ok((seen, found.value.map(|value| read(&value)).transpose()?));
        }
        let seen = Seen::File(view.number);
        let Some(tables) = &view.tables else { return Ok((seen, None)) };
        let found = tables.get(Table::Records, key)?;
        let found = found.map(|found| Version::split(found.value()).and_then(|(_, envelope)| read(envelope)));
        Ok((seen, found.transpose()?))
    }

    /// A row of secondary keys: where it was seen, and what it says.
    pub(crate) fn look_at_secondary(&self, key: &[u8]) -> Result<(Seen, Option<(Version, Bytes)>)> {
        let view = self.view()?;
        let row = row_key(Table::Secondary, key);
        let in_memory =
            view.active.get(&row).or_else(|| view.frozen.as_ref().and_then(|frozen| frozen.table.get(&row)));
        if let Some(found) = in_memory {
            let seen = Seen::Memory(found.value.is_some().then_some(found.version));
            let said = found.value.map(|value| secondary::resolve(found.version, &value)).transpose()?;
            return Ok((seen, said));
        }
        let seen = Seen::File(view.number);
        let Some(tables) = &view.tables else { return Ok((seen, None)) };
        let found = tables.get(Table::Secondary, key)?;
        let said = found.map(|found| {
            let (version, data) = Version::split(found.value())?;
            Ok((version, Bytes::copy_from_slice(data)))
        });
        Ok((seen, said.transpose()?))
    }

    /// Whether a row is as it was seen, as far as memory says, with what a leader decided in the batch under way.
    pub(crate) fn is_as_seen(&self, row: &[u8], seen: Seen) -> bool {
        match (self.version_in_memory(row), seen) {
            ((_, InMemory::There(now)), Seen::Memory(Some(version))) => now.version == version,
            ((_, InMemory::Removed), Seen::Memory(None)) => true,
            ((number, InMemory::Unknown), Seen::File(read_at)) => number == read_at,
            _ => false,
        }
    }

    /// The secondary keys that a version of a record has.
    pub(crate) fn list_of(
        &self,
        collection: CollectionId,
        record: &[u8],
        version: Version,
    ) -> Result<Vec<IndexKey>> {
        match self.look_at_secondary(&list_key(collection, record))? {
            (_, Some((of, list))) if of == version => secondary::parse_list(&list),
            _ => Ok(Vec::new()),
        }
    }

    /// Notes what a leader decided, until [`Partition::settle`].
    pub(crate) fn note_decided(&self, bytes: &Bytes, version: Version) {
        let mut decided = self.decided.lock();
        // What does not parse was never written: `Changes` made it.
        for change in change::parse(bytes).unwrap_or_default() {
            let state = in_memory(&change.row, change.kept.unwrap_or(version), change.value.as_deref());
            if let Some(mark) = change.mark() {
                decided.insert(mark.into(), InMemory::There(Existing { version, expires_ms: None }));
            }
            decided.insert(change.row, state);
        }
    }

    /// Forgets what a leader decided.
    pub(crate) fn settle(&self) {
        self.decided.lock().clear();
    }
}
