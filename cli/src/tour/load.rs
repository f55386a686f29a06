//! Loads the files for both tenants and for the control copy, reads them back, and measures what that took.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{Collection, Engine, Tenant, TenantOptions};
use walkdir::WalkDir;

use super::control::{Control, Record};
use super::input::Input;
use super::lab::{Lab, broken};
use super::report::Report;
use super::workspace::{CONTROL, STORE, Workspace};
use super::{COLLECTION, REGION, TENANTS};
use crate::console::{self, Counted};
use crate::failure::{Failure, Outcome};
use crate::files::{read_file, record_key};
use crate::text::{counted, grouped, size};

const BATCH_RECORDS: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;
/// Lines that are searched for later, at most.
const LINES_MAX: usize = 3_000;
/// A line shorter than this, or of fewer different bytes than half of it, could be found by chance.
const LINE_BYTES_MIN: usize = 16;
/// Bytes of a line that are searched for.
const LINE_BYTES_MAX: usize = 96;

/// What was loaded.
pub(super) struct Loaded {
    pub(super) records: u64,
    /// Bytes of values, once.
    pub(super) bytes: u64,
    /// Lines of the files, to be searched for.
    pub(super) lines: HashSet<Vec<u8>>,
    pub(super) keys: Vec<Vec<u8>>,
    sealed: Duration,
    control: Duration,
    /// What opening the store anew took, with everything in the journals.
    replay: Duration,
    /// What putting everything into the tenants' files took.
    checkpoint: Duration,
    /// Files that could not be read any more, or had grown too large.
    left_out: u64,
}

/// Loads every file.
pub(super) fn load(input: &Input, workspace: &Workspace) -> Outcome<Loaded> {
    let engine = workspace.create_store(STORE)?;
    let mut tenants = Vec::new();
    for (name, region) in TENANTS {
        tenants.push(engine.create_tenant(name, TenantOptions::new().region(region))?);
    }
    let mut loading = Loading {
        tenants,
        control: Control::create(&workspace.join(CONTROL))?,
        batch: Vec::new(),
        batch_bytes: 0,
        loaded: Loaded {
            records: 0,
            bytes: 0,
            lines: HashSet::new(),
            keys: Vec::new(),
            sealed: Duration::ZERO,
            control: Duration::ZERO,
            replay: Duration::ZERO,
            checkpoint: Duration::ZERO,
            left_out: 0,
        },
    };
    let bar = console::progress("Loading", input.bytes * 2, Counted::Bytes);
    let (every, lines) = sample(input.files.len());
    for (index, path) in input.files.iter().enumerate() {
        match read_file(path) {
            Ok(value) if value.len() <= VALUE_BYTES_MAX => {
                if index % every == 0 {
                    choose_lines(&value, lines, &mut loading.loaded.lines);
                }
                loading.add(record_key(&input.root, path), value)?;
            }
            _ => loading.loaded.left_out += 1,
        }
        // Half of the way is to read a file, the other half to store it.
        bar.set_position(loading.loaded.bytes * 2 + loading.batch_bytes as u64);
    }
    loading.flush()?;
    bar.finish_and_clear();
    let Loading { loaded, tenants, .. } = loading;
    drop(tenants);
    engine.close()?;
    Ok(loaded)
}

/// Of how many files one gives lines, and how many: together a few thousand.
fn sample(files: usize) -> (usize, usize) {
    (files.div_ceil(LINES_MAX).max(1), (LINES_MAX / files.max(1)).clamp(1, 200))
}

/// Adds up to `count` lines of a file, spread over it.
fn choose_lines(value: &[u8], count: usize, chosen: &mut HashSet<Vec<u8>>) {
    let lines: Vec<_> =
        value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| is_telling(line)).collect();
    let step = lines.len().div_ceil(count).max(1);
    chosen.extend(lines.iter().step_by(step).map(|line| line[..line.len().min(LINE_BYTES_MAX)].to_vec()));
}

/// Whether a line is no rule of dashes: what is found by chance proves nothing.
fn is_telling(line: &[u8]) -> bool {
    line.len() >= LINE_BYTES_MIN
        && line[..line.len().min(LINE_BYTES_MAX)].iter().collect::<HashSet<_>>().len() >= LINE_BYTES_MIN / 2
}

