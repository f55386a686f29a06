//! A tenant's file copied to another region, as it is.

use std::path::Path;

use crate::error::{Error, Result};
use crate::id::FileId;
use crate::partition::{Partition, file_name};

impl Partition {
    /// Copies the file into another directory, durable when this returns: all of it, or what changed where `before` says
    /// that this file was copied already. Gives what was copied; nothing where there is no file. Nobody writes to it
    /// meanwhile.
    pub(crate) fn copy_to(
        &self,
        directory: &Path,
        before: Option<FileId>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<FileId>> {
        let view = self.view()?;
        let Some(tables) = &view.tables else { return Ok(None) };
        let disk = &*self.options.disk;
        let current = self.keyring.anchor().current;
        let path = directory.join(file_name(self.tenant(), current));
        let file = &tables.opened.file;
        let copied = if before == Some(current) {
            file.copy_changes_to(disk, &path)
        } else {
            disk.create_dir_all(directory)
                .map_err(|error| Error::io(format!("creating {}", directory.display()), error))
                .and_then(|()| file.copy_to(disk, &path, progress))
        };
        if file.sync_failed() {
            // It is opened anew, and replaced, by the next who needs it.
            tables.opened.mark_stale();
        }
        copied.map(|()| Some(current))
    }
}
