//! Threads that do one thing over and over, for a time or a number of times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::race::samples::{Sample, Samples};
use crate::race::{Course, machine};

impl Course {
    /// How long a turn runs before it counts, and until when.
    pub(super) fn counted(&self) -> (Duration, Duration) {
        let warm = (self.seconds / 5.0).min(5.0);
        (Duration::from_secs_f64(warm), Duration::from_secs_f64(warm + self.seconds))
    }
}

/// Runs what `thread` makes for each of `threads` threads, over and over until the time is over.
pub(super) fn for_a_time<F: FnMut()>(
    course: &Course,
    threads: usize,
    thread: impl Fn(usize) -> F + Sync,
) -> Samples {
    let counted = course.counted();
    let all = Mutex::new(Vec::new());
    let barrier = Barrier::new(threads);
    let begun = Mutex::new(None);
    let cpu_before = machine::cpu_seconds();
    std::thread::scope(|scope| {
        for index in 0..threads {
            let (all, barrier, begun, thread) = (&all, &barrier, &begun, &thread);
            scope.spawn(move || {
                let mut step = thread(index);
                let mut own = Vec::with_capacity(1 << 16);
                barrier.wait();
                let begun =
                    *begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
                let mut start = Instant::now();
                while start.saturating_duration_since(begun) < counted.1 {
                    step();
                    let end = Instant::now();
                    own.push(Sample::new(start.saturating_duration_since(begun), end - start));
                    start = end;
                }
                all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            });
        }
    });
    let begun = begun.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now);
    Samples::new(
        begun,
        counted,
        all.into_inner().unwrap_or_else(PoisonError::into_inner),
        machine::cpu_seconds() - cpu_before,
    )
}

/// Runs what `thread` makes for each of `threads` threads, `times` times in all.
pub(super) fn so_often<F: FnMut()>(times: u64, threads: usize, thread: impl Fn(usize) -> F + Sync) {
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for index in 0..threads {
            let (done, thread) = (&done, &thread);
            scope.spawn(move || {
                let mut step = thread(index);
                while done.fetch_add(1, Ordering::Relaxed) < times {
                    step();
                }
            });
        }
    });
}

/// Runs `step` in this thread until the time is over, with a pause before each time.
pub(super) fn paced(course: &Course, pause: Duration, mut step: impl FnMut()) -> Samples {
    let counted = course.counted();
    let (begun, cpu_before) = (Instant::now(), machine::cpu_seconds());
    let mut all = Vec::new();
    while begun.elapsed() < counted.1 {
        std::thread::sleep(pause);
        let start = Instant::now();
        step();
        all.push(Sample::new(start - begun, start.elapsed()));
    }
    Samples::new(begun, counted, all, machine::cpu_seconds() - cpu_before)
}
