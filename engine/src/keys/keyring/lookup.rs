//! What is asked of a keyring's slots: keys, and whether they live; the file of subject slots, opened when it is first needed.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::aead::Xaes;
use crate::crypto::{DataKey, PeriodKey, StructureKey, SubjectKey};
use crate::error::{Error, Result, fail};
use crate::keys::keyring::{Keyring, index};
use crate::keys::slot::{EMPTY, SlotKind, SlotStatus};
use crate::keys::subjects::SubjectSlots;
use crate::keys::twins::{NO_SLOT, Slot};

impl Keyring {
    /// The structure key of an epoch. `None` where a tombstone says that it was destroyed.
    pub(crate) fn structure_key(&self, slot: u32) -> Result<Option<StructureKey>> {
        let key = self.key(slot, SlotKind::Structure, &self.structure_keys)?;
        Ok(key.map(|key| StructureKey::from_bytes(&key)))
    }

    /// The data key of a slot. `None` where a tombstone says that it was destroyed.
    pub(crate) fn data_key(&self, slot: u32) -> Result<Option<DataKey>> {
        let content = self.content_keys()?;
        let key = self.key(slot, SlotKind::Data, &content)?;
        Ok(key.map(|key| DataKey::from_bytes(&key)))
    }

    /// The period key of a slot. `None` where a tombstone says that it was destroyed.
    pub(crate) fn period_key(&self, slot: u32) -> Result<Option<PeriodKey>> {
        let content = self.content_keys()?;
        let key = self.key(slot, SlotKind::Period, &content)?;
        Ok(key.map(|key| PeriodKey::from_bytes(&key)))
    }

    /// The subject key of a slot, read from the disk unless it was filled just now. `None` where a tombstone says that it was destroyed.
    pub(crate) fn subject_key(&self, slot: u64) -> Result<Option<SubjectKey>> {
        let keys = self.content_keys()?;
        if let Some(key) = self.subjects()?.and_then(|subjects| subjects.take_fresh(slot)) {
            return Ok(Some(SubjectKey::from_bytes(&key)));
        }
        let found = self.subject_slot(slot)?;
        match found.state {
            Some(state) if state.status == SlotStatus::Destroyed => Ok(None),
            Some(state) => {
                let key = self.sealer.open(&keys, slot, &found.raw, &state)?;
                Ok(Some(SubjectKey::from_bytes(&key)))
            }
            None => Err(self.missing(SlotKind::Subject, slot)),
        }
    }

    /// Whether a slot holds a key; `false` where a tombstone says that it was destroyed. Needs no content keys.
    pub(crate) fn lives(&self, kind: SlotKind, number: u64) -> Result<bool> {
        let slot = match kind {
            SlotKind::Subject => self.subject_slot(number)?,
            _ => self.inner.lock().slots.get(index(number)).copied().unwrap_or(NO_SLOT),
        };
        match slot.state {
            Some(state) if state.kind == kind => Ok(state.status != SlotStatus::Destroyed),
            _ => Err(self.missing(kind, number)),
        }
    }

    /// Refuses a slot that was never filled, as far as the key store knows: it can't be destroyed.
    pub(crate) fn reaches(&self, kind: SlotKind, number: u64) -> Result<()> {
        let is_there = if kind == SlotKind::Subject {
            self.subjects()?.is_some_and(|subjects| (1..subjects.end()).contains(&number))
        } else {
            let slot = self.inner.lock().slots.get(index(number)).copied().unwrap_or(NO_SLOT);
            slot.state.map_or(slot.raw != EMPTY, |state| state.kind == kind)
        };
        if is_there { Ok(()) } else { Err(self.missing(kind, number)) }
    }

    /// The slots of data keys, destroyed ones too, in ascending order.
    pub(crate) fn data_slots(&self) -> Vec<u32> {
        let inner = self.inner.lock();
        let is_data = |slot: &Slot| slot.state.is_some_and(|state| state.kind == SlotKind::Data);
        (0..).zip(&inner.slots).filter(|(_, slot)| is_data(slot)).map(|(number, _)| number).collect()
    }

    /// Where a data key is in its life, and when it was filled.
    pub(crate) fn data_slot_state(&self, number: u32) -> Result<(SlotStatus, u64)> {
        let state = self.inner.lock().slots.get(number as usize).and_then(|slot| slot.state);
        let state = state.filter(|state| state.kind == SlotKind::Data);
        let state = state.ok_or_else(|| self.missing(SlotKind::Data, number.into()))?;
        Ok((state.status, state.attribute))
    }

    /// The slot of the data key for new records: the greatest live one.
    pub(crate) fn current_data_slot(&self) -> Result<u32> {
        let inner = self.inner.lock();
        let live = |slot: &Slot| {
            slot.state.is_some_and(|state| state.kind == SlotKind::Data && state.status == SlotStatus::Live)
        };
        let index = inner.slots.iter().rposition(live).and_then(|index| u32::try_from(index).ok());
        index.ok_or_else(|| fail!(KeyMissing, "the keyring of tenant {} has no live data key", self.tenant))
    }

    fn key(&self, number: u32, kind: SlotKind, cipher: &Xaes) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let slot = self.inner.lock().slots.get(number as usize).copied().unwrap_or(NO_SLOT);
        match slot.state {
            Some(state) if state.kind == kind && state.status == SlotStatus::Destroyed => Ok(None),
            Some(state) if state.kind == kind => {
                self.sealer.open(cipher, number.into(), &slot.raw, &state).map(Some)
            }
            _ => Err(self.missing(kind, number.into())),
        }
    }

    pub(super) fn missing(&self, kind: SlotKind, number: u64) -> Error {
        let whose = if kind == SlotKind::Subject { "subject slots" } else { "keyring" };
        fail!(
            KeyMissing,
            "the {whose} of tenant {} hold neither key nor tombstone in slot {number}: restore the key store",
            self.tenant
        )
    }

    /// The file of subject slots, if there is one.
    pub(super) fn subjects(&self) -> Result<Option<Arc<SubjectSlots>>> {
        let mut open = self.subjects.lock();
        if open.is_none() {
            self.check_retired()?;
            let opened = SubjectSlots::open(&*self.disk, &self.subjects_path, Arc::clone(&self.subjects_of));
            *open = opened.map_err(|error| self.of_subjects(error))?.map(Arc::new);
        }
        Ok(open.clone())
    }

    /// The file of subject slots, made where there is none.
    pub(super) fn need_subjects(&self) -> Result<Arc<SubjectSlots>> {
        if let Some(subjects) = self.subjects()? {
            return Ok(subjects);
        }
        let mut open = self.subjects.lock();
        if let Some(subjects) = &*open {
            return Ok(Arc::clone(subjects));
        }
        self.check_retired()?;
        let made = SubjectSlots::create(&*self.disk, &self.subjects_path, Arc::clone(&self.subjects_of));
        let made = Arc::new(made.map_err(|error| self.of_subjects(error))?);
        *open = Some(Arc::clone(&made));
        Ok(made)
    }

    fn subject_slot(&self, number: u64) -> Result<Slot> {
        let Some(subjects) = self.subjects()? else { return Ok(NO_SLOT) };
        subjects.read(number).map_err(|error| self.of_subjects(error))
    }

    pub(super) fn of_subjects(&self, error: Error) -> Error {
        let path = self.subjects_path.display();
        error.within(format_args!("subject keys of tenant {} ({path})", self.tenant))
    }
}
