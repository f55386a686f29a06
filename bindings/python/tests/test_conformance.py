"""The scenarios that every language runs: see tests/conformance/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom import KeyFile, Quota, Store, StrongroomError, Version

SCENARIOS = json.loads((Path(__file__).parents[3] / "tests/conformance/scenarios.json").read_text("utf-8"))


class World:
    def __init__(self, folder: Path) -> None:
        self.where = (folder / "data", KeyFile(folder / "root-key"))
        self.store = Store.create(*self.where)
        self.tenant = self.store.create_tenant("acme")
        self.saved: dict[str, Version] = {}

    def run(self, step: dict[str, Any]) -> tuple[str, Any] | None:
        """Does a step; gives what it came to, which stands in the step under the name given."""

        def text(value: Any) -> bytes:
            return (value if isinstance(value, str) else value["repeat"] * value["times"]).encode()

        do = step["do"]
        if do == "reopen":
            self.store.close()
            self.store = Store.open(*self.where)
            self.tenant = self.store.tenant("acme")
        elif do == "create_tenant":
            self.tenant = self.store.create_tenant(step["name"])
        elif do == "tenant":
            self.tenant = self.store.tenant(step["name"])
        elif do == "collections":
            return "names", [info.name for info in self.tenant.collections()]
        elif do == "rename_collection":
            self.tenant.rename_collection(step["collection"], step["to"])
        elif do == "drop_collection":
            self.tenant.drop_collection(step["collection"])
        else:
            collection = self.tenant[step["collection"]]
            if do == "put":
                version = collection.put(
                    text(step["key"]),
                    text(step["value"]),
                    if_absent=step.get("if_absent", False),
                    if_version=self.saved[step["if_version"]] if "if_version" in step else None,
                    index={name: text(key) for name, key in step.get("index", {}).items()} or None,
                )
                self.saved[step.get("save", "")] = version
            elif do == "get":
                value = collection.get(text(step["key"]))
                return "value", None if value is None else value.decode()
            elif do == "erase":
                only = self.saved[step["if_version"]] if "if_version" in step else None
                return "existed", collection.erase(text(step["key"]), if_version=only)
            elif do == "declare_index":
                collection.declare_index(step["index"], unique=step.get("unique", False))
            elif do == "find":
                found = collection.find(step["index"], text(step["key"]))
                return "keys", [record.key.decode() for record in found]
            elif do == "set_quota":
                collection.quota = Quota(records=step["records"])
            elif do == "remove":
                return "existed", collection.remove(text(step["key"]))
            elif do == "restore":
                return "existed", collection.restore(text(step["key"]))
            elif do == "removed":
                return "keys", [removed.key.decode() for removed in collection.removed()[0]]
            elif do == "erase_prefix":
                return "count", collection.erase_prefix(text(step["prefix"]))
            elif do == "count":
                return "count", collection.count()
            else:
                assert do == "scan"
                scan = collection.scan(
                    prefix=text(step["prefix"]) if "prefix" in step else None,
                    reverse=step.get("reverse", False),
                    limit=step.get("limit"),
                )
                return "records", [[r.key.decode(), (r.value or b"").decode()] for r in scan]
        return None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario: dict[str, Any], tmp_path: Path) -> None:
    world = World(tmp_path)
    for step in scenario["steps"]:
        try:
            came_to = world.run(step)
        except StrongroomError as error:
            assert step.get("error") == error.kind, (step, error)
        else:
            assert "error" not in step, step
            if came_to is not None:
                assert step[came_to[0]] == came_to[1], step
    world.store.close()
