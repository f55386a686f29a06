//! A keyring copied to another key store, as it is: slots are sealed for their tenant, not for a place.

use std::io;
use std::path::Path;

use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result, fail};
use crate::keys::keyring::Keyring;

impl Keyring {
    /// Copies a retired keyring, its subject keys and its ledger, durable when this returns, and compares the copies with them.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<()> {
        let disk = &*self.disk;
        let mut is_same = true;
        let mut copy = || {
            for extension in ["slots", "ledger"] {
                let from = self.subjects_path.with_extension(extension);
                match disk.open(&from, OpenMode::Read) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    opened => {
                        drop(opened?);
                        is_same &= copy_file(disk, &from, &path.with_extension(extension))?;
                    }
                }
            }
            is_same &= copy_file(disk, &self.subjects_path.with_extension("keyring"), path)?;
            path.parent().map_or(Ok(()), |directory| disk.sync_dir(directory))
        };
        copy().map_err(|error| Error::io(format!("copying a keyring to {}", path.display()), error))?;
        if is_same {
            return Ok(());
        }
        Err(fail!(Corrupted, "{} does not read back as it was written: look after its disk", path.display()))
    }
}

/// Copies a file, and whether it reads back as it was written. What an attempt before left there is replaced.
fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<bool> {
    const PIECE: usize = 1 << 20;
    match disk.remove_file(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    let (from, to) = (disk.open(from, OpenMode::Read)?, disk.open(to, OpenMode::CreateNew)?);
    let length = from.len()?;
    let pieces = || {
        (0..length)
            .step_by(PIECE)
            .map(move |start| (start, vec![0; usize::try_from(length - start).unwrap_or(PIECE).min(PIECE)]))
    };
    for (start, mut piece) in pieces() {
        from.read_exact_at(&mut piece, start)?;
        to.write_all_at(&piece, start)?;
    }
    to.sync_data()?;
    let mut is_same = true;
    for (start, mut there) in pieces() {
        let mut here = there.clone();
        from.read_exact_at(&mut here, start)?;
        to.read_exact_at(&mut there, start)?;
        is_same &= here == there;
    }
    Ok(is_same)
}
