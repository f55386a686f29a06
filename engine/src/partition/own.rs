//! Records that have a key of their own: the collections that may have such, and the keys that go because their records do
//! (FORMAT.md section 7.4, rows `so` and `sd`).
//!
//! Whatever takes such a record away says in the same change, or the same commit of the file, that its key is to be destroyed;
//! who made it destroys the key then, and who opens the tenant after a crash. The caller of a change reads which keys these are,
//! and a leader decides whether what was read is still there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use redb::WriteTransaction;

use crate::error::Result;
use crate::id::CollectionId;
use crate::keys::SlotKind;
use crate::partition::change::{self, Changes, Destroyed, RowChange, Table, destroyed_by, row_key};
use crate::partition::opened::{from_redb, from_storage};
use crate::partition::removed::RemovedRow;
use crate::partition::tables::{DIRECTORY, split_row_key};
use crate::partition::{Partition, Seen};
use crate::record::own_slot;

/// Directory rows: a slot that is to be destroyed.
pub(crate) const INTENTS: &[u8] = b"sd";
/// A collection of which a record may have a key of its own.
const COLLECTIONS: &[u8] = b"so";

/// The key of the row that says that a slot is to be destroyed.
pub(crate) fn intent_key((kind, number): (SlotKind, u64)) -> Vec<u8> {
    [INTENTS, &[kind as u8], &number.to_be_bytes()].concat()
}

/// The key of a collection's row.
pub(crate) fn own_row(collection: CollectionId) -> Vec<u8> {
    [COLLECTIONS, &collection.to_be_bytes()].concat()
}

/// What is known of an open tenant's records with keys of their own.
#[derive(Debug, Default)]
pub(crate) struct OwnKeys {
    /// A collection counts from before its first such record is on its way.
    collections: ArcSwap<HashSet<CollectionId>>,
    /// How often that was changed.
    generation: AtomicU64,
    /// Slots of records that changes took away: their rows say so.
    doomed: Mutex<Vec<u64>>,
    /// Whether rows were put into the file that say it of other slots.
    is_put: AtomicBool,
    /// Whether these count.
    may_have_rows: AtomicBool,
    /// Who destroys.
    destroying: Mutex<()>,
}

impl OwnKeys {
    /// From here on every change asks for the keys of the collection's records.
    pub(crate) fn add(&self, collection: CollectionId) {
        if self.may_have(collection) {
            return;
        }
        self.collections.rcu(|known| {
            let mut known = HashSet::clone(known);
            known.insert(collection);
            known
        });
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a record of the collection may have a key of its own.
    pub(crate) fn may_have(&self, collection: CollectionId) -> bool {
        self.collections.load().contains(&collection)
    }

    /// Changes that doom these slots are in effect.
    pub(crate) fn doom(&self, slots: &[u64]) {
        if !slots.is_empty() {
            self.doomed.lock().extend(slots);
        }
    }

    /// The turn to destroy.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.destroying.lock()
    }

    /// The turn, unless somebody has it.
    pub(crate) fn turn_now(&self) -> Option<MutexGuard<'_, ()>> {
        self.destroying.try_lock()
    }

    /// The slots that changes doomed since this was asked last.
    pub(crate) fn take_doomed(&self) -> Vec<u64> {
        std::mem::take(&mut *self.doomed.lock())
    }

    /// Whether rows of the file may say more, since this was asked last.
    pub(crate) fn take_may_have_rows(&self) -> bool {
        self.may_have_rows.swap(false, Ordering::AcqRel)
    }

    /// Rows of the file are to be looked at.
    pub(crate) fn look_again(&self) {
        self.may_have_rows.store(true, Ordering::Release);
    }

    /// Whether anything is left to destroy.
    pub(crate) fn has_doomed(&self) -> bool {
        self.may_have_rows.load(Ordering::Acquire) || !self.doomed.lock().is_empty()
    }

    /// Says in a commit of the file that slots are to be destroyed.
    pub(super) fn intend(&self, transaction: &WriteTransaction, slots: &mut Vec<u64>) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
        for slot in slots.drain(..) {
            directory.insert(&intent_key((SlotKind::Subject, slot))[..], &[][..]).map_err(from_storage)?;
        }
        self.is_put.store(true, Ordering::Release);
        Ok(())
    }

    /// The commit was made, and readers have it.
    pub(super) fn committed(&self) {
        if self.is_put.swap(false, Ordering::AcqRel) {
            self.look_again();
        }
    }
}

/// The keys of their own of the records that a change takes away, and what that was read from.
#[derive(Debug)]
pub(crate) struct Doomed {
    slots: Vec<u64>,
    seen: Vec<(Vec<u8>, Seen)>,
    own: Arc<OwnKeys>,
    generation: u64,
    /// The collections whose records were looked at.
    collections: Arc<HashSet<CollectionId>>,
}

impl Doomed {
    pub(crate) fn slots(&self) -> &[u64] {
        &self.slots
    }

    /// A change's bytes, and that these keys are to be destroyed.
    pub(crate) fn added_to(&self, bytes: Bytes) -> Bytes {
        if self.slots.is_empty() {
            return bytes;
        }
        let mut intents = Changes::default();
        for slot in &self.slots {
            intents.put(Table::Directory, &[&intent_key((SlotKind::Subject, *slot))], &[]);
        }
        [&bytes[..], &intents.into_bytes()].concat().into()
    }

