//! The data keys of a tenant: rotation by hand, age and count, and the end of one that no record uses any more.

use std::time::Duration;

use crate::error::{Result, fail};
use crate::keys::{SlotKind, SlotStatus};
use crate::partition::{Changes, Table};
use crate::record::Envelope;
use crate::tenant::recopy::{self, CopyRow};
use crate::tenant::rekey::envelope_of;
use crate::tenant::upload_row::{self, UploadRow};
use crate::tenant::{Rotation, Tenant};

/// Directory rows: how many records were sealed under a data key.
const COUNTS: &[u8] = b"sc";
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
    /// By when no record is to be under it ([`Tenant::set_rekey_deadline`]), in milliseconds since the epoch; none where nothing
    /// was said, or none is.
    pub rekey_by_ms: Option<u64>,
    /// Whether that time is over.
    pub rekey_overdue: bool,
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

    /// The data key for new records.
    pub(crate) fn current_data_key(&self) -> Result<DataKeyInfo> {
        self.data_key_info(self.0.keyring.current_data_slot()?)
    }

    /// Whether the current data key should have been rotated by age or count longer ago than `grace_ms`, since somebody looked.
    pub(crate) fn is_rotation_overdue(&self, key: &DataKeyInfo, grace_ms: u64) -> bool {
        let Rotation { age, records } = self.0.keeper.rotation();
        let is_old = Duration::from_millis(key.age_ms) >= age || key.records_sealed >= records;
        let now_ms = self.0.clock.now_ms();
        let mut due = self.0.rotation_due.lock();
        if !is_old || self.0.sealer.sealed_under(key.generation) == 0 {
            *due = None;
            return false;
        }
        let (_, since_ms) = *due.get_or_insert((key.generation, now_ms));
        if due.is_some_and(|(generation, _)| generation != key.generation) {
            *due = Some((key.generation, now_ms));
            return false;
        }
        since_ms.saturating_add(grace_ms) <= now_ms
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
        let deadline = match state {
            DataKeyState::Destroyed => None,
            _ => self.open_deadline()?.filter(|deadline| generation <= deadline.generation),
        };
        Ok(DataKeyInfo {
            generation,
            state,
            created_ms,
            age_ms,
            records_sealed,
            rekey_by_ms: deadline.map(|deadline| deadline.by_ms),
            rekey_overdue: deadline.is_some_and(|deadline| deadline.is_overdue(self.0.clock.now_ms())),
        })
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
        for (_, row) in self.0.partition.directory_rows(recopy::DIRECTORY_KIND)? {
            used += u64::from(CopyRow::parse(&row)?.slots.data == generation);
        }
        Ok(used)
    }
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
