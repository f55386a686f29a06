"""Stores, tenants, batches and snapshots."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, Callable, NamedTuple, Optional, Union

from ._callbacks import Callback
from ._collection import Collection, IndexKeys, put_options, value_of
from ._errors import check, taken
from ._providers import KeyFile, Passphrase, Provider, hold, let_go
from ._session import Session
from ._streams import ValueReader
from ._strongroom import ffi, lib
from ._types import (
    BUFFER,
    DURABILITIES,
    ERROR,
    MAINTENANCE,
    VERSION,
    Applied,
    BytesLike,
    CollectionInfo,
    DataKey,
    Hold,
    Horizon,
    LaneInfo,
    LedgerEntry,
    Policy,
    Quota,
    Receipt,
    RecordInfo,
    RegionInfo,
    Rekey,
    RekeyDeadline,
    Report,
    Rewrite,
    Selector,
    SubjectRecord,
    SweepReport,
    TenantInfo,
    TenantStats,
    Usage,
    Version,
    hold_of,
    info_of,
    initial,
    ledger_entry_of,
    receipt_of,
    rows,
    subject_record_of,
    text_of,
    time_of,
    usage_of,
    version_of,
    view,
)

SIZES = {
    "cache_bytes",
    "journal_bytes",
    "memory_bytes",
    "memtable_bytes",
    "open_tenants",
    "rotate_after_records",
    "segment_bytes",
    "total_cache_bytes",
}

PathLike = Union[str, "os.PathLike[str]"]
Progress = Callable[[int], None]


class Region(NamedTuple):
    """The directories of a region; the keys are in "<root>.keys" unless said otherwise."""

    root: PathLike
    keys: Optional[PathLike] = None


def release() -> str:
    """The library's release, as "0.1.0"."""
    text: bytes = ffi.string(lib.strongroom_release())
    return text.decode()


def _path(path: PathLike) -> bytes:
    return os.fsencode(path)


def _milliseconds(time: timedelta) -> int:
    return max(1, round(time / timedelta(milliseconds=1)))


class _UnderWay:
    """A submitted batch, kept alive until it is completed."""

    _all: set[_UnderWay] = set()

    def __init__(self, future: Future[Version]) -> None:
        self.future = future
        self.handle = ffi.new_handle(self)
        self._all.add(self)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def completed(context: Any, status: int, version: Any, error: Any) -> None:
    under_way = ffi.from_handle(context)
    _UnderWay._all.discard(under_way)
    # Whoever waited may have cancelled; the batch is made all the same.
    if not under_way.future.set_running_or_notify_cancel():
        lib.strongroom_error_free(error)
    elif status == 0:
        under_way.future.set_result(version_of(version))
    else:
        under_way.future.set_exception(taken(error))


class Batch:
    """Changes of one tenant that are made together or not at all.

    As a context manager it is written at the end of the block, unless the block raised: `with tenant.batch() as batch:`.
    Afterwards `version` has the version of its records.
    """

    def __init__(self, tenant: Tenant) -> None:
        error, batch = ffi.new(ERROR), ffi.new("strongroom_batch **")
        check(lib.strongroom_tenant_batch(tenant._handle, batch, error), error)
        self._handle = ffi.gc(batch[0], lib.strongroom_batch_free)
        self.version: Optional[Version] = None

    def put(
        self,
        collection: Collection,
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
    ) -> None:
        options = put_options(if_absent, if_version, durability, written, ttl, expires, subject, index, erasure)
        key, value, error = view(key, "key"), view(value, "value"), ffi.new(ERROR)
        check(
            lib.strongroom_batch_put(
                self._handle, collection._handle, key, len(key), value, len(value), options, error
            ),
            error,
        )

    def erase(
        self, collection: Collection, key: BytesLike, *, if_version: Optional[Version] = None
    ) -> None:
        key, error, version = view(key, "key"), ffi.new(ERROR), _version(if_version)
        check(
            lib.strongroom_batch_erase(self._handle, collection._handle, key, len(key), version, error),
            error,
        )

    def remove(
        self, collection: Collection, key: BytesLike, *, if_version: Optional[Version] = None
    ) -> None:
        """As `Collection.remove`, of what is there now: changed until the batch is made, that is a ConflictError."""
        self._move(lib.strongroom_batch_remove, collection, key, if_version)

    def restore(self, collection: Collection, key: BytesLike, *, version: Optional[Version] = None) -> None:
        """As `Collection.restore`."""
        self._move(lib.strongroom_batch_restore, collection, key, version)

    def _move(self, move: Any, collection: Collection, key: BytesLike, version: Optional[Version]) -> None:
        key, error = view(key, "key"), ffi.new(ERROR)
        only = _version(version)
        check(move(self._handle, collection._handle, key, len(key), only, ffi.NULL, error), error)

    def require(self, collection: Collection, key: BytesLike, version: Optional[Version]) -> None:
        """Makes the batch depend on a record's version, or with None on its absence; else ConflictError."""
        key, error = view(key, "key"), ffi.new(ERROR)
        check(
            lib.strongroom_batch_require(
                self._handle, collection._handle, key, len(key), _version(version), error
            ),
            error,
        )

    def __len__(self) -> int:
        error, count = ffi.new(ERROR), ffi.new("size_t *")
        check(lib.strongroom_batch_count(self._handle, count, error), error)
        return int(count[0])

    def write(self) -> Version:
        """Makes the changes; the batch is empty afterwards."""
        error, version = ffi.new(ERROR), ffi.new(VERSION)
        check(lib.strongroom_batch_write(self._handle, version, error), error)
        self.version = version_of(version)
        return self.version

    def submit(self) -> Future[Version]:
        """Hands the batch in and does not wait; the future has its version once it is durable and in effect."""
        future: Future[Version] = Future()
        under_way, error = _UnderWay(future), ffi.new(ERROR)
        status = lib.strongroom_batch_submit(self._handle, lib.completed, under_way.handle, error)
        if status != 0:
            _UnderWay._all.discard(under_way)
            check(status, error)
        return future

    async def asubmit(self) -> Version:
        """`submit`, awaited."""
        version: Version = await asyncio.wrap_future(self.submit())
        return version

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.write()
        ffi.release(self._handle)


