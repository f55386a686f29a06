//! A .csv file (RFC 4180): its first line names the fields, each other row is a record.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind as Io};

use csv_core::{ReadRecordResult, Reader};
use serde_json::{Map, Value};
use strongroom::ErrorKind;

use super::loader::Loader;
use super::mapping::{Field, Mapping, Row};
use crate::args::Import;
use crate::export_format::LINE_BYTES_MAX;
use crate::failure::{Failure, Outcome};

/// Most fields of a row.
const FIELDS_MAX: usize = 4_096;

/// Imports every row after the first line.
pub(super) fn import(loader: &mut Loader<'_>, source: impl BufRead, import: &Import) -> Outcome {
    let (mapping, shown) = (Mapping::new(import), import.path.display());
    let mut rows = Rows::new(source);
    let failed = |error: io::Error| Failure::io(import.path.display(), &error);
    let names = match rows.next().map_err(failed)? {
        None => return Ok(()),
        Some((_, None)) => names_of(&rows),
        Some((_, Some(problem))) => Err(problem.to_owned()),
    };
    let names = names.map_err(|problem| {
        Failure::new(ErrorKind::InvalidArgument, format!("{shown}: the line that names the fields {problem}"))
    })?;
    mapping.check_names(&names)?;
    for number in 1.. {
        let Some((line, problem)) = rows.next().map_err(failed)? else { break };
        if !loader.begins(number, rows.said())? {
            continue;
        }
        let place = format_args!("{shown}: line {line}");
        let mapped = match problem {
            Some(problem) => Err(problem.to_owned()),
            None => CsvRow::new(&names, &rows).and_then(|row| mapping.apply(&row, number)),
        };
        match mapped {
            Ok(mapped) => loader.add_mapped(place, mapped)?,
            Err(problem) => loader.refuse(place, problem)?,
        }
        loader.progress_to(rows.bytes);
    }
    Ok(())
}

fn names_of(rows: &Rows<impl BufRead>) -> Result<Vec<String>, String> {
    let names = (0..rows.fields()).map(|at| String::from_utf8(rows.field(at).to_vec()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(|_| "is not UTF-8".to_owned())?;
    match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        Some((_, name)) => Err(format!("names '{name}' twice")),
        None => Ok(names),
    }
}

/// A row, and the names of its fields.
struct CsvRow<'a, R> {
    names: &'a [String],
    rows: &'a Rows<R>,
}

impl<'a, R: BufRead> CsvRow<'a, R> {
    fn new(names: &'a [String], rows: &'a Rows<R>) -> Result<Self, String> {
        if rows.fields() != names.len() {
            return Err(format!("has {} fields, and the first line names {}", rows.fields(), names.len()));
        }
        Ok(Self { names, rows })
    }
}

impl<R: BufRead> Row for CsvRow<'_, R> {
    fn field(&self, name: &str) -> Result<Field<'_>, String> {
        let at = self.names.iter().position(|known| known == name);
        Ok(at.map_or(Field::Nothing, |at| Field::Plain(Cow::Borrowed(self.rows.field(at)))))
    }

    /// The row as an object of JSON, every field a string.
    fn whole(&self) -> Result<Vec<u8>, String> {
        let fields = self.names.iter().enumerate().map(|(at, name)| {
            let text = std::str::from_utf8(self.rows.field(at)).map_err(|_| "is not UTF-8".to_owned())?;
            Ok((name.clone(), Value::String(text.to_owned())))
        });
        Ok(Value::Object(fields.collect::<Result<Map<_, _>, String>>()?).to_string().into_bytes())
    }
}

/// Reads rows one after the other, none of which takes more memory than it may.
struct Rows<R> {
    source: R,
    parser: Reader,
    /// The last row's fields, one behind the other, and where each ends.
    buffer: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    /// The line that the next row begins in, from 1.
    line: u64,
    /// Bytes read from the source so far.
    bytes: u64,
}

