//! A redb database in a file of sealed blocks (FORMAT.md section 5).
//!
//! Each 4,096-byte block is sealed alone by XAES-256-GCM, so an altered, moved or exchanged block is an error when it
//! is read and never a wrong byte. What redb may overwrite in place, its first block, alternates between two slots;
//! everything else it writes goes to blocks that the last durable commit does not use, and their tags are written
//! before the same sync.

mod backend;
mod behind;
mod copy;
mod header;
mod layout;
mod root;
mod tags;
mod view;

pub(crate) use backend::{Backend, Session};
pub(crate) use header::FileIdentity;
#[cfg(feature = "simulation")]
pub(crate) use tags::fuzz_entry;
pub(crate) use view::{BlockCheck, View};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use crate::crypto::aead::{TAG_BYTES, Xaes};
use crate::crypto::{Entropy, StructureKey, kdf, random};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use behind::Behind;
use layout::{BLOCK, BLOCK_U64, GROUP_BLOCKS, group_of, logical_len, physical, physical_len, within_block};
use root::{Root, RootSealer};
use tags::{Entry, Found, Tags};
use view::Snapshot;

/// So much is written before the disk is made to take it. What a checkpoint writes would otherwise all go at its end, and a
/// sync of the journal waits behind it.
const WRITE_BACK_BYTES: usize = 4 << 20;

/// How a sealed file is opened.
#[derive(Clone, Debug)]
pub(crate) struct FileOptions {
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Bound of the tag cache in bytes.
    pub(crate) tag_cache_bytes: usize,
    /// Memory for blocks that wait to be written behind, in bytes; at least 2 MiB are taken.
    pub(crate) behind_bytes: usize,
}

