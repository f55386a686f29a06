//! Damage to the files of a store: what a thief's edit, a bad cable or a misplaced copy does.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use strongroom::simulation::{Disk, DiskFile, OpenMode, SimDisk};

use crate::golden::{Golden, GoldenFile, Owner};

const BLOCK: usize = 4_096;
/// The longest a file grows, in bytes beyond its end.
const GROWTH_BYTES_MAX: u64 = 80 * BLOCK as u64;
/// The most bytes that one edit fills.
const FILL_BYTES_MAX: usize = 2 * BLOCK;

/// A block of a file.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Block {
    file: u8,
    block: u8,
}

/// One edit. Numbers are taken modulo what there is.
#[derive(Arbitrary, Clone, Debug)]
pub enum Edit {
    /// Bytes over others.
    Overwrite {
        /// The block.
        at: Block,
        /// Where in it.
        within: u16,
        /// The new ones.
        bytes: [u8; 8],
    },
    /// Some bits of one byte.
    Flip {
        /// The block.
        at: Block,
        /// Where in it.
        within: u16,
        /// The bits.
        mask: u8,
    },
    /// One byte repeated over others.
    Fill {
        /// The block.
        at: Block,
        /// Where in it.
        within: u16,
        /// How many.
        bytes: u16,
        /// The byte.
        byte: u8,
    },
    /// The file cut before this block, or within it.
    Truncate {
        /// The block.
        at: Block,
        /// Where in it.
        within: Option<u16>,
    },
    /// The file cut to nothing.
    Empty {
        /// The file.
        file: u8,
    },
    /// The file gone.
    Remove {
        /// The file.
        file: u8,
    },
    /// Zeros behind the end.
    Extend {
        /// The file.
        file: u8,
        /// Whole blocks.
        blocks: u8,
        /// And so many bytes, less than a block.
        bytes: u16,
    },
    /// Two blocks of a file exchanged.
    Swap {
        /// The one.
        at: Block,
        /// The other.
        with: u8,
    },
    /// A block put over another, of the same file or of another one.
    CopyBlock {
        /// What is copied.
        from: Block,
        /// What is lost.
        to: Block,
    },
    /// A file put over another.
    CopyFile {
        /// What is copied.
        from: u8,
        /// What is lost.
        to: u8,
    },
}

impl Edit {
    /// Makes the edit, if no edit before it removed the file.
    ///
    /// # Panics
    /// Never: the simulated disk fails only where it is told to.
    pub fn apply(&self, golden: &Golden, disk: &SimDisk, touched: &mut BTreeSet<Owner>) {
        let file = golden.file(self.target());
        touched.insert(file.owner);
        match *self {
            Self::Remove { .. } => {
                let _ = disk.remove(&file.path);
                return;
            }
            Self::CopyFile { from, .. } => {
                let _ = disk.copy_file(&golden.file(from).path, &file.path);
                return;
            }
            _ => {}
        }
        let Ok(open) = disk.open(&file.path, OpenMode::ReadWrite) else { return };
        self.apply_to(&*open, file, golden).expect("the simulated disk fails only where it is told to");
    }

    /// The number of the file that changes.
    fn target(&self) -> u8 {
        match self {
            Self::Overwrite { at, .. }
            | Self::Flip { at, .. }
            | Self::Fill { at, .. }
            | Self::Truncate { at, .. }
            | Self::Swap { at, .. } => at.file,
            Self::CopyBlock { to, .. } => to.file,
            Self::Empty { file } | Self::Remove { file } | Self::Extend { file, .. } => *file,
            Self::CopyFile { to, .. } => *to,
        }
    }

    fn apply_to(&self, open: &dyn DiskFile, file: &GoldenFile, golden: &Golden) -> std::io::Result<()> {
        match self {
            Self::Overwrite { at, within, bytes } => {
                write_within(open, file.offset(at.block, *within), bytes)
            }
            Self::Flip { at, within, mask } => {
                let offset = file.offset(at.block, *within);
                let mut byte = [0];
                if offset < open.len()? {
                    open.read_exact_at(&mut byte, offset)?;
                }
                write_within(open, offset, &[byte[0] ^ mask])
            }
            Self::Fill { at, within, bytes, byte } => {
                let bytes = vec![*byte; usize::from(*bytes).min(FILL_BYTES_MAX)];
                write_within(open, file.offset(at.block, *within), &bytes)
            }
            Self::Truncate { at, within } => {
                let len = file.offset(at.block, within.unwrap_or(0));
                if len < open.len()? { open.set_len(len) } else { Ok(()) }
            }
            Self::Empty { .. } => open.set_len(0),
            Self::Extend { blocks, bytes, .. } => {
                let growth = u64::from(*blocks) * BLOCK as u64 + u64::from(*bytes) % BLOCK as u64;
                open.set_len(open.len()?.min(file.bytes) + growth.min(GROWTH_BYTES_MAX))
            }
            Self::Swap { at, with } => {
                let (a, b) = (file.offset(at.block, 0), file.offset(*with, 0));
                write_within(open, a, &golden.block(file, b))?;
                write_within(open, b, &golden.block(file, a))
            }
            Self::CopyBlock { from, to } => {
                let source = golden.file(from.file);
                let block = golden.block(source, source.offset(from.block, 0));
                write_within(open, file.offset(to.block, 0), &block)
            }
            Self::Remove { .. } | Self::CopyFile { .. } => Ok(()),
        }
    }
}

/// Writes what of `bytes` lies before the file's end: growing it is another edit.
fn write_within(open: &dyn DiskFile, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    let room = usize::try_from(open.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
    open.write_all_at(&bytes[..bytes.len().min(room)], offset)
}

impl GoldenFile {
    /// A position in a block that was ever written; for the last numbers of `u8` in any block at all.
    fn offset(&self, block: u8, within: u16) -> u64 {
        let block = match usize::from(block) {
            number @ 0..224 => self.blocks[number % self.blocks.len()],
            number => (number as u64 - 224) * 8 % self.bytes.div_ceil(BLOCK as u64),
        };
        block * BLOCK as u64 + u64::from(within) % BLOCK as u64
    }
}

impl Golden {
    /// The bytes of a block as the golden store has them; fewer at the end of a file.
    fn block(&self, file: &GoldenFile, offset: u64) -> Vec<u8> {
        let bytes = file.bytes.saturating_sub(offset).min(BLOCK as u64);
        let mut block = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let open = self.disk.open(&file.path, OpenMode::Read).expect("the golden store is whole");
        open.read_exact_at(&mut block, offset).expect("the block lies in the file");
        block
    }
}

/// The edits of one run.
#[derive(Clone, Debug)]
pub struct Edits(pub Vec<Edit>);

impl Edits {
    const COUNT_MAX: usize = 8;
}

/// As many as the bytes give. The derived sequence would end after one element in two.
impl<'a> Arbitrary<'a> for Edits {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut edits = Vec::new();
        while !bytes.is_empty() && edits.len() < Self::COUNT_MAX {
            edits.push(Edit::arbitrary(bytes)?);
        }
        Ok(Self(edits))
    }
}
