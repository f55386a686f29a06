//! Time. Everything asks a [`Clock`], so that a test can set it and a wrong one can be noticed.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Result, fail};

/// A source of time.
pub trait Clock: Send + Sync + Debug + 'static {
    /// Milliseconds since the epoch, UTC.
    fn now_ms(&self) -> u64;
}

/// The operating system's clock. A time before 1970 is given as 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands until it is set.
#[cfg(feature = "simulation")]
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

#[cfg(feature = "simulation")]
impl ManualClock {
    /// A clock that says `now_ms`.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Sets it.
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

#[cfg(feature = "simulation")]
impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A clock that is looked after: what it says never goes back, and where it jumps nothing may be destroyed until a person
/// has looked at it (invariant 10).
#[derive(Debug)]
pub(crate) struct ClockGuard {
    clock: Arc<dyn Clock>,
    step_ms: u64,
    /// The high-water mark: the latest time that is trusted. 0 until it is known.
    mark_ms: AtomicU64,
}

impl ClockGuard {
    /// A guard that does not know its mark yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, step_ms: u64) -> Self {
        Self { clock, step_ms, mark_ms: AtomicU64::new(0) }
    }

    /// Goes on from the mark that was kept; from what the clock says where none was.
    pub(crate) fn start(&self, mark_ms: Option<u64>) {
        self.mark_ms.store(mark_ms.unwrap_or_else(|| self.clock.now_ms()), Ordering::Release);
    }

    /// The latest time that is trusted.
    pub(crate) fn mark_ms(&self) -> u64 {
        self.mark_ms.load(Ordering::Acquire)
    }

    /// The time, to destroy by.
    ///
    /// # Errors
    /// `ClockJump` where the clock is more than a step away from the mark.
    pub(crate) fn trusted_ms(&self) -> Result<u64> {
        let (told_ms, mark_ms) = (self.clock.now_ms(), self.mark_ms());
        if told_ms.abs_diff(mark_ms) > self.step_ms {
            return Err(fail!(
                ClockJump,
                "the clock says {told_ms} ms, the store last saw {mark_ms} ms: nothing is swept until somebody has set the \
                 clock right, or has confirmed it"
            ));
        }
        Ok(self.now_ms())
    }

    /// Trusts what the clock says, be it ahead of the mark or behind it.
    pub(crate) fn confirm(&self) {
        self.start(None);
    }
}

impl Clock for ClockGuard {
    /// What the clock says, but never less than the mark.
    fn now_ms(&self) -> u64 {
        let (told_ms, mark_ms) = (self.clock.now_ms(), self.mark_ms());
        if told_ms > mark_ms && told_ms - mark_ms <= self.step_ms {
            self.mark_ms.fetch_max(told_ms, Ordering::AcqRel);
        }
        told_ms.max(mark_ms)
    }
}

/// A point of monotonic time, for measuring how old something in memory is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant);

impl Moment {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks for monotonic time")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn age(self) -> Duration {
        Self::now().0.saturating_duration_since(self.0)
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_guarded_clock_never_goes_back_and_a_jump_is_not_trusted_until_it_is_confirmed() {
        let clock = Arc::new(ManualClock::at(10_000));
        let guard = ClockGuard::new(Arc::clone(&clock) as Arc<_>, 1_000);
        guard.start(Some(9_500));
        let see = |told_ms: u64| {
            clock.set(told_ms);
            (guard.now_ms(), guard.trusted_ms().map_err(|error| error.kind()))
        };
        assert_eq!(see(10_000), (10_000, Ok(10_000)));
        assert_eq!(see(9_000), (10_000, Ok(10_000)), "a little back");
        assert_eq!(see(11_000), (11_000, Ok(11_000)), "a whole step");
        assert_eq!(
            see(12_001),
            (12_001, Err(ErrorKind::ClockJump)),
            "expired by the clock, but nothing goes"
        );
        assert_eq!(see(11_500), (11_500, Ok(11_500)), "it was set right");
        assert_eq!(see(10_499), (11_500, Err(ErrorKind::ClockJump)), "far back");
        guard.confirm();
        assert_eq!(see(10_500), (10_500, Ok(10_500)));
        assert_eq!(see(90_000), (90_000, Err(ErrorKind::ClockJump)));
        guard.confirm();
        assert_eq!(see(90_000), (90_000, Ok(90_000)));
    }
}
