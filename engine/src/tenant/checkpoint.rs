//! Checkpoints and rewrites of a tenant: its partition and its lane together, and how writers are held back meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::FrameSealer;
use crate::partition::{Partition, RewriteReport};
use crate::tenant::Tenant;
use crate::tenant::pace::{self, Rate};

/// How long a writer waits before it looks again whether its memtable was frozen.
const WAIT: Duration = Duration::from_millis(20);

/// When a data key is old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// Time since it was made.
    pub(crate) age: Duration,
    /// Records sealed under it.
    pub(crate) records: u64,
}

/// What looks after open tenants.
pub(crate) trait Keeper: Send + Sync + std::fmt::Debug {
    /// Bytes in a tenant's memtable at which it is checkpointed.
    fn memtable_bytes(&self) -> usize;
    /// Has a tenant checkpointed soon; whether somebody will. Otherwise the caller does it.
    fn wants_checkpoint(&self) -> bool;
    /// Something is buffered and has to be synced in time.
    fn buffered(&self);
    /// A tenant's keys that were made ahead of use run low.
    fn keys_low(&self);
    /// How long the periods are of which each has a key for what expires in it.
    fn erasure_period_ms(&self) -> u64;
    /// How long it may take from the time at which something is due until the thread has swept it and destroyed the key of its
    /// period.
    fn erasure_delay_ms(&self) -> u64;
    /// When a tenant gets a new data key.
    fn rotation(&self) -> Rotation;
    /// Within which time the sealed bytes of what is erased leave every file.
    fn scrub_within_ms(&self) -> u64;
    /// How long copies of the key store are kept.
    fn key_copies_kept_ms(&self) -> u64;
}

/// Where writers wait while their memtable is full.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    is_waiting: AtomicBool,
    /// One checkpoint or rewrite at a time.
    checkpointing: Mutex<()>,
}

#[derive(Debug, Default)]
struct GateState {
    /// How many checkpoints ended, well or not.
    ended: u64,
    /// Why the last one failed, if it did.
    failure: Option<Error>,
    /// Since when something waits for a checkpoint.
    waits_since: Option<Moment>,
    /// Since when a memtable goes into the file, and how long that is expected to last.
    under_way: Option<(Moment, Duration)>,
    rate: Rate,
}

impl Gate {
    fn begin(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.under_way = Some((Moment::now(), state.rate.expected(bytes)));
    }

    /// Gives how long it took.
    fn end(&self, bytes: usize, is_made: bool) -> Duration {
        let mut state = self.state.lock();
        let took = state.under_way.take().map_or(Duration::ZERO, |(begun, _)| begun.age());
        if is_made {
            state.rate.measured(bytes, took);
        }
        took
    }
}

impl Tenant {
    /// Puts everything that only the journal has into the tenant's file. Readers and writers go on. Nothing needs it: it
    /// shortens the next open.
    ///
    /// # Errors
    /// `Io` when the disk fails or is full: nothing is lost, the journal keeps what it has.
    pub fn checkpoint(&self) -> Result<()> {
        self.0.process.check()?;
        let gate = &self.0.gate;
        let result = {
            let _one = gate.checkpointing.lock();
            self.checkpoint_locked()
        };
        let mut state = gate.state.lock();
        state.ended += 1;
        state.failure = result.as_ref().err().map(Error::again);
        if result.is_ok() {
            self.wants_collection();
            state.waits_since = None;
            gate.is_waiting.store(false, Ordering::Relaxed);
        }
        drop(state);
        gate.changed.notify_all();
        self.destroy_swept();
        result
    }

    pub(super) fn checkpoint_locked(&self) -> Result<()> {
        let inner = &*self.0;
        // A second time where the first one took up what an earlier attempt had left.
        for _ in 0..2 {
            let (frozen, last) = inner.lane.between(|| {
                let (last, tag) = inner.link.applied();
                (inner.partition.freeze(tag), last)
            });
            let Some(frozen) = frozen else { break };
            let through = frozen.held.version.sequence;
            let _span = tracing::debug_span!("checkpoint", tenant = %inner.id, through).entered();
            inner.gate.begin(frozen.bytes());
            let made = inner.partition.checkpoint(&frozen);
            let took = inner.gate.end(frozen.bytes(), made.is_ok());
            if let Err(error) = made {
                metrics::counter!("strongroom_checkpoint_failures_total").increment(1);
                return Err(error);
            }
            metrics::histogram!("strongroom_checkpoint_seconds").record(took.as_secs_f64());
            tracing::debug!(?took, "checkpoint");
            inner.lane.forget(inner.id, through);
            if through >= last {
                break;
            }
        }
        Ok(())
    }

