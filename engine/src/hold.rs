//! Legal holds: what they cover, and their rows (FORMAT.md section 7.3, rows `o`).
//!
//! Nothing that one of them covers can be erased (invariant 7). Who asks, and where, is the business of others.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::error::{Error, Result, fail};
use crate::id::CollectionId;

/// Marks the rows of holds in the directory.
pub(crate) const HOLD_KIND: u8 = b'o';
const ROW_VERSION: u8 = 1;
const TENANT: u8 = 1;
const COLLECTION: u8 = 2;
const PREFIX: u8 = 3;
const RECORD: u8 = 4;
const SUBJECT: u8 = 5;

/// What a hold covers: what is there when it is placed, and what is put later.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// All of the tenant.
    Tenant,
    /// All records of a collection.
    Collection(String),
    /// The records of a collection whose keys begin with a prefix.
    Prefix {
        /// The collection's name.
        collection: String,
        /// How the keys begin; at most 4,096 bytes.
        prefix: Vec<u8>,
    },
    /// One record.
    Record {
        /// The collection's name.
        collection: String,
        /// The record's key.
        key: Vec<u8>,
    },
    /// All records that are put with a subject, in any collection.
    Subject(String),
}

impl Selector {
    /// All records of a collection.
    #[must_use]
    pub fn collection(name: impl Into<String>) -> Self {
        Self::Collection(name.into())
    }

    /// The records of a collection whose keys begin with `prefix`.
    #[must_use]
    pub fn prefix(collection: impl Into<String>, prefix: impl AsRef<[u8]>) -> Self {
        Self::Prefix { collection: collection.into(), prefix: prefix.as_ref().to_vec() }
    }

    /// One record, whether it is there or not.
    #[must_use]
    pub fn record(collection: impl Into<String>, key: impl AsRef<[u8]>) -> Self {
        Self::Record { collection: collection.into(), key: key.as_ref().to_vec() }
    }

    /// All records of a subject.
    #[must_use]
    pub fn subject(name: impl Into<String>) -> Self {
        Self::Subject(name.into())
    }
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "Tenant",
            Self::Collection(_) => "Collection(..)",
            Self::Prefix { .. } => "Prefix(..)",
            Self::Record { .. } => "Record(..)",
            Self::Subject(_) => "Subject(..)",
        })
    }
}

/// A hold that is placed.
#[derive(Clone, PartialEq, Eq)]
pub struct HoldInfo {
    /// Its name, among the tenant's.
    pub name: String,
    /// What it covers; a collection under the name that it has now.
    pub selector: Selector,
    /// When it was placed, in milliseconds since the epoch.
    pub placed_ms: u64,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for HoldInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldInfo")
            .field("selector", &self.selector)
            .field("placed_ms", &self.placed_ms)
            .finish_non_exhaustive()
    }
}

/// What a row says that a hold covers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Covered {
    Tenant,
    Collection(CollectionId),
    Prefix(CollectionId, Vec<u8>),
    Record(CollectionId, Vec<u8>),
    /// A subject: the slot of its key, and its name.
    Subject(u64, String),
}

/// A hold's row.
pub(crate) struct HoldRow {
    pub(crate) placed_ms: u64,
    pub(crate) covered: Covered,
}

impl HoldRow {
    /// `version || placed || kind || what it covers`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = vec![ROW_VERSION];
        row.extend(self.placed_ms.to_le_bytes());
        let (kind, parts): (u8, [&[u8]; 2]) = match &self.covered {
            Covered::Tenant => (TENANT, [&[], &[]]),
            Covered::Collection(id) => (COLLECTION, [&id.to_be_bytes(), &[]]),
            Covered::Prefix(id, prefix) => (PREFIX, [&id.to_be_bytes(), prefix]),
            Covered::Record(id, key) => (RECORD, [&id.to_be_bytes(), key]),
            Covered::Subject(slot, name) => (SUBJECT, [&slot.to_le_bytes(), name.as_bytes()]),
        };
        row.push(kind);
        for part in parts {
            row.extend(part);
        }
        row
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self> {
        Self::take_apart(row)
            .ok_or_else(|| fail!(UnsupportedFormat, "the row of a hold is of a newer version or malformed"))
    }

