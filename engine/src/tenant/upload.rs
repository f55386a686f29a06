//! Putting large values: chunks go into the tenant's file group by group, each durable, and the record is published when
//! all of them are there.

use std::fmt;
use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::chunk::{CHUNK_BYTES, ChunkSealer, Layout, text_bytes};
use crate::crypto::random;
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::{ChunkSetId, Version};
use crate::keys::Fate;
use crate::limits::{LARGE_VALUE_BYTES_MAX, VALUE_BYTES_MAX, check_name, check_record_key};
use crate::partition::{Changes, SetOwner, Table};
use crate::record::{ChunkSet, ErasureKeys, RecordPlace};
use crate::retention::Expiry;
use crate::tenant::batch::NewValue;
use crate::tenant::change::Terms;
use crate::tenant::collect::Writing;
use crate::tenant::index::Indexed;
use crate::tenant::upload_row::{UploadRow, directory_key};
use crate::tenant::{Collection, PutOptions};

/// How long nobody else may have the chunks of an upload after it was last heard of.
const LEASE_MS: u64 = 24 * 60 * 60 * 1_000;
/// Chunks that are put into the file at once: 4 MiB.
const GROUP_CHUNKS: usize = 64;

/// A large value on its way into the store, in any number of writes, sessions and processes: what was made durable stays for
/// 24 hours after it was last written, and [`Collection::resume_upload`] goes on behind it. The record is as it was until
/// [`Upload::publish`].
///
/// [`Write::write`] makes bytes durable 4 MiB at a time, [`Write::flush`] all there are. Dropped, it can be resumed;
/// [`Upload::discard`] gives it up. Errors of [`Write`] carry a [`strongroom::Error`](crate::Error), which
/// [`Error::from_io`] gives back; after one the upload has to be resumed.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scans = strongroom::Engine::open(strongroom::Config::new("data"))?.tenant("acme")?.collection("scans")?;
/// # let mut file = std::fs::File::open("2026-001.tiff")?;
/// let mut upload = scans.begin_upload(b"2026-001.tiff", strongroom::PutOptions::new())?;
/// let id = upload.id(); // keep it: with it, the upload goes on after a restart
/// # drop(upload);
/// let mut upload = scans.resume_upload(id)?;
/// std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(upload.durable_bytes()))?;
/// std::io::copy(&mut file, &mut upload)?;
/// upload.publish()?;
/// # Ok(()) }
/// ```
pub struct Upload {
    collection: Collection,
    set: ChunkSetId,
    row: UploadRow,
    sealer: ChunkSealer,
    /// What is not sealed for good: at most a chunk. Its index is `sealed`.
    tail: Zeroizing<Vec<u8>>,
    /// Chunks sealed so far.
    sealed: u32,
    /// Those of them that the file does not have yet.
    group: Vec<(u32, Vec<u8>)>,
    durable_bytes: u64,
    failed: bool,
    _writing: Writing,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("id", &self.set).finish_non_exhaustive()
    }
}

