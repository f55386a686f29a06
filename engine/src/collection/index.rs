//! Indexes of a collection: what is declared of them, and what a search in one covers (FORMAT.md sections 7.3 and 7.5).

use std::fmt;
use std::ops::Bound;

use crate::collection::{RowBounds, ScanOptions, successor};
use crate::error::{Result, fail};
use crate::id::CollectionId;
use crate::partition::{Edge, IndexPlace};

const ROW_VERSION: u8 = 1;
const UNIQUE: u8 = 1;
const ORDERED: u8 = 2;
const BUILDING: u8 = 1;
const READY: u8 = 2;

/// What an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    is_unique: bool,
}

impl Index {
    /// At most one record has a key; a second one is refused with `Conflict`.
    #[must_use]
    pub fn unique() -> Self {
        Self { is_unique: true }
    }

    /// Any number of records have a key.
    #[must_use]
    pub fn ordered() -> Self {
        Self { is_unique: false }
    }

    /// Whether at most one record has a key.
    #[must_use]
    pub fn is_unique(self) -> bool {
        self.is_unique
    }
}

/// What is known of an index.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexInfo {
    /// Its name, of its collection's.
    pub name: String,
    /// What it is.
    pub index: Index,
    /// When it was declared, in milliseconds since the epoch.
    pub created_ms: u64,
    /// Whether it can be searched: all records have been looked at that were there before it.
    pub is_ready: bool,
    pub(crate) id: u64,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for IndexInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexInfo")
            .field("index", &self.index)
            .field("created_ms", &self.created_ms)
            .field("is_ready", &self.is_ready)
            .finish_non_exhaustive()
    }
}

/// What the keys of the declarations of a collection begin with, in the directory without the kind.
pub(crate) fn declaration_key(collection: CollectionId, name: &str) -> Vec<u8> {
    [&collection.to_be_bytes()[..], name.as_bytes()].concat()
}

impl IndexInfo {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = if self.index.is_unique { UNIQUE } else { ORDERED };
        let state = if self.is_ready { READY } else { BUILDING };
        let id = self.id.to_be_bytes();
        [&[ROW_VERSION][..], &id, &[kind, state], &self.created_ms.to_le_bytes()].concat()
    }

    pub(crate) fn parse(name: &[u8], row: &[u8]) -> Result<Self> {
        let parts = || {
            let (head, created) = row.split_first_chunk::<11>()?;
            let [version, id @ .., kind, state] = *head;
            let is_known = version == ROW_VERSION
                && [UNIQUE, ORDERED].contains(&kind)
                && [BUILDING, READY].contains(&state);
            is_known.then_some(Self {
                name: std::str::from_utf8(name).ok()?.to_owned(),
                index: Index { is_unique: kind == UNIQUE },
                created_ms: u64::from_le_bytes(created.try_into().ok()?),
                is_ready: state == READY,
                id: u64::from_be_bytes(id),
            })
        };
        parts()
            .ok_or_else(|| fail!(UnsupportedFormat, "the row of an index is of a newer version or malformed"))
    }
}

impl ScanOptions {
    /// The bounds in the table of secondary keys, range and prefix taken for those of keys in the index; behind the
    /// position of a cursor. `None` where nothing can lie between them.
    pub(crate) fn entry_bounds(&self, place: IndexPlace, position: &[u8]) -> Option<RowBounds> {
        self.escaped_bounds(&place.prefix(), position)
    }

    /// The bounds among the removed records of a collection.
    pub(crate) fn removed_bounds(&self, collection: CollectionId, position: &[u8]) -> Option<RowBounds> {
        self.escaped_bounds(&collection.to_be_bytes(), position)
    }

    /// The bounds where keys stand escaped behind a prefix.
    fn escaped_bounds(&self, place: &[u8], position: &[u8]) -> Option<RowBounds> {
        let mut from = match &self.from {
            Bound::Unbounded => place.to_vec(),
            Bound::Included(key) => Edge::From(key).after(place),
            Bound::Excluded(key) => Edge::Behind(key).after(place),
        };
        let mut to = match &self.to {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(Edge::Behind(key).after(place)),
            Bound::Excluded(key) => Some(Edge::From(key).after(place)),
        };
        let beginning = Edge::Beginning(&self.prefix).after(place);
        from = from.max(beginning.clone());
        to = match (to, successor(&beginning)) {
            (Some(to), Some(end)) => Some(to.min(end)),
            (to, end) => to.or(end),
        };
        let mut from = Bound::Included(from);
        if !position.is_empty() {
            let edge = [place, position].concat();
            if self.is_reverse() {
                to = Some(to.map_or(edge.clone(), |to| to.min(edge)));
            } else if matches!(&from, Bound::Included(known) if *known <= edge) {
                from = Bound::Excluded(edge);
            }
        }
        let is_empty = match (&from, &to) {
            (Bound::Included(from) | Bound::Excluded(from), Some(to)) => from >= to,
            _ => false,
        };
        (!is_empty).then(|| (from, to.map_or(Bound::Unbounded, Bound::Excluded)))
    }
}
