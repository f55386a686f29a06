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
MAINTENANCE = {None: 0, "digests": 1, "names": 2}


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
    #: "active", "suspended" or "removed".
    state: str
    #: From when on a sweep erases it, where it was removed.
    purge: Optional[datetime]


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
    #: Whose value was not opened, because the store is open for maintenance.
    records_unopened: int
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
class RekeyDeadline:
    """By when nothing is to be under a data key, or an older one; and since when that is so, if it is."""

    generation: int
    by: datetime
    met: Optional[datetime]


@dataclass(frozen=True)
class Applied:
    """What the application of policies did."""

    records: int
    #: That got other times.
    changed: int
    #: That should stay longer and can't: their values lie in chunks under the key of a period.
    large: int
    unreadable: int
    complete: bool


@dataclass(frozen=True)
class Policy:
    """How long records are kept; None is not limited."""

    #: That are put without a time of their own.
    retention: Optional[timedelta] = None
    #: Whatever their puts say.
    maximum: Optional[timedelta] = None
    #: In which what was removed can be restored; None is 30 days, or as the tenant's says.
    removal_window: Optional[timedelta] = None
    #: Before, a record can be neither erased, removed nor put over: HeldError.
    minimum: Optional[timedelta] = None
    #: As it was promised of what is removed; what does not leave the time for that is refused.
    erased_within: Optional[timedelta] = None
    #: What becomes of a record that another is put over: "erase" or "keep"; None is as the tenant's says, or "erase".
    overwrite: Optional[str] = None
    #: Whether nothing exports the records; None is as the tenant's says, or not.
    secret: Optional[bool] = None
    #: Whether each record that is put gets a key of its own, so that its erasure reaches every copy: "record" or "shared"; None is
    #: as the tenant's says, or "shared".
    erasure: Optional[str] = None
    #: Whether nothing is retained: whatever is put is refused, but into a session, and what is there has expired; None is as the
    #: tenant's says, or not.
    zero_retention: Optional[bool] = None

    @classmethod
    def of(cls, policy: Any) -> Policy:
        times = {name: getattr(policy, f"{name}_ms") for name in _TIMES}
        set_times = {name: timedelta(milliseconds=time) for name, time in times.items() if time}
        return cls(
            **set_times,
            overwrite=_OVERWRITES[policy.overwrite],
            secret=_FLAGS[policy.secret],
            erasure=ERASURES[policy.erasure],
            zero_retention=_FLAGS[policy.zero_retention],
        )

    def native(self) -> Any:
        if self.overwrite not in _OVERWRITES:
            raise ValueError(f"overwrite is 'erase' or 'keep', not {self.overwrite!r}")
        policy = initial("policy")
        for name in _TIMES:
            time = getattr(self, name)
            if time is not None:
                setattr(policy, f"{name}_ms", max(1, round(time / timedelta(milliseconds=1))))
        policy.erasure = erasure_of(self.erasure)
        policy.overwrite, policy.secret = _OVERWRITES.index(self.overwrite), _FLAGS.index(self.secret)
        policy.zero_retention = _FLAGS.index(self.zero_retention)
        return policy


_TIMES = ("retention", "maximum", "removal_window", "minimum", "erased_within")
_OVERWRITES = (None, "erase", "keep")
_FLAGS = (None, False, True)
ERASURES = (None, "shared", "record")


def erasure_of(name: Optional[str]) -> int:
    if name not in ERASURES:
        raise ValueError(f"erasure is 'shared' or 'record', not {name!r}")
    return ERASURES.index(name)


class EraseReport(NamedTuple):
    """Records that were erased, and those that stay, because a hold covers them or the policy's minimum keeps them."""

    records: int
    held: int


class SweepReport(NamedTuple):
    """Records that had expired and were removed, and those that stay, because a hold covers them."""

    records: int
    held: int


