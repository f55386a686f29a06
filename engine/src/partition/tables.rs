//! The tables of a tenant and the encoding of their rows (FORMAT.md section 7).

use redb::{ReadOnlyTable, TableDefinition};

use crate::error::{Result, fail};
use crate::id::CollectionId;

type Bytes = &'static [u8];
pub(super) const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("records");
pub(super) const DIRECTORY: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("directory");
pub(super) const META: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("meta");
/// All of them, in the order a rewrite copies them.
pub(super) const TABLES: [TableDefinition<'static, Bytes, Bytes>; 3] = [META, DIRECTORY, RECORDS];

pub(super) type ReadTable = ReadOnlyTable<Bytes, Bytes>;

pub(super) const COMMIT: &[u8] = b"commit";
pub(super) const ORIGIN: &[u8] = b"origin";

const VERSION_BYTES: usize = 12;

/// When a record was written: its batch's timeline and commit sequence. Greater is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Grows at each unclean open and accepted rollback.
    pub timeline: u32,
    /// Grows by one with each batch of the tenant.
    pub sequence: u64,
}

impl Version {
    pub(super) fn encode(self) -> [u8; VERSION_BYTES] {
        let mut bytes = [0; VERSION_BYTES];
        bytes[..4].copy_from_slice(&self.timeline.to_le_bytes());
        bytes[4..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let (version, rest) = Self::split(bytes)?;
        if rest.is_empty() { Ok(version) } else { Err(fail!(Corrupted, "a version has bytes too many")) }
    }

    /// The version before an envelope, and the envelope.
    pub(super) fn split(row: &[u8]) -> Result<(Self, &[u8])> {
        let parts = row.split_first_chunk::<4>().and_then(|(timeline, rest)| {
            let (sequence, rest) = rest.split_first_chunk::<8>()?;
            Some((u32::from_le_bytes(*timeline), u64::from_le_bytes(*sequence), rest))
        });
        let (timeline, sequence, rest) = parts.ok_or_else(|| fail!(Corrupted, "a row is cut short"))?;
        Ok((Self { timeline, sequence }, rest))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.timeline, self.sequence)
    }
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
