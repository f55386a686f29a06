//! What this library is, and what it can do.

use std::ffi::c_char;

use crate::call::guarded;
use crate::error::Status;
use crate::pointer;

/// The version of the ABI that this header describes. Its upper 16 bits are the number in the shared library's name: with
/// another one, nothing is promised. The lower 16 bits grow when something is added.
pub const STRONGROOM_ABI_VERSION: u32 = 1;

/// What there is besides opening a store, collections, put, get and scan.
const FEATURES: [&str; 28] = [
    "batch",
    "buffered",
    "collections",
    "condition",
    "cursor",
    "data-key",
    "erase",
    "expiry",
    "health",
    "hold",
    "index",
    "key-provider",
    "ledger",
    "log",
    "policy",
    "quota",
    "removal",
    "rewrap",
    "rewrite",
    "salvage",
    "session",
    "settings-file",
    "snapshot",
    "stream",
    "subject",
    "submit",
    "tenant-life",
    "upload",
];

/// The version of the ABI that the library has, to be compared with STRONGROOM_ABI_VERSION. Never fails; may be called at
/// any time, from any thread.
///
/// @return the version.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_abi_version() -> u32 {
    STRONGROOM_ABI_VERSION
}

/// The library's release, as "0.1.0".
///
/// @return borrowed, static, NUL-terminated.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_release() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Whether the library has a feature: one of batch, buffered, collections, condition, cursor, data-key, erase, expiry,
/// health, hold, index, key-provider, ledger, log, policy, quota, removal, rewrap, rewrite, salvage, session,
/// settings-file, snapshot, stream, subject, submit, tenant-life, upload. A newer library has more.
///
/// @param[in] name      borrowed; NULL gives false.
/// @param[in] name_size its length in bytes.
/// @return whether it has the feature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_has_feature(name: *const c_char, name_size: usize) -> bool {
    // SAFETY: the caller's text is NULL or as long as it says, as the header demands.
    let name = unsafe { pointer::name(name.cast(), name_size, "name") };
    guarded(false, || name.is_ok_and(|name| FEATURES.contains(&name)))
}

/// Sets up a struct of the caller's: everything zero, which is the default, and its size.
///
/// # Safety
/// That of [`pointer::new_struct`].
pub(crate) unsafe fn init<T: pointer::Growing>(pointer: *mut T, size: usize) -> Status {
    // SAFETY: the caller promises what it demands.
    let place = unsafe { pointer::new_struct(pointer, size) };
    guarded(Status::Internal, || match place {
        Ok(place) => {
            place.write(&T::initial());
            Status::Ok
        }
        Err(failure) => failure.status,
    })
}
