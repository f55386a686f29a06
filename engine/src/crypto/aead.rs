//! The two ciphers: AES-256-GCM under a key used once (NIST SP 800-38D), and XAES-256-GCM under a key used
//! often (C2SP XAES-256-GCM: a 192-bit random nonce, so neither a counter nor a limit of 2^32 messages).
//!
//! This file is the seam: another implementation of the same two ciphers replaces `rustcrypto` and nothing
//! else, and must pass the same Wycheproof and C2SP vectors.

mod rustcrypto;

use crate::crypto::entropy::Entropy;
use crate::error::Result;

pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const NONCE_BYTES: usize = 24;

/// The text does not authenticate. Tells no cause.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unauthentic;

/// Seals `text` in place under a key that seals nothing else; returns the tag.
pub(crate) fn seal_once(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    text: &mut [u8],
) -> Result<[u8; TAG_BYTES]> {
    rustcrypto::gcm_seal(key, nonce, aad, text)
}

/// Opens in place what [`seal_once`] sealed. On failure `text` holds nothing of the plain text.
pub(crate) fn open_once(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Unauthentic> {
    rustcrypto::gcm_open(key, nonce, aad, text, tag)
}

/// XAES-256-GCM under one key; zeroized on drop.
pub(crate) struct Xaes(rustcrypto::Xaes);

impl Xaes {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(rustcrypto::Xaes::new(key))
    }

    /// Seals `text` in place under a fresh random nonce; returns nonce and tag.
    pub(crate) fn seal(
        &self,
        entropy: &dyn Entropy,
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<([u8; NONCE_BYTES], [u8; TAG_BYTES])> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce)?;
        let tag = self.seal_with(&nonce, aad, text)?;
        Ok((nonce, tag))
    }

    /// Seals under a nonce of the caller's, who guarantees that it is 192 random bits.
    pub(crate) fn seal_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES]> {
        self.0.seal(nonce, aad, text)
    }

    /// Opens in place. On failure `text` holds nothing of the plain text.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        self.0.open(nonce, aad, text, tag)
    }
}

impl std::fmt::Debug for Xaes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xaes")
    }
}
