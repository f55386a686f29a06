//! Reading values: whole, in part, or as a stream. A value in chunks is never held whole unless it is asked for.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{Bound, RangeBounds};

use zeroize::Zeroizing;

use crate::chunk::{ChunkPlace, ChunkSealer, Layout};
use crate::collection::RecordInfo;
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{ChunkSetId, Version};
use crate::keys::SlotKind;
use crate::limits::GET_BYTES_MAX;
use crate::partition::{ChunkRows, ChunkTable, RowToCheck};
use crate::record::{ChunkSet, Envelope, KeySlots, Plaintext, RecordPlace};
use crate::tenant::handle::record_info;
use crate::tenant::{Collection, Tenant, changed};

/// Where a value is read from.
pub(super) enum Source {
    Whole(Plaintext),
    Chunks(Box<Chunks>),
}

/// A value in chunks.
pub(super) struct Chunks {
    sealer: ChunkSealer,
    layout: Layout,
    set: ChunkSetId,
    table: ChunkTable,
    /// The chunk that was opened last, for reads that want a part of it.
    opened: Zeroizing<Vec<u8>>,
    /// Which one that is.
    index: Option<u32>,
}

impl Chunks {
    /// Opens a chunk into `out`, which has its length.
    fn open(&self, index: u32, out: &mut [u8]) -> Result<()> {
        open_chunk(&self.table, &self.sealer, &self.layout, self.set, index, out)
    }

    /// Fills `out` from `offset` on, as far as the value goes.
    fn read_at(&mut self, mut offset: u64, out: &mut [u8]) -> Result<usize> {
        let left = self.layout.value_bytes().saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
        let mut rest = &mut out[..wanted];
        while !rest.is_empty() {
            let (index, within) = self.layout.place_of(offset);
            let chunk_bytes = self.layout.bytes_of(index);
            let part = rest.len().min(chunk_bytes - within);
            let (now, later) = rest.split_at_mut(part);
            if part == chunk_bytes {
                self.open(index, now)?;
            } else {
                self.load(index)?;
                now.copy_from_slice(&self.opened[within..within + part]);
            }
            offset += part as u64;
            rest = later;
        }
        Ok(wanted)
    }

    fn load(&mut self, index: u32) -> Result<()> {
        if self.index == Some(index) {
            return Ok(());
        }
        self.index = None;
        let mut opened = std::mem::take(&mut self.opened);
        opened.resize(self.layout.bytes_of(index), 0);
        let result = self.open(index, &mut opened);
        self.opened = opened;
        result?;
        self.index = Some(index);
        Ok(())
    }
}

fn open_chunk(
    rows: &dyn ChunkRows,
    sealer: &ChunkSealer,
    layout: &Layout,
    set: ChunkSetId,
    index: u32,
    out: &mut [u8],
) -> Result<()> {
    let found = rows.chunk(set, index, &mut |row| sealer.open(index, layout.is_last(index), row, out))?;
    if found { Ok(()) } else { Err(sealer.missing(index)) }
}

/// A record's value as a stream: as it was when the reader was made, whatever is put over it later.
///
/// Of a value in chunks it holds one chunk of 64 KiB in memory, opened and authenticated before any of it is given out;
/// a seek costs nothing. Errors of [`Read`] carry a [`strongroom::Error`](crate::Error), which [`crate::Error::from_io`]
/// gives back. While a reader lives, space that is freed in the tenant's file is not used again.
pub struct ValueReader {
    tenant: Tenant,
    info: RecordInfo,
    source: Source,
    position: u64,
}

/// Values are not shown (invariant 9).
impl fmt::Debug for ValueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueReader")
            .field("info", &self.info)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl ValueReader {
    pub(super) fn new(tenant: &Tenant, info: RecordInfo, source: Source) -> Self {
        Self { tenant: tenant.clone(), info, source, position: 0 }
    }

    /// What is known of the record.
    #[must_use]
    pub fn info(&self) -> RecordInfo {
        self.info
    }

    /// Fills `out` from the byte `offset` of the value on; how many bytes there were, fewer than asked for only at the
    /// value's end. The position of [`Read`] stays.
    ///
    /// # Errors
    /// Those of [`Collection::get`].
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.tenant.check_usable()?;
        self.source.read_at(offset, out)
    }
}

