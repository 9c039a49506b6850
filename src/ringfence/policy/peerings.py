"""Whether two virtual networks are peered, as each side shows it, and what follows for their tags and routes.

A pair stands when both sides exist and name each other. A side remembers the side it was connected
to (an allocation of its own), so that it is Disconnected and not Initiated when that one goes.
"""

from __future__ import annotations

from enum import Enum

from ringfence.model import network, peering
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot

#: Scope of what peerings remember; unique by the pair.
SCOPE = "peerings"


class State(Enum):
    """The wire's words."""

    INITIATED = "Initiated"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


def met(side: Resource) -> str:
    """Purpose of what a side remembers; a write of the side begins anew, as Azure resets a disconnected one."""
    return f"met/{side.changed_at.isoformat()}"


def memory(side: Resource, other: Resource) -> str:
    """Which side was met: this very one, and not another of its name made later."""
    return f"{side.key}|{side.changed_at.isoformat()}|{other.guid('peering')}"


def sides(snapshot: Snapshot, vnet: ResourceId) -> tuple[Resource, ...]:
    """The peerings made in a network, without those on their way out."""
    found = (r for r in snapshot.children(vnet) if r.type == peering.PEERING)
    return tuple(r for r in found if r.state is not ProvisioningState.DELETING)


def remote_side(snapshot: Snapshot, side: Resource) -> Resource | None:
    """The peering of the other network that names this one's network."""
    assert isinstance(side.properties, peering.Peering)
    mine = side.id.parent
    for other in sides(snapshot, side.properties.remote):
        if isinstance(other.properties, peering.Peering) and other.properties.remote == mine:
            return other
    return None


def state(snapshot: Snapshot, side: Resource) -> State:
    """Connected while both sides remember nobody else; Disconnected once the one that was met is gone."""
    other = remote_side(snapshot, side)
    if _lost(snapshot, side, other):
        return State.DISCONNECTED
    if other is None or _lost(snapshot, other, side):
        return State.INITIATED
    return State.CONNECTED


def _lost(snapshot: Snapshot, side: Resource, other: Resource | None) -> bool:
    held = snapshot.value(side.id, met(side))
    return held is not None and (other is None or held != memory(side, other))


def connected(snapshot: Snapshot, vnet: ResourceId) -> tuple[Resource, ...]:
    """The networks that a network is connected to, whether traffic may pass or not."""
    found = []
    for side in sides(snapshot, vnet):
        assert isinstance(side.properties, peering.Peering)
        remote = snapshot.get(side.properties.remote)
        if remote is not None and state(snapshot, side) is State.CONNECTED:
            found.append(remote)
    return tuple(found)


def open_to(snapshot: Snapshot, vnet: ResourceId) -> tuple[Resource, ...]:
    """The networks that a network exchanges packets with: connected, and both sides allow access."""
    found = []
    for side in sides(snapshot, vnet):
        other = remote_side(snapshot, side)
        if other is None or state(snapshot, side) is not State.CONNECTED or not (_allows(side) and _allows(other)):
            continue
        remote = snapshot.get(other.id.parent)
        if remote is not None and remote.type == network.VIRTUAL_NETWORK:
            found.append(remote)
    return tuple(found)


def between(side: Resource, one: ResourceId, other: ResourceId) -> bool:
    """Whether a side belongs to this pair of networks."""
    assert isinstance(side.properties, peering.Peering)
    return {side.parent, side.properties.remote.key} == {one.key, other.key}


def _allows(side: Resource) -> bool:
    assert isinstance(side.properties, peering.Peering)
    return side.properties.allow_virtual_network_access
