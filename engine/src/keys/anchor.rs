//! The anchor: what a tenant's data must at least hold, kept with the keys (FORMAT.md section 4.5).

use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::crypto::{Entropy, SectionKey, kdf};
use crate::error::Result;
use crate::id::{FileId, StoreId, TenantId};
use crate::keys::header::{BLOCK, array};
use crate::keys::ledger::LedgerEnd;

const PLAIN_BYTES: usize = 120;
/// Where the fields end; what follows is zero.
const ZERO: usize = 116;
const SEALED_BYTES: usize = NONCE_BYTES + PLAIN_BYTES + TAG_BYTES;

/// Flag: a sync of the current file failed, it must be replaced.
pub(crate) const REPLACE_FILE: u32 = 1;
/// Flag: the current file was never completed; the journal has everything.
pub(crate) const NO_FILE: u32 = 2;

/// One state of the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Grows with each write of the anchor.
    pub(super) sequence: u64,
    pub(crate) current: FileId,
    pub(crate) next: FileId,
    pub(crate) previous: FileId,
    pub(crate) current_epoch: u32,
    pub(crate) next_epoch: u32,
    pub(crate) previous_epoch: u32,
    /// The timeline of the last checkpoint.
    pub(crate) timeline: u32,
    /// The tenant's file holds everything up to this sequence.
    pub(crate) commit: u64,
    pub(crate) flags: u32,
    /// Where the tenant's erasure ledger ends.
    pub(super) ledger: LedgerEnd,
}

impl Anchor {
    pub(super) fn first(current: FileId, epoch: u32) -> Self {
        Self {
            sequence: 1,
            current,
            next: FileId::NONE,
            previous: FileId::NONE,
            current_epoch: epoch,
            next_epoch: 0,
            previous_epoch: 0,
            timeline: 0,
            commit: 0,
            flags: NO_FILE,
            ledger: LedgerEnd::default(),
        }
    }

    fn encode(&self) -> [u8; PLAIN_BYTES] {
        let mut bytes = [0; PLAIN_BYTES];
        let mut put =
            |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
        put(0, &self.sequence.to_le_bytes());
        put(8, self.current.as_bytes());
        put(24, self.next.as_bytes());
        put(40, self.previous.as_bytes());
        put(56, &self.current_epoch.to_le_bytes());
        put(60, &self.next_epoch.to_le_bytes());
        put(64, &self.previous_epoch.to_le_bytes());
        put(68, &self.timeline.to_le_bytes());
        put(72, &self.commit.to_le_bytes());
        put(80, &self.flags.to_le_bytes());
        put(84, &self.ledger.entries.to_le_bytes());
        put(92, &self.ledger.mac);
        bytes
    }

    /// `None` where something is set that this version does not know.
    fn parse(bytes: &[u8; PLAIN_BYTES]) -> Option<Self> {
        let anchor = Self {
            sequence: u64::from_le_bytes(array(bytes, 0)),
            current: FileId::new(array(bytes, 8)),
            next: FileId::new(array(bytes, 24)),
            previous: FileId::new(array(bytes, 40)),
            current_epoch: u32::from_le_bytes(array(bytes, 56)),
            next_epoch: u32::from_le_bytes(array(bytes, 60)),
            previous_epoch: u32::from_le_bytes(array(bytes, 64)),
            timeline: u32::from_le_bytes(array(bytes, 68)),
            commit: u64::from_le_bytes(array(bytes, 72)),
            flags: u32::from_le_bytes(array(bytes, 80)),
            ledger: LedgerEnd { entries: u64::from_le_bytes(array(bytes, 84)), mac: array(bytes, 92) },
        };
        let is_known = anchor.flags & !(REPLACE_FILE | NO_FILE) == 0;
        (is_known && bytes[ZERO..].iter().all(|byte| *byte == 0)).then_some(anchor)
    }
}

/// Seals and opens the anchor of one tenant.
#[derive(Debug)]
pub(super) struct AnchorSealer {
    aad: Vec<u8>,
    cipher: Xaes,
}

impl AnchorSealer {
    pub(super) fn new(store: StoreId, tenant: TenantId, structure: &SectionKey) -> Result<Self> {
        let cipher = Xaes::new(&*kdf::expand(structure.as_bytes(), b"strongroom/1 anchor", b"")?);
        let aad = [&b"strongroom/1 anchor"[..], store.as_bytes(), tenant.as_bytes()].concat();
        Ok(Self { aad, cipher })
    }

    pub(super) fn seal(&self, entropy: &dyn Entropy, anchor: &Anchor) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let mut text = anchor.encode();
        let (nonce, tag) = self.cipher.seal(entropy, &self.aad, &mut text)?;
        block[..NONCE_BYTES].copy_from_slice(&nonce);
        block[NONCE_BYTES..NONCE_BYTES + PLAIN_BYTES].copy_from_slice(&text);
        block[NONCE_BYTES + PLAIN_BYTES..SEALED_BYTES].copy_from_slice(&tag);
        Ok(block)
    }

    pub(super) fn open(&self, block: &[u8; BLOCK]) -> Option<Anchor> {
        let mut text: [u8; PLAIN_BYTES] = array(block, NONCE_BYTES);
        let tag = array(block, NONCE_BYTES + PLAIN_BYTES);
        self.cipher.open(&array(block, 0), &self.aad, &mut text, &tag).ok()?;
        let is_padded = block[SEALED_BYTES..].iter().all(|byte| *byte == 0);
        if is_padded { Anchor::parse(&text) } else { None }
    }
}

/// Parses anything, for fuzzing: an anchor that parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_anchor(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<PLAIN_BYTES>()
        && let Some(anchor) = Anchor::parse(bytes)
    {
        assert_eq!(anchor.encode(), *bytes);
    }
}
