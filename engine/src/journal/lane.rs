//! A lane: one journal that tenants share, and the group commit over it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::clock::{Clock, Moment};
use crate::crypto::Entropy;
use crate::disk::Disk;
use crate::error::{Error, Result, fail};
use crate::id::{Process, TenantId, Version};
use crate::journal::batch::BatchKind;
use crate::journal::format::{BATCH_HEADER, MAC};
use crate::journal::frame::{FRAME_HEADER, FrameHeader, FrameSealer, Tag};
use crate::journal::group::{Group, Lead, Ticket, Ticketed};
use crate::journal::log::{self, Log};
use crate::journal::segment::{End, SegmentKind};
use crate::journal::writer::{self, Room, Way, Writer};

/// Bytes of changes that one leader takes at the most; a change that is larger goes alone.
const BATCH_BYTES: usize = 8 << 20;

/// A tenant as its lane sees it.
pub(crate) trait Member: Send + Sync + Debug + 'static {
    /// A change of the tenant, made whole or not at all.
    type Change: Send;

    /// The bytes by which the journal remembers a change.
    fn bytes(change: &Self::Change) -> &[u8];
    /// Whether a change takes no room that lasts, and may give some: it is made on a full disk too.
    fn relieves(change: &Self::Change) -> bool;
    /// Whether a change depends on what is there.
    fn is_conditional(change: &Self::Change) -> bool;
    /// Refuses a change that must not be made any more, whatever it depends on. Asked of every change, so it is quick.
    fn admit(&self, change: &Self::Change) -> Result<()>;
    /// Whether a change may be made as this version, decided in memory: after those decided before it, and after all
    /// that were applied. Not asked where no change of the tenant in a batch is conditional.
    fn decide(&self, change: &Self::Change, version: Version) -> Verdict;
    /// What was decided since the last call is in effect, or never will be.
    fn settle(&self);
    /// Lets changes take effect, all at once.
    fn apply(&self, changes: Vec<(Version, Self::Change)>);
}

/// A member's word on a change.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is made.
    Made,
    /// It can't be decided in memory: what it was read against has been replaced since.
    Stale,
    /// It is not made.
    Refused(Error),
}

/// A tenant's place in its lane.
#[derive(Debug)]
pub(crate) struct Link<M> {
    tenant: TenantId,
    member: Arc<M>,
    sealer: RwLock<Arc<FrameSealer>>,
    /// The last frame that was written; a leader's.
    written: Mutex<(u64, Tag)>,
    /// The last frame that is in effect.
    applied: Mutex<(u64, Tag)>,
    /// Whether the tenant was closed, or its changes come through another link.
    has_left: AtomicBool,
}

impl<M> Link<M> {
    /// The last sequence that is in effect, and its frame's tag. Between two batches the two belong together.
    pub(crate) fn applied(&self) -> (u64, Tag) {
        *self.applied.lock()
    }

    /// Seals frames under another epoch from now on. The caller sees to it that no change is under way.
    pub(crate) fn reseal(&self, sealer: FrameSealer) {
        *self.sealer.write() = Arc::new(sealer);
    }
}

/// One thing asked of a lane.
pub(crate) struct Request<M: Member> {
    /// Nothing where only a sync is asked for.
    change: Option<(Arc<Link<M>>, M::Change)>,
    sync: bool,
}

/// `None`: it is stale, read again.
pub(crate) type Outcome = Result<Option<Version>>;

/// How a lane is opened.
#[derive(Clone, Debug)]
pub(crate) struct LaneOptions {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The directory of its segments.
    pub(crate) directory: PathBuf,
    /// The file of its state, in the key store.
    pub(crate) state: PathBuf,
    /// A segment is full when it has so many bytes.
    pub(crate) segment_bytes: u64,
    /// A lane whose end is missing is accepted.
    pub(crate) accept_rollback: bool,
}

