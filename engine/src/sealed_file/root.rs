//! Logical block 0, the only one redb overwrites in place: two alternating images (FORMAT.md section 5.3).
//!
//! The image that counts is never overwritten; the other one takes its place only after the file was synced. Sealed
//! in place, a torn write of this block would lose the whole file.

use std::fmt;

use crate::crypto::Entropy;
use crate::crypto::aead::Xaes;
use crate::disk::DiskFile;
use crate::error::{Error, Result, fail};
use crate::id::FileId;
use crate::sealed_file::layout::{BLOCK, BLOCK_U64, ROOT_SLOTS};
use crate::sealed_file::tags::{Entry, Found};

const ENTRY: usize = 64;
/// Bytes of logical block 0 that are kept; the rest is zero.
pub(super) const ROOT_BYTES: usize = BLOCK - ENTRY;

/// Seals root slots.
#[derive(Clone, Copy)]
pub(super) struct RootSealer<'a> {
    pub(super) cipher: &'a Xaes,
    pub(super) file: FileId,
    pub(super) epoch: u32,
}

impl RootSealer<'_> {
    fn aad(&self, slot: usize, sequence: u64) -> Vec<u8> {
        let slot = [u8::from(slot == 1)];
        let epoch = self.epoch.to_le_bytes();
        [&b"strongroom/1 root"[..], self.file.as_bytes(), &slot, &epoch, &sequence.to_le_bytes()].concat()
    }

    fn seal(
        &self,
        entropy: &dyn Entropy,
        slot: usize,
        sequence: u64,
        plain: &[u8; BLOCK],
    ) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        block[ENTRY..].copy_from_slice(&plain[..ROOT_BYTES]);
        let (nonce, tag) = self.cipher.seal(entropy, &self.aad(slot, sequence), &mut block[ENTRY..])?;
        let entry = Entry { nonce, tag, epoch: self.epoch, number: sequence };
        block[..ENTRY].copy_from_slice(&entry.encode());
        Ok(block)
    }

    fn open(&self, slot: usize, block: &[u8; BLOCK]) -> Option<(u64, [u8; BLOCK])> {
        let Found::Entry(entry) = Entry::parse(block.first_chunk()?) else { return None };
        if entry.epoch != self.epoch {
            return None;
        }
        let mut plain = [0; BLOCK];
        plain[..ROOT_BYTES].copy_from_slice(&block[ENTRY..]);
        let text = &mut plain[..ROOT_BYTES];
        self.cipher.open(&entry.nonce, &self.aad(slot, entry.number), text, &entry.tag).ok()?;
        Some((entry.number, plain))
    }
}

/// The state of the root slots.
pub(super) struct Root {
    /// Logical block 0 as last written.
    plain: Box<[u8; BLOCK]>,
    /// The slot that counts after a power loss now; none before the first sync of a new file.
    durable: Option<usize>,
    /// The slot written since the last sync.
    pending: Option<usize>,
    sequence: u64,
    /// Whether this open has synced the file: before that the newest slot may be in the page cache only.
    synced: bool,
    /// Whether the disk failed to give one of the slots: the one that counts may be the older one.
    is_unreadable: bool,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Root {
    /// Of a file that is being created.
    pub(super) fn new() -> Self {
        Self {
            plain: Box::new([0; BLOCK]),
            durable: None,
            pending: None,
            sequence: 0,
            synced: true,
            is_unreadable: false,
        }
    }

    pub(super) fn load(file: &dyn DiskFile, sealer: RootSealer<'_>) -> Result<Self> {
        let mut is_unreadable = false;
        let mut newest: Option<(usize, u64, [u8; BLOCK])> = None;
        for (slot, physical) in ROOT_SLOTS.into_iter().enumerate() {
            let mut block = [0; BLOCK];
            // One slot that can't be read is like one that was torn: the other one counts. If that turns out to be too old,
            // the disk is to blame and not a rollback.
            if let Err(error) = file.read_exact_at(&mut block, physical * BLOCK_U64) {
                is_unreadable |= error.kind() != std::io::ErrorKind::UnexpectedEof;
                continue;
            }
            if let Some((sequence, plain)) = sealer.open(slot, &block)
                && newest.as_ref().is_none_or(|(_, known, _)| sequence > *known)
            {
                newest = Some((slot, sequence, plain));
            }
        }
        let (slot, sequence, plain) =
            newest.ok_or_else(|| fail!(Unauthentic, "neither of its two roots authenticates"))?;
        Ok(Self {
            plain: Box::new(plain),
            durable: Some(slot),
            pending: None,
            sequence,
            synced: false,
            is_unreadable,
        })
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    pub(super) fn plain(&self) -> &[u8; BLOCK] {
        &self.plain
    }

    /// Whether the file must be synced before [`Root::write`].
    pub(super) fn wants_sync(&self) -> bool {
        !self.synced
    }

    /// Changes part of block 0 and writes it to the slot that does not count.
    pub(super) fn write(
        &mut self,
        file: &dyn DiskFile,
        sealer: RootSealer<'_>,
        entropy: &dyn Entropy,
        offset: usize,
        data: &[u8],
    ) -> Result<()> {
        let mut plain = self.plain.clone();
        plain[offset..offset + data.len()].copy_from_slice(data);
        if plain[ROOT_BYTES..].iter().any(|byte| *byte != 0) {
            return Err(fail!(Internal, "redb wrote beyond the part of its first block that is kept"));
        }
        let slot = self.durable.map_or(0, |durable| 1 - durable);
        let block = sealer.seal(entropy, slot, self.sequence + 1, &plain)?;
        self.pending = Some(slot);
        file.write_all_at(&block, ROOT_SLOTS[slot] * BLOCK_U64)
            .map_err(|error| Error::io("writing the root", error))?;
        self.sequence += 1;
        self.plain = plain;
        Ok(())
    }

    /// The file was synced with everything written before: the slot written since the last time counts now.
    pub(super) fn synced(&mut self) {
        self.synced = true;
        if let Some(slot) = self.pending.take() {
            self.durable = Some(slot);
        }
    }
}
