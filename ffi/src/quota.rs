//! How much a tenant or a collection may hold, and does.

use strongroom::{Quota as EngineQuota, Usage as EngineUsage};

use crate::call::call;
use crate::collection::Collection;
use crate::error::{Error, Status};
use crate::handle;
use crate::library::init;
use crate::pointer::{self, Growing};
use crate::tenant::Tenant;

/// No bound.
pub const STRONGROOM_UNLIMITED: u64 = u64::MAX;

/// How much a tenant or a collection may hold at the most. Zero is nothing at all. Set up with strongroom_quota_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Quota {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Records, or STRONGROOM_UNLIMITED.
    pub records: u64,
    /// Bytes of their keys and values, or STRONGROOM_UNLIMITED.
    pub bytes: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Quota {
    const LEAST: usize = 24;
    fn initial() -> Self {
        Self { size: size_of::<Self>(), records: STRONGROOM_UNLIMITED, bytes: STRONGROOM_UNLIMITED }
    }
}

impl Quota {
    fn of(quota: &EngineQuota) -> Self {
        Self {
            records: quota.records_max().unwrap_or(STRONGROOM_UNLIMITED),
            bytes: quota.bytes_max().unwrap_or(STRONGROOM_UNLIMITED),
            ..Self::initial()
        }
    }

    fn read(self) -> EngineQuota {
        let mut quota = EngineQuota::new();
        if self.records != STRONGROOM_UNLIMITED {
            quota = quota.records(self.records);
        }
        if self.bytes != STRONGROOM_UNLIMITED {
            quota = quota.bytes(self.bytes);
        }
        quota
    }
}

/// What a tenant or a collection holds. Set up with strongroom_usage_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Usage {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Records; what has expired counts until it is swept.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Usage {
    const LEAST: usize = 24;
}

impl From<EngineUsage> for Usage {
    fn from(usage: EngineUsage) -> Self {
        Self { records: usage.records, bytes: usage.bytes, ..Self::initial() }
    }
}

/// Sets up a quota: no bounds.
///
/// @param[out] quota borrowed; not initialised yet.
/// @param[in]  size  sizeof *quota.
/// @return InvalidArgument where quota is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_quota_init(quota: *mut Quota, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(quota, size) }
}

/// Sets up what a usage fills.
///
/// @param[out] usage borrowed; not initialised yet.
/// @param[in]  size  sizeof *usage.
/// @return InvalidArgument where usage is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_usage_init(usage: *mut Usage, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(usage, size) }
}

/// Sets how much the tenant may hold, all collections together. What is over it already stays, but puts that add to it are
/// refused with LimitExceeded. Durable when this returns.
///
/// @param[in]  tenant borrowed.
/// @param[in]  quota  borrowed; NULL takes the bounds away.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_set_quota(
    tenant: *const Tenant,
    quota: *const Quota,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, quota, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::options(quota, "quota"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, quota) = (tenant?, quota?.read());
        tenant.run(|open| Ok(open.tenant.set_quota(quota)?))
    })
}

/// How much the tenant may hold.
///
/// @param[in]     tenant borrowed.
/// @param[in,out] quota  borrowed; set up before.
/// @param[out]    error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_get_quota(
    tenant: *const Tenant,
    quota: *mut Quota,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::growing_out(quota, "quota"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(&Quota::of(&tenant.run(|open| Ok(open.tenant.quota()?))?));
        Ok(())
    })
}

/// What the tenant holds, exactly. Costs a lookup for each record that only the journal has.
///
/// @param[in]     tenant borrowed.
/// @param[in,out] usage  borrowed; set up before.
/// @param[out]    error  owned, or NULL: why it failed.
/// @return as strongroom_tenant_get_quota.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_get_usage(
    tenant: *const Tenant,
    usage: *mut Usage,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::growing_out(usage, "usage"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(&tenant.run(|open| Ok(open.tenant.usage()?))?.into());
        Ok(())
    })
}

/// Sets how much the collection may hold, as strongroom_tenant_set_quota does; it is created if need be.
///
/// @param[in]  collection borrowed.
/// @param[in]  quota      borrowed; NULL takes the bounds away.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_tenant_set_quota; NotFound where the collection was dropped meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_set_quota(
    collection: *const Collection,
    quota: *const Quota,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, quota, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::options(quota, "quota"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, quota) = (collection?, quota?.read());
        collection.run(|collection| Ok(collection.set_quota(quota)?))
    })
}

/// How much the collection may hold, whatever its tenant may.
///
/// @param[in]     collection borrowed.
/// @param[in,out] quota      borrowed; set up before.
/// @param[out]    error      owned, or NULL: why it failed.
/// @return as strongroom_tenant_get_quota.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_quota(
    collection: *const Collection,
    quota: *mut Quota,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::growing_out(quota, "quota"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, place) = (collection?, place?);
        place.write(&Quota::of(&collection.run(|collection| Ok(collection.quota()?))?));
        Ok(())
    })
}

/// What the collection holds, as strongroom_tenant_get_usage.
///
/// @param[in]     collection borrowed.
/// @param[in,out] usage      borrowed; set up before.
/// @param[out]    error      owned, or NULL: why it failed.
/// @return as strongroom_tenant_get_usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_usage(
    collection: *const Collection,
    usage: *mut Usage,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::growing_out(usage, "usage"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, place) = (collection?, place?);
        place.write(&collection.run(|collection| Ok(collection.usage()?))?.into());
        Ok(())
    })
}
