//! Promise: a store of every released format opens and reads. `tests/golden/v1` was written once, by format 1; its root
//! key is a test vector.
//!
//! `STRONGROOM_WRITE_GOLDEN=1` writes a store of the present format where none is: for a new format version only.
#![allow(clippy::disallowed_methods, reason = "golden files are real files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom::{
    Config, Engine, KeyFile, Passphrase, PutOptions, Result, Submitted, Tenant, TenantOptions, Usage,
};

/// A golden store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Golden {
    /// Its keys are wrapped by a key file.
    KeyFile,
    /// Its keys are wrapped by a passphrase, and its catalog has a file.
    Passphrase,
    /// Like the first one, copied while it was open: it was never closed.
    Unclosed,
}

/// Puts into one collection.
#[derive(Clone, Copy, Debug)]
struct Round {
    tenant: &'static str,
    collection: &'static str,
    /// Part of values and times: a later round writes over an earlier one.
    number: u64,
    records: u64,
}

const fn round(tenant: &'static str, collection: &'static str, number: u64, records: u64) -> Round {
    Round { tenant, collection, number, records }
}

/// The first and last in a cold segment and in the log: the tenant has no file.
const UMBRELLA: [Round; 2] = [round("umbrella", "files", 0, 12), round("umbrella", "files", 1, 6)];
/// In a file that was rewritten, under a second structure key, and more in the journal.
const ACME: [Round; 4] = [
    round("acme", "invoices", 0, 40),
    round("acme", "schlüssel/../🦀", 0, 40),
    round("acme", "invoices", 1, 6),
    round("acme", "drafts", 1, 10),
];
/// In the shared journal only.
const GLOBEX: [Round; 1] = [round("globex", "files", 0, 25)];
/// In a file, and more in a journal of its own.
const INITECH: [Round; 2] = [round("initech", "files", 0, 25), round("initech", "files", 1, 8)];
/// In a journal of its own only.
const HOOLI: [Round; 1] = [round("hooli", "files", 0, 20)];

impl Round {
    fn puts(self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>, u64)> {
        (0..self.records).map(move |index| {
            let key = match index {
                0 => vec![0],
                1 => vec![0xff; 4_096],
                _ => format!("{} {index}", self.collection).into_bytes(),
            };
            let bytes = usize::try_from(index * index * 5).unwrap();
            let value = format!("{} {index} {} ", self.tenant, self.number).into_bytes();
            let value = value.into_iter().cycle().take(bytes).collect();
            (key, value, 1_700_000_000_000 + 1_000 * self.number + index)
        })
    }

    /// One put at a time.
    fn put(self, tenant: &Tenant) -> Result<()> {
        let collection = tenant.collection(self.collection)?;
        self.puts().try_for_each(|(key, value, written_ms)| {
            collection.put_with(key, value, PutOptions::new().written_ms(written_ms)).map(|_| ())
        })
    }

    /// Half of them at once, the others under way together: changes of several rows, frames of several changes.
    fn submit(self, tenant: &Tenant) -> Result<()> {
        let collection = tenant.collection(self.collection)?;
        let puts: Vec<_> = self.puts().collect();
        let (half, others) = puts.split_at(puts.len() / 2);
        tenant.write(|batch| {
            half.iter().try_for_each(|(key, value, written_ms)| {
                batch.put_with(&collection, key, value, PutOptions::new().written_ms(*written_ms))
            })
        })?;
        let submitted = others.iter().map(|(key, value, written_ms)| {
            let mut batch = tenant.batch();
            batch.put_with(&collection, key, value, PutOptions::new().written_ms(*written_ms))?;
            tenant.submit(batch)
        });
        let submitted = submitted.collect::<Result<Vec<Submitted>>>()?;
        submitted.into_iter().try_for_each(|submitted| submitted.wait().map(|_| ()))
    }
}

type Records = BTreeMap<(String, String, Vec<u8>), (Vec<u8>, u64)>;

/// What a golden store holds: by tenant, collection and key, the value and when it was written.
fn expected() -> Records {
    let mut records = Records::new();
    for round in UMBRELLA.iter().chain(&ACME).chain(&GLOBEX).chain(&INITECH).chain(&HOOLI) {
        for (key, value, written_ms) in round.puts() {
            let place = (round.tenant.to_owned(), round.collection.to_owned(), key);
            records.insert(place, (value, written_ms));
        }
    }
    records
}

