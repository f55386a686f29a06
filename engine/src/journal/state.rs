//! A lane's state, in the key store: whether it was closed and where it then ended, and which segments it needs
//! (FORMAT.md section 9.4).
//!
//! With it an end that was cut off is told from a torn write, and a segment that is missing from one that was retired.

use std::path::{Path, PathBuf};

use crate::crypto::{equal, kdf};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::journal::format::{LaneKeys, MAC, array, u32_at, u64_at};
use crate::journal::segment::End;

const BLOCK: usize = 4_096;
const MAC_OFFSET: usize = BLOCK - MAC;
const MAGIC: &[u8; 8] = b"SRLANEST";
const FORMAT_VERSION: u16 = 1;
const COLD: usize = 144;
/// Most cold segments at a time.
pub(super) const COLD_MAX: usize = 8;
const LAST: usize = COLD + 8 * COLD_MAX;

/// What a lane's state file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaneState {
    /// Grows with each write.
    sequence: u64,
    /// Whether the log ends where `end` says.
    pub(super) is_closed: bool,
    /// Where the log ended when it was last closed; its segment is 0 where none was left.
    pub(super) end: End,
    /// The store's timeline, in the lane of the system tenant.
    pub(super) timeline: u32,
    /// The oldest segment of the log that is needed.
    pub(super) first: u64,
    /// The newest segment of the log that was made; 0 where none is known.
    pub(super) last: u64,
    /// The cold segments that are needed.
    pub(super) cold: Vec<u64>,
}

impl LaneState {
    /// Of a lane without segments.
    pub(super) fn first() -> Self {
        let end = End { segment: 0, offset: 0, sequence: 0, mac: [0; MAC] };
        Self { sequence: 0, is_closed: true, end, timeline: 1, first: 1, last: 0, cold: Vec::new() }
    }

    fn encode(&self, keys: &LaneKeys) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put =
            |offset: usize, field: &[u8]| block[offset..offset + field.len()].copy_from_slice(field);
        put(0, MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(24, keys.store.as_bytes());
        put(40, keys.lane.as_bytes());
        put(56, &self.sequence.to_le_bytes());
        put(64, &[if self.is_closed { 2 } else { 1 }]);
        put(68, &self.timeline.to_le_bytes());
        put(72, &self.first.to_le_bytes());
        put(80, &self.end.segment.to_le_bytes());
        put(88, &self.end.offset.to_le_bytes());
        put(96, &self.end.sequence.to_le_bytes());
        put(104, &self.end.mac);
        put(136, &u32::try_from(self.cold.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (index, number) in self.cold.iter().enumerate() {
            put(COLD + index * 8, &number.to_le_bytes());
        }
        put(LAST, &self.last.to_le_bytes());
        let mac = kdf::mac(&keys.state, &block[..MAC_OFFSET]);
        block[MAC_OFFSET..].copy_from_slice(&mac);
        block
    }

    fn parse(block: &[u8; BLOCK], keys: &LaneKeys) -> Option<Self> {
        let is_ours = block[..8] == *MAGIC
            && block[8..10] == FORMAT_VERSION.to_le_bytes()
            && u32_at(block, 12)? == 0
            && u32_at(block, 16)? == 0
            && StoreId::new(array(block, 24)?) == keys.store
            && TenantId::new(array(block, 40)?) == keys.lane
            && equal(&kdf::mac(&keys.state, &block[..MAC_OFFSET]), &block[MAC_OFFSET..]);
        if !is_ours {
            return None;
        }
        let end = End {
            segment: u64_at(block, 80)?,
            offset: u64_at(block, 88)?,
            sequence: u64_at(block, 96)?,
            mac: array(block, 104)?,
        };
        let is_closed = match block[64] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let cold = (0..u32_at(block, 136)? as usize).map(|index| u64_at(block, COLD + index * 8));
        let cold = cold.collect::<Option<Vec<_>>>().filter(|cold| cold.len() <= COLD_MAX)?;
        let (sequence, timeline) = (u64_at(block, 56)?, u32_at(block, 68)?);
        let (first, last) = (u64_at(block, 72)?, u64_at(block, LAST)?);
        Some(Self { sequence, is_closed, end, timeline, first, last, cold })
    }
}

/// The file a lane's state is in.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl StateFile {
    /// Makes the file, durable when this returns.
    pub(super) fn create(disk: &dyn Disk, path: &Path, keys: &LaneKeys, timeline: u32) -> Result<()> {
        let failed = |error| Error::io(format!("creating {}", path.display()), error);
        let file =
            Self { path: path.to_owned(), file: disk.open(path, OpenMode::CreateNew).map_err(failed)? };
        file.write_both(keys, &mut LaneState { timeline, ..LaneState::first() })?;
        path.parent().map_or(Ok(()), |keys| disk.sync_dir(keys)).map_err(failed)
    }

    pub(super) fn open(disk: &dyn Disk, path: &Path, keys: &LaneKeys) -> Result<(Self, LaneState)> {
        let located = |error: Error| error.within(path.display());
        let file = disk.open(path, OpenMode::ReadWrite).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                fail!(KeyMissing, "there is no such file: restore the key store from a copy")
            } else {
                Error::io("opening", error)
            }
        });
        let file = file.map_err(located)?;
        let length = file.len().map_err(|error| Error::io("measuring", error)).map_err(located)?;
        if length != 2 * BLOCK as u64 {
            return Err(located(fail!(Corrupted, "the file has {length} bytes, a lane's state has 8,192")));
        }
        let copies = [0, 1].map(|copy| {
            let mut block = [0; BLOCK];
            // A copy that can't be read is as good as a damaged one.
            let read = file.read_exact_at(&mut block, copy * BLOCK as u64);
            read.ok().and_then(|()| LaneState::parse(&block, keys))
        });
        let state = copies.into_iter().flatten().max_by_key(|state| state.sequence);
        let state = state.ok_or_else(|| located(fail!(Unauthentic, "neither copy of it authenticates")))?;
        Ok((Self { path: path.to_owned(), file }, state))
    }

    /// Writes one copy, durable when this returns.
    pub(super) fn write(&self, keys: &LaneKeys, state: &mut LaneState) -> Result<()> {
        let next = LaneState { sequence: state.sequence + 1, ..state.clone() };
        let offset = next.sequence % 2 * BLOCK as u64;
        self.file
            .write_all_at(&next.encode(keys), offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Error::io(format!("writing {}", self.path.display()), error))?;
        // Only now: after a failure the same copy is written again, and the other one stays whole.
        *state = next;
        Ok(())
    }

    /// Writes both copies, durable when this returns: from here on either may be damaged.
    pub(super) fn write_both(&self, keys: &LaneKeys, state: &mut LaneState) -> Result<()> {
        self.write(keys, state)?;
        self.write(keys, state)
    }
}

