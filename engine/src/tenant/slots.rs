//! Which slots of the key store a tenant's records use: period and subject keys, taken from pools that were filled ahead of
//! use (FORMAT.md section 7.4).
//!
//! What a slot is assigned to stands in the tenant's rows alone, so that no put waits for the key store. The row travels in
//! the change that first uses it, and in every later one until one of them is in effect: who comes second finds the slot
//! in memory, and nobody loses a race. A slot that was handed out is never handed out again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{CollectionId, Version};
use crate::keys::{Fate, SlotKind, SlotStatus};
use crate::limits::LIVE_PERIODS_MAX;
use crate::partition::{Changes, INTENTS, Table, for_each_put, intent_key, own_row};
use crate::retention::{Erasure, Policy, period_end_ms};
use crate::tenant::Tenant;
use crate::tenant::change::{Change, Terms};

/// Directory rows: the slot of a period's key.
const PERIODS: &[u8] = b"sp";
/// The slot of a subject's key.
pub(super) const SUBJECTS: &[u8] = b"ss";
/// The number below which subject slots are spent.
const NEXT: &[u8] = b"sn";

/// Slots of a pool when it is first filled: one block of them.
const POOL_MIN: usize = 32;
/// The most: a pool doubles when it was found empty.
const POOL_MAX: usize = 4_096;

/// What a tenant's handle knows of its slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    assigning: Mutex<Assigning>,
    /// One refill at a time.
    refilling: Mutex<()>,
    is_low: AtomicBool,
    /// Whether anything is pending: asked after every commit.
    has_pending: AtomicBool,
    known: RwLock<Known>,
}

/// Rows found in effect lately, so that a put finds the keys of its period and its subject without reading anything.
#[derive(Default)]
struct Known {
    /// What was destroyed until then is not among them; nothing of them counts once anything was destroyed after.
    mark: u64,
    slots: HashMap<Vec<u8>, u64>,
}

/// Rows kept for that.
const KNOWN_MAX: usize = 1_024;

/// Names of subjects are not shown (invariant 9).
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("mark", &self.mark).field("slots", &self.slots.len()).finish()
    }
}

#[derive(Default)]
struct Assigning {
    periods: Pool,
    subjects: Pool,
    /// Rows that were given to changes of which none is known to be in effect.
    pending: HashMap<Vec<u8>, u64>,
}

/// Names of subjects are not shown (invariant 9).
impl std::fmt::Debug for Assigning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assigning")
            .field("periods", &self.periods.ready.len())
            .field("subjects", &self.subjects.ready.len())
            .field("pending", &self.pending.len())
            .finish()
    }
}

/// Slots that hold a key and were handed to nobody, in ascending order.
#[derive(Debug, Default)]
struct Pool {
    ready: VecDeque<u64>,
    /// How many it is filled up to; 0 before it is first needed.
    size: usize,
}

impl Pool {
    fn is_low(&self) -> bool {
        self.size > 0 && self.ready.len() < self.size / 2
    }
}

impl Assigning {
    fn pool(&mut self, kind: SlotKind) -> &mut Pool {
        if kind == SlotKind::Subject { &mut self.subjects } else { &mut self.periods }
    }
}

/// The period's assignment is removed: for the change that intends the destruction of its key.
pub(super) fn unassign_period(changes: &mut Changes, end_ms: u64) {
    changes.delete(Table::Directory, &[PERIODS, &end_ms.to_be_bytes()]);
}

/// The subject's assignment is removed: for the change that intends the destruction of its key.
pub(super) fn unassign_subject(changes: &mut Changes, subject: &[u8]) {
    changes.delete(Table::Directory, &[SUBJECTS, subject]);
}

fn parse_intent(key: &[u8]) -> Option<(SlotKind, u64)> {
    let (kind, number) = key.split_first()?;
    Some((SlotKind::parse(*kind)?, u64::from_be_bytes(number.try_into().ok()?)))
}

/// The slots that a change intends to destroy.
pub(super) fn intended(bytes: &Bytes) -> Result<Vec<(SlotKind, u64)>> {
    let mut slots = Vec::new();
    for_each_put(bytes, Table::Directory, |key, _| {
        slots.extend(key.strip_prefix(INTENTS).and_then(parse_intent));
    })?;
    Ok(slots)
}

