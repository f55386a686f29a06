//! A quiet tenant, one put every few milliseconds from one thread: alone, beside a tenant that floods their lane, and with
//! a lane of its own beside the same flood.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom::TenantOptions;

use crate::race::contest::{Entry, Figures, Measure, Result};
use crate::race::drive::paced;
use crate::race::keys::Keys;
use crate::race::puts::turn;
use crate::race::stores::SealedStore;
use crate::race::{Course, checkpoints};

const ALONE: &str = "alone";
const SHARED: &str = "beside a flood, shared lane";
const DEDICATED: &str = "beside a flood, dedicated lane";
const FLOODING: usize = 32;
/// Between two of its puts, on average.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn contest(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let p99 =
        |of, to| Measure { what: "p99 of its puts, in microseconds", figure: "p99_us", of, to, goal: None };
    let measures = vec![
        p99(ALONE, None),
        p99(SHARED, None),
        p99(DEDICATED, None),
        p99(SHARED, Some(ALONE)),
        p99(DEDICATED, Some(ALONE)),
    ];
    let result =
        Result::new(format!("a quiet tenant beside {FLOODING} flooding threads"), "p99_us", measures);
    let alone = turn(move |seed| quiet(course, seed, 0, TenantOptions::new()));
    let shared = turn(move |seed| quiet(course, seed, FLOODING, TenantOptions::new()));
    let dedicated = turn(move |seed| quiet(course, seed, FLOODING, TenantOptions::new().dedicated()));
    (result, vec![Entry::new(ALONE, alone), Entry::new(SHARED, shared), Entry::new(DEDICATED, dedicated)])
}

fn quiet(course: &Course, seed: u64, flooding: usize, options: TenantOptions) -> Figures {
    let store = SealedStore::create(course);
    let (_, flooded) = store.tenant("flooding", TenantOptions::new());
    let (_, collection) = store.tenant("quiet", options);
    checkpoints::listen();
    let is_over = AtomicBool::new(false);
    let flood = AtomicU64::new(0);
    let samples = std::thread::scope(|scope| {
        for thread in 0..flooding {
            let (flooded, value, is_over, flood) = (&flooded, &store.value, &is_over, &flood);
            scope.spawn(move || {
                let mut keys = Keys::new(seed, thread + 1, course.keys);
                while !is_over.load(Ordering::Relaxed) {
                    flooded.put(keys.key(), value).expect("puts");
                    flood.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut keys = Keys::new(seed, 0, course.keys);
        let samples = paced(course, PAUSE, || {
            collection.put(keys.key(), &store.value).expect("puts");
        });
        is_over.store(true, Ordering::Relaxed);
        samples
    });
    let mut figures = samples.figures();
    samples.add_checkpoints(&mut figures, &checkpoints::seen());
    let seconds = course.counted().1.as_secs_f64();
    figures.push("flood_puts_per_s", flood.load(Ordering::Relaxed) as f64 / seconds);
    drop((flooded, collection));
    store.end();
    figures
}