def _version(version: Optional[Version]) -> Any:
    if version is None:
        return ffi.NULL
    return ffi.new(VERSION, {"timeline": version[0], "sequence": version[1]})


class Snapshot:
    """A tenant at one moment, over all of its collections. Close it soon: the tenant keeps what it shows."""

    def __init__(self, tenant: Tenant) -> None:
        error, snapshot = ffi.new(ERROR), ffi.new("strongroom_snapshot **")
        check(lib.strongroom_tenant_snapshot(tenant._handle, snapshot, error), error)
        self._handle = ffi.gc(snapshot[0], lib.strongroom_snapshot_free)

    @property
    def version(self) -> Version:
        error, version = ffi.new(ERROR), ffi.new(VERSION)
        check(lib.strongroom_snapshot_version(self._handle, version, error), error)
        return version_of(version)

    def get(self, collection: Collection, key: BytesLike) -> Optional[bytes]:
        key, error, buffer = view(key, "key"), ffi.new(ERROR), ffi.new(BUFFER)
        check(
            lib.strongroom_snapshot_get(
                self._handle, collection._handle, key, len(key), buffer, error
            ),
            error,
        )
        return None if buffer[0] == ffi.NULL else value_of(buffer[0])

    def info(self, collection: Collection, key: BytesLike) -> Optional[RecordInfo]:
        key, error, info = view(key, "key"), ffi.new(ERROR), initial("record_info")
        check(
            lib.strongroom_snapshot_get_info(
                self._handle, collection._handle, key, len(key), info, error
            ),
            error,
        )
        return info_of(info)

    def get_reader(self, collection: Collection, key: BytesLike) -> Optional[ValueReader]:
        """A value as it was as a binary file."""
        key, error, reader = view(key, "key"), ffi.new(ERROR), ffi.new("strongroom_reader **")
        get_reader = lib.strongroom_snapshot_get_reader
        check(get_reader(self._handle, collection._handle, key, len(key), reader, error), error)
        return None if reader[0] == ffi.NULL else ValueReader(reader[0])

    def collections(self) -> list[CollectionInfo]:
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_snapshot_collections(self._handle, list_, error), error)
        return _collections(list_[0])

    def close(self) -> None:
        ffi.release(self._handle)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Tenant:
    """A tenant: the one way to its data. May be used from any thread."""

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib.strongroom_tenant_free)

    def __repr__(self) -> str:
        return f"<strongroom.Tenant {self.id}>"

    @property
    def id(self) -> str:
        """What files, logs and errors call it: 32 hexadecimal digits."""
        error, id = ffi.new(ERROR), ffi.new("uint8_t[16]")
        check(lib.strongroom_tenant_id(self._handle, id, error), error)
        return bytes(ffi.buffer(id)).hex()

    @property
    def name(self) -> str:
        error, name, size = ffi.new(ERROR), ffi.new("char **"), ffi.new("size_t *")
        check(lib.strongroom_tenant_name(self._handle, name, size, error), error)
        return text_of(name[0], size[0])

    def collection(self, name: str) -> Collection:
        """A collection by name; the first put into it creates it."""
        text, error, collection = name.encode(), ffi.new(ERROR), ffi.new("strongroom_collection **")
        check(lib.strongroom_tenant_collection(self._handle, text, len(text), collection, error), error)
        return Collection(self, collection[0], name)

    __getitem__ = collection

    def collections(self) -> list[CollectionInfo]:
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_collections(self._handle, list_, error), error)
        return _collections(list_[0])

    def create_collection(self, name: str) -> None:
        text, error = name.encode(), ffi.new(ERROR)
        check(lib.strongroom_tenant_create_collection(self._handle, text, len(text), error), error)

    def rename_collection(self, name: str, to: str) -> None:
        old, new, error = name.encode(), to.encode(), ffi.new(ERROR)
        rename = lib.strongroom_tenant_rename_collection
        check(rename(self._handle, old, len(old), new, len(new), error), error)

    def drop_collection(self, name: str) -> None:
        text, error = name.encode(), ffi.new(ERROR)
        check(lib.strongroom_tenant_drop_collection(self._handle, text, len(text), error), error)

    @property
    def policy(self) -> Policy:
        """How long records are kept, in collections that do not override it."""
        error, policy = ffi.new(ERROR), initial("policy")
        check(lib.strongroom_tenant_get_policy(self._handle, policy, error), error)
        return Policy.of(policy)

    @policy.setter
    def policy(self, policy: Policy) -> None:
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_set_policy(self._handle, policy.native(), error), error)

    def subjects(self) -> list[str]:
        """The subjects that records were put with and that were not erased, ordered by name."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_subjects(self._handle, list_, error), error)
        return [text_of(row.name, row.name_size) for row in rows("subject", list_[0])]

    def subject_records(self, subject: str) -> list[SubjectRecord]:
        """The records that were put with a subject, over all collections, by collection and key."""
        text, error, list_ = subject.encode(), ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_subject_records(self._handle, text, len(text), list_, error), error)
        return [subject_record_of(row) for row in rows("subject_record", list_[0])]

    def erase_subject(self, subject: str) -> bool:
        """Destroys a subject's key, and with it every value put about it, then its records; whether there was one."""
        text, error, existed = subject.encode(), ffi.new(ERROR), ffi.new("bool *")
        check(
            lib.strongroom_tenant_erase_subject(self._handle, text, len(text), existed, error), error
        )
        return bool(existed[0])

    @property
    def quota(self) -> Quota:
        """How much the tenant may hold, all collections together."""
        error, quota = ffi.new(ERROR), initial("quota")
        check(lib.strongroom_tenant_get_quota(self._handle, quota, error), error)
        return Quota.of(quota)

    @quota.setter
    def quota(self, quota: Quota) -> None:
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_set_quota(self._handle, quota.native(), error), error)

    def usage(self) -> Usage:
        """What the tenant holds, exactly."""
        error, usage = ffi.new(ERROR), initial("usage")
        check(lib.strongroom_tenant_get_usage(self._handle, usage, error), error)
        return usage_of(usage)

    def data_keys(self) -> list[DataKey]:
        """The data keys there are and were, the oldest first."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_data_keys(self._handle, list_, error), error)
        states = ("current", "older", "destroyed")
        return [
            DataKey(row.generation, states[row.state], time_of(row.created_ms), row.records_sealed)
            for row in rows("data_key", list_[0])
        ]

    def rotate_data_key(self) -> int:
        """Makes a new data key for new records; its generation. The store does it by itself by age and count."""
        error, generation = ffi.new(ERROR), ffi.new("uint32_t *")
        check(lib.strongroom_tenant_rotate_data_key(self._handle, generation, error), error)
        return int(generation[0])

    def rekey(
        self,
        *,
        records: Optional[int] = None,
        records_per_second: Optional[int] = None,
        bytes: Optional[int] = None,
        bytes_per_second: Optional[int] = None,
        progress: Optional[Callable[[int, int], None]] = None,
    ) -> Rekey:
        """Seals records anew that are under an older data key, at most so many, and so many a second; or bytes of values."""
        options, done, error = initial("rekey_options"), initial("rekey"), ffi.new(ERROR)
        options.records, options.records_per_second = records or 0, records_per_second or 0
        options.bytes, options.bytes_per_second = bytes or 0, bytes_per_second or 0
        callback = Callback(None, progress)
        rekey = lib.strongroom_tenant_rekey
        status = rekey(self._handle, options, lib.progressed_of_total, callback.handle, done, error)
        callback.check(status, error)
        return Rekey(
            done.generation,
            done.records,
            done.resealed,
            done.overtaken,
            done.large,
            done.unreadable,
            bool(done.is_complete),
        )

    def set_rekey_deadline(self, generation: int, by: datetime) -> None:
        """Has maintenance rekey by and by, so that nothing is under a generation, or an older one, by then."""
        error, by_ms = ffi.new(ERROR), round(by.timestamp() * 1000)
        check(lib.strongroom_tenant_set_rekey_deadline(self._handle, generation, by_ms, error), error)

    def clear_rekey_deadline(self) -> None:
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_clear_rekey_deadline(self._handle, error), error)

    @property
    def rekey_deadline(self) -> Optional[RekeyDeadline]:
        error, is_set, generation = ffi.new(ERROR), ffi.new("bool *"), ffi.new("uint32_t *")
        by, met = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        deadline = lib.strongroom_tenant_rekey_deadline
        check(deadline(self._handle, is_set, generation, by, met, error), error)
        if not is_set[0]:
            return None
        return RekeyDeadline(generation[0], time_of(by[0]), time_of(met[0]) if met[0] else None)

    def apply_policies(
        self,
        *,
        records: Optional[int] = None,
        records_per_second: Optional[int] = None,
        progress: Optional[Callable[[int, int], None]] = None,
    ) -> Applied:
        """Applies policies that were changed to the records that are there; the sweep does so by and by."""
        options, done, error = initial("rekey_options"), initial("policy_report"), ffi.new(ERROR)
        options.records, options.records_per_second = records or 0, records_per_second or 0
        callback = Callback(None, progress)
        apply = lib.strongroom_tenant_apply_policies
        status = apply(self._handle, options, lib.progressed_of_total, callback.handle, done, error)
        callback.check(status, error)
        return Applied(done.records, done.changed, done.large, done.unreadable, bool(done.is_complete))

    @property
    def policies_pending_since(self) -> Optional[datetime]:
        """Since when there is a policy that is not applied yet to all records that are there."""
        error, since = ffi.new(ERROR), ffi.new("uint64_t *")
        check(lib.strongroom_tenant_policies_pending_since(self._handle, since, error), error)
        return time_of(since[0]) if since[0] else None

    def retire_data_key(self, generation: int) -> None:
        """Destroys a data key that no record is under; ConflictError where some are."""
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_retire_data_key(self._handle, generation, error), error)

    def hold(self, name: str, selector: Optional[Selector] = None) -> None:
        """Places a legal hold, on all of the tenant unless said otherwise: from then on nothing is erased that it covers,
        whatever asks for it; that is a HeldError."""
        text, error = name.encode(), ffi.new(ERROR)
        native, held = (selector or Selector()).native()
        check(lib.strongroom_tenant_hold(self._handle, text, len(text), native, error), error)
        del held

    def release_hold(self, name: str) -> None:
        """Releases a hold: what is overdue and no other one covers goes with the next sweep."""
        text, error = name.encode(), ffi.new(ERROR)
        check(lib.strongroom_tenant_release_hold(self._handle, text, len(text), error), error)

    def holds(self) -> list[Hold]:
        """The holds there are, ordered by name."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_holds(self._handle, list_, error), error)
        return [hold_of(row) for row in rows("hold", list_[0])]

    def ledger(self) -> list[LedgerEntry]:
        """The entries of the erasure ledger, the oldest first, each authenticated."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_ledger(self._handle, list_, error), error)
        return [ledger_entry_of(row) for row in rows("ledger", list_[0])]

    def receipt(self) -> Receipt:
        """Writes a receipt into the ledger, for everything that was erased until now."""
        error, info = ffi.new(ERROR), initial("receipt_info")
        check(lib.strongroom_tenant_receipt(self._handle, info, error), error)
        return receipt_of(info)

    def receipts(self) -> list[Receipt]:
        """The receipts that were given, the oldest first."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_tenant_receipts(self._handle, list_, error), error)
        return [receipt_of(row) for row in rows("receipt", list_[0])]

    def scrub(self, progress: Optional[Callable[[int, int], None]] = None) -> Version:
        """Removes the sealed bytes of everything that was erased; the last change that was covered. The sweep does it by
        itself before the deadline."""
        error, through = ffi.new(ERROR), ffi.new(VERSION)
        callback = Callback(None, progress)
        scrub = lib.strongroom_tenant_scrub
        callback.check(scrub(self._handle, lib.progressed_of_total, callback.handle, through, error), error)
        return version_of(through)

    def horizon(self) -> Horizon:
        """By when what is erased now can't be read any more in older copies."""
        error, horizon = ffi.new(ERROR), initial("horizon")
        check(lib.strongroom_tenant_get_horizon(self._handle, horizon, error), error)
        return Horizon(time_of(horizon.data_copies_ms), time_of(horizon.key_copies_ms))

    @property
    def key_provider(self) -> str:
        """The name of the key provider that wraps the tenant's keys."""
        error, name = ffi.new(ERROR), ffi.new(BUFFER)
        check(lib.strongroom_tenant_key_provider(self._handle, name, error), error)
        return value_of(name[0]).decode()

    def rewrap(self, provider: Optional[str] = None) -> None:
        """Has the tenant's keys wrapped anew, by the provider that wraps them, or by another one."""
        text, error = ffi.NULL if provider is None else provider.encode(), ffi.new(ERROR)
        size = 0 if provider is None else len(text)
        check(lib.strongroom_tenant_rewrap(self._handle, text, size, error), error)

    def session(self) -> Session:
        """Records that nothing retains: in memory alone, and gone at the session's end."""
        error, session = ffi.new(ERROR), ffi.new("strongroom_session **")
        check(lib.strongroom_tenant_session(self._handle, session, error), error)
        return Session(session[0])

    def batch(self) -> Batch:
        return Batch(self)

    def snapshot(self) -> Snapshot:
        return Snapshot(self)

    def flush(self) -> None:
        """Makes everything durable that was written as buffered."""
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_flush(self._handle, error), error)

    def checkpoint(self) -> None:
        error = ffi.new(ERROR)
        check(lib.strongroom_tenant_checkpoint(self._handle, error), error)

    def rewrite(self, progress: Optional[Callable[[int, int], None]] = None) -> Optional[Rewrite]:
        """Compacts the tenant's file under a new structure key; None where it has no file yet."""
        error, done = ffi.new(ERROR), initial("rewrite")
        callback = Callback(None, progress)
        rewrite = lib.strongroom_tenant_rewrite
        callback.check(rewrite(self._handle, lib.progressed_of_total, callback.handle, done, error), error)
        return Rewrite(done.rows, done.bytes_before, done.bytes_after) if done.has_file else None

    def stats(self) -> TenantStats:
        error, stats = ffi.new(ERROR), initial("tenant_stats")
        check(lib.strongroom_tenant_get_stats(self._handle, stats, error), error)
        return _stats(stats)


