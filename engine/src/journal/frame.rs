//! A frame: the changes of one tenant in one batch, sealed under its structure key (FORMAT.md section 9.3).
//!
//! A frame names the tag of the one before it, so that none can be left out; neither segment nor offset is sealed in, so
//! that it can be moved without keys.

use bytes::Bytes;

use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::crypto::{Entropy, StructureKey, kdf};
use crate::error::{Result, fail};
use crate::id::{StoreId, TenantId};
use crate::journal::format::{array, u32_at, u64_at};

const NONCE: usize = 56;
/// Bytes of a frame before its sealed text.
pub(super) const FRAME_HEADER: usize = NONCE + NONCE_BYTES;
const _: () = assert!(FRAME_HEADER == 80);
const LABEL: &[u8] = b"strongroom/1 frame";

/// A frame's tag: what the tenant's next frame names.
pub(crate) type Tag = [u8; TAG_BYTES];

/// What a frame says in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) tenant: TenantId,
    pub(crate) epoch: u32,
    pub(crate) timeline: u32,
    /// Sequence of its first change.
    pub(crate) first: u64,
    /// How many changes it has; their sequences are dense.
    pub(crate) count: u32,
    /// Tag of the tenant's frame before.
    pub(crate) previous: Tag,
    /// Bytes of the sealed text.
    pub(super) sealed_bytes: u32,
}

impl FrameHeader {
    /// The sequence of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count)).saturating_sub(1)
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_HEADER + self.sealed_bytes as usize + TAG_BYTES
    }

    fn encode(&self) -> [u8; NONCE] {
        let mut bytes = [0; NONCE];
        let mut put =
            |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
        put(0, &self.sealed_bytes.to_le_bytes());
        put(4, &self.epoch.to_le_bytes());
        put(8, self.tenant.as_bytes());
        put(24, &self.timeline.to_le_bytes());
        put(28, &self.count.to_le_bytes());
        put(32, &self.first.to_le_bytes());
        put(40, &self.previous);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Self {
            sealed_bytes: u32_at(bytes, 0)?,
            epoch: u32_at(bytes, 4)?,
            tenant: TenantId::new(array(bytes, 8)?),
            timeline: u32_at(bytes, 24)?,
            count: u32_at(bytes, 28)?,
            first: u64_at(bytes, 32)?,
            previous: array(bytes, 40)?,
        };
        let is_dense = header.count > 0 && header.first.checked_add(u64::from(header.count)).is_some();
        (is_dense && header.first > 0).then_some(header)
    }
}

