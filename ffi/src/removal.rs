//! Removed records: they can be restored until their window is over.

use std::ops::Bound;

use strongroom::RemovedRecord;
use strongroom::limits::RECORD_KEY_BYTES_MAX;

use crate::batch::Batch;
use crate::boxed::{self, Boxed};
use crate::buffer::{Buffer, Bytes};
use crate::call::call;
use crate::collection::{Collection, STRONGROOM_NEVER, Version};
use crate::error::{Error, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::scan::ScanOptions;

/// What is known of a removed record: as before it was removed, and as it is once it is restored. Its key is borrowed from the
/// list. Set up with strongroom_removed_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RemovedInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its key.
    pub key: *const u8,
    /// Length of its key in bytes.
    pub key_size: usize,
    /// Its version.
    pub version: Version,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: u64,
    /// When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
    pub expires_ms: u64,
    /// Length of its value in bytes.
    pub value_size: u64,
    /// When it was removed, in milliseconds since the epoch.
    pub removed_ms: u64,
    /// When it is erased for good, in milliseconds since the epoch: from then on it can't be restored.
    pub erased_from_ms: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for RemovedInfo {
    const LEAST: usize = 3 * size_of::<usize>() + 56;
}

impl Row for RemovedInfo {
    type Known = RemovedRecord;
    fn of(record: &Self::Known) -> Self {
        Self {
            key: record.key.as_ptr(),
            key_size: record.key.len(),
            version: record.info.version.into(),
            written_ms: record.info.written_ms,
            expires_ms: record.info.expires_ms.unwrap_or(STRONGROOM_NEVER),
            value_size: record.info.value_bytes,
            removed_ms: record.removed_ms,
            erased_from_ms: record.erased_from_ms,
            ..Self::initial()
        }
    }
}

/// Sets up what a list of removed records fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_removed_info_init(info: *mut RemovedInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of removed records.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_removed(
    list: *const List,
    index: usize,
    info: *mut RemovedInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// Removes a record: readers do not find it any more, and it can be restored until its removal window is over (30 days unless
/// the policy says otherwise), or it expires; then the sweep erases it. Its keys in indexes are free meanwhile; for quotas it
/// counts. Durable when this returns.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; the version it must have, else Conflict. NULL: any, or no such record.
/// @param[out] existed    whether there was such a record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return Conflict where it has another version, or is not there; InvalidArgument, LimitExceeded for a key; those of
///         reading: Unauthentic, Corrupted; Io, Poisoned, Forked as strongroom_collection_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_remove(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, version, existed, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, version) = (collection?, key?, version?);
        let did = collection.run(|collection| {
            Ok(match version {
                Some(version) => collection.remove_if_version(key, version.into()).map(|_| true)?,
                None => collection.remove(key)?,
            })
        })?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}

/// Removes the records of a range, in batches, as strongroom_collection_erase_range erases them.
///
/// @param[in]  collection borrowed.
/// @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
/// @param[in]  from_size  its length in bytes.
/// @param[in]  to         borrowed; keys before this one. NULL: to the last one.
/// @param[in]  to_size    its length in bytes.
/// @param[out] removed    how many there were; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_remove_range(
    collection: *const Collection,
    from: *const u8,
    from_size: usize,
    to: *const u8,
    to_size: usize,
    removed: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, from, to, removed, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::optional_bytes(from, from_size, RECORD_KEY_BYTES_MAX, "from"),
            pointer::optional_bytes(to, to_size, RECORD_KEY_BYTES_MAX, "to"),
            pointer::optional_out(removed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, from, to) = (collection?, from?, to?);
        let range =
            (from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded));
        let count = collection.run(|collection| Ok(collection.remove_range::<&[u8]>(range)?))?;
        if let Some(removed) = removed {
            removed.write(count);
        }
        Ok(())
    })
}

/// Removes the records whose keys begin with a prefix, as strongroom_collection_remove_range does.
///
/// @param[in]  collection  borrowed.
/// @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and removes all.
/// @param[in]  prefix_size its length in bytes.
/// @param[out] removed     how many there were; NULL if it is not wanted.
/// @param[out] error       owned, or NULL: why it failed.
/// @return as strongroom_collection_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_remove_prefix(
    collection: *const Collection,
    prefix: *const u8,
    prefix_size: usize,
    removed: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, prefix, removed, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::bytes(prefix, prefix_size, RECORD_KEY_BYTES_MAX, "prefix"),
            pointer::optional_out(removed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, prefix) = (collection?, prefix?);
        let count = collection.run(|collection| Ok(collection.remove_prefix(prefix)?))?;
        if let Some(removed) = removed {
            removed.write(count);
        }
        Ok(())
    })
}

/// Restores a removed record: it is back as it was, with its value, times, version and keys in indexes. Durable when this
/// returns.
///
/// @param[in]  collection borrowed.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; of which version, where several of one key were removed. NULL: the one removed last.
/// @param[out] existed    whether there was such a removed record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return Conflict where there is a record of the key by now, or another one has one of its unique keys; else as
///         strongroom_collection_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_restore(
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, key, version, existed, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, key, version) = (collection?, key?, version?);
        let did = collection.run(|collection| {
            Ok(match version {
                Some(version) => collection.restore_version(key, version.into())?,
                None => collection.restore(key)?,
            })
        })?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}

