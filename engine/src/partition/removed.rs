//! Removed records: gone for readers, and kept until their time is over so that they can be restored (FORMAT.md section 7.8).
//!
//! A removal moves a record's row from one table to the other, in one change, with the version that the record has; a
//! restoration moves it back. Of one key several records may be removed, each in a version of its own. Erasing a key erases
//! them too: in memory a *mark* says so, a row of this table without a version, which hides all of the key that older
//! memtables and the file have. A checkpoint removes those and drops the mark.

use std::ops::Bound;

use bytes::Bytes;
use redb::ReadableTable;

use crate::error::{Result, fail};
use crate::id::{ChunkSetId, CollectionId, Version};
use crate::partition::change::{Table, row_key};
use crate::partition::chunks::names_set;
use crate::partition::count::Usage;
use crate::partition::opened::from_storage;
use crate::partition::secondary::{Edge, unescape};
use crate::partition::tables::split_row_key;
use crate::partition::{Partition, RowSnapshot};

const ROW_VERSION: u8 = 1;
/// A version at the end of a key, big-endian.
const VERSION_BYTES: usize = 12;

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemovedRow<'a> {
    pub(crate) removed_ms: u64,
    /// When it is erased.
    pub(crate) purge_ms: u64,
    /// The secondary keys that the record had, as in its list.
    pub(crate) list: &'a [u8],
    pub(crate) envelope: &'a [u8],
}

/// Whose row it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemovedPlace {
    pub(crate) collection: CollectionId,
    pub(crate) key: Vec<u8>,
    pub(crate) version: Version,
}

impl RemovedPlace {
    /// The row's key.
    pub(crate) fn row(&self) -> Vec<u8> {
        let mut row = mark_key(self.collection, &self.key);
        row.extend(self.version.timeline.to_be_bytes());
        row.extend(self.version.sequence.to_be_bytes());
        row
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self> {
        let malformed = || fail!(Corrupted, "the key of a removed record is malformed");
        let (collection, rest) = split_row_key(row)?;
        let (key, version) = unescape(rest).ok_or_else(malformed)?;
        let version: [u8; VERSION_BYTES] = version.try_into().map_err(|_| malformed())?;
        let [t0, t1, t2, t3, sequence @ ..] = version;
        let version = Version {
            timeline: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u64::from_be_bytes(sequence),
        };
        Ok(Self { collection, key, version })
    }
}

/// What the rows of a record's key begin with; alone, the mark that says they are erased.
pub(crate) fn mark_key(collection: CollectionId, key: &[u8]) -> Vec<u8> {
    Edge::From(key).after(&collection.to_be_bytes())
}

/// Takes a mark apart.
pub(super) fn split_mark(mark: &[u8]) -> Result<(CollectionId, Vec<u8>)> {
    let (collection, rest) = split_row_key(mark)?;
    match unescape(rest) {
        Some((key, [])) => Ok((collection, key)),
        _ => Err(fail!(Corrupted, "the mark of a removed record is malformed")),
    }
}

/// The mark of a row.
pub(crate) fn mark_of(row: &[u8]) -> &[u8] {
    &row[..row.len().saturating_sub(VERSION_BYTES)]
}

/// All rows of a record's key, its mark apart.
pub(super) fn rows_of_key(mark: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut end = mark.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (Bound::Excluded(mark.to_vec()), Bound::Excluded(end))
}

impl<'a> RemovedRow<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(21 + self.list.len() + self.envelope.len());
        row.push(ROW_VERSION);
        row.extend(self.removed_ms.to_le_bytes());
        row.extend(self.purge_ms.to_le_bytes());
        // Bounded long before (FORMAT.md section 10).
        row.extend(u32::try_from(self.list.len()).unwrap_or(u32::MAX).to_le_bytes());
        row.extend(self.list);
        row.extend(self.envelope);
        row
    }

    pub(crate) fn parse(row: &'a [u8]) -> Result<Self> {
        let parts = || {
            let (version, rest) = row.split_first()?;
            let (removed_ms, rest) = rest.split_first_chunk()?;
            let (purge_ms, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (list, envelope) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            (*version == ROW_VERSION).then_some(Self {
                removed_ms: u64::from_le_bytes(*removed_ms),
                purge_ms: u64::from_le_bytes(*purge_ms),
                list,
                envelope,
            })
        };
        parts().ok_or_else(|| {
            fail!(UnsupportedFormat, "the row of a removed record is of a newer version or malformed")
        })
    }
}

/// When a row of the memtable is erased, if it is a removed record.
pub(super) fn purge_ms(value: &[u8]) -> Option<u64> {
    RemovedRow::parse(value).ok().map(|row| row.purge_ms)
}

