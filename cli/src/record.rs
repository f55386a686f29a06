//! `strongroom put`, `get`, `scan` and `count`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{Engine, Entry, ErrorKind, PutOptions, ScanOptions};

use crate::args::{Count, Get, Global, Put, Scan};
use crate::console::{self, Output};
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;
use crate::removal;
use crate::retention::erasure_of;
use crate::store::with_store;
use crate::text::{argument_bytes, counted, text_or_base64};

/// Puts a record. Up to 1 MiB of the value are read before the store is opened: nobody waits for a slow writer of a small one.
pub(crate) fn put(global: &Global, put: &Put) -> Outcome {
    let record = &put.record;
    let key = argument_bytes("the key", &record.key, record.key_base64)?;
    let mut source: Box<dyn Read> = match (&put.value, &put.file) {
        (Some(text), _) => Box::new(text.as_bytes()),
        (None, Some(path)) => {
            let what = format!("the value's file {}", path.display());
            Box::new(File::open(path).map_err(|error| Failure::io(&what, &error))?)
        }
        (None, None) => Box::new(io::stdin().lock()),
    };
    let mut begin = Vec::new();
    let read = source.by_ref().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut begin);
    read.map_err(|error| Failure::io("reading the value", &error))?;
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
    if let Some(erasure) = put.erasure {
        options = options.erasure(erasure_of(erasure));
    }
    let version = with_store(global, |engine| {
        let collection = engine.tenant(&record.tenant)?.collection(&record.collection)?;
        Ok(collection.put_reader(&key, begin.chain(source), options)?)
    })?;
    if global.json {
        let mut output = Output::new();
        output.json(&json!({"version": version.to_string()}))?;
        output.flush()?;
    }
    Ok(())
}

/// Writes a record's value out.
pub(crate) fn get(global: &Global, get: &Get) -> Outcome {
    let record = &get.record;
    let key = argument_bytes("the key", &record.key, record.key_base64)?;
    let out = get.out.as_deref();
    let value = with_store(global, |engine| {
        let collection = engine.tenant(&record.tenant)?.collection(&record.collection)?;
        let none = || Failure::new(ErrorKind::NotFound, "there is no such record");
        let mut reader = collection.get_reader(&key)?.ok_or_else(none)?;
        if reader.info().value_bytes > VALUE_BYTES_MAX as u64 {
            return write_value(&mut reader, out, get.force).map(|()| None);
        }
        let mut value = Vec::new();
        reader.read_to_end(&mut value).map_err(strongroom::Error::from_io)?;
        Ok(Some(value))
    })?;
    // The store is closed: nobody waits for a slow reader of a small value.
    value.map_or(Ok(()), |value| write_value(&mut &value[..], out, get.force))
}

/// Writes a value to a file, which appears whole or not at all, or to standard output.
fn write_value(value: &mut impl Read, out: Option<&Path>, force: bool) -> Outcome {
    let Some(path) = out else {
        let mut output = Output::new();
        copy(value, |part| output.bytes(part))?;
        return output.flush();
    };
    let mut file = OutputFile::create(path, force)?;
    let failed = |error: io::Error| Failure::io(format!("writing {}", path.display()), &error);
    copy(value, |part| file.write_all(part).map_err(failed))?;
    file.finish()
}

fn copy(value: &mut impl Read, mut write: impl FnMut(&[u8]) -> Outcome) -> Outcome {
    let mut buffer = vec![0; 1 << 17];
    loop {
        match value.read(&mut buffer).map_err(strongroom::Error::from_io)? {
            0 => return Ok(()),
            given => write(&buffer[..given])?,
        }
    }
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
    /// Of a value that is too long to be printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_bytes: Option<u64>,
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
    with_store(global, |engine| {
        if scan.removed {
            return removal::print_removed(engine, scan, options);
        }
        print_records(engine, scan, options)
    })
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
    print_scan(scan, arguments.versions, arguments.keys_only, arguments.cursor)
}

/// Prints the records of a scan, then its cursor where that is asked for.
pub(crate) fn print_scan(
    mut scan: strongroom::Scan,
    versions: bool,
    keys_only: bool,
    cursor: bool,
) -> Outcome {
    let mut output = Output::new();
    let mut damaged = 0_u64;
    let mut last = None;
    for entry in scan.by_ref() {
        match entry {
            Ok(entry) => print_record(&mut output, &entry, versions, keys_only)?,
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

fn print_record(output: &mut Output, entry: &Entry, versions: bool, keys_only: bool) -> Outcome {
    let (key, key_base64) = text_or_base64(&entry.key);
    let (value, value_base64) = entry.value.as_deref().map(text_or_base64).unwrap_or_default();
    let version = versions.then(|| entry.info.version.to_string());
    let value_bytes = (entry.value.is_none() && !keys_only).then_some(entry.info.value_bytes);
    let (index_key, index_key_base64) = entry.index_key.as_deref().map(text_or_base64).unwrap_or_default();
    output.json(&Line {
        key,
        key_base64,
        value,
        value_base64,
        value_bytes,
        version,
        index_key,
        index_key_base64,
    })
}
