"""What an operator does: quotas, data keys, indexes over records that are there, settings, health, lists."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from strongroom import (
    Collection,
    ConflictError,
    IndexInfo,
    InvalidArgumentError,
    KeyFile,
    LimitExceededError,
    NotFoundError,
    PoisonedError,
    Policy,
    Quota,
    Record,
    Store,
    StrongroomError,
    Tenant,
    UnavailableError,
    Usage,
    Version,
    log_to,
    release,
)


def test_quotas_and_usage(tenant: Tenant, collection: Collection) -> None:
    assert collection.quota == tenant.quota == Quota()
    collection.quota = Quota(records=2)
    collection[b"a"], collection[b"b"] = b"12", b"34"
    with pytest.raises(LimitExceededError):
        collection[b"c"] = b"5"
    assert collection.usage() == Usage(2, 6) == tenant.usage() and collection.quota == Quota(records=2)
    collection.quota = Quota()
    tenant.quota = Quota(bytes=0)
    assert tenant.quota == Quota(bytes=0)
    with pytest.raises(LimitExceededError):
        collection[b"c"] = b"5"
    tenant.quota = Quota()
    collection[b"c"] = b"5"


def test_data_keys(tenant: Tenant, collection: Collection) -> None:
    for number in range(10):
        collection[b"%d" % number] = b"v"
    (first,) = tenant.data_keys()
    assert first.state == "current" and first.records_sealed == 10
    second = tenant.rotate_data_key()
    assert [key.state for key in tenant.data_keys()] == ["older", "current"] and second > first.generation
    with pytest.raises(ConflictError):
        tenant.retire_data_key(first.generation)
    part = tenant.rekey(records=4, records_per_second=100_000)
    assert part.resealed == 4 and not part.complete and part.generation == second
    seen: list[tuple[int, int]] = []
    rest = tenant.rekey(progress=lambda done, total: seen.append((done, total)))
    assert rest.resealed == 6 and rest.complete and seen[-1] == (10, 10)

    def fail(*progress: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tenant.rekey(progress=fail)
    tenant.retire_data_key(first.generation)
    assert [key.state for key in tenant.data_keys()] == ["destroyed", "current"]
    assert collection[b"3"] == b"v"


def test_deadlines_policies_over_what_is_there_and_new_section_keys(store: Store, tenant: Tenant) -> None:
    collection = tenant["c"]
    for number in range(10):
        collection[b"%d" % number] = b"v"
    (first,) = tenant.data_keys()
    by = datetime(2030, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(ConflictError):
        tenant.set_rekey_deadline(first.generation, by)
    assert tenant.rekey_deadline is None
    tenant.rotate_data_key()
    tenant.set_rekey_deadline(first.generation, by)
    deadline = tenant.rekey_deadline
    assert deadline is not None and (deadline.generation, deadline.by) == (first.generation, by)
    tenant.clear_rekey_deadline()
    assert tenant.rekey_deadline is None
    part = tenant.rekey(bytes=1)
    assert 1 <= part.resealed < 10 and not part.complete

    collection.policy = Policy(retention=timedelta(hours=1), zero_retention=False)
    assert collection.policy == Policy(retention=timedelta(hours=1), zero_retention=False)
    assert tenant.policies_pending_since is not None
    applied = tenant.apply_policies(progress=lambda done, total: None)
    assert (applied.changed, applied.complete) == (10, True) and tenant.policies_pending_since is None
    collection.policy = Policy(zero_retention=True)
    assert collection.policy.zero_retention
    with pytest.raises(StrongroomError):
        collection[b"k"] = b"v"
    collection.policy = Policy()

    store.renew_section_keys("acme")
    with pytest.raises(PoisonedError):
        collection[b"1"]
    again = store.tenant("acme")["c"]
    again[b"k"] = b"v"
    with pytest.raises(NotFoundError):
        store.renew_section_keys("nobody")


def test_an_index_over_records_that_are_there(collection: Collection) -> None:
    for number, city in enumerate([b"Bonn", b"Rome", b"Bonn"]):
        collection[b"%d" % number] = city
    collection.declare_index("city")
    collection.declare_index("only", unique=True)
    assert [(info.name, info.unique, info.ready) for info in collection.indexes()] == [
        ("city", False, False),
        ("only", True, False),
    ]
    with pytest.raises(UnavailableError):
        collection.find("city", b"Bonn")
    with pytest.raises(ZeroDivisionError):
        collection.build_index("city", lambda record: [b"x"][1 // 0])
    with pytest.raises(ConflictError):
        collection.build_index("only", lambda record: b"the same")

    def city_of(record: Record) -> list[bytes]:
        assert record.value is not None
        return [record.value]

    seen: list[int] = []
    assert collection.build_index("city", city_of, seen.append) == 3 and sum(seen) == 3
    assert [record.key for record in collection.find("city", b"Bonn")] == [b"0", b"2"]
    ready: IndexInfo = collection.indexes()[0]
    assert ready.ready


def test_removed_records_are_listed_and_restored(tenant: Tenant, collection: Collection) -> None:
    collection.policy = Policy(removal_window=timedelta(hours=1))
    assert collection.policy == Policy(removal_window=timedelta(hours=1))
    first = collection.put(b"a", b"1")
    collection[b"b"], collection[b"c"] = b"2", b"3"
    with pytest.raises(ConflictError):
        collection.remove(b"a", if_version=Version(9, 9))
    assert collection.remove(b"a", if_version=first) and not collection.remove(b"a") and b"a" not in collection
    assert collection.remove_prefix(b"b") == 1 and collection.remove_range(b"c") == 1
    page, cursor = collection.removed(limit=2)
    assert [removed.key for removed in page] == [b"a", b"b"] and page[0].version == first
    assert page[0].erased_from - page[0].removed == timedelta(hours=1)
    rest, end = collection.removed(after=cursor)
    assert [removed.key for removed in rest] == [b"c"] and end is None
    assert collection.restore(b"a", version=first) and not collection.restore(b"a")
    assert collection.restore_range(b"zz") == 0
    assert collection.restore_prefix(b"") == 2 and len(collection) == 3
    with tenant.batch() as batch:
        batch.remove(collection, b"a")
        batch.put(collection, b"d", b"4")
    assert b"a" not in collection
    with tenant.batch() as batch:
        batch.restore(collection, b"a")
    assert collection[b"a"] == b"1"


def test_settings_and_published_health(tmp_path: Path) -> None:
    settings, where = tmp_path / "settings.toml", (tmp_path / "data", KeyFile(tmp_path / "root-key"))
    settings.write_text("open_tenants = 7\ntelepathy = 1\n")
    with pytest.raises(InvalidArgumentError):
        Store.create(*where, settings=settings)
    settings.write_text("open_tenants = 7\n")
    options: dict[str, Any] = {
        "settings": settings,
        "erasure_period": timedelta(hours=1),
        "rotate_after": timedelta(days=3),
        "rotate_after_records": 5_000,
    }

    def fail(more: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(NotFoundError):
        Store.published_health(where[0])
    with Store.create(*where, **options) as store:
        tenant = store.create_tenant("acme", policy=Policy(maximum=timedelta(days=1)))
        assert tenant.policy == Policy(maximum=timedelta(days=1))
        tenant["c"][b"k"] = b"v"
        assert store.open_tenants() == 1 and store.tenant_stats("acme").records == 1
        (region,) = store.regions()
        assert region.name == "default" and region.problem is None and region.keys == f"{region.root}.keys"
        (lane,) = store.lanes()
        assert lane.changes > 0 and lane.region == "default" and lane.damaged == 0
        with pytest.raises(ZeroDivisionError):
            store.verify(progress=fail)
        with pytest.raises(NotFoundError):
            store.tenant_stats("nobody")


def test_release() -> None:
    assert release().count(".") == 2


def test_an_index_is_built_beside_a_loop(collection: Collection) -> None:
    for number in range(50):
        collection[b"%d" % number] = b"odd" if number % 2 else b"even"
    collection.declare_index("kind")
    assert asyncio.run(collection.abuild_index("kind", lambda record: record.value or b"")) == 50
    assert sum(1 for _ in collection.find("kind", b"odd")) == 25


def test_the_log_goes_to_a_logger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("strongroom.test")
    with caplog.at_level(5, logger=logger.name):
        log_to(logger)
        with Store.create(tmp_path / "logged", KeyFile(tmp_path / "logged-key")) as store:
            tenant = store.create_tenant("acme")
            tenant["c"][b"a key"] = b"a value"
            tenant.rewrite()
        log_to(None)
    assert caplog.records and "acme" not in caplog.text and "a key" not in caplog.text
    assert all(record.getMessage().startswith("strongroom") for record in caplog.records)
    count = len(caplog.records)
    log_to(logger, logging.CRITICAL)
    Store.open(tmp_path / "logged", KeyFile(tmp_path / "logged-key")).close()
    assert len(caplog.records) == count
