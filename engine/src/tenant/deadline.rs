//! A deadline by which no record is under an older data key any more, and the work that meets it: a bounded part of a rekey in
//! each round of maintenance (FORMAT.md section 7.3, row `K`).

use crate::error::{Result, fail};
use crate::keys::{SlotKind, SlotStatus};
use crate::partition::{Changes, Table};
use crate::tenant::Tenant;
use crate::tenant::change::Terms;
use crate::tenant::rekey::{Pace, Place, RekeyOptions};
use crate::tenant::upload_row::{self, UploadRow};

/// The key of the row in the directory.
const ROW_KEY: &[u8] = b"K";
const ROW_VERSION: u8 = 1;
/// What one round of maintenance does, so that checkpoints don't wait for it.
const RECORDS_A_ROUND: u64 = 4_096;
const BYTES_A_ROUND: u64 = 32 << 20;
/// Rows that one round looks at.
const ROWS_A_ROUND: u64 = 1 << 16;
/// How long after a pass that left something (an upload under an older key, a record that does not open) the next one begins.
const PAUSE_MS: u64 = 10 * 60 * 1_000;

/// By when no record is to be under an older data key: see [`Tenant::set_rekey_deadline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyDeadline {
    /// The generation: nothing is to be under it, or under an older one.
    pub generation: u32,
    /// By when, in milliseconds since the epoch.
    pub by_ms: u64,
    /// Since when nothing is, in milliseconds since the epoch; none where that is not so yet.
    pub met_ms: Option<u64>,
}

impl RekeyDeadline {
    /// Whether it has passed, and is not met.
    #[must_use]
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        self.met_ms.is_none() && self.by_ms <= now_ms
    }

    fn encode(self) -> Vec<u8> {
        let (generation, met_ms) = (self.generation.to_le_bytes(), self.met_ms.unwrap_or(0).to_le_bytes());
        [&[ROW_VERSION][..], &generation, &self.by_ms.to_le_bytes(), &met_ms].concat()
    }

    fn parse(row: &[u8]) -> Result<Self> {
        Self::parse_parts(row).ok_or_else(|| {
            fail!(UnsupportedFormat, "the row of a rekey's deadline is of a newer version or malformed")
        })
    }

    fn parse_parts(row: &[u8]) -> Option<Self> {
        let ([version], rest) = row.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (by_ms, met_ms) = rest.split_first_chunk()?;
        let met_ms = u64::from_le_bytes(met_ms.try_into().ok()?);
        (*version == ROW_VERSION).then_some(Self {
            generation: u32::from_le_bytes(*generation),
            by_ms: u64::from_le_bytes(*by_ms),
            met_ms: (met_ms != 0).then_some(met_ms),
        })
    }
}

/// Parses anything, for fuzzing: what parses encodes to the bytes it came from.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_deadline(data: &[u8]) {
    if let Ok(deadline) = RekeyDeadline::parse(data) {
        assert_eq!(deadline.encode(), data);
    }
}

/// How far the rounds of maintenance have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The pass that is under way: which deadline it is for, and where it goes on.
    pass: Option<(RekeyDeadline, Place)>,
    /// Whether it met anything that it had to leave.
    has_left: bool,
    /// Whether it met records that were changed at that moment: the next pass looks whether they are under the key all the same.
    was_overtaken: bool,
    /// When the next pass may begin.
    not_before_ms: u64,
}

impl Tenant {
    /// Says by when no record is to be sealed under a data key any more, nor under an older one; durable when this returns. From
    /// now on each round of maintenance ([`Engine::tick`](crate::Engine::tick)) seals a bounded number of records anew, and the
    /// sweep does so for tenants that are not open; health and [`Tenant::data_keys`] tell where the time is over and it is not
    /// done. It replaces an earlier deadline. The keys are not destroyed: [`Tenant::retire_data_key`] does that.
    ///
    /// What was sealed under such a key and is not written yet is refused (`Conflict`, retryable). An upload that was begun under
    /// one has to be published or discarded, or is given up after 24 hours.
    ///
    /// # Errors
    /// `NotFound` where there is no such generation, or it was destroyed; `Conflict` where it is the current one: rotate first;
    /// those of writing.
    pub fn set_rekey_deadline(&self, generation: u32, by_ms: u64) -> Result<()> {
        self.0.process.check()?;
        let keyring = &self.0.keyring;
        let _one = self.0.rotating.lock();
        let is_live = keyring.data_slots().contains(&generation)
            && keyring.data_slot_state(generation)?.0 != SlotStatus::Destroyed;
        if !is_live {
            return Err(fail!(NotFound, "there is no data key of generation {generation}"));
        }
        if generation >= keyring.current_data_slot()? {
            return Err(fail!(Conflict, "generation {generation} is the current one: rotate first"));
        }
        self.put_deadline(Some(RekeyDeadline { generation, by_ms, met_ms: None }))
    }

