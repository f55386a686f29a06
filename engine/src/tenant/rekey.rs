//! Sealing records anew under the current data key (rekey), beside readers and writers: those that lie in envelopes here, those
//! in chunks with the help of `recopy`.

use std::fmt;
use std::ops::Bound;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{ErrorKind, Result};
use crate::id::{CollectionId, Version};
use crate::partition::{Changes, RemovedPlace, RemovedRow, Row, Table, split_row_key};
use crate::record::{Envelope, ErasureKeys, RecordPlace, Times};
use crate::tenant::Tenant;
use crate::tenant::change::{Condition, Terms, Unchanged};
use crate::tenant::collections::Targets;
use crate::tenant::recopy::{Copied, copy_key};

/// Rows looked at between two snapshots: nothing is held on to for longer.
const PIECE: usize = 256;

/// How [`Tenant::rekey`] and [`Tenant::apply_policies`] go about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyOptions {
    records_per_second: Option<u32>,
    bytes_per_second: Option<u64>,
    records: Option<u64>,
    bytes: Option<u64>,
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

    /// At most so many bytes of values a second are sealed anew; 1 or more. Of values over 1 MiB it counts pieces of 4 MiB.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes_per_second = Some(bytes.max(1));
        self
    }

    /// Ends after so many records were sealed anew. Called again it goes on.
    #[must_use]
    pub fn records(mut self, records: u64) -> Self {
        self.records = Some(records);
        self
    }

    /// Ends once so many bytes of values were sealed anew, within a value over 1 MiB too. Called again it goes on there.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

/// What was done so far, against what may be.
pub(super) struct Pace {
    options: RekeyOptions,
    /// Rows that may be looked at.
    rows: Option<u64>,
    begun: Moment,
    looked_at: u64,
    records: u64,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(options: RekeyOptions) -> Self {
        Self { options, rows: None, begun: Moment::now(), looked_at: 0, records: 0, bytes: 0 }
    }

    /// What one round does that looks at so many rows at most.
    pub(super) fn of_round(options: RekeyOptions, rows: u64) -> Self {
        Self { rows: Some(rows), ..Self::new(options) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.rows.is_some_and(|most| self.looked_at >= most)
            || self.options.records.is_some_and(|most| self.records >= most)
            || self.options.bytes.is_some_and(|most| self.bytes >= most)
    }

    /// Takes note of what was done, and waits as long as it should have taken.
    pub(super) fn done(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
        let nanos = |done: u64, rate: u64| u128::from(done) * 1_000_000_000 / u128::from(rate);
        let by_records = self.options.records_per_second.map(|rate| nanos(self.records, rate.into()));
        let by_bytes = self.options.bytes_per_second.map(|rate| nanos(self.bytes, rate));
        let due = by_records.into_iter().chain(by_bytes).max().unwrap_or(0);
        let due = Duration::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
        let wait = due.saturating_sub(self.begun.age());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }
}

/// A place in the passes of a rekey: the first row behind it is the next.
#[derive(Clone, Default)]
pub(super) struct Place {
    pass: usize,
    after: Option<Vec<u8>>,
}

/// Keys are not shown (invariant 9).
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("pass", &self.pass).finish_non_exhaustive()
    }
}

/// The tables of a walk over all records: what is removed or restored meanwhile is met in one of its places.
pub(super) const PASSES: [Table; 3] = [Table::Removed, Table::Records, Table::Removed];

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
    /// Of those sealed anew, records whose values lie in chunks.
    pub large: u64,
    /// Records that do not open, and were left as they are.
    pub unreadable: u64,
    /// Bytes of values sealed anew; of one over 1 MiB that is not done, what was done of it.
    pub bytes: u64,
    /// Whether it came to the end: no readable record is under an older generation that was put before it began.
    pub is_complete: bool,
}

/// Makes a change under terms, durable or not.
pub(super) type Make = fn(&Tenant, Changes, &Terms, bool) -> Result<Version>;

/// As what a record is sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anew {
    pub(super) times: Times,
    pub(super) keys: ErasureKeys,
    /// When it is erased, if it was removed; where nothing is said, when it was to be.
    pub(super) purge_ms: Option<u64>,
    /// Only if it has not expired.
    pub(super) is_live: bool,
}

impl Anew {
    /// As it is, under the current data key.
    pub(super) fn as_is(envelope: &Envelope<'_>) -> Self {
        Self { times: envelope.times, keys: envelope.slots.erasure(), purge_ms: None, is_live: false }
    }
}

