//! The checkpoint: a memtable goes into the file, sorted, in one durable commit, and the anchor takes its sequence.
//!
//! ```text
//! memtable frozen, a new one takes the changes
//! redb: rows and last version, durable        crash: the journal has everything; the file may have it too
//! anchor: the file holds this sequence        from here on the journal's frames are not needed
//! readers get the new tables
//! ```

use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use redb::{AccessGuard, Durability, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use crate::error::{ErrorKind, Result, fail};
use crate::id::Version;
use crate::keys::NO_FILE;
use crate::partition::change::Table;
use crate::partition::count::{COUNTED, Tally, count_key};
use crate::partition::erased::Erased;
use crate::partition::expiry::{DueChanges, Sweep, Swept};
use crate::partition::memtable::{Memtable, MemtableSnapshot, Rows};
use crate::partition::opened::{Opened, from_redb, from_storage};
use crate::partition::own::OwnKeys;
use crate::partition::removed::{RemovedRow, rows_of_key};
use crate::partition::secondary::{self, DECLARED, IndexPlace, Writing, declared_by, resolve};
use crate::partition::subjects::{self, LISTED};
use crate::partition::tables::{
    COMMIT, DIRECTORY, DROPPED, Held, META, ORIGIN, RECORDS, REMOVED, SECONDARY, TABLES, has_table, rows_of,
    split_row_key,
};
use crate::partition::{Partition, Tables};
use crate::record::own_slot;

/// A memtable on its way into the file, and what the file then holds.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(super) table: Arc<Memtable>,
    pub(crate) held: Held,
}

impl Partition {
    /// Freezes the memtable; between two batches, of which the last had the tag `tag`. Gives what is frozen: where an
    /// earlier checkpoint failed, what that one froze. `None` where there is nothing to put into the file.
    pub(crate) fn freeze(&self, tag: [u8; 16]) -> Option<Frozen> {
        let mut frozen = None;
        self.replace_view(|view| {
            if view.frozen.is_none()
                && let Some(version) = view.active.last()
            {
                let table = std::mem::take(&mut view.active);
                view.frozen = Some(Frozen { table, held: Held { version, tag } });
            }
            frozen.clone_from(&view.frozen);
        });
        frozen
    }

    /// Puts what was frozen into the file, durable when this returns.
    pub(crate) fn checkpoint(&self, frozen: &Frozen) -> Result<()> {
        let _writer = self.writer.lock();
        self.checkpoint_locked(frozen)
    }

    pub(super) fn checkpoint_locked(&self, frozen: &Frozen) -> Result<()> {
        let is_first = self.view()?.tables.is_none();
        let opened = self.target()?;
        let opened = match merge(&opened, frozen, self.options.cache_bytes, (&self.erased, &self.own)) {
            Ok(swept) => {
                self.note_swept(swept);
                opened
            }
            // Where a reader met a damaged block, redb refuses this commit too: the file is opened anew, which tells
            // whether the commit was made (and syncs it), and if not, it is made now.
            Err(error) if !is_first => {
                let reopened = self.target()?;
                match self.held_by(&reopened) {
                    Ok(held) if held == frozen.held => {}
                    Ok(_) if error.kind() == ErrorKind::Poisoned => {
                        self.note_swept(merge(
                            &reopened,
                            frozen,
                            self.options.cache_bytes,
                            (&self.erased, &self.own),
                        )?);
                    }
                    _ => return Err(error),
                }
                reopened
            }
            Err(error) => return Err(error),
        };
        if is_first {
            self.sync_directory()?;
        }
        self.take_into_anchor(&frozen.held)?;
        let tables = Arc::new(Tables::open(opened)?);
        self.replace_view(|view| {
            view.tables = Some(tables);
            view.frozen = None;
            view.number += 1;
        });
        self.own.committed();
        Ok(())
    }

    pub(super) fn note_swept(&self, swept: Swept) {
        let mut total = self.swept.lock();
        *total = Swept { removed: total.removed + swept.removed, held: total.held + swept.held };
    }

    /// The file that is written; made where there is none yet.
    fn target(&self) -> Result<Arc<Opened>> {
        if let Some(tables) = &self.view()?.tables {
            return Ok(Arc::clone(&tables.opened));
        }
        let anchor = self.keyring.anchor();
        // An attempt that failed may have left one.
        self.remove_file(anchor.current)?;
        let opened = self.create_file(anchor.current, anchor.current_epoch)?;
        self.initialise(&opened)?;
        Ok(Arc::new(opened))
    }

