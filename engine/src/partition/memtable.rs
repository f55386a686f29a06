//! The memtable: what is durable in the journal and not yet in the tenant's file. Ordered and versioned; it holds sealed
//! records.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::id::Version;
use crate::partition::change::{RowChange, Table};
use crate::partition::removed;
use crate::record;

/// What a row costs besides its bytes: nodes of the map, the hash, the version.
const ROW_OVERHEAD: usize = 160;

/// A row as one change left it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) version: Version,
    /// `None` where it was removed.
    pub(super) value: Option<Bytes>,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    /// The sequence of the change that left it so: that of its version, or a later one where it kept it.
    made: u64,
    /// What it was before, as long as a snapshot may ask.
    older: Option<Box<Entry>>,
}

impl Entry {
    fn at(&self, through: u64) -> Option<&Row> {
        let mut entry = self;
        while entry.made > through {
            entry = entry.older.as_deref()?;
        }
        Some(&entry.row)
    }
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<Bytes, Entry>,
    /// Hashes of the rows: most lookups miss, and a hash says so sooner than the map does.
    hashes: HashSet<u64, BuildHasherDefault<IdentityHasher>>,
    last: Option<Version>,
}

/// Rows by table and key.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    inner: RwLock<Inner>,
    hasher: RandomState,
    bytes: AtomicUsize,
    /// When the first of its records expires; all ones where none does.
    next_due_ms: NextDue,
    /// Snapshots that may ask for older versions of rows.
    snapshots: AtomicUsize,
    /// Whether it ever had a removed record.
    has_removed: AtomicBool,
}

/// The least of the times it was given.
#[derive(Debug)]
struct NextDue(AtomicU64);

