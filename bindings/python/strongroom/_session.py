"""Records that nothing retains."""

from __future__ import annotations

from typing import Any, Optional

from ._collection import Collection, value_of
from ._errors import check
from ._strongroom import ffi, lib
from ._types import BUFFER, COUNT, ERROR, FLAG, PAGE, BytesLike, view


class Session:
    """Records of a tenant that can be read through this session alone, are in no file, and are wiped from memory when it is
    closed. What is stored under the same keys stays as it is. May be used from any thread."""

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib.strongroom_session_free)

    def put(self, collection: Collection, key: BytesLike, value: BytesLike) -> None:
        key, value, error = view(key, "key"), view(value, "value"), ffi.new(ERROR)
        put = lib.strongroom_session_put
        check(put(self._handle, collection._handle, key, len(key), value, len(value), error), error)

    def get(self, collection: Collection, key: BytesLike) -> Optional[bytes]:
        key, error, buffer = view(key, "key"), ffi.new(ERROR), ffi.new(BUFFER)
        get = lib.strongroom_session_get
        check(get(self._handle, collection._handle, key, len(key), buffer, error), error)
        return None if buffer[0] == ffi.NULL else value_of(buffer[0])

    def erase(self, collection: Collection, key: BytesLike) -> bool:
        """Wipes a record; whether there was one."""
        key, error, existed = view(key, "key"), ffi.new(ERROR), ffi.new(FLAG)
        erase = lib.strongroom_session_erase
        check(erase(self._handle, collection._handle, key, len(key), existed, error), error)
        return bool(existed[0])

    def scan(
        self,
        collection: Collection,
        start: Optional[BytesLike] = None,
        stop: Optional[BytesLike] = None,
    ) -> list[tuple[bytes, bytes]]:
        """Keys and values of a collection from `start` on and before `stop`, in order."""
        error, page = ffi.new(ERROR), ffi.new(PAGE)
        ends = [ffi.NULL if data is None else ffi.from_buffer("uint8_t[]", data) for data in (start, stop)]
        sizes = [0 if data == ffi.NULL else len(data) for data in ends]
        scan = lib.strongroom_session_scan
        status = scan(self._handle, collection._handle, ends[0], sizes[0], ends[1], sizes[1], page, error)
        check(status, error)
        held = ffi.gc(page[0], lib.strongroom_page_free)
        entries = lib.strongroom_page_entries(held)
        return [
            (bytes(ffi.buffer(entry.key, entry.key_size)), bytes(ffi.buffer(entry.value, entry.value_size)))
            for entry in entries[0 : lib.strongroom_page_count(held)]
        ]

    def __len__(self) -> int:
        """How many records it has, of all collections."""
        error, count = ffi.new(ERROR), ffi.new(COUNT)
        check(lib.strongroom_session_count(self._handle, count, error), error)
        return int(count[0])

    def close(self) -> None:
        """Wipes everything."""
        ffi.release(self._handle)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
