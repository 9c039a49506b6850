"""Locations: places from which a command runs and packets start. Names in, namespaces out.

`internet`, `VNET/SUBNET`, or the resource id of a subnet, a network interface or a container group. A location
in a subnet is a resource like any other (an interface with an address, under the subnet's
rules) and comes into being when it is first asked for; an interface is there already.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.control.engine import Engine
from ringfence.control.operations import Status
from ringfence.desired.state import INTERNET, PLATFORM_ADDRESS, Endpoint, Key
from ringfence.drivers.base import Driver
from ringfence.model import containers, errors, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import container_groups, places

_PATIENCE_S = 10.0
_NAME = "jump"


@dataclass(frozen=True, slots=True)
class Location:
    """A place that is ready. key: of its interface; namespace: a path inside the sandbox; resolver: where names are asked."""

    location: str
    key: Key
    namespace: str
    address: str
    resolver: str = PLATFORM_ADDRESS


class Locations:
    """Every call may block."""

    def __init__(self, engine: Engine, driver: Driver) -> None:
        self._engine = engine
        self._driver = driver

    def names(self) -> list[tuple[str, ResourceId | None]]:
        """Every location there is, with its subnet: those that were used before, and those that a first use would make."""
        subnets = [s for s in places.alive(self._engine.snapshot(), network.SUBNET) if not container_groups.hidden(s)]
        return [("internet", None), *((self._short(subnet), subnet.id) for subnet in subnets)]

    def reach(self, at: str) -> Location:
        """The location, ready to be entered. Raises errors.Problem with the locations there are, or why it cannot be."""
        if at.lower() == "internet":
            return self._ready("internet", None)
        interface = self._engine.snapshot().get(ResourceId.parse(at)) if at.startswith("/") else None
        if interface is not None and interface.type in (network.INTERFACE, containers.CONTAINER_GROUP):
            return self._ready(str(interface.id), interface.id)
        subnet = self._subnet(at)
        id = subnet.id.child("locations", _NAME)
        known = self._engine.snapshot().get(id)
        if known is None or known.state is not ProvisioningState.SUCCEEDED:
            self._make(id)
        return self._ready(self._short(subnet), id)

    def _subnet(self, at: str) -> Resource:
        snapshot = self._engine.snapshot()
        if at.startswith("/"):
            found = [r for r in (snapshot.get(ResourceId.parse(at)),) if r is not None and r.type == network.SUBNET]
        else:
            vnet, _, name = at.lower().partition("/")
            found = [
                s for s in snapshot.of_type(network.SUBNET) if s.id.parent.name.lower() == vnet and s.id.name.lower() == name
            ]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(str(s.id) for s in found)
            raise errors.Invalid("AmbiguousLocation", f"Several subnets are called {at[:200]}. Name one by its id: {ids}.")
        there = ", ".join(name for name, _ in self.names())
        raise errors.NotFound("LocationNotFound", f"There is no location {at[:300]!r}. There are: {there}.")

    def _short(self, subnet: Resource) -> str:
        """`VNET/SUBNET` where that names one subnet, else its id."""
        name = f"{subnet.id.parent.name}/{subnet.id.name}"
        twins = [
            s
            for s in self._engine.snapshot().of_type(network.SUBNET)
            if f"{s.id.parent.name}/{s.id.name}".lower() == name.lower()
        ]
        return name if len(twins) == 1 else str(subnet.id)

    def _make(self, id: ResourceId) -> None:
        now = self._engine.clock()
        draft = Resource(id=id, properties=network.Location(), created_at=now, changed_at=now)
        operation = self._engine.put(draft).operation
        operation = self._engine.wait(operation.id, _PATIENCE_S)
        if operation.status is Status.FAILED:
            raise errors.Conflict(operation.code, operation.message)

    def _ready(self, name: str, id: ResourceId | None) -> Location:
        """Once its interface stands. Raises Conflict when that takes too long."""
        endpoint = self._endpoint(id)
        if endpoint is None or not self._engine.wait_ready({endpoint.key}, _PATIENCE_S):
            raise errors.Conflict(
                "LocationNotReady", f"The location {name} is not ready yet. Try again; `ringfence logs` may tell more."
            )
        return Location(name, endpoint.key, self._driver.namespace(endpoint.key), endpoint.address)

    def _endpoint(self, id: ResourceId | None) -> Endpoint | None:
        items = (item for item in self._engine.state() if isinstance(item, Endpoint))
        if id is None:
            return next((item for item in items if item.network == INTERNET), None)
        return next((item for item in items if id.key in item.owners), None)
