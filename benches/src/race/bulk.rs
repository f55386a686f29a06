//! A bulk load in batches of 1,000, until everything is in the file.

use std::time::Instant;

use strongroom::TenantOptions;

use crate::race::contest::{Entry, Figures, Goal, Measure, Result};
use crate::race::keys::{KEY_BYTES, Keys};
use crate::race::puts::turn;
use crate::race::stores::{RawStore, SealedStore};
use crate::race::{Course, machine};

const RAW: &str = "raw redb";
const SEALED: &str = "Strongroom";
const BATCH: u64 = 1_000;

pub(super) fn contest(course: &Course) -> (Result, Vec<Entry<'_>>) {
    let measure = Measure {
        what: "records loaded a second, the last checkpoint included",
        figure: "records_per_s",
        of: SEALED,
        to: Some(RAW),
        goal: Some(Goal::AtLeast(1.7)),
    };
    let name = format!("bulk load of {} records, {BATCH} a batch", course.bulk_records);
    let result = Result::new(name, "records_per_s", vec![measure]);
    let raw = turn(move |seed| {
        let store = RawStore::create(course);
        timed(course, |batch| store.put_batch(&batch_of(seed, batch)), || ())
    });
    let sealed = turn(move |seed| {
        let store = SealedStore::create(course);
        let (tenant, collection) = store.tenant("one", TenantOptions::new());
        let put = |batch| {
            let keys = batch_of(seed, batch);
            let put = tenant
                .write(|batch| keys.iter().try_for_each(|key| batch.put(&collection, key, &store.value)));
            put.expect("is written");
        };
        let figures = timed(course, put, || tenant.checkpoint().expect("is made"));
        drop(collection);
        store.end();
        figures
    });
    (result, vec![Entry::new(RAW, raw), Entry::new(SEALED, sealed)])
}

fn batch_of(seed: u64, batch: u64) -> Vec<[u8; KEY_BYTES]> {
    let mut keys = Keys::new(seed, usize::try_from(batch).unwrap_or_default(), 0);
    (0..BATCH).map(|_| keys.key()).collect()
}

fn timed(course: &Course, mut put: impl FnMut(u64), end: impl FnOnce()) -> Figures {
    let batches = course.bulk_records.div_ceil(BATCH);
    let (begun, before, cpu_before) = (Instant::now(), machine::bytes_written(), machine::cpu_seconds());
    (0..batches).for_each(&mut put);
    let until_end = begun.elapsed();
    end();
    let elapsed = begun.elapsed();
    let records = (batches * BATCH) as f64;
    let mut figures = Figures::default();
    figures.push("records_per_s", records / elapsed.as_secs_f64());
    figures.push(
        "last_checkpoint_share",
        elapsed.saturating_sub(until_end).as_secs_f64() / elapsed.as_secs_f64(),
    );
    figures.push("cpu_us_per_put", (machine::cpu_seconds() - cpu_before) * 1e6 / records);
    figures.push("device_bytes_per_record", (machine::bytes_written() - before) as f64 / records);
    figures
}
