//! The ciphers from the `RustCrypto` crates aes-gcm and xaes-256-gcm.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256Enc;
use aes_gcm::{AesGcm, Nonce, Tag};
use xaes_256_gcm::Xaes256Gcm;

use super::{NONCE_BYTES, TAG_BYTES, Unauthentic};
use crate::error::{Error, Result, fail};

/// GCM never decrypts with the block cipher, and a key used once pays for its key schedule: the encryption
/// half alone is cheaper.
type Gcm = AesGcm<Aes256Enc, U12>;

pub(super) fn gcm_seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    text: &mut [u8],
) -> Result<[u8; TAG_BYTES]> {
    let tag = Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::from(*nonce), aad, text.into())
        .map_err(too_long)?;
    Ok(tag.into())
}

pub(super) fn gcm_open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Unauthentic> {
    Gcm::new(key.into())
        .decrypt_inout_detached(&Nonce::from(*nonce), aad, text.into(), &Tag::from(*tag))
        .map_err(|_| Unauthentic)
}

pub(super) struct Xaes(Xaes256Gcm);

impl Xaes {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Xaes256Gcm::new(key.into()))
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES]> {
        let tag = self.0.encrypt_inout_detached(&(*nonce).into(), aad, text.into()).map_err(too_long)?;
        Ok(tag.into())
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        self.0
            .decrypt_inout_detached(&(*nonce).into(), aad, text.into(), &(*tag).into())
            .map_err(|_| Unauthentic)
    }
}

/// GCM refuses texts beyond 64 GiB; ours end at 1 MiB.
fn too_long(_: aes_gcm::aead::Error) -> Error {
    fail!(Internal, "a text is too long for AES-GCM")
}
