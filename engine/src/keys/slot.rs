//! One slot of a keyring: a key and its state, sealed apart, in 128 bytes (FORMAT.md section 4.3).

use zeroize::Zeroizing;

use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::crypto::{Entropy, SectionKey, equal, kdf};
use crate::error::{Result, fail};
use crate::id::{StoreId, TenantId};
use crate::keys::header::array;

pub(super) const SLOT_BYTES: usize = 128;
const KEY: usize = NONCE_BYTES;
const KEY_TAG: usize = KEY + 32;
const STATE: usize = KEY_TAG + TAG_BYTES;
const STATE_BYTES: usize = 40;
const STATE_TAG: usize = STATE + STATE_BYTES;
const _: () = assert!(STATE_TAG + TAG_BYTES == SLOT_BYTES);

/// What a slot's key is for. The numbers are those of the typed list of FORMAT.md section 8, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum SlotKind {
    Structure = 1,
    Data = 2,
    Period = 3,
    Subject = 4,
}

impl SlotKind {
    pub(crate) fn parse(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Structure),
            2 => Some(Self::Data),
            3 => Some(Self::Period),
            4 => Some(Self::Subject),
            _ => None,
        }
    }
}

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SlotStatus {
    Live = 1,
    Destroyed = 2,
    Pooled = 3,
}

/// The sealed state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState {
    pub(crate) kind: SlotKind,
    pub(crate) status: SlotStatus,
    /// 48 bits, by kind: a time, or the timeline in which it was filled.
    pub(crate) attribute: u64,
    commitment: [u8; 32],
}

impl SlotState {
    /// The state of a slot of which nothing is known, for its tombstone.
    pub(super) fn nothing(kind: SlotKind) -> Self {
        Self { kind, status: SlotStatus::Live, attribute: 0, commitment: [0; 32] }
    }

    fn encode(&self) -> [u8; STATE_BYTES] {
        let mut bytes = [0; STATE_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.status as u8;
        bytes[2..8].copy_from_slice(&self.attribute.to_le_bytes()[..6]);
        bytes[8..].copy_from_slice(&self.commitment);
        bytes
    }

    fn parse(bytes: &[u8; STATE_BYTES]) -> Option<Self> {
        let kind = SlotKind::parse(bytes[0])?;
        let status = match bytes[1] {
            1 => SlotStatus::Live,
            2 => SlotStatus::Destroyed,
            3 => SlotStatus::Pooled,
            _ => return None,
        };
        let mut attribute = [0; 8];
        attribute[..6].copy_from_slice(&bytes[2..8]);
        Some(Self { kind, status, attribute: u64::from_le_bytes(attribute), commitment: array(bytes, 8) })
    }
}

/// The bytes of a slot.
pub(super) type Raw = [u8; SLOT_BYTES];
pub(super) const EMPTY: Raw = [0; SLOT_BYTES];

/// Seals and opens the slots of one tenant, as far as the structure section reaches.
#[derive(Debug)]
pub(super) struct SlotSealer {
    store: StoreId,
    tenant: TenantId,
    states: Xaes,
}

impl SlotSealer {
    pub(super) fn new(store: StoreId, tenant: TenantId, structure: &SectionKey) -> Result<Self> {
        let states = Xaes::new(&*kdf::expand(structure.as_bytes(), b"strongroom/1 slot state", b"")?);
        Ok(Self { store, tenant, states })
    }

    /// The cipher of a section's keys.
    pub(super) fn key_cipher(section: &SectionKey) -> Result<Xaes> {
        Ok(Xaes::new(&*kdf::expand(section.as_bytes(), b"strongroom/1 slot key", b"")?))
    }

    /// A slot holding `key`.
    pub(super) fn seal(
        &self,
        entropy: &dyn Entropy,
        keys: &Xaes,
        number: u64,
        (kind, status, attribute): (SlotKind, SlotStatus, u64),
        key: &[u8; 32],
    ) -> Result<Raw> {
        let mut raw = EMPTY;
        let mut text = Zeroizing::new(*key);
        let (nonce, tag) = keys.seal(entropy, &self.key_aad(kind, number), &mut *text)?;
        raw[..KEY].copy_from_slice(&nonce);
        raw[KEY..KEY_TAG].copy_from_slice(&*text);
        raw[KEY_TAG..STATE].copy_from_slice(&tag);
        let commitment = self.commitment(kind, number, key)?;
        self.seal_state(&mut raw, number, &SlotState { kind, status, attribute, commitment })?;
        Ok(raw)
    }

    /// A tombstone: random bytes in the place of the key.
    pub(super) fn tombstone(&self, entropy: &dyn Entropy, number: u64, state: &SlotState) -> Result<Raw> {
        let mut raw = EMPTY;
        entropy.fill(&mut raw[..STATE])?;
        let destroyed = SlotState { status: SlotStatus::Destroyed, commitment: [0; 32], ..*state };
        self.seal_state(&mut raw, number, &destroyed)?;
        Ok(raw)
    }

