"""Who is where: every address in a virtual network and what holds it, and every frontend of a load balancer.

Both the proof (`reach`) and the enforcement (`desired`) start from these values, so that
they cannot drift apart. Which addresses are free is `desired.alloc`'s question; here are
the purposes under which it files them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ringfence.model import compute, ml, network, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import clusters, container_groups, endpoints

ADDRESS = "address"
INDEX = "index"
#: Scope of every public address of customers: what networks leave as, and frontends.
PUBLIC_SCOPE = "public"
EGRESS = "egress"
ROUTER_POD = "pod-fe"
RESOLVER_POD = "pod-dns"
PUBLIC_FRONTEND = "frontend-public"
API_SERVER = "api-server"
CLUSTER_IP = "cluster-ip"

#: Where a scoring process listens.
SCORING_PORT = 5001


def configuration(number: int) -> str:
    """Purpose of the address of an interface's configuration."""
    return ADDRESS if number == 0 else f"{ADDRESS}-{number}"


def location(prefix: str) -> str:
    """Purpose of a location's address while its subnet has this prefix."""
    return f"address/{prefix}"


def node(index: int) -> str:
    """Purpose of a node's address."""
    return f"node{index}"


def reserved(index: int, pod: int) -> str:
    """Purpose of an address that a node holds for one of its pods."""
    return f"node{index}-pod{pod:02d}"


def replica(index: int) -> str:
    """Purpose of a replica's address, in the scope of its cluster's reserved addresses."""
    return f"replica{index}"


def internal_frontend(subnet: ResourceId) -> str:
    """Purpose of a cluster's internal frontend in a subnet of its network."""
    return f"frontend-internal/{subnet.name.lower()}"


def address_scope(vnet: ResourceId) -> str:
    return f"address/{vnet.key}"


def pod_scope(cluster_key: str) -> str:
    return f"pods/{cluster_key}"


def service_scope(cluster_key: str) -> str:
    return f"service-range/{cluster_key}"


