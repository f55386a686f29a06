//! The data keys of a tenant: rotation by hand, age and count; sealing records anew under the current one (rekey); and the
//! end of one that no record uses any more.

use std::ops::Bound;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{ErrorKind, Result, fail};
use crate::id::Version;
use crate::keys::{SlotKind, SlotStatus};
use crate::partition::{Changes, RemovedPlace, RemovedRow, Row, Table, split_row_key};
use crate::record::{Envelope, ErasureKeys, RecordPlace};
use crate::tenant::change::{Condition, Terms, Unchanged};
use crate::tenant::collections::Targets;
use crate::tenant::upload_row::{self, UploadRow};
use crate::tenant::{Rotation, Tenant};

/// Directory rows: how many records were sealed under a data key.
const COUNTS: &[u8] = b"sc";
/// Rows looked at between two snapshots: nothing is held on to for longer.
const PIECE: usize = 256;
/// A count is kept once it has grown by so much; by less, where the policy's limit is small.
const COUNT_STEP: u64 = 1_000;

/// What becomes of a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKeyState {
    /// New records are sealed under it.
    Current,
    /// Older records are sealed under it.
    Older,
    /// It was destroyed.
    Destroyed,
}

/// What is known of a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKeyInfo {
    /// Its generation: the number of its slot. A later one is greater, not always by one.
    pub generation: u32,
    /// What becomes of it.
    pub state: DataKeyState,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: u64,
    /// How old it is by the store's clock, in milliseconds.
    pub age_ms: u64,
    /// Records sealed under it, at least: a count may miss up to 1,000 for each time that the tenant was opened.
    pub records_sealed: u64,
}

/// How [`Tenant::rekey`] goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyOptions {
    records_per_second: Option<u32>,
    records: Option<u64>,
}

impl RekeyOptions {
    /// All at once, as fast as it goes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many records a second are sealed anew; 1 or more.
    #[must_use]
    pub fn records_per_second(mut self, records: u32) -> Self {
        self.records_per_second = Some(records.max(1));
        self
    }

    /// Ends after so many records were sealed anew. Called again it goes on.
    #[must_use]
    pub fn records(mut self, records: u64) -> Self {
        self.records = Some(records);
        self
    }
}

/// What a rekey did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyReport {
    /// The generation that is current.
    pub generation: u32,
    /// Records looked at, removed ones with the others.
    pub records: u64,
    /// Records sealed anew.
    pub resealed: u64,
    /// Records that were written or erased while they were looked at: they need nothing.
    pub overtaken: u64,
    /// Records whose values lie in chunks: they stay under the key they were put under.
    pub large: u64,
    /// Records that do not open, and were left as they are.
    pub unreadable: u64,
    /// Whether it came to the end: no readable record is under an older generation that was put before it began.
    pub is_complete: bool,
}

/// Makes a change under terms, durable or not.
type Make = fn(&Tenant, Changes, &Terms, bool) -> Result<Version>;

/// What became of a record that was to be sealed anew.
#[derive(Debug)]
pub(super) enum Resealing {
    Resealed,
    Overtaken,
    /// Its value lies in chunks.
    Large,
    /// It is hidden already: a key of it is destroyed.
    Hidden,
}

impl Tenant {
    /// Makes a new data key, which new records are sealed under; durable when this returns. Older records stay under their
    /// keys until [`Tenant::rekey`]. Gives its generation.
    ///
    /// # Errors
    /// `KeyUnavailable` from the key provider; `Io`; `LimitExceeded` where the keyring is full.
    pub fn rotate_data_key(&self) -> Result<u32> {
        self.0.process.check()?;
        let _one = self.0.rotating.lock();
        self.rotate_locked()
    }

    fn rotate_locked(&self) -> Result<u32> {
        let inner = &*self.0;
        inner.partition.check_open()?;
        let generation = inner.keyring.fill(SlotKind::Data, SlotStatus::Live, inner.clock.now_ms(), 1)?;
        tracing::info!(tenant = %inner.id, generation, "a new data key");
        Ok(generation)
    }

