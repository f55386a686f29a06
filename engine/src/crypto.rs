//! Everything cryptographic, and the only place that names a cryptographic crate (FORMAT.md section 1.1).
//!
//! The formulas stand in [`kdf`] and in the modules that seal something; the primitives behind them are
//! chosen in [`aead`], so that another implementation of the same format can take their place.

pub(crate) mod aead;
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "a seam: tests alone replace it"))]
mod entropy;
pub(crate) mod kdf;
mod key;
mod passphrase;
mod processor;

pub(crate) use entropy::random;
#[cfg(not(feature = "simulation"))]
pub(crate) use entropy::{Entropy, OsEntropy};
#[cfg(feature = "simulation")]
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub(crate) use key::{DataKey, KEY_BYTES, PeriodKey, RecordKey, SectionKey, StructureKey, SubjectKey};
pub use passphrase::Argon2Params;
pub(crate) use passphrase::derive_passphrase_key;
#[cfg(target_arch = "x86_64")]
pub use processor::NEEDED_OF_CPUID_1_ECX;
pub(crate) use processor::check_processor;

use subtle::ConstantTimeEq;

/// Compares secrets or MACs in a time that depends on their length only.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
