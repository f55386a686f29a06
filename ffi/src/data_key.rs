//! The data keys of a tenant: rotated, replaced in records (rekey), retired.

use std::ffi::c_void;

use strongroom::{DataKeyInfo as EngineInfo, DataKeyState, RekeyOptions as EngineOptions, RekeyReport};

use crate::boxed::Boxed;
use crate::call::call;
use crate::error::{Error, Failure, Result, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::tenant::{Tenant, TotalProgress, total_progress};

/// New records are sealed under the key.
pub const STRONGROOM_DATA_KEY_CURRENT: u32 = 0;
/// Older records are sealed under the key.
pub const STRONGROOM_DATA_KEY_OLDER: u32 = 1;
/// The key was destroyed.
pub const STRONGROOM_DATA_KEY_DESTROYED: u32 = 2;

/// What is known of a data key. Set up with strongroom_data_key_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DataKeyInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: u64,
    /// How old it is by the store's clock, in milliseconds.
    pub age_ms: u64,
    /// Records sealed under it, at least: a count may miss up to 1,000 for each time that the tenant was opened.
    pub records_sealed: u64,
    /// Its generation; a later one is greater, not always by one.
    pub generation: u32,
    /// A STRONGROOM_DATA_KEY.
    pub state: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for DataKeyInfo {
    const LEAST: usize = 40;
}

impl Row for DataKeyInfo {
    type Known = EngineInfo;
    fn of(key: &Self::Known) -> Self {
        Self {
            created_ms: key.created_ms,
            age_ms: key.age_ms,
            records_sealed: key.records_sealed,
            generation: key.generation,
            state: match key.state {
                DataKeyState::Current => STRONGROOM_DATA_KEY_CURRENT,
                DataKeyState::Older => STRONGROOM_DATA_KEY_OLDER,
                DataKeyState::Destroyed => STRONGROOM_DATA_KEY_DESTROYED,
            },
            ..Self::initial()
        }
    }
}

/// How a rekey, or the application of policies, goes about it. Zero is the default everywhere. Set up with strongroom_rekey_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RekeyOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Ends after so many records were sealed anew; called again it goes on. 0: all.
    pub records: u64,
    /// At most so many records a second are sealed anew. 0: as fast as it goes.
    pub records_per_second: u32,
    /// Zero.
    pub reserved: u32,
    /// Ends once so many bytes of values were sealed anew; called again it goes on. 0: all.
    pub bytes: u64,
    /// At most so many bytes of values a second are sealed anew. 0: as fast as it goes.
    pub bytes_per_second: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for RekeyOptions {
    const LEAST: usize = 24;
}

impl RekeyOptions {
    pub(crate) fn read(self) -> Result<EngineOptions> {
        if self.reserved != 0 {
            return Err(Failure::invalid("`reserved` is not zero"));
        }
        let mut options = EngineOptions::new();
        if self.bytes != 0 {
            options = options.bytes(self.bytes);
        }
        if self.bytes_per_second != 0 {
            options = options.bytes_per_second(self.bytes_per_second);
        }
        if self.records != 0 {
            options = options.records(self.records);
        }
        if self.records_per_second != 0 {
            options = options.records_per_second(self.records_per_second);
        }
        Ok(options)
    }
}

/// What a rekey did. Set up with strongroom_rekey_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rekey {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Records looked at.
    pub records: u64,
    /// Records sealed anew.
    pub resealed: u64,
    /// Records that were written or erased while they were looked at: they need nothing.
    pub overtaken: u64,
    /// Of those sealed anew, records whose values lie in chunks.
    pub large: u64,
    /// Records that do not open, and were left as they are.
    pub unreadable: u64,
    /// The generation that is current.
    pub generation: u32,
    /// 1: no readable record is under an older generation that was put before it began.
    pub is_complete: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Rekey {
    const LEAST: usize = 56;
}

impl From<RekeyReport> for Rekey {
    fn from(report: RekeyReport) -> Self {
        Self {
            records: report.records,
            resealed: report.resealed,
            overtaken: report.overtaken,
            large: report.large,
            unreadable: report.unreadable,
            generation: report.generation,
            is_complete: u32::from(report.is_complete),
            ..Self::initial()
        }
    }
}

/// Sets up what a list of data keys fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_data_key_info_init(info: *mut DataKeyInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_rekey_options_init(options: *mut RekeyOptions, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

/// Sets up what a rekey fills.
///
/// @param[out] rekey borrowed; not initialised yet.
/// @param[in]  size  sizeof *rekey.
/// @return InvalidArgument where rekey is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_rekey_init(rekey: *mut Rekey, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(rekey, size) }
}

/// One of a list of data keys.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed; set up before.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_data_key(
    list: *const List,
    index: usize,
    info: *mut DataKeyInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// The data keys there are and were, the oldest first.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_data_keys(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(List::give::<DataKeyInfo>(tenant.run(|open| Ok(open.tenant.data_keys()?))?));
        Ok(())
    })
}

