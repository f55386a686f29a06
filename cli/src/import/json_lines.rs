//! JSON Lines: each line is a record, its value the line's very bytes.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use strongroom::PutOptions;

use super::lines::{Line, Lines};
use super::loader::{Loader, Pending};
use crate::args::Import;
use crate::failure::{Failure, Outcome};

/// Digits of a line's number as a key: keys sort as lines do, up to a million million lines.
const NUMBER_DIGITS: usize = 12;

/// Imports every line that is not empty.
pub(super) fn import(
    loader: &mut Loader<'_>,
    mut lines: Lines<impl BufRead>,
    collection: &str,
    import: &Import,
) -> Outcome {
    let collection = loader.tenant().collection(collection)?;
    let shown = import.path.display();
    loop {
        let Some((number, line)) = lines.next().map_err(|error| Failure::io(&shown, &error))? else {
            return Ok(());
        };
        let place = format_args!("{shown}: line {number}");
        match line {
            Line::Whole([]) => {}
            Line::TooLong => loader.refuse(place, "is longer than any record")?,
            Line::Whole(line) => match key_of(line, number, import.key_field.as_deref()) {
                Ok(key) => {
                    let (collection, value) = (collection.clone(), line.to_vec());
                    loader.add(place, Pending { collection, key, value, options: PutOptions::new() })?;
                }
                Err(problem) => loader.refuse(place, problem)?,
            },
        }
        loader.progress_to(lines.bytes());
    }
}

/// The key of a line: the field's string, the field's number as it is written, or without a field the line's number.
fn key_of(line: &[u8], number: u64, field: Option<&str>) -> Result<Vec<u8>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
    let Some(field) = field else {
        serde_json::from_str::<IgnoredAny>(line).map_err(|error| json_problem(&error))?;
        return Ok(format!("{number:0NUMBER_DIGITS$}").into_bytes());
    };
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let found = FieldSeed(field).deserialize(&mut deserializer).map_err(|error| json_problem(&error))?;
    deserializer.end().map_err(|error| json_problem(&error))?;
    let raw = match found {
        Found::Never => return Err("has no such field as --key-field names".to_owned()),
        Found::Twice => return Err("has the field that --key-field names twice".to_owned()),
        Found::Once(raw) => raw.get(),
    };
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(String::into_bytes).map_err(|error| json_problem(&error)),
        Some(b'-' | b'0'..=b'9') => Ok(raw.as_bytes().to_vec()),
        _ => Err("has neither a string nor a number in the field that --key-field names".to_owned()),
    }
}

/// What is wrong with a line, without quoting it: it may hold what nobody may see.
pub(super) fn json_problem(error: &serde_json::Error) -> String {
    if error.classify() == Category::Data {
        return format!("is not an object of the kind expected, at column {}", error.column());
    }
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("is not JSON: {what} at column {}", error.column())
}

/// Where a field is in an object.
enum Found<'de> {
    Never,
    Once(&'de RawValue),
    Twice,
}

struct FieldSeed<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::Never;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name != self.0 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            found = if matches!(found, Found::Never) { Found::Once(value) } else { Found::Twice };
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_fields_string_or_its_number_as_written() {
        let key = |line: &str| {
            key_of(line.as_bytes(), 1, Some("id")).map(|key| String::from_utf8_lossy(&key).into_owned())
        };
        for (line, expected) in [
            (r#"{"id":"a\u00e9"}"#, "a\u{e9}"),
            (r#"{"x":{"id":2}, "id" : 12345678901234567890123}"#, "12345678901234567890123"),
            (r#"{"id":-1.50e3}"#, "-1.50e3"),
            (r#"{"i\u0064":1}"#, "1"),
        ] {
            assert_eq!(key(line).as_deref(), Ok(expected), "{line}");
        }
        for bad in [
            r#"{"id":null}"#,
            r#"{"id":1,"id":1}"#,
            "{}",
            "[1]",
            "7",
            r#"{"id":1} 2"#,
            r#"{"id":1"#,
            "secret",
        ] {
            let problem = key(bad).expect_err(bad);
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn without_a_field_keys_sort_as_lines_do() {
        let keys: Vec<_> =
            [1, 2, 10, 1_000_000].map(|number| key_of(b"[]", number, None)).into_iter().collect();
        assert!(keys.is_sorted() && keys[0].as_deref() == Ok(&b"000000000001"[..]));
        assert!(key_of(b"[", 1, None).is_err() && key_of(b"\"\xff\"", 1, None).is_err());
    }
}