    /// Makes the tables of a new file.
    pub(super) fn initialise(&self, opened: &Opened) -> Result<()> {
        let origin = self.origin();
        opened.run(|db| {
            let mut transaction = db.begin_write().map_err(from_redb)?;
            transaction.set_quick_repair(true);
            for table in TABLES {
                transaction.open_table(table).map_err(from_redb)?;
            }
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.insert(ORIGIN, &origin[..]).map_err(from_redb)?;
            meta.insert(COUNTED, &[][..]).map_err(from_redb)?;
            meta.insert(LISTED, &[][..]).map_err(from_redb)?;
            drop(meta);
            transaction.commit().map_err(from_redb)
        })
    }

    /// Says in the anchor what the file holds; in both copies where the anchor did not count the file before.
    pub(super) fn take_into_anchor(&self, held: &Held) -> Result<()> {
        let change = |anchor: &mut crate::keys::Anchor| {
            anchor.commit = held.version.sequence;
            anchor.timeline = held.version.timeline;
            anchor.flags &= !NO_FILE;
        };
        if self.keyring.anchor().flags & NO_FILE != 0 {
            self.keyring.update_both_anchors(change)
        } else {
            self.keyring.update_anchor(change)
        }
    }
}

/// A page of redb's, which a row changes at the least.
pub(super) const PAGE_BYTES: usize = 4_096;

/// Into how many parts the cache is divided for the commits of a merge. With four, some pages were read back.
const COMMITS_OF_A_CACHE: usize = 6;

/// From how many bytes on a memtable is written by a second thread.
const WRITTEN_BEHIND: usize = 4 << 20;

/// Puts all the memtable's rows into the file, in order, then sweeps what was permitted to be swept, in one durable commit.
/// Gives what was swept.
///
/// Before that come commits that are not durable, one for each part of the cache that they fill: redb reads each page that a commit
/// changed once more at its end, for the checksum. Where it had to write it out before, because it holds changed pages in
/// half of its cache at the most, it reads it back, and then writes it a second time. Nothing but the last commit lasts
/// through a crash, and nobody reads the file's new rows before it.
pub(super) fn merge(
    opened: &Opened,
    frozen: &Frozen,
    cache_bytes: usize,
    (erased, own): (&Erased, &OwnKeys),
) -> Result<Swept> {
    let declared = declared(opened, frozen)?;
    let (mut sweep, mut is_put) = (None, false);
    let bytes_max = cache_bytes / COMMITS_OF_A_CACHE;
    frozen.table.with_rows(|rows| {
        opened.run(|db| {
            let mut work = || loop {
                let mut transaction = db.begin_write().map_err(from_redb)?;
                let mut tally = Tally::default();
                is_put =
                    is_put || put_rows(&transaction, rows, (&declared, &mut sweep, &mut tally), bytes_max)?;
                let is_swept = match &mut sweep {
                    Some(sweep) if is_put => {
                        sweep.go_on(&transaction, (&declared, &mut tally, erased, own), bytes_max)?
                    }
                    _ => true,
                };
                tally.settle(&transaction)?;
                subjects::list_all(&transaction)?;
                if is_put && is_swept {
                    remove_dropped(&transaction, own)?;
                    put_held(&transaction, &frozen.held)?;
                    // Two-phase: over sealed blocks a one-phase commit can't be told from a damaged one after a power loss.
                    transaction.set_quick_repair(true);
                    transaction.commit().map_err(from_redb)?;
                    return Ok(sweep.as_ref().map(|sweep| sweep.swept).unwrap_or_default());
                }
                commit_for_now(transaction)?;
            };
            if frozen.bytes() < WRITTEN_BEHIND {
                return work();
            }
            opened.file.write_behind(work)
        })
    })
}

/// A commit that lasts only with a durable one after it.
pub(super) fn commit_for_now(mut transaction: WriteTransaction) -> Result<()> {
    transaction
        .set_durability(Durability::None)
        .map_err(|error| fail!(Internal, "redb refused a commit that is not durable: {error}"))?;
    transaction.commit().map_err(from_redb)
}

/// Bytes of the file that putting a row changes, about.
pub(super) fn changed_bytes(value_bytes: usize) -> usize {
    PAGE_BYTES.max(value_bytes.next_power_of_two())
}

