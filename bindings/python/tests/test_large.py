"""Large values: as files, from files, in uploads that go on after a restart."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from strongroom import (
    BusyError,
    Collection,
    ConflictError,
    InvalidArgumentError,
    KeyFile,
    NotFoundError,
    Store,
    Tenant,
)

VALUE = bytes(bytearray((index * 31 + (index >> 13)) & 0xFF for index in range(1 << 16))) * 50


def test_a_value_is_a_file(collection: Collection) -> None:
    version = collection.put_reader(b"k", io.BytesIO(VALUE))
    assert collection[b"k"] == VALUE
    reader = collection.get_reader(b"k")
    assert reader is not None and reader.info.version == version and reader.info.value_size == len(VALUE)
    with reader:
        assert reader.read() == VALUE and reader.read() == b"" and reader.tell() == len(VALUE)
        assert reader.seek(-5, io.SEEK_END) == len(VALUE) - 5 and reader.read(100) == VALUE[-5:]
        assert reader.seek(70_000) == 70_000 and reader.seek(7, io.SEEK_CUR) == 70_007
        assert reader.read(10) == VALUE[70_007:70_017]
        with pytest.raises(ValueError, match="first byte"):
            reader.seek(-1)
        room = bytearray(100)
        assert reader.readinto(memoryview(room)[:50]) == 50
        with pytest.raises((BufferError, ValueError, TypeError)):
            reader.readinto(b"constant")
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)
    buffered = collection.get_reader(b"k")
    assert buffered is not None
    with io.BufferedReader(buffered) as lines:
        assert lines.read(3) == VALUE[:3] and lines.peek(1)[:1] == VALUE[3:4]
    target, source = io.BytesIO(), collection.get_reader(b"k")
    assert source is not None
    shutil.copyfileobj(source, target)
    assert target.getvalue() == VALUE and collection.get_reader(b"none") is None


def test_ranges(collection: Collection) -> None:
    collection.put_reader(b"k", io.BytesIO(VALUE))
    assert collection.get_range(b"k", 65_530, 12) == VALUE[65_530:65_542]
    assert collection.get_range(b"k", len(VALUE) - 2, 12) == VALUE[-2:]
    assert collection.get_range(b"k", 1 << 40, 12) == b"" and collection.get_range(b"none", 0, 1) is None


class Failing(io.BytesIO):
    def readinto(self, buffer: object) -> int:
        raise RuntimeError("the network is gone")


class OnlyRead:
    """What has `read` alone, as a body of an HTTP request."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def read(self, size: int, /) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def test_a_file_that_fails_puts_nothing(collection: Collection) -> None:
    collection[b"k"] = b"before"
    with pytest.raises(RuntimeError, match="the network"):
        collection.put_reader(b"k", Failing())
    with pytest.raises(ConflictError):
        collection.put_reader(b"k", io.BytesIO(VALUE), if_absent=True)
    with pytest.raises(TypeError, match="binary mode"):
        collection.put_reader(b"k", io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more bytes"):
        collection.put_reader(b"k", OnlyRead([bytes(10_000_000)]))
    assert collection[b"k"] == b"before"
    collection.put_reader(b"k", OnlyRead([b"one ", b"two"]))
    assert collection[b"k"] == b"one two"


def test_a_reader_and_a_snapshot_see_what_was(tenant: Tenant, collection: Collection) -> None:
    collection.put_reader(b"k", io.BytesIO(VALUE))
    reader = collection.get_reader(b"k")
    with tenant.snapshot() as snapshot:
        collection[b"k"] = b"small"
        earlier = snapshot.get_reader(collection, b"k")
        assert [info.name for info in snapshot.collections()] == ["invoices"]
        assert collection.count(snapshot=snapshot) == 1
        assert snapshot.get_reader(collection, b"none") is None
    assert earlier is not None and reader is not None
    assert earlier.read() == VALUE and reader.read() == VALUE


def test_an_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    where = (tmp_path / "data", KeyFile(tmp_path / "root-key"))
    with Store.create(*where) as store:
        scans = store.create_tenant("acme")["scans"]
        upload = scans.begin_upload(b"k")
        assert upload.write(VALUE[:2_000_000]) == 2_000_000 and len(upload.id) == 16
        with pytest.raises(BusyError):
            scans.resume_upload(upload.id)
        upload.flush()
        upload.write(b"never flushed")
        upload.close()
        upload.close()
        with pytest.raises(InvalidArgumentError):
            upload.write(b"x")
    with Store.open(*where) as store:
        scans = store.tenant("acme")["scans"]
        assert b"k" not in scans
        with scans.resume_upload(upload.id) as upload:
            assert upload.durable_bytes == 2_000_000
            upload.write(memoryview(VALUE)[2_000_000:])
        assert scans[b"k"] == VALUE and upload.closed
        with pytest.raises(NotFoundError):
            scans.resume_upload(upload.id)
        with pytest.raises(RuntimeError), scans.begin_upload(b"other") as upload:
            upload.write(b"begun")
            raise RuntimeError
        assert b"other" not in scans
        scans.resume_upload(upload.id).discard()
        with pytest.raises(NotFoundError):
            scans.resume_upload(upload.id)
        with pytest.raises(ValueError, match="16 bytes"):
            scans.resume_upload(b"x")
