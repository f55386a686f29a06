//! Puts of one record each, on one tenant.

use std::cell::Cell;

use strongroom::{Collection, Durability, PutOptions, TenantOptions};

use crate::race::contest::{Entry, Figures, Goal, Measure, Result};
use crate::race::drive::for_a_time;
use crate::race::keys::Keys;
use crate::race::stores::{RawStore, SealedStore};
use crate::race::{Course, checkpoints, machine};

const RAW: &str = "raw redb";
const SEALED: &str = "Strongroom";

fn name_of(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// Durable puts against raw redb's one-phase commits.
pub(super) fn durable(course: &Course, threads: usize, goal: f64) -> (Result, Vec<Entry<'_>>) {
    let measure = Measure {
        what: "durable puts a second",
        figure: "puts_per_s",
        of: SEALED,
        to: Some(RAW),
        goal: Some(Goal::AtLeast(goal)),
    };
    let result = Result::new(format!("durable puts, {}", name_of(threads)), "puts_per_s", vec![measure]);
    let raw = turn(move |seed| {
        let store = RawStore::create(course);
        let samples = for_a_time(course, threads, |thread| {
            let (mut keys, store) = (Keys::new(seed, thread, course.keys), &store);
            move || store.put(&keys.key())
        });
        samples.figures()
    });
    let sealed = turn(move |seed| sealed(course, threads, seed, &PutOptions::new()));
    (result, vec![Entry::new(RAW, raw), Entry::new(SEALED, sealed)])
}

/// Buffered puts of one thread against redb's commits that nothing waits for.
pub(super) fn buffered(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let measure = Measure {
        what: "buffered puts a second, against redb's commits without durability",
        figure: "puts_per_s",
        of: SEALED,
        to: Some(RAW),
        goal: None,
    };
    let result = Result::new("buffered puts, 1 thread", "puts_per_s", vec![measure]);
    let raw = turn(move |seed| {
        let store = RawStore::create(course);
        let samples = for_a_time(course, 1, |thread| {
            let (mut keys, store) = (Keys::new(seed, thread, course.keys), &store);
            move || store.put_buffered(&keys.key())
        });
        samples.figures()
    });
    let options = PutOptions::new().durability(Durability::Buffered);
    let sealed = turn(move |seed| sealed(course, 1, seed, &options));
    (result, vec![Entry::new(RAW, raw), Entry::new(SEALED, sealed)])
}

/// Each turn has keys of its own.
pub(super) fn turn(mut run: impl FnMut(u64) -> Figures) -> impl FnMut() -> Figures {
    let turn = Cell::new(0);
    move || {
        turn.set(turn.get() + 1);
        run(turn.get())
    }
}

fn sealed(course: &Course, threads: usize, seed: u64, options: &PutOptions) -> Figures {
    let store = SealedStore::create(course);
    let (_, collection) = store.tenant("one", TenantOptions::new());
    let figures = measured(
        &store,
        course,
        threads,
        |thread| (Keys::new(seed, thread, course.keys), &collection),
        options,
    );
    drop(collection);
    store.end();
    figures
}

/// Puts by many threads, into a collection for each.
pub(super) fn measured<'a>(
    store: &SealedStore,
    course: &Course,
    threads: usize,
    of: impl Fn(usize) -> (Keys, &'a Collection) + Sync,
    options: &PutOptions,
) -> Figures {
    checkpoints::listen();
    let before = batches(store);
    let samples = for_a_time(course, threads, |thread| {
        let ((mut keys, collection), options) = (of(thread), options.clone());
        move || {
            collection.put_with(keys.key(), &store.value, options.clone()).expect("puts");
        }
    });
    let after = batches(store);
    let mut figures = samples.figures();
    samples.add_checkpoints(&mut figures, &checkpoints::seen());
    add_batches(&mut figures, before, after);
    figures.push("memory_mib", machine::memory_kib() / 1_024.0);
    figures
}

/// Batches, changes and microseconds of syncs so far.
pub(super) fn batches(store: &SealedStore) -> [u64; 4] {
    let lanes = store.engine.lanes().expect("tells");
    let mut sums = [0; 4];
    for lane in lanes {
        let stats = lane.stats;
        for (sum, value) in
            sums.iter_mut().zip([stats.batches, stats.changes, stats.syncs, stats.sync_micros])
        {
            *sum += value;
        }
    }
    sums
}

pub(super) fn add_batches(figures: &mut Figures, before: [u64; 4], after: [u64; 4]) {
    let [batches, changes, syncs, sync_micros] =
        [0, 1, 2, 3].map(|index| (after[index] - before[index]) as f64);
    figures.push("puts_per_batch", changes / batches.max(1.0));
    figures.push("journal_sync_us", sync_micros / syncs.max(1.0));
}
