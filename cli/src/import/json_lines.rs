//! JSON Lines: each line is a record, its value the line's very bytes or one of its fields.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::lines::{Line, Lines};
use super::loader::Loader;
use super::mapping::{Field, Mapping, Row};
use crate::args::Import;
use crate::failure::{Failure, Outcome};

/// Imports every line that is not empty.
pub(super) fn import(loader: &mut Loader<'_>, mut lines: Lines<impl BufRead>, import: &Import) -> Outcome {
    let shown = import.path.display();
    let mapping = Mapping::new(import);
    let names: Vec<_> = mapping.fields().collect();
    loop {
        let Some((number, line)) = lines.next().map_err(|error| Failure::io(&shown, &error))? else {
            return Ok(());
        };
        let place = format_args!("{shown}: line {number}");
        let said = if let Line::Whole(line) = line { line } else { b"" };
        match line {
            _ if !loader.begins(number, said)? => {}
            Line::Whole([]) => {}
            Line::TooLong => loader.refuse(place, "is longer than any record")?,
            Line::Whole(line) => {
                match JsonRow::parse(line, &names).and_then(|row| mapping.apply(&row, number)) {
                    Ok(mapped) => loader.add_mapped(place, mapped)?,
                    Err(problem) => loader.refuse(place, problem)?,
                }
            }
        }
        loader.progress_to(lines.bytes());
    }
}

/// A line, and where the fields that are asked for are in it.
struct JsonRow<'a> {
    line: &'a str,
    names: &'a [&'a str],
    found: Vec<Found<'a>>,
}

impl<'a> JsonRow<'a> {
    /// A line; without names it may be any JSON.
    fn parse(line: &'a [u8], names: &'a [&'a str]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
        if names.is_empty() {
            serde_json::from_str::<IgnoredAny>(line).map_err(|error| json_problem(&error))?;
            return Ok(Self { line, names, found: Vec::new() });
        }
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let found = FieldsSeed(names).deserialize(&mut deserializer).map_err(|error| json_problem(&error))?;
        deserializer.end().map_err(|error| json_problem(&error))?;
        Ok(Self { line, names, found })
    }
}

impl Row for JsonRow<'_> {
    /// A string's text, a number as it is written.
    fn field(&self, name: &str) -> Result<Field<'_>, String> {
        let found = self.names.iter().zip(&self.found).find(|(known, _)| **known == name);
        let raw = match found {
            None | Some((_, Found::Never)) => return Ok(Field::Nothing),
            Some((_, Found::Twice)) => return Ok(Field::Twice),
            Some((_, Found::Once(raw))) => raw.get(),
        };
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(|error| json_problem(&error))?;
                Ok(Field::Plain(Cow::Owned(text.into_bytes())))
            }
            Some(b'-' | b'0'..=b'9') => Ok(Field::Plain(Cow::Borrowed(raw.as_bytes()))),
            Some(b'n') => Ok(Field::Nothing),
            _ => Ok(Field::Other(raw)),
        }
    }

    fn whole(&self) -> Result<Vec<u8>, String> {
        Ok(self.line.as_bytes().to_vec())
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
#[derive(Clone, Copy)]
enum Found<'de> {
    Never,
    Once(&'de RawValue),
    Twice,
}

struct FieldsSeed<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Vec<Found<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Vec<Found<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![Found::Never; self.0.len()];
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if !self.0.contains(&&*name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            // One field may be asked for as several things.
            for (found, _) in found.iter_mut().zip(self.0).filter(|(_, wanted)| **wanted == name) {
                *found = if matches!(found, Found::Never) { Found::Once(value) } else { Found::Twice };
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field `id` as a key.
    fn key(line: &str) -> Result<Option<String>, String> {
        let row = JsonRow::parse(line.as_bytes(), &["id"])?;
        match row.field("id")? {
            Field::Plain(key) => Ok(Some(String::from_utf8_lossy(&key).into_owned())),
            _ => Ok(None),
        }
    }

    #[test]
    fn a_field_is_a_strings_text_or_a_number_as_written() {
        for (line, expected) in [
            (r#"{"id":"a\u00e9"}"#, "a\u{e9}"),
            (r#"{"x":{"id":2}, "id" : 12345678901234567890123}"#, "12345678901234567890123"),
            (r#"{"id":-1.50e3}"#, "-1.50e3"),
            (r#"{"i\u0064":1}"#, "1"),
        ] {
            assert_eq!(key(line), Ok(Some(expected.to_owned())), "{line}");
        }
        for other in [r#"{"id":null}"#, r#"{"id":1,"id":1}"#, "{}", r#"{"id":[1]}"#] {
            assert_eq!(key(other), Ok(None), "{other}");
        }
        for bad in ["[1]", "7", r#"{"id":1} 2"#, r#"{"id":1"#, "secret", r#"{"id":"\ud800"}"#] {
            let problem = key(bad).expect_err(bad);
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn without_a_field_any_json_is_a_line() {
        assert!(JsonRow::parse(b"[]", &[]).is_ok());
        assert!(JsonRow::parse(b"[", &[]).is_err() && JsonRow::parse(b"\"\xff\"", &[]).is_err());
    }
}