class Kind(Enum):
    """What stands at an address."""

    INTERFACE = "interface"
    LOCATION = "location"
    NODE = "node"
    ROUTER = "router"
    RESOLVER = "resolver"
    REPLICA = "replica"
    CONTAINERS = "containers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One address of a subnet. owner, cluster: resource keys.

    A node's owner is its pool, a router's the compute, a replica's the service; the cluster is the managed one of
    all of them. number: of a node in its pool, of a replica in its service.
    """

    kind: Kind
    owner: str
    subnet: ResourceId
    address: str
    cluster: str | None = None
    number: int = 0

    @property
    def vnet(self) -> ResourceId:
        return self.subnet.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """A load balancer's address and port. owner: the compute's key; cluster: the managed cluster's.

    subnet: of the cluster's nodes. targets: addresses, on the same port.
    """

    owner: str
    cluster: str
    address: str
    port: int
    public: bool
    subnet: ResourceId
    targets: tuple[str, ...]

    @property
    def vnet(self) -> ResourceId:
        return self.subnet.parent


def alive(snapshot: Snapshot, type: str) -> tuple[Resource, ...]:
    """The resources of a type that are not on their way out."""
    return tuple(r for r in snapshot.of_type(type) if r.state is not ProvisioningState.DELETING)


def places(snapshot: Snapshot) -> tuple[Place, ...]:
    """Every address in use, of resources that are not being deleted, whose network stands."""
    found = [*_interfaces(snapshot), *_locations(snapshot), *_clusters(snapshot), *_replicas(snapshot)]
    for owner, subnet, address in container_groups.where(snapshot):
        found.append(Place(kind=Kind.CONTAINERS, owner=owner, subnet=subnet, address=address))
    return tuple(place for place in found if _stands(snapshot, place.subnet))


def frontends(snapshot: Snapshot) -> tuple[Frontend, ...]:
    """The one frontend of each compute on its cluster: public or internal, as the compute says."""
    found = []
    for owner in alive(snapshot, ml.COMPUTE):
        cluster, target = clusters.cluster_of(snapshot, owner), snapshot.value(owner.key, ROUTER_POD)
        if cluster is None or target is None or cluster.state is ProvisioningState.DELETING:
            continue
        address, subnet = frontend_address(snapshot, owner), clusters.nodes_subnet(snapshot, cluster)
        if address is not None and _stands(snapshot, subnet):
            public = not clusters.aks(owner).internal
            found.append(
                Frontend(
                    owner=owner.key,
                    cluster=cluster.key,
                    address=address,
                    port=endpoints.port(owner),
                    public=public,
                    subnet=subnet,
                    targets=(target,),
                )
            )
    return tuple(found)


def frontend_address(snapshot: Snapshot, owner: Resource) -> str | None:
    """The scoring address of a compute, shared by all its services; None while it has none."""
    if not clusters.aks(owner).internal:
        return snapshot.value(owner.key, PUBLIC_FRONTEND)
    cluster = clusters.cluster_of(snapshot, owner)
    if cluster is None:
        return None
    return snapshot.value(owner.key, internal_frontend(clusters.balancer_subnet(snapshot, owner, cluster)))


def compute_of(service: Resource) -> ResourceId | None:
    """The compute a service runs on, one of its own workspace."""
    assert isinstance(service.properties, serving.Service)
    name = service.properties.compute_name
    return service.id.parent.child("computes", name) if name else None


def model_id(workspace: ResourceId, reference: str) -> ResourceId:
    """`name:version` as the id of a model version of a workspace."""
    name, _, version = reference.rpartition(":")
    return workspace.child("models", name).child("versions", version)


def _stands(snapshot: Snapshot, subnet: ResourceId) -> bool:
    found = snapshot.get(subnet), snapshot.get(subnet.parent)
    return all(r is not None and r.state is not ProvisioningState.DELETING for r in found)


def interfaces_of(snapshot: Snapshot, owner: Resource) -> Iterator[Resource]:
    """The interfaces that came with a private endpoint: addresses of the network, with no machine behind them."""
    for nic in alive(snapshot, network.INTERFACE):
        if nic.managed_by == owner.key:
            yield nic


def _interfaces(snapshot: Snapshot) -> Iterator[Place]:
    for owner in alive(snapshot, network.INTERFACE):
        assert isinstance(owner.properties, network.NetworkInterface)
        if owner.managed_by is not None:
            continue
        address = snapshot.value(owner.key, ADDRESS)
        if address is not None:
            yield Place(kind=Kind.INTERFACE, owner=owner.key, subnet=owner.properties.subnet, address=address)


def _locations(snapshot: Snapshot) -> Iterator[Place]:
    for owner in alive(snapshot, network.LOCATION):
        subnet = snapshot.get(owner.id.parent)
        if subnet is None or not isinstance(subnet.properties, network.Subnet):
            continue
        address = snapshot.value(owner.key, location(subnet.properties.prefix))
        if address is not None:
            yield Place(kind=Kind.LOCATION, owner=owner.key, subnet=owner.id.parent, address=address)


def _clusters(snapshot: Snapshot) -> Iterator[Place]:
    """Nodes of every pool, and each cluster's own pods: its resolver, and the router of the compute that uses it."""
    for cluster in alive(snapshot, compute.MANAGED_CLUSTER):
        for pool in clusters.pools_of(snapshot, cluster):
            subnet = clusters.subnet_of(snapshot, pool)
            for index in range(clusters.pool(pool).count):
                address = snapshot.value(pool.key, node(index))
                if address is not None:
                    yield Place(kind=Kind.NODE, owner=pool.key, subnet=subnet, address=address, cluster=cluster.key, number=index)
        user = clusters.compute_of(snapshot, cluster)
        pods = [(Kind.RESOLVER, cluster, RESOLVER_POD)]
        if user is not None:
            pods.append((Kind.ROUTER, user, ROUTER_POD))
        for kind, owner, purpose in pods:
            address = snapshot.value(owner.key, purpose)
            if address is not None:
                subnet = clusters.subnet_at(snapshot, cluster, address)
                yield Place(kind=kind, owner=owner.key, subnet=subnet, address=address, cluster=cluster.key)


def _replicas(snapshot: Snapshot) -> Iterator[Place]:
    for owner in alive(snapshot, serving.SERVICE):
        assert isinstance(owner.properties, serving.Service)
        where = compute_of(owner)
        user = snapshot.get(where) if where is not None else None
        cluster = clusters.cluster_of(snapshot, user) if user is not None else None
        if user is None or cluster is None or ProvisioningState.DELETING in (user.state, cluster.state):
            continue
        for number in range(owner.properties.replicas):
            address = snapshot.value(owner.key, replica(number))
            if address is not None:
                subnet = clusters.subnet_at(snapshot, cluster, address)
                yield Place(
                    kind=Kind.REPLICA, owner=owner.key, subnet=subnet, address=address, cluster=cluster.key, number=number
                )
