//! `strongroom import`: finds out what PATH is, and hands its records to the loader.

mod csv;
mod directory;
mod exported;
mod json_lines;
mod lines;
mod loader;
mod mapping;
mod progress;
mod table;
mod under_way;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;

use strongroom::{Engine, ErrorKind};

use crate::args::{Global, Import};
use crate::console::Counted;
use crate::export_format::Header;
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use lines::{Line, Lines};
use loader::Loader;
use mapping::Mapping;
use progress::Progress;
use table::Table;

/// The name that stands for standard input; as a collection, for those of an export; as a tenant, for those that rows name.
const DASH: &str = "-";

/// Puts many records.
pub(crate) fn run(global: &Global, import: &Import) -> Outcome {
    check(import)?;
    let source = Source::open(import)?;
    with_store(global, |engine| import_source(engine, global, import, source)).map_err(Failure::undone)
}

/// Whether the arguments fit together.
fn check(import: &Import) -> Outcome {
    let message = match (import.tenant == DASH, &import.tenant_field) {
        (true, None) => "the tenant '-' stands for those that --tenant-field names: give that option too",
        (false, Some(_)) => "--tenant-field has each row name its tenant: give '-' as the tenant",
        _ => return Ok(()),
    };
    Err(Failure::new(ErrorKind::InvalidArgument, message))
}

/// What PATH is.
enum Source {
    Directory,
    /// A file that can be read twice, its length, and what its name says it is.
    File(File, u64, Option<Kind>),
    /// A pipe, or standard input; read once.
    Stream(Box<dyn BufRead>, Kind),
    /// A table of another database.
    Table(Table),
}

/// How a file says where a record ends.
#[derive(Clone, Copy)]
enum Kind {
    JsonLines,
    Csv,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let is =
            |known: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(known));
        match () {
            () if is("jsonl") || is("ndjson") => Some(Self::JsonLines),
            () if is("csv") => Some(Self::Csv),
            () => None,
        }
    }
}

impl Source {
    fn open(import: &Import) -> Outcome<Self> {
        let path = import.path.as_path();
        if path == Path::new(DASH) {
            let stdin = Box::new(BufReader::with_capacity(1 << 16, io::stdin()));
            return Ok(Self::Stream(stdin, Kind::JsonLines));
        }
        let failed = |error: io::Error| Failure::io(path.display(), &error);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if let Some(table) = &import.table {
            return Ok(Self::Table(Table::open(import, table)?));
        }
        if metadata.is_dir() {
            return Ok(Self::Directory);
        }
        let file = File::open(path).map_err(failed)?;
        if metadata.is_file() {
            return Ok(Self::File(file, metadata.len(), Kind::of(path)));
        }
        let kind = Kind::of(path).ok_or_else(|| unknown(path))?;
        Ok(Self::Stream(Box::new(BufReader::with_capacity(1 << 16, file)), kind))
    }
}

fn unknown(path: &Path) -> Failure {
    let message = format!(
        "{} is neither a directory, nor a .jsonl, .ndjson or .csv file, nor an export; --table says that it is a database, and \
         put --file puts one file",
        path.display()
    );
    Failure::new(ErrorKind::InvalidArgument, message)
}

fn import_source(engine: &Engine, global: &Global, import: &Import, source: Source) -> Outcome {
    let progress = match &import.progress {
        Some(path) => Some(Progress::open(path, import)?),
        None => None,
    };
    let mut loader = Loader::new(engine, import, progress, global.json)?;
    if import.tenant != DASH {
        loader.tenant(&import.tenant)?;
    }
    match source {
        Source::Directory => {
            Mapping::new(import).refuse("a directory's files")?;
            let tenant = loader.tenant(&import.tenant)?;
            let collection = tenant.collection(named_collection(import)?)?;
            loader.show_progress(0, Counted::Bytes);
            directory::import(&mut loader, &tenant, &collection, &import.path)?;
        }
        Source::File(mut file, length, kind) => {
            let is_export = read_header(&mut Lines::new(BufReader::new(&file)), import)?.is_some();
            rewind(&mut file, import)?;
            if is_export {
                exported::check_whole(BufReader::with_capacity(1 << 16, &file), import)?;
                rewind(&mut file, import)?;
            }
            let kind = kind.or(is_export.then_some(Kind::JsonLines)).ok_or_else(|| unknown(&import.path))?;
            loader.show_progress(length, Counted::Bytes);
            import_rows(&mut loader, BufReader::with_capacity(1 << 16, file), kind, import)?;
        }
        Source::Stream(stream, kind) => {
            loader.show_progress(0, Counted::Bytes);
            import_rows(&mut loader, stream, kind, import)?;
        }
        Source::Table(table) => {
            named_collection(import)?;
            loader.show_progress(0, Counted::Records);
            table.import(&mut loader, import)?;
        }
    }
    loader.finish()
}

fn rewind(file: &mut File, import: &Import) -> Outcome {
    file.rewind().map_err(|error| Failure::io(import.path.display(), &error))
}

/// Imports rows; JSON Lines are an export where the first line says so.
fn import_rows(loader: &mut Loader<'_>, source: impl BufRead, kind: Kind, import: &Import) -> Outcome {
    if matches!(kind, Kind::Csv) {
        named_collection(import)?;
        return csv::import(loader, source, import);
    }
    let mut lines = Lines::new(source);
    if let Some(header) = read_header(&mut lines, import)? {
        return exported::import(loader, lines, &header, import);
    }
    named_collection(import)?;
    json_lines::import(loader, lines, import)
}

/// The header that the first line is, which is then consumed; else the line is left to be read again.
fn read_header(lines: &mut Lines<impl BufRead>, import: &Import) -> Outcome<Option<Header>> {
    let header = match lines.next().map_err(|error| Failure::io(import.path.display(), &error))? {
        Some((_, Line::Whole(line))) => Header::parse(line),
        _ => None,
    };
    match header {
        Some(Ok(header)) => Ok(Some(header)),
        Some(Err(problem)) => {
            Err(Failure::new(ErrorKind::UnsupportedFormat, format!("{}: {problem}", import.path.display())))
        }
        None => {
            lines.put_back();
            Ok(None)
        }
    }
}

fn named_collection(import: &Import) -> Outcome<&str> {
    if import.collection == DASH {
        let message = "the collection '-' stands for those of an export, and this is none: name a collection";
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    Ok(&import.collection)
}
