//! Large values: read in part, as streams; put as streams, and in uploads that go on after a restart.

use std::ffi::c_void;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom::{Upload as EngineUpload, ValueReader};

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::collection::{Collection, PutOptions, RecordInfo, Version};
use crate::error::{Error, Failure, Result, Status};
use crate::handle::{self, Handle, Health, Resting};
use crate::pointer;

/// The longest piece that an upload takes in one call, in bytes: 64 MiB.
const PIECE_BYTES_MAX: usize = 64 << 20;

/// A value that is read as a stream, as it was when the reader was made, whatever is put over it later. May be used from any
/// thread; calls on one wait for each other. Freed with strongroom_reader_free, soon: while it lives the tenant's file does
/// not use freed space again.
pub struct Reader {
    _opaque: [u8; 0],
}

impl Handle for Reader {
    type Value = Mutex<ValueReader>;
    const TAG: u64 = u64::from_le_bytes(*b"sr.reade");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Mutex<ValueReader>> = Resting::new();
        &RESTING
    }
}

impl Reader {
    /// A handle for a reader; NULL where there is no such record.
    pub(crate) fn give(reader: Option<ValueReader>, health: Arc<Health>) -> *mut Self {
        reader.map_or(std::ptr::null_mut(), |reader| handle::give(Mutex::new(reader), health))
    }
}

/// A large value on its way into the store, in any number of writes, sessions and processes. The record is as it was until
/// strongroom_upload_publish; what was made durable stays for 24 hours after it was last written. May be used from any
/// thread; calls on one wait for each other. Freed with strongroom_upload_free, after which it can be resumed.
pub struct Upload {
    _opaque: [u8; 0],
}

impl Handle for Upload {
    /// Empty once it was published or discarded.
    type Value = Mutex<Option<EngineUpload>>;
    const TAG: u64 = u64::from_le_bytes(*b"sr.uploa");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Mutex<Option<EngineUpload>>> = Resting::new();
        &RESTING
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_over() -> Failure {
    Failure::invalid("the upload was published or discarded: begin another")
}

/// The upload, if it goes on.
fn going_on(upload: &mut Option<EngineUpload>) -> Result<&mut EngineUpload> {
    upload.as_mut().ok_or_else(is_over)
}

/// Gives the next bytes of a value: fills buffer from its beginning with 1 to capacity bytes and sets read to their number,
/// which is 0 at the value's end. Gives false where it can't; then nothing is put. Called on the thread of the call; it must
/// return, and must not throw.
pub type Read = Option<
    unsafe extern "C" fn(context: *mut c_void, buffer: *mut u8, capacity: usize, read: *mut usize) -> bool,
>;

/// The application's function as a reader.
struct Source {
    function: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> bool,
    context: *mut c_void,
    has_refused: bool,
}

impl io::Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        // SAFETY: the header asks the application for a function that takes this.
        let goes_on =
            unsafe { (self.function)(self.context, buffer.as_mut_ptr(), buffer.len(), &raw mut read) };
        if goes_on && read <= buffer.len() {
            return Ok(read);
        }
        self.has_refused = true;
        Err(io::Error::other("the application's function"))
    }
}

/// Gets the bytes of a record's value from `offset` on, at most `size` of them, as far as the value goes.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  offset     where to begin, in bytes from the beginning of the value.
/// @param[in]  size       how many, at most 67,108,864.
/// @param[out] value      owned: freed with strongroom_buffer_free; NULL where there is no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_get; LimitExceeded for more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_range(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    offset: u64,
    size: u64,
    value: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::out(value, "value"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, place) = (collection?, key?, place?);
        let range = offset..offset.saturating_add(size);
        let value = collection.run(|collection| Ok(collection.get_range(key, range)?))?;
        place.write(value.map_or(std::ptr::null_mut(), |value| boxed::give::<Buffer>(Bytes::Value(value))));
        Ok(())
    })
}

/// Begins to read a record's value as a stream, of any length, in constant memory.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] reader     owned: freed with strongroom_reader_free; NULL where there is no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_get; a damaged part of the value is an error when it is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_reader(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    reader: *mut *mut Reader,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::out(reader, "reader"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, place) = (collection?, key?, place?);
        let reader = collection.run(|collection| Ok(collection.get_reader(key)?))?;
        place.write(Reader::give(reader, collection.health()?));
        Ok(())
    })
}

