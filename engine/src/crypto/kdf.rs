//! Derivation: HKDF with SHA-256 (RFC 5869) and HMAC-SHA-256 (RFC 2104).

use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Result, fail};

/// `expand(key, label || context)`: HKDF-Expand to 32 bytes, the key used as the pseudo-random key as RFC 5869
/// section 3.3 allows for uniformly random keys.
pub(crate) fn expand(key: &[u8; 32], label: &[u8], context: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let mut okm = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::from_prk(key)
        .map_err(|_| fail!(Internal, "a key is shorter than HKDF's hash"))?
        .expand_multi_info(&[label, context], okm.as_mut_slice())
        .map_err(|_| fail!(Internal, "HKDF refused an output of 32 bytes"))?;
    Ok(okm)
}

/// `mac(key, text)`: HMAC-SHA-256.
pub(crate) fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // HMAC pads a key shorter than its hash's block with zeros (RFC 2104 section 2).
    let mut padded = Zeroizing::new([0; 64]);
    padded[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*padded).into());
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// A pseudo-random key, its HMAC state set up once: expanding it costs two compressions. Wiped on drop by the
/// hash's `zeroize` feature.
pub(crate) struct Prk(Hkdf<Sha256>);

impl Prk {
    /// `extract(salt, ikm)`, the input keying material in parts.
    pub(crate) fn extract<'a>(salt: &[u8], ikm: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        for part in ikm {
            extract.input_ikm(part);
        }
        Self(extract.finalize().1)
    }

    /// `expand(PRK, label || context)`.
    pub(crate) fn expand(&self, label: &[u8], context: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let mut okm = Zeroizing::new([0; 32]);
        self.0
            .expand_multi_info(&[label, context], okm.as_mut_slice())
            .map_err(|_| fail!(Internal, "HKDF refused an output of 32 bytes"))?;
        Ok(okm)
    }
}

impl std::fmt::Debug for Prk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prk")
    }
}