impl Source {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Whole(value) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(value.len());
                let part = out.len().min(value.len() - start);
                out[..part].copy_from_slice(&value[start..start + part]);
                Ok(part)
            }
            Self::Chunks(chunks) => chunks.read_at(offset, out),
        }
    }

    /// All of the value in memory.
    pub(super) fn into_value(mut self, value_bytes: u64) -> Result<Plaintext> {
        match self {
            Self::Whole(value) => Ok(value),
            Self::Chunks(_) => self.part(0, value_bytes),
        }
    }

    /// A part of the value in memory.
    fn part(&mut self, start: u64, end: u64) -> Result<Plaintext> {
        let bytes = end.saturating_sub(start);
        if bytes > GET_BYTES_MAX {
            return Err(fail!(
                LimitExceeded,
                "{bytes} bytes of a value are more than one call gives ({GET_BYTES_MAX}): read it with get_reader"
            ));
        }
        let mut part = Zeroizing::new(vec![0; usize::try_from(bytes).unwrap_or(0)]);
        self.read_at(start, &mut part)?;
        Ok(Plaintext::new(part))
    }
}

impl Read for ValueReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(self.position, out).map_err(io::Error::from)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for ValueReader {
    /// A position beyond the end is one where there is nothing to read.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.info.value_bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::from(fail!(InvalidArgument, "a seek before the first byte of a value"))
        })?;
        Ok(self.position)
    }
}

/// What an envelope says of a record's value.
pub(super) enum Found {
    Whole(Plaintext),
    InChunks(ChunkSealer, ChunkSet),
}

/// Chunks that are not where they should be.
pub(super) struct Missing(ChunkSealer, ChunkSet);

impl Missing {
    pub(super) fn error(&self) -> Error {
        self.0.missing(0)
    }
}

impl Found {
    /// The value, its chunks in `table`. It is `Missing` where the first of them is not there.
    pub(super) fn over(self, table: Option<ChunkTable>) -> Result<Result<Source, Missing>> {
        let (sealer, set) = match self {
            Self::Whole(value) => return Ok(Ok(Source::Whole(value))),
            Self::InChunks(sealer, set) => (sealer, set),
        };
        match table {
            Some(table) if table.has(set.id, 0)? => {
                let layout = Layout::new(set.value_bytes, set.chunk_bytes)?;
                let opened = Zeroizing::default();
                let chunks = Chunks { sealer, layout, set: set.id, table, opened, index: None };
                Ok(Ok(Source::Chunks(Box::new(chunks))))
            }
            _ => Ok(Err(Missing(sealer, set))),
        }
    }
}

