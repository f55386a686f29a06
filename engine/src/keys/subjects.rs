//! The slots of subject keys: a file of their own, read by number, so that a million of them cost no memory
//! (FORMAT.md section 4.6).

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use crate::crypto::Entropy;
use crate::crypto::aead::Xaes;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::keys::header::{BLOCK, Header, Holder};
use crate::keys::slot::{EMPTY, Raw, SLOT_BYTES, SlotKind, SlotSealer, SlotState, SlotStatus};
use crate::keys::twins::{
    self, Block, FIRST, SLOTS_A_BLOCK, Slot, block_offset, choose, put_slot, read_block, slot_in, write_pairs,
};

/// Slot numbers end here: 1 TiB of them.
const SLOT_MAX: u64 = 1 << 32;
const A_BLOCK: u64 = SLOTS_A_BLOCK as u64;

/// Whose slots they are, and what authenticates them.
#[derive(Debug)]
pub(super) struct SubjectsOf {
    pub(super) store: StoreId,
    pub(super) tenant: TenantId,
    /// The generation of the section keys.
    pub(super) generation: u32,
    pub(super) header_key: Zeroizing<[u8; 32]>,
    pub(super) sealer: Arc<SlotSealer>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// An open file of subject slots.
#[derive(Debug)]
pub(super) struct SubjectSlots {
    of: Arc<SubjectsOf>,
    file: Box<dyn DiskFile>,
    /// Who writes.
    writing: Mutex<()>,
    /// Whether nobody may write any more.
    is_retired: AtomicBool,
    /// Pairs of blocks that were filled, or may have been.
    pairs: AtomicU64,
    mended: AtomicU64,
    /// Keys that were filled lately and used by nobody, so that the put that uses one need not read it back.
    fresh: Mutex<HashMap<u64, Zeroizing<[u8; 32]>>>,
}

/// Keys kept for that.
const FRESH_MAX: usize = 4_096;

/// What was found in all the slots of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubjectsFound {
    /// Slots of which one twin was damaged or behind, and was mended.
    pub(crate) mended: u64,
    /// Slots of which neither twin authenticates.
    pub(crate) lost: Vec<u64>,
}

fn is_subject(kind: SlotKind) -> bool {
    kind == SlotKind::Subject
}

