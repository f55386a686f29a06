//! The envelope of a record: its value sealed under a key of its own (FORMAT.md section 8).
//!
//! `PRK = HKDF-Extract(store || tenant, (type, slot, key)...)`, `record key = HKDF-Expand(PRK, label || salt)`:
//! invariant 1, the value needs every key that may be destroyed to erase it.

mod salt;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use zeroize::Zeroizing;

use crate::crypto::aead::{TAG_BYTES, open_once, seal_once};
use crate::crypto::kdf::Prk;
use crate::crypto::{Entropy, KEY_BYTES, RecordKey};
use crate::error::{Error, Result, fail};
use crate::id::{ChunkSetId, CollectionId};
use crate::keys::{Keyring, SlotKind};
use crate::limits::{SEALS_MAX, VALUE_BYTES_MAX};
pub(crate) use salt::SALT_BYTES;
use salt::SaltPool;

const SUITE: u8 = 1;
const PERIOD: u8 = 1;
const SUBJECT: u8 = 2;
const EXPIRES: u8 = 4;
const CHUNKED: u8 = 8;
const OWN: u8 = 16;
/// The policy says when it expires, not its put.
const FOLLOWS: u8 = 64;
const LABEL: &[u8] = b"strongroom/1 record";

/// A value, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl Deref for Plaintext {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Plaintext {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

/// The keys of which a record's key is made, by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeySlots {
    pub(crate) data: u32,
    pub(crate) period: Option<u32>,
    pub(crate) subject: Option<u64>,
    /// A slot of the same sort that this record alone has.
    pub(crate) own: Option<u64>,
}

impl KeySlots {
    /// Those besides the data key.
    pub(crate) fn erasure(self) -> ErasureKeys {
        let Self { period, subject, own, .. } = self;
        ErasureKeys { period, subject, own }
    }

    /// Each slot with its kind, in the order in which keys are made of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = (SlotKind, u64)> {
        let period = self.period.map(|slot| (SlotKind::Period, u64::from(slot)));
        let [subject, own] = [self.subject, self.own].map(|slot| slot.map(|slot| (SlotKind::Subject, slot)));
        std::iter::once((SlotKind::Data, u64::from(self.data))).chain(period).chain(subject).chain(own)
    }
}

/// The keys that a record is sealed under besides the current data key: each can be destroyed to erase it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErasureKeys {
    pub(crate) period: Option<u32>,
    pub(crate) subject: Option<u64>,
    pub(crate) own: Option<u64>,
}

/// The times an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) written_ms: u64,
    pub(crate) expires_ms: Option<u64>,
    /// Whether the policy says when it expires, and not its put: then it follows a policy that is changed.
    pub(crate) follows: bool,
}

/// Where the value of an envelope is that does not hold it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkSet {
    pub(crate) id: ChunkSetId,
    /// Length of the value.
    pub(crate) value_bytes: u64,
    /// Bytes of the value in each chunk but the last.
    pub(crate) chunk_bytes: u32,
}

/// The parts of an envelope, as they lie in it.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    /// All fields before the salt.
    header: &'a [u8],
    pub(crate) slots: KeySlots,
    pub(crate) times: Times,
    /// Where the value is, if not here.
    pub(crate) chunks: Option<ChunkSet>,
    salt: &'a [u8; SALT_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart; authenticates nothing.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let short = || fail!(Corrupted, "a record's envelope is cut short");
        let mut rest = bytes;
        let [suite, flags] = *take::<2>(&mut rest).ok_or_else(short)?;
        let follows = flags & FOLLOWS != 0;
        let is_known = flags & !(PERIOD | SUBJECT | EXPIRES | CHUNKED | OWN | FOLLOWS) == 0;
        if suite != SUITE || !is_known || follows && flags & EXPIRES == 0 {
            return Err(fail!(UnsupportedFormat, "a record has a suite or flag of a newer version"));
        }
        let data = u32::from_le_bytes(*take(&mut rest).ok_or_else(short)?);
        let mut number = |present: u8| match flags & present {
            0 => Ok(None),
            PERIOD => {
                take(&mut rest).map(|bytes| Some(u64::from(u32::from_le_bytes(*bytes)))).ok_or_else(short)
            }
            _ => take(&mut rest).map(|bytes| Some(u64::from_le_bytes(*bytes))).ok_or_else(short),
        };
        let period = number(PERIOD)?.and_then(|slot| u32::try_from(slot).ok());
        let subject = number(SUBJECT)?;
        let own = number(OWN)?;
        let written_ms = u64::from_le_bytes(*take(&mut rest).ok_or_else(short)?);
        let expires_ms = match flags & EXPIRES {
            0 => None,
            _ => Some(u64::from_le_bytes(*take(&mut rest).ok_or_else(short)?)),
        };
        let chunks = match flags & CHUNKED {
            0 => None,
            _ => Some(ChunkSet {
                id: ChunkSetId::new(*take(&mut rest).ok_or_else(short)?),
                value_bytes: u64::from_le_bytes(*take(&mut rest).ok_or_else(short)?),
                chunk_bytes: u32::from_le_bytes(*take(&mut rest).ok_or_else(short)?),
            }),
        };
        let header = &bytes[..bytes.len() - rest.len()];
        let salt = take(&mut rest).ok_or_else(short)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or_else(short)?;
        if chunks.is_some() && !ciphertext.is_empty() {
            return Err(fail!(Corrupted, "a record has a value both in chunks and in its envelope"));
        }
        let slots = KeySlots { data, period, subject, own };
        let times = Times { written_ms, expires_ms, follows };
        Ok(Self { header, slots, times, chunks, salt, ciphertext, tag })
    }

    /// What no other envelope has: it tells two of one record apart.
    pub(crate) fn salt(&self) -> [u8; SALT_BYTES] {
        *self.salt
    }

    /// Length of the value.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.chunks.map_or(self.ciphertext.len() as u64, |set| set.value_bytes)
    }
}