/// Parses anything, for fuzzing.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_state(data: &[u8]) {
    let keys = LaneKeys::derive(&[0; 32], StoreId::new([0; 16]), TenantId::new([0; 16]), "default");
    let (Ok(keys), Some(block)) = (keys, data.first_chunk::<BLOCK>()) else { return };
    // Behind a good MAC, so that the fields are reached.
    let mut block = *block;
    let mac = kdf::mac(&keys.state, &block[..MAC_OFFSET]);
    block[MAC_OFFSET..].copy_from_slice(&mac);
    if let Some(state) = LaneState::parse(&block, &keys) {
        assert_eq!(LaneState::parse(&state.encode(&keys), &keys), Some(state));
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use super::*;
    use crate::disk::{PowerLoss, SimDisk};

    fn keys() -> LaneKeys {
        LaneKeys::derive(&[3; 32], StoreId::new([1; 16]), TenantId::new([2; 16]), "eu").expect("derives")
    }

    #[test]
    fn a_state_survives_a_torn_write_and_any_one_damaged_byte() {
        let disk = SimDisk::new();
        let path = Path::new("/lane");
        StateFile::create(&disk, path, &keys(), 3).expect("creates");
        let (file, mut state) = StateFile::open(&disk, path, &keys()).expect("opens");
        assert_eq!(state.timeline, 3);
        state.is_closed = false;
        state.cold = vec![4, 9];
        let written = state.clone();
        file.write(&keys(), &mut state).expect("writes");
        for seed in 0..50 {
            state.first = 70;
            let torn = disk.snapshot();
            let (file, mut state) = StateFile::open(&torn, path, &keys()).expect("opens");
            state.first = 70;
            torn.without_sync(true);
            file.write(&keys(), &mut state).expect("writes, unsynced");
            let (_, found) =
                StateFile::open(&torn.power_loss(seed, PowerLoss::Random), path, &keys()).expect("opens");
            assert!(found.first == 70 || found.cold == written.cold && !found.is_closed);
        }
        file.write_both(&keys(), &mut state).expect("writes");
        let bytes = disk.read_file(path).expect("reads");
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            disk.write_file(path, &altered).expect("writes");
            let (_, found) = StateFile::open(&disk, path, &keys()).expect("opens");
            assert_eq!((found.first, &found.cold), (70, &state.cold), "byte {index}");
        }
    }
}
