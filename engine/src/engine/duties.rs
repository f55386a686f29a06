//! What is done for an open store by itself, or by [`Engine::tick`](crate::Engine::tick): when each duty was done last, whether
//! it failed, and whether it is overdue. One that silently stops is told by health.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::Inner;
use crate::error::{ErrorKind, Result};
use crate::retention::milliseconds;

/// The longest that a duty of every round may wait, and the sweep beyond two intervals.
pub(super) const GRACE: Duration = Duration::from_mins(5);

/// A duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    /// Pools of keys, destructions that failed, rotation by age and count.
    Keys,
    /// Asking key providers again.
    Providers,
    Checkpoints,
    /// Retirement of segments.
    Segments,
    /// Collection of chunks.
    Chunks,
    /// The sweep, the keys of periods, and scrubs.
    Sweep,
    /// What meets the deadlines of rekeys.
    Rekey,
}

impl Duty {
    const ALL: [Self; 7] = [
        Self::Keys,
        Self::Providers,
        Self::Checkpoints,
        Self::Segments,
        Self::Chunks,
        Self::Sweep,
        Self::Rekey,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Providers => "providers",
            Self::Checkpoints => "checkpoints",
            Self::Segments => "segments",
            Self::Chunks => "chunks",
            Self::Sweep => "sweep",
            Self::Rekey => "rekey",
        }
    }
}

/// How a duty of an open store does: `keys` (made ahead of use, rotated by age and count), `providers` (asked again),
/// `checkpoints`, `segments` (of journals, retired), `chunks` (of large values, collected), `sweep` (what expired, keys of periods,
/// scrubs), `rekey` (what meets the deadlines of tenants' rekeys).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutyHealth {
    /// Its name.
    pub name: &'static str,
    /// When it was done last, in milliseconds since the epoch; none where that was never, since the store was opened.
    pub last_ms: Option<u64>,
    /// With which kind of error it failed the last time, if it did.
    pub failed: Option<ErrorKind>,
    /// Whether it should have been done since.
    pub overdue: bool,
}

/// What is known of the duties since the store was opened.
#[derive(Debug)]
pub(super) struct Duties {
    opened_ms: u64,
    done: Mutex<BTreeMap<Duty, (u64, Option<ErrorKind>)>>,
}

impl Duties {
    pub(super) fn new(opened_ms: u64) -> Self {
        Self { opened_ms, done: Mutex::default() }
    }
}

impl Inner {
    /// Notes that a duty was done, or failed; gives what came of it.
    pub(super) fn done<T>(&self, duty: Duty, result: Result<T>) -> Result<T> {
        self.note_done(duty, result.as_ref().err().map(crate::error::Error::kind));
        result
    }

    pub(super) fn note_done(&self, duty: Duty, failed: Option<ErrorKind>) {
        self.duties.done.lock().insert(duty, (self.config.clock.now_ms(), failed));
    }

    pub(super) fn duties_health(&self) -> Vec<DutyHealth> {
        let now_ms = self.config.clock.now_ms();
        let interval_ms = milliseconds(self.config.sweep_interval);
        let done = self.duties.done.lock();
        let health = |duty: Duty| {
            let (last_ms, failed) =
                done.get(&duty).map_or((None, None), |(at_ms, failed)| (Some(*at_ms), *failed));
            let bound_ms =
                milliseconds(GRACE) + if duty == Duty::Sweep { interval_ms.saturating_mul(2) } else { 0 };
            let since_ms = last_ms.unwrap_or(0).max(self.duties.opened_ms);
            DutyHealth {
                name: duty.name(),
                last_ms,
                failed,
                overdue: since_ms.saturating_add(bound_ms) < now_ms,
            }
        };
        Duty::ALL.into_iter().map(health).collect()
    }
}
