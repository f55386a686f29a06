//! Policies that were changed, applied to the records that are there already (FORMAT.md section 7.3, rows `w`).
//!
//! The change that sets a policy puts a row that says it is not applied yet. Whoever applies it looks at every record and
//! seals anew what the policy gives other times, so that what is done shows in the records, and who is interrupted goes on.
//! The row goes when a whole walk has nothing left to do under the policies as they are.

use crate::error::{ErrorKind, Result, fail};
use crate::id::{CollectionId, Version};
use crate::partition::{Changes, RemovedRow, Row, Table, dropped_key, split_row_key};
use crate::record::{Envelope, Times};
use crate::retention::{PENDING_KIND, pending_key};
use crate::tenant::change::Terms;
use crate::tenant::rekey::{Anew, Make, PASSES, Pace, Resealing, envelope_of, is_of_the_record};
use crate::tenant::{RekeyOptions, Tenant};

const ROW_VERSION: u8 = 1;
/// What is over so soon does not get more time: it would be there again for who has seen it gone.
const LAST_MOMENTS_MS: u64 = 10_000;
/// Records of a tenant to which one sweep applies a policy.
const AT_A_SWEEP: u64 = 100_000;
/// Records between two calls of who watches.
const STEP: u64 = 256;

/// What became of the records that were there when a policy was changed ([`Tenant::apply_policies`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyReport {
    /// Records looked at, removed ones with the others.
    pub records: u64,
    /// Records that got other times.
    pub changed: u64,
    /// Records that should stay longer and can't, because their values lie in chunks under the key of a period.
    pub large: u64,
    /// Records that do not open, and were left as they are.
    pub unreadable: u64,
    /// Whether it came to the end: all records that are there have the times that the policies say.
    pub is_complete: bool,
}

/// What applying policies is about, and how far it is.
struct Walk<'a> {
    pace: Pace,
    /// Records that were written meanwhile, or sealed anew.
    overtaken: bool,
    report: PolicyReport,
    progress: &'a mut dyn FnMut(u64, u64),
    total: u64,
}

/// What a policy says of a record that is there.
#[derive(Default)]
struct Said {
    /// As what it is to be sealed anew; not where it is so already, or it is over.
    anew: Option<Anew>,
    /// Whether it should stay longer and can't.
    is_bound: bool,
}

/// Says that a policy is not applied yet, and since when.
pub(super) fn encode_pending(now_ms: u64) -> Vec<u8> {
    [&[ROW_VERSION][..], &now_ms.to_le_bytes()].concat()
}

fn is_later(new: Option<u64>, old: Option<u64>) -> bool {
    new.unwrap_or(u64::MAX) > old.unwrap_or(u64::MAX)
}

