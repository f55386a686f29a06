//! Zero retention: records that live in this process's memory only, for as long as their session.
//!
//! Nothing of them goes to a journal, a file or a key store. In memory they are sealed too, under a key of the session's own
//! that no key store ever holds: at the end it is wiped, and the sealed bytes and keys of records with it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use parking_lot::RwLock;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::crypto::random;
use crate::error::{Result, fail};
use crate::limits::{SESSION_BYTES_MAX, VALUE_BYTES_MAX, check_record_key};
use crate::record::Plaintext;
use crate::tenant::{Collection, Tenant};

const LABEL: &[u8] = b"strongroom/1 session";

/// A record of a session, sealed.
struct Kept {
    nonce: [u8; NONCE_BYTES],
    tag: [u8; TAG_BYTES],
    text: Zeroizing<Vec<u8>>,
}

/// A collection's name and a record's key, wiped when dropped.
#[derive(PartialEq, Eq)]
struct Place {
    collection: Arc<str>,
    key: Zeroizing<Vec<u8>>,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.collection.cmp(&other.collection).then_with(|| self.key[..].cmp(&other.key[..]))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
struct Records {
    /// Nothing once the session has ended.
    cipher: Option<Xaes>,
    kept: BTreeMap<Place, Kept>,
    /// Bytes of their keys and values.
    bytes: usize,
}

impl Records {
    fn cipher(&self) -> Result<&Xaes> {
        self.cipher.as_ref().ok_or_else(|| fail!(Poisoned, "the session has ended, and its records with it"))
    }

    /// Wipes everything, where it lies.
    fn wipe(&mut self) {
        // Its key is wiped as it is dropped.
        self.cipher = None;
        for kept in self.kept.values_mut() {
            kept.text.zeroize();
        }
        self.kept.clear();
        self.bytes = 0;
    }
}

/// Records that nothing retains: they can be read through this session alone, are never written to any file, and are gone,
/// wiped from memory, when it ends or is dropped. Usable from any thread; not cloned, so that its end is its end.
///
/// Values are sealed in memory, too. Keys of records are not. The memory is the process's: the operating system may swap it,
/// and a crash dump may hold it (`docs/THREATS.md`).
pub struct Session {
    tenant: Tenant,
    records: RwLock<Records>,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.records.get_mut().wipe();
    }
}

impl Tenant {
    /// A session whose records nothing retains.
    ///
    /// # Errors
    /// `Suspended`, `NotFound` of a tenant that is suspended or removed; `Io` where the operating system gives no
    /// randomness.
    pub fn session(&self) -> Result<Session> {
        self.check_usable()?;
        let key = Zeroizing::new(random::<32>(&*self.0.entropy)?);
        let records = Records { cipher: Some(Xaes::new(&key)), ..Records::default() };
        Ok(Session { tenant: self.clone(), records: RwLock::new(records) })
    }
}

impl Session {
    fn place(&self, collection: &Collection, key: &[u8]) -> Result<Place> {
        self.tenant.check_usable()?;
        if collection.tenant().id() != self.tenant.id() {
            return Err(fail!(InvalidArgument, "the collection belongs to another tenant"));
        }
        check_record_key(key)?;
        Ok(Place { collection: collection.name().into(), key: Zeroizing::new(key.to_vec()) })
    }

    /// `label || tenant id || length of the collection's name u8 || its name || record key`.
    fn aad(&self, place: &Place) -> Zeroizing<Vec<u8>> {
        let name = place.collection.as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        Zeroizing::new([LABEL, self.tenant.id().as_bytes(), &[length], name, &place.key[..]].concat())
    }

    /// Puts a record, over what the session has under the key, and nowhere else. What is stored under the same key stays as
    /// it is. The collection need not be there.
    ///
    /// # Errors
    /// `InvalidArgument` for a collection of another tenant; `LimitExceeded` for a value over 1 MiB, a key over its bound,
    /// and where the session would hold more than 64 MiB; `Poisoned` after its end; `Suspended`, `NotFound` of a tenant
    /// that is suspended, removed or erased.
    pub fn put(&self, collection: &Collection, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (place, value) = (self.place(collection, key.as_ref())?, value.as_ref());
        if value.len() > VALUE_BYTES_MAX {
            return Err(fail!(LimitExceeded, "a value of a session has at most {VALUE_BYTES_MAX} bytes"));
        }
        let mut text = Zeroizing::new(value.to_vec());
        let mut records = self.records.write();
        let aad = self.aad(&place);
        let (nonce, tag) = records.cipher()?.seal(&*self.tenant.0.entropy, &aad, &mut text)?;
        let before = records.kept.get(&place).map_or(0, |kept| kept.text.len() + place.key.len());
        let bytes = records.bytes - before + text.len() + place.key.len();
        if bytes > SESSION_BYTES_MAX {
            return Err(fail!(
                LimitExceeded,
                "a session holds at most {SESSION_BYTES_MAX} bytes: end it, or erase"
            ));
        }
        records.bytes = bytes;
        records.kept.insert(place, Kept { nonce, tag, text });
        Ok(())
    }