    /// Whether a leader has anything to decide.
    pub(crate) fn is_conditional(&self) -> bool {
        !self.seen.is_empty() || self.own.generation.load(Ordering::Acquire) != self.generation
    }

    /// Whether records were looked at.
    pub(crate) fn has_looked(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Whether all is as it was read; decided in memory. `bytes` are the change's.
    pub(crate) fn holds(&self, partition: &Partition, bytes: &Bytes) -> bool {
        (self.own.generation.load(Ordering::Acquire) == self.generation || !self.has_overlooked(bytes))
            && self.seen.iter().all(|(row, seen)| partition.is_as_seen(row, *seen))
    }

    /// Whether the change takes away what may have a key of its own only since it was asked.
    fn has_overlooked(&self, bytes: &Bytes) -> bool {
        let now = self.own.collections.load();
        let is_overlooked = |destroyed: &Destroyed| match destroyed {
            Destroyed::Record(row) | Destroyed::Key(row) | Destroyed::Removed(row) => split_row_key(row)
                .map_or(true, |(collection, _)| {
                    now.contains(&collection) && !self.collections.contains(&collection)
                }),
            Destroyed::Collection(_) => false,
        };
        destroyed_by(bytes).map_or(true, |destroyed| destroyed.iter().any(is_overlooked))
    }
}

/// The slots in what a change puts, by row.
#[derive(Default)]
struct Put {
    records: BTreeMap<Bytes, u64>,
    removed: BTreeMap<Bytes, u64>,
    /// Those that the change itself puts over, or erases.
    gone: BTreeSet<u64>,
}

impl Put {
    fn by(changes: &[RowChange]) -> Result<Self> {
        let mut put = Self::default();
        for change in changes {
            let Some((table, key)) = change.row.split_first() else { continue };
            if *table == Table::Records as u8 {
                let slot = change.value.as_deref().and_then(own_slot);
                let over = match slot {
                    Some(slot) => put.records.insert(change.row.clone(), slot),
                    None => put.records.remove(&change.row),
                };
                put.gone.extend(over);
                if let Some(mark) = change.mark() {
                    put.erase_removed(&mark);
                }
            } else if *table == Table::Removed as u8 {
                let row = change.value.as_deref().map(RemovedRow::parse).transpose()?;
                let slot = row.and_then(|row| own_slot(row.envelope));
                let over = match slot {
                    Some(slot) => put.removed.insert(Bytes::copy_from_slice(key), slot),
                    None => put.removed.remove(key),
                };
                put.gone.extend(over);
            }
        }
        Ok(put)
    }

    /// What was removed of a key goes, too.
    fn erase_removed(&mut self, mark: &[u8]) {
        let mark = &mark[1..];
        let from = (Bound::Included(mark), Bound::Unbounded);
        let rows = self.removed.range::<[u8], _>(from).take_while(|(row, _)| row.starts_with(mark));
        for row in rows.map(|(row, _)| row.clone()).collect::<Vec<_>>() {
            self.gone.extend(self.removed.remove(&row));
        }
    }

    /// The slots of what it leaves.
    fn kept(&self) -> BTreeSet<u64> {
        self.records.values().chain(self.removed.values()).copied().collect()
    }
}

impl Partition {
    /// Takes up the collections that the rows name.
    pub(crate) fn take_up_own_keys(&self) -> Result<()> {
        for (collection, _) in self.directory_rows_of(COLLECTIONS)? {
            self.own.add(split_row_key(&collection)?.0);
        }
        Ok(())
    }

    /// The keys of their own of all records that a change takes away: erased, put over, or put and taken away by itself. Those
    /// of a collection that is dropped are found by the checkpoint that removes them.
    pub(crate) fn doomed_by(&self, bytes: &Bytes) -> Result<Doomed> {
        let generation = self.own.generation.load(Ordering::Acquire);
        let collections = Arc::clone(&self.own.collections.load());
        let own = Arc::clone(&self.own);
        let known = Arc::clone(&collections);
        let mut doomed = Doomed { slots: Vec::new(), seen: Vec::new(), own, generation, collections: known };
        if collections.is_empty() {
            return Ok(doomed);
        }
        let put = Put::by(&change::parse(bytes)?)?;
        let mut gone = put.gone.clone();
        for destroyed in destroyed_by(bytes)? {
            let (Destroyed::Record(row) | Destroyed::Key(row) | Destroyed::Removed(row)) = &destroyed else {
                continue;
            };
            let (collection, key) = split_row_key(row)?;
            if !collections.contains(&collection) {
                continue;
            }
            if matches!(destroyed, Destroyed::Removed(_)) {
                let (seen, _, value) = self.look_at_removed(row)?;
                doomed.seen.push((row_key(Table::Removed, row), seen));
                let slot = value.as_deref().map(RemovedRow::parse).transpose()?;
                gone.extend(slot.and_then(|row| own_slot(row.envelope)));
                continue;
            }
            let (seen, slot) = self.look_at_record(row, |envelope| Ok(own_slot(envelope)))?;
            doomed.seen.push((row_key(Table::Records, row), seen));
            gone.extend(slot.flatten());
            if matches!(destroyed, Destroyed::Key(_)) && self.may_have_removed() {
                // What is removed of it later was looked at as the record.
                for (_, value) in self.snapshot()?.removed_of(collection, key)? {
                    gone.extend(own_slot(RemovedRow::parse(&value)?.envelope));
                }
            }
        }
        doomed.slots.extend(gone.difference(&put.kept()));
        Ok(doomed)
    }
}