def _collections(list_: Any) -> list[CollectionInfo]:
    return [
        CollectionInfo(text_of(row.name, row.name_size), row.id, time_of(row.created_ms))
        for row in rows("collection", list_)
    ]


def _stats(stats: Any) -> TenantStats:
    return TenantStats(
        stats.records,
        stats.collections,
        stats.file_bytes,
        stats.journal_bytes,
        stats.key_store_bytes,
        version_of(stats.version),
    )


class Store:
    """An open store. One process has it open at a time; after a fork, open it in the child.

    As a context manager it is closed at the end of the block.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib.strongroom_engine_free)

    @classmethod
    def create(cls, path: PathLike, providers: Union[Provider, Mapping[str, Provider]], **options: Any) -> Store:
        """Creates a store, its key store, and what its key provider keeps. Options as for `open`."""
        return cls._start(lib.strongroom_engine_create, path, providers, **options)

    @classmethod
    def open(cls, path: PathLike, providers: Union[Provider, Mapping[str, Provider]], **options: Any) -> Store:
        """Opens a store; never creates one.

        `providers` is the key provider named "default", or several by name. Options: `key_store`, a path; `regions`, a
        mapping from names to `Region`; `cache_bytes`, `memtable_bytes`, `memory_bytes`, `segment_bytes`, `journal_bytes`,
        `total_cache_bytes`, `open_tenants`; `buffered_within`, `checkpoint_age`, `close_budget`,
        `sweep_interval`, `clock_step`, `erasure_period`, `rotate_after`, `scrub_within`, `key_copies_kept`, `key_timeout`,
        `keys_good_for`, `keys_grace`, of type timedelta; `rotate_after_records`;
        `durability`; `full_freshness`, `background`, `accept_rollback`; `settings`, a TOML file with such settings, over
        which these options go.

        `maintenance`, "digests" or "names", opens it for maintenance: no provider is asked for a key of values, records are
        neither read nor written (KeyUnavailableError); it is verified, but for values, checkpointed, rewritten, moved and swept.
        With "digests", which calls take in place of a tenant's name, no name is shown.
        """
        return cls._start(lib.strongroom_engine_open, path, providers, **options)

    @classmethod
    def _start(
        cls,
        start: Any,
        path: PathLike,
        providers: Union[Provider, Mapping[str, Provider]],
        *,
        key_store: Optional[PathLike] = None,
        regions: Optional[Mapping[str, Region]] = None,
        buffered_within: Optional[timedelta] = None,
        sweep_interval: Optional[timedelta] = None,
        clock_step: Optional[timedelta] = None,
        erasure_period: Optional[timedelta] = None,
        rotate_after: Optional[timedelta] = None,
        scrub_within: Optional[timedelta] = None,
        key_copies_kept: Optional[timedelta] = None,
        key_timeout: Optional[timedelta] = None,
        keys_good_for: Optional[timedelta] = None,
        keys_grace: Optional[timedelta] = None,
        settings: Optional[PathLike] = None,
        checkpoint_age: Optional[timedelta] = None,
        close_budget: Optional[timedelta] = None,
        durability: Optional[str] = None,
        full_freshness: bool = False,
        background: bool = True,
        accept_rollback: bool = False,
        maintenance: Optional[str] = None,
        **sizes: int,
    ) -> Store:
        config, error = _config(path), ffi.new(ERROR)
        if settings is not None:
            file = _path(settings)
            check(lib.strongroom_config_read(config, file, len(file), error), error)
        options = initial("config_options")
        for name, size in sizes.items():
            if name not in SIZES:
                raise TypeError(f"a store has no option {name!r}")
            setattr(options, name, size)
        times = {
            "buffered_within": buffered_within,
            "checkpoint_age": checkpoint_age,
            "clock_step": clock_step,
            "erasure_period": erasure_period,
            "rotate_after": rotate_after,
            "scrub_within": scrub_within,
            "key_copies_kept": key_copies_kept,
            "key_timeout": key_timeout,
            "keys_good_for": keys_good_for,
            "keys_grace": keys_grace,
            "close_budget": close_budget,
            "sweep_interval": sweep_interval,
        }
        for name, time in times.items():
            if time is not None:
                setattr(options, f"{name}_ms", _milliseconds(time))
        if durability not in DURABILITIES:
            raise ValueError(f"durability is 'durable' or 'buffered', not {durability!r}")
        options.durability = DURABILITIES[durability]
        options.freshness = full_freshness
        options.without_background = not background
        options.accept_rollback = accept_rollback
        if maintenance not in MAINTENANCE:
            raise ValueError(f"maintenance is 'digests' or 'names', not {maintenance!r}")
        options.maintenance = MAINTENANCE[maintenance]
        check(lib.strongroom_config_set(config, options, error), error)
        if key_store is not None:
            keys = _path(key_store)
            check(lib.strongroom_config_key_store(config, keys, len(keys), error), error)
        for region, paths in (regions or {}).items():
            text, data = region.encode(), _path(paths.root)
            keys = ffi.NULL if paths.keys is None else _path(paths.keys)
            size = 0 if paths.keys is None else len(keys)
            add = lib.strongroom_config_region
            check(add(config, text, len(text), data, len(data), keys, size, error), error)
        if not isinstance(providers, Mapping):
            providers = {"default": providers}
        for name, provider in providers.items():
            _register(config, name.encode(), provider)
        engine = ffi.new("strongroom_engine **")
        check(start(config, engine, error), error)
        return cls(engine[0])

    @staticmethod
    def published_health(path: PathLike) -> tuple[dict[str, Any], timedelta]:
        """What the process that has a store open published of its health, and how old that is. Needs no key, and nothing
        vouches for it."""
        error, json_, age = ffi.new(ERROR), ffi.new(BUFFER), ffi.new("uint64_t *")
        published = lib.strongroom_config_published_health
        check(published(_config(path), ffi.NULL, age, json_, error), error)
        return json.loads(value_of(json_[0])), timedelta(milliseconds=age[0])

    @property
    def id(self) -> str:
        error, id = ffi.new(ERROR), ffi.new("uint8_t[16]")
        check(lib.strongroom_engine_store_id(self._handle, id, error), error)
        return bytes(ffi.buffer(id)).hex()

    def create_tenant(
        self,
        name: str,
        *,
        region: Optional[str] = None,
        dedicated: bool = False,
        policy: Optional[Policy] = None,
    ) -> Tenant:
        """Creates a tenant with keys of its own."""
        text, error, tenant = name.encode(), ffi.new(ERROR), ffi.new("strongroom_tenant **")
        options = initial("tenant_options")
        if region is not None:
            held = ffi.from_buffer("char[]", region.encode())
            options.region, options.region_size = held, len(held)
        options.dedicated = dedicated
        kept = Policy().native() if policy is None else policy.native()
        options.policy = kept
        create = lib.strongroom_engine_create_tenant
        check(create(self._handle, text, len(text), options, tenant, error), error)
        return Tenant(tenant[0])

    def tenant(self, name: str) -> Tenant:
        text, error, tenant = name.encode(), ffi.new(ERROR), ffi.new("strongroom_tenant **")
        check(lib.strongroom_engine_tenant(self._handle, text, len(text), tenant, error), error)
        return Tenant(tenant[0])

    def suspend_tenant(self, name: str) -> None:
        """From then on every read and write of its records is a SuspendedError."""
        self._of_tenant(lib.strongroom_engine_suspend_tenant, name)

    def resume_tenant(self, name: str) -> None:
        self._of_tenant(lib.strongroom_engine_resume_tenant, name)

    def rename_tenant(self, name: str, to: str) -> None:
        """Its id, data and keys stay as they are, and so do handles."""
        new = to.encode()
        self._of_tenant(lib.strongroom_engine_rename_tenant, name, new, len(new))

    def remove_tenant(self, name: str, window: timedelta = timedelta(days=30)) -> datetime:
        """Gone at once, and restorable within the window; when a sweep erases it."""
        purge = ffi.new("uint64_t *")
        self._of_tenant(lib.strongroom_engine_remove_tenant, name, round(window / timedelta(milliseconds=1)), purge)
        return time_of(purge[0])

    def restore_tenant(self, name: str) -> None:
        self._of_tenant(lib.strongroom_engine_restore_tenant, name)

    def erase_tenant(self, name: str) -> None:
        """For good: its keys are destroyed, then its files."""
        self._of_tenant(lib.strongroom_engine_erase_tenant, name)

    def move_tenant(
        self, name: str, region: str, *, override_residency: bool = False, progress: Optional[Progress] = None
    ) -> None:
        """Moves a tenant to another region; open it again then. Whoever overrides its residency has asked whose data it
        is."""
        text, to, error = name.encode(), region.encode(), ffi.new(ERROR)
        flags = lib.STRONGROOM_MOVE_OVERRIDE_RESIDENCY if override_residency else 0
        callback, move = Callback(None, progress), lib.strongroom_engine_move_tenant
        status = move(
            self._handle, text, len(text), to, len(to), flags, lib.progressed, callback.handle, error
        )
        callback.check(status, error)

    def renew_section_keys(self, tenant: str) -> None:
        """Seals a tenant's keyring under new section keys, so that leaked ones open nothing; open the tenant again then."""
        self._of_tenant(lib.strongroom_engine_renew_section_keys, tenant)

    def rewrap(self, provider: str, to: str) -> int:
        """Has every tenant's keys wrapped by one provider that another wraps, or the same anew; how many."""
        old, new, error, count = provider.encode(), to.encode(), ffi.new(ERROR), ffi.new("uint64_t *")
        rewrap = lib.strongroom_engine_rewrap
        check(rewrap(self._handle, old, len(old), new, len(new), count, error), error)
        return int(count[0])

    def _of_tenant(self, call: Any, name: str, *more: Any) -> None:
        text, error = name.encode(), ffi.new(ERROR)
        check(call(self._handle, text, len(text), *more, error), error)

    def tenants(self) -> list[TenantInfo]:
        """The tenants there are, ordered by name. None is opened."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_engine_tenants(self._handle, list_, error), error)
        return [_tenant_info(row) for row in rows("tenant", list_[0])]

    def tenant_info(self, name: str) -> TenantInfo:
        text, error, list_ = name.encode(), ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_engine_tenant_info(self._handle, text, len(text), list_, error), error)
        return _tenant_info(rows("tenant", list_[0])[0])

    def tenant_stats(self, name: str) -> TenantStats:
        text, error, stats = name.encode(), ffi.new(ERROR), initial("tenant_stats")
        get_stats = lib.strongroom_engine_get_tenant_stats
        check(get_stats(self._handle, text, len(text), stats, error), error)
        return _stats(stats)

    def open_tenants(self) -> int:
        """How many tenants are open, whether anybody has a handle of them or not."""
        error, count = ffi.new(ERROR), ffi.new("size_t *")
        check(lib.strongroom_engine_open_tenants(self._handle, count, error), error)
        return int(count[0])

    def regions(self) -> list[RegionInfo]:
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_engine_regions(self._handle, list_, error), error)
        return [
            RegionInfo(
                text_of(row.name, row.name_size),
                text_of(row.root, row.root_size),
                text_of(row.keys, row.keys_size),
                None if row.problem == ffi.NULL else text_of(row.problem, row.problem_size),
            )
            for row in rows("region", list_[0])
        ]

    def lanes(self) -> list[LaneInfo]:
        """The journals that are open."""
        error, list_ = ffi.new(ERROR), ffi.new("strongroom_list **")
        check(lib.strongroom_engine_lanes(self._handle, list_, error), error)
        return [
            LaneInfo(
                text_of(row.region, row.region_size),
                bytes(ffi.buffer(row.id)).hex(),
                row.segments,
                row.segment_bytes,
                row.pending_bytes,
                row.pending_tenants,
                row.batches,
                row.changes,
                row.written_bytes,
                row.syncs,
                timedelta(microseconds=row.sync_micros),
                row.damaged,
            )
            for row in rows("lane", list_[0])
        ]

    def flush(self) -> None:
        """Makes everything durable that was written as buffered."""
        error = ffi.new(ERROR)
        check(lib.strongroom_engine_flush(self._handle, error), error)

    def sweep(self, tenant: Optional[str] = None) -> SweepReport:
        """Removes what has expired from the files, of all tenants or one; how many records, and how many are held."""
        text, counts = ffi.NULL if tenant is None else tenant.encode(), ffi.new("uint64_t[2]")
        size, error = 0 if tenant is None else len(text), ffi.new(ERROR)
        check(lib.strongroom_engine_sweep(self._handle, text, size, counts, counts + 1, error), error)
        return SweepReport(*counts)

    def confirm_clock(self) -> None:
        """Trusts what the clock says now, after it jumped."""
        error = ffi.new(ERROR)
        check(lib.strongroom_engine_confirm_clock(self._handle, error), error)

    def health(self) -> dict[str, Any]:
        """How the store does; it may be asked each second. It names tenants by their ids."""
        error, json_ = ffi.new(ERROR), ffi.new(BUFFER)
        check(lib.strongroom_engine_health(self._handle, ffi.NULL, json_, error), error)
        health: dict[str, Any] = json.loads(value_of(json_[0]))
        return health

    def tick(self) -> None:
        """Does what is due, for a store without a background thread."""
        error = ffi.new(ERROR)
        check(lib.strongroom_engine_tick(self._handle, error), error)

    def checkpoint(self) -> None:
        error = ffi.new(ERROR)
        check(lib.strongroom_engine_checkpoint(self._handle, error), error)

    def verify(self, tenant: Optional[str] = None, progress: Optional[Progress] = None) -> Report:
        """Verifies everything, or one tenant. Damage stands in the report."""
        error, report = ffi.new(ERROR), ffi.new("strongroom_report **")
        callback = Callback(None, progress)
        if tenant is None:
            verify = lib.strongroom_engine_verify
            status = verify(self._handle, lib.progressed, callback.handle, report, error)
        else:
            text = tenant.encode()
            verify = lib.strongroom_engine_verify_tenant
            status = verify(
                self._handle, text, len(text), lib.progressed, callback.handle, report, error
            )
        held = ffi.gc(report[0], lib.strongroom_report_free)
        callback.check(status, error)
        summary = initial("report_summary")
        check(lib.strongroom_report_get_summary(held, summary, error), error)
        problems = []
        for index in range(lib.strongroom_report_problem_count(held)):
            text_out, size = ffi.new("char **"), ffi.new("size_t *")
            check(lib.strongroom_report_problem(held, index, text_out, size, error), error)
            problems.append(text_of(text_out[0], size[0]))
        return Report(
            bool(summary.is_good),
            summary.tenants,
            summary.records,
            summary.records_bad,
            summary.records_unopened,
            summary.blocks,
            summary.blocks_bad,
            summary.unknown_files,
            problems,
        )

    def accept_rollback(self, tenant: str) -> None:
        text, error = tenant.encode(), ffi.new(ERROR)
        check(lib.strongroom_engine_accept_rollback(self._handle, text, len(text), error), error)

    def salvage(self, tenant: str) -> tuple[int, int]:
        """Opens a tenant with what can be read of its journal; how many changes count, and how many are lost."""
        text, error, found = tenant.encode(), ffi.new(ERROR), initial("salvage")
        check(lib.strongroom_engine_salvage(self._handle, text, len(text), found, error), error)
        return found.changes, found.changes_lost

    def close(self) -> None:
        """Closes the store, and with it everything that came from it. Again is fine."""
        error = ffi.new(ERROR)
        check(lib.strongroom_engine_close(self._handle, error), error)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _config(path: PathLike) -> Any:
    root, error, config = _path(path), ffi.new(ERROR), ffi.new("strongroom_config **")
    check(lib.strongroom_config_new(root, len(root), config, error), error)
    return ffi.gc(config[0], lib.strongroom_config_free)


def _tenant_info(row: Any) -> TenantInfo:
    return TenantInfo(
        text_of(row.name, row.name_size),
        bytes(ffi.buffer(row.id)).hex(),
        text_of(row.region, row.region_size),
        bool(row.dedicated),
        time_of(row.created_ms),
        ("active", "suspended", "removed")[row.state],
        time_of(row.purge_ms) if row.purge_ms else None,
    )


def _register(config: Any, name: bytes, provider: Provider) -> None:
    error = ffi.new(ERROR)
    if isinstance(provider, KeyFile):
        path = _path(provider.path)
        flags = lib.STRONGROOM_KEY_FILE_GROUP_READ if provider.group_read else 0
        add = lib.strongroom_config_key_file
        check(add(config, name, len(name), path, len(path), flags, error), error)
    elif isinstance(provider, Passphrase):
        options = initial("passphrase_options")
        options.memory_kib, options.passes = provider.memory_kib, provider.passes
        options.lanes = provider.lanes
        phrase = provider.passphrase
        add = lib.strongroom_config_passphrase
        check(add(config, name, len(name), phrase, len(phrase), options, error), error)
    else:
        functions = hold(provider)
        status = lib.strongroom_config_key_provider(config, name, len(name), functions, error)
        if status != 0:
            let_go(functions)
        check(status, error)