/// What is known of the record that a reader reads.
///
/// @param[in]     reader borrowed.
/// @param[in,out] info   borrowed; set up before.
/// @param[out]    error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_reader_get_info(
    reader: *const Reader,
    info: *mut RecordInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (reader, place, error) = unsafe {
        (handle::held(reader, "reader"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || {
        let (reader, place) = (reader?, place?);
        place.write(&RecordInfo::of(Some(reader.run(|reader| Ok(lock(reader).info()))?)));
        Ok(())
    })
}

/// Reads a part of the value into memory of the caller's, who wipes it. Each part is authenticated before any of it is given.
///
/// @param[in]  reader   borrowed.
/// @param[in]  offset   where to begin, in bytes from the beginning of the value.
/// @param[out] buffer   borrowed; where the bytes are copied to; after an error it may hold a part of them. NULL where the
///                      capacity is 0.
/// @param[in]  capacity how much fits there, in bytes.
/// @param[out] read     how many bytes there were; fewer than the capacity only at the value's end.
/// @param[out] error    owned, or NULL: why it failed.
/// @return as strongroom_collection_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_reader_read_at(
    reader: *const Reader,
    offset: u64,
    buffer: *mut u8,
    capacity: usize,
    read: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (reader, space, place, error) = unsafe {
        (
            handle::held(reader, "reader"),
            pointer::space(buffer, capacity),
            pointer::out(read, "read"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (reader, space, place) = (reader?, space?, place?);
        let space = pointer::zeroed(space);
        place.write(reader.run(|reader| Ok(lock(reader).read_at(offset, space)?))?);
        Ok(())
    })
}

/// Ends a reader.
///
/// @param[in] reader owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_reader_free(reader: *mut Reader) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(reader) });
}

/// Puts a record whose value is what a function gives until it ends: from 0 bytes to 1 TiB, in constant memory. Durable when
/// this returns, as strongroom_collection_put; the record appears when all of the value is there, and conditions are those
/// of that moment. After an error the record is as it was.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  read       called until the value ends.
/// @param[in]  context    borrowed for the time of the call; given to read.
/// @param[in]  options    borrowed; NULL is the defaults.
/// @param[out] version    the record's version; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return Cancelled where read gives false, or more than there was room for; LimitExceeded for a longer value; else as
///         strongroom_collection_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_put_reader(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    read: Read,
    context: *mut c_void,
    options: *const PutOptions,
    version: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, options, version, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            PutOptions::read(options),
            pointer::optional_out(version),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, options) = (collection?, key?, options?);
        let function = read.ok_or_else(|| Failure::invalid("`read` is NULL"))?;
        let mut source = Source { function, context, has_refused: false };
        let made = collection
            .run(|collection| Ok(collection.put_reader(key, source.by_ref(), options)?))
            .map_err(|failure| if source.has_refused { Failure::refused("read") } else { failure })?;
        if let Some(version) = version {
            version.write(made.into());
        }
        Ok(())
    })
}

/// Begins to put a record's value in parts, from 0 bytes to 1 TiB.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  options    borrowed; those of its publication, but a time to live begins now. NULL is the defaults.
/// @param[out] upload     owned: freed with strongroom_upload_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument, LimitExceeded for a key; NotFound for an index; Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_begin_upload(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    options: *const PutOptions,
    upload: *mut *mut Upload,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, options, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            PutOptions::read(options),
            pointer::out(upload, "upload"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, options, place) = (collection?, key?, options?, place?);
        let upload = collection.run(|collection| Ok(collection.begin_upload(key, options)?))?;
        place.write(handle::give(Mutex::new(Some(upload)), collection.health()?));
        Ok(())
    })
}

/// Goes on with an upload of this collection, in another process too: strongroom_upload_durable_bytes says from where in the
/// value.
///
/// @param[in]  collection borrowed.
/// @param[in]  id         borrowed; the 16 bytes that strongroom_upload_id gave.
/// @param[out] upload     owned: freed with strongroom_upload_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound where it was published, discarded, or not written for 24 hours; Busy while another handle of it lives;
///         those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_resume_upload(
    collection: *const Collection,
    id: *const u8,
    upload: *mut *mut Upload,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, id, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::bytes(id, 16, 16, "id"),
            pointer::out(upload, "upload"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, id, place) = (collection?, id?, place?);
        let id = <[u8; 16]>::try_from(id).map_err(|_| Failure::invalid("an id has 16 bytes"))?;
        let upload = collection.run(|collection| Ok(collection.resume_upload(id.into())?))?;
        place.write(handle::give(Mutex::new(Some(upload)), collection.health()?));
        Ok(())
    })
}

