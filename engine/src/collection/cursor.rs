//! Cursors: where a scan goes on, sealed, so that they can be given to anybody (FORMAT.md appendix B).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::Entropy;
use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::error::{Error, Result, fail};
use crate::id::{CollectionId, StoreId, TenantId};
use crate::limits::RECORD_KEY_BYTES_MAX;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"strongroom/1 cursor";
/// In place of an index: the order of removed records. No index has this id.
pub(crate) const REMOVED_ORDER: u64 = u64::MAX;
/// Collection, index, direction.
const SCOPE_BYTES: usize = 17;
const BYTES_MIN: usize = 1 + NONCE_BYTES + SCOPE_BYTES + TAG_BYTES;
/// Longest cursor, in bytes.
const BYTES_MAX: usize = BYTES_MIN + 3 * RECORD_KEY_BYTES_MAX;

/// Where a scan goes on. Opaque: it is sealed, so it shows neither the key at which the scan stood nor anything else but
/// that key's length, and it can be handed to a client and taken back.
///
/// It is good for the collection, the order and the direction it came from, for as long as the collection is there: after
/// restarts, checkpoints and rewrites too. It does not age, and says nothing of what was there when it was made: what was
/// put meanwhile behind it shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A cursor from its bytes. Whether it is genuine shows when it is used.
    ///
    /// # Errors
    /// `InvalidArgument` for a length that no cursor has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) { Ok(Self(bytes.into())) } else { Err(not_one()) }
    }
}

/// Base64 with the alphabet for URLs, without padding (RFC 4648 section 5).
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// What a cursor displays as, and nothing else.
impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_bytes(&URL_SAFE_NO_PAD.decode(text).map_err(|_| not_one())?)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

/// What a cursor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorScope {
    pub(crate) collection: CollectionId,
    /// The index whose order it is; 0 for that of the records' keys, [`REMOVED_ORDER`] for that of removed ones'.
    pub(crate) index: u64,
    pub(crate) reverse: bool,
}

impl CursorScope {
    fn encode(self) -> [u8; SCOPE_BYTES] {
        let mut bytes = [0; SCOPE_BYTES];
        bytes[..8].copy_from_slice(&self.collection.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.index.to_be_bytes());
        bytes[16] = u8::from(self.reverse);
        bytes
    }
}

/// Seals and opens the cursors of one tenant.
#[derive(Debug)]
pub(crate) struct CursorSealer {
    xaes: Xaes,
    aad: Vec<u8>,
}

impl CursorSealer {
    pub(crate) fn new(key: &[u8; 32], store: StoreId, tenant: TenantId) -> Self {
        let aad = [LABEL, store.as_bytes(), tenant.as_bytes()].concat();
        Self { xaes: Xaes::new(key), aad }
    }

    /// A cursor behind a position.
    pub(crate) fn seal(&self, entropy: &dyn Entropy, scope: CursorScope, position: &[u8]) -> Result<Cursor> {
        let mut text = [&scope.encode()[..], position].concat();
        let (nonce, tag) = self.xaes.seal(entropy, &self.aad, &mut text)?;
        Ok(Cursor([&[VERSION][..], &nonce, &text, &tag].concat().into()))
    }

    /// The position of a cursor of this scope.
    pub(crate) fn open(&self, scope: CursorScope, cursor: &Cursor) -> Result<Vec<u8>> {
        let parts = cursor.0.split_first().and_then(|(version, rest)| {
            let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
            let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
            Some((*version, nonce, sealed.to_vec(), tag))
        });
        let Some((VERSION, nonce, mut text, tag)) = parts else { return Err(not_one()) };
        if self.xaes.open(nonce, &self.aad, &mut text, tag).is_err() {
            return Err(fail!(
                InvalidArgument,
                "the cursor was altered, or is another tenant's: begin without one"
            ));
        }
        let Some((sealed_scope, position)) = text.split_first_chunk::<SCOPE_BYTES>() else {
            return Err(not_one());
        };
        if *sealed_scope != scope.encode() {
            return Err(fail!(
                InvalidArgument,
                "the cursor is of another collection, index or direction, or its collection was dropped since: begin \
                 without one"
            ));
        }
        Ok(position.to_vec())
    }
}

fn not_one() -> Error {
    fail!(InvalidArgument, "this is not a cursor: give one as a scan gave it")
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use super::*;
    use crate::crypto::SeededEntropy;
    use crate::error::ErrorKind;

    #[test]
    fn a_cursor_opens_in_its_own_scope_only_and_not_when_a_bit_of_it_is_flipped() {
        let (store, tenant) = (StoreId([1; 16]), TenantId([2; 16]));
        let sealer = CursorSealer::new(&[3; 32], store, tenant);
        let scope = CursorScope { collection: CollectionId(4), index: 0, reverse: false };
        let cursor = sealer.seal(&SeededEntropy::new(5), scope, b"key").expect("seals");
        let text = cursor.to_string();
        assert_eq!(text.parse::<Cursor>().ok(), Some(cursor.clone()));
        assert_eq!(sealer.open(scope, &cursor).ok().as_deref(), Some(&b"key"[..]));
        let refused = |sealer: &CursorSealer, scope, cursor: &Cursor| {
            let refused = sealer.open(scope, cursor).map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::InvalidArgument));
        };
        refused(&sealer, CursorScope { collection: CollectionId(5), ..scope }, &cursor);
        refused(&sealer, CursorScope { index: 1, ..scope }, &cursor);
        refused(&sealer, CursorScope { reverse: true, ..scope }, &cursor);
        refused(&CursorSealer::new(&[3; 32], store, TenantId([3; 16])), scope, &cursor);
        refused(&CursorSealer::new(&[3; 32], StoreId([2; 16]), tenant), scope, &cursor);
        refused(&CursorSealer::new(&[4; 32], store, tenant), scope, &cursor);
        for bit in 0..8 * cursor.0.len() {
            let mut altered = cursor.clone();
            altered.0[bit / 8] ^= 1 << (bit % 8);
            refused(&sealer, scope, &altered);
        }
        for bad in ["", "AAAA", &text[1..], &format!("{text}="), &text.replace('A', "+")] {
            if let Ok(other) = bad.parse::<Cursor>() {
                assert_ne!(other, cursor);
                refused(&sealer, scope, &other);
            }
        }
    }
}