    fn take_apart(row: &[u8]) -> Option<Self> {
        let (&[version, ref placed @ .., kind], rest) = row.split_first_chunk::<10>()?;
        if version != ROW_VERSION {
            return None;
        }
        let in_collection = |rest: &[u8]| {
            let (id, rest) = rest.split_first_chunk()?;
            Some((CollectionId(u64::from_be_bytes(*id)), rest.to_vec()))
        };
        let covered = match kind {
            TENANT if rest.is_empty() => Covered::Tenant,
            COLLECTION => {
                let (id, rest) = in_collection(rest)?;
                rest.is_empty().then_some(Covered::Collection(id))?
            }
            PREFIX => in_collection(rest).map(|(id, prefix)| Covered::Prefix(id, prefix))?,
            RECORD => in_collection(rest).map(|(id, key)| Covered::Record(id, key))?,
            SUBJECT => {
                let (slot, name) = rest.split_first_chunk()?;
                Covered::Subject(u64::from_le_bytes(*slot), String::from_utf8(name.to_vec()).ok()?)
            }
            _ => return None,
        };
        Some(Self { placed_ms: u64::from_le_bytes(*placed), covered })
    }
}

/// All that the holds of a tenant cover, for a quick answer.
#[derive(Clone, Default)]
pub(crate) struct HoldSet {
    is_all: bool,
    /// Slots of subjects' keys.
    subjects: HashSet<u64>,
    /// Whole keys of rows, `collection id || record key`.
    records: HashSet<Vec<u8>>,
    /// How keys of rows begin, by their length.
    prefixes: BTreeMap<usize, HashSet<Vec<u8>>>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for HoldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HoldSet")
    }
}

impl HoldSet {
    /// Adds what a row covers. One that this version does not understand covers everything: what it forbids is not known.
    pub(crate) fn add_row(&mut self, row: &[u8]) {
        match HoldRow::parse(row) {
            Ok(row) => self.add(row.covered),
            Err(_) => self.is_all = true,
        }
    }

    pub(crate) fn add(&mut self, covered: Covered) {
        let row = |id: CollectionId, key: &[u8]| [&id.to_be_bytes()[..], key].concat();
        let mut prefix = |prefix: Vec<u8>| {
            self.prefixes.entry(prefix.len()).or_default().insert(prefix);
        };
        match covered {
            Covered::Tenant => self.is_all = true,
            Covered::Collection(id) => prefix(row(id, &[])),
            Covered::Prefix(id, begins) => prefix(row(id, &begins)),
            Covered::Record(id, key) => {
                self.records.insert(row(id, &key));
            }
            Covered::Subject(slot, _) => {
                self.subjects.insert(slot);
            }
        }
    }

    /// Whether there is no hold.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_all && self.subjects.is_empty() && self.records.is_empty() && self.prefixes.is_empty()
    }

    /// Whether any subject is held.
    pub(crate) fn has_subjects(&self) -> bool {
        !self.subjects.is_empty()
    }

    /// Whether a subject, by its slot, is held.
    pub(crate) fn covers_subject(&self, slot: u64) -> bool {
        self.is_all || self.subjects.contains(&slot)
    }

    /// Whether something of a collection is held by its key.
    pub(crate) fn touches_collection(&self, collection: CollectionId) -> bool {
        let begins = |row: &Vec<u8>| row.starts_with(&collection.to_be_bytes());
        self.is_all || self.records.iter().any(begins) || self.prefixes.values().flatten().any(begins)
    }

    /// Whether a record is held by its row's key, whoever its subject is.
    pub(crate) fn covers_key(&self, row: &[u8]) -> bool {
        let begins = |(length, prefixes): (&usize, &HashSet<Vec<u8>>)| {
            row.get(..*length).is_some_and(|begin| prefixes.contains(begin))
        };
        self.is_all || self.records.contains(row) || self.prefixes.iter().any(begins)
    }

    /// Whether a record is held: its row's key, and the slot of its subject's key.
    pub(crate) fn covers(&self, row: &[u8], subject: Option<u64>) -> bool {
        self.covers_key(row) || subject.is_some_and(|slot| self.subjects.contains(&slot))
    }
}

