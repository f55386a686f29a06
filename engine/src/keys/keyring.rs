//! A tenant's keyring: the file that holds its keys, wrapped, each one twice (FORMAT.md section 4).
//!
//! What is asked of it is answered from memory, but for subject slots; only who changes something waits for the disk.

mod copying;
mod destroying;
mod lookup;
mod opening;
mod resealing;
mod section;

pub(crate) use destroying::destroy_keyring;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use zeroize::Zeroizing;

use crate::crypto::aead::Xaes;
use crate::crypto::{Entropy, SectionKey, kdf};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{FileId, StoreId, TenantId};
use crate::keys::anchor::{Anchor, AnchorSealer};
use crate::keys::destructions::Destructions;
use crate::keys::header::{BLOCK, Header, Holder};
use crate::keys::lease::Lease;
use crate::keys::ledger::{self, Ledger};
use crate::keys::provider::{Providers, Section, WrapContext};
use crate::keys::slot::{EMPTY, SlotKind, SlotSealer, SlotState, SlotStatus};
use crate::keys::subjects::{SubjectSlots, SubjectsFound, SubjectsOf, retired};
use crate::keys::twins::{
    Block, NO_SLOT, SLOTS_A_BLOCK, Slot, block_offset, place, put_slot, read_back, write_pairs,
};

const ANCHORS: u64 = 2;
const FIRST_STRUCTURE: u32 = 1;
const SLOT_MAX: u64 = 1 << 24;

/// What a new keyring is made of.
pub(crate) struct NewKeyring<'a> {
    pub(crate) store: StoreId,
    pub(crate) tenant: TenantId,
    pub(crate) provider: &'a str,
    pub(crate) file: FileId,
    pub(crate) now_ms: u64,
}

/// What was found of a keyring's copies when it was opened; what could be mended was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyringHealth {
    /// Header copies that were damaged or behind.
    pub(crate) headers: usize,
    /// Anchor copies that did not authenticate.
    pub(crate) anchors: usize,
    /// Slots of which one twin was damaged or behind.
    pub(crate) twins: usize,
    /// Slots of which neither twin authenticates.
    pub(crate) lost: Vec<u32>,
}

/// An open keyring.
pub(crate) struct Keyring {
    store: StoreId,
    tenant: TenantId,
    entropy: Arc<dyn Entropy>,
    providers: Providers,
    /// Changed by a rewrap alone.
    header: Mutex<Header>,
    /// Who rewraps.
    rewrapping: Mutex<()>,
    lease: Arc<Lease>,
    marker_key: Zeroizing<[u8; 32]>,
    lanes_key: Zeroizing<[u8; 32]>,
    ledgers_key: Zeroizing<[u8; 32]>,
    cursor_key: Zeroizing<[u8; 32]>,
    sealer: Arc<SlotSealer>,
    anchors: AnchorSealer,
    structure_keys: Xaes,
    content_keys: RwLock<Option<Arc<Xaes>>>,
    content_unwrap: Mutex<()>,
    /// Whether the provider gives its keys no more.
    is_denied: AtomicBool,
    health: KeyringHealth,
    /// Notes every destruction.
    ledger: Option<Ledger>,
    destructions: Destructions,
    disk: Arc<dyn Disk>,
    /// The file of subject slots.
    subjects_path: PathBuf,
    subjects_of: Arc<SubjectsOf>,
    /// Opened when it is first needed.
    subjects: Mutex<Option<Arc<SubjectSlots>>>,
    file: Box<dyn DiskFile>,
    /// Who writes; taken before `inner`, which is never held while the disk is waited for.
    writing: Mutex<()>,
    /// Whether nobody may write any more.
    is_retired: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    slots: Vec<Slot>,
    anchor: Anchor,
}

/// What a keyring's file holds.
struct Found {
    file: Box<dyn DiskFile>,
    slots: Vec<Slot>,
    anchor: Anchor,
    health: KeyringHealth,
}