/// An open sealed file.
pub(crate) struct SealedFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    identity: FileIdentity,
    cipher: Xaes,
    entropy: Arc<dyn Entropy>,
    /// Logical length in blocks.
    blocks: AtomicU64,
    tags: Tags,
    root: Mutex<Root>,
    write_number: AtomicU64,
    /// The write number each block must have, once `remember_numbers` was called: freshness in full.
    numbers: RwLock<Option<Vec<u64>>>,
    snapshots: RwLock<Vec<Weak<Snapshot>>>,
    sync_failed: AtomicBool,
    was_written: AtomicBool,
    /// Bytes of blocks written since the last sync.
    unsynced_bytes: AtomicUsize,
    behind: Behind,
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl SealedFile {
    /// Makes an empty sealed file: redb may initialise it. Not durable before the first sync.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        identity: FileIdentity,
        key: &StructureKey,
        created_ms: u64,
        options: &FileOptions,
    ) -> Result<Self> {
        let failed = |error| Error::io(format!("creating {}", path.display()), error);
        let file = disk.open(path, OpenMode::CreateNew).map_err(failed)?;
        file.write_all_at(&identity.encode_header(key, created_ms)?, 0).map_err(failed)?;
        file.set_len(physical_len(0) * BLOCK_U64).map_err(failed)?;
        Self::assemble(file, path, identity, key, 0, Root::new(), options)
    }

    /// Opens a sealed file and authenticates its header and root. Writes nothing.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        identity: FileIdentity,
        key: &StructureKey,
        options: &FileOptions,
    ) -> Result<Self> {
        Self::open_inner(disk, path, identity, key, options)
            .map_err(|error| error.within(format_args!("tenant {} ({})", identity.tenant, path.display())))
    }

    fn open_inner(
        disk: &dyn Disk,
        path: &Path,
        identity: FileIdentity,
        key: &StructureKey,
        options: &FileOptions,
    ) -> Result<Self> {
        let file =
            disk.open(path, OpenMode::ReadWrite).map_err(|error| Error::io("opening the file", error))?;
        let mut header = [0; BLOCK];
        file.read_exact_at(&mut header, 0).map_err(|error| Error::io("reading the header", error))?;
        identity.check_header(key, &header)?;
        let bytes = file.len().map_err(|error| Error::io("measuring the file", error))?;
        let blocks = logical_len(bytes)
            .ok_or_else(|| fail!(Corrupted, "the file has {bytes} bytes: it was cut or extended"))?;
        let cipher = block_cipher(key, identity)?;
        let sealer = RootSealer { cipher: &cipher, file: identity.file, epoch: identity.epoch };
        let root = Root::load(&*file, sealer)?;
        Self::assemble(file, path, identity, key, blocks, root, options)
    }

    fn assemble(
        file: Box<dyn DiskFile>,
        path: &Path,
        identity: FileIdentity,
        key: &StructureKey,
        blocks: u64,
        root: Root,
        options: &FileOptions,
    ) -> Result<Self> {
        Ok(Self {
            file,
            path: path.to_owned(),
            identity,
            cipher: block_cipher(key, identity)?,
            entropy: Arc::clone(&options.entropy),
            blocks: AtomicU64::new(blocks),
            tags: Tags::new(options.tag_cache_bytes),
            root: Mutex::new(root),
            write_number: AtomicU64::new(u64::from_le_bytes(random(&*options.entropy)?)),
            numbers: RwLock::new(None),
            snapshots: RwLock::default(),
            sync_failed: AtomicBool::new(false),
            was_written: AtomicBool::new(false),
            unsynced_bytes: AtomicUsize::new(0),
            behind: Behind::new(options.behind_bytes),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Logical length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.blocks.load(Ordering::Acquire) * BLOCK_U64
    }

    /// Whether a sync of this file failed: what it holds may not be what the disk holds.
    pub(crate) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    /// Whether the disk failed to give one of the two roots when the file was opened.
    pub(crate) fn has_unreadable_root(&self) -> bool {
        self.root.lock().is_unreadable()
    }

    /// Whether anything was written since the file was opened.
    pub(crate) fn was_written(&self) -> bool {
        self.was_written.load(Ordering::Acquire)
    }

    /// Reads plain bytes.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(self.corrupted("a read reaches beyond its end"));
        }
        let mut block = offset / BLOCK_U64;
        self.behind.settle_blocks(block..(offset + out.len() as u64).div_ceil(BLOCK_U64))?;
        let mut within = within_block(offset);
        let mut out = out;
        while !out.is_empty() {
            let run = if block == 0 || within != 0 || out.len() < BLOCK {
                let part = out.len().min(BLOCK - within);
                let mut plain = [0; BLOCK];
                self.read_blocks(block, &mut plain)?;
                out[..part].copy_from_slice(&plain[within..within + part]);
                part
            } else {
                let left_in_group = GROUP_BLOCKS - group_of(block).1;
                let run = (out.len() / BLOCK).min(left_in_group) * BLOCK;
                self.read_blocks(block, &mut out[..run])?;
                run
            };
            out = &mut out[run..];
            within = 0;
            block += run.div_ceil(BLOCK) as u64;
        }
        Ok(())
    }

    /// Reads whole blocks of one group, or block 0.
    fn read_blocks(&self, first: u64, out: &mut [u8]) -> Result<()> {
        if first == 0 {
            out.copy_from_slice(self.root.lock().plain());
            return Ok(());
        }
        self.file
            .read_exact_at(out, physical(first) * BLOCK_U64)
            .map_err(|error| self.io(format_args!("reading block {first}"), error))?;
        for (block, text) in (first..).zip(out.as_chunks_mut::<BLOCK>().0) {
            let found =
                self.tags.get(&*self.file, block).map_err(|error| self.io("reading a tag block", error))?;
            self.open_block(block, found, text)?;
        }
        Ok(())
    }

    fn open_block(&self, block: u64, found: Found, text: &mut [u8; BLOCK]) -> Result<()> {
        let entry = match found {
            Found::Entry(entry) => entry,
            Found::NeverWritten => return Err(self.corrupted(&format!("block {block} was never written"))),
            Found::Malformed => return Err(self.corrupted(&format!("the tag of block {block} is malformed"))),
        };
        let authentic = entry.epoch == self.identity.epoch
            && self.cipher.open(&entry.nonce, &self.block_aad(block, entry.number), text, &entry.tag).is_ok();
        if !authentic {
            return Err(self.place(fail!(Unauthentic, "block {block} does not authenticate")));
        }
        if let Some(numbers) = &*self.numbers.read() {
            let expected = usize::try_from(block).ok().and_then(|index| numbers.get(index));
            if expected != Some(&entry.number) {
                return Err(self.place(fail!(RolledBack, "block {block} is an older version put back")));
            }
        }
        Ok(())
    }

    /// Writes plain bytes: whole blocks, or a part of block 0.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.check_writable()?;
        self.was_written.store(true, Ordering::Release);
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(fail!(Internal, "redb wrote beyond the file's end"));
        }
        if offset < BLOCK_U64 {
            let start = within_block(offset);
            let in_root = data.len().min(BLOCK - start);
            self.write_root(start, &data[..in_root])?;
            if in_root == data.len() {
                return Ok(());
            }
            return self.write(BLOCK_U64, &data[in_root..]);
        }
        if !offset.is_multiple_of(BLOCK_U64) || !data.len().is_multiple_of(BLOCK) {
            return Err(fail!(Internal, "redb wrote a part of a block"));
        }
        let mut first = offset / BLOCK_U64;
        let mut data = data;
        while !data.is_empty() {
            let run = (data.len() / BLOCK).min(GROUP_BLOCKS - group_of(first).1);
            if let Some(plain) = self.behind.take(first, data[..run * BLOCK].to_vec())? {
                self.write_run(first, plain)?;
            }
            first += run as u64;
            data = &data[run * BLOCK..];
        }
        Ok(())
    }

    /// Calls `work`, during which a thread of its own seals and writes what redb writes: for much of it.
    pub(crate) fn write_behind<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (done, left) = self.behind.serve(|first, data| self.write_run(first, data), work);
        if done.is_ok() && left.is_err() {
            // redb takes for written what is not.
            self.sync_failed.store(true, Ordering::Release);
        }
        done.and_then(|done| left.map(|()| done))
    }

    fn write_run(&self, first: u64, plain: Vec<u8>) -> Result<()> {
        self.preserve(first..first + (plain.len() / BLOCK) as u64);
        let mut sealed = plain;
        let mut entries = Vec::with_capacity(sealed.len() / BLOCK);
        for (block, text) in (first..).zip(sealed.as_chunks_mut::<BLOCK>().0) {
            let number = self.write_number.fetch_add(1, Ordering::Relaxed);
            let (nonce, tag) = self.cipher.seal(&*self.entropy, &self.block_aad(block, number), text)?;
            entries.push((block, Entry { nonce, tag, epoch: self.identity.epoch, number }));
        }
        self.file
            .write_all_at(&sealed, physical(first) * BLOCK_U64)
            .map_err(|error| self.io(format_args!("writing block {first}"), error))?;
        self.write_back(sealed.len())?;
        for (block, entry) in entries {
            self.tags
                .set(&*self.file, block, &entry)
                .map_err(|error| self.io("reading a tag block", error))?;
            if let Some(numbers) = &mut *self.numbers.write() {
                let index =
                    usize::try_from(block).map_err(|_| fail!(Internal, "a block number exceeds memory"))?;
                if numbers.len() <= index {
                    numbers.resize(index + 1, 0);
                }
                numbers[index] = entry.number;
            }
        }
        Ok(())
    }

    /// Has the disk take what was written, whenever that is much.
    fn write_back(&self, bytes: usize) -> Result<()> {
        if self.unsynced_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes < WRITE_BACK_BYTES {
            return Ok(());
        }
        self.sync_blocks()
    }

    fn sync_blocks(&self) -> Result<()> {
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        self.file.sync_data().map_err(|error| {
            self.sync_failed.store(true, Ordering::Release);
            self.io("syncing the file", error)
        })
    }

    fn write_root(&self, offset: usize, data: &[u8]) -> Result<()> {
        self.behind.settle()?;
        if self.root.lock().wants_sync() {
            self.sync()?;
        }
        self.preserve(0..1);
        let mut root = self.root.lock();
        root.write(&*self.file, self.root_sealer(), &*self.entropy, offset, data)
            .map_err(|error| self.place(error))
    }

    /// Writes the root once more, into its other slot, and syncs: after a clean close either slot may be damaged and
    /// the last commit is still found.
    pub(crate) fn repeat_root(&self) -> Result<()> {
        self.write_root(0, &[])?;
        self.sync()
    }

    /// Cuts or extends the file. Blocks it gains are never written until they are.
    pub(crate) fn set_len(&self, bytes: u64) -> Result<()> {
        self.check_writable()?;
        if !bytes.is_multiple_of(BLOCK_U64) {
            return Err(fail!(Internal, "redb asked for a length of {bytes} bytes"));
        }
        self.behind.settle()?;
        let (before, after) = (self.blocks.load(Ordering::Acquire), bytes / BLOCK_U64);
        if after < before {
            self.preserve(after..before);
            self.tags.truncate(&*self.file, after).map_err(|error| self.io("reading a tag block", error))?;
        }
        self.file
            .set_len(physical_len(after) * BLOCK_U64)
            .map_err(|error| self.io("changing the length of the file", error))?;
        self.blocks.store(after, Ordering::Release);
        Ok(())
    }

    /// Makes everything written durable: tag blocks, then the sync. After a failure the file refuses every further
    /// write, because what it then holds is not known to be on the disk, and stays so until it is replaced.
    pub(crate) fn sync(&self) -> Result<()> {
        self.check_writable()?;
        self.behind.settle()?;
        self.flush_tags()?;
        self.sync_blocks()?;
        self.root.lock().synced();
        Ok(())
    }

    /// Writes the tags of what was written since the last sync.
    fn flush_tags(&self) -> Result<()> {
        self.tags.flush(&*self.file).map_err(|error| self.io("writing a tag block", error))
    }

    /// Takes the file's lock, which excludes another process and another open of it.
    pub(crate) fn try_lock(&self) -> Result<bool> {
        self.file.try_lock().map_err(|error| self.io("locking the file", error))
    }

    pub(crate) fn unlock(&self) -> Result<()> {
        self.file.unlock().map_err(|error| self.io("unlocking the file", error))
    }

    /// From now on each block must have the write number it has now (freshness in full). The caller has verified the
    /// file through a view and nothing wrote it meanwhile.
    pub(crate) fn remember_numbers(&self) -> Result<()> {
        let blocks = self.blocks.load(Ordering::Acquire);
        let mut numbers = vec![0];
        for block in 1..blocks {
            let found =
                self.tags.get(&*self.file, block).map_err(|error| self.io("reading a tag block", error))?;
            numbers.push(if let Found::Entry(entry) = found { entry.number } else { 0 });
        }
        *self.numbers.write() = Some(numbers);
        Ok(())
    }

    /// Saves what snapshots still need of blocks that are about to be overwritten or cut.
    fn preserve(&self, blocks: std::ops::Range<u64>) {
        let snapshots: Vec<_> = self.snapshots.read().iter().filter_map(Weak::upgrade).collect();
        for snapshot in snapshots {
            for block in blocks.clone() {
                snapshot.preserve(block, || {
                    let mut plain = Box::new([0; BLOCK]);
                    self.read_blocks(block, &mut *plain).map(|()| plain)
                });
            }
        }
    }

    fn register(&self, snapshot: &Arc<Snapshot>) {
        let mut snapshots = self.snapshots.write();
        snapshots.retain(|known| known.strong_count() > 0);
        snapshots.push(Arc::downgrade(snapshot));
    }

    fn is_written(&self, block: u64) -> Result<bool> {
        if block == 0 {
            return Ok(true);
        }
        let found =
            self.tags.get(&*self.file, block).map_err(|error| self.io("reading a tag block", error))?;
        Ok(found != Found::NeverWritten)
    }

    fn check_writable(&self) -> Result<()> {
        if self.sync_failed() {
            return Err(self
                .place(fail!(Poisoned, "a sync of the file failed: reopen the tenant, which replaces it")));
        }
        Ok(())
    }

    fn root_sealer(&self) -> RootSealer<'_> {
        RootSealer { cipher: &self.cipher, file: self.identity.file, epoch: self.identity.epoch }
    }

    /// `"strongroom/1 block" || file id || logical block || epoch || write number`.
    fn block_aad(&self, block: u64, number: u64) -> [u8; 54] {
        const LABEL: &[u8; 18] = b"strongroom/1 block";
        let mut aad = [0; 54];
        aad[..18].copy_from_slice(LABEL);
        aad[18..34].copy_from_slice(self.identity.file.as_bytes());
        aad[34..42].copy_from_slice(&block.to_le_bytes());
        aad[42..46].copy_from_slice(&self.identity.epoch.to_le_bytes());
        aad[46..].copy_from_slice(&number.to_le_bytes());
        aad
    }

    fn place(&self, error: Error) -> Error {
        error.within(format_args!("tenant {} ({})", self.identity.tenant, self.path.display()))
    }

    fn corrupted(&self, what: &str) -> Error {
        self.place(fail!(Corrupted, "{what}"))
    }

    fn io(&self, what: impl fmt::Display, error: std::io::Error) -> Error {
        self.place(Error::io(what.to_string(), error))
    }
}

fn block_cipher(key: &StructureKey, identity: FileIdentity) -> Result<Xaes> {
    const _: () = assert!(TAG_BYTES == 16);
    Ok(Xaes::new(&*kdf::expand(key.as_bytes(), b"strongroom/1 block", identity.file.as_bytes())?))
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