/// Restores of each key in a range the record that was removed last, in batches, as strongroom_collection_erase_range erases
/// them. Where the key is taken, or a unique key, it stays removed.
///
/// @param[in]  collection borrowed.
/// @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
/// @param[in]  from_size  its length in bytes.
/// @param[in]  to         borrowed; keys before this one. NULL: to the last one.
/// @param[in]  to_size    its length in bytes.
/// @param[out] restored   how many; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_restore_range(
    collection: *const Collection,
    from: *const u8,
    from_size: usize,
    to: *const u8,
    to_size: usize,
    restored: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, from, to, restored, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::optional_bytes(from, from_size, RECORD_KEY_BYTES_MAX, "from"),
            pointer::optional_bytes(to, to_size, RECORD_KEY_BYTES_MAX, "to"),
            pointer::optional_out(restored),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, from, to) = (collection?, from?, to?);
        let range =
            (from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded));
        let count = collection.run(|collection| Ok(collection.restore_range::<&[u8]>(range)?))?;
        if let Some(restored) = restored {
            restored.write(count);
        }
        Ok(())
    })
}

/// Restores of each key that begins with a prefix the record that was removed last. Where the key is taken, or a unique key, it
/// stays removed.
///
/// @param[in]  collection  borrowed.
/// @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and restores all.
/// @param[in]  prefix_size its length in bytes.
/// @param[out] restored    how many; NULL if it is not wanted.
/// @param[out] error       owned, or NULL: why it failed.
/// @return as strongroom_collection_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_restore_prefix(
    collection: *const Collection,
    prefix: *const u8,
    prefix_size: usize,
    restored: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, prefix, restored, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::bytes(prefix, prefix_size, RECORD_KEY_BYTES_MAX, "prefix"),
            pointer::optional_out(restored),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, prefix) = (collection?, prefix?);
        let count = collection.run(|collection| Ok(collection.restore_prefix(prefix)?))?;
        if let Some(restored) = restored {
            restored.write(count);
        }
        Ok(())
    })
}

/// The removed records that can be restored, in the order of their keys and, of one key, of their versions: a page of them. No
/// value is opened.
///
/// @param[in]  collection borrowed.
/// @param[in]  options    borrowed; give a limit, or all of them are in the list. NULL is all, ascending.
/// @param[out] list       owned: freed with strongroom_list_free.
/// @param[out] cursor     owned: where the next page begins, for `after`, freed with strongroom_buffer_free; NULL where nothing
///                        comes behind this one. NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_collection_scan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_removed(
    collection: *const Collection,
    options: *const ScanOptions,
    list: *mut *mut List,
    cursor: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, options, place, cursor, error) = unsafe {
        (
            handle::held(collection, "collection"),
            ScanOptions::read(options),
            pointer::out(list, "list"),
            pointer::optional_out(cursor),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, options, place) = (collection?, options?, place?);
        let (records, next) = collection.run(|collection| {
            let mut scan = collection.removed(options)?;
            let records = scan.by_ref().collect::<strongroom::Result<Vec<_>>>()?;
            Ok((records, scan.cursor()?))
        })?;
        if let Some(cursor) = cursor {
            let next = next.map(|cursor| boxed::give::<Buffer>(Bytes::Cursor(cursor)));
            cursor.write(next.unwrap_or(std::ptr::null_mut()));
        }
        place.write(List::give::<RemovedInfo>(records));
        Ok(())
    })
}

/// Adds the removal of a record to a batch, as strongroom_collection_remove. What is removed is what is there now: where it is
/// changed until the batch is made, that gives Conflict.
///
/// @param[in]  batch      borrowed.
/// @param[in]  collection borrowed; of the batch's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; the version it must have. NULL: any, or no such record.
/// @param[out] existed    whether there is such a record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed, and the batch is as before.
/// @return as strongroom_collection_remove; InvalidArgument for a record that this batch puts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_remove(
    batch: *const Batch,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, collection, key, version, existed, error) = unsafe {
        (
            handle::held(batch, "batch"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (batch, collection, key, version) = (batch?, collection?, key?, version?);
        let did = batch.run(|batch| {
            collection.run(|collection| {
                let mut batch = batch.lock();
                Ok(match version {
                    Some(version) => {
                        batch.remove_if_version(collection, key, version.into()).map(|()| true)?
                    }
                    None => batch.remove(collection, key)?,
                })
            })
        })?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}

/// Adds the restoration of a removed record to a batch, as strongroom_collection_restore.
///
/// @param[in]  batch      borrowed.
/// @param[in]  collection borrowed; of the batch's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  version    borrowed; of which version. NULL: the one removed last.
/// @param[out] existed    whether there is such a removed record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed, and the batch is as before.
/// @return as strongroom_batch_remove.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_batch_restore(
    batch: *const Batch,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    version: *const Version,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (batch, collection, key, version, existed, error) = unsafe {
        (
            handle::held(batch, "batch"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_value(version, "version"),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (batch, collection, key, version) = (batch?, collection?, key?, version?);
        let did = batch.run(|batch| {
            collection.run(|collection| {
                let mut batch = batch.lock();
                Ok(match version {
                    Some(version) => batch.restore_version(collection, key, version.into())?,
                    None => batch.restore(collection, key)?,
                })
            })
        })?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}