    /// Rewrites the tenant's file: compacts it, leaves the remnants of overwritten records behind, and puts it under a
    /// new structure key, destroying the old one. `progress` gets the rows copied and the rows there are, now and then.
    /// Readers and writers go on. `None` where the tenant has no file yet.
    ///
    /// # Errors
    /// `Io` when the disk fails or is full; the tenant goes on with its old file.
    pub fn rewrite(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<RewriteReport>> {
        self.0.process.check()?;
        let rewritten = self.rewrite_locked(progress);
        self.destroy_swept();
        rewritten
    }

    fn rewrite_locked(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<RewriteReport>> {
        let inner = &*self.0;
        let _one = inner.gate.checkpointing.lock();
        let _span = tracing::debug_span!("rewrite", tenant = %inner.id).entered();
        self.checkpoint_locked()?;
        self.collect_all_locked()?;
        let Some(rewriting) = inner.partition.begin_rewrite(progress)? else { return Ok(None) };
        let sealer = self.frame_sealer(rewriting.epoch)?;
        let frozen = inner.lane.pause(|| {
            inner.link.reseal(sealer);
            let (_, tag) = inner.link.applied();
            inner.partition.freeze(tag)
        });
        let through = frozen.as_ref().map(|frozen| frozen.held.version.sequence);
        let finished = inner.partition.finish_rewrite(rewriting, frozen.as_ref());
        if finished.is_ok() {
            if let Some(through) = through {
                inner.lane.forget(inner.id, through);
            }
            return finished.map(Some);
        }
        // Frames may be sealed under the new epoch already: back to the one that stays, and what they say into its file,
        // before the new key goes.
        let sealer = self.frame_sealer(inner.keyring.anchor().current_epoch)?;
        inner.lane.pause(|| inner.link.reseal(sealer));
        let undone = self.checkpoint_locked().and_then(|()| inner.partition.abandon_rewrite());
        if let Err(error) = undone {
            tracing::warn!(tenant = %inner.id, %error, "the remains of a rewrite could not be removed yet");
        }
        finished.map(Some)
    }

    /// Runs `call` while neither a checkpoint nor a rewrite is made.
    pub(super) fn without_checkpoints<T>(&self, call: impl FnOnce() -> T) -> T {
        let _one = self.0.gate.checkpointing.lock();
        call()
    }

    /// Writes to the tenant's file between two checkpoints; where there is no file yet, one is made.
    pub(super) fn between_checkpoints<T>(&self, write: impl FnOnce(&Partition) -> Result<T>) -> Result<T> {
        let _one = self.0.gate.checkpointing.lock();
        if !self.0.partition.has_file()? {
            self.checkpoint_locked()?;
        }
        write(&self.0.partition)
    }

    pub(super) fn frame_sealer(&self, epoch: u32) -> Result<FrameSealer> {
        let inner = &*self.0;
        let key = inner.partition.structure_key(epoch)?;
        FrameSealer::new(inner.keyring.store(), inner.id, epoch, &key)
    }

    /// Holds a writer back, smoothly, where the memtable fills faster than checkpoints empty it.
    pub(super) fn before_write(&self) -> Result<()> {
        let inner = &*self.0;
        let bound = inner.keeper.memtable_bytes();
        let full = bound.saturating_mul(2);
        let active = inner.partition.active_bytes();
        if active < full {
            if !inner.partition.is_frozen() {
                return Ok(());
            }
            let mut state = inner.gate.state.lock();
            let Some((begun, expected)) = state.under_way else { return Ok(()) };
            let wait = pace::wait(active, bound, begun.age(), expected);
            if !wait.is_zero() {
                let _ = inner.gate.changed.wait_for(&mut state, wait);
            }
            return Ok(());
        }
        let mut state = inner.gate.state.lock();
        let since = state.ended;
        while inner.partition.active_bytes() >= full {
            inner.partition.check_open()?;
            if let Some(failure) = state.failure.as_ref().filter(|_| state.ended != since) {
                return Err(failure.again());
            }
            if !inner.keeper.wants_checkpoint() {
                drop(state);
                return self.checkpoint();
            }
            let _ = inner.gate.changed.wait_for(&mut state, WAIT);
        }
        Ok(())
    }

    /// Whether its memtable should go into its file.
    pub(crate) fn is_full(&self) -> bool {
        self.0.partition.active_bytes() >= self.0.keeper.memtable_bytes()
    }

    /// Why the last checkpoint failed, if it did.
    pub(crate) fn checkpoint_failure(&self) -> Option<ErrorKind> {
        self.0.gate.state.lock().failure.as_ref().map(Error::kind)
    }

    /// Since when something waits for a checkpoint.
    pub(crate) fn waits_since(&self) -> Option<Moment> {
        self.0.gate.state.lock().waits_since
    }

    /// Sees to a checkpoint where the memtable is full.
    pub(super) fn after_write(&self) {
        let inner = &*self.0;
        if !inner.gate.is_waiting.swap(true, Ordering::Relaxed) {
            inner.gate.state.lock().waits_since = Some(Moment::now());
        }
        if inner.lane.unsynced_since().is_some() {
            inner.keeper.buffered();
        }
        if inner.partition.active_bytes() < inner.keeper.memtable_bytes() || inner.keeper.wants_checkpoint() {
            return;
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(tenant = %inner.id, %error, "a checkpoint failed; the journal keeps what it should have written");
        }
    }
}