/// A frame where it lies in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    /// All its bytes.
    pub(super) bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`; authenticates nothing.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = FrameHeader::parse(bytes)?;
        let bytes = bytes.get(..header.frame_bytes())?;
        Some(Self { header, bytes })
    }

    pub(crate) fn tag(&self) -> Tag {
        array(self.bytes, self.bytes.len() - TAG_BYTES).unwrap_or_default()
    }

    /// What the batch's MAC covers of a frame: all but the sealed text, for which the tag stands.
    pub(super) fn in_clear(&self) -> [&'a [u8]; 2] {
        [&self.bytes[..FRAME_HEADER], &self.bytes[self.bytes.len() - TAG_BYTES..]]
    }
}

/// Seals and opens the frames of one tenant under one epoch.
#[derive(Debug)]
pub(crate) struct FrameSealer {
    tenant: TenantId,
    epoch: u32,
    cipher: Xaes,
    label: Vec<u8>,
}

impl FrameSealer {
    pub(crate) fn new(store: StoreId, tenant: TenantId, epoch: u32, key: &StructureKey) -> Result<Self> {
        let cipher = Xaes::new(&*kdf::expand(key.as_bytes(), LABEL, b"")?);
        Ok(Self { tenant, epoch, cipher, label: [LABEL, store.as_bytes()].concat() })
    }

    /// Appends a frame of these changes to `out`, and gives its header and tag.
    pub(super) fn seal<'a>(
        &self,
        entropy: &dyn Entropy,
        (timeline, first, previous): (u32, u64, Tag),
        changes: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(FrameHeader, Tag)> {
        let too_long = || fail!(LimitExceeded, "the changes of a batch have 4 GiB or more");
        let count = u32::try_from(changes.len()).map_err(|_| too_long())?;
        let bytes: usize = changes.clone().map(|change| 4 + change.len()).sum();
        let sealed_bytes = u32::try_from(bytes).map_err(|_| too_long())?;
        let header = FrameHeader {
            tenant: self.tenant,
            epoch: self.epoch,
            timeline,
            first,
            count,
            previous,
            sealed_bytes,
        };
        let clear = header.encode();
        out.reserve(header.frame_bytes());
        out.extend(clear);
        let nonce_at = out.len();
        out.extend([0; NONCE_BYTES]);
        let text_at = out.len();
        for change in changes {
            let length = u32::try_from(change.len()).map_err(|_| too_long())?;
            out.extend(length.to_le_bytes());
            out.extend(change);
        }
        let (nonce, tag) = self.cipher.seal(entropy, &self.aad(&clear), &mut out[text_at..])?;
        out[nonce_at..text_at].copy_from_slice(&nonce);
        out.extend(tag);
        Ok((header, tag))
    }

    /// Opens a frame: its changes, in order.
    pub(crate) fn open(&self, frame: &Frame<'_>) -> Result<Vec<Bytes>> {
        let unauthentic = || {
            fail!(
                Unauthentic,
                "the journal's frame of tenant {} at sequence {} does not authenticate",
                self.tenant,
                frame.header.first
            )
        };
        let nonce = array(frame.bytes, NONCE).ok_or_else(unauthentic)?;
        let sealed = &frame.bytes[FRAME_HEADER..frame.bytes.len() - TAG_BYTES];
        let mut text = sealed.to_vec();
        self.cipher
            .open(&nonce, &self.aad(&frame.bytes[..NONCE]), &mut text, &frame.tag())
            .map_err(|_| unauthentic())?;
        split(&Bytes::from(text), frame.header.count)
            .ok_or_else(|| fail!(Corrupted, "the journal's frame of tenant {} is malformed", self.tenant))
    }

    fn aad(&self, clear: &[u8]) -> Vec<u8> {
        [&self.label[..], clear].concat()
    }
}

/// Takes the opened text apart.
fn split(text: &Bytes, count: u32) -> Option<Vec<Bytes>> {
    let mut changes = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let length = u32_at(text, at)? as usize;
        at += 4;
        let end = at.checked_add(length).filter(|end| *end <= text.len())?;
        changes.push(text.slice(at..end));
        at = end;
    }
    (at == text.len()).then_some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::OsEntropy;

    fn sealer(tenant: u8, epoch: u32) -> FrameSealer {
        let key = StructureKey::from_bytes(&[9; 32].into());
        FrameSealer::new(StoreId::new([1; 16]), TenantId::new([tenant; 16]), epoch, &key).expect("derives")
    }

    fn sealed() -> Vec<u8> {
        let mut out = Vec::new();
        let changes = [&b"one"[..], b"", b"three"];
        sealer(2, 1).seal(&OsEntropy, (7, 40, [5; 16]), changes.into_iter(), &mut out).expect("seals");
        out
    }

    #[test]
    fn a_frame_reads_back() {
        let bytes = sealed();
        let frame = Frame::parse(&bytes).expect("parses");
        assert_eq!((frame.header.first, frame.header.last(), frame.header.timeline), (40, 42, 7));
        assert_eq!(frame.header.previous, [5; 16]);
        let changes = sealer(2, 1).open(&frame).expect("opens");
        assert_eq!(changes, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn no_byte_of_a_frame_can_be_changed_nor_its_tenant_nor_its_epoch() {
        let bytes = sealed();
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            let opened = Frame::parse(&altered).map(|frame| sealer(2, 1).open(&frame));
            assert!(!matches!(opened, Some(Ok(_))), "byte {index}");
        }
        let frame = Frame::parse(&bytes).expect("parses");
        let other = FrameSealer::new(
            StoreId::new([1; 16]),
            TenantId::new([2; 16]),
            1,
            &StructureKey::from_bytes(&[8; 32].into()),
        );
        assert!(other.expect("derives").open(&frame).is_err());
    }
}
