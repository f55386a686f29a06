//! Puts records in batches, many of them under way at a time, and counts what could not be put.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Read};

use crc32fast::Hasher;
use indicatif::ProgressBar;
use serde_json::json;
use strongroom::limits::{RECORD_KEY_BYTES_MAX, VALUE_BYTES_MAX};
use strongroom::{Batch, Collection, Engine, ErrorKind, PutOptions, Tenant};

use super::mapping::Mapped;
use super::progress::{Progress, Reached};
use super::under_way::{Durable, Pipeline, UnderWay, refused};
use crate::args::Import;
use crate::console::{self, Counted};
use crate::failure::{Failure, Outcome};
use crate::text::{counted, grouped, size};

const BATCH_RECORDS: u64 = 1_000;
const BATCH_BYTES: usize = 8 << 20;

/// A record to be put.
pub(super) struct Pending {
    pub(super) tenant: Tenant,
    pub(super) collection: Collection,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) options: PutOptions,
}

/// Where a record is to be put.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) collection: &'a Collection,
    pub(super) key: &'a [u8],
}

/// Loads records into one tenant, or into those that they name.
pub(super) struct Loader<'a> {
    engine: &'a Engine,
    import: &'a Import,
    /// Tenants by name, and the collection that is imported into.
    targets: HashMap<String, (Tenant, Collection)>,
    /// Batches that are being filled, one a tenant.
    filling: Vec<Filling>,
    batch_records: u64,
    pipeline: Pipeline,
    json: bool,
    bar: ProgressBar,
    failed: u64,
    /// What an earlier run imported.
    before: Reached,
    /// The row that is being looked at, and all rows' checksum up to it.
    row: u64,
    hasher: Hasher,
    /// The last row that is in a batch or was refused.
    through: Reached,
}

