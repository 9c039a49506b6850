"""The inside of clusters and their load balancers: the service range as each pod sees it, and the frontend.

Nodes and pods as interfaces are in `network`; what runs in them is in `ml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ringfence.desired import keys
from ringfence.desired.network import owners
from ringfence.desired.state import Balancer, ServiceAddress, ServiceMap, Target
from ringfence.model import serving
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import clusters, endpoints, names, places, private_link
from ringfence.policy.places import Place


def service_maps(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[ServiceMap]:
    """What kube-proxy does, for every node and pod of every cluster."""
    known: dict[str, tuple[str, tuple[ServiceAddress, ...]]] = {}
    for place in everyone:
        if place.cluster is None:
            continue
        if place.cluster not in known:
            known[place.cluster] = _services(snapshot, snapshot.need(place.cluster))
        range_, services = known[place.cluster]
        yield ServiceMap(
            key=keys.service_map(place),
            owners=owners(snapshot, place),
            endpoint=keys.endpoint(place),
            range=range_,
            services=services,
        )


def _services(snapshot: Snapshot, cluster: Resource) -> tuple[str, tuple[ServiceAddress, ...]]:
    """The range and its addresses. A scoring service's own address leads to the router, where keys are checked."""
    properties = clusters.of(cluster)
    found = []
    api_server = private_link.api_server(snapshot, cluster)
    resolver = snapshot.value(cluster.key, places.RESOLVER_POD)
    if api_server is not None:
        found.append(_service(names.kubernetes_address(cluster), "tcp", 443, api_server))
    if resolver is not None:
        found += [_service(properties.dns_service_ip, protocol, 53, resolver) for protocol in ("tcp", "udp")]
    user = clusters.compute_of(snapshot, cluster)
    router = snapshot.value(user.key, places.ROUTER_POD) if user is not None else None
    if user is not None and router is not None:
        addresses = [snapshot.value(key, places.CLUSTER_IP) for key in (user.key, *_service_keys(snapshot, user))]
        found += [_service(address, "tcp", endpoints.port(user), router) for address in addresses if address is not None]
    return properties.service_cidr, tuple(sorted(found, key=lambda s: (s.address, s.protocol, s.port)))


def _service(address: str, protocol: str, port: int, target: str) -> ServiceAddress:
    return ServiceAddress(address=address, protocol=protocol, port=port, target=target, target_port=port)


def _service_keys(snapshot: Snapshot, owner: Resource) -> list[str]:
    return [s.key for s in places.alive(snapshot, serving.SERVICE) if places.compute_of(s) == owner.id]


def balancers(snapshot: Snapshot) -> Iterator[Balancer]:
    """One frontend for each compute, before its inference router."""
    for frontend in places.frontends(snapshot):
        user = snapshot.need(frontend.owner)
        concerned = {user.key, *_service_keys(snapshot, user)}
        yield Balancer(
            key=keys.balancer(user.key, public=frontend.public, port=frontend.port),
            owners=tuple(sorted(concerned)),
            network=keys.network(frontend.vnet.key),
            address=frontend.address,
            port=frontend.port,
            public=frontend.public,
            floating=True,
            targets=tuple(Target(address=address, port=frontend.port) for address in frontend.targets),
            probe_port=frontend.port,
        )