/// Why something is not destroyed.
pub(crate) fn held() -> Error {
    fail!(
        Held,
        "a legal hold covers what this would destroy: list the tenant's holds; it can be done once they are released"
    )
}

/// Parses anything, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_hold_row(data: &[u8]) {
    HoldSet::default().add_row(data);
    if let Ok(row) = HoldRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: CollectionId = CollectionId(5);
    const B: CollectionId = CollectionId(6);

    fn row(id: CollectionId, key: &[u8]) -> Vec<u8> {
        [&id.to_be_bytes()[..], key].concat()
    }

    #[test]
    fn a_row_reads_back_and_what_is_newer_is_refused_and_covers_everything() {
        let all = [
            Covered::Tenant,
            Covered::Collection(A),
            Covered::Prefix(A, b"2026-".to_vec()),
            Covered::Prefix(A, Vec::new()),
            Covered::Record(B, b"k".to_vec()),
            Covered::Subject(7, "ada".to_owned()),
        ];
        for covered in all {
            let row = HoldRow { placed_ms: 9, covered }.encode();
            let read = HoldRow::parse(&row).expect("parses");
            assert_eq!((read.encode(), read.placed_ms), (row.clone(), 9));
            for bad in [&[&[2], &row[1..]].concat()[..], &row[..9], &[]] {
                assert!(HoldRow::parse(bad).is_err());
                let mut set = HoldSet::default();
                set.add_row(bad);
                assert!(set.covers(b"anything", None) && set.covers_subject(1));
            }
        }
    }

    #[test]
    fn each_hold_covers_what_it_says_and_nothing_else() {
        let of = |covered| {
            let mut set = HoldSet::default();
            assert!(set.is_empty());
            set.add(covered);
            assert!(!set.is_empty());
            set
        };
        let (key, other, elsewhere) = (row(A, b"2026-1"), row(A, b"2025"), row(B, b"2026-1"));
        let covers = |set: &HoldSet| [&key, &other, &elsewhere].map(|row| set.covers(row, Some(7)));
        assert_eq!(covers(&of(Covered::Tenant)), [true, true, true]);
        assert_eq!(covers(&of(Covered::Collection(A))), [true, true, false]);
        assert_eq!(covers(&of(Covered::Prefix(A, b"2026".to_vec()))), [true, false, false]);
        assert_eq!(covers(&of(Covered::Prefix(A, b"2026-12".to_vec()))), [false; 3]);
        assert_eq!(covers(&of(Covered::Record(A, b"2026-1".to_vec()))), [true, false, false]);
        assert_eq!(covers(&of(Covered::Subject(7, String::new()))), [true; 3]);
        assert_eq!(covers(&of(Covered::Subject(8, String::new()))), [false; 3]);
        assert!(!of(Covered::Subject(7, String::new())).covers(&key, None));
        for covered in
            [Covered::Collection(A), Covered::Prefix(A, Vec::new()), Covered::Record(A, Vec::new())]
        {
            let set = of(covered);
            assert!(set.touches_collection(A) && !set.touches_collection(B) && !set.covers_subject(7));
        }
    }

    #[test]
    fn nothing_shows_what_is_held() {
        let selector = Selector::prefix("secret-collection", b"secret-key");
        let info = HoldInfo { name: "secret-case".to_owned(), selector, placed_ms: 5 };
        assert!(!format!("{info:?} {}", held()).contains("secret"));
    }
}
