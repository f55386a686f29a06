//! Removal that can be undone: remove, restore, and what is removed.
//!
//! A removal or restoration moves a record between two tables in one change. Its caller reads the record, which the change
//! carries; that it still is what was read, is a condition that the leader decides in memory.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::RangeBounds;

use bytes::Bytes;

use crate::collection::{Cursor, CursorScope, REMOVED_ORDER, RemovedRecord, ScanOptions};
use crate::error::{ErrorKind, Result, fail};
use crate::id::{CollectionId, Version};
use crate::keys::Fate;
use crate::limits::{VALUE_BYTES_MAX, check_record_key};
use crate::partition::{Changes, RemovedPlace, RemovedRow, Row, RowScan, Table, encode_list, record_row};
use crate::record::{Envelope, KeySlots, RecordPlace};
use crate::tenant::change::{Condition, Terms, Unchanged};
use crate::tenant::handle::record_info;
use crate::tenant::index::Indexed;
use crate::tenant::{Batch, Collection, EraseReport, Tenant};

/// Records that a range's removal moves in one batch, and their bytes, about.
const MOVED_AT_ONCE: usize = 1_000;
const MOVED_BYTES: u64 = 8 << 20;

/// A record as it is to be moved.
pub(super) struct Moving {
    pub(super) version: Version,
    pub(super) envelope: Vec<u8>,
}

