//! What has to be done while a store is open and nobody asks for it: checkpoints, syncs of what is buffered, retirement of
//! segments, the sweep. By a thread that sleeps until something is due, or by [`Engine::tick`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::Moment;
use crate::engine::catalog::{TENANT_ID, TenantInfo, row_key};
use crate::engine::duties::Duty;
use crate::engine::{Engine, Inner};
use crate::error::{Error, Result};
use crate::id::TenantId;
use crate::tenant::Tenant;

/// How often the thread looks without being called.
const ROUND: Duration = Duration::from_secs(1);
/// Changes of fewer bytes are not worth a checkpoint of their own: they move to a cold segment.
pub(super) const WORTH_BYTES: u64 = 64 << 10;

/// What wakes the thread.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<AlarmState>,
    changed: Condvar,
    /// Whether the thread knows that something is buffered.
    is_buffered: AtomicBool,
}

#[derive(Debug, Default)]
struct AlarmState {
    rung: bool,
    ended: bool,
}

impl Alarm {
    /// Wakes the thread.
    pub(super) fn ring(&self) {
        self.state.lock().rung = true;
        self.changed.notify_one();
    }

    /// Wakes the thread, unless it knows already.
    pub(super) fn ring_once(&self) {
        if !self.is_buffered.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_one();
    }

