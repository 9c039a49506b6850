"""Ways out of a network that are no public addresses: peerings, private endpoints, service endpoints of subnets.

What a peering or a target means is in `policy`; here it becomes the driver's contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ringfence.desired import keys
from ringfence.desired.state import Peering, PrivateAddress, ServiceSource
from ringfence.model import network
from ringfence.model.private_link import PRIVATE_ENDPOINT, PrivateEndpoint
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import groups, places, private_link, service_endpoints
from ringfence.policy import peerings as pairs


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a network's router has to know beside its own space. owners: whose operations wait for it."""

    peered: tuple[str, ...]
    private: tuple[PrivateAddress, ...]
    sources: tuple[ServiceSource, ...]
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guarded:
    """An address of a private endpoint that the rules of its subnet hold at. subnet, owner: resource keys."""

    key: str
    address: str
    subnet: str
    owner: str


def beyond(snapshot: Snapshot, vnet: Resource) -> Beyond:
    """Peers in reach, approved private endpoints, subnets whose packets come to services as their own."""
    peered: list[str] = []
    for remote in pairs.open_to(snapshot, vnet.id):
        assert isinstance(remote.properties, network.VirtualNetwork)
        peered += remote.properties.prefixes
    private, sources, owners = [], [], set()
    for endpoint in _inside(snapshot, vnet):
        owners.add(endpoint.key)
        private += list(_addresses(snapshot, endpoint))
    for subnet in snapshot.children(vnet.id):
        source = service_endpoints.source(snapshot, subnet)
        if source is not None:
            owners.add(subnet.key)
            destinations = tuple(map(str, source.destinations))
            sources.append(ServiceSource(prefix=source.prefix, destinations=destinations, link=source.link))
    return Beyond(
        tuple(sorted(peered)),
        tuple(sorted(private, key=lambda one: (one.address, one.port))),
        tuple(sorted(sources, key=lambda one: one.prefix)),
        tuple(sorted(owners)),
    )


def peerings(snapshot: Snapshot) -> Iterator[Peering]:
    """One link for each pair of networks that exchange packets."""
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        for remote in pairs.open_to(snapshot, vnet.id):
            one, other = keys.network(vnet.key), keys.network(remote.key)
            if one >= other or None in (snapshot.value(r.id, places.INDEX) for r in (vnet, remote)):
                continue
            assert isinstance(vnet.properties, network.VirtualNetwork)
            assert isinstance(remote.properties, network.VirtualNetwork)
            rows = [*pairs.sides(snapshot, vnet.id), *pairs.sides(snapshot, remote.id)]
            yield Peering(
                key=f"peer/{one.removeprefix('net/')}-{other.removeprefix('net/')}",
                owners=tuple(sorted(row.key for row in rows if pairs.between(row, vnet.id, remote.id))),
                one=one,
                other=other,
                one_prefixes=vnet.properties.prefixes,
                other_prefixes=remote.properties.prefixes,
            )


def guarded(snapshot: Snapshot, vnet: Resource) -> list[Guarded]:
    """Endpoints of subnets whose privateEndpointNetworkPolicies let rules hold (RULES.md section 8: by default they do not)."""
    found = []
    for endpoint in _inside(snapshot, vnet):
        subnet = private_link.subnet_of(endpoint)
        if private_link.rules_hold(snapshot, subnet):
            for number, one in enumerate(_addresses(snapshot, endpoint)):
                found.append(Guarded(f"pe/{keys.short(endpoint.key)}-{number}", one.address, subnet.key, endpoint.key))
    return found


def _inside(snapshot: Snapshot, vnet: Resource) -> tuple[Resource, ...]:
    """The private endpoints of a network."""
    return _by_network(groups.Same(snapshot.of_type(PRIVATE_ENDPOINT))).get(vnet.key, ())


@lru_cache(maxsize=8)
def _by_network(rows: groups.Same) -> Mapping[str, tuple[Resource, ...]]:
    """Worked out once for all networks, as long as no endpoint changes."""
    found: dict[str, list[Resource]] = {}
    for endpoint in rows.children:
        if endpoint.state is not ProvisioningState.DELETING:
            found.setdefault(private_link.network_of(endpoint).key, []).append(endpoint)
    return {key: tuple(endpoints) for key, endpoints in found.items()}


def _addresses(snapshot: Snapshot, endpoint: Resource) -> Iterator[PrivateAddress]:
    """The addresses in force; none while the connection is not approved or the target is not there."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    target = snapshot.get(endpoint.properties.target)
    link = snapshot.value(endpoint.id, private_link.LINK)
    service = None if target is None else private_link.address(snapshot, target)
    if service is None or link is None or not private_link.approved(snapshot, endpoint):
        return
    for _, address in private_link.inside(snapshot, endpoint):
        yield PrivateAddress(address=address, port=private_link.PORT, target=service, link=link)