    /// Takes the deadline back, where there is one; durable when this returns. What was sealed anew stays so.
    ///
    /// # Errors
    /// Those of writing.
    pub fn clear_rekey_deadline(&self) -> Result<()> {
        self.0.process.check()?;
        let _one = self.0.rotating.lock();
        self.put_deadline(None)
    }

    /// The deadline that was set last, met ones too.
    ///
    /// # Errors
    /// Those of reading.
    pub fn rekey_deadline(&self) -> Result<Option<RekeyDeadline>> {
        self.0.process.check()?;
        self.0.partition.directory_row(ROW_KEY)?.as_deref().map(RekeyDeadline::parse).transpose()
    }

    fn put_deadline(&self, deadline: Option<RekeyDeadline>) -> Result<()> {
        let mut changes = Changes::default();
        match deadline {
            Some(deadline) => changes.put(Table::Directory, &[ROW_KEY], &[&deadline.encode()]),
            None => changes.delete(Table::Directory, &[ROW_KEY]),
        }
        self.make_at_once(changes, &Terms::default(), true).map(|_| ())
    }

    /// The deadline, where it is not met.
    pub(crate) fn open_deadline(&self) -> Result<Option<RekeyDeadline>> {
        Ok(self.rekey_deadline()?.filter(|deadline| deadline.met_ms.is_none()))
    }

    /// One round of what meets the deadline, bounded in work; whether there is more to do right now.
    pub(crate) fn tend_rekey(&self) -> Result<bool> {
        let Some(deadline) = self.open_deadline()? else { return Ok(false) };
        // Somebody rekeys: what is left is left for the next round.
        let Some(mut progress) = self.0.rekeying.try_lock() else { return Ok(false) };
        let now_ms = self.0.clock.now_ms();
        let start = match progress.pass.take() {
            Some((of, start)) if of == deadline => start,
            _ if progress.not_before_ms > now_ms => return Ok(false),
            _ => {
                self.give_up_copies(Some(self.0.keyring.current_data_slot()?))?;
                progress.was_overtaken = false;
                progress.has_left = self.end_sealing(deadline.generation)?;
                Place::default()
            }
        };
        // Who tends may be who makes checkpoints: nobody else empties the memtable then.
        if self.is_full() {
            self.checkpoint()?;
        }
        let mut pace =
            Pace::of_round(RekeyOptions::new().records(RECORDS_A_ROUND).bytes(BYTES_A_ROUND), ROWS_A_ROUND);
        let (report, rest) = self.rekey_from(
            start,
            &|data| data <= deadline.generation,
            (&mut pace, Self::make_at_once),
            &mut |_, _| {},
        )?;
        progress.has_left |= report.unreadable > 0;
        progress.was_overtaken |= report.overtaken > 0;
        if let Some(rest) = rest {
            progress.pass = Some((deadline, rest));
            return Ok(true);
        }
        if progress.has_left || self.has_upload_under(deadline.generation)? {
            progress.not_before_ms = now_ms.saturating_add(PAUSE_MS);
            return Ok(false);
        }
        if std::mem::take(&mut progress.was_overtaken) {
            progress.pass = Some((deadline, Place::default()));
            return Ok(true);
        }
        self.give_up_copies(None)?;
        self.flush()?;
        let _one = self.0.rotating.lock();
        // It may have been replaced meanwhile.
        if self.rekey_deadline()? == Some(deadline) {
            self.put_deadline(Some(RekeyDeadline { met_ms: Some(now_ms.max(1)), ..deadline }))?;
            tracing::info!(tenant = %self.0.id, generation = deadline.generation, "nothing is under the data key any more");
        }
        Ok(false)
    }

    /// Nothing that was sealed under a data key, or an older one, and is not in effect when this returns is made any more.
    /// Whether an upload is under one.
    fn end_sealing(&self, generation: u32) -> Result<bool> {
        let inner = &*self.0;
        let older = inner.keyring.data_slots().into_iter().filter(|slot| *slot <= generation);
        let older: Vec<_> = older.map(|slot| (SlotKind::Data, u64::from(slot))).collect();
        inner.keyring.destructions().supersede(&older);
        inner.lane.pause(|| ());
        self.has_upload_under(generation)
    }

    fn has_upload_under(&self, generation: u32) -> Result<bool> {
        for (_, row) in self.0.partition.directory_rows(upload_row::DIRECTORY_KIND)? {
            if UploadRow::parse(&row)?.slots.data <= generation {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
