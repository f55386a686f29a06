//! When the engine made checkpoints: told by its metric, which it records when one ends.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

const METRIC: &str = "strongroom_checkpoint_seconds";

/// A checkpoint's beginning and end.
pub(super) type Window = (Instant, Instant);

#[derive(Debug, Default)]
struct Windows(Mutex<Vec<Window>>);

impl HistogramFn for Windows {
    fn record(&self, seconds: f64) {
        let end = Instant::now();
        let begin = end.checked_sub(Duration::from_secs_f64(seconds)).unwrap_or(end);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((begin, end));
    }
}

struct Listener(Arc<Windows>);

impl Recorder for Listener {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if key.name() == METRIC { Histogram::from_arc(Arc::clone(&self.0)) } else { Histogram::noop() }
    }
}

fn windows() -> &'static Windows {
    static WINDOWS: OnceLock<Arc<Windows>> = OnceLock::new();
    WINDOWS.get_or_init(|| {
        let windows = Arc::new(Windows::default());
        metrics::set_global_recorder(Listener(Arc::clone(&windows))).expect("nobody else listens");
        windows
    })
}

/// Forgets what was seen until now.
pub(super) fn listen() {
    windows().0.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The checkpoints that ended since [`listen`], in the order they ended.
pub(super) fn seen() -> Vec<Window> {
    windows().0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
