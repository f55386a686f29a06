//! The end of a whole keyring: overwritten, and deleted.

use std::path::Path;

use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::keys::keyring::resealing::resealed_path;

/// What is overwritten at once.
const PIECE: usize = 1 << 20;

/// Destroys a tenant's keys, durable when this returns: its keyring, the wrapped section keys in it first of all, and its
/// subject keys; its erasure ledger, which holds none, where it was copied to another region. The files are overwritten, synced and deleted. Where they are gone already, nothing is done.
///
/// What overwriting means on the device underneath is in THREATS.md.
pub(crate) fn destroy_keyring(disk: &dyn Disk, path: &Path, with_ledger: bool) -> Result<()> {
    let ledger = with_ledger.then(|| path.with_extension("ledger"));
    // What it is to be, first of all: that holds every key too, and would be written over it.
    let files = [resealed_path(path), path.to_owned(), path.with_extension("slots")];
    files.iter().chain(&ledger).try_for_each(|path| wipe(disk, path))?;
    // An attempt before may have come as far as this.
    if let Some(directory) = path.parent() {
        disk.sync_dir(directory)
            .map_err(|error| Error::io(format!("syncing {}", directory.display()), error))?;
    }
    Ok(())
}

/// Overwrites a file with zeros, syncs and deletes it, where there is one.
pub(super) fn wipe(disk: &dyn Disk, path: &Path) -> Result<()> {
    let failed = |error| Error::io(format!("destroying {}", path.display()), error);
    let file = match disk.open(path, OpenMode::ReadWrite) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let length = file.len().map_err(failed)?;
    let zeros = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    let mut offset = 0;
    while offset < length {
        let piece = usize::try_from(length - offset).map_or(PIECE, |left| left.min(PIECE));
        file.write_all_at(&zeros[..piece], offset).map_err(failed)?;
        offset += piece as u64;
    }
    file.sync_data().map_err(failed)?;
    drop(file);
    disk.remove_file(path).map_err(failed)
}