impl Upload {
    fn new(collection: &Collection, set: ChunkSetId, row: UploadRow, writing: Writing) -> Result<Self> {
        let place = RecordPlace { collection: row.collection, key: &row.key };
        let sealer = collection.tenant().chunk_sealer(place, row.slots, set, row.chunk_bytes)?;
        let sealer = sealer
            .ok_or_else(|| fail!(NotFound, "a key of the upload {set} was destroyed: begin another"))?;
        Ok(Self {
            collection: collection.clone(),
            set,
            row,
            sealer,
            tail: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES as usize)),
            sealed: 0,
            group: Vec::new(),
            durable_bytes: 0,
            failed: false,
            _writing: writing,
        })
    }

    /// Takes up what the file has of it. The last chunk there may be a part of one, or the last of the value: it is sealed
    /// anew.
    fn take_up(&mut self) -> Result<()> {
        let partition = &self.collection.tenant().0.partition;
        partition.sync_file()?;
        let last = partition.chunk_table()?.map(|table| table.last(self.set)).transpose()?.flatten();
        let Some((index, row)) = last else { return Ok(()) };
        let mut tail = Zeroizing::new(vec![0; text_bytes(&row).min(CHUNK_BYTES as usize)]);
        if self.sealer.open(index, false, &row, &mut tail).is_err() {
            self.sealer.open(index, true, &row, &mut tail)?;
        }
        self.tail.extend_from_slice(&tail);
        self.sealed = index;
        self.durable_bytes = self.bytes();
        Ok(())
    }

    /// What [`Collection::resume_upload`] finds it by.
    #[must_use]
    pub fn id(&self) -> ChunkSetId {
        self.set
    }

    /// Bytes from the beginning of the value that are on the disk.
    #[must_use]
    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Bytes so far.
    fn bytes(&self) -> u64 {
        u64::from(self.sealed) * u64::from(CHUNK_BYTES) + self.tail.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.check()?;
        if self.bytes() + bytes.len() as u64 > LARGE_VALUE_BYTES_MAX {
            return Err(fail!(LimitExceeded, "a value has more than {LARGE_VALUE_BYTES_MAX} bytes"));
        }
        let pushed = self.push_all(bytes);
        self.failed |= pushed.is_err();
        pushed
    }

    fn push_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.tail.len() == CHUNK_BYTES as usize {
                // There is more, so it is not the last one.
                self.seal_tail(false)?;
                self.sealed += 1;
                self.tail.clear();
                if self.group.len() >= GROUP_CHUNKS {
                    self.put_group(u64::from(self.sealed) * u64::from(CHUNK_BYTES))?;
                }
            }
            let part = bytes.len().min(CHUNK_BYTES as usize - self.tail.len());
            self.tail.extend_from_slice(&bytes[..part]);
            bytes = &bytes[part..];
        }
        Ok(())
    }

    /// Makes all bytes durable that there are.
    fn sync(&mut self) -> Result<()> {
        self.check()?;
        if self.durable_bytes == self.bytes() {
            return Ok(());
        }
        let synced = self.seal_tail(false).and_then(|()| self.put_group(self.bytes()));
        self.failed |= synced.is_err();
        synced
    }

    fn check(&self) -> Result<()> {
        self.collection.tenant().check_usable()?;
        if self.failed {
            return Err(fail!(Poisoned, "the upload {} failed before: resume it", self.set));
        }
        Ok(())
    }

    fn seal_tail(&mut self, last: bool) -> Result<()> {
        let salt = self.collection.tenant().0.sealer.salt()?;
        let row = self.sealer.seal(salt, self.sealed, last, &self.tail)?;
        self.group.push((self.sealed, row));
        Ok(())
    }

    /// Puts what is sealed into the file; then so many bytes are durable.
    fn put_group(&mut self, durable_bytes: u64) -> Result<()> {
        self.extend_lease()?;
        self.collection.tenant().policy_of(self.row.collection)?.check_stores()?;
        let owner = SetOwner { collection: self.row.collection, key: &self.row.key };
        let tenant = self.collection.tenant();
        tenant.between_checkpoints(|partition| partition.put_chunks(self.set, owner, &self.group))?;
        self.group.clear();
        self.durable_bytes = durable_bytes;
        Ok(())
    }

    /// Puts the end of the lease off, where half of it is over.
    fn extend_lease(&mut self) -> Result<()> {
        let tenant = self.collection.tenant();
        let now = tenant.0.clock.now_ms();
        if self.row.lease_ends_ms < now.saturating_add(LEASE_MS / 2) {
            self.row.lease_ends_ms = now.saturating_add(LEASE_MS);
            tenant.put_directory([(directory_key(self.set), self.row.encode())])?;
        }
        Ok(())
    }

    /// Makes the value the record's, in one change: all of it, or nothing. Durable when this returns, as
    /// [`Collection::put_with`], and under the conditions that the upload was begun with. After an error the upload can be
    /// resumed.
    ///
    /// # Errors
    /// Those of [`Collection::put_with`]; `NotFound` where the collection was dropped since.
    pub fn publish(mut self) -> Result<Version> {
        self.check()?;
        let value_bytes = self.bytes();
        self.seal_tail(true)?;
        self.put_group(value_bytes)?;
        let chunks = ChunkSet { id: self.set, value_bytes, chunk_bytes: CHUNK_BYTES };
        debug_assert!(
            Layout::new(value_bytes, CHUNK_BYTES).is_ok_and(|layout| layout.count() == self.sealed + 1)
        );
        let tenant = self.collection.tenant();
        let version = loop {
            let made = tenant.write(|batch| {
                let value = NewValue::InChunks(&chunks, self.row.slots, self.row.collection);
                batch.put_value(&self.collection, &self.row.key, value, &self.row.options)?;
                batch.delete_directory(&directory_key(self.set));
                Ok(())
            });
            match made {
                // Somebody tried to retire the data key, and found the upload; or what was put over changed meanwhile.
                Err(error)
                    if error.kind() == ErrorKind::Conflict && error.is_retryable() && self.has_keys()? => {}
                made => break made?,
            }
        };
        // What it replaces, if it was in chunks.
        tenant.wants_collection();
        Ok(version)
    }

    /// Whether it can still be published under the keys it was begun with; waits for destructions that are under way.
    fn has_keys(&self) -> Result<bool> {
        let inner = &*self.collection.tenant().0;
        let destructions = inner.keyring.destructions();
        for (kind, slot) in self.row.slots.iter() {
            destructions.wait(kind, slot);
            if destructions.fate(kind, slot) == Fate::Doomed {
                return Ok(false);
            }
        }
        Ok(inner.sealer.prk(self.row.slots)?.is_some())
    }

    /// Gives the upload up: what there is of it is removed in the background.
    ///
    /// # Errors
    /// Those of writing: then it is removed when its time is over.
    pub fn discard(self) -> Result<()> {
        self.collection.tenant().check_usable()?;
        self.collection.tenant().give_up(self.set)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.sync()?)
    }
}

