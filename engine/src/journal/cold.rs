//! Cold segments: frames of tenants with little to say, moved out of segments that are retired, instead of a commit for each
//! of those tenants (FORMAT.md section 9.1).
//!
//! A frame is moved as it is: that takes no key. The new segment is synced and named in the lane's state before the old ones
//! are deleted; where that is interrupted the frames are there twice, and count once.

use std::collections::{BTreeMap, HashSet};

use crate::disk::OpenMode;
use crate::error::{Error, Result, fail};
use crate::id::TenantId;
use crate::journal::batch::{BatchBuilder, BatchHeader, BatchKind};
use crate::journal::format::{FIRST_BATCH, MAC};
use crate::journal::frame::Frame;
use crate::journal::lane::{Lane, Member};
use crate::journal::log::{Log, Place};
use crate::journal::segment::{End, SegmentKind, number_of};
use crate::journal::state::COLD_MAX;

/// Bytes of frames in a batch of a cold segment.
const BATCH_BYTES: usize = 1 << 20;

/// The segments to empty: the oldest of the log beyond half of what is allowed, and cold ones that are mostly dead or too
/// many.
fn sources(log: &Log, current: Option<u64>, limit: u64) -> Vec<u64> {
    if !log.damage.is_empty() {
        return Vec::new();
    }
    let mut left: u64 = log.segments.values().map(|segment| segment.bytes).sum();
    let mut sources = Vec::new();
    let of = |kind| log.segments.iter().filter(move |(_, segment)| segment.kind == kind);
    for (number, segment) in of(SegmentKind::Log) {
        if left <= limit / 2 || Some(*number) == current {
            break;
        }
        left -= segment.bytes;
        sources.push(*number);
    }
    let too_many = of(SegmentKind::Cold).count() + 1 >= COLD_MAX;
    let dead =
        of(SegmentKind::Cold).filter(|(_, segment)| too_many || segment.live_bytes * 2 < segment.bytes);
    sources.extend(dead.map(|(number, _)| *number));
    sources
}

impl<M: Member> Lane<M> {
    /// The tenants with frames in the segments that would be emptied.
    pub(crate) fn oldest(&self, limit: u64) -> HashSet<TenantId> {
        let current = self.shared().writer.lock().segment();
        let log = self.shared().log.lock();
        let sources = sources(&log, current, limit);
        let in_sources = log
            .tenants
            .iter()
            .filter(|(_, tenant)| tenant.frames.iter().any(|place| sources.contains(&place.segment)));
        in_sources.map(|(tenant, _)| *tenant).collect()
    }

    /// Moves what is still needed of the oldest segments, where the lane is longer than `limit` bytes, into a cold one.
    pub(crate) fn relocate(&self, limit: u64) -> Result<()> {
        let current = self.shared().writer.lock().segment();
        self.relocate_from(|log| sources(log, current, limit))
    }

    /// Leaves nothing in the lane but what is needed, and what is written from now on: begins a segment, moves what is needed
    /// of all older ones into a cold one, and deletes them. Durable when this returns.
    pub(crate) fn turn_over(&self) -> Result<()> {
        let shared = self.shared();
        if self.is_damaged() {
            let text = "nothing of a damaged journal is deleted: put its files back from a copy, or salvage its tenants";
            return Err(fail!(Corrupted, "{text}"));
        }
        let current = shared.writer.lock().begin_segment(&shared.place, &shared.log)?;
        let older =
            |log: &Log| log.segments.keys().copied().filter(|number| *number < current).collect::<Vec<_>>();
        self.relocate_from(older)?;
        self.retire()?;
        if !older(&shared.log.lock()).is_empty() {
            return Err(
                fail!(Io, "older segments of a journal could not be deleted yet: try again").retryable()
            );
        }
        self.remove_leftovers(current)
    }