/// When a record expires, if it does; none where its envelope is not one that this version knows.
pub(crate) fn expires_ms(envelope: &[u8]) -> Option<u64> {
    if envelope.get(1)? & EXPIRES == 0 {
        return None;
    }
    Envelope::parse(envelope).ok()?.times.expires_ms
}

/// The slot of the key of a record's subject, if it has one; none where its envelope is not one that this version knows.
pub(crate) fn subject_slot(envelope: &[u8]) -> Option<u64> {
    if envelope.get(1)? & SUBJECT == 0 {
        return None;
    }
    Envelope::parse(envelope).ok()?.slots.subject
}

/// The slot that a record alone has, if it has one; none where its envelope is not one that this version knows.
pub(crate) fn own_slot(envelope: &[u8]) -> Option<u64> {
    if envelope.get(1)? & OWN == 0 {
        return None;
    }
    Envelope::parse(envelope).ok()?.slots.own
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(bytes)
}

/// Bytes of the longest header.
const HEADER_MAX: usize = 2 + 4 + 4 + 8 + 8 + 8 + 8 + 16 + 8 + 4;

/// The header, with room for so many bytes behind it.
fn encode_header(slots: KeySlots, times: Times, chunks: Option<&ChunkSet>, room: usize) -> Vec<u8> {
    let flags = u8::from(slots.period.is_some()) * PERIOD
        + u8::from(slots.subject.is_some()) * SUBJECT
        + u8::from(times.expires_ms.is_some()) * EXPIRES
        + u8::from(chunks.is_some()) * CHUNKED
        + u8::from(slots.own.is_some()) * OWN
        + u8::from(times.expires_ms.is_some() && times.follows) * FOLLOWS;
    let mut header = Vec::with_capacity(HEADER_MAX + room);
    header.extend([SUITE, flags]);
    header.extend(slots.data.to_le_bytes());
    header.extend(slots.period.iter().flat_map(|slot| slot.to_le_bytes()));
    header.extend(slots.subject.iter().flat_map(|slot| slot.to_le_bytes()));
    header.extend(slots.own.iter().flat_map(|slot| slot.to_le_bytes()));
    header.extend(times.written_ms.to_le_bytes());
    header.extend(times.expires_ms.iter().flat_map(|time| time.to_le_bytes()));
    if let Some(set) = chunks {
        header.extend(set.id.as_bytes());
        header.extend(set.value_bytes.to_le_bytes());
        header.extend(set.chunk_bytes.to_le_bytes());
    }
    header
}

/// What an envelope is bound to besides its own fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordPlace<'a> {
    pub(crate) collection: CollectionId,
    pub(crate) key: &'a [u8],
}

/// Seals and opens the records of one tenant.
#[derive(Debug)]
pub(crate) struct RecordSealer {
    keyring: Arc<Keyring>,
    salts: SaltPool,
    /// Those of subjects apart, and those of single records: they are many, and must not displace the few that everything else
    /// needs.
    prks: RwLock<[HashMap<KeySlots, Arc<Prk>>; 3]>,
    /// Records sealed since the tenant was opened, by data key.
    sealed: RwLock<BTreeMap<u32, AtomicU64>>,
}

/// Pseudo-random keys kept of each sort; what is not kept can be derived again.
const PRKS_MAX: usize = 1_024;

impl RecordSealer {
    pub(crate) fn new(keyring: Arc<Keyring>, entropy: Arc<dyn Entropy>) -> Self {
        Self { keyring, salts: SaltPool::new(entropy), prks: RwLock::default(), sealed: RwLock::default() }
    }

