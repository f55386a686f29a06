//! Whole blocks in memory, aligned as a device wants them.

use std::fmt;

/// Bytes of a block: what every device that is met takes, in memory and in the file, without the page cache.
pub const BLOCK_BYTES: usize = 4_096;

/// A number of whole blocks that begin at a multiple of [`BLOCK_BYTES`] in memory.
#[derive(Default)]
pub struct Blocks {
    /// Room for the blocks and for their alignment.
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Blocks {
    /// No block.
    pub fn new() -> Self {
        Self::default()
    }

    /// The blocks.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// Keeps the first `kept` bytes, puts `bytes` behind them, and zeros up to the end of a block.
    pub fn fill(&mut self, kept: usize, bytes: &[u8]) {
        let kept = kept.min(self.len);
        let end = kept + bytes.len();
        let len = end.next_multiple_of(BLOCK_BYTES);
        if self.start + len > self.memory.len() {
            let mut memory = vec![0; len + BLOCK_BYTES];
            let start = memory.as_ptr().align_offset(BLOCK_BYTES);
            memory[start..start + kept].copy_from_slice(&self.bytes()[..kept]);
            (self.memory, self.start) = (memory, start);
        }
        self.len = len;
        let blocks = &mut self.memory[self.start..self.start + len];
        blocks[kept..end].copy_from_slice(bytes);
        blocks[end..].fill(0);
    }

    /// Keeps the block in which byte `at` lies, as the first and only one; none where there is no such block. Memory
    /// beyond `most` bytes is given back.
    pub fn keep_block_of(&mut self, at: usize, most: usize) {
        let first = at - at % BLOCK_BYTES;
        if first >= self.len {
            self.len = 0;
        } else {
            let from = self.start + first;
            self.memory.copy_within(from..from + BLOCK_BYTES, self.start);
            self.len = BLOCK_BYTES;
        }
        if self.memory.len() > most + BLOCK_BYTES {
            let last = self.bytes().to_vec();
            *self = Self::new();
            self.fill(0, &last);
        }
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_aligned(blocks: &Blocks) -> bool {
        blocks.bytes().as_ptr().align_offset(BLOCK_BYTES) == 0
    }

    #[test]
    fn what_is_kept_stays_in_front_and_the_rest_is_zero() {
        let mut blocks = Blocks::new();
        blocks.fill(0, &[1; 5_000]);
        assert!(is_aligned(&blocks));
        assert_eq!(blocks.bytes(), [&[1; 5_000][..], &[0; 3_192]].concat());
        blocks.keep_block_of(5_000, 1 << 20);
        assert_eq!(blocks.bytes(), [&[1; 904][..], &[0; 3_192]].concat());
        // More than there was room for.
        blocks.fill(904, &vec![2; 20_000]);
        assert!(is_aligned(&blocks));
        assert_eq!(blocks.bytes(), [&[1; 904][..], &vec![2; 20_000], &[0; 3_672]].concat());
        // As after a write that failed: the same bytes are kept.
        blocks.fill(904, &[3; 10]);
        assert_eq!(blocks.bytes(), [&[1; 904][..], &[3; 10], &[0; 3_182]].concat());
    }

    #[test]
    fn a_full_block_is_not_kept_and_memory_is_given_back() {
        let mut blocks = Blocks::new();
        blocks.fill(0, &[1; 8_192]);
        blocks.keep_block_of(8_192, 1 << 20);
        assert!(blocks.bytes().is_empty());
        blocks.fill(0, &vec![1; 1 << 20]);
        blocks.fill(1 << 20, &[2; 10]);
        blocks.keep_block_of((1 << 20) + 10, 64 << 10);
        assert!(is_aligned(&blocks));
        assert_eq!(blocks.bytes(), [&[2; 10][..], &[0; 4_086]].concat());
        assert!(blocks.memory.len() <= 2 * BLOCK_BYTES);
    }
}
