//! Holds: placing, listing and releasing them, and the gate that every destruction passes (invariant 7).
//!
//! Whatever destroys something is a change, and every change asks here ([`Unheld::ask`]): its caller, who can read, under
//! the holds that it knows; and its leader once more, in memory, whether these are still the holds there are and what was
//! read is still what is there. A hold counts from before its change is on its way, so that whatever a leader decides
//! after it knows it: what was decided before comes before it in the lane. Only the sweep asks elsewhere: a checkpoint,
//! which has the holds of its sequence in the file before it.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{ErrorKind, Result, fail};
use crate::hold::{Covered, HOLD_KIND, HoldInfo, HoldRow, HoldSet, Selector, held};
use crate::id::CollectionId;
use crate::keys::SlotKind;
use crate::limits::{HOLDS_MAX, RECORD_KEY_BYTES_MAX, check_name, check_record_key};
use crate::partition::{
    Changes, Destroyed, Holds, Partition, RemovedPlace, RemovedRow, Row, Seen, Table, destroyed_by,
    record_row_key, row_key, split_row_key,
};
use crate::record::{Envelope, ErasureKeys};
use crate::tenant::Tenant;
use crate::tenant::change::Terms;
use crate::tenant::rekey::{Anew, Resealing, envelope_of};
use crate::tenant::slots::intended;

/// That nothing a change destroys was held, and what that was read from.
pub(super) struct Unheld {
    holds: Arc<Holds>,
    generation: u64,
    seen: Vec<(Vec<u8>, Seen)>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unheld").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Unheld {
    /// Asks of everything that a change destroys whether it is held.
    ///
    /// # Errors
    /// `Held`; those of reading.
    pub(super) fn ask(partition: &Partition, bytes: &Bytes) -> Result<Self> {
        let holds = Arc::clone(&partition.holds);
        let generation = holds.generation();
        let set = holds.set();
        let mut seen = Vec::new();
        if !set.is_empty() {
            for destroyed in destroyed_by(bytes)? {
                match destroyed {
                    Destroyed::Record(row) => seen.extend(ask_record(partition, &set, &row)?),
                    Destroyed::Key(row) => {
                        seen.extend(ask_record(partition, &set, &row)?);
                        ask_removed_of(partition, &set, &row)?;
                    }
                    Destroyed::Removed(row) => seen.extend(ask_removed(partition, &set, &row)?),
                    Destroyed::Collection(id) => ask_collection(partition, &set, id)?,
                }
            }
            for (kind, slot) in intended(bytes)? {
                match kind {
                    SlotKind::Subject => ask_subject(partition, &set, slot)?,
                    SlotKind::Period => ask_period(partition, &set, slot)?,
                    // Neither goes while a record needs it, held or not.
                    SlotKind::Structure | SlotKind::Data => {}
                }
            }
        }
        Ok(Self { holds, generation, seen })
    }