@dataclass(frozen=True)
class Selector:
    """What a hold covers: what is there when it is placed, and what is put later. Without a collection and a subject, all of
    the tenant; of a collection, all, the keys with a prefix, or one key."""

    collection: Optional[str] = None
    prefix: Optional[bytes] = None
    key: Optional[bytes] = None
    subject: Optional[str] = None

    def native(self) -> tuple[Any, Any]:
        """The selector, and what it points at."""
        selector = initial("selector")
        parts = [part for part in (self.prefix, self.key) if part is not None]
        if len(parts) > 1 or (parts and self.collection is None) or (self.collection and self.subject):
            raise ValueError("a hold is of a prefix or a key of a collection, or of a subject")
        of = self.subject if self.collection is None else self.collection
        held = [ffi.from_buffer("uint8_t[]", part) for part in ((of or "").encode(), *parts)]
        if of is not None:
            selector.name, selector.name_size = ffi.cast("char *", held[0]), len(held[0])
        if parts:
            selector.key, selector.key_size = held[1], len(held[1])
        selector.kind = self._kind(of)
        return selector, held

    def _kind(self, of: Optional[str]) -> int:
        if of is None:
            return int(lib.STRONGROOM_HOLD_TENANT)
        if self.collection is None:
            return int(lib.STRONGROOM_HOLD_SUBJECT)
        if self.prefix is not None:
            return int(lib.STRONGROOM_HOLD_PREFIX)
        return int(lib.STRONGROOM_HOLD_COLLECTION if self.key is None else lib.STRONGROOM_HOLD_RECORD)


@dataclass(frozen=True)
class Hold:
    name: str
    selector: Selector
    placed: datetime


class SubjectRecord(NamedTuple):
    """A record that was put with a subject."""

    collection: str
    key: bytes
    version: Version
    written: datetime
    expires: Optional[datetime]
    value_size: int


@dataclass(frozen=True)
class LedgerEntry:
    """An entry of a tenant's erasure ledger; `mac` chains it to all before."""

    number: int
    at: datetime
    #: "structure key", "data key", "period key", "subject key" or "tenant", whose keys were destroyed; "receipt"; "scrubbed".
    event: str
    #: Of the key that was destroyed.
    slot: Optional[int]
    #: Of a receipt and a scrub: the last change that is covered.
    through: Optional[Version]
    mac: bytes


@dataclass(frozen=True)
class Receipt:
    """A receipt for what was erased. By the deadline the sealed bytes are in no file; `scrubbed` says since when."""

    number: int
    erased: datetime
    through: Version
    deadline: datetime
    scrubbed: Optional[datetime]


@dataclass(frozen=True)
class Horizon:
    """By when what is erased now can't be read any more in copies: of the data, and of the data with the key store."""

    data_copies: datetime
    key_copies: datetime


EVENTS = ("unknown", "structure key", "data key", "period key", "subject key", "tenant", "receipt", "scrubbed")


def hold_of(row: Any) -> Hold:
    of = None if row.of == ffi.NULL else text_of(row.of, row.of_size)
    key = None if row.key == ffi.NULL else bytes(ffi.buffer(row.key, row.key_size))
    if row.kind == lib.STRONGROOM_HOLD_SUBJECT:
        selector = Selector(subject=of)
    elif row.kind == lib.STRONGROOM_HOLD_PREFIX:
        selector = Selector(of, prefix=key)
    else:
        selector = Selector(of, key=key)
    return Hold(text_of(row.name, row.name_size), selector, time_of(row.placed_ms))


def subject_record_of(row: Any) -> SubjectRecord:
    return SubjectRecord(
        text_of(row.collection, row.collection_size),
        bytes(ffi.buffer(row.key, row.key_size)),
        version_of(row.version),
        time_of(row.written_ms),
        None if row.expires_ms == lib.STRONGROOM_NEVER else time_of(row.expires_ms),
        row.value_size,
    )


def ledger_entry_of(row: Any) -> LedgerEntry:
    event = EVENTS[row.event]
    through = version_of(row.through) if event in ("receipt", "scrubbed") else None
    slot = row.slot if event.endswith(" key") else None
    return LedgerEntry(row.number, time_of(row.at_ms), event, slot, through, bytes(ffi.buffer(row.mac)))


def receipt_of(row: Any) -> Receipt:
    scrubbed = None if row.scrubbed_ms == lib.STRONGROOM_NEVER else time_of(row.scrubbed_ms)
    return Receipt(
        row.number, time_of(row.erased_ms), version_of(row.through), time_of(row.deadline_ms), scrubbed
    )


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
    """What a rekey did. `large` are those sealed anew whose values lie in chunks."""

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
