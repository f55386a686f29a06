//! The end of a lane that is written: only a leader touches it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Moment};
use crate::disk::{BLOCK_BYTES, Blocks, Disk, DiskFile, OpenMode};
use crate::error::{Error, Result, fail};
use crate::journal::batch::{BatchBuilder, BatchHeader, BatchKind};
use crate::journal::format::{FIRST_BATCH, LaneKeys, MAC};
use crate::journal::log::Log;
use crate::journal::segment::{End, SegmentHeader, SegmentKind, file_name};
use crate::journal::state::{LaneState, StateFile};

/// The file is allocated so far ahead of what is written: a sync then writes no metadata.
const AHEAD_BYTES: u64 = 4 << 20;

/// So much of what is allocated ahead is held back from what takes room: on a full disk a record can still be erased, and
/// the lane closed. At most a quarter of a segment.
const RESERVE_BYTES: u64 = 256 << 10;

/// The writer keeps so many bytes of memory for the blocks of its next batch.
const KEPT_BYTES: usize = 1 << 20;

/// Which room a batch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// All but the reserve.
    Ordinary,
    /// The reserve too: it gives room, or is written but once.
    Reserve,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Into the page cache: it is synced some other time.
    Cache,
    /// To the device, where the system can: it is synced next, and the sync has less to do.
    Device,
}

/// A lane's state and the file it is in.
#[derive(Debug)]
pub(super) struct StateGuard {
    pub(super) file: StateFile,
    pub(super) state: LaneState,
}

impl StateGuard {
    /// Changes the state in one copy, durable when this returns.
    pub(super) fn change(&mut self, keys: &LaneKeys, change: impl FnOnce(&mut LaneState)) -> Result<()> {
        let mut state = self.state.clone();
        change(&mut state);
        self.file.write(keys, &mut state)?;
        self.state = state;
        Ok(())
    }

    /// Changes the state in both copies: either may be damaged from then on.
    pub(super) fn change_both(&mut self, keys: &LaneKeys, change: impl FnOnce(&mut LaneState)) -> Result<()> {
        self.change(keys, change)?;
        self.change(keys, |_| {})
    }
}

/// What a lane is made of, shared by all who work on it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: PathBuf,
    pub(super) keys: LaneKeys,
    pub(super) state: Mutex<StateGuard>,
    /// The number of the newest segment, cold ones included.
    pub(super) newest: Mutex<u64>,
}

impl Place {
    pub(super) fn path_of(&self, segment: u64) -> PathBuf {
        self.directory.join(file_name(segment))
    }

    /// Says in the key store that the lane is open, before anything is written.
    fn mark_open(&self) -> Result<()> {
        let mut guard = self.state.lock();
        if !guard.state.is_closed {
            return Ok(());
        }
        guard.change(&self.keys, |state| state.is_closed = false)
    }

    /// Removes a segment that is not needed, if it is there.
    pub(super) fn remove(&self, segment: u64) -> Result<()> {
        let path = self.path_of(segment);
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the file of the next segment with its header, durable when this returns; its batches may follow.
    pub(super) fn create_segment(
        &self,
        kind: SegmentKind,
        after: End,
        bytes: u64,
    ) -> Result<(u64, Box<dyn DiskFile>)> {
        let mut newest = self.newest.lock();
        let number = *newest + 1;
        let path = self.path_of(number);
        let header = SegmentHeader { number, kind, after, created_ms: self.clock.now_ms() };
        let opened = self.disk.open(&path, OpenMode::CreateNew).or_else(|error| {
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(error);
            }
            // Empty, the directory is easily lost by who copies files.
            self.disk.create_dir_all(&self.directory)?;
            self.disk.open(&path, OpenMode::CreateNew)
        });
        let made = opened.and_then(|file| {
            let written = file
                .allocate(bytes.max(FIRST_BATCH))
                .and_then(|()| file.write_all_at(&header.encode(&self.keys), 0))
                .and_then(|()| file.sync_data())
                .and_then(|()| self.disk.sync_dir(&self.directory));
            if let Err(error) = written {
                drop(file);
                // It holds nothing; the next attempt makes it anew.
                self.disk.remove_file(&path)?;
                return Err(error);
            }
            Ok(file)
        });
        let file = made.map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
        *newest = number;
        Ok((number, file))
    }
}

/// The segment that is written.
#[derive(Debug)]
struct Current {
    number: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    allocated: u64,
}

/// The log's end.
#[derive(Debug)]
pub(super) struct Writer {
    current: Option<Current>,
    /// Where the log ends.
    pub(super) end: End,
    /// The last batch that is known to be on the disk.
    pub(super) synced_through: u64,
    /// The last batch of frames.
    frames_through: u64,
    /// The last batch of which a later one says that it is on the disk.
    confirmed_through: u64,
    /// The last batch that may have a frame of the tenant whose id the lane has.
    own_through: u64,
    /// When the last batch was written.
    last_write: Moment,
    segment_bytes: u64,
    buffer: Vec<u8>,
    /// Begins with the bytes of the segment's last block that stand before its end: they are written again with what
    /// follows, whole blocks at a time.
    blocks: Blocks,
    /// Why nothing is written any more.
    poisoned: Option<&'static str>,
}