    /// A slot's state, where it authenticates.
    pub(super) fn state(&self, number: u64, raw: &Raw) -> Option<SlotState> {
        let mut text: [u8; STATE_BYTES] = array(raw, STATE);
        self.states
            .open(&array(raw, 0), &self.state_aad(number, raw), &mut text, &array(raw, STATE_TAG))
            .ok()?;
        SlotState::parse(&text)
    }

    /// A slot's key: opened, and compared with its commitment.
    pub(super) fn open(
        &self,
        keys: &Xaes,
        number: u64,
        raw: &Raw,
        state: &SlotState,
    ) -> Result<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new(array(raw, KEY));
        keys.open(&array(raw, 0), &self.key_aad(state.kind, number), &mut *key, &array(raw, KEY_TAG))
            .map_err(|_| self.missing(number))?;
        if !equal(&self.commitment(state.kind, number, &key)?, &state.commitment) {
            return Err(self.missing(number));
        }
        Ok(key)
    }

    fn missing(&self, number: u64) -> crate::error::Error {
        fail!(
            KeyMissing,
            "slot {number} of tenant {} holds no key that opens: restore the key store from a copy",
            self.tenant
        )
    }

    fn seal_state(&self, raw: &mut Raw, number: u64, state: &SlotState) -> Result<()> {
        let mut text = state.encode();
        let tag = self.states.seal_with(&array(raw, 0), &self.state_aad(number, raw), &mut text)?;
        raw[STATE..STATE_TAG].copy_from_slice(&text);
        raw[STATE_TAG..].copy_from_slice(&tag);
        Ok(())
    }

    fn key_aad(&self, kind: SlotKind, number: u64) -> Vec<u8> {
        let label = &b"strongroom/1 slot key"[..];
        [label, self.store.as_bytes(), self.tenant.as_bytes(), &[kind as u8], &number.to_le_bytes()].concat()
    }

    fn state_aad(&self, number: u64, raw: &Raw) -> Vec<u8> {
        let label = &b"strongroom/1 slot state"[..];
        let bound = &raw[KEY..STATE];
        [label, self.store.as_bytes(), self.tenant.as_bytes(), &number.to_le_bytes(), bound].concat()
    }

    fn commitment(&self, kind: SlotKind, number: u64, key: &[u8; 32]) -> Result<[u8; 32]> {
        let context = [&[kind as u8][..], &number.to_le_bytes(), self.tenant.as_bytes()].concat();
        Ok(*kdf::expand(key, b"strongroom/1 commitment", &context)?)
    }
}

/// Parses anything, for fuzzing: a state that parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_slot(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<STATE_BYTES>()
        && let Some(state) = SlotState::parse(bytes)
    {
        assert_eq!(state.encode(), *bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::OsEntropy;

    fn fixture() -> (SlotSealer, Xaes, Raw) {
        let section = SectionKey::generate(&OsEntropy).expect("random");
        let sealer =
            SlotSealer::new(StoreId::new([1; 16]), TenantId::new([2; 16]), &section).expect("derives");
        let keys = SlotSealer::key_cipher(&section).expect("derives");
        let raw = sealer
            .seal(&OsEntropy, &keys, 9, (SlotKind::Data, SlotStatus::Live, 77), &[5; 32])
            .expect("seals");
        (sealer, keys, raw)
    }

    #[test]
    fn a_slot_reads_back() {
        let (sealer, keys, raw) = fixture();
        let state = sealer.state(9, &raw).expect("authentic");
        assert_eq!((state.kind, state.status, state.attribute), (SlotKind::Data, SlotStatus::Live, 77));
        assert_eq!(*sealer.open(&keys, 9, &raw, &state).expect("opens"), [5; 32]);
    }

    #[test]
    fn no_byte_of_a_slot_can_be_changed_and_no_slot_moved() {
        let (sealer, _, raw) = fixture();
        for index in 0..SLOT_BYTES {
            let mut altered = raw;
            altered[index] ^= 1;
            assert_eq!(sealer.state(9, &altered), None, "byte {index}");
        }
        assert_eq!(sealer.state(8, &raw), None);
        assert_eq!(sealer.state(9, &EMPTY), None);
    }

    #[test]
    fn a_tombstone_is_authentic_and_holds_no_key() {
        let (sealer, keys, raw) = fixture();
        let state = sealer.state(9, &raw).expect("authentic");
        let tombstone = sealer.tombstone(&OsEntropy, 9, &state).expect("seals");
        let state = sealer.state(9, &tombstone).expect("authentic");
        assert_eq!((state.status, state.attribute, state.commitment), (SlotStatus::Destroyed, 77, [0; 32]));
        assert!(sealer.open(&keys, 9, &tombstone, &state).is_err());
        assert!(tombstone.windows(32).all(|window| !raw[..STATE].windows(32).any(|old| old == window)));
    }
}
