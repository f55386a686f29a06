//! Quotas: how much a tenant or a collection may hold (FORMAT.md section 7.3).

use crate::error::{Result, fail};
use crate::id::CollectionId;
use crate::partition::{Scope, Usage};

/// Marks the rows of quotas in the directory.
pub(crate) const QUOTA_KIND: u8 = b'q';
const ROW_VERSION: u8 = 1;

/// How much a tenant or a collection may hold at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    records: Option<u64>,
    bytes: Option<u64>,
}

impl Quota {
    /// Any number of records and bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many records.
    #[must_use]
    pub fn records(mut self, records: u64) -> Self {
        self.records = Some(records);
        self
    }

    /// At most so many bytes of records' keys and values.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The bound of records, if there is one.
    #[must_use]
    pub fn records_max(&self) -> Option<u64> {
        self.records
    }

    /// The bound of bytes, if there is one.
    #[must_use]
    pub fn bytes_max(&self) -> Option<u64> {
        self.bytes
    }

    pub(crate) fn limit(self) -> Usage {
        Usage { records: self.records.unwrap_or(u64::MAX), bytes: self.bytes.unwrap_or(u64::MAX) }
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let Usage { records, bytes } = self.limit();
        [&[ROW_VERSION][..], &records.to_le_bytes(), &bytes.to_le_bytes()].concat()
    }
}

/// The key of a quota, without the kind.
pub(crate) fn quota_key(scope: Scope) -> Vec<u8> {
    scope.map_or(Vec::new(), |collection| collection.to_be_bytes().to_vec())
}

/// A quota's row, its key without the kind.
pub(crate) fn parse_quota(key: &[u8], row: &[u8]) -> Result<(Scope, Quota)> {
    let parts = || {
        let scope = match key {
            [] => None,
            key => Some(CollectionId(u64::from_be_bytes(key.try_into().ok()?))),
        };
        let (&version, rest) = row.split_first()?;
        let (records, bytes) = rest.split_first_chunk()?;
        let number = |bytes: [u8; 8]| Some(u64::from_le_bytes(bytes)).filter(|number| *number != u64::MAX);
        let quota = Quota { records: number(*records), bytes: number(bytes.try_into().ok()?) };
        (version == ROW_VERSION).then_some((scope, quota))
    };
    parts().ok_or_else(|| fail!(UnsupportedFormat, "the row of a quota is of a newer version or malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_reads_back_and_a_newer_one_is_refused() {
        for scope in [None, Some(CollectionId(7))] {
            for quota in [Quota::new(), Quota::new().records(0), Quota::new().bytes(9).records(8)] {
                let (key, row) = (quota_key(scope), quota.encode());
                assert_eq!(parse_quota(&key, &row).ok(), Some((scope, quota)));
                for bad in [&row[..16], &[&[2], &row[1..]].concat(), b""] {
                    assert!(parse_quota(&key, bad).is_err());
                }
            }
        }
    }
}