impl Tenant {
    /// What opens a record's chunks; `None` where a key of them was destroyed.
    pub(super) fn chunk_sealer(
        &self,
        place: RecordPlace<'_>,
        slots: KeySlots,
        set: ChunkSetId,
        chunk_bytes: u32,
    ) -> Result<Option<ChunkSealer>> {
        let Some(prk) = self.0.sealer.prk(slots)? else { return Ok(None) };
        let RecordPlace { collection, key } = place;
        let place = ChunkPlace { tenant: self.0.id, collection, key, set, chunk_bytes };
        Ok(Some(ChunkSealer::new(prk, place)))
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn chunk_rows(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.partition.chunk_table()?.map_or(Ok(Vec::new()), |table| table.rows())
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn alter_chunks(&self, rows: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        self.between_checkpoints(|partition| partition.alter_chunks(rows))
    }

    /// What a record's envelope says of its value, authentic; `None` where a key of it was destroyed.
    pub(super) fn open_envelope(
        &self,
        place: RecordPlace<'_>,
        version: Version,
        envelope: &Envelope<'_>,
    ) -> Result<Option<(RecordInfo, Found)>> {
        let info = record_info(version, envelope);
        let Some(set) = envelope.chunks else {
            let value = self.open_value(place, version, envelope)?;
            return Ok(value.map(|value| (info, Found::Whole(value))));
        };
        if !self.check_value(place, version, envelope)? {
            return Ok(None);
        }
        match self.chunk_sealer(place, envelope.slots, set.id, set.chunk_bytes)? {
            Some(sealer) => Ok(Some((info, Found::InChunks(sealer, set)))),
            // It was sealed anew since: other chunks are the record's now, and those of then may be collected.
            None if !self.0.keyring.lives(SlotKind::Data, envelope.slots.data.into())? => Err(changed()),
            None => Ok(None),
        }
    }

    /// Opens a record's value for its tags; how many chunks it has.
    pub(super) fn check_row(&self, row: RowToCheck<'_>) -> Result<Option<u64>> {
        let RowToCheck { collection, key, envelope, chunks, progress } = row;
        let (place, envelope) = (RecordPlace { collection, key }, Envelope::parse(envelope)?);
        if !self.0.keyring.opens_values() {
            return Ok(None);
        }
        if !self.0.sealer.check(place, &envelope)? {
            return Ok(Some(0));
        }
        let Some(set) = envelope.chunks else { return Ok(Some(0)) };
        let sealer = self.chunk_sealer(place, envelope.slots, set.id, set.chunk_bytes)?;
        let Some(sealer) = sealer else { return Ok(Some(0)) };
        let layout = Layout::new(set.value_bytes, set.chunk_bytes)?;
        let mut opened = Zeroizing::new(vec![0; layout.bytes_of(0)]);
        for index in 0..layout.count() {
            open_chunk(chunks, &sealer, &layout, set.id, index, &mut opened[..layout.bytes_of(index)])?;
            progress(1);
        }
        Ok(Some(layout.count().into()))
    }
}

impl Collection {
    /// A record's value; `None` where there is no such record. At most 64 MiB; a longer one is read with
    /// [`Collection::get_reader`] or [`Collection::get_range`].
    ///
    /// # Errors
    /// `Unauthentic`, `Corrupted` for a damaged record; `KeyMissing` where the key store has lost its key;
    /// `KeyUnavailable` from the key provider; `LimitExceeded` for a value over 64 MiB. Never a wrong value.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Plaintext>> {
        match self.find_value(key.as_ref())? {
            None => Ok(None),
            Some((info, source)) => source.into_value(info.value_bytes).map(Some),
        }
    }

    /// A record's value as a stream, of any length, in constant memory; `None` where there is no such record.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let scans = strongroom::Engine::open(strongroom::Config::new("data"))?.tenant("acme")?.collection("scans")?;
    /// if let Some(mut reader) = scans.get_reader(b"2026-001.tiff")? {
    ///     std::io::copy(&mut reader, &mut std::io::stdout())?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Collection::get`]; a damaged chunk is an error when it is read.
    pub fn get_reader(&self, key: impl AsRef<[u8]>) -> Result<Option<ValueReader>> {
        let found = self.find_value(key.as_ref())?;
        Ok(found.map(|(info, source)| ValueReader {
            tenant: self.tenant().clone(),
            info,
            source,
            position: 0,
        }))
    }

    /// The bytes of a record's value in `range`, as far as the value goes; `None` where there is no such record. At most
    /// 64 MiB. Of a value in chunks only those are read that the range touches.
    ///
    /// # Errors
    /// Those of [`Collection::get`]; `LimitExceeded` for more than 64 MiB.
    pub fn get_range(
        &self,
        key: impl AsRef<[u8]>,
        range: impl RangeBounds<u64>,
    ) -> Result<Option<Plaintext>> {
        let Some((info, mut source)) = self.find_value(key.as_ref())? else { return Ok(None) };
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        source.part(start, end.min(info.value_bytes)).map(Some)
    }

    /// Puts a record's value into the caller's buffer; its length, or `None` where there is no such record. Bytes of the
    /// buffer beyond it stay as they were. The caller sees to it that the buffer is wiped.
    ///
    /// # Errors
    /// Those of [`Collection::get`]; `LimitExceeded` where the buffer is shorter than the value: then nothing is written.
    /// After another error the buffer may hold a part of the value.
    pub fn get_into(&self, key: impl AsRef<[u8]>, buffer: &mut [u8]) -> Result<Option<usize>> {
        let Some((info, mut source)) = self.find_value(key.as_ref())? else { return Ok(None) };
        if info.value_bytes > buffer.len() as u64 {
            return Err(fail!(
                LimitExceeded,
                "the value has {} bytes and the buffer {}: give a longer one",
                info.value_bytes,
                buffer.len()
            ));
        }
        source.read_at(0, buffer).map(Some)
    }

    fn find_value(&self, key: &[u8]) -> Result<Option<(RecordInfo, Source)>> {
        let tenant = self.tenant();
        let mut before = None;
        loop {
            let read =
                self.read(key, |place, version, envelope| tenant.open_envelope(place, version, envelope));
            let found = match read {
                // Written anew between two looks: there is a newer one.
                Err(error) if error.kind() == ErrorKind::SnapshotExpired => continue,
                read => read?,
            };
            let Some((info, found)) = found.flatten() else { return Ok(None) };
            if let Found::Whole(value) = found {
                return Ok(Some((info, Source::Whole(value))));
            }
            // The chunks are in the file before the record is published; but what was put over it since may have had
            // them collected. Then there is another record, or none.
            match found.over(tenant.0.partition.chunk_table()?)? {
                Ok(source) => return Ok(Some((info, source))),
                // It still is the record's, so they should have been there.
                Err(Missing(sealer, set)) if before == Some(set.id) => return Err(sealer.missing(0)),
                Err(Missing(_, set)) => before = Some(set.id),
            }
        }
    }
}
