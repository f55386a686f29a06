//! How long each put took, and when: quantiles, those during checkpoints, and how many in each second.

use std::time::{Duration, Instant};

use crate::race::checkpoints::Window;
use crate::race::contest::Figures;

/// One operation: microseconds from the beginning to its start, and nanoseconds it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    start_us: u32,
    took_ns: u32,
}

impl Sample {
    pub(super) fn new(start: Duration, took: Duration) -> Self {
        Self {
            start_us: u32::try_from(start.as_micros()).unwrap_or(u32::MAX),
            took_ns: u32::try_from(took.as_nanos()).unwrap_or(u32::MAX),
        }
    }

    fn end_us(self) -> u64 {
        u64::from(self.start_us) + u64::from(self.took_ns / 1_000)
    }
}

/// All operations of one turn that ended within the time that counts.
#[derive(Debug)]
pub(super) struct Samples {
    begun: Instant,
    counted: (Duration, Duration),
    kept: Vec<Sample>,
    /// Operations in all, and processor time that they took, in seconds.
    all: (usize, f64),
}

impl Samples {
    /// Of all operations since `begun`, those that ended between the two.
    pub(super) fn new(
        begun: Instant,
        counted: (Duration, Duration),
        all: Vec<Sample>,
        cpu_seconds: f64,
    ) -> Self {
        let count = all.len();
        let (from, to) = (micros(counted.0), micros(counted.1));
        let mut kept = all;
        kept.retain(|sample| (from..to).contains(&sample.end_us()));
        Self { begun, counted, kept, all: (count, cpu_seconds) }
    }

    fn seconds(&self) -> f64 {
        self.counted.1.saturating_sub(self.counted.0).as_secs_f64()
    }

    /// The rate, the quantiles, and how many there were in each second.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.push("puts_per_s", self.kept.len() as f64 / self.seconds());
        figures.push("cpu_us_per_put", self.all.1 * 1e6 / self.all.0.max(1) as f64);
        let mut sorted: Vec<_> = self.kept.iter().map(|sample| sample.took_ns).collect();
        sorted.sort_unstable();
        for (name, part) in [("p50_us", 0.5), ("p99_us", 0.99), ("p99.9_us", 0.999), ("max_us", 1.0)] {
            figures.push(name, quantile(&sorted, part));
        }
        let from = micros(self.counted.0);
        let mut by_second = vec![0; self.seconds().ceil().max(1.0) as usize];
        for sample in &self.kept {
            let second = usize::try_from((sample.end_us() - from) / 1_000_000).unwrap_or(usize::MAX);
            if let Some(count) = by_second.get_mut(second) {
                *count += 1;
            }
        }
        figures.by_second = by_second;
        figures
    }

    /// What the checkpoints came to: how many ended within the time that counts, which part of it they took, and the
    /// quantile of the operations that ran beside one.
    pub(super) fn add_checkpoints(&self, figures: &mut Figures, windows: &[Window]) {
        let since = |at: Instant| at.saturating_duration_since(self.begun);
        let (from, to) = self.counted;
        let windows: Vec<_> = windows
            .iter()
            .map(|(begin, end)| (since(*begin).max(from), since(*end).min(to)))
            .filter(|(begin, end)| begin < end)
            .collect();
        let time: Duration = windows.iter().map(|(begin, end)| end.saturating_sub(*begin)).sum();
        figures.push("checkpoints", windows.len() as f64);
        figures.push("checkpoint_share", time.as_secs_f64() / self.seconds());
        let windows: Vec<_> = windows.iter().map(|(begin, end)| (micros(*begin), micros(*end))).collect();
        let is_beside = |sample: &&Sample| {
            let next = windows.partition_point(|(_, end)| *end < u64::from(sample.start_us));
            windows.get(next).is_some_and(|(begin, _)| *begin <= sample.end_us())
        };
        let mut beside: Vec<_> = self.kept.iter().filter(is_beside).map(|sample| sample.took_ns).collect();
        beside.sort_unstable();
        if !beside.is_empty() {
            figures.push("p99.9_beside_checkpoint_us", quantile(&beside, 0.999));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// In microseconds, of sorted nanoseconds.
fn quantile(sorted: &[u32], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let index = (last as f64 * part).round() as usize;
    f64::from(sorted[index]) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_beside_a_checkpoint_is_told_from_the_rest() {
        let begun = Instant::now();
        let at = Duration::from_millis;
        let all =
            (0..1_000).map(|ms| Sample::new(at(ms), Duration::from_micros(if ms == 600 { 900 } else { 10 })));
        let samples = Samples::new(begun, (at(500), at(1_000)), all.collect(), 0.0);
        let mut figures = samples.figures();
        assert_eq!((figures.get("puts_per_s"), figures.get("max_us")), (Some(1_000.0), Some(900.0)));
        samples.add_checkpoints(&mut figures, &[(begun + at(400), begun + at(550))]);
        assert_eq!(figures.get("p99.9_beside_checkpoint_us"), Some(10.0));
        assert_eq!(figures.get("checkpoint_share"), Some(0.1));
        samples.add_checkpoints(&mut figures, &[]);
        let mut beside = samples.figures();
        samples.add_checkpoints(&mut beside, &[(begun + at(590), begun + at(600))]);
        assert_eq!(beside.get("p99.9_beside_checkpoint_us"), Some(900.0));
    }
}