pub(super) fn malformed() -> Error {
    fail!(Corrupted, "a row of the directory says nothing of a slot")
}

pub(super) fn parse_slot(kind: SlotKind, row: &[u8]) -> Result<u64> {
    let number = match kind {
        SlotKind::Subject => row.try_into().ok().map(u64::from_le_bytes),
        _ => row.try_into().ok().map(|bytes| u64::from(u32::from_le_bytes(bytes))),
    };
    number.ok_or_else(malformed)
}

fn encode_slot(kind: SlotKind, number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    if kind == SlotKind::Subject { bytes.to_vec() } else { bytes[..4].to_vec() }
}

/// What a row says, and what may be done with its slot.
enum Assigned {
    To(u64),
    /// To none, or to one whose key is gone.
    Nothing,
    /// Its key is being destroyed.
    Dying(u64),
}

impl Tenant {
    /// The slot of the key of the period in which a record expires, if it does; of the present period where it has expired
    /// already, as an import's may: it needs no key of its own, and of those there are not many.
    ///
    /// # Errors
    /// Those of [`Tenant::period_slot`].
    pub(super) fn period_for(&self, changes: &mut Changes, expires_ms: Option<u64>) -> Result<Option<u32>> {
        let length_ms = self.0.keeper.erasure_period_ms();
        expires_ms
            .map(|expires_ms| expires_ms.max(self.0.clock.now_ms()))
            .map(|due_ms| self.period_slot(changes, period_end_ms(due_ms, length_ms)))
            .transpose()
    }

    /// The slot of the key of the period that ends at a time. Where it has none yet it gets one, and `changes` the row that says so.
    ///
    /// # Errors
    /// `LimitExceeded` beyond 4,096 periods; those of the key store where the pool is empty.
    pub(super) fn period_slot(&self, changes: &mut Changes, end_ms: u64) -> Result<u32> {
        let row = [PERIODS, &end_ms.to_be_bytes()].concat();
        let slot = self.slot_of(changes, SlotKind::Period, &row)?;
        u32::try_from(slot).map_err(|_| malformed())
    }

    /// The slot of a subject's key. Where it has none yet it gets one, and `changes` the row that says so.
    ///
    /// # Errors
    /// Those of the key store where the pool is empty.
    pub(super) fn subject_slot(&self, changes: &mut Changes, subject: &[u8]) -> Result<u64> {
        self.slot_of(changes, SlotKind::Subject, &[SUBJECTS, subject].concat())
    }

    /// A subject slot for one record alone, where its put asks for it, or else the policy does: no row says of it, the
    /// record's envelope does. `changes` gets the row that says that the collection has such records.
    ///
    /// # Errors
    /// Those of the key store where the pool is empty.
    pub(super) fn own_slot(
        &self,
        changes: &mut Changes,
        collection: CollectionId,
        asked: Option<Erasure>,
        policy: Policy,
    ) -> Result<Option<u64>> {
        if asked.or(policy.erasure_mode()) != Some(Erasure::Record) {
            return Ok(None);
        }
        self.0.partition.own.add(collection);
        let row = own_row(collection);
        if self.0.partition.directory_row(&row)?.is_none() {
            changes.put(Table::Directory, &[&row], &[]);
        }
        loop {
            let slot = self.take_slot(&mut self.0.slots.assigning.lock(), SlotKind::Subject);
            if slot.is_some() {
                return Ok(slot);
            }
            self.refill(SlotKind::Subject)?;
        }
    }