/// Counts since the lane was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Segments, cold ones included.
    pub segments: u64,
    /// Bytes of their batches.
    pub segment_bytes: u64,
    /// Bytes of frames that no tenant's file has yet.
    pub pending_bytes: u64,
    /// Tenants with such frames.
    pub pending_tenants: u64,
    /// Batches written since the lane was opened.
    pub batches: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Microseconds that syncs took.
    pub sync_micros: u64,
    /// Places at which the lane is damaged.
    pub damaged: u64,
}

#[derive(Debug, Default)]
struct Counts {
    batches: AtomicU64,
    changes: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
}

/// An open lane.
pub(crate) struct Lane<M: Member> {
    shared: Arc<Shared<M>>,
    committer: OnceLock<()>,
    closed: AtomicBool,
    process: Process,
}

pub(super) struct Shared<M: Member> {
    pub(super) place: writer::Place,
    entropy: Arc<dyn Entropy>,
    group: Group<Request<M>, Outcome>,
    pub(super) writer: Mutex<Writer>,
    pub(super) log: Mutex<Log>,
    /// The timeline of what is written now.
    timeline: Arc<AtomicU32>,
    counts: Counts,
    /// Since when something is written and not synced.
    unsynced: Mutex<Option<Moment>>,
    effects: Effects,
}

/// What was written and has yet to take effect. A leader that has let the writer go has not begun its turn yet: whoever
/// takes the writer then has to wait for it.
#[derive(Debug, Default)]
struct Effects {
    pending: Mutex<u64>,
    settled: Condvar,
}

impl Effects {
    /// A batch is written; under the writer's lock.
    fn begin(&self) {
        *self.pending.lock() += 1;
    }

    /// Waits until all of it is in effect. The caller has the writer, so that no more comes.
    fn wait(&self) {
        let mut pending = self.pending.lock();
        while *pending > 0 {
            self.settled.wait(&mut pending);
        }
    }
}

/// Ends a batch's way from the writer into effect; also if the leader panics.
struct TakingEffect<'a>(&'a Effects);

impl Drop for TakingEffect<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.pending.lock();
        *pending -= 1;
        if *pending == 0 {
            self.0.settled.notify_all();
        }
    }
}

impl<M: Member> Debug for Lane<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("lane", &self.shared.place.keys.lane).finish_non_exhaustive()
    }
}

impl<M: Member> Lane<M> {
    pub(super) fn assemble(
        place: writer::Place,
        entropy: Arc<dyn Entropy>,
        writer: Writer,
        log: Log,
        timeline: Arc<AtomicU32>,
    ) -> Self {
        let shared = Shared {
            place,
            entropy,
            group: Group::new(),
            writer: Mutex::new(writer),
            log: Mutex::new(log),
            timeline,
            counts: Counts::default(),
            unsynced: Mutex::new(None),
            effects: Effects::default(),
        };
        Self {
            shared: Arc::new(shared),
            committer: OnceLock::new(),
            closed: AtomicBool::new(false),
            process: Process::current(),
        }
    }

    pub(super) fn shared(&self) -> &Shared<M> {
        &self.shared
    }

    /// A tenant's place in the lane, from what is already in effect on.
    pub(crate) fn link(member: Arc<M>, tenant: TenantId, sealer: FrameSealer, last: (u64, Tag)) -> Link<M> {
        Link {
            tenant,
            member,
            sealer: RwLock::new(Arc::new(sealer)),
            written: Mutex::new(last),
            applied: Mutex::new(last),
            has_left: AtomicBool::new(false),
        }
    }

    /// Takes a tenant out of the lane. What came through its link before is in effect when this returns; nothing more does:
    /// two links of one tenant would give the same sequences.
    pub(crate) fn leave(&self, link: &Link<M>) {
        self.pause(|| link.has_left.store(true, Ordering::Release));
    }

    /// Makes a change; in effect and, if `sync`, durable when this returns.
    pub(crate) fn commit(&self, link: &Arc<Link<M>>, change: M::Change, sync: bool) -> Outcome {
        self.check_open()?;
        self.call(Some((Arc::clone(link), change)), sync)
    }

