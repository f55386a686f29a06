//! The table of what is due: which rows of the file go when, and the sweep that removes them (FORMAT.md section 7.5).
//!
//! A checkpoint derives it from the rows that it puts and replaces; nobody else writes it. So every row of it stands for a
//! row of the file, and a sweep costs what is due, not what there is.

use std::collections::HashSet;
use std::ops::Bound;

use redb::{AccessGuard, ReadableTable, WriteTransaction};

use crate::error::{Result, fail};
use crate::hold::HoldSet;
use crate::id::Version;
use crate::partition::change::{Table, record_row};
use crate::partition::count::Tally;
use crate::partition::erased::Erased;
use crate::partition::holds::holds_in;
use crate::partition::opened::{from_redb, from_storage};
use crate::partition::own::OwnKeys;
use crate::partition::removed::{self, RemovedPlace, RemovedRow};
use crate::partition::secondary::{self, IndexPlace};
use crate::partition::subjects::SubjectChanges;
use crate::partition::tables::{
    EXPIRY, RECORDS, REMOVED, ReadTable, SECONDARY, record_row_key, split_row_key,
};
use crate::partition::{Partition, Row};
use crate::record::{self, Envelope};

/// Rows that a sweep looks up at a time.
const PASS_ROWS: usize = 131_072;
/// Bytes of a row's key here besides those of its key there: due, table, version.
const AROUND: usize = 8 + 1 + VERSION;
const VERSION: usize = 12;

/// `due || table || row's key || version`, all big-endian; a removed record's key ends with the version by itself.
fn due_key(due_ms: u64, table: Table, row: &[u8], version: Version) -> Vec<u8> {
    let mut key = Vec::with_capacity(AROUND + row.len());
    key.extend(due_ms.to_be_bytes());
    key.push(table as u8);
    key.extend(row);
    key.extend(version.timeline.to_be_bytes());
    key.extend(version.sequence.to_be_bytes());
    key
}

/// A row that is due.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    table: DueTable,
    /// The key of the row there.
    row: Vec<u8>,
    version: Version,
    at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DueTable {
    Records,
    Removed,
}

impl Due {
    /// `None` for a row of a table that this version does not sweep.
    fn parse(key: &[u8]) -> Result<Option<Self>> {
        let cut = || fail!(Corrupted, "a row of the table of what is due is cut short");
        let (due, rest) = key.split_first_chunk().ok_or_else(cut)?;
        let (&table, rest) = rest.split_first().ok_or_else(cut)?;
        let (key, version) = rest.split_last_chunk::<VERSION>().ok_or_else(cut)?;
        let [t0, t1, t2, t3, sequence @ ..] = *version;
        let version = Version {
            timeline: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u64::from_be_bytes(sequence),
        };
        let (row, table) = match table {
            table if table == Table::Records as u8 => (key, DueTable::Records),
            table if table == Table::Removed as u8 => (rest, DueTable::Removed),
            _ => return Ok(None),
        };
        Ok(Some(Self { table, row: row.to_vec(), version, at_ms: u64::from_be_bytes(*due) }))
    }
}

/// Where what is due at a time, or before, ends.
fn due_end(now_ms: u64) -> Bound<[u8; 8]> {
    now_ms.checked_add(1).map_or(Bound::Unbounded, |end| Bound::Excluded(end.to_be_bytes()))
}

/// Changes of the table, and of that of subjects, gathered while rows are put into the file.
#[derive(Debug, Default)]
pub(super) struct DueChanges {
    due: Vec<(Vec<u8>, bool)>,
    subjects: SubjectChanges,
}

impl DueChanges {
    /// A record of the file that is replaced or removed: `value` as the file has it.
    pub(super) fn replaced(&mut self, row: &[u8], value: &[u8]) {
        if let Ok((version, envelope)) = Version::split(value) {
            self.note(row, version, envelope, false);
        }
    }

    /// A record that is put.
    pub(super) fn put(&mut self, row: &[u8], version: Version, envelope: &[u8]) {
        self.note(row, version, envelope, true);
    }

    /// A removed record that is replaced or taken away: its row as the file has it.
    pub(super) fn removed_replaced(&mut self, row: &[u8], value: &[u8]) {
        self.note_removed(row, value, false);
    }

    /// A removed record that is put.
    pub(super) fn put_removed(&mut self, row: &[u8], value: &[u8]) {
        self.note_removed(row, value, true);
    }

    fn note_removed(&mut self, row: &[u8], value: &[u8], is_there: bool) {
        if let Some(due_ms) = removed::purge_ms(value) {
            let key = [&due_ms.to_be_bytes()[..], &[Table::Removed as u8], row].concat();
            self.due.push((key, is_there));
        }
        self.subjects.note(Table::Removed, row, value, is_there);
    }