/// Puts rows into the file until there are no more, or they may have changed so many bytes of it; whether that was all.
/// `declared` are the indexes, `sweep` is what is to be swept afterwards.
fn put_rows(
    transaction: &WriteTransaction,
    rows: &mut Rows<'_>,
    (declared, sweep, tally): (&HashSet<IndexPlace>, &mut Option<Sweep>, &mut Tally),
    bytes_max: usize,
) -> Result<bool> {
    let mut records = transaction.open_table(RECORDS).map_err(from_redb)?;
    let mut directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
    let mut secondary =
        if declared.is_empty() { None } else { Some(transaction.open_table(SECONDARY).map_err(from_redb)?) };
    let mut removed = None;
    let indexed: HashSet<_> = declared.iter().map(|place| place.collection).collect();
    let mut due = DueChanges::default();
    let mut value = Vec::new();
    let mut bytes = 0;
    while bytes < bytes_max {
        let Some((row, found)) = rows.next() else {
            due.apply(transaction)?;
            return Ok(true);
        };
        let (table, key) =
            row.split_first().ok_or_else(|| fail!(Internal, "a row of the memtable has no table"))?;
        if *table == Table::Secondary as u8 {
            if let (Some(secondary), Some(new)) = (&mut secondary, &found.value) {
                let (version, data) = resolve(found.version, new)?;
                secondary::put(secondary, &records, declared, key, (version, &data))?;
                bytes += PAGE_BYTES;
            }
            continue;
        }
        if *table == Table::Expiry as u8 {
            let through_ms = found.value.as_ref().and_then(|value| value.first_chunk());
            *sweep = through_ms.map(|bytes| Sweep::new(u64::from_le_bytes(*bytes)));
            continue;
        }
        if *table == Table::Removed as u8 {
            let removed = match &mut removed {
                Some(removed) => removed,
                removed => removed.insert(transaction.open_table(REMOVED).map_err(from_redb)?),
            };
            bytes += put_removed(removed, key, found.value.as_deref(), (&mut due, tally))?;
            continue;
        }
        let is_record = *table == Table::Records as u8;
        if is_record && let Some(secondary) = &mut secondary {
            let (collection, record) = split_row_key(key)?;
            if indexed.contains(&collection) {
                let now = found.value.is_some().then_some(found.version);
                secondary::take_away(secondary, collection, record, now)?;
                bytes += PAGE_BYTES;
            }
        }
        let target = if is_record { &mut records } else { &mut directory };
        bytes += changed_bytes(found.value.as_ref().map_or(0, bytes::Bytes::len));
        let replaced = match &found.value {
            None => target.remove(key).map_err(from_storage)?,
            Some(new) => {
                value.clear();
                if is_record {
                    value.extend(found.version.encode());
                }
                value.extend(&new[..]);
                target.insert(key, &value[..]).map_err(from_storage)?
            }
        };
        if is_record {
            let new = found.value.is_some().then_some(&value[..]);
            tally.note(key, replaced.as_ref().map(AccessGuard::value), new)?;
            if let Some(replaced) = replaced {
                due.replaced(key, replaced.value());
            }
            if let Some(new) = &found.value {
                due.put(key, found.version, new);
            }
        }
    }
    due.apply(transaction)?;
    Ok(false)
}

/// Puts a row of a removed record, takes it away, or, for a mark, all of its key; how many bytes of the file that changes.
fn put_removed(
    removed: &mut Writing<'_>,
    row: &[u8],
    value: Option<&[u8]>,
    (due, tally): (&mut DueChanges, &mut Tally),
) -> Result<usize> {
    if value == Some(&[]) {
        let (from, to) = rows_of_key(row);
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let mut gone = Vec::new();
        for found in removed.range::<&[u8]>(range).map_err(from_storage)? {
            gone.push(found.map_err(from_storage)?.0.value().to_vec());
        }
        for row in &gone {
            take_removed(removed, row, due, tally)?;
        }
        return Ok(PAGE_BYTES * (1 + gone.len()));
    }
    take_removed(removed, row, due, tally)?;
    let Some(value) = value else { return Ok(PAGE_BYTES) };
    removed.insert(row, value).map_err(from_storage)?;
    tally.note_removed(row, None, Some(value))?;
    due.put_removed(row, value);
    Ok(changed_bytes(value.len()))
}