/// What became of a record that was to be sealed anew.
#[derive(Debug)]
pub(super) enum Resealing {
    Resealed,
    Overtaken,
    /// Its value lies in chunks, and there was no time for all of them.
    Interrupted,
    /// It is hidden already: a key of it is destroyed.
    Hidden,
}

impl Tenant {
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
        let _one = self.0.rekeying.lock();
        let _span = tracing::debug_span!("rekey", tenant = %self.0.id).entered();
        let generation = self.0.keyring.current_data_slot()?;
        self.give_up_copies(Some(generation))?;
        let mut pace = Pace::new(options);
        let is_due = |data| data != generation;
        let (report, rest) = self.rekey_from(Place::default(), &is_due, (&mut pace, Self::make), progress)?;
        if rest.is_none() {
            self.give_up_copies(None)?;
        }
        self.flush()?;
        Ok(report)
    }

    /// Seals records anew from a place on that are under a data key that is due, as far as the pace allows; gives where to go on.
    pub(super) fn rekey_from(
        &self,
        start: Place,
        is_due: &dyn Fn(u32) -> bool,
        (pace, by): (&mut Pace, Make),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(RekeyReport, Option<Place>)> {
        let generation = self.0.keyring.current_data_slot()?;
        let mut report = RekeyReport { generation, ..RekeyReport::default() };
        let total = self.0.partition.record_count()?;
        let rest = self.walk_from(None, &PASSES, start, |pass, row| {
            let table = PASSES[pass];
            report.records += u64::from(pass < 2);
            if report.records.is_multiple_of(PIECE as u64) {
                progress(report.records, total.max(report.records));
            }
            let envelope = Envelope::parse(envelope_of(table, row)?)?;
            let is_due = is_due(envelope.slots.data);
            // A round may look at many rows and do nothing.
            if (is_due || pace.rows.is_some()) && pace.is_over() {
                return Ok(false);
            }
            pace.looked_at += 1;
            if !is_due {
                return Ok(true);
            }
            let is_large = envelope.chunks.is_some();
            let mut go_on = |bytes| {
                pace.done(0, bytes);
                progress(report.records, total.max(report.records));
                !pace.is_over()
            };
            match self.reseal(table, row, |_, anew| Ok(anew), (by, &mut go_on)) {
                Ok(Resealing::Resealed) => {
                    report.resealed += 1;
                    report.large += u64::from(is_large);
                    pace.done(1, if is_large { 0 } else { envelope.value_bytes() });
                }
                Ok(Resealing::Overtaken) => report.overtaken += 1,
                Ok(Resealing::Hidden) => {}
                Ok(Resealing::Interrupted) => return Ok(false),
                Err(error) if is_of_the_record(error.kind()) => {
                    tracing::warn!(tenant = %self.0.id, %error, "a record could not be sealed anew");
                    report.unreadable += 1;
                }
                Err(error) => return Err(error),
            }
            Ok(true)
        })?;
        report.bytes = pace.bytes;
        report.is_complete = rest.is_none();
        progress(report.records, total.max(report.records));
        Ok((report, rest))
    }

    /// Calls `visit` with every row of tables of records, until it says `false`; whether it came to the end. Of no one moment:
    /// rows that change meanwhile are seen before or afterwards.
    pub(super) fn walk(
        &self,
        tables: &[Table],
        mut visit: impl FnMut(Table, &Row) -> Result<bool>,
    ) -> Result<bool> {
        self.walk_within(None, tables, |pass, row| visit(tables[pass], row))
    }

    /// The same of one collection, or of all; `visit` gets the number of the table.
    pub(super) fn walk_within(
        &self,
        collection: Option<CollectionId>,
        tables: &[Table],
        visit: impl FnMut(usize, &Row) -> Result<bool>,
    ) -> Result<bool> {
        Ok(self.walk_from(collection, tables, Place::default(), visit)?.is_none())
    }

    /// The same from a place on; the place before the row at which it ended.
    fn walk_from(
        &self,
        collection: Option<CollectionId>,
        tables: &[Table],
        place: Place,
        mut visit: impl FnMut(usize, &Row) -> Result<bool>,
    ) -> Result<Option<Place>> {
        let Place { pass: first, mut after } = place;
        let begin = collection.map_or(Bound::Unbounded, |id| Bound::Included(id.to_be_bytes().to_vec()));
        let behind = collection.and_then(|id| id.0.checked_add(1));
        let end = behind.map_or(Bound::Unbounded, |next| Bound::Excluded(next.to_be_bytes().to_vec()));
        for (pass, table) in tables.iter().enumerate().skip(first) {
            loop {
                let from = after.clone().map_or_else(|| begin.clone(), Bound::Excluded);
                let rows = self.0.partition.snapshot()?.scan(*table, &from, &end, false)?;
                let rows = rows.take(PIECE).collect::<Result<Vec<_>>>()?;
                if rows.is_empty() {
                    break;
                }
                for row in rows {
                    if !visit(pass, &row)? {
                        return Ok(Some(Place { pass, after }));
                    }
                    after = Some(row.key);
                }
            }
            after = None;
        }
        Ok(None)
    }

    /// Seals a record anew under the current data key, as what `anew` makes of what it is; `anew` may add to the change. Where
    /// the value lies in chunks and only times change, these stay under the keys that they have. `by` makes the change; what is with it gets the bytes of each piece of a value in chunks that was copied, and says whether to go on.
    pub(super) fn reseal(
        &self,
        table: Table,
        row: &Row,
        anew: impl FnOnce(&mut Changes, Anew) -> Result<Anew>,
        (by, go_on): (Make, &mut dyn FnMut(u64) -> bool),
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
        let before = Anew::as_is(&envelope);
        let mut changes = Changes::default();
        let mut copy = None;
        let (sealed, anew) = if let Some(set) = envelope.chunks {
            if !inner.sealer.check(place, &envelope)? {
                return Ok(Resealing::Hidden);
            }
            let anew = anew(&mut changes, before)?;
            let slots = inner.sealer.current_slots(anew.keys)?;
            let is_copied = anew == before || anew.keys != before.keys;
            let sealed = if is_copied {
                match self.copy_chunks(place, (&set, envelope.slots), slots, (mark, go_on))? {
                    Copied::All(of) => {
                        let copied = copy.insert(of).set();
                        changes.delete(Table::Directory, &[&copy_key(copied.id)]);
                        inner.sealer.seal_chunked(place, slots, anew.times, &copied)
                    }
                    Copied::Interrupted => return Ok(Resealing::Interrupted),
                    Copied::Overtaken => return Ok(Resealing::Overtaken),
                    Copied::Hidden => return Ok(Resealing::Hidden),
                }
            } else {
                inner.sealer.seal_chunked(place, envelope.slots, anew.times, &set)
            };
            (sealed, anew)
        } else {
            let Some(value) = inner.sealer.open(place, &envelope)? else { return Ok(Resealing::Hidden) };
            let anew = anew(&mut changes, before)?;
            (inner.sealer.seal(place, anew.times, anew.keys, &value), anew)
        };
        let made = sealed.and_then(|new| {
            let unchanged = match &removed {
                Some(_) => reseal_removed(&mut changes, row, (&new, anew))?,
                None => reseal_record(&mut changes, (place, row.version, &envelope), (&new, anew)),
            };
            let terms = Terms { targets: Some(targets), mark: Some(mark), ..unchanged };
            by(self, changes, &terms, false)
        });
        match made {
            Ok(_) => {
                if copy.is_some() {
                    // What it was copied from.
                    self.wants_collection();
                }
                Ok(Resealing::Resealed)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Resealing::Overtaken),
            Err(error) => Err(error),
        }
    }
}

