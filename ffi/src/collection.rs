//! Collections: put, get, and what is known of a record.

use std::ffi::c_char;
use std::ops::Bound;
use std::time::Duration;

use strongroom::limits::{INDEX_KEY_BYTES_MAX, INDEX_KEYS_MAX, RECORD_KEY_BYTES_MAX};
use strongroom::{Collection as EngineCollection, PutOptions as EnginePut};

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::config::durability;
use crate::error::{Error, Failure, Result, Status};
use crate::handle::{self, Handle, Resting};
use crate::library::init;
use crate::pointer::{self, Growing};
use crate::retention::erasure;
use crate::scan::{Scan, ScanOptions};

/// A collection of a tenant. May be used from any thread, by several at a time. Freed with strongroom_collection_free; the
/// tenant it came from may be freed before.
pub struct Collection {
    _opaque: [u8; 0],
}

impl Handle for Collection {
    type Value = EngineCollection;
    const TAG: u64 = u64::from_le_bytes(*b"sr.colle");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<EngineCollection> = Resting::new();
        &RESTING
    }
}

/// When a record was written, in the order of its tenant's batches: first by timeline, then by sequence; greater is later.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Version {
    /// Grows by one with each batch of the tenant.
    pub sequence: u64,
    /// Grows at each unclean open and accepted rollback.
    pub timeline: u32,
    /// Zero.
    pub reserved: u32,
}

impl From<strongroom::Version> for Version {
    fn from(version: strongroom::Version) -> Self {
        Self { sequence: version.sequence, timeline: version.timeline, reserved: 0 }
    }
}

impl From<Version> for strongroom::Version {
    fn from(version: Version) -> Self {
        Self { timeline: version.timeline, sequence: version.sequence }
    }
}

/// The put depends on nothing.
pub const STRONGROOM_CONDITION_NONE: u32 = 0;
/// The put is made only where there is no record of this key; else Conflict.
pub const STRONGROOM_CONDITION_ABSENT: u32 = 1;
/// The put is made only where the record has the version given; else Conflict.
pub const STRONGROOM_CONDITION_VERSION: u32 = 2;

/// What a put says besides key and value. Zero is the default everywhere. Set up with strongroom_put_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PutOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// A STRONGROOM_DURABILITY. A batch is as durable as its most durable put.
    pub durability: u32,
    /// A STRONGROOM_CONDITION; in a batch it is one of the whole batch.
    pub condition: u32,
    /// For STRONGROOM_CONDITION_VERSION.
    pub version: Version,
    /// Another time of writing than now, in milliseconds since the epoch: for imports. 0 is now.
    pub written_ms: u64,
    /// How long the record is kept after it is written, in milliseconds. 0: as the policy says.
    pub ttl_ms: u64,
    /// The same as a time, in milliseconds since the epoch; not both. 0: as the policy says.
    pub expires_ms: u64,
    /// Borrowed; whom the record is about, UTF-8 of 1 to 255 bytes. NULL: nobody.
    pub subject: *const c_char,
    /// Its length in bytes.
    pub subject_size: usize,
    /// Borrowed; all of the record's keys in indexes of its collection. NULL: none.
    pub index_keys: *const IndexKey,
    /// How many there are.
    pub index_key_count: usize,
    /// Whether the record gets a key of its own, whatever the policy says: a STRONGROOM_ERASURE.
    pub erasure: u32,
}

/// A record's key in an index.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IndexKey {
    /// Borrowed; the index's name, UTF-8.
    pub index: *const c_char,
    /// Its length in bytes.
    pub index_size: usize,
    /// Borrowed; 1 to 1,024 bytes.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_size: usize,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for PutOptions {
    const LEAST: usize = 56 + 4 * size_of::<usize>();
}