    fn note(&mut self, row: &[u8], version: Version, envelope: &[u8], is_there: bool) {
        if let Some(due_ms) = record::expires_ms(envelope) {
            self.due.push((due_key(due_ms, Table::Records, row, version), is_there));
        }
        self.subjects.note(Table::Records, row, envelope, is_there);
    }

    /// Puts the changes into the tables.
    pub(super) fn apply(mut self, transaction: &WriteTransaction) -> Result<()> {
        self.subjects.apply(transaction)?;
        if self.due.is_empty() {
            return Ok(());
        }
        let mut table = transaction.open_table(EXPIRY).map_err(from_redb)?;
        // Of two changes of one row the later one counts.
        self.due.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, is_there) in &self.due {
            if *is_there {
                table.insert(&key[..], &[][..]).map_err(from_storage)?;
            } else {
                table.remove(&key[..]).map_err(from_storage)?;
            }
        }
        Ok(())
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) removed: u64,
    /// Records that were due, and that a hold covers.
    pub(crate) held: u64,
}

/// A sweep under way, over several transactions of which the last is durable.
#[derive(Debug)]
pub(super) struct Sweep {
    through_ms: u64,
    /// What is held; read once all rows of the checkpoint are put.
    holds: Option<HoldSet>,
    /// What was looked up and is not removed yet, the first row last.
    due: Vec<Due>,
    /// From where up to where the table was looked up last, and whether what was found there is still in it.
    looked_up: (Option<Vec<u8>>, Option<Vec<u8>>),
    is_pending: bool,
    /// Rows that were looked up last and stay, for a hold.
    kept: HashSet<Vec<u8>>,
    /// The slots of records that were removed and had keys of their own, of which no row says so yet.
    doomed: Vec<u64>,
    pub(super) swept: Swept,
}

impl Sweep {
    pub(super) fn new(through_ms: u64) -> Self {
        Self {
            through_ms,
            holds: None,
            due: Vec::new(),
            looked_up: (None, None),
            is_pending: false,
            kept: HashSet::new(),
            doomed: Vec::new(),
            swept: Swept::default(),
        }
    }

    /// Removes rows that are due, and not held, until there are no more, or it may have changed so many bytes; whether that
    /// was all. `declared` are the indexes: a record takes its secondary keys with it, and goes out of the counts. One that was
    /// removed is gone for snapshots from before its removal too. Of those that had keys of their own the file then says that
    /// these are to be destroyed.
    pub(super) fn go_on(
        &mut self,
        transaction: &WriteTransaction,
        (declared, tally, erased, own): (&HashSet<IndexPlace>, &mut Tally, &Erased, &OwnKeys),
        bytes_max: usize,
    ) -> Result<bool> {
        let is_swept = self.remove_due(transaction, (declared, tally, erased), bytes_max)?;
        own.intend(transaction, &mut self.doomed)?;
        Ok(is_swept)
    }

    fn remove_due(
        &mut self,
        transaction: &WriteTransaction,
        (declared, tally, erased): (&HashSet<IndexPlace>, &mut Tally, &Erased),
        bytes_max: usize,
    ) -> Result<bool> {
        let indexed: HashSet<_> = declared.iter().map(|place| place.collection).collect();
        let mut pages = bytes_max / super::checkpoint::PAGE_BYTES;
        if self.holds.is_none() {
            self.holds = Some(holds_in(transaction)?);
        }
        loop {
            if self.due.is_empty() {
                if !self.look_up(transaction)? {
                    return Ok(true);
                }
                continue;
            }
            if pages == 0 {
                return Ok(false);
            }
            let mut subjects = SubjectChanges::default();
            let mut records = transaction.open_table(RECORDS).map_err(from_redb)?;
            let mut removed = None;
            let secondary = (!indexed.is_empty()).then(|| transaction.open_table(SECONDARY));
            let mut secondary = secondary.transpose().map_err(from_redb)?;
            while pages > 0 {
                let Some(due) = self.due.pop() else { break };
                if due.table == DueTable::Removed {
                    let removed = match &mut removed {
                        Some(removed) => removed,
                        removed => removed.insert(transaction.open_table(REMOVED).map_err(from_redb)?),
                    };
                    let parts = (&mut *tally, &mut subjects, &mut self.doomed);
                    let fate = purge(removed, &due, parts, self.holds.as_ref())?;
                    if fate == Fate::Held {
                        self.kept.insert(
                            [&due.at_ms.to_be_bytes()[..], &[Table::Removed as u8], &due.row].concat(),
                        );
                        self.swept.held += 1;
                    }
                    if fate == Fate::Due {
                        let place = RemovedPlace::parse(&due.row)?;
                        let row = record_row(place.collection, &place.key).into();
                        erased.note(&[(place.version.sequence.saturating_add(1), row)]);
                        self.swept.removed += 1;
                    }
                    pages = pages.saturating_sub(1);
                    continue;
                }
                let fate = fate(&records, &due, self.holds.as_ref())?;
                if fate == Fate::Held {
                    self.kept.insert(due_key(due.at_ms, Table::Records, &due.row, due.version));
                    self.swept.held += 1;
                }
                if fate == Fate::Due {
                    let (collection, record) = split_row_key(&due.row)?;
                    if let Some(secondary) = secondary.as_mut().filter(|_| indexed.contains(&collection)) {
                        secondary::take_away(secondary, collection, record, None)?;
                        pages = pages.saturating_sub(1);
                    }
                    let swept = records.remove(&due.row[..]).map_err(from_storage)?;
                    tally.note(&due.row, swept.as_ref().map(AccessGuard::value), None)?;
                    if let Some(swept) = &swept {
                        let envelope = Version::split(swept.value())?.1;
                        self.doomed.extend(record::own_slot(envelope));
                        subjects.note(Table::Records, &due.row, envelope, false);
                    }
                    self.swept.removed += 1;
                }
                pages = pages.saturating_sub(1);
            }
            subjects.apply(transaction)?;
        }
    }

