//! How long records are kept: policies, subjects, the sweep, the clock.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use strongroom::{Erasure, Overwrite, Policy as EnginePolicy};

use crate::call::call;
use crate::collection::Collection;
use crate::data_key::RekeyOptions;
use crate::engine::Engine;
use crate::error::{Error, Failure, Result, Status};
use crate::handle;
use crate::library::init;
use crate::pointer::{self, Growing};
use crate::tenant::{Tenant, TotalProgress, total_progress};

/// As the tenant's policy says, and where that says nothing, it is erased.
pub const STRONGROOM_OVERWRITE_DEFAULT: u32 = 0;
/// A record that another is put over is erased.
pub const STRONGROOM_OVERWRITE_ERASE: u32 = 1;
/// A record that another is put over is removed, and can be restored until its removal window is over, once the key is free.
pub const STRONGROOM_OVERWRITE_KEEP: u32 = 2;

/// As the policy says, and where that says nothing, records share their keys.
pub const STRONGROOM_ERASURE_DEFAULT: u32 = 0;
/// A record shares its keys with others: when it is erased, its bytes go out of the store's files.
pub const STRONGROOM_ERASURE_SHARED: u32 = 1;
/// A record has a key of its own besides, which is destroyed when it is erased, put over, swept or dropped: no copy of the data has
/// its value any more, for all who hold no older copy of the key store. It takes 256 bytes in the key store.
pub const STRONGROOM_ERASURE_RECORD: u32 = 2;

/// As the tenant's policy says, and where that says nothing, the records are not secret.
pub const STRONGROOM_SECRET_DEFAULT: u32 = 0;
/// The records are not secret.
pub const STRONGROOM_SECRET_NO: u32 = 1;
/// The records are secret: nothing exports them.
pub const STRONGROOM_SECRET_YES: u32 = 2;

/// As the tenant's policy says, and where that says nothing, records are stored.
pub const STRONGROOM_ZERO_RETENTION_DEFAULT: u32 = 0;
/// Records are stored.
pub const STRONGROOM_ZERO_RETENTION_NO: u32 = 1;
/// Nothing is retained: whatever is put is refused (InvalidArgument), before anything of it comes to a file, and lives in a session
/// or nowhere; what is there has expired.
pub const STRONGROOM_ZERO_RETENTION_YES: u32 = 2;

/// How long records are kept: of a tenant, or of one of its collections, which overrides the tenant's member by member. Zero
/// is not limited. Set up with strongroom_policy_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Policy {
    /// Size of this struct in bytes.
    pub size: usize,
    /// How long a record is kept that is put without a time of its own, in milliseconds.
    pub retention_ms: u64,
    /// The longest that any record is kept, whatever its put says, in milliseconds.
    pub maximum_ms: u64,
    /// How long a record that was removed can be restored, in milliseconds; 0: 30 days, or as the tenant's says.
    pub removal_window_ms: u64,
    /// The least that a record is kept after it was written, in milliseconds: before, it can be neither erased, removed nor put
    /// over (Held), by the policy as it is then.
    pub minimum_ms: u64,
    /// Within how long a removed record is erased, its bytes swept, and the key of its period destroyed, as it was promised, in
    /// milliseconds: a policy is refused whose removal window does not leave the time for that.
    pub erased_within_ms: u64,
    /// What becomes of a record that another is put over: a STRONGROOM_OVERWRITE.
    pub overwrite: u32,
    /// Whether nothing exports the records: a STRONGROOM_SECRET.
    pub secret: u32,
    /// Whether each record that is put gets a key of its own: a STRONGROOM_ERASURE.
    pub erasure: u32,
    /// Whether nothing is retained: a STRONGROOM_ZERO_RETENTION.
    pub zero_retention: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Policy {
    const LEAST: usize = 64;
}

