//! The table of chunks: values that are too large for the journal (FORMAT.md section 7.7).
//!
//! Chunks go into the file in durable commits of their own, between checkpoints. Nothing refers to them before the record
//! is published through the journal, and that is done when they are on the disk.

use std::sync::Arc;

use redb::ReadableTable;

use crate::error::{ErrorKind, Result, fail};
use crate::id::{ChunkSetId, CollectionId, Version};
use crate::partition::change::record_row;
use crate::partition::memtable::MemtableSnapshot;
use crate::partition::opened::{Opened, from_redb, from_storage};
use crate::partition::tables::{CHUNKS, ReadTable, split_row_key};
use crate::partition::{Partition, RowSnapshot, Tables};
use crate::record::Envelope;

const ROW_VERSION: u8 = 1;
const SET_KEY_BYTES: usize = 16;
/// Chunks that one commit removes.
const REMOVED_AT_ONCE: usize = 128;

type WriteTable<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

/// Whose chunks a set's are.
#[derive(Clone, Copy)]
pub(crate) struct SetOwner<'a> {
    pub(crate) collection: CollectionId,
    pub(crate) key: &'a [u8],
}

impl<'a> SetOwner<'a> {
    /// Nobody: no record has an empty key.
    const NONE: Self = Self { collection: CollectionId(0), key: &[] };

    fn parse(row: &'a [u8]) -> Result<Self> {
        let parts = row.split_first_chunk::<9>().filter(|(head, _)| head[0] == ROW_VERSION);
        let collection = parts.and_then(|(head, key)| Some((head[1..].first_chunk()?, key)));
        let (collection, key) = collection.ok_or_else(|| {
            fail!(UnsupportedFormat, "the row of a chunk set is of a newer version or malformed")
        })?;
        Ok(Self { collection: CollectionId(u64::from_be_bytes(*collection)), key })
    }

    fn encode(&self) -> Vec<u8> {
        [&[ROW_VERSION][..], &self.collection.to_be_bytes(), self.key].concat()
    }
}

