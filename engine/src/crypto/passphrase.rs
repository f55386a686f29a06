//! A key from a passphrase: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::error::{Result, fail};

/// The cost of guessing a passphrase. Stored beside what it protects, so it may be raised later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory in KiB, 8 to 4,194,304. Default 65,536 (64 MiB).
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 64. Default 3.
    pub passes: u32,
    /// Lanes, 1 to 16. Default 4.
    pub lanes: u32,
}

impl Default for Argon2Params {
    /// The second recommended option of RFC 9106 section 4.
    fn default() -> Self {
        Self { memory_kib: 65_536, passes: 3, lanes: 4 }
    }
}

impl Argon2Params {
    /// Bounds what a damaged or hostile file can make a reader spend.
    pub(crate) fn check(self) -> Result<Self> {
        let within = (8..=4_194_304).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes;
        if within {
            return Ok(self);
        }
        Err(fail!(
            InvalidArgument,
            "Argon2id wants 8 to 4,194,304 KiB of memory (at least 8 a lane), 1 to 64 passes and 1 to 16 lanes"
        ))
    }
}

/// The 32-byte key of a passphrase. Takes as long as the parameters demand.
pub(crate) fn derive_passphrase_key(
    passphrase: &[u8],
    salt: &[u8],
    params: Argon2Params,
) -> Result<Zeroizing<[u8; 32]>> {
    let params = params.check()?;
    let params = Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .map_err(|error| fail!(InvalidArgument, "Argon2id refused its parameters: {error}"))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, key.as_mut_slice())
        .map_err(|error| fail!(Io, "Argon2id failed: {error}"))?;
    Ok(key)
}
