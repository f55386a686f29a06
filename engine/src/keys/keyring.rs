//! A tenant's keyring: the file that holds its keys, wrapped, each one twice (FORMAT.md section 4).
//!
//! Every change is written to the first twin, synced, to the second, synced; so at any instant at least one
//! twin of every live slot is whole, and a tombstone, once acknowledged, stands in both.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::crypto::aead::Xaes;
use crate::crypto::{DataKey, Entropy, SectionKey, StructureKey, kdf};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{FileId, StoreId, TenantId};
use crate::keys::anchor::{Anchor, AnchorSealer};
use crate::keys::header::{BLOCK, Header};
use crate::keys::provider::{Providers, Section, WrapContext};
use crate::keys::slot::{EMPTY, Raw, SLOT_BYTES, SlotKind, SlotSealer, SlotState, SlotStatus};

const SLOTS_A_BLOCK: usize = BLOCK / SLOT_BYTES;
const ANCHORS: u64 = 2;
const SLOTS: u64 = 4;
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
    header: Header,
    marker_key: Zeroizing<[u8; 32]>,
    lanes_key: Zeroizing<[u8; 32]>,
    cursor_key: Zeroizing<[u8; 32]>,
    sealer: SlotSealer,
    anchors: AnchorSealer,
    structure_keys: Xaes,
    content_keys: OnceLock<Xaes>,
    content_unwrap: Mutex<()>,
    health: KeyringHealth,
    inner: Mutex<Inner>,
}

struct Inner {
    file: Box<dyn DiskFile>,
    slots: Vec<Slot>,
    anchor: Anchor,
}

#[derive(Clone, Copy)]
struct Slot {
    raw: Raw,
    state: Option<SlotState>,
}

