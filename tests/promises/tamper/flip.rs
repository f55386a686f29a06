//! A disk that shows some bits altered, and tells whether anybody looked.
//!
//! What lies below stays as it is, so that millions of alterations need no copy of a store. Like a bit that rotted on
//! the device, an alteration lasts until it is overwritten or cut off.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom::simulation::{DirectoryEntry, Disk, DiskFile, FileInfo, OpenMode, SimDisk};

/// One altered bit of a file: which one depends on where the byte lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flip {
    pub(super) path: Arc<Path>,
    pub(super) offset: u64,
}

impl Flip {
    pub(super) fn at(path: &Arc<Path>, offset: u64) -> Self {
        Self { path: Arc::clone(path), offset }
    }

    fn mask(&self) -> u8 {
        1 << (self.offset % 8)
    }

    fn lies_in(&self, path: &Path, start: u64, length: usize) -> bool {
        (start..start + length as u64).contains(&self.offset) && *self.path == *path
    }
}

#[derive(Debug, Default)]
struct State {
    flips: Vec<Flip>,
    seen: u64,
}

/// The disk.
#[derive(Clone, Debug)]
pub(super) struct FlipDisk {
    below: SimDisk,
    state: Arc<Mutex<State>>,
}

impl FlipDisk {
    /// Over a disk of its own.
    pub(super) fn over(below: SimDisk) -> Self {
        Self { below, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows these bits altered, and no others.
    pub(super) fn set(&self, flips: Vec<Flip>) {
        *self.state() = State { flips, seen: 0 };
    }

    /// How many reads saw an altered bit since [`FlipDisk::set`].
    pub(super) fn seen(&self) -> u64 {
        self.state().seen
    }

    /// The disk that is as it is.
    pub(super) fn below(&self) -> &SimDisk {
        &self.below
    }
}

impl Disk for FlipDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let below = self.below.open(path, mode)?;
        Ok(Box::new(FlipFile { below, path: path.to_owned(), disk: self.clone() }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.below.list(directory)
    }

    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.below.info(path)
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        self.below.create_dir_all(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.below.remove_file(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.below.sync_dir(directory)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.below.absolute(path)
    }
}

#[derive(Debug)]
struct FlipFile {
    below: Box<dyn DiskFile>,
    path: PathBuf,
    disk: FlipDisk,
}

impl DiskFile for FlipFile {
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.below.read_exact_at(buffer, offset)?;
        let State { flips, seen } = &mut *self.disk.state();
        let length = buffer.len();
        for flip in flips.iter().filter(|flip| flip.lies_in(&self.path, offset, length)) {
            let index = usize::try_from(flip.offset - offset).map_err(io::Error::other)?;
            buffer[index] ^= flip.mask();
            *seen += 1;
        }
        Ok(())
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.below.write_all_at(buffer, offset)?;
        self.disk.state().flips.retain(|flip| !flip.lies_in(&self.path, offset, buffer.len()));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)?;
        self.disk.state().flips.retain(|flip| flip.offset < len || *flip.path != *self.path);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.below.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.below.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.below.unlock()
    }
}
