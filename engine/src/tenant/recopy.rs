//! Values in chunks that are sealed anew: their chunks are copied into a new set, under other keys, a piece at a time, each
//! durable, and the record then names that set. Like an upload it goes on where it was interrupted (FORMAT.md section 7.3,
//! row `k`).
//!
//! A copy counts only as long as the record, or the one that was removed, still names the set that it is made from: of what
//! was erased meanwhile it keeps nothing, because its chunks are collected like any that nothing refers to.

use std::fmt;

use zeroize::Zeroizing;

use crate::chunk::{ChunkSealer, Layout};
use crate::crypto::random;
use crate::error::{ErrorKind, Result, fail};
use crate::id::{ChunkSetId, CollectionId};
use crate::partition::{Changes, ChunkRows, SetOwner, Table};
use crate::record::{ChunkSet, KeySlots, RecordPlace};
use crate::tenant::Tenant;
use crate::tenant::change::Terms;
use crate::tenant::collect::Writing;
use crate::tenant::rekey::is_of_the_record;

const ROW_VERSION: u8 = 1;
/// Marks the rows of copies in the directory.
pub(super) const DIRECTORY_KIND: u8 = b'k';
const PERIOD: u8 = 1;
const SUBJECT: u8 = 2;
const OWN: u8 = 4;
/// Bytes of a value that are copied in one commit.
const PIECE_BYTES: u32 = 4 << 20;
/// How long a copy that nobody goes on with is kept.
const LEASE_MS: u64 = 24 * 60 * 60 * 1_000;

/// A copy that is under way.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CopyRow {
    /// The set that it is made from.
    pub(super) from: ChunkSetId,
    pub(super) collection: CollectionId,
    /// The keys that it is sealed under.
    pub(super) slots: KeySlots,
    /// From when on it is given up, in milliseconds since the epoch.
    pub(super) lease_ends_ms: u64,
    pub(super) key: Vec<u8>,
}

/// Keys are not shown (invariant 9).
impl fmt::Debug for CopyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyRow").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The key of the row of a copy, which the new set names.
pub(super) fn copy_key(set: ChunkSetId) -> Vec<u8> {
    [&[DIRECTORY_KIND][..], set.as_bytes()].concat()
}

