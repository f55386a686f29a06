//! A tenant's life: suspended and resumed, renamed, moved, removed and restored, erased.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use strongroom::MoveOptions;

use crate::call::call;
use crate::engine::{Engine, Progress, progress};
use crate::error::{Error, Failure, Result, Status};
use crate::handle;
use crate::pointer;

/// The tenant is used.
pub const STRONGROOM_TENANT_ACTIVE: u32 = 0;
/// The tenant refuses reads and writes until it is resumed.
pub const STRONGROOM_TENANT_SUSPENDED: u32 = 1;
/// The tenant was removed, and is erased when its window is over, unless it is restored.
pub const STRONGROOM_TENANT_REMOVED: u32 = 2;

/// The tenant's data may leave the region that it was put into.
pub const STRONGROOM_MOVE_OVERRIDE_RESIDENCY: u32 = 1;

/// Suspends a tenant: from when this returns, every read and write of its records gives Suspended, through handles, scans and
/// readers that are held too. Expiry and what looks after it go on. No effect on one that is suspended. Durable when this
/// returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound, of one that was removed too; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_suspend_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        engine.run(|store| Ok(store.engine.suspend_tenant(name)?))
    })
}

/// Ends a tenant's suspension: handles that were held work again. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return as strongroom_engine_suspend_tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_resume_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        engine.run(|store| Ok(store.engine.resume_tenant(name)?))
    })
}

/// Gives a tenant another name: its id, data and keys stay as they are, and the old name is free. Handles go on, under the
/// name they were given with. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  from      borrowed; its name, UTF-8.
/// @param[in]  from_size its length in bytes.
/// @param[in]  to        borrowed; its new name, as for strongroom_engine_create_tenant.
/// @param[in]  to_size   its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return AlreadyExists where there is one of the new name; else as strongroom_engine_suspend_tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_rename_tenant(
    engine: *const Engine,
    from: *const c_char,
    from_size: usize,
    to: *const c_char,
    to_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, from, to, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(from.cast(), from_size, "from"),
            pointer::name(to.cast(), to_size, "to"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, from, to) = (engine?, from?, to?);
        engine.run(|store| Ok(store.engine.rename_tenant(from, to)?))
    })
}

/// Removes a tenant: it is gone at once, for handles that are held too (NotFound), and can be restored until its window is
/// over. Then a sweep erases it. Its name stays taken until then. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[in]  window_ms how long it can be restored, in milliseconds.
/// @param[out] purge_ms  from when on a sweep erases it, in milliseconds since the epoch; NULL if it is not wanted.
/// @param[out] error     owned, or NULL: why it failed.
/// @return as strongroom_engine_suspend_tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_remove_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    window_ms: u64,
    purge_ms: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, place, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(purge_ms),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        let window = Duration::from_millis(window_ms);
        let removed = engine.run(|store| Ok(store.engine.remove_tenant(name, window)?))?;
        if let (Some(place), strongroom::TenantState::Removed { purge_ms, .. }) = (place, removed.state) {
            place.write(purge_ms);
        }
        Ok(())
    })
}

/// Brings a removed tenant back as it was, suspended if it was; without what expired meanwhile. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return NotFound where there is no such tenant, or its window is over and nothing of it is held; Conflict for one that was
///         not removed; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_restore_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        engine.run(|store| Ok(store.engine.restore_tenant(name)?))
    })
}

/// Erases a tenant for good, removed before or not: all of its keys are destroyed, so that no copy of its data can be read by
/// who has no older copy of the key store; then its files are deleted. Its name is free. Handles that are held give NotFound.
/// Durable when this returns, and finished after a crash.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed. One that says that the tenant is being erased comes after the decision:
///                       it is gone, and the rest is tried again by each sweep.
/// @return NotFound; Held where anything of it is held; Unavailable where its region's volume is not mounted; Busy while its
///         last move is not finished; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_erase_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name) = (engine?, name?);
        engine.run(|store| Ok(store.engine.erase_tenant(name)?))
    })
}

fn move_options(flags: u32) -> Result<MoveOptions> {
    match flags {
        0 => Ok(MoveOptions::new()),
        STRONGROOM_MOVE_OVERRIDE_RESIDENCY => Ok(MoveOptions::new().override_residency()),
        other => Err(Failure::invalid(format_args!("{other} is no STRONGROOM_MOVE flag"))),
    }
}

/// Moves a tenant, with its keys, to another region of the store: copied and verified there, then switched, then erased where
/// it was, keys first. Readers and writers go on meanwhile; handles from before then give Poisoned: open the tenant again.
/// Durable when this returns. After a crash the tenant is whole in one of the two regions.
///
/// @param[in]  engine      borrowed.
/// @param[in]  name        borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size   its length in bytes.
/// @param[in]  region      borrowed; the name of the region it goes to, UTF-8.
/// @param[in]  region_size its length in bytes.
/// @param[in]  flags       STRONGROOM_MOVE_OVERRIDE_RESIDENCY, or 0, and nothing is moved.
/// @param[in]  progress    called now and then with bytes copied; NULL is fine.
/// @param[in]  context     borrowed for the time of the call; given to progress.
/// @param[out] error       owned, or NULL: why it failed.
/// @return InvalidArgument without the flag, and where it is in that region; NotFound of the tenant or the region; Unavailable
///         where a region's volume is not mounted; Busy while another move of the tenant is under way or unfinished; Conflict
///         where it was opened anew meanwhile; Io, and the tenant stays where it is, unless the message says that it has moved;
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_move_tenant(
    engine: *const Engine,
    name: *const c_char,
    name_size: usize,
    region: *const c_char,
    region_size: usize,
    flags: u32,
    progress: Progress,
    context: *mut c_void,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, name, region, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(name.cast(), name_size, "name"),
            pointer::name(region.cast(), region_size, "region"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, name, region, options) = (engine?, name?, region?, move_options(flags)?);
        let mut report = self::progress(progress, context);
        engine.run(|store| Ok(store.engine.move_tenant(name, region, options, &mut report)?))
    })
}