    /// The keys of which a new record's key is made.
    pub(crate) fn current_slots(&self, erasure: ErasureKeys) -> Result<KeySlots> {
        let ErasureKeys { period, subject, own } = erasure;
        Ok(KeySlots { data: self.keyring.current_data_slot()?, period, subject, own })
    }

    /// Seals a value under the current data key, and what else is asked for.
    ///
    /// # Errors
    /// `Conflict`, retryable, where one of these keys was destroyed meanwhile.
    pub(crate) fn seal(
        &self,
        place: RecordPlace<'_>,
        times: Times,
        erasure: ErasureKeys,
        value: &[u8],
    ) -> Result<Vec<u8>> {
        self.seal_under(place, self.current_slots(erasure)?, times, None, value)
    }

    /// Seals the envelope of a value that lies in chunks, under the keys of these.
    pub(crate) fn seal_chunked(
        &self,
        place: RecordPlace<'_>,
        slots: KeySlots,
        times: Times,
        chunks: &ChunkSet,
    ) -> Result<Vec<u8>> {
        self.seal_under(place, slots, times, Some(chunks), &[])
    }

    fn seal_under(
        &self,
        place: RecordPlace<'_>,
        slots: KeySlots,
        times: Times,
        chunks: Option<&ChunkSet>,
        value: &[u8],
    ) -> Result<Vec<u8>> {
        let prk = self.prk(slots)?.ok_or_else(key_destroyed)?;
        let salt = self.salts.next()?;
        self.count(slots.data)?;
        let mut envelope = encode_header(slots, times, chunks, SALT_BYTES + value.len() + TAG_BYTES);
        let aad = self.aad(&envelope, place);
        envelope.extend(salt);
        let start = envelope.len();
        envelope.extend(value);
        let key = record_key(&prk, &salt)?;
        let tag = seal_once(key.as_bytes(), nonce(&salt), &aad, &mut envelope[start..])?;
        envelope.extend(tag);
        Ok(envelope)
    }

    fn count(&self, slot: u32) -> Result<()> {
        let before = self.sealed.read().get(&slot).map(|count| count.fetch_add(1, Ordering::Relaxed));
        let before = before
            .unwrap_or_else(|| self.sealed.write().entry(slot).or_default().fetch_add(1, Ordering::Relaxed));
        if before < SEALS_MAX {
            return Ok(());
        }
        Err(fail!(LimitExceeded, "{SEALS_MAX} records were sealed under data key {slot}: rotate it"))
    }

    /// As if so many records had been sealed.
    #[cfg(test)]
    pub(crate) fn pretend_sealed(&self, slot: u32, records: u64) {
        self.sealed.write().entry(slot).or_default().store(records, Ordering::Relaxed);
    }