struct Loading {
    tenants: Vec<Tenant>,
    control: Control,
    batch: Vec<Record>,
    batch_bytes: usize,
    loaded: Loaded,
}

impl Loading {
    fn add(&mut self, key: Vec<u8>, value: Vec<u8>) -> Outcome {
        let bytes = key.len() + value.len();
        if self.batch.len() >= BATCH_RECORDS || self.batch_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        self.batch_bytes += bytes;
        self.batch.push((key, value));
        Ok(())
    }

    /// The same batch for the control copy and for each tenant, one after the other, so that the times can be compared.
    fn flush(&mut self) -> Outcome {
        let started = Instant::now();
        self.control.put(&self.batch)?;
        self.loaded.control += started.elapsed();
        let started = Instant::now();
        for tenant in &self.tenants {
            let collection = tenant.collection(COLLECTION)?;
            tenant.write(|batch| {
                self.batch.iter().try_for_each(|(key, value)| batch.put(&collection, key, value))
            })?;
        }
        self.loaded.sealed += started.elapsed();
        self.loaded.records += self.batch.len() as u64;
        self.loaded.bytes += self.batch.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
        self.loaded.keys.extend(self.batch.drain(..).map(|(key, _)| key));
        self.batch_bytes = 0;
        Ok(())
    }
}

impl Loaded {
    pub(super) fn describe(&self, input: &Input, report: &mut Report) {
        let mut seen = format!(
            "{}, {} of values, for each tenant; made durable at {}/s, and at {}/s with the checkpoint into the tenants' files \
             (unsealed redb: {}/s)",
            counted(self.records, "record"),
            size(self.bytes),
            size(per_second(2 * self.bytes, self.sealed)),
            size(per_second(2 * self.bytes, self.sealed + self.checkpoint)),
            size(per_second(self.bytes, self.control)),
        );
        for more in [
            input.left_out(),
            (self.left_out > 0).then(|| format!("{} changed meanwhile", counted(self.left_out, "file"))),
        ] {
            seen.extend(more.iter().flat_map(|more| ["; ", more]));
        }
        let claim =
            format!("Loaded {} for two tenants, in the regions default and {REGION}", input.root.display());
        report.add(claim, seen);
    }
}