fn take_removed(
    removed: &mut Writing<'_>,
    row: &[u8],
    due: &mut DueChanges,
    tally: &mut Tally,
) -> Result<()> {
    if let Some(old) = removed.remove(row).map_err(from_storage)? {
        tally.note_removed(row, Some(old.value()), None)?;
        due.removed_replaced(row, old.value());
    }
    Ok(())
}

/// Removes what is left of collections that were dropped, marks included: nothing is put into them any more.
fn remove_dropped(transaction: &WriteTransaction, own: &OwnKeys) -> Result<()> {
    let mut directory = transaction.open_table(DIRECTORY).map_err(from_redb)?;
    let marks = directory.range::<&[u8]>(&[DROPPED][..]..&[DROPPED + 1]).map_err(from_storage)?;
    let marks = marks.map(|mark| mark.map(|(key, _)| key.value().to_vec()).map_err(from_storage));
    let marks = marks.collect::<Result<Vec<_>>>()?;
    let (mut due, mut doomed) = (DueChanges::default(), Vec::new());
    for mark in marks {
        let (collection, index) = split_row_key(&mark[1..])?;
        let mut remove = |table: TableDefinition<'static, _, _>,
                          (from, to): (Bound<Vec<u8>>, Bound<Vec<u8>>)| {
            let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
            let (is_records, is_removed) = (table.name() == RECORDS.name(), table.name() == REMOVED.name());
            let mut table = transaction.open_table(table).map_err(from_redb)?;
            let gone = |row: &[u8], value: &[u8]| {
                if is_records {
                    due.replaced(row, value);
                    let envelope = Version::split(value).map_or(&[][..], |(_, envelope)| envelope);
                    doomed.extend(own_slot(envelope));
                } else if is_removed {
                    due.removed_replaced(row, value);
                    let envelope = RemovedRow::parse(value).map_or(&[][..], |row| row.envelope);
                    doomed.extend(own_slot(envelope));
                }
                false
            };
            table.retain_in::<&[u8], _>(range, gone).map_err(from_storage)
        };
        if let Some(index) = index.first_chunk() {
            let index = u64::from_be_bytes(*index);
            remove(SECONDARY, IndexPlace { collection, index }.rows())?;
        } else {
            remove(RECORDS, rows_of(collection))?;
            let mut meta = transaction.open_table(META).map_err(from_redb)?;
            meta.remove(&count_key(collection)[..]).map_err(from_storage)?;
            remove(SECONDARY, rows_of(collection))?;
            if has_table(transaction, REMOVED)? {
                remove(REMOVED, rows_of(collection))?;
            }
        }
        directory.remove(&mark[..]).map_err(from_storage)?;
    }
    drop(directory);
    own.intend(transaction, &mut doomed)?;
    due.apply(transaction)
}

/// The indexes that are declared in the file or in what goes into it.
fn declared(opened: &Opened, frozen: &Frozen) -> Result<HashSet<IndexPlace>> {
    let mut declared = HashMap::new();
    let directory = opened.table(DIRECTORY)?;
    opened.watch(|| {
        let rows = directory.range::<&[u8]>(&[DECLARED][..]..&[DECLARED + 1]).map_err(from_storage)?;
        for row in rows {
            let (key, row) = row.map_err(from_storage)?;
            declared.insert(key.value()[1..].to_vec(), declared_by(&key.value()[1..], row.value()));
        }
        Ok(())
    })?;
    let from = [Table::Directory as u8, DECLARED];
    let to = [Table::Directory as u8, DECLARED + 1];
    let changed = MemtableSnapshot::new(&frozen.table);
    for (key, row) in changed.range((Bound::Included(&from), Bound::Excluded(&to)), false, usize::MAX) {
        let place = row.value.and_then(|row| declared_by(&key[2..], &row));
        declared.insert(key[2..].to_vec(), place);
    }
    Ok(declared.into_values().flatten().collect())
}

fn put_held(transaction: &WriteTransaction, held: &Held) -> Result<()> {
    let mut meta = transaction.open_table(META).map_err(from_redb)?;
    meta.insert(COMMIT, &held.encode()[..]).map_err(from_storage)?;
    Ok(())
}

impl Frozen {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// What makes a file hold a version although no change has it: after a rollback was accepted.
    pub(crate) fn empty(version: Version) -> Self {
        Self { table: Arc::default(), held: Held { version, tag: [0; 16] } }
    }
}