impl Tenant {
    /// Applies policies that were changed to the records that are there, removed ones too, beside readers and writers: what was
    /// put without a time of its own expires when it would if it were put under the policy as it is; what had one, not later
    /// than the maximum; nothing before the minimum; and what was removed can be restored for the removal window as it is. Values and
    /// versions stay. What has expired stays gone, and so does what would within ten seconds. The sweep does the same, of each
    /// tenant at most 100,000 records at a time. It goes on where an earlier one was interrupted, since what is done shows in the
    /// records. `progress` gets the records looked at and those there are, now and then. Durable when this returns.
    ///
    /// A record gets the key of the period in which it now expires. Copies of it from before, in backups, in snapshots under way
    /// and in blocks that are not scrubbed, stay under the key of the period that they had, or none. A value over 1 MiB stays under
    /// the keys it has: where it has that of a period it can expire sooner, not later.
    ///
    /// # Errors
    /// Those of reading and writing; what was done until then stays done.
    pub fn apply_policies(
        &self,
        options: RekeyOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PolicyReport> {
        self.0.process.check()?;
        let _one = self.0.applying.lock();
        self.apply(options, Self::make, progress)
    }

    /// Since when there is a policy that is not applied yet to all records that are there; none where there is no such.
    ///
    /// # Errors
    /// Those of reading.
    pub fn policies_pending_since_ms(&self) -> Result<Option<u64>> {
        self.0.process.check()?;
        let mut since_ms = None;
        for (_, row) in self.0.partition.directory_rows(PENDING_KIND)? {
            let since = row.split_first().filter(|(version, _)| **version == ROW_VERSION);
            let since = since.and_then(|(_, since)| since.try_into().ok()).map(u64::from_le_bytes);
            let since = since.ok_or_else(|| {
                fail!(
                    UnsupportedFormat,
                    "the row of a policy to be applied is of a newer version or malformed"
                )
            })?;
            since_ms = Some(since.min(since_ms.unwrap_or(u64::MAX)));
        }
        Ok(since_ms)
    }

    /// What a sweep does of it. What can't be sealed anew now does not keep it from sweeping.
    pub(super) fn apply_before_sweep(&self) -> Result<()> {
        if self.pending()?.is_empty() {
            return Ok(());
        }
        // Somebody does it already, at their own pace.
        let Some(_one) = self.0.applying.try_lock() else { return Ok(()) };
        let options = RekeyOptions::new().records(AT_A_SWEEP);
        match self.apply(options, Self::make_in_sweep, &mut |_, _| {}) {
            Err(error) if matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Forked) => Err(error),
            Err(error) => {
                tracing::warn!(tenant = %self.0.id, %error, "a policy could not be applied yet to what is there");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Who sweeps may be who makes checkpoints: nobody else empties the memtable then.
    fn make_in_sweep(&self, changes: Changes, terms: &Terms, is_durable: bool) -> Result<Version> {
        if self.is_full() {
            self.checkpoint()?;
        }
        self.make_at_once(changes, terms, is_durable)
    }

    /// The collections whose policies are not applied yet; `None` stands for all.
    fn pending(&self) -> Result<Vec<Option<CollectionId>>> {
        let parse = |(key, _): (Vec<u8>, Vec<u8>)| {
            let id = key.as_slice().try_into().map(|id| CollectionId(u64::from_be_bytes(id)));
            if key.is_empty() { Some(None) } else { id.ok().map(Some) }
        };
        let rows = self.0.partition.directory_rows(PENDING_KIND)?;
        let pending = rows.into_iter().map(parse).collect::<Option<_>>();
        pending.ok_or_else(|| fail!(Corrupted, "the key of a policy to be applied is malformed"))
    }

    fn apply(
        &self,
        options: RekeyOptions,
        by: Make,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PolicyReport> {
        let _span = tracing::debug_span!("apply_policies", tenant = %self.0.id).entered();
        let total = self.0.partition.record_count()?;
        let (pace, report) = (Pace::new(options), PolicyReport::default());
        let mut walk = Walk { pace, overtaken: false, report, progress, total };
        loop {
            let changes = self.0.collections.policy_changes();
            let pending = self.pending()?;
            if pending.is_empty() {
                walk.report.is_complete = true;
                break;
            }
            // What was admitted under an older policy is in effect after this.
            self.0.lane.pause(|| ());
            let (known, is_first) = (walk.report, walk.report.records == 0);
            walk.overtaken = false;
            if !self.walk_policies(&pending, &mut walk, by)? {
                break;
            }
            if !is_first {
                // The same records once more.
                walk.report.records = known.records;
            }
            if !walk.overtaken && self.end_pending(&pending, changes)? {
                walk.report.is_complete = true;
                break;
            }
            (walk.report.large, walk.report.unreadable) = (0, 0);
        }
        self.flush()?;
        Ok(walk.report)
    }

    /// Looks at all records that pending policies may be about; whether it came to the end.
    fn walk_policies(&self, pending: &[Option<CollectionId>], walk: &mut Walk<'_>, by: Make) -> Result<bool> {
        let all = [None];
        let pending = if pending.contains(&None) { &all[..] } else { pending };
        for collection in pending {
            let went_on = self.walk_within(*collection, &PASSES, |pass, row| {
                let is_new = pass < 2;
                walk.report.records += u64::from(is_new);
                if walk.report.records.is_multiple_of(STEP) {
                    (walk.progress)(walk.report.records, walk.total.max(walk.report.records));
                }
                self.apply_to(PASSES[pass], row, (&mut *walk, is_new), by)
            })?;
            if !went_on {
                return Ok(false);
            }
        }
        (walk.progress)(walk.report.records, walk.total.max(walk.report.records));
        Ok(true)
    }

    /// Applies its policy to a record; whether to go on.
    fn apply_to(
        &self,
        table: Table,
        row: &Row,
        (walk, is_new): (&mut Walk<'_>, bool),
        by: Make,
    ) -> Result<bool> {
        let said = self.said_of(table, row)?;
        walk.report.large += u64::from(said.is_bound && is_new);
        let Some(anew) = said.anew else { return Ok(true) };
        if walk.pace.is_over() {
            return Ok(false);
        }
        let envelope = Envelope::parse(envelope_of(table, row)?)?;
        let is_large = envelope.chunks.is_some();
        let with_period = |changes: &mut Changes, before: Anew| {
            let mut keys = before.keys;
            if !is_large {
                keys.period = self.period_for(changes, anew.times.expires_ms)?;
            }
            Ok(Anew { keys, ..anew })
        };
        match self.reseal(table, row, with_period, (by, &mut |_| true)) {
            Ok(Resealing::Resealed) => {
                walk.report.changed += 1;
                walk.pace.done(1, if is_large { 0 } else { envelope.value_bytes() });
            }
            // Of a collection that was dropped nothing is left to do.
            Ok(Resealing::Overtaken) => walk.overtaken |= !self.is_dropped(split_row_key(&row.key)?.0)?,
            Ok(Resealing::Interrupted | Resealing::Hidden) => {}
            Err(error) if is_of_the_record(error.kind()) => {
                tracing::warn!(tenant = %self.0.id, %error, "a record could not be sealed anew");
                walk.report.unreadable += u64::from(is_new);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn is_dropped(&self, collection: CollectionId) -> Result<bool> {
        Ok(self.was_dropped(collection)
            || self.0.partition.directory_row(&dropped_key(collection))?.is_some())
    }

    /// What its policy says of a record.
    fn said_of(&self, table: Table, row: &Row) -> Result<Said> {
        let (collection, _) = split_row_key(&row.key)?;
        let policy = self.policy_of(collection)?;
        let envelope = Envelope::parse(envelope_of(table, row)?)?;
        let now_ms = self.0.clock.now_ms();
        let Times { written_ms, expires_ms, follows } = envelope.times;
        let said_ms = policy.expires_anew_ms(written_ms, expires_ms, follows);
        let follows = said_ms.is_some() && (follows || expires_ms.is_none());
        let mut times = Times { written_ms, expires_ms: said_ms, follows };
        let is_longer = is_later(said_ms, expires_ms);
        let is_over = |old_ms: Option<u64>, gets_longer: bool| {
            let end_ms = if gets_longer { now_ms.saturating_add(LAST_MOMENTS_MS) } else { now_ms };
            old_ms.is_some_and(|old_ms| old_ms <= end_ms)
        };
        if is_over(expires_ms, is_longer) {
            return Ok(Said::default());
        }
        let is_bound = is_longer && envelope.chunks.is_some() && envelope.slots.period.is_some();
        if is_bound {
            times = envelope.times;
        }
        let mut purge_ms = None;
        if table == Table::Removed {
            let removed = RemovedRow::parse(&row.value)?;
            let until_ms = policy.purge_anew_ms(written_ms, removed.removed_ms, times.expires_ms);
            if is_over(Some(removed.purge_ms), until_ms > removed.purge_ms) {
                return Ok(Said { anew: None, is_bound });
            }
            purge_ms = Some(until_ms).filter(|until_ms| *until_ms != removed.purge_ms);
        }
        let is_as_said = times == envelope.times && purge_ms.is_none();
        let anew = Anew { times, purge_ms, is_live: is_longer && !is_bound, ..Anew::as_is(&envelope) };
        Ok(Said { anew: (!is_as_said).then_some(anew), is_bound })
    }

    /// Policies are applied, unless one was changed meanwhile.
    fn end_pending(&self, pending: &[Option<CollectionId>], changes_before: u64) -> Result<bool> {
        let _policies = self.0.policies.write();
        if self.0.collections.policy_changes() != changes_before {
            return Ok(false);
        }
        let mut changes = Changes::default();
        for collection in pending {
            changes.delete(Table::Directory, &[&pending_key(*collection)]);
        }
        // After what was sealed anew, in the same journal.
        self.make_directory(changes)?;
        Ok(true)
    }
}