/// A batch that is being filled.
struct Filling {
    tenant: Tenant,
    batch: Batch,
    records: u64,
    value_bytes: u64,
    /// Of keys and values.
    bytes: usize,
    /// The keys to be printed.
    keys: Vec<Vec<u8>>,
    /// Where the first record is from.
    place: String,
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        import: &'a Import,
        progress: Option<Progress>,
        json: bool,
    ) -> Outcome<Self> {
        let default = if import.acks { 1 } else { BATCH_RECORDS };
        let before = progress.as_ref().map_or_else(Reached::default, Progress::reached);
        Ok(Self {
            engine,
            import,
            targets: HashMap::new(),
            filling: Vec::new(),
            batch_records: import.batch.unwrap_or(default),
            pipeline: Pipeline::start(import.acks, progress)?,
            json,
            bar: ProgressBar::hidden(),
            failed: 0,
            before,
            row: 0,
            hasher: Hasher::new(),
            through: before,
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

    /// Begins with a row, from 1; `said` is what it says. `false` where an earlier run imported it.
    pub(super) fn begins(&mut self, row: u64, said: &[u8]) -> Outcome<bool> {
        self.row = row;
        // So that what moves from one row to the next does not go unnoticed.
        self.hasher.update(&(said.len() as u64).to_le_bytes());
        self.hasher.update(said);
        if row == self.before.rows && self.reached().checksum != self.before.checksum {
            let message = format!(
                "{} is another than the one that --progress tells of, within the {} that were imported",
                self.import.path.display(),
                counted(row, "row")
            );
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        Ok(row > self.before.rows)
    }

    fn reached(&self) -> Reached {
        Reached { rows: self.row, checksum: self.hasher.clone().finalize() }
    }

    /// A tenant that is imported into.
    pub(super) fn tenant(&mut self, name: &str) -> Outcome<Tenant> {
        Ok(self.target(name)?.0)
    }

    fn target(&mut self, name: &str) -> Outcome<(Tenant, Collection)> {
        if let Some(target) = self.targets.get(name) {
            return Ok(target.clone());
        }
        let tenant = self.engine.tenant(name)?;
        let collection = tenant.collection(&self.import.collection)?;
        let target = (tenant, collection);
        self.targets.insert(name.to_owned(), target.clone());
        Ok(target)
    }

    /// Adds a record that a row came to.
    pub(super) fn add_mapped(&mut self, place: impl Display, mapped: Mapped) -> Outcome {
        let Mapped { tenant, key, value, options } = mapped;
        let name = tenant.as_deref().unwrap_or(&self.import.tenant);
        match self.target(name) {
            Ok((tenant, collection)) => self.add(place, Pending { tenant, collection, key, value, options }),
            Err(failure) => self.refuse(place, format_args!("can't be put: {}", failure.message())),
        }
    }

    /// Adds a record to its tenant's batch; full batches are handed in first. `place` says where the record is from, should
    /// it be refused.
    pub(super) fn add(&mut self, place: impl Display, pending: Pending) -> Outcome {
        let Pending { tenant, collection, key, value, options } = pending;
        if value.len() > VALUE_BYTES_MAX {
            let target = Place { collection: &collection, key: &key };
            return self.add_large(place, target, &value[..], options).map(|_| ());
        }
        if let Err(problem) = check_key(&key) {
            return self.refuse(place, problem);
        }
        let bytes = key.len() + value.len();
        if self.filling.iter().map(|filling| filling.bytes).sum::<usize>() + bytes > BATCH_BYTES {
            self.hand_in()?;
        }
        let at = self.filling_of(&tenant, &place);
        let mut put = self.filling[at].batch.put_with(&collection, &key, &value, options.clone());
        if put.as_ref().is_err_and(|error| error.kind() == ErrorKind::LimitExceeded)
            && self.filling[at].records > 0
        {
            // Secondary keys and subjects count as operations too.
            self.hand_in()?;
            let at = self.filling_of(&tenant, &place);
            put = self.filling[at].batch.put_with(&collection, &key, &value, options);
        }
        if let Err(error) = put {
            return self.refuse_put(place, error);
        }
        let at = self.filling_of(&tenant, &place);
        let filling = &mut self.filling[at];
        filling.records += 1;
        filling.value_bytes += value.len() as u64;
        filling.bytes += bytes;
        if self.import.acks {
            filling.keys.push(key);
        }
        self.through = self.reached();
        let records: u64 = self.filling.iter().map(|filling| filling.records).sum();
        if records >= self.batch_records { self.hand_in() } else { Ok(()) }
    }

    /// Puts a record whose value may have any length, in constant memory, once what was added before is durable; gives the
    /// value's length.
    pub(super) fn add_large(
        &mut self,
        place: impl Display,
        target: Place<'_>,
        value: impl Read,
        options: PutOptions,
    ) -> Outcome<u64> {
        if let Err(problem) = check_key(target.key) {
            return self.refuse(place, problem).map(|()| 0);
        }
        self.flush()?;
        let mut value = Source { value, bytes: 0, problem: None };
        if let Err(error) = target.collection.put_reader(target.key, &mut value, options) {
            let refused = match value.problem {
                Some(problem) => self.refuse(place, format_args!("can't be read: {problem}")),
                None => self.refuse_put(place, error),
            };
            return refused.map(|()| 0);
        }
        self.through = self.reached();
        self.pipeline.take(UnderWay {
            submitted: None,
            records: 1,
            value_bytes: value.bytes,
            bytes: 0,
            keys: if self.import.acks { vec![target.key.to_vec()] } else { Vec::new() },
            place: place.to_string(),
            through: Some(self.through),
        })?;
        Ok(value.bytes)
    }

    /// Refuses a record that the engine does not take; anything else ends the import.
    fn refuse_put(&mut self, place: impl Display, error: strongroom::Error) -> Outcome {
        match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::NotFound | ErrorKind::Held | ErrorKind::LimitExceeded => {
                self.refuse(place, format_args!("can't be put: {error}"))
            }
            _ => Err(Failure::from(error).within(place)),
        }
    }

    fn filling_of(&mut self, tenant: &Tenant, place: &impl Display) -> usize {
        if let Some(at) = self.filling.iter().position(|filling| filling.tenant.id() == tenant.id()) {
            return at;
        }
        self.filling.push(Filling {
            tenant: tenant.clone(),
            batch: tenant.batch(),
            records: 0,
            value_bytes: 0,
            bytes: 0,
            keys: Vec::new(),
            place: place.to_string(),
        });
        self.filling.len() - 1
    }

    /// Hands the batches in and does not wait for them.
    fn hand_in(&mut self) -> Outcome {
        let mut left = self.filling.len();
        for filling in self.filling.drain(..) {
            left -= 1;
            let Filling { tenant, batch, records, value_bytes, bytes, keys, place } = filling;
            if records == 0 {
                continue;
            }
            self.pipeline.make_room()?;
            let submitted = match tenant.submit(batch) {
                Ok(submitted) => submitted,
                Err(error) => {
                    let before = self.pipeline.settle()?.records;
                    return Err(refused(error, &place, records, before, "none"));
                }
            };
            // Batches become durable in their order: the last one's rows stand for all.
            let through = (left == 0).then_some(self.through);
            self.pipeline.take(UnderWay {
                submitted: Some(submitted),
                records,
                value_bytes,
                bytes,
                keys,
                place,
                through,
            })?;
        }
        Ok(())
    }

    /// Makes everything durable that was added; gives what is.
    pub(super) fn flush(&mut self) -> Outcome<Durable> {
        self.hand_in()?;
        self.pipeline.settle()
    }

    /// Notes that something could not be put: ends the import, or goes on where that was asked for.
    pub(super) fn refuse(&mut self, place: impl Display, problem: impl Display) -> Outcome {
        let failure = Failure::new(ErrorKind::InvalidArgument, format!("{place} {problem}"));
        if self.import.keep_going {
            self.failed += 1;
            self.through = self.reached();
            self.bar.suspend(|| failure.report(self.json));
            return Ok(());
        }
        let records = self.flush()?.records;
        self.pipeline.end(self.through, false)?;
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
        if self.row < self.before.rows {
            let message = format!("{} has fewer rows than --progress tells of", self.import.path.display());
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        self.pipeline.end(self.reached(), true)?;
        self.bar.finish_and_clear();
        let skipped = self.before.rows;
        if !self.import.acks {
            let before = if skipped == 0 {
                String::new()
            } else {
                format!(" An earlier run did {}.", counted(skipped, "row"))
            };
            console::print(
                self.json,
                &json!({
                    "records": records, "bytes": bytes, "batches": batches, "failed": self.failed, "skipped": skipped,
                }),
                format_args!("Imported {}, {}.{before}", counted(records, "record"), size(bytes)),
            )?;
        }
        if self.failed == 0 {
            return Ok(());
        }
        let message = format!("{} could not be imported, {} were", grouped(self.failed), grouped(records));
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }
}

/// A value that is read while it is put.
struct Source<R> {
    value: R,
    bytes: u64,
    /// Why it can't be read.
    problem: Option<String>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.value.read(out);
        match &read {
            Ok(bytes) => self.bytes += *bytes as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.problem = Some(error.to_string()),
        }
        read
    }
}

/// Whether the engine takes the key.
fn check_key(key: &[u8]) -> Result<(), String> {
    if key.is_empty() || key.len() > RECORD_KEY_BYTES_MAX {
        let bytes = key.len();
        return Err(format!("has a key of {bytes} bytes: a key has 1 to {RECORD_KEY_BYTES_MAX}"));
    }
    Ok(())
}