impl CopyRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = u8::from(self.slots.period.is_some()) * PERIOD
            + u8::from(self.slots.subject.is_some()) * SUBJECT
            + u8::from(self.slots.own.is_some()) * OWN;
        let mut row = vec![ROW_VERSION, flags];
        row.extend(self.from.as_bytes());
        row.extend(self.collection.to_be_bytes());
        row.extend(self.lease_ends_ms.to_le_bytes());
        row.extend(self.slots.data.to_le_bytes());
        row.extend(self.slots.period.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(self.slots.subject.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(self.slots.own.iter().flat_map(|slot| slot.to_le_bytes()));
        row.extend(&self.key);
        row
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self> {
        Self::parse_parts(row).ok_or_else(|| {
            fail!(
                UnsupportedFormat,
                "the row of a value that is sealed anew is of a newer version or malformed"
            )
        })
    }

    fn parse_parts(row: &[u8]) -> Option<Self> {
        let mut rest = row;
        let [version, flags] = take(&mut rest)?;
        if version != ROW_VERSION || flags & !(PERIOD | SUBJECT | OWN) != 0 {
            return None;
        }
        let from = ChunkSetId::new(take(&mut rest)?);
        let collection = CollectionId(u64::from_be_bytes(take(&mut rest)?));
        let lease_ends_ms = u64::from_le_bytes(take(&mut rest)?);
        let data = u32::from_le_bytes(take(&mut rest)?);
        let period = if flags & PERIOD == 0 { None } else { Some(u32::from_le_bytes(take(&mut rest)?)) };
        let subject = if flags & SUBJECT == 0 { None } else { Some(u64::from_le_bytes(take(&mut rest)?)) };
        let own = if flags & OWN == 0 { None } else { Some(u64::from_le_bytes(take(&mut rest)?)) };
        let slots = KeySlots { data, period, subject, own };
        Some(Self { from, collection, slots, lease_ends_ms, key: rest.to_vec() })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

/// Parses anything, for fuzzing: what parses encodes to the bytes it came from.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_copy_row(data: &[u8]) {
    if let Ok(row) = CopyRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
}

/// What became of a copy.
pub(super) enum Copied {
    /// It is all there, durably.
    All(Copy),
    /// There was no time for all of it.
    Interrupted,
    /// The record was written, erased or sealed anew meanwhile, or somebody else copies it.
    Overtaken,
    /// It is hidden already: a key of it is destroyed.
    Hidden,
}

/// A new set, which nobody else writes or gives up as long as there is this.
pub(super) struct Copy {
    set: ChunkSet,
    row: CopyRow,
    _writing: Writing,
}

impl Copy {
    pub(super) fn set(&self) -> ChunkSet {
        self.set
    }
}

/// Sealed chunks by their index.
type Piece = Vec<(u32, Vec<u8>)>;

/// From where to where chunks are copied.
struct Sealers {
    from: ChunkSealer,
    to: ChunkSealer,
    layout: Layout,
}

impl Tenant {
    /// Copies the chunks of a value, which are under the keys of the slots beside it, under those of `slots`, or goes on with
    /// that. `go_on` gets the bytes of each piece, and says whether there is time for another one. `mark` is that of the
    /// keyring's destructions before anything was looked at.
    pub(super) fn copy_chunks(
        &self,
        place: RecordPlace<'_>,
        (set, old_slots): (&ChunkSet, KeySlots),
        slots: KeySlots,
        (mark, go_on): (u64, &mut dyn FnMut(u64) -> bool),
    ) -> Result<Copied> {
        let Some(from) = self.chunk_sealer(place, old_slots, set.id, set.chunk_bytes)? else {
            return Ok(Copied::Hidden);
        };
        let mut copy = match self.take_up_copy(place, set, slots, mark) {
            Ok(copy) => copy,
            Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::Conflict) => {
                return Ok(Copied::Overtaken);
            }
            Err(error) => return Err(error),
        };
        let Some(to) = self.chunk_sealer(place, slots, copy.set.id, set.chunk_bytes)? else {
            return Ok(Copied::Overtaken);
        };
        let sealers = Sealers { from, to, layout: Layout::new(set.value_bytes, set.chunk_bytes)? };
        let copied = self.copy_pieces(place, &mut copy, &sealers, go_on);
        if copied.as_ref().is_err_and(|error| is_of_the_record(error.kind())) {
            // A chunk that does not open never will.
            self.give_up_copy(copy.set.id)?;
        }
        Ok(match copied? {
            None => Copied::Overtaken,
            Some(false) => Copied::Interrupted,
            Some(true) => Copied::All(copy),
        })
    }

    /// Takes up a copy of a set under the same keys, or begins one.
    fn take_up_copy(
        &self,
        place: RecordPlace<'_>,
        set: &ChunkSet,
        slots: KeySlots,
        mark: u64,
    ) -> Result<Copy> {
        for (id, row) in self.copies()? {
            if row.from == set.id && row.slots == slots {
                let writing = self.begin_writing(id)?;
                return Ok(Copy { set: ChunkSet { id, ..*set }, row, _writing: writing });
            }
        }
        let id = ChunkSetId::new(random(&*self.0.entropy)?);
        let writing = self.begin_writing(id)?;
        let row = CopyRow {
            from: set.id,
            collection: place.collection,
            slots,
            lease_ends_ms: self.0.clock.now_ms().saturating_add(LEASE_MS),
            key: place.key.to_vec(),
        };
        let mut changes = Changes::default();
        changes.put(Table::Directory, &[&copy_key(id)], &[&row.encode()]);
        let terms = Terms { mark: Some(mark), ..Terms::default() };
        self.make_at_once(changes, &terms, true)?;
        Ok(Copy { set: ChunkSet { id, ..*set }, row, _writing: writing })
    }

    /// Copies piece by piece; whether to the end, or nothing where there is nothing more to copy from.
    fn copy_pieces(
        &self,
        place: RecordPlace<'_>,
        copy: &mut Copy,
        sealers: &Sealers,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<bool>> {
        let partition = &self.0.partition;
        partition.sync_file()?;
        let last = partition.chunk_table()?.map(|table| table.last(copy.set.id)).transpose()?.flatten();
        let mut next = last.map_or(0, |(index, _)| index + 1);
        let (from, count) = (copy.row.from, sealers.layout.count());
        let at_once = (PIECE_BYTES / copy.set.chunk_bytes).max(1);
        while next < count {
            let end = next.saturating_add(at_once).min(count);
            let piece = self.seal_piece(copy, sealers, next..end)?;
            self.extend_copy(copy)?;
            let owner = SetOwner { collection: place.collection, key: place.key };
            let is_put = self.between_checkpoints(|partition| {
                // As long as this runs nobody collects chunks or rewrites the file.
                if !partition.names_set(owner, from)? {
                    return Ok(false);
                }
                match &piece {
                    Ok(rows) => partition.put_chunks(copy.set.id, owner, rows).map(|()| true),
                    Err(missing) => Err(missing.again()),
                }
            })?;
            if !is_put {
                return Ok(None);
            }
            let bytes =
                sealers.layout.start_of(end).min(copy.set.value_bytes) - sealers.layout.start_of(next);
            next = end;
            if !go_on(bytes) && next < count {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// Chunks sealed anew; an error of its own where one of them is not there.
    fn seal_piece(
        &self,
        copy: &Copy,
        Sealers { from, to, layout }: &Sealers,
        chunks: std::ops::Range<u32>,
    ) -> Result<Result<Piece>> {
        let table = self.0.partition.chunk_table()?;
        let mut text = Zeroizing::new(vec![0; layout.bytes_of(0)]);
        let mut rows = Vec::with_capacity(chunks.len());
        for index in chunks {
            let (text, last) = (&mut text[..layout.bytes_of(index)], layout.is_last(index));
            let is_there = match &table {
                Some(table) => {
                    table.chunk(copy.row.from, index, &mut |row| from.open(index, last, row, text))?
                }
                None => false,
            };
            if !is_there {
                return Ok(Err(from.missing(index)));
            }
            rows.push((index, to.seal(self.0.sealer.salt()?, index, last, text)?));
        }
        Ok(Ok(rows))
    }

    /// Puts the end of the lease off, where half of it is over.
    fn extend_copy(&self, copy: &mut Copy) -> Result<()> {
        let now_ms = self.0.clock.now_ms();
        if copy.row.lease_ends_ms < now_ms.saturating_add(LEASE_MS / 2) {
            copy.row.lease_ends_ms = now_ms.saturating_add(LEASE_MS);
            self.put_directory([(copy_key(copy.set.id), copy.row.encode())])?;
        }
        Ok(())
    }

    /// The copies under way, by their sets.
    fn copies(&self) -> Result<Vec<(ChunkSetId, CopyRow)>> {
        let mut copies = Vec::new();
        for (set, row) in self.0.partition.directory_rows(DIRECTORY_KIND)? {
            if let Ok(set) = <[u8; 16]>::try_from(&set[..]) {
                copies.push((ChunkSetId::new(set), CopyRow::parse(&row)?));
            }
        }
        Ok(copies)
    }

    /// Whether a set is a copy under way of what a record still names.
    pub(super) fn is_copy(&self, set: ChunkSetId) -> Result<bool> {
        let Some(row) = self.0.partition.directory_row(&copy_key(set))? else { return Ok(false) };
        let row = CopyRow::parse(&row)?;
        self.0.partition.names_set(SetOwner { collection: row.collection, key: &row.key }, row.from)
    }

    /// Gives up copies that nobody writes: all of them, or those that are not under a generation of the data key.
    pub(super) fn give_up_copies(&self, but_under: Option<u32>) -> Result<()> {
        self.give_up_where(|row| but_under != Some(row.slots.data))
    }

    /// Gives up those that nobody went on with in time.
    pub(super) fn give_up_expired_copies(&self) -> Result<()> {
        let now_ms = self.0.clock.now_ms();
        self.give_up_where(|row| row.lease_ends_ms <= now_ms)
    }

    fn give_up_where(&self, is_over: impl Fn(&CopyRow) -> bool) -> Result<()> {
        for (set, row) in self.copies()? {
            if is_over(&row)
                && let Ok(_writing) = self.begin_writing(set)
            {
                self.give_up_copy(set)?;
            }
        }
        Ok(())
    }

    fn give_up_copy(&self, set: ChunkSetId) -> Result<()> {
        let mut changes = Changes::default();
        changes.delete(Table::Directory, &[&copy_key(set)]);
        self.make_quietly(changes)?;
        self.wants_collection();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_and_a_newer_or_short_one_is_refused() {
        for (period, subject, own) in [
            (None, None, None),
            (Some(4), None, None),
            (None, Some(1 << 40), None),
            (Some(4), Some(5), Some(6)),
        ] {
            let row = CopyRow {
                from: ChunkSetId::new([7; 16]),
                collection: CollectionId(7),
                slots: KeySlots { data: 2, period, subject, own },
                lease_ends_ms: 11,
                key: b"key".to_vec(),
            };
            let bytes = row.encode();
            assert_eq!(CopyRow::parse(&bytes).ok().as_ref(), Some(&row));
            assert!(CopyRow::parse(&bytes[..bytes.len() - 4]).is_err(), "no part of a field is the key's");
            for (at, value) in [(0, 2), (1, 8)] {
                let mut newer = bytes.clone();
                newer[at] = value;
                assert!(CopyRow::parse(&newer).is_err(), "byte {at}");
            }
        }
    }
}