impl PutOptions {
    /// Reads the caller's options and what they point at.
    ///
    /// # Safety
    /// That of [`pointer::options`], of [`pointer::array`] for the keys, and of [`pointer::optional_bytes`] for each text.
    pub(crate) unsafe fn read(options: *const Self) -> Result<EnginePut> {
        // SAFETY: the caller promises what it demands.
        let given = unsafe { pointer::options(options, "options") }?;
        let mut options = given.plain()?;
        if !given.subject.is_null() || given.subject_size != 0 {
            // SAFETY: the caller promises what it demands.
            let subject = unsafe { pointer::name(given.subject.cast(), given.subject_size, "subject") }?;
            options = options.subject(subject);
        }
        // SAFETY: the caller promises what it demands.
        let keys =
            unsafe { pointer::array(given.index_keys, given.index_key_count, INDEX_KEYS_MAX, "index_keys") }?;
        for key in keys {
            // SAFETY: the caller promises what it demands, of each.
            let (index, key) = unsafe {
                (
                    pointer::name(key.index.cast(), key.index_size, "index")?,
                    pointer::bytes(key.key, key.key_size, INDEX_KEY_BYTES_MAX, "key of an index")?,
                )
            };
            options = options.index(index, key);
        }
        Ok(options)
    }

    /// What needs no pointer.
    fn plain(&self) -> Result<EnginePut> {
        let mut options = match self.condition {
            STRONGROOM_CONDITION_NONE => EnginePut::new(),
            STRONGROOM_CONDITION_ABSENT => EnginePut::new().if_absent(),
            STRONGROOM_CONDITION_VERSION => EnginePut::new().if_version(self.version.into()),
            other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_CONDITION"))),
        };
        if let Some(durability) = durability(self.durability)? {
            options = options.durability(durability);
        }
        if let Some(erasure) = erasure(self.erasure)? {
            options = options.erasure(erasure);
        }
        if self.written_ms != 0 {
            options = options.written_ms(self.written_ms);
        }
        match (self.ttl_ms, self.expires_ms) {
            (0, 0) => Ok(options),
            (ttl_ms, 0) => Ok(options.ttl(Duration::from_millis(ttl_ms))),
            (0, expires_ms) => Ok(options.expires_ms(expires_ms)),
            _ => Err(Failure::invalid("give `ttl_ms` or `expires_ms`, not both")),
        }
    }
}

/// What is known of a record without its value. Set up with strongroom_record_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RecordInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// When it was written, in the order of its tenant's batches.
    pub version: Version,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: u64,
    /// When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
    pub expires_ms: u64,
    /// Length of its value in bytes.
    pub value_size: u64,
    /// 1: there is such a record. 0: there is none, and the rest is zero.
    pub exists: u32,
}

/// A time that does not come.
pub const STRONGROOM_NEVER: u64 = u64::MAX;

/// The header's STRONGROOM_ABSENT.
pub(crate) const ABSENT: usize = usize::MAX;

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for RecordInfo {
    const LEAST: usize = 56;
}

impl RecordInfo {
    pub(crate) fn of(known: Option<strongroom::RecordInfo>) -> Self {
        let Some(known) = known else { return Self::initial() };
        Self {
            version: known.version.into(),
            written_ms: known.written_ms,
            expires_ms: known.expires_ms.unwrap_or(STRONGROOM_NEVER),
            value_size: known.value_bytes,
            exists: 1,
            ..Self::initial()
        }
    }
}

/// Frees a collection's handle.
///
/// @param[in] collection owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_free(collection: *mut Collection) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(collection) });
}

