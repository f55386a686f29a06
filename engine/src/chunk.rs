//! The chunks of a large value: a STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-
//! Encryption and its Nonce-Reuse Misuse-Resistance", 2015) of AES-256-GCM (FORMAT.md section 8.1).
//!
//! `chunk key = HKDF-Expand(PRK, label || salt || set)`, `nonce = index || last`: each sealing of each chunk has a key
//! of its own, so that a chunk that is written again after an interruption repeats no nonce; the nonce and the associated
//! data bind it to its place in one set of one record, so that none can be cut off, put elsewhere or doubled.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::aead::{TAG_BYTES, open_once, seal_once};
use crate::crypto::kdf::Prk;
use crate::error::{Error, Result, fail};
use crate::id::{ChunkSetId, CollectionId, TenantId};
use crate::limits::LARGE_VALUE_BYTES_MAX;

const LABEL: &[u8] = b"strongroom/1 chunk";
const SUITE: u8 = 1;
pub(crate) const SALT_BYTES: usize = 24;
/// What a chunk's row has besides text.
const ROW_OVERHEAD: usize = SALT_BYTES + TAG_BYTES;
/// Bytes of a chunk's key in its table: set and index.
const KEY_BYTES: usize = 20;
/// Bytes of the value in each chunk that is written, but the last: with its key and overhead it is 64 bytes less than 16
/// pages, which leaves redb room for its own, where one byte more would take 32 pages.
pub(crate) const CHUNK_BYTES: u32 = 65_412;
const _: () = assert!(CHUNK_BYTES as usize + KEY_BYTES + ROW_OVERHEAD == (4_096 << 4) - 64);
/// The largest and smallest chunks that are read.
const CHUNK_BYTES_READ: std::ops::RangeInclusive<u32> = 1_024..=1 << 20;

/// How a value is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    value_bytes: u64,
    chunk_bytes: u32,
    count: u32,
}

impl Layout {
    /// A value of this length in chunks of this size.
    pub(crate) fn new(value_bytes: u64, chunk_bytes: u32) -> Result<Self> {
        let newer =
            || fail!(UnsupportedFormat, "a large value has chunks of a size that this version does not read");
        if !CHUNK_BYTES_READ.contains(&chunk_bytes) || value_bytes > LARGE_VALUE_BYTES_MAX {
            return Err(newer());
        }
        let count = value_bytes.div_ceil(chunk_bytes.into()).max(1);
        let count = u32::try_from(count).map_err(|_| newer())?;
        Ok(Self { value_bytes, chunk_bytes, count })
    }

    /// Length of the value.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// Chunks there are: at least one.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Whether a chunk is the last one.
    pub(crate) fn is_last(&self, index: u32) -> bool {
        index + 1 == self.count
    }

    /// Where a chunk begins.
    pub(crate) fn start_of(&self, index: u32) -> u64 {
        u64::from(index) * u64::from(self.chunk_bytes)
    }

    /// Bytes of the value in a chunk.
    pub(crate) fn bytes_of(&self, index: u32) -> usize {
        let left = self.value_bytes.saturating_sub(self.start_of(index));
        usize::try_from(left.min(self.chunk_bytes.into())).unwrap_or(0)
    }

    /// The chunk in which a byte of the value is, and its place there.
    pub(crate) fn place_of(&self, offset: u64) -> (u32, usize) {
        let chunk_bytes = u64::from(self.chunk_bytes);
        let index = u32::try_from(offset / chunk_bytes).unwrap_or(u32::MAX);
        (index, usize::try_from(offset % chunk_bytes).unwrap_or(0))
    }
}

/// What the chunks of a set are bound to.
#[derive(Clone, Copy)]
pub(crate) struct ChunkPlace<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) collection: CollectionId,
    pub(crate) key: &'a [u8],
    pub(crate) set: ChunkSetId,
    pub(crate) chunk_bytes: u32,
}

/// Seals and opens the chunks of one set.
pub(crate) struct ChunkSealer {
    prk: Arc<Prk>,
    set: ChunkSetId,
    tenant: TenantId,
    aad: Vec<u8>,
}

