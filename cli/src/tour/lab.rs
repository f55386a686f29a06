//! Where the attacks are made: the files of both tenants, with copies to put back, and what reading gives.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use strongroom::{Collection, Engine, Error, ErrorKind, Plaintext, StoreId, TenantId};
use walkdir::WalkDir;

use super::control::{Control, Record};
use super::journal::neighbour_goes_on;
use super::load::Loaded;
use super::report::Report;
use super::workspace::{CONTROL, COPIES, STORE, Workspace};
use super::{COLLECTION, REGION, TENANTS};
use crate::failure::{Failure, Outcome};
use crate::text::{counted, grouped};

/// What a damaged file may be answered with: never anything else, and never a wrong value.
const ANSWERS: [ErrorKind; 5] = [
    ErrorKind::Unauthentic,
    ErrorKind::Corrupted,
    ErrorKind::RolledBack,
    ErrorKind::KeyMissing,
    ErrorKind::Unavailable,
];
/// Refusals after which reading on shows nothing more: a block of the tree's top was hit.
const REFUSALS_MAX: u64 = 500;
/// How often a read is repeated that says it may succeed later.
const RETRIES: usize = 3;

/// A promise that was not kept: a defect.
pub(super) fn broken(what: impl Display) -> Failure {
    Failure::new(ErrorKind::Internal, format!("this should not be possible, please report it: {what}"))
}

/// A tenant, and where its files are.
pub(super) struct Subject {
    pub(super) name: &'static str,
    id: TenantId,
    pub(super) data: PathBuf,
    pub(super) keyring: PathBuf,
    /// The directory of the journal that the tenants of its region share.
    pub(super) journal: PathBuf,
    /// What the key store says of that journal.
    lane: PathBuf,
}

impl Subject {
    /// The bytes that its id's digits stand for.
    pub(super) fn id_bytes(&self) -> Vec<u8> {
        let digits = self.id.to_string();
        let pairs = (0..digits.len()).step_by(2).filter_map(|at| digits.get(at..at + 2));
        pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
    }
}

/// The store that is attacked. It is closed between the attacks.
pub(super) struct Lab<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) control: Control,
    pub(super) subjects: [Subject; 2],
    pub(super) records: u64,
}

/// What reading every record of a tenant gave. A wrong or missing value is a [`Failure`] instead.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) equal: u64,
    pub(super) refused: BTreeMap<&'static str, u64>,
    /// Reading was given up: too much was refused.
    pub(super) is_partial: bool,
}

impl Reading {
    pub(super) fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    /// `3 records refused (Unauthentic)`.
    pub(super) fn refused_text(&self) -> String {
        let kinds: Vec<_> = self.refused.keys().copied().collect();
        let at_least = if self.is_partial { "at least " } else { "" };
        format!("{at_least}{} refused ({})", counted(self.refusals(), "record"), kinds.join(", "))
    }
}

impl<'a> Lab<'a> {
    /// Finds the files of the tenants.
    pub(super) fn new(workspace: &'a Workspace, loaded: &Loaded) -> Outcome<Self> {
        let engine = workspace.open()?;
        let mut ids = Vec::new();
        for (name, _) in TENANTS {
            ids.push(engine.tenant_info(name)?.id);
        }
        let store = engine.store_id();
        engine.close()?;
        let [first, second] = TENANTS.map(|(name, _)| name);
        let subjects = [
            subject(workspace, first, STORE, store, ids[0])?,
            subject(workspace, second, &format!("{STORE}-{REGION}"), store, ids[1])?,
        ];
        let control = Control::open(&workspace.join(CONTROL))?;
        Ok(Self { workspace, control, subjects, records: loaded.records })
    }

    /// The tenant that is attacked.
    pub(super) fn victim(&self) -> &Subject {
        &self.subjects[1]
    }

    /// The tenant that must not notice.
    pub(super) fn other(&self) -> &Subject {
        &self.subjects[0]
    }

