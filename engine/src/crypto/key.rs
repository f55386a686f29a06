//! One type for each kind of key, so that none can stand in for another. All are wiped on drop and none shows
//! itself in `Debug`.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::entropy::Entropy;
use crate::error::Result;

pub(crate) const KEY_BYTES: usize = 32;

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub(crate) struct $name([u8; KEY_BYTES]);

        #[allow(dead_code, reason = "each kind uses what its life needs")]
        impl $name {
            pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self> {
                let mut key = Self([0; KEY_BYTES]);
                entropy.fill(&mut key.0)?;
                Ok(key)
            }

            pub(crate) fn from_bytes(bytes: &Zeroizing<[u8; KEY_BYTES]>) -> Self {
                Self(**bytes)
            }

            pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

key! {
    /// Opens one section of a keyring: structure or content.
    SectionKey
}
key! {
    /// Seals a tenant's blocks, and with them names.
    StructureKey
}
key! {
    /// A tenant's value key of one generation.
    DataKey
}
key! {
    /// Goes into the keys of the records of one period, and is destroyed when it is over.
    PeriodKey
}
key! {
    /// Goes into the keys of the records of one person, or of one record, and is destroyed to erase them.
    SubjectKey
}
key! {
    /// Seals one record, once.
    RecordKey
}