/// Keys are not shown (invariant 9).
impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSealer").field("set", &self.set).finish_non_exhaustive()
    }
}

impl ChunkSealer {
    /// `prk` is that of the record.
    pub(crate) fn new(prk: Arc<Prk>, place: ChunkPlace<'_>) -> Self {
        let aad = [
            LABEL,
            &[SUITE],
            &place.chunk_bytes.to_le_bytes(),
            place.tenant.as_bytes(),
            &place.collection.to_be_bytes(),
            place.set.as_bytes(),
            place.key,
        ];
        Self { prk, set: place.set, tenant: place.tenant, aad: aad.concat() }
    }

    /// The row of a chunk, `salt || ciphertext || tag`. The salt seals nothing else.
    pub(crate) fn seal(
        &self,
        salt: [u8; SALT_BYTES],
        index: u32,
        last: bool,
        text: &[u8],
    ) -> Result<Vec<u8>> {
        let mut row = Vec::with_capacity(ROW_OVERHEAD + text.len());
        row.extend(salt);
        row.extend(text);
        let key = self.key(&salt)?;
        let tag = seal_once(&key, &nonce(index, last), &self.aad, &mut row[SALT_BYTES..])?;
        row.extend(tag);
        Ok(row)
    }

    /// Opens a chunk into `out`, which must have its length.
    pub(crate) fn open(&self, index: u32, last: bool, row: &[u8], out: &mut [u8]) -> Result<()> {
        let refused = || {
            let (tenant, set) = (self.tenant, self.set);
            fail!(
                Unauthentic,
                "chunk {index} of the large value {set} of tenant {tenant} does not authenticate"
            )
        };
        let (salt, rest) = row.split_first_chunk().ok_or_else(refused)?;
        let (text, tag) = rest.split_last_chunk().ok_or_else(refused)?;
        if text.len() != out.len() {
            return Err(refused());
        }
        out.copy_from_slice(text);
        let key = self.key(salt)?;
        open_once(&key, &nonce(index, last), &self.aad, out, tag).map_err(|_| refused())
    }

    /// What an error says where a chunk is not there.
    pub(crate) fn missing(&self, index: u32) -> Error {
        let (tenant, set) = (self.tenant, self.set);
        fail!(
            Corrupted,
            "chunk {index} of the large value {set} of tenant {tenant} is missing: restore the tenant from a copy"
        )
    }

    fn key(&self, salt: &[u8; SALT_BYTES]) -> Result<Zeroizing<[u8; 32]>> {
        let mut context = [0; SALT_BYTES + 16];
        context[..SALT_BYTES].copy_from_slice(salt);
        context[SALT_BYTES..].copy_from_slice(self.set.as_bytes());
        self.prk.expand(LABEL, &context)
    }
}

/// Length of the text in a chunk's row.
pub(crate) fn text_bytes(row: &[u8]) -> usize {
    row.len().saturating_sub(ROW_OVERHEAD)
}

/// `index u64 || zero 3 || last u8`.
fn nonce(index: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&index.to_le_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Gives bytes to the parsers of this module, for fuzzing: where a value is divided, it is covered once, and nothing that
/// was not sealed opens.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_chunk(data: &[u8]) {
    let Some((sizes, row)) = data.split_first_chunk::<12>() else { return };
    let (value_bytes, chunk_bytes) = sizes.split_at(8);
    let value_bytes = value_bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let chunk_bytes = chunk_bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let Ok(layout) = Layout::new(value_bytes, chunk_bytes) else { return };
    let last = layout.count() - 1;
    assert!(layout.is_last(last));
    assert_eq!(layout.start_of(last) + layout.bytes_of(last) as u64, value_bytes);
    let (tenant, set) = (TenantId::new([1; 16]), ChunkSetId::new([2; 16]));
    let place = ChunkPlace { tenant, collection: CollectionId(3), key: b"key", set, chunk_bytes };
    let sealer = ChunkSealer::new(Arc::new(Prk::extract(b"salt", [&b"keys"[..]])), place);
    let mut out = vec![0; layout.bytes_of(last)];
    assert!(sealer.open(last, true, row, &mut out).is_err());
}

#[cfg(test)]
mod tests;
