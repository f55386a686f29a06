//! Randomness, from the operating system; in tests from a seed, so that a failing run can be repeated.

use std::fmt::Debug;

use crate::error::{Result, fail};

/// A source of random bytes fit for keys.
pub trait Entropy: Send + Sync + Debug + 'static {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// `Io` when the operating system gives none.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's generator, asked each time: nothing is kept that a fork or the clone of a virtual
/// machine could repeat.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes)
            .map_err(|error| fail!(Io, "the operating system gives no random bytes: {error}"))
    }
}

/// Bytes from a seed, for tests only: they are predictable.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub struct SeededEntropy(parking_lot::Mutex<u64>);

#[cfg(feature = "simulation")]
impl SeededEntropy {
    /// A source that gives the same bytes for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(parking_lot::Mutex::new(seed))
    }
}

#[cfg(feature = "simulation")]
impl Entropy for SeededEntropy {
    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        let mut state = self.0.lock();
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