    /// Takes its turn, with a change or only to wait for those before it.
    fn call(&self, change: Option<(Arc<Link<M>>, M::Change)>, sync: bool) -> Outcome {
        let request = Request { change, sync };
        self.shared.group.call(request, &*self.shared).unwrap_or_else(|| Err(abandoned()))
    }

    /// Makes a change without waiting for it.
    pub(crate) fn submit(
        self: &Arc<Self>,
        link: &Arc<Link<M>>,
        change: M::Change,
        sync: bool,
    ) -> Result<Commit<M>> {
        self.check_open()?;
        self.start_committer()?;
        let request = Request { change: Some((Arc::clone(link), change)), sync };
        Ok(Commit { ticket: self.shared.group.submit(request), lane: Arc::clone(self) })
    }

    /// Makes everything that was written durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.check_open()?;
        if self.shared.unsynced.lock().is_none() {
            return Ok(());
        }
        self.call(None, true).map(|_| ())
    }

    /// Waits until everything that was handed in before is in effect or refused.
    pub(crate) fn await_earlier(&self) -> Result<()> {
        self.check_open()?;
        self.call(None, true)?;
        self.pause(|| ());
        Ok(())
    }

    /// Since when something has waited for a sync.
    pub(crate) fn unsynced_since(&self) -> Option<Moment> {
        *self.shared.unsynced.lock()
    }

    /// Runs `call` between two batches: what it sees is of one moment.
    pub(crate) fn between<T>(&self, call: impl FnOnce() -> T) -> T {
        self.shared.group.between(call)
    }

    /// Runs `call` while nothing is written either: what was written before is in effect, what is written afterwards sees
    /// what `call` did.
    pub(crate) fn pause<T>(&self, call: impl FnOnce() -> T) -> T {
        let _writer = self.shared.writer.lock();
        self.shared.effects.wait();
        self.shared.group.between(call)
    }

    /// Says on the disk that the last batch is there, where nothing else has said so: from then on its loss is told from
    /// a torn write.
    pub(crate) fn confirm_idle(&self, idle: Duration) -> Result<()> {
        self.check_open()?;
        // Somebody writes: the next batch says it.
        let Some(mut writer) = self.shared.writer.try_lock() else { return Ok(()) };
        if writer.is_confirmed() || writer.check().is_err() || writer.idle_for() < idle {
            return Ok(());
        }
        self.shared.sync(&mut writer)?;
        self.shared.write_empty(&mut writer)
    }

    /// A tenant's file has everything up to a sequence.
    pub(crate) fn forget(&self, tenant: TenantId, through: u64) {
        self.shared.log.lock().forget(tenant, through);
    }

    /// A tenant goes on without what can't be read of it here.
    pub(crate) fn forgive(&self, tenant: TenantId) {
        self.shared.log.lock().forgive(tenant);
    }

    /// Whether it takes no more changes.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.shared.writer.lock().check().is_err()
    }

    /// Whether something that was acknowledged is not readable.
    pub(crate) fn is_damaged(&self) -> bool {
        !self.shared.log.lock().damage.is_empty()
    }

    /// Deletes what is damaged, where nothing that is as old is needed. The caller has opened all tenants of the lane and
    /// made checkpoints of them: none is in doubt.
    pub(crate) fn forgive_damage(&self) -> Result<()> {
        self.shared.log.lock().forgive_damage();
        self.retire()
    }

    /// The timeline of what is written now.
    pub(crate) fn timeline(&self) -> u32 {
        self.shared.timeline.load(Ordering::Acquire)
    }

    /// Bytes of frames of a tenant that its file does not have.
    pub(crate) fn pending_bytes(&self, tenant: TenantId) -> u64 {
        self.shared.log.lock().tenants.get(&tenant).map_or(0, |log| log.bytes)
    }

    /// The tenants with frames that no file has, and the bytes of them.
    pub(crate) fn pending(&self) -> Vec<(TenantId, u64)> {
        let log = self.shared.log.lock();
        let pending = log.tenants.iter().filter(|(_, log)| !log.frames.is_empty());
        pending.map(|(tenant, log)| (*tenant, log.bytes)).collect()
    }

    pub(crate) fn stats(&self) -> LaneStats {
        let counts = &self.shared.counts;
        let log = self.shared.log.lock();
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LaneStats {
            segments: log.segments.len() as u64,
            segment_bytes: log.segments.values().map(|segment| segment.bytes).sum(),
            pending_bytes: log.tenants.values().map(|tenant| tenant.bytes).sum(),
            pending_tenants: log.tenants.values().filter(|tenant| !tenant.frames.is_empty()).count() as u64,
            batches: get(&counts.batches),
            changes: get(&counts.changes),
            written_bytes: get(&counts.bytes),
            syncs: get(&counts.syncs),
            sync_micros: get(&counts.sync_micros),
            damaged: log.damage.len() as u64,
        }
    }

    /// Makes the store's timeline grow; of use in the lane of the system tenant only. Durable when this returns.
    pub(crate) fn raise_timeline(&self) -> Result<u32> {
        let mut guard = self.shared.place.state.lock();
        let timeline = self.shared.timeline.load(Ordering::Acquire) + 1;
        guard.change_both(&self.shared.place.keys, |state| state.timeline = timeline)?;
        self.shared.timeline.store(timeline, Ordering::Release);
        Ok(timeline)
    }

    /// Deletes the segments of which nothing is needed any more.
    pub(crate) fn retire(&self) -> Result<()> {
        let current = self.shared.writer.lock().segment();
        let mut guard = self.shared.place.state.lock();
        let (dead, first, cold) = {
            let log = self.shared.log.lock();
            let dead = log.dead(current);
            let kept = |kind| log.segments.iter().filter(move |(_, segment)| segment.kind == kind);
            let live = |number: &u64| !dead.contains(number);
            let first = kept(SegmentKind::Log).map(|(number, _)| *number).find(live);
            let cold: Vec<_> = kept(SegmentKind::Cold).map(|(number, _)| *number).filter(live).collect();
            (dead, first, cold)
        };
        if dead.is_empty() {
            return Ok(());
        }
        let first = first.unwrap_or_else(|| *self.shared.place.newest.lock() + 1);
        guard.change_both(&self.shared.place.keys, |state| {
            state.first = first;
            state.cold = cold;
        })?;
        drop(guard);
        for number in dead {
            self.shared.place.remove(number)?;
            self.shared.log.lock().segments.remove(&number);
        }
        Ok(())
    }

    fn check_open(&self) -> Result<()> {
        self.process.check()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(fail!(Poisoned, "the store was closed: open it again"));
        }
        Ok(())
    }

    fn start_committer(&self) -> Result<()> {
        if self.committer.get().is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new()
            .name("strongroom-commit".to_owned())
            .spawn(move || shared.group.serve(&*shared));
        started.map_err(|error| Error::io("starting the thread that commits", error))?;
        if self.committer.set(()).is_err() {
            // Two threads started one: both sleep until there is something to lead, and end together.
            tracing::debug!("a second committing thread was started");
        }
        Ok(())
    }

    /// Ends the lane as the end of the process would: the key store goes on saying that it is open.
    pub(crate) fn abandon(&self) {
        self.closed.store(true, Ordering::Release);
        self.shared.group.dismiss();
    }

    /// Ends the lane: everything is synced, an index says what is pending, and the key store where the lane ends.
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Whoever enqueued before is served before.
        let drained = self.call(None, true);
        self.shared.group.dismiss();
        drained?;
        self.shared.end()
    }
}

