//! Tenants: the handle through which all of a tenant's data is reached.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use strongroom::Tenant as EngineTenant;

use crate::batch::Batch;
use crate::call::{call, guarded};
use crate::collection::{Collection, Version};
use crate::completion::Completions;
use crate::error::{Error, Status};
use crate::handle::{self, Handle, Resting};
use crate::library::init;
use crate::list::{CollectionInfo, List};
use crate::pointer::{self, Growing};
use crate::report::Rewrite;
use crate::snapshot::Snapshot;

/// A tenant. May be used from any thread, by several at a time. Freed with strongroom_tenant_free; the store's handle may be
/// freed before.
pub struct Tenant {
    _opaque: [u8; 0],
}

pub(crate) struct OpenTenant {
    pub(crate) tenant: EngineTenant,
    pub(crate) completions: Arc<Completions>,
}

impl Handle for Tenant {
    type Value = OpenTenant;
    const TAG: u64 = u64::from_le_bytes(*b"sr.tenan");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<OpenTenant> = Resting::new();
        &RESTING
    }
}

/// Sizes and counts of a tenant. Set up with strongroom_tenant_stats_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TenantStats {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Records of all collections.
    pub records: u64,
    /// Collections.
    pub collections: u64,
    /// Bytes of the tenant's file that are allocated on the disk.
    pub file_bytes: u64,
    /// Bytes of the journal's frames that its file does not have yet.
    pub journal_bytes: u64,
    /// Bytes of its keyring.
    pub key_store_bytes: u64,
    /// The last batch.
    pub version: Version,
    /// The slot of the structure key its file is sealed under.
    pub structure_slot: u32,
    /// The slot of the data key for new records.
    pub data_slot: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for TenantStats {
    const LEAST: usize = 72;
}

impl From<strongroom::TenantStats> for TenantStats {
    fn from(stats: strongroom::TenantStats) -> Self {
        Self {
            records: stats.records,
            collections: stats.collections as u64,
            file_bytes: stats.file_bytes,
            journal_bytes: stats.journal_bytes,
            key_store_bytes: stats.key_store_bytes,
            version: stats.version.into(),
            structure_slot: stats.structure_slot,
            data_slot: stats.data_slot,
            ..Self::initial()
        }
    }
}

/// Is told how much is done and how much there is, of rows or records. Called on the thread of the call; it must return, and must not throw.
pub type TotalProgress = Option<unsafe extern "C" fn(context: *mut c_void, done: u64, total: u64)>;

/// The application's function as the engine calls it.
pub(crate) fn total_progress(function: TotalProgress, context: *mut c_void) -> impl FnMut(u64, u64) {
    move |done, total| {
        if let Some(function) = function {
            // SAFETY: the header asks the application for a function that takes this context.
            unsafe { function(context, done, total) }
        }
    }
}

/// Frees a tenant's handle.
///
/// @param[in] tenant owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_free(tenant: *mut Tenant) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(tenant) });
}

/// The tenant's id: what files, logs and errors call it.
///
/// @param[in]  tenant borrowed.
/// @param[out] id     borrowed; takes 16 bytes.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_id(
    tenant: *const Tenant,
    id: *mut u8,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::out(id.cast::<[u8; 16]>(), "id"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(tenant.run(|open| Ok(*open.tenant.id().as_bytes()))?);
        Ok(())
    })
}

/// The tenant's name.
///
/// @param[in]  tenant    borrowed.
/// @param[out] name      borrowed from the tenant's handle until it is freed; UTF-8, not NUL-terminated.
/// @param[out] name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_name(
    tenant: *const Tenant,
    name: *mut *const c_char,
    name_size: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, name_size, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::out(name, "name"),
            pointer::out(name_size, "name_size"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name, name_size) = (tenant?, name?, name_size?);
        tenant.run(|open| {
            name.write(open.tenant.name().as_ptr().cast());
            name_size.write(open.tenant.name().len());
            Ok(())
        })
    })
}

/// A collection by name. It is created by the first put into it, not by this.
///
/// @param[in]  tenant     borrowed.
/// @param[in]  name       borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
/// @param[in]  name_size  its length in bytes.
/// @param[out] collection owned: freed with strongroom_collection_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument for a name against these rules; Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_collection(
    tenant: *const Tenant,
    name: *const c_char,
    name_size: usize,
    collection: *mut *mut Collection,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::out(collection, "collection"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name, place) = (tenant?, name?, place?);
        let collection = tenant.run(|open| Ok(open.tenant.collection(name)?))?;
        place.write(handle::give(collection, tenant.health()?));
        Ok(())
    })
}

/// The collections there are, ordered by name.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_collections(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let collections = tenant.run(|open| Ok(open.tenant.collections()?))?;
        place.write(List::give::<CollectionInfo>(collections));
        Ok(())
    })
}

/// Makes an empty collection; a put makes one too where there is none of the name. Durable when this returns.
///
/// @param[in]  tenant     borrowed.
/// @param[in]  name       borrowed; as for strongroom_tenant_collection.
/// @param[in]  name_size  its length in bytes.
/// @param[out] error      owned, or NULL: why it failed.
/// @return AlreadyExists; InvalidArgument for a name against the rules; Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_create_collection(
    tenant: *const Tenant,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name) = (tenant?, name?);
        tenant.run(|open| Ok(open.tenant.create_collection(name).map(|_| ())?))
    })
}

