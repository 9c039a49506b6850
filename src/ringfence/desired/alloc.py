"""Which addresses and numbers a resource gets: the lowest that are free, decided once, at the time of acceptance.

A cluster takes for each node one address and one for each of the pods that may run on
it (Azure CNI); its own pods and the replicas of its services live in those. What was
allocated stays with its owner until that goes: a cluster that changes its load balancer
and changes back has its old address again. Whether there is room is also said here,
because nobody else counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from ringfence.model import balancing, compute, containers, errors, ml, network, peering, serving
from ringfence.model import private_link as private_link_nouns
from ringfence.model.resource import Allocation, Resource, Snapshot
from ringfence.policy import balancing as spreading
from ringfence.policy import cluster_access, clusters, container_groups, peerings, places, private_link, tags

#: Nodes more than asked for that an upgrade may need for a while (RULES.md section 4.2).
SURGE = 1
#: Network indexes: transit addresses of the driver derive from them.
_INDEXES = range(1, 16_000)
_NETWORK_INDEX = "network-index"


def plan(snapshot: Snapshot, resource: Resource) -> tuple[Allocation, ...]:
    """What `resource`, as it will be stored, needs and does not have yet.

    snapshot: holds everything that is written with it (its companions, its subnet), and their allocations.
    Raises Invalid: `SubnetIsFull`, `InsufficientSubnetSize`, `PrivateIPAddress…`; Conflict: no public address is left.
    """
    planner = _PLANNERS.get(resource.type)
    if planner is None:
        return ()
    desk = _Desk(snapshot, resource)
    planner(desk, resource)
    return tuple(desk.made)


def plan_all(snapshot: Snapshot, resources: Iterable[Resource]) -> tuple[Allocation, ...]:
    """The same for several that are written together, in this order; `snapshot` need not hold them yet."""
    written = tuple(resources)
    snapshot = snapshot.changed(written)
    made: list[Allocation] = []
    for resource in written:
        new = plan(snapshot, resource)
        if new:
            made += new
            snapshot = snapshot.changed(allocated=new)
    return tuple(made)


class _Desk:
    """Hands out values to one resource and remembers what it handed out."""

    def __init__(self, snapshot: Snapshot, resource: Resource) -> None:
        self.snapshot = snapshot
        self.owner = resource.key
        self.made: list[Allocation] = []
        self._taken: dict[str, set[str]] = {}

    def has(self, purpose: str) -> bool:
        return (self.owner, purpose) in self.snapshot.allocations

    def taken(self, scope: str) -> set[str]:
        if scope not in self._taken:
            self._taken[scope] = set(self.snapshot.taken(scope))
        return self._taken[scope]

    def give(self, purpose: str, scope: str, candidates: Iterable[str]) -> bool:
        """Allocate the first free candidate unless the purpose is served. False: none is free."""
        if self.has(purpose):
            return True
        taken = self.taken(scope)
        value = next((c for c in candidates if c not in taken), None)
        if value is None:
            return False
        taken.add(value)
        self.made.append(Allocation(self.owner, purpose, scope, value))
        return True


def usable(prefix: IPv4Network) -> Iterator[str]:
    """The addresses of a subnet that Azure does not keep for itself (RULES.md section 1: the first four and the last)."""
    first, last = int(prefix.network_address) + 4, int(prefix.broadcast_address)
    return (str(IPv4Address(number)) for number in range(first, last))


def capacity(prefix: IPv4Network) -> int:
    """How many usable addresses a subnet has."""
    return max(prefix.num_addresses - 5, 0)


def free(snapshot: Snapshot, subnet: Resource) -> int:
    """How many of them nobody holds."""
    prefix = _prefix(subnet)
    held = snapshot.taken(places.address_scope(subnet.id.parent))
    return capacity(prefix) - sum(1 for value in held if IPv4Address(value) in prefix)


def _prefix(subnet: Resource) -> IPv4Network:
    assert isinstance(subnet.properties, network.Subnet)
    return IPv4Network(subnet.properties.prefix)


def _full(subnet: Resource) -> errors.Invalid:
    message = f"Subnet {subnet.id.name} with address prefix {_prefix(subnet)} doesn't have enough capacity for IP addresses."
    return errors.Invalid("SubnetIsFull", message, target=str(subnet.id))


def _of_network(desk: _Desk, vnet: Resource) -> None:
    """An index, and the public address of its outbound connections."""
    if not desk.give(places.INDEX, _NETWORK_INDEX, map(str, _INDEXES)):
        raise errors.Conflict("VnetCountLimitReached", f"No more than {len(_INDEXES)} virtual networks can exist.")
    _public(desk, places.EGRESS)


def _public(desk: _Desk, purpose: str) -> None:
    if not desk.give(purpose, places.PUBLIC_SCOPE, usable(tags.CUSTOMERS)):
        raise errors.Conflict("PublicIPCountLimitReached", f"Every public address of {tags.CUSTOMERS} is in use.")


def _of_interface(desk: _Desk, nic: Resource) -> None:
    """An address for each configuration; those that are asked for first."""
    assert isinstance(nic.properties, network.NetworkInterface)
    numbered = enumerate(one.properties.static_address for one in nic.properties.ip_configurations)
    for number, wanted in sorted(numbered, key=lambda pair: pair[1] is None):
        subnet = desk.snapshot.need(nic.properties.subnet)
        candidates = usable(_prefix(subnet)) if wanted is None else iter((wanted,))
        if not desk.give(places.configuration(number), places.address_scope(subnet.id.parent), candidates):
            raise _full(subnet) if wanted is None else _allocated(desk, subnet, nic, wanted)


def _of_peering(desk: _Desk, side: Resource) -> None:
    """The two sides of a pair remember each other."""
    other = peerings.remote_side(desk.snapshot, side)
    if other is None:
        return
    for one, far in ((side, other), (other, side)):
        desk.owner = one.key
        desk.give(peerings.met(one), peerings.SCOPE, (peerings.memory(one, far),))


def _of_link(desk: _Desk, _: Resource) -> None:
    """The address under which a service sees what comes through a private endpoint or a subnet's service endpoints."""
    if not desk.give(private_link.LINK, private_link.LINK_SCOPE, usable(tags.LINKS)):
        raise errors.Conflict("PrivateEndpointCountLimitReached", f"Every address of {tags.LINKS} is in use.")


