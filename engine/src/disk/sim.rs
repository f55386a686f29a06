//! A disk in memory that loses what was not synced, and fails where it is told to.
//!
//! Reads see everything that was written, as through a page cache. The device holds less: the bytes and
//! length of a file as of its last sync, the names of a directory as of its last sync.
//! [`SimDisk::power_loss`] makes a new disk of what the device holds and a seeded part of the rest. The
//! same operations and the same seed give the same disk.
//!
//! One lock guards a whole disk: operations of several threads take turns, in the order they are counted.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::chance::Chance;
use self::handle::SimFile;
use self::image::Image;
use self::inode::Inode;
use self::names::{Names, Node, normalised};
use self::state::State;
use super::{DirectoryEntry, Disk, DiskFile, FileInfo, OpenMode};

mod chance;
mod fault;
mod handle;
mod image;
mod inode;
mod names;
mod state;

pub use fault::{Fault, FaultKind};

/// What becomes of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// All of it is lost.
    DropAll,
    /// Only the process ended: the system still has everything. It stays unsynced, so a later power loss
    /// of the new disk can still take it.
    KeepAll,
    /// The seed decides for each operation. A write may be lost, or torn at sectors of 512 bytes, whatever
    /// came of the ones before and after it; a length may be lost; a created or removed name may be lost,
    /// and with it the later changes of that name.
    Random,
}

/// One recorded write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The path by which the file was opened.
    pub path: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What was written; of a failed write the part that was.
    pub bytes: Arc<[u8]>,
}

