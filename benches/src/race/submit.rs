//! Sixty-four puts under way from one thread, against sixty-four threads.

use std::collections::VecDeque;

use strongroom::{PutOptions, Submitted, TenantOptions};

use crate::race::contest::{Entry, Figures, Measure, Result};
use crate::race::drive::for_a_time;
use crate::race::keys::Keys;
use crate::race::puts::{add_batches, batches, measured, turn};
use crate::race::stores::SealedStore;
use crate::race::{Course, checkpoints, machine};

const THREADS: &str = "64 threads";
const SUBMIT: &str = "64 submitted";
const UNDER_WAY: usize = 64;

pub(super) fn contest(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let measure = Measure {
        what: "durable puts a second of one thread that submits, against as many threads",
        figure: "puts_per_s",
        of: SUBMIT,
        to: Some(THREADS),
        goal: None,
    };
    let result = Result::new("puts submitted by one thread", "puts_per_s", vec![measure]);
    let threads = turn(move |seed| {
        let store = SealedStore::create(course);
        let (_, collection) = store.tenant("one", TenantOptions::new());
        let of = |thread| (Keys::new(seed, thread, course.keys), &collection);
        let figures = measured(&store, course, UNDER_WAY, of, &PutOptions::new());
        drop(collection);
        store.end();
        figures
    });
    let submit = turn(move |seed| submitted(course, seed));
    (result, vec![Entry::new(THREADS, threads), Entry::new(SUBMIT, submit)])
}

fn submitted(course: &Course, seed: u64) -> Figures {
    let store = SealedStore::create(course);
    let (tenant, collection) = store.tenant("one", TenantOptions::new());
    checkpoints::listen();
    let before = batches(&store);
    let samples = for_a_time(course, 1, |thread| {
        let mut keys = Keys::new(seed, thread, course.keys);
        let mut under_way: VecDeque<Submitted> = VecDeque::with_capacity(UNDER_WAY);
        let (tenant, collection, value) = (&tenant, &collection, &store.value);
        move || {
            // One has ended for each that begins, but for the first few.
            if under_way.len() == UNDER_WAY
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.wait().expect("is made");
            }
            let mut batch = tenant.batch();
            batch.put(collection, keys.key(), value).expect("takes it");
            under_way.push_back(tenant.submit(batch).expect("takes it"));
        }
    });
    let after = batches(&store);
    let mut figures = samples.figures();
    samples.add_checkpoints(&mut figures, &checkpoints::seen());
    add_batches(&mut figures, before, after);
    figures.push("memory_mib", machine::memory_kib() / 1_024.0);
    drop((tenant, collection));
    store.end();
    figures
}
