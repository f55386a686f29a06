"""Functions of the application's that the library calls for the time of one call; what they raise is raised by that call."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._errors import check
from ._strongroom import ffi, lib

_NULL = ffi.NULL


class Callback:
    """A function, and what it raised."""

    def __init__(self, function: Optional[Callable[..., Any]], progress: Optional[Callable[..., Any]] = None) -> None:
        self.function = function
        self.progress = progress
        self.raised: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(self.function, *arguments)

    def tell(self, *arguments: Any) -> None:
        self._call(self.progress, *arguments)

    def _call(self, function: Optional[Callable[..., Any]], *arguments: Any) -> Any:
        if self.raised is not None or function is None:
            return None
        try:
            return function(*arguments)
        except BaseException as raised:
            self.raised = raised
            return None

    def check(self, status: int, error: Any) -> None:
        """Raises what the function raised, or what the library says."""
        if self.raised is not None:
            lib.strongroom_error_free(error[0])
            raise self.raised
        if status:
            check(status, error)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def progressed(context: Any, more: int) -> None:
    ffi.from_handle(context).tell(more)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def progressed_of_total(context: Any, done: int, total: int) -> None:
    ffi.from_handle(context).tell(done, total)


@ffi.def_extern(error=False)  # type: ignore[untyped-decorator]
def source_read(context: Any, buffer: Any, capacity: int, read: Any) -> bool:
    callback = ffi.from_handle(context)
    size = callback(ffi.buffer(buffer, capacity))
    if size is None:
        return False
    read[0] = size
    return True


@ffi.def_extern(error=False)  # type: ignore[untyped-decorator]
def index_keys(context: Any, entry: Any, sink: Any) -> bool:
    callback = ffi.from_handle(context)
    return callback(entry, sink) is True and callback.raised is None