impl Default for NextDue {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// A hash is its own hash.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// When a row expires: none but a record does.
pub(super) fn expires_ms(row: &[u8], value: Option<&[u8]>) -> Option<u64> {
    (*row.first()? == Table::Records as u8).then(|| record::expires_ms(value?)).flatten()
}

/// When a row is due for the sweep: a record that expires, or a removed one.
fn due_ms(row: &[u8], value: &[u8]) -> Option<u64> {
    match *row.first()? {
        table if table == Table::Records as u8 => record::expires_ms(value),
        table if table == Table::Removed as u8 => removed::purge_ms(value),
        _ => None,
    }
}

/// Rows in order, each in its newest state.
pub(super) type Rows<'a> = dyn Iterator<Item = (&'a [u8], &'a Row)> + 'a;

impl Memtable {
    /// Lets changes take effect, all at once. `may_have_removed` where there are removed records besides its own: an erasure
    /// is to reach them.
    pub(super) fn insert(&self, changes: Vec<(Version, Vec<RowChange>)>, may_have_removed: bool) {
        let mut inner = self.inner.write();
        let keeps_older = self.snapshots.load(Ordering::Acquire) > 0;
        let mut bytes = 0;
        for (version, rows) in changes {
            for change in rows {
                if let Some(due_ms) = change.value.as_ref().and_then(|value| due_ms(&change.row, value)) {
                    self.next_due_ms.0.fetch_min(due_ms, Ordering::Relaxed);
                }
                if change.value.is_some() && change.row.first() == Some(&(Table::Removed as u8)) {
                    self.has_removed.store(true, Ordering::Release);
                }
                let reaches_removed = may_have_removed || self.has_removed();
                let mark = if reaches_removed { change.mark() } else { None };
                let row = Row { version: change.kept.unwrap_or(version), value: change.value };
                bytes += self.set(&mut inner, change.row, row, version.sequence, keeps_older);
                if let Some(mark) = mark {
                    bytes += self.erase_removed(&mut inner, mark.into(), version, keeps_older);
                }
            }
            inner.last = Some(version);
        }
        // What was overwritten counts too: its bytes live as long as the batch they came in.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Puts a row's newest state; how much memory that takes.
    fn set(&self, inner: &mut Inner, key: Bytes, row: Row, made: u64, keeps_older: bool) -> usize {
        let bytes = ROW_OVERHEAD + key.len() + row.value.as_ref().map_or(0, Bytes::len);
        inner.hashes.insert(self.hasher.hash_one(&key[..]));
        match inner.rows.entry(key) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Entry { row, made, older: None });
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                let entry = occupied.get_mut();
                let before = std::mem::replace(&mut entry.row, row);
                let before_made = std::mem::replace(&mut entry.made, made);
                if keeps_older {
                    let older = entry.older.take();
                    entry.older = Some(Box::new(Entry { row: before, made: before_made, older }));
                }
            }
        }
        bytes
    }

    /// Erases what was removed of a record's key: here at once, elsewhere by its mark.
    fn erase_removed(&self, inner: &mut Inner, mark: Bytes, version: Version, keeps_older: bool) -> usize {
        let (from, to) = removed::rows_of_key(&mark);
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let there = inner.rows.range::<[u8], _>(range).filter(|(_, entry)| entry.row.value.is_some());
        let there: Vec<_> = there.map(|(key, _)| key.clone()).collect();
        let mut bytes = 0;
        for key in there {
            let row = Row { version, value: None };
            bytes += self.set(inner, key, row, version.sequence, keeps_older);
        }
        let row = Row { version, value: Some(Bytes::new()) };
        bytes + self.set(inner, mark, row, version.sequence, keeps_older)
    }

    /// Whether it ever had a removed record.
    pub(super) fn has_removed(&self) -> bool {
        self.has_removed.load(Ordering::Acquire)
    }

    /// A row's newest state, if the memtable has one.
    pub(super) fn get(&self, key: &[u8]) -> Option<Row> {
        let hash = self.hasher.hash_one(key);
        let inner = self.inner.read();
        if !inner.hashes.contains(&hash) {
            return None;
        }
        inner.rows.get(key).map(|entry| entry.row.clone())
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the first of its records expires, of those that were replaced since too.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        Some(self.next_due_ms.0.load(Ordering::Relaxed)).filter(|due_ms| *due_ms < u64::MAX)
    }

    /// The newest version in it.
    pub(super) fn last(&self) -> Option<Version> {
        self.inner.read().last
    }

    /// Calls `read` with the rows in order, each in its newest state. Nothing can be inserted meanwhile.
    pub(super) fn with_rows<T>(&self, read: impl for<'a> FnOnce(&mut Rows<'a>) -> T) -> T {
        let inner = self.inner.read();
        read(&mut inner.rows.iter().map(|(key, entry)| (&key[..], &entry.row)))
    }

    /// Calls `visit` with each row's newest state, in order.
    pub(super) fn for_each<E>(&self, mut visit: impl FnMut(&[u8], &Row) -> Result<(), E>) -> Result<(), E> {
        self.inner.read().rows.iter().try_for_each(|(key, entry)| visit(key, &entry.row))
    }
}

/// A memtable as it was at one sequence.
#[derive(Debug)]
pub(super) struct MemtableSnapshot {
    table: Arc<Memtable>,
    last: Option<Version>,
}

impl MemtableSnapshot {
    pub(super) fn new(table: &Arc<Memtable>) -> Self {
        let inner = table.inner.read();
        table.snapshots.fetch_add(1, Ordering::AcqRel);
        Self { table: Arc::clone(table), last: inner.last }
    }

    /// The newest version in it.
    pub(super) fn last(&self) -> Option<Version> {
        self.last
    }

    fn through(&self) -> u64 {
        self.last.map_or(0, |version| version.sequence)
    }

    /// A row's state at the moment of the snapshot, if the memtable has one.
    pub(super) fn get(&self, key: &[u8]) -> Option<Row> {
        let hash = self.table.hasher.hash_one(key);
        let inner = self.table.inner.read();
        if !inner.hashes.contains(&hash) {
            return None;
        }
        inner.rows.get(key).and_then(|entry| entry.at(self.through())).cloned()
    }

