"""What the user's own load balancers and public addresses do: which frontend leads to which interfaces.

Proof and enforcement both start here. Whether a load balancer may be as it is asked for is
`policy.admission.balancing`; the frontends of clusters are in `policy.places`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ringfence.model import balancing, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import places

ADDRESS = "address"
#: Where the names of public addresses are.
ZONE = "cloudapp.azure.com"


def frontend(name: str) -> str:
    """Purpose of a private frontend's address."""
    return f"frontend/{name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One rule of a load balancer. balancer: resource key. vnet: of its members. targets: addresses, on `target_port`.

    probe: port and path (None: a TCP connect), interval in seconds and threshold, or None: every member counts as healthy.
    """

    balancer: str
    rule: str
    vnet: ResourceId
    address: str
    public: bool
    protocol: str
    port: int
    target_port: int
    targets: tuple[str, ...]
    members: tuple[str, ...]
    by_source: bool
    probe: tuple[int, str | None, float, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A public address of one interface. public_address, interface: resource keys."""

    public_address: str
    interface: str
    vnet: ResourceId
    address: str
    private: str


def name_of(address: Resource) -> str:
    """The host name of a public address; "" for none."""
    assert isinstance(address.properties, balancing.PublicAddress)
    label = address.properties.label
    return f"{label}.{address.region}.{ZONE}" if label else ""


def names(snapshot: Snapshot) -> dict[str, str]:
    """Host names of public addresses -> addresses."""
    found = {}
    for resource in places.alive(snapshot, balancing.PUBLIC_ADDRESS):
        name, address = name_of(resource), snapshot.value(resource.id, ADDRESS)
        if name and address is not None:
            found[name] = address
    return found


def part(id: ResourceId) -> tuple[ResourceId, str, str]:
    """`…/loadBalancers/lb/probes/p` as the balancer's id, the lower-case kind, and the lower-case name."""
    return id.parent, id.types[-1].lower(), id.name.lower()


def spreads(snapshot: Snapshot) -> tuple[Spread, ...]:
    """Every rule that has a frontend address and at least one member."""
    members = _members(snapshot)
    found: list[Spread] = []
    for resource in places.alive(snapshot, balancing.BALANCER):
        found += _of(snapshot, resource, members)
    return tuple(found)


def owned(snapshot: Snapshot) -> tuple[Own, ...]:
    """Every public address that an interface has for itself."""
    found = []
    for nic, one in _interfaces(snapshot):
        reference, private = one.public_ip_address, snapshot.value(nic.id, places.ADDRESS)
        if reference is None or private is None:
            continue
        address = snapshot.value(reference.key, ADDRESS)
        if address is not None:
            found.append(
                Own(
                    public_address=reference.key,
                    interface=nic.key,
                    vnet=one.subnet.target.parent,
                    address=address,
                    private=private,
                )
            )
    return tuple(found)


def closed_by_default(snapshot: Snapshot, nic: Resource) -> bool:
    """Whether an interface can be reached from the internet by something Standard, which is closed until a group opens it.

    Source: Azure Load Balancer, "Secure by default"; public IP addresses, "SKU".
    """
    assert isinstance(nic.properties, network.NetworkInterface)
    inner = nic.properties.ip_configurations[0].properties
    named = [] if inner.public_ip_address is None else [inner.public_ip_address.key]
    named += [pool.parent.key for pool in pools_of(inner)]
    return any(r is not None and (r.sku or {}).get("name", "Basic") == "Standard" for r in map(snapshot.get, named))


def pools_of(configuration: network.AddressOfInterface) -> tuple[ResourceId, ...]:
    """The pools that an interface's configuration joins."""
    return tuple(reference.target for reference in configuration.load_balancer_backend_address_pools)


def _interfaces(snapshot: Snapshot) -> Iterator[tuple[Resource, network.AddressOfInterface]]:
    for nic in places.alive(snapshot, network.INTERFACE):
        assert isinstance(nic.properties, network.NetworkInterface)
        for one in nic.properties.ip_configurations:
            yield nic, one.properties


def _members(snapshot: Snapshot) -> dict[str, list[tuple[Resource, str, ResourceId]]]:
    """Interface, address and network by the key of the pool."""
    found: dict[str, list[tuple[Resource, str, ResourceId]]] = {}
    for nic, one in _interfaces(snapshot):
        address = snapshot.value(nic.id, places.ADDRESS)
        for pool in pools_of(one):
            if address is not None:
                found.setdefault(pool.key, []).append((nic, address, one.subnet.target.parent))
    return found


def _of(snapshot: Snapshot, resource: Resource, members: dict[str, list[tuple[Resource, str, ResourceId]]]) -> Iterator[Spread]:
    assert isinstance(resource.properties, balancing.LoadBalancer)
    asked = resource.properties
    fronts = {one.name.lower(): one.properties for one in asked.frontend_ip_configurations}
    probes = {one.name.lower(): one.properties for one in asked.probes}
    for rule in asked.load_balancing_rules:
        inner = rule.properties
        front = fronts.get(inner.frontend_ip_configuration.target.name.lower())
        inside = [member for pool in inner.pools for member in members.get(pool.key, ())]
        address = None if front is None else address_of(snapshot, resource, inner.frontend_ip_configuration.target.name, front)
        if front is None or address is None or not inside:
            continue
        yield Spread(
            balancer=resource.key,
            rule=rule.name,
            vnet=inside[0][2],
            address=address,
            public=front.public_ip_address is not None,
            protocol=inner.protocol.value.lower(),
            port=inner.frontend_port,
            target_port=inner.backend_port or inner.frontend_port,
            targets=tuple(sorted({where for _, where, _ in inside})),
            members=tuple(sorted({nic.key for nic, _, _ in inside})),
            by_source=inner.load_distribution is not balancing.Distribution.DEFAULT,
            probe=None if inner.probe is None else _probe(probes[inner.probe.target.name.lower()]),
        )


def address_of(snapshot: Snapshot, balancer: Resource, name: str, front: balancing.FrontendAddress) -> str | None:
    """The address of a frontend: its public address's, or its own in a subnet."""
    if front.public_ip_address is not None:
        return snapshot.value(front.public_ip_address.key, ADDRESS)
    return snapshot.value(balancer.id, frontend(name))


def _probe(asked: balancing.ProbeSettings) -> tuple[int, str | None, float, int]:
    path = (asked.request_path or "/") if asked.protocol is balancing.ProbeProtocol.HTTP else None
    return asked.port, path, float(asked.interval_in_seconds), asked.probe_threshold or asked.number_of_probes
