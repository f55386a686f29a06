//! Opening a lane: its segments are read once, torn ends are told from damage, and every frame that may still be needed is
//! noted (FORMAT.md section 9.5). No frame is opened: that takes its tenant's key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::disk::{Disk, FileKind, Mapping, OpenMode};
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::TenantId;
use crate::journal::batch::{Batch, BatchKind};
use crate::journal::format::{FIRST_BATCH, LaneKeys, aligned};
use crate::journal::frame::{Frame, FrameSealer, Tag};
use crate::journal::lane::{Lane, LaneOptions, Member};
use crate::journal::log::{Damage, Log, Place, Position, Recovered, Recovery};
use crate::journal::scan::{Batches, Found};
use crate::journal::segment::{End, SegmentHeader, SegmentKind, file_name, number_of};
use crate::journal::state::{LaneState, StateFile};
use crate::journal::writer::{self, StateGuard, Writer};

/// A lane that was opened.
pub(crate) struct OpenedLane<M: Member> {
    pub(crate) lane: Lane<M>,
    /// Whether it was closed cleanly; else what it held may have been seen and lost, and the timeline has to grow before
    /// anything is written.
    pub(crate) was_closed: bool,
}

/// Makes a lane's state and directory, durable when this returns.
pub(crate) fn create_lane(options: &LaneOptions, keys: &LaneKeys, timeline: u32) -> Result<()> {
    let directory = &options.directory;
    options
        .disk
        .create_dir_all(directory)
        .map_err(|error| Error::io(format!("creating {}", directory.display()), error))?;
    StateFile::create(&*options.disk, &options.state, keys, timeline)
}

/// Opens a lane. `timeline` is what its changes are written under, shared with the other lanes of the store.
pub(crate) fn open_lane<M: Member>(
    options: &LaneOptions,
    keys: LaneKeys,
    timeline: &Arc<AtomicU32>,
) -> Result<OpenedLane<M>> {
    let (file, mut state) = StateFile::open(&*options.disk, &options.state, &keys)?;
    let reader = Reader {
        accept_rollback: options.accept_rollback,
        disk: &*options.disk,
        directory: &options.directory,
        keys: &keys,
        state: &state,
    };
    let read = reader.read().map_err(|error| error.within(options.directory.display()))?;
    let Read { log, end, own_through, newest, was_closed, last } = read;
    timeline.fetch_max(state.timeline, Ordering::AcqRel);
    if !was_closed && state.is_closed {
        // Either the key store holds an older state than the segments, which were written since, or the end is accepted.
        state.is_closed = false;
        file.write(&keys, &mut state)?;
    }
    let place = writer::Place {
        disk: Arc::clone(&options.disk),
        clock: Arc::clone(&options.clock),
        directory: options.directory.clone(),
        keys,
        state: Mutex::new(StateGuard { file, state }),
        newest: Mutex::new(newest),
    };
    let mut writer = Writer::new(end, own_through, options.segment_bytes);
    // What is damaged stays as it is, and what is written now comes after it.
    if was_closed && last == end.segment && last != 0 && log.damage.is_empty() {
        writer.resume(&place)?;
    }
    let lane = Lane::assemble(place, Arc::clone(&options.entropy), writer, log, Arc::clone(timeline));
    Ok(OpenedLane { lane, was_closed })
}

/// Bytes written at once where the end of a log is settled.
const PIECE: u64 = 1 << 20;

struct Reader<'a> {
    accept_rollback: bool,
    disk: &'a dyn Disk,
    directory: &'a Path,
    keys: &'a LaneKeys,
    state: &'a LaneState,
}

struct Read {
    log: Log,
    /// Where the log ends.
    end: End,
    /// The last batch that may have a frame of the tenant whose id the lane has.
    own_through: u64,
    /// The greatest number that was ever given to a segment.
    newest: u64,
    was_closed: bool,
    /// The last segment of the log; 0 where there is none.
    last: u64,
}