const NO_SLOT: Slot = Slot { raw: EMPTY, state: None };

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Makes a keyring with a structure and a data key, durable when this returns.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        new: &NewKeyring<'_>,
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        let structure = SectionKey::generate(&**entropy)?;
        let content = SectionKey::generate(&**entropy)?;
        let wrap_context = |section| WrapContext { store: new.store, tenant: new.tenant, section };
        let header = Header {
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
        let keyring = Self::assemble(
            file,
            (new.store, new.tenant),
            header,
            providers,
            entropy,
            &structure,
            Vec::new(),
            anchor,
            KeyringHealth::default(),
        )?;
        let _ = keyring.content_keys.set(SlotSealer::key_cipher(&content)?);
        keyring.fill(SlotKind::Structure, SlotStatus::Live, new.now_ms, 1)?;
        keyring.fill(SlotKind::Data, SlotStatus::Live, new.now_ms, 1)?;
        if let Some(directory) = path.parent() {
            disk.sync_dir(directory).map_err(failed)?;
        }
        Ok(keyring)
    }

    /// Opens a keyring: unwraps the structure section, authenticates every copy of everything and mends what is
    /// damaged in one copy only. Content keys are not touched before the first is needed.
    ///
    /// # Errors
    /// `KeyMissing` where there is no such file; `KeyUnavailable` from the provider; `Unauthentic`, `Corrupted`,
    /// `UnsupportedFormat` where no copy of the header or anchor is whole.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        (store, tenant): (StoreId, TenantId),
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        Self::open_inner(disk, path, (store, tenant), providers, entropy)
            .map_err(|error| error.within(format_args!("keyring of tenant {tenant} ({})", path.display())))
    }

    fn open_inner(
        disk: &dyn Disk,
        path: &Path,
        (store, tenant): (StoreId, TenantId),
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self> {
        let file = disk.open(path, OpenMode::ReadWrite).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                fail!(KeyMissing, "there is no such file: restore the key store from a copy")
            } else {
                Error::io("opening", error)
            }
        })?;
        let length = file.len().map_err(|error| Error::io("measuring", error))?;
        if length < (SLOTS + 2) * BLOCK as u64 || length % (2 * BLOCK as u64) != 0 || length > SLOT_MAX * 256
        {
            return Err(fail!(Corrupted, "the file has {length} bytes, which no keyring has"));
        }
        // What a process left in the page cache that was killed must be on the disk before anything is destroyed or deleted
        // because of it: a segment that the anchor says is not needed, a key that a slot says is gone.
        file.sync_data().map_err(|error| Error::io("syncing", error))?;
        let read = |index: u64| {
            let mut block = [0; BLOCK];
            // A block that can't be read is as good as a damaged one: its twin may be whole.
            file.read_exact_at(&mut block, index * BLOCK as u64).map_or([0; BLOCK], |()| block)
        };
        let mut health = KeyringHealth::default();
        let copies = [read(0), read(1)];
        let (good, header, structure) = unwrap_header(&copies, (store, tenant), providers)?;
        let anchors = AnchorSealer::new(store, tenant, &structure)?;
        let found = [read(ANCHORS), read(ANCHORS + 1)].map(|block| anchors.open(&block));
        health.anchors = found.iter().filter(|anchor| anchor.is_none()).count();
        let anchor = found.into_iter().flatten().max_by_key(|anchor| anchor.sequence);
        let anchor = anchor.ok_or_else(|| fail!(Unauthentic, "neither copy of the anchor authenticates"))?;

        let sealer = SlotSealer::new(store, tenant, &structure)?;
        let mut slots = Vec::new();
        let mut mended = Vec::new();
        for pair in 0..(length / BLOCK as u64 - SLOTS) / 2 {
            let (first, second) = (read(SLOTS + 2 * pair), read(SLOTS + 2 * pair + 1));
            for (a, b) in first.as_chunks::<SLOT_BYTES>().0.iter().zip(second.as_chunks::<SLOT_BYTES>().0) {
                let number = slots.len() as u64;
                let (slot, whole) = choose(&sealer, number, a, b);
                if !whole {
                    mended.push(number);
                }
                slots.push(slot);
            }
        }
        while slots.last().is_some_and(|slot| slot.raw == EMPTY) {
            slots.pop();
        }
        for (number, slot) in (0u32..).zip(&slots) {
            if slot.raw != EMPTY && slot.state.is_none() {
                health.lost.push(number);
            }
        }
        health.headers = copies.iter().filter(|copy| **copy != copies[good]).count();
        health.twins = mended.len();
        if health.headers + health.twins > 0 {
            let header = (health.headers > 0).then_some(&copies[good]);
            mend(&*file, header, &mended, &slots)
                .map_err(|error| Error::io("mending a damaged copy from the good one", error))?;
        }
        Self::assemble(file, (store, tenant), header, providers, entropy, &structure, slots, anchor, health)
    }

    #[allow(clippy::too_many_arguments, reason = "private: the two ways a keyring comes to be meet here")]
    fn assemble(
        file: Box<dyn DiskFile>,
        (store, tenant): (StoreId, TenantId),
        header: Header,
        providers: &Providers,
        entropy: &Arc<dyn Entropy>,
        structure: &SectionKey,
        slots: Vec<Slot>,
        anchor: Anchor,
        health: KeyringHealth,
    ) -> Result<Self> {
        Ok(Self {
            store,
            tenant,
            entropy: Arc::clone(entropy),
            providers: providers.clone(),
            header,
            marker_key: kdf::expand(structure.as_bytes(), b"strongroom/1 marker", b"")?,
            lanes_key: kdf::expand(structure.as_bytes(), b"strongroom/1 lanes", b"")?,
            cursor_key: kdf::expand(structure.as_bytes(), b"strongroom/1 cursor", b"")?,
            sealer: SlotSealer::new(store, tenant, structure)?,
            anchors: AnchorSealer::new(store, tenant, structure)?,
            structure_keys: SlotSealer::key_cipher(structure)?,
            content_keys: OnceLock::new(),
            content_unwrap: Mutex::new(()),
            health,
            inner: Mutex::new(Inner { file, slots, anchor }),
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

    /// Length of the keyring's file in bytes.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        self.inner.lock().file.len().map_err(|error| self.io("measuring", error))
    }

    /// Changes the anchor in one of its copies, durable when this returns.
    pub(crate) fn update_anchor(&self, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let mut inner = self.inner.lock();
        let mut anchor = inner.anchor;
        change(&mut anchor);
        self.write_anchor(&mut inner, anchor)
    }

    /// Changes the anchor in both copies: what follows may destroy what the older copy names.
    pub(crate) fn update_both_anchors(&self, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let mut inner = self.inner.lock();
        let mut anchor = inner.anchor;
        change(&mut anchor);
        self.write_anchor(&mut inner, anchor)?;
        self.write_anchor(&mut inner, anchor)
    }

    fn write_anchor(&self, inner: &mut Inner, mut anchor: Anchor) -> Result<()> {
        anchor.sequence = inner.anchor.sequence + 1;
        let block = self.anchors.seal(&*self.entropy, &anchor)?;
        let offset = (ANCHORS + anchor.sequence % 2) * BLOCK as u64;
        let written = inner.file.write_all_at(&block, offset).and_then(|()| inner.file.sync_data());
        written.map_err(|error| self.io("writing the anchor of", error))?;
        inner.anchor = anchor;
        Ok(())
    }

    /// Fills `count` new slots with random keys, durable when this returns; gives the first one's number.
    pub(crate) fn fill(&self, kind: SlotKind, status: SlotStatus, attribute: u64, count: u32) -> Result<u32> {
        let keys = if kind == SlotKind::Structure { &self.structure_keys } else { self.content_keys()? };
        let mut inner = self.inner.lock();
        if inner.slots.is_empty() {
            inner.slots.push(NO_SLOT);
        }
        let first = inner.slots.len();
        if first as u64 + u64::from(count) > SLOT_MAX {
            return Err(fail!(
                LimitExceeded,
                "the keyring of tenant {} has no room for more slots",
                self.tenant
            ));
        }
        let mut filled = Vec::new();
        for number in (first as u64..).take(count as usize) {
            let mut key = Zeroizing::new([0; 32]);
            self.entropy.fill(&mut *key)?;
            let raw = self.sealer.seal(&*self.entropy, keys, number, (kind, status, attribute), &key)?;
            filled.push(Slot { raw, state: self.sealer.state(number, &raw) });
        }
        inner.slots.extend(filled);
        let blocks = SLOTS + 2 * inner.slots.len().div_ceil(SLOTS_A_BLOCK) as u64;
        let written = (|| {
            if inner.file.len()? < blocks * BLOCK as u64 {
                inner.file.set_len(blocks * BLOCK as u64)?;
            }
            write_twins(&*inner.file, &inner.slots, first..inner.slots.len())
        })();
        if let Err(error) = written {
            // The numbers stay spent: what of them reached the disk must never get another key.
            for slot in &mut inner.slots[first..] {
                slot.state = None;
            }
            return Err(self.io("filling slots of", error));
        }
        u32::try_from(first).map_err(|_| fail!(Internal, "a slot number exceeds its bound"))
    }

    /// Destroys a slot's key: a tombstone in both twins, durable and read back when this returns. Destroying it
    /// again is no error.
    pub(crate) fn destroy(&self, number: u32) -> Result<()> {
        let mut inner = self.inner.lock();
        let index = number as usize;
        let state = inner.slots.get(index).and_then(|slot| slot.state);
        let state = state.ok_or_else(|| fail!(KeyMissing, "tenant {} has no slot {number}", self.tenant))?;
        let raw = self.sealer.tombstone(&*self.entropy, number.into(), &state)?;
        let kept = inner.slots[index];
        inner.slots[index] = Slot { raw, state: self.sealer.state(number.into(), &raw) };
        let written = write_twins(&*inner.file, &inner.slots, index..index + 1).and_then(|()| {
            [0, 1].iter().try_for_each(|twin| {
                let mut back = EMPTY;
                inner.file.read_exact_at(&mut back, slot_offset(index, *twin))?;
                if back == raw {
                    Ok(())
                } else {
                    Err(std::io::Error::other("a tombstone does not read back"))
                }
            })
        });
        if let Err(error) = written {
            inner.slots[index] = kept;
            return Err(self.io("destroying a slot of", error));
        }
        Ok(())
    }

    /// The structure key of an epoch. `None` where a tombstone says that it was destroyed.
    pub(crate) fn structure_key(&self, slot: u32) -> Result<Option<StructureKey>> {
        let key = self.key(slot, SlotKind::Structure, &self.structure_keys)?;
        Ok(key.map(|key| StructureKey::from_bytes(&key)))
    }

    /// The data key of a slot. `None` where a tombstone says that it was destroyed.
    pub(crate) fn data_key(&self, slot: u32) -> Result<Option<DataKey>> {
        let key = self.key(slot, SlotKind::Data, self.content_keys()?)?;
        Ok(key.map(|key| DataKey::from_bytes(&key)))
    }

    /// The slot of the data key for new records: the greatest live one.
    pub(crate) fn current_data_slot(&self) -> Result<u32> {
        let inner = self.inner.lock();
        let live = |slot: &Slot| {
            slot.state.is_some_and(|state| state.kind == SlotKind::Data && state.status == SlotStatus::Live)
        };
        let index = inner.slots.iter().rposition(live).and_then(|index| u32::try_from(index).ok());
        index.ok_or_else(|| fail!(KeyMissing, "the keyring of tenant {} has no live data key", self.tenant))
    }

    fn key(&self, number: u32, kind: SlotKind, cipher: &Xaes) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let slot = self.inner.lock().slots.get(number as usize).copied().unwrap_or(NO_SLOT);
        match slot.state {
            Some(state) if state.kind == kind && state.status == SlotStatus::Destroyed => Ok(None),
            Some(state) if state.kind == kind => {
                self.sealer.open(cipher, number.into(), &slot.raw, &state).map(Some)
            }
            _ => Err(fail!(
                KeyMissing,
                "the keyring of tenant {} holds neither key nor tombstone in slot {number}: restore the key store",
                self.tenant
            )),
        }
    }

    /// The cipher of the content section, unwrapped by the first who needs it.
    fn content_keys(&self) -> Result<&Xaes> {
        if let Some(keys) = self.content_keys.get() {
            return Ok(keys);
        }
        let _single_flight = self.content_unwrap.lock();
        if let Some(keys) = self.content_keys.get() {
            return Ok(keys);
        }
        let context = WrapContext { store: self.store, tenant: self.tenant, section: Section::Content };
        let section = self
            .providers
            .unwrap(&self.header.provider, &self.header.content, &context)
            .map_err(|error| error.within(format_args!("content keys of tenant {}", self.tenant)))?;
        let keys = SlotSealer::key_cipher(&section)?;
        Ok(self.content_keys.get_or_init(|| keys))
    }

    fn io(&self, what: &str, error: std::io::Error) -> Error {
        Error::io(format!("{what} the keyring of tenant {}", self.tenant), error)
    }
}

