//! A key from a passphrase (FORMAT.md section 4.7).

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::crypto::aead::Xaes;
use crate::crypto::{Argon2Params, Entropy, OsEntropy, derive_passphrase_key};
use crate::keys::key_file::{WRAPPED_BYTES, internal, open_key, seal_key};
use crate::keys::provider::{KeyProvider, ProviderError, WrapContext};

const SALT_BYTES: usize = 16;
const PREFIX_BYTES: usize = SALT_BYTES + 12;

/// Wraps keys under a passphrase, by Argon2id (RFC 9106). Salt and parameters stand beside each wrapped key.
///
/// A derivation takes the time and memory its parameters demand; it is done once for each salt and remembered, and a
/// store uses one salt unless its passphrase was changed.
pub struct Passphrase {
    secret: Zeroizing<Vec<u8>>,
    params: Argon2Params,
    derived: Mutex<Vec<Derived>>,
}

#[derive(Clone)]
struct Derived {
    salt: [u8; SALT_BYTES],
    params: Argon2Params,
    cipher: Arc<Xaes>,
}

impl Passphrase {
    /// A passphrase, as bytes: no normalisation is done. It should hold at least 80 bits of entropy.
    #[must_use]
    pub fn new(passphrase: impl Into<Vec<u8>>) -> Self {
        Self {
            secret: Zeroizing::new(passphrase.into()),
            params: Argon2Params::default(),
            derived: Mutex::new(Vec::new()),
        }
    }

    /// The cost of derivation for keys wrapped under a new salt.
    #[must_use]
    pub fn params(mut self, params: Argon2Params) -> Self {
        self.params = params;
        self
    }

    /// The cipher for a salt; the lock is held over the derivation, so that it happens once.
    fn cipher(&self, salt: [u8; SALT_BYTES], params: Argon2Params) -> Result<Arc<Xaes>, ProviderError> {
        let mut derived = self.derived.lock();
        if let Some(known) = derived.iter().find(|known| known.salt == salt && known.params == params) {
            return Ok(Arc::clone(&known.cipher));
        }
        let key = derive_passphrase_key(&self.secret, &salt, params)
            .map_err(|error| ProviderError::denied(error.to_string()))?;
        let cipher = Arc::new(Xaes::new(&key));
        derived.push(Derived { salt, params, cipher: Arc::clone(&cipher) });
        Ok(cipher)
    }

    /// The salt in use with the configured parameters, or a new one.
    fn salt(&self) -> Result<[u8; SALT_BYTES], ProviderError> {
        if let Some(known) = self.derived.lock().iter().rev().find(|known| known.params == self.params) {
            return Ok(known.salt);
        }
        let mut salt = [0; SALT_BYTES];
        OsEntropy.fill(&mut salt).map_err(internal)?;
        Ok(salt)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("params", &self.params).finish_non_exhaustive()
    }
}

impl KeyProvider for Passphrase {
    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>, ProviderError> {
        let salt = self.salt()?;
        let cipher = self.cipher(salt, self.params)?;
        let numbers =
            [self.params.memory_kib, self.params.passes, self.params.lanes].map(u32::to_le_bytes).concat();
        Ok([&salt[..], &numbers, &seal_key(&cipher, key, context)?].concat())
    }

    fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        // A key of another provider must not be taken for one with absurd parameters.
        if wrapped.len() != PREFIX_BYTES + WRAPPED_BYTES {
            return Err(ProviderError::denied("this key was not wrapped under a passphrase, or is damaged"));
        }
        let denied = || ProviderError::denied("the passphrase is not the one this key was wrapped with");
        let (prefix, sealed) = wrapped.split_first_chunk::<PREFIX_BYTES>().ok_or_else(denied)?;
        let (salt, numbers) = prefix.split_first_chunk::<SALT_BYTES>().ok_or_else(denied)?;
        let mut numbers = numbers.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let (Some(memory_kib), Some(passes), Some(lanes)) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(denied());
        };
        let cipher = self.cipher(*salt, Argon2Params { memory_kib, passes, lanes })?;
        open_key(&cipher, sealed, context).ok_or_else(denied)
    }
}
