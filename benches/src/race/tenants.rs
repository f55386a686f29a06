//! Sixty-four threads over many tenants, against the same on one.

use strongroom::{PutOptions, TenantOptions};

use crate::race::contest::{Entry, Figures, Goal, Measure, Result};
use crate::race::drive::for_a_time;
use crate::race::keys::Keys;
use crate::race::puts::{add_batches, batches, measured, turn};
use crate::race::stores::SealedStore;
use crate::race::{Course, checkpoints, machine};

const ONE: &str = "one tenant";
const MANY: &str = "many tenants";
const THREADS: usize = 64;

pub(super) fn contest(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let measure = Measure {
        what: "durable puts a second, all tenants together",
        figure: "puts_per_s",
        of: MANY,
        to: Some(ONE),
        goal: Some(Goal::AtLeast(0.6)),
    };
    let name = format!("durable puts, {THREADS} threads over {} tenants", course.tenants);
    let result = Result::new(name, "puts_per_s", vec![measure]);
    let one = turn(move |seed| {
        let store = SealedStore::create(course);
        let (_, collection) = store.tenant("one", TenantOptions::new());
        let of = |thread| (Keys::new(seed, thread, course.keys), &collection);
        let figures = measured(&store, course, THREADS, of, &PutOptions::new());
        drop(collection);
        store.end();
        figures
    });
    let many = turn(move |seed| many(course, seed));
    (result, vec![Entry::new(ONE, one), Entry::new(MANY, many)])
}

/// Each put goes to a tenant chosen at random.
fn many(course: &Course, seed: u64) -> Figures {
    let store = SealedStore::create(course);
    let collections: Vec<_> =
        (0..course.tenants).map(|n| store.tenant(&format!("tenant-{n}"), TenantOptions::new()).1).collect();
    checkpoints::listen();
    let before = batches(&store);
    let samples = for_a_time(course, THREADS, |thread| {
        let (mut keys, collections, value) =
            (Keys::new(seed, thread, course.keys), &collections, &store.value);
        move || {
            let number = usize::try_from(keys.number() >> 1).unwrap_or_default();
            collections[number % collections.len()].put(keys.key(), value).expect("puts");
        }
    });
    let after = batches(&store);
    let mut figures = samples.figures();
    samples.add_checkpoints(&mut figures, &checkpoints::seen());
    add_batches(&mut figures, before, after);
    figures.push("memory_mib", machine::memory_kib() / 1_024.0);
    drop(collections);
    store.end();
    figures
}