fn header_key(structure: &SectionKey) -> Result<Zeroizing<[u8; 32]>> {
    kdf::expand(structure.as_bytes(), b"strongroom/1 keyring header", b"")
}

/// Finds the copy of the header that counts: the newest that unwraps and authenticates.
fn unwrap_header(
    copies: &[[u8; BLOCK]; 2],
    (store, tenant): (StoreId, TenantId),
    providers: &Providers,
) -> Result<(usize, Header, SectionKey)> {
    let mut order = [0, 1];
    let sequence = |index: usize| Header::parse(&copies[index]).map_or(0, |header| header.sequence);
    if sequence(1) > sequence(0) {
        order = [1, 0];
    }
    let mut failure = None;
    for index in order {
        if failure.is_some() && copies[0] == copies[1] {
            break;
        }
        match unwrap_copy(&copies[index], (store, tenant), providers) {
            Ok((header, structure)) => return Ok((index, header, structure)),
            // The more telling of two failures: that of the copy which at least looked like one.
            Err(error) => failure = Some(failure.unwrap_or(error)),
        }
    }
    Err(failure.unwrap_or_else(|| fail!(Internal, "a keyring has no header copies")))
}

fn unwrap_copy(
    block: &[u8; BLOCK],
    (store, tenant): (StoreId, TenantId),
    providers: &Providers,
) -> Result<(Header, SectionKey)> {
    let header = Header::parse(block)?;
    if (header.store, header.tenant) != (store, tenant) {
        return Err(fail!(Unauthentic, "it belongs to another tenant or store"));
    }
    let context = WrapContext { store, tenant, section: Section::Structure };
    let structure = providers.unwrap(&header.provider, &header.structure, &context)?;
    if !Header::authentic(block, &*header_key(&structure)?) {
        return Err(fail!(Unauthentic, "its header does not authenticate"));
    }
    Ok((header, structure))
}

