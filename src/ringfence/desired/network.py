"""Networks, endpoints and filters: what follows from virtual networks, groups of rules and whoever has an address.

Which rule decides what is `policy.rules`; here it becomes the driver's contract. Balancers and
the inside of clusters are in `compute`, names in `dns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from ringfence.desired import keys
from ringfence.desired.state import INTERNET, Binding, Endpoint, Filter, Network, Rule, RuleSet
from ringfence.model import network
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import clusters, companions, places, rules, tags
from ringfence.policy.places import Kind, Place

_IN_CLUSTER = (Kind.NODE, Kind.ROUTER, Kind.RESOLVER)


def networks(snapshot: Snapshot) -> Iterator[Network]:
    """One router for each virtual network."""
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        assert isinstance(vnet.properties, network.VirtualNetwork)
        index = snapshot.value(vnet.id, places.INDEX)
        if index is not None:
            yield Network(
                key=keys.network(vnet.key),
                owners=(vnet.key,),
                index=int(index),
                prefixes=vnet.properties.prefixes,
                egress=snapshot.value(vnet.id, places.EGRESS),
            )


def endpoints(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[Endpoint]:
    """One interface for each place, and the host that stands for the internet."""
    yield Endpoint(key="nic/internet", network=INTERNET, address=str(tags.INTERNET_HOST))
    for place in everyone:
        yield Endpoint(
            key=keys.endpoint(place),
            owners=owners(snapshot, place),
            network=keys.network(place.vnet.key),
            address=place.address,
        )


def owners(snapshot: Snapshot, place: Place) -> tuple[str, ...]:
    """Whose operations wait for what stands at a place: its owner's, its cluster's, and the managed cluster's."""
    found = {place.owner}
    cluster = snapshot.get(place.cluster) if place.cluster else None
    if cluster is not None and place.kind in _IN_CLUSTER:
        found |= {cluster.key, companions.cluster_id(cluster).key}
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _Group:
    """A rule set of a network, and the resources that have a say in it."""

    rule_set: RuleSet
    owners: tuple[str, ...]


def filters(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[Filter]:
    """All packet filtering, one item for each virtual network."""
    by_network: dict[str, list[Place]] = {}
    for place in everyone:
        by_network.setdefault(place.vnet.key, []).append(place)
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        if snapshot.value(vnet.id, places.INDEX) is not None:
            yield _filter(snapshot, vnet, by_network.get(vnet.key, []))


def _filter(snapshot: Snapshot, vnet: Resource, inside: list[Place]) -> Filter:
    assert isinstance(vnet.properties, network.VirtualNetwork)
    space = tuple(sorted(IPv4Network(prefix) for prefix in vnet.properties.prefixes))
    groups: dict[str, _Group] = {}
    on_subnet: dict[str, str | None] = {}
    concerned = {vnet.key}
    for subnet in snapshot.children(vnet.id):
        if isinstance(subnet.properties, network.Subnet):
            concerned.add(subnet.key)
            reference = subnet.properties.network_security_group
            on_subnet[subnet.key] = None if reference is None else _written(snapshot, reference.key, space, groups)
    bindings = []
    for place in inside:
        concerned |= set(owners(snapshot, place))
        nic = _on_interface(snapshot, place, inside, space, groups)
        bindings.append(
            Binding(endpoint=keys.endpoint(place), address=place.address, subnet=on_subnet.get(place.subnet.key), nic=nic)
        )
    concerned |= {owner for group in groups.values() for owner in group.owners}
    return Filter(
        key=keys.filter(vnet.key),
        owners=tuple(sorted(concerned)),
        network=keys.network(vnet.key),
        rule_sets=tuple(groups[name].rule_set for name in sorted(groups)),
        bindings=tuple(sorted(bindings, key=lambda binding: binding.endpoint)),
    )


def _written(snapshot: Snapshot, group: str, space: tuple[IPv4Network, ...], groups: dict[str, _Group]) -> str | None:
    """The name of a user's group in this network, added to `groups` at its first mention."""
    name = f"g_{keys.short(group)}"
    if name not in groups:
        if snapshot.get(group) is None:
            return None
        rule_owners = [child.key for child in snapshot.children(group)]
        rule_set = _rule_set(group, name, rules.effective(snapshot, group, space))
        groups[name] = _Group(rule_set, (group, *rule_owners))
    return name


def _on_interface(
    snapshot: Snapshot, place: Place, inside: list[Place], space: tuple[IPv4Network, ...], groups: dict[str, _Group]
) -> str | None:
    """The name of the rule set on a place's own interface."""
    owner = snapshot.need(place.owner)
    if isinstance(owner.properties, network.NetworkInterface):
        reference = owner.properties.network_security_group
        return None if reference is None else _written(snapshot, reference.key, space, groups)
    cluster = snapshot.get(place.cluster) if place.cluster else None
    if cluster is None:
        return None
    kind = "replicas" if place.kind is Kind.REPLICA else "nodes"
    name = f"aks_{kind}_{keys.short(cluster.key)}"
    if name not in groups:
        id = f"{companions.managed_rules_id(cluster).key}{'-replicas' if kind == 'replicas' else ''}"
        groups[name] = _Group(_rule_set(id, name, _managed(snapshot, cluster, kind, inside, space)), (cluster.key,))
    return name


def _managed(
    snapshot: Snapshot, cluster: Resource, kind: str, inside: list[Place], space: tuple[IPv4Network, ...]
) -> rules.Rules:
    if kind == "replicas":
        own = [p.address for p in inside if p.cluster == cluster.key and p.kind in (Kind.NODE, Kind.ROUTER)]
        return clusters.of_replicas(own, space)
    public = snapshot.value(cluster.id, places.PUBLIC_FRONTEND)
    return clusters.of_nodes(public if places.frontend_address(snapshot, cluster) == public else None, space)


def _rule_set(id: str, name: str, meant: rules.Rules) -> RuleSet:
    return RuleSet(id=id, name=name, inbound=tuple(map(_rule, meant.inbound)), outbound=tuple(map(_rule, meant.outbound)))


@lru_cache(maxsize=65_536)
def _rule(meant: rules.EffectiveRule) -> Rule:
    return Rule(
        name=meant.name,
        priority=meant.priority,
        protocol=meant.protocol.value.lower(),
        sources=tuple(map(str, meant.sources)),
        source_ports=meant.source_ports,
        destinations=tuple(map(str, meant.destinations)),
        destination_ports=meant.destination_ports,
        allow=meant.allow,
    )


