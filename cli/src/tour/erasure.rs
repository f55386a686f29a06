//! Erasure that reaches copies: a store is copied away, then values go by destroying keys; the copy with today's key store
//! gives all others.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use strongroom::{
    Config, Engine, Erasure, ErrorKind, KeyFile, LedgerEvent, PutOptions, Tenant, TenantId, TenantOptions,
};
use walkdir::WalkDir;

use super::TENANTS;
use super::lab::{Lab, broken, copy, failed};
use super::report::Report;
use crate::failure::Outcome;
use crate::text::{counted, grouped};

/// The store, and the same with its older data or its older data and keys.
const STORE: &str = "kept";
const COPY: &str = "copied-away";
const CONTROL: &str = "copied-away-with-keys";
/// Files that are put, at most, each once a way; none longer than this.
const FILES_MAX: usize = 200;
const FILE_BYTES_MAX: usize = 1 << 20;
/// What expires, expires in so much time; how long a period is; and how often it is looked whether it is over.
const TTL: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 600;

/// A collection of the files, by what becomes of it.
struct Way {
    name: &'static str,
    options: fn() -> PutOptions,
    is_erased: bool,
}

const WAYS: [Way; 6] = [
    Way { name: "plain", options: PutOptions::new, is_erased: false },
    Way { name: "expiring", options: || PutOptions::new().ttl(TTL), is_erased: true },
    Way { name: "of a customer", options: || PutOptions::new().subject("customer 1"), is_erased: true },
    Way { name: "of another", options: || PutOptions::new().subject("customer 2"), is_erased: false },
    Way { name: "each with a key", options: own, is_erased: true },
    Way { name: "each with a key too", options: own, is_erased: false },
];

fn own() -> PutOptions {
    PutOptions::new().erasure(Erasure::Record)
}

type Files = Vec<(Vec<u8>, Vec<u8>)>;

