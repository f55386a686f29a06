"""Stores: key providers, regions, upkeep, closing, damage."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import strongroom
from strongroom import (
    AlreadyExistsError,
    BusyError,
    InvalidArgumentError,
    KeyFile,
    KeyUnavailableError,
    Passphrase,
    PoisonedError,
    ProviderAlreadyExists,
    ProviderDenied,
    ProviderRetryable,
    Region,
    Store,
    StrongroomError,
    UnavailableError,
    WrapContext,
)


def test_opening_and_closing(tmp_path: Path) -> None:
    provider = KeyFile(tmp_path / "root-key")
    with pytest.raises(UnavailableError):
        Store.open(tmp_path / "data", provider)
    with Store.create(tmp_path / "data", provider) as store:
        collection = store.create_tenant("acme")["c"]
        collection[b"k"] = b"v"
        with pytest.raises(BusyError) as busy:
            Store.open(tmp_path / "data", provider)
        assert busy.value.retryable
        with pytest.raises(AlreadyExistsError):
            Store.create(tmp_path / "data", provider)
    store.close()
    with pytest.raises(PoisonedError):
        collection[b"k"]
    with Store.open(tmp_path / "data", provider) as store:
        assert store.tenant("acme")["c"][b"k"] == b"v"


def test_options_and_regions(tmp_path: Path) -> None:
    options = {
        "key_store": tmp_path / "elsewhere",
        "regions": {"eu": Region(tmp_path / "eu"), "us": Region(tmp_path / "us", tmp_path / "us-keys")},
        "cache_bytes": 1 << 20,
        "buffered_within": timedelta(milliseconds=2),
        "durability": "buffered",
        "background": False,
    }
    with Store.create(tmp_path / "data", KeyFile(tmp_path / "root-key"), **options) as store:
        tenant = store.create_tenant("acme", region="eu", dedicated=True)
        tenant["c"][b"k"] = b"v"
        store.tick()
        store.flush()
        info = store.tenant_info("acme")
        assert (info.region, info.dedicated, info.id) == ("eu", True, tenant.id)
        assert [info.name for info in store.tenants()] == ["acme"] and tenant.name == "acme"
    assert (tmp_path / "elsewhere").is_dir() and (tmp_path / "us-keys").is_dir()
    with pytest.raises(TypeError):
        Store.open(tmp_path / "data", KeyFile(tmp_path / "root-key"), cash_bytes=1)


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    def phrase(text: bytes) -> Passphrase:
        return Passphrase(text, memory_kib=64, passes=1, lanes=1)

    Store.create(tmp_path / "data", phrase(b"right")).close()
    with pytest.raises(KeyUnavailableError):
        Store.open(tmp_path / "data", phrase(b"wrong"))
    Store.open(tmp_path / "data", phrase(b"right")).close()
    assert "right" not in repr(phrase(b"right"))


class Kms:
    """Hides keys under a byte: for tests, not a cipher."""

    failure: Exception | None = None

    def create(self) -> None:
        if self.failure:
            raise self.failure

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        if self.failure:
            raise self.failure
        return bytes(byte ^ 0x5A for byte in key) + context.bytes

    def unwrap(self, wrapped: bytes, context: WrapContext) -> bytes:
        if self.failure:
            raise self.failure
        if wrapped[32:] != context.bytes:
            raise ProviderDenied("another context")
        return bytes(byte ^ 0x5A for byte in wrapped[:32])


def test_a_provider_in_python(tmp_path: Path) -> None:
    kms = Kms()
    kms.failure = ProviderAlreadyExists("the key is there")
    with pytest.raises(AlreadyExistsError, match="the key is there"):
        Store.create(tmp_path / "data", kms)
    kms.failure = None
    with Store.create(tmp_path / "data", {"default": kms}) as store:
        store.create_tenant("acme")["c"][b"k"] = b"v"
        kms.failure = ProviderRetryable("no network")
        with pytest.raises(KeyUnavailableError, match="no network") as unreachable:
            store.create_tenant("b")
        assert unreachable.value.retryable
        kms.failure = ZeroDivisionError("a bug")
        with pytest.raises(KeyUnavailableError) as denied:
            store.create_tenant("b")
        assert not denied.value.retryable
    with pytest.raises(KeyUnavailableError):
        Store.open(tmp_path / "data", kms)
    kms.failure = None
    with Store.open(tmp_path / "data", kms) as store:
        assert store.tenant("acme")["c"][b"k"] == b"v"


def test_maintenance_has_no_content_key(tmp_path: Path) -> None:
    class Counting(Kms):
        sections: set[int] = set()

        def unwrap(self, wrapped: bytes, context: WrapContext) -> bytes:
            self.sections.add(context.section)
            return super().unwrap(wrapped, context)

    kms = Counting()
    with pytest.raises(InvalidArgumentError):
        Store.create(tmp_path / "data", kms, maintenance="names")
    with Store.create(tmp_path / "data", kms) as store:
        store.create_tenant("acme")["c"][b"k"] = b"v"
    kms.sections.clear()
    with Store.open(tmp_path / "data", kms, maintenance="digests") as store:
        (info,) = store.tenants()
        assert re.fullmatch("~[0-9a-f]{32}", info.name)
        acme = store.tenant(info.name)
        assert acme.name == info.name and acme.id == store.tenant("acme").id == info.id
        (collection,) = acme.collections()
        assert re.fullmatch("~[0-9a-f]{32}", collection.name)
        with pytest.raises(KeyUnavailableError):
            acme["c"][b"k"]
        with pytest.raises(KeyUnavailableError):
            acme["c"][b"k"] = b"v"
        with pytest.raises(KeyUnavailableError):
            store.create_tenant("globex")
        store.checkpoint()
        assert acme.rewrite() is not None
        store.sweep()
        report = store.verify()
        assert report.is_good and (report.records, report.records_unopened) == (0, 1)
        assert store.tenant_stats(info.name).records == 1
    assert kms.sections == {1}
    with Store.open(tmp_path / "data", kms, maintenance="names") as store:
        assert [info.name for info in store.tenants()] == ["acme"]
    with pytest.raises(ValueError):
        Store.open(tmp_path / "data", kms, maintenance="yes")
    with Store.open(tmp_path / "data", kms) as store:
        assert store.tenant("acme")["c"][b"k"] == b"v"


def test_upkeep(tmp_path: Path, store: Store) -> None:
    tenant = store.create_tenant("acme")
    collection = tenant["c"]
    for number in range(100):
        collection[b"%d" % number] = b"v" * 100
    tenant.flush()
    tenant.checkpoint()
    store.checkpoint()
    progress: list[int] = []
    report = store.verify(progress=progress.append)
    assert report.is_good and report.records >= 100 and not report.problems and sum(progress) > 100
    assert store.verify("acme").tenants == 1
    rows: list[tuple[int, int]] = []
    done = tenant.rewrite(lambda *row: rows.append(row))
    assert done and done.rows >= 100 and rows
    assert store.create_tenant("empty").rewrite() is None
    stats = tenant.stats()
    assert stats.records == 100 and stats.collections == 1 and stats.file_bytes > 0
    assert store.salvage("acme")[1] == 0
    tenant = store.tenant("acme")
    tenant.create_collection("d")
    tenant.rename_collection("d", "e")
    assert [info.name for info in tenant.collections()] == ["c", "e"]
    tenant.drop_collection("e")
    store.accept_rollback("acme")


def test_damage_is_an_error_or_stands_in_the_report(tmp_path: Path) -> None:
    provider = KeyFile(tmp_path / "root-key")
    with Store.create(tmp_path / "data", provider) as store:
        tenant = store.create_tenant("acme")
        for number in range(500):
            tenant["c"][b"%d" % number] = b"v" * 500
        tenant.checkpoint()
    (file,) = (path for path in (tmp_path / "data/tenants").rglob("*.redb") if path.stat().st_size > 1 << 18)
    content = bytearray(file.read_bytes())
    for offset in range(len(content) // 2, len(content), 4096):
        content[offset] ^= 1
    file.write_bytes(content)
    with Store.open(tmp_path / "data", provider) as store:
        try:
            report = store.verify("acme")
            assert not report.is_good and report.problems
        except StrongroomError as error:
            assert error.kind in {"Unauthentic", "Corrupted", "RolledBack"}


def test_every_kind_has_a_class() -> None:
    classes = [value for value in vars(strongroom).values() if isinstance(value, type)]
    kinds = {c.code: c for c in classes if issubclass(c, StrongroomError) and c is not StrongroomError}
    assert sorted(kinds) == list(range(1, 23))
    assert all(c.__name__ == f"{c.kind}Error" for c in kinds.values())


def test_importing_starts_no_thread_and_opens_no_file() -> None:
    code = "import strongroom, threading, os; print(threading.active_count(), len(os.listdir('/proc/self/task')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1 1\n"
