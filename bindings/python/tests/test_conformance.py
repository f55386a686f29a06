"""The scenarios that every language runs: see tests/conformance/README.md."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom import KeyFile, Policy, Quota, Selector, Session, Store, StrongroomError, Version

SCENARIOS = json.loads((Path(__file__).parents[3] / "tests/conformance/scenarios.json").read_text("utf-8"))


TIMES = ("retention", "maximum", "removal_window", "minimum", "erased_within")


def policy_of(said: dict[str, Any]) -> Policy:
    arguments: dict[str, Any] = {
        name: timedelta(milliseconds=said[f"{name}_ms"]) for name in TIMES if f"{name}_ms" in said
    }
    arguments.update({name: said.get(name) for name in ("overwrite", "secret", "erasure", "zero_retention")})
    return Policy(**arguments)


def told(policy: Policy) -> dict[str, Any]:
    times = {f"{name}_ms": getattr(policy, name) for name in TIMES}
    said = {name: time and round(time / timedelta(milliseconds=1)) for name, time in times.items()}
    said.update(overwrite=policy.overwrite, secret=policy.secret, erasure=policy.erasure)
    said.update(zero_retention=policy.zero_retention)
    return {name: value for name, value in said.items() if value is not None}


class World:
    session: Session

    def __init__(self, folder: Path, has_second_key: bool) -> None:
        keys = {"default": KeyFile(folder / "root-key")}
        if has_second_key:
            # A store makes its key file.
            keys["second"] = KeyFile(folder / "second-key")
            Store.create(folder / "other", keys["second"]).close()
        self.where = (folder / "data", keys)
        self.store = Store.create(*self.where)
        self.tenant = self.store.create_tenant("acme")
        self.saved: dict[str, Version] = {}

    def run(self, step: dict[str, Any]) -> dict[str, Any]:
        """Does a step; gives what it came to, under the names that stand in the step."""

        def text(value: Any) -> bytes:
            return (value if isinstance(value, str) else value["repeat"] * value["times"]).encode()

        do = step["do"]
        if do == "reopen":
            self.store.close()
            self.store = Store.open(*self.where, maintenance=step.get("maintenance"))
            self.tenant = self.store.tenant("acme")
        elif do == "create_tenant":
            self.tenant = self.store.create_tenant(step["name"])
        elif do == "tenant":
            self.tenant = self.store.tenant(step["name"])
        elif do == "rename_tenant":
            self.store.rename_tenant(step["name"], step["to"])
        elif do in ("suspend_tenant", "resume_tenant", "remove_tenant", "restore_tenant", "erase_tenant"):
            getattr(self.store, do)(step["name"])
        elif do == "hold":
            prefix, key = (text(step[name]) if name in step else None for name in ("prefix", "key"))
            self.tenant.hold(step["name"], Selector(step.get("of"), prefix, key, step.get("subject")))
        elif do == "release_hold":
            self.tenant.release_hold(step["name"])
        elif do == "holds":
            return {"names": [hold.name for hold in self.tenant.holds()]}
        elif do == "subjects":
            return {"names": self.tenant.subjects()}
        elif do == "subject_records":
            records = self.tenant.subject_records(step["subject"])
            return {"records": [[record.collection, record.key.decode()] for record in records]}
        elif do == "erase_subject":
            return {"existed": self.tenant.erase_subject(step["subject"])}
        elif do == "scrub":
            self.tenant.scrub()
        elif do == "receipts":
            receipts = self.tenant.receipts()
            return {"states": ["scrubbed" if receipt.scrubbed else "erased" for receipt in receipts]}
        elif do == "session":
            self.session = self.tenant.session()
        elif do == "session_count":
            return {"count": len(self.session)}
        elif do.startswith("session_"):
            collection = self.tenant[step["collection"]]
            if do == "session_scan":
                return {"records": [[k.decode(), v.decode()] for k, v in self.session.scan(collection)]}
            key = text(step["key"])
            if do == "session_put":
                self.session.put(collection, key, text(step["value"]))
            elif do == "session_erase":
                return {"existed": self.session.erase(collection, key)}
            else:
                assert do == "session_get"
                value = self.session.get(collection, key)
                return {"value": None if value is None else value.decode()}
        elif do == "rewrap":
            self.tenant.rewrap(step.get("to"))
        elif do == "key_provider":
            return {"provider": self.tenant.key_provider}
        elif do in ("checkpoint", "sweep"):
            getattr(self.store, do)()
        elif do == "rewrite":
            self.tenant.rewrite()
        elif do == "verify":
            report = self.store.verify()
            return {"good": report.is_good, "unopened": report.records_unopened}
        elif do == "digests":
            lists: dict[str, Any] = {"tenants": self.store.tenants(), "collections": self.tenant.collections()}
            return {what: sum(info.name.startswith("~") for info in found) for what, found in lists.items()}
        elif do == "collections":
            return {"names": [info.name for info in self.tenant.collections()]}
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
                    subject=step.get("subject"),
                    index={name: text(key) for name, key in step.get("index", {}).items()} or None,
                )
                self.saved[step.get("save", "")] = version
            elif do == "get":
                value = collection.get(text(step["key"]))
                return {"value": None if value is None else value.decode()}
            elif do == "erase":
                only = self.saved[step["if_version"]] if "if_version" in step else None
                existed = collection.erase(text(step["key"]), if_version=only)
                if step.get("receipt"):
                    self.tenant.receipt()
                return {"existed": existed}
            elif do == "declare_index":
                collection.declare_index(step["index"], unique=step.get("unique", False))
            elif do == "find":
                found = collection.find(step["index"], text(step["key"]))
                return {"keys": [record.key.decode() for record in found]}
            elif do == "set_policy":
                collection.policy = policy_of(step["policy"])
            elif do == "policy":
                return {"policy": told(collection.policy)}
            elif do == "set_quota":
                collection.quota = Quota(records=step["records"])
            elif do == "remove":
                return {"existed": collection.remove(text(step["key"]))}
            elif do == "restore":
                return {"existed": collection.restore(text(step["key"]))}
            elif do == "removed":
                return {"keys": [removed.key.decode() for removed in collection.removed()[0]]}
            elif do == "erase_prefix":
                erased = collection.erase_prefix(text(step["prefix"]))
                return {"count": erased.records, "held": erased.held}
            elif do == "count":
                return {"count": collection.count()}
            else:
                assert do == "scan"
                scan = collection.scan(
                    prefix=text(step["prefix"]) if "prefix" in step else None,
                    reverse=step.get("reverse", False),
                    limit=step.get("limit"),
                )
                return {"records": [[r.key.decode(), (r.value or b"").decode()] for r in scan]}
        return {}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario: dict[str, Any], tmp_path: Path) -> None:
    world = World(tmp_path, "second key" in scenario.get("needs", []))
    for step in scenario["steps"]:
        try:
            came_to = world.run(step)
        except StrongroomError as error:
            assert step.get("error") == error.kind, (step, error)
        else:
            assert "error" not in step, step
            assert {name: step[name] for name in came_to} == came_to, step
    world.store.close()
