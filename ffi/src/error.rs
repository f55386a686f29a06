//! Status codes, and the error object that says more.

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::fmt::Display;
use std::io;

use strongroom::ErrorKind;

use crate::boxed::{Boxed, Named, free};
use crate::call::guarded;

/// What a call comes to. The numbers from 1 on are those of the command line's exit status, less 10, and of every
/// binding. They are never given another meaning; a later version may add some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// It was done, and the out-parameters are written.
    Ok = 0,
    /// The call's arguments are wrong: mend the call.
    InvalidArgument = 1,
    /// What was named is not there.
    NotFound = 2,
    /// What should be made is there already.
    AlreadyExists = 3,
    /// A condition does not hold any more: read again and decide anew.
    Conflict = 4,
    /// Another process or handle has it: wait, or close the other one.
    Busy = 5,
    /// A hold or a minimum retention forbids it.
    Held = 6,
    /// A documented bound is exceeded.
    LimitExceeded = 7,
    /// The key provider does not give the key.
    KeyUnavailable = 8,
    /// The key store holds neither the key nor a tombstone of it: restore the key store.
    KeyMissing = 9,
    /// A volume, directory or file is not there: mount it.
    Unavailable = 10,
    /// The tenant is suspended.
    Suspended = 11,
    /// Bytes do not authenticate: altered, swapped, or sealed under another key.
    Unauthentic = 12,
    /// Authentic, or not sealed at all, but not well formed.
    Corrupted = 13,
    /// Older than the key store's anchor: put the newest copy back, or accept the rollback.
    RolledBack = 14,
    /// Written by a newer version, or by something else.
    UnsupportedFormat = 15,
    /// The snapshot or scan is too old, or its file was reopened: start it again.
    SnapshotExpired = 16,
    /// The clock jumped: confirm it.
    ClockJump = 17,
    /// The caller cancelled.
    Cancelled = 18,
    /// The handle was made before a fork: open the store in the process that uses it.
    Forked = 19,
    /// The operating system failed: see strongroom_error_os_code.
    Io = 20,
    /// An earlier failure left the handle unusable: free it and open the store again.
    Poisoned = 21,
    /// A defect of this library: report it.
    Internal = 22,
}

/// Every status, in the order of the numbers, with its name.
const STATUSES: [(Status, &CStr); 23] = [
    (Status::Ok, c"Ok"),
    (Status::InvalidArgument, c"InvalidArgument"),
    (Status::NotFound, c"NotFound"),
    (Status::AlreadyExists, c"AlreadyExists"),
    (Status::Conflict, c"Conflict"),
    (Status::Busy, c"Busy"),
    (Status::Held, c"Held"),
    (Status::LimitExceeded, c"LimitExceeded"),
    (Status::KeyUnavailable, c"KeyUnavailable"),
    (Status::KeyMissing, c"KeyMissing"),
    (Status::Unavailable, c"Unavailable"),
    (Status::Suspended, c"Suspended"),
    (Status::Unauthentic, c"Unauthentic"),
    (Status::Corrupted, c"Corrupted"),
    (Status::RolledBack, c"RolledBack"),
    (Status::UnsupportedFormat, c"UnsupportedFormat"),
    (Status::SnapshotExpired, c"SnapshotExpired"),
    (Status::ClockJump, c"ClockJump"),
    (Status::Cancelled, c"Cancelled"),
    (Status::Forked, c"Forked"),
    (Status::Io, c"Io"),
    (Status::Poisoned, c"Poisoned"),
    (Status::Internal, c"Internal"),
];

impl From<ErrorKind> for Status {
    /// A kind that this version of the ABI does not name is a defect of it.
    fn from(kind: ErrorKind) -> Self {
        STATUSES.get(usize::from(kind.code())).map_or(Self::Internal, |(status, _)| *status)
    }
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    message: CString,
    retryable: bool,
    os_code: i32,
}

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: Status, message: impl Display) -> Self {
        let text: Vec<u8> = message.to_string().into_bytes().into_iter().filter(|byte| *byte != 0).collect();
        Self { status, message: CString::new(text).unwrap_or_default(), retryable: false, os_code: 0 }
    }

    pub(crate) fn invalid(message: impl Display) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    /// What a panic comes to. Its payload is leaked: dropping it could panic again.
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        std::mem::forget(payload);
        Self::new(
            Status::Internal,
            "the library panicked, which is a defect of it: free the handle, open the store again, and report this",
        )
    }

    /// A function of the application's did not go on.
    pub(crate) fn refused(what: &str) -> Self {
        Self::new(Status::Cancelled, format_args!("`{what}` failed: nothing is done that depends on it"))
    }

    pub(crate) fn poisoned() -> Self {
        Self::new(
            Status::Poisoned,
            "an earlier call on this handle, or on the one it was made from, panicked: free it and open the store again",
        )
    }
}

