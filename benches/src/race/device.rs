//! Bytes written to the device, for each byte of a value that is put by one of 64 threads.

use strongroom::TenantOptions;

use crate::race::contest::{Entry, Figures, Goal, Measure, Result};
use crate::race::drive::so_often;
use crate::race::keys::{Keys, VALUE_BYTES};
use crate::race::puts::turn;
use crate::race::stores::{RawStore, SealedStore};
use crate::race::{Course, machine};

const RAW: &str = "raw redb";
const SEALED: &str = "Strongroom";
const THREADS: usize = 64;
/// Raw redb is so slow that a tenth of the puts says enough.
const RAW_PART: u64 = 10;

pub(super) fn contest(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let of = |of, to, goal| Measure {
        what: "bytes written to the device for each byte of a value",
        figure: "bytes_per_byte",
        of,
        to,
        goal,
    };
    let measures =
        vec![of(SEALED, None, Some(Goal::AtMost(5.0))), of(RAW, None, None), of(SEALED, Some(RAW), None)];
    let name = format!("bytes written for {} durable puts, {THREADS} threads", course.device_puts);
    let result = Result::new(name, "bytes_per_byte", measures);
    let raw = turn(move |seed| {
        let puts = (course.device_puts / RAW_PART).max(1);
        let before = machine::bytes_written();
        let store = RawStore::create(course);
        so_often(puts, THREADS, |thread| {
            let (mut keys, store) = (Keys::new(seed, thread, course.keys), &store);
            move || store.put(&keys.key())
        });
        drop(store);
        figures(before, puts)
    });
    let sealed = turn(move |seed| {
        let before = machine::bytes_written();
        let store = SealedStore::create(course);
        let (tenant, collection) = store.tenant("one", TenantOptions::new());
        so_often(course.device_puts, THREADS, |thread| {
            let (mut keys, collection, value) =
                (Keys::new(seed, thread, course.keys), &collection, &store.value);
            move || {
                collection.put(keys.key(), value).expect("puts");
            }
        });
        let in_journal = machine::bytes_written();
        tenant.checkpoint().expect("is made");
        drop((tenant, collection));
        let mut figures = figures(before, course.device_puts);
        figures.push("before_last_checkpoint", (in_journal - before) as f64 / bytes(course.device_puts));
        let written: u64 =
            store.engine.lanes().expect("tells").iter().map(|lane| lane.stats.written_bytes).sum();
        figures.push("journal_bytes_per_byte", written as f64 / bytes(course.device_puts));
        store.end();
        figures
    });
    (result, vec![Entry::new(RAW, raw), Entry::new(SEALED, sealed)])
}

fn bytes(puts: u64) -> f64 {
    puts as f64 * VALUE_BYTES as f64
}

fn figures(before: u64, puts: u64) -> Figures {
    let mut figures = Figures::default();
    figures.push("bytes_per_byte", (machine::bytes_written() - before) as f64 / bytes(puts));
    figures
}
