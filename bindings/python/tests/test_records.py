"""Records: as a mapping, with conditions, in batches, in scans."""

from __future__ import annotations

import gc
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta, timezone

import pytest

from strongroom import (
    BUFFERED,
    Collection,
    ConflictError,
    InvalidArgumentError,
    LimitExceededError,
    NotFoundError,
    Policy,
    Store,
    Tenant,
    Version,
)


def test_a_collection_is_a_mapping(collection: Collection) -> None:
    assert isinstance(collection, Mapping) and isinstance(collection, MutableMapping)
    collection[b"b"] = b"2"
    collection[b"a"] = b""
    assert collection[b"a"] == b"" and b"a" in collection and b"c" not in collection
    assert dict(collection) == {b"a": b"", b"b": b"2"}
    assert list(collection.items()) == [(b"a", b""), (b"b", b"2")] and len(collection) == 2
    assert collection.get(b"c") is None and collection.get(b"c", b"x") == b"x"
    with pytest.raises(KeyError):
        collection[b"c"]
    del collection[b"a"]
    with pytest.raises(KeyError):
        del collection[b"a"]
    assert collection.pop(b"b") == b"2"
    collection.update({b"x": b"1", b"y": b"2"})
    collection.clear()
    assert len(collection) == 0


def test_any_bytes_can_be_put_without_copying_them_first(collection: Collection) -> None:
    data = bytearray(b"0123456789")
    collection.put(memoryview(b"key"), memoryview(data)[2:5])
    assert collection[bytearray(b"key")] == b"234"
    space = bytearray(5)
    assert collection.get_into(b"key", space) == 3 and space == b"234\0\0"
    assert collection.get_into(b"key", memoryview(space)[:2]) == 3 and space == b"234\0\0"
    assert collection.get_into(b"none", space) is None
    with pytest.raises((TypeError, BufferError)):
        collection.get_into(b"key", b"not writable")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        collection.put("text", b"value")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        collection.put(b"key", "text")  # type: ignore[arg-type]


def test_conditions_and_what_is_known(collection: Collection) -> None:
    written = datetime(2024, 2, 3, 4, 5, 6, 7000, tzinfo=timezone.utc)
    first = collection.put(b"k", b"one", if_absent=True, written=written, durability=BUFFERED)
    with pytest.raises(ConflictError) as refused:
        collection.put(b"k", b"two", if_absent=True)
    assert refused.value.kind == "Conflict" and refused.value.code == 4 and not refused.value.retryable
    info = collection.info(b"k")
    assert info and info.version == first and info.written == written
    assert info.expires is None and info.value_size == 3
    second = collection.put(b"k", b"two", if_version=first)
    assert second > first and str(second) == f"{second.timeline}.{second.sequence}"
    with pytest.raises(ConflictError):
        collection.put(b"k", b"three", if_version=first)
    with pytest.raises(ConflictError):
        collection.erase(b"k", if_version=first)
    assert collection.erase(b"k", if_version=second)
    assert not collection.erase(b"k") and collection.info(b"k") is None
    with pytest.raises(ValueError):
        collection.put(b"k", b"v", if_absent=True, if_version=first)
    with pytest.raises(ValueError):
        collection.put(b"k", b"v", durability="eventually")


def test_bounds_are_errors(collection: Collection, store: Store) -> None:
    with pytest.raises(InvalidArgumentError):
        collection.put(b"", b"v")
    with pytest.raises(LimitExceededError):
        collection.put(b"k" * 4097, b"v")
    with pytest.raises(ValueError):
        collection.put(b"", b"v")
    with pytest.raises(NotFoundError):
        store.tenant("nobody")
    with pytest.raises(LookupError):
        store.tenant("nobody")
    with pytest.raises(InvalidArgumentError):
        store.create_tenant("a\nb")


def test_a_batch_is_made_whole_or_not_at_all(tenant: Tenant) -> None:
    a, b = tenant["a"], tenant["b"]
    with tenant.batch() as batch:
        batch.put(a, b"1", b"x")
        batch.put(b, b"1", b"y")
        assert len(batch) == 2
    assert batch.version and a[b"1"] == b"x" and b[b"1"] == b"y"
    with pytest.raises(RuntimeError), tenant.batch() as batch:
        batch.put(a, b"2", b"x")
        raise RuntimeError
    assert b"2" not in a
    with pytest.raises(ConflictError), tenant.batch() as batch:
        batch.require(a, b"1", Version(9, 9))
        batch.put(a, b"2", b"x")
    assert b"2" not in a
    with tenant.batch() as batch:
        batch.require(a, b"2", None)
        batch.erase(a, b"1")
    assert b"1" not in a


