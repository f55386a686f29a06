//! Which key provider wraps the keys of tenants, and wrapping them anew.

use std::ffi::c_char;

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::call;
use crate::engine::Engine;
use crate::error::{Error, Status};
use crate::handle;
use crate::pointer;
use crate::tenant::Tenant;

/// The name of the key provider that wraps the tenant's keys.
///
/// @param[in]  tenant   borrowed.
/// @param[out] provider owned: its name, UTF-8, freed with strongroom_buffer_free.
/// @param[out] error    owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_key_provider(
    tenant: *const Tenant,
    provider: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::out(provider, "provider"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let name = tenant.run(|open| Ok(open.tenant.key_provider()))?;
        place.write(boxed::give::<Buffer>(Bytes::Text(name)));
        Ok(())
    })
}

/// Has the tenant's section keys wrapped anew, by the provider that wraps them, whose key was rotated, or by another one, as a
/// customer's own. Records stay as they are. What the provider gives is unwrapped again before anything is written. Copies of
/// the key store keep the older wrapping. Durable when this returns.
///
/// @param[in]  tenant        borrowed.
/// @param[in]  provider      borrowed; the name of a provider of the configuration, UTF-8. NULL: the one that wraps them.
/// @param[in]  provider_size its length in bytes.
/// @param[out] error         owned, or NULL: why it failed.
/// @return KeyUnavailable from either provider, or where none has this name: nothing is changed then; InvalidArgument, Io,
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_rewrap(
    tenant: *const Tenant,
    provider: *const c_char,
    provider_size: usize,
    error: *mut *mut Error,
) -> Status {
    let is_other = !provider.is_null() || provider_size != 0;
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, provider, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(provider.cast(), provider_size, "provider"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let tenant = tenant?;
        let provider = if is_other { Some(provider?) } else { None };
        tenant.run(|open| Ok(open.tenant.rewrap(provider)?))
    })
}

/// Has the section keys of the catalog and of every tenant wrapped anew that one provider wraps, by another or the same: after
/// its key was rotated, or to move a store to another provider. Interrupted, it is called again. Both have to be configured
/// until it is done; new tenants use the one named default.
///
/// @param[in]  engine    borrowed.
/// @param[in]  from      borrowed; the name of the provider that wraps them, UTF-8.
/// @param[in]  from_size its length in bytes.
/// @param[in]  to        borrowed; the name of the one that wraps them from then on.
/// @param[in]  to_size   its length in bytes.
/// @param[out] count     how many it was; NULL if it is not wanted.
/// @param[out] error     owned, or NULL: why it failed: the first reason, the others are rewrapped all the same.
/// @return as strongroom_tenant_rewrap, and as strongroom_engine_tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_rewrap(
    engine: *const Engine,
    from: *const c_char,
    from_size: usize,
    to: *const c_char,
    to_size: usize,
    count: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (engine, from, to, count, error) = unsafe {
        (
            handle::held(engine, "engine"),
            pointer::name(from.cast(), from_size, "from"),
            pointer::name(to.cast(), to_size, "to"),
            pointer::optional_out(count),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (engine, from, to) = (engine?, from?, to?);
        let done = engine.run(|store| Ok(store.engine.rewrap(from, to)?))?;
        if let Some(count) = count {
            count.write(done);
        }
        Ok(())
    })
}

/// Gives a tenant new section keys and seals its whole keyring anew under them: who has the old ones, because a provider gave
/// them or a process leaked them, opens nothing of the key store from then on. Data, records and their keys stay as they are; copies
/// of the key store from before can be opened as before. Handles of the tenant end: they give Poisoned, and
/// strongroom_engine_tenant gives new ones; cursors from before are good no more. Durable when this returns.
///
/// @param[in]  engine    borrowed.
/// @param[in]  name      borrowed; the tenant's name, UTF-8.
/// @param[in]  name_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return KeyUnavailable from the key provider: nothing is changed then; NotFound; Conflict where the tenant was opened anew
///         meanwhile; Corrupted where a key is lost; InvalidArgument, Io, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_engine_renew_section_keys(
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
        engine.run(|store| Ok(store.engine.renew_section_keys(name)?))
    })
}
