//! Puts records in batches, says which are durable, and counts what could not be put.

use std::fmt::Display;

use indicatif::ProgressBar;
use serde_json::json;
use strongroom::limits::{RECORD_KEY_BYTES_MAX, VALUE_BYTES_MAX};
use strongroom::{Collection, ErrorKind, PutOptions, Tenant};

use crate::args::Import;
use crate::console::{self, Counted, Output};
use crate::failure::{Failure, Outcome};
use crate::text::{counted, grouped, size, text_or_base64};

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
    /// Where keys are printed once they are durable.
    acks: Option<Output>,
    json: bool,
    keep_going: bool,
    bar: ProgressBar,
    records: u64,
    bytes: u64,
    batches: u64,
    failed: u64,
}

impl<'a> Loader<'a> {
    pub(super) fn new(tenant: &'a Tenant, import: &Import, json: bool) -> Self {
        let default = if import.acks { 1 } else { BATCH_RECORDS };
        Self {
            tenant,
            pending: Vec::new(),
            pending_bytes: 0,
            batch_records: import.batch.and_then(|records| usize::try_from(records).ok()).unwrap_or(default),
            acks: import.acks.then(Output::new),
            json,
            keep_going: import.keep_going,
            bar: ProgressBar::hidden(),
            records: 0,
            bytes: 0,
            batches: 0,
            failed: 0,
        }
    }

    pub(super) fn show_progress(&mut self, total: u64, counted: Counted) {
        self.bar = console::progress("Importing", total, counted);
    }

    pub(super) fn progress_to(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Records that are durable.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn tenant(&self) -> &'a Tenant {
        self.tenant
    }

    /// Adds a record to the batch; a full batch is made durable first. `place` says where the record is from, should it
    /// be refused.
    pub(super) fn add(&mut self, place: impl Display, pending: Pending) -> Outcome {
        if let Err(problem) = check(&pending) {
            return self.refuse(place, problem);
        }
        let bytes = pending.key.len() + pending.value.len();
        if self.pending_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        self.pending_bytes += bytes;
        self.pending.push(pending);
        if self.pending.len() >= self.batch_records { self.flush() } else { Ok(()) }
    }

    /// Makes the batch durable, then says so.
    pub(super) fn flush(&mut self) -> Outcome {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.tenant.write(|batch| {
            self.pending.iter().try_for_each(|record| {
                batch.put_with(&record.collection, &record.key, &record.value, record.options)
            })
        })?;
        self.records += self.pending.len() as u64;
        self.bytes += self.pending.iter().map(|record| record.value.len() as u64).sum::<u64>();
        self.batches += 1;
        if let Some(acks) = &mut self.acks {
            for record in &self.pending {
                acks.line(format_args!("{}", acknowledged(&record.key)))?;
            }
            acks.flush()?;
        }
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Notes that something could not be put: ends the import, or goes on where that was asked for.
    pub(super) fn refuse(&mut self, place: impl Display, problem: impl Display) -> Outcome {
        let failure = Failure::new(ErrorKind::InvalidArgument, format!("{place} {problem}"));
        if self.keep_going {
            self.failed += 1;
            self.bar.suspend(|| failure.report(self.json));
            return Ok(());
        }
        self.flush()?;
        self.bar.finish_and_clear();
        let message = format!(
            "{}; {} before it {} imported, nothing after it",
            failure.message(),
            counted(self.records, "record"),
            if self.records == 1 { "was" } else { "were" },
        );
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }

    /// Says something that is no failure.
    pub(super) fn note(&self, text: impl Display) {
        self.bar.suspend(|| console::note(format_args!("{text}")));
    }

    /// Makes the rest durable and prints what was done.
    pub(super) fn finish(mut self) -> Outcome {
        self.flush()?;
        self.bar.finish_and_clear();
        if self.acks.is_none() {
            let (records, bytes, batches) = (self.records, self.bytes, self.batches);
            console::print(
                self.json,
                &json!({"records": records, "bytes": bytes, "batches": batches, "failed": self.failed}),
                format_args!("Imported {}, {}.", counted(records, "record"), size(bytes)),
            )?;
        }
        if self.failed == 0 {
            return Ok(());
        }
        let message =
            format!("{} could not be imported, {} were", grouped(self.failed), grouped(self.records));
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

/// A key on a line of its own that nothing else can be mistaken for: plain text as it is, other text as a JSON string,
/// anything else as `{"key_base64":..}`.
fn acknowledged(key: &[u8]) -> String {
    match text_or_base64(key) {
        (Some(text), _) if !text.chars().any(char::is_control) && !text.starts_with(['"', '{']) => {
            text.to_owned()
        }
        (Some(text), _) => json!(text).to_string(),
        (None, base64) => json!({"key_base64": base64}).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_key_is_one_line_and_stands_for_itself_only() {
        let keys = [&b"a/b c"[..], "\u{65e5}".as_bytes(), b"a\nb", b"\"a\"", b"{", b"\xff\n", b"\t"];
        let lines = keys.map(acknowledged);
        let expected =
            ["a/b c", "\u{65e5}", r#""a\nb""#, r#""\"a\"""#, r#""{""#, r#"{"key_base64":"/wo="}"#, r#""\t""#];
        assert_eq!(lines, expected);
    }
}
