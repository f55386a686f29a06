"""Callers that are wrong get exceptions, and scans cross the boundary by pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from strongroom import (
    Collection,
    InvalidArgumentError,
    KeyFile,
    KeyUnavailableError,
    LimitExceededError,
    PoisonedError,
    ProviderDenied,
    Store,
    Tenant,
    WrapContext,
    _collection,
    _strongroom,
)


def test_arguments_of_other_types(tenant: Tenant, collection: Collection) -> None:
    values: list[Any] = [None, 1, 1.5, "text", [1], object()]
    for wrong in values:
        with pytest.raises(TypeError):
            collection.put(wrong, b"v")
        with pytest.raises(TypeError):
            collection.put(b"k", wrong)
        with pytest.raises(TypeError):
            collection.erase(wrong)
        with pytest.raises(TypeError):
            tenant.batch().put(collection, wrong, b"v")
    with pytest.raises((TypeError, AttributeError)):
        tenant.batch().put(tenant, b"k", b"v")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        collection.put(b"k", b"v", telepathy=True)  # type: ignore[call-arg]
    assert len(collection) == 0


def test_names_and_lengths(store: Store, tenant: Tenant, collection: Collection) -> None:
    for name in ("", " a", "a\n", "a\0b", "n" * 256):
        with pytest.raises(InvalidArgumentError):
            store.create_tenant(name)
        with pytest.raises(InvalidArgumentError):
            tenant[name]
    # No UTF-8 has it.
    with pytest.raises(UnicodeEncodeError):
        store.create_tenant("\udc80")
    with pytest.raises(LimitExceededError):
        collection.put(b"k", bytes((1 << 20) + 1))
    with pytest.raises(LimitExceededError):
        collection.get(b"k" * 5_000)
    other = store.create_tenant("other")
    with pytest.raises(InvalidArgumentError):
        other.batch().put(collection, b"k", b"v")
    with other.session() as session, pytest.raises(InvalidArgumentError):
        session.put(collection, b"k", b"v")


def test_after_closing(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "data", KeyFile(tmp_path / "root-key"))
    tenant = store.create_tenant("acme")
    collection, batch, session = tenant["c"], tenant.batch(), tenant.session()
    batch.put(collection, b"k", b"v")
    session.close()
    session.close()
    with pytest.raises((InvalidArgumentError, RuntimeError)):
        session.get(collection, b"k")
    store.close()
    store.close()
    for call in (
        lambda: collection.put(b"k", b"v"),
        lambda: collection.get(b"k"),
        lambda: list(collection.scan()),
        lambda: batch.write(),
        lambda: store.create_tenant("late"),
        lambda: tenant.snapshot(),
    ):
        with pytest.raises(PoisonedError):
            call()


class Short:
    """Gives what is no key."""

    def __init__(self, wrapped: Any, key: Any) -> None:
        self.wrapped, self.key = wrapped, key

    def create(self) -> None:
        pass

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        return key if self.wrapped is None else self.wrapped

    def unwrap(self, wrapped: bytes, context: WrapContext) -> bytes:
        return wrapped if self.key is None else self.key


def test_a_provider_that_gives_no_key(tmp_path: Path) -> None:
    Store.create(tmp_path / "good", Short(None, None)).close()
    for number, wrapped in enumerate((b"", bytes(1_025), "text", 7)):
        with pytest.raises(KeyUnavailableError):
            Store.create(tmp_path / f"bad-{number}", Short(wrapped, None))
    # An integer is no bytes, though bytes(32) are 32.
    for key in (b"", bytes(31), bytes(33), "text", 32):
        with pytest.raises(KeyUnavailableError):
            Store.open(tmp_path / "good", Short(None, key))

    class Leaves(Short):
        def unwrap(self, wrapped: bytes, context: WrapContext) -> bytes:
            raise ProviderDenied("x" * 10_000)

    with pytest.raises(KeyUnavailableError, match="x" * 100):
        Store.open(tmp_path / "good", Leaves(None, None))


def test_what_callbacks_raise_is_raised(store: Store, tenant: Tenant, collection: Collection) -> None:
    for number in range(10):
        collection[b"%d" % number] = b"v"

    class Enough(BaseException):
        pass

    def stop(*arguments: Any) -> Any:
        raise Enough

    with pytest.raises(Enough):
        store.verify(progress=stop)
    collection.declare_index("i")
    with pytest.raises(Enough):
        collection.build_index("i", stop)
    with pytest.raises(Enough):
        tenant.rewrite(stop)
    assert store.verify().is_good and len(collection) == 10


def test_ten_thousand_records_cross_by_pages(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = tenant["many"]
    with tenant.batch() as batch:
        for number in range(10_000):
            batch.put(collection, b"%05d" % number, b"v" * 100)
    calls: dict[str, int] = {}

    class Counted:
        def __getattr__(self, name: str) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return getattr(lib, name)

    lib = _strongroom.lib
    monkeypatch.setattr(_collection, "lib", Counted())
    assert sum(1 for _ in collection.scan()) == 10_000
    assert 1 <= calls["strongroom_scan_next"] <= 100 and sum(calls.values()) < 500, calls