impl Policy {
    fn of(policy: &EnginePolicy) -> Self {
        let milliseconds = |time: Option<Duration>| {
            time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        Self {
            retention_ms: milliseconds(policy.retention_time()),
            maximum_ms: milliseconds(policy.maximum_time()),
            removal_window_ms: milliseconds(policy.removal_window_time()),
            minimum_ms: milliseconds(policy.minimum_time()),
            erased_within_ms: milliseconds(policy.erased_within_time()),
            overwrite: match policy.overwrite_mode() {
                None => STRONGROOM_OVERWRITE_DEFAULT,
                Some(Overwrite::Erase) => STRONGROOM_OVERWRITE_ERASE,
                Some(Overwrite::Keep) => STRONGROOM_OVERWRITE_KEEP,
            },
            secret: match policy.is_secret() {
                None => STRONGROOM_SECRET_DEFAULT,
                Some(false) => STRONGROOM_SECRET_NO,
                Some(true) => STRONGROOM_SECRET_YES,
            },
            erasure: match policy.erasure_mode() {
                None => STRONGROOM_ERASURE_DEFAULT,
                Some(Erasure::Shared) => STRONGROOM_ERASURE_SHARED,
                Some(Erasure::Record) => STRONGROOM_ERASURE_RECORD,
            },
            zero_retention: match policy.is_zero_retention() {
                None => STRONGROOM_ZERO_RETENTION_DEFAULT,
                Some(false) => STRONGROOM_ZERO_RETENTION_NO,
                Some(true) => STRONGROOM_ZERO_RETENTION_YES,
            },
            ..Self::initial()
        }
    }

    pub(crate) fn read(self) -> Result<EnginePolicy> {
        let mut policy = EnginePolicy::new();
        if self.retention_ms != 0 {
            policy = policy.retention(Duration::from_millis(self.retention_ms));
        }
        if self.maximum_ms != 0 {
            policy = policy.maximum(Duration::from_millis(self.maximum_ms));
        }
        if self.removal_window_ms != 0 {
            policy = policy.removal_window(Duration::from_millis(self.removal_window_ms));
        }
        if self.minimum_ms != 0 {
            policy = policy.minimum(Duration::from_millis(self.minimum_ms));
        }
        if self.erased_within_ms != 0 {
            policy = policy.erased_within(Duration::from_millis(self.erased_within_ms));
        }
        policy = match self.overwrite {
            STRONGROOM_OVERWRITE_DEFAULT => policy,
            STRONGROOM_OVERWRITE_ERASE => policy.overwrite(Overwrite::Erase),
            STRONGROOM_OVERWRITE_KEEP => policy.overwrite(Overwrite::Keep),
            other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_OVERWRITE"))),
        };
        if let Some(erasure) = erasure(self.erasure)? {
            policy = policy.erasure(erasure);
        }
        policy = match self.secret {
            STRONGROOM_SECRET_DEFAULT => policy,
            STRONGROOM_SECRET_NO => policy.secret(false),
            STRONGROOM_SECRET_YES => policy.secret(true),
            other => return Err(Failure::invalid(format_args!("{other} is no STRONGROOM_SECRET"))),
        };
        match self.zero_retention {
            STRONGROOM_ZERO_RETENTION_DEFAULT => Ok(policy),
            STRONGROOM_ZERO_RETENTION_NO => Ok(policy.zero_retention(false)),
            STRONGROOM_ZERO_RETENTION_YES => Ok(policy.zero_retention(true)),
            other => Err(Failure::invalid(format_args!("{other} is no STRONGROOM_ZERO_RETENTION"))),
        }
    }
}

/// What a STRONGROOM_ERASURE says.
pub(crate) fn erasure(value: u32) -> Result<Option<Erasure>> {
    match value {
        STRONGROOM_ERASURE_DEFAULT => Ok(None),
        STRONGROOM_ERASURE_SHARED => Ok(Some(Erasure::Shared)),
        STRONGROOM_ERASURE_RECORD => Ok(Some(Erasure::Record)),
        other => Err(Failure::invalid(format_args!("{other} is no STRONGROOM_ERASURE"))),
    }
}

/// Sets up a policy: nothing is limited.
///
/// @param[out] policy borrowed; not initialised yet.
/// @param[in]  size   sizeof *policy.
/// @return InvalidArgument where policy is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_policy_init(policy: *mut Policy, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(policy, size) }
}

/// The tenant's policy.
///
/// @param[in]     tenant borrowed.
/// @param[in,out] policy borrowed; set up before.
/// @param[out]    error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_get_policy(
    tenant: *const Tenant,
    policy: *mut Policy,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::growing_out(policy, "policy"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        place.write(&Policy::of(&tenant.run(|open| Ok(open.tenant.policy()?))?));
        Ok(())
    })
}

/// Sets the tenant's policy, as a whole, for all collections that do not override it: for records that are put from now on, and,
/// with the next sweeps, for those that are there.
/// Durable when this returns.
///
/// @param[in]  tenant borrowed.
/// @param[in]  policy borrowed; NULL limits nothing.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument for a member that is none, a retention or maximum below the minimum, and what can't be erased within
///         the time promised, of the tenant or of a collection with what it overrides; Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_set_policy(
    tenant: *const Tenant,
    policy: *const Policy,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, policy, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::options(policy, "policy"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, policy) = (tenant?, policy?.read()?);
        tenant.run(|open| Ok(open.tenant.set_policy(policy)?))
    })
}

/// The collection's own policy, without what it has of its tenant.
///
/// @param[in]     collection borrowed.
/// @param[in,out] policy     borrowed; set up before.
/// @param[out]    error      owned, or NULL: why it failed.
/// @return as strongroom_tenant_get_policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_get_policy(
    collection: *const Collection,
    policy: *mut Policy,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, place, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::growing_out(policy, "policy"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, place) = (collection?, place?);
        place.write(&Policy::of(&collection.run(|collection| Ok(collection.policy()?))?));
        Ok(())
    })
}