impl Reader<'_> {
    fn read(&self) -> Result<Read> {
        let numbers = self.list()?;
        let stated = [self.state.end.segment, self.state.last, self.state.first.saturating_sub(1)];
        let newest = numbers.iter().copied().chain(stated).max();
        let mut headers = BTreeMap::new();
        let mut illegible = Vec::new();
        let mut log = Log::default();
        for number in numbers {
            // What is not needed is passed over and not deleted: it may be an older copy that was put back, and needed
            // once that is accepted.
            let is_cold = self.state.cold.contains(&number);
            if !is_cold && number < self.state.first && !self.accept_rollback {
                continue;
            }
            let bytes = self.map(number)?;
            match SegmentHeader::parse(&bytes, self.keys, number) {
                Ok(header) if header.kind == SegmentKind::Cold && !is_cold && !self.accept_rollback => {}
                Ok(header) => drop(headers.insert(number, header)),
                Err(error) if error.kind() == ErrorKind::UnsupportedFormat => return Err(error),
                Err(_) => {
                    let holds_batches = Batches::new(&bytes, self.keys, number)
                        .any(|found| matches!(found, Found::Batch(..)));
                    illegible.push((number, is_cold, holds_batches));
                }
            }
        }
        for (number, is_cold, holds_batches) in illegible {
            let is_last = headers.keys().all(|known| *known < number)
                && number > self.state.end.segment.max(self.state.last);
            if is_last && !is_cold && !holds_batches {
                // It was being made when the power went, perhaps more than once: nothing was ever written to it.
                self.discard(number)?;
            } else {
                let kind = if is_cold { SegmentKind::Cold } else { SegmentKind::Log };
                log.segment(number, kind);
                log.damage.push(Damage { at: Position::new(kind, number, 0), first: 0 });
            }
        }
        for number in &self.state.cold {
            if !headers.contains_key(number) && !log.segments.contains_key(number) {
                log.damage.push(Damage { at: Position::new(SegmentKind::Cold, *number, 0), first: 0 });
            }
        }
        for (number, header) in headers.iter().filter(|(_, header)| header.kind == SegmentKind::Cold) {
            self.read_segment(&mut log, *number, header, Limit::Cold)?;
        }
        let chain: Vec<_> =
            headers.values().filter(|header| header.kind == SegmentKind::Log).copied().collect();
        self.check_chain(&mut log, &chain);
        let mut end = End { segment: 0, offset: 0, ..self.state.end };
        let (mut was_closed, mut is_cut, mut told) = (self.state.is_closed, false, FIRST_BATCH);
        for (index, header) in chain.iter().enumerate() {
            let next =
                chain.get(index + 1).map(|next| next.after).filter(|after| after.segment == header.number);
            let is_last = index + 1 == chain.len();
            let limit = match next {
                Some(after) => Limit::Ends(after),
                None if is_last && self.state.is_closed => Limit::Closed(self.state.end),
                None if is_last => Limit::Open,
                None => Limit::Unknown,
            };
            (end, told, is_cut) = self.read_segment(&mut log, header.number, header, limit)?;
        }
        let last = chain.last().map_or(0, |header| header.number);
        is_cut |= self.lacks_end(&log, last) || last != 0 && end.sequence < self.state.end.sequence;
        if is_cut && !self.accept_rollback {
            return Err(fail!(
                RolledBack,
                "the journal lacks its end, or segments that were made: put its newest files back, or accept the rollback"
            ));
        }
        was_closed &= !is_cut;
        if end.sequence > self.state.end.sequence {
            was_closed = false;
        }
        if last != 0 && !was_closed {
            self.settle(last, told, end.offset)?;
        }
        log.settle();
        let own_through = log.own_through(end.sequence);
        // Sequences go on from the greatest there was.
        end.sequence = end.sequence.max(self.state.end.sequence);
        let own_through = own_through.unwrap_or(end.sequence);
        tracing::debug!(
            lane = %self.keys.lane,
            segments = log.segments.len(),
            tenants = log.tenants.len(),
            damaged = log.damage.len(),
            was_closed,
            "lane read"
        );
        Ok(Read { log, end, own_through, newest: newest.unwrap_or(0), was_closed, last })
    }

    /// Notes segments of the log that should be there and are not.
    fn check_chain(&self, log: &mut Log, chain: &[SegmentHeader]) {
        let mut before = 0;
        for header in chain {
            let missing = if before == 0 {
                header.number != self.state.first && header.after.segment >= self.state.first
            } else {
                header.after.segment != before
            };
            let is_known = log.segments.contains_key(&header.after.segment);
            if missing && !is_known {
                log.damage
                    .push(Damage { at: Position::new(SegmentKind::Log, header.after.segment, 0), first: 0 });
            }
            before = header.number;
        }
    }

    /// Whether the segment in which the log was last closed, or the last one that was made, is missing, with all that
    /// follows.
    fn lacks_end(&self, log: &Log, last: u64) -> bool {
        let stated = self.state.end.segment.max(self.state.last);
        stated >= self.state.first && last < stated && !log.segments.contains_key(&stated)
    }

    fn list(&self) -> Result<Vec<u64>> {
        let entries = match self.disk.list(self.directory) {
            // What is missing with it, the state says; and an empty directory is easily lost by who copies files.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| Error::io("listing", error))?,
        };
        let files = entries.iter().filter(|entry| entry.kind == FileKind::File);
        let mut numbers: Vec<_> =
            files.filter_map(|entry| number_of(&entry.name.to_string_lossy())).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn map(&self, number: u64) -> Result<Mapping> {
        let path = self.directory.join(file_name(number));
        let mapped = self.disk.open(&path, OpenMode::Read).and_then(|file| file.map());
        mapped.map_err(|error| Error::io(format!("reading {}", path.display()), error))
    }

    /// Removes a segment that nothing was ever written to, durable when this returns: it must not come back beside the one
    /// that is made after it.
    fn discard(&self, number: u64) -> Result<()> {
        let path = self.directory.join(file_name(number));
        let removed = match self.disk.remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(self.directory),
        };
        removed.map_err(|error| Error::io(format!("removing {}", path.display()), error))
    }

    /// Makes the end of the log what it was read as, durable when this returns: writes what nothing says to be on the disk,
    /// from `told` to `end`, once more, and cuts off what a crash left of batches that were never acknowledged. A sync
    /// alone would not do: after one that failed, the system may hold pages that it takes for written and that the disk
    /// never got.
    fn settle(&self, number: u64, told: u64, end: u64) -> Result<()> {
        let path = self.directory.join(file_name(number));
        let settled = self.disk.open(&path, OpenMode::ReadWrite).and_then(|file| {
            let mut at = told;
            while at < end {
                let mut piece = vec![0; usize::try_from((end - at).min(PIECE)).unwrap_or_default()];
                file.read_exact_at(&mut piece, at)?;
                file.write_all_at(&piece, at)?;
                at += piece.len() as u64;
            }
            if file.len()? > end {
                file.set_len(end)?;
            }
            file.sync_data()
        });
        settled.map_err(|error| Error::io(format!("settling the end of {}", path.display()), error))
    }

    /// Whether the key store, or the next segment, names another batch of a batch's sequence.
    fn is_belied(&self, kind: SegmentKind, limit: Limit, batch: &Batch<'_>) -> bool {
        let is_other = |end: End| batch.header.sequence == end.sequence && batch.mac != end.mac;
        kind == SegmentKind::Log
            && (is_other(self.state.end) || matches!(limit, Limit::Ends(end) if is_other(end)))
    }

    /// Notes a segment's frames and damage. Gives where it ends; up to where its own batches say that it is on the disk; and
    /// whether it ends before the place where it was closed.
    fn read_segment(
        &self,
        log: &mut Log,
        number: u64,
        header: &SegmentHeader,
        limit: Limit,
    ) -> Result<(End, u64, bool)> {
        let bytes = self.map(number)?;
        let kind = header.kind;
        log.segment(number, kind);
        let found: Vec<_> = Batches::new(&bytes, self.keys, number).collect();
        let confirmed = limit.confirmed(&found);
        let stop = limit.offset();
        let synced = synced_through(&found);
        let mut told = FIRST_BATCH;
        let mut end = End { segment: number, offset: FIRST_BATCH, ..header.after };
        if kind == SegmentKind::Cold {
            end.sequence = 0;
        }
        let mut gap = None;
        for found in &found {
            match found {
                Found::Gap(at) => gap = gap.or(Some(*at)),
                Found::Batch(at, _) if stop.is_some_and(|stop| *at >= stop) => break,
                // Once more: of two at the end of a log that was closed, one is enough.
                Found::Batch(at, batch) if batch.mac == end.mac => {
                    end.offset = aligned(at + batch.bytes as u64);
                }
                Found::Batch(_, batch)
                    if batch.header.sequence <= end.sequence || self.is_belied(kind, limit, batch) =>
                {
                    gap = gap.or(Some(end.offset));
                }
                Found::Batch(at, batch) => {
                    let expected = end.sequence + 1;
                    let is_certain = expected <= confirmed;
                    let is_next = batch.header.sequence == expected;
                    if !is_certain && (!is_next || !batch.whole) {
                        // Torn, and whatever stands behind it was written without waiting for it.
                        break;
                    }
                    if !is_next {
                        let at = Position::new(kind, number, gap.unwrap_or(end.offset));
                        log.damage.push(Damage { at, first: expected });
                    }
                    gap = None;
                    note(log, kind, number, *at, batch);
                    end = End {
                        segment: number,
                        offset: aligned(at + batch.bytes as u64),
                        sequence: batch.header.sequence,
                        mac: batch.mac,
                    };
                    if end.sequence <= synced {
                        told = end.offset;
                    }
                }
            }
        }
        let mut is_cut = false;
        if end.sequence < confirmed && !limit.is_at(&end) {
            // A tail of zeros, or none at all, was cut off; anything else is damaged.
            let tail = usize::try_from(end.offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
            is_cut = matches!(limit, Limit::Closed(_)) && tail.iter().all(|byte| *byte == 0);
            if !is_cut {
                let at = Position::new(kind, number, end.offset);
                log.damage.push(Damage { at, first: end.sequence + 1 });
            }
        }
        if let Some(segment) = log.segments.get_mut(&number) {
            segment.bytes = end.offset;
        }
        Ok((end, told, is_cut))
    }
}