/// The collection's name.
///
/// @param[in]  collection borrowed.
/// @param[out] name       borrowed from the collection until it is freed; UTF-8, not NUL-terminated.
/// @param[out] name_size  its length in bytes.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_name(
    collection: *const Collection,
    name: *mut *const c_char,
    name_size: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, name, name_size, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::out(name, "name"),
            pointer::out(name_size, "name_size"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, name, name_size) = (collection?, name?, name_size?);
        collection.run(|collection| {
            name.write(collection.name().as_ptr().cast());
            name_size.write(collection.name().len());
            Ok(())
        })
    })
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_put_options_init(options: *mut PutOptions, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

/// Puts a record, over what is there. Durable when this returns, unless the store or the options say otherwise.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  value      borrowed; 0 to 1,048,576 bytes of anything. An empty value is any pointer but NULL.
/// @param[in]  value_size its length in bytes.
/// @param[in]  options    borrowed; NULL is the defaults.
/// @param[out] version    the record's version; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument and LimitExceeded against these bounds; Conflict where the condition does not hold; Io when the
///         disk fails or is full, and then the record may still be there after the next open; Poisoned after a failed sync or
///         when the store was closed; Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_put(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    options: *const PutOptions,
    version: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, value, options, version, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::record_value(value, value_size),
            PutOptions::read(options),
            pointer::optional_out(version),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, value, options) = (collection?, key?, value?, options?);
        let made = collection.run(|collection| Ok(collection.put_with(key, value, options)?))?;
        if let Some(version) = version {
            version.write(made.into());
        }
        Ok(())
    })
}

/// Gets a record's value.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] value      owned: freed with strongroom_buffer_free; NULL where there is no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return Unauthentic or Corrupted for a damaged record, never a wrong value; KeyMissing where the key store has lost its
///         key; KeyUnavailable from the key provider; InvalidArgument, LimitExceeded, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
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
        let value = collection.run(|collection| Ok(collection.get(key)?))?;
        place.write(value.map_or(std::ptr::null_mut(), |value| boxed::give::<Buffer>(Bytes::Value(value))));
        Ok(())
    })
}

/// Gets a record's value into memory of the caller's, who wipes it.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] buffer     borrowed; where the value is copied to. NULL where the capacity is 0.
/// @param[in]  capacity   how much fits there, in bytes.
/// @param[out] value_size the value's length in bytes. Where it is over the capacity nothing was copied: call again with
///                        more. STRONGROOM_ABSENT where there is no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_into(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    buffer: *mut u8,
    capacity: usize,
    value_size: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, space, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::space(buffer, capacity),
            pointer::out(value_size, "value_size"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, space, place) = (collection?, key?, space?, place?);
        let value = collection.run(|collection| Ok(collection.get(key)?))?;
        let Some(value) = value else {
            place.write(ABSENT);
            return Ok(());
        };
        if let Some(space) = space.get_mut(..value.len()) {
            space.write_copy_of_slice(&value);
        }
        place.write(value.len());
        Ok(())
    })
}

/// Sets up a record's info.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_record_info_init(info: *mut RecordInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// What is known of a record. Its value is not opened.
///
/// @param[in]     collection borrowed.
/// @param[in]     key        borrowed; 1 to 4,096 bytes.
/// @param[in]     key_size   its length in bytes.
/// @param[in,out] info       borrowed; set up before.
/// @param[out]    error      owned, or NULL: why it failed.
/// @return Unauthentic or Corrupted where the file is damaged there; InvalidArgument, LimitExceeded, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_info(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    info: *mut RecordInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::growing_out(info, "info"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, place) = (collection?, key?, place?);
        let known = collection.run(|collection| Ok(collection.info(key)?))?;
        place.write(&RecordInfo::of(known));
        Ok(())
    })
}

/// Begins a scan: the records as they are now, which later writes do not change.
///
/// @param[in]  collection borrowed.
/// @param[in]  options    borrowed; NULL is the whole collection, ascending.
/// @param[out] scan       owned: freed with strongroom_scan_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument, LimitExceeded for the options; Unauthentic or Corrupted where the file is damaged; Poisoned,
///         Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_scan(
    collection: *const Collection,
    options: *const ScanOptions,
    scan: *mut *mut Scan,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, options, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            ScanOptions::read(options),
            pointer::out(scan, "scan"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, options, place) = (collection?, options?, place?);
        let scan = collection.run(|collection| Ok(collection.scan_with(options)?))?;
        place.write(Scan::give(scan, collection.health()?));
        Ok(())
    })
}