impl<R: BufRead> Rows<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            parser: Reader::new(),
            buffer: vec![0; 1 << 12],
            ends: vec![0; 1 << 6],
            fields: 0,
            line: 1,
            bytes: 0,
        }
    }

    /// How many fields the last row has.
    fn fields(&self) -> usize {
        self.fields
    }

    /// A field of the last row.
    fn field(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.buffer[begin..self.ends[at]]
    }

    /// All fields of the last row, one behind the other.
    fn said(&self) -> &[u8] {
        let end = if self.fields == 0 { 0 } else { self.ends[self.fields - 1] };
        &self.buffer[..end]
    }

    /// Reads the next row; gives the line that it begins in, and what is wrong with it.
    fn next(&mut self) -> io::Result<Option<(u64, Option<&'static str>)>> {
        self.pass_over_empty_lines()?;
        let line = self.line;
        let (mut written, mut quotes, mut is_too_long) = (0, 0, false);
        self.fields = 0;
        loop {
            let input = filled(&mut self.source)?;
            let (result, taken, given, ended) =
                self.parser.read_record(input, &mut self.buffer[written..], &mut self.ends[self.fields..]);
            quotes += count(&input[..taken], b'"');
            self.line += count(&input[..taken], b'\n');
            self.source.consume(taken);
            self.bytes += taken as u64;
            written += given;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.buffer.len() < LINE_BYTES_MAX => {
                    self.buffer.resize(self.buffer.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < FIELDS_MAX => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (written, self.fields, is_too_long) = (0, 0, true);
                }
                ReadRecordResult::Record if is_too_long => {
                    return Ok(Some((
                        line,
                        Some("begins a row that is longer than any record: is a quote not closed?"),
                    )));
                }
                // In a field without quotes around it there is none either, and inside others they come in pairs.
                ReadRecordResult::Record if quotes % 2 == 1 => {
                    return Ok(Some((
                        line,
                        Some("has a quote that is not closed, or one that is not doubled"),
                    )));
                }
                ReadRecordResult::Record => return Ok(Some((line, None))),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Line endings before a row: the rest of the last one's, and empty lines.
    fn pass_over_empty_lines(&mut self) -> io::Result<()> {
        loop {
            let input = filled(&mut self.source)?;
            let endings = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if endings == 0 {
                return Ok(());
            }
            self.line += count(&input[..endings], b'\n');
            self.bytes += endings as u64;
            self.source.consume(endings);
        }
    }
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == wanted)).sum()
}

/// What the source has; nothing at its end.
fn filled(source: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = source.fill_buf() {
        if error.kind() != Io::Interrupted {
            return Err(error);
        }
    }
    source.fill_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = (u64, Result<Vec<String>, &'static str>);

    /// Rows of a text that is read `step` bytes at a time.
    fn rows_of(text: &str, step: usize) -> Vec<Found> {
        let mut rows = Rows::new(io::BufReader::with_capacity(step, text.as_bytes()));
        let mut found = Vec::new();
        while let Some((line, problem)) = rows.next().expect("reads") {
            let fields = (0..rows.fields()).map(|at| String::from_utf8_lossy(rows.field(at)).into_owned());
            found.push((line, problem.map_or_else(|| Ok(fields.collect()), Err)));
        }
        assert_eq!(rows.bytes, text.len() as u64);
        found
    }

    fn row(line: u64, fields: &[&str]) -> Found {
        (line, Ok(fields.iter().map(|field| (*field).to_owned()).collect()))
    }

    #[test]
    fn rows_know_their_lines_whatever_the_source_gives_at_a_time() {
        let text = "a,b\r\n1,\"x\ny\"\n\n\n\"say \"\"hi\"\"\",\n3,4,5\nlast,\"\"";
        let expected = [
            row(1, &["a", "b"]),
            row(2, &["1", "x\ny"]),
            row(6, &["say \"hi\"", ""]),
            row(7, &["3", "4", "5"]),
            row(8, &["last", ""]),
        ];
        for step in [1, 2, 3, 7, 4_096] {
            assert_eq!(rows_of(text, step), expected, "step {step}");
        }
        assert!(rows_of("", 1).is_empty() && rows_of("\n\r\n", 1).is_empty());
    }

    #[test]
    fn an_open_quote_is_noticed_in_the_line_that_it_opens_in() {
        for (text, line) in [("1,a\n2,\"b\n3,c\n4,d\n", 2), ("1,5\" disk\n2,b\n", 1), ("1,a\n2,b\n3,\"c", 3)]
        {
            let bad: Vec<_> = rows_of(text, 5).into_iter().filter(|(_, row)| row.is_err()).collect();
            assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [line], "{text:?}");
        }
    }

    #[test]
    fn a_row_over_the_limit_is_passed_over() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        let found = rows_of(&format!("1,{long}\n2,b\n{}\n3,c\n", ",".repeat(FIELDS_MAX)), 1 << 16);
        assert!(found[0].1.is_err() && found[2].1.is_err());
        assert_eq!([&found[1], &found[3]], [&row(2, &["2", "b"]), &row(4, &["3", "c"])]);
    }
}
