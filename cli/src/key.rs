//! `strongroom key`.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use strongroom::{DataKeyInfo, DataKeyState, ErrorKind, KeyFile, KeyProvider, RekeyOptions, Tenant};

use crate::args::{Global, Key};
use crate::console::{self, Counted, Output};
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{counted, grouped, time};

/// Lists, rotates and destroys keys, and seals records anew.
pub(crate) fn run(global: &Global, command: &Key) -> Outcome {
    match command {
        Key::List { tenant } => with_store(global, |engine| list(&engine.tenant(tenant)?, global.json)),
        Key::Rotate { tenant } => with_store(global, |engine| {
            let generation = engine.tenant(tenant)?.rotate_data_key()?;
            console::print(
                global.json,
                &json!({ "generation": generation }),
                format_args!("New records are sealed under a new data key, generation {generation}."),
            )
        }),
        Key::Rewrap { tenant: Some(tenant), new_sections: true, .. } => with_store(global, |engine| {
            engine.renew_section_keys(tenant)?;
            console::print(
                global.json,
                &json!({ "new_sections": true }),
                format_args!("Sealed all keys of the tenant anew under new section keys."),
            )
        }),
        Key::Rewrap { tenant: Some(tenant), to, .. } => with_store(global, |engine| {
            let tenant = engine.tenant(tenant)?;
            tenant.rewrap(to.as_deref())?;
            rewrapped(global, 1, &tenant.key_provider())
        }),
        Key::Rewrap { tenant: None, from, to, .. } => with_store(global, |engine| {
            let to = to.as_deref().unwrap_or(from);
            rewrapped(global, engine.rewrap(from, to)?, to)
        }),
        Key::NewFile { path } => {
            let made = KeyFile::at(path).create();
            made.map_err(|error| Failure::new(ErrorKind::AlreadyExists, error.to_string()))?;
            let path = path.display().to_string();
            console::print(
                global.json,
                &json!({ "file": path }),
                format_args!("Made {path}. Keep a copy of it."),
            )
        }
        Key::Rekey { tenant, rate, byte_rate, records, bytes } => {
            let mut options = RekeyOptions::new();
            if let Some(rate) = rate {
                options = options.records_per_second(*rate);
            }
            if let Some(records) = records {
                options = options.records(*records);
            }
            if let Some(rate) = byte_rate {
                options = options.bytes_per_second(*rate);
            }
            if let Some(bytes) = bytes {
                options = options.bytes(*bytes);
            }
            with_store(global, |engine| rekey(&engine.tenant(tenant)?, options, global.json))
        }
        Key::Deadline { tenant, generation: Some(generation), by: Some(by), .. } => {
            let by_ms = by.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
            let by_ms = u64::try_from(by_ms).unwrap_or(u64::MAX);
            with_store(global, |engine| {
                engine.tenant(tenant)?.set_rekey_deadline(*generation, by_ms)?;
                let text = format!("Nothing is to be under generation {generation} after {}.", time(by_ms));
                console::print(
                    global.json,
                    &json!({ "generation": generation, "by_ms": by_ms }),
                    format_args!("{text}"),
                )
            })
        }
        Key::Deadline { tenant, .. } => with_store(global, |engine| {
            engine.tenant(tenant)?.clear_rekey_deadline()?;
            console::print(global.json, &json!({ "cleared": true }), format_args!("There is no deadline."))
        }),
        Key::Retire { tenant, generation } => with_store(global, |engine| {
            engine.tenant(tenant)?.retire_data_key(*generation)?;
            console::print(
                global.json,
                &json!({ "destroyed": generation }),
                format_args!("Destroyed the data key of generation {generation}."),
            )
        }),
    }
}

fn rewrapped(global: &Global, count: u64, provider: &str) -> Outcome {
    console::print(
        global.json,
        &json!({ "rewrapped": count, "provider": provider }),
        format_args!("Wrapped {} anew, by '{provider}'.", counted(count, "keyring")),
    )
}

fn state(info: &DataKeyInfo) -> &'static str {
    match info.state {
        DataKeyState::Current => "current",
        DataKeyState::Older => "older",
        DataKeyState::Destroyed => "destroyed",
    }
}

fn list(tenant: &Tenant, json: bool) -> Outcome {
    let keys = tenant.data_keys()?;
    let mut output = Output::new();
    if json {
        let describe = |info: &DataKeyInfo| {
            json!({
                "generation": info.generation,
                "state": state(info),
                "created_ms": info.created_ms,
                "age_ms": info.age_ms,
                "records_sealed": info.records_sealed,
                "rekey_by_ms": info.rekey_by_ms,
                "rekey_overdue": info.rekey_overdue,
            })
        };
        output.json(&keys.iter().map(describe).collect::<Value>())?;
        return output.flush();
    }
    for info in &keys {
        let days = info.age_ms / 86_400_000;
        let deadline = match info.rekey_by_ms {
            Some(by_ms) if info.rekey_overdue => format!("  OVERDUE since {}: see key rekey", time(by_ms)),
            Some(by_ms) => format!("  to be unused by {}", time(by_ms)),
            None => String::new(),
        };
        output.line(format_args!(
            "generation {:<6}  {:<9}  {}  {} days old  {} records sealed{deadline}",
            info.generation,
            state(info),
            time(info.created_ms),
            grouped(days),
            grouped(info.records_sealed)
        ))?;
    }
    output.flush()
}

fn rekey(tenant: &Tenant, options: RekeyOptions, json: bool) -> Outcome {
    let bar = console::progress("sealing records anew", tenant.stats()?.records, Counted::Records);
    let report = tenant.rekey(options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let end = match (report.is_complete, report.unreadable) {
        (true, 0) => "Nothing readable is left under older keys.".to_owned(),
        (true, unreadable) => format!("{} do not open and were left: see verify.", grouped(unreadable)),
        (false, _) => "There is more to do: call it again.".to_owned(),
    };
    console::print(
        json,
        &json!({
            "generation": report.generation,
            "records": report.records,
            "resealed": report.resealed,
            "overtaken": report.overtaken,
            "large": report.large,
            "bytes": report.bytes,
            "unreadable": report.unreadable,
            "complete": report.is_complete,
        }),
        format_args!(
            "Sealed {} of {} records anew under generation {}.\n{end}",
            grouped(report.resealed),
            grouped(report.records),
            report.generation
        ),
    )
}
