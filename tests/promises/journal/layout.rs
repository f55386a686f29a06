//! Where the parts of a segment lie, and how a forger without keys would put them together again (FORMAT.md section 9).

use std::ops::Range;

/// Where the first batch of a segment begins.
pub(super) const FIRST_BATCH: usize = 4_096;
const ALIGNMENT: usize = 64;
const BATCH_HEADER: usize = 40;
const FRAME_HEADER: usize = 80;
const TAG: usize = 16;
const MAC: usize = 32;
/// Where the two copies of a segment's header begin, and their length.
const HEADERS: [usize; 2] = [0, 2_048];
const HEADER: usize = 512;

/// What a byte of a segment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A copy of the segment's header.
    Header,
    /// Zeros between and behind these.
    BetweenHeaders,
    /// A batch's header.
    BatchHeader,
    /// A frame's header, tag, and everything else of it that the batch's MAC covers.
    FrameInClear,
    /// A frame's sealed text.
    FrameText,
    /// An index's entries.
    Index,
    /// A batch's MAC.
    Mac,
    /// Zeros up to where the next batch begins.
    Padding,
    /// Allocated, and not written yet.
    Tail,
}

/// A frame where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The tenant's id as it stands in file names.
    pub(super) tenant: String,
    /// In the segment.
    pub(super) place: Range<usize>,
    /// Sequence of its first change.
    pub(super) first: u64,
    /// How many changes it has.
    pub(super) count: u32,
}

impl Frame {
    /// Its sealed text.
    pub(super) fn text(&self) -> Range<usize> {
        self.place.start + FRAME_HEADER..self.place.end - TAG
    }
}

/// A batch where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// From its magic to its MAC.
    pub(super) place: Range<usize>,
    pub(super) sequence: u64,
    pub(super) is_index: bool,
    pub(super) frames: Vec<Frame>,
}

impl Batch {
    /// With its padding.
    pub(super) fn padded(&self) -> Range<usize> {
        self.place.start..self.place.end.next_multiple_of(ALIGNMENT)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The batches of an undamaged segment.
pub(super) fn batches(bytes: &[u8]) -> Vec<Batch> {
    let mut found = Vec::new();
    let mut at = FIRST_BATCH;
    while bytes.get(at..at + 4) == Some(b"SRB1") {
        let length = u32_at(bytes, at + 8) as usize;
        let is_index = bytes[at + 12] == 2;
        let mut frames = Vec::new();
        let mut frame_at = at + BATCH_HEADER;
        while !is_index && frame_at < at + length - MAC {
            let end = frame_at + FRAME_HEADER + u32_at(bytes, frame_at) as usize + TAG;
            let tenant = hexadecimal(&bytes[frame_at + 8..frame_at + 24]);
            let (first, count) = (u64_at(bytes, frame_at + 32), u32_at(bytes, frame_at + 28));
            frames.push(Frame { tenant, place: frame_at..end, first, count });
            frame_at = end;
        }
        found.push(Batch { place: at..at + length, sequence: u64_at(bytes, at + 16), is_index, frames });
        at = (at + length).next_multiple_of(ALIGNMENT);
    }
    found
}

/// What each byte of an undamaged segment belongs to, and whose frame it is in.
pub(super) fn parts(bytes: &[u8]) -> Vec<(Part, Option<String>)> {
    let mut parts = vec![(Part::Tail, None); bytes.len()];
    let mut set = |range: Range<usize>, part, tenant: Option<&String>| {
        parts[range].fill((part, tenant.cloned()));
    };
    set(0..FIRST_BATCH, Part::BetweenHeaders, None);
    HEADERS.iter().for_each(|start| set(*start..start + HEADER, Part::Header, None));
    for batch in batches(bytes) {
        let Range { start, end } = batch.place;
        set(start..batch.padded().end, Part::Padding, None);
        set(start..end, Part::Index, None);
        set(start..start + BATCH_HEADER, Part::BatchHeader, None);
        set(end - MAC..end, Part::Mac, None);
        for frame in &batch.frames {
            set(frame.place.clone(), Part::FrameInClear, Some(&frame.tenant));
            set(frame.text(), Part::FrameText, Some(&frame.tenant));
        }
    }
    parts
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

/// A batch with other frames, as who has no key would make it: length, count and CRC are right, the MAC is the old one.
pub(super) fn forge(bytes: &[u8], batch: &Batch, frames: &[&[u8]]) -> Vec<u8> {
    let old = &bytes[batch.place.clone()];
    let mut new = [&old[..BATCH_HEADER], &frames.concat(), &old[old.len() - MAC..]].concat();
    let length = u32::try_from(new.len()).unwrap();
    new[8..12].copy_from_slice(&length.to_le_bytes());
    new[32..36].copy_from_slice(&u32::try_from(frames.len()).unwrap().to_le_bytes());
    mend_crc(&mut new);
    new.resize(new.len().next_multiple_of(ALIGNMENT), 0);
    new
}

/// Makes a batch's CRC right.
pub(super) fn mend_crc(batch: &mut [u8]) {
    let length = u32_at(batch, 8) as usize;
    let crc = crc32(&batch[8..length]);
    batch[4..8].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn the_forger_knows_the_checksum() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}
