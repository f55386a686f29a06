//! `strongroom put`, `get`, `scan` and `count`.

use std::fs::File;
use std::io::{self, Read, Write};

use serde::Serialize;
use serde_json::json;
use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{Engine, Entry, ErrorKind, PutOptions, ScanOptions};

use crate::args::{Count, Get, Global, Put, Scan};
use crate::console::{self, Output};
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;
use crate::store::with_store;
use crate::text::{argument_bytes, counted, text_or_base64};

/// Puts a record. The value is read before the store is opened: nobody waits for a slow writer.
pub(crate) fn put(global: &Global, put: &Put) -> Outcome {
    let record = &put.record;
    let key = argument_bytes("the key", &record.key, record.key_base64)?;
    let value = match (&put.value, &put.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => {
            let what = format!("the value's file {}", path.display());
            let file = File::open(path).map_err(|error| Failure::io(&what, &error))?;
            read_value(file, &what)?
        }
        (None, None) => read_value(io::stdin().lock(), "standard input")?,
    };
    let mut options = PutOptions::new();
    for (name, key) in &put.index {
        options = options.index(name, key);
    }
    if put.if_absent {
        options = options.if_absent();
    }
    if let Some(ttl) = put.ttl {
        options = options.ttl(ttl);
    }
    if let Some(version) = put.if_version {
        options = options.if_version(version);
    }
    if let Some(subject) = &put.subject {
        options = options.subject(subject);
    }
    let version = with_store(global, |engine| {
        let collection = engine.tenant(&record.tenant)?.collection(&record.collection)?;
        Ok(collection.put_with(&key, &value, options)?)
    })?;
    if global.json {
        let mut output = Output::new();
        output.json(&json!({"version": version.to_string()}))?;
        output.flush()?;
    }
    Ok(())
}

fn read_value(source: impl Read, what: &str) -> Outcome<Vec<u8>> {
    let mut value = Vec::new();
    let read = source.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value);
    read.map_err(|error| Failure::io(format!("reading {what}"), &error))?;
    if value.len() > VALUE_BYTES_MAX {
        let message =
            format!("{what} has more than {VALUE_BYTES_MAX} bytes, which is the most a value may have");
        return Err(Failure::new(ErrorKind::LimitExceeded, message));
    }
    Ok(value)
}

/// Writes a record's value out.
pub(crate) fn get(global: &Global, get: &Get) -> Outcome {
    let record = &get.record;
    let key = argument_bytes("the key", &record.key, record.key_base64)?;
    let value = with_store(global, |engine| {
        let collection = engine.tenant(&record.tenant)?.collection(&record.collection)?;
        collection.get(&key)?.ok_or_else(|| Failure::new(ErrorKind::NotFound, "there is no such record"))
    })?;
    if let Some(path) = &get.out {
        let mut file = OutputFile::create(path, get.force)?;
        let written = file.write_all(&value);
        written.map_err(|error| Failure::io(format!("writing {}", path.display()), &error))?;
        return file.finish();
    }
    let mut output = Output::new();
    output.bytes(&value)?;
    output.flush()
}

/// A record as `scan` prints it.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_key_base64: Option<String>,
}

/// Prints a collection's records.
pub(crate) fn scan(global: &Global, scan: &Scan) -> Outcome {
    let prefix = argument_bytes("the prefix", &scan.prefix, scan.prefix_base64)?;
    let mut options = ScanOptions::new()
        .prefix(prefix)
        .reverse(scan.reverse)
        .keys_only(scan.keys_only)
        .limit(scan.limit.unwrap_or(usize::MAX));
    if let Some(cursor) = &scan.after {
        options = options.after(cursor);
    }
    with_store(global, |engine| print_records(engine, scan, options))
}

/// Prints how many records a collection has.
pub(crate) fn count(global: &Global, count: &Count) -> Outcome {
    let prefix = argument_bytes("the prefix", &count.prefix, count.prefix_base64)?;
    let records = with_store(global, |engine| {
        let collection = engine.tenant(&count.tenant)?.collection(&count.collection)?;
        Ok(collection.count(ScanOptions::new().prefix(&prefix))?)
    })?;
    console::print(global.json, &json!({"records": records}), format_args!("{}", counted(records, "record")))
}

fn print_records(engine: &Engine, arguments: &Scan, options: ScanOptions) -> Outcome {
    let scan = engine.tenant(&arguments.tenant)?.collection(&arguments.collection)?.scan_with(options)?;
    print_scan(scan, arguments.versions, arguments.cursor)
}

/// Prints the records of a scan, then its cursor where that is asked for.
pub(crate) fn print_scan(mut scan: strongroom::Scan, versions: bool, cursor: bool) -> Outcome {
    let mut output = Output::new();
    let mut damaged = 0_u64;
    let mut last = None;
    for entry in scan.by_ref() {
        match entry {
            Ok(entry) => print_record(&mut output, &entry, versions)?,
            Err(error) => {
                damaged += 1;
                last = Some(error);
            }
        }
    }
    if cursor && let Some(cursor) = scan.cursor()? {
        output.json(&json!({"cursor": cursor.to_string()}))?;
    }
    output.flush()?;
    match last {
        None => Ok(()),
        Some(error) if damaged == 1 => Err(error.into()),
        Some(error) => {
            Err(Failure::from(error).within(format_args!("{damaged} records do not open, the last one")))
        }
    }
}

fn print_record(output: &mut Output, entry: &Entry, versions: bool) -> Outcome {
    let (key, key_base64) = text_or_base64(&entry.key);
    let (value, value_base64) = entry.value.as_deref().map(text_or_base64).unwrap_or_default();
    let version = versions.then(|| entry.info.version.to_string());
    let (index_key, index_key_base64) = entry.index_key.as_deref().map(text_or_base64).unwrap_or_default();
    output.json(&Line { key, key_base64, value, value_base64, version, index_key, index_key_base64 })
}
