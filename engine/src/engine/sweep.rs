//! The sweep of a store: what has expired leaves the files, at the time that the clock guard trusts; and the guard's mark,
//! kept in the catalog (FORMAT.md section 7.3, row `h`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;
use crate::engine::duties::Duty;
use crate::engine::{Engine, Inner, TenantInfo, TenantState};
use crate::error::{ErrorKind, Result, fail};
use crate::id::{TenantId, Version};
use crate::journal::Lane;
use crate::partition::Partition;
use crate::retention::milliseconds;
use crate::tenant::{SweepReport, Tenant};

const MARK_KEY: &[u8] = b"h";
const ROW_VERSION: u8 = 1;
/// How far the mark may be ahead of the one that is kept.
const MARK_STEP: Duration = Duration::from_mins(1);
/// How long after a sweep that failed it is tried again.
const RETRY: Duration = Duration::from_mins(1);
/// Open tenants whose files are rewritten before their lanes are turned over, once for all of them.
const SCRUBS_AT_ONCE: usize = 256;
/// Rounds of a rekey that a sweep makes of each tenant.
const REKEY_ROUNDS: usize = 16;

/// What the catalog keeps of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    /// The clock's high-water mark.
    mark_ms: u64,
    /// When everything was swept last.
    swept_ms: u64,
}

impl Kept {
    fn encode(self) -> Vec<u8> {
        [&[ROW_VERSION][..], &self.mark_ms.to_le_bytes(), &self.swept_ms.to_le_bytes()].concat()
    }

    fn parse(row: &[u8]) -> Result<Self> {
        let parts = row.split_first_chunk::<9>().and_then(|([version, mark @ ..], swept)| {
            let swept_ms = u64::from_le_bytes(swept.try_into().ok()?);
            (*version == ROW_VERSION).then_some(Self { mark_ms: u64::from_le_bytes(*mark), swept_ms })
        });
        parts.ok_or_else(|| {
            fail!(UnsupportedFormat, "the row of the clock is of a newer version or malformed")
        })
    }
}

/// What the sweep knows between two rounds.
#[derive(Debug, Default)]
pub(super) struct SweepState {
    kept: Kept,
    failed: Option<Moment>,
}

/// Of tenants that were not opened since the last sweep: when their next record expires. Whoever opens one takes it out.
pub(super) type NextDue = Mutex<HashMap<TenantId, Option<u64>>>;

/// The row of a store that is made.
pub(super) fn first_mark(now_ms: u64) -> (Vec<u8>, Vec<u8>) {
    (MARK_KEY.to_vec(), Kept { mark_ms: now_ms, swept_ms: now_ms }.encode())
}

/// Tenants whose files were rewritten, and whose lanes are still to be turned over.
#[derive(Debug, Default)]
struct Scrubs(Vec<(Tenant, Version)>);

fn is_scrub_due(tenant: &Tenant, now_ms: u64) -> Result<bool> {
    Ok(tenant.scrub_due_ms()?.is_some_and(|due_ms| due_ms <= now_ms))
}

impl Scrubs {
    /// Begins the scrub of a tenant, where it is due.
    fn begin(&mut self, tenant: &Tenant, now_ms: u64) -> Result<()> {
        if is_scrub_due(tenant, now_ms)? {
            let through = tenant.begin_scrub(&mut |_, _| ())?;
            self.0.push((tenant.clone(), through));
        }
        Ok(())
    }

    /// Turns each lane over once, and ends the scrubs.
    fn end(&mut self) -> Result<()> {
        let mut result = Ok(());
        let mut lanes: Vec<(Arc<Lane<Partition>>, Result<()>)> = Vec::new();
        for (tenant, through) in self.0.drain(..) {
            let lane = tenant.lane();
            let known = lanes.iter().position(|(other, _)| Arc::ptr_eq(other, lane));
            let place = known.unwrap_or_else(|| {
                lanes.push((Arc::clone(lane), lane.turn_over()));
                lanes.len() - 1
            });
            let turned = match &lanes[place].1 {
                Ok(()) => Ok(()),
                Err(error) => Err(error.again()),
            };
            let ended = turned.and_then(|()| tenant.end_scrub(through));
            if let Err(error) = &ended {
                tracing::warn!(tenant = %tenant.id(), %error, "a scrub was not ended; it is made again");
            }
            result = result.and(ended);
        }
        result
    }
}