/// Puts a removed record that is sealed anew; gives what that depends on.
fn reseal_removed(changes: &mut Changes, row: &Row, (new, anew): (&[u8], Anew)) -> Result<Terms> {
    let mut removed = RemovedRow { envelope: new, ..RemovedRow::parse(&row.value)? };
    removed.purge_ms = anew.purge_ms.unwrap_or(removed.purge_ms);
    changes.put(Table::Removed, &[&row.key], &[&removed.encode()]);
    let unchanged = vec![Unchanged::Removed { row: row.key.clone(), value: row.value.clone() }];
    Ok(Terms { unchanged, ..Terms::default() })
}

/// The same of one that is there.
fn reseal_record(
    changes: &mut Changes,
    (place, version, old): (RecordPlace<'_>, Version, &Envelope<'_>),
    (new, anew): (&[u8], Anew),
) -> Terms {
    changes.reseal(&[&place.collection.to_be_bytes(), place.key], version, new);
    let condition = Condition {
        collection: place.collection,
        key: place.key.to_vec(),
        expected: Some(version),
        salt: Some(old.salt()),
        is_own: false,
    };
    // One without a salt is of what has not expired.
    let live = anew.is_live.then(|| Condition { salt: None, ..condition.clone() });
    Terms { conditions: live.into_iter().chain([condition]).collect(), ..Terms::default() }
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
pub(super) fn is_of_the_record(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthentic | ErrorKind::Corrupted | ErrorKind::KeyMissing | ErrorKind::UnsupportedFormat
    )
}
