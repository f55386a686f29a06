//! `strongroom ledger` and `scrub`.

use std::fmt::Write;

use serde_json::{Value, json};
use strongroom::{LedgerEntry, LedgerEvent, Receipt, Version};

use crate::args::Global;
use crate::console::{self, Counted, Output};
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text::{counted, time};

/// Prints the tenant's erasure ledger, the state of its receipts, and the horizon.
pub(crate) fn ledger(global: &Global, tenant: &str) -> Outcome {
    with_store(global, |engine| {
        let tenant = engine.tenant(tenant)?;
        let (entries, receipts, horizon) = (tenant.ledger()?, tenant.receipts()?, tenant.horizon()?);
        let state =
            |entry: &LedgerEntry| receipts.iter().find(|receipt| receipt.number == entry.number).copied();
        let mut output = Output::new();
        if global.json {
            let entries: Vec<_> = entries.iter().map(|entry| describe(entry, state(entry))).collect();
            output.json(&json!({
                "tenant": tenant.id().to_string(),
                "entries": entries,
                "horizon": {"data_copies_ms": horizon.data_copies_ms, "key_copies_ms": horizon.key_copies_ms},
            }))?;
            return output.flush();
        }
        for entry in &entries {
            let text = tell(entry, state(entry));
            output.line(format_args!("{:>6}  {}  {text}", entry.number, time(entry.at_ms)))?;
        }
        output.line(format_args!(
            "\nWhat is erased now can't be read in copies of the data from {} on, and with copies of the key store from {} on.",
            time(horizon.data_copies_ms),
            time(horizon.key_copies_ms)
        ))?;
        output.flush()
    })
}

/// The name of an event, its slot, and the version through which it goes.
fn parts(event: LedgerEvent) -> (&'static str, Option<u64>, Option<Version>) {
    match event {
        LedgerEvent::StructureKey { slot } => ("structure key destroyed", Some(slot), None),
        LedgerEvent::DataKey { slot } => ("data key destroyed", Some(slot), None),
        LedgerEvent::PeriodKey { slot } => ("period key destroyed", Some(slot), None),
        LedgerEvent::SubjectKey { slot } => ("subject key destroyed", Some(slot), None),
        LedgerEvent::Tenant => ("all keys destroyed", None, None),
        LedgerEvent::Receipt { through, .. } => ("receipt", None, Some(through)),
        LedgerEvent::Scrubbed { through } => ("scrubbed", None, Some(through)),
        _ => ("of a newer version", None, None),
    }
}

fn describe(entry: &LedgerEntry, receipt: Option<Receipt>) -> Value {
    let (name, slot, through) = parts(entry.event);
    let mac = entry.mac.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let mut value = json!({"number": entry.number, "at_ms": entry.at_ms, "event": name, "mac": mac});
    if let Some(slot) = slot {
        value["slot"] = slot.into();
    }
    if let Some(through) = through {
        value["through"] = through.to_string().into();
    }
    if let Some(receipt) = receipt {
        value["state"] = state(&receipt).into();
        value["deadline_ms"] = receipt.deadline_ms.into();
        value["scrubbed_ms"] = receipt.scrubbed_ms.into();
    }
    value
}

fn state(receipt: &Receipt) -> &'static str {
    if receipt.scrubbed_ms.is_some() { "scrubbed" } else { "erased" }
}

fn tell(entry: &LedgerEntry, receipt: Option<Receipt>) -> String {
    let (name, slot, through) = parts(entry.event);
    let mut text = name.to_owned();
    if let Some(slot) = slot {
        let _ = write!(text, ", slot {slot}");
    }
    if let Some(through) = through {
        let _ = write!(text, " of all that was erased through {through}");
    }
    match receipt.map(|receipt| (receipt.scrubbed_ms, receipt.deadline_ms)) {
        Some((Some(scrubbed_ms), _)) => {
            let _ = write!(text, ": erased, and scrubbed at {}", time(scrubbed_ms));
        }
        Some((None, deadline_ms)) => {
            let _ = write!(text, ": erased, to be scrubbed by {}", time(deadline_ms));
        }
        None => {}
    }
    text
}

/// What is said of a new receipt.
pub(crate) fn given(receipt: &Receipt) -> (Value, String) {
    let value = json!({
        "number": receipt.number,
        "state": state(receipt),
        "through": receipt.through.to_string(),
        "erased_ms": receipt.erased_ms,
        "deadline_ms": receipt.deadline_ms,
    });
    let text = format!(
        "Receipt {}: erased. Its sealed bytes leave every file and journal by {}.",
        receipt.number,
        time(receipt.deadline_ms)
    );
    (value, text)
}

/// Removes the sealed bytes of what was erased from every file.
pub(crate) fn scrub(global: &Global, tenant: &str) -> Outcome {
    with_store(global, |engine| {
        let tenant = engine.tenant(tenant)?;
        let bar = console::progress("copying what is left", tenant.stats()?.records, Counted::Records);
        let through = tenant.scrub(&mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        let receipts = tenant.receipts()?;
        let scrubbed = receipts.iter().filter(|receipt| receipt.scrubbed_ms.is_some()).count();
        console::print(
            global.json,
            &json!({"through": through.to_string(), "receipts_scrubbed": scrubbed, "receipts": receipts.len()}),
            format_args!(
                "The sealed bytes of all that was erased are in no file of the tenant and no journal. {} of {} scrubbed.",
                scrubbed,
                counted(receipts.len() as u64, "receipt")
            ),
        )
    })
}
