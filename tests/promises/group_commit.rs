//! Promise: group commit hands every item on exactly once, in one order, to one leader at a time, and nobody waits for ever.
//!
//! The protocol of `engine/src/journal/group.rs`, the very file, is compiled here over shuttle's locks and threads, which
//! try thousands of schedules: random ones, and those that reorder few steps (PCT, Burckhardt et al., 2010). A schedule in
//! which somebody waits for ever is a deadlock, which shuttle reports with the schedule that replays it.

mod checked;

use checked::group::{Group, Lead, Ticketed};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

const ITERATIONS: usize = 10_000;

/// A journal that only remembers.
struct Journal {
    group: Group<u32, u32>,
    /// How many are leading.
    leading: AtomicUsize,
    /// Items in the order in which they were made durable, and in which they took effect.
    durable: Mutex<Vec<u32>>,
    effective: Mutex<Vec<u32>>,
    /// Items that one leader takes at the most.
    batch: usize,
}

impl Journal {
    fn new(batch: usize) -> Arc<Self> {
        Arc::new(Self {
            group: Group::new(),
            leading: AtomicUsize::new(0),
            durable: Mutex::default(),
            effective: Mutex::default(),
            batch,
        })
    }
}

impl Lead for Journal {
    type Item = u32;
    type Outcome = u32;
    type Durable = Vec<u32>;

    fn choose(&self, waiting: &mut Vec<Ticketed<u32, u32>>) -> usize {
        waiting.len().min(self.batch)
    }

    fn make_durable(&self, items: Vec<u32>) -> Vec<u32> {
        assert_eq!(self.leading.fetch_add(1, Ordering::SeqCst), 0, "two lead at once");
        self.durable.lock().unwrap().extend(&items);
        thread::yield_now();
        self.leading.fetch_sub(1, Ordering::SeqCst);
        items
    }

    fn take_effect(&self, durable: Vec<u32>) -> Vec<u32> {
        for item in &durable {
            self.effective.lock().unwrap().push(*item);
            thread::yield_now();
        }
        durable
    }
}

/// Callers that wait, and one that submits, against one journal.
fn callers_and_submitter(batch: usize) {
    let journal = Journal::new(batch);
    let committer = {
        let journal = Arc::clone(&journal);
        thread::spawn(move || journal.group.serve(&*journal))
    };
    let callers: Vec<_> = (0..3)
        .map(|caller| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                for call in 0..2 {
                    let item = caller * 10 + call;
                    assert_eq!(journal.group.call(item, &*journal), Some(item));
                    let effective = journal.effective.lock().unwrap().contains(&item);
                    assert!(effective, "an item is acknowledged before it takes effect");
                }
            })
        })
        .collect();
    let tickets = [100, 101, 102].map(|item| (item, journal.group.submit(item)));
    for (index, (item, ticket)) in tickets.into_iter().enumerate() {
        // As a future, and by waiting.
        let outcome = if index == 1 {
            journal.group.wait(&ticket, &*journal)
        } else {
            shuttle::future::block_on(ticket)
        };
        assert_eq!(outcome, Some(item));
    }
    for caller in callers {
        caller.join().unwrap();
    }
    journal.group.between(|| {
        let (durable, effective) = (journal.durable.lock().unwrap(), journal.effective.lock().unwrap());
        assert_eq!(*durable, *effective, "items take effect in another order than that of their durability");
        assert_eq!(durable.len(), 9, "an item is handed on twice or never");
    });
    journal.group.dismiss();
    committer.join().unwrap();
    assert_eq!(journal.group.call(7, &*journal), None, "who comes after the end waits for nothing");
}

#[test]
fn every_item_is_handed_on_once_in_one_order_under_random_schedules() {
    shuttle::check_random(|| callers_and_submitter(usize::MAX), ITERATIONS);
}

#[test]
fn every_item_is_handed_on_once_in_one_order_where_few_steps_are_reordered() {
    shuttle::check_pct(|| callers_and_submitter(usize::MAX), ITERATIONS, 3);
}

/// A leader whose own item has to wait for another round does not lose it.
#[test]
fn items_left_for_the_next_round_are_led_on() {
    shuttle::check_random(|| callers_and_submitter(1), ITERATIONS);
}

#[test]
fn dismissal_leaves_nobody_waiting() {
    shuttle::check_random(
        || {
            let journal = Journal::new(usize::MAX);
            let committer = {
                let journal = Arc::clone(&journal);
                thread::spawn(move || journal.group.serve(&*journal))
            };
            let submitter = {
                let journal = Arc::clone(&journal);
                thread::spawn(move || {
                    let outcome = shuttle::future::block_on(journal.group.submit(1));
                    assert!(outcome.is_none_or(|item| item == 1));
                })
            };
            journal.group.dismiss();
            submitter.join().unwrap();
            committer.join().unwrap();
        },
        ITERATIONS,
    );
}