    /// Does `work`, which may spoil the victim's files and its journal, and puts them back as they were.
    pub(super) fn spoiling<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let victim = self.victim();
        let copies = [
            (&victim.data, self.copy_path("data")),
            (&victim.keyring, self.copy_path("keyring")),
            (&victim.journal, self.copy_path("journal")),
            (&victim.lane, self.copy_path("lane")),
        ];
        for (original, copied) in &copies {
            copy_tree(original, copied)?;
        }
        let outcome = work();
        for (original, copied) in &copies {
            copy_tree(copied, original)?;
        }
        outcome
    }

    pub(super) fn copy_path(&self, name: &str) -> PathBuf {
        self.workspace.join(COPIES).join(name)
    }

    /// Opens the store, whole or spoilt, and does `work` with it.
    pub(super) fn with_store<T>(&self, work: impl FnOnce(&Engine) -> Outcome<T>) -> Outcome<T> {
        Self::with_engine(self.workspace.open()?, work)
    }

    pub(super) fn with_engine<T>(engine: Engine, work: impl FnOnce(&Engine) -> Outcome<T>) -> Outcome<T> {
        let outcome = work(&engine);
        // A damage that no read met can be met by closing the file: then it is said there.
        let closed = engine.close().or_else(|error| answer(&error).map(|_| ()));
        outcome.and_then(|result| closed.map(|()| result))
    }

    /// Reads every record of a tenant and compares it with the control copy. An error is one of opening the tenant.
    pub(super) fn read(&self, engine: &Engine, subject: &Subject) -> Outcome<Result<Reading, ErrorKind>> {
        let collection = match engine.tenant(subject.name).and_then(|tenant| tenant.collection(COLLECTION)) {
            Ok(collection) => collection,
            Err(error) => return Ok(Err(answer(&error)?)),
        };
        let mut reading = Reading::default();
        self.control.each(|key, expected| {
            if reading.is_partial {
                return Ok(());
            }
            match get(&collection, key) {
                Ok(Some(value)) if *value == *expected => reading.equal += 1,
                Ok(Some(_)) => return Err(broken("a record was read with a wrong value")),
                Ok(None) => return Err(broken("a record was missing, and nothing said so")),
                Err(error) => *reading.refused.entry(answer(&error)?.name()).or_default() += 1,
            }
            reading.is_partial = reading.refusals() >= REFUSALS_MAX;
            Ok(())
        })?;
        Ok(Ok(reading))
    }

    /// Sees that the other tenant reads all of its records in the same open store.
    pub(super) fn other_goes_on(&self, engine: &Engine) -> Outcome<String> {
        self.reads_all(engine, self.other())?;
        let all = grouped(self.records);
        Ok(format!("the other tenant read {all} of {all}"))
    }

    fn reads_all(&self, engine: &Engine, subject: &Subject) -> Outcome {
        match self.read(engine, subject)? {
            Ok(reading) if reading.equal == self.records => Ok(()),
            Ok(reading) => Err(broken(format!("of {} records {} read", self.records, reading.equal))),
            Err(kind) => Err(broken(format!("a tenant that nobody touched does not open ({kind})"))),
        }
    }

    /// Sees that all tenants read everything again and that the store verifies. `written`: what the neighbour in the
    /// victim's journal has.
    pub(super) fn everything_is_well(&self, written: &[Record], report: &mut Report) -> Outcome {
        self.with_store(|engine| {
            self.subjects.iter().try_for_each(|subject| self.reads_all(engine, subject))?;
            neighbour_goes_on(engine, written)?;
            let verified = engine.verify(&mut |_| {})?;
            if !verified.is_good() || !verified.unknown_files.is_empty() {
                return Err(broken("the store does not verify after everything was put right"));
            }
            let blocks: u64 = verified.tenants.iter().map(|tenant| tenant.file.blocks).sum();
            let frames: u64 = verified.tenants.iter().map(|tenant| tenant.journal.frames).sum();
            let all = grouped(2 * self.records + written.len() as u64);
            report.add(
                "Put everything right and verified the store",
                format!(
                    "{all} of {all} records equal; {}, {} of the journals and all tables good",
                    counted(blocks, "block"),
                    counted(frames, "frame"),
                ),
            );
            Ok(())
        })
    }
}

fn subject(
    workspace: &Workspace,
    name: &'static str,
    region: &str,
    store: StoreId,
    id: TenantId,
) -> Outcome<Subject> {
    let root = workspace.join(region);
    let prefix = format!("{id}.");
    let data = WalkDir::new(root.join("tenants"))
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .ok_or_else(|| broken("a tenant has no file"))?
        .into_path();
    let keys = workspace.join(&format!("{region}.keys"));
    let keyring = keys.join(format!("{id}.keyring"));
    // The lane that tenants share goes by the store's id.
    let journal = root.join("journal").join(store.to_string());
    let lane = keys.join(format!("{store}.lane"));
    Ok(Subject { name, id, data, keyring, journal, lane })
}

/// Reads a record; an error that says so is tried again.
fn get(collection: &Collection, key: &[u8]) -> Result<Option<Plaintext>, Error> {
    let mut result = collection.get(key);
    for _ in 0..RETRIES {
        if !result.as_ref().is_err_and(Error::is_retryable) {
            break;
        }
        result = collection.get(key);
    }
    result
}

/// The kind of an error, if it is one that damage may be answered with.
pub(super) fn answer(error: &Error) -> Outcome<ErrorKind> {
    if ANSWERS.contains(&error.kind()) {
        return Ok(error.kind());
    }
    Err(broken(format!("damage was answered with {}: {error}", error.kind())))
}

/// Copies a file over another, whose directory is made if need be.
pub(super) fn copy(from: &Path, to: &Path) -> Outcome {
    let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(from, to));
    copied.map(|_| ()).map_err(|error| Failure::io(format!("copying {}", from.display()), &error))
}

/// Puts a copy of a file, or of a directory of files, in the place of another.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Outcome {
    if from.is_file() {
        return copy(from, to);
    }
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir_all(to).map_err(failed)?,
    }
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A failure to handle an attacked file.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn failed(error: io::Error) -> Failure {
    Failure::io("handling an attacked file", &error)
}