    /// At most `limit` rows between two keys, in ascending or descending order.
    pub(super) fn range(
        &self,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
        reverse: bool,
        limit: usize,
    ) -> Vec<(Bytes, Row)> {
        if is_empty_range(from, to) {
            return Vec::new();
        }
        let inner = self.table.inner.read();
        let range = inner.rows.range::<[u8], _>((from, to));
        let through = self.through();
        let seen = |(key, entry): (&Bytes, &Entry)| entry.at(through).map(|row| (key.clone(), row.clone()));
        if reverse {
            range.rev().filter_map(seen).take(limit).collect()
        } else {
            range.filter_map(seen).take(limit).collect()
        }
    }
}

impl Drop for MemtableSnapshot {
    fn drop(&mut self) {
        self.table.snapshots.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether nothing can lie between two bounds; a map refuses such a range with a panic.
fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
        | (Bound::Excluded(a), Bound::Included(b)) => a >= b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(key: u8, value: Option<u8>) -> RowChange {
        let value = value.map(|value| Bytes::copy_from_slice(&[value]));
        RowChange { row: Bytes::copy_from_slice(&[2, key]), value, kept: None, moved: false }
    }

    fn version(sequence: u64) -> Version {
        Version { timeline: 1, sequence }
    }

    proptest! {
        /// Each snapshot shows the rows as they were when it was made, whatever came later, in either direction and in
        /// pieces of any size.
        #[test]
        fn snapshots_show_their_moment(
            batches in prop::collection::vec(prop::collection::vec((0_u8..20, any::<Option<u8>>()), 1..6), 1..12),
            piece in 1_usize..5,
            reverse: bool,
        ) {
            let table = Arc::new(Memtable::default());
            let mut model: BTreeMap<Vec<u8>, (u64, Option<u8>)> = BTreeMap::new();
            let mut moments = vec![(MemtableSnapshot::new(&table), model.clone())];
            for (sequence, batch) in (1..).zip(&batches) {
                let rows = batch.iter().map(|(key, value)| change(*key, *value)).collect();
                table.insert(vec![(version(sequence), rows)], false);
                for (key, value) in batch {
                    model.insert(vec![2, *key], (sequence, *value));
                }
                moments.push((MemtableSnapshot::new(&table), model.clone()));
            }
            for (snapshot, expected) in &moments {
                let mut found = Vec::new();
                let mut edge: Bound<Vec<u8>> = Bound::Unbounded;
                loop {
                    let edge_ref = edge.as_ref().map(Vec::as_slice);
                    let bounds =
                        if reverse { (Bound::Unbounded, edge_ref) } else { (edge_ref, Bound::Unbounded) };
                    let rows = snapshot.range(bounds, reverse, piece);
                    let Some((last, _)) = rows.last() else { break };
                    edge = Bound::Excluded(last.to_vec());
                    found.extend(rows);
                }
                if reverse {
                    found.reverse();
                }
                let found: Vec<_> = found
                    .into_iter()
                    .map(|(key, row)| (key.to_vec(), (row.version.sequence, row.value.map(|v| v[0]))))
                    .collect();
                let expected: Vec<_> = expected.iter().map(|(key, row)| (key.clone(), *row)).collect();
                prop_assert_eq!(found, expected);
            }
            for (snapshot, expected) in &moments {
                for key in 0..25 {
                    let got = snapshot.get(&[2, key]).map(|row| (row.version.sequence, row.value.map(|v| v[0])));
                    prop_assert_eq!(got, expected.get(&vec![2, key]).copied());
                }
            }
            for key in 0..25 {
                let got = table.get(&[2, key]).map(|row| (row.version.sequence, row.value.map(|v| v[0])));
                prop_assert_eq!(got, model.get(&vec![2, key]).copied());
            }
        }
    }

    #[test]
    fn without_a_snapshot_nothing_older_is_kept() {
        let table = Arc::new(Memtable::default());
        for sequence in 1..10 {
            table.insert(vec![(version(sequence), vec![change(1, Some(7))])], false);
        }
        assert!(table.inner.read().rows.values().all(|entry| entry.older.is_none()));
    }
}