fn note(log: &mut Log, kind: SegmentKind, number: u64, at: u64, batch: &Batch<'_>) {
    let position = Position::new(kind, number, at);
    if kind == SegmentKind::Log {
        log.found_batch(&batch.header, position);
    }
    for (start, frame) in &batch.frames {
        let header = frame.header;
        let place = Place {
            segment: number,
            offset: at + *start as u64,
            bytes: u32::try_from(header.frame_bytes()).unwrap_or(u32::MAX),
            first: header.first,
            count: header.count,
        };
        log.found(&header, frame.tag(), place, position);
    }
    if batch.header.kind == BatchKind::Index {
        log.found_index(&batch.index, position);
    }
}

/// What is known of a segment's end before it is read.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// The next segment says where.
    Ends(End),
    /// The key store says where.
    Closed(End),
    /// Nothing: the process ended while it was written.
    Open,
    /// The next segment is missing.
    Unknown,
    /// It was synced as a whole before it was relied upon.
    Cold,
}

impl Limit {
    fn offset(self) -> Option<u64> {
        if let Self::Ends(end) = self { Some(end.offset) } else { None }
    }

    /// Whether the last batch was the one before `end`, whatever its sequence: after a loss was accepted the next segment
    /// goes on from a greater one.
    fn is_at(self, end: &End) -> bool {
        matches!(self, Self::Ends(named) if named.offset == end.offset && named.mac == end.mac)
    }