    /// Sleeps until it is rung, or `time` is over; whether to go on.
    fn wait(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.rung && !state.ended {
            let _ = self.changed.wait_for(&mut state, time);
        }
        state.rung = false;
        !state.ended
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge needs no more than 52 bits")]
fn gauge(value: u64) -> f64 {
    value as f64
}

/// Starts the thread.
pub(super) fn start(inner: &Arc<Inner>) -> Result<std::thread::JoinHandle<()>> {
    let (alarm, weak) = (Arc::clone(&inner.shared.alarm), Arc::downgrade(inner));
    let started = std::thread::Builder::new()
        .name("strongroom-maintenance".to_owned())
        .spawn(move || run(&alarm, &weak));
    started.map_err(|error| Error::io("starting the maintenance thread", error))
}

fn run(alarm: &Alarm, weak: &Weak<Inner>) {
    let (mut pause, mut published) = (ROUND, None);
    while alarm.wait(pause) {
        let Some(inner) = weak.upgrade() else { return };
        let engine = Engine(inner);
        pause = engine.0.tend();
        if !engine.0.closed.load(Ordering::Acquire)
            && !engine.sweep_has_failed()
            && let Err(error) = engine.sweep_due()
        {
            tracing::warn!(%error, "the sweep failed; it is tried again");
        }
        if published.is_none_or(|published: Moment| published.age() >= ROUND) {
            if !engine.0.closed.load(Ordering::Acquire)
                && let Err(error) = engine.0.done(Duty::Rekey, engine.0.tend_rekeys())
            {
                tracing::warn!(%error, "a rekey that a deadline asks for failed; it is tried again");
            }
            engine.0.publish_health();
            published = Some(Moment::now());
        }
    }
}

impl Inner {
    /// Does what is due; gives the time until something may be due again.
    fn tend(&self) -> Duration {
        if self.closed.load(Ordering::Acquire) {
            return ROUND;
        }
        let mut pause = self.tend_lanes();
        let report = |what: &str, result: Result<()>| {
            if let Err(error) = result {
                tracing::warn!(%error, "{what} failed; it is tried again");
            }
        };
        report("the filling of keys ahead of use", self.done(Duty::Keys, self.tend_keys()));
        self.tend_leases(false);
        report("a checkpoint", self.done(Duty::Checkpoints, self.checkpoint_due()));
        report("the collection of chunks", self.done(Duty::Chunks, self.collect_chunks()));
        report("the retirement of segments", self.done(Duty::Segments, self.empty_lanes()));
        pause = pause.min(self.tend_lanes());
        pause
    }

    /// Syncs what has been buffered long enough, and confirms what is idle.
    pub(super) fn tend_lanes(&self) -> Duration {
        self.shared.alarm.is_buffered.store(false, Ordering::Release);
        let mut pause = ROUND;
        for (_, lane_id, lane) in self.shared.open_lanes() {
            let within = self.config.buffered_within;
            let result = match lane.unsynced_since().map(Moment::age) {
                Some(age) if age >= within => lane.flush(),
                Some(age) => {
                    pause = pause.min(within.saturating_sub(age));
                    Ok(())
                }
                None => lane.confirm_idle(ROUND),
            };
            if let Err(error) = result {
                tracing::warn!(lane = %lane_id, %error, "a journal could not be synced");
            }
        }
        pause
    }

    pub(super) fn open_tenants(&self) -> Vec<Tenant> {
        self.tenants.all().into_iter().chain([self.system.clone()]).collect()
    }

    /// Tends each open tenant, whatever becomes of the others; gives the first error.
    pub(super) fn each_open(&self, tend: impl FnMut(&Tenant) -> Result<()>) -> Result<()> {
        self.open_tenants().iter().map(tend).fold(Ok(()), Result::and)
    }

    /// Fills the keys of tenants that run low, and repeats destructions that failed.
    fn tend_keys(&self) -> Result<()> {
        self.each_open(Tenant::tend_keys)
    }

    /// Checkpoints what is full, what is old, and what is largest where all together are too large.
    fn checkpoint_due(&self) -> Result<()> {
        let mut tenants: Vec<_> =
            self.open_tenants().into_iter().map(|tenant| (tenant.memtable_bytes(), tenant)).collect();
        tenants.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut total: usize = tenants.iter().map(|(bytes, _)| bytes).sum();
        metrics::gauge!("strongroom_memtable_bytes").set(gauge(total as u64));
        let mut result = Ok(());
        for (bytes, tenant) in tenants {
            let is_full = tenant.is_full();
            let is_too_much = total > self.config.memory_bytes && bytes > 0;
            let is_old = tenant.waits_since().is_some_and(|since| since.age() >= self.config.checkpoint_age)
                && tenant.journal_bytes() >= WORTH_BYTES;
            if is_full || is_too_much || is_old {
                result = result.and(tenant.checkpoint());
                total -= bytes;
            }
        }
        result
    }

    /// Collects chunks of large values that nothing refers to, a bounded number of each tenant.
    fn collect_chunks(&self) -> Result<()> {
        self.each_open(|tenant| tenant.collect_chunks().map(|_| ()))
    }

    /// Deletes dead segments, and empties the oldest of lanes that have grown too long.
    fn empty_lanes(&self) -> Result<()> {
        let mut result = Ok(());
        let mut pending = 0;
        for (_, _, lane) in self.shared.open_lanes() {
            result = result.and(lane.retire());
            pending += lane.stats().pending_bytes;
            metrics::gauge!("strongroom_journal_pending_bytes").set(gauge(pending));
            if lane.stats().segment_bytes <= self.config.journal_bytes {
                continue;
            }
            let oldest = lane.oldest(self.config.journal_bytes);
            let open = self.open_tenants();
            for tenant in open.iter().filter(|tenant| oldest.contains(&tenant.id())) {
                if tenant.journal_bytes() >= WORTH_BYTES {
                    result = result.and(tenant.checkpoint());
                }
            }
            result = result.and(lane.relocate(self.config.journal_bytes)).and(lane.retire());
        }
        result
    }

    /// Checkpoints at the end, the largest first, until the time is over. What has little to say stays in the journal.
    pub(super) fn checkpoint_at_close(&self) -> Result<()> {
        let begun = Moment::now();
        let mut tenants: Vec<_> =
            self.open_tenants().into_iter().map(|tenant| (tenant.journal_bytes(), tenant)).collect();
        tenants.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let worth = tenants.iter().filter(|(bytes, _)| *bytes >= WORTH_BYTES);
        let mut result = Ok(());
        for (_, tenant) in worth {
            if begun.age() >= self.config.close_budget {
                break;
            }
            result = result.and(tenant.checkpoint());
        }
        result.and(self.empty_lanes())
    }
}

impl Engine {
    /// Does what is due: checkpoints, syncs of what is buffered, retirement of segments, keys ahead of use, the sweep, the
    /// collection of chunks that large values left behind, of each tenant at most 32 MiB, sealing anew what the deadline of a rekey asks
    /// for, of each tenant as much, and asking key providers again. The background thread does it by
    /// itself; without one the application calls this now and then.
    ///
    /// # Errors
    /// `Io` when the disk fails: nothing is lost, and it is tried again the next time. Those of [`Engine::sweep`].
    pub fn tick(&self) -> Result<()> {
        self.check()?;
        for (_, _, lane) in self.0.shared.open_lanes() {
            lane.flush()?;
        }
        let inner = &*self.0;
        let kept = inner.done(Duty::Keys, inner.tend_keys());
        let kept = kept.and(inner.done(Duty::Checkpoints, inner.checkpoint_due()));
        let kept = kept.and(inner.done(Duty::Segments, inner.empty_lanes()));
        let kept = kept.and(self.sweep_due()).and(inner.done(Duty::Chunks, inner.collect_chunks()));
        let kept = kept.and(inner.done(Duty::Rekey, inner.tend_rekeys()));
        inner.tend_leases(true);
        kept
    }

    /// Puts everything that only the journals have into the tenants' files. Nothing needs it: it shortens the next open. Of
    /// a journal that was damaged it deletes what is damaged, once all of its tenants open, salvaged where need be.
    ///
    /// # Errors
    /// `Io` when the disk fails or is full: nothing is lost, the journals keep what they have. The first error of a region, a
    /// journal or a tenant that can't be opened; the others are checkpointed all the same.
    pub fn checkpoint(&self) -> Result<()> {
        self.check()?;
        let opened = self.open_all_lanes();
        let mut result = self.0.system.checkpoint().and(opened);
        for (_, _, lane) in self.0.shared.open_lanes() {
            for (id, _) in lane.pending() {
                let name = self.0.system.directory_row(&row_key(TENANT_ID, id.as_bytes()))?;
                // The system tenant has no such row, and neither has a creation that was interrupted.
                let Some(name) = name.and_then(|name| String::from_utf8(name).ok()) else { continue };
                result = result.and(self.tended(&name).and_then(|tenant| tenant.checkpoint()));
            }
        }
        for (region, id, lane) in self.0.shared.open_lanes() {
            if result.is_ok() && lane.is_damaged() && self.is_settled(&region, id) {
                result = lane.forgive_damage();
            }
        }
        result.and(self.0.empty_lanes())
    }

    /// Whether all tenants of a lane open: none of them is in doubt.
    fn is_settled(&self, region: &str, lane: TenantId) -> bool {
        let is_of_lane = |info: &TenantInfo| {
            info.region == region
                && if info.dedicated { info.id == lane } else { lane == self.0.store.system_tenant() }
        };
        let opens = |info: &TenantInfo| {
            let opened = self.tended(&info.name).and_then(|tenant| tenant.checkpoint());
            opened
                .inspect_err(|error| tracing::warn!(tenant = %info.id, %error, "its lane stays damaged"))
                .is_ok()
        };
        self.catalog().is_ok_and(|tenants| tenants.iter().filter(|info| is_of_lane(info)).all(opens))
    }
}
