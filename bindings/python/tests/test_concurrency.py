"""Threads, asyncio, and processes."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom import Collection, ConflictError, ForkedError, KeyFile, Store, Tenant


def test_sixty_four_threads(collection: Collection) -> None:
    def work(number: int) -> None:
        for round in range(10):
            key = b"%d-%d" % (number, round)
            collection.put(key, key, durability="buffered")
            assert collection[key] == key

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    assert len(collection) == 640


def test_the_gil_is_released_during_a_call(collection: Collection) -> None:
    """A durable put waits for the disk; meanwhile another thread counts."""
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    for number in range(50):
        collection[b"%d" % number] = b"v"
    stop.set()
    thread.join()
    assert counted[0] > 50


def test_sixty_four_puts_under_way_from_one_loop(tenant: Tenant) -> None:
    collection = tenant["c"]

    async def put_all() -> None:
        threads = threading.active_count()
        versions = await asyncio.gather(*(collection.aput(b"%d" % n, b"v") for n in range(64)))
        assert len(set(versions)) == 64
        # One of the library's, whatever is under way, and none of the loop's executor.
        assert threading.active_count() <= threads + 1
        assert await collection.aget(b"63") == b"v" and await collection.aget(b"64") is None
        with pytest.raises(ConflictError):
            await collection.aput(b"1", b"w", if_absent=True)
        await collection.aerase(b"1")

    asyncio.run(put_all())
    assert len(collection) == 63


def test_a_submitted_batch_that_nobody_awaits_is_made(tenant: Tenant) -> None:
    collection = tenant["c"]
    batch = tenant.batch()
    batch.put(collection, b"k", b"v")
    future = batch.submit()
    assert future.result(timeout=60).sequence > 0 and collection[b"k"] == b"v"

    async def cancelled() -> None:
        task = asyncio.ensure_future(collection.aput(b"cancelled", b"v"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    # Batches are made in the order in which they are handed in.
    batch.put(collection, b"after", b"v")
    assert batch.submit().result(timeout=60)
    assert collection[b"cancelled"] == b"v"


def in_child(body: object) -> int:
    """What a forked child ends with."""
    child = os.fork()
    if child == 0:
        try:
            assert callable(body)
            body()
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_gets_a_clear_error(store: Store, collection: Collection) -> None:
    collection[b"k"] = b"v"

    def use() -> None:
        for call in (lambda: collection[b"k"], lambda: collection.put(b"k", b"w"), store.close):
            with pytest.raises(ForkedError, match="fork"):
                call()

    assert in_child(use) == 0
    assert collection[b"k"] == b"v"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_recipe_for_servers_that_fork(tmp_path: Path) -> None:
    """Import before the fork; open after it, one process for each store."""

    def worker() -> None:
        with Store.create(tmp_path / "data", KeyFile(tmp_path / "root-key")) as store:
            store.create_tenant("acme")["c"][b"k"] = b"v"

    assert in_child(worker) == 0
    with Store.open(tmp_path / "data", KeyFile(tmp_path / "root-key")) as store:
        assert store.tenant("acme")["c"][b"k"] == b"v"