    /// The last batch that is known to have been on the disk.
    fn confirmed(self, found: &[Found<'_>]) -> u64 {
        let told = synced_through(found);
        match self {
            Self::Ends(end) => end.sequence,
            Self::Closed(end) => end.sequence.max(told),
            Self::Open | Self::Unknown => told,
            // Each of its batches gives the number of all.
            Self::Cold => told.max(1),
        }
    }
}

/// The last batch that the batches of a segment say to be on the disk.
fn synced_through(found: &[Found<'_>]) -> u64 {
    let batches = found.iter().filter_map(|found| match found {
        Found::Batch(_, batch) => Some(batch.header.synced_through),
        Found::Gap(_) => None,
    });
    batches.max().unwrap_or(0)
}

impl<M: Member> Lane<M> {
    /// Gives the changes of a tenant that its file does not have, in order: those after sequence `after`, whose frame's
    /// tag was `after_tag`.
    ///
    /// # Errors
    /// `Corrupted`, `Unauthentic`, `RolledBack` where something is missing or damaged, unless `recovery` accepts that.
    pub(crate) fn recover(
        &self,
        tenant: TenantId,
        (after, after_tag): (u64, Tag),
        recovery: Recovery,
        sealer: &mut dyn FnMut(u32) -> Result<Arc<FrameSealer>>,
        apply: &mut dyn FnMut(u32, u64, Bytes) -> Result<()>,
    ) -> Result<Recovered> {
        let shared = self.shared();
        shared.log.lock().forget(tenant, after);
        let places: Vec<_> = shared
            .log
            .lock()
            .tenants
            .get(&tenant)
            .map(|log| log.frames.iter().copied().collect())
            .unwrap_or_default();
        let mut recovered = Recovered { last: after, tag: after_tag, changes: 0, lost: 0 };
        let mut is_broken = false;
        // The last sequence that is known to be there, or counted as lost.
        let mut counted = after;
        for place in places {
            let mut read = || -> Result<()> {
                if is_broken && recovery == Recovery::AcceptLoss {
                    recovered.lost += u64::from(place.count);
                    return Ok(());
                }
                let bytes = self.read_frame(&place)?;
                let frame = Frame::parse(&bytes).ok_or_else(|| Log::missing(tenant, recovered.last))?;
                let is_next = place.first <= recovered.last + 1;
                // A frame of which the file has a part is the one that the anchor knows, or follows it.
                let is_chained = place.first != recovered.last + 1 || frame.header.previous == recovered.tag;
                if !is_next || !is_chained {
                    if recovery == Recovery::Strict {
                        return Err(Log::missing(tenant, recovered.last));
                    }
                    is_broken = true;
                    recovered.lost += place.first.saturating_sub(counted + 1);
                    if recovery == Recovery::AcceptLoss {
                        recovered.lost += u64::from(place.count);
                        return Ok(());
                    }
                }
                let changes = sealer(frame.header.epoch)?.open(&frame)?;
                for (sequence, change) in (place.first..).zip(changes) {
                    if sequence > recovered.last {
                        apply(frame.header.timeline, sequence, change)?;
                        recovered.changes += 1;
                    }
                }
                recovered.last = place.last();
                recovered.tag = frame.tag();
                Ok(())
            };
            match read() {
                Err(error) if recovery == Recovery::Strict => return Err(error),
                Err(error) => {
                    tracing::warn!(%tenant, %error, "a frame of the journal is passed over");
                    is_broken = true;
                    recovered.lost += u64::from(place.count);
                }
                Ok(()) => {}
            }
            counted = place.last();
        }
        if recovery == Recovery::Strict {
            let is_own = tenant == shared.place.keys.lane;
            shared.log.lock().doubt(tenant, is_own, recovered.last, recovered.tag)?;
        } else {
            recovered.lost += self.last_seen(tenant).saturating_sub(counted);
        }
        Ok(recovered)
    }

    /// The last sequence of a tenant that the lane has ever seen, whether or not it can be read.
    pub(crate) fn last_seen(&self, tenant: TenantId) -> u64 {
        let log = self.shared().log.lock();
        let Some(log) = log.tenants.get(&tenant) else { return 0 };
        log.seen()
    }
}
