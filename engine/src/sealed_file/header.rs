//! The header of a sealed file (FORMAT.md section 5.1).

use crate::crypto::{StructureKey, equal, kdf};
use crate::error::{Result, fail};
use crate::id::{FileId, StoreId, TenantId};
use crate::sealed_file::layout::BLOCK;

const MAGIC: &[u8; 8] = b"SRSEALED";
const FORMAT_VERSION: u16 = 1;
const END: usize = 88;
const MAC_OFFSET: usize = BLOCK - 32;

/// Which file this is: bound into its header and every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) store: StoreId,
    pub(crate) tenant: TenantId,
    pub(crate) file: FileId,
    /// The structure slot whose key seals the file.
    pub(crate) epoch: u32,
}

impl FileIdentity {
    pub(super) fn encode_header(&self, key: &StructureKey, created_ms: u64) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let mut put =
            |offset: usize, bytes: &[u8]| block[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(24, self.store.as_bytes());
        put(40, self.tenant.as_bytes());
        put(56, self.file.as_bytes());
        put(72, &self.epoch.to_le_bytes());
        put(80, &created_ms.to_le_bytes());
        let mac = kdf::mac(&*self.header_key(key)?, &block[..MAC_OFFSET]);
        block[MAC_OFFSET..].copy_from_slice(&mac);
        Ok(block)
    }

    /// Checks that a header is this file's.
    pub(super) fn check_header(&self, key: &StructureKey, block: &[u8; BLOCK]) -> Result<()> {
        check_format(block)?;
        let authentic = equal(&kdf::mac(&*self.header_key(key)?, &block[..MAC_OFFSET]), &block[MAC_OFFSET..]);
        let ids = [&self.store.as_bytes()[..], self.tenant.as_bytes(), self.file.as_bytes()].concat();
        if !authentic || block[24..72] != ids[..] || block[72..76] != self.epoch.to_le_bytes() {
            return Err(fail!(Unauthentic, "its header does not authenticate as this tenant's file"));
        }
        let zero = [&block[10..12], &block[76..80], &block[END..MAC_OFFSET]];
        if zero.iter().any(|bytes| bytes.iter().any(|byte| *byte != 0)) {
            return Err(fail!(Corrupted, "its header is not zero where it should be"));
        }
        Ok(())
    }

    fn header_key(&self, key: &StructureKey) -> Result<zeroize::Zeroizing<[u8; 32]>> {
        kdf::expand(key.as_bytes(), b"strongroom/1 file header", self.file.as_bytes())
    }
}

/// Refuses what is no sealed file, or one of a newer format.
pub(super) fn check_format(block: &[u8; BLOCK]) -> Result<()> {
    if block[..8] != *MAGIC {
        return Err(fail!(UnsupportedFormat, "it is not a sealed file"));
    }
    if block[8..10] != FORMAT_VERSION.to_le_bytes() || block[12..20] != [0; 8] {
        return Err(fail!(UnsupportedFormat, "it has a newer format: use a newer version"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::OsEntropy;

    #[test]
    fn no_byte_of_a_header_can_be_changed_and_no_other_file_has_it() {
        let key = StructureKey::generate(&OsEntropy).expect("random");
        let identity = FileIdentity {
            store: StoreId::new([1; 16]),
            tenant: TenantId::new([2; 16]),
            file: FileId::new([3; 16]),
            epoch: 1,
        };
        let block = identity.encode_header(&key, 9).expect("encodes");
        assert!(identity.check_header(&key, &block).is_ok());
        for index in 0..BLOCK {
            let mut altered = block;
            altered[index] ^= 1;
            assert!(identity.check_header(&key, &altered).is_err(), "byte {index}");
        }
        let other = FileIdentity { tenant: TenantId::new([4; 16]), ..identity };
        assert!(other.check_header(&key, &block).is_err());
    }
}
