//! `strongroom export`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;
use strongroom::{Engine, ErrorKind, ScanOptions};

use crate::args::{Export, Global};
use crate::console::{self, Counted};
use crate::export_format::{End, Header, RecordLine};
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;
use crate::store::with_store;
use crate::text::counted;

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
    write_line(file, &Header::new(collections.clone())).map_err(failed)?;
    let mut records = 0;
    for name in &collections {
        for entry in tenant.collection(name)?.scan_with(ScanOptions::new())? {
            let entry = entry?;
            let Some(value) = entry.value.as_deref() else {
                return Err(too_large());
            };
            let line = RecordLine::new(name, &entry.key, value, entry.info.written_ms, entry.info.expires_ms);
            write_line(file, &line).map_err(failed)?;
            records += 1;
            bar.inc(1);
        }
    }
    write_line(file, &End::new(records)).map_err(failed)?;
    bar.finish_and_clear();
    Ok(records)
}

/// Why a value is not exported.
pub(crate) fn too_large() -> Failure {
    let message = "a value over 1 MiB does not fit an export's line yet: copy it with get and put";
    Failure::new(ErrorKind::LimitExceeded, message)
}

pub(crate) fn write_line(file: &mut OutputFile, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}
