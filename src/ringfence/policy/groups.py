"""Which rules hold at a place: the group on its subnet and the one on its interface.

Proof (`reach`) and enforcement (`desired.network`) both ask here. What the rules say is in `rules`;
those that AKS keeps for its own interfaces are in `node_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from ringfence.model import containers, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import balancing, clusters, companions, endpoints, exposure, node_rules, peerings, places, rules
from ringfence.policy.places import Kind, Place

Space = tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A network security group as one network sees it. id: lower-case. owners: keys of the resources that have a say in it."""

    id: str
    rules: rules.Rules
    owners: tuple[str, ...]


def space_of(snapshot: Snapshot, vnet: Resource) -> Space:
    """What the tag VirtualNetwork means in a network: its address space, and those of its peers (RULES.md section 3)."""
    found = list(own_space(vnet))
    for remote in peerings.open_to(snapshot, vnet.id):
        found += own_space(remote)
    return tuple(sorted(found))


def own_space(vnet: Resource) -> Space:
    """The address space of a virtual network by itself."""
    assert isinstance(vnet.properties, network.VirtualNetwork)
    return _space(vnet.properties.prefixes)


@lru_cache(maxsize=4096)
def _space(prefixes: tuple[str, ...]) -> Space:
    return tuple(sorted(map(IPv4Network, prefixes)))


def on_subnet(snapshot: Snapshot, subnet: ResourceId | str, space: Space) -> Group | None:
    """The group a subnet names. None: it names none, so nothing is judged at this level."""
    found = snapshot.get(subnet)
    if found is None or not isinstance(found.properties, network.Subnet):
        return None
    reference = found.properties.network_security_group
    return None if reference is None else written(snapshot, reference.key, space)


def on_interface(snapshot: Snapshot, place: Place, inside: Iterable[Place], space: Space) -> Group | None:
    """The group on a place's own interface: the user's, or AKS's. inside: every place of the network."""
    owner = snapshot.need(place.owner)
    if isinstance(owner.properties, network.NetworkInterface):
        reference = owner.properties.network_security_group
        if reference is not None:
            return written(snapshot, reference.key, space)
        return _closed(snapshot, owner, place, space) if balancing.closed_by_default(snapshot, owner) else None
    if isinstance(owner.properties, containers.ContainerGroup):
        return Group(f"{place.owner}-exposed", exposure.of_group(owner.properties, space), (place.owner,))
    cluster = snapshot.get(place.cluster) if place.cluster else None
    if cluster is None:
        return None
    id = companions.managed_rules_id(cluster).key
    if place.kind is Kind.REPLICA:
        own = [p.address for p in inside if p.cluster == cluster.key and p.kind in (Kind.NODE, Kind.ROUTER)]
        return Group(f"{id}-replicas", node_rules.of_replicas(own, space), (cluster.key,))
    user = clusters.compute_of(snapshot, cluster)
    if user is None:
        return Group(id, node_rules.of_nodes(None, endpoints.HTTP_PORT, space), (cluster.key,))
    public = None if clusters.aks(user).internal else places.frontend_address(snapshot, user)
    return Group(id, node_rules.of_nodes(public, endpoints.port(user), space), (cluster.key, user.key))


def _closed(snapshot: Snapshot, nic: Resource, place: Place, space: Space) -> Group | None:
    """The default rules, where something of the sku Standard leads to an interface and no group at all is there to open it."""
    if on_subnet(snapshot, place.subnet, space) is not None:
        return None
    return Group(f"{nic.key}-closed", rules.default_rules(space), (nic.key,))


def written(snapshot: Snapshot, id: str, space: Space) -> Group:
    """The user's group with the key `id`, with whatever rules it has now."""
    return _group(id, Same(snapshot.children(id)), snapshot.get(id) is not None, space)


class Same:
    """Children of a group as the key of a cache: equal when they are the very same tuple, which a snapshot keeps."""

    def __init__(self, children: tuple[Resource, ...]) -> None:
        self.children = children

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.children is self.children

    def __hash__(self) -> int:
        return id(self.children)


@lru_cache(maxsize=4096)
def _group(id: str, children: Same, exists: bool, space: Space) -> Group:
    # A group that is not there lets nothing pass: a reference is never weaker than what it names.
    meant = rules.effective(children.children, space) if exists else rules.Rules((), ())
    return Group(id, meant, (id, *(child.key for child in children.children)))
