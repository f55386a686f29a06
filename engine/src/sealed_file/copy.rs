//! A sealed file's bytes, copied as they are to another place, and what changed of them since (FORMAT.md section 5).
//!
//! A copy takes no key. A block was written since where its entry in the tag block differs: each writing has a nonce of its own.

use std::io;
use std::path::Path;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::sealed_file::SealedFile;
use crate::sealed_file::layout::{BLOCK, BLOCK_U64, GROUP_BLOCKS, tag_block};

/// What is copied at once.
const PIECE: usize = 1 << 20;
const ENTRY: usize = 64;

/// Copies a range of bytes.
fn copy_range(from: &dyn DiskFile, to: &dyn DiskFile, start: u64, bytes: usize) -> io::Result<()> {
    let mut piece = vec![0; bytes];
    from.read_exact_at(&mut piece, start)?;
    to.write_all_at(&piece, start)
}

fn is_same(from: &dyn DiskFile, to: &dyn DiskFile, start: u64, bytes: usize) -> io::Result<bool> {
    let (mut here, mut there) = (vec![0; bytes], vec![0; bytes]);
    from.read_exact_at(&mut here, start)?;
    to.read_exact_at(&mut there, start)?;
    Ok(here == there)
}

/// The pieces of a file of so many bytes.
fn pieces(length: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..length)
        .step_by(PIECE)
        .map(move |start| (start, usize::try_from(length - start).map_or(PIECE, |left| left.min(PIECE))))
}

impl SealedFile {
    /// Copies the file, durable when this returns, and compares the copy with it. Nobody writes to the file meanwhile.
    /// `progress` gets how many more bytes were copied.
    pub(crate) fn copy_to(&self, disk: &dyn Disk, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
        self.sync()?;
        let from = &*self.file;
        let mut copy = || {
            match disk.remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let to = disk.open(path, OpenMode::CreateNew)?;
            for (start, bytes) in pieces(from.len()?) {
                copy_range(from, &*to, start, bytes)?;
                progress(bytes as u64);
            }
            to.sync_data()?;
            if let Some(directory) = path.parent() {
                disk.sync_dir(directory)?;
            }
            pieces(from.len()?)
                .try_fold(true, |same, (start, bytes)| Ok(same & is_same(from, &*to, start, bytes)?))
        };
        settled(path, copy())
    }

    /// Brings a copy of the file up to what the file is now, durable when this returns. Nobody writes to the file
    /// meanwhile.
    pub(crate) fn copy_changes_to(&self, disk: &dyn Disk, path: &Path) -> Result<()> {
        self.sync()?;
        let from = &*self.file;
        let copy = || {
            let to = disk.open(path, OpenMode::ReadWrite)?;
            let length = from.len()?;
            if length != to.len()? {
                to.set_len(length)?;
            }
            let changed = changed_blocks(from, &*to, length)?;
            for block in &changed {
                copy_range(from, &*to, block * BLOCK_U64, BLOCK)?;
            }
            to.sync_data()?;
            changed
                .iter()
                .try_fold(true, |same, block| Ok(same & is_same(from, &*to, block * BLOCK_U64, BLOCK)?))
        };
        settled(path, copy())
    }
}

/// The physical blocks of a file of so many bytes that a copy does not have: header and roots, which are not told apart, and
/// those whose entries differ.
fn changed_blocks(from: &dyn DiskFile, to: &dyn DiskFile, length: u64) -> io::Result<Vec<u64>> {
    let mut changed = vec![0, 1, 2];
    for tags in (0..).map(tag_block).take_while(|tags| tags * BLOCK_U64 < length) {
        let (mut here, mut there) = ([0; BLOCK], [0; BLOCK]);
        from.read_exact_at(&mut here, tags * BLOCK_U64)?;
        to.read_exact_at(&mut there, tags * BLOCK_U64)?;
        if here == there {
            continue;
        }
        changed.push(tags);
        let blocks = (length / BLOCK_U64 - tags - 1).min(GROUP_BLOCKS as u64);
        let entries = here.as_chunks::<ENTRY>().0.iter().zip(there.as_chunks::<ENTRY>().0);
        let differing = (tags + 1..=tags + blocks).zip(entries).filter(|(_, (here, there))| here != there);
        changed.extend(differing.map(|(block, _)| block));
    }
    Ok(changed)
}

fn settled(path: &Path, copied: io::Result<bool>) -> Result<()> {
    if copied.map_err(|error| Error::io(format!("copying to {}", path.display()), error))? {
        return Ok(());
    }
    Err(fail!(Corrupted, "{} does not read back as it was written: look after its disk", path.display()))
}