/// Which twin of a slot counts, and whether both agree.
fn choose(sealer: &SlotSealer, number: u64, a: &Raw, b: &Raw) -> (Slot, bool) {
    if a == b {
        let state = if *a == EMPTY { None } else { sealer.state(number, a) };
        return (Slot { raw: *a, state }, true);
    }
    let found = [a, b].map(|raw| Slot { raw: *raw, state: sealer.state(number, raw) });
    let destroyed = |slot: &&Slot| slot.state.is_some_and(|state| state.status == SlotStatus::Destroyed);
    let chosen = found.iter().find(destroyed).or_else(|| found.iter().find(|slot| slot.state.is_some()));
    match chosen {
        Some(slot) => (*slot, false),
        // Neither authenticates and there is nothing to mend from; not empty, so never filled again.
        None => (if *a == EMPTY { found[1] } else { found[0] }, true),
    }
}

fn slot_offset(index: usize, twin: u64) -> u64 {
    let block = SLOTS + 2 * (index / SLOTS_A_BLOCK) as u64 + twin;
    block * BLOCK as u64 + (index % SLOTS_A_BLOCK * SLOT_BYTES) as u64
}

/// Writes slots to their first twins, syncs, to their second twins, syncs. Whole blocks: their other slots get the
/// bytes they have, so a torn write changes none of them.
fn write_twins(file: &dyn DiskFile, slots: &[Slot], changed: std::ops::Range<usize>) -> std::io::Result<()> {
    for twin in 0..2 {
        for block in changed.start / SLOTS_A_BLOCK..changed.end.div_ceil(SLOTS_A_BLOCK) {
            file.write_all_at(&block_of(slots, block), slot_offset(block * SLOTS_A_BLOCK, twin))?;
        }
        file.sync_data()?;
    }
    Ok(())
}

fn block_of(slots: &[Slot], block: usize) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    let members = slots.iter().skip(block * SLOTS_A_BLOCK).take(SLOTS_A_BLOCK);
    for (chunk, slot) in bytes.as_chunks_mut::<SLOT_BYTES>().0.iter_mut().zip(members) {
        *chunk = slot.raw;
    }
    bytes
}

fn mend(
    file: &dyn DiskFile,
    header: Option<&[u8; BLOCK]>,
    mended: &[u64],
    slots: &[Slot],
) -> std::io::Result<()> {
    for (copy, header) in (0..2).zip([header; 2]) {
        if let Some(header) = header {
            file.write_all_at(header, copy * BLOCK as u64)?;
            file.sync_data()?;
        }
    }
    mended.iter().try_for_each(|number| {
        let index = usize::try_from(*number).map_err(std::io::Error::other)?;
        write_twins(file, slots, index..index + 1)
    })
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
