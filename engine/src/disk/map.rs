//! The bytes of a file as a slice: the only `unsafe` of the engine.
//!
//! An I/O error behind a map, or a file that somebody cuts under it, is no error that a caller could get but
//! a signal (Unix) or a structured exception (Windows) that ends the process: the one exception to the
//! promise of errors instead of aborts.
#![allow(unsafe_code, reason = "the system maps a file without knowing who else may change it")]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// The bytes of a file, read-only; see [`DiskFile::map`](super::DiskFile::map). Stays valid when the file is
/// closed, renamed or removed.
pub struct Mapping {
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    /// Of an empty file, which has no page to map, or of a disk in memory.
    Owned(Vec<u8>),
}

impl Mapping {
    /// Maps a file from 0 to its present length.
    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if len == 0 {
            return Ok(Self { bytes: Bytes::Owned(Vec::new()) });
        }
        // SAFETY: the bytes behind the slice must neither change nor vanish while it lives. `memmap2`
        // guarantees that the pages stay mapped, read-only, until the `Mmap` is dropped, whatever becomes of
        // `file`. For what is in them three parties answer:
        // - in this process the caller of `DiskFile::map`, who by its contract neither shortens the file nor
        //   writes to the mapped part of it while the mapping lives;
        // - for another process that uses the store, the store's lock, which it takes before it writes to
        //   any file here;
        // - for any other program with the rights of the store's user nobody: the lock does not bind it.
        //   What it writes can show in the slice at any time, and where it cuts the file, access beyond the
        //   new end raises SIGBUS, as an I/O error does. That is the exception the head of this file states.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self { bytes: Bytes::Mapped(map) })
    }

    /// A mapping of a file that is in memory already.
    #[cfg(feature = "simulation")]
    pub(super) fn of_copy(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Owned(bytes) }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// The length only: nothing that is read from a disk belongs in a log.
impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len()).finish_non_exhaustive()
    }
}
