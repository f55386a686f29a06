//! The sealed file as redb sees it.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{BackendError, StorageBackend};

use crate::error::{Error, fail};
use crate::sealed_file::SealedFile;

/// One redb database's use of a sealed file. Retiring it cuts the database off: after an error redb refuses
/// everything on a database, which is then opened anew while readers may still hold the old one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session(Arc<AtomicBool>);

impl Session {
    pub(crate) fn retire(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            let text = "the tenant's file was reopened after an error: start this read again";
            return Err(fail!(SnapshotExpired, "{text}").into_io());
        }
        Ok(())
    }
}

/// A `redb::StorageBackend` over a sealed file.
#[derive(Debug)]
pub(crate) struct Backend {
    file: Arc<SealedFile>,
    session: Session,
    /// Whether redb may find the file empty and initialise it.
    creating: bool,
}

impl Backend {
    pub(crate) fn new(file: Arc<SealedFile>, session: Session, creating: bool) -> Self {
        Self { file, session, creating }
    }

    fn is_whole(start: Bound<u64>, end: Bound<u64>) -> bool {
        matches!(start, Bound::Unbounded | Bound::Included(0)) && matches!(end, Bound::Unbounded)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.session.check()?;
        match self.file.len() {
            0 if !self.creating => {
                Err(fail!(Corrupted, "{}: the file is empty", self.file.path().display()).into_io())
            }
            bytes => Ok(bytes),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.session.check()?;
        self.file.read(offset, out).map_err(Error::into_io)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.session.check()?;
        self.file.set_len(len).map_err(Error::into_io)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.session.check()?;
        self.file.sync().map_err(Error::into_io)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.session.check()?;
        self.file.write(offset, data).map_err(Error::into_io)
    }

    /// redb has synced; what it wrote since then belongs to no commit, but a tag is never dropped.
    fn close(&self) -> io::Result<()> {
        if self.session.check().is_err() {
            return Ok(());
        }
        let flushed = self.file.flush_tags();
        self.file.unlock().and(flushed).map_err(Error::into_io)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if !Self::is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        self.file.try_lock().map_err(|error| BackendError::Io(error.into_io()))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if !Self::is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        self.file.unlock().map_err(|error| BackendError::Io(error.into_io()))
    }
}
