//! The row of an upload in the directory: what it takes to go on with it, and until when nobody else may have its chunks
//! (FORMAT.md section 7.3).

use crate::error::{Result, fail};
use crate::id::{ChunkSetId, CollectionId, Version};
use crate::record::KeySlots;
use crate::retention::Expiry;
use crate::tenant::batch::Expected;
use crate::tenant::{Durability, PutOptions};

const ROW_VERSION: u8 = 1;
/// Marks the rows of uploads in the directory.
pub(super) const DIRECTORY_KIND: u8 = b'u';

const PERIOD: u16 = 1;
const SUBJECT: u16 = 2;
const WRITTEN: u16 = 4;
const IF_ABSENT: u16 = 8;
const IF_VERSION: u16 = 16;
const DURABLE: u16 = 32;
const BUFFERED: u16 = 64;
const EXPIRES_AFTER: u16 = 128;
const EXPIRES_AT: u16 = 256;
const INDEX: u16 = 512;
const OWN: u16 = 1_024;
const FOLLOWS: u16 = 2_048;
const KNOWN: u16 = 4_095;

/// An upload that is under way.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UploadRow {
    pub(super) collection: CollectionId,
    pub(super) slots: KeySlots,
    pub(super) chunk_bytes: u32,
    /// From when on it is an orphan, in milliseconds since the epoch.
    pub(super) lease_ends_ms: u64,
    /// Those of its publication. Of a subject the slot says enough.
    pub(super) options: PutOptions,
    pub(super) key: Vec<u8>,
}

/// The key of an upload's row.
pub(super) fn directory_key(set: ChunkSetId) -> Vec<u8> {
    [&[DIRECTORY_KIND][..], set.as_bytes()].concat()
}