    /// Forgets what was removed and looks up what is due next, in the order of its keys in the file; whether there is any.
    fn look_up(&mut self, transaction: &WriteTransaction) -> Result<bool> {
        let mut table = transaction.open_table(EXPIRY).map_err(from_redb)?;
        let behind = |key: Option<Vec<u8>>| key.map_or(Bound::Unbounded, Bound::Excluded);
        let (begin, last) = self.looked_up.clone();
        if let Some(last) = last.as_deref().filter(|_| self.is_pending) {
            let stays = |key: &[u8], _: &[u8]| self.kept.contains(key) || matches!(Due::parse(key), Ok(None));
            let begin = behind(begin);
            let bounds = (begin.as_ref().map(Vec::as_slice), Bound::Included(last));
            table.retain_in::<&[u8], _>(bounds, stays).map_err(from_storage)?;
            self.kept.clear();
        }
        self.looked_up.0.clone_from(&last);
        let from = behind(last);
        let end = due_end(self.through_ms);
        let bounds = (from.as_ref().map(Vec::as_slice), end.as_ref().map(|end| &end[..]));
        self.is_pending = false;
        for row in table.range::<&[u8]>(bounds).map_err(from_storage)?.take(PASS_ROWS) {
            let (key, _) = row.map_err(from_storage)?;
            self.due.extend(Due::parse(key.value())?);
            self.looked_up.1 = Some(key.value().to_vec());
            self.is_pending = true;
        }
        self.due.sort_unstable_by(|a, b| b.cmp(a));
        Ok(self.is_pending)
    }
}

/// What becomes of a row that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Due,
    Held,
    /// The record is another one by now.
    Gone,
}

/// Whether a record still is the one that is due, and may go.
fn fate(
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
    due: &Due,
    holds: Option<&HoldSet>,
) -> Result<Fate> {
    let Some(found) = records.get(&due.row[..]).map_err(from_storage)? else { return Ok(Fate::Gone) };
    let (version, envelope) = Version::split(found.value())?;
    if version != due.version || record::expires_ms(envelope) != Some(due.at_ms) {
        return Ok(Fate::Gone);
    }
    match holds.filter(|holds| !holds.is_empty()) {
        Some(holds) if holds.covers(&due.row, Envelope::parse(envelope)?.slots.subject) => Ok(Fate::Held),
        _ => Ok(Fate::Due),
    }
}

/// Erases a removed record that still is the one that is due, unless it is held.
fn purge(
    removed: &mut secondary::Writing<'_>,
    due: &Due,
    (tally, subjects, doomed): (&mut Tally, &mut SubjectChanges, &mut Vec<u64>),
    holds: Option<&HoldSet>,
) -> Result<Fate> {
    {
        let Some(found) = removed.get(&due.row[..]).map_err(from_storage)? else { return Ok(Fate::Gone) };
        let row = RemovedRow::parse(found.value())?;
        if row.purge_ms != due.at_ms {
            return Ok(Fate::Gone);
        }
        if let Some(holds) = holds.filter(|holds| !holds.is_empty()) {
            let place = RemovedPlace::parse(&due.row)?;
            let key = record_row_key(place.collection, &place.key);
            if holds.covers(&key, Envelope::parse(row.envelope)?.slots.subject) {
                return Ok(Fate::Held);
            }
        }
        doomed.extend(record::own_slot(row.envelope));
    }
    let gone = removed.remove(&due.row[..]).map_err(from_storage)?;
    tally.note_removed(&due.row, gone.as_ref().map(AccessGuard::value), None)?;
    if let Some(gone) = &gone {
        subjects.note(Table::Removed, &due.row, gone.value(), false);
    }
    Ok(Fate::Due)
}

