//! Attacks on the journal that the victim shares with another tenant of its region: what is in no tenant's file yet.

use std::fs;
use std::path::PathBuf;

use strongroom::{Engine, ErrorKind, TenantOptions};

use super::control::Record;
use super::journal_frames::sealed_texts;
use super::lab::{Lab, broken, copy_tree, failed};
use super::report::Report;
use super::{COLLECTION, REGION};
use crate::failure::Outcome;
use crate::text::grouped;

/// The tenant that shares the victim's journal.
const NEIGHBOUR: &str = "Curie Laboratory";
/// Records of it, at most.
const RECORDS_MAX: usize = 20;
/// Bytes of them, but for the last.
const BYTES_MAX: usize = 1 << 20;

/// Has victim and neighbour write records that only their journal has then; gives them.
pub(super) fn write_to_the_journal(lab: &Lab<'_>) -> Outcome<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0;
    lab.control.each(|key, value| {
        if records.len() < RECORDS_MAX && bytes < BYTES_MAX {
            bytes += value.len();
            records.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    })?;
    lab.with_store(|engine| {
        let neighbour = engine.create_tenant(NEIGHBOUR, TenantOptions::new().region(REGION))?;
        for tenant in [engine.tenant(lab.victim().name)?, neighbour] {
            let collection = tenant.collection(COLLECTION)?;
            for (key, value) in &records {
                collection.put(key, value)?;
            }
        }
        Ok(())
    })?;
    Ok(records)
}

/// One bit of a frame of the victim's.
pub(super) fn flip_byte(lab: &Lab<'_>, records: &[Record], report: &mut Report) -> Outcome {
    let seen = lab.spoiling(|| {
        let (path, at) = a_byte_of_the_victims_last_frame(lab)?;
        let mut bytes = fs::read(&path).map_err(failed)?;
        bytes[at] ^= 1;
        fs::write(&path, bytes).map_err(failed)?;
        lab.with_store(|engine| {
            match lab.read(engine, lab.victim())? {
                Err(ErrorKind::Unauthentic) => {}
                Err(kind) => return Err(broken(format!("an altered journal was answered with {kind}"))),
                Ok(_) => return Err(broken("an altered journal was taken for whole")),
            }
            let shared = neighbour_goes_on(engine, records)?;
            Ok(format!("refused: Unauthentic; {shared}; {}", lab.other_goes_on(engine)?))
        })
    })?;
    report.add("Changed one byte of one tenant's records in a journal that two tenants share", seen);
    Ok(())
}

fn a_byte_of_the_victims_last_frame(lab: &Lab<'_>) -> Outcome<(PathBuf, usize)> {
    let mut found = None;
    let mut segments: Vec<_> = fs::read_dir(&lab.victim().journal)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    segments.sort();
    for path in segments {
        let segment = fs::read(&path).map_err(failed)?;
        if let Some(text) = sealed_texts(&segment, &lab.victim().id_bytes()).pop() {
            found = Some((path, text.start + text.len() / 2));
        }
    }
    found.ok_or_else(|| broken("the journal has nothing of a tenant that wrote to it"))
}

/// Sees that the neighbour reads everything that it wrote.
pub(super) fn neighbour_goes_on(engine: &Engine, records: &[Record]) -> Outcome<String> {
    let collection = engine.tenant(NEIGHBOUR)?.collection(COLLECTION)?;
    for (key, value) in records {
        if collection.get(key)?.as_deref() != Some(&value[..]) {
            return Err(broken("a record of a tenant that nobody touched is missing or wrong"));
        }
    }
    let all = grouped(records.len() as u64);
    Ok(format!("the tenant that shares the journal read {all} of {all}"))
}

/// The whole journal as it was before the last record.
pub(super) fn put_old_journal_back(lab: &Lab<'_>, records: &[Record], report: &mut Report) -> Outcome {
    let old = lab.copy_path("old-journal");
    copy_tree(&lab.victim().journal, &old)?;
    lab.with_store(|engine| {
        let collection = engine.tenant(lab.victim().name)?.collection(COLLECTION)?;
        records.iter().take(1).try_for_each(|(key, value)| collection.put(key, value).map(|_| ()))?;
        Ok(())
    })?;
    let seen = lab.spoiling(|| {
        copy_tree(&old, &lab.victim().journal)?;
        lab.with_store(|engine| match lab.read(engine, lab.victim())? {
            Err(ErrorKind::RolledBack) => match engine.tenant(NEIGHBOUR) {
                Err(error) if error.kind() == ErrorKind::RolledBack => {
                    Ok(format!("refused: RolledBack, both tenants of it; {}", lab.other_goes_on(engine)?))
                }
                _ => Err(broken("only one of the tenants of an old journal was refused")),
            },
            Err(kind) => Err(broken(format!("an old journal was answered with {kind}"))),
            Ok(_) => Err(broken("an old journal was taken for the newest")),
        })
    })?;
    report.add("Put that journal back as it was one record earlier", seen);
    Ok(())
}
