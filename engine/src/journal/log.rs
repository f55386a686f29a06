//! What a lane knows of its segments: which frames of which tenant are still needed, where they lie, and what is damaged.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::error::{Result, fail};
use crate::id::TenantId;
use crate::journal::batch::{BatchHeader, IndexEntry};
use crate::journal::frame::{FrameHeader, Tag};
use crate::journal::segment::SegmentKind;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: u32,
    /// Sequence of its first change.
    pub(super) first: u64,
    /// How many changes it has.
    pub(super) count: u32,
}

impl Place {
    pub(super) fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }
}

/// A position in the order of writing: cold segments hold what is older than every segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    is_log: bool,
    segment: u64,
    offset: u64,
}

impl Position {
    pub(super) fn new(kind: SegmentKind, segment: u64, offset: u64) -> Self {
        Self { is_log: kind == SegmentKind::Log, segment, offset }
    }
}

/// The frames of one tenant that are still needed.
#[derive(Clone, Debug, Default)]
pub(super) struct TenantLog {
    /// Ordered by sequence.
    pub(super) frames: VecDeque<Place>,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Sequence and tag of the last frame, as the newest index tells.
    indexed: Option<(u64, Tag)>,
    /// Sequence and tag of the last frame there is.
    pub(super) last: Option<(u64, Tag)>,
}

impl TenantLog {
    /// The last sequence there is a trace of.
    pub(super) fn seen(&self) -> u64 {
        let last = self.last.map_or(0, |(last, _)| last);
        let frames = self.frames.back().map_or(0, Place::last);
        last.max(frames).max(self.indexed.map_or(0, |(last, _)| last))
    }
}

/// A place at which something that was acknowledged is not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) at: Position,
    /// The lane sequence of the first batch that is missing; 0 where that is not known.
    pub(super) first: u64,
}

/// One segment.
#[derive(Clone, Debug)]
pub(super) struct SegmentLog {
    pub(super) kind: SegmentKind,
    /// Frames in it that are still needed.
    pub(super) live: u64,
    /// Bytes of those frames.
    pub(super) live_bytes: u64,
    /// Bytes up to the end of its last batch.
    pub(super) bytes: u64,
}

/// What the newest batch that was found says of the tenant whose id the lane has.
#[derive(Clone, Copy, Debug)]
struct NewestBatch {
    at: Position,
    sequence: u64,
    /// The last batch that may have a frame of it.
    own_through: Option<u64>,
}

/// All of a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) tenants: HashMap<TenantId, TenantLog>,
    pub(super) segments: BTreeMap<u64, SegmentLog>,
    /// Where something that was acknowledged is not readable. As long as there is any, no index is written and no segment
    /// retired: they could say of a tenant that nothing is missing.
    pub(super) damage: Vec<Damage>,
    /// Where the newest index stands.
    index_at: Option<Position>,
    /// Where the newest frame of each tenant stands, whether or not it is still needed; only where there is damage.
    newest: HashMap<TenantId, Position>,
    newest_batch: Option<NewestBatch>,
}

/// What a tenant's journal came to when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Sequence of the last change there is, in the tenant's file or in its journal.
    pub(crate) last: u64,
    /// Tag of its last frame; zero where there is none.
    pub(crate) tag: Tag,
    /// Changes that were given.
    pub(crate) changes: u64,
    /// Changes that should be there and are not, or can't be used without them; only where that was accepted.
    pub(crate) lost: u64,
}

/// What is done where a tenant's journal is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// It is an error.
    Strict,
    /// What comes before the first thing missing counts, and nothing after it.
    AcceptLoss,
    /// All that can be read counts.
    Salvage,
}

impl Log {
    pub(super) fn segment(&mut self, number: u64, kind: SegmentKind) -> &mut SegmentLog {
        let fresh = SegmentLog { kind, live: 0, live_bytes: 0, bytes: 0 };
        self.segments.entry(number).or_insert(fresh)
    }