    /// Whether records were looked at.
    pub(super) fn has_looked(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Whether a leader has anything to decide.
    pub(super) fn is_conditional(&self) -> bool {
        !self.seen.is_empty() || self.holds.generation() != self.generation
    }

    /// Whether all is as it was asked; decided in memory.
    pub(super) fn holds(&self, partition: &Partition) -> bool {
        self.holds.generation() == self.generation
            && self.seen.iter().all(|(row, seen)| partition.is_as_seen(row, *seen))
    }
}

fn subject_of(envelope: &[u8]) -> Result<Option<u64>> {
    Ok(Envelope::parse(envelope)?.slots.subject)
}

/// Asks of a record, by its row's key; gives what has to stay so.
fn ask_record(partition: &Partition, set: &HoldSet, row: &[u8]) -> Result<Option<(Vec<u8>, Seen)>> {
    if !set.covers_key(row) && !set.has_subjects() {
        return Ok(None);
    }
    let (seen, there) = partition.look_at_record(row, subject_of)?;
    match there {
        Some(subject) if set.covers(row, subject) => Err(held()),
        _ => Ok(Some((row_key(Table::Records, row), seen))),
    }
}

/// Asks of everything that was removed of a record's key. What is removed of it later was asked for as the record.
fn ask_removed_of(partition: &Partition, set: &HoldSet, row: &[u8]) -> Result<()> {
    if !partition.may_have_removed() || !set.covers_key(row) && !set.has_subjects() {
        return Ok(());
    }
    let (collection, key) = split_row_key(row)?;
    for (_, value) in partition.snapshot()?.removed_of(collection, key)? {
        if set.covers(row, subject_of(RemovedRow::parse(&value)?.envelope)?) {
            return Err(held());
        }
    }
    Ok(())
}

/// Asks of a removed record, by its row's key; gives what has to stay so.
fn ask_removed(partition: &Partition, set: &HoldSet, row: &[u8]) -> Result<Option<(Vec<u8>, Seen)>> {
    let place = RemovedPlace::parse(row)?;
    let key = record_row_key(place.collection, &place.key);
    let (seen, _, value) = partition.look_at_removed(row)?;
    match value {
        Some(value) if set.covers(&key, subject_of(RemovedRow::parse(&value)?.envelope)?) => Err(held()),
        _ => Ok(Some((row_key(Table::Removed, row), seen))),
    }
}

/// Asks of a whole collection, into which nothing is put any more.
fn ask_collection(partition: &Partition, set: &HoldSet, id: CollectionId) -> Result<()> {
    if set.touches_collection(id) {
        return Err(held());
    }
    if !set.has_subjects() {
        return Ok(());
    }
    ask_rows(partition, &id.to_be_bytes(), |_, subject| subject.is_some_and(|slot| set.covers_subject(slot)))
}

/// Asks of a subject, under whose key nothing is put any more.
fn ask_subject(partition: &Partition, set: &HoldSet, slot: u64) -> Result<()> {
    if set.covers_subject(slot) {
        return Err(held());
    }
    for row in partition.records_of_subject(slot)? {
        let (table, row) = row?;
        if set.covers_key(&key_of(table, &row)?) {
            return Err(held());
        }
    }
    Ok(())
}

/// Asks of a period that is over, under whose key nothing is put any more: whether a held record needs it that can be read.
fn ask_period(partition: &Partition, set: &HoldSet, slot: u64) -> Result<()> {
    let keyring = partition.keyring();
    partition.for_each_due(partition.now_ms(), |table, row| {
        let slots = Envelope::parse(envelope_of(table, row)?)?.slots;
        if slots.period.map(u64::from) != Some(slot) || !set.covers(&key_of(table, row)?, slots.subject) {
            return Ok(());
        }
        for (kind, other) in slots.iter().filter(|(kind, _)| *kind != SlotKind::Period) {
            if !keyring.lives(kind, other)? {
                return Ok(());
            }
        }
        Err(held())
    })
}

/// The key of a record's row, of one that was removed too.
fn key_of(table: Table, row: &Row) -> Result<Vec<u8>> {
    if table == Table::Removed {
        let place = RemovedPlace::parse(&row.key)?;
        return Ok(record_row_key(place.collection, &place.key));
    }
    Ok(row.key.clone())
}

/// Looks at the subjects of all records whose rows' keys begin so, of removed ones too.
fn ask_rows(
    partition: &Partition,
    prefix: &[u8],
    is_held: impl Fn(&[u8], Option<u64>) -> bool,
) -> Result<()> {
    let snapshot = partition.snapshot()?;
    // Of all keys that begin so, the rows of both tables begin with the collection.
    let from = Bound::Included(prefix[..CollectionId::BYTES.min(prefix.len())].to_vec());
    for table in [Table::Records, Table::Removed] {
        for row in snapshot.scan(table, &from, &Bound::Unbounded, false)? {
            let row = row?;
            let Bound::Included(begin) = &from else { break };
            if !row.key.starts_with(begin) {
                break;
            }
            let key = key_of(table, &row)?;
            if key.starts_with(prefix) && is_held(&key, subject_of(envelope_of(table, &row)?)?) {
                return Err(held());
            }
        }
    }
    Ok(())
}

fn hold_key(name: &str) -> Vec<u8> {
    [&[HOLD_KIND], name.as_bytes()].concat()
}

impl Tenant {
    /// Places a legal hold: from the moment that this returns on nothing is erased that it covers, whatever asks for it, and
    /// nothing that it covers leaves the store because it expired. Durable when this returns. It covers what is there and
    /// what is put later; copies that were made of the store before are not its business.
    ///
    /// What expires is gone from every answer all the same. Putting over a record that is held is `Held`. Of several holds
    /// each has its name; a record is free when none covers it.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed name, subject, key or prefix; `AlreadyExists`; `NotFound` for a collection;
    /// `LimitExceeded` beyond 10,000 holds; those of writing.
    #[allow(clippy::needless_pass_by_value, reason = "a selector is made for one call")]
    pub fn hold(&self, name: &str, selector: Selector) -> Result<()> {
        self.0.process.check()?;
        check_name("hold", name)?;
        check_selector(&selector)?;
        let _one = self.0.holding.lock();
        // No collection is renamed or dropped meanwhile.
        let _changing = self.0.collections.turn();
        let rows = self.0.partition.directory_rows(HOLD_KIND)?;
        if rows.iter().any(|(known, _)| known == name.as_bytes()) {
            return Err(fail!(AlreadyExists, "there is a hold of this name already"));
        }
        if rows.len() >= HOLDS_MAX {
            return Err(fail!(LimitExceeded, "a tenant has at most {HOLDS_MAX} holds: release some"));
        }
        loop {
            match self.place(name, &selector) {
                // The subject's key was destroyed meanwhile: it gets another one.
                Err(error) if error.kind() == ErrorKind::Conflict && error.is_retryable() => {}
                placed => return placed,
            }
        }
    }

