"""The Python player of `cargo xtask bench bindings`: does what a line of its input says and prints the nanoseconds it took."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from strongroom import KeyFile, Store

RECORDS, STRIDE, VALUE_BYTES = 10_000, 7_919, 1_024


def main() -> None:
    directory = Path(sys.argv[1])
    with Store.create(directory / "data", KeyFile(directory / "root-key")) as store:
        tenant = store.create_tenant("acme")
        collection = tenant["c"]
        keys = [b"key-%06d" % (number * STRIDE % RECORDS) for number in range(RECORDS)]
        value = b"v" * VALUE_BYTES
        for begin in range(0, RECORDS, 1_000):
            with tenant.batch() as batch:
                for key in keys[begin : begin + 1_000]:
                    batch.put(collection, key, value)
        store.checkpoint()
        print("ready", flush=True)
        for line in sys.stdin:
            what, begin, count = line.split()
            chosen = keys[int(begin) : int(begin) + int(count)]
            begun = time.perf_counter_ns()
            if what == "get":
                for key in chosen:
                    found = collection.get(key)
                    assert found is not None and len(found) == VALUE_BYTES
            elif what == "put":
                for key in chosen:
                    collection.put(key, value, durability="buffered")
            else:
                size = 0
                for record in collection.scan():
                    assert record.value is not None
                    size += len(record.value)
                assert size == RECORDS * VALUE_BYTES
            print(time.perf_counter_ns() - begun, flush=True)


main()
