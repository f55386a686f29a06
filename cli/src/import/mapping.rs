//! Which fields of a row say what: a record's key, value, tenant, subject, time of expiry and secondary keys.

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use strongroom::{ErrorKind, PutOptions};

use crate::args::Import;
use crate::failure::{Failure, Outcome};
use crate::text::from_base64;

/// Digits of a row's number as a key: keys sort as rows do, up to a million million of them.
const NUMBER_DIGITS: usize = 12;

/// A field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// It is not there, or says that there is nothing.
    Nothing,
    /// It is there twice.
    Twice,
    /// A text, a number as it is written, or bytes.
    Plain(Cow<'a, [u8]>),
    /// Anything else, as it is written.
    Other(&'a str),
}

/// A row of a source.
pub(super) trait Row {
    /// A field; or what is wrong with it.
    fn field(&self, name: &str) -> Result<Field<'_>, String>;
    /// The value of a record that no field says; or what is wrong with it.
    fn whole(&self) -> Result<Vec<u8>, String>;
}

/// What a row comes to.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The tenant that the row names.
    pub(super) tenant: Option<String>,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) options: PutOptions,
}

/// The fields that the arguments name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping<'a> {
    import: &'a Import,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(import: &'a Import) -> Self {
        Self { import }
    }

    /// Every field that is asked for.
    pub(super) fn fields(self) -> impl Iterator<Item = &'a str> {
        let import = self.import;
        let single = [
            &import.key_field,
            &import.value_field,
            &import.tenant_field,
            &import.subject_field,
            &import.expires_field,
        ];
        let single = single.into_iter().filter_map(|field| field.as_deref());
        single.chain(import.index.iter().map(|(_, field)| field.as_str()))
    }

    /// Refuses fields where there are none.
    pub(super) fn refuse(self, what: &str) -> Outcome {
        let Some(field) = self.fields().next() else { return Ok(()) };
        let message = format!("{what} have no field '{field}': leave out the options that name fields");
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }

    /// Refuses a source whose rows all lack a field.
    pub(super) fn check_names(self, names: &[String]) -> Outcome {
        let Some(field) = self.fields().find(|field| !names.iter().any(|name| name == field)) else {
            return Ok(());
        };
        let message = format!(
            "{} has no field '{field}': its fields are {}",
            self.import.path.display(),
            names.join(", ")
        );
        Err(Failure::new(ErrorKind::InvalidArgument, message))
    }

    /// The record that a row is; `number` of the row, from 1, is its key where no field is.
    pub(super) fn apply(self, row: &impl Row, number: u64) -> Result<Mapped, String> {
        let import = self.import;
        let key = match &import.key_field {
            None => format!("{number:0NUMBER_DIGITS$}").into_bytes(),
            Some(name) => needed(plain(row, name, "--key-field")?, "--key-field")?.into_owned(),
        };
        let value = match &import.value_field {
            None => row.whole()?,
            Some(name) => value(row, name, import.value_base64)?,
        };
        let tenant = match &import.tenant_field {
            None => None,
            Some(name) => {
                let tenant = said(row, name, "--tenant-field")?;
                Some(text(needed(tenant, "--tenant-field")?, "--tenant-field")?)
            }
        };
        let mut options = PutOptions::new();
        if let Some(name) = &import.subject_field
            && let Some(subject) = said(row, name, "--subject-field")?
        {
            options = options.subject(text(subject, "--subject-field")?);
        }
        if let Some(name) = &import.expires_field
            && let Some(time) = said(row, name, "--expires-field")?
        {
            options = options.expires_ms(time_of(&time)?);
        }
        for (index, name) in &import.index {
            if let Some(key) = said(row, name, "--index")? {
                options = options.index(index, key);
            }
        }
        Ok(Mapped { tenant, key, value, options })
    }
}

/// A field's bytes, if it says anything; `option` names it.
fn plain<'a>(row: &'a impl Row, name: &str, option: &str) -> Result<Option<Cow<'a, [u8]>>, String> {
    match row.field(name)? {
        Field::Nothing => Ok(None),
        Field::Twice => Err(format!("has the field that {option} names twice")),
        Field::Plain(bytes) => Ok(Some(bytes)),
        Field::Other(_) => Err(format!("has neither a string nor a number in the field that {option} names")),
    }
}

/// The same; an empty field says nothing, as a .csv file has no other way to say that.
fn said<'a>(row: &'a impl Row, name: &str, option: &str) -> Result<Option<Cow<'a, [u8]>>, String> {
    Ok(plain(row, name, option)?.filter(|bytes| !bytes.is_empty()))
}

fn needed<T>(field: Option<T>, option: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("has no such field as {option} names"))
}

fn text(bytes: Cow<'_, [u8]>, option: &str) -> Result<String, String> {
    String::from_utf8(bytes.into_owned())
        .map_err(|_| format!("has what is not UTF-8 in the field that {option} names"))
}

/// A record's value: whatever the field is, as it is written.
fn value(row: &impl Row, name: &str, is_base64: bool) -> Result<Vec<u8>, String> {
    let bytes = match row.field(name)? {
        Field::Other(written) => Cow::Borrowed(written.as_bytes()),
        _ => needed(plain(row, name, "--value-field")?, "--value-field")?,
    };
    if !is_base64 {
        return Ok(bytes.into_owned());
    }
    from_base64(&text(bytes, "--value-field")?)
        .map_err(|problem| format!("has a value that {problem}, which --value-base64 asks for"))
}

/// A time: milliseconds since the epoch, or RFC 3339 in UTC.
fn time_of(bytes: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = humantime::parse_rfc3339_weak(text).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        "has neither milliseconds since 1970 nor a time in UTC as 2027-01-31T00:00:00Z in the field that --expires-field names"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_milliseconds_or_rfc_3339() {
        assert_eq!(time_of(b"0"), Ok(0));
        assert_eq!(time_of(b"1767225600000"), Ok(1_767_225_600_000));
        assert_eq!(time_of(b"2026-01-01T00:00:00Z"), Ok(1_767_225_600_000));
        assert_eq!(time_of(b"2026-01-01 00:00:00"), Ok(1_767_225_600_000));
        for bad in ["", "-1", "1969-01-01T00:00:00Z", "secret", "1.5", "2026-01-01T00:00:00+02:00"] {
            let problem = time_of(bad.as_bytes()).expect_err(bad);
            assert!(!problem.contains("secret"));
        }
    }
}
