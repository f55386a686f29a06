//! Lists that the library owns until the caller frees them: one type for all, and for each kind of row a struct and the
//! function that reads one.

use std::any::Any;
use std::ffi::c_char;
use std::path::Path;
use std::ptr;

use strongroom::TenantState;

use crate::boxed::{self, Boxed, Named, free};
use crate::call::{call, guarded};
use crate::error::{Error, Failure, Result, Status};
use crate::library::init;
use crate::life::{STRONGROOM_TENANT_ACTIVE, STRONGROOM_TENANT_REMOVED, STRONGROOM_TENANT_SUSPENDED};
use crate::pointer::{self, Growing, GrowingOut};

/// A list of tenants, collections, regions, journals, indexes, data keys, holds, receipts, ledger entries, subjects or records of a
/// subject: owned by whoever gets it, freed with
/// strongroom_list_free. Immutable; may be read from any thread.
pub struct List {
    _opaque: [u8; 0],
}

/// The rows of a list: a vector of what the engine gave.
pub(crate) struct Rows {
    rows: Box<dyn Any + Send + Sync>,
    count: usize,
}

impl Named for List {
    type Value = Rows;
    const TAG: u64 = u64::from_le_bytes(*b"sr.list\0");
}

/// A row as the caller gets it.
pub(crate) trait Row: Growing {
    /// As the engine gave it.
    type Known: Send + Sync + 'static;
    /// Texts are borrowed from what is known.
    fn of(known: &Self::Known) -> Self;
}

impl List {
    pub(crate) fn give<R: Row>(rows: Vec<R::Known>) -> *mut Self {
        let count = rows.len();
        boxed::give(Rows { rows: Box::new(rows), count })
    }
}

impl Rows {
    /// Tells the caller one of them.
    pub(crate) fn read<R: Row>(&self, index: usize, place: GrowingOut<'_, R>) -> Result<()> {
        let rows = self.rows.downcast_ref::<Vec<R::Known>>();
        let rows = rows.ok_or_else(|| Failure::invalid("`list` is a list of something else"))?;
        let known = rows.get(index).ok_or_else(|| {
            Failure::invalid(format_args!("there is no row {index} in a list of {}", self.count))
        })?;
        place.write(&R::of(known));
        Ok(())
    }
}

/// How many rows a list has.
///
/// @param[in] list borrowed; NULL gives 0.
/// @return the number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_count(list: *const List) -> usize {
    // SAFETY: the caller's pointer is NULL or a list that it has not freed, as the header demands.
    let list = unsafe { Boxed::of(list, "list") };
    guarded(0, || list.map_or(0, |rows| rows.count))
}

/// Frees a list.
///
/// @param[in] list owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_free(list: *mut List) {
    // SAFETY: the caller's pointer is NULL or a list that it gives up, as the header demands.
    let list = unsafe { Boxed::take(list) };
    guarded((), || free(list));
}

