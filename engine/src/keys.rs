//! Keys and where they are kept: providers, and the keyring of each tenant in the key store (FORMAT.md section 4).
//!
//! Invariant 2: nothing here is ever written below a region's root.

mod anchor;
mod destructions;
mod header;
mod key_file;
mod keyring;
mod lease;
mod ledger;
mod passphrase;
mod provider;
mod slot;
mod subjects;
mod twins;

pub(crate) use anchor::{Anchor, NO_FILE, REPLACE_FILE};
pub(crate) use destructions::Fate;
pub use key_file::KeyFile;
pub(crate) use keyring::{Keyring, KeyringHealth, NewKeyring, destroy_keyring};
pub(crate) use lease::{Lease, LeaseTerms, Standing};
pub use ledger::{LedgerEntry, LedgerEvent};
pub use passphrase::Passphrase;
pub(crate) use provider::Providers;
pub use provider::{KeyProvider, ProviderError, Section, WrapContext};
pub(crate) use slot::{SlotKind, SlotStatus};
pub(crate) use subjects::SubjectsFound;

/// The parsers of this module, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) mod fuzzing {
    pub(crate) use super::anchor::fuzz_anchor;
    pub(crate) use super::header::fuzz_header;
    pub(crate) use super::key_file::fuzz_key_file;
    pub(crate) use super::ledger::fuzz_ledger;
    pub(crate) use super::slot::fuzz_slot;
}