    /// Whether no segment is needed: nothing is pending, and nothing is damaged that somebody may want to look at.
    pub(super) fn is_unneeded(&self) -> bool {
        self.damage.is_empty() && self.tenants.values().all(|tenant| tenant.frames.is_empty())
    }

    /// Notes a frame that was just written.
    pub(super) fn add(&mut self, header: &FrameHeader, tag: Tag, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live += 1;
            segment.live_bytes += u64::from(place.bytes);
        }
        if !self.damage.is_empty() {
            let at = Position::new(SegmentKind::Log, place.segment, place.offset);
            self.newest.insert(header.tenant, at);
        }
        let tenant = self.tenants.entry(header.tenant).or_default();
        tenant.frames.push_back(place);
        tenant.bytes += u64::from(place.bytes);
        tenant.last = Some((header.last(), tag));
    }

    /// Notes a frame that was found while the lane was opened. One that is there twice, because a move was interrupted,
    /// counts once.
    pub(super) fn found(&mut self, header: &FrameHeader, tag: Tag, place: Place, at: Position) {
        let newest = self.newest.entry(header.tenant).or_insert(at);
        *newest = at.max(*newest);
        let tenant = self.tenants.entry(header.tenant).or_default();
        if tenant.last.is_none_or(|(last, _)| last < header.last()) {
            tenant.last = Some((header.last(), tag));
        }
        let index = tenant.frames.partition_point(|known| known.first < place.first);
        let is_known = tenant.frames.get(index).is_some_and(|known| known.first == place.first);
        if is_known {
            return;
        }
        tenant.frames.insert(index, place);
        tenant.bytes += u64::from(place.bytes);
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live += 1;
            segment.live_bytes += u64::from(place.bytes);
        }
    }

    /// Notes a batch of the log that was found while the lane was opened.
    pub(super) fn found_batch(&mut self, header: &BatchHeader, at: Position) {
        let (sequence, own_through) = (header.sequence, header.own_through);
        self.newest_batch = Some(NewestBatch { at, sequence, own_through });
    }

    /// The last batch that may have a frame of the tenant whose id the lane has, as that of this sequence says.
    pub(super) fn own_through(&self, sequence: u64) -> Option<u64> {
        self.newest_batch.filter(|newest| newest.sequence == sequence)?.own_through
    }

    /// Forgets the damage, if nothing that is as old is needed: no tenant is in doubt, and each has in its file what it had
    /// there.
    pub(super) fn forgive_damage(&mut self) {
        let Some(newest) = self.damage.iter().map(|damage| damage.at).max() else { return };
        let is_needed = |(number, segment): (&u64, &SegmentLog)| {
            segment.live > 0 && Position::new(segment.kind, *number, 0) <= newest
        };
        if !self.segments.iter().any(is_needed) {
            self.damage.clear();
            self.newest.clear();
        }
    }

    /// Ends the finding: where nothing is damaged, nothing has to be proven.
    pub(super) fn settle(&mut self) {
        if self.damage.is_empty() {
            self.newest = HashMap::new();
        }
    }

    /// Notes an index that was found while the lane was opened.
    pub(super) fn found_index(&mut self, entries: &[IndexEntry], at: Position) {
        self.index_at = Some(at);
        for entry in entries {
            let tenant = self.tenants.entry(entry.tenant).or_default();
            tenant.indexed = Some((entry.last, entry.tag));
        }
    }

    /// What an index written now says.
    pub(super) fn index(&self) -> Vec<IndexEntry> {
        if !self.damage.is_empty() {
            return Vec::new();
        }
        let entry = |(tenant, log): (&TenantId, &TenantLog)| {
            let (last, tag) = log.last.filter(|_| !log.frames.is_empty())?;
            Some(IndexEntry { tenant: *tenant, last, tag })
        };
        let mut entries: Vec<_> = self.tenants.iter().filter_map(entry).collect();
        entries.sort_unstable_by_key(|entry| *entry.tenant.as_bytes());
        entries
    }

    /// Forgets a tenant's frames up to a sequence: its file has what they say.
    pub(super) fn forget(&mut self, tenant: TenantId, through: u64) {
        let Some(log) = self.tenants.get_mut(&tenant) else { return };
        while let Some(place) = log.frames.front().copied().filter(|place| place.last() <= through) {
            log.frames.pop_front();
            log.bytes -= u64::from(place.bytes);
            if let Some(segment) = self.segments.get_mut(&place.segment) {
                segment.live = segment.live.saturating_sub(1);
                segment.live_bytes = segment.live_bytes.saturating_sub(u64::from(place.bytes));
            }
        }
        // An index that says that there were frames beyond is all that tells of them.
        if log.frames.is_empty() && log.indexed.is_none_or(|(last, _)| last < through) {
            self.tenants.remove(&tenant);
        }
    }

    /// A frame lies somewhere else now, if it is still needed.
    pub(super) fn relocate(&mut self, tenant: TenantId, from: &Place, to: Place) {
        let frames = self.tenants.get_mut(&tenant).map(|log| &mut log.frames);
        let Some(place) = frames.and_then(|frames| frames.iter_mut().find(|place| **place == *from)) else {
            return;
        };
        *place = to;
        for (number, sign) in [(from.segment, -1), (to.segment, 1)] {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.live = segment.live.saturating_add_signed(sign);
                segment.live_bytes = segment.live_bytes.saturating_add_signed(sign * i64::from(to.bytes));
            }
        }
    }

    /// Forgets what can't be read or used of a tenant: its file says that it goes on without.
    pub(super) fn forgive(&mut self, tenant: TenantId) {
        self.forget(tenant, u64::MAX - 1);
        self.tenants.remove(&tenant);
    }

    /// Whether something of a tenant may be missing of which no trace is left: its last frames may have stood where the
    /// lane is damaged, and nothing written later says that they did not. `is_own` of the tenant whose id the lane has.
    pub(super) fn doubt(&self, tenant: TenantId, is_own: bool, last: u64, tag: Tag) -> Result<()> {
        let known = self.tenants.get(&tenant);
        if let Some((indexed, indexed_tag)) = known.and_then(|log| log.indexed) {
            let complete = last > indexed || last == indexed && tag == indexed_tag;
            if !complete {
                return Err(Self::missing(tenant, last));
            }
        }
        let proven = self.index_at.max(self.newest.get(&tenant).copied());
        let newest = self.newest_batch.filter(|_| is_own);
        let own = newest.and_then(|newest| Some((newest.at, newest.own_through?)));
        let is_proven = |damage: &Damage| {
            // What stands where a missing batch should begin was written after it.
            proven.is_some_and(|proven| proven >= damage.at)
                || own.is_some_and(|(at, through)| at >= damage.at && damage.first > through)
        };
        if self.damage.iter().all(is_proven) {
            return Ok(());
        }
        Err(fail!(
            Corrupted,
            "the journal of tenant {tenant}'s lane is damaged, and changes after sequence {last} may be lost: restore the \
             lane's files, or salvage the tenant"
        ))
    }

    pub(super) fn missing(tenant: TenantId, after: u64) -> crate::error::Error {
        fail!(
            Corrupted,
            "the journal of tenant {tenant} lacks the changes after sequence {after}: restore the lane's files, or \
             salvage the tenant"
        )
    }

    /// Where the next segment that can be deleted stands, if one can.
    pub(super) fn dead(&self, current: Option<u64>) -> Vec<u64> {
        if !self.damage.is_empty() {
            return Vec::new();
        }
        let log = self.segments.iter().filter(|(_, segment)| segment.kind == SegmentKind::Log);
        // The log is deleted from its beginning, so that what is left is without a gap.
        let log = log.take_while(|(number, segment)| segment.live == 0 && Some(**number) != current);
        let cold = self.segments.iter().filter(|(_, s)| s.kind == SegmentKind::Cold && s.live == 0);
        log.chain(cold).map(|(number, _)| *number).collect()
    }
}
