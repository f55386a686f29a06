//! A sealed file as it was at one moment, for verification while writers go on: blocks overwritten since are kept
//! in memory, and what is written to the view stays in memory.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;

use crate::error::{Error, Result, fail};
use crate::sealed_file::SealedFile;
use crate::sealed_file::layout::{BLOCK, BLOCK_U64, within_block};

type Plain = Box<[u8; BLOCK]>;

/// What a file's writer keeps for a view: the blocks overwritten or cut since the view was made.
#[derive(Debug)]
pub(super) struct Snapshot {
    blocks: u64,
    kept: Mutex<HashMap<u64, Option<Plain>>>,
}

impl Snapshot {
    /// Keeps a block once, before it is overwritten; a block that could not be read is kept as that.
    pub(super) fn preserve(&self, block: u64, read: impl FnOnce() -> Result<Plain>) {
        let mut kept = self.kept.lock();
        if block < self.blocks && !kept.contains_key(&block) {
            kept.insert(block, read().ok());
        }
    }
}

/// What a view says of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockCheck {
    NeverWritten,
    Good,
    Bad,
}

/// A consistent view. Cloning it shares what was written to it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    file: Arc<SealedFile>,
    snapshot: Arc<Snapshot>,
    written: Arc<Mutex<HashMap<u64, Plain>>>,
    bytes: Arc<AtomicU64>,
    /// The blocks that redb asked for: those its tables refer to.
    asked: Arc<Mutex<HashSet<u64>>>,
}

impl View {
    /// The file as it is now. The caller sees to it that no commit is under way.
    pub(crate) fn new(file: &Arc<SealedFile>) -> Self {
        let snapshot = Arc::new(Snapshot { blocks: file.len() / BLOCK_U64, kept: Mutex::default() });
        file.register(&snapshot);
        let bytes = Arc::new(AtomicU64::new(file.len()));
        Self { file: Arc::clone(file), snapshot, written: Arc::default(), bytes, asked: Arc::default() }
    }

    /// Logical blocks of the file when the view was made.
    pub(crate) fn blocks(&self) -> u64 {
        self.snapshot.blocks
    }

    /// Whether redb asked for a block of this view.
    pub(crate) fn was_asked(&self, block: u64) -> bool {
        self.asked.lock().contains(&block)
    }

    /// Opens one block.
    pub(crate) fn check(&self, block: u64) -> BlockCheck {
        if let Some(kept) = self.snapshot.kept.lock().get(&block) {
            return if kept.is_some() { BlockCheck::Good } else { BlockCheck::Bad };
        }
        match self.file.is_written(block) {
            Ok(false) => BlockCheck::NeverWritten,
            Ok(true) if self.read_block(block).is_ok() => BlockCheck::Good,
            _ => BlockCheck::Bad,
        }
    }

    fn read_block(&self, block: u64) -> Result<Plain> {
        if let Some(plain) = self.written.lock().get(&block) {
            return Ok(plain.clone());
        }
        if let Some(kept) = self.kept(block) {
            return kept;
        }
        let mut plain = Box::new([0; BLOCK]);
        let read = self.file.read(block * BLOCK_U64, &mut *plain);
        // The writer keeps a block before it overwrites it: where it did so meanwhile, what was read may be the new
        // block or a mixture.
        if let Some(kept) = self.kept(block) {
            return kept;
        }
        read.map(|()| plain)
    }

    fn kept(&self, block: u64) -> Option<Result<Plain>> {
        let kept = self.snapshot.kept.lock();
        let plain = kept.get(&block)?;
        Some(plain.clone().ok_or_else(|| fail!(Unauthentic, "block {block} does not authenticate")))
    }

    fn each_block(
        &self,
        offset: u64,
        length: usize,
        mut visit: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> Result<()>,
    ) -> Result<()> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.bytes.load(Ordering::Acquire)) {
            return Err(fail!(Corrupted, "a read reaches beyond the file's end"));
        }
        let mut done = 0;
        while done < length {
            let position = offset + done as u64;
            let within = within_block(position);
            let part = (length - done).min(BLOCK - within);
            visit(position / BLOCK_U64, within..within + part, done..done + part)?;
            done += part;
        }
        Ok(())
    }
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        match self.bytes.load(Ordering::Acquire) {
            0 => Err(fail!(Corrupted, "the file is empty").into_io()),
            bytes => Ok(bytes),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.each_block(offset, out.len(), |block, within, target| {
            self.asked.lock().insert(block);
            out[target].copy_from_slice(&self.read_block(block)?[within]);
            Ok(())
        })
        .map_err(Error::into_io)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.store(len, Ordering::Release);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.each_block(offset, data.len(), |block, within, source| {
            let mut plain =
                if within.len() == BLOCK { Box::new([0; BLOCK]) } else { self.read_block(block)? };
            plain[within].copy_from_slice(&data[source]);
            self.written.lock().insert(block, plain);
            Ok(())
        })
        .map_err(Error::into_io)
    }
}