def _allocated(desk: _Desk, subnet: Resource, nic: Resource, wanted: str) -> errors.Invalid:
    holder = desk.snapshot.taken(places.address_scope(subnet.id.parent))[wanted].owner
    message = (
        f"IP configuration {nic.id}/ipConfigurations is using the private IP address {wanted} "
        f"which is already allocated to resource {holder}."
    )
    return errors.Invalid("PrivateIPAddressIsAllocated", message, target="properties.ipConfigurations[0].privateIPAddress")


def _of_location(desk: _Desk, location: Resource) -> None:
    """An address for each prefix the subnet has had: a location moves with its subnet."""
    subnet = desk.snapshot.need(location.id.parent)
    if not desk.give(places.location(str(_prefix(subnet))), places.address_scope(subnet.id.parent), usable(_prefix(subnet))):
        raise _full(subnet)


def _of_container_group(desk: _Desk, resource: Resource) -> None:
    """One address for all its containers, and one on the internet where it asked for that."""
    where = container_groups.subnet_of(desk.snapshot, resource)
    if where is not None:
        subnet = desk.snapshot.need(where)
        if not desk.give(places.ADDRESS, places.address_scope(where.parent), usable(_prefix(subnet))):
            raise _full(subnet)
    if container_groups.of(resource).public:
        _public(desk, container_groups.PUBLIC_ADDRESS)


def _of_subnet(desk: _Desk, subnet: Resource) -> None:
    assert isinstance(subnet.properties, network.Subnet)
    if subnet.properties.service_endpoints:
        _of_link(desk, subnet)
    for location in desk.snapshot.children(subnet.id):
        if location.type == network.LOCATION:
            desk.owner = location.key
            _of_location(desk, location)


def _of_cluster(desk: _Desk, cluster: Resource) -> None:
    """The public address of the API server."""
    block = tags.api_server_block(cluster.region)
    if not desk.give(places.API_SERVER, f"api-server/{block}", usable(block)):
        raise errors.Conflict("ClusterCountLimitReached", f"Every address for API servers of {cluster.region} is in use.")


def _of_pool(desk: _Desk, pool: Resource) -> None:
    """Addresses of the nodes and of the pods that may run on them; the cluster's resolver lives in one of these."""
    asked = clusters.pool(pool)
    subnet = desk.snapshot.need(clusters.subnet_of(desk.snapshot, pool))
    _room(desk, subnet, asked)
    scope, candidates = places.address_scope(subnet.id.parent), usable(_prefix(subnet))
    for index in range(asked.count):
        wanted = [places.node(index), *(places.reserved(index, pod) for pod in range(asked.max_pods))]
        if not all([desk.give(purpose, scope, candidates) for purpose in wanted]):
            raise _full(subnet)
    cluster = desk.snapshot.need(pool.id.parent)
    pods = [a.value for a in (*desk.snapshot.allocated(pool.id), *desk.made) if "-pod" in a.purpose]
    desk.owner = cluster.key
    desk.give(places.RESOLVER_POD, places.pod_scope(cluster.key), pods)


def _of_compute(desk: _Desk, owner: Resource) -> None:
    """The inference router in the pods of its cluster, its frontend, and its address in the service range."""
    cluster = clusters.cluster_of(desk.snapshot, owner)
    if cluster is None:
        return
    desk.give(places.ROUTER_POD, places.pod_scope(cluster.key), pods_of(desk.snapshot, cluster))
    _frontend(desk, owner, cluster)
    _cluster_ip(desk, cluster)


def pods_of(snapshot: Snapshot, cluster: Resource) -> list[str]:
    """The addresses that a cluster's nodes hold for pods, the lowest first."""
    found = [a.value for pool in clusters.pools_of(snapshot, cluster) for a in _reserved(snapshot, pool)]
    return sorted(found, key=IPv4Address)