    /// When the periods that have keys end, in ascending order, and their slots.
    pub(super) fn periods(&self) -> Result<Vec<(u64, u32)>> {
        let rows = self.0.partition.directory_rows_of(PERIODS)?;
        let parse = |(end, slot): &(Vec<u8>, Vec<u8>)| {
            let end = end.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| malformed())?;
            let slot = u32::try_from(parse_slot(SlotKind::Period, slot)?).map_err(|_| malformed())?;
            Ok((end, slot))
        };
        rows.iter().map(parse).collect()
    }

    /// The slot of a subject's key, if it has one.
    pub(super) fn find_subject(&self, subject: &[u8]) -> Result<Option<u64>> {
        let row = self.0.partition.directory_row(&[SUBJECTS, subject].concat())?;
        row.map(|row| parse_slot(SlotKind::Subject, &row)).transpose()
    }

    fn slot_of(&self, changes: &mut Changes, kind: SlotKind, row: &[u8]) -> Result<u64> {
        loop {
            let mark = self.0.keyring.destructions().mark();
            if let Some(slot) = self.known_slot(row) {
                return Ok(slot);
            }
            match self.assigned(kind, row)? {
                Assigned::To(slot) => {
                    self.know_slot(row, slot, mark);
                    return Ok(slot);
                }
                Assigned::Dying(slot) => self.0.keyring.destructions().wait(kind, slot),
                Assigned::Nothing => {
                    if let Some(slot) = self.assign(changes, kind, row)? {
                        return Ok(slot);
                    }
                }
            }
        }
    }

    /// What a row says, where it was looked at since anything was destroyed.
    fn known_slot(&self, row: &[u8]) -> Option<u64> {
        let known = self.0.slots.known.read();
        let is_so = self.0.keyring.destructions().is_quiet_since(known.mark);
        if is_so { known.slots.get(row).copied() } else { None }
    }

    /// Keeps what a row says, which was looked at after `mark`.
    fn know_slot(&self, row: &[u8], slot: u64, mark: u64) {
        let mut known = self.0.slots.known.write();
        if !self.0.keyring.destructions().is_quiet_since(mark) {
            return;
        }
        if known.mark != mark || known.slots.len() >= KNOWN_MAX {
            known.slots.clear();
            known.mark = mark;
        }
        known.slots.insert(row.to_vec(), slot);
    }

    /// Gives a row that is not in effect a slot: the one that another change gave it, or a new one. `None`: look again.
    fn assign(&self, changes: &mut Changes, kind: SlotKind, row: &[u8]) -> Result<Option<u64>> {
        let inner = &*self.0;
        let mut assigning = inner.slots.assigning.lock();
        // What was pending may be in effect by now.
        if !matches!(self.assigned(kind, row)?, Assigned::Nothing) {
            return Ok(None);
        }
        let slot = if let Some(slot) = assigning.pending.get(row).copied() {
            match self.fate(kind, slot)? {
                Assigned::To(slot) => slot,
                Assigned::Dying(slot) => {
                    drop(assigning);
                    inner.keyring.destructions().wait(kind, slot);
                    return Ok(None);
                }
                Assigned::Nothing => {
                    assigning.pending.remove(row);
                    return Ok(None);
                }
            }
        } else {
            if kind == SlotKind::Period {
                self.check_periods(&assigning)?;
            }
            let Some(slot) = self.take_slot(&mut assigning, kind) else {
                drop(assigning);
                self.refill(kind)?;
                return Ok(None);
            };
            assigning.pending.insert(row.to_vec(), slot);
            inner.slots.has_pending.store(true, Ordering::Release);
            slot
        };
        changes.put(Table::Directory, &[row], &[&encode_slot(kind, slot)]);
        Ok(Some(slot))
    }

    /// What a row says that is in effect.
    fn assigned(&self, kind: SlotKind, row: &[u8]) -> Result<Assigned> {
        match self.0.partition.directory_row(row)? {
            Some(value) => self.fate(kind, parse_slot(kind, &value)?),
            None => Ok(Assigned::Nothing),
        }
    }

    fn fate(&self, kind: SlotKind, slot: u64) -> Result<Assigned> {
        match self.0.keyring.destructions().fate(kind, slot) {
            Fate::Dying => Ok(Assigned::Dying(slot)),
            Fate::Untouched if self.0.keyring.lives(kind, slot)? => Ok(Assigned::To(slot)),
            Fate::Untouched | Fate::Doomed => Ok(Assigned::Nothing),
        }
    }

    fn check_periods(&self, assigning: &Assigning) -> Result<()> {
        let pending = assigning.pending.keys().filter(|row| row.starts_with(PERIODS)).count();
        if self.periods()?.len() + pending < LIVE_PERIODS_MAX {
            return Ok(());
        }
        Err(fail!(
            LimitExceeded,
            "tenant {} has {LIVE_PERIODS_MAX} periods whose keys are not destroyed: keep records shorter, or for longer periods",
            self.0.id
        ))
    }

    fn take_slot(&self, assigning: &mut Assigning, kind: SlotKind) -> Option<u64> {
        let pool = assigning.pool(kind);
        let slot = pool.ready.pop_front();
        if pool.is_low() && !self.0.slots.is_low.swap(true, Ordering::Relaxed) {
            self.0.keeper.keys_low();
        }
        slot
    }

    /// The assignments of a change are in effect: its rows say so from here on.
    pub(super) fn settle_assignments(&self, bytes: &Bytes) {
        let slots = &self.0.slots;
        if !slots.has_pending.load(Ordering::Acquire) {
            return;
        }
        let mut assigning = slots.assigning.lock();
        let forget = |key: &[u8], value: &[u8]| {
            if assigning.pending.get(key).is_some_and(|slot| value[..4] == slot.to_le_bytes()[..4]) {
                assigning.pending.remove(key);
            }
        };
        // What does not parse was never made.
        let _ = for_each_put(bytes, Table::Directory, forget);
        slots.has_pending.store(!assigning.pending.is_empty(), Ordering::Release);
    }

    /// Fills the pools that are half empty, so that no put finds them empty; repeats destructions that failed.
    pub(crate) fn tend_keys(&self) -> Result<()> {
        self.0.process.check()?;
        let slots = &self.0.slots;
        slots.is_low.store(false, Ordering::Relaxed);
        let mut result = Ok(());
        // Keys are made and rotated by who uses the store.
        let makes_keys = self.0.keyring.opens_values();
        for kind in [SlotKind::Period, SlotKind::Subject].into_iter().filter(|_| makes_keys) {
            if slots.assigning.lock().pool(kind).is_low() {
                result = result.and(self.refill(kind));
            }
        }
        if makes_keys {
            result = result.and(self.rotate_if_due());
        }
        if self.0.partition.own.has_doomed() {
            result = result.and(self.destroy_doomed(&[]));
        }
        let failed = self.0.keyring.destructions().failed();
        if failed.is_empty() { result } else { result.and(self.carry_out(&failed)) }
    }

    /// Fills a pool.
    fn refill(&self, kind: SlotKind) -> Result<()> {
        let inner = &*self.0;
        let _one = inner.slots.refilling.lock();
        inner.partition.check_open()?;
        let (left, size) = {
            let mut assigning = inner.slots.assigning.lock();
            let pool = assigning.pool(kind);
            (pool.ready.len(), pool.size)
        };
        if left > 0 && left >= size / 2 {
            return Ok(());
        }
        // One that was found empty is too small.
        let size_now = if left == 0 { (2 * size).clamp(POOL_MIN, POOL_MAX) } else { size };
        let filled = match kind {
            SlotKind::Subject => self.fill_subjects(size == 0, size_now)?,
            _ => self.fill_periods(size == 0)?,
        };
        let mut assigning = inner.slots.assigning.lock();
        let pool = assigning.pool(kind);
        pool.size = if kind == SlotKind::Subject { size_now } else { POOL_MIN };
        pool.ready.extend(filled);
        Ok(())
    }

    fn fill_periods(&self, is_first: bool) -> Result<Vec<u64>> {
        let keyring = &self.0.keyring;
        let assigned: Vec<_> = self.periods()?.into_iter().map(|(_, slot)| slot).collect();
        let timeline = self.0.lane.timeline();
        if is_first {
            // Those of older timelines may have been handed out in one that is lost.
            let mut left = keyring.pooled_periods(timeline);
            let destructions = keyring.destructions();
            left.retain(|slot| {
                !assigned.contains(slot)
                    && destructions.fate(SlotKind::Period, (*slot).into()) == Fate::Untouched
            });
            if !left.is_empty() {
                return Ok(left.into_iter().map(u64::from).collect());
            }
        }
        let at_least = assigned.iter().max().map_or(0, |slot| slot + 1);
        let count = u32::try_from(POOL_MIN).unwrap_or_default();
        let (kind, status) = (SlotKind::Period, SlotStatus::Pooled);
        let first = keyring.fill_from(at_least, kind, status, timeline.into(), count)?;
        Ok((first..first + count).map(u64::from).collect())
    }

    fn fill_subjects(&self, is_first: bool, size: usize) -> Result<Vec<u64>> {
        let keyring = &self.0.keyring;
        let next = match self.0.partition.directory_row(NEXT)? {
            Some(row) => parse_slot(SlotKind::Subject, &row)?,
            None => 1,
        };
        let timeline = self.0.lane.timeline();
        let mut filled = Vec::new();
        if is_first {
            filled = keyring.pooled_subjects(next, timeline)?;
        }
        if filled.is_empty() {
            filled = keyring.fill_subjects(next, timeline, size as u64)?.collect();
        }
        // In the journal before any of them is used: whatever comes, they are spent.
        self.spend(filled.last().map_or(next, |last| last + 1))?;
        Ok(filled)
    }

    /// Says that subject slots below a number are spent.
    fn spend(&self, next: u64) -> Result<()> {
        let mut changes = Changes::default();
        changes.put(Table::Directory, &[NEXT], &[&next.to_le_bytes()]);
        self.make_quietly(changes)
    }

    /// Makes a change that nobody waits for to be durable, and that is not held back where a memtable is full.
    pub(super) fn make_quietly(&self, changes: Changes) -> Result<()> {
        let bytes = changes.into_bytes();
        let inner = &*self.0;
        loop {
            let change = Change::new(&inner.partition, bytes.clone(), &Terms::default())?;
            if inner.lane.commit(&inner.link, change, false)?.is_some() {
                self.after_write();
                return Ok(());
            }
        }
    }

    /// Gives back what was not handed out; the handle is about to be closed.
    pub(super) fn give_back_slots(&self) -> Result<()> {
        let inner = &*self.0;
        let _one = inner.slots.refilling.lock();
        let next = inner.slots.assigning.lock().subjects.ready.drain(..).next();
        next.map_or(Ok(()), |next| self.spend(next))?;
        self.save_counts()
    }

    /// Destroys keys, and makes `changes` with it: the one way in which a key that erases records goes. `ask` says whether it
    /// may go, once nothing is put under it any more; holds are asked besides. Durable when this returns, and the same again after a crash. The time taken does not depend
    /// on how much was sealed under the keys.
    ///
    /// Whatever was sealed under one of them and is not made yet is refused from here on (`Conflict`, retryable).
    ///
    /// # Errors
    /// Those of `ask`; `Held`; `Io`: of the journal, and nothing is destroyed; of the key store, and it is destroyed later: the intent stays.
    pub(super) fn destroy_keys(
        &self,
        changes: Changes,
        slots: &[(SlotKind, u64)],
        ask: impl FnOnce() -> Result<()>,
    ) -> Result<Version> {
        let destructions = self.0.keyring.destructions();
        slots.iter().try_for_each(|(kind, number)| self.0.keyring.reaches(*kind, *number))?;
        destructions.begin(slots);
        // From here on nothing under them is admitted; what was admitted before is in effect after this, for who asks
        // whether any of it is held, or kept by a policy.
        self.0.lane.pause(|| ());
        ask().inspect_err(|_| destructions.end(slots, false))?;
        self.destroy_begun(changes, slots)
    }

    /// [`Tenant::destroy_keys`] once it was begun.
    pub(super) fn destroy_begun(&self, mut changes: Changes, slots: &[(SlotKind, u64)]) -> Result<Version> {
        let destructions = self.0.keyring.destructions();
        for slot in slots {
            changes.put(Table::Directory, &[&intent_key(*slot)], &[]);
        }
        if slots.iter().any(|(kind, _)| *kind == SlotKind::Subject)
            && let Err(error) = self.put_unscrubbed(&mut changes)
        {
            destructions.end(slots, false);
            return Err(error);
        }
        let version = self
            .make_at_once(changes, &Terms::default(), true)
            .inspect_err(|_| destructions.end(slots, false))?;
        self.carry_out(slots)?;
        Ok(version)
    }

    /// Destroys what is intended, and takes the intents back. Slots that the key store does not have keep theirs, and keep
    /// nothing of the others.
    fn carry_out(&self, slots: &[(SlotKind, u64)]) -> Result<()> {
        let inner = &*self.0;
        let destructions = inner.keyring.destructions();
        let (mut there, mut lost) = (Vec::with_capacity(slots.len()), Ok(()));
        for slot in slots {
            match inner.keyring.reaches(slot.0, slot.1) {
                Ok(()) => there.push(*slot),
                Err(error) => {
                    destructions.fail(&[*slot]);
                    lost = Err(error);
                }
            }
        }
        if there.is_empty() {
            return lost;
        }
        if let Err(error) = inner.keyring.destroy(&there) {
            destructions.fail(&there);
            return Err(error);
        }
        destructions.end(&there, true);
        inner.sealer.forget(&there);
        let mut changes = Changes::default();
        for slot in &there {
            changes.delete(Table::Directory, &[&intent_key(*slot)]);
        }
        self.make_quietly(changes).and(lost)
    }

    /// Destroys the keys of records that have keys of their own and were taken away: `mine`, and what others have doomed until
    /// now, which then wait for the same syncs.
    ///
    /// # Errors
    /// Those of the key store, and what is not destroyed is destroyed later: the intent is durable.
    pub(super) fn destroy_doomed(&self, mine: &[u64]) -> Result<()> {
        let turn = self.0.partition.own.turn();
        let result = self.destroy_all_doomed(mine);
        drop(turn);
        result
    }

    /// The same of what checkpoints have swept; nobody waits, and what fails is tried again later.
    pub(super) fn destroy_swept(&self) {
        let own = &self.0.partition.own;
        if !own.has_doomed() {
            return;
        }
        // Who has the turn looks again before it ends.
        let Some(_turn) = own.turn_now() else { return };
        if let Err(error) = self.destroy_all_doomed(&[]) {
            tracing::warn!(tenant = %self.0.id, %error, "keys of swept records could not be destroyed yet; it is tried again");
        }
    }

    fn destroy_all_doomed(&self, mine: &[u64]) -> Result<()> {
        let inner = &*self.0;
        let (own, destructions) = (&inner.partition.own, inner.keyring.destructions());
        let is_doomed = |slot: &&u64| destructions.fate(SlotKind::Subject, **slot) == Fate::Doomed;
        let mut slots: Vec<_> =
            mine.iter().filter(is_doomed).map(|slot| (SlotKind::Subject, *slot)).collect();
        loop {
            slots.extend(own.take_doomed().into_iter().map(|slot| (SlotKind::Subject, slot)));
            if own.take_may_have_rows() {
                slots.extend(self.intended_in_rows().inspect_err(|_| own.look_again())?);
            }
            slots.sort_unstable_by_key(|(_, number)| *number);
            slots.dedup();
            if slots.is_empty() {
                return Ok(());
            }
            destructions.begin(&slots);
            self.carry_out(&slots)?;
            slots.clear();
        }
    }

    /// The subject slots that rows say are to be destroyed, and that nobody is about to.
    fn intended_in_rows(&self) -> Result<Vec<(SlotKind, u64)>> {
        let mut slots = Vec::new();
        for (key, _) in self.0.partition.directory_rows_of(INTENTS)? {
            let (kind, number) = parse_intent(&key).ok_or_else(malformed)?;
            if kind != SlotKind::Subject
                || self.0.keyring.destructions().fate(kind, number) != Fate::Untouched
            {
                continue;
            }
            match self.0.keyring.lives(kind, number) {
                Ok(false) => {}
                // One that is lost is told by whoever destroys it.
                Err(error) if error.kind() != ErrorKind::KeyMissing => return Err(error),
                _ => slots.push((kind, number)),
            }
        }
        Ok(slots)
    }

    /// Repeats the destructions that were intended before the tenant was opened.
    pub(super) fn repeat_destructions(&self) -> Result<()> {
        let rows = self.0.partition.directory_rows_of(INTENTS)?;
        if rows.is_empty() {
            return Ok(());
        }
        let slots = rows.iter().map(|(key, _)| parse_intent(key).ok_or_else(malformed));
        let slots = slots.collect::<Result<Vec<_>>>()?;
        self.0.keyring.destructions().begin(&slots);
        self.carry_out(&slots)
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
