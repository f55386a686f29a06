"""What may be erased, when, and the proof of it; a tenant's life; wrapping keys anew; records that nothing retains."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from strongroom import (
    Collection,
    HeldError,
    InvalidArgumentError,
    KeyFile,
    KeyUnavailableError,
    LimitExceededError,
    NotFoundError,
    Policy,
    PoisonedError,
    Region,
    Selector,
    Store,
    SuspendedError,
    Tenant,
)

DAY = timedelta(days=1)


def test_policies(tenant: Tenant, collection: Collection) -> None:
    policy = Policy(90 * DAY, 365 * DAY, 10 * DAY, 30 * DAY, 20 * DAY, overwrite="keep", secret=True, erasure="record")
    collection.policy = policy
    assert collection.policy == policy and tenant.policy == Policy()
    collection[b"k"] = b"v"
    with pytest.raises(HeldError):
        collection.erase(b"k")
    assert collection.erase_range() == (0, 1) == collection.erase_prefix(b"")
    collection.policy = Policy(secret=False, overwrite="erase")
    assert collection.policy == Policy(secret=False, overwrite="erase")
    assert collection.erase_range() == (1, 0)
    with pytest.raises(InvalidArgumentError):
        tenant.policy = Policy(minimum=2 * DAY, maximum=DAY)
    with pytest.raises(ValueError):
        tenant.policy = Policy(overwrite="perhaps")
    with pytest.raises(ValueError):
        collection.put(b"k", b"v", erasure="perhaps")


def test_holds(store: Store, tenant: Tenant, collection: Collection) -> None:
    collection[b"a"] = b"v"
    collection.put(b"b", b"v", written=datetime(2020, 1, 1, tzinfo=timezone.utc), ttl=DAY)
    selectors = {
        "all": Selector(),
        "case": Selector("invoices"),
        "empty": Selector("invoices", prefix=b""),
        "one": Selector("invoices", key=b"a"),
        "person": Selector(subject="Ada"),
        "prefix": Selector("invoices", b"a"),
    }
    for name, selector in selectors.items():
        tenant.hold(name, selector)
    assert {hold.name: hold.selector for hold in tenant.holds()} == selectors
    with pytest.raises(HeldError):
        collection.erase(b"a")
    with pytest.raises(HeldError):
        tenant.erase_subject("Ada")
    assert store.sweep("acme") == (0, 1)
    for wrong in (Selector(prefix=b"a"), Selector("c", b"a", b"a"), Selector("c", subject="Ada")):
        with pytest.raises(ValueError):
            tenant.hold("wrong", wrong)
    for name in selectors:
        tenant.release_hold(name)
    with pytest.raises(NotFoundError):
        tenant.release_hold("all")
    assert store.sweep() == (1, 0) and collection.erase(b"a") and tenant.holds() == []


def test_subjects(tenant: Tenant, collection: Collection) -> None:
    version = collection.put(b"k", b"value", subject="Zoe")
    tenant["other"].put(b"l", b"", subject="Zoe", ttl=DAY)
    collection.put(b"m", b"", subject="Ada")
    assert tenant.subjects() == ["Ada", "Zoe"]
    records = {record.key: record for record in tenant.subject_records("Zoe")}
    assert {key: record.collection for key, record in records.items()} == {b"k": "invoices", b"l": "other"}
    assert (records[b"k"].version, records[b"k"].value_size, records[b"k"].expires) == (version, 5, None)
    assert records[b"l"].expires is not None and tenant.subject_records("Bob") == []
    assert tenant.erase_subject("Zoe") and not tenant.erase_subject("Zoe")
    assert tenant.subjects() == ["Ada"] and list(collection) == [b"m"] and len(tenant["other"]) == 0


def test_a_record_with_a_key_of_its_own(tenant: Tenant, collection: Collection) -> None:
    def destroyed() -> int:
        return sum(entry.event == "subject key" for entry in tenant.ledger())

    collection.put(b"k", b"v", erasure="record")
    assert collection.erase(b"k") and destroyed() == 1
    collection.put(b"k", b"v")
    assert collection.erase(b"k") and destroyed() == 1


def test_proof(tenant: Tenant, collection: Collection) -> None:
    collection.put(b"k", b"v", subject="Ada")
    assert tenant.erase_subject("Ada")
    receipt = tenant.receipt()
    now = datetime.now(timezone.utc)
    assert receipt.scrubbed is None and receipt.deadline > now
    horizon = tenant.horizon()
    assert now - DAY < horizon.data_copies <= horizon.key_copies
    seen: list[tuple[int, int]] = []
    through = tenant.scrub(progress=lambda done, total: seen.append((done, total)))
    assert through >= receipt.through and seen
    with pytest.raises(ZeroDivisionError):
        tenant.scrub(progress=lambda done, total: print(1 // 0))
    (again,) = tenant.receipts()
    assert again.number == receipt.number and again.scrubbed is not None and again.through == receipt.through
    entries = tenant.ledger()
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert {"subject key", "receipt", "scrubbed"} <= {entry.event for entry in entries}
    assert len({entry.mac for entry in entries}) == len(entries) and {len(entry.mac) for entry in entries} == {24}
    (given,) = (entry for entry in entries if entry.event == "receipt")
    assert (given.number, given.through, given.slot) == (receipt.number, receipt.through, None)


def test_the_horizon_counts_how_long_copies_of_keys_are_kept(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "root-key")
    with Store.create(tmp_path / "data", keys, key_copies_kept=7 * DAY, scrub_within=10 * DAY) as store:
        horizon = store.create_tenant("acme").horizon()
        assert horizon.key_copies - horizon.data_copies == 7 * DAY
        assert abs(horizon.data_copies - datetime.now(timezone.utc) - 10 * DAY) < DAY


def test_life(tmp_path: Path) -> None:
    regions = {"eu": Region(tmp_path / "eu")}
    with Store.create(tmp_path / "data", KeyFile(tmp_path / "root-key"), regions=regions) as store:
        collection = store.create_tenant("acme")["c"]
        collection[b"k"] = b"v"
        store.suspend_tenant("acme")
        assert store.tenant_info("acme").state == "suspended"
        with pytest.raises(SuspendedError):
            collection.get(b"k")
        store.resume_tenant("acme")
        store.rename_tenant("acme", "emca")
        purge = store.remove_tenant("emca", window=timedelta(hours=1))
        info = store.tenant_info("emca")
        assert (info.state, info.purge) == ("removed", purge) and purge > datetime.now(timezone.utc)
        with pytest.raises(NotFoundError):
            collection.get(b"k")
        store.restore_tenant("emca")
        assert store.tenant_info("emca").purge is None
        with pytest.raises(InvalidArgumentError):
            store.move_tenant("emca", "eu")
        copied: list[int] = []
        store.move_tenant("emca", "eu", override_residency=True, progress=copied.append)
        assert sum(copied) > 0 and store.tenant_info("emca").region == "eu"
        with pytest.raises(PoisonedError):
            collection.get(b"k")
        assert store.tenant("emca")["c"][b"k"] == b"v"
        store.erase_tenant("emca")
        assert store.tenants() == []


def test_wrapping(tmp_path: Path) -> None:
    # A store makes its key file; this one's is the other store's second one.
    Store.create(tmp_path / "other", KeyFile(tmp_path / "second-key")).close()
    keys = {"default": KeyFile(tmp_path / "root-key"), "second": KeyFile(tmp_path / "second-key")}
    with Store.create(tmp_path / "data", keys) as store:
        tenant = store.create_tenant("acme")
        tenant.rewrap()
        tenant.rewrap("second")
        assert tenant.key_provider == "second"
        with pytest.raises(KeyUnavailableError):
            tenant.rewrap("third")
        assert store.rewrap("second", "default") == 1 and tenant.key_provider == "default"


def test_session(tenant: Tenant, collection: Collection) -> None:
    with tenant.session() as session:
        session.put(collection, b"k", b"one")
        session.put(collection, bytearray(b"l"), memoryview(b""))
        assert session.get(collection, b"k") == b"one" and session.get(collection, b"m") is None
        assert len(session) == 2 and collection.get(b"k") is None
        assert session.scan(collection) == [(b"k", b"one"), (b"l", b"")]
        assert session.scan(collection, b"l") == [(b"l", b"")] and session.scan(collection, None, b"l")[0][0] == b"k"
        assert session.erase(collection, b"k") and not session.erase(collection, b"k")
        with pytest.raises(LimitExceededError):
            session.put(collection, b"x", bytes(1 << 21))
    with pytest.raises(InvalidArgumentError):
        session.get(collection, b"l")
