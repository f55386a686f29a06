//! The header of a keyring and of a file of subject slots (FORMAT.md sections 4.1, 4.6).

use crate::crypto::{equal, kdf};
use crate::error::{Result, fail};
use crate::id::{StoreId, TenantId};
use crate::limits::{LABEL_BYTES_MAX, WRAPPED_KEY_BYTES_MAX};

pub(super) const BLOCK: usize = 4_096;
const MAC_OFFSET: usize = BLOCK - 32;
const FORMAT_VERSION: u16 = 1;
const PROVIDER: usize = 68;
const STRUCTURE: usize = 136;
const CONTENT: usize = STRUCTURE + WRAPPED_KEY_BYTES_MAX;
const END: usize = CONTENT + WRAPPED_KEY_BYTES_MAX;

/// Whose header it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Keyring,
    /// Subject slots. Provider and wrapped keys are empty.
    Subjects,
}

impl Holder {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Keyring => b"SRKEYRNG",
            Self::Subjects => b"SRSLOTS1",
        }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) holder: Holder,
    pub(super) store: StoreId,
    pub(super) tenant: TenantId,
    pub(super) sequence: u64,
    pub(super) generation: u32,
    pub(super) provider: String,
    pub(super) structure: Vec<u8>,
    pub(super) content: Vec<u8>,
}

impl Header {
    /// The header's block, its MAC by `mac_key`.
    pub(super) fn encode(&self, mac_key: &[u8; 32]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put =
            |offset: usize, bytes: &[u8]| block[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, self.holder.magic());
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(24, self.store.as_bytes());
        put(40, self.tenant.as_bytes());
        put(56, &self.sequence.to_le_bytes());
        put(64, &self.generation.to_le_bytes());
        put(PROVIDER, &[u8::try_from(self.provider.len()).unwrap_or(u8::MAX)]);
        put(PROVIDER + 1, self.provider.as_bytes());
        put(132, &u16::try_from(self.structure.len()).unwrap_or(u16::MAX).to_le_bytes());
        put(134, &u16::try_from(self.content.len()).unwrap_or(u16::MAX).to_le_bytes());
        put(STRUCTURE, &self.structure);
        put(CONTENT, &self.content);
        let mac = kdf::mac(mac_key, &block[..MAC_OFFSET]);
        block[MAC_OFFSET..].copy_from_slice(&mac);
        block
    }

    /// Reads a header without knowing yet whether it is authentic: [`Header::authentic`] tells.
    pub(super) fn parse(holder: Holder, block: &[u8; BLOCK]) -> Result<Self> {
        if block[..8] != *holder.magic() {
            return Err(fail!(UnsupportedFormat, "not a keyring"));
        }
        let version = u16::from_le_bytes(array(block, 8));
        let incompatible = u32::from_le_bytes(array(block, 12));
        let read_only = u32::from_le_bytes(array(block, 16));
        if version != FORMAT_VERSION || incompatible != 0 || read_only != 0 {
            return Err(fail!(UnsupportedFormat, "a keyring of a newer format: use a newer version"));
        }
        let provider_bytes = usize::from(block[PROVIDER]);
        let structure_bytes = usize::from(u16::from_le_bytes(array(block, 132)));
        let content_bytes = usize::from(u16::from_le_bytes(array(block, 134)));
        if provider_bytes > LABEL_BYTES_MAX
            || structure_bytes > WRAPPED_KEY_BYTES_MAX
            || content_bytes > WRAPPED_KEY_BYTES_MAX
        {
            return Err(fail!(Corrupted, "a keyring's header has a length out of bounds"));
        }
        let provider = std::str::from_utf8(&block[PROVIDER + 1..][..provider_bytes])
            .map_err(|_| fail!(Corrupted, "a keyring's header has a malformed provider name"))?;
        Ok(Self {
            holder,
            store: StoreId::new(array(block, 24)),
            tenant: TenantId::new(array(block, 40)),
            sequence: u64::from_le_bytes(array(block, 56)),
            generation: u32::from_le_bytes(array(block, 64)),
            provider: provider.to_owned(),
            structure: block[STRUCTURE..][..structure_bytes].to_vec(),
            content: block[CONTENT..][..content_bytes].to_vec(),
        })
    }

    /// Whether the block's MAC verifies and nothing is where zero should be.
    pub(super) fn authentic(block: &[u8; BLOCK], mac_key: &[u8; 32]) -> bool {
        equal(&kdf::mac(mac_key, &block[..MAC_OFFSET]), &block[MAC_OFFSET..])
            && block[END..MAC_OFFSET].iter().all(|byte| *byte == 0)
    }
}

/// `N` bytes at an offset that is a constant within the block.
pub(super) fn array<const N: usize>(block: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&block[offset..offset + N]);
    bytes
}

/// Parses anything, for fuzzing: a header that parses encodes to the bytes it came from, but for what is zero and
/// the MAC.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_header(data: &[u8]) {
    let mut block = [0; BLOCK];
    let length = data.len().min(BLOCK);
    block[..length].copy_from_slice(&data[..length]);
    for holder in [Holder::Keyring, Holder::Subjects] {
        if let Ok(header) = Header::parse(holder, &block) {
            let again = Header::parse(holder, &header.encode(&[0; 32]));
            assert_eq!(again.ok(), Some(header));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            holder: Holder::Keyring,
            store: StoreId::new([1; 16]),
            tenant: TenantId::new([2; 16]),
            sequence: 3,
            generation: 1,
            provider: "default".to_owned(),
            structure: vec![5; 72],
            content: vec![6; WRAPPED_KEY_BYTES_MAX],
        }
    }

    #[test]
    fn a_header_reads_back() {
        let block = header().encode(&[7; 32]);
        assert_eq!(Header::parse(Holder::Keyring, &block).ok(), Some(header()));
        assert!(Header::parse(Holder::Subjects, &block).is_err());
        assert!(Header::authentic(&block, &[7; 32]) && !Header::authentic(&block, &[8; 32]));
    }

    #[test]
    fn no_byte_of_a_header_can_be_changed() {
        let block = header().encode(&[7; 32]);
        for index in 0..BLOCK {
            let mut altered = block;
            altered[index] ^= 1;
            assert!(!Header::authentic(&altered, &[7; 32]), "byte {index}");
        }
    }
}
