//! The blocks of a sealed file, as somebody with access to the disk but to no key can handle them (FORMAT.md section 5).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const BLOCK: u64 = 4_096;
/// Blocks before the first tag block.
const HEAD: u64 = 3;
/// Data blocks that a tag block is for.
const GROUP: u64 = 64;
const ENTRY: u64 = 64;

/// A data block without its seal broken: its bytes, and its entry in the tag block.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SealedBlock {
    bytes: Vec<u8>,
    entry: Vec<u8>,
}

/// The file of a tenant.
pub(super) struct SealedBlocks {
    file: File,
    blocks: u64,
}

impl SealedBlocks {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let physical = file.metadata()?.len() / BLOCK;
        let (groups, rest) =
            (physical.saturating_sub(HEAD) / (GROUP + 1), physical.saturating_sub(HEAD) % (GROUP + 1));
        Ok(Self { file, blocks: groups * GROUP + rest.saturating_sub(1) })
    }

    /// The data blocks that were written at some time, by number, in an order that jumps about the file.
    pub(super) fn written(&mut self) -> io::Result<Vec<u64>> {
        let mut written = Vec::new();
        for block in 0..self.blocks {
            if self.entry(block)?.iter().any(|byte| *byte != 0) {
                written.push(block);
            }
        }
        Ok(spread(&written))
    }

    pub(super) fn read(&mut self, block: u64) -> io::Result<SealedBlock> {
        Ok(SealedBlock { bytes: self.bytes_at(data_offset(block), BLOCK)?, entry: self.entry(block)? })
    }

    pub(super) fn write(&mut self, block: u64, sealed: &SealedBlock) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(data_offset(block)))?;
        self.file.write_all(&sealed.bytes)?;
        self.file.seek(SeekFrom::Start(entry_offset(block)))?;
        self.file.write_all(&sealed.entry)
    }

    /// Changes one bit in the middle of a block.
    pub(super) fn flip(&mut self, block: u64) -> io::Result<()> {
        let mut sealed = self.read(block)?;
        if let Some(byte) = sealed.bytes.get_mut(usize::try_from(BLOCK / 2).unwrap_or(0)) {
            *byte ^= 1;
        }
        self.write(block, &sealed)
    }

    fn entry(&mut self, block: u64) -> io::Result<Vec<u8>> {
        self.bytes_at(entry_offset(block), ENTRY)
    }

    fn bytes_at(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn group_offset(block: u64) -> u64 {
    (HEAD + block / GROUP * (GROUP + 1)) * BLOCK
}

fn entry_offset(block: u64) -> u64 {
    group_offset(block) + block % GROUP * ENTRY
}

fn data_offset(block: u64) -> u64 {
    group_offset(block) + (1 + block % GROUP) * BLOCK
}

/// The same numbers, neighbours far from each other.
fn spread(numbers: &[u64]) -> Vec<u64> {
    let count = numbers.len();
    // Steps of about the golden ratio visit all places when they have no divisor in common with their number.
    let step =
        (count * 618 / 1_000..=count).find(|step| *step > 0 && divisor(*step, count) == 1).unwrap_or(1);
    (0..count).map(|index| numbers[(index + 1) * step % count]).collect()
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading_loses_no_number() {
        for count in 0..200 {
            let numbers: Vec<_> = (0..count).collect();
            let mut back = spread(&numbers);
            back.sort_unstable();
            assert_eq!(back, numbers);
        }
    }

    #[test]
    fn blocks_lie_where_the_format_says() {
        assert_eq!((entry_offset(0), data_offset(0)), (3 * BLOCK, 4 * BLOCK));
        assert_eq!((entry_offset(63), data_offset(63)), (3 * BLOCK + 63 * ENTRY, 67 * BLOCK));
        assert_eq!((entry_offset(64), data_offset(64)), (68 * BLOCK, 69 * BLOCK));
    }
}