impl Golden {
    fn name(self) -> &'static str {
        match self {
            Self::KeyFile => "key-file",
            Self::Passphrase => "passphrase",
            Self::Unclosed => "unclosed",
        }
    }

    fn directory(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(self.name())
    }

    fn config(self, directory: &Path) -> Config {
        let config = Config::new(directory.join("store")).segment_bytes(64 << 10).journal_bytes(128 << 10);
        match self {
            Self::Passphrase => {
                config.key_provider("default", Passphrase::new(*b"a passphrase for tests only"))
            }
            _ => config.key_provider("default", KeyFile::at(directory.join("root-key.test-vector"))),
        }
    }

    fn write(self) -> Result<()> {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::create(self.config(directory.path()).background(false))?;
        let shared = |name: &str| engine.create_tenant(name, TenantOptions::new());
        let dedicated = |name: &str| engine.create_tenant(name, TenantOptions::new().dedicated());
        let umbrella = shared("umbrella")?;
        UMBRELLA[0].submit(&umbrella)?;
        let acme = shared("acme")?;
        ACME[0].put(&acme)?;
        ACME[1].put(&acme)?;
        // A second structure key, and the tombstone of the first.
        acme.rewrite(&mut |_, _| {})?;
        // The journal is too long, and what is still needed of its oldest segments is little.
        engine.tick()?;
        let initech = dedicated("initech")?;
        INITECH[0].put(&initech)?;
        initech.checkpoint()?;
        if self == Self::Passphrase {
            engine.checkpoint()?;
        }
        ACME[2].put(&acme)?;
        ACME[3].submit(&acme)?;
        GLOBEX[0].submit(&shared("globex")?)?;
        INITECH[1].put(&initech)?;
        UMBRELLA[1].put(&umbrella)?;
        HOOLI[0].submit(&dedicated("hooli")?)?;
        if self == Self::Unclosed {
            copy(directory.path(), &self.directory());
            return engine.close();
        }
        drop((umbrella, acme, initech));
        engine.close()?;
        copy(directory.path(), &self.directory());
        Ok(())
    }

    fn opens(self) {
        if std::env::var_os("STRONGROOM_WRITE_GOLDEN").is_some() && !self.directory().exists() {
            self.write().unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        copy(&self.directory(), directory.path());
        let engine = Engine::open(self.config(directory.path())).unwrap();
        assert!(read(&engine) == expected(), "a golden record reads differently");
        let report = engine.verify(&mut |_| {}).unwrap();
        assert!(report.is_good() && report.unknown_files.is_empty(), "{report:#?}");
        let new = engine.tenant("acme").unwrap().collection("new").unwrap();
        let version = new.put(b"key", b"still writable").unwrap();
        // Each lane that was not closed makes the timeline grow.
        assert_eq!(version.timeline > 1, self == Self::Unclosed);
        // Everything that was in journals goes into files.
        engine.checkpoint().unwrap();
        engine.close().unwrap();
        let engine = Engine::open(self.config(directory.path())).unwrap();
        let mut records = read(&engine);
        records.retain(|(_, collection, _), _| collection != "new");
        assert!(records == expected(), "a golden record reads differently after a checkpoint");
    }
}

fn read(engine: &Engine) -> Records {
    let mut found = Records::new();
    for info in engine.tenants().unwrap() {
        let tenant = engine.tenant(&info.name).unwrap();
        for collection in tenant.collections().unwrap() {
            let mut held = Usage::default();
            for entry in tenant.collection(&collection.name).unwrap().scan::<&[u8]>(..).unwrap() {
                let entry = entry.unwrap();
                held.records += 1;
                held.bytes += entry.key.len() as u64 + entry.info.value_bytes;
                let place = (info.name.clone(), collection.name.clone(), entry.key);
                found.insert(place, (entry.value.unwrap().to_vec(), entry.info.written_ms));
            }
            // The golden files have no counts; their first checkpoint makes them.
            assert_eq!(tenant.collection(&collection.name).unwrap().usage().unwrap(), held);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn a_golden_store_of_format_1_with_a_key_file_opens_and_reads() {
    Golden::KeyFile.opens();
}

#[test]
fn a_golden_store_of_format_1_with_a_passphrase_opens_and_reads() {
    Golden::Passphrase.opens();
}

#[test]
fn a_golden_store_of_format_1_that_was_never_closed_opens_and_reads() {
    Golden::Unclosed.opens();
}
