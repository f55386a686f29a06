//! `strongroom subject`.

use std::path::Path;

use serde_json::json;
use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{ErrorKind, SubjectRecord, Tenant};

use crate::args::{Global, Subject};
use crate::console::{self, Output};
use crate::export::{write_line, write_long};
use crate::export_format::{End, Header, LineValue, RecordLine};
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;
use crate::store::with_store;
use crate::text::{counted, text_or_base64};

/// Lists, exports and erases subjects.
pub(crate) fn run(global: &Global, command: &Subject) -> Outcome {
    match command {
        Subject::List { tenant, subject: None } => with_store(global, |engine| {
            let mut output = Output::new();
            for name in engine.tenant(tenant)?.subjects()? {
                let name = name?;
                if global.json {
                    output.json(&json!({"subject": name}))?;
                } else {
                    output.line(format_args!("{name}"))?;
                }
            }
            output.flush()
        }),
        Subject::List { tenant, subject: Some(subject) } => with_store(global, |engine| {
            let mut output = Output::new();
            for record in engine.tenant(tenant)?.subject_records(subject)? {
                let SubjectRecord { collection, key, info } = record?;
                let (key, key_base64) = text_or_base64(&key);
                let mut line = json!({"collection": collection, "value_bytes": info.value_bytes});
                match (key, key_base64) {
                    (Some(key), _) => line["key"] = key.into(),
                    (None, base64) => line["key_base64"] = base64.into(),
                }
                output.json(&line)?;
            }
            output.flush()
        }),
        Subject::Export { tenant, subject, out, force } => {
            let records = with_store(global, |engine| {
                let mut file = OutputFile::create(out, *force)?;
                let records = export(&engine.tenant(tenant)?, subject, out, &mut file)?;
                file.finish()?;
                Ok(records)
            })?;
            let path = out.display();
            console::print(
                global.json,
                &json!({"records": records, "out": out.to_string_lossy()}),
                format_args!("Exported {} to {path}. The file is not encrypted.", counted(records, "record")),
            )
        }
        Subject::Erase { tenant, subject, yes } => {
            let question = "Erase this subject, and all records that were put with it, for good?";
            console::confirm(*yes, format_args!("{question}"))?;
            with_store(global, |engine| {
                if engine.tenant(tenant)?.erase_subject(subject)? {
                    return Ok(());
                }
                Err(Failure::new(ErrorKind::NotFound, "there is no such subject"))
            })?;
            console::print(global.json, &json!({"erased": true}), format_args!("Erased the subject."))
        }
    }
}

/// Writes a subject's records to a file, in the form of `strongroom export`.
fn export(tenant: &Tenant, subject: &str, out: &Path, file: &mut OutputFile) -> Outcome<u64> {
    let failed = |error: std::io::Error| Failure::io(format!("writing {}", out.display()), &error);
    let mut records = tenant.subject_records(subject)?.collect::<Result<Vec<_>, _>>()?;
    let mut collections: Vec<_> = records.iter().map(|record| record.collection.clone()).collect();
    collections.dedup();
    let mut secret = Vec::new();
    for name in &collections {
        if tenant.collection(name)?.is_secret()? {
            secret.push(name.clone());
        }
    }
    if !secret.is_empty() {
        console::note(format_args!(
            "Left out {} of the subject's collections, which are secret.",
            secret.len()
        ));
    }
    collections.retain(|name| !secret.contains(name));
    records.retain(|record| !secret.contains(&record.collection));
    let is_long = |record: &SubjectRecord| record.info.value_bytes > VALUE_BYTES_MAX as u64;
    write_line(file, &Header::new(collections, records.iter().any(is_long))).map_err(failed)?;
    let (mut written, mut parts) = (0, 0);
    // One that went meanwhile is not exported.
    for record in &records {
        let SubjectRecord { collection: name, key, info } = record;
        let collection = tenant.collection(name)?;
        if is_long(record) {
            let Some(count) = write_long(file, &collection, key, failed)? else { continue };
            parts += count;
        } else {
            let Some(value) = collection.get(key)? else { continue };
            let value = LineValue::Whole(&value[..]);
            let line = RecordLine::new(name, key, value, info.written_ms, info.expires_ms);
            write_line(file, &line).map_err(failed)?;
        }
        written += 1;
    }
    write_line(file, &End::new(written, parts)).map_err(failed)?;
    Ok(written)
}