impl From<strongroom::Error> for Failure {
    fn from(error: strongroom::Error) -> Self {
        let mut failure = Self::new(error.kind().into(), &error);
        failure.retryable = error.is_retryable();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                failure.os_code = code;
                break;
            }
            cause = error.source();
        }
        failure
    }
}

/// Why a call failed: owned by whoever gets it, and freed with strongroom_error_free. Immutable; may be read from any
/// thread.
pub struct Error {
    _opaque: [u8; 0],
}

impl Named for Error {
    type Value = Failure;
    const TAG: u64 = u64::from_le_bytes(*b"sr.error");
}

/// The name of a status, as the documents write it: "KeyMissing". Never fails.
///
/// @param[in] status a status.
/// @return borrowed, static, NUL-terminated; "Unknown" for a number that no status has.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_status_name(status: i32) -> *const c_char {
    let index = usize::try_from(status).ok();
    index.and_then(|index| STATUSES.get(index)).map_or(c"Unknown", |(_, name)| name).as_ptr()
}

/// The status that the failed call returned.
///
/// @param[in] error borrowed; NULL gives STRONGROOM_STATUS_OK.
/// @return the status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_status(error: *const Error) -> Status {
    // SAFETY: the caller's pointer is NULL or an error that it has not freed, as the header demands.
    let error = unsafe { Boxed::of(error, "error") };
    guarded(Status::Internal, || error.map_or(Status::Ok, |failure| failure.status))
}

/// A sentence that says what happened and what to do, in English. It shows no key, value, record key or name of a tenant.
///
/// @param[in] error borrowed; NULL gives an empty text.
/// @return borrowed from the error until it is freed; UTF-8, NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_message(error: *const Error) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or an error that it has not freed, as the header demands.
    let error = unsafe { Boxed::of(error, "error") };
    guarded(c"".as_ptr(), || error.map_or(c"".as_ptr(), |failure| failure.message.as_ptr()))
}

/// Whether the same call may succeed later without a person mending anything: a store that is open elsewhere, a key
/// provider that could not be reached.
///
/// @param[in] error borrowed; NULL gives false.
/// @return whether it is worth another try.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_is_retryable(error: *const Error) -> bool {
    // SAFETY: the caller's pointer is NULL or an error that it has not freed, as the header demands.
    let error = unsafe { Boxed::of(error, "error") };
    guarded(false, || error.is_ok_and(|failure| failure.retryable))
}

/// The operating system's code (errno) behind the error.
///
/// @param[in] error borrowed; NULL gives 0.
/// @return the code, or 0 where the error does not come from the operating system.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_os_code(error: *const Error) -> i32 {
    // SAFETY: the caller's pointer is NULL or an error that it has not freed, as the header demands.
    let error = unsafe { Boxed::of(error, "error") };
    guarded(0, || error.map_or(0, |failure| failure.os_code))
}

/// Frees an error.
///
/// @param[in] error owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_free(error: *mut Error) {
    // SAFETY: the caller's pointer is NULL or an error that it gives up, as the header demands.
    let error = unsafe { Boxed::take(error) };
    guarded((), || free(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_the_engine_has_its_number_and_name() {
        for kind in ErrorKind::ALL {
            let status = Status::from(kind);
            assert_eq!(status as i32, i32::from(kind.code()));
            assert_eq!(STATUSES[status as usize].1.to_str(), Ok(kind.name()));
        }
        assert_eq!(STATUSES.len(), ErrorKind::ALL.len() + 1);
    }

    #[test]
    fn a_message_with_a_zero_byte_is_not_cut_off() {
        assert_eq!(Failure::invalid("a\0b").message.as_c_str(), c"ab");
    }
}