/// Bytes a second.
fn per_second(bytes: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// Opens the store anew, which replays what only the journals have, and compares every record of both tenants with the
/// control copy.
pub(super) fn replay(workspace: &Workspace, loaded: &mut Loaded) -> Outcome {
    let started = Instant::now();
    let engine = workspace.open()?;
    let tenants = TENANTS.map(|(name, _)| engine.tenant(name));
    loaded.replay = started.elapsed();
    let control = Control::open(&workspace.join(CONTROL))?;
    for tenant in tenants {
        let collection = tenant?.collection(COLLECTION)?;
        control.each(|key, expected| read_one(&collection, key, expected).map(|_| ()))?;
    }
    Ok(engine.close()?)
}

/// Puts everything into the tenants' files.
pub(super) fn checkpoint(workspace: &Workspace, loaded: &mut Loaded) -> Outcome {
    let engine = workspace.open()?;
    for (name, _) in TENANTS {
        engine.tenant(name)?;
    }
    let started = Instant::now();
    engine.checkpoint()?;
    loaded.checkpoint = started.elapsed();
    let left: u64 = engine.lanes()?.iter().map(|lane| lane.stats.pending_bytes).sum();
    engine.close()?;
    if left == 0 { Ok(()) } else { Err(broken(format!("a checkpoint left {left} bytes in the journals"))) }
}

/// Reads every record of both tenants, after opening the store anew, and compares it with the control copy.
pub(super) fn read_back(workspace: &Workspace, loaded: &Loaded, report: &mut Report) -> Outcome {
    let engine = workspace.open()?;
    let (mut sealed, mut unsealed) = (Duration::ZERO, Duration::ZERO);
    let bar = console::progress("Reading back", loaded.records * 2, Counted::Records);
    for (name, _) in TENANTS {
        let collection = engine.tenant(name)?.collection(COLLECTION)?;
        check_count(&engine, name, loaded.records)?;
        // Opened anew as well: neither side has anything in memory when it begins.
        let control = Control::open(&workspace.join(CONTROL))?;
        for key in &loaded.keys {
            let started = Instant::now();
            let expected = control.get(key)?;
            unsealed += started.elapsed();
            sealed += read_one(&collection, key, &expected)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    engine.close()?;
    let all = grouped(2 * loaded.records);
    report.add(
        "Opened the store anew and read every record back, from the journals and again from the tenants' files",
        format!(
            "{all} of {all} equal both times, byte for byte; the journals were replayed in {:.2} s; the files read at {}/s \
             (unsealed redb: {}/s)",
            loaded.replay.as_secs_f64(),
            size(per_second(2 * loaded.bytes, sealed)),
            size(per_second(2 * loaded.bytes, unsealed)),
        ),
    );
    Ok(())
}

fn read_one(collection: &Collection, key: &[u8], expected: &[u8]) -> Outcome<Duration> {
    let started = Instant::now();
    let value = collection.get(key)?;
    let took = started.elapsed();
    match value {
        Some(value) if *value == *expected => Ok(took),
        Some(_) => Err(broken("a record was read back with another value")),
        None => Err(broken("a record that was stored is missing")),
    }
}

fn check_count(engine: &Engine, name: &str, records: u64) -> Outcome {
    let found = engine.tenant_stats(name)?.records;
    if found == records {
        Ok(())
    } else {
        Err(broken(format!("{found} records where {records} were stored")))
    }
}

/// How much of the disk it all takes.
pub(super) fn measure_disk(lab: &Lab<'_>, loaded: &Loaded, report: &mut Report) -> Outcome {
    let mut data = 0;
    let mut keys = 0;
    for subject in &lab.subjects {
        data += allocated(&subject.data)? + allocated(&subject.journal)?;
        keys += allocated(&subject.keyring)?;
    }
    let control = allocated(&lab.workspace.join(CONTROL))?;
    let key_bytes: u64 = loaded.keys.iter().map(|key| key.len() as u64).sum();
    let input = loaded.bytes + key_bytes;
    report.add(
        "Measured what is allocated on the disk",
        format!(
            "{} for {} of keys and values: {} (unsealed redb: {}); key stores: {}",
            size(data),
            size(2 * input),
            times(data, 2 * input),
            times(control, input),
            size(keys),
        ),
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "shown with two digits after the point")]
fn times(whole: u64, part: u64) -> String {
    format!("{:.2} times", whole as f64 / part.max(1) as f64)
}

/// Bytes that a file, or all files below a directory, take on the disk.
fn allocated(path: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in WalkDir::new(path) {
        let entry = entry.map_err(|error| Failure::io(path.display(), &error.into()))?;
        let metadata =
            fs::metadata(entry.path()).map_err(|error| Failure::io(entry.path().display(), &error))?;
        if metadata.is_file() {
            bytes += allocated_by(&metadata);
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn allocated_by(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated_by(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_all_over_a_file_and_none_that_chance_could_find() {
        let mut lines: Vec<_> =
            (0..1_000).map(|number| format!("  line number {number} of the file\r\n")).collect();
        lines.extend(["-".repeat(80), "short".to_owned(), "abab".repeat(20)].map(|line| line + "\n"));
        let mut chosen = HashSet::new();
        choose_lines(lines.concat().as_bytes(), 10, &mut chosen);
        assert_eq!(chosen.len(), 10);
        assert!(
            chosen.contains(&b"line number 0 of the file"[..])
                && chosen.contains(&b"line number 900 of the file"[..])
        );
        assert!(chosen.iter().all(|line| line.starts_with(b"line number ")));
    }

    #[test]
    fn a_sample_of_any_number_of_files_stays_bounded() {
        for files in [0, 1, 10, 2_999, 3_000, 3_001, 1_000_000] {
            let (every, lines) = sample(files);
            assert!(every >= 1 && lines >= 1 && files.div_ceil(every) * lines <= LINES_MAX, "{files}");
        }
    }
}