/// Makes a new data key, which new records are sealed under; older ones stay under theirs until strongroom_tenant_rekey.
/// Durable when this returns. The store does it by itself by age and count.
///
/// @param[in]  tenant     borrowed.
/// @param[out] generation the new key's; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return KeyUnavailable from the key provider; LimitExceeded where the keyring is full; InvalidArgument, Io, Poisoned,
///         Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rotate_data_key(
    tenant: *const Tenant,
    generation: *mut u32,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, generation, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::optional_out(generation), pointer::optional_out(error))
    };
    call(error, || {
        let made = tenant?.run(|open| Ok(open.tenant.rotate_data_key()?))?;
        if let Some(generation) = generation {
            generation.write(made);
        }
        Ok(())
    })
}

/// Seals all records anew that are under an older data key; value, times and version stay. Readers and writers go on. It
/// goes on where an earlier one was interrupted. Durable when this returns.
///
/// @param[in]     tenant   borrowed.
/// @param[in]     options  borrowed; NULL is the defaults.
/// @param[in]     progress called now and then with records; NULL is fine.
/// @param[in]     context  borrowed for the time of the call; given to progress.
/// @param[in,out] rekey    borrowed, set up before: what was done. NULL if it is not wanted.
/// @param[out]    error    owned, or NULL: why it failed; what was done until then stays done.
/// @return those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rekey(
    tenant: *const Tenant,
    options: *const RekeyOptions,
    progress: TotalProgress,
    context: *mut c_void,
    rekey: *mut Rekey,
    error: *mut *mut Error,
) -> Status {
    let is_wanted = !rekey.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, options, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::options(options, "options"),
            is_wanted.then(|| pointer::growing_out(rekey, "rekey")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, options, place) = (tenant?, options?.read()?, place.transpose()?);
        let mut report = total_progress(progress, context);
        let done: Result<_> = tenant.run(|open| Ok(open.tenant.rekey(options, &mut report)?));
        if let Some(place) = place {
            place.write(&done?.into());
            return Ok(());
        }
        done.map(|_| ())
    })
}

/// Destroys a data key that no record is sealed under any more; durable when this returns. What was sealed under it and is
/// not written yet is refused with Conflict; a snapshot from before a rekey gives SnapshotExpired where it would need it.
///
/// @param[in]  tenant     borrowed.
/// @param[in]  generation the key's.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound where there is none such, or it was destroyed; Conflict where it is the current one, or records are under
///         it; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_retire_data_key(
    tenant: *const Tenant,
    generation: u32,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, error) = unsafe { (handle::held(tenant, "tenant"), pointer::optional_out(error)) };
    call(error, || tenant?.run(|open| Ok(open.tenant.retire_data_key(generation)?)))
}

/// Says by when no record is to be sealed under a data key any more, nor under an older one; durable when this returns. Rounds of
/// maintenance and sweeps seal a bounded number of records anew each; health tells where the time is over and it is not done. It
/// takes the place of an earlier deadline, and destroys no key.
///
/// @param[in]  tenant     borrowed.
/// @param[in]  generation the key's.
/// @param[in]  by_ms      by when, in milliseconds since the epoch.
/// @param[out] error      owned, or NULL: why it failed.
/// @return NotFound where there is none such, or it was destroyed; Conflict where it is the current one: rotate first;
///         InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_set_rekey_deadline(
    tenant: *const Tenant,
    generation: u32,
    by_ms: u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, error) = unsafe { (handle::held(tenant, "tenant"), pointer::optional_out(error)) };
    call(error, || tenant?.run(|open| Ok(open.tenant.set_rekey_deadline(generation, by_ms)?)))
}

/// Takes the deadline back, where there is one; durable when this returns. What was sealed anew stays so.
///
/// @param[in]  tenant borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_clear_rekey_deadline(
    tenant: *const Tenant,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, error) = unsafe { (handle::held(tenant, "tenant"), pointer::optional_out(error)) };
    call(error, || tenant?.run(|open| Ok(open.tenant.clear_rekey_deadline()?)))
}

/// The deadline that was set last, a met one too.
///
/// @param[in]  tenant     borrowed.
/// @param[out] is_set     whether there is one; else nothing else is written.
/// @param[out] generation nothing is to be under this one, or an older one; NULL if it is not wanted.
/// @param[out] by_ms      by when, in milliseconds since the epoch; NULL if it is not wanted.
/// @param[out] met_ms     since when nothing is, in milliseconds since the epoch; 0: that is not so yet. NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rekey_deadline(
    tenant: *const Tenant,
    is_set: *mut bool,
    generation: *mut u32,
    by_ms: *mut u64,
    met_ms: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, is_set, generation, by_ms, met_ms, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::out(is_set, "is_set"),
            pointer::optional_out(generation),
            pointer::optional_out(by_ms),
            pointer::optional_out(met_ms),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, is_set) = (tenant?, is_set?);
        let deadline = tenant.run(|open| Ok(open.tenant.rekey_deadline()?))?;
        is_set.write(deadline.is_some());
        let Some(deadline) = deadline else { return Ok(()) };
        if let Some(generation) = generation {
            generation.write(deadline.generation);
        }
        if let Some(by_ms) = by_ms {
            by_ms.write(deadline.by_ms);
        }
        if let Some(met_ms) = met_ms {
            met_ms.write(deadline.met_ms.unwrap_or(0));
        }
        Ok(())
    })
}
