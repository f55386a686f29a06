//! The documented bounds and the rules for names (FORMAT.md section 10).

use crate::error::{Result, fail};

/// Longest record key, in bytes; the shortest is 1.
pub const RECORD_KEY_BYTES_MAX: usize = 4_096;
/// Longest value that travels through the journal, in bytes: of a put in a batch. A longer one is put from a reader.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Longest value that is put from a reader or uploaded, in bytes.
pub const LARGE_VALUE_BYTES_MAX: u64 = 1 << 40;
/// Longest value, or part of one, that a single call gives in memory, in bytes. A longer one is read with a reader.
pub const GET_BYTES_MAX: u64 = 64 << 20;
/// Longest name of a tenant or collection, in bytes of UTF-8; the shortest is 1.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest name of a region or key provider, in bytes; the shortest is 1.
pub const LABEL_BYTES_MAX: usize = 63;
/// Most operations in a batch.
pub const BATCH_OPERATIONS_MAX: usize = 100_000;
/// Most bytes of record keys and values in a batch.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// Most bytes of record keys and values in a session, which keeps them in memory alone.
pub const SESSION_BYTES_MAX: usize = 64 << 20;
/// Most periods of a tenant whose keys are not destroyed.
pub const LIVE_PERIODS_MAX: usize = 4_096;
/// Most holds of a tenant.
pub const HOLDS_MAX: usize = 10_000;
/// Longest secondary key, in bytes; the shortest is 1.
pub const INDEX_KEY_BYTES_MAX: usize = 1_024;
/// Most secondary keys of a record, over all indexes.
pub const INDEX_KEYS_MAX: usize = 64;
/// Most indexes of a collection.
pub const INDEXES_MAX: usize = 32;
/// Most records that are sealed under one data key while a tenant is open.
pub const SEALS_MAX: u64 = 1 << 40;
/// Longest wrapped section key, in bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 1_024;

/// Checks a tenant's or collection's name: any UTF-8 of 1 to 255 bytes without control characters and
/// without white space at either end. Names are never used as a path and are compared byte for byte.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "is empty: give 1 to 255 bytes of UTF-8".to_owned()
    } else if name.len() > NAME_BYTES_MAX {
        format!("has {} bytes: the most is {NAME_BYTES_MAX}", name.len())
    } else if name.chars().any(char::is_control) {
        "has a control character: remove it".to_owned()
    } else if name.trim() != name {
        "begins or ends with white space: remove it".to_owned()
    } else {
        return Ok(());
    };
    Err(fail!(InvalidArgument, "the name of a {what} {problem}"))
}

/// Checks a region's or key provider's name: 1 to 63 of `a-z`, `0-9` and `-`, not `-` first.
pub(crate) fn check_label(what: &str, label: &str) -> Result<()> {
    let well_formed = !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed {
        return Ok(());
    }
    Err(fail!(
        InvalidArgument,
        "the name of a {what} is 1 to {LABEL_BYTES_MAX} of a-z, 0-9 and '-', not '-' first"
    ))
}

/// Checks a record's key: 1 to 4,096 bytes of anything.
pub(crate) fn check_record_key(key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(fail!(InvalidArgument, "a record key is empty: give 1 to {RECORD_KEY_BYTES_MAX} bytes"));
    }
    if key.len() > RECORD_KEY_BYTES_MAX {
        return Err(fail!(
            LimitExceeded,
            "a record key has {} bytes: the most is {RECORD_KEY_BYTES_MAX}",
            key.len()
        ));
    }
    Ok(())
}

/// Checks a secondary key: 1 to 1,024 bytes of anything.
pub(crate) fn check_index_key(key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(fail!(
            InvalidArgument,
            "a secondary key is empty: give 1 to {INDEX_KEY_BYTES_MAX} bytes"
        ));
    }
    if key.len() > INDEX_KEY_BYTES_MAX {
        return Err(fail!(
            LimitExceeded,
            "a secondary key has {} bytes: the most is {INDEX_KEY_BYTES_MAX}",
            key.len()
        ));
    }
    Ok(())
}

/// Checks a value's size.
pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(fail!(
            LimitExceeded,
            "a value has {} bytes: the most in a batch is {VALUE_BYTES_MAX}; put a longer one with put_reader",
            value.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn any_printable_unicode_is_a_name_even_what_looks_like_a_path() {
        for name in ["acme", "../../etc/passwd", "a/b", "C:\\x", "日本", "🦀", "a b", &"x".repeat(255)] {
            assert!(check_name("tenant", name).is_ok(), "{name}");
        }
    }

    #[test]
    fn empty_long_control_and_padded_names_are_refused() {
        for name in ["", "a\0b", "a\nb", "\u{7f}", "\u{85}", " a", "a\u{3000}", &"x".repeat(256)] {
            let refused = check_name("tenant", name).map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::InvalidArgument), "{name:?}");
        }
    }

    #[test]
    fn labels_are_lower_case_and_bounded() {
        assert!(check_label("region", "eu-west-1").is_ok());
        for label in ["", "-eu", "EU", "e u", "eu/1", "..", &"a".repeat(64)] {
            assert!(check_label("region", label).is_err(), "{label:?}");
        }
    }

    #[test]
    fn keys_and_values_are_bounded() {
        assert!(check_record_key(&[0]).is_ok() && check_record_key(&[0; RECORD_KEY_BYTES_MAX]).is_ok());
        assert!(check_record_key(&[]).is_err() && check_record_key(&[0; RECORD_KEY_BYTES_MAX + 1]).is_err());
        assert!(
            check_value(&vec![0; VALUE_BYTES_MAX]).is_ok()
                && check_value(&vec![0; VALUE_BYTES_MAX + 1]).is_err()
        );
    }
}
