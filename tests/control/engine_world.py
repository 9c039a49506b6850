"""An engine over a real store and the memory driver, for tests of the control room."""

from __future__ import annotations

import datetime as dt
import secrets
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests import clouds
from tests.clouds import Body

from ringfence.control.engine import Accepted, Engine
from ringfence.control.identities import Identities
from ringfence.control.operations import Operation, Status
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver
from ringfence.model.ids import ResourceId
from ringfence.policy import clusters

VNET, OTHER = clouds.vnet_path("mynetwork"), clouds.vnet_path("other")
NSG = clouds.nsg_path("guard")
WORKSPACE = clouds.ws_path()
COMPUTE = f"{WORKSPACE}/computes/myaks"


class World:
    """driver survives `restart`, as the kernel does; with `forgetful` it is a new one, as after a crash of the box."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ringfence.db"
        self.driver = MemoryDriver(time.monotonic)
        self.open()

    def open(self) -> None:
        self.store = Store(self.path)
        self.engine = Engine(
            self.store,
            self.driver,
            clock=_now,
            new_id=lambda: str(uuid.UUID(bytes=secrets.token_bytes(16))),
            identities=Identities(self.store, lambda: secrets.token_bytes(16), _now),
        )

    def close(self) -> None:
        self.engine.close()
        self.store.close()

    def restart(self, *, forgetful: bool = False) -> None:
        self.close()
        if forgetful:
            self.driver = MemoryDriver(time.monotonic)
        self.open()
        self.engine.start()

    def accept(
        self, path: str, properties: Body, *, location: str | None = "eastus2", also: Mapping[str, Body] | None = None
    ) -> Accepted:
        children = [clouds.resource(f"{path}/{rest}", body, None) for rest, body in (also or {}).items()]
        return self.engine.put(clouds.resource(path, properties, location), also=children)

    def put(
        self, path: str, properties: Body, *, location: str | None = "eastus2", also: Mapping[str, Body] | None = None
    ) -> Operation:
        """As `accept`, and to the end."""
        return self.ended(self.accept(path, properties, location=location, also=also).operation)

    def delete(self, path: str) -> Operation | None:
        operation = self.engine.delete(clouds.rid(path))
        return None if operation is None else self.ended(operation)

    def ended(self, operation: Operation) -> Operation:
        found = self.engine.wait(operation.id, 5.0)
        assert found.status.terminal, f"{found.kind} of {found.resource} did not end: {found.events}"
        return found

    def network(self, path: str = VNET, prefix: str = "10.1.0.0/16", subnet: str = "10.1.0.0/22") -> None:
        """A group and a virtual network with the subnet `default`."""
        self.put(path.partition("/")[0], {})
        done = self.put(path, clouds.network(prefix), also={"subnets/default": clouds.subnet(subnet)})
        assert done.status is Status.SUCCEEDED, done

    def workspace(self) -> None:
        self.put("mlgroup", {})
        assert self.put(WORKSPACE, {}).status is Status.SUCCEEDED

    def cluster(self) -> Operation:
        """A network, a workspace, and a cluster in them."""
        self.network()
        self.workspace()
        done = self.put(COMPUTE, clouds.aks(VNET))
        self.let_in(scope=str(self.id(VNET)))
        return done

    def let_in(self, path: str = COMPUTE, scope: str = clouds.SUBSCRIPTION) -> None:
        """The document's four steps: the identity of a compute's cluster becomes Network Contributor."""
        cluster = clusters.cluster_of(self.engine.snapshot(), self.engine.get(self.id(path)))
        assert cluster is not None
        self.ended(self.engine.put(clouds.contributor(cluster, scope)).operation)

    def id(self, path: str) -> ResourceId:
        return clouds.rid(path)

    def consistent(self) -> None:
        """What has to be true whenever nothing is in progress."""
        snapshot, held = self.engine.snapshot(), set()
        assert self.engine.pending() == ()
        assert [r.key for r in snapshot if not r.state.terminal] == []
        for allocation in snapshot.allocations.values():
            assert allocation.owner in snapshot.resources, f"{allocation} is nobody's"
            assert (allocation.scope, allocation.value) not in held
            held.add((allocation.scope, allocation.value))
        assert set(self.driver.observe()) == set(self.engine.state().items)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - a test's clock is the real one
