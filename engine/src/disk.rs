//! All access to files: one trait, so that every operation can be counted, failed, torn or cut short.
//!
//! [`RealDisk`] is the operating system's; the simulated one (feature `simulation`) keeps files in memory
//! and loses what was not synced. Nothing else in the crate names `std::fs`.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

mod blocks;
mod map;
mod real;
#[cfg(feature = "simulation")]
mod sim;

pub use blocks::{BLOCK_BYTES, Blocks};
pub use map::Mapping;
pub use real::RealDisk;
#[cfg(feature = "simulation")]
pub use sim::{Fault, FaultKind, PowerLoss, SimDisk, Written};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// A new file, for reading and writing; an existing one is an error of kind `AlreadyExists`. On Unix
    /// its mode is 0600: whatever the process's umask, no other user reads it.
    CreateNew,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else: a link, a socket, a device. Never followed.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The entry's name, without its directory.
    pub name: OsString,
    /// What it is.
    pub kind: FileKind,
}

/// What is known of a file without opening it. Links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes.
    pub len: u64,
    /// Bytes allocated on the device, where the system tells; else `len`.
    pub allocated_bytes: u64,
    /// Unix permission bits (the low twelve), where the system has them.
    pub mode: Option<u32>,
}

/// A file system. Paths are absolute or relative to the process's directory.
///
/// Durability: a created or removed name survives a power loss after [`Disk::sync_dir`] of its
/// directory; bytes and length of a file after [`DiskFile::sync_data`].
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// Lists a directory, sorted by name.
    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>>;
    /// Tells a file's kind and size.
    fn info(&self, path: &Path) -> io::Result<FileInfo>;
    /// Creates a directory and those above it that are missing, and syncs the directory above each one
    /// it created and above the last one it found: a process that was killed here may have left that one's
    /// name unsynced. On Unix new directories have mode 0700.
    fn create_dir_all(&self, directory: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;
    /// Bytes that a file in this directory may still take, as the system tells; `None` where it does not.
    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>>;
    /// The absolute path without links or `..`; the last components may be missing. An empty path, and
    /// `..` behind a missing component, are errors of kind `InvalidInput`.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf>;
}

/// An open file; closed when dropped. Reads and writes may run concurrently.
#[allow(clippy::len_without_is_empty, reason = "the length is asked of the system and can fail")]
pub trait DiskFile: Send + Sync + Debug {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`; an end of file before that is an error of kind `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buffer` at `offset`. After an error any part of it may have been written.
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;
    /// Writes blocks at `offset`, a multiple of [`BLOCK_BYTES`], as [`DiskFile::write_all_at`] would; past the page
    /// cache where the system can. The blocks should lie within what is allocated.
    fn write_blocks(&self, blocks: &Blocks, offset: u64) -> io::Result<()> {
        self.write_all_at(blocks.bytes(), offset)
    }
    /// Cuts the file or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file at least `len` bytes long, with room on the device for all of them: a later write into
    /// that range does not run out of space. Its bytes stay as they are, new ones are zero; it is never
    /// shortened. Durable after [`DiskFile::sync_data`].
    ///
    /// Where there is no room it fails with `StorageFull`, and bytes and length are as before. For that no
    /// write that lengthens the file may run at the same time: it could be cut off.
    ///
    /// Where the system or file system cannot reserve room (macOS, Windows, some file systems of Linux) the
    /// file is only lengthened, as by [`DiskFile::set_len`], and later writes can find no space.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// The file's bytes, from 0 to its length now. While the mapping lives the caller neither shortens the
    /// file nor writes to the mapped part of it; it may append.
    ///
    /// An I/O error met while the bytes are used ends the process, as does another program that cuts the
    /// file: map only what can be read no other way fast enough.
    fn map(&self) -> io::Result<Mapping>;
    /// Makes bytes and length durable. After an error nothing may be assumed of what was written since
    /// the last success.
    fn sync_data(&self) -> io::Result<()>;
    /// Takes the file's exclusive lock; `false` where another open of the file, in this process or
    /// another, holds it. Released when the file is closed. On Windows nobody else can read or write a
    /// locked file: what others are to read lies beside it.
    fn try_lock(&self) -> io::Result<bool>;
    /// Releases the lock.
    fn unlock(&self) -> io::Result<()>;
}

#[cfg(test)]
mod tests;
