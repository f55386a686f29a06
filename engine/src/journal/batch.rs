//! A batch: what one leader wrote and synced at once (FORMAT.md section 9.2).
//!
//! The CRC tells a torn batch from a whole one, cheaply; the MAC, over everything but the frames' sealed texts, tells who
//! wrote it and where it belongs.

use crate::crypto::aead::TAG_BYTES;
use crate::crypto::{equal, kdf};
use crate::error::{Result, fail};
use crate::id::TenantId;
use crate::journal::format::{ALIGNMENT, BATCH_HEADER, LaneKeys, MAC, array, u32_at, u64_at};
use crate::journal::frame::{Frame, Tag};

const MAGIC: [u8; 4] = *b"SRB1";
const CRC: usize = 4;
const LENGTH: usize = 8;
const KIND: usize = 12;
const SEQUENCE: usize = 16;
const SYNCED: usize = 24;
const COUNT: usize = 32;
const OWN: usize = 36;
const INDEX_ENTRY: usize = 16 + 8 + TAG_BYTES;

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum BatchKind {
    /// Frames; none where the batch only says what was synced.
    Frames = 1,
    /// The last frame of every tenant that the lane still needs a frame of.
    Index = 2,
}

/// An index's word on one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) tenant: TenantId,
    /// Sequence of the last change of its last frame.
    pub(super) last: u64,
    pub(super) tag: Tag,
}

/// What a batch says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) kind: BatchKind,
    /// Dense over the lane's life, from 1.
    pub(super) sequence: u64,
    /// Every batch up to this one was on the disk when this one was written.
    pub(super) synced_through: u64,
    /// No batch after that of this sequence, up to this one, has a frame of the tenant whose id the lane has: of the shared
    /// lane the catalog, without which no tenant opens.
    pub(super) own_through: Option<u64>,
}

/// A batch being put together: frames are appended to `bytes` and counted.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    pub(super) bytes: Vec<u8>,
    /// Where each frame begins.
    pub(super) frames: Vec<usize>,
}