    /// Makes a new data key where the current one is older, or was used for more records, than the policy says. One that
    /// was not used since the tenant was opened stays.
    pub(super) fn rotate_if_due(&self) -> Result<()> {
        let inner = &*self.0;
        let current = inner.keyring.current_data_slot()?;
        if inner.sealer.sealed_under(current) == 0 {
            return Ok(());
        }
        let Rotation { age, records } = inner.keeper.rotation();
        let info = self.data_key_info(current)?;
        if Duration::from_millis(info.age_ms) < age && info.records_sealed < records {
            return if inner.counts.lock().is_step(current, inner.sealer.sealed_under(current), records) {
                self.save_counts()
            } else {
                Ok(())
            };
        }
        let _one = inner.rotating.lock();
        // Somebody may have made one meanwhile.
        if inner.keyring.current_data_slot()? == current { self.rotate_locked().map(|_| ()) } else { Ok(()) }
    }

    /// The data keys there are and were, the oldest first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn data_keys(&self) -> Result<Vec<DataKeyInfo>> {
        self.0.process.check()?;
        self.0.keyring.data_slots().into_iter().map(|generation| self.data_key_info(generation)).collect()
    }

    /// How old the data key for new records is.
    pub(crate) fn data_key_age_ms(&self) -> Result<u64> {
        let keyring = &self.0.keyring;
        let (_, created_ms) = keyring.data_slot_state(keyring.current_data_slot()?)?;
        Ok(self.0.clock.now_ms().saturating_sub(created_ms))
    }

    fn data_key_info(&self, generation: u32) -> Result<DataKeyInfo> {
        let keyring = &self.0.keyring;
        let (status, created_ms) = keyring.data_slot_state(generation)?;
        let state = match status {
            SlotStatus::Destroyed => DataKeyState::Destroyed,
            _ if generation == keyring.current_data_slot()? => DataKeyState::Current,
            _ => DataKeyState::Older,
        };
        let unsaved = self.0.sealer.sealed_under(generation) - self.0.counts.lock().saved(generation);
        let records_sealed = self.saved_count(generation)? + unsaved;
        let age_ms = self.0.clock.now_ms().saturating_sub(created_ms);
        Ok(DataKeyInfo { generation, state, created_ms, age_ms, records_sealed })
    }

    fn saved_count(&self, generation: u32) -> Result<u64> {
        let row = self.0.partition.directory_row(&[COUNTS, &generation.to_be_bytes()].concat())?;
        let parse = |row: Vec<u8>| row.try_into().map(u64::from_le_bytes);
        row.map_or(Ok(0), parse).map_err(|_| fail!(Corrupted, "a count of records is malformed"))
    }

    /// Keeps the counts that have grown by more than a little.
    pub(super) fn save_counts(&self) -> Result<()> {
        let inner = &*self.0;
        let limit = inner.keeper.rotation().records;
        let mut changes = Changes::default();
        let mut counts = inner.counts.lock();
        for generation in inner.keyring.data_slots() {
            let sealed = inner.sealer.sealed_under(generation);
            if counts.is_step(generation, sealed, limit) {
                let total = self.saved_count(generation)? + sealed - counts.saved(generation);
                let row = [COUNTS, &generation.to_be_bytes()].concat();
                changes.put(Table::Directory, &[&row], &[&total.to_le_bytes()]);
                counts.save(generation, sealed);
            }
        }
        if changes.len() == 0 { Ok(()) } else { self.make_quietly(changes) }
    }

    /// Seals all records anew that are under an older data key, each as it is: value, times and version stay. Readers and
    /// writers go on. It goes on where an earlier one was interrupted, since what is done shows in the records. `progress`
    /// gets the records looked at and those there are, now and then.
    ///
    /// Durable when this returns.
    ///
    /// # Errors
    /// Those of reading and writing; what was done until then stays done.
    pub fn rekey(&self, options: RekeyOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<RekeyReport> {
        self.0.process.check()?;
        let _span = tracing::debug_span!("rekey", tenant = %self.0.id).entered();
        let generation = self.0.keyring.current_data_slot()?;
        let mut report = RekeyReport { generation, ..RekeyReport::default() };
        let total = self.0.partition.record_count()?;
        let begun = Moment::now();
        // What is removed or restored meanwhile is met in one of its places.
        let passes = [Table::Removed, Table::Records, Table::Removed];
        let mut is_second_pass = false;
        let is_complete = self.walk(&passes, |table, row| {
            is_second_pass |= table == Table::Records;
            report.records += u64::from(table == Table::Records || !is_second_pass);
            if report.records.is_multiple_of(PIECE as u64) {
                progress(report.records, total.max(report.records));
            }
            if Envelope::parse(envelope_of(table, row)?)?.slots.data == generation {
                return Ok(true);
            }
            if options.records.is_some_and(|most| report.resealed >= most) {
                return Ok(false);
            }
            match self.reseal(table, row, |keys| keys, Self::make) {
                Ok(Resealing::Resealed) => report.resealed += 1,
                Ok(Resealing::Overtaken) => report.overtaken += 1,
                Ok(Resealing::Large) => report.large += 1,
                Ok(Resealing::Hidden) => {}
                Err(error) if is_of_the_record(error.kind()) => {
                    tracing::warn!(tenant = %self.0.id, %error, "a record could not be sealed anew");
                    report.unreadable += 1;
                }
                Err(error) => return Err(error),
            }
            if let Some(rate) = options.records_per_second {
                let due = Duration::from_secs(1) * u32::try_from(report.resealed).unwrap_or(u32::MAX) / rate;
                std::thread::sleep(due.saturating_sub(begun.age()));
            }
            Ok(true)
        })?;
        report.is_complete = is_complete && report.large == 0;
        progress(report.records, total.max(report.records));
        self.flush()?;
        Ok(report)
    }

    /// Destroys a data key that no record is sealed under any more; durable when this returns.
    ///
    /// What was sealed under it and is not written yet is refused (`Conflict`, retryable). A [`Snapshot`](crate::Snapshot)
    /// from before a rekey gives `SnapshotExpired` where it would need the key.
    ///
    /// # Errors
    /// `NotFound` where there is no such generation, or it was destroyed; `Conflict` where it is the current one, or records
    /// are under it: `rekey` seals them anew; `Io`.
    pub fn retire_data_key(&self, generation: u32) -> Result<()> {
        self.0.process.check()?;
        let inner = &*self.0;
        let _one = inner.rotating.lock();
        let known = self.data_keys()?.into_iter().find(|info| info.generation == generation);
        match known.map(|info| info.state) {
            Some(DataKeyState::Older) => {}
            Some(DataKeyState::Current) => {
                return Err(fail!(
                    Conflict,
                    "generation {generation} is the current one: rotate, and rekey first"
                ));
            }
            Some(DataKeyState::Destroyed) | None => {
                return Err(fail!(NotFound, "there is no data key of generation {generation}"));
            }
        }
        let slots = [(SlotKind::Data, u64::from(generation))];
        let destructions = inner.keyring.destructions();
        destructions.begin(&slots);
        // From here on nothing under it is admitted; what was admitted before is in effect after this.
        inner.lane.pause(|| ());
        let used = self.records_under(generation).and_then(|used| {
            if used == 0 {
                return Ok(());
            }
            Err(fail!(Conflict, "{used} records or uploads are under generation {generation}: rekey the tenant, sweep what has expired, publish or \
                 discard uploads"))
        });
        if let Err(error) = used {
            destructions.end(&slots, false);
            return Err(error);
        }
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[COUNTS, &generation.to_be_bytes()]);
        self.destroy_begun(changes, &slots)?;
        tracing::info!(tenant = %inner.id, generation, "a data key was destroyed");
        Ok(())
    }

    /// Records, removed ones and uploads under a data key that can still be read: one of which another key is destroyed needs this one no more.
    fn records_under(&self, generation: u32) -> Result<u64> {
        let mut used = 0;
        // Nothing under it moves from one table to the other meanwhile.
        self.walk(&[Table::Records, Table::Removed], |table, row| {
            let slots = Envelope::parse(envelope_of(table, row)?)?.slots;
            if slots.data != generation {
                return Ok(true);
            }
            let mut is_hidden = false;
            for (kind, slot) in slots.iter().filter(|(kind, _)| *kind != SlotKind::Data) {
                is_hidden |= !self.0.keyring.lives(kind, slot)?;
            }
            used += u64::from(!is_hidden);
            Ok(true)
        })?;
        // Chunks of an upload are sealed before its record is there.
        for (_, row) in self.0.partition.directory_rows(upload_row::DIRECTORY_KIND)? {
            used += u64::from(UploadRow::parse(&row)?.slots.data == generation);
        }
        Ok(used)
    }

    /// Calls `visit` with every row of tables of records, until it says `false`; whether it came to the end. Of no one moment:
    /// rows that change meanwhile are seen before or afterwards.
    pub(super) fn walk(
        &self,
        tables: &[Table],
        mut visit: impl FnMut(Table, &Row) -> Result<bool>,
    ) -> Result<bool> {
        for table in tables {
            let mut from = Bound::Unbounded;
            loop {
                let rows = self.0.partition.snapshot()?.scan(*table, &from, &Bound::Unbounded, false)?;
                let rows = rows.take(PIECE).collect::<Result<Vec<_>>>()?;
                for row in &rows {
                    if !visit(*table, row)? {
                        return Ok(false);
                    }
                }
                let Some(last) = rows.into_iter().next_back() else { break };
                from = Bound::Excluded(last.key);
            }
        }
        Ok(true)
    }

    /// Seals a record anew under the current data key and what `under` makes of the other keys that it has. `by` makes the
    /// change.
    pub(super) fn reseal(
        &self,
        table: Table,
        row: &Row,
        under: impl FnOnce(ErasureKeys) -> ErasureKeys,
        by: Make,
    ) -> Result<Resealing> {
        let inner = &*self.0;
        let mark = inner.keyring.destructions().mark();
        let mut targets = Targets::new(self);
        let removed = (table == Table::Removed).then(|| RemovedPlace::parse(&row.key)).transpose()?;
        let (collection, key) = match &removed {
            Some(place) => (place.collection, &place.key[..]),
            None => split_row_key(&row.key)?,
        };
        targets.add_moved(collection);
        let place = RecordPlace { collection, key };
        let envelope = Envelope::parse(envelope_of(table, row)?)?;
        if envelope.chunks.is_some() {
            let is_there = inner.sealer.check(place, &envelope)?;
            return Ok(if is_there { Resealing::Large } else { Resealing::Hidden });
        }
        let Some(value) = inner.sealer.open(place, &envelope)? else { return Ok(Resealing::Hidden) };
        let erasure = envelope.slots.erasure();
        let sealed = inner.sealer.seal(place, envelope.times, under(erasure), &value);
        let made = sealed.and_then(|new| match &removed {
            Some(_) => self.make_reseal_removed(row, &new, (targets, mark), by),
            None => self.make_reseal((place, row.version, &envelope), &new, (targets, mark), by),
        });
        match made {
            Ok(_) => Ok(Resealing::Resealed),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Resealing::Overtaken),
            Err(error) => Err(error),
        }
    }

    fn make_reseal_removed(
        &self,
        row: &Row,
        new: &[u8],
        (targets, mark): (Targets, u64),
        by: Make,
    ) -> Result<Version> {
        let mut changes = Changes::default();
        let removed = RemovedRow { envelope: new, ..RemovedRow::parse(&row.value)? };
        changes.put(Table::Removed, &[&row.key], &[&removed.encode()]);
        let unchanged = vec![Unchanged::Removed { row: row.key.clone(), value: row.value.clone() }];
        let terms = Terms { unchanged, targets: Some(targets), mark: Some(mark), ..Terms::default() };
        by(self, changes, &terms, false)
    }

    fn make_reseal(
        &self,
        (place, version, old): (RecordPlace<'_>, Version, &Envelope<'_>),
        new: &[u8],
        (targets, mark): (Targets, u64),
        by: Make,
    ) -> Result<Version> {
        let mut changes = Changes::default();
        changes.reseal(&[&place.collection.to_be_bytes(), place.key], version, new);
        let condition = Condition {
            collection: place.collection,
            key: place.key.to_vec(),
            expected: Some(version),
            salt: Some(old.salt()),
            is_own: false,
        };
        let terms = Terms {
            conditions: vec![condition],
            targets: Some(targets),
            mark: Some(mark),
            ..Terms::default()
        };
        by(self, changes, &terms, false)
    }
}

/// The envelope in a row of a table of records.
pub(super) fn envelope_of(table: Table, row: &Row) -> Result<&[u8]> {
    if table == Table::Removed {
        RemovedRow::parse(&row.value).map(|row| row.envelope)
    } else {
        Ok(&row.value)
    }
}

/// Whether an error says something of one record alone.
fn is_of_the_record(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthentic | ErrorKind::Corrupted | ErrorKind::KeyMissing | ErrorKind::UnsupportedFormat
    )
}

/// How many records were sealed under each data key since the tenant was opened, when that was last kept.
#[derive(Debug, Default)]
pub(super) struct SavedCounts(std::collections::BTreeMap<u32, u64>);

impl SavedCounts {
    fn saved(&self, generation: u32) -> u64 {
        self.0.get(&generation).copied().unwrap_or(0)
    }

    fn is_step(&self, generation: u32, sealed: u64, limit: u64) -> bool {
        sealed - self.saved(generation) >= COUNT_STEP.min(limit / 16).max(1)
    }

    fn save(&mut self, generation: u32, sealed: u64) {
        self.0.insert(generation, sealed);
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