impl Inner {
    /// Takes up the mark that the catalog keeps.
    pub(super) fn start_clock(&self) -> Result<()> {
        let row = self.system.directory_row(MARK_KEY)?;
        let kept = row.as_deref().map(Kept::parse).transpose()?;
        self.config.guard.start(kept.map(|kept| kept.mark_ms));
        self.sweeping.lock().kept = kept.unwrap_or_default();
        Ok(())
    }

    /// Keeps the clock's mark, where it has moved on.
    pub(super) fn keep_mark(&self) -> Result<()> {
        let mark_ms = self.config.guard.mark_ms();
        let mut state = self.sweeping.lock();
        if mark_ms.saturating_sub(state.kept.mark_ms) < milliseconds(MARK_STEP) {
            return Ok(());
        }
        let kept = Kept { mark_ms, ..state.kept };
        self.keep(&mut state, kept)
    }

    fn keep(&self, state: &mut SweepState, kept: Kept) -> Result<()> {
        self.system.put_directory([(MARK_KEY.to_vec(), kept.encode())])?;
        state.kept = kept;
        Ok(())
    }
}

impl Engine {
    /// Removes every record that has expired from the tenants' files, of tenants that are not open too, but those that a hold
    /// covers; gives how many it were of both. Of tenants that have to be scrubbed soon, so that what was erased leaves every file
    /// in time ([`Config::scrub_within`](crate::Config::scrub_within)), the files are rewritten. Removed
    /// tenants whose window is over, and of which nothing is held, are erased. The background thread does it by
    /// itself ([`Config::sweep_interval`](crate::Config::sweep_interval)). Needs no content key.
    ///
    /// # Errors
    /// `ClockJump` where the clock has jumped: nothing is swept then. The first error of a tenant; the others are swept all
    /// the same.
    pub fn sweep(&self) -> Result<SweepReport> {
        self.check()?;
        let now_ms = self.0.config.guard.trusted_ms()?;
        let mut state = self.0.sweeping.lock();
        // First the mark: what is swept stays expired, whatever the clock says after a crash.
        let kept = Kept { mark_ms: now_ms, ..state.kept };
        self.0.keep(&mut state, kept)?;
        let mut swept = SweepReport::default();
        let mut result = self.finish_leaving();
        let mut scrubs = Scrubs::default();
        for info in self.catalog()? {
            self.check()?;
            let is_overdue =
                matches!(info.state, TenantState::Removed { purge_ms, .. } if purge_ms <= now_ms);
            let done = if is_overdue {
                self.erase_or_sweep(&info, now_ms, &mut scrubs)
            } else {
                self.sweep_by_info(&info, now_ms, &mut scrubs)
            };
            match done {
                Ok(of_tenant) => {
                    swept.records += of_tenant.records;
                    swept.held += of_tenant.held;
                }
                Err(_) if !self.is_as_listed(&info)? => {}
                Err(error) => {
                    tracing::warn!(tenant = %info.id, %error, "a tenant could not be swept");
                    result = result.and(Err(error));
                }
            }
            if scrubs.0.len() >= SCRUBS_AT_ONCE {
                result = result.and(scrubs.end());
                self.0.evict();
            }
            // What is buffered does not wait for all of them.
            self.0.tend_lanes();
        }
        result = result.and(scrubs.begin(&self.0.system, now_ms)).and(scrubs.end());
        self.0.evict();
        result?;
        let kept = Kept { swept_ms: now_ms, ..state.kept };
        self.0.keep(&mut state, kept)?;
        Ok(swept)
    }

    /// [`Engine::sweep`] of one tenant.
    ///
    /// # Errors
    /// `NotFound`; those of [`Engine::sweep`].
    pub fn sweep_tenant(&self, name: &str) -> Result<SweepReport> {
        let info = self.find_info(name)?;
        let now_ms = self.0.config.guard.trusted_ms()?;
        let mut state = self.0.sweeping.lock();
        let kept = Kept { mark_ms: now_ms, ..state.kept };
        self.0.keep(&mut state, kept)?;
        let mut scrubs = Scrubs::default();
        let swept = self.sweep_by_info(&info, now_ms, &mut scrubs);
        scrubs.end().and(swept)
    }

