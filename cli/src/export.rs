//! `strongroom export`.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde_json::json;
use strongroom::limits::VALUE_BYTES_MAX;
use strongroom::{Collection, Engine, Entry, ErrorKind, ScanOptions, Tenant};

use crate::args::{Export, Global};
use crate::console::{self, Counted};
use crate::export_format::{End, Header, LineValue, PART_BYTES, PartLine, RecordLine};
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;
use crate::store::with_store;
use crate::text::counted;

/// Values that are opened while others are written.
const OPEN_AHEAD: usize = 64;

/// Writes a tenant's records to a file.
pub(crate) fn run(global: &Global, export: &Export) -> Outcome {
    let records = with_store(global, |engine| {
        let mut file = OutputFile::create(&export.out, export.force)?;
        let records = write_records(engine, export, &mut file)?;
        file.finish()?;
        Ok(records)
    })?;
    let out = export.out.display();
    console::print(
        global.json,
        &json!({"records": records, "out": export.out.to_string_lossy()}),
        format_args!("Exported {} to {out}. The file is not encrypted.", counted(records, "record")),
    )
}

fn write_records(engine: &Engine, export: &Export, file: &mut OutputFile) -> Outcome<u64> {
    let failed = |error: io::Error| Failure::io(format!("writing {}", export.out.display()), &error);
    let tenant = engine.tenant(&export.tenant)?;
    let mut collections: Vec<_> = tenant.collections()?.into_iter().map(|info| info.name).collect();
    if let Some(name) = &export.collection {
        collections.retain(|collection| collection == name);
        if collections.is_empty() {
            return Err(Failure::new(ErrorKind::NotFound, "the tenant has no collection of this name"));
        }
    }
    let mut secret = 0_usize;
    let mut open = Vec::with_capacity(collections.len());
    for name in collections {
        if tenant.collection(&name)?.is_secret()? { secret += 1 } else { open.push(name) }
    }
    if secret > 0 && export.collection.is_some() {
        return Err(Failure::new(ErrorKind::InvalidArgument, "the collection is secret: nothing exports it"));
    }
    if secret > 0 {
        console::note(format_args!("Left out {secret} of the tenant's collections, which are secret."));
    }
    let collections = open;
    let bar = console::progress("Exporting", tenant.stats()?.records, Counted::Records);
    let has_parts = has_long_values(&tenant, &collections)?;
    write_line(file, &Header::new(collections.clone(), has_parts)).map_err(failed)?;
    let (mut records, mut parts) = (0, 0);
    for name in &collections {
        let collection = tenant.collection(name)?;
        for entry in collection.scan_with(ScanOptions::new().open_ahead(OPEN_AHEAD))? {
            let entry = entry?;
            if let Some(value) = entry.value.as_deref() {
                let Entry { key, info, .. } = &entry;
                let value = LineValue::Whole(value);
                let line = RecordLine::new(name, key, value, info.written_ms, info.expires_ms);
                write_line(file, &line).map_err(failed)?;
            } else {
                // One that went meanwhile is not exported.
                let Some(count) = write_long(file, &collection, &entry.key, failed)? else { continue };
                parts += count;
            }
            records += 1;
            bar.inc(1);
        }
    }
    write_line(file, &End::new(records, parts)).map_err(failed)?;
    bar.finish_and_clear();
    Ok(records)
}

/// Whether a value is too long for its record's line.
fn has_long_values(tenant: &Tenant, collections: &[String]) -> Outcome<bool> {
    for name in collections {
        for entry in tenant.collection(name)?.scan_with(ScanOptions::new().keys_only(true))? {
            if entry?.info.value_bytes > VALUE_BYTES_MAX as u64 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Writes a record whose value is long, a part at a time; gives how many there are. None where the record is gone.
pub(crate) fn write_long(
    file: &mut OutputFile,
    collection: &Collection,
    key: &[u8],
    failed: impl Fn(io::Error) -> Failure,
) -> Outcome<Option<u64>> {
    let Some(mut value) = collection.get_reader(key)? else { return Ok(None) };
    let info = value.info();
    let bytes = LineValue::InParts(info.value_bytes);
    let line = RecordLine::new(collection.name(), key, bytes, info.written_ms, info.expires_ms);
    write_line(file, &line).map_err(&failed)?;
    let mut part = Vec::with_capacity(PART_BYTES);
    let mut parts = 0;
    loop {
        part.clear();
        let read = value.by_ref().take(PART_BYTES as u64).read_to_end(&mut part);
        if read.map_err(strongroom::Error::from_io)? == 0 {
            return Ok(Some(parts));
        }
        write_line(file, &PartLine::new(&part)).map_err(&failed)?;
        parts += 1;
    }
}

pub(crate) fn write_line(file: &mut OutputFile, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}