/// Gives a collection another name: its records stay where they are. Durable when this returns. A handle means the
/// collection that has its name when it is used.
///
/// @param[in]  tenant    borrowed.
/// @param[in]  from      borrowed; its name.
/// @param[in]  from_size its length in bytes.
/// @param[in]  to        borrowed; its new name.
/// @param[in]  to_size   its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound; AlreadyExists where there is one of the new name; InvalidArgument for a name against the rules; Io,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rename_collection(
    tenant: *const Tenant,
    from: *const c_char,
    from_size: usize,
    to: *const c_char,
    to_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, from, to, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(from.cast(), from_size, "from"),
            pointer::name(to.cast(), to_size, "to"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, from, to) = (tenant?, from?, to?);
        tenant.run(|open| Ok(open.tenant.rename_collection(from, to)?))
    })
}

/// Drops a collection: all of its records are gone at once, for snapshots and scans under way too. Durable when this
/// returns, and made whole or not at all. The bytes go out of the tenant's file with its next checkpoint, what is left of
/// them with the next rewrite.
///
/// @param[in]  tenant    borrowed.
/// @param[in]  name      borrowed; the collection's name.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_drop_collection(
    tenant: *const Tenant,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, name, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, name) = (tenant?, name?);
        tenant.run(|open| Ok(open.tenant.drop_collection(name).map(|_| ())?))
    })
}

/// The tenant as it is now, for reads over several collections at one moment.
///
/// @param[in]  tenant   borrowed.
/// @param[out] snapshot owned: freed with strongroom_snapshot_free.
/// @param[out] error    owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_snapshot(
    tenant: *const Tenant,
    snapshot: *mut *mut Snapshot,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::out(snapshot, "snapshot"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let snapshot = tenant.run(|open| Ok(open.tenant.snapshot()?))?;
        place.write(handle::give(snapshot, tenant.health()?));
        Ok(())
    })
}

/// An empty batch.
///
/// @param[in]  tenant borrowed.
/// @param[out] batch  owned: freed with strongroom_batch_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_batch(
    tenant: *const Tenant,
    batch: *mut *mut Batch,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::out(batch, "batch"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let health = tenant.health()?;
        place.write(tenant.run(|open| Ok(Batch::give(&open.tenant, &open.completions, health)))?);
        Ok(())
    })
}

/// Makes everything durable that was written as buffered until now.
///
/// @param[in]  tenant borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io when the sync fails: what was not durable may be lost, and the store has to be opened again; InvalidArgument,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_flush(tenant: *const Tenant, error: *mut *mut Error) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, error) = unsafe { (handle::held(tenant, "tenant"), pointer::optional_out(error)) };
    call(error, || tenant?.run(|open| Ok(open.tenant.flush()?)))
}

/// Puts everything that only the journal has into the tenant's file. Readers and writers go on. Nothing needs it: it
/// shortens the next open.
///
/// @param[in]  tenant borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io when the disk fails or is full: nothing is lost; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_checkpoint(
    tenant: *const Tenant,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, error) = unsafe { (handle::held(tenant, "tenant"), pointer::optional_out(error)) };
    call(error, || tenant?.run(|open| Ok(open.tenant.checkpoint()?)))
}

/// Rewrites the tenant's file: compacts it, leaves the remnants of overwritten records behind, and puts it under a new
/// structure key, destroying the old one. Readers and writers go on. Durable when this returns.
///
/// @param[in]     tenant   borrowed.
/// @param[in]     progress called now and then; NULL is fine.
/// @param[in]     context  borrowed for the time of the call; given to progress.
/// @param[in,out] rewrite  borrowed, set up before: what was done. NULL if it is not wanted.
/// @param[out]    error    owned, or NULL: why it failed.
/// @return Io when the disk fails or is full, and the tenant goes on with its old file; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rewrite(
    tenant: *const Tenant,
    progress: TotalProgress,
    context: *mut c_void,
    rewrite: *mut Rewrite,
    error: *mut *mut Error,
) -> Status {
    let is_wanted = !rewrite.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            is_wanted.then(|| pointer::growing_out(rewrite, "rewrite")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, place) = (tenant?, place.transpose()?);
        let mut report = total_progress(progress, context);
        let done = tenant.run(|open| Ok(open.tenant.rewrite(&mut report)?))?;
        if let Some(place) = place {
            place.write(&done.map_or_else(Rewrite::initial, |done| Rewrite {
                rows: done.rows,
                bytes_before: done.bytes_before,
                bytes_after: done.bytes_after,
                structure_slot: done.epoch,
                has_file: 1,
                ..Rewrite::initial()
            }));
        }
        Ok(())
    })
}

/// Sets up a tenant's stats.
///
/// @param[out] stats borrowed; not initialised yet.
/// @param[in]  size  sizeof *stats.
/// @return InvalidArgument where stats is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_stats_init(stats: *mut TenantStats, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(stats, size) }
}

/// Sizes and counts.
///
/// @param[in]     tenant borrowed.
/// @param[in,out] stats  borrowed; set up before.
/// @param[out]    error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_get_stats(
    tenant: *const Tenant,
    stats: *mut TenantStats,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::growing_out(stats, "stats"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(&tenant.run(|open| Ok(open.tenant.stats()?))?.into());
        Ok(())
    })
}
