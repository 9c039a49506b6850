"""The control plane alone, over the memory driver: what a virtual network costs when there are few, and when there are many.

    python bench/control.py [NETWORKS] [RULES]

Each network has two subnets under a group of so many rules. Prints one JSON document; times in
milliseconds, from the request to the operation's end, on one thread.
"""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping

from ringfence.control.engine import Engine
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver
from ringfence.model import catalog
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource

BASE = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/bench"


def draft(path: str, properties: Mapping[str, object], location: str | None = "eastus2") -> Resource:
    id = ResourceId.parse(BASE + path)
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a benchmark has no one to take it from
    model = catalog.PROPERTIES[id.type.lower()].model_validate(properties)
    return Resource(id=id, location=location, properties=model, created_at=now, changed_at=now)


def network(engine: Engine, number: int, rules: int) -> None:
    """One group of rules and one network, each waited for."""
    nsg = f"/providers/Microsoft.Network/networkSecurityGroups/nsg{number}"
    vnet = f"/providers/Microsoft.Network/virtualNetworks/vnet{number}"
    own = [draft(f"{nsg}/securityRules/rule{i}", rule(i), None) for i in range(rules)]
    guard = {"networkSecurityGroup": {"id": BASE + nsg}}
    subnets = [
        draft(f"{vnet}/subnets/subnet{i}", {"addressPrefix": f"10.{number % 200}.{i}.0/24", **guard}, None) for i in (0, 1)
    ]
    space = {"addressSpace": {"addressPrefixes": [f"10.{number % 200}.0.0/16"]}}
    for accepted in (engine.put(draft(nsg, {}), also=own), engine.put(draft(vnet, space), also=subnets)):
        engine.wait(accepted.operation.id, 5.0)


def rule(number: int) -> dict[str, object]:
    return {
        "priority": 100 + number, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*",
        "sourceAddressPrefix": f"198.51.{number}.0/24", "destinationAddressPrefix": "*",
        "destinationPortRange": str(1000 + number),
    }  # fmt: skip


def times(engine: Engine, count: int, rules: int) -> Iterator[float]:
    for number in range(count):
        begun = time.perf_counter()
        network(engine, number, rules)
        yield (time.perf_counter() - begun) * 1000


def main(count: int = 100, rules: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(pathlib.Path(folder) / "bench.db")
        engine = Engine(
            store,
            MemoryDriver(time.monotonic),
            clock=lambda: dt.datetime.now(dt.UTC),  # noqa: TID251 - as above
            new_id=lambda: str(uuid.uuid4()),  # noqa: TID251 - as above
            identities=Identities(store, lambda: b"0" * 16, lambda: dt.datetime.now(dt.UTC)),  # noqa: TID251 - as above
        )
        engine.start()
        engine.put(draft("", {}))
        each = list(times(engine, count, rules))
        begun = time.perf_counter()
        deleted = engine.delete(ResourceId.parse(BASE))
        if deleted is not None:
            engine.wait(deleted.id, 30.0)
        gone = round((time.perf_counter() - begun) * 1000)
        engine.close()
        store.close()
    tenth = max(count // 10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    first, last = (round(statistics.median(part), 2) for part in (each[:tenth], each[-tenth:]))
    found = {"networks": count, "total_ms": round(sum(each)), "first_ms": first, "last_ms": last}
    print(json.dumps({**found, "delete_all_ms": gone, "peak_mb": peak}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
