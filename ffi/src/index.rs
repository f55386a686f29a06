//! Indexes of a collection, and finding records by their keys in them.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

use strongroom::limits::INDEX_KEY_BYTES_MAX;
use strongroom::{Error as EngineError, Index};

use crate::boxed::{self, Boxed, Named};
use crate::call::call;
use crate::collection::Collection;
use crate::engine::{Progress, progress as as_called};
use crate::error::{Error, Failure, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::scan::{Entry, Scan, ScanOptions};

/// Any number of records have a key.
pub const STRONGROOM_INDEX_ORDERED: u32 = 0;
/// At most one record has a key; a second one is refused with Conflict.
pub const STRONGROOM_INDEX_UNIQUE: u32 = 1;

/// What is known of an index. Its name is borrowed from the list, UTF-8, not NUL-terminated. Set up with
/// strongroom_index_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IndexInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
    /// When it was declared, in milliseconds since the epoch.
    pub created_ms: u64,
    /// A STRONGROOM_INDEX.
    pub kind: u32,
    /// 1: it can be searched. 0: records were there before it, and it has to be built.
    pub is_ready: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for IndexInfo {
    const LEAST: usize = 3 * size_of::<usize>() + 16;
}

impl Row for IndexInfo {
    type Known = strongroom::IndexInfo;
    fn of(row: &Self::Known) -> Self {
        Self {
            name: row.name.as_ptr().cast(),
            name_size: row.name.len(),
            created_ms: row.created_ms,
            kind: if row.index.is_unique() { STRONGROOM_INDEX_UNIQUE } else { STRONGROOM_INDEX_ORDERED },
            is_ready: u32::from(row.is_ready),
            ..Self::initial()
        }
    }
}

/// Sets up what a list of indexes fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_index_info_init(info: *mut IndexInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of indexes.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_index(
    list: *const List,
    index: usize,
    info: *mut IndexInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// Declares an index: from then on puts may give records keys in it. In a collection that has no records it can be searched
/// at once. Where the same is declared already, nothing is done. The collection is created if need be. Durable when this
/// returns.
///
/// @param[in]  collection borrowed.
/// @param[in]  name       borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
/// @param[in]  name_size  its length in bytes.
/// @param[in]  kind       a STRONGROOM_INDEX.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument; AlreadyExists where one of another kind has the name; LimitExceeded beyond 32 indexes; Io,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_declare_index(
    collection: *const Collection,
    name: *const c_char,
    name_size: usize,
    kind: u32,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, name, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, name) = (collection?, name?);
        let index = match kind {
            STRONGROOM_INDEX_ORDERED => Index::ordered(),
            STRONGROOM_INDEX_UNIQUE => Index::unique(),
            other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_INDEX"))),
        };
        collection.run(|collection| Ok(collection.declare_index(name, index)?))
    })
}

/// Takes the keys of one record, while an index is built: borrowed by strongroom_index_keys for the time of its call.
pub struct KeySink {
    _opaque: [u8; 0],
}

impl Named for KeySink {
    type Value = Mutex<Vec<Vec<u8>>>;
    const TAG: u64 = u64::from_le_bytes(*b"sr.sink\0");
}

/// Gives the keys of a record in an index by strongroom_key_sink_add, none or several. The entry is borrowed for the time of
/// the call. Gives false to end the building. Called on the thread of the call; it must return, and must not throw.
pub type IndexKeys =
    Option<unsafe extern "C" fn(context: *mut c_void, entry: *const Entry, sink: *mut KeySink) -> bool>;

/// Adds a key of the record that strongroom_index_keys is called with.
///
/// @param[in]  sink     borrowed; what strongroom_index_keys was given.
/// @param[in]  key      borrowed; 1 to 1,024 bytes.
/// @param[in]  key_size its length in bytes.
/// @param[out] error    owned, or NULL: why it failed.
/// @return InvalidArgument, LimitExceeded for a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_key_sink_add(
    sink: *mut KeySink,
    key: *const u8,
    key_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (sink, key, error) = unsafe {
        (
            Boxed::of(sink.cast_const(), "sink"),
            pointer::bytes(key, key_size, INDEX_KEY_BYTES_MAX, "key"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        sink?.lock().unwrap_or_else(PoisonError::into_inner).push(key?.to_vec());
        Ok(())
    })
}

