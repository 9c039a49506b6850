"""Networks, endpoints and filters: what follows from virtual networks, groups of rules and whoever has an address.

Which rule decides what is `policy.rules`; here it becomes the driver's contract. Balancers and
the inside of clusters are in `compute`, names in `dns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from ringfence.desired import balancing, keys, paths
from ringfence.desired.state import INTERNET, Binding, Endpoint, Filter, Network, Rule, RuleSet
from ringfence.model import network
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import clusters, groups, places, rules, tags
from ringfence.policy.groups import Group
from ringfence.policy.places import Kind, Place

_IN_CLUSTER = (Kind.NODE, Kind.ROUTER, Kind.RESOLVER)


def networks(snapshot: Snapshot) -> Iterator[Network]:
    """One router for each virtual network."""
    owned, kept = balancing.owned(snapshot), balancing.kept(snapshot)
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        assert isinstance(vnet.properties, network.VirtualNetwork)
        index = snapshot.value(vnet.id, places.INDEX)
        if index is not None:
            pairs, users = owned.get(vnet.key, ((), ()))
            beyond = paths.beyond(snapshot, vnet)
            yield Network(
                key=keys.network(vnet.key),
                owners=(vnet.key, *users, *beyond.owners),
                index=int(index),
                prefixes=vnet.properties.prefixes,
                egress=snapshot.value(vnet.id, places.EGRESS),
                owned=pairs,
                kept=kept.get(vnet.key, ()),
                peered=beyond.peered,
                private=beyond.private,
                sources=beyond.sources,
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
    """Whose operations wait for what stands at a place: its owner's, its cluster's, and those of the compute that uses it."""
    found = {place.owner}
    cluster = snapshot.get(place.cluster) if place.cluster else None
    if cluster is not None and place.kind in _IN_CLUSTER:
        user = clusters.compute_of(snapshot, cluster)
        found |= {cluster.key} if user is None else {cluster.key, user.key}
    return tuple(sorted(found))


def filters(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[Filter]:
    """All packet filtering, one item for each virtual network that somebody is in: nothing else needs rules in the kernel."""
    by_network: dict[str, list[Place]] = {}
    for place in everyone:
        by_network.setdefault(place.vnet.key, []).append(place)
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        if snapshot.value(vnet.id, places.INDEX) is None:
            continue
        guarded = paths.guarded(snapshot, vnet)
        if vnet.key in by_network or guarded:
            yield _filter(snapshot, vnet, by_network.get(vnet.key, []), guarded)


def _filter(snapshot: Snapshot, vnet: Resource, inside: list[Place], guarded: Iterable[paths.Guarded]) -> Filter:
    space = groups.space_of(snapshot, vnet)
    children = [child for child in snapshot.children(vnet.id) if child.type == network.SUBNET]
    guards = tuple(groups.on_subnet(snapshot, child.id, space) for child in children)
    held: dict[str, Group] = {}
    concerned = {vnet.key}

    def named(group: Group | None) -> str | None:
        if group is None:
            return None
        concerned.update(group.owners)
        return _name(held.setdefault(group.id, group).id)

    concerned |= {child.key for child in children}
    on_subnet = {child.key: named(guard) for child, guard in zip(children, guards, strict=True)}
    bindings = []
    for place in inside:
        concerned.update(owners(snapshot, place))
        nic = named(groups.on_interface(snapshot, place, inside, space))
        subnet_name = on_subnet[place.subnet.key]
        bindings.append(Binding(endpoint=keys.endpoint(place), address=place.address, subnet=subnet_name, nic=nic))
    for one in guarded:
        concerned.add(one.owner)
        bindings.append(Binding(endpoint=one.key, address=one.address, subnet=on_subnet[one.subnet], nic=None, private=True))
    return Filter(
        key=keys.filter(vnet.key),
        owners=tuple(sorted(concerned)),
        network=keys.network(vnet.key),
        rule_sets=tuple(_rule_set(held[id]) for id in sorted(held)),
        bindings=tuple(sorted(bindings, key=lambda binding: binding.endpoint)),
    )


def _name(group_id: str) -> str:
    return f"g_{keys.short(group_id)}"


@lru_cache(maxsize=4096)
def _rule_set(group: Group) -> RuleSet:
    meant = group.rules
    return RuleSet(
        id=group.id,
        name=_name(group.id),
        inbound=tuple(map(_rule, meant.inbound)),
        outbound=tuple(map(_rule, meant.outbound)),
    )


@lru_cache(maxsize=16_384)
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
