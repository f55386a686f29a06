"""What went wrong: one exception for each kind of error, sorted by what to do next."""

from __future__ import annotations

from typing import Any, Optional

from ._strongroom import ffi, lib


class StrongroomError(Exception):
    """A call failed. The text is a sentence that says what to do; it shows no key, value, or name of a tenant."""

    kind: str = "Unknown"
    code: int = 0

    def __init__(self, message: str, *, retryable: bool = False, os_code: int = 0) -> None:
        super().__init__(message)
        #: Whether the same call may succeed later without a person mending anything.
        self.retryable = retryable
        #: The operating system's errno behind it, or 0.
        self.os_code = os_code


class InvalidArgumentError(StrongroomError, ValueError):
    """The call's arguments are wrong: mend the call."""


class NotFoundError(StrongroomError, LookupError):
    """What was named is not there."""


class AlreadyExistsError(StrongroomError):
    """What should be made is there already."""


class ConflictError(StrongroomError):
    """A condition does not hold any more: read again and decide anew."""


class BusyError(StrongroomError):
    """Another process or handle has it: wait, or close the other one."""


class HeldError(StrongroomError):
    """A hold or a minimum retention forbids it."""


class LimitExceededError(StrongroomError, ValueError):
    """A documented bound is exceeded."""


class KeyUnavailableError(StrongroomError):
    """The key provider does not give the key."""


class KeyMissingError(StrongroomError):
    """The key store holds neither the key nor a tombstone of it: restore the key store."""


class UnavailableError(StrongroomError):
    """A volume, directory or file is not there: mount it."""


class SuspendedError(StrongroomError):
    """The tenant is suspended."""


class UnauthenticError(StrongroomError):
    """Bytes do not authenticate: altered, swapped, or sealed under another key."""


class CorruptedError(StrongroomError):
    """Authentic, or not sealed at all, but not well formed."""


class RolledBackError(StrongroomError):
    """Older than the key store's anchor: put the newest copy back, or accept the rollback."""


class UnsupportedFormatError(StrongroomError):
    """Written by a newer version, or by something else."""


class SnapshotExpiredError(StrongroomError):
    """The snapshot or scan is too old, or its file was reopened: start it again."""


class ClockJumpError(StrongroomError):
    """The clock jumped: confirm it."""


class CancelledError(StrongroomError):
    """The caller cancelled."""


class ForkedError(StrongroomError):
    """The store was opened before a fork: open it in the process that uses it."""


class IoError(StrongroomError, OSError):
    """The operating system failed."""


class PoisonedError(StrongroomError):
    """An earlier failure or a close left the handle unusable: open the store again."""


class InternalError(StrongroomError):
    """A defect of the library: report it."""


_KINDS: dict[int, type[StrongroomError]] = {}
for _number, _class in enumerate(
    [
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        ConflictError,
        BusyError,
        HeldError,
        LimitExceededError,
        KeyUnavailableError,
        KeyMissingError,
        UnavailableError,
        SuspendedError,
        UnauthenticError,
        CorruptedError,
        RolledBackError,
        UnsupportedFormatError,
        SnapshotExpiredError,
        ClockJumpError,
        CancelledError,
        ForkedError,
        IoError,
        PoisonedError,
        InternalError,
    ],
    start=1,
):
    _class.kind, _class.code = _class.__name__[: -len("Error")], _number
    _KINDS[_number] = _class


def taken(error: Any) -> StrongroomError:
    """The exception for an error object, which is freed."""
    try:
        status = lib.strongroom_error_status(error)
        message = ffi.string(lib.strongroom_error_message(error)).decode()
        return _KINDS.get(status, InternalError)(
            message,
            retryable=lib.strongroom_error_is_retryable(error),
            os_code=lib.strongroom_error_os_code(error),
        )
    finally:
        lib.strongroom_error_free(error)


def check(status: int, error: Any) -> None:
    """Raises what a call that did not succeed left in its cell, and empties it."""
    if status != 0:
        failed: Optional[Any] = error[0]
        error[0] = ffi.NULL
        raise taken(failed)