impl UploadRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let PutOptions { written_ms, condition, durability, expiry, subject: _, erasure: _, index } =
            &self.options;
        let version = match condition {
            Some(Expected::Version(version)) => Some(*version),
            _ => None,
        };
        let flags = [
            (self.slots.period.is_some(), PERIOD),
            (self.slots.subject.is_some(), SUBJECT),
            (written_ms.is_some(), WRITTEN),
            (*condition == Some(Expected::Absent), IF_ABSENT),
            (version.is_some(), IF_VERSION),
            (*durability == Some(Durability::Durable), DURABLE),
            (*durability == Some(Durability::Buffered), BUFFERED),
            (matches!(expiry, Some(Expiry::AfterMs(_))), EXPIRES_AFTER),
            (matches!(expiry, Some(Expiry::AtMs(_) | Expiry::Policy(_))), EXPIRES_AT),
            (matches!(expiry, Some(Expiry::Policy(_))), FOLLOWS),
            (!index.is_empty(), INDEX),
            (self.slots.own.is_some(), OWN),
        ];
        let flags: u16 = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        let mut row = vec![ROW_VERSION];
        row.extend(flags.to_le_bytes());
        row.extend(self.collection.to_be_bytes());
        row.extend(self.chunk_bytes.to_le_bytes());
        row.extend(self.lease_ends_ms.to_le_bytes());
        row.extend(self.slots.data.to_le_bytes());
        row.extend(self.slots.period.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(self.slots.subject.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(self.slots.own.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(written_ms.iter().flat_map(|time| time.to_le_bytes()));
        row.extend(version.iter().flat_map(|version| version.encode()));
        if let Some(Expiry::AfterMs(time) | Expiry::AtMs(time) | Expiry::Policy(time)) = expiry {
            row.extend(time.to_le_bytes());
        }
        if !index.is_empty() {
            // Names, keys and their number are bounded before (FORMAT.md section 10).
            row.push(u8::try_from(index.len()).unwrap_or(u8::MAX));
        }
        for (name, key) in index {
            row.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            row.extend(name.as_bytes());
            row.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
            row.extend(key);
        }
        row.extend(&self.key);
        row
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self> {
        Self::parse_parts(row).ok_or_else(|| {
            fail!(UnsupportedFormat, "the row of an upload is of a newer version or malformed")
        })
    }

    fn parse_parts(row: &[u8]) -> Option<Self> {
        let mut rest = row;
        let [version, low, high] = take(&mut rest)?;
        let flags = u16::from_le_bytes([low, high]);
        let is_set = |flag| flags & flag != 0;
        let contradicts = |both: u16| flags & both == both;
        if version != ROW_VERSION
            || flags & !KNOWN != 0
            || contradicts(IF_ABSENT | IF_VERSION)
            || contradicts(DURABLE | BUFFERED)
            || contradicts(EXPIRES_AFTER | EXPIRES_AT)
            || is_set(FOLLOWS) && !is_set(EXPIRES_AT)
        {
            return None;
        }
        let collection = CollectionId(u64::from_be_bytes(take(&mut rest)?));
        let chunk_bytes = u32::from_le_bytes(take(&mut rest)?);
        let lease_ends_ms = u64::from_le_bytes(take(&mut rest)?);
        let data = u32::from_le_bytes(take(&mut rest)?);
        let period = if is_set(PERIOD) { Some(u32::from_le_bytes(take(&mut rest)?)) } else { None };
        let subject = if is_set(SUBJECT) { Some(u64::from_le_bytes(take(&mut rest)?)) } else { None };
        let own = if is_set(OWN) { Some(u64::from_le_bytes(take(&mut rest)?)) } else { None };
        let written_ms = if is_set(WRITTEN) { Some(u64::from_le_bytes(take(&mut rest)?)) } else { None };
        let condition = if is_set(IF_VERSION) {
            let (version, after) = Version::split(rest).ok()?;
            rest = after;
            Some(Expected::Version(version))
        } else {
            is_set(IF_ABSENT).then_some(Expected::Absent)
        };
        let durability = match (is_set(DURABLE), is_set(BUFFERED)) {
            (true, _) => Some(Durability::Durable),
            (_, true) => Some(Durability::Buffered),
            _ => None,
        };
        let expiry = match (is_set(EXPIRES_AFTER), is_set(EXPIRES_AT)) {
            (false, false) => None,
            (true, _) => Some(Expiry::AfterMs(u64::from_le_bytes(take(&mut rest)?))),
            _ if is_set(FOLLOWS) => Some(Expiry::Policy(u64::from_le_bytes(take(&mut rest)?))),
            _ => Some(Expiry::AtMs(u64::from_le_bytes(take(&mut rest)?))),
        };
        let index = if is_set(INDEX) { take_index(&mut rest)? } else { Vec::new() };
        let options = PutOptions { written_ms, condition, durability, expiry, index, ..PutOptions::new() };
        let slots = KeySlots { data, period, subject, own };
        Some(Self { collection, slots, chunk_bytes, lease_ends_ms, options, key: rest.to_vec() })
    }
}

fn take_index(rest: &mut &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let [count] = take(rest)?;
    let one = |_| {
        let [name_bytes] = take(rest)?;
        let (name, after) = rest.split_at_checked(name_bytes.into())?;
        *rest = after;
        let key_bytes = u16::from_le_bytes(take(rest)?);
        let (key, after) = rest.split_at_checked(key_bytes.into())?;
        *rest = after;
        Some((String::from_utf8(name.to_vec()).ok()?, key.to_vec()))
    };
    (0..count).map(one).collect::<Option<Vec<_>>>().filter(|index| !index.is_empty())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

/// Parses anything, for fuzzing: what parses encodes to the bytes it came from.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_upload_row(data: &[u8]) {
    if let Ok(row) = UploadRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_row_reads_back_and_a_newer_or_short_one_is_refused() {
        let version = Version { timeline: 3, sequence: 9 };
        for options in [
            PutOptions::new(),
            PutOptions::new().if_absent().durability(Durability::Durable).expires_ms(99),
            PutOptions::new().index("email", b"a@b").index("name", b"").ttl(Duration::from_secs(7)),
            PutOptions { expiry: Some(Expiry::Policy(9)), ..PutOptions::new() },
            PutOptions::new().written_ms(5).if_version(version).durability(Durability::Buffered),
        ] {
            for (period, subject, own) in
                [(None, None, None), (Some(4), Some(1 << 40), None), (None, None, Some(7))]
            {
                let row = UploadRow {
                    collection: CollectionId(7),
                    slots: KeySlots { data: 2, period, subject, own },
                    chunk_bytes: 65_412,
                    lease_ends_ms: 11,
                    options: options.clone(),
                    key: b"key".to_vec(),
                };
                let bytes = row.encode();
                assert!(UploadRow::parse(&bytes).is_ok_and(|read| read == row));
                assert!(
                    UploadRow::parse(&bytes[..bytes.len() - 4]).is_err(),
                    "no part of a field is the key's"
                );
                for (at, value) in [(0, 2), (1, 24), (2, 16)] {
                    let mut newer = bytes.clone();
                    newer[at] = value;
                    assert!(UploadRow::parse(&newer).is_err(), "byte {at}");
                }
            }
        }
    }
}
