"""Collections and what is read from them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from weakref import WeakKeyDictionary

from ._callbacks import Callback
from ._errors import check
from ._streams import Readable, Upload, ValueReader, filler
from ._strongroom import ffi, lib
from ._types import (
    BUFFER,
    COUNT,
    DURABILITIES,
    ERROR,
    FLAG,
    PAGE,
    SIZE,
    VERSION,
    BytesLike,
    EraseReport,
    IndexInfo,
    Page,
    Policy,
    Quota,
    Record,
    RecordInfo,
    Removed,
    Usage,
    Version,
    erasure_of,
    info_of,
    initial,
    milliseconds_of,
    rows,
    text_of,
    time_of,
    usage_of,
    version_of,
    view,
)

if TYPE_CHECKING:
    from ._store import Snapshot, Tenant

_T = TypeVar("_T")

_new = ffi.new
_NULL = ffi.NULL
_ABSENT = lib.STRONGROOM_ABSENT
_NEVER = lib.STRONGROOM_NEVER
_get = lib.strongroom_collection_get
_put = lib.strongroom_collection_put
_data = lib.strongroom_buffer_data
_size = lib.strongroom_buffer_size
_free = lib.strongroom_buffer_free
_memory = ffi.buffer


# What options point at lives as long as they do.
_alive: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()

#: Keys in indexes, by the index's name.
IndexKeys = Mapping[str, Union[bytes, Sequence[bytes]]]


def _durable_as(number: int) -> Any:
    options = initial("put_options")
    options.durability = number
    return options


# What most puts say; the library only reads it.
_DURABILITY_ALONE: dict[Optional[str], Any] = {
    name: _durable_as(number) if number else _NULL for name, number in DURABILITIES.items()
}


def put_options(
    if_absent: bool,
    if_version: Optional[Version],
    durability: Optional[str],
    written: Optional[datetime],
    ttl: Optional[timedelta] = None,
    expires: Optional[datetime] = None,
    subject: Optional[str] = None,
    index: Optional[IndexKeys] = None,
    erasure: Optional[str] = None,
) -> Any:
    if durability not in DURABILITIES:
        raise ValueError(f"durability is 'durable' or 'buffered', not {durability!r}")
    if (
        not if_absent
        and if_version is None
        and written is None
        and ttl is None
        and expires is None
        and subject is None
        and index is None
        and erasure is None
    ):
        return _DURABILITY_ALONE[durability]
    if if_absent and if_version is not None:
        raise ValueError("give if_absent or if_version, not both")
    options = initial("put_options")
    options.durability, options.erasure = DURABILITIES[durability], erasure_of(erasure)
    if if_absent:
        options.condition = lib.STRONGROOM_CONDITION_ABSENT
    elif if_version is not None:
        options.condition = lib.STRONGROOM_CONDITION_VERSION
        options.version.timeline, options.version.sequence = if_version
    if written is not None:
        options.written_ms = milliseconds_of(written)
    if ttl is not None:
        options.ttl_ms = max(1, round(ttl / timedelta(milliseconds=1)))
    if expires is not None:
        options.expires_ms = milliseconds_of(expires)
    held = _alive[options] = []
    if subject is not None:
        text = ffi.from_buffer("char[]", subject.encode())
        options.subject, options.subject_size = text, len(text)
        held.append(text)
    if index:
        pairs = [
            (ffi.from_buffer("char[]", name.encode()), ffi.from_buffer("uint8_t[]", key))
            for name, keys in index.items()
            for key in ([keys] if isinstance(keys, bytes) else keys)
        ]
        array = ffi.new("strongroom_index_key[]", [(n, len(n), k, len(k)) for n, k in pairs])
        options.index_keys, options.index_key_count = array, len(pairs)
        held += [pairs, array]
    return options


class _ScanOptions:
    """Options for the library, and what keeps their bytes alive."""

    def __init__(
        self,
        start: Optional[BytesLike],
        stop: Optional[BytesLike],
        prefix: Optional[BytesLike],
        reverse: bool,
        limit: Optional[int],
        keys_only: bool,
        after: Optional[BytesLike],
        open_ahead: int = 0,
    ) -> None:
        self.options = initial("scan_options")
        self._alive = []
        for name, data in (("from", start), ("to", stop), ("prefix", prefix), ("after", after)):
            if data is not None:
                held = ffi.from_buffer("uint8_t[]", data)
                self._alive.append(held)
                setattr(self.options, name, held)
                setattr(self.options, f"{name}_size", len(held))
        if limit is not None:
            if limit < 1:
                raise ValueError("a limit is at least 1")
            self.options.limit = limit
        self.options.reverse = reverse
        self.options.keys_only = keys_only
        self.options.open_ahead = open_ahead


def value_of(buffer: Any) -> bytes:
    """A copy of a buffer, which is wiped."""
    try:
        return bytes(_memory(_data(buffer), _size(buffer)))
    finally:
        _free(buffer)


def _record(entry: Any) -> Record:
    value, size = entry.value, entry.value_size
    version = entry.version
    return Record(
        bytes(_memory(entry.key, entry.key_size)),
        None if value == _NULL else bytes(_memory(value, size)),
        Version(version.timeline, version.sequence),
        entry.written_ms,
        None if entry.expires_ms == _NEVER else entry.expires_ms,
        size,
    )


def _records(page: Any) -> list[Record]:
    entries = lib.strongroom_page_entries(page)
    return [_record(entries[index]) for index in range(lib.strongroom_page_count(page))]


def add_keys(keys_of: Callable[[Record], Union[bytes, Sequence[bytes]]]) -> Any:
    """Gives the keys of an entry to the library."""

    def add(entry: Any, sink: Any) -> bool:
        keys, error = keys_of(_record(entry)), _new(ERROR)
        for key in [keys] if isinstance(keys, bytes) else keys:
            check(lib.strongroom_key_sink_add(sink, view(key, "key"), len(key), error), error)
        return True

    return add


class Scan(Iterator[Record]):
    """Records in order, as they were when the scan began; they cross the boundary in pages."""

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib.strongroom_scan_free)
        self._page: Iterator[Record] = iter(())

    def __next__(self) -> Record:
        for record in self._page:
            return record
        records = self.next_page()
        if not records:
            raise StopIteration
        self._page = iter(records)
        return next(self._page)

    def next_page(self, records: int = 0) -> list[Record]:
        """The next records, at most so many; none at the end."""
        error, page = _new(ERROR), _new(PAGE)
        check(lib.strongroom_scan_next(self._handle, records, 0, page, error), error)
        if page[0] == _NULL:
            return []
        try:
            return _records(page[0])
        finally:
            lib.strongroom_page_free(page[0])

    def cursor(self) -> Optional[bytes]:
        error, buffer = _new(ERROR), _new(BUFFER)
        check(lib.strongroom_scan_cursor(self._handle, buffer, error), error)
        return None if buffer[0] == _NULL else value_of(buffer[0])

    def close(self) -> None:
        ffi.release(self._handle)

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Collection(MutableMapping[bytes, bytes]):
    """A collection of a tenant: a mapping from bytes to bytes, durable, in the order of the keys.

    May be used from any thread; the GIL is released during calls.
    """

    def __init__(self, tenant: Tenant, handle: Any, name: str) -> None:
        self._tenant = tenant
        self._handle = ffi.gc(handle, lib.strongroom_collection_free)
        self.name = name

    def __repr__(self) -> str:
        return "<strongroom.Collection>"

    # As a mapping.

    def __getitem__(self, key: BytesLike) -> bytes:
        value: Optional[bytes] = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: BytesLike, value: BytesLike) -> None:
        self.put(key, value)

    def __delitem__(self, key: BytesLike) -> None:
        if not self.erase(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (bytes, bytearray, memoryview)) and self.info(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        return (record.key for record in self.scan(keys_only=True))

    def __len__(self) -> int:
        return self.count()

    # Records.

    @overload
    def get(self, key: BytesLike) -> Optional[bytes]: ...

    @overload
    def get(self, key: BytesLike, default: _T) -> Union[bytes, _T]: ...

    def get(self, key: BytesLike, default: Any = None) -> Any:
        """A record's value, or the default where there is none."""
        error, buffer = _new(ERROR), _new(BUFFER)
        if type(key) is not bytes:
            key = view(key, "key")
        status = _get(self._handle, key, len(key), buffer, error)
        if status:
            check(status, error)
        found = buffer[0]
        if found == _NULL:
            return default
        value = _memory(_data(found), _size(found))[:]
        _free(found)
        return value

    def get_into(self, key: BytesLike, buffer: Union[bytearray, memoryview]) -> Optional[int]:
        """Copies a record's value into a writable buffer, and gives its length; None where there is no such record.
        A value that is longer than the buffer is not copied."""
        key = view(key, "key")
        space = ffi.from_buffer("uint8_t[]", buffer, require_writable=True)
        error, size = _new(ERROR), _new(SIZE)
        check(
            lib.strongroom_collection_get_into(self._handle, key, len(key), space, len(space), size, error),
            error,
        )
        return None if size[0] == _ABSENT else int(size[0])

    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        *,
        if_absent: bool = False,
        if_version: Optional[Version] = None,
        durability: Optional[str] = None,
        written: Optional[datetime] = None,
        ttl: Optional[timedelta] = None,
        expires: Optional[datetime] = None,
        subject: Optional[str] = None,
        index: Optional[IndexKeys] = None,
        erasure: Optional[str] = None,
    ) -> Version:
        """Puts a record, over what is there. Durable when it returns, unless `durability` is "buffered".

        `ttl` or `expires` say when it expires; `subject` whom it is about; `index` its keys in indexes; with `erasure="record"`
        it has a key of its own, so that its erasure reaches every copy.
        """
        options = put_options(if_absent, if_version, durability, written, ttl, expires, subject, index, erasure)
        key, value = view(key, "key"), view(value, "value")
        error, version = _new(ERROR), _new(VERSION)
        status = _put(self._handle, key, len(key), value, len(value), options, version, error)
        if status:
            check(status, error)
        return Version(version.timeline, version.sequence)

    # Large values.

    def get_range(self, key: BytesLike, offset: int, size: int) -> Optional[bytes]:
        """At most `size` bytes of a value from `offset` on, as far as it goes; at most 64 MiB."""
        key, error, buffer = view(key, "key"), _new(ERROR), _new(BUFFER)
        get_range = lib.strongroom_collection_get_range
        check(get_range(self._handle, key, len(key), offset, size, buffer, error), error)
        return None if buffer[0] == _NULL else value_of(buffer[0])

    def get_reader(self, key: BytesLike) -> Optional[ValueReader]:
        """A value of any length as a binary file; None where there is no such record."""
        key, error, reader = view(key, "key"), _new(ERROR), _new("strongroom_reader **")
        check(lib.strongroom_collection_get_reader(self._handle, key, len(key), reader, error), error)
        return None if reader[0] == _NULL else ValueReader(reader[0])

    def put_reader(
        self,
        key: BytesLike,
        file: Readable,
        *,
        if_absent: bool = False,
        if_version: Optional[Version] = None,
        durability: Optional[str] = None,
        written: Optional[datetime] = None,
        ttl: Optional[timedelta] = None,
        expires: Optional[datetime] = None,
        subject: Optional[str] = None,
        index: Optional[IndexKeys] = None,
        erasure: Optional[str] = None,
    ) -> Version:
        """Puts a record whose value is what a binary file gives until its end: up to 1 TiB, in constant memory. The record
        appears when all of it is there; where the file raises, that is raised, and the record is as it was."""
        options = put_options(if_absent, if_version, durability, written, ttl, expires, subject, index, erasure)
        key, error, version, source = view(key, "key"), _new(ERROR), _new(VERSION), Callback(filler(file))
        put = lib.strongroom_collection_put_reader
        status = put(self._handle, key, len(key), lib.source_read, source.handle, options, version, error)
        source.check(status, error)
        return version_of(version)

    def begin_upload(
        self,
        key: BytesLike,
        *,
        if_absent: bool = False,
        if_version: Optional[Version] = None,
        written: Optional[datetime] = None,
        ttl: Optional[timedelta] = None,
        expires: Optional[datetime] = None,
        subject: Optional[str] = None,
        index: Optional[IndexKeys] = None,
        erasure: Optional[str] = None,
    ) -> Upload:
        """Begins to put a value in parts; conditions are looked at when it is published, a time to live begins now."""
        options = put_options(if_absent, if_version, None, written, ttl, expires, subject, index, erasure)
        key, error, upload = view(key, "key"), _new(ERROR), _new("strongroom_upload **")
        begin = lib.strongroom_collection_begin_upload
        check(begin(self._handle, key, len(key), options, upload, error), error)
        return Upload(upload[0])

    def resume_upload(self, id: bytes) -> Upload:
        """Goes on with an upload, in another process too: its `durable_bytes` say from where in the value."""
        if len(id) != 16:
            raise ValueError("an upload's id has 16 bytes")
        error, upload = _new(ERROR), _new("strongroom_upload **")
        check(lib.strongroom_collection_resume_upload(self._handle, id, upload, error), error)
        return Upload(upload[0])

    def info(self, key: BytesLike) -> Optional[RecordInfo]:
        """What is known of a record; its value is not opened."""
        key, error, info = view(key, "key"), _new(ERROR), initial("record_info")
        check(lib.strongroom_collection_get_info(self._handle, key, len(key), info, error), error)
        return info_of(info)

    def erase(self, key: BytesLike, *, if_version: Optional[Version] = None) -> bool:
        """Erases a record; whether there was one."""
        key, error = view(key, "key"), _new(ERROR)
        if if_version is not None:
            version = _new(VERSION, {"timeline": if_version[0], "sequence": if_version[1]})
            erase = lib.strongroom_collection_erase_if_version
            check(erase(self._handle, key, len(key), version, error), error)
            return True
        existed = _new(FLAG)
        check(lib.strongroom_collection_erase(self._handle, key, len(key), existed, error), error)
        return bool(existed[0])

    def erase_range(self, start: Optional[BytesLike] = None, stop: Optional[BytesLike] = None) -> EraseReport:
        """Erases the records from `start` on and before `stop`; how many there were, and how many are held."""
        held = _new(COUNT)
        erased = self._over_range(lib.strongroom_collection_erase_range, start, stop, held)
        return EraseReport(erased, int(held[0]))

    def erase_prefix(self, prefix: BytesLike) -> EraseReport:
        """Erases the records whose keys begin with `prefix`; how many there were, and how many are held."""
        held = _new(COUNT)
        return EraseReport(self._over_prefix(lib.strongroom_collection_erase_prefix, prefix, held), int(held[0]))

    def remove(self, key: BytesLike, *, if_version: Optional[Version] = None) -> bool:
        """Removes a record: readers do not find it any more, and it can be restored until its removal window is over.
        Whether there was one."""
        return self._move(lib.strongroom_collection_remove, key, if_version)

    def remove_range(self, start: Optional[BytesLike] = None, stop: Optional[BytesLike] = None) -> int:
        """Removes the records from `start` on and before `stop`; how many there were."""
        return self._over_range(lib.strongroom_collection_remove_range, start, stop)

    def remove_prefix(self, prefix: BytesLike) -> int:
        """Removes the records whose keys begin with `prefix`; how many there were."""
        return self._over_prefix(lib.strongroom_collection_remove_prefix, prefix)

    def restore(self, key: BytesLike, *, version: Optional[Version] = None) -> bool:
        """Restores the record that was removed last, or that had a version: it is back as it was. Whether there was one."""
        return self._move(lib.strongroom_collection_restore, key, version)

    def restore_range(self, start: Optional[BytesLike] = None, stop: Optional[BytesLike] = None) -> int:
        """Restores what was removed last of each key from `start` on and before `stop` that is free; how many."""
        return self._over_range(lib.strongroom_collection_restore_range, start, stop)

    def restore_prefix(self, prefix: BytesLike) -> int:
        """Restores what was removed last of each key that begins with `prefix` and is free; how many."""
        return self._over_prefix(lib.strongroom_collection_restore_prefix, prefix)

    def removed(
        self,
        *,
        prefix: Optional[BytesLike] = None,
        limit: Optional[int] = None,
        after: Optional[bytes] = None,
    ) -> tuple[list[Removed], Optional[bytes]]:
        """What was removed and can be restored, and the cursor of the next page: None where nothing comes behind it."""
        options = _ScanOptions(None, None, prefix, False, limit, False, after)
        error, list_, cursor = _new(ERROR), _new("strongroom_list **"), _new(BUFFER)
        removed = lib.strongroom_collection_removed
        check(removed(self._handle, options.options, list_, cursor, error), error)
        found = [
            Removed(
                bytes(_memory(row.key, row.key_size)),
                version_of(row.version),
                time_of(row.written_ms),
                time_of(row.removed_ms),
                time_of(row.erased_from_ms),
                row.value_size,
            )
            for row in rows("removed", list_[0])
        ]
        return found, None if cursor[0] == _NULL else value_of(cursor[0])

    def _over_range(self, call: Any, start: Optional[BytesLike], stop: Optional[BytesLike], *more: Any) -> int:
        error, count = _new(ERROR), _new(COUNT)
        ends = [_NULL if data is None else ffi.from_buffer("uint8_t[]", data) for data in (start, stop)]
        sizes = [0 if data == _NULL else len(data) for data in ends]
        check(call(self._handle, ends[0], sizes[0], ends[1], sizes[1], count, *more, error), error)
        return int(count[0])

    def _over_prefix(self, call: Any, prefix: BytesLike, *more: Any) -> int:
        prefix, error, count = view(prefix, "prefix"), _new(ERROR), _new(COUNT)
        check(call(self._handle, prefix, len(prefix), count, *more, error), error)
        return int(count[0])

    def _move(self, move: Any, key: BytesLike, version: Optional[Version]) -> bool:
        key, error, existed = view(key, "key"), _new(ERROR), _new(FLAG)
        only = _NULL
        if version is not None:
            only = _new(VERSION, {"timeline": version[0], "sequence": version[1]})
        check(move(self._handle, key, len(key), only, existed, error), error)
        return bool(existed[0])

    def clear(self) -> None:
        self.erase_range()

    # Indexes.

    def declare_index(self, name: str, *, unique: bool = False) -> None:
        """From then on puts may give records keys in it; a second record with a key in a unique one is a ConflictError."""
        text, error = name.encode(), _new(ERROR)
        kind = lib.STRONGROOM_INDEX_UNIQUE if unique else lib.STRONGROOM_INDEX_ORDERED
        check(lib.strongroom_collection_declare_index(self._handle, text, len(text), kind, error), error)

    def drop_index(self, name: str) -> None:
        text, error = name.encode(), _new(ERROR)
        check(lib.strongroom_collection_drop_index(self._handle, text, len(text), error), error)

    def indexes(self) -> list[IndexInfo]:
        """The indexes that are declared, ordered by name."""
        error, list_ = _new(ERROR), _new("strongroom_list **")
        check(lib.strongroom_collection_indexes(self._handle, list_, error), error)
        return [
            IndexInfo(
                text_of(row.name, row.name_size),
                row.kind == lib.STRONGROOM_INDEX_UNIQUE,
                bool(row.is_ready),
                time_of(row.created_ms),
            )
            for row in rows("index", list_[0])
        ]

    def build_index(
        self,
        name: str,
        keys: Callable[[Record], Union[bytes, Sequence[bytes]]],
        progress: Optional[Callable[[int], None]] = None,
    ) -> int:
        """Gives records that were there before an index their keys in it, so that it can be searched; how many got some.

        `keys` gives those of a record. Readers and writers go on; interrupted, it can be begun again.
        """
        callback = Callback(add_keys(keys), progress)
        text, error, built = name.encode(), _new(ERROR), _new(COUNT)
        build = lib.strongroom_collection_build_index
        status = build(
            self._handle, text, len(text), lib.index_keys, lib.progressed, callback.handle, built, error
        )
        callback.check(status, error)
        return int(built[0])

    def find(self, index: str, key: BytesLike) -> Scan:
        """The records that have a key in an index."""
        text, key, error = index.encode(), view(key, "key"), _new(ERROR)
        scan = _new("strongroom_scan **")
        find = lib.strongroom_collection_find
        check(find(self._handle, text, len(text), key, len(key), scan, error), error)
        return Scan(scan[0])

    def find_range(
        self,
        index: str,
        start: Optional[BytesLike] = None,
        stop: Optional[BytesLike] = None,
        *,
        prefix: Optional[BytesLike] = None,
        reverse: bool = False,
        limit: Optional[int] = None,
    ) -> Scan:
        """The records whose keys in an index lie in a range, in the order of these keys."""
        options = _ScanOptions(start, stop, prefix, reverse, limit, False, None)
        text, error, scan = index.encode(), _new(ERROR), _new("strongroom_scan **")
        find = lib.strongroom_collection_find_range
        check(find(self._handle, text, len(text), options.options, scan, error), error)
        return Scan(scan[0])

    # Retention.

    @property
    def policy(self) -> Policy:
        """What the collection overrides of its tenant's policy."""
        error, policy = _new(ERROR), initial("policy")
        check(lib.strongroom_collection_get_policy(self._handle, policy, error), error)
        return Policy.of(policy)

    @policy.setter
    def policy(self, policy: Policy) -> None:
        error = _new(ERROR)
        check(lib.strongroom_collection_set_policy(self._handle, policy.native(), error), error)

    # Bounds.

    @property
    def quota(self) -> Quota:
        """How much the collection may hold, whatever its tenant may."""
        error, quota = _new(ERROR), initial("quota")
        check(lib.strongroom_collection_get_quota(self._handle, quota, error), error)
        return Quota.of(quota)

    @quota.setter
    def quota(self, quota: Quota) -> None:
        error = _new(ERROR)
        check(lib.strongroom_collection_set_quota(self._handle, quota.native(), error), error)

    def usage(self) -> Usage:
        """What the collection holds, exactly."""
        error, usage = _new(ERROR), initial("usage")
        check(lib.strongroom_collection_get_usage(self._handle, usage, error), error)
        return usage_of(usage)

    # Scans.

    def scan(
        self,
        start: Optional[BytesLike] = None,
        stop: Optional[BytesLike] = None,
        *,
        prefix: Optional[BytesLike] = None,
        reverse: bool = False,
        limit: Optional[int] = None,
        keys_only: bool = False,
        after: Optional[bytes] = None,
        snapshot: Optional[Snapshot] = None,
        open_ahead: int = 0,
    ) -> Scan:
        """The records from `start` on and before `stop`, as they are now or in a snapshot; the values of `open_ahead`
        of them are opened before they are asked for, in a thread of the scan's own."""
        options = _ScanOptions(start, stop, prefix, reverse, limit, keys_only, after, open_ahead)
        error, scan = _new(ERROR), _new("strongroom_scan **")
        if snapshot is None:
            status = lib.strongroom_collection_scan(self._handle, options.options, scan, error)
        else:
            status = lib.strongroom_snapshot_scan(
                snapshot._handle, self._handle, options.options, scan, error
            )
        check(status, error)
        return Scan(scan[0])

    def page(
        self,
        limit: int,
        *,
        after: Optional[bytes] = None,
        prefix: Optional[BytesLike] = None,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> Page:
        """At most `limit` records behind a cursor, and the cursor of the next page."""
        with self.scan(
            prefix=prefix, reverse=reverse, limit=limit, keys_only=keys_only, after=after
        ) as scan:
            records = list(scan)
            return Page(records, scan.cursor())

    def count(
        self,
        start: Optional[BytesLike] = None,
        stop: Optional[BytesLike] = None,
        *,
        prefix: Optional[BytesLike] = None,
        snapshot: Optional[Snapshot] = None,
    ) -> int:
        """How many records a scan would give; it reads every one of them."""
        options = _ScanOptions(start, stop, prefix, False, None, False, None)
        error, count = _new(ERROR), _new(COUNT)
        if snapshot is None:
            status = lib.strongroom_collection_count(self._handle, options.options, count, error)
        else:
            status = lib.strongroom_snapshot_count(
                snapshot._handle, self._handle, options.options, count, error
            )
        check(status, error)
        return int(count[0])

    # For asyncio.

    async def aget(self, key: BytesLike) -> Optional[bytes]:
        """`get`, in a thread of the loop's executor."""
        value: Optional[bytes] = await asyncio.get_running_loop().run_in_executor(None, self.get, key)
        return value

    async def aput(
        self,
        key: BytesLike,
        value: BytesLike,
        *,
        if_absent: bool = False,
        if_version: Optional[Version] = None,
        durability: Optional[str] = None,
        written: Optional[datetime] = None,
        ttl: Optional[timedelta] = None,
        expires: Optional[datetime] = None,
        subject: Optional[str] = None,
        index: Optional[IndexKeys] = None,
        erasure: Optional[str] = None,
    ) -> Version:
        """`put`, without a thread: many may be under way from one loop, and share one write and one sync."""
        batch = self._tenant.batch()
        batch.put(
            self,
            key,
            value,
            if_absent=if_absent,
            if_version=if_version,
            durability=durability,
            written=written,
            ttl=ttl,
            expires=expires,
            subject=subject,
            index=index,
            erasure=erasure,
        )
        return await batch.asubmit()

    async def aerase(self, key: BytesLike, *, if_version: Optional[Version] = None) -> None:
        """Erases a record, there or not, as `aput` puts one."""
        batch = self._tenant.batch()
        batch.erase(self, key, if_version=if_version)
        await batch.asubmit()

    async def abuild_index(
        self, name: str, keys: Callable[[Record], Union[bytes, Sequence[bytes]]]
    ) -> int:
        """`build_index`, on a thread of its own: `keys` is called there."""
        return await asyncio.to_thread(self.build_index, name, keys)
