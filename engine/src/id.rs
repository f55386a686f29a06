//! Identifiers. Store, tenant and file ids are 128 random bits, so a directory listing names no customer
//! (FORMAT.md section 1).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result, fail};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) [u8; 16]);

        impl $name {
            pub(crate) const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id's bytes, as stored.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            #[allow(dead_code, reason = "not every kind of id is read back from a file name")]
            pub(crate) fn parse(text: &str) -> Option<Self> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// A store's id: that of its system tenant.
    StoreId
}
id! {
    /// A tenant's id, random, never reused. Files, logs and errors name a tenant by it.
    TenantId
}
id! {
    /// A tenant file's id: a rewrite makes a new one.
    FileId
}

id! {
    /// The id of the chunks of one large value, random, never reused; that of the upload that makes them.
    ChunkSetId
}

/// What [`ChunkSetId::as_bytes`] gave.
impl From<[u8; 16]> for ChunkSetId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// What [`ChunkSetId`] displays as: 32 lower-case hexadecimal digits.
impl FromStr for ChunkSetId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
            .ok_or_else(|| fail!(InvalidArgument, "an upload's id is 32 lower-case hexadecimal digits"))
    }
}

impl StoreId {
    /// The tenant that holds the catalog.
    #[must_use]
    pub const fn system_tenant(self) -> TenantId {
        TenantId(self.0)
    }
}

impl FileId {
    /// No file.
    pub(crate) const NONE: Self = Self([0; 16]);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// A collection's id, random within its tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub(crate) u64);

impl CollectionId {
    /// Its length, in front of a record's key.
    pub(crate) const BYTES: usize = 8;

    /// Big-endian, as it stands in front of a record's key.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const VERSION_BYTES: usize = 12;

/// When a record was written: its batch's timeline and sequence. Greater is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Grows at each unclean open and accepted rollback.
    pub timeline: u32,
    /// Grows by one with each batch of the tenant.
    pub sequence: u64,
}

impl Version {
    pub(crate) fn encode(self) -> [u8; VERSION_BYTES] {
        let mut bytes = [0; VERSION_BYTES];
        bytes[..4].copy_from_slice(&self.timeline.to_le_bytes());
        bytes[4..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// The version before an envelope, and the envelope.
    pub(crate) fn split(row: &[u8]) -> Result<(Self, &[u8])> {
        let parts = row.split_first_chunk::<4>().and_then(|(timeline, rest)| {
            let (sequence, rest) = rest.split_first_chunk::<8>()?;
            Some((u32::from_le_bytes(*timeline), u64::from_le_bytes(*sequence), rest))
        });
        let (timeline, sequence, rest) = parts.ok_or_else(|| fail!(Corrupted, "a row is cut short"))?;
        Ok((Self { timeline, sequence }, rest))
    }
}

/// `timeline.sequence`, in decimal.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.timeline, self.sequence)
    }
}

/// What [`Version`] displays as, and nothing else.
impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(timeline, sequence)| {
            Some(Self { timeline: timeline.parse().ok()?, sequence: sequence.parse().ok()? })
        });
        parts.filter(|version| version.to_string() == text).ok_or_else(|| {
            fail!(InvalidArgument, "a version is its timeline, a point and its sequence, as in 1.42")
        })
    }
}

/// The process that opened something. A forked child shares files and locks with its parent but not its threads:
/// whatever it did to them would go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Refuses to go on in another process.
    pub(crate) fn check(self) -> Result<()> {
        if self.0 == std::process::id() {
            return Ok(());
        }
        Err(fail!(Forked, "this handle was opened before a fork: open the store in the process that uses it"))
    }
}

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

/// The value of a lower-case hexadecimal digit.
pub(crate) const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_nothing_else_does() {
        let id = TenantId([0xa5; 16]);
        assert_eq!(TenantId::parse(&id.to_string()), Some(id));
        for bad in ["", "a5", &"A5".repeat(16), &"g0".repeat(16), &"a5".repeat(17)] {
            assert_eq!(TenantId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_version_reads_back_from_its_text_and_nothing_else_does() {
        for version in [(0, 0), (1, 42), (u32::MAX, u64::MAX)] {
            let version = Version { timeline: version.0, sequence: version.1 };
            assert_eq!(version.to_string().parse::<Version>().ok(), Some(version));
        }
        for bad in
            ["", "1", "1.", ".1", "1.2.3", "+1.2", "1.+2", "01.2", "1.02", " 1.2", "1.2 ", "4294967296.1"]
        {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
