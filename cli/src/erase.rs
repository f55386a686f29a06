//! `strongroom erase`.

use serde_json::json;

use strongroom::{EraseReport, ErrorKind};

use crate::args::{Erase, Global};
use crate::console;
use crate::failure::{Failure, Outcome};
use crate::ledger;
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
    let (report, receipt) = with_store(global, |engine| {
        let tenant = engine.tenant(&named.tenant)?;
        let collection = tenant.collection(&named.collection)?;
        let report = match (&key, erase.if_version) {
            (None, _) => collection.erase_prefix(&prefix)?,
            (Some(key), Some(version)) => collection.erase_if_version(key, version).map(|_| ONE)?,
            (Some(key), None) if collection.erase(key)? => ONE,
            (Some(_), None) => return Err(Failure::new(ErrorKind::NotFound, "there is no such record")),
        };
        Ok((report, if erase.receipt { Some(tenant.receipt()?) } else { None }))
    })?;
    let EraseReport { records, held } = report;
    let also = if held == 0 { String::new() } else { format!(" A hold covers {}.", counted(held, "other")) };
    let mut value = json!({"erased": records, "held": held});
    let mut text = format!("Erased {}.{also}", counted(records, "record"));
    if let Some(receipt) = receipt {
        let (receipt, told) = ledger::given(&receipt);
        value["receipt"] = receipt;
        text = format!("{text}\n{told}");
    }
    console::print(global.json, &value, format_args!("{text}"))
}
