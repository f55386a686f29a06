//! `strongroom import`: finds out what PATH is, and hands its records to the loader.

mod directory;
mod exported;
mod json_lines;
mod lines;
mod loader;
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

/// The name that stands for standard input, and, as a collection, for those of an export.
const DASH: &str = "-";

/// Puts many records.
pub(crate) fn run(global: &Global, import: &Import) -> Outcome {
    let source = Source::open(&import.path)?;
    with_store(global, |engine| import_source(engine, global, import, source)).map_err(Failure::undone)
}

/// What PATH is.
enum Source {
    Directory,
    /// A file that can be read twice, its length, and whether its name says JSON Lines.
    File(File, u64, bool),
    /// A pipe, or standard input; read once.
    Stream(Box<dyn BufRead>),
}

impl Source {
    fn open(path: &Path) -> Outcome<Self> {
        if path == Path::new(DASH) {
            return Ok(Self::Stream(Box::new(BufReader::with_capacity(1 << 16, io::stdin()))));
        }
        let failed = |error: io::Error| Failure::io(path.display(), &error);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Ok(Self::Directory);
        }
        let file = File::open(path).map_err(failed)?;
        let is_json_lines = path.extension().is_some_and(|extension| {
            ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        });
        if metadata.is_file() {
            return Ok(Self::File(file, metadata.len(), is_json_lines));
        }
        if is_json_lines { Ok(Self::Stream(Box::new(BufReader::new(file)))) } else { Err(unknown(path)) }
    }
}

fn unknown(path: &Path) -> Failure {
    let message = format!(
        "{} is neither a directory, nor a .jsonl or .ndjson file, nor an export: to put one file, use put --file",
        path.display()
    );
    Failure::new(ErrorKind::InvalidArgument, message)
}

fn import_source(engine: &Engine, global: &Global, import: &Import, source: Source) -> Outcome {
    let tenant = engine.tenant(&import.tenant)?;
    let mut loader = Loader::new(&tenant, import, global.json)?;
    match source {
        Source::Directory => {
            refuse_key_field(import, "a directory's files")?;
            let collection = tenant.collection(named_collection(import)?)?;
            loader.show_progress(0, Counted::Bytes);
            directory::import(&mut loader, &collection, &import.path)?;
        }
        Source::File(mut file, length, is_json_lines) => {
            if read_header(&mut Lines::new(BufReader::new(&file)), import)?.is_some() {
                rewind(&mut file, import)?;
                exported::check_whole(BufReader::with_capacity(1 << 16, &file), import)?;
            } else if !is_json_lines {
                return Err(unknown(&import.path));
            }
            rewind(&mut file, import)?;
            loader.show_progress(length, Counted::Bytes);
            import_lines(&mut loader, BufReader::with_capacity(1 << 16, file), import)?;
        }
        Source::Stream(stream) => {
            loader.show_progress(0, Counted::Bytes);
            import_lines(&mut loader, stream, import)?;
        }
    }
    loader.finish()
}

fn rewind(file: &mut File, import: &Import) -> Outcome {
    file.rewind().map_err(|error| Failure::io(import.path.display(), &error))
}

/// Imports an export or JSON Lines, as the first line says.
fn import_lines(loader: &mut Loader<'_>, source: impl BufRead, import: &Import) -> Outcome {
    let mut lines = Lines::new(source);
    match read_header(&mut lines, import)? {
        Some(header) => exported::import(loader, lines, &header, import),
        None => json_lines::import(loader, lines, named_collection(import)?, import),
    }
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

fn refuse_key_field(import: &Import, what: &str) -> Outcome {
    if import.key_field.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::InvalidArgument,
        format!("{what} have their own keys: leave out --key-field"),
    ))
}