impl<M: Member> Drop for Lane<M> {
    fn drop(&mut self) {
        if self.process.check().is_err() {
            return;
        }
        if let Err(error) = self.close() {
            tracing::warn!(lane = %self.shared.place.keys.lane, %error, "a lane was not closed cleanly");
        }
    }
}

fn abandoned() -> Error {
    fail!(
        Poisoned,
        "the store was closed, or failed, while this change waited: it may have been made or not; open it again"
    )
}

/// A change under way: a future, or something to wait for.
pub(crate) struct Commit<M: Member> {
    ticket: Ticket<Outcome>,
    lane: Arc<Lane<M>>,
}

impl<M: Member> Commit<M> {
    /// Waits in this thread, which may have to lead.
    pub(crate) fn wait(self) -> Outcome {
        let shared = &self.lane.shared;
        shared.group.wait(&self.ticket, &**shared).unwrap_or_else(|| Err(abandoned()))
    }
}

impl<M: Member> Future for Commit<M> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.ticket).poll(context).map(|outcome| outcome.unwrap_or_else(|| Err(abandoned())))
    }
}

/// The changes of one tenant in a batch.
struct Part<M: Member> {
    link: Arc<Link<M>>,
    /// Each with its place among the items.
    changes: Vec<(usize, Version, M::Change)>,
    frame: Option<(FrameHeader, Tag, usize)>,
}