def _room(desk: _Desk, subnet: Resource, asked: compute.AgentPool) -> None:
    """RULES.md section 4.2: a pool needs (nodes + surge) x (1 + maxPods) addresses; it holds those of its nodes."""
    had = sum(1 for index in range(asked.count) if desk.has(places.node(index)))
    missing = (asked.count - had + SURGE) * (1 + asked.max_pods) if had < asked.count else 0
    here = free(desk.snapshot, subnet)
    if missing <= here:
        return
    if had:
        raise _full(subnet)
    message = (
        f"Pre-allocated IPs {missing} exceeds IPs available {here} in Subnet Cidr {_prefix(subnet)}, "
        f"Subnet Name {subnet.id.name}: {asked.count} nodes and {SURGE} for upgrades, each with an address of its own "
        f"and {asked.max_pods} for its pods. "
        "Use a larger subnet or fewer nodes."
    )
    raise errors.Invalid("InsufficientSubnetSize", message, target="properties.vnetSubnetID")


def _frontend(desk: _Desk, owner: Resource, cluster: Resource) -> None:
    if not clusters.aks(owner).internal:
        _public(desk, places.PUBLIC_FRONTEND)
        return
    subnet = desk.snapshot.need(clusters.balancer_subnet(desk.snapshot, owner, cluster))
    if not desk.has(places.internal_frontend(subnet.id)) and not cluster_access.may_join(desk.snapshot, cluster, subnet.id):
        return  # the compute waits for its cluster's identity to be let in, and has no address until then
    if not desk.give(places.internal_frontend(subnet.id), places.address_scope(subnet.id.parent), usable(_prefix(subnet))):
        raise _full(subnet)


def _cluster_ip(desk: _Desk, cluster: Resource) -> None:
    """An address of the service range: not its first (the API server's), nor the resolver's."""
    properties = clusters.of(cluster)
    hosts = IPv4Network(properties.service_cidr)
    kept = {str(hosts[1]), properties.dns_service_ip}
    candidates = (text for text in usable(hosts) if text not in kept)
    if not desk.give(places.CLUSTER_IP, places.service_scope(cluster.key), candidates):
        raise errors.Invalid("ServiceCidrIsFull", f"Every address of the service range {hosts} is in use.", target="computeName")


def _of_service(desk: _Desk, service: Resource) -> None:
    assert isinstance(service.properties, serving.Service)
    where = places.compute_of(service)
    user = desk.snapshot.get(where) if where is not None else None
    cluster = clusters.cluster_of(desk.snapshot, user) if user is not None else None
    if user is None or cluster is None:
        return
    pods = pods_of(desk.snapshot, cluster)
    for number in range(service.properties.replicas):
        if not desk.give(places.replica(number), places.pod_scope(cluster.key), pods):
            message = (
                "Couldn't Schedule because the kubernetes cluster didn't have available resources: "
                f"{len(pods)} pods fit on the nodes of {user.id.name}. Use fewer replicas, or more nodes."
            )
            raise errors.Invalid("KubernetesDeploymentFailed", message, target="numReplicas")
    _cluster_ip(desk, cluster)


def _reserved(snapshot: Snapshot, pool: Resource) -> list[Allocation]:
    """Of the nodes that the pool has now: a smaller pool keeps the addresses of those it had."""
    nodes = {f"node{index}-pod" for index in range(clusters.pool(pool).count)}
    return [a for a in snapshot.allocated(pool.id) if a.purpose.rstrip("0123456789") in nodes]


def _of_balancer(desk: _Desk, resource: Resource) -> None:
    """An address in its subnet for each private frontend."""
    assert isinstance(resource.properties, balancing.LoadBalancer)
    for front in resource.properties.frontend_ip_configurations:
        if front.properties.subnet is None:
            continue
        subnet, wanted = desk.snapshot.need(front.properties.subnet.target), front.properties.static_address
        candidates = usable(_prefix(subnet)) if wanted is None else iter((wanted,))
        scope = places.address_scope(subnet.id.parent)
        if not desk.give(spreading.frontend(front.name), scope, candidates):
            raise _full(subnet) if wanted is None else _allocated(desk, subnet, resource, wanted)


_PLANNERS: dict[str, Callable[[_Desk, Resource], None]] = {
    network.VIRTUAL_NETWORK: _of_network,
    network.SUBNET: _of_subnet,
    network.INTERFACE: _of_interface,
    network.LOCATION: _of_location,
    compute.MANAGED_CLUSTER: _of_cluster,
    compute.AGENT_POOL: _of_pool,
    balancing.PUBLIC_ADDRESS: lambda desk, _: _public(desk, spreading.ADDRESS),
    balancing.BALANCER: _of_balancer,
    containers.CONTAINER_GROUP: _of_container_group,
    peering.PEERING: _of_peering,
    private_link_nouns.PRIVATE_ENDPOINT: _of_link,
    ml.COMPUTE: _of_compute,
    serving.SERVICE: _of_service,
}
