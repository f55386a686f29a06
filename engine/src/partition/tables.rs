//! The tables of a tenant and the encoding of their rows (FORMAT.md section 7).

use std::ops::Bound;

use redb::{ReadOnlyTable, TableDefinition, TableHandle, WriteTransaction};

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::opened::from_storage;
use crate::partition::secondary::IndexPlace;

type Bytes = &'static [u8];
pub(super) const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("records");
pub(super) const DIRECTORY: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("directory");
pub(super) const META: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("meta");
/// Secondary keys; made when it is first needed.
pub(super) const SECONDARY: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("secondary");
/// What is due; made when it is first needed.
pub(super) const EXPIRY: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("expiry");
/// Removed records; made with the first of them.
pub(super) const REMOVED: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("removed");
/// Records by the slot of their subject's key; made when it is first needed.
pub(super) const SUBJECTS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("subjects");
/// Chunks of large values; made with the first of them.
pub(super) const CHUNKS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("chunks");
/// Those that every file has, in the order a rewrite copies them.
pub(super) const TABLES: [TableDefinition<'static, Bytes, Bytes>; 3] = [META, DIRECTORY, RECORDS];
/// Those that come with the first row.
pub(super) const LATER_TABLES: [TableDefinition<'static, Bytes, Bytes>; 5] =
    [SECONDARY, EXPIRY, CHUNKS, REMOVED, SUBJECTS];

/// Whether a file has a table already.
pub(super) fn has_table(
    transaction: &WriteTransaction,
    table: TableDefinition<'static, Bytes, Bytes>,
) -> Result<bool> {
    Ok(transaction.list_tables().map_err(from_storage)?.any(|known| known.name() == table.name()))
}

pub(super) type ReadTable = ReadOnlyTable<Bytes, Bytes>;

pub(super) const COMMIT: &[u8] = b"commit";
pub(super) const ORIGIN: &[u8] = b"origin";

/// What a file holds: the version of its last change, and the tag of the journal's frame that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) version: Version,
    pub(crate) tag: [u8; 16],
}

impl Held {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.version.encode()[..], &self.tag].concat()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let (version, tag) = Version::split(bytes)?;
        let tag = tag.try_into().map_err(|_| fail!(Corrupted, "the file's last commit is malformed"))?;
        Ok(Self { version, tag })
    }
}

/// Marks the rows of the directory that say of a collection that it was dropped.
pub(super) const DROPPED: u8 = b'd';

/// The key of the mark of a collection that was dropped: its rows are not there, and leave the file with the next checkpoint.
pub(crate) fn dropped_key(collection: CollectionId) -> Vec<u8> {
    [&[DROPPED][..], &collection.to_be_bytes()].concat()
}

/// The key of the mark of an index that was dropped.
pub(crate) fn dropped_index_key(place: IndexPlace) -> Vec<u8> {
    [&[DROPPED][..], &place.prefix()].concat()
}

/// All rows whose keys begin with a collection's id.
pub(super) fn rows_of(collection: CollectionId) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let end = collection.0.checked_add(1).map(|next| next.to_be_bytes().to_vec());
    (Bound::Included(collection.to_be_bytes().to_vec()), end.map_or(Bound::Unbounded, Bound::Excluded))
}

/// `collection id || record key`.
pub(crate) fn record_row_key(collection: CollectionId, key: &[u8]) -> Vec<u8> {
    [&collection.to_be_bytes()[..], key].concat()
}

/// Takes a row's key apart.
pub(crate) fn split_row_key(row: &[u8]) -> Result<(CollectionId, &[u8])> {
    let (collection, key) =
        row.split_first_chunk().ok_or_else(|| fail!(Corrupted, "a row's key is cut short"))?;
    Ok((CollectionId(u64::from_be_bytes(*collection)), key))
}