impl Partition {
    /// When the next record expires, or the time of a removed one is over, in the file or before it; none where none does.
    pub(crate) fn next_due_ms(&self) -> Result<Option<u64>> {
        let view = self.view()?;
        let in_file = match view.tables.as_ref().and_then(|tables| Some((tables, tables.expiry.as_ref()?))) {
            Some((tables, expiry)) => tables.opened.watch(|| first_due(expiry))?,
            None => None,
        };
        let frozen = view.frozen.as_ref().and_then(|frozen| frozen.table.next_due_ms());
        Ok([in_file, frozen, view.active.next_due_ms()].into_iter().flatten().min())
    }
}

/// Records that are due, a piece at a time.
const DUE_PIECE: usize = 1_024;

impl Partition {
    /// Calls `visit` with each record that has expired at a time, and each removed one whose time is over, in memory or in
    /// the file, as it is there, with its table; until it fails. What is in the file and due was not swept: a hold covered it, or
    /// it came since.
    pub(crate) fn for_each_due(
        &self,
        through_ms: u64,
        mut visit: impl FnMut(Table, &Row) -> Result<()>,
    ) -> Result<()> {
        let snapshot = self.snapshot()?;
        let is_due =
            |envelope: &[u8]| record::expires_ms(envelope).is_some_and(|due_ms| due_ms <= through_ms);
        let is_over = |row: &[u8]| removed::purge_ms(row).is_some_and(|due_ms| due_ms <= through_ms);
        let mut rows = snapshot.rows_in_memory(Table::Records, is_due);
        for row in snapshot.rows_in_memory(Table::Removed, is_over) {
            // The mark of its key may have erased it.
            if snapshot.is_removed(&row.key)? {
                visit(Table::Removed, &row)?;
            }
        }
        let mut from = Bound::Unbounded;
        loop {
            rows.drain(..).try_for_each(|row| visit(Table::Records, &row))?;
            let Some(tables) = &snapshot.tables else { return Ok(()) };
            let Some(expiry) = &tables.expiry else { return Ok(()) };
            let mut due = Vec::new();
            tables.opened.watch(|| {
                let end = due_end(through_ms);
                let bounds = (from.as_ref().map(Vec::as_slice), end.as_ref().map(|end| &end[..]));
                for row in expiry.range::<&[u8]>(bounds).map_err(from_storage)?.take(DUE_PIECE) {
                    let (key, _) = row.map_err(from_storage)?;
                    due.push(key.value().to_vec());
                }
                Ok(())
            })?;
            let Some(last) = due.last().cloned() else { return Ok(()) };
            for key in due {
                let Some(due) = Due::parse(&key)? else { continue };
                if due.table == DueTable::Removed {
                    if let Some(row) = snapshot.removed_row(&due.row)? {
                        visit(Table::Removed, &row)?;
                    }
                    continue;
                }
                let (collection, key) = split_row_key(&due.row)?;
                let found = snapshot.record(collection, key, |version, envelope| {
                    let value = bytes::Bytes::copy_from_slice(envelope);
                    Ok(Row { key: due.row.clone(), version, value })
                })?;
                rows.extend(found.filter(|row| row.version == due.version));
            }
            from = Bound::Excluded(last);
        }
    }
}

fn first_due(expiry: &ReadTable) -> Result<Option<u64>> {
    let first = expiry.first().map_err(from_storage)?;
    Ok(first.and_then(|(key, _)| key.value().first_chunk().copied()).map(u64::from_be_bytes))
}

/// How many records of the file have expired.
pub(super) fn count_expired(expiry: &ReadTable, now_ms: u64) -> Result<u64> {
    let end = due_end(now_ms);
    let bounds = (Bound::Unbounded, end.as_ref().map(|end| &end[..]));
    let mut count = 0;
    for row in expiry.range::<&[u8]>(bounds).map_err(from_storage)? {
        let (key, _) = row.map_err(from_storage)?;
        count += u64::from(Due::parse(key.value())?.is_some_and(|due| due.table == DueTable::Records));
    }
    Ok(count)
}
