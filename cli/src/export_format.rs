//! The export file (FORMAT.md appendix A): JSON Lines. Its first line is a [`Header`], its last an [`End`], between them one
//! [`RecordLine`] a record, followed by [`PartLine`]s where the value is long.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::text::{from_base64, text_or_base64, to_base64};

/// Longest line that a record of the largest key and value can make, with room to spare: JSON writes a byte as up to six.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 20;

const FORMAT: &str = "strongroom-export";
/// Of an export without long values, and of one that has some.
const VERSIONS: [u64; 2] = [1, 2];

/// Bytes of a value in a [`PartLine`], but for the last one.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Header {
    format: String,
    version: u64,
    /// The collections that the records are of, in their order.
    pub(crate) collections: Vec<String>,
}

impl Header {
    pub(crate) fn new(collections: Vec<String>, has_parts: bool) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSIONS[usize::from(has_parts)], collections }
    }

    /// Whether values may stand in parts.
    pub(crate) fn has_parts(&self) -> bool {
        self.version == VERSIONS[1]
    }

    /// The header that a file's first line is: none where it is no export, an error where a newer program made it.
    pub(crate) fn parse(line: &[u8]) -> Option<Result<Self, String>> {
        #[derive(Deserialize)]
        struct Any {
            format: String,
            version: u64,
        }
        let any: Any = serde_json::from_slice(line).ok().filter(|any: &Any| any.format == FORMAT)?;
        if !VERSIONS.contains(&any.version) {
            let newer = format!(
                "the export is of version {}, this program reads up to {}: use a newer one",
                any.version, VERSIONS[1]
            );
            return Some(Err(newer));
        }
        Some(
            serde_json::from_slice(line)
                .map_err(|error| format!("the export's first line is malformed: {error}")),
        )
    }
}

/// The last line: without it, the file was cut short.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    #[serde(rename = "end")]
    is_last: bool,
    pub(crate) records: u64,
    /// Lines of parts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) parts: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(parts: &u64) -> bool {
    *parts == 0
}

impl End {
    pub(crate) fn new(records: u64, parts: u64) -> Self {
        Self { is_last: true, records, parts }
    }

    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|end: &Self| end.is_last)
    }
}

/// A record.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordLine<'a> {
    pub(crate) collection: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    /// The length of a value that stands in parts after this line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_bytes: Option<u64>,
    pub(crate) written_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_ms: Option<u64>,
}

/// A record's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineValue<T> {
    Whole(T),
    /// So many bytes in parts.
    InParts(u64),
}

impl<'a> RecordLine<'a> {
    pub(crate) fn new(
        collection: &'a str,
        key: &'a [u8],
        value: LineValue<&'a [u8]>,
        written_ms: u64,
        expires_ms: Option<u64>,
    ) -> Self {
        let (key, key_base64) = text_or_base64(key);
        let ((value, value_base64), value_bytes) = match value {
            LineValue::Whole(value) => (text_or_base64(value), None),
            LineValue::InParts(bytes) => ((None, None), Some(bytes)),
        };
        Self {
            collection: collection.into(),
            key: key.map(Cow::from),
            key_base64,
            value: value.map(Cow::from),
            value_base64,
            value_bytes,
            written_ms,
            expires_ms,
        }
    }

    /// Key and value.
    pub(crate) fn into_bytes(self) -> Result<(Vec<u8>, LineValue<Vec<u8>>), String> {
        let one = |what: &str, text: Option<Cow<'_, str>>, base64: Option<String>| match (text, base64) {
            (Some(text), None) => Ok(text.into_owned().into_bytes()),
            (None, Some(base64)) => {
                from_base64(&base64).map_err(|problem| format!("{what}_base64 {problem}"))
            }
            (None, None) => Err(format!("there is neither {what} nor {what}_base64")),
            (Some(_), Some(_)) => Err(format!("there are both {what} and {what}_base64")),
        };
        let key = one("key", self.key, self.key_base64)?;
        let value = match self.value_bytes {
            None => LineValue::Whole(one("value", self.value, self.value_base64)?),
            Some(bytes) if self.value.is_none() && self.value_base64.is_none() => LineValue::InParts(bytes),
            Some(_) => return Err("there are both a value and value_bytes".to_owned()),
        };
        Ok((key, value))
    }
}

/// A part of a long value.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartLine<'a> {
    part_base64: Cow<'a, str>,
}

impl PartLine<'_> {
    pub(crate) fn new(part: &[u8]) -> Self {
        Self { part_base64: to_base64(part).into() }
    }

    /// The bytes of the part that a line is; none where it is anything else.
    pub(crate) fn parse(line: &[u8]) -> Option<Vec<u8>> {
        let part: PartLine<'_> = serde_json::from_slice(line).ok()?;
        from_base64(&part.part_base64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_bytes_reads_back() {
        for (key, value) in
            [(&b"k"[..], &b"v"[..]), (b"\0\xff", b""), ("\u{1f980}\n\"".as_bytes(), &[0xc3; 5])]
        {
            let line = serde_json::to_string(&RecordLine::new("c", key, LineValue::Whole(value), 7, None))
                .expect("serialises");
            assert!(!line.contains('\n'));
            let read: RecordLine<'_> = serde_json::from_str(&line).expect("parses");
            assert_eq!((&*read.collection, read.written_ms, read.expires_ms), ("c", 7, None));
            assert_eq!(read.into_bytes(), Ok((key.to_vec(), LineValue::Whole(value.to_vec()))));
        }
    }

    #[test]
    fn the_largest_record_fits_a_line() {
        let (key, value) = (vec![1; 4_096], vec![1; 1 << 20]);
        let line = serde_json::to_string(&RecordLine::new(
            &"\"".repeat(255),
            &key,
            LineValue::Whole(&value),
            u64::MAX,
            Some(u64::MAX),
        ));
        assert!(line.expect("serialises").len() < LINE_BYTES_MAX);
    }

    #[test]
    fn only_an_export_has_its_header() {
        assert!(
            Header::parse(br#"{"format":"strongroom-export","version":1,"collections":[]}"#)
                .is_some_and(|header| header.is_ok())
        );
        assert!(
            Header::parse(br#"{"format":"strongroom-export","version":3}"#)
                .is_some_and(|header| header.is_err())
        );
        for other in [&b"{}"[..], b"", b"[1]", br#"{"format":"other","version":1}"#] {
            assert!(Header::parse(other).is_none());
        }
    }
}