/// What a row counts as, its key as in the table.
pub(super) fn usage_of(row: &[u8], value: &[u8]) -> Result<(CollectionId, Usage)> {
    let place = RemovedPlace::parse(row)?;
    // What does not parse counts as a record without a value, when it comes and when it goes.
    let envelope = RemovedRow::parse(value).map_or(&[][..], |row| row.envelope);
    Ok((place.collection, Usage::of_envelope(&place.key, envelope)))
}

fn row_names(value: &[u8], set: ChunkSetId) -> bool {
    RemovedRow::parse(value).is_ok_and(|row| names_set(row.envelope, set))
}

/// Whether a removed record of a key has its value in a set of chunks, in a table of the file.
pub(super) fn file_names(
    removed: &impl ReadableTable<&'static [u8], &'static [u8]>,
    (collection, key): (CollectionId, &[u8]),
    set: ChunkSetId,
) -> Result<bool> {
    let (from, to) = rows_of_key(&mark_key(collection, key));
    let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    for row in removed.range::<&[u8]>(range).map_err(from_storage)? {
        if row_names(row.map_err(from_storage)?.1.value(), set) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl RowSnapshot {
    /// Whether a removed record of a key has its value in a set of chunks, or may have it again: in any memtable, or in the
    /// file.
    pub(super) fn removed_names(
        &self,
        collection: CollectionId,
        key: &[u8],
        set: ChunkSetId,
    ) -> Result<bool> {
        let (from, to) = rows_of_key(&mark_key(collection, key));
        let (from, to) =
            (from.map(|key| row_key(Table::Removed, &key)), to.map(|key| row_key(Table::Removed, &key)));
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        for memory in &self.memory {
            let rows = memory.range(range, false, usize::MAX);
            if rows.iter().any(|(_, row)| row.value.as_ref().is_some_and(|value| row_names(value, set))) {
                return Ok(true);
            }
        }
        let Some(tables) = &self.tables else { return Ok(false) };
        let Some(removed) = &tables.removed else { return Ok(false) };
        tables.opened.watch(|| file_names(removed, (collection, key), set))
    }

    /// The removed records of a key, in the order of their versions, those too whose time is over.
    pub(crate) fn removed_of(
        &self,
        collection: CollectionId,
        key: &[u8],
    ) -> Result<Vec<(RemovedPlace, Bytes)>> {
        let (from, to) = rows_of_key(&mark_key(collection, key));
        let rows = self.scan(Table::Removed, &from, &to, false)?;
        rows.map(|row| row.and_then(|row| Ok((RemovedPlace::parse(&row.key)?, row.value)))).collect()
    }
}

impl Partition {
    /// Whether anything may be removed: in a memtable or in the file.
    pub(crate) fn may_have_removed(&self) -> bool {
        let view = self.view.load();
        view.active.has_removed()
            || view.frozen.as_ref().is_some_and(|frozen| frozen.table.has_removed())
            || view.tables.as_ref().is_some_and(|tables| tables.removed.is_some())
    }
}

/// Parses anything, for fuzzing: what parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_removed(data: &[u8]) {
    if let Ok(place) = RemovedPlace::parse(data) {
        assert_eq!(place.row(), data);
        assert_eq!(mark_of(data), mark_key(place.collection, &place.key));
    }
    if let Ok(row) = RemovedRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0xfe, 0xff]), 1..5)
    }

    proptest! {
        /// Rows sort by record key, then by version, and those of a key lie between the bounds of its mark.
        #[test]
        fn rows_sort_as_their_records_do_and_read_back(
            a in key(),
            b in key(),
            one in any::<(u32, u64)>(),
            other in any::<(u32, u64)>(),
        ) {
            let place = |key: &[u8], (timeline, sequence)| RemovedPlace {
                collection: CollectionId(u64::MAX),
                key: key.to_vec(),
                version: Version { timeline, sequence },
            };
            let (first, second) = (place(&a, one), place(&b, other));
            prop_assert_eq!(first.row().cmp(&second.row()), (&a, one).cmp(&(&b, other)));
            prop_assert_eq!(RemovedPlace::parse(&first.row()).ok(), Some(first.clone()));
            let mark = mark_key(first.collection, &a);
            prop_assert!(mark_of(&first.row()) == &mark[..]);
            let rows = std::collections::BTreeSet::from([second.row(), mark.clone()]);
            prop_assert_eq!(rows.range(rows_of_key(&mark)).count(), usize::from(a == b));
        }
    }

    #[test]
    fn a_row_reads_back_and_what_is_newer_or_cut_is_refused() {
        let row = RemovedRow { removed_ms: 1, purge_ms: 2, list: b"list", envelope: b"envelope" };
        let bytes = row.encode();
        assert_eq!(RemovedRow::parse(&bytes).ok(), Some(row));
        assert!((0..25).all(|end| RemovedRow::parse(&bytes[..end]).is_err()));
        assert!(RemovedRow::parse(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