    /// Records sealed under a data key since the tenant was opened.
    pub(crate) fn sealed_under(&self, slot: u32) -> u64 {
        self.sealed.read().get(&slot).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Salts for what is sealed under a record's keys beside its envelope.
    pub(crate) fn salt(&self) -> Result<[u8; SALT_BYTES]> {
        self.salts.next()
    }

    /// Opens the value of an envelope that holds it. `None` where a key of it was destroyed: only a tombstone hides a
    /// record.
    pub(crate) fn open(&self, place: RecordPlace<'_>, envelope: &Envelope<'_>) -> Result<Option<Plaintext>> {
        if envelope.chunks.is_some() {
            return Err(fail!(Internal, "a value in chunks is looked for in its envelope"));
        }
        self.open_text(place, envelope)
    }

    /// Whether a record is there: its envelope is authentic, and no key of it was destroyed.
    pub(crate) fn check(&self, place: RecordPlace<'_>, envelope: &Envelope<'_>) -> Result<bool> {
        self.open_text(place, envelope).map(|text| text.is_some())
    }

    fn open_text(&self, place: RecordPlace<'_>, envelope: &Envelope<'_>) -> Result<Option<Plaintext>> {
        if envelope.ciphertext.len() > VALUE_BYTES_MAX {
            return Err(fail!(UnsupportedFormat, "a record is larger than this version reads"));
        }
        let Some(prk) = self.prk(envelope.slots)? else { return Ok(None) };
        let key = record_key(&prk, envelope.salt)?;
        let aad = self.aad(envelope.header, place);
        let mut value = Zeroizing::new(envelope.ciphertext.to_vec());
        open_once(key.as_bytes(), nonce(envelope.salt), &aad, &mut value, envelope.tag)
            .map_err(|_| self.unauthentic(place))?;
        Ok(Some(Plaintext(value)))
    }

    fn unauthentic(&self, place: RecordPlace<'_>) -> Error {
        let tenant = self.keyring.tenant();
        fail!(
            Unauthentic,
            "a record of tenant {tenant}, collection {} does not authenticate",
            place.collection
        )
    }

    /// The key of which the keys of a record and of its chunks are made; `None` where a part of it was destroyed.
    pub(crate) fn prk(&self, slots: KeySlots) -> Result<Option<Arc<Prk>>> {
        let sort = match slots {
            KeySlots { own: Some(_), .. } => 2,
            KeySlots { subject: Some(_), .. } => 1,
            _ => 0,
        };
        if let Some(prk) = self.prks.read()[sort].get(&slots) {
            return Ok(Some(Arc::clone(prk)));
        }
        let mark = self.keyring.destructions().mark();
        let Some(data) = self.keyring.data_key(slots.data)? else { return Ok(None) };
        let mut keys = vec![(SlotKind::Data, u64::from(slots.data), data.as_bytes())];
        let period = match slots.period {
            Some(slot) => match self.keyring.period_key(slot)? {
                Some(key) => Some((slot, key)),
                None => return Ok(None),
            },
            None => None,
        };
        let mut subjects = Vec::new();
        for slot in slots.subject.into_iter().chain(slots.own) {
            let Some(key) = self.keyring.subject_key(slot)? else { return Ok(None) };
            subjects.push((slot, key));
        }
        keys.extend(period.iter().map(|(slot, key)| (SlotKind::Period, u64::from(*slot), key.as_bytes())));
        keys.extend(subjects.iter().map(|(slot, key)| (SlotKind::Subject, *slot, key.as_bytes())));
        let prk = Arc::new(self.extract(&keys));
        let mut prks = self.prks.write();
        if self.keyring.destructions().mark() != mark || self.keyring.check_denied().is_err() {
            // A key that it is made of may have been destroyed, or denied, since it was read: then it must not be kept.
            return Ok(Some(prk));
        }
        let prks = &mut prks[sort];
        if prks.len() >= PRKS_MAX {
            prks.clear();
        }
        prks.insert(slots, Arc::clone(&prk));
        Ok(Some(prk))
    }

    /// Forgets what was derived of keys that are destroyed. The caller has told the keyring's destructions before.
    pub(crate) fn forget(&self, destroyed: &[(SlotKind, u64)]) {
        for prks in &mut *self.prks.write() {
            prks.retain(|slots, _| !slots.iter().any(|slot| destroyed.contains(&slot)));
        }
    }

    /// Forgets everything that was derived of keys. The caller has had the keyring forget them before.
    pub(crate) fn forget_all(&self) {
        for prks in &mut *self.prks.write() {
            prks.clear();
        }
    }

    /// How many keys are kept.
    #[cfg(all(test, feature = "simulation"))]
    pub(crate) fn remembered(&self) -> usize {
        self.prks.read().iter().map(HashMap::len).sum()
    }

    /// `extract(store id || tenant id, (type u8 || slot u64 || key)...)`.
    fn extract(&self, keys: &[(SlotKind, u64, &[u8; KEY_BYTES])]) -> Prk {
        let salt = [&self.keyring.store().as_bytes()[..], self.keyring.tenant().as_bytes()].concat();
        let mut ikm = Zeroizing::new(Vec::with_capacity(keys.len() * (9 + KEY_BYTES)));
        for (kind, slot, key) in keys {
            ikm.push(*kind as u8);
            ikm.extend(slot.to_le_bytes());
            ikm.extend(*key);
        }
        Prk::extract(&salt, [&ikm[..]])
    }

    /// `label || header || tenant id || collection id || record key`.
    fn aad(&self, header: &[u8], place: RecordPlace<'_>) -> Vec<u8> {
        let tenant = self.keyring.tenant();
        [LABEL, header, tenant.as_bytes(), &place.collection.to_be_bytes(), place.key].concat()
    }
}

/// A key that something under way needs was destroyed: done again it gets another one.
pub(crate) fn key_destroyed() -> Error {
    fail!(Conflict, "a key that this change needs was destroyed while it was made: make it again").retryable()
}

fn record_key(prk: &Prk, salt: &[u8; SALT_BYTES]) -> Result<RecordKey> {
    Ok(RecordKey::from_bytes(&prk.expand(LABEL, salt)?))
}

fn nonce(salt: &[u8; SALT_BYTES]) -> &[u8; 12] {
    let (_, nonce) = salt.split_last_chunk::<12>().unwrap_or((&[], &[0; 12]));
    nonce
}

/// Parses anything, for fuzzing: what parses has its parts in bounds.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::parse(data) {
        assert_eq!(
            encode_header(envelope.slots, envelope.times, envelope.chunks.as_ref(), 0),
            envelope.header
        );
        assert_eq!(envelope.header.len() + SALT_BYTES + envelope.ciphertext.len() + TAG_BYTES, data.len());
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
