//! Sessions: records that nothing retains.

use std::ops::Bound;

use strongroom::limits::RECORD_KEY_BYTES_MAX;
use strongroom::{Plaintext, Session as EngineSession};

use crate::boxed;
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::collection::Collection;
use crate::error::{Error, Status};
use crate::handle::{self, Handle, Resting};
use crate::pointer;
use crate::scan::Page;
use crate::tenant::Tenant;

/// Records that nothing retains: they can be read through this session alone, are never written to any file, and are gone,
/// wiped from memory, when it is freed. The memory is the process's: the operating system may swap it, and a crash dump may
/// hold it. May be used from any thread, by several at a time. Freed with strongroom_session_free; the tenant it came from may
/// be freed before.
pub struct Session {
    _opaque: [u8; 0],
}

impl Handle for Session {
    type Value = EngineSession;
    const TAG: u64 = u64::from_le_bytes(*b"sr.sessi");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<EngineSession> = Resting::new();
        &RESTING
    }
}

/// Begins a session.
///
/// @param[in]  tenant  borrowed.
/// @param[out] session owned: freed with strongroom_session_free.
/// @param[out] error   owned, or NULL: why it failed.
/// @return Suspended, NotFound of a tenant that is suspended or removed; Io where the operating system gives no randomness;
///         InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_session(
    tenant: *const Tenant,
    session: *mut *mut Session,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) = unsafe {
        (handle::held(tenant, "tenant"), pointer::out(session, "session"), pointer::optional_out(error))
    };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let session = tenant.run(|open| Ok(open.tenant.session()?))?;
        place.write(handle::give(session, tenant.health()?));
        Ok(())
    })
}

/// Ends a session: its key, its records and their keys are wiped from memory when this returns, or when a call that another
/// thread is in returns.
///
/// @param[in] session owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_free(session: *mut Session) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(session) });
}

/// Puts a record into a session, over what it has under the key. What is stored under the same key stays as it is. The
/// collection need not be there. Nothing of it is durable.
///
/// @param[in]  session    borrowed.
/// @param[in]  collection borrowed; of the session's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[in]  value      borrowed; at most 1 MiB.
/// @param[in]  value_size its length in bytes.
/// @param[out] error      owned, or NULL: why it failed.
/// @return InvalidArgument, for a collection of another tenant too; LimitExceeded for a value or a key over its bound, and where
///         the session would hold more than 64 MiB; Suspended, NotFound of a tenant that is suspended, removed or erased;
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_put(
    session: *const Session,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (session, collection, key, value, error) = unsafe {
        (
            handle::held(session, "session"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::record_value(value, value_size),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (session, collection, key, value) = (session?, collection?, key?, value?);
        session.run(|session| collection.run(|collection| Ok(session.put(collection, key, value)?)))
    })
}

/// A record's value in a session. What is stored is not looked at.
///
/// @param[in]  session    borrowed.
/// @param[in]  collection borrowed; of the session's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] value      owned: freed with strongroom_buffer_free; NULL where the session has no such record.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_session_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_get(
    session: *const Session,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    value: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (session, collection, key, place, error) = unsafe {
        (
            handle::held(session, "session"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::out(value, "value"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (session, collection, key, place) = (session?, collection?, key?, place?);
        let value = session.run(|session| collection.run(|collection| Ok(session.get(collection, key)?)))?;
        place.write(value.map_or(std::ptr::null_mut(), |value| boxed::give::<Buffer>(Bytes::Value(value))));
        Ok(())
    })
}

/// Erases a record of a session: it is wiped from memory when this returns.
///
/// @param[in]  session    borrowed.
/// @param[in]  collection borrowed; of the session's tenant.
/// @param[in]  key        borrowed; 1 to 4,096 bytes.
/// @param[in]  key_size   its length in bytes.
/// @param[out] existed    whether there was such a record; NULL if it is not wanted.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_session_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_erase(
    session: *const Session,
    collection: *const Collection,
    key: *const u8,
    key_size: usize,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (session, collection, key, existed, error) = unsafe {
        (
            handle::held(session, "session"),
            handle::held(collection, "collection"),
            pointer::record_key(key, key_size),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (session, collection, key) = (session?, collection?, key?);
        let did = session.run(|session| collection.run(|collection| Ok(session.erase(collection, key)?)))?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}

/// A session's records of a collection whose keys lie in a range, in ascending order: all in one page. They have no version and
/// no times.
///
/// @param[in]  session    borrowed.
/// @param[in]  collection borrowed; of the session's tenant.
/// @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
/// @param[in]  from_size  its length in bytes.
/// @param[in]  to         borrowed; keys before this one. NULL: to the last one.
/// @param[in]  to_size    its length in bytes.
/// @param[out] page       owned: freed with strongroom_page_free.
/// @param[out] error      owned, or NULL: why it failed.
/// @return as strongroom_session_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_scan(
    session: *const Session,
    collection: *const Collection,
    from: *const u8,
    from_size: usize,
    to: *const u8,
    to_size: usize,
    page: *mut *mut Page,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (session, collection, from, to, place, error) = unsafe {
        (
            handle::held(session, "session"),
            handle::held(collection, "collection"),
            pointer::optional_bytes(from, from_size, RECORD_KEY_BYTES_MAX, "from"),
            pointer::optional_bytes(to, to_size, RECORD_KEY_BYTES_MAX, "to"),
            pointer::out(page, "page"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (session, collection, from, to, place) = (session?, collection?, from?, to?, place?);
        let range =
            (from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded));
        let records: Vec<(Vec<u8>, Plaintext)> = session
            .run(|session| collection.run(|collection| Ok(session.scan::<&[u8]>(collection, range)?)))?;
        place.write(Page::of_session(records));
        Ok(())
    })
}

/// How many records a session has, of all collections.
///
/// @param[in]  session borrowed.
/// @param[out] count   the number.
/// @param[out] error   owned, or NULL: why it failed.
/// @return InvalidArgument, Poisoned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_session_count(
    session: *const Session,
    count: *mut u64,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (session, place, error) = unsafe {
        (handle::held(session, "session"), pointer::out(count, "count"), pointer::optional_out(error))
    };
    call(error, || {
        let (session, place) = (session?, place?);
        place.write(session.run(|session| Ok(session.records() as u64))?);
        Ok(())
    })
}
