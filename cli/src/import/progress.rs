//! How far an import is durable, in a file: a later run goes on from there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom::ErrorKind;

use crate::args::Import;
use crate::failure::{Failure, Outcome};
use crate::output_file::OutputFile;

/// Rows after which the file is written anew: after a kill at most as many, and those under way, are put once more.
const ROWS: u64 = 1_000;

/// The file's one line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// What is imported into what: only the same import goes on.
    import: Value,
    /// Rows, lines, or files of a directory, from the first, that are durable or were refused.
    rows: u64,
    /// Of what these rows said: CRC-32.
    checksum: u32,
    /// Whether these were all.
    is_done: bool,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached {
    /// Rows, from the first.
    pub(super) rows: u64,
    /// Of what they said, so that going on in another source is noticed.
    pub(super) checksum: u32,
}

/// The file.
pub(super) struct Progress {
    path: PathBuf,
    import: Value,
    /// What the file says.
    reached: Reached,
}

impl Progress {
    /// Reads the file where it is there.
    pub(super) fn open(path: &Path, import: &Import) -> Outcome<Self> {
        let import = identity(import);
        let wrong =
            |problem| Failure::new(ErrorKind::InvalidArgument, format!("{} {problem}", path.display()));
        let reached = match fs::read(path) {
            Ok(bytes) => reached_by(&bytes, &import).map_err(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reached::default(),
            Err(error) => return Err(Failure::io(path.display(), &error)),
        };
        Ok(Self { path: path.to_owned(), import, reached })
    }

    /// What need not be imported again.
    pub(super) fn reached(&self) -> Reached {
        self.reached
    }

    /// Writes the file, if it is worth it: so much is durable.
    pub(super) fn note(&mut self, reached: Reached) -> Outcome {
        if reached.rows < self.reached.rows + ROWS { Ok(()) } else { self.write(reached, false) }
    }

    /// Writes the file.
    pub(super) fn write(&mut self, reached: Reached, is_done: bool) -> Outcome {
        let mut file = OutputFile::create(&self.path, true)?;
        let Reached { rows, checksum } = reached;
        let line = Line { import: self.import.clone(), rows, checksum, is_done };
        let written = serde_json::to_writer(&mut file, &line).map_err(io::Error::from);
        written
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|error| Failure::io(format!("writing {}", self.path.display()), &error))?;
        file.finish()?;
        self.reached = reached;
        Ok(())
    }
}

fn identity(import: &Import) -> Value {
    json!({
        "tenant": import.tenant,
        "collection": import.collection,
        "path": import.path.to_string_lossy(),
        "table": import.table,
        "key_field": import.key_field,
        "value_field": import.value_field,
        "value_base64": import.value_base64,
        "tenant_field": import.tenant_field,
        "subject_field": import.subject_field,
        "expires_field": import.expires_field,
        "index": import.index,
    })
}

/// How far an import is, by the file's line; or what is wrong with that.
fn reached_by(bytes: &[u8], import: &Value) -> Result<Reached, String> {
    let line: Line = serde_json::from_slice(bytes)
        .map_err(|_| "is no file that --progress made: name another".to_owned())?;
    if line.import == *import {
        return Ok(Reached { rows: line.rows, checksum: line.checksum });
    }
    let differs =
        |(name, value): (&String, &Value)| (line.import.get(name) != Some(value)).then(|| name.clone());
    let differing: Vec<_> = import.as_object().into_iter().flatten().filter_map(differs).collect();
    Err(format!(
        "tells of another import, which differs in {}: name another file for this one",
        differing.join(", ")
    ))
}