impl Batch {
    /// Removes a record, if it is there: readers do not find it any more, and it can be restored until its removal window is
    /// over ([`Policy::removal_window`](crate::Policy::removal_window)), or it expires. Whether there was one. What is removed is what was there when this
    /// is called: where it is changed until the batch is made, the batch is not made (`Conflict`).
    ///
    /// # Errors
    /// Those of [`Batch::put`] for a key and a collection; `InvalidArgument` for a record that this batch puts; `Held` where the
    /// policy still keeps it; those of reading.
    pub fn remove(&mut self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<bool> {
        self.remove_expected(collection, key.as_ref(), None)
    }

    /// Removes a record that has this version; otherwise the batch is not made (`Conflict`, here already).
    ///
    /// # Errors
    /// Those of [`Batch::remove`]; `Conflict`.
    pub fn remove_if_version(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        version: Version,
    ) -> Result<()> {
        self.remove_expected(collection, key.as_ref(), Some(version)).map(|_| ())
    }

    fn remove_expected(
        &mut self,
        collection: &Collection,
        key: &[u8],
        expected: Option<Version>,
    ) -> Result<bool> {
        check_record_key(key)?;
        self.check_owner(collection)?;
        let id = self.tenant.find_collection(collection.name())?;
        if let Some(id) = id {
            self.check_unchanged(id, key)?;
        }
        let found = id.map(|id| self.tenant.movable(id, key)).transpose()?.flatten();
        if expected.is_some() && found.as_ref().map(|found| found.version) != expected {
            return Err(fail!(Conflict, "the record was changed since: read it again and decide anew"));
        }
        let (Some(id), Some(found)) = (id, found) else { return Ok(false) };
        self.tenant.check_age(self.tenant.policy_of(id)?, &found.envelope)?;
        self.move_to_removed(id, key, &found, true)?;
        self.note_changed(id, key);
        Ok(true)
    }

    /// Restores the record that was removed last of a key: it is back as it was, with value, times, version and secondary keys.
    /// Whether there was one. Where the key is taken when the batch is made, or one of its unique keys is, the batch is not
    /// made (`Conflict`).
    ///
    /// Indexes that were declared since have no key of it.
    ///
    /// # Errors
    /// Those of [`Batch::remove`].
    pub fn restore(&mut self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<bool> {
        self.restore_expected(collection, key.as_ref(), None)
    }

    /// [`Batch::restore`] of the removed record that had this version.
    ///
    /// # Errors
    /// Those of [`Batch::restore`].
    pub fn restore_version(
        &mut self,
        collection: &Collection,
        key: impl AsRef<[u8]>,
        version: Version,
    ) -> Result<bool> {
        self.restore_expected(collection, key.as_ref(), Some(version))
    }

    fn restore_expected(
        &mut self,
        collection: &Collection,
        key: &[u8],
        version: Option<Version>,
    ) -> Result<bool> {
        check_record_key(key)?;
        self.check_owner(collection)?;
        let Some(id) = self.tenant.find_collection(collection.name())? else { return Ok(false) };
        self.check_unchanged(id, key)?;
        let Some((place, value)) = self.tenant.restorable(id, key, version)? else { return Ok(false) };
        let row = RemovedRow::parse(&value)?;
        let indexed = Indexed::kept(&self.tenant, id, row.list)?;
        let bytes = self.bytes + 2 * key.len() + value.len();
        self.check_bounds(bytes)?;
        self.bytes = bytes;
        let condition =
            Condition { collection: id, key: key.to_vec(), expected: None, salt: None, is_own: false };
        self.conditions.push(condition);
        self.targets.add_moved(id);
        self.changes.reseal(&[&id.to_be_bytes(), key], place.version, row.envelope);
        self.changes.move_away(Table::Removed, &[&place.row()]);
        if !indexed.is_empty() {
            indexed.put(&mut self.changes, id, key, Some(place.version));
            self.claims.extend(indexed.claims(id, key));
        }
        self.unchanged.push(Unchanged::Removed { row: place.row(), value });
        self.note_changed(id, key);
        Ok(true)
    }

    /// Puts a record among the removed ones; its own row is moved away, or else is put over by the caller.
    pub(super) fn move_to_removed(
        &mut self,
        id: CollectionId,
        key: &[u8],
        record: &Moving,
        moves: bool,
    ) -> Result<()> {
        let tenant = self.tenant.clone();
        let envelope = Envelope::parse(&record.envelope)?;
        let keys = tenant.0.partition.list_of(id, key, record.version)?;
        let list = encode_list(&keys);
        let bytes = self.bytes + 2 * key.len() + list.len() + record.envelope.len();
        self.check_bounds(bytes)?;
        self.bytes = bytes;
        let now_ms = tenant.0.clock.now_ms();
        let purge_ms = tenant.policy_of(id)?.purge_ms(now_ms, envelope.times.expires_ms);
        let row = RemovedRow { removed_ms: now_ms, purge_ms, list: &list, envelope: &record.envelope };
        let place = RemovedPlace { collection: id, key: key.to_vec(), version: record.version };
        self.changes.put(Table::Removed, &[&place.row()], &[&row.encode()]);
        if moves {
            self.changes.move_away(Table::Records, &[&id.to_be_bytes(), key]);
        }
        self.targets.add_moved(id);
        self.require_same(id, key, Some(record))?;
        self.unchanged.push(Unchanged::List {
            collection: id,
            key: key.to_vec(),
            version: record.version,
            keys,
        });
        Ok(())
    }

    /// Makes the batch depend on a record's being what was read.
    pub(super) fn require_same(
        &mut self,
        id: CollectionId,
        key: &[u8],
        record: Option<&Moving>,
    ) -> Result<()> {
        let salt = record.map(|record| Ok(Envelope::parse(&record.envelope)?.salt())).transpose()?;
        let expected = record.map(|record| record.version);
        self.conditions.push(Condition { collection: id, key: key.to_vec(), expected, salt, is_own: true });
        Ok(())
    }

    /// Whether the batch changes a record already.
    pub(super) fn has_changed(&mut self, id: CollectionId, key: &[u8]) -> bool {
        let so_far = &self.changes;
        let changed = self.changed.get_or_insert_with(|| so_far.records());
        changed.contains(&record_row(id, key))
    }

    /// Refuses to move a record that the batch changes before.
    fn check_unchanged(&mut self, id: CollectionId, key: &[u8]) -> Result<()> {
        if !self.has_changed(id, key) {
            return Ok(());
        }
        Err(fail!(
            InvalidArgument,
            "a batch can't remove or restore a record that it changes before: use two"
        ))
    }

    /// The batch changes a record.
    pub(super) fn note_changed(&mut self, id: CollectionId, key: &[u8]) {
        if let Some(changed) = &mut self.changed {
            changed.insert(record_row(id, key));
        }
    }
}

impl Tenant {
    /// A record that is there, once no destruction of a key of it is under way.
    pub(super) fn movable(&self, collection: CollectionId, key: &[u8]) -> Result<Option<Moving>> {
        let found = self.0.partition.record(collection, key, |version, envelope| {
            let is_live = self.if_live(envelope, |_| Ok(()))?.is_some();
            Ok(is_live.then(|| Moving { version, envelope: envelope.to_vec() }))
        })?;
        if let Some(found) = found.iter().flatten().next() {
            self.await_keys(Envelope::parse(&found.envelope)?.slots);
        }
        Ok(found.flatten())
    }

    /// The removed record of a key that can be restored: the newest one, or that of a version.
    fn restorable(
        &self,
        collection: CollectionId,
        key: &[u8],
        version: Option<Version>,
    ) -> Result<Option<(RemovedPlace, Bytes)>> {
        let now_ms = self.0.clock.now_ms();
        let removed = self.0.partition.snapshot()?.removed_of(collection, key)?;
        for (place, value) in removed.into_iter().rev() {
            let row = RemovedRow::parse(&value)?;
            if row.purge_ms <= now_ms || version.is_some_and(|version| version != place.version) {
                continue;
            }
            let envelope = Envelope::parse(row.envelope)?;
            // Of one that can't be read any more, because a key of it is destroyed, there is nothing to restore.
            if self.await_keys(envelope.slots)
                && self.0.sealer.check(RecordPlace { collection, key }, &envelope)?
            {
                return Ok(Some((place, value)));
            }
        }
        Ok(None)
    }

    /// Waits while a key is being destroyed; whether all of them may be used then.
    fn await_keys(&self, slots: KeySlots) -> bool {
        let destructions = self.0.keyring.destructions();
        slots.iter().all(|(kind, slot)| {
            destructions.wait(kind, slot);
            destructions.fate(kind, slot) == Fate::Untouched
        })
    }

    /// Erases removed records for good, those that are still there.
    fn erase_removed_rows(&self, records: &[RemovedRecord], collection: CollectionId) -> Result<()> {
        let mut changes = Changes::default();
        let policy = self.policy_of(collection)?;
        for record in records {
            self.check_written(policy, record.info.written_ms)?;
            let place = RemovedPlace { collection, key: record.key.clone(), version: record.info.version };
            changes.delete(Table::Removed, &[&place.row()]);
        }
        self.put_unscrubbed(&mut changes)?;
        self.make(changes, &Terms::default(), true).map(|_| ())
    }
}

impl Collection {
    /// Removes a record: readers do not find it any more, and it can be restored until its removal window is over
    /// ([`Policy::removal_window`](crate::Policy::removal_window), 30 days unless set), or it expires. Then the sweep erases it. Its
    /// secondary keys are free meanwhile. Whether there was one. Durable when this returns.
    ///
    /// Until it is erased it counts for quotas, and its bytes stay: [`Collection::erase`] erases at once.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded` for a key; `Held` where the policy still keeps it; those of reading and writing.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        while self.info(key)?.is_some() {
            match self.tenant().write(|batch| batch.remove(self, key).map(|_| ())) {
                // It was changed meanwhile.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                made => return made.map(|_| true),
            }
        }
        Ok(false)
    }