/// Builds an index that was declared where records were already: gives each of them its keys, and then the index can be
/// searched. Readers and writers go on. Interrupted, it can be begun again.
///
/// @param[in]  collection borrowed.
/// @param[in]  name       borrowed; the index's name.
/// @param[in]  name_size  its length in bytes.
/// @param[in]  keys       called for each record.
/// @param[in]  progress   called now and then with the number of records looked at since; NULL is fine.
/// @param[in]  context    borrowed for the time of the call; given to keys and progress.
/// @param[out] built      how many records got keys; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound where no such index is declared; Conflict where two records have one key in a unique index; Cancelled
///         where keys gives false; those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io;
///         InvalidArgument, LimitExceeded, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_build_index(
    collection: *const Collection,
    name: *const c_char,
    name_size: usize,
    keys: IndexKeys,
    progress: Progress,
    context: *mut c_void,
    built: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, name, built, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(built),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, name) = (collection?, name?);
        let function = keys.ok_or_else(|| Failure::invalid("`keys` is NULL"))?;
        let mut has_refused = false;
        let mut keys_of = |entry: &strongroom::Entry| {
            let sink = boxed::give::<KeySink>(Mutex::default());
            // SAFETY: the header asks the application for a function that takes this; both live until it returns.
            let goes_on = unsafe { function(context, &Entry::of(entry), sink) };
            // SAFETY: it was given just now, and the application only borrowed it.
            let sink = unsafe { Boxed::take(sink) };
            has_refused |= !goes_on;
            match sink {
                Some(sink) if goes_on => {
                    Ok((*sink).into_value().into_inner().unwrap_or_else(PoisonError::into_inner))
                }
                _ => Err(EngineError::from_io(std::io::Error::other("the application's function"))),
            }
        };
        let (mut seen, mut tell) = (0, as_called(progress, context));
        let mut report = |looked_at: u64| tell(looked_at - std::mem::replace(&mut seen, looked_at));
        let done = collection
            .run(|collection| Ok(collection.build_index(name, &mut keys_of, &mut report)?))
            .map_err(|failure| if has_refused { Failure::refused("keys") } else { failure })?;
        if let Some(built) = built {
            built.write(done);
        }
        Ok(())
    })
}

/// Drops an index: it is gone at once, its bytes with the next checkpoint. Records stay as they are.
///
/// @param[in]  collection borrowed.
/// @param[in]  name       borrowed; the index's name.
/// @param[in]  name_size  its length in bytes.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_drop_index(
    collection: *const Collection,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, name, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, name) = (collection?, name?);
        collection.run(|collection| Ok(collection.drop_index(name)?))
    })
}

/// The indexes that are declared, ordered by name.
///
/// @param[in]  collection borrowed.
/// @param[out] list       owned: freed with strongroom_list_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_indexes(
    collection: *const Collection,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, place, error) = unsafe {
        (handle::held(collection, "collection"), pointer::out(list, "list"), pointer::optional_out(error))
    };
    call(error, || {
        let (collection, place) = (collection?, place?);
        let indexes = collection.run(|collection| Ok(collection.indexes()?))?;
        place.write(List::give::<IndexInfo>(indexes));
        Ok(())
    })
}

/// Finds the records that have a key in an index, in the order of their own keys: at most one where the index is unique.
///
/// @param[in]  collection borrowed.
/// @param[in]  index      borrowed; the index's name.
/// @param[in]  index_size its length in bytes.
/// @param[in]  key        borrowed; the key in the index.
/// @param[in]  key_size   its length in bytes.
/// @param[out] scan       owned: freed with strongroom_scan_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound where no such index is declared; Unavailable where it is not built yet; else as
///         strongroom_collection_scan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_find(
    collection: *const Collection,
    index: *const c_char,
    index_size: usize,
    key: *const u8,
    key_size: usize,
    scan: *mut *mut Scan,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, index, key, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::name(index.cast(), index_size, "index"),
            pointer::bytes(key, key_size, INDEX_KEY_BYTES_MAX, "key"),
            pointer::out(scan, "scan"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, index, key, place) = (collection?, index?, key?, place?);
        let scan = collection.run(|collection| Ok(collection.find(index, key)?))?;
        place.write(Scan::give(scan, collection.health()?));
        Ok(())
    })
}

/// The records whose keys in an index lie in a range, in the order of these keys, and then of their own. A record with
/// several such keys comes several times.
///
/// @param[in]  collection borrowed.
/// @param[in]  index      borrowed; the index's name.
/// @param[in]  index_size its length in bytes.
/// @param[in]  options    borrowed; range and prefix of keys in the index. NULL is the whole index, ascending.
/// @param[out] scan       owned: freed with strongroom_scan_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_find_range(
    collection: *const Collection,
    index: *const c_char,
    index_size: usize,
    options: *const ScanOptions,
    scan: *mut *mut Scan,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, index, options, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::name(index.cast(), index_size, "index"),
            ScanOptions::read(options),
            pointer::out(scan, "scan"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, index, options, place) = (collection?, index?, options?, place?);
        let scan = collection.run(|collection| Ok(collection.find_range(index, options)?))?;
        place.write(Scan::give(scan, collection.health()?));
        Ok(())
    })
}
