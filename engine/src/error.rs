//! The one public error. Its kind says what the caller does next; its text never holds a key, a value, a
//! record key or a tenant's name (invariant 9): tenants are named by id, files by path.

use std::fmt;
use std::io;

/// What went wrong, sorted by what the caller does next.
///
/// The numbers are shared with the command line's exit status (10 + number) and never reused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ErrorKind {
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
    /// The key provider does not give the key: wrong key or passphrase, denied, or unreachable (then
    /// [`Error::is_retryable`]).
    KeyUnavailable = 8,
    /// The key store holds neither the key nor a tombstone of it: restore the key store.
    KeyMissing = 9,
    /// A volume, directory or file is not there: mount it.
    Unavailable = 10,
    /// The tenant is suspended.
    Suspended = 11,
    /// Bytes do not authenticate: altered, swapped, or sealed under another key. Tells no cause.
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
    /// The handle was made before a fork: open after it.
    Forked = 19,
    /// The operating system failed: see [`std::error::Error::source`].
    Io = 20,
    /// An earlier failure left the handle unusable: reopen.
    Poisoned = 21,
    /// A defect of this library: report it.
    Internal = 22,
}

impl ErrorKind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 22] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Busy,
        Self::Held,
        Self::LimitExceeded,
        Self::KeyUnavailable,
        Self::KeyMissing,
        Self::Unavailable,
        Self::Suspended,
        Self::Unauthentic,
        Self::Corrupted,
        Self::RolledBack,
        Self::UnsupportedFormat,
        Self::SnapshotExpired,
        Self::ClockJump,
        Self::Cancelled,
        Self::Forked,
        Self::Io,
        Self::Poisoned,
        Self::Internal,
    ];

    /// The kind's number, 1 to 22.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind's name, as written in the documents: `"KeyMissing"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Busy => "Busy",
            Self::Held => "Held",
            Self::LimitExceeded => "LimitExceeded",
            Self::KeyUnavailable => "KeyUnavailable",
            Self::KeyMissing => "KeyMissing",
            Self::Unavailable => "Unavailable",
            Self::Suspended => "Suspended",
            Self::Unauthentic => "Unauthentic",
            Self::Corrupted => "Corrupted",
            Self::RolledBack => "RolledBack",
            Self::UnsupportedFormat => "UnsupportedFormat",
            Self::SnapshotExpired => "SnapshotExpired",
            Self::ClockJump => "ClockJump",
            Self::Cancelled => "Cancelled",
            Self::Forked => "Forked",
            Self::Io => "Io",
            Self::Poisoned => "Poisoned",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call failed.
///
/// `Display` is one sentence that says what to do; the cause, where there is one, is its source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retryable: kind == ErrorKind::Busy,
            source: None,
        }))
    }

    /// An error of the operating system. A missing file is `Unavailable`, a lost authentication stays what
    /// it was (the storage backend passes our own errors through redb inside an `io::Error`).
    pub(crate) fn io(message: impl Into<String>, source: io::Error) -> Self {
        let source = match Self::unwrap_io(source) {
            Ok(ours) => return ours,
            Err(source) => source,
        };
        let kind = match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Unavailable,
            io::ErrorKind::UnexpectedEof => ErrorKind::Corrupted,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("{}: {source}", message.into())).with_source(source)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Whether the disk was full.
    pub(crate) fn is_storage_full(&self) -> bool {
        let source = self.0.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
        source.is_some_and(|source| source.kind() == io::ErrorKind::StorageFull)
    }

    /// The same error for another who waited for the same thing; without its source.
    pub(crate) fn again(&self) -> Self {
        let mut error = Self::new(self.kind(), self.to_string());
        error.0.retryable = self.is_retryable();
        error
    }

    /// The same error, its sentence preceded by where it happened.
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anything being mended by a person: a busy lock, a
    /// key provider that could not be reached.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The error that a reader or writer of this crate gave as an `io::Error`; another one becomes `Io`.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        Self::unwrap_io(error)
            .unwrap_or_else(|error| Self::new(ErrorKind::Io, error.to_string()).with_source(error))
    }

    /// Packs this error into an `io::Error`, for the passage through redb.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Gets back what [`Error::into_io`] packed.
    pub(crate) fn unwrap_io(error: io::Error) -> std::result::Result<Self, io::Error> {
        if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>) {
            let ours = error.into_inner().and_then(|inner| inner.downcast::<Self>().ok());
            return ours.map(|ours| *ours).ok_or_else(|| io::Error::other("an error lost its cause"));
        }
        Err(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)
    }
}

/// For implementations of [`io::Read`] and [`io::Write`]; [`Error::from_io`] gets it back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        error.into_io()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Makes an error of the kind named: `fail!(Corrupted, "tenant {id}: ...")`.
macro_rules! fail {
    ($kind:ident, $($message:tt)+) => {
        $crate::error::Error::new($crate::error::ErrorKind::$kind, format!($($message)+))
    };
}
pub(crate) use fail;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_in_order() {
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.code()), index + 1);
        }
    }

    #[test]
    fn an_error_passes_through_io_unchanged() {
        let error = Error::io("reading", fail!(Unauthentic, "block 7").into_io());
        assert_eq!(error.kind(), ErrorKind::Unauthentic);
        assert_eq!(error.to_string(), "block 7");
    }

    #[test]
    fn a_missing_file_is_unavailable_and_a_short_one_corrupted() {
        assert_eq!(Error::io("x", io::ErrorKind::NotFound.into()).kind(), ErrorKind::Unavailable);
        assert_eq!(Error::io("x", io::ErrorKind::UnexpectedEof.into()).kind(), ErrorKind::Corrupted);
        assert_eq!(Error::io("x", io::ErrorKind::StorageFull.into()).kind(), ErrorKind::Io);
    }
}
