//! Reads a table with `SQLite`, in one read transaction and in an order that is the same each time.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Number, Value};
use strongroom::ErrorKind;

use super::super::loader::Loader;
use super::super::mapping::{Field, Mapping, Row};
use crate::args::Import;
use crate::failure::{Failure, Outcome};
use crate::text::to_base64;

/// A table that was found.
pub(in super::super) struct Table {
    connection: Connection,
    query: String,
    names: Vec<String>,
}

impl Table {
    /// Opens the database for reading and finds the table.
    pub(in super::super) fn open(import: &Import, table: &str) -> Outcome<Self> {
        let failed = |error: rusqlite::Error| failure(import, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&import.path, flags).map_err(failed)?;
        unlock(&connection, import)?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let mut select = format!("SELECT * FROM {}", quoted(table));
        let names = names_of(&connection, &select).map_err(failed)?;
        if names_of(&connection, &format!("{select} ORDER BY rowid")).is_ok() {
            select.push_str(" ORDER BY rowid");
        } else {
            // A table without row numbers has a primary key; a view may have neither.
            let key = primary_key(&connection, table).map_err(failed)?;
            if !key.is_empty() {
                let key: Vec<_> = key.iter().map(|name| quoted(name)).collect();
                select = format!("{select} ORDER BY {}", key.join(", "));
            } else if import.progress.is_some() {
                let message =
                    "rows of a view have no order to go on in: import a table, or leave out --progress";
                return Err(Failure::new(ErrorKind::InvalidArgument, message));
            }
        }
        Ok(Self { connection, query: select, names })
    }

    /// Imports every row.
    pub(in super::super) fn import(self, loader: &mut Loader<'_>, import: &Import) -> Outcome {
        let mapping = Mapping::new(import);
        mapping.check_names(&self.names)?;
        let failed = |error: rusqlite::Error| failure(import, &error);
        let mut statement = self.connection.prepare(&self.query).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut said = Vec::new();
        for number in 1.. {
            let row = match rows.next() {
                Ok(None) => break,
                Ok(Some(row)) => row,
                Err(error) => return Err(failed(error).within(format_args!("row {number}"))),
            };
            let row = TableRow { names: &self.names, row };
            row.say(&mut said).map_err(|error| failed(error).within(format_args!("row {number}")))?;
            if !loader.begins(number, &said)? {
                continue;
            }
            let place = format_args!("{}: row {number}", import.path.display());
            match mapping.apply(&row, number) {
                Ok(mapped) => loader.add_mapped(place, mapped)?,
                Err(problem) => loader.refuse(place, problem)?,
            }
            loader.progress_to(number);
        }
        Ok(())
    }
}

/// Gives SQLCipher the key; without one the database is as `SQLite` made it.
#[cfg(feature = "sqlcipher")]
fn unlock(connection: &Connection, import: &Import) -> Outcome {
    let Some(path) = &import.table_key_file else { return Ok(()) };
    let key = std::fs::read_to_string(path).map_err(|error| Failure::io(path.display(), &error))?;
    // What is wrong is in the error: it writes to standard error as well.
    connection.pragma_update(None, "cipher_log_level", "NONE").map_err(|error| failure(import, &error))?;
    connection
        .pragma_update(None, "key", key.trim_end_matches(['\r', '\n']))
        .map_err(|error| failure(import, &error))
}

#[cfg(not(feature = "sqlcipher"))]
fn unlock(_: &Connection, import: &Import) -> Outcome {
    if import.table_key_file.is_none() {
        return Ok(());
    }
    let message = "this program was compiled without SQLCipher: build it with `--features sqlcipher`";
    Err(Failure::new(ErrorKind::InvalidArgument, message))
}

fn names_of(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    Ok(connection.prepare(query)?.column_names().map(str::to_owned).collect())
}

fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut columns =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    columns.query_map([table], |row| row.get(0))?.collect()
}

/// What `SQLite` says is of the database's form, and of none of its values.
fn failure(import: &Import, error: &rusqlite::Error) -> Failure {
    let kind = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            let message = format!(
                "{}: is no SQLite database, or is one that is encrypted with another key than --table-key-file gives",
                import.path.display()
            );
            return Failure::new(ErrorKind::InvalidArgument, message);
        }
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => ErrorKind::Corrupted,
        Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::CannotOpen) => ErrorKind::Io,
        _ => ErrorKind::InvalidArgument,
    };
    Failure::new(kind, format!("{}: {error}", import.path.display()))
}

/// A row, and the names of its columns.
struct TableRow<'a> {
    names: &'a [String],
    row: &'a rusqlite::Row<'a>,
}

impl TableRow<'_> {
    /// All of the row's columns.
    fn say(&self, said: &mut Vec<u8>) -> rusqlite::Result<()> {
        said.clear();
        for column in 0..self.names.len() {
            match self.row.get_ref(column)? {
                ValueRef::Null => said.push(0),
                ValueRef::Integer(number) => said.extend(number.to_le_bytes()),
                ValueRef::Real(number) => said.extend(number.to_le_bytes()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => said.extend(bytes),
            }
        }
        Ok(())
    }

    fn at(&self, column: usize) -> Result<ValueRef<'_>, String> {
        self.row.get_ref(column).map_err(|error| format!("can't be read: {error}"))
    }
}

impl Row for TableRow<'_> {
    fn field(&self, name: &str) -> Result<Field<'_>, String> {
        let Some(column) = self.names.iter().position(|known| known == name) else {
            return Ok(Field::Nothing);
        };
        Ok(match self.at(column)? {
            ValueRef::Null => Field::Nothing,
            ValueRef::Integer(number) => Field::Plain(Cow::Owned(number.to_string().into_bytes())),
            ValueRef::Real(number) => Field::Plain(Cow::Owned(number.to_string().into_bytes())),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Field::Plain(Cow::Borrowed(bytes)),
        })
    }

    /// The row as an object of JSON; a BLOB is in a member `<name>_base64`.
    fn whole(&self) -> Result<Vec<u8>, String> {
        let mut object = Map::new();
        for (column, name) in self.names.iter().enumerate() {
            match self.at(column)? {
                ValueRef::Null => object.insert(name.clone(), Value::Null),
                ValueRef::Integer(number) => object.insert(name.clone(), number.into()),
                ValueRef::Real(number) => {
                    let number = Number::from_f64(number).ok_or("has a number that JSON has no form for")?;
                    object.insert(name.clone(), number.into())
                }
                ValueRef::Text(bytes) => {
                    let text = std::str::from_utf8(bytes).map_err(|_| "has a text that is not UTF-8")?;
                    object.insert(name.clone(), text.into())
                }
                ValueRef::Blob(bytes) => object.insert(format!("{name}_base64"), to_base64(bytes).into()),
            };
        }
        Ok(Value::Object(object).to_string().into_bytes())
    }
}
