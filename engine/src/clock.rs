//! Time. Everything asks a [`Clock`], so that a test can set it and a wrong one can be noticed.

use std::fmt::Debug;
#[cfg(feature = "simulation")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