impl Collection {
    /// Puts a record whose value is what `reader` gives until it ends: from 0 bytes to 1 TiB, in constant memory (about
    /// 16 MiB beside the tenant's cache). Durable when this returns, as [`Collection::put`]; the record appears when all of
    /// the value is there, and conditions are those of that moment.
    ///
    /// A value of up to 1 MiB is put as by [`Collection::put_with`]. A longer one goes into the tenant's file in chunks, each
    /// authenticated by itself; meanwhile a checkpoint or rewrite of the tenant waits at most for 4 MiB of it, and it waits
    /// for them.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let scans = strongroom::Engine::open(strongroom::Config::new("data"))?.tenant("acme")?.collection("scans")?;
    /// let mut file = std::fs::File::open("2026-001.tiff")?;
    /// scans.put_reader(b"2026-001.tiff", &mut file, strongroom::PutOptions::new())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Collection::put_with`]; `Io` when the reader fails. Then the record is as it was before, and what was
    /// written of the value is removed later.
    pub fn put_reader(
        &self,
        key: impl AsRef<[u8]>,
        mut reader: impl Read,
        options: PutOptions,
    ) -> Result<Version> {
        self.tenant().check_usable()?;
        let key = key.as_ref();
        check_record_key(key)?;
        let mut buffer = Zeroizing::new(Vec::with_capacity(VALUE_BYTES_MAX + 1));
        let begin = reader.by_ref().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut buffer);
        begin.map_err(reading)?;
        if buffer.len() <= VALUE_BYTES_MAX {
            return self.put_with(key, &*buffer, options);
        }
        let mut upload = self.begin_upload(key, options)?;
        match fill(&mut upload, buffer, reader) {
            Ok(()) => {
                let set = upload.id();
                let published = upload.publish();
                if published.is_err() {
                    self.give_up(set);
                }
                published
            }
            Err(error) => {
                let set = upload.id();
                drop(upload);
                self.give_up(set);
                Err(error)
            }
        }
    }

    /// Begins to put a record's value in parts, from 0 bytes to 1 TiB. `options` are those of its publication; conditions are
    /// looked at then. A time to live begins now.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded` for a key; those of writing.
    pub fn begin_upload(&self, key: impl AsRef<[u8]>, options: PutOptions) -> Result<Upload> {
        let tenant = self.tenant();
        let inner = &*tenant.0;
        tenant.check_usable()?;
        check_record_key(key.as_ref())?;
        options.subject.as_deref().map_or(Ok(()), |subject| check_name("subject", subject))?;
        let set = ChunkSetId::new(random(&*inner.entropy)?);
        let (collection, policy) = tenant.collection_for_put(self.name())?;
        if !options.index.is_empty() {
            Indexed::resolve(tenant, collection, &options.index)?;
        }
        let mut changes = Changes::default();
        let subject = match &options.subject {
            Some(subject) => Some(tenant.subject_slot(&mut changes, subject.as_bytes())?),
            None => None,
        };
        // Chunks are sealed before the record is published: when it expires is settled now, and in which period.
        let written_ms = options.written_ms.unwrap_or_else(|| inner.clock.now_ms());
        let expires_ms = policy.expires_ms(written_ms, options.expiry);
        policy.check_expiry(written_ms, expires_ms)?;
        let period = tenant.period_for(&mut changes, expires_ms)?;
        let own = tenant.own_slot(&mut changes, collection, options.erasure, policy)?;
        let settled = if options.expiry.is_some() { Expiry::AtMs } else { Expiry::Policy };
        let row = UploadRow {
            collection,
            slots: inner.sealer.current_slots(ErasureKeys { period, subject, own })?,
            chunk_bytes: CHUNK_BYTES,
            lease_ends_ms: inner.clock.now_ms().saturating_add(LEASE_MS),
            // The subject's slot stands for it.
            options: PutOptions { subject: None, expiry: expires_ms.map(settled), ..options },
            key: key.as_ref().to_vec(),
        };
        let upload = Upload::new(self, set, row, tenant.begin_writing(set)?)?;
        changes.put(Table::Directory, &[&directory_key(set)], &[&upload.row.encode()]);
        tenant.make(changes, &Terms::default(), true)?;
        Ok(upload)
    }

    /// Goes on with an upload of this collection, in another process too: [`Upload::durable_bytes`] says from where in the
    /// value.
    ///
    /// # Errors
    /// `NotFound` where it was published, discarded, or not written for 24 hours; `Busy` while another handle of it lives;
    /// those of reading.
    pub fn resume_upload(&self, id: ChunkSetId) -> Result<Upload> {
        let tenant = self.tenant();
        tenant.check_usable()?;
        let writing = tenant.begin_writing(id)?;
        let row = tenant.0.partition.directory_row(&directory_key(id))?;
        let row = row.map(|row| UploadRow::parse(&row)).transpose()?;
        let collection = tenant.find_collection(self.name())?;
        let row = row.filter(|row| Some(row.collection) == collection && row.chunk_bytes == CHUNK_BYTES);
        let row =
            row.ok_or_else(|| fail!(NotFound, "there is no upload {id} in this collection: begin another"))?;
        let mut upload = Upload::new(self, id, row, writing)?;
        upload.take_up()?;
        upload.extend_lease()?;
        Ok(upload)
    }

    /// Gives up an upload that failed; where that fails too, its lease ends.
    fn give_up(&self, set: ChunkSetId) {
        if let Err(error) = self.tenant().give_up(set) {
            tracing::debug!(tenant = %self.tenant().id(), %set, %error, "a failed upload stays until its lease ends");
        }
    }
}

/// Reads on to the end of a value that begins with what is in `buffer`.
fn fill(upload: &mut Upload, mut buffer: Zeroizing<Vec<u8>>, mut reader: impl Read) -> Result<()> {
    loop {
        upload.push(&buffer)?;
        buffer.clear();
        let more = reader.by_ref().take(VALUE_BYTES_MAX as u64).read_to_end(&mut buffer);
        if more.map_err(reading)? == 0 {
            return Ok(());
        }
    }
}

fn reading(error: std::io::Error) -> Error {
    Error::from_io(error).within("reading the value")
}
