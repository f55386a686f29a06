//! What the parts of a lane share: its keys, and the bytes of its batches and frames (FORMAT.md section 9).

use zeroize::Zeroizing;

use crate::crypto::kdf;
use crate::error::Result;
use crate::id::{StoreId, TenantId};

/// First byte of the first batch.
pub(super) const FIRST_BATCH: u64 = 4_096;
/// Batches begin at multiples of this, so that a scan past a damaged one finds the next.
pub(super) const ALIGNMENT: usize = 64;
/// Bytes of a batch before its frames.
pub(super) const BATCH_HEADER: usize = 40;
/// Bytes of a MAC.
pub(super) const MAC: usize = 32;

/// The keys of one lane, and what they are bound to.
pub(crate) struct LaneKeys {
    pub(super) store: StoreId,
    pub(super) lane: TenantId,
    pub(super) segment: Zeroizing<[u8; 32]>,
    pub(super) batch: Zeroizing<[u8; 32]>,
    pub(super) state: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for LaneKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneKeys").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl LaneKeys {
    /// `expand(L, "strongroom/1 lane " || use || lane id || region)`, L the lanes' key of the system tenant's keyring.
    pub(crate) fn derive(lanes: &[u8; 32], store: StoreId, lane: TenantId, region: &str) -> Result<Self> {
        let bound = [lane.as_bytes(), region.as_bytes()].concat();
        let derive = |label: &[u8]| kdf::expand(lanes, label, &bound);
        Ok(Self {
            store,
            lane,
            segment: derive(b"strongroom/1 lane segment")?,
            batch: derive(b"strongroom/1 lane batch")?,
            state: derive(b"strongroom/1 lane state")?,
        })
    }
}

/// `N` bytes at an offset; none where there are not so many.
pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// Where the next batch begins after one that ends at `end`.
pub(super) fn aligned(end: u64) -> u64 {
    end.next_multiple_of(ALIGNMENT as u64)
}