    /// A record's value; `None` where the session has no such record. What is stored is not looked at.
    ///
    /// # Errors
    /// Those of [`Session::put`] but the bounds.
    pub fn get(&self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<Option<Plaintext>> {
        let place = self.place(collection, key.as_ref())?;
        let records = self.records.read();
        let cipher = records.cipher()?;
        records.kept.get(&place).map(|kept| self.open(cipher, &place, kept)).transpose()
    }

    fn open(&self, cipher: &Xaes, place: &Place, kept: &Kept) -> Result<Plaintext> {
        let mut text = Zeroizing::new(kept.text.to_vec());
        cipher
            .open(&kept.nonce, &self.aad(place), &mut text, &kept.tag)
            .map_err(|_| fail!(Unauthentic, "a record in memory does not authenticate"))?;
        Ok(Plaintext::new(text))
    }

    /// The session's records of a collection whose keys lie in `range`, in ascending order.
    ///
    /// # Errors
    /// Those of [`Session::get`].
    pub fn scan<K: AsRef<[u8]>>(
        &self,
        collection: &Collection,
        range: impl RangeBounds<K>,
    ) -> Result<Vec<(Vec<u8>, Plaintext)>> {
        // Any key that may be one stands for the collection.
        let name = self.place(collection, b"k")?.collection;
        let place =
            |key: &K| Place { collection: Arc::clone(&name), key: Zeroizing::new(key.as_ref().to_vec()) };
        let from = match range.start_bound() {
            Bound::Included(key) => Bound::Included(place(key)),
            Bound::Excluded(key) => Bound::Excluded(place(key)),
            Bound::Unbounded => {
                Bound::Included(Place { collection: Arc::clone(&name), key: Zeroizing::default() })
            }
        };
        let is_before_end = |key: &[u8]| match range.end_bound() {
            Bound::Included(end) => key <= end.as_ref(),
            Bound::Excluded(end) => key < end.as_ref(),
            Bound::Unbounded => true,
        };
        let records = self.records.read();
        let cipher = records.cipher()?;
        let found = records.kept.range((from, Bound::Unbounded));
        found
            .take_while(|(place, _)| place.collection == name && is_before_end(&place.key))
            .map(|(place, kept)| Ok((place.key.to_vec(), self.open(cipher, place, kept)?)))
            .collect()
    }

    /// Erases a record of the session, wiped from memory when this returns; whether there was one.
    ///
    /// # Errors
    /// Those of [`Session::get`].
    pub fn erase(&self, collection: &Collection, key: impl AsRef<[u8]>) -> Result<bool> {
        let place = self.place(collection, key.as_ref())?;
        let mut records = self.records.write();
        records.cipher()?;
        let Some(mut kept) = records.kept.remove(&place) else { return Ok(false) };
        records.bytes -= kept.text.len() + place.key.len();
        kept.text.zeroize();
        Ok(true)
    }

    /// How many records the session has.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records.read().kept.len()
    }

    /// Ends the session: its key, its records and their keys are wiped from memory when this returns. Dropping it does the
    /// same.
    pub fn end(self) {
        drop(self);
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use super::*;
    use crate::disk::SimDisk;
    use crate::tenant::home::create;

    #[test]
    fn values_are_sealed_in_memory_and_everything_is_wiped_at_the_end() {
        let home = create(&SimDisk::new());
        let session = home.tenant.session().expect("begins");
        let value = b"a value that nothing retains".repeat(20);
        session.put(&home.people, "name", &value).expect("puts");
        let mut records = session.records.write();
        let (place, kept) = records.kept.iter().next().expect("is there");
        assert_eq!(&place.key[..], b"name");
        assert_eq!(kept.text.len(), value.len());
        assert!(!kept.text.windows(8).any(|window| value.windows(8).any(|part| part == window)));
        // A sealed record under another key, or of another collection, does not open.
        let other =
            Place { collection: Arc::clone(&place.collection), key: Zeroizing::new(b"other".to_vec()) };
        let cipher = records.cipher().expect("lives");
        assert!(session.open(cipher, &other, kept).is_err());
        let elsewhere = Place { collection: "elsewhere".into(), key: Zeroizing::new(b"name".to_vec()) };
        assert!(session.open(cipher, &elsewhere, kept).is_err());
        // Nor one of another tenant's session; where a name ends and a key begins is not to be mistaken.
        let aad = [LABEL, home.tenant.id().as_bytes(), &[6], b"people", b"name"].concat();
        assert_eq!(session.aad(place)[..], aad);
        assert_eq!(session.open(cipher, place, kept).expect("opens")[..], value);
        records.wipe();
        assert!(records.cipher().is_err() && records.kept.is_empty() && records.bytes == 0);
        drop(records);
        assert!(session.get(&home.people, "name").is_err(), "the key is gone");
    }
}
