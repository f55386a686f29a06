//! Digests that stand for names where a store is open for maintenance: keyed, so that they can't be guessed at without the
//! structure keys, and the same for a name whenever and wherever the store is opened.

use zeroize::Zeroizing;

use crate::collection::CollectionInfo;
use crate::crypto::kdf;
use crate::error::Result;
use crate::hold::{HoldInfo, Selector};

/// What a digest begins with.
const MARK: char = '~';
/// Bytes of the HMAC that it shows.
const DIGEST_BYTES: usize = 16;

/// The key of a store's digests.
#[derive(Debug)]
pub(crate) struct Digests(Zeroizing<[u8; 32]>);

impl Digests {
    /// Derived from the key of the store's markers: of the structure section of its catalog.
    pub(crate) fn derive(marker_key: &[u8; 32]) -> Result<Self> {
        kdf::expand(marker_key, b"strongroom/1 names shown", b"").map(Self)
    }

    /// `'~' || hex(HMAC-SHA256(key, name)[..16])`.
    pub(crate) fn of(&self, name: impl AsRef<[u8]>) -> String {
        let mac = kdf::mac(&self.0, name.as_ref());
        let hex = mac.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}"));
        std::iter::once(MARK.to_string()).chain(hex).collect()
    }

    /// Whether this may be a digest, rather than a name.
    pub(crate) fn is_one(text: &str) -> bool {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.strip_prefix(MARK).is_some_and(|hex| hex.len() == 2 * DIGEST_BYTES && hex.bytes().all(is_hex))
    }

    pub(super) fn collection(&self, info: &CollectionInfo) -> CollectionInfo {
        CollectionInfo { name: self.of(&info.name), ..info.clone() }
    }

    pub(super) fn hold(&self, info: HoldInfo) -> HoldInfo {
        let bytes = |bytes: &[u8]| self.of(bytes).into_bytes();
        let selector = match info.selector {
            Selector::Tenant => Selector::Tenant,
            Selector::Collection(name) => Selector::Collection(self.of(name)),
            Selector::Prefix { collection, prefix } => {
                Selector::Prefix { collection: self.of(collection), prefix: bytes(&prefix) }
            }
            Selector::Record { collection, key } => {
                Selector::Record { collection: self.of(collection), key: bytes(&key) }
            }
            Selector::Subject(name) => Selector::Subject(self.of(name)),
        };
        HoldInfo { name: self.of(&info.name), selector, ..info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_differ_by_name_and_by_store_and_are_told_from_names() {
        let one = Digests::derive(&[1; 32]).expect("derives");
        let other = Digests::derive(&[2; 32]).expect("derives");
        assert_eq!(one.of("acme"), one.of("acme"));
        assert_ne!(one.of("acme"), one.of("globex"));
        assert_ne!(one.of("acme"), other.of("acme"));
        assert!(Digests::is_one(&one.of("acme")));
        for name in ["acme", "~", "~0123456789abcdef", "~0123456789abcdef0123456789abcdeg"] {
            assert!(!Digests::is_one(name));
        }
    }
}
