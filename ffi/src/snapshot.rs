//! A moment of a tenant, for reads over several collections.

use strongroom::Snapshot as EngineSnapshot;

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::collection::{Collection, RecordInfo, Version};
use crate::error::{Error, Status};
use crate::handle::{self, Handle, Resting};
use crate::list::{CollectionInfo, List};
use crate::pointer;
use crate::scan::{Scan, ScanOptions};
use crate::stream::Reader;

/// The records of a tenant at one moment, over all of its collections: of a batch it shows all or nothing, and nothing of
/// what was written since, but what was erased since is gone. May be used from any thread, by several at a time. Freed with
/// strongroom_snapshot_free, soon: while it lives the tenant keeps what it shows.
pub struct Snapshot {
    _opaque: [u8; 0],
}

impl Handle for Snapshot {
    type Value = EngineSnapshot;
    const TAG: u64 = u64::from_le_bytes(*b"sr.snaps");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<EngineSnapshot> = Resting::new();
        &RESTING
    }
}

/// Frees a snapshot.
///
/// @param[in] snapshot owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_free(snapshot: *mut Snapshot) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(snapshot) });
}

/// The version of the last batch that a snapshot shows; all zero before the first.
///
/// @param[in]  snapshot borrowed.
/// @param[out] version  the version.
/// @param[out] error    owned, or NULL: why it failed.
/// @return SnapshotExpired where the tenant's file failed and was opened anew since; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_version(
    snapshot: *const Snapshot,
    version: *mut Version,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, place, error) = unsafe {
        (handle::held(snapshot, "snapshot"), pointer::out(version, "version"), pointer::optional_out(error))
    };
    call(error, || {
        let (snapshot, place) = (snapshot?, place?);
        place.write(snapshot.run(|snapshot| Ok(snapshot.version()?))?.into());
        Ok(())
    })
}

/// The collections there were, ordered by name.
///
/// @param[in]  snapshot borrowed.
/// @param[out] list     owned: freed with strongroom_list_free.
/// @param[out] error    owned, or NULL: why it failed.
/// @return as strongroom_snapshot_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_collections(
    snapshot: *const Snapshot,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, place, error) = unsafe {
        (handle::held(snapshot, "snapshot"), pointer::out(list, "list"), pointer::optional_out(error))
    };
    call(error, || {
        let (snapshot, place) = (snapshot?, place?);
        let collections = snapshot.run(|snapshot| Ok(snapshot.collections()?))?;
        place.write(List::give::<CollectionInfo>(collections));
        Ok(())
    })
}

/// Gets a record's value as it was.
///
/// @param[in]  snapshot   borrowed.
/// @param[in]  collection borrowed; of the snapshot's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] value      owned: freed with strongroom_buffer_free; NULL where there was no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return SnapshotExpired where the tenant's file failed and was opened anew since, or too much was erased; else as
///         strongroom_collection_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_get(
    snapshot: *const Snapshot,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    value: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, collection, key, place, error) = unsafe {
        (
            handle::held(snapshot, "snapshot"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::out(value, "value"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (snapshot, collection, key, place) = (snapshot?, collection?, key?, place?);
        let value =
            snapshot.run(|snapshot| collection.run(|collection| Ok(snapshot.get(collection, key)?)))?;
        place.write(value.map_or(std::ptr::null_mut(), |value| boxed::give::<Buffer>(Bytes::Value(value))));
        Ok(())
    })
}

/// Begins to read a record's value as it was as a stream.
///
/// @param[in]  snapshot   borrowed.
/// @param[in]  collection borrowed; of the snapshot's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] reader     owned: freed with strongroom_reader_free; NULL where there was no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_snapshot_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_get_reader(
    snapshot: *const Snapshot,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    reader: *mut *mut Reader,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, collection, key, place, error) = unsafe {
        (
            handle::held(snapshot, "snapshot"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::out(reader, "reader"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (snapshot, collection, key, place) = (snapshot?, collection?, key?, place?);
        let reader = snapshot
            .run(|snapshot| collection.run(|collection| Ok(snapshot.get_reader(collection, key)?)))?;
        place.write(Reader::give(reader, snapshot.health()?));
        Ok(())
    })
}

/// What is known of a record as it was. Its value is not opened.
///
/// @param[in]     snapshot   borrowed.
/// @param[in]     collection borrowed; of the snapshot's tenant.
/// @param[in]     key        borrowed; 1 to 4,096 bytes.
/// @param[in]     key_size   its length in bytes.
/// @param[in,out] info       borrowed; set up before.
/// @param[out]    error      owned, or NULL: why it failed.
/// @return as strongroom_snapshot_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_get_info(
    snapshot: *const Snapshot,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    info: *mut RecordInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, collection, key, place, error) = unsafe {
        (
            handle::held(snapshot, "snapshot"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::growing_out(info, "info"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (snapshot, collection, key, place) = (snapshot?, collection?, key?, place?);
        let known =
            snapshot.run(|snapshot| collection.run(|collection| Ok(snapshot.info(collection, key)?)))?;
        place.write(&RecordInfo::of(known));
        Ok(())
    })
}

/// Begins a scan of what a snapshot shows. The snapshot may be freed before the scan.
///
/// @param[in]  snapshot   borrowed.
/// @param[in]  collection borrowed; of the snapshot's tenant.
/// @param[in]  options    borrowed; NULL is the whole collection, ascending.
/// @param[out] scan       owned: freed with strongroom_scan_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_snapshot_get and strongroom_collection_scan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_scan(
    snapshot: *const Snapshot,
    collection: *const Collection,
    options: *const ScanOptions,
    scan: *mut *mut Scan,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, collection, options, place, error) = unsafe {
        (
            handle::held(snapshot, "snapshot"),
            handle::held(collection, "collection"),
            ScanOptions::read(options),
            pointer::out(scan, "scan"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (snapshot, collection, options, place) = (snapshot?, collection?, options?, place?);
        let scan =
            snapshot.run(|snapshot| collection.run(|collection| Ok(snapshot.scan(collection, options)?)))?;
        place.write(Scan::give(scan, snapshot.health()?));
        Ok(())
    })
}

/// How many records a scan of what a snapshot shows would give.
///
/// @param[in]  snapshot   borrowed.
/// @param[in]  collection borrowed; of the snapshot's tenant.
/// @param[in]  options    borrowed; NULL is the whole collection.
/// @param[out] count      the number.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_snapshot_scan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_snapshot_count(
    snapshot: *const Snapshot,
    collection: *const Collection,
    options: *const ScanOptions,
    count: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (snapshot, collection, options, place, error) = unsafe {
        (
            handle::held(snapshot, "snapshot"),
            handle::held(collection, "collection"),
            ScanOptions::read(options),
            pointer::out(count, "count"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (snapshot, collection, options, place) = (snapshot?, collection?, options?, place?);
        let count =
            snapshot.run(|snapshot| collection.run(|collection| Ok(snapshot.count(collection, options)?)))?;
        place.write(count);
        Ok(())
    })
}
