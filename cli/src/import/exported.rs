//! A file that `strongroom export` made: every record comes back with the times it was written at and expires at.

use std::io::BufRead;

use strongroom::{ErrorKind, PutOptions};

use super::DASH;
use super::json_lines::json_problem;
use super::lines::{Line, Lines};
use super::loader::{Loader, Pending};
use super::mapping::Mapping;
use crate::args::Import;
use crate::export_format::{End, Header, RecordLine};
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
        Some(end) if end.records == count.saturating_sub(2) => Ok(()),
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
    let mut records = 0;
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
            return if is_last && end.records == records { Ok(()) } else { Err(interrupted(loader, import)) };
        }
        records += 1;
        if !loader.begins(records, line)? {
            continue;
        }
        match parse(line, header, target) {
            Ok((collection, key, value, options)) => {
                let collection = tenant.collection(&collection)?;
                loader.add(place, Pending { tenant: tenant.clone(), collection, key, value, options })?;
            }
            Err(problem) => loader.refuse(place, problem)?,
        }
        loader.progress_to(lines.bytes());
    }
    loader.flush()?;
    Err(interrupted(loader, import))
}

/// The failure of an export that could not be checked beforehand, because it came through a pipe.
fn interrupted(loader: &Loader<'_>, import: &Import) -> Failure {
    cut_short(import, &format!("of it were imported {}", counted(loader.records(), "record")))
}

type Parsed = (String, Vec<u8>, Vec<u8>, PutOptions);

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
    Ok((collection, key, value, options))
}
