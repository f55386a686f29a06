"""Large values as files: readers, and uploads that go on after a restart."""

from __future__ import annotations

import io
from typing import Any, Protocol, Union

from ._errors import check
from ._strongroom import ffi, lib
from ._types import ERROR, SIZE, VERSION, RecordInfo, Version, info_of, initial, version_of, view

_PIECE = 64 << 20


class Readable(Protocol):
    """A binary file, or what has its `read`: at most so many bytes, none at the end."""

    def read(self, size: int, /) -> Union[bytes, None]: ...


def filler(file: Readable) -> Any:
    """Fills a buffer from a file; how many bytes there were."""
    readinto = getattr(file, "readinto", None)

    def fill(buffer: Any) -> int:
        if readinto is not None:
            return readinto(buffer) or 0
        data = file.read(len(buffer)) or b""
        if isinstance(data, str):
            raise TypeError("a value is bytes: open the file in binary mode")
        if len(data) > len(buffer):
            raise ValueError("the file gave more bytes than it was asked for")
        buffer[0 : len(data)] = data
        return len(data)

    return fill


class ValueReader(io.RawIOBase):
    """A record's value as a binary file, to be read and sought in, in constant memory: as it was when the reader was made.

    `io.BufferedReader` over it makes small reads cheap. Close it soon: while it lives, the tenant's file does not use freed
    space again.
    """

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = ffi.gc(handle, lib.strongroom_reader_free)
        self._position = 0
        error, info = ffi.new(ERROR), initial("record_info")
        check(lib.strongroom_reader_get_info(self._handle, info, error), error)
        known = info_of(info)
        assert known is not None
        #: What is known of the record.
        self.info: RecordInfo = known

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._check()
        space = ffi.from_buffer("uint8_t[]", buffer, require_writable=True)
        error, read = ffi.new(ERROR), ffi.new(SIZE)
        read_at = lib.strongroom_reader_read_at
        check(read_at(self._handle, self._position, space, len(space), read, error), error)
        self._position += read[0]
        return int(read[0])

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check()
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.info.value_size}[whence]
        if begin + offset < 0:
            raise ValueError("a seek before the first byte")
        self._position = begin + offset
        return self._position

    def tell(self) -> int:
        self._check()
        return self._position

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the reader is closed")

    def close(self) -> None:
        if not self.closed:
            ffi.release(self._handle)
        super().close()


class Upload(io.RawIOBase):
    """A large value on its way into the store: a binary file to be written, in any number of sessions.

    Bytes are durable 4 MiB at a time, and all of them after `flush`; what is durable stays for 24 hours after it was last
    written, and `Collection.resume_upload(upload.id)` goes on behind it. The record is as it was until `publish`. As a
    context manager it is published at the end of the block, unless the block raised; then it can be resumed.
    """

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = ffi.gc(handle, lib.strongroom_upload_free)
        self._is_over = False
        error, id = ffi.new(ERROR), ffi.new("uint8_t[16]")
        check(lib.strongroom_upload_id(self._handle, id, error), error)
        #: What it is resumed by.
        self.id = bytes(ffi.buffer(id))

    def writable(self) -> bool:
        return True

    @property
    def durable_bytes(self) -> int:
        """Bytes from the beginning of the value that are on the disk."""
        error, count = ffi.new(ERROR), ffi.new("uint64_t *")
        check(lib.strongroom_upload_durable_bytes(self._handle, count, error), error)
        return int(count[0])

    def write(self, data: Any, /) -> int:
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), _PIECE):
            piece, error = view(whole[start : start + _PIECE], "value"), ffi.new(ERROR)
            check(lib.strongroom_upload_write(self._handle, piece, len(piece), error), error)
        return len(whole)

    def flush(self) -> None:
        """Makes all bytes durable that were written."""
        # Closing a file flushes it; this one is left as it is, to be resumed.
        if not self._is_over:
            error = ffi.new(ERROR)
            check(lib.strongroom_upload_flush(self._handle, error), error)

    def publish(self) -> Version:
        """Makes the value the record's, in one change, durable when it returns. The upload is closed."""
        error, version = ffi.new(ERROR), ffi.new(VERSION)
        try:
            check(lib.strongroom_upload_publish(self._handle, version, error), error)
        finally:
            self.close()
        return version_of(version)

    def discard(self) -> None:
        """Gives it up: what there is of it is removed in the background."""
        error = ffi.new(ERROR)
        try:
            check(lib.strongroom_upload_discard(self._handle, error), error)
        finally:
            self.close()

    def close(self) -> None:
        """Closes it as it is; it can be resumed with what is durable."""
        self._is_over = True
        ffi.release(self._handle)
        super().close()

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None and not self.closed:
            self.publish()
        else:
            self.close()