    /// Whether a tenant was neither renamed nor moved nor erased since it was listed.
    fn is_as_listed(&self, info: &TenantInfo) -> Result<bool> {
        match self.find_info(&info.name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            now => now.map(|now| (now.id, &now.region) == (info.id, &info.region)),
        }
    }

    /// Erases a tenant whose window is over; where anything of it is held it waits, and is swept as others are.
    fn erase_or_sweep(&self, info: &TenantInfo, now_ms: u64, scrubs: &mut Scrubs) -> Result<SweepReport> {
        match self.erase_overdue(info, now_ms) {
            Err(error) if error.kind() == ErrorKind::Held => self.sweep_by_info(info, now_ms, scrubs),
            erased => erased.map(|_| SweepReport::default()),
        }
    }

    fn sweep_by_info(&self, info: &TenantInfo, now_ms: u64, scrubs: &mut Scrubs) -> Result<SweepReport> {
        let place = self.0.tenants.slot(info.id);
        let mut place = place.lock();
        if place.is_none() {
            let known = self.0.next_due.lock().get(&info.id).copied();
            let is_early = known.is_some_and(|due_ms| due_ms.is_none_or(|due_ms| due_ms > now_ms));
            if is_early || !self.is_as_listed(info)? {
                return Ok(SweepReport::default());
            }
            let (tenant, _) = self.open_by_info(info, self.0.config.opening())?;
            self.0.note_deadline(&tenant)?;
            if !is_scrub_due(&tenant, now_ms)? && tenant.open_deadline()?.is_none() {
                let swept = tenant.sweep(now_ms).and_then(|swept| Ok((swept, tenant.next_due_ms()?)));
                let closed = tenant.close();
                let (swept, next_due_ms) = swept?;
                closed?;
                self.0.next_due.lock().insert(info.id, next_due_ms);
                return Ok(swept);
            }
            // It stays open until its lane is turned over, which is done once for many, or while records are sealed anew.
            *place = Some(tenant);
        }
        let Some(open) = place.clone() else { return Ok(SweepReport::default()) };
        // Whoever asks for the tenant does not wait for its sweep.
        drop(place);
        let swept = open.sweep(now_ms);
        let scrubbed = scrubs.begin(&open, now_ms);
        self.rekey_in_sweep(open);
        scrubbed.and(swept)
    }

    /// Does what a tenant's deadline asks for, as much as a sweep has time for: rounds go on with it as long as it is open.
    fn rekey_in_sweep(&self, tenant: Tenant) {
        for _ in 0..REKEY_ROUNDS {
            match self.0.tend_rekey(&tenant) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(tenant = %tenant.id(), %error, "a rekey that a deadline asks for failed; it is tried again");
                    self.0.note_done(Duty::Rekey, Some(error.kind()));
                    break;
                }
            }
        }
        drop(tenant);
        self.0.evict();
    }

    /// Sweeps where it is time.
    pub(super) fn sweep_due(&self) -> Result<()> {
        let interval_ms = milliseconds(self.0.config.sweep_interval);
        let swept_ms = self.0.sweeping.lock().kept.swept_ms;
        if self.0.config.clock.now_ms().saturating_sub(swept_ms) < interval_ms {
            return self.0.keep_mark();
        }
        let swept = self.0.done(Duty::Sweep, self.sweep());
        self.0.sweeping.lock().failed = swept.is_err().then(Moment::now);
        swept.map(|_| ())
    }

    /// Whether a sweep failed so lately that the thread does not try again yet.
    pub(super) fn sweep_has_failed(&self) -> bool {
        self.0.sweeping.lock().failed.is_some_and(|failed| failed.age() < RETRY)
    }

    /// Trusts what the clock says now, after it jumped: what is due by it is destroyed from now on. Where the clock was set
    /// back, what had expired by the time before, and was not swept, is there again. Durable when this returns.
    ///
    /// # Errors
    /// Those of writing.
    pub fn confirm_clock(&self) -> Result<()> {
        self.check()?;
        self.0.config.guard.confirm();
        let mut state = self.0.sweeping.lock();
        let mark_ms = self.0.config.guard.mark_ms();
        let kept = Kept { mark_ms, swept_ms: state.kept.swept_ms.min(mark_ms) };
        state.failed = None;
        self.0.keep(&mut state, kept)
    }
}
