"""Where the keys that wrap keys come from."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, Protocol, Union

from ._strongroom import ffi, lib


@dataclass(frozen=True)
class KeyFile:
    """A root key in a file of its own, made when the store is created."""

    path: Union[str, "os.PathLike[str]"]
    #: Accepts a file that its group may read (mode 0640).
    group_read: bool = False


@dataclass(frozen=True, repr=False)
class Passphrase:
    """A passphrase, stretched by Argon2id. Zero is the default cost."""

    passphrase: bytes
    memory_kib: int = 0
    passes: int = 0
    lanes: int = 0


@dataclass(frozen=True)
class WrapContext:
    """What a wrapped key belongs to; bind it to the wrapped key, so that a moved one does not unwrap."""

    store_id: bytes
    tenant_id: bytes
    #: 1: what maintenance needs. 2: what values need.
    section: int
    #: All of it.
    bytes: bytes


class ProviderDenied(Exception):
    """Raised by a provider that will not: wrong key, no permission. The text must hold no secret."""


class ProviderRetryable(Exception):
    """Raised by a provider that could not be asked. The text must hold no secret."""


class ProviderAlreadyExists(Exception):
    """Raised by a provider's `create` for what is there already."""


class KeyProvider(Protocol):
    """A KMS or an HSM. Called from any thread, several at a time. Any other exception counts as denied."""

    def create(self) -> None:
        """Makes what the provider keeps, when a store is created."""

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Wraps a key of 32 bytes; the result has 1 to 1,024 bytes."""
        ...

    def unwrap(self, wrapped: bytes, context: WrapContext) -> bytes:
        """Unwraps what `wrap` gave for the same context, and nothing else."""
        ...


Provider = Union[KeyFile, Passphrase, KeyProvider]

# The providers that the library holds on to, until it lets go.
_held: dict[Any, Any] = {}
_lock = threading.Lock()


def hold(provider: KeyProvider) -> Any:
    """The functions of a provider, for the library."""
    handle = ffi.new_handle(provider)
    with _lock:
        _held[handle] = handle
    functions = ffi.new("strongroom_key_provider *")
    lib.strongroom_key_provider_init(functions, ffi.sizeof("strongroom_key_provider"))
    functions.context = handle
    functions.create = lib.provider_create
    functions.wrap = lib.provider_wrap
    functions.unwrap = lib.provider_unwrap
    functions.destroy = lib.provider_destroy
    return functions


def let_go(functions: Any) -> None:
    """Forgets a provider that the library did not take."""
    with _lock:
        _held.pop(functions.context, None)


def _answer(error: BaseException, message: Any, capacity: int) -> int:
    text = str(error).encode(errors="replace")[: capacity - 1] + b"\0"
    ffi.memmove(message, text, len(text))
    if isinstance(error, ProviderRetryable):
        return int(lib.STRONGROOM_PROVIDER_RETRYABLE)
    if isinstance(error, ProviderAlreadyExists):
        return int(lib.STRONGROOM_PROVIDER_ALREADY_EXISTS)
    return int(lib.STRONGROOM_PROVIDER_DENIED)


def _bytes(result: Any) -> bytes:
    """What a provider gave, which must be bytes already: bytes(7) are seven zeros."""
    return memoryview(result).tobytes()


def _context(belongs_to: Any) -> WrapContext:
    return WrapContext(
        bytes(ffi.buffer(belongs_to.store_id)),
        bytes(ffi.buffer(belongs_to.tenant_id)),
        belongs_to.section,
        bytes(ffi.buffer(belongs_to.bytes, belongs_to.bytes_size)),
    )


@ffi.def_extern(error=lib.STRONGROOM_PROVIDER_DENIED)  # type: ignore[untyped-decorator]
def provider_create(context: Any, message: Any, capacity: int) -> int:
    try:
        ffi.from_handle(context).create()
    except Exception as error:
        return _answer(error, message, capacity)
    return 0


@ffi.def_extern(error=lib.STRONGROOM_PROVIDER_DENIED)  # type: ignore[untyped-decorator]
def provider_wrap(
    context: Any,
    belongs_to: Any,
    key: Any,
    wrapped: Any,
    capacity: int,
    wrapped_size: Any,
    message: Any,
    message_capacity: int,
) -> int:
    try:
        result = _bytes(ffi.from_handle(context).wrap(bytes(ffi.buffer(key, 32)), _context(belongs_to)))
        if len(result) > capacity:
            raise ValueError(f"a wrapped key has {len(result)} bytes: the most is {capacity}")
        ffi.memmove(wrapped, result, len(result))
        wrapped_size[0] = len(result)
    except Exception as error:
        return _answer(error, message, message_capacity)
    return 0


@ffi.def_extern(error=lib.STRONGROOM_PROVIDER_DENIED)  # type: ignore[untyped-decorator]
def provider_unwrap(
    context: Any,
    belongs_to: Any,
    wrapped: Any,
    wrapped_size: int,
    key: Any,
    message: Any,
    message_capacity: int,
) -> int:
    try:
        sealed = bytes(ffi.buffer(wrapped, wrapped_size))
        result = _bytes(ffi.from_handle(context).unwrap(sealed, _context(belongs_to)))
        if len(result) != 32:
            raise ValueError(f"a key has 32 bytes, not {len(result)}")
        ffi.memmove(key, result, 32)
    except Exception as error:
        return _answer(error, message, message_capacity)
    return 0


@ffi.def_extern()  # type: ignore[untyped-decorator]
def provider_destroy(context: Any) -> None:
    with _lock:
        _held.pop(context, None)