impl SubjectSlots {
    /// Opens the file. `None` where there is none, or one whose creation was interrupted before it held anything.
    pub(super) fn open(disk: &dyn Disk, path: &Path, of: Arc<SubjectsOf>) -> Result<Option<Self>> {
        let file = match disk.open(path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| Error::io("opening", error))?,
        };
        // A process that was killed may have left it in the page cache alone.
        file.sync_data().map_err(|error| Error::io("syncing", error))?;
        let length = file.len().map_err(|error| Error::io("measuring", error))?;
        let block = BLOCK as u64;
        let copies = [read_block(&*file, 0), read_block(&*file, 1)];
        let good = copies.iter().position(|copy| Header::authentic(copy, &of.header_key));
        let holds_nothing = || {
            length <= (FIRST + 2) * block
                && (FIRST..FIRST + 2).all(|index| read_block(&*file, index).iter().all(|byte| *byte == 0))
        };
        let Some(good) = good else {
            if holds_nothing() {
                return Ok(None);
            }
            return Err(fail!(
                Unauthentic,
                "neither copy of its header authenticates: restore it from a copy"
            ));
        };
        if length < (FIRST + 2) * block || length % (2 * block) != 0 || length > SLOT_MAX * 256 {
            return Err(fail!(Corrupted, "the file has {length} bytes, which no file of slots has"));
        }
        let header = Header::parse(Holder::Subjects, &copies[good])?;
        if (header.store, header.tenant) != (of.store, of.tenant) {
            return Err(fail!(Unauthentic, "it belongs to another tenant or store"));
        }
        let mended = copies[0] != copies[1];
        if mended {
            let other = (1 - good) as u64 * block;
            let written = file.write_all_at(&copies[good], other).and_then(|()| file.sync_data());
            written.map_err(|error| Error::io("mending a damaged copy from the good one", error))?;
        }
        let pairs = if holds_nothing() { 0 } else { (length / block - FIRST) / 2 };
        Ok(Some(Self {
            of,
            file,
            writing: Mutex::new(()),
            is_retired: AtomicBool::new(false),
            pairs: AtomicU64::new(pairs),
            mended: AtomicU64::new(mended.into()),
            fresh: Mutex::default(),
        }))
    }

    /// Makes the file, without a key; durable when this returns. What an interrupted creation left is removed.
    pub(super) fn create(disk: &dyn Disk, path: &Path, of: Arc<SubjectsOf>) -> Result<Self> {
        let failed = |error| Error::io("creating", error);
        match disk.remove_file(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.map_err(failed)?,
        }
        let header = Header {
            holder: Holder::Subjects,
            store: of.store,
            tenant: of.tenant,
            sequence: 1,
            generation: of.generation,
            provider: String::new(),
            structure: Vec::new(),
            content: Vec::new(),
        };
        let block = header.encode(&of.header_key);
        let mut image = vec![0; BLOCK * (usize::try_from(FIRST).unwrap_or_default() + 2)];
        image[..BLOCK].copy_from_slice(&block);
        image[BLOCK..2 * BLOCK].copy_from_slice(&block);
        let file = disk.open(path, OpenMode::CreateNew).map_err(failed)?;
        file.write_all_at(&image, 0).and_then(|()| file.sync_data()).map_err(failed)?;
        if let Some(directory) = path.parent() {
            disk.sync_dir(directory).map_err(failed)?;
        }
        let (pairs, mended) = (AtomicU64::new(0), AtomicU64::new(0));
        let (writing, is_retired) = (Mutex::new(()), AtomicBool::new(false));
        Ok(Self { of, file, writing, is_retired, pairs, mended, fresh: Mutex::default() })
    }

    /// Slots that were mended since the file was opened.
    pub(super) fn mended(&self) -> u64 {
        self.mended.load(Ordering::Relaxed)
    }

    /// The turn to write, unless it is over.
    fn writing(&self) -> Result<MutexGuard<'_, ()>> {
        let writing = self.writing.lock();
        if self.is_retired.load(Ordering::Acquire) { Err(retired(self.of.tenant)) } else { Ok(writing) }
    }

    /// Refuses every change from now on.
    pub(super) fn retire(&self) {
        let _writing = self.writing.lock();
        self.forget_fresh();
        self.is_retired.store(true, Ordering::Release);
    }

    pub(super) fn file_bytes(&self) -> Result<u64> {
        self.file.len().map_err(|error| Error::io("measuring", error))
    }

    /// The number after the last slot that was filled, or may have been.
    pub(super) fn end(&self) -> u64 {
        self.pairs.load(Ordering::Acquire) * A_BLOCK
    }

    /// Fills slots with random keys, at least `count` of them, numbered from `at_least` or higher; durable when this
    /// returns. Whole blocks, so that no fill touches a slot of another one.
    pub(super) fn fill(&self, keys: &Xaes, timeline: u32, at_least: u64, count: u64) -> Result<Range<u64>> {
        let _writing = self.writing()?;
        // Number 0 is never used: 1 is the first of its block.
        let asked = if at_least <= 1 { 0 } else { at_least.div_ceil(A_BLOCK) };
        let first = self.pairs.load(Ordering::Acquire).max(asked);
        let end = first + count.div_ceil(A_BLOCK).max(1);
        if end * A_BLOCK > SLOT_MAX {
            return Err(fail!(LimitExceeded, "it has no room for more subject keys"));
        }
        let mut blocks = BTreeMap::new();
        let mut filled = Vec::new();
        for pair in first..end {
            let mut block = [0; BLOCK];
            for (place, number) in (pair * A_BLOCK..(pair + 1) * A_BLOCK).enumerate() {
                if number == 0 {
                    continue;
                }
                let mut key = Zeroizing::new([0; 32]);
                self.of.entropy.fill(&mut *key)?;
                let state = (SlotKind::Subject, SlotStatus::Pooled, u64::from(timeline));
                let raw = self.of.sealer.seal(&*self.of.entropy, keys, number, state, &key)?;
                put_slot(&mut block, place, &raw);
                filled.push((number, key));
            }
            blocks.insert(pair, [block, block]);
        }
        // Spent from here on, whatever comes: what of them reaches the disk must never get another key.
        self.pairs.store(end, Ordering::Release);
        let length = block_offset(end, 0);
        let written = self.file.len().and_then(|now| {
            if now < length {
                self.file.set_len(length)?;
            }
            write_pairs(&*self.file, &blocks)
        });
        written.map_err(|error| Error::io("filling slots", error))?;
        let mut fresh = self.fresh.lock();
        let room = FRESH_MAX.saturating_sub(fresh.len());
        fresh.extend(filled.into_iter().take(room));
        Ok((first * A_BLOCK).max(1)..end * A_BLOCK)
    }

    /// The key of a slot that was filled lately and asked for by nobody: it is not kept any longer.
    pub(super) fn take_fresh(&self, number: u64) -> Option<Zeroizing<[u8; 32]>> {
        self.fresh.lock().remove(&number)
    }

    /// Forgets the keys that were filled lately.
    pub(super) fn forget_fresh(&self) {
        self.fresh.lock().clear();
    }

    /// The slots from a number on that were pooled in a timeline.
    pub(super) fn pooled(&self, from: u64, timeline: u32) -> Result<Vec<u64>> {
        let mut pooled = Vec::new();
        for number in from.max(1)..self.end() {
            let is_pooled = self.read(number)?.state.is_some_and(|state| {
                state.status == SlotStatus::Pooled && state.attribute == u64::from(timeline)
            });
            if is_pooled {
                pooled.push(number);
            }
        }
        Ok(pooled)
    }

    /// A slot, from whichever twin counts; a bad twin is mended from the good one.
    pub(super) fn read(&self, number: u64) -> Result<Slot> {
        if number == 0 || number >= self.end() {
            return Ok(twins::NO_SLOT);
        }
        let mut failed = None;
        let mut twin = |twin| {
            let mut raw = EMPTY;
            let read = self.file.read_exact_at(&mut raw, twins::slot_offset(number, twin));
            read.map_or_else(
                |error| {
                    failed = Some(error);
                    EMPTY
                },
                |()| raw,
            )
        };
        let (slot, is_whole) = choose(&self.of.sealer, number, [&twin(0), &twin(1)], is_subject);
        // What can't be read now is not lost for that; what the file is too short for is.
        if let Some(error) = failed.filter(|error| error.kind() != std::io::ErrorKind::UnexpectedEof)
            && slot.state.is_none()
        {
            return Err(Error::io("reading a slot", error));
        }
        if is_whole || slot.state.is_none() {
            return Ok(slot);
        }
        // Looked at again with nobody writing: it may have been changed at this moment.
        let _writing = self.writing()?;
        let (pair, _) = twins::place(number);
        let found = self.look(pair);
        if !found.bad.is_empty() {
            self.mended.fetch_add(found.bad.len() as u64, Ordering::Relaxed);
            write_pairs(&*self.file, &BTreeMap::from([(pair, found.blocks)]))
                .map_err(|error| Error::io("mending a damaged slot from the good one", error))?;
        }
        Ok(slot)
    }

    /// The slots of a pair of blocks.
    pub(super) fn slots_of(&self, pair: u64) -> Vec<Slot> {
        self.look(pair).slots
    }

    /// Both blocks of a pair, each slot mended in memory where one twin is bad.
    fn look(&self, pair: u64) -> Found {
        let mut blocks = [0, 1].map(|twin| read_block(&*self.file, FIRST + 2 * pair + twin));
        let mut slots = Vec::with_capacity(SLOTS_A_BLOCK);
        let mut bad = Vec::new();
        for (place, number) in (pair * A_BLOCK..(pair + 1) * A_BLOCK).enumerate() {
            let twins = [slot_in(&blocks[0], place), slot_in(&blocks[1], place)];
            let (slot, is_whole) = choose(&self.of.sealer, number, twins, is_subject);
            if !is_whole {
                for block in &mut blocks {
                    put_slot(block, place, &slot.raw);
                }
                bad.push(number);
            }
            slots.push(slot);
        }
        Found { blocks, slots, bad }
    }

    /// Destroys keys: a tombstone for each in both twins, durable and read back when this returns. Two syncs for all.
    pub(super) fn destroy(&self, numbers: &[u64]) -> Result<()> {
        let _writing = self.writing()?;
        let mut fresh = self.fresh.lock();
        for number in numbers {
            fresh.remove(number);
        }
        drop(fresh);
        let mut pairs: BTreeMap<u64, Found> = BTreeMap::new();
        let mut tombstones: Vec<(u64, Raw)> = Vec::new();
        for number in numbers {
            if *number == 0 || *number >= self.end() {
                return Err(fail!(KeyMissing, "there is no subject slot {number}: restore the key store"));
            }
            let (pair, place) = twins::place(*number);
            let found = pairs.entry(pair).or_insert_with(|| self.look(pair));
            let raw = tombstone(&self.of, *number, found.slots[place].state)?;
            for block in &mut found.blocks {
                put_slot(block, place, &raw);
            }
            tombstones.push((*number, raw));
        }
        let blocks: BTreeMap<u64, [Block; 2]> =
            pairs.into_iter().map(|(pair, found)| (pair, found.blocks)).collect();
        let written = write_pairs(&*self.file, &blocks).and_then(|()| {
            twins::read_back(&*self.file, tombstones.iter().map(|(number, raw)| (*number, raw)))
        });
        written.map_err(|error| Error::io("destroying subject slots", error))
    }

    /// Looks at every slot and mends what can be mended.
    pub(super) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<SubjectsFound> {
        let before = self.mended();
        let mut found = SubjectsFound::default();
        for number in 1..self.end() {
            let slot = self.read(number)?;
            if slot.raw != EMPTY && slot.state.is_none() {
                found.lost.push(number);
            }
            if number % A_BLOCK == 0 {
                progress(2);
            }
        }
        found.mended = self.mended() - before;
        Ok(found)
    }
}

/// The keys of a tenant are changed no more through who has them open.
pub(super) fn retired(tenant: TenantId) -> Error {
    fail!(Poisoned, "tenant {tenant} was erased, or moved to another region: ask the store for it again")
}

/// A pair of blocks as it was found.
struct Found {
    /// With bad twins replaced.
    blocks: [Block; 2],
    slots: Vec<Slot>,
    bad: Vec<u64>,
}

/// A tombstone in the place of a key, or of what is left of it.
fn tombstone(of: &SubjectsOf, number: u64, state: Option<SlotState>) -> Result<[u8; SLOT_BYTES]> {
    let state = state.unwrap_or_else(|| SlotState::nothing(SlotKind::Subject));
    of.sealer.tombstone(&*of.entropy, number, &state)
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