/// A disk in memory. Clones are the same disk. There are no links.
///
/// What a program does through [`Disk`] is counted and can fail. The methods here are the test's own access:
/// they pass every fault and switch, and their changes are durable at once.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk: a root directory `/`, at which relative paths start too.
    pub fn new() -> Self {
        Self::with_state(State::new())
    }

    fn with_state(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many mutating operations were tried: writes, changes of length, allocations, syncs of files and
    /// directories, creations (each directory of `create_dir_all` by itself), removals. Those that failed
    /// count, except after a power-off. Locks do not.
    pub fn operations(&self) -> u64 {
        self.state.lock().gate.operations()
    }

    /// How many reads were tried: of bytes, of lengths and infos, of directories, opens of existing files,
    /// and maps (one each, however the mapping is used).
    pub fn reads(&self) -> u64 {
        self.state.lock().gate.reads()
    }

    /// Adds a fault. Several may wait; each operation is struck by at most one, in the order of injection.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().gate.inject(fault);
    }

    /// Removes the faults that wait and ends that of kind [`FaultKind::Enospc`]. Neither lost bytes nor
    /// power come back.
    pub fn heal(&self) {
        self.state.lock().gate.heal();
    }

    /// Bounds what all files may allocate, in units of 4 KiB; holes are free. A removed file counts while
    /// it is open.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().conditions.capacity_bytes = bytes;
    }

    /// A new disk that holds what survived. This one stays as it is, so that many outcomes can be drawn
    /// from one moment; without faults, counts, handles and locks, but with this one's switches.
    #[must_use]
    pub fn power_loss(&self, seed: u64, policy: PowerLoss) -> Self {
        let mut state = self.state.lock().restarted();
        let mut chance = Chance::new(seed);
        match policy {
            PowerLoss::KeepAll => {}
            PowerLoss::DropAll => {
                state.decide_names(Names::lose_pending);
                state.decide_contents(Inode::lose_pending);
            }
            PowerLoss::Random => {
                state.decide_names(|names| names.lose_some(&mut chance));
                state.decide_contents(|inode| inode.lose_some(&mut chance));
            }
        }
        Self::with_state(state)
    }

    /// A new disk with everything that reads see on this one, all of it synced.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let mut state = self.state.lock().restarted();
        state.decide_names(Names::settle);
        state.decide_contents(Inode::settle);
        Self::with_state(state)
    }

    /// Makes syncs succeed and do nothing: a test that still passes would not notice a missing sync.
    pub fn without_sync(&self, without: bool) {
        self.state.lock().conditions.without_sync = without;
    }

    /// Makes every change fail with `ReadOnlyFilesystem`, and opening for writing.
    pub fn read_only(&self, read_only: bool) {
        self.state.lock().conditions.read_only = read_only;
    }

    /// Makes paths at and below `prefix` fail with `PermissionDenied`. Open files keep working, as under
    /// Unix.
    pub fn deny(&self, prefix: impl AsRef<Path>) {
        let mut state = self.state.lock();
        let prefix = normalised(prefix.as_ref());
        state.conditions.denied.push(prefix);
    }

    /// Ends [`SimDisk::deny`] of the same prefix.
    pub fn allow(&self, prefix: impl AsRef<Path>) {
        let mut state = self.state.lock();
        let prefix = normalised(prefix.as_ref());
        state.conditions.denied.retain(|denied| *denied != prefix);
    }

    /// Makes the directory `prefix` vanish with all below it, as a volume that is unmounted: `NotFound`,
    /// also for creating it. Open files fail with an I/O error.
    pub fn detach(&self, prefix: impl AsRef<Path>) {
        let mut state = self.state.lock();
        let prefix = normalised(prefix.as_ref());
        state.conditions.detached.push(prefix);
    }

    /// Ends [`SimDisk::detach`] of the same prefix.
    pub fn attach(&self, prefix: impl AsRef<Path>) {
        let mut state = self.state.lock();
        let prefix = normalised(prefix.as_ref());
        state.conditions.detached.retain(|detached| *detached != prefix);
    }

    /// The absolute paths of all files, sorted by component.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state.lock();
        let files = state.names.below(Path::new("/")).filter(|(_, node)| *node != Node::Directory);
        files.map(|(path, _)| path.to_owned()).collect()
    }

    /// A file's bytes, as reads see them.
    pub fn read_file(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.state.lock().image(path.as_ref())?.to_bytes()
    }

    /// Creates a file, with the directories above it, or replaces its content; open handles see that.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.put(path.as_ref(), Image::from_bytes(bytes.as_ref()))
    }

    /// Copies a file's content, holes included, as [`SimDisk::write_file`] would write it.
    pub fn copy_file(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let image = self.state.lock().image(from.as_ref())?;
        self.put(to.as_ref(), image)
    }

    /// Flips the bits of one byte of a file that are set in `bits`, as [`SimDisk::write_file`] would write it, at the
    /// cost of one page.
    pub fn flip(&self, path: impl AsRef<Path>, offset: u64, bits: u8) -> io::Result<()> {
        let mut image = self.state.lock().image(path.as_ref())?;
        if offset >= image.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut byte = [0];
        image.read(&mut byte, offset);
        image.write(&[byte[0] ^ bits], offset);
        self.put(path.as_ref(), image)
    }

    fn put(&self, path: &Path, image: Image) -> io::Result<()> {
        let mut state = self.state.lock();
        let path = normalised(path);
        state.settled_file(&path)?.replace(image);
        Ok(())
    }

    /// Removes a file, or a directory with all below it.
    pub fn remove(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut state = self.state.lock();
        let path = normalised(path.as_ref());
        state.remove_settled(&path)
    }

    /// Sets a file's permission bits. Nothing here obeys them.
    pub fn set_mode(&self, path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
        let mut state = self.state.lock();
        let path = normalised(path.as_ref());
        let inode = state.names.file(&path)?;
        state.inode_mut(inode)?.mode = mode;
        Ok(())
    }

    /// Which bytes of a file were ever written or allocated since it was last cut before them, in whole
    /// units of 4 KiB that may reach beyond its end; the rest are holes. What was allocated and not written
    /// is zero.
    pub fn allocated_ranges(&self, path: impl AsRef<Path>) -> io::Result<Vec<Range<u64>>> {
        Ok(self.state.lock().image(path.as_ref())?.allocated_ranges())
    }

    /// Starts recording every write from now on, or stops and forgets the record.
    pub fn trace(&self, trace: bool) {
        self.state.lock().trace = trace.then(Vec::new);
    }

    /// Takes the writes recorded since the last call, in order; empty where nothing is recorded.
    pub fn take_trace(&self) -> Vec<Written> {
        self.state.lock().trace.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let opened = self.state.lock().open(path, mode)?;
        Ok(Box::new(SimFile::new(self.clone(), opened)))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.state.lock().list(directory)
    }

    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.state.lock().info(path)
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        self.state.lock().create_dir_all(directory)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().remove_file(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.state.lock().sync_dir(directory)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let mut state = self.state.lock();
        state.info(directory)?;
        Ok(state.free_bytes())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        let state = self.state.lock();
        state.gate.power()?;
        state.names.resolve(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::ErrorKind::InvalidInput.into(),
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests;