    /// Removes the files of segments before one that the state does not name: a power loss brought them back, or somebody.
    /// Durable when this returns, for these and for all that were deleted before.
    fn remove_leftovers(&self, before: u64) -> Result<()> {
        let place = &self.shared().place;
        let failed = |error| Error::io(format!("emptying the journal {}", place.directory.display()), error);
        for entry in place.disk.list(&place.directory).map_err(failed)? {
            let number = number_of(&entry.name.to_string_lossy()).filter(|number| *number < before);
            let Some(number) = number else { continue };
            if !self.shared().log.lock().segments.contains_key(&number) {
                place.remove(number)?;
            }
        }
        place.disk.sync_dir(&place.directory).map_err(failed)
    }

    fn relocate_from(&self, sources: impl FnOnce(&Log) -> Vec<u64>) -> Result<()> {
        let shared = self.shared();
        let mut moving: Vec<(TenantId, Place)> = {
            let log = shared.log.lock();
            let sources = sources(&log);
            let frames =
                log.tenants.iter().flat_map(|(tenant, log)| log.frames.iter().map(|place| (*tenant, *place)));
            frames.filter(|(_, place)| sources.contains(&place.segment)).collect()
        };
        if moving.is_empty() {
            return Ok(());
        }
        moving.sort_unstable_by_key(|(_, place)| (place.segment, place.offset));
        let bytes: u64 = moving.iter().map(|(_, place)| u64::from(place.bytes)).sum();
        let nowhere = End { segment: 0, offset: 0, sequence: 0, mac: [0; MAC] };
        let (number, file) = shared.place.create_segment(SegmentKind::Cold, nowhere, FIRST_BATCH + bytes)?;
        let path = shared.place.path_of(number);
        let failed = |error| Error::io(format!("writing {}", path.display()), error);
        let batches = batches(&moving);
        let total = batches.len() as u64;
        let mut moved = BTreeMap::new();
        let mut offset = FIRST_BATCH;
        for (sequence, batch) in (1..).zip(batches) {
            let mut builder = BatchBuilder::new(Vec::new());
            let mut places = Vec::new();
            for (tenant, place) in batch {
                let bytes = self.read_frame(place)?;
                if Frame::parse(&bytes).is_none_or(|frame| frame.header.tenant != *tenant) {
                    return Err(fail!(Corrupted, "a frame of tenant {tenant} can't be moved: it is damaged"));
                }
                builder.begin_frame();
                places.push((*tenant, *place, builder.bytes.len() as u64));
                builder.bytes.extend(bytes);
            }
            let header =
                BatchHeader { kind: BatchKind::Frames, sequence, synced_through: total, own_through: None };
            builder.finish(&shared.place.keys, number, header)?;
            file.write_all_at(&builder.bytes, offset).map_err(failed)?;
            for (tenant, place, start) in places {
                let there = Place { segment: number, offset: offset + start, ..place };
                moved.insert((tenant, place.first), (place, there));
            }
            offset += builder.bytes.len() as u64;
        }
        file.sync_data().map_err(failed)?;
        shared.place.state.lock().change_both(&shared.place.keys, |state| state.cold.push(number))?;
        let mut log = shared.log.lock();
        log.segment(number, SegmentKind::Cold).bytes = offset;
        for ((tenant, _), (from, to)) in moved {
            log.relocate(tenant, &from, to);
        }
        Ok(())
    }

    /// Reads a frame where it lies; authenticates nothing.
    pub(super) fn read_frame(&self, place: &Place) -> Result<Vec<u8>> {
        let shared = self.shared();
        let path = shared.place.path_of(place.segment);
        let mut bytes = vec![0; place.bytes as usize];
        let file = shared.place.disk.open(&path, OpenMode::Read);
        let read = file.and_then(|file| file.read_exact_at(&mut bytes, place.offset));
        read.map_err(|error| Error::io(format!("reading {}", path.display()), error))?;
        Ok(bytes)
    }
}

fn batches(moving: &[(TenantId, Place)]) -> Vec<&[(TenantId, Place)]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, (_, place)) in moving.iter().enumerate() {
        if bytes > 0 && bytes + place.bytes as usize > BATCH_BYTES {
            batches.push(&moving[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += place.bytes as usize;
    }
    batches.push(&moving[start..]);
    batches
}
