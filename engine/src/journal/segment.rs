//! A segment's header: which segment of which lane it is, and where the one before it ends (FORMAT.md section 9.1).

use crate::crypto::{equal, kdf};
use crate::error::{Result, fail};
use crate::id::{StoreId, TenantId};
use crate::journal::format::{FIRST_BATCH, LaneKeys, MAC, array, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"SRJOURNL";
const FORMAT_VERSION: u16 = 1;
/// Bytes of one copy.
const BYTES: usize = 512;
const MAC_OFFSET: usize = BYTES - MAC;
/// Where the second copy stands.
const SECOND: usize = 2_048;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SegmentKind {
    /// What is written as it comes.
    Log = 1,
    /// Frames that were moved here from segments that were retired.
    Cold = 2,
}

/// Where a segment's batches end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The segment.
    pub(super) segment: u64,
    /// Where its next batch would begin.
    pub(super) offset: u64,
    /// The lane sequence of the last batch.
    pub(super) sequence: u64,
    /// Its MAC; zero where there is no batch.
    pub(super) mac: [u8; MAC],
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) kind: SegmentKind,
    /// Where the log's segment before it ends; its `segment` is 0 for the first one and for cold ones.
    pub(super) after: End,
    pub(super) created_ms: u64,
}

impl SegmentHeader {
    /// The first 4,096 bytes of the segment: the header twice.
    pub(super) fn encode(&self, keys: &LaneKeys) -> Vec<u8> {
        let mut copy = [0; BYTES];
        let mut put = |offset: usize, field: &[u8]| copy[offset..offset + field.len()].copy_from_slice(field);
        put(0, MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(10, &[self.kind as u8]);
        put(24, keys.store.as_bytes());
        put(40, keys.lane.as_bytes());
        put(56, &self.number.to_le_bytes());
        put(64, &self.after.segment.to_le_bytes());
        put(72, &self.after.offset.to_le_bytes());
        put(80, &self.after.sequence.to_le_bytes());
        put(88, &self.created_ms.to_le_bytes());
        put(96, &self.after.mac);
        let mac = kdf::mac(&keys.segment, &copy[..MAC_OFFSET]);
        copy[MAC_OFFSET..].copy_from_slice(&mac);
        let mut bytes = vec![0; usize::try_from(FIRST_BATCH).unwrap_or_default()];
        bytes[..BYTES].copy_from_slice(&copy);
        bytes[SECOND..SECOND + BYTES].copy_from_slice(&copy);
        bytes
    }

    /// The header of a segment of this number. One copy may be damaged.
    pub(super) fn parse(bytes: &[u8], keys: &LaneKeys, number: u64) -> Result<Self> {
        let copies = [0, SECOND].map(|start| bytes.get(start..start + BYTES));
        let parsed = copies.map(|copy| copy.and_then(|copy| Self::parse_copy(copy, keys, number)));
        if let Some(header) = parsed.into_iter().flatten().next() {
            return Ok(header);
        }
        let newer = copies.iter().flatten().any(|copy| {
            copy[..8] == *MAGIC
                && (copy[8..10] != FORMAT_VERSION.to_le_bytes() || copy[12..20] != [0; 8])
                && authentic(copy, keys)
        });
        if newer {
            return Err(fail!(UnsupportedFormat, "a journal of a newer format: use a newer version"));
        }
        Err(fail!(Unauthentic, "neither copy of its header authenticates"))
    }

    fn parse_copy(copy: &[u8], keys: &LaneKeys, number: u64) -> Option<Self> {
        let kind = match copy[10] {
            1 => SegmentKind::Log,
            2 => SegmentKind::Cold,
            _ => return None,
        };
        let is_ours = copy[..8] == *MAGIC
            && copy[8..10] == FORMAT_VERSION.to_le_bytes()
            && u32_at(copy, 12)? == 0
            && u32_at(copy, 16)? == 0
            && StoreId::new(array(copy, 24)?) == keys.store
            && TenantId::new(array(copy, 40)?) == keys.lane
            && u64_at(copy, 56)? == number
            && authentic(copy, keys);
        let after = End {
            segment: u64_at(copy, 64)?,
            offset: u64_at(copy, 72)?,
            sequence: u64_at(copy, 80)?,
            mac: array(copy, 96)?,
        };
        is_ours.then_some(Self { number, kind, after, created_ms: u64_at(copy, 88)? })
    }
}

fn authentic(copy: &[u8], keys: &LaneKeys) -> bool {
    equal(&kdf::mac(&keys.segment, &copy[..MAC_OFFSET]), &copy[MAC_OFFSET..])
}

/// The name of a segment's file.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.journal")
}

/// The number in a segment's file name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal").filter(|digits| digits.len() == 16)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

/// Whether a file of this name is a segment.
pub(crate) fn is_file_name(name: &str) -> bool {
    number_of(name).is_some()
}

/// Parses anything, for fuzzing: what is read encodes to what is read.
#[cfg(feature = "simulation")]
pub(super) fn fuzz_header(data: &[u8], keys: &LaneKeys) {
    let Some(copy) = data.first_chunk::<BYTES>() else { return };
    // Behind a good MAC, so that the fields are reached.
    let mut copy = *copy;
    let mac = kdf::mac(&keys.segment, &copy[..MAC_OFFSET]);
    copy[MAC_OFFSET..].copy_from_slice(&mac);
    if let Ok(header) = SegmentHeader::parse(&copy, keys, 1) {
        assert_eq!(SegmentHeader::parse(&header.encode(keys), keys, 1).ok(), Some(header));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> LaneKeys {
        LaneKeys::derive(&[3; 32], StoreId::new([1; 16]), TenantId::new([2; 16]), "eu").expect("derives")
    }

    #[test]
    fn a_header_reads_back_with_any_one_byte_damaged() {
        let after = End { segment: 6, offset: 8_192, sequence: 99, mac: [7; 32] };
        let header = SegmentHeader { number: 7, kind: SegmentKind::Log, after, created_ms: 5 };
        let bytes = header.encode(&keys());
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            assert_eq!(SegmentHeader::parse(&altered, &keys(), 7).ok(), Some(header), "byte {index}");
        }
        assert!(SegmentHeader::parse(&bytes, &keys(), 8).is_err());
        let elsewhere = LaneKeys::derive(&[3; 32], StoreId::new([1; 16]), TenantId::new([2; 16]), "us");
        assert!(SegmentHeader::parse(&bytes, &elsewhere.expect("derives"), 7).is_err());
    }

    #[test]
    fn only_the_canonical_name_is_a_segments() {
        assert_eq!(number_of(&file_name(0x1f)), Some(0x1f));
        for name in ["1f.journal", "000000000000001F.journal", "+00000000000001f.journal", "x"] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
