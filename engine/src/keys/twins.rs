//! Slots on the disk: each one twice, in different blocks (FORMAT.md section 4.3).
//!
//! Every change is written to the first twin, synced, to the second, synced; so at any instant at least one
//! twin of every live slot is whole, and a tombstone, once acknowledged, stands in both.

use std::collections::BTreeMap;
use std::io;

use crate::disk::DiskFile;
use crate::keys::header::BLOCK;
use crate::keys::slot::{EMPTY, Raw, SLOT_BYTES, SlotKind, SlotSealer, SlotState, SlotStatus};

pub(super) const SLOTS_A_BLOCK: usize = BLOCK / SLOT_BYTES;
/// The first block of slots.
pub(super) const FIRST: u64 = 4;

/// The bytes of one block of slots.
pub(super) type Block = [u8; BLOCK];

/// A slot as it counts.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) raw: Raw,
    /// What it says of itself, where it authenticates.
    pub(super) state: Option<SlotState>,
}

pub(super) const NO_SLOT: Slot = Slot { raw: EMPTY, state: None };

/// The slot's block among those of its twin, and its place in there.
pub(super) fn place(number: u64) -> (u64, usize) {
    let place = usize::try_from(number % SLOTS_A_BLOCK as u64).unwrap_or_default();
    (number / SLOTS_A_BLOCK as u64, place)
}

pub(super) fn block_offset(pair: u64, twin: u64) -> u64 {
    (FIRST + 2 * pair + twin) * BLOCK as u64
}

pub(super) fn slot_offset(number: u64, twin: u64) -> u64 {
    let (pair, place) = place(number);
    block_offset(pair, twin) + (place * SLOT_BYTES) as u64
}

/// The bytes of a slot in its block.
pub(super) fn slot_in(block: &Block, place: usize) -> &Raw {
    &block.as_chunks::<SLOT_BYTES>().0[place % SLOTS_A_BLOCK]
}

pub(super) fn put_slot(block: &mut Block, place: usize, raw: &Raw) {
    block.as_chunks_mut::<SLOT_BYTES>().0[place % SLOTS_A_BLOCK] = *raw;
}

/// Which twin of a slot counts, and whether nothing is to be mended. `fits` says which kinds may stand in the file.
pub(super) fn choose(
    sealer: &SlotSealer,
    number: u64,
    [a, b]: [&Raw; 2],
    fits: impl Fn(SlotKind) -> bool,
) -> (Slot, bool) {
    let state = |raw: &Raw| sealer.state(number, raw).filter(|state| fits(state.kind));
    if a == b {
        let state = if *a == EMPTY { None } else { state(a) };
        return (Slot { raw: *a, state }, true);
    }
    let found = [a, b].map(|raw| Slot { raw: *raw, state: state(raw) });
    let destroyed = |slot: &&Slot| slot.state.is_some_and(|state| state.status == SlotStatus::Destroyed);
    let chosen = found.iter().find(destroyed).or_else(|| found.iter().find(|slot| slot.state.is_some()));
    match chosen {
        Some(slot) => (*slot, false),
        // Neither authenticates and there is nothing to mend from; not empty, so never filled again.
        None => (if *a == EMPTY { found[1] } else { found[0] }, true),
    }
}

/// Writes blocks of slots, by pair: to the first twins, syncs, to the second twins, syncs. Whole blocks: their other slots
/// get the bytes they have, so a torn write changes none of them.
pub(super) fn write_pairs(file: &dyn DiskFile, pairs: &BTreeMap<u64, [Block; 2]>) -> io::Result<()> {
    for twin in 0..2 {
        for (pair, blocks) in pairs {
            file.write_all_at(&blocks[usize::from(twin == 1)], block_offset(*pair, twin))?;
        }
        file.sync_data()?;
    }
    Ok(())
}

/// Reads tombstones back from both twins.
pub(super) fn read_back<'a>(
    file: &dyn DiskFile,
    tombstones: impl IntoIterator<Item = (u64, &'a Raw)>,
) -> io::Result<()> {
    for (number, raw) in tombstones {
        for twin in 0..2 {
            let mut back = EMPTY;
            file.read_exact_at(&mut back, slot_offset(number, twin))?;
            if back != *raw {
                return Err(io::Error::other("a tombstone does not read back"));
            }
        }
    }
    Ok(())
}

/// A block, or zeros where it can't be read: that is as good as damaged, its twin may be whole.
pub(super) fn read_block(file: &dyn DiskFile, index: u64) -> Block {
    let mut block = [0; BLOCK];
    file.read_exact_at(&mut block, index * BLOCK as u64).map_or([0; BLOCK], |()| block)
}
