"""A store of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom import Collection, KeyFile, Store, Tenant


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "data", KeyFile(tmp_path / "root-key")) as store:
        yield store


@pytest.fixture
def tenant(store: Store) -> Tenant:
    return store.create_tenant("acme")


@pytest.fixture
def collection(tenant: Tenant) -> Collection:
    return tenant["invoices"]
