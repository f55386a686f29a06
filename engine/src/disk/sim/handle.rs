//! An open file of a simulated disk.

use std::fmt;
use std::io;

use super::SimDisk;
use super::state::Opened;
use crate::disk::{DiskFile, Mapping};

/// Keeps the file alive after its last name is gone; releases its lock when dropped.
pub(super) struct SimFile {
    disk: SimDisk,
    opened: Opened,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, opened: Opened) -> Self {
        Self { disk, opened }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.state.lock().len(&self.opened)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.state.lock().read(&self.opened, buffer, offset)
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.disk.state.lock().write(&self.opened, buffer, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.state.lock().set_len(&self.opened, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.state.lock().allocate(&self.opened, len)
    }

    fn map(&self) -> io::Result<Mapping> {
        Ok(Mapping::of_copy(self.disk.state.lock().map(&self.opened)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state.lock().sync_data(&self.opened)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.disk.state.lock().try_lock(&self.opened)
    }

    fn unlock(&self) -> io::Result<()> {
        self.disk.state.lock().unlock(&self.opened)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.state.lock().close(&self.opened);
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("opened", &self.opened).finish_non_exhaustive()
    }
}