/// What a leader wrote: it takes effect in its turn.
pub(crate) struct Written<M: Member> {
    parts: Vec<Part<M>>,
    outcomes: Vec<Option<Outcome>>,
}

impl<M: Member> Shared<M> {
    /// Sorts the changes by tenant, in order, and gives sequences to those that are made.
    fn decide(
        &self,
        changes: impl Iterator<Item = (usize, Arc<Link<M>>, M::Change)>,
        outcomes: &mut [Option<Outcome>],
    ) -> Vec<Part<M>> {
        let mut parts: Vec<Part<M>> = Vec::new();
        let mut places = HashMap::new();
        let timeline = self.timeline.load(Ordering::Acquire);
        for (index, link, change) in changes {
            if link.has_left.load(Ordering::Acquire) {
                outcomes[index] = Some(Err(fail!(
                    Poisoned,
                    "the store was closed, or the tenant opened anew: open it again"
                )));
                continue;
            }
            let place = *places.entry(link.tenant).or_insert_with(|| {
                parts.push(Part { link, changes: Vec::new(), frame: None });
                parts.len() - 1
            });
            parts[place].changes.push((index, Version { timeline, sequence: 0 }, change));
        }
        let conditional =
            |part: &Part<M>| part.changes.iter().any(|(_, _, change)| M::is_conditional(change));
        if parts.iter().any(conditional) {
            // What was written before has to be in effect before anything is decided against it.
            self.group.between(|| ());
        }
        for part in &mut parts {
            let is_conditional = conditional(part);
            let mut sequence = part.link.written.lock().0;
            part.changes.retain_mut(|(index, version, change)| {
                version.sequence = sequence + 1;
                let verdict = match part.link.member.admit(change) {
                    Err(error) => Verdict::Refused(error),
                    Ok(()) if is_conditional => part.link.member.decide(change, *version),
                    Ok(()) => Verdict::Made,
                };
                match verdict {
                    Verdict::Made => {
                        sequence += 1;
                        return true;
                    }
                    Verdict::Stale => outcomes[*index] = Some(Ok(None)),
                    Verdict::Refused(error) => outcomes[*index] = Some(Err(error)),
                }
                false
            });
            if is_conditional {
                part.link.member.settle();
            }
        }
        parts.retain(|part| !part.changes.is_empty());
        parts
    }

    fn write(&self, writer: &mut Writer, parts: &mut [Part<M>], sync: bool, room: Room) -> Result<()> {
        writer.check()?;
        if !parts.is_empty() {
            let way = if sync { Way::Device } else { Way::Cache };
            self.write_frames(writer, parts, (room, way))?;
        }
        if sync {
            self.sync(writer)?;
        } else if !writer.is_synced() {
            self.unsynced.lock().get_or_insert_with(Moment::now);
        }
        Ok(())
    }