impl Writer {
    pub(super) fn new(end: End, own_through: u64, segment_bytes: u64) -> Self {
        Self {
            current: None,
            end,
            synced_through: end.sequence,
            frames_through: end.sequence,
            confirmed_through: end.sequence,
            own_through,
            last_write: Moment::now(),
            segment_bytes,
            buffer: Vec::new(),
            blocks: Blocks::new(),
            poisoned: None,
        }
    }

    /// Goes on in the segment in which a clean close left off.
    pub(super) fn resume(&mut self, place: &Place) -> Result<()> {
        let path = place.path_of(self.end.segment);
        let failed = |error| Error::io(format!("opening {}", path.display()), error);
        let file = place.disk.open(&path, OpenMode::ReadWrite).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let allocated = len - len % BLOCK_BYTES as u64;
        let kept = past_block(self.end.offset);
        let mut last = vec![0; kept];
        file.read_exact_at(&mut last, self.end.offset - kept as u64).map_err(failed)?;
        self.blocks.fill(0, &last);
        self.current = Some(Current { number: self.end.segment, path: path.clone(), file, allocated });
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.poisoned {
            Some(why) => {
                Err(fail!(Poisoned, "the journal takes no more changes because {why}: open the store again"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced_through == self.end.sequence
    }

    /// Whether a later batch, or the key store, says that every batch of frames is on the disk.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed_through >= self.frames_through
    }

    /// How long nothing was written.
    pub(super) fn idle_for(&self) -> Duration {
        self.last_write.age()
    }

    /// The segment that is written, if one is.
    pub(super) fn segment(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.number)
    }

    /// A buffer for the next batch.
    pub(super) fn begin(&mut self) -> BatchBuilder {
        BatchBuilder::new(std::mem::take(&mut self.buffer))
    }

    /// Makes room for a batch of about so many bytes: opens the lane for writing, and a new segment where this one is
    /// full. Gives the segment that the batch will stand in, and the place where it will begin.
    pub(super) fn prepare(
        &mut self,
        place: &Place,
        log: &Mutex<Log>,
        bytes: usize,
        room: Room,
    ) -> Result<(u64, u64)> {
        self.check()?;
        place.mark_open()?;
        let fits = |current: &Current, offset: u64| {
            current.number == self.end.segment
                && (offset == FIRST_BATCH || offset + bytes as u64 <= self.segment_bytes)
        };
        if !self.current.as_ref().is_some_and(|current| fits(current, self.end.offset))
            && let Err(error) = self.rotate(place, log)
        {
            // There is no room for another segment: what gives room goes on in this one, as far as it was allocated.
            let end = self.end.offset + bytes as u64;
            let has_room = |current: &Current| current.number == self.end.segment && end <= current.allocated;
            let goes_on = room == Room::Reserve
                && error.is_storage_full()
                && self.current.as_ref().is_some_and(has_room);
            if !goes_on {
                return Err(error);
            }
        }
        Ok((self.end.segment, self.end.offset))
    }

    fn allocated_at_most(&self) -> u64 {
        whole_blocks(self.segment_bytes + self.reserve_bytes())
    }

    fn reserve_bytes(&self) -> u64 {
        RESERVE_BYTES.min(self.segment_bytes / 4)
    }

    /// Goes on in a new segment; gives its number.
    pub(super) fn begin_segment(&mut self, place: &Place, log: &Mutex<Log>) -> Result<u64> {
        self.check()?;
        place.mark_open()?;
        self.rotate(place, log)?;
        Ok(self.end.segment)
    }

    fn rotate(&mut self, place: &Place, log: &Mutex<Log>) -> Result<()> {
        self.sync()?;
        let mut allocate = self.allocated_at_most().min(AHEAD_BYTES);
        let mut created = place.create_segment(SegmentKind::Log, self.end, allocate);
        if created.as_ref().is_err_and(Error::is_storage_full) {
            allocate = whole_blocks(FIRST_BATCH + self.reserve_bytes());
            created = place.create_segment(SegmentKind::Log, self.end, allocate);
        }
        let (number, file) = created?;
        // From here on its loss is noticed. Where this fails it stays behind without batches, and the next attempt makes
        // another one.
        place.state.lock().change(&place.keys, |state| state.last = number)?;
        if let Some(full) = self.current.take() {
            // What was allocated ahead is given back; where the segment ends, the new one says.
            if let Err(error) = full.file.set_len(self.end.offset) {
                tracing::debug!(%error, "a full segment could not be cut to its length");
            }
        }
        log.lock().segment(number, SegmentKind::Log);
        let allocated = allocate.max(FIRST_BATCH);
        self.blocks = Blocks::new();
        self.current = Some(Current { number, path: place.path_of(number), file, allocated });
        self.end = End { segment: number, offset: FIRST_BATCH, ..self.end };
        self.index(place, log).map(|_| ())
    }

    /// Writes an index at the end of the log, in a new segment where none is being written; not synced. It stands there
    /// twice, byte for byte: nothing comes after it to tell that nothing is missing, and one damaged byte must not cost that.
    pub(super) fn finish(&mut self, place: &Place, log: &Mutex<Log>) -> Result<()> {
        if self.current.is_none() {
            self.rotate(place, log)?;
        }
        if self.index(place, log)? {
            let again = std::mem::take(&mut self.buffer);
            self.append(again, log, (Room::Reserve, Way::Cache))?;
        }
        Ok(())
    }

    /// Writes an index, if there is anything to list; not synced. Gives whether there is.
    fn index(&mut self, place: &Place, log: &Mutex<Log>) -> Result<bool> {
        let entries = log.lock().index();
        if entries.is_empty() {
            return Ok(false);
        }
        let mut batch = self.begin();
        let header = self.header(BatchKind::Index);
        let mac = batch.finish_index(&place.keys, self.end.segment, header, &entries)?;
        self.write(batch, mac, log, (Room::Reserve, Way::Cache))?;
        Ok(true)
    }

    /// The header of the next batch.
    pub(super) fn header(&self, kind: BatchKind) -> BatchHeader {
        BatchHeader {
            kind,
            sequence: self.end.sequence + 1,
            synced_through: self.synced_through,
            own_through: Some(self.own_through),
        }
    }

    /// Notes that the next batch will have a frame of the tenant whose id the lane has.
    pub(super) fn note_own(&mut self) {
        self.own_through = self.end.sequence + 1;
    }

    /// Writes a batch that was finished for the segment and place that [`Writer::prepare`] gave; not synced. After an
    /// error the next batch takes its place.
    pub(super) fn write(
        &mut self,
        batch: BatchBuilder,
        mac: [u8; MAC],
        log: &Mutex<Log>,
        (room, way): (Room, Way),
    ) -> Result<()> {
        let has_frames = !batch.frames.is_empty();
        self.append(batch.bytes, log, (room, way))?;
        self.end = End { sequence: self.end.sequence + 1, mac, ..self.end };
        self.confirmed_through = self.synced_through;
        self.last_write = Moment::now();
        if has_frames {
            self.frames_through = self.end.sequence;
        }
        Ok(())
    }

    /// Writes a batch's bytes at the end of the segment. They are the buffer afterwards.
    fn append(&mut self, bytes: Vec<u8>, log: &Mutex<Log>, (room, way): (Room, Way)) -> Result<()> {
        let (reserve, at_most) = (self.reserve_bytes(), self.allocated_at_most());
        let current =
            self.current.as_mut().ok_or_else(|| fail!(Internal, "a batch is written to no segment"))?;
        let end = self.end.offset + bytes.len() as u64;
        let wanted = if room == Room::Ordinary { end + reserve } else { end };
        let allocated = if wanted > current.allocated { current.allocate(wanted, at_most) } else { Ok(()) };
        let kept = past_block(self.end.offset);
        if self.blocks.bytes().len() < kept {
            return Err(fail!(Internal, "the last block of the segment is not known"));
        }
        self.blocks.fill(kept, &bytes);
        let written = allocated.and_then(|()| match way {
            Way::Cache => current.file.write_all_at(&bytes, self.end.offset),
            Way::Device => current.file.write_blocks(&self.blocks, self.end.offset - kept as u64),
        });
        let written =
            written.map_err(|error| Error::io(format!("writing {}", current.path.display()), error));
        self.blocks.keep_block_of(if written.is_ok() { kept + bytes.len() } else { kept }, KEPT_BYTES);
        self.buffer = bytes;
        written?;
        self.end = End { segment: current.number, offset: end, ..self.end };
        if let Some(segment) = log.lock().segments.get_mut(&self.end.segment) {
            segment.bytes = end;
        }
        Ok(())
    }

    /// Makes everything written durable. A failure poisons the lane: what the page cache holds from then on need not be
    /// what the disk holds.
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.is_synced() {
            return Ok(());
        }
        self.check()?;
        let Some(current) = &self.current else { return Ok(()) };
        if let Err(error) = current.file.sync_data() {
            self.poisoned = Some("a sync of it failed");
            return Err(Error::io(format!("syncing {}", current.path.display()), error));
        }
        self.synced_through = self.end.sequence;
        Ok(())
    }

    /// Refuses everything from now on.
    pub(super) fn poison(&mut self, why: &'static str) {
        self.poisoned.get_or_insert(why);
    }
}

/// A length in whole blocks.
fn whole_blocks(len: u64) -> u64 {
    len.next_multiple_of(BLOCK_BYTES as u64)
}

/// How many bytes of its block stand before a place of the file.
fn past_block(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or_default() % BLOCK_BYTES
}

impl Current {
    /// Allocates ahead of `end`, up to `at_most` or a batch that is longer; where the disk has no room for that, just so far.
    fn allocate(&mut self, end: u64, at_most: u64) -> std::io::Result<()> {
        let end = whole_blocks(end);
        let ahead = end.next_multiple_of(AHEAD_BYTES).min(at_most.max(end));
        let len = match self.file.allocate(ahead) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                self.file.allocate(end)?;
                end
            }
            result => result.map(|()| ahead)?,
        };
        self.allocated = len;
        Ok(())
    }
}