/// Whether slots of a kind stand in the keyring itself.
fn is_own(kind: SlotKind) -> bool {
    kind != SlotKind::Subject
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Makes a keyring with a structure and a data key, durable when this returns.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        path: &Path,
        new: &NewKeyring<'_>,
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        let structure = SectionKey::generate(&**entropy)?;
        let content = SectionKey::generate(&**entropy)?;
        let wrap_context = |section| WrapContext { store: new.store, tenant: new.tenant, section };
        let header = Header {
            holder: Holder::Keyring,
            store: new.store,
            tenant: new.tenant,
            sequence: 1,
            generation: 1,
            provider: new.provider.to_owned(),
            structure: providers.wrap(new.provider, &structure, &wrap_context(Section::Structure))?,
            content: providers.wrap(new.provider, &content, &wrap_context(Section::Content))?,
        };
        let block = header.encode(&*header_key(&structure)?);
        let anchors = AnchorSealer::new(new.store, new.tenant, &structure)?;
        let anchor = Anchor::first(new.file, FIRST_STRUCTURE);
        let image =
            [&block[..], &block, &anchors.seal(&**entropy, &anchor)?, &anchors.seal(&**entropy, &anchor)?];
        let image = image.concat();

        let failed = |error| Error::io(format!("creating the keyring {}", path.display()), error);
        let file = disk.open(path, OpenMode::CreateNew).map_err(failed)?;
        file.write_all_at(&image, 0).map_err(failed)?;
        let found = Found { file, slots: Vec::new(), anchor, health: KeyringHealth::default() };
        let keyring = Self::assemble(disk, path, found, header, providers, entropy, &structure)?;
        *keyring.content_keys.write() = Some(Arc::new(SlotSealer::key_cipher(&content)?));
        keyring.fill(SlotKind::Structure, SlotStatus::Live, new.now_ms, 1)?;
        keyring.fill(SlotKind::Data, SlotStatus::Live, new.now_ms, 1)?;
        if let Some(directory) = path.parent() {
            disk.sync_dir(directory).map_err(failed)?;
        }
        Ok(keyring)
    }

    /// Opens a keyring: unwraps the structure section, authenticates every copy of everything and mends what is
    /// damaged in one copy only. Content keys are not touched before the first is needed. New section keys that were begun
    /// are ended first.
    ///
    /// # Errors
    /// `KeyMissing` where there is no such file; `KeyUnavailable` from the provider; `Unauthentic`, `Corrupted`,
    /// `UnsupportedFormat` where no copy of the header or anchor is whole.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        (store, tenant): (StoreId, TenantId),
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        resealing::finish_resealing(&**disk, path, (store, tenant), providers)
            .and_then(|()| Self::open_inner(disk, path, (store, tenant), providers, entropy))
            .map_err(|error| error.within(format_args!("keyring of tenant {tenant} ({})", path.display())))
    }

    fn assemble(
        disk: &Arc<dyn Disk>,
        path: &Path,
        found: Found,
        header: Header,
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
        structure: &SectionKey,
    ) -> Result<Self> {
        let (store, tenant) = (header.store, header.tenant);
        let sealer = Arc::new(SlotSealer::new(store, tenant, structure)?);
        let subjects_of = SubjectsOf {
            store,
            tenant,
            generation: header.generation,
            header_key: header_key(structure)?,
            sealer: Arc::clone(&sealer),
            entropy: Arc::clone(entropy),
        };
        Ok(Self {
            store,
            tenant,
            entropy: Arc::clone(entropy),
            providers: providers.clone(),
            header: Mutex::new(header),
            rewrapping: Mutex::new(()),
            lease: Lease::new(0),
            marker_key: kdf::expand(structure.as_bytes(), b"strongroom/1 marker", b"")?,
            lanes_key: kdf::expand(structure.as_bytes(), b"strongroom/1 lanes", b"")?,
            ledgers_key: kdf::expand(structure.as_bytes(), b"strongroom/1 ledgers", b"")?,
            cursor_key: kdf::expand(structure.as_bytes(), b"strongroom/1 cursor", b"")?,
            sealer,
            anchors: AnchorSealer::new(store, tenant, structure)?,
            structure_keys: SlotSealer::key_cipher(structure)?,
            content_keys: RwLock::default(),
            content_unwrap: Mutex::new(()),
            is_denied: AtomicBool::new(false),
            health: found.health,
            ledger: None,
            destructions: Destructions::default(),
            disk: Arc::clone(disk),
            subjects_path: path.with_extension("slots"),
            subjects_of: Arc::new(subjects_of),
            subjects: Mutex::new(None),
            file: found.file,
            writing: Mutex::new(()),
            is_retired: AtomicBool::new(false),
            inner: Mutex::new(Inner { slots: found.slots, anchor: found.anchor }),
        })
    }

    /// The store of origin.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// What was found at open.
    pub(crate) fn health(&self) -> &KeyringHealth {
        &self.health
    }

    /// The key of the markers; of use in the system tenant's keyring only.
    pub(crate) fn marker_key(&self) -> &[u8; 32] {
        &self.marker_key
    }

    /// The key of which the keys of the lanes are derived; of use in the system tenant's keyring only.
    pub(crate) fn lanes_key(&self) -> &Zeroizing<[u8; 32]> {
        &self.lanes_key
    }

    /// The key that seals the tenant's cursors.
    pub(crate) fn cursor_key(&self) -> &[u8; 32] {
        &self.cursor_key
    }

    pub(crate) fn anchor(&self) -> Anchor {
        self.inner.lock().anchor
    }

    /// What is being destroyed, and was lately.
    pub(crate) fn destructions(&self) -> &Destructions {
        &self.destructions
    }

    /// Length of the tenant's files in the key store in bytes.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        let own = self.file.len().map_err(|error| self.io("measuring", error))?;
        let subjects = self.subjects()?.map_or(Ok(0), |subjects| subjects.file_bytes());
        let ledger = self.ledger.as_ref().map_or(Ok(0), Ledger::file_bytes);
        let ledger = ledger.map_err(|error| self.io("measuring the ledger of", error))?;
        Ok(own + ledger + subjects.map_err(|error| self.of_subjects(error))?)
    }

    /// Changes the anchor in one of its copies, durable when this returns.
    pub(crate) fn update_anchor(&self, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let _writing = self.writing()?;
        let mut anchor = self.anchor();
        change(&mut anchor);
        self.write_anchor(anchor)
    }

    /// Changes the anchor in both copies: what follows may destroy what the older copy names.
    pub(crate) fn update_both_anchors(&self, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let _writing = self.writing()?;
        let mut anchor = self.anchor();
        change(&mut anchor);
        self.write_anchor(anchor)?;
        self.write_anchor(anchor)
    }

    /// The turn to write, unless the keyring was retired.
    fn writing(&self) -> Result<MutexGuard<'_, ()>> {
        let writing = self.writing.lock();
        self.check_retired()?;
        Ok(writing)
    }

    fn check_retired(&self) -> Result<()> {
        if self.is_retired.load(Ordering::Acquire) { Err(retired(self.tenant)) } else { Ok(()) }
    }

    /// Refuses every change from now on: the files are about to go, or to be copied.
    pub(crate) fn retire(&self) {
        let subjects = self.subjects.lock();
        if let Some(open) = &*subjects {
            open.retire();
        }
        let _writing = self.writing.lock();
        self.is_retired.store(true, Ordering::Release);
    }

    fn write_anchor(&self, mut anchor: Anchor) -> Result<()> {
        anchor.sequence = self.anchor().sequence + 1;
        let block = self.anchors.seal(&*self.entropy, &anchor)?;
        let offset = (ANCHORS + anchor.sequence % 2) * BLOCK as u64;
        let written = self.file.write_all_at(&block, offset).and_then(|()| self.file.sync_data());
        written.map_err(|error| self.io("writing the anchor of", error))?;
        self.inner.lock().anchor = anchor;
        Ok(())
    }

    /// Fills `count` new slots with random keys, durable when this returns; gives the first one's number. Nobody who asks
    /// for another key waits meanwhile.
    pub(crate) fn fill(&self, kind: SlotKind, status: SlotStatus, attribute: u64, count: u32) -> Result<u32> {
        self.fill_from(0, kind, status, attribute, count)
    }

    /// [`Keyring::fill`], with numbers of at least `at_least`: what the tenant's rows name is spent, whatever the key store
    /// knows of it.
    pub(crate) fn fill_from(
        &self,
        at_least: u32,
        kind: SlotKind,
        status: SlotStatus,
        attribute: u64,
        count: u32,
    ) -> Result<u32> {
        let content = if kind == SlotKind::Structure { None } else { Some(self.content_keys()?) };
        let keys = content.as_deref().unwrap_or(&self.structure_keys);
        let _writing = self.writing()?;
        let first = (self.inner.lock().slots.len() as u64).max(1).max(at_least.into());
        let end = first + u64::from(count);
        if end > SLOT_MAX {
            return Err(fail!(
                LimitExceeded,
                "the keyring of tenant {} has no room for more slots",
                self.tenant
            ));
        }
        let mut filled = Vec::new();
        for number in first..end {
            let mut key = Zeroizing::new([0; 32]);
            self.entropy.fill(&mut *key)?;
            let raw = self.sealer.seal(&*self.entropy, keys, number, (kind, status, attribute), &key)?;
            filled.push(Slot { raw, state: None });
        }
        let pairs = {
            // Their numbers are spent from here on, whatever comes: what of them reaches the disk must never get another
            // key. They count once they are durable.
            let mut inner = self.inner.lock();
            inner.slots.resize(index(first), NO_SLOT);
            inner.slots.extend(filled);
            (place(first).0..=place(end - 1).0).map(|pair| (pair, [image(&inner.slots, pair); 2])).collect()
        };
        let length = block_offset(place(end - 1).0 + 1, 0);
        let written = self.file.len().and_then(|now| {
            if now < length {
                self.file.set_len(length)?;
            }
            write_pairs(&*self.file, &pairs)
        });
        written.map_err(|error| self.io("filling slots of", error))?;
        let mut inner = self.inner.lock();
        for number in first..end {
            let slot = &mut inner.slots[index(number)];
            slot.state = self.sealer.state(number, &slot.raw);
        }
        u32::try_from(first).map_err(|_| fail!(Internal, "a slot number exceeds its bound"))
    }

    /// Fills subject slots, at least `count`, numbered from `at_least` or higher, in a timeline; durable when this returns.
    pub(crate) fn fill_subjects(&self, at_least: u64, timeline: u32, count: u64) -> Result<Range<u64>> {
        let keys = self.content_keys()?;
        let filled = self.need_subjects()?.fill(&keys, timeline, at_least, count);
        // What was denied meanwhile keeps none of them.
        self.check_denied().inspect_err(|_| self.forget_fresh())?;
        filled.map_err(|error| self.of_subjects(error))
    }

    /// The period slots that were pooled in a timeline.
    pub(crate) fn pooled_periods(&self, timeline: u32) -> Vec<u32> {
        let inner = self.inner.lock();
        let is_pooled = |state: SlotState| {
            (state.kind, state.status) == (SlotKind::Period, SlotStatus::Pooled)
                && state.attribute == u64::from(timeline)
        };
        let slots = (0..).zip(&inner.slots);
        slots.filter(|(_, slot)| slot.state.is_some_and(is_pooled)).map(|(number, _)| number).collect()
    }

    /// The subject slots from a number on that were pooled in a timeline.
    pub(crate) fn pooled_subjects(&self, from: u64, timeline: u32) -> Result<Vec<u64>> {
        let Some(subjects) = self.subjects()? else { return Ok(Vec::new()) };
        subjects.pooled(from, timeline).map_err(|error| self.of_subjects(error))
    }

    /// Looks at every subject slot and mends what can be mended. `progress` gets how many more blocks were read.
    pub(crate) fn verify_subjects(&self, progress: &mut dyn FnMut(u64)) -> Result<SubjectsFound> {
        let Some(subjects) = self.subjects()? else { return Ok(SubjectsFound::default()) };
        subjects.verify(progress).map_err(|error| self.of_subjects(error))
    }

    /// Destroys keys: a tombstone in both twins of each slot, durable and read back, and then an entry in the ledger, durable
    /// when this returns. Destroying one again is no error. The time taken does not depend on how much was sealed under them.
    pub(crate) fn destroy(&self, slots: &[(SlotKind, u64)]) -> Result<()> {
        let is_again = |slot: &&(SlotKind, u64)| matches!(self.lives(slot.0, slot.1), Ok(false));
        let again: HashSet<_> = slots.iter().filter(is_again).copied().collect();
        self.bury(slots)?;
        let mut events: Vec<_> = slots.iter().map(|(kind, slot)| ledger::destroyed(*kind, *slot)).collect();
        if !again.is_empty() {
            // Interrupted between the tombstone and the entry, or merely repeated: the ledger knows.
            let looked = self.walk_ledger(&mut |entry| {
                events.retain(|event| *event != entry.event);
                Ok(())
            });
            if let Err(error) = looked {
                tracing::warn!(tenant = %self.tenant, %error, "the erasure ledger can't be read; a destruction may stand in it twice");
            }
        }
        if events.is_empty() { Ok(()) } else { self.note(&events).map(|_| ()) }
    }

    /// Puts tombstones in the place of keys.
    fn bury(&self, slots: &[(SlotKind, u64)]) -> Result<()> {
        let is_subject = |slot: &&(SlotKind, u64)| slot.0 == SlotKind::Subject;
        let subjects: Vec<_> = slots.iter().filter(is_subject).map(|(_, number)| *number).collect();
        if !subjects.is_empty() {
            let file = self.subjects()?.ok_or_else(|| self.missing(SlotKind::Subject, subjects[0]))?;
            file.destroy(&subjects).map_err(|error| self.of_subjects(error))?;
        }
        let own: Vec<_> = slots.iter().filter(|slot| !is_subject(slot)).collect();
        if own.is_empty() {
            return Ok(());
        }
        let _writing = self.writing()?;
        let mut tombstones = Vec::new();
        let mut pairs: BTreeMap<u64, [Block; 2]> = BTreeMap::new();
        for (kind, number) in own {
            let known = self.inner.lock().slots.get(index(*number)).copied();
            let slot = known.ok_or_else(|| self.missing(*kind, *number))?;
            let state = match slot.state {
                Some(state) if state.kind == *kind => state,
                None if slot.raw != EMPTY => SlotState::nothing(*kind),
                _ => return Err(self.missing(*kind, *number)),
            };
            let raw = self.sealer.tombstone(&*self.entropy, *number, &state)?;
            let (pair, at) = place(*number);
            let blocks = pairs.entry(pair).or_insert_with(|| [image(&self.inner.lock().slots, pair); 2]);
            for block in blocks {
                put_slot(block, at, &raw);
            }
            tombstones.push((*number, raw));
        }
        let written = write_pairs(&*self.file, &pairs)
            .and_then(|()| read_back(&*self.file, tombstones.iter().map(|(number, raw)| (*number, raw))));
        written.map_err(|error| self.io("destroying a slot of", error))?;
        let mut inner = self.inner.lock();
        for (number, raw) in tombstones {
            inner.slots[index(number)] = Slot { raw, state: self.sealer.state(number, &raw) };
        }
        Ok(())
    }

    fn io(&self, what: &str, error: std::io::Error) -> Error {
        Error::io(format!("{what} the keyring of tenant {}", self.tenant), error)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A block of slots, as they are in memory.
fn image(slots: &[Slot], pair: u64) -> Block {
    let mut block = [0; BLOCK];
    let first = index(pair * SLOTS_A_BLOCK as u64);
    for (at, slot) in slots.iter().skip(first).take(SLOTS_A_BLOCK).enumerate() {
        put_slot(&mut block, at, &slot.raw);
    }
    block
}

fn header_key(structure: &SectionKey) -> Result<Zeroizing<[u8; 32]>> {
    kdf::expand(structure.as_bytes(), b"strongroom/1 keyring header", b"")
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