    fn place(&self, name: &str, selector: &Selector) -> Result<()> {
        let partition = &self.0.partition;
        let mark = self.0.keyring.destructions().mark();
        let mut changes = Changes::default();
        let covered = self.resolve(selector, &mut changes)?;
        let mut set = HoldSet::clone(&partition.holds.set());
        set.add(covered.clone());
        let row = HoldRow { placed_ms: self.0.clock.now_ms(), covered }.encode();
        changes.put(Table::Directory, &[&hold_key(name)], &[&row]);
        partition.holds.replace(set);
        let terms = Terms { mark: Some(mark), ..Terms::default() };
        let placed = self.make_at_once(changes, &terms, true);
        if placed.is_err() {
            partition.holds.replace(partition.read_holds()?);
        }
        placed?;
        // A destruction that came before may have its key left: nothing that is there when this returns goes after it.
        for kind in [SlotKind::Period, SlotKind::Subject] {
            self.0.keyring.destructions().wait_for(kind);
        }
        Ok(())
    }

    /// Releases a hold. What is overdue and nothing else holds goes with the next sweep. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`; those of writing.
    pub fn release_hold(&self, name: &str) -> Result<()> {
        self.0.process.check()?;
        let _one = self.0.holding.lock();
        let partition = &self.0.partition;
        if partition.directory_row(&hold_key(name))?.is_none() {
            return Err(fail!(NotFound, "there is no hold of this name"));
        }
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&hold_key(name)]);
        self.make_at_once(changes, &Terms::default(), true)?;
        partition.holds.replace(partition.read_holds()?);
        Ok(())
    }

    /// The holds there are, ordered by name. Where the store is open for maintenance, with digests of all names and keys.
    ///
    /// # Errors
    /// Those of reading; `UnsupportedFormat` for a hold of a newer version, which holds everything here.
    pub fn holds(&self) -> Result<Vec<HoldInfo>> {
        self.0.process.check()?;
        let rows = self.0.partition.directory_rows(HOLD_KIND)?;
        let collections = self.listed_collections()?;
        let called = |id: CollectionId| {
            let found = collections.iter().find(|info| info.id == id);
            found.map_or_else(|| id.to_string(), |info| info.name.clone())
        };
        let info = |(name, row): &(Vec<u8>, Vec<u8>)| {
            let HoldRow { placed_ms, covered } = HoldRow::parse(row)?;
            let selector = match covered {
                Covered::Tenant => Selector::Tenant,
                Covered::Collection(id) => Selector::Collection(called(id)),
                Covered::Prefix(id, prefix) => Selector::Prefix { collection: called(id), prefix },
                Covered::Record(id, key) => Selector::Record { collection: called(id), key },
                Covered::Subject(_, name) => Selector::Subject(name),
            };
            let info = HoldInfo { name: String::from_utf8_lossy(name).into_owned(), selector, placed_ms };
            Ok(match &self.0.digests {
                Some(digests) => digests.hold(info),
                None => info,
            })
        };
        rows.iter().map(info).collect()
    }

    /// What a selector means now; a subject gets a key where it has none, by which its records are known.
    fn resolve(&self, selector: &Selector, changes: &mut Changes) -> Result<Covered> {
        let id = |name: &str| {
            let found = self.find_collection(name)?;
            found.ok_or_else(|| fail!(NotFound, "there is no collection of this name"))
        };
        Ok(match selector {
            Selector::Tenant => Covered::Tenant,
            Selector::Collection(name) => Covered::Collection(id(name)?),
            Selector::Prefix { collection, prefix } => Covered::Prefix(id(collection)?, prefix.clone()),
            Selector::Record { collection, key } => Covered::Record(id(collection)?, key.clone()),
            Selector::Subject(name) => {
                Covered::Subject(self.subject_slot(changes, name.as_bytes())?, name.clone())
            }
        })
    }

    /// Takes up the holds that the rows say; the tenant was just opened.
    pub(super) fn take_up_holds(&self) -> Result<()> {
        let partition = &self.0.partition;
        let set = partition.read_holds()?;
        if !set.is_empty() {
            partition.holds.replace(set);
        }
        Ok(())
    }

    /// Seals what is held anew that expired by a time, without the keys of periods that are over: these can be destroyed then.
    /// Gives the slots that still are needed, by what does not open, and where there is no content key.
    pub(super) fn free_periods(&self, over: &[u32], through_ms: u64) -> Result<Vec<u32>> {
        let mut needed = Vec::new();
        if self.0.partition.holds.set().is_empty() {
            return Ok(needed);
        }
        self.0.partition.for_each_due(through_ms, |table, row| {
            let period = Envelope::parse(envelope_of(table, row)?)?.slots.period;
            let Some(slot) = period.filter(|slot| over.contains(slot) && !needed.contains(slot)) else {
                return Ok(());
            };
            if !self.is_freed(table, row)? {
                needed.push(slot);
            }
            Ok(())
        })?;
        Ok(needed)
    }

    /// Seals a record anew without the key of a period; whether it needs that key no more.
    fn is_freed(&self, table: Table, row: &Row) -> Result<bool> {
        let without_period = |_: &mut Changes, anew: Anew| {
            Ok(Anew { keys: ErasureKeys { period: None, ..anew.keys }, ..anew })
        };
        // Who sweeps may be who makes checkpoints: nobody else empties the memtable then.
        if self.is_full() {
            self.checkpoint()?;
        }
        match self.reseal(table, row, without_period, (Self::make_at_once, &mut |_| true)) {
            Ok(Resealing::Resealed | Resealing::Hidden) => Ok(true),
            // It is another record by now, which is looked at again before the key goes.
            Ok(Resealing::Overtaken | Resealing::Interrupted) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Poisoned || error.kind() == ErrorKind::Forked => {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(tenant = %self.0.id, %error, "a held record could not be sealed anew: the key of its period stays");
                Ok(false)
            }
        }
    }

    /// Whether anything at all is held: then the tenant as a whole is not destroyed.
    ///
    /// # Errors
    /// `Held`.
    pub(crate) fn refuse_if_held(&self) -> Result<()> {
        if self.0.partition.holds.set().is_empty() { Ok(()) } else { Err(held()) }
    }
}

fn check_selector(selector: &Selector) -> Result<()> {
    match selector {
        Selector::Tenant => Ok(()),
        Selector::Collection(name) => check_name("collection", name),
        Selector::Prefix { collection, prefix } => {
            check_name("collection", collection)?;
            if prefix.len() <= RECORD_KEY_BYTES_MAX {
                return Ok(());
            }
            Err(fail!(InvalidArgument, "a prefix has at most {RECORD_KEY_BYTES_MAX} bytes"))
        }
        Selector::Record { collection, key } => {
            check_name("collection", collection)?;
            check_record_key(key)
        }
        Selector::Subject(name) => check_name("subject", name),
    }
}