def test_scans(collection: Collection, tenant: Tenant) -> None:
    with tenant.batch() as batch:
        for number in range(1000):
            batch.put(collection, b"%04d" % number, b"v%d" % number)
    keys = [record.key for record in collection.scan()]
    assert keys == [b"%04d" % number for number in range(1000)]
    assert [r.key for r in collection.scan(b"0010", b"0012")] == [b"0010", b"0011"]
    last = list(collection.scan(prefix=b"09", reverse=True, limit=2))
    assert [(r.key, r.value, r.value_size) for r in last] == [(b"0999", b"v999", 4), (b"0998", b"v998", 4)]
    assert next(collection.scan(keys_only=True)).value is None
    assert [record.key for record in collection.scan(open_ahead=64)] == keys
    assert collection.count() == 1000 and collection.count(prefix=b"00") == 100
    with collection.scan() as scan:
        begun = next(scan)
        collection.clear()
    assert begun.value == b"v0" and list(collection.scan()) == []
    with pytest.raises(ValueError):
        collection.scan(limit=0)


def test_pages_go_on_behind_a_cursor(collection: Collection) -> None:
    for number in range(10):
        collection[b"%d" % number] = b"v"
    seen, cursor, pages = [], None, 0
    while True:
        page = collection.page(4, after=cursor, keys_only=True)
        seen += [record.key for record in page.records]
        pages += 1
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [b"%d" % number for number in range(10)] and pages == 3
    with pytest.raises(InvalidArgumentError):
        collection.page(4, after=b"not a cursor")


def test_a_snapshot_shows_one_moment(tenant: Tenant) -> None:
    a, b = tenant["a"], tenant["b"]
    a[b"k"], b[b"k"] = b"1", b"1"
    with tenant.snapshot() as snapshot:
        a[b"k"], b[b"k"], b[b"l"] = b"2", b"2", b"2"
        assert snapshot.get(a, b"k") == snapshot.get(b, b"k") == b"1"
        assert snapshot.get(b, b"l") is None and snapshot.info(b, b"l") is None
        assert [record.value for record in b.scan(snapshot=snapshot)] == [b"1"]
        assert snapshot.version.sequence > 0


def test_ranges_are_erased(collection: Collection) -> None:
    for number in range(10):
        collection[b"%d" % number] = b"v"
    assert collection.erase_prefix(b"1") == (1, 0)
    assert collection.erase_range(b"5") == (5, 0)
    assert collection.erase_range(None, b"2") == (1, 0)
    assert list(collection) == [b"2", b"3", b"4"]


def test_what_is_freed_late_or_early_does_no_harm(tenant: Tenant) -> None:
    collection = tenant["c"]
    collection[b"k"] = b"v"
    del tenant
    gc.collect()
    scan = collection.scan()
    scan.close()
    with pytest.raises((InvalidArgumentError, ValueError)):
        next(scan)
    assert collection[b"k"] == b"v"


def test_records_are_found_by_their_keys_in_indexes(tenant: Tenant) -> None:
    people = tenant["people"]
    people.declare_index("email", unique=True)
    people.declare_index("city")
    people.put(b"1", b"Ada", index={"email": b"a@b", "city": [b"Bonn", b"Rome"]})
    with pytest.raises(ConflictError):
        people.put(b"2", b"Eve", index={"email": b"a@b"})
    with tenant.batch() as batch:
        batch.put(people, b"2", b"Eve", index={"city": b"Bonn"})
    assert [record.key for record in people.find("email", b"a@b")] == [b"1"]
    assert [record.value for record in people.find("city", b"Bonn")] == [b"Ada", b"Eve"]
    assert [record.key for record in people.find_range("city", b"C")] == [b"1"]
    people.drop_index("city")
    with pytest.raises(NotFoundError):
        people.find("city", b"Bonn")


def test_records_expire_and_subjects_are_erased(store: Store, tenant: Tenant) -> None:
    collection = tenant["c"]
    hour = timedelta(hours=1)
    collection.policy = Policy(retention=hour)
    tenant.policy = Policy(maximum=2 * hour)
    assert collection.policy == Policy(hour, None) and tenant.policy == Policy(None, 2 * hour)
    collection[b"a"] = b"1"
    info = collection.info(b"a")
    assert info and info.expires == info.written + hour
    collection.put(b"b", b"2", ttl=timedelta(days=9))
    info = collection.info(b"b")
    assert info and info.expires == info.written + 2 * hour
    collection.put(b"past", b"3", expires=datetime(2001, 1, 1, tzinfo=timezone.utc))
    assert b"past" not in collection
    assert store.sweep().records <= 1 and store.sweep("acme") == (0, 0)
    store.confirm_clock()
    collection.put(b"s", b"secret", subject="user-42")
    assert collection[b"s"] == b"secret"
    assert tenant.erase_subject("user-42") and not tenant.erase_subject("user-42")
    assert collection.get(b"s") is None and collection[b"a"] == b"1"
    assert isinstance(store.health(), dict)