impl BatchBuilder {
    /// In a buffer that is used again.
    pub(super) fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(BATCH_HEADER, 0);
        Self { bytes: buffer, frames: Vec::new() }
    }

    /// Notes that a frame begins here.
    pub(super) fn begin_frame(&mut self) {
        self.frames.push(self.bytes.len());
    }

    /// Completes a batch of frames, padded to its alignment, and gives its MAC.
    pub(super) fn finish(&mut self, keys: &LaneKeys, segment: u64, header: BatchHeader) -> Result<[u8; MAC]> {
        let count = u32::try_from(self.frames.len());
        let mut covered = Vec::new();
        for &start in &self.frames {
            let frame = Frame::parse(&self.bytes[start..]);
            let frame =
                frame.ok_or_else(|| fail!(Internal, "a frame that was just sealed does not parse"))?;
            covered.extend(frame.in_clear().concat());
        }
        self.complete(keys, segment, header, count.map_err(|_| too_long())?, &covered)
    }

    /// Makes the batch an index.
    pub(super) fn finish_index(
        &mut self,
        keys: &LaneKeys,
        segment: u64,
        header: BatchHeader,
        entries: &[IndexEntry],
    ) -> Result<[u8; MAC]> {
        let count = u32::try_from(entries.len()).map_err(|_| too_long())?;
        for entry in entries {
            self.bytes.extend(entry.tenant.as_bytes());
            self.bytes.extend(entry.last.to_le_bytes());
            self.bytes.extend(entry.tag);
        }
        let covered = self.bytes[BATCH_HEADER..].to_vec();
        self.complete(keys, segment, header, count, &covered)
    }

    fn complete(
        &mut self,
        keys: &LaneKeys,
        segment: u64,
        header: BatchHeader,
        count: u32,
        covered: &[u8],
    ) -> Result<[u8; MAC]> {
        let length = u32::try_from(self.bytes.len() + MAC).map_err(|_| too_long())?;
        let mut put = |offset: usize, field: &[u8]| {
            self.bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(LENGTH, &length.to_le_bytes());
        put(KIND, &[header.kind as u8]);
        put(SEQUENCE, &header.sequence.to_le_bytes());
        put(SYNCED, &header.synced_through.to_le_bytes());
        put(COUNT, &count.to_le_bytes());
        // Batches since then, and one more; 0 where there are too many to say, or it is not known.
        let own = header.own_through.and_then(|own| header.sequence.checked_sub(own)?.checked_add(1));
        put(OWN, &own.and_then(|own| u32::try_from(own).ok()).unwrap_or(0).to_le_bytes());
        let mac = mac_of(keys, segment, &self.bytes[..BATCH_HEADER], covered);
        self.bytes.extend(mac);
        let crc = crc32fast::hash(&self.bytes[LENGTH..]);
        self.bytes[CRC..LENGTH].copy_from_slice(&crc.to_le_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        Ok(mac)
    }
}

fn too_long() -> crate::error::Error {
    fail!(LimitExceeded, "a batch of the journal would have 4 GiB or more")
}

/// `mac(batch key, segment u64 || batch[8..40] || what is covered of the content)`.
fn mac_of(keys: &LaneKeys, segment: u64, header: &[u8], covered: &[u8]) -> [u8; MAC] {
    kdf::mac(&keys.batch, &[&segment.to_le_bytes()[..], &header[LENGTH..], covered].concat())
}

/// How many bytes would have to be checked to tell whether a batch begins here.
pub(super) fn claimed_bytes(bytes: &[u8]) -> u64 {
    let claimed = (bytes.get(..4) == Some(&MAGIC[..])).then(|| u32_at(bytes, LENGTH)).flatten();
    claimed.map_or(0, |claimed| u64::from(claimed).min(bytes.len() as u64))
}

/// A batch where it lies in a segment.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) header: BatchHeader,
    /// Bytes from its magic to its MAC.
    pub(super) bytes: usize,
    pub(super) mac: [u8; MAC],
    /// Each frame, and where it begins within the batch.
    pub(super) frames: Vec<(usize, Frame<'a>)>,
    pub(super) index: Vec<IndexEntry>,
    /// Whether every byte is as it was written. Where it is not, but the MAC is good, only sealed texts are damaged, and
    /// their own tags tell which.
    pub(super) whole: bool,
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, if its MAC is good.
    pub(super) fn parse(bytes: &'a [u8], keys: &LaneKeys, segment: u64) -> Option<Self> {
        if bytes.get(..4)? != MAGIC {
            return None;
        }
        let length = u32_at(bytes, LENGTH)? as usize;
        let kind = match bytes.get(KIND)? {
            1 => BatchKind::Frames,
            2 => BatchKind::Index,
            _ => return None,
        };
        let whole = bytes.get(..length).filter(|whole| whole.len() >= BATCH_HEADER + MAC)?;
        let count = u32_at(whole, COUNT)?;
        let content = &whole[BATCH_HEADER..length - MAC];
        let (mut frames, mut index, mut covered) = (Vec::new(), Vec::new(), Vec::new());
        match kind {
            BatchKind::Frames => {
                let mut at = 0;
                for _ in 0..count {
                    let frame = Frame::parse(content.get(at..)?)?;
                    covered.extend(frame.in_clear().concat());
                    frames.push((BATCH_HEADER + at, frame));
                    at += frame.bytes.len();
                }
                if at != content.len() {
                    return None;
                }
            }
            BatchKind::Index => {
                if content.len() != (count as usize).checked_mul(INDEX_ENTRY)? {
                    return None;
                }
                covered.extend(content);
                for entry in content.as_chunks::<INDEX_ENTRY>().0 {
                    let tenant = TenantId::new(array(entry, 0)?);
                    index.push(IndexEntry { tenant, last: u64_at(entry, 16)?, tag: array(entry, 24)? });
                }
            }
        }
        let mac: [u8; MAC] = array(whole, length - MAC)?;
        if !equal(&mac, &mac_of(keys, segment, &whole[..BATCH_HEADER], &covered)) {
            return None;
        }
        let crc = crc32fast::hash(&whole[LENGTH..]);
        let padding = bytes.get(length..length.next_multiple_of(ALIGNMENT));
        let is_padded = padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0));
        let sequence = u64_at(whole, SEQUENCE)?;
        let own = u32_at(whole, OWN)?.checked_sub(1);
        let header = BatchHeader {
            kind,
            sequence,
            synced_through: u64_at(whole, SYNCED)?,
            own_through: own.and_then(|own| sequence.checked_sub(u64::from(own))),
        };
        let whole = u32_at(whole, CRC) == Some(crc) && is_padded;
        Some(Self { header, bytes: length, mac, frames, index, whole })
    }
}
