//! Collections: their rows in the directory, and what a scan of one covers (FORMAT.md section 7.3).

mod cursor;
mod index;
mod quota;

pub use cursor::Cursor;
pub(crate) use cursor::{CursorScope, CursorSealer, REMOVED_ORDER};
pub(crate) use index::declaration_key;
pub use index::{Index, IndexInfo};
pub use quota::Quota;
pub(crate) use quota::{QUOTA_KIND, parse_quota, quota_key};

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    use super::{IndexInfo, parse_quota, quota_key};

    /// Parses anything: a row that parses encodes to itself.
    pub(crate) fn fuzz_rows(data: &[u8]) {
        if let Ok(info) = IndexInfo::parse(b"name", data) {
            assert_eq!(info.encode(), data);
        }
        if let Ok((scope, quota)) = parse_quota(b"", data) {
            assert_eq!((quota.encode(), quota_key(scope)), (data.to_vec(), Vec::new()));
        }
    }
}

use std::fmt;
use std::ops::{Bound, RangeBounds};

use crate::error::{Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::record_row_key;

const ROW_VERSION: u8 = 1;
/// Marks the rows of collections in the directory.
pub(crate) const DIRECTORY_KIND: u8 = b'c';

/// What is known of a collection.
#[derive(Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its id, random.
    pub id: CollectionId,
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: u64,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for CollectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectionInfo")
            .field("id", &self.id)
            .field("created_ms", &self.created_ms)
            .finish_non_exhaustive()
    }
}

/// What is known of a record without opening its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordInfo {
    /// When it was written, in the order of its tenant's batches.
    pub version: Version,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: u64,
    /// When it expires, in milliseconds since the epoch.
    pub expires_ms: Option<u64>,
    /// Length of its value in bytes.
    pub value_bytes: u64,
}

/// A record that was removed and can be restored.
#[derive(Clone, PartialEq, Eq)]
pub struct RemovedRecord {
    /// Its key.
    pub key: Vec<u8>,
    /// What else is known of it: as before it was removed, and as it is once it is restored.
    pub info: RecordInfo,
    /// When it was removed, in milliseconds since the epoch.
    pub removed_ms: u64,
    /// When it is erased for good, in milliseconds since the epoch: from then on it can't be restored.
    pub erased_from_ms: u64,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for RemovedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemovedRecord")
            .field("info", &self.info)
            .field("removed_ms", &self.removed_ms)
            .field("erased_from_ms", &self.erased_from_ms)
            .finish_non_exhaustive()
    }
}

pub(crate) fn directory_key(name: &str) -> Vec<u8> {
    [&[DIRECTORY_KIND], name.as_bytes()].concat()
}

pub(crate) fn encode_row(id: CollectionId, created_ms: u64) -> Vec<u8> {
    [&[ROW_VERSION][..], &id.to_be_bytes(), &created_ms.to_le_bytes()].concat()
}

/// The mark of a collection that was dropped.
pub(crate) fn encode_mark(dropped_ms: u64) -> Vec<u8> {
    [&[ROW_VERSION][..], &dropped_ms.to_le_bytes()].concat()
}

/// A collection's row; `name` without the kind.
pub(crate) fn parse_row(name: &[u8], row: &[u8]) -> Result<CollectionInfo> {
    let parts = row.split_first_chunk::<9>().and_then(|(head, created)| {
        let id: [u8; 8] = head[1..].try_into().ok()?;
        (head[0] == ROW_VERSION)
            .then_some((u64::from_be_bytes(id), u64::from_le_bytes(created.try_into().ok()?)))
    });
    let (Some((id, created_ms)), Ok(name)) = (parts, std::str::from_utf8(name)) else {
        return Err(fail!(UnsupportedFormat, "the row of a collection is of a newer version or malformed"));
    };
    Ok(CollectionInfo { name: name.to_owned(), id: CollectionId(id), created_ms })
}

/// The first and the last row of a scan.
pub(crate) type RowBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// What a scan covers, in which order, and how much of it.
#[derive(Clone)]
pub struct ScanOptions {
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    prefix: Vec<u8>,
    reverse: bool,
    pub(crate) limit: usize,
    pub(crate) keys_only: bool,
    pub(crate) ahead: usize,
    pub(crate) after: Option<Cursor>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for ScanOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanOptions")
            .field("reverse", &self.reverse)
            .field("limit", &self.limit)
            .field("keys_only", &self.keys_only)
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            prefix: Vec::new(),
            reverse: false,
            limit: usize::MAX,
            keys_only: false,
            ahead: 0,
            after: None,
        }
    }
}

impl ScanOptions {
    /// The whole collection in ascending order of keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only keys in `range`, compared byte for byte. A range that ends before it begins covers nothing.
    #[must_use]
    pub fn range<K: AsRef<[u8]>>(mut self, range: impl RangeBounds<K>) -> Self {
        self.from = range.start_bound().map(|key| key.as_ref().to_vec());
        self.to = range.end_bound().map(|key| key.as_ref().to_vec());
        self
    }

