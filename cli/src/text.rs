//! Bytes, sizes and times as text.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strongroom::ErrorKind;

use crate::failure::{Failure, Outcome};

/// Bytes as JSON shows them: text where they are UTF-8, else base64 with padding (RFC 4648 section 4).
pub(crate) fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(to_base64(bytes))),
    }
}

/// Bytes as base64 with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes that base64 with padding stands for.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("is not base64 with padding: {error}"))
}

/// Bytes from the command line: text, or base64 where a flag says so.
pub(crate) fn argument_bytes(what: &str, text: &str, is_base64: bool) -> Outcome<Vec<u8>> {
    if !is_base64 {
        return Ok(text.as_bytes().to_vec());
    }
    from_base64(text).map_err(|problem| Failure::new(ErrorKind::InvalidArgument, format!("{what} {problem}")))
}

/// A time as RFC 3339, to the millisecond; the number itself beyond the year 9999.
pub(crate) fn time(ms: u64) -> String {
    const YEAR_10000_MS: u64 = 253_402_300_800_000;
    if ms >= YEAR_10000_MS {
        return format!("{ms} ms");
    }
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

/// A number with a comma at every thousand.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 record`, `2,000 records`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count))
}

/// A size in the largest unit that leaves a number of at least 1.
#[allow(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_read_well() {
        assert_eq!([0, 1, 1_000].map(|count| counted(count, "file")), ["0 files", "1 file", "1,000 files"]);
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned),
            [0, 999, 1_000, 1_234_567].map(grouped)
        );
        assert_eq!([size(1_023), size(1_536), size(3 << 20)], ["1023 B", "1.5 KiB", "3.0 MiB"]);
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(time(u64::MAX), "18446744073709551615 ms");
    }

    #[test]
    fn bytes_come_back_from_their_text() {
        for bytes in [&b"plain"[..], b"", "\u{e9}\n\0".as_bytes(), &[0xff, 0, 1]] {
            let (text, base64) = text_or_base64(bytes);
            let back = text.map(|text| text.as_bytes().to_vec()).or_else(|| from_base64(&base64?).ok());
            assert_eq!(back.as_deref(), Some(bytes));
        }
    }
}
