//! Rows that were erased while a snapshot could still show them: gone is gone, for a scan that began before too.
//!
//! The set is bounded. What it can't hold ends the scans that began before (`SnapshotExpired`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::error::{Result, fail};
use crate::id::Version;
use crate::partition::change::{Table, row_key};

/// Most bytes of rows' keys, with what the set costs besides.
const BYTES_MAX: usize = 8 << 20;
/// What a row costs besides its key.
const ROW_OVERHEAD: usize = 64;

#[derive(Debug, Default)]
struct Inner {
    /// The sequence below which each row's versions are erased.
    rows: HashMap<Box<[u8]>, u64>,
    bytes: usize,
    /// Snapshots there are.
    snapshots: usize,
    /// How often the set was full.
    overflows: u64,
}

/// The rows erased since the oldest snapshot was made, by table and key.
#[derive(Debug, Default)]
pub(super) struct Erased {
    inner: RwLock<Inner>,
    /// How often something was noted: where nothing was, nobody has to look.
    noted: AtomicU64,
}

impl Erased {
    /// Notes rows that were erased, in each version below a sequence: after the memtable has it, and before anybody is told.
    pub(super) fn note(&self, erased: &[(u64, Bytes)]) {
        if erased.is_empty() || self.inner.read().snapshots == 0 {
            return;
        }
        let mut inner = self.inner.write();
        self.noted.fetch_add(1, Ordering::AcqRel);
        for (sequence, row) in erased {
            if let Some(known) = inner.rows.get_mut(&row[..]) {
                *known = (*known).max(*sequence);
            } else {
                inner.rows.insert(row[..].into(), *sequence);
                inner.bytes += ROW_OVERHEAD + row.len();
            }
        }
        if inner.bytes > BYTES_MAX {
            inner.clear();
            inner.overflows += 1;
        }
    }
}

impl Inner {
    fn clear(&mut self) {
        self.rows = HashMap::new();
        self.bytes = 0;
    }
}

/// What one snapshot asks. Made before the snapshot is: nothing erased in between is missed.
#[derive(Debug)]
pub(super) struct ErasedSince {
    erased: Arc<Erased>,
    overflows: u64,
    noted: u64,
}

impl ErasedSince {
    pub(super) fn new(erased: &Arc<Erased>) -> Self {
        let mut inner = erased.inner.write();
        inner.snapshots += 1;
        let noted = erased.noted.load(Ordering::Acquire);
        Self { erased: Arc::clone(erased), overflows: inner.overflows, noted }
    }

    /// How often something was noted.
    pub(super) fn count(&self) -> u64 {
        self.erased.noted.load(Ordering::Acquire)
    }

    /// Whether a row of the snapshot, in the version it has there, was erased since.
    pub(super) fn contains(&self, table: Table, key: &[u8], version: Version) -> Result<bool> {
        if self.erased.noted.load(Ordering::Acquire) == self.noted {
            return Ok(false);
        }
        let inner = self.erased.inner.read();
        if inner.overflows != self.overflows {
            return Err(fail!(
                SnapshotExpired,
                "more was erased than a scan under way can leave out: begin it again"
            ));
        }
        Ok(inner.rows.get(&row_key(table, key)[..]).is_some_and(|erased| *erased > version.sequence))
    }
}

impl Drop for ErasedSince {
    fn drop(&mut self) {
        let mut inner = self.erased.inner.write();
        inner.snapshots -= 1;
        if inner.snapshots == 0 {
            inner.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn version(sequence: u64) -> Version {
        Version { timeline: 1, sequence }
    }

    fn row(name: &'static [u8]) -> Bytes {
        row_key(Table::Records, name).into()
    }

    fn has(since: &ErasedSince, name: &'static [u8], sequence: u64) -> Result<bool, ErrorKind> {
        since.contains(Table::Records, name, version(sequence)).map_err(|error| error.kind())
    }

    #[test]
    fn what_is_erased_after_a_snapshot_is_known_to_it_and_nothing_is_kept_without_one() {
        let erased = Arc::new(Erased::default());
        erased.note(&[(1, row(b"before"))]);
        let older = ErasedSince::new(&erased);
        assert_eq!(has(&older, b"before", 0), Ok(false));
        erased.note(&[(5, row(b"a")), (6, row(b"b"))]);
        let newer = ErasedSince::new(&erased);
        assert_eq!(has(&older, b"before", 0), Ok(false));
        assert_eq!(has(&older, b"a", 4), Ok(true));
        erased.note(&[(9, row(b"c"))]);
        assert_eq!(has(&newer, b"b", 7), Ok(false), "it was put again");
        drop(older);
        assert_eq!(has(&newer, b"c", 8), Ok(true));
        drop(newer);
        assert!(erased.inner.read().rows.is_empty());
    }

    #[test]
    fn a_snapshot_older_than_what_the_set_can_hold_has_expired_and_a_newer_one_has_not() {
        let erased = Arc::new(Erased::default());
        let older = ErasedSince::new(&erased);
        let many = (0_u64..3_000).map(|number| (number, Bytes::from(number.to_le_bytes().repeat(512))));
        erased.note(&many.collect::<Vec<_>>());
        assert_eq!(has(&older, b"any", 9), Err(ErrorKind::SnapshotExpired));
        assert_eq!(has(&ErasedSince::new(&erased), b"any", 9), Ok(false));
    }
}