/// Erases a record: gone at once, for scans under way too, durable when this returns. What is left of it in the bytes of
/// files goes with the next rewrite.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] existed    whether there was such a record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument, LimitExceeded for a key; Io, Poisoned, Forked as strongroom_collection_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_erase(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, existed, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key) = (collection?, key?);
        let did = collection.run(|collection| Ok(collection.erase(key)?))?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}

/// Erases a record, if it still has this version.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; the version it must have.
/// @param[out] error      owned, or NULL: why it failed.
/// @return Conflict where it has another one, or is not there; else as strongroom_collection_erase.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_erase_if_version(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, version, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, version) = (collection?, key?, version?);
        let version = version.ok_or_else(|| Failure::invalid("`version` is NULL"))?;
        collection.run(|collection| Ok(collection.erase_if_version(key, version.into())?)).map(|_| ())
    })
}

/// Erases the records of a range. In batches, each durable, so that it may hold any number: an error leaves what was erased
/// before it erased, and the same call goes on. A record that is put meanwhile may stay.
///
/// @param[in]  collection borrowed.
/// @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
/// @param[in]  from_size  its length in bytes.
/// @param[in]  to         borrowed; keys before this one. NULL: to the last one.
/// @param[in]  to_size    its length in bytes.
/// @param[out] erased     how many there were; NULL if it is not wanted.
/// @param[out] held       how many stay, because a hold covers them or the policy's minimum keeps them; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_erase, and those of reading: Unauthentic, Corrupted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_erase_range(
    collection: *const Collection,
    from: *const u8,
    from_size: usize,
    to: *const u8,
    to_size: usize,
    erased: *mut u64,
    held: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, from, to, erased, held, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::optional_bytes(from, from_size, RECORD_KEY_BYTES_MAX, "from"),
            pointer::optional_bytes(to, to_size, RECORD_KEY_BYTES_MAX, "to"),
            pointer::optional_out(erased),
            pointer::optional_out(held),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, from, to) = (collection?, from?, to?);
        let range =
            (from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded));
        let report = collection.run(|collection| Ok(collection.erase_range::<&[u8]>(range)?))?;
        if let Some(erased) = erased {
            erased.write(report.records);
        }
        if let Some(held) = held {
            held.write(report.held);
        }
        Ok(())
    })
}

/// Erases the records whose keys begin with a prefix, as strongroom_collection_erase_range does.
///
/// @param[in]  collection  borrowed.
/// @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and erases all.
/// @param[in]  prefix_size its length in bytes.
/// @param[out] erased      how many there were; NULL if it is not wanted.
/// @param[out] held        how many stay, as strongroom_collection_erase_range says; NULL if it is not wanted.
/// @param[out] error       owned, or NULL: why it failed.
/// @return as strongroom_collection_erase_range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_erase_prefix(
    collection: *const Collection,
    prefix: *const u8,
    prefix_size: usize,
    erased: *mut u64,
    held: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, prefix, erased, held, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::bytes(prefix, prefix_size, RECORD_KEY_BYTES_MAX, "prefix"),
            pointer::optional_out(erased),
            pointer::optional_out(held),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, prefix) = (collection?, prefix?);
        let report = collection.run(|collection| Ok(collection.erase_prefix(prefix)?))?;
        if let Some(erased) = erased {
            erased.write(report.records);
        }
        if let Some(held) = held {
            held.write(report.held);
        }
        Ok(())
    })
}

/// How many records a scan would give. No value is opened; it reads every one of them.
///
/// @param[in]  collection borrowed.
/// @param[in]  options    borrowed; NULL is the whole collection.
/// @param[out] count      the number.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_scan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_count(
    collection: *const Collection,
    options: *const ScanOptions,
    count: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, options, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            ScanOptions::read(options),
            pointer::out(count, "count"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, options, place) = (collection?, options?, place?);
        place.write(collection.run(|collection| Ok(collection.count(options)?))?);
        Ok(())
    })
}
