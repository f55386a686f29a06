//! Removal that can be undone: records of one tenant are removed, looked for, and restored.

use strongroom::ScanOptions;

use super::lab::{Lab, broken};
use super::load::Loaded;
use super::report::Report;
use super::{COLLECTION, TENANTS};
use crate::failure::Outcome;
use crate::text::{counted, grouped};

/// Records that are removed, at most.
const RECORDS_MAX: usize = 1_000;

/// Removes the first records of one tenant and restores them.
pub(super) fn remove_and_restore(lab: &Lab<'_>, loaded: &Loaded, report: &mut Report) -> Outcome {
    let mut keys: Vec<_> = loaded.keys.iter().collect();
    keys.sort_unstable();
    keys.truncate(RECORDS_MAX);
    let Some(last) = keys.last() else { return Ok(()) };
    let count = keys.len() as u64;
    let engine = lab.workspace.open()?;
    let collection = engine.tenant(TENANTS[0].0)?.collection(COLLECTION)?;
    let same = |found: u64, what: &str| {
        if found == count { Ok(()) } else { Err(broken(format!("{found} of {count} records were {what}"))) }
    };
    same(collection.remove_range(..=last.as_slice())?, "removed")?;
    for key in &keys {
        if collection.get(key)?.is_some() {
            return Err(broken("a removed record was read"));
        }
    }
    if collection.count(ScanOptions::new().range(..=last.as_slice()))? > 0 {
        return Err(broken("removed records were counted"));
    }
    let listed = collection.removed(ScanOptions::new())?.collect::<strongroom::Result<Vec<_>>>()?;
    same(listed.len() as u64, "listed as removed")?;
    same(collection.restore_prefix("")?, "restored")?;
    for key in &keys {
        let expected = lab.control.get(key)?;
        if collection.get(key)?.is_none_or(|value| *value != expected[..]) {
            return Err(broken("a record that was restored is missing, or has another value"));
        }
    }
    engine.checkpoint()?;
    engine.close()?;
    report.add(
        format!("Removed {} of one tenant, looked for them, and restored them", counted(count, "record")),
        format!(
            "no read, scan or count found one while they were removed; {} of {} equal again, byte for byte",
            grouped(count),
            grouped(count)
        ),
    );
    Ok(())
}
