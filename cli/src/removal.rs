//! `strongroom remove`, `restore` and `scan --removed`.

use serde::Serialize;
use serde_json::json;
use strongroom::{Engine, ErrorKind, RemovedRecord, ScanOptions};

use crate::args::{Global, Remove, Restore, Scan};
use crate::console::{self, Output};
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{argument_bytes, counted, text_or_base64};

/// Removes one record, or those whose keys begin alike.
pub(crate) fn remove(global: &Global, remove: &Remove) -> Outcome {
    let named = &remove.named;
    let key = named.key.as_ref().map(|key| argument_bytes("the key", key, named.key_base64)).transpose()?;
    let prefix = named.prefix.as_deref().unwrap_or_default();
    let prefix = argument_bytes("the prefix", prefix, named.prefix_base64)?;
    let removed = with_store(global, |engine| {
        let collection = engine.tenant(&named.tenant)?.collection(&named.collection)?;
        match (&key, remove.if_version) {
            (None, _) => Ok(collection.remove_prefix(&prefix)?),
            (Some(key), Some(version)) => Ok(collection.remove_if_version(key, version).map(|_| 1)?),
            (Some(key), None) if collection.remove(key)? => Ok(1),
            (Some(_), None) => Err(Failure::new(ErrorKind::NotFound, "there is no such record")),
        }
    })?;
    console::print(
        global.json,
        &json!({ "removed": removed }),
        format_args!("Removed {}: `scan --removed` lists what can be restored.", counted(removed, "record")),
    )
}

/// Restores one record, or those whose keys begin alike.
pub(crate) fn restore(global: &Global, restore: &Restore) -> Outcome {
    let named = &restore.named;
    let key = named.key.as_ref().map(|key| argument_bytes("the key", key, named.key_base64)).transpose()?;
    let prefix = named.prefix.as_deref().unwrap_or_default();
    let prefix = argument_bytes("the prefix", prefix, named.prefix_base64)?;
    let restored = with_store(global, |engine| {
        let collection = engine.tenant(&named.tenant)?.collection(&named.collection)?;
        let Some(key) = &key else { return Ok(collection.restore_prefix(&prefix)?) };
        let is_restored = match restore.version {
            Some(version) => collection.restore_version(key, version)?,
            None => collection.restore(key)?,
        };
        if is_restored {
            return Ok(1);
        }
        Err(Failure::new(ErrorKind::NotFound, "there is no such removed record"))
    })?;
    console::print(
        global.json,
        &json!({ "restored": restored }),
        format_args!("Restored {}.", counted(restored, "record")),
    )
}

/// A removed record as `scan --removed` prints it.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    version: String,
    value_bytes: u64,
    removed: String,
    erased_from: String,
}

/// Prints what was removed.
pub(crate) fn print_removed(engine: &Engine, arguments: &Scan, options: ScanOptions) -> Outcome {
    let collection = engine.tenant(&arguments.tenant)?.collection(&arguments.collection)?;
    let mut removed = collection.removed(options)?;
    let mut output = Output::new();
    for record in removed.by_ref() {
        let RemovedRecord { key, info, removed_ms, erased_from_ms } = record?;
        let (key, key_base64) = text_or_base64(&key);
        output.json(&Line {
            key,
            key_base64,
            version: info.version.to_string(),
            value_bytes: info.value_bytes,
            removed: time(removed_ms),
            erased_from: time(erased_from_ms),
        })?;
    }
    if arguments.cursor
        && let Some(cursor) = removed.cursor()?
    {
        output.json(&json!({"cursor": cursor.to_string()}))?;
    }
    output.flush()
}

/// A time as RFC 3339 has it, in UTC.
fn time(ms: u64) -> String {
    // Later than the year 9999 is as good as never.
    let ms = ms.min(253_402_300_799_999);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_millis(time).to_string()
}