fn path(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// What is known of a tenant. Its texts are borrowed from the list, UTF-8, not NUL-terminated. Set up with
/// strongroom_tenant_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TenantInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
    /// The region its data and keys are in.
    pub region: *const c_char,
    /// Length of the region's name in bytes.
    pub region_size: usize,
    /// Its id: what files, logs and errors call it.
    pub id: [u8; 16],
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: u64,
    /// When it was removed, in milliseconds since the epoch; 0 where it was not.
    pub removed_ms: u64,
    /// From when on a sweep erases it, in milliseconds since the epoch; 0 where it was not removed.
    pub purge_ms: u64,
    /// 1: it has a journal of its own.
    pub dedicated: u32,
    /// A STRONGROOM_TENANT; UINT32_MAX for a state that this library does not know.
    pub state: u32,
    /// 1: it was removed while it was suspended, and will be suspended again when it is restored.
    pub was_suspended: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for TenantInfo {
    const LEAST: usize = 5 * size_of::<usize>() + 56;
}

impl Row for TenantInfo {
    type Known = strongroom::TenantInfo;
    fn of(row: &Self::Known) -> Self {
        let (state, removed_ms, purge_ms, was_suspended) = match row.state {
            TenantState::Active => (STRONGROOM_TENANT_ACTIVE, 0, 0, false),
            TenantState::Suspended => (STRONGROOM_TENANT_SUSPENDED, 0, 0, false),
            TenantState::Removed { removed_ms, purge_ms, was_suspended } => {
                (STRONGROOM_TENANT_REMOVED, removed_ms, purge_ms, was_suspended)
            }
            _ => (u32::MAX, 0, 0, false),
        };
        Self {
            name: row.name.as_ptr().cast(),
            name_size: row.name.len(),
            region: row.region.as_ptr().cast(),
            region_size: row.region.len(),
            id: *row.id.as_bytes(),
            created_ms: row.created_ms,
            removed_ms,
            purge_ms,
            dedicated: u32::from(row.dedicated),
            state,
            was_suspended: u32::from(was_suspended),
            ..Self::initial()
        }
    }
}

/// Sets up what a list of tenants fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_info_init(info: *mut TenantInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of tenants.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_tenant(
    list: *const List,
    index: usize,
    info: *mut TenantInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// What is known of a collection. Its name is borrowed from the list, UTF-8, not NUL-terminated. Set up with
/// strongroom_collection_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CollectionInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
    /// Its id, random within its tenant.
    pub id: u64,
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for CollectionInfo {
    const LEAST: usize = 3 * size_of::<usize>() + 16;
}

impl Row for CollectionInfo {
    type Known = strongroom::CollectionInfo;
    fn of(row: &Self::Known) -> Self {
        Self {
            name: row.name.as_ptr().cast(),
            name_size: row.name.len(),
            id: u64::from_be_bytes(row.id.to_be_bytes()),
            created_ms: row.created_ms,
            ..Self::initial()
        }
    }
}

/// Sets up what a list of collections fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_info_init(info: *mut CollectionInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of collections.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_collection(
    list: *const List,
    index: usize,
    info: *mut CollectionInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// What is known of a region. Its texts are borrowed from the list, not NUL-terminated; paths are as the operating system
/// has them. Set up with strongroom_region_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RegionInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
    /// The directory its data is in.
    pub root: *const c_char,
    /// Length of that path in bytes.
    pub root_size: usize,
    /// The directory its keys are in.
    pub keys: *const c_char,
    /// Length of that path in bytes.
    pub keys_size: usize,
    /// Why its tenants can't be reached now; NULL if they can.
    pub problem: *const c_char,
    /// Length of that text in bytes.
    pub problem_size: usize,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for RegionInfo {
    const LEAST: usize = 9 * size_of::<usize>();
}

impl Row for RegionInfo {
    type Known = strongroom::RegionInfo;
    fn of(row: &Self::Known) -> Self {
        Self {
            name: row.name.as_ptr().cast(),
            name_size: row.name.len(),
            root: path(&row.paths.root).as_ptr().cast(),
            root_size: path(&row.paths.root).len(),
            keys: path(&row.paths.keys).as_ptr().cast(),
            keys_size: path(&row.paths.keys).len(),
            problem: row.problem.as_ref().map_or(ptr::null(), |problem| problem.as_ptr().cast()),
            problem_size: row.problem.as_ref().map_or(0, String::len),
            ..Self::initial()
        }
    }
}

/// Sets up what a list of regions fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_region_info_init(info: *mut RegionInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of regions.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_region(
    list: *const List,
    index: usize,
    info: *mut RegionInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// What a journal holds, and counts since it was opened. Its texts are borrowed from the list, UTF-8, not NUL-terminated. Set
/// up with strongroom_lane_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LaneInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its region's name.
    pub region: *const c_char,
    /// Length of the region's name in bytes.
    pub region_size: usize,
    /// Its id: the store's for the journal that tenants share, else the tenant's.
    pub id: [u8; 16],
    /// Segments, cold ones included.
    pub segments: u64,
    /// Bytes of their batches.
    pub segment_bytes: u64,
    /// Bytes of frames that no tenant's file has yet.
    pub pending_bytes: u64,
    /// Tenants with such frames.
    pub pending_tenants: u64,
    /// Batches written.
    pub batches: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Microseconds that syncs took.
    pub sync_micros: u64,
    /// Places at which the journal is damaged.
    pub damaged: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for LaneInfo {
    const LEAST: usize = 3 * size_of::<usize>() + 96;
}

impl Row for LaneInfo {
    type Known = strongroom::LaneReport;
    fn of(row: &Self::Known) -> Self {
        Self {
            region: row.region.as_ptr().cast(),
            region_size: row.region.len(),
            id: *row.id.as_bytes(),
            segments: row.stats.segments,
            segment_bytes: row.stats.segment_bytes,
            pending_bytes: row.stats.pending_bytes,
            pending_tenants: row.stats.pending_tenants,
            batches: row.stats.batches,
            changes: row.stats.changes,
            written_bytes: row.stats.written_bytes,
            syncs: row.stats.syncs,
            sync_micros: row.stats.sync_micros,
            damaged: row.stats.damaged,
            ..Self::initial()
        }
    }
}

/// Sets up what a list of journals fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_lane_info_init(info: *mut LaneInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of journals.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_lane(
    list: *const List,
    index: usize,
    info: *mut LaneInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}
