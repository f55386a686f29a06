//! How fast a memtable may fill while the one before it goes into the file: so that writers are slowed a little all the time,
//! and not let run and then stopped.
//!
//! A checkpoint is expected to last as its bytes did last time. Over that time the memtable may fill from nothing to its bound
//! and three quarters more; a writer that finds it fuller waits until it may be as full as that. Where a checkpoint lasts
//! longer than expected, the last quarter is given out ever more slowly.

use std::time::Duration;

/// The longest that a writer waits once.
const WAIT_MAX: Duration = Duration::from_millis(4);
/// The same where the memtable is nearly full for good: stopped, a writer waits for the whole checkpoint.
const LATE_WAIT_MAX: Duration = Duration::from_millis(8);
/// Shorter waits are not worth it: they add up to one that is.
const WAIT_LEAST: Duration = Duration::from_millis(1);
/// Bytes a second that a checkpoint is expected to make before one was measured.
const FIRST_RATE: f64 = 64.0 * 1_048_576.0;
/// Less than that says nothing of how long more would take.
const MEASURED_LEAST: usize = 1 << 20;

/// How fast checkpoints were.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_s: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { bytes_per_s: FIRST_RATE }
    }
}

#[allow(clippy::cast_precision_loss, reason = "bytes of memory, for an estimate")]
impl Rate {
    /// How long a checkpoint of so many bytes may last.
    pub(super) fn expected(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_s)
    }

    /// A checkpoint of so many bytes lasted so long.
    pub(super) fn measured(&mut self, bytes: usize, took: Duration) {
        if bytes >= MEASURED_LEAST {
            let measured = bytes as f64 / took.as_secs_f64().max(1e-6);
            // At once where it became slower, as it does while a file grows: to expect too much stops writers.
            self.bytes_per_s = f64::midpoint(self.bytes_per_s, measured).min(measured);
        }
    }
}

/// How long a writer waits that finds `active` bytes in a memtable of the bound `bound`, after `elapsed` of a checkpoint that is
/// expected to last `expected`.
pub(super) fn wait(active: usize, bound: usize, elapsed: Duration, expected: Duration) -> Duration {
    let over = active.saturating_sub(permitted(bound, elapsed, expected));
    let line = most(bound);
    // What the line gives in a microsecond at the least, so that nothing is divided by nothing.
    let micros = expected.as_micros().max(1) * over as u128 / line.max(1) as u128;
    let longest = if active > line { LATE_WAIT_MAX } else { WAIT_MAX };
    let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(longest);
    if wait < WAIT_LEAST { Duration::ZERO } else { wait }
}

/// What a memtable may hold when its checkpoint is expected to end.
fn most(bound: usize) -> usize {
    bound.saturating_add(bound / 4 * 3)
}

/// What a memtable may hold at a time.
fn permitted(bound: usize, elapsed: Duration, expected: Duration) -> usize {
    let part = |whole: usize, part: Duration, of: Duration| {
        let share = whole as u128 * part.as_micros() / of.as_micros().max(1);
        usize::try_from(share).unwrap_or(usize::MAX)
    };
    if elapsed <= expected {
        part(most(bound), elapsed, expected)
    } else {
        most(bound).saturating_add(part(bound / 4, elapsed.saturating_sub(expected), elapsed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: usize = 128 << 20;
    const PUT: usize = 1_300;

    /// Writers that would write without end, `writers` of them, each put taking 300 microseconds besides what it waits:
    /// what was written in each tenth of a checkpoint's time.
    fn written(writers: usize, expected: Duration, lasts: Duration) -> Vec<usize> {
        let mut next = vec![Duration::ZERO; writers];
        let (mut active, mut tenths) = (0, vec![0; 10]);
        loop {
            let writer = (0..writers).min_by_key(|writer| next[*writer]).unwrap_or_default();
            let now = next[writer];
            if now >= lasts || active >= 2 * BOUND {
                return tenths;
            }
            let done = now + wait(active, BOUND, now, expected) + Duration::from_micros(300);
            active += PUT;
            tenths[usize::try_from(now.as_micros() * 10 / lasts.as_micros()).unwrap_or_default()] += PUT;
            next[writer] = done;
        }
    }

    #[test]
    fn a_checkpoint_that_lasts_as_expected_leaves_writers_a_steady_rate() {
        let lasts = Duration::from_secs(3);
        let steady = most(BOUND) / 10;
        for writers in [24, 64] {
            let tenths = written(writers, lasts, lasts);
            for tenth in &tenths {
                assert!(tenth.abs_diff(steady) < steady / 20, "{writers} writers: {tenths:?}");
            }
        }
        // Fewer than the disk takes are not held back at all.
        let tenths = written(1, lasts, lasts);
        assert_eq!(tenths.iter().sum::<usize>(), PUT * 10_000);
    }

    #[test]
    fn a_checkpoint_that_lasts_longer_does_not_stop_writers() {
        let expected = Duration::from_secs(2);
        for longer in [3, 5] {
            let tenths = written(64, expected, expected * longer / 2);
            assert!(tenths.iter().sum::<usize>() < 2 * BOUND, "{tenths:?}");
            assert!(tenths.iter().all(|tenth| *tenth > 0), "{tenths:?}");
        }
    }

    #[test]
    fn what_is_expected_follows_what_was_measured() {
        let mut rate = Rate::default();
        rate.measured(1_000, Duration::from_secs(100));
        assert_eq!(rate.expected(64 << 20), Duration::from_secs(1));
        for _ in 0..20 {
            rate.measured(64 << 20, Duration::from_secs(4));
        }
        assert!(rate.expected(64 << 20).abs_diff(Duration::from_secs(4)) < Duration::from_millis(1));
        rate.measured(usize::MAX, Duration::ZERO);
        assert!(rate.expected(1) < Duration::from_millis(1));
    }

    proptest! {
        #[test]
        fn a_wait_is_bounded_and_grows_with_what_is_there(
            active: usize,
            more in 0..1_usize << 30,
            bound in 0..1_usize << 40,
            elapsed in 0..u64::MAX,
            expected in 0..u64::MAX,
        ) {
            let (elapsed, expected) = (Duration::from_micros(elapsed), Duration::from_micros(expected));
            let active = active >> 2;
            let first = wait(active, bound, elapsed, expected);
            prop_assert!(first <= LATE_WAIT_MAX);
            prop_assert!(wait(active + more, bound, elapsed, expected) >= first);
        }
    }
}