    /// Removes a record, if it still has this version.
    ///
    /// # Errors
    /// `Conflict` where it has another one, or is not there; those of [`Collection::remove`].
    pub fn remove_if_version(&self, key: impl AsRef<[u8]>, version: Version) -> Result<Version> {
        let key = key.as_ref();
        loop {
            match self.tenant().write(|batch| batch.remove_if_version(self, key, version)) {
                // It was sealed anew meanwhile, or a key of it was looked for.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && self.info(key)?.is_some_and(|info| info.version == version) => {}
                ended => return ended,
            }
        }
    }

    /// Removes the records whose keys lie in `range`; gives how many. In batches, as [`Collection::erase_range`].
    ///
    /// # Errors
    /// Those of [`Collection::remove`].
    pub fn remove_range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<u64> {
        self.remove_all(ScanOptions::new().range(range))
    }

    /// [`Collection::remove_range`] of the records whose keys begin with `prefix`.
    ///
    /// # Errors
    /// Those of [`Collection::remove`].
    pub fn remove_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        self.remove_all(ScanOptions::new().prefix(prefix))
    }

    fn remove_all(&self, options: ScanOptions) -> Result<u64> {
        let mut removed = 0;
        let mut options = options.keys_only(true).limit(MOVED_AT_ONCE);
        loop {
            let entries = self.scan_with(options.clone())?.collect::<Result<Vec<_>>>()?;
            let Some(last) = entries.last() else { return Ok(removed) };
            options.behind(&last.key);
            for part in parts(&entries, |entry| entry.info.value_bytes) {
                let made = self.tenant().write(|batch| {
                    part.iter()
                        .try_for_each(|entry| batch.remove_if_version(self, &entry.key, entry.info.version))
                });
                match made {
                    Ok(_) => removed += part.len() as u64,
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        for entry in part {
                            removed += u64::from(self.remove(&entry.key)?);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if entries.len() < MOVED_AT_ONCE {
                return Ok(removed);
            }
        }
    }

    /// Restores the record that was removed last of a key: it is back as it was, with its value, times, version and secondary
    /// keys. Whether there was one. Durable when this returns.
    ///
    /// Indexes that were declared since have no key of it.
    ///
    /// # Errors
    /// `Conflict` where there is a record of the key by now, or another one has one of its unique keys; `Held` where a hold covers
    /// a record of the key that has expired; `InvalidArgument`, `LimitExceeded` for a key; those of reading and writing.
    pub fn restore(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.restore_expected(key.as_ref(), None)
    }

    /// [`Collection::restore`] of the removed record that had this version.
    ///
    /// # Errors
    /// Those of [`Collection::restore`].
    pub fn restore_version(&self, key: impl AsRef<[u8]>, version: Version) -> Result<bool> {
        self.restore_expected(key.as_ref(), Some(version))
    }

    fn restore_expected(&self, key: &[u8], version: Option<Version>) -> Result<bool> {
        check_record_key(key)?;
        let tenant = self.tenant();
        tenant.check_usable()?;
        loop {
            let Some(id) = tenant.find_collection(self.name())? else { return Ok(false) };
            let Some(before) = tenant.restorable(id, key, version)? else { return Ok(false) };
            let mut is_there = false;
            let made = tenant.write(|batch| {
                is_there = batch.restore_version(self, key, before.0.version)?;
                Ok(())
            });
            match made {
                // It was sealed anew, restored or erased meanwhile.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && !self.contains(key)?
                        && (error.is_retryable()
                            || tenant.restorable(id, key, version)?.as_ref() != Some(&before)) => {}
                made => return made.map(|_| is_there),
            }
        }
    }

    /// Restores of each key in `range` of which records were removed the one that was removed last; gives how many. Where the
    /// key is taken, or a unique key, it stays removed. In batches, as [`Collection::erase_range`].
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn restore_range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<u64> {
        self.restore_all(ScanOptions::new().range(range))
    }

    /// [`Collection::restore_range`] of keys that begin with `prefix`.
    ///
    /// # Errors
    /// Those of [`Collection::restore_range`].
    pub fn restore_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        self.restore_all(ScanOptions::new().prefix(prefix))
    }

    fn restore_all(&self, options: ScanOptions) -> Result<u64> {
        let mut restored = 0;
        let mut options = options.limit(MOVED_AT_ONCE);
        loop {
            let mut removed = self.removed(options.clone())?.collect::<Result<Vec<_>>>()?;
            let count = removed.len();
            let Some(last) = removed.last() else { return Ok(restored) };
            options.behind(&last.key);
            removed.dedup_by(|a, b| a.key == b.key);
            for part in parts(&removed, |record| record.info.value_bytes) {
                let mut moved = 0;
                let made = self.tenant().write(|batch| {
                    for record in part {
                        moved += u64::from(batch.restore(self, &record.key)?);
                    }
                    Ok(())
                });
                match made {
                    Ok(_) => restored += moved,
                    Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Held) => {
                        for record in part {
                            match self.restore(&record.key) {
                                Err(error)
                                    if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Held) => {}
                                one => restored += u64::from(one?),
                            }
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if count < MOVED_AT_ONCE {
                return Ok(restored);
            }
        }
    }

    /// The removed records that can be restored, of the keys that `options` name, in the order of their keys and, of one key, of
    /// their versions: a snapshot. Pages go on behind [`RemovedScan::cursor`]. No value is opened.
    ///
    /// # Errors
    /// `InvalidArgument` for a cursor of another collection, order or direction; those of reading.
    #[allow(clippy::needless_pass_by_value, reason = "options are built for one call")]
    pub fn removed(&self, options: ScanOptions) -> Result<RemovedScan> {
        let tenant = self.tenant();
        tenant.check_usable()?;
        let collection = tenant.find_collection(self.name())?;
        let reverse = options.is_reverse();
        let scope = CursorScope {
            // Where there is no such collection, no cursor is of it.
            collection: collection.unwrap_or(CollectionId(0)),
            index: REMOVED_ORDER,
            reverse,
        };
        let position = match &options.after {
            Some(cursor) => tenant.0.cursors.open(scope, cursor)?,
            None => Vec::new(),
        };
        let snapshot = tenant.0.partition.snapshot()?;
        let bounds = collection.and_then(|collection| options.removed_bounds(collection, &position));
        let rows = bounds.map(|(from, to)| snapshot.scan(Table::Removed, &from, &to, reverse)).transpose()?;
        Ok(RemovedScan { tenant: tenant.clone(), rows, next: None, scope, position, left: options.limit })
    }

    /// Erases what is removed of the keys that `options` name; gives how many records.
    pub(super) fn erase_all_removed(&self, mut options: ScanOptions) -> Result<EraseReport> {
        let mut report = EraseReport::default();
        if !self.tenant().0.partition.may_have_removed() {
            return Ok(report);
        }
        loop {
            let Some(id) = self.tenant().find_collection(self.name())? else { return Ok(report) };
            let mut scan = self.removed(options.clone().limit(MOVED_AT_ONCE))?;
            let records = scan.by_ref().collect::<Result<Vec<_>>>()?;
            if records.is_empty() {
                return Ok(report);
            }
            match self.tenant().erase_removed_rows(&records, id) {
                Ok(()) => report.records += records.len() as u64,
                Err(error) if error.kind() == ErrorKind::Held => {
                    for record in &records {
                        match self.tenant().erase_removed_rows(std::slice::from_ref(record), id) {
                            Ok(()) => report.records += 1,
                            Err(error) if error.kind() == ErrorKind::Held => report.held += 1,
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            options.after = scan.cursor()?;
            if options.after.is_none() {
                return Ok(report);
            }
        }
    }
}

/// Parts of records of which each is moved in one batch.
fn parts<T>(records: &[T], value_bytes: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (place, record) in records.iter().enumerate() {
        // A longer one lies in chunks, which stay where they are.
        let size = Some(value_bytes(record)).filter(|bytes| *bytes <= VALUE_BYTES_MAX as u64).unwrap_or(0);
        if bytes + size > MOVED_BYTES {
            parts.push(&records[from..place]);
            (from, bytes) = (place, 0);
        }
        bytes += size;
    }
    parts.push(&records[from..]);
    parts
}

/// An iterator over removed records, as they were when it began. As long as it lives, the tenant keeps what it shows: do not
/// keep one for later, keep its [`RemovedScan::cursor`].
pub struct RemovedScan {
    tenant: Tenant,
    rows: Option<RowScan>,
    /// What was taken from `rows` and not looked at yet.
    next: Option<Result<Row>>,
    scope: CursorScope,
    /// The row of the last record that was passed, without its collection.
    position: Vec<u8>,
    left: usize,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for RemovedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemovedScan").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl RemovedScan {
    /// Where another scan of removed records of the same collection and direction goes on behind the last one that this one
    /// gave: [`ScanOptions::after`]. `None` where nothing comes behind it.
    ///
    /// # Errors
    /// `Io` where the operating system gives no randomness.
    pub fn cursor(&mut self) -> Result<Option<Cursor>> {
        // Those whose time to be restored is over are no reason to come again.
        while self.next.is_none()
            && let Some(row) = self.rows.as_mut().and_then(Iterator::next)
        {
            let is_nothing = row.as_ref().is_ok_and(|row| matches!(self.record(row), Ok(None)));
            self.next = Some(row).filter(|_| !is_nothing);
        }
        if self.next.is_none() {
            return Ok(None);
        }
        let inner = &self.tenant.0;
        inner.cursors.seal(&*inner.entropy, self.scope, &self.position).map(Some)
    }

    fn record(&self, row: &Row) -> Result<Option<RemovedRecord>> {
        let place = RemovedPlace::parse(&row.key)?;
        let removed = RemovedRow::parse(&row.value)?;
        if removed.purge_ms <= self.tenant.0.clock.now_ms() {
            return Ok(None);
        }
        let info = record_info(place.version, &Envelope::parse(removed.envelope)?);
        let (removed_ms, erased_from_ms) = (removed.removed_ms, removed.purge_ms);
        Ok(Some(RemovedRecord { key: place.key, info, removed_ms, erased_from_ms }))
    }
}

impl Iterator for RemovedScan {
    type Item = Result<RemovedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let checked = self.tenant.check_usable().and_then(|()| {
            if self.tenant.was_dropped(self.scope.collection) {
                return Err(fail!(SnapshotExpired, "the collection was dropped while it was scanned"));
            }
            Ok(())
        });
        if let Err(error) = checked {
            (self.left, self.rows) = (0, None);
            return Some(Err(error));
        }
        loop {
            let row = match self.next.take() {
                Some(row) => row,
                None => self.rows.as_mut()?.next()?,
            };
            let record = row.inspect_err(|_| self.left = 0).and_then(|row| {
                self.position.clear();
                self.position.extend(row.key.get(CollectionId::BYTES..).unwrap_or_default());
                self.record(&row)
            });
            if let Some(record) = record.transpose() {
                self.left = self.left.saturating_sub(1);
                return Some(record);
            }
        }
    }
}

impl FusedIterator for RemovedScan {}