/// The key of a chunk's row: `set || index`, that of the row of a set is the set alone.
fn chunk_key(set: ChunkSetId, index: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(set.as_bytes());
    key[16..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Where chunks are read.
pub(crate) trait ChunkRows {
    /// Calls `read` with a chunk's row; whether there is one.
    fn chunk(&self, set: ChunkSetId, index: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>;
}

impl ChunkRows for Option<ReadTable> {
    fn chunk(&self, set: ChunkSetId, index: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let Some(table) = self else { return Ok(false) };
        let Some(row) = table.get(&chunk_key(set, index)[..]).map_err(from_storage)? else {
            return Ok(false);
        };
        read(row.value()).map(|()| true)
    }
}

/// The chunks of a file as they are at one moment: what is collected or written later does not show.
#[derive(Clone, Debug)]
pub(crate) struct ChunkTable(Arc<Tables>);

impl ChunkRows for ChunkTable {
    fn chunk(&self, set: ChunkSetId, index: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let Some(table) = &self.0.chunks else { return Ok(false) };
        let row = self.0.opened.watch(|| table.get(&chunk_key(set, index)[..]).map_err(from_storage))?;
        row.map_or(Ok(false), |row| read(row.value()).map(|()| true))
    }
}

impl ChunkTable {
    pub(super) fn new(tables: Arc<Tables>) -> Self {
        Self(tables)
    }

    /// Whether there is a chunk.
    pub(crate) fn has(&self, set: ChunkSetId, index: u32) -> Result<bool> {
        self.chunk(set, index, &mut |_| Ok(()))
    }

    /// The last chunk of a set, if it has one: its index and its row.
    pub(crate) fn last(&self, set: ChunkSetId) -> Result<Option<(u32, Vec<u8>)>> {
        let Some(table) = &self.0.chunks else { return Ok(None) };
        let (first, last) = (chunk_key(set, 0), chunk_key(set, u32::MAX));
        self.0.opened.watch(|| {
            let row = table.range(&first[..]..=&last[..]).map_err(from_storage)?.next_back();
            let Some((key, row)) = row.transpose().map_err(from_storage)? else { return Ok(None) };
            let index = key.value().last_chunk().map_or(0, |index| u32::from_be_bytes(*index));
            Ok(Some((index, row.value().to_vec())))
        })
    }

    /// All rows.
    #[cfg(feature = "simulation")]
    pub(crate) fn rows(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let Some(table) = &self.0.chunks else { return Ok(Vec::new()) };
        self.0.opened.watch(|| {
            let rows = table.iter().map_err(from_storage)?;
            rows.map(|row| {
                let (key, value) = row.map_err(from_storage)?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            })
            .collect()
        })
    }
}

/// What was found of sets that nothing refers to.
#[derive(Debug)]
pub(crate) struct UnusedSets {
    pub(crate) unused: Vec<ChunkSetId>,
    /// The last one that was looked at; `None` where there are no more behind it.
    pub(crate) last: Option<ChunkSetId>,
}

/// The first set behind another, and whose it is.
pub(super) fn next_set(
    chunks: &impl ReadableTable<&'static [u8], &'static [u8]>,
    after: Option<ChunkSetId>,
) -> Result<Option<(ChunkSetId, CollectionId, Vec<u8>)>> {
    let from = after.map(|set| [&chunk_key(set, u32::MAX)[..], &[0]].concat()).unwrap_or_default();
    let from = &from[..];
    let Some(row) = chunks.range(from..).map_err(from_storage)?.next() else { return Ok(None) };
    let (key, owner) = row.map_err(from_storage)?;
    let set = key.value().first_chunk().copied().map(ChunkSetId::new);
    let set = set.ok_or_else(|| fail!(Corrupted, "a row of the table of chunks has a malformed key"))?;
    // A set without its own row, which goes last, is none of ours: it has no record to ask.
    let owner =
        if key.value().len() == SET_KEY_BYTES { SetOwner::parse(owner.value())? } else { SetOwner::NONE };
    Ok(Some((set, owner.collection, owner.key.to_vec())))
}

/// Whether the value of an envelope is in the chunks of a set.
pub(super) fn names_set(envelope: &[u8], set: ChunkSetId) -> bool {
    Envelope::parse(envelope).is_ok_and(|envelope| envelope.chunks.is_some_and(|chunks| chunks.id == set))
}

/// Whether the record of a key, or one that was removed of it, refers to a set, or may again: in either memtable, or in the
/// file that these go into. At one moment: a record that is removed or restored meanwhile is in one of its two places.
fn refers_to(snapshot: &RowSnapshot, collection: CollectionId, key: &[u8], set: ChunkSetId) -> Result<bool> {
    let row = record_row(collection, key);
    let in_memory = |memory: &Arc<MemtableSnapshot>| memory.get(&row).and_then(|row| row.value);
    if snapshot.memory.iter().filter_map(in_memory).any(|envelope| names_set(&envelope, set)) {
        return Ok(true);
    }
    if let Some(tables) = &snapshot.tables {
        let found = tables.opened.watch(|| tables.records.get(&row[1..]).map_err(from_storage))?;
        if let Some(row) = found
            && names_set(Version::split(row.value())?.1, set)
        {
            return Ok(true);
        }
    }
    snapshot.removed_names(collection, key, set)
}

/// Removes the first chunks of a set; where there are no more, its own row too.
fn remove_chunks(table: &mut WriteTable<'_>, set: ChunkSetId, limit: usize) -> Result<usize> {
    let (first, last) = (chunk_key(set, 0), chunk_key(set, u32::MAX));
    let mut keys = Vec::with_capacity(limit);
    for row in table.range(&first[..]..=&last[..]).map_err(from_storage)?.take(limit) {
        keys.push(row.map_err(from_storage)?.0.value().to_vec());
    }
    for key in &keys {
        table.remove(&key[..]).map_err(from_storage)?;
    }
    if keys.len() < limit {
        table.remove(&set.as_bytes()[..]).map_err(from_storage)?;
    }
    Ok(keys.len())
}

impl Partition {
    /// Whether the tenant has a file.
    pub(crate) fn has_file(&self) -> Result<bool> {
        Ok(self.view()?.tables.is_some())
    }

    /// The chunks that the file has now; `None` where there is no file.
    pub(crate) fn chunk_table(&self) -> Result<Option<ChunkTable>> {
        Ok(self.view()?.tables.clone().map(ChunkTable))
    }

    /// Makes sure that what the file shows is on the disk: a process that was killed may have left it in the page cache.
    pub(crate) fn sync_file(&self) -> Result<()> {
        let view = self.view()?;
        view.tables.as_ref().map_or(Ok(()), |tables| tables.opened.file.sync())
    }

    /// Whether a record's newest envelope is this one.
    pub(super) fn has_envelope(&self, row: &[u8], envelope: &[u8]) -> Result<bool> {
        let (collection, key) = split_row_key(row)?;
        Ok(self.record(collection, key, |_, newest| Ok(newest == envelope))?.unwrap_or(false))
    }

    /// Whether the record of a key, or one that was removed of it, has its value in the chunks of a set, or may again.
    pub(crate) fn names_set(&self, owner: SetOwner<'_>, set: ChunkSetId) -> Result<bool> {
        refers_to(&self.snapshot()?, owner.collection, owner.key, set)
    }

    /// Puts chunks into the file, durable when this returns, over what is there of them. Neither a checkpoint nor a rewrite
    /// is under way.
    pub(crate) fn put_chunks(
        &self,
        set: ChunkSetId,
        owner: SetOwner<'_>,
        rows: &[(u32, Vec<u8>)],
    ) -> Result<()> {
        let _writer = self.writer.lock();
        let put = |opened: &Opened| {
            opened.run(|db| {
                let mut transaction = db.begin_write().map_err(from_redb)?;
                let mut table = transaction.open_table(CHUNKS).map_err(from_redb)?;
                table.insert(&set.as_bytes()[..], &owner.encode()[..]).map_err(from_storage)?;
                for (index, row) in rows {
                    table.insert(&chunk_key(set, *index)[..], &row[..]).map_err(from_storage)?;
                }
                drop(table);
                transaction.set_quick_repair(true);
                transaction.commit().map_err(from_redb)
            })
        };
        self.write_between_checkpoints(put)
    }

    /// The sets behind `after`, `limit` of them at most, that no record refers to and that are not under way. Neither a
    /// checkpoint nor a rewrite is.
    pub(crate) fn unused_sets(
        &self,
        after: Option<ChunkSetId>,
        limit: usize,
        is_under_way: &dyn Fn(ChunkSetId) -> Result<bool>,
    ) -> Result<UnusedSets> {
        let mut found = UnusedSets { unused: Vec::new(), last: after };
        let view = self.view()?;
        let chunks = view.tables.as_ref().and_then(|tables| Some((tables, tables.chunks.as_ref()?)));
        for _ in 0..limit {
            let next = match chunks {
                Some((tables, chunks)) => tables.opened.watch(|| next_set(chunks, found.last))?,
                None => None,
            };
            let Some((set, collection, key)) = next else {
                found.last = None;
                break;
            };
            // In this order: publication takes away the one with the other.
            if !is_under_way(set)? && !refers_to(&self.snapshot()?, collection, &key, set)? {
                found.unused.push(set);
            }
            found.last = Some(set);
        }
        Ok(found)
    }

    /// Removes at most `limit` chunks of a set, in ascending order, and the set's own row with the last of them; how many
    /// chunks. Neither a checkpoint nor a rewrite is under way.
    pub(crate) fn remove_set(&self, set: ChunkSetId, limit: usize) -> Result<usize> {
        let _writer = self.writer.lock();
        let mut removed = 0;
        while removed < limit {
            let group = (limit - removed).min(REMOVED_AT_ONCE);
            let count = std::cell::Cell::new(0);
            self.write_between_checkpoints(|opened| {
                opened.run(|db| {
                    let mut transaction = db.begin_write().map_err(from_redb)?;
                    let mut table = transaction.open_table(CHUNKS).map_err(from_redb)?;
                    count.set(remove_chunks(&mut table, set, group)?);
                    drop(table);
                    transaction.set_quick_repair(true);
                    transaction.commit().map_err(from_redb)
                })
            })?;
            removed += count.get();
            if count.get() < group {
                break;
            }
        }
        Ok(removed)
    }

    /// Replaces rows, or removes them.
    #[cfg(feature = "simulation")]
    pub(crate) fn alter_chunks(&self, rows: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        let _writer = self.writer.lock();
        self.write_between_checkpoints(|opened| {
            opened.run(|db| {
                let mut transaction = db.begin_write().map_err(from_redb)?;
                let mut table = transaction.open_table(CHUNKS).map_err(from_redb)?;
                for (key, value) in rows {
                    match value {
                        Some(value) => drop(table.insert(&key[..], &value[..]).map_err(from_storage)?),
                        None => drop(table.remove(&key[..]).map_err(from_storage)?),
                    }
                }
                drop(table);
                transaction.set_quick_repair(true);
                transaction.commit().map_err(from_redb)
            })
        })
    }

    /// Makes a commit that changes no record, and shows it to readers. It may be made twice.
    fn write_between_checkpoints(&self, write: impl Fn(&Opened) -> Result<()>) -> Result<()> {
        let target = || match &self.view()?.tables {
            Some(tables) => Ok(Arc::clone(&tables.opened)),
            None => Err(fail!(Internal, "chunks are written before there is a file")),
        };
        let mut opened = target()?;
        match write(&opened) {
            // A reader met a damaged block, and redb refuses this commit too.
            Err(error) if error.kind() == ErrorKind::Poisoned => {
                opened = target()?;
                write(&opened)?;
            }
            result => result?,
        }
        let tables = Arc::new(Tables::open(Arc::clone(&opened))?);
        self.replace_view(|view| {
            // A reader that found the file failed has opened it anew, with this commit.
            if view.tables.as_ref().is_some_and(|now| Arc::ptr_eq(&now.opened, &opened)) {
                view.tables = Some(tables);
            }
        });
        Ok(())
    }
}