    /// Only keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.prefix = prefix.as_ref().to_vec();
        self
    }

    /// In descending order.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// At most so many records.
    #[must_use]
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = records;
        self
    }

    /// Without values: none is opened, so neither their integrity nor the data key is asked for.
    #[must_use]
    pub fn keys_only(mut self, keys_only: bool) -> Self {
        self.keys_only = keys_only;
        self
    }

    /// Opens values before they are asked for, of so many records at the most (1,024 whatever is given), in a thread of the
    /// scan's own: for a long one whose caller takes its time with each value, where a processor is idle. They take memory, up
    /// to 1 MiB each. The scan gives the same records as without: what has expired, was erased or lost a key since it was opened is
    /// left out. With 0, as long as nothing is set, each is opened by the caller when it is asked for, and so it is with
    /// [`ScanOptions::keys_only`].
    #[must_use]
    pub fn open_ahead(mut self, records: usize) -> Self {
        self.ahead = records;
        self
    }

    /// Only what comes behind a cursor, in the direction of the scan that gave it: pages.
    ///
    /// ```no_run
    /// # fn main() -> strongroom::Result<()> {
    /// # let invoices = strongroom::Engine::open(strongroom::Config::new("data"))?.tenant("acme")?.collection("invoices")?;
    /// use strongroom::{Cursor, ScanOptions};
    ///
    /// let page = |after: Option<Cursor>| -> strongroom::Result<_> {
    ///     let options = ScanOptions::new().limit(100);
    ///     let mut scan = invoices.scan_with(match &after {
    ///         Some(cursor) => options.after(cursor),
    ///         None => options,
    ///     })?;
    ///     let entries = scan.by_ref().collect::<strongroom::Result<Vec<_>>>()?;
    ///     Ok((entries, scan.cursor()?)) // the cursor of the next page, `None` where there is none
    /// };
    /// let (_first, next) = page(None)?;
    /// let _second = next.map(|cursor| page(Some(cursor))).transpose()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.after = Some(cursor.clone());
        self
    }

    /// Narrows the scan to what comes behind a position, the key of a record; an empty one is before all.
    pub(crate) fn behind(&mut self, position: &[u8]) {
        if position.is_empty() {
            return;
        }
        let edge = Bound::Excluded(position.to_vec());
        if self.reverse {
            if is_above(&self.to, position) {
                self.to = edge;
            }
        } else if is_below(&self.from, position) {
            self.from = edge;
        }
    }

    pub(crate) fn is_reverse(&self) -> bool {
        self.reverse
    }

    /// The bounds in the records table; `None` where nothing can lie between them.
    pub(crate) fn row_bounds(&self, collection: CollectionId) -> Option<RowBounds> {
        let row = |key: &Vec<u8>| record_row_key(collection, key);
        let prefix = row(&self.prefix);
        let mut from = self.from.as_ref().map(row);
        let mut to = self.to.as_ref().map(row);
        if matches!(&from, Bound::Unbounded)
            || matches!(&from, Bound::Included(key) | Bound::Excluded(key) if *key < prefix)
        {
            from = Bound::Included(prefix.clone());
        }
        let end = successor(&prefix);
        let beyond = match (&to, &end) {
            (Bound::Unbounded, _) => true,
            (Bound::Included(key) | Bound::Excluded(key), Some(end)) => {
                key > end || matches!(&to, Bound::Included(_)) && key == end
            }
            (_, None) => false,
        };
        if beyond {
            to = end.map_or(Bound::Unbounded, Bound::Excluded);
        }
        match (&from, &to) {
            (Bound::Included(a), Bound::Included(b)) if a > b => None,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
            | (Bound::Excluded(a), Bound::Included(b))
                if a >= b =>
            {
                None
            }
            _ => Some((from, to)),
        }
    }
}

/// Whether a lower bound admits a key or something below it.
fn is_below(bound: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) => bound[..] <= *key,
        Bound::Excluded(bound) => bound[..] < *key,
    }
}

/// Whether an upper bound admits a key or something above it.
fn is_above(bound: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) => bound[..] >= *key,
        Bound::Excluded(bound) => bound[..] > *key,
    }
}

/// The least key greater than every key that begins with `prefix`; none where there is no greater one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x7f, 0xfe, 0xff]), 1..4)
    }

    fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
        prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
    }

    proptest! {
        /// Over collections whose ids are neighbours, at both ends of the numbers.
        #[test]
        fn a_scan_covers_what_its_options_say_and_nothing_of_another_collection(
            keys in prop::collection::btree_set(key(), 0..20),
            from in bound(),
            to in bound(),
            prefix in prop::collection::vec(prop::sample::select(vec![0_u8, 0xff]), 0..3),
            id in prop::sample::select(vec![0_u64, 1, 0xff, u64::MAX - 1, u64::MAX]),
        ) {
            let expected: Vec<_> = keys
                .iter()
                .filter(|key| key.starts_with(&prefix))
                .filter(|key| match &from {
                    Bound::Unbounded => true,
                    Bound::Included(bound) => *key >= bound,
                    Bound::Excluded(bound) => *key > bound,
                })
                .filter(|key| match &to {
                    Bound::Unbounded => true,
                    Bound::Included(bound) => *key <= bound,
                    Bound::Excluded(bound) => *key < bound,
                })
                .map(|key| record_row_key(CollectionId(id), key))
                .collect();
            let rows: BTreeSet<_> = [id.wrapping_sub(1), id, id.wrapping_add(1)]
                .iter()
                .flat_map(|id| keys.iter().map(|key| record_row_key(CollectionId(*id), key)))
                .collect();
            let options = ScanOptions { from, to, prefix, ..ScanOptions::new() };
            let covered: Vec<_> = match options.row_bounds(CollectionId(id)) {
                Some(bounds) => rows.range(bounds).cloned().collect(),
                None => Vec::new(),
            };
            prop_assert_eq!(covered, expected);
        }
    }

    #[test]
    fn a_row_reads_back_and_a_newer_one_is_refused() {
        let row = encode_row(CollectionId(7), 9);
        let info = CollectionInfo { name: "a".to_owned(), id: CollectionId(7), created_ms: 9 };
        assert_eq!(parse_row(b"a", &row).ok(), Some(info));
        for bad in [&row[..16], &[&[2], &row[1..]].concat(), b""] {
            assert!(parse_row(b"a", bad).is_err());
        }
    }
}