    fn write_frames(
        &self,
        writer: &mut Writer,
        parts: &mut [Part<M>],
        (room, way): (Room, Way),
    ) -> Result<()> {
        let frame_bytes = |part: &Part<M>| {
            let changes = part.changes.iter().map(|(_, _, change)| 4 + M::bytes(change).len());
            FRAME_HEADER + changes.sum::<usize>() + 16
        };
        let bytes = BATCH_HEADER + parts.iter().map(frame_bytes).sum::<usize>() + MAC;
        let (segment, offset) = writer.prepare(&self.place, &self.log, bytes, room)?;
        let mut batch = writer.begin();
        if parts.iter().any(|part| part.link.tenant == self.place.keys.lane) {
            writer.note_own();
        }
        for part in parts.iter_mut() {
            batch.begin_frame();
            let (last, previous) = *part.link.written.lock();
            let timeline = part.changes.first().map_or(0, |(_, version, _)| version.timeline);
            let sealer = Arc::clone(&part.link.sealer.read());
            let changes: Vec<_> = part.changes.iter().map(|(_, _, change)| M::bytes(change)).collect();
            let chain = (timeline, last + 1, previous);
            let (header, tag) = sealer.seal(&*self.entropy, chain, changes.into_iter(), &mut batch.bytes)?;
            part.frame = Some((header, tag, batch.frames[batch.frames.len() - 1]));
        }
        let header = writer.header(BatchKind::Frames);
        let mac = batch.finish(&self.place.keys, segment, header)?;
        let written_bytes = batch.bytes.len() as u64;
        writer.write(batch, mac, &self.log, (room, way))?;
        let mut log = self.log.lock();
        let mut changes = 0;
        for part in parts.iter() {
            let Some((header, tag, start)) = part.frame else { continue };
            changes += u64::from(header.count);
            *part.link.written.lock() = (header.last(), tag);
            let bytes = u32::try_from(header.frame_bytes()).unwrap_or(u32::MAX);
            let (first, count) = (header.first, header.count);
            let place = log::Place { segment, offset: offset + start as u64, bytes, first, count };
            log.add(&header, tag, place);
        }
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts.changes.fetch_add(changes, Ordering::Relaxed);
        self.counts.bytes.fetch_add(written_bytes, Ordering::Relaxed);
        metrics::counter!("strongroom_journal_batches_total").increment(1);
        metrics::counter!("strongroom_journal_changes_total").increment(changes);
        metrics::counter!("strongroom_journal_written_bytes_total").increment(written_bytes);
        metrics::histogram!("strongroom_journal_batch_changes")
            .record(f64::from(u32::try_from(changes).unwrap_or(u32::MAX)));
        Ok(())
    }

    /// Syncs, and counts it.
    fn sync(&self, writer: &mut Writer) -> Result<()> {
        if writer.is_synced() {
            return Ok(());
        }
        let begun = Moment::now();
        writer.sync()?;
        let took = begun.age();
        metrics::histogram!("strongroom_journal_sync_seconds").record(took.as_secs_f64());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.counts.sync_micros.fetch_add(micros, Ordering::Relaxed);
        *self.unsynced.lock() = None;
        Ok(())
    }

    /// Writes a batch without frames: it says what was synced.
    fn write_empty(&self, writer: &mut Writer) -> Result<()> {
        let (segment, _) = writer.prepare(&self.place, &self.log, BATCH_HEADER + MAC, Room::Reserve)?;
        let mut batch = writer.begin();
        let mac = batch.finish(&self.place.keys, segment, writer.header(BatchKind::Frames))?;
        writer.write(batch, mac, &self.log, (Room::Reserve, Way::Cache))
    }

    /// Ends the log cleanly, if anything was written since it was opened.
    fn end(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        writer.check()?;
        let mut guard = self.place.state.lock();
        let is_unneeded = {
            let log = self.log.lock();
            log.is_unneeded() && !log.segments.is_empty()
        };
        if guard.state.is_closed && !is_unneeded {
            return Ok(());
        }
        if is_unneeded {
            // Nothing is pending: no segment is needed any more.
            let first = *self.place.newest.lock() + 1;
            let end = End { segment: 0, offset: 0, ..writer.end };
            guard.change_both(&self.place.keys, |state| {
                (state.is_closed, state.end) = (true, end);
                (state.first, state.cold) = (first, Vec::new());
            })?;
            writer.poison("it was closed");
            let segments: Vec<_> = self.log.lock().segments.keys().copied().collect();
            return segments.into_iter().try_for_each(|number| self.place.remove(number));
        }
        // It takes the state itself where it begins a segment.
        drop(guard);
        writer.finish(&self.place, &self.log)?;
        writer.sync()?;
        let end = writer.end;
        self.place.state.lock().change_both(&self.place.keys, |state| {
            state.is_closed = true;
            state.end = end;
        })?;
        writer.poison("it was closed");
        Ok(())
    }
}

