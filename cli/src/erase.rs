//! `strongroom erase`.

use serde_json::json;

use strongroom::{EraseReport, ErrorKind};

use crate::args::{Erase, Global};
use crate::console;
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{argument_bytes, counted};

const ONE: EraseReport = EraseReport { records: 1, held: 0 };

/// Erases one record, or those whose keys begin alike.
pub(crate) fn erase(global: &Global, erase: &Erase) -> Outcome {
    let named = &erase.named;
    let key = named.key.as_ref().map(|key| argument_bytes("the key", key, named.key_base64)).transpose()?;
    let prefix = named.prefix.as_deref().unwrap_or_default();
    let prefix = argument_bytes("the prefix", prefix, named.prefix_base64)?;
    let what = match (&key, prefix.is_empty()) {
        (Some(_), _) => "this record",
        (None, false) => "all records whose keys begin so",
        (None, true) => "all records of the collection",
    };
    console::confirm(erase.yes, format_args!("Erase {what} for good?"))?;
    let report = with_store(global, |engine| {
        let collection = engine.tenant(&named.tenant)?.collection(&named.collection)?;
        match (&key, erase.if_version) {
            (None, _) => Ok(collection.erase_prefix(&prefix)?),
            (Some(key), Some(version)) => Ok(collection.erase_if_version(key, version).map(|_| ONE)?),
            (Some(key), None) if collection.erase(key)? => Ok(ONE),
            (Some(_), None) => Err(Failure::new(ErrorKind::NotFound, "there is no such record")),
        }
    })?;
    let EraseReport { records, held } = report;
    let also = if held == 0 { String::new() } else { format!(" A hold covers {}.", counted(held, "other")) };
    console::print(
        global.json,
        &json!({"erased": records, "held": held}),
        format_args!("Erased {}.{also}", counted(records, "record")),
    )
}
