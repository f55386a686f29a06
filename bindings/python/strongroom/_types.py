"""What is known of stores, tenants, collections and records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Optional, Union

from ._errors import check
from ._strongroom import ffi, lib

#: Anything whose bytes can be read without a copy.
BytesLike = Union[bytes, bytearray, memoryview]

DURABLE = "durable"
BUFFERED = "buffered"
DURABILITIES = {None: 0, DURABLE: 1, BUFFERED: 2}


class Version(NamedTuple):
    """When a record was written, in the order of its tenant's batches; greater is later."""

    timeline: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.timeline}.{self.sequence}"


@dataclass(frozen=True)
class RecordInfo:
    """What is known of a record without its value."""

    version: Version
    written: datetime
    expires: Optional[datetime]
    value_size: int


class Record(NamedTuple):
    """A record of a scan. `value` is None where the scan is for keys only."""

    key: bytes
    value: Optional[bytes]
    version: Version
    written_ms: int
    expires_ms: Optional[int]
    value_size: int


class Page(NamedTuple):
    """Some records, and where the next page begins: None where nothing comes behind it."""

    records: list[Record]
    cursor: Optional[bytes]


@dataclass(frozen=True)
class TenantInfo:
    name: str
    id: str
    region: str
    dedicated: bool
    created: datetime


@dataclass(frozen=True)
class CollectionInfo:
    name: str
    id: int
    created: datetime


@dataclass(frozen=True)
class TenantStats:
    """Sizes in bytes, and counts."""

    records: int
    collections: int
    file_bytes: int
    journal_bytes: int
    key_store_bytes: int
    version: Version


@dataclass(frozen=True)
class Report:
    """What a verification found. `problems` name tenants by their ids."""

    is_good: bool
    tenants: int
    records: int
    records_bad: int
    blocks: int
    blocks_bad: int
    unknown_files: int
    problems: list[str]


@dataclass(frozen=True)
class Rewrite:
    """What a rewrite did; sizes in bytes."""

    rows: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Policy:
    """How long records are kept; None is not limited."""

    #: That are put without a time of their own.
    retention: Optional[timedelta] = None
    #: Whatever their puts say.
    maximum: Optional[timedelta] = None
    #: In which what was removed can be restored; None is 30 days, or as the tenant's says.
    removal_window: Optional[timedelta] = None

    @classmethod
    def of(cls, policy: Any) -> Policy:
        times = (policy.retention_ms, policy.maximum_ms, policy.removal_window_ms)
        return cls(*(timedelta(milliseconds=time) if time else None for time in times))

    def native(self) -> Any:
        policy = initial("policy")
        for name in ("retention", "maximum", "removal_window"):
            time = getattr(self, name)
            if time is not None:
                setattr(policy, f"{name}_ms", max(1, round(time / timedelta(milliseconds=1))))
        return policy


@dataclass(frozen=True)
class Removed:
    """A record that was removed and can be restored until `erased_from`."""

    key: bytes
    version: Version
    written: datetime
    removed: datetime
    erased_from: datetime
    value_size: int


@dataclass(frozen=True)
class Quota:
    """How much a tenant or a collection may hold; None is not limited."""

    records: Optional[int] = None
    #: Of keys and values.
    bytes: Optional[int] = None

    @classmethod
    def of(cls, quota: Any) -> Quota:
        bounds = [None if bound == lib.STRONGROOM_UNLIMITED else int(bound) for bound in (quota.records, quota.bytes)]
        return cls(*bounds)

    def native(self) -> Any:
        quota = initial("quota")
        for name in ("records", "bytes"):
            bound = getattr(self, name)
            if bound is not None:
                setattr(quota, name, bound)
        return quota


@dataclass(frozen=True)
class Usage:
    """What a tenant or a collection holds; what has expired counts until it is swept."""

    records: int
    #: Of keys and values.
    bytes: int


@dataclass(frozen=True)
class IndexInfo:
    name: str
    unique: bool
    #: Whether it can be searched; else it has to be built.
    ready: bool
    created: datetime


@dataclass(frozen=True)
class DataKey:
    """What is known of a data key."""

    generation: int
    #: "current", "older" or "destroyed".
    state: str
    created: datetime
    #: At least.
    records_sealed: int


@dataclass(frozen=True)
class Rekey:
    """What a rekey did. `large` are records in chunks, which stay under the key they were put under."""

    generation: int
    records: int
    resealed: int
    overtaken: int
    large: int
    unreadable: int
    complete: bool


@dataclass(frozen=True)
class RegionInfo:
    name: str
    root: str
    keys: str
    #: Why its tenants can't be reached now.
    problem: Optional[str]


@dataclass(frozen=True)
class LaneInfo:
    """A journal: what it holds, and counts since it was opened."""

    region: str
    id: str
    segments: int
    segment_bytes: int
    pending_bytes: int
    pending_tenants: int
    batches: int
    changes: int
    written_bytes: int
    syncs: int
    sync_time: timedelta
    damaged: int


def milliseconds_of(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def version_of(version: Any) -> Version:
    return Version(version.timeline, version.sequence)


def info_of(info: Any) -> Optional[RecordInfo]:
    if not info.exists:
        return None
    expires = None if info.expires_ms == lib.STRONGROOM_NEVER else time_of(info.expires_ms)
    return RecordInfo(version_of(info.version), time_of(info.written_ms), expires, info.value_size)


def usage_of(usage: Any) -> Usage:
    return Usage(usage.records, usage.bytes)


def text_of(pointer: Any, size: int) -> str:
    return bytes(ffi.buffer(pointer, size)).decode(errors="surrogateescape")


def view(data: BytesLike, what: str) -> Any:
    """Bytes as the library wants them: without a copy."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        raise TypeError(f"a {what} is bytes, not str: encode it")
    return ffi.from_buffer("uint8_t[]", data)


# Types of places for results. A place is made for each call: one that calls share could be written by a signal handler's
# call between a call's end and the reading of its result.
ERROR = ffi.typeof("strongroom_error **")
BUFFER = ffi.typeof("strongroom_buffer **")
VERSION = ffi.typeof("strongroom_version *")
COUNT = ffi.typeof("uint64_t *")
FLAG = ffi.typeof("bool *")
SIZE = ffi.typeof("size_t *")
PAGE = ffi.typeof("strongroom_page **")


class _Row:
    """A row whose texts live as long as it does."""

    def __init__(self, list_: Any, row: Any) -> None:
        self._list, self._row = list_, row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def rows(kind: str, list_: Any) -> list[Any]:
    """The rows of a list of one kind, which is freed after the last of them."""
    list_ = ffi.gc(list_, lib.strongroom_list_free)
    read, found = getattr(lib, f"strongroom_list_get_{kind}"), []
    for index in range(lib.strongroom_list_count(list_)):
        row, error = initial(f"{kind}_info"), ffi.new(ERROR)
        check(read(list_, index, row, error), error)
        found.append(_Row(list_, row))
    return found


def initial(kind: str) -> Any:
    """A struct that is set up."""
    struct = ffi.new(f"strongroom_{kind} *")
    getattr(lib, f"strongroom_{kind}_init")(struct, ffi.sizeof(f"strongroom_{kind}"))
    return struct
