//! A file that `strongroom export` made: every record comes back with the times it was written at and expires at.

use std::io::{self, BufRead, Read};

use strongroom::{ErrorKind, PutOptions};

use super::DASH;
use super::json_lines::json_problem;
use super::lines::{Line, Lines};
use super::loader::{Loader, Pending, Place};
use super::mapping::Mapping;
use crate::args::Import;
use crate::export_format::{End, Header, LineValue, PartLine, RecordLine};
use crate::failure::{Failure, Outcome};
use crate::text::counted;

/// Checks, before anything is put, that an export ends as it was made to.
pub(super) fn check_whole(source: impl BufRead, import: &Import) -> Outcome {
    let shown = import.path.display();
    let mut lines = Lines::new(source);
    let (mut count, mut end) = (0_u64, None);
    while let Some((_, line)) = lines.next().map_err(|error| Failure::io(&shown, &error))? {
        count += 1;
        end = match line {
            Line::Whole(line) if line.len() < 100 => End::parse(line),
            _ => None,
        };
    }
    match end {
        Some(end) if end.records.checked_add(end.parts) == count.checked_sub(2) => Ok(()),
        _ => Err(cut_short(import, "nothing was imported")),
    }
}

fn cut_short(import: &Import, what_of_it: &str) -> Failure {
    let message = format!("{} is an export that was cut short: {what_of_it}", import.path.display());
    Failure::new(ErrorKind::Corrupted, message)
}

/// Imports the records after the header.
pub(super) fn import(
    loader: &mut Loader<'_>,
    mut lines: Lines<impl BufRead>,
    header: &Header,
    import: &Import,
) -> Outcome {
    Mapping::new(import).refuse("an export's records")?;
    let tenant = loader.tenant(&import.tenant)?;
    let target = (import.collection != DASH).then_some(import.collection.as_str());
    if target.is_some() && header.collections.len() > 1 {
        let message = format!(
            "the export holds {} collections: give '-' as the collection to keep them",
            header.collections.len()
        );
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    let shown = import.path.display();
    let (mut records, mut parts) = (0, 0);
    // Whether parts are those of a record that is not imported.
    let mut passes_over = false;
    while let Some((number, line)) = lines.next().map_err(|error| Failure::io(&shown, &error))? {
        let place = format_args!("{shown}: line {number}");
        let Line::Whole(line) = line else {
            records += 1;
            if loader.begins(records, b"")? {
                loader.refuse(place, "is longer than any record")?;
            }
            continue;
        };
        if let Some(end) = End::parse(line) {
            loader.flush()?;
            let is_last = lines.next().map_err(|error| Failure::io(&shown, &error))?.is_none();
            let is_whole = is_last && (end.records, end.parts) == (records, parts);
            return if is_whole { Ok(()) } else { Err(interrupted(loader, import)) };
        }
        if passes_over && PartLine::parse(line).is_some() {
            parts += 1;
            continue;
        }
        records += 1;
        passes_over = true;
        if !loader.begins(records, line)? {
            continue;
        }
        match parse(line, header, target) {
            Ok(Parsed { collection, key, value: LineValue::Whole(value), options }) => {
                let collection = tenant.collection(&collection)?;
                let tenant = tenant.clone();
                loader.add(place, Pending { tenant, collection, key, value, options })?;
            }
            Ok(Parsed { collection, key, value: LineValue::InParts(left), options }) => {
                let collection = tenant.collection(&collection)?;
                let target = Place { collection: &collection, key: &key };
                let value = Parts { lines: &mut lines, left, part: Vec::new(), read: 0, count: &mut parts };
                loader.add_large(place, target, value, options)?;
            }
            Err(problem) => loader.refuse(place, problem)?,
        }
        loader.progress_to(lines.bytes());
    }
    loader.flush()?;
    Err(interrupted(loader, import))
}

/// A value that stands in the lines after its record's.
struct Parts<'a, R> {
    lines: &'a mut Lines<R>,
    /// Bytes that are still to come, in lines.
    left: u64,
    /// The last line's, and how many of them were read.
    part: Vec<u8>,
    read: usize,
    /// How many lines were parts.
    count: &'a mut u64,
}

impl<R: BufRead> Parts<'_, R> {
    fn next(&mut self) -> io::Result<()> {
        let missing = || {
            let problem = format!("{} bytes of its value do not follow", self.left);
            io::Error::new(io::ErrorKind::InvalidData, problem)
        };
        let Some((_, line)) = self.lines.next()? else { return Err(missing()) };
        let part = if let Line::Whole(line) = line { PartLine::parse(line) } else { None };
        let Some(part) = part.filter(|part| !part.is_empty() && part.len() as u64 <= self.left) else {
            // The line may be the next record's.
            self.lines.put_back();
            return Err(missing());
        };
        *self.count += 1;
        self.left -= part.len() as u64;
        (self.part, self.read) = (part, 0);
        Ok(())
    }
}

impl<R: BufRead> Read for Parts<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.part.len() && self.left > 0 {
            self.next()?;
        }
        let mut rest = &self.part[self.read..];
        let read = rest.read(out)?;
        self.read += read;
        Ok(read)
    }
}

/// The failure of an export that could not be checked beforehand, because it came through a pipe.
fn interrupted(loader: &Loader<'_>, import: &Import) -> Failure {
    cut_short(import, &format!("of it were imported {}", counted(loader.records(), "record")))
}

/// What a record's line says.
struct Parsed {
    collection: String,
    key: Vec<u8>,
    value: LineValue<Vec<u8>>,
    options: PutOptions,
}

fn parse(line: &[u8], header: &Header, target: Option<&str>) -> Result<Parsed, String> {
    let record: RecordLine<'_> = serde_json::from_slice(line).map_err(|error| json_problem(&error))?;
    if !header.collections.iter().any(|name| *name == record.collection) {
        return Err("is of a collection that the first line does not name".to_owned());
    }
    let collection = target.unwrap_or(&record.collection).to_owned();
    let mut options = PutOptions::new().written_ms(record.written_ms);
    if let Some(expires_ms) = record.expires_ms {
        options = options.expires_ms(expires_ms);
    }
    let (key, value) = record.into_bytes()?;
    if matches!(value, LineValue::InParts(_)) && !header.has_parts() {
        return Err("has a value in parts, which an export of version 1 has not".to_owned());
    }
    Ok(Parsed { collection, key, value, options })
}