/// Sets the collection's policy, as a whole: what it sets overrides the tenant's, as strongroom_tenant_set_policy says.
/// Durable when this returns.
///
/// @param[in]  collection borrowed.
/// @param[in]  policy     borrowed; NULL overrides nothing.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_tenant_set_policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_collection_set_policy(
    collection: *const Collection,
    policy: *const Policy,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (collection, policy, error) = unsafe {
        (
            handle::held(collection, "collection"),
            pointer::options(policy, "policy"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (collection, policy) = (collection?, policy?.read()?);
        collection.run(|collection| Ok(collection.set_policy(policy)?))
    })
}

/// Removes every record that has expired from the tenants' files. The store's own thread does it by itself now and then.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; one tenant's name, UTF-8. NULL: all tenants.
/// @param[in]  name_size its length in bytes.
/// @param[out] swept     how many records there were; NULL if it is not wanted.
/// @param[out] held      how many have expired and stay, because a hold covers them; NULL if it is not wanted.
/// @param[out] error     owned, or NULL: why it failed.
/// @return ClockJump where the clock has jumped, and nothing is swept; NotFound; the first error of a tenant, and the others
///         are swept all the same; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_sweep(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    swept: *mut u64,
    held: *mut u64,
    error: *mut *mut Error,
) -> Status {
    let is_one = !name.is_null() || name_size != 0;
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, swept, held, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(swept),
            pointer::optional_out(held),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let engine = engine?;
        let name = if is_one { Some(name?) } else { None };
        let report = engine.run(|store| {
            Ok(match name {
                Some(name) => store.engine.sweep_tenant(name)?,
                None => store.engine.sweep()?,
            })
        })?;
        if let Some(swept) = swept {
            swept.write(report.records);
        }
        if let Some(held) = held {
            held.write(report.held);
        }
        Ok(())
    })
}

/// Trusts what the clock says now, after it jumped: what is due by it is destroyed from now on. Durable when this returns.
///
/// @param[in]  engine borrowed.
/// @param[out] error  owned, or NULL: why it failed.
/// @return InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_confirm_clock(
    engine: *const Engine,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, error) = unsafe { (handle::held(engine, "engine"), pointer::optional_out(error)) };
    call(error, || engine?.run(|store| Ok(store.engine.confirm_clock()?)))
}

/// What the application of policies did. Set up with strongroom_policy_report_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PolicyReport {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Records looked at, removed ones with the others.
    pub records: u64,
    /// Records that got other times.
    pub changed: u64,
    /// Records that should stay longer and can't, because their values lie in chunks under the key of a period.
    pub large: u64,
    /// Records that do not open, and were left as they are.
    pub unreadable: u64,
    /// 1: it came to the end.
    pub is_complete: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for PolicyReport {
    const LEAST: usize = 48;
}

/// Sets up what the application of policies fills.
///
/// @param[out] report borrowed; not initialised yet.
/// @param[in]  size   sizeof *report.
/// @return InvalidArgument where report is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_policy_report_init(report: *mut PolicyReport, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(report, size) }
}

/// Applies policies that were changed to the records that are there, removed ones too, beside readers and writers; the sweep does
/// the same by and by. Values and versions stay. It goes on where an earlier one was interrupted. Durable when this returns.
///
/// @param[in]     tenant   borrowed.
/// @param[in]     options  borrowed; NULL is the defaults.
/// @param[in]     progress called now and then with records; NULL is fine.
/// @param[in]     context  borrowed for the time of the call; given to progress.
/// @param[in,out] report   borrowed, set up before: what was done. NULL if it is not wanted.
/// @param[out]    error    owned, or NULL: why it failed; what was done until then stays done.
/// @return those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_apply_policies(
    tenant: *const Tenant,
    options: *const RekeyOptions,
    progress: TotalProgress,
    context: *mut c_void,
    report: *mut PolicyReport,
    error: *mut *mut Error,
) -> Status {
    let is_wanted = !report.is_null();
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, options, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::options(options, "options"),
            is_wanted.then(|| pointer::growing_out(report, "report")),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, options, place) = (tenant?, options?.read()?, place.transpose()?);
        let mut said = total_progress(progress, context);
        let done = tenant.run(|open| Ok(open.tenant.apply_policies(options, &mut said)?))?;
        if let Some(place) = place {
            place.write(&PolicyReport {
                records: done.records,
                changed: done.changed,
                large: done.large,
                unreadable: done.unreadable,
                is_complete: u32::from(done.is_complete),
                ..PolicyReport::initial()
            });
        }
        Ok(())
    })
}

/// Since when there is a policy that is not applied yet to all records that are there.
///
/// @param[in]  tenant   borrowed.
/// @param[out] since_ms in milliseconds since the epoch; 0: there is none.
/// @param[out] error    owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_policies_pending_since(
    tenant: *const Tenant,
    since_ms: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, since_ms, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::out(since_ms, "since_ms"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, since_ms) = (tenant?, since_ms?);
        since_ms.write(tenant.run(|open| Ok(open.tenant.policies_pending_since_ms()?))?.unwrap_or(0));
        Ok(())
    })
}