/// Puts, copies, lets go, and reads the copy.
pub(super) fn reach_copies(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let workspace = lab.workspace;
    let mut files = Vec::new();
    lab.control.each(|key, value| {
        if files.len() < FILES_MAX && value.len() <= FILE_BYTES_MAX {
            files.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    })?;
    let config = |name: &str| {
        let key = KeyFile::at(workspace.join(&format!("{STORE}.root-key")));
        // Nothing is swept but when the tour does it.
        let config = Config::new(workspace.join(name)).key_provider("default", key);
        config.erasure_period(PERIOD).background(false)
    };
    let engine = Engine::create(config(STORE))?;
    let [kept, erased] = TENANTS.map(|(name, _)| name);
    let tenant = engine.create_tenant(kept, TenantOptions::new())?;
    put(&tenant, &files)?;
    put(&engine.create_tenant(erased, TenantOptions::new())?, &files)?;
    engine.checkpoint()?;
    let id = tenant.id();
    drop(tenant);
    engine.close()?;
    for copied in [COPY, CONTROL] {
        copy_all(&workspace.join(STORE), &workspace.join(copied))?;
    }
    copy_all(&keys(lab, STORE), &keys(lab, CONTROL))?;

    let engine = Engine::open(config(STORE))?;
    let destroyed = let_go(&engine, kept, &files)?;
    engine.erase_tenant(erased)?;
    engine.close()?;
    copy_all(&keys(lab, STORE), &keys(lab, COPY))?;
    gone_from_key_store(lab, id, &destroyed)?;

    let today = config(COPY).accept_rollback(true);
    let refused = Lab::with_engine(Engine::open(today)?, |engine| {
        read(&engine.tenant(kept)?, &files, |way| !way.is_erased)?;
        match engine.tenant(erased).and_then(|tenant| tenant.collection(WAYS[0].name)?.get(&files[0].0)) {
            Err(error) if [ErrorKind::KeyMissing, ErrorKind::NotFound].contains(&error.kind()) => {
                Ok(error.kind())
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(broken("a tenant that was erased was read in an older copy")),
        }
    })?;
    // The clock alone hides what has expired; of everything else the older keys tell that the copy has it.
    Lab::with_engine(Engine::open(config(CONTROL))?, |engine| {
        [kept, erased]
            .into_iter()
            .try_for_each(|name| read(&engine.tenant(name)?, &files, |way| way.name != "expiring"))
    })?;
    let each = files.len() as u64;
    let (gone, left) = (3 * each, 3 * each);
    report.add(
        "Copied the data away; let values expire, erased a customer, records with keys of their own, and a tenant; gave the copy \
         today's keys",
        format!(
            "{} not found, the other {} of {} equal; the erased tenant: {refused}; {} in no file of the key store; with the keys of \
             its time the copy still had them",
            counted(gone, "erased value"),
            grouped(left),
            grouped(left),
            counted(destroyed.len() as u64, "destroyed key"),
        ),
    );
    Ok(())
}

fn keys(lab: &Lab<'_>, store: &str) -> PathBuf {
    lab.workspace.join(&format!("{store}.keys"))
}

fn put(tenant: &Tenant, files: &Files) -> Outcome {
    for way in &WAYS {
        let collection = tenant.collection(way.name)?;
        for (key, value) in files {
            collection.put_with(key, value, (way.options)())?;
        }
    }
    Ok(())
}

/// Lets values of a tenant go in all three ways; gives the ledger's entries of keys.
fn let_go(engine: &Engine, name: &str, files: &Files) -> Outcome<Vec<LedgerEvent>> {
    let tenant = engine.tenant(name)?;
    if !tenant.erase_subject("customer 1")? {
        return Err(broken("a subject has no key"));
    }
    let erased = tenant.collection("each with a key")?.erase_prefix("")?.records;
    if erased != files.len() as u64 {
        return Err(broken(format!("{erased} of {} records were erased", files.len())));
    }
    let mut swept = 0;
    for _ in 0..LOOKS_MAX {
        swept += engine.sweep_tenant(name)?.records;
        if swept == files.len() as u64 {
            break;
        }
        thread::sleep(LOOK);
    }
    // The period of the last of them is over then.
    thread::sleep(PERIOD + LOOK);
    engine.sweep_tenant(name)?;
    let events = tenant.ledger()?.into_iter().map(|entry| entry.event);
    let is_key =
        |event: &LedgerEvent| matches!(event, LedgerEvent::PeriodKey { .. } | LedgerEvent::SubjectKey { .. });
    let destroyed: Vec<_> = events.filter(is_key).collect();
    let periods = destroyed.iter().filter(|event| matches!(event, LedgerEvent::PeriodKey { .. })).count();
    if swept != files.len() as u64 || periods == 0 || destroyed.len() != periods + 1 + files.len() {
        return Err(broken(format!(
            "{swept} records were swept, {periods} keys of periods and {} in all destroyed",
            destroyed.len()
        )));
    }
    Ok(destroyed)
}

/// Sees that what stood in the destroyed slots is in no file of the key store, and was there.
fn gone_from_key_store(lab: &Lab<'_>, id: TenantId, destroyed: &[LedgerEvent]) -> Outcome {
    let older = keys(lab, CONTROL);
    let slots = |kind: &str| -> Outcome<Vec<Vec<u8>>> {
        let bytes = fs::read(older.join(format!("{id}.{kind}"))).map_err(failed)?;
        // The first twins of all slots, and in each the sealed key with its tag (FORMAT.md section 4.3).
        let twins = bytes.chunks_exact(4_096).skip(4).step_by(2);
        Ok(twins
            .flat_map(|block| block.chunks_exact(128))
            .map(|slot| slot[24..72].to_vec())
            .collect::<Vec<_>>())
    };
    let (periods, subjects) = (slots("keyring")?, slots("slots")?);
    let today = files_below(&keys(lab, STORE))?;
    for event in destroyed {
        let (slots, number) = match event {
            LedgerEvent::PeriodKey { slot } => (&periods, *slot),
            LedgerEvent::SubjectKey { slot } => (&subjects, *slot),
            _ => continue,
        };
        let wrapped = usize::try_from(number).ok().and_then(|number| slots.get(number));
        let wrapped = wrapped.filter(|wrapped| wrapped.iter().any(|byte| *byte != 0));
        let wrapped = wrapped.ok_or_else(|| broken("a key that was destroyed was in no slot before"))?;
        if today.iter().any(|file| file.windows(wrapped.len()).any(|window| window == wrapped)) {
            return Err(broken("a destroyed key is in the key store"));
        }
    }
    Ok(())
}

/// Reads every file in every collection: there are those, and only those, that should be.
fn read(tenant: &Tenant, files: &Files, is_there: impl Fn(&Way) -> bool) -> Outcome {
    for way in &WAYS {
        let collection = tenant.collection(way.name)?;
        for (key, value) in files {
            match collection.get(key)? {
                Some(found) if !is_there(way) => {
                    let what = if *found == value[..] { "its value" } else { "another value" };
                    return Err(broken(format!("a record that is gone ({}) was read with {what}", way.name)));
                }
                Some(found) if *found != value[..] => {
                    return Err(broken("a record was read with a wrong value"));
                }
                None if is_there(way) => {
                    return Err(broken(format!("a record ({}) is missing in a copy", way.name)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn files_below(directory: &Path) -> Outcome<Vec<Vec<u8>>> {
    let entries =
        WalkDir::new(directory).into_iter().map(|entry| entry.map_err(|error| failed(error.into())));
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(fs::read(entry.path()).map_err(failed)?);
        }
    }
    Ok(files)
}

/// Copies a directory with all that is in it.
fn copy_all(from: &Path, to: &Path) -> Outcome {
    for entry in WalkDir::new(from) {
        let entry = entry.map_err(|error| failed(error.into()))?;
        let place = to.join(entry.path().strip_prefix(from).unwrap_or_else(|_| entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&place).map_err(failed)?;
        } else {
            copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
