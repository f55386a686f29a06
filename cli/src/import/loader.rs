//! Puts records in batches, many of them under way at a time, and counts what could not be put.

use std::fmt::Display;

use indicatif::ProgressBar;
use serde_json::json;
use strongroom::limits::{RECORD_KEY_BYTES_MAX, VALUE_BYTES_MAX};
use strongroom::{Collection, ErrorKind, PutOptions, Tenant};

use super::under_way::{Durable, Pipeline, UnderWay};
use crate::args::Import;
use crate::console::{self, Counted};
use crate::failure::{Failure, Outcome};
use crate::text::{counted, grouped, size};

const BATCH_RECORDS: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;

/// A record to be put.
pub(super) struct Pending {
    pub(super) collection: Collection,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) options: PutOptions,
}

/// Loads records into a tenant.
pub(super) struct Loader<'a> {
    tenant: &'a Tenant,
    pending: Vec<Pending>,
    pending_bytes: usize,
    batch_records: usize,
    /// Whether keys are printed once they are durable.
    acks: bool,
    pipeline: Pipeline,
    json: bool,
    keep_going: bool,
    bar: ProgressBar,
    failed: u64,
}

impl<'a> Loader<'a> {
    pub(super) fn new(tenant: &'a Tenant, import: &Import, json: bool) -> Outcome<Self> {
        let default = if import.acks { 1 } else { BATCH_RECORDS };
        Ok(Self {
            tenant,
            pending: Vec::new(),
            pending_bytes: 0,
            batch_records: import.batch.and_then(|records| usize::try_from(records).ok()).unwrap_or(default),
            acks: import.acks,
            pipeline: Pipeline::start(import.acks)?,
            json,
            keep_going: import.keep_going,
            bar: ProgressBar::hidden(),
            failed: 0,
        })
    }

    pub(super) fn show_progress(&mut self, total: u64, counted: Counted) {
        self.bar = console::progress("Importing", total, counted);
    }

    pub(super) fn progress_to(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Records that are durable.
    pub(super) fn records(&self) -> u64 {
        self.pipeline.durable().records
    }

    pub(super) fn tenant(&self) -> &'a Tenant {
        self.tenant
    }

    /// Adds a record to the batch; a full batch is handed in first. `place` says where the record is from, should it be
    /// refused.
    pub(super) fn add(&mut self, place: impl Display, pending: Pending) -> Outcome {
        if let Err(problem) = check(&pending) {
            return self.refuse(place, problem);
        }
        let bytes = pending.key.len() + pending.value.len();
        if self.pending_bytes + bytes > BATCH_BYTES {
            self.hand_in()?;
        }
        self.pending_bytes += bytes;
        self.pending.push(pending);
        if self.pending.len() >= self.batch_records { self.hand_in() } else { Ok(()) }
    }

    /// Hands the batch in and does not wait for it.
    fn hand_in(&mut self) -> Outcome {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.pipeline.make_room()?;
        let mut batch = self.tenant.batch();
        self.pending.iter().try_for_each(|record| {
            batch.put_with(&record.collection, &record.key, &record.value, record.options.clone())
        })?;
        let submitted = self.tenant.submit(batch)?;
        let records = self.pending.len() as u64;
        let value_bytes = self.pending.iter().map(|record| record.value.len() as u64).sum();
        let bytes = std::mem::take(&mut self.pending_bytes);
        let keys = self.pending.drain(..).filter(|_| self.acks).map(|record| record.key).collect();
        self.pipeline.take(UnderWay { submitted, records, value_bytes, bytes, keys })
    }

    /// Makes everything durable that was added; gives what is.
    pub(super) fn flush(&mut self) -> Outcome<Durable> {
        self.hand_in()?;
        self.pipeline.settle()
    }

    /// Notes that something could not be put: ends the import, or goes on where that was asked for.
    pub(super) fn refuse(&mut self, place: impl Display, problem: impl Display) -> Outcome {
        let failure = Failure::new(ErrorKind::InvalidArgument, format!("{place} {problem}"));
        if self.keep_going {
            self.failed += 1;
            self.bar.suspend(|| failure.report(self.json));
            return Ok(());
        }
        let records = self.flush()?.records;
        self.bar.finish_and_clear();
        let message = format!(
            "{}; {} before it {} imported, nothing after it",
            failure.message(),
            counted(records, "record"),
            if records == 1 { "was" } else { "were" },
        );
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }

    /// Says something that is no failure.
    pub(super) fn note(&self, text: impl Display) {
        self.bar.suspend(|| console::note(format_args!("{text}")));
    }

    /// Makes the rest durable and prints what was done.
    pub(super) fn finish(mut self) -> Outcome {
        let Durable { records, value_bytes: bytes, batches } = self.flush()?;
        self.bar.finish_and_clear();
        if !self.acks {
            console::print(
                self.json,
                &json!({"records": records, "bytes": bytes, "batches": batches, "failed": self.failed}),
                format_args!("Imported {}, {}.", counted(records, "record"), size(bytes)),
            )?;
        }
        if self.failed == 0 {
            return Ok(());
        }
        let message = format!("{} could not be imported, {} were", grouped(self.failed), grouped(records));
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }
}

/// Whether the engine takes the record: a batch must not fail for one of its records.
fn check(record: &Pending) -> Result<(), String> {
    let (key, value) = (record.key.len(), record.value.len());
    if key == 0 || key > RECORD_KEY_BYTES_MAX {
        return Err(format!("has a key of {key} bytes: a key has 1 to {RECORD_KEY_BYTES_MAX}"));
    }
    if value > VALUE_BYTES_MAX {
        return Err(format!("has a value of {value} bytes: the most is {VALUE_BYTES_MAX}"));
    }
    Ok(())
}
