//! The tags of a sealed file's blocks (FORMAT.md section 5.2): entries of 64 bytes in tag blocks, changed in memory
//! and written before each sync.
//!
//! A dirty tag block is never dropped: the nonces and tags in it exist nowhere else.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::disk::DiskFile;
use crate::sealed_file::layout::{BLOCK, BLOCK_U64, GROUP_BLOCKS, group_of, tag_block};

const ENTRY: usize = 64;
const _: () = assert!(ENTRY * GROUP_BLOCKS == BLOCK);

/// What seals one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) nonce: [u8; 24],
    pub(super) tag: [u8; 16],
    pub(super) epoch: u32,
    /// The write number of a block, the sequence of a root slot.
    pub(super) number: u64,
}

/// An entry as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    NeverWritten,
    Entry(Entry),
    /// Not zero where it should be.
    Malformed,
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..24].copy_from_slice(&self.nonce);
        bytes[24..40].copy_from_slice(&self.tag);
        bytes[40..44].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; ENTRY]) -> Found {
        if bytes == &[0; ENTRY] {
            return Found::NeverWritten;
        }
        if bytes[44..48] != [0; 4] || bytes[56..] != [0; 8] {
            return Found::Malformed;
        }
        let mut entry = Self { nonce: [0; 24], tag: [0; 16], epoch: 0, number: 0 };
        entry.nonce.copy_from_slice(&bytes[..24]);
        entry.tag.copy_from_slice(&bytes[24..40]);
        let (mut epoch, mut number) = ([0; 4], [0; 8]);
        epoch.copy_from_slice(&bytes[40..44]);
        number.copy_from_slice(&bytes[48..56]);
        entry.epoch = u32::from_le_bytes(epoch);
        entry.number = u64::from_le_bytes(number);
        Found::Entry(entry)
    }
}

/// Takes anything for an entry, for fuzzing: one that parses encodes to the bytes it came from.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_entry(data: &[u8]) {
    if let Some(bytes) = data.first_chunk()
        && let Found::Entry(entry) = Entry::parse(bytes)
    {
        assert_eq!(entry.encode(), *bytes);
    }
}

#[derive(Debug)]
struct TagBlock {
    bytes: Box<[u8; BLOCK]>,
    dirty: bool,
    used: AtomicBool,
}

impl TagBlock {
    fn entry(&self, index: usize) -> Found {
        self.used.store(true, Ordering::Relaxed);
        self.bytes.as_chunks::<ENTRY>().0.get(index).map_or(Found::Malformed, Entry::parse)
    }

    fn set(&mut self, index: usize, bytes: [u8; ENTRY]) {
        if let Some(entry) = self.bytes.as_chunks_mut::<ENTRY>().0.get_mut(index) {
            *entry = bytes;
        }
    }
}

/// The tag blocks in memory: all dirty ones, and clean ones up to a bound.
#[derive(Debug)]
pub(super) struct Tags {
    cached: RwLock<Cached>,
    clean_max: usize,
}

#[derive(Debug, Default)]
struct Cached {
    blocks: HashMap<u64, TagBlock>,
    /// How many of them are dirty.
    dirty: usize,
}

impl Cached {
    fn load(&mut self, file: &dyn DiskFile, group: u64, clean_max: usize) -> io::Result<()> {
        if self.blocks.contains_key(&group) {
            return Ok(());
        }
        let mut bytes = Box::new([0; BLOCK]);
        file.read_exact_at(&mut *bytes, tag_block(group) * BLOCK_U64)?;
        if self.blocks.len() - self.dirty >= clean_max {
            self.evict(clean_max - clean_max / 4);
        }
        self.blocks.insert(group, TagBlock { bytes, dirty: false, used: AtomicBool::new(true) });
        Ok(())
    }

    /// The entries of a group that was loaded, to be changed.
    fn changing(&mut self, group: u64) -> Option<&mut TagBlock> {
        let block = self.blocks.get_mut(&group)?;
        self.dirty += usize::from(!block.dirty);
        block.dirty = true;
        Some(block)
    }

    /// Drops clean blocks until so many are left, those first that were not used since the last time.
    fn evict(&mut self, clean: usize) {
        let mut dropping = (self.blocks.len() - self.dirty).saturating_sub(clean);
        for keep_used in [true, false] {
            self.blocks.retain(|_, block| {
                let spared =
                    block.dirty || dropping == 0 || (keep_used && block.used.swap(false, Ordering::Relaxed));
                dropping -= usize::from(!spared);
                spared
            });
        }
    }
}

impl Tags {
    /// A cache of at most `bytes`, dirty blocks apart.
    pub(super) fn new(bytes: usize) -> Self {
        Self { cached: RwLock::default(), clean_max: (bytes / BLOCK).max(16) }
    }

    pub(super) fn get(&self, file: &dyn DiskFile, logical: u64) -> io::Result<Found> {
        let (group, index) = group_of(logical);
        if let Some(block) = self.cached.read().blocks.get(&group) {
            return Ok(block.entry(index));
        }
        let mut cached = self.cached.write();
        cached.load(file, group, self.clean_max)?;
        Ok(cached.blocks.get(&group).map_or(Found::Malformed, |block| block.entry(index)))
    }

    pub(super) fn set(&self, file: &dyn DiskFile, logical: u64, entry: &Entry) -> io::Result<()> {
        let (group, index) = group_of(logical);
        let mut cached = self.cached.write();
        cached.load(file, group, self.clean_max)?;
        if let Some(block) = cached.changing(group) {
            block.set(index, entry.encode());
        }
        Ok(())
    }

    /// Writes the dirty tag blocks; one that can't be written stays dirty.
    pub(super) fn flush(&self, file: &dyn DiskFile) -> io::Result<()> {
        let mut cached = self.cached.write();
        let Cached { blocks, dirty } = &mut *cached;
        let mut changed: Vec<_> = blocks.iter_mut().filter(|(_, block)| block.dirty).collect();
        changed.sort_unstable_by_key(|(group, _)| **group);
        for (group, block) in changed {
            file.write_all_at(&*block.bytes, tag_block(*group) * BLOCK_U64)?;
            block.dirty = false;
            *dirty -= 1;
        }
        Ok(())
    }

    /// Forgets the entries of a file that is cut to `logical` blocks; zeroes those that share a tag block with what
    /// stays, so that a later growth finds them never written.
    pub(super) fn truncate(&self, file: &dyn DiskFile, logical: u64) -> io::Result<()> {
        let mut cached = self.cached.write();
        let (group, index) = group_of(logical.max(1));
        let mut kept = group;
        if index > 0 {
            cached.load(file, group, self.clean_max)?;
            if let Some(block) = cached.changing(group) {
                (index..GROUP_BLOCKS).for_each(|index| block.set(index, [0; ENTRY]));
            }
            kept += 1;
        }
        cached.blocks.retain(|group, _| *group < kept);
        cached.dirty = cached.blocks.values().filter(|block| block.dirty).count();
        Ok(())
    }
}

#[cfg(test)]
impl Tags {
    /// Drops every clean block, as eviction may at any time.
    pub(super) fn forget(&self) {
        self.cached.write().blocks.retain(|_, block| block.dirty);
    }
}
