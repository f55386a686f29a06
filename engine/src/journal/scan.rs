//! Reading a segment: its batches one after the other, and past a damaged one to the next (FORMAT.md section 9.5).

use crate::journal::batch::{Batch, claimed_bytes};
use crate::journal::format::{ALIGNMENT, FIRST_BATCH, LaneKeys, aligned};

/// What is found in a segment, in order.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A batch whose MAC is good, and where it begins.
    Batch(u64, Batch<'a>),
    /// Bytes between batches that are no batch, and where they begin.
    Gap(u64),
}

/// The batches of a segment up to `end`, or to the end of `bytes`.
pub(super) struct Batches<'a> {
    bytes: &'a [u8],
    keys: &'a LaneKeys,
    segment: u64,
    at: u64,
    in_gap: bool,
    /// Bytes that may still be checked in vain: a hostile segment must not cost the square of its length.
    patience: u64,
}

impl<'a> Batches<'a> {
    pub(super) fn new(bytes: &'a [u8], keys: &'a LaneKeys, segment: u64) -> Self {
        let patience = 8 * bytes.len() as u64;
        Self { bytes, keys, segment, at: FIRST_BATCH, in_gap: false, patience }
    }

    fn rest(&self, at: u64) -> Option<&'a [u8]> {
        usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).filter(|rest| !rest.is_empty())
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        while let Some(rest) = self.rest(self.at) {
            let claimed = claimed_bytes(rest);
            if claimed > self.patience {
                self.at = self.bytes.len() as u64;
                break;
            }
            if let Some(batch) = Batch::parse(rest, self.keys, self.segment) {
                if self.at > start {
                    return Some(Found::Gap(start));
                }
                self.in_gap = false;
                self.at = aligned(start + batch.bytes as u64);
                return Some(Found::Batch(start, batch));
            }
            self.patience -= claimed;
            self.at += ALIGNMENT as u64;
        }
        (self.at > start && !std::mem::replace(&mut self.in_gap, true)).then_some(Found::Gap(start))
    }
}

/// Scans anything, for fuzzing: it ends, and what it finds lies within.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_segment(data: &[u8]) {
    use crate::id::{StoreId, TenantId};
    let keys = LaneKeys::derive(&[0; 32], StoreId::new([0; 16]), TenantId::new([0; 16]), "default");
    let Ok(keys) = keys else { return };
    let bytes = [&[0; 4_096][..], data].concat();
    for found in Batches::new(&bytes, &keys, 1) {
        if let Found::Batch(at, batch) = found {
            assert!(at + batch.bytes as u64 <= bytes.len() as u64);
        }
    }
    if let Some(frame) = crate::journal::frame::Frame::parse(data) {
        assert!(frame.bytes.len() <= data.len());
    }
    crate::journal::segment::fuzz_header(data, &keys);
}