impl<M: Member> Lead for Shared<M> {
    type Item = Request<M>;
    type Outcome = Outcome;
    type Durable = Written<M>;

    /// All, unless that were too much: then in turns, each tenant's first change, each one's second, and so on.
    fn choose(&self, waiting: &mut Vec<Ticketed<Request<M>, Outcome>>) -> usize {
        let bytes = |request: &Request<M>| match &request.change {
            Some((_, change)) => M::bytes(change).len(),
            None => 0,
        };
        let total: usize = waiting.iter().map(|ticketed| bytes(&ticketed.item)).sum();
        if total <= BATCH_BYTES {
            return waiting.len();
        }
        let mut seen = HashMap::new();
        let mut ranked: Vec<_> = std::mem::take(waiting)
            .into_iter()
            .map(|ticketed| {
                let tenant = ticketed.item.change.as_ref().map(|(link, _)| link.tenant);
                let rank = seen.entry(tenant).or_insert(0_usize);
                *rank += 1;
                (*rank, ticketed)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        *waiting = ranked.into_iter().map(|(_, ticketed)| ticketed).collect();
        let mut left = BATCH_BYTES;
        let fitting = waiting.iter().take_while(|ticketed| {
            let fits = bytes(&ticketed.item) <= left;
            left = left.saturating_sub(bytes(&ticketed.item));
            fits
        });
        fitting.count().max(1)
    }

    fn make_durable(&self, items: Vec<Request<M>>) -> Written<M> {
        let mut writer = self.writer.lock();
        let sync = items.iter().any(|request| request.sync);
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(items.len(), || None);
        let changes = items.into_iter().enumerate().filter_map(|(index, request)| {
            let (link, change) = request.change?;
            Some((index, link, change))
        });
        let mut parts = self.decide(changes, &mut outcomes);
        let mut written = self.write(&mut writer, &mut parts, sync, Room::Ordinary);
        if let Err(error) = &written
            && error.is_storage_full()
        {
            // What takes room fails, what gives room is made in the reserve.
            let changes = parts.into_iter().flat_map(|part| {
                let link = part.link;
                part.changes.into_iter().map(move |(index, _, change)| (index, Arc::clone(&link), change))
            });
            let (relieving, failed): (Vec<_>, Vec<_>) =
                changes.partition(|(_, _, change)| M::relieves(change));
            for (index, ..) in failed {
                outcomes[index] = Some(Err(error.again()));
            }
            parts = Vec::new();
            if !relieving.is_empty() {
                parts = self.decide(relieving.into_iter(), &mut outcomes);
                written = self.write(&mut writer, &mut parts, sync, Room::Reserve);
            }
        }
        if let Err(error) = written {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
                *outcome = Some(Err(error.again()));
            }
            parts.clear();
        }
        self.effects.begin();
        Written { parts, outcomes }
    }

    fn take_effect(&self, written: Written<M>) -> Vec<Outcome> {
        let _taking_effect = TakingEffect(&self.effects);
        let Written { parts, mut outcomes } = written;
        for part in parts {
            for (index, version, _) in &part.changes {
                outcomes[*index] = Some(Ok(Some(*version)));
            }
            let changes = part.changes.into_iter().map(|(_, version, change)| (version, change)).collect();
            part.link.member.apply(changes);
            if let Some((header, tag, _)) = part.frame {
                *part.link.applied.lock() = (header.last(), tag);
            }
        }
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(Ok(None))).collect()
    }
}