/// What strongroom_collection_resume_upload finds an upload by.
///
/// @param[in]  upload borrowed.
/// @param[out] id     borrowed; takes 16 bytes.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument where it is over; Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_id(
    upload: *const Upload,
    id: *mut u8,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, place, error) = unsafe {
        (
            handle::held(upload, "upload"),
            pointer::out(id.cast::<[u8; 16]>(), "id"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (upload, place) = (upload?, place?);
        place.write(upload.run(|upload| Ok(*going_on(&mut lock(upload))?.id().as_bytes()))?);
        Ok(())
    })
}

/// How many bytes from the beginning of the value are on the disk.
///
/// @param[in]  upload borrowed.
/// @param[out] bytes  the number.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument where it is over; Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_durable_bytes(
    upload: *const Upload,
    bytes: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, place, error) = unsafe {
        (handle::held(upload, "upload"), pointer::out(bytes, "bytes"), pointer::optional_out(error))
    };
    call(error, || {
        let (upload, place) = (upload?, place?);
        place.write(upload.run(|upload| Ok(going_on(&mut lock(upload))?.durable_bytes()))?);
        Ok(())
    })
}

/// Adds bytes to the value. They are durable 4 MiB at a time, and all of them after strongroom_upload_flush.
///
/// @param[in]  upload borrowed.
/// @param[in]  bytes  borrowed; 0 to 67,108,864 bytes.
/// @param[in]  size   their number.
/// @param[out] error  owned, or NULL: why it failed; after Io the upload has to be freed and resumed.
/// @return LimitExceeded beyond 1 TiB, or for more in one call; Io when the disk fails or is full; InvalidArgument where it is
///         over; Poisoned after an error, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_write(
    upload: *const Upload,
    bytes: *const u8,
    size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, bytes, error) = unsafe {
        (
            handle::held(upload, "upload"),
            pointer::bytes(bytes, size, PIECE_BYTES_MAX, "bytes"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (upload, bytes) = (upload?, bytes?);
        upload.run(|upload| {
            going_on(&mut lock(upload))?
                .write_all(bytes)
                .map_err(|error| strongroom::Error::from_io(error).into())
        })
    })
}

/// Makes all bytes durable that were written.
///
/// @param[in]  upload borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return as strongroom_upload_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_flush(upload: *const Upload, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, error) = unsafe { (handle::held(upload, "upload"), pointer::optional_out(error)) };
    call(error, || {
        upload?.run(|upload| {
            going_on(&mut lock(upload))?.flush().map_err(|error| strongroom::Error::from_io(error).into())
        })
    })
}

/// Makes the value the record's, in one change: all of it, or nothing. Durable when this returns, as
/// strongroom_collection_put, and under the conditions that the upload was begun with. The upload is over, whatever this
/// returns; after an error it can be resumed.
///
/// @param[in]  upload  borrowed; still to be freed.
/// @param[out] version the record's version; NULL if it is not wanted.
/// @param[out] error   owned, or NULL: why it failed.
/// @return as strongroom_collection_put; NotFound where the collection was dropped since; InvalidArgument where it is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_publish(
    upload: *const Upload,
    version: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, version, error) = unsafe {
        (handle::held(upload, "upload"), pointer::optional_out(version), pointer::optional_out(error))
    };
    call(error, || {
        let made = upload?.run(|upload| Ok(lock(upload).take().ok_or_else(is_over)?.publish()?))?;
        if let Some(version) = version {
            version.write(made.into());
        }
        Ok(())
    })
}

/// Gives an upload up: what there is of it is removed in the background.
///
/// @param[in]  upload borrowed; still to be freed.
/// @param[out] error  owned, or NULL: why it failed, and it is removed when its time is over.
/// @return InvalidArgument where it is over; Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_discard(upload: *const Upload, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (upload, error) = unsafe { (handle::held(upload, "upload"), pointer::optional_out(error)) };
    call(error, || upload?.run(|upload| Ok(lock(upload).take().ok_or_else(is_over)?.discard()?)))
}

/// Frees an upload's handle. One that was neither published nor discarded can be resumed.
///
/// @param[in] upload owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_upload_free(upload: *mut Upload) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(upload) });
}
