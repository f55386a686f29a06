//! The operating system's files.
//!
//! Positioned reads and writes only, so one handle serves many threads. New files are private to the
//! user who runs the process: a store's file names are ids, but its sizes and times tell something too.
#![allow(clippy::disallowed_methods, reason = "this file is the one place that reaches the file system")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::OnceLock;

use super::{DirectoryEntry, Disk, DiskFile, FileInfo, FileKind, Mapping, OpenMode};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The disk of this machine.
    pub fn new() -> Self {
        Self
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            }
        }
        let file = options.open(path)?;
        // Unix opens a directory for reading; its first read would fail with a less telling error.
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(RealFile::new(file)))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            entries.push(DirectoryEntry { name: entry.file_name(), kind: kind_of(entry.file_type()?) });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(FileInfo {
            kind: kind_of(metadata.file_type()),
            len: metadata.len(),
            allocated_bytes: allocated_bytes(&metadata),
            mode: mode(&metadata),
        })
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut existing = directory;
        while !is_directory(existing)? {
            missing.push(existing);
            existing = parent(existing).ok_or(io::ErrorKind::NotFound)?;
        }
        // A process that was killed may have left the last directory it created without syncing its name.
        // Whoever may not read the directory above did not create a name in it.
        if let Some(above) = parent(existing) {
            match self.sync_dir(above) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                result => result?,
            }
        }
        for path in missing.into_iter().rev() {
            match create_dir(path) {
                // Another thread or process was faster; it may not have synced the name yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(path)? => {}
                result => result?,
            }
            if let Some(above) = parent(path) {
                self.sync_dir(above)?;
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// Windows cannot flush a directory; its file systems journal names by themselves.
    #[cfg(not(unix))]
    fn sync_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let room = rustix::fs::statvfs(directory)?;
        Ok(Some(room.f_bavail.saturating_mul(room.f_frsize)))
    }

    #[cfg(not(target_os = "linux"))]
    fn free_bytes(&self, _directory: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        if path.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
        }
        let mut missing = Vec::new();
        let mut existing = path;
        let mut absolute = loop {
            match fs::canonicalize(existing) {
                Ok(absolute) => break absolute,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_present(existing) => {}
                // Among others a link that leads nowhere: what it names would not be free of links.
                Err(error) => return Err(error),
            }
            let (Some(name), Some(above)) = (existing.file_name(), parent(existing)) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the part of the path that does not exist contains `..`",
                ));
            };
            missing.push(name);
            existing = above;
        };
        absolute.extend(missing.into_iter().rev());
        Ok(absolute)
    }
}

/// An open file. All of it is positioned: the handle's own offset means nothing.
#[derive(Debug)]
struct RealFile {
    file: File,
    /// The same file past the page cache, once that was wanted; none where it can't be had.
    #[cfg(target_os = "linux")]
    direct: OnceLock<Option<File>>,
}

impl RealFile {
    fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(target_os = "linux")]
            direct: OnceLock::new(),
        }
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, mut buffer: &[u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&self.file, buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    buffer = &buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// With `O_DIRECT`: nothing is copied into the page cache, and the next sync has nothing left to look for there.
    /// File systems that have no such thing refuse to open the file so, or to write to it: the bytes go through the page
    /// cache then.
    #[cfg(target_os = "linux")]
    fn write_blocks(&self, blocks: &super::Blocks, offset: u64) -> io::Result<()> {
        if let Some(direct) = self.direct.get_or_init(|| past_the_page_cache(&self.file)) {
            match std::os::unix::fs::FileExt::write_all_at(direct, blocks.bytes(), offset) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                result => return result,
            }
        }
        self.write_all_at(blocks.bytes(), offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let before = self.len()?;
        match reserve(&self.file, len) {
            Ok(reserved) if reserved || len <= before => Ok(()),
            Ok(_) => self.set_len(len),
            Err(error) => {
                // Ext4 keeps what it got before the space ran out, and a longer file with it.
                self.set_len(before)?;
                Err(error)
            }
        }
    }

    fn map(&self) -> io::Result<Mapping> {
        Mapping::of_file(&self.file)
    }

    /// `fdatasync`, which covers a changed length; on Apple's systems std asks for `F_FULLFSYNC`, without
    /// which the drive's own cache would still hold the bytes.
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// Opens an open file once more, past the page cache, if the system can.
#[cfg(target_os = "linux")]
fn past_the_page_cache(file: &File) -> Option<File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;

    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
}

/// Makes the file at least `len` bytes long and allocates them; `false` where that cannot be done here.
#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::{Errno, retry_on_intr};

    // The system call refuses an empty range.
    if len == 0 {
        return Ok(true);
    }
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Other systems have no call that allocates and leaves what is there as it is, or not one for all their
/// file systems.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "Linux can fail")]
fn reserve(_file: &File, _len: u64) -> io::Result<bool> {
    Ok(false)
}

fn kind_of(file_type: fs::FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}

/// The directory that holds the name `path`; none for a root. Std calls the one of a bare name "".
fn parent(path: &Path) -> Option<&Path> {
    let above = path.parent()?;
    if !above.as_os_str().is_empty() {
        Some(above)
    } else if path == Path::new(".") {
        None
    } else {
        Some(Path::new("."))
    }
}

/// Whether `path` is a directory, links followed; an error where it is something else.
fn is_directory(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the name exists, be it a link that leads nowhere.
fn is_present(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(unix)]
fn create_dir(path: &Path) -> io::Result<()> {
    std::os::unix::fs::DirBuilderExt::mode(&mut DirBuilder::new(), 0o700).create(path)
}

#[cfg(not(unix))]
fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().create(path)
}

#[cfg(unix)]
fn allocated_bytes(metadata: &fs::Metadata) -> u64 {
    // Stat counts in units of 512 bytes whatever the file system's block size.
    std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512)
}

#[cfg(not(unix))]
fn allocated_bytes(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no mode")]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777)
}

#[cfg(not(unix))]
fn mode(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A place that is no block's is refused by every file system that writes past the page cache, as everything is by one
    /// that has no such thing.
    #[test]
    fn what_is_refused_past_the_page_cache_goes_through_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk::new().open(&directory.path().join("file"), OpenMode::CreateNew).unwrap();
        let mut blocks = crate::disk::Blocks::new();
        blocks.fill(0, &[7; 4_096]);
        file.write_blocks(&blocks, 100).unwrap();
        let mut bytes = [0; 4_196];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..], [&[0; 100][..], &[7; 4_096]].concat());
    }
}
