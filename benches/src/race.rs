//! The race: Strongroom against raw redb on a real disk, turn and turn about in one run.
//!
//! The disk of a shared machine drifts by more than an order of magnitude between two minutes, so nothing here is an
//! absolute figure: each round runs the systems of a contest one after the other, and what counts is the median over
//! the rounds of their ratio. The spread is shown beside it.
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures of a benchmark, positive and far below 2^52"
)]

mod bulk;
mod checkpoints;
mod contest;
mod device;
mod drive;
mod keys;
pub(crate) mod machine;
mod puts;
mod quiet;
mod report;
mod samples;
mod stores;
mod submit;
mod tenants;

use std::path::PathBuf;

use serde_json::{Value, json};

pub use contest::Contest;
use contest::{Entry, Result};
pub use report::table;

/// What a race is run with.
#[derive(Clone, Debug)]
pub struct Course {
    /// Where the stores are made; on a file system of a real disk.
    pub directory: PathBuf,
    /// How long each cell is measured, in seconds. It runs a fifth longer before that, 5 seconds at the most.
    pub seconds: f64,
    /// How often each contest is run.
    pub rounds: usize,
    /// Memory for the pages of each file, in bytes, the same for both systems.
    pub cache_bytes: usize,
    /// From how many keys the puts choose; 0: every key is new.
    pub keys: u64,
    /// How many tenants are many.
    pub tenants: usize,
    /// Records of a bulk load.
    pub bulk_records: u64,
    /// Puts over which the bytes written to the device are counted.
    pub device_puts: u64,
    /// Only these contests; all where it is empty.
    pub only: Vec<Contest>,
}

impl Course {
    fn to_json(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "rounds": self.rounds,
            "cache_bytes": self.cache_bytes,
            "keys": self.keys,
            "tenants": self.tenants,
            "bulk_records": self.bulk_records,
            "device_puts": self.device_puts,
            "key_bytes": keys::KEY_BYTES,
            "value_bytes": keys::VALUE_BYTES,
        })
    }
}

/// Runs the race and gives its log: where and when, with what, every round's figures, and what they come to.
/// `progress` is told what is done.
///
/// # Panics
/// When the disk or a system fails.
pub fn run(course: &Course, progress: &mut dyn FnMut(&str)) -> Value {
    let contests = Contest::ALL.into_iter();
    let chosen: Vec<_> =
        contests.filter(|contest| course.only.is_empty() || course.only.contains(contest)).collect();
    let begun = machine::now();
    let mut results: Vec<Result> = Vec::new();
    for contest in chosen {
        results.extend(contest.entries(course).into_iter().map(|entries| race(course, entries, progress)));
    }
    json!({
        "commit": machine::commit(),
        "begun": begun,
        "ended": machine::now(),
        "machine": machine::describe(&course.directory),
        "course": course.to_json(),
        "contests": results.iter().map(Result::to_json).collect::<Vec<_>>(),
    })
}

/// Runs the entries of one contest turn and turn about; every other round backwards, so that none always follows the
/// same.
fn race(
    course: &Course,
    (mut result, mut entries): (Result, Vec<Entry<'_>>),
    progress: &mut dyn FnMut(&str),
) -> Result {
    for round in 0..course.rounds {
        let mut order: Vec<_> = (0..entries.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            machine::settle();
            let sync = machine::sync_micros(&course.directory);
            let entry = &mut entries[index];
            let watch = machine::Watch::begin();
            let mut figures = (entry.run)();
            figures.push("others_cpu", watch.others());
            figures.push("disk_sync_us", sync);
            let rate = figures.get(result.figure).unwrap_or_default();
            progress(&format!(
                "{}, round {}: {} {rate:.0} {}, sync of 4 KiB {sync:.0} us",
                result.name,
                round + 1,
                entry.name,
                result.figure
            ));
            result.add(entry.name, figures);
        }
    }
    result
}
