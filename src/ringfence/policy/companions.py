"""What comes into being with a resource, without being asked for by name.

A compute that is not attached to a cluster brings one; a cluster brings its node resource group
and, when its pools name no subnet, a network of its own in it; a workspace without a storage
account brings one. Companions carry `managed_by`: the key of the resource they go with. They
are made once; an update brings them up to date under the same names.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping

from ringfence.model import compute, containers, group, ml, network, registry, serving, storage
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, ProvisioningState, Resource, Snapshot
from ringfence.policy import container_groups, registries, service_groups

#: The network of a cluster that names none, as AKS lays it out.
_OWN_SPACE, _OWN_SUBNET = "10.224.0.0/12", "10.224.0.0/16"


def companions(snapshot: Snapshot, resource: Resource) -> tuple[Resource, ...]:
    """Everything that has to stand beside `resource`, new or changed, parents first.

    `resource` as it will be stored; names derive from its time of creation, which an update keeps.
    """
    old = snapshot.get(resource.id)
    if old is not None:
        resource = dataclasses.replace(resource, created_at=old.created_at)
    found = _MAKERS.get(resource.type)
    return () if found is None else tuple(found(snapshot, resource))


def cluster_id(owner: Resource) -> ResourceId:
    """The managed cluster of a compute: the one it is attached to, else its own, in the workspace's group.

    A cluster of its own has the compute's name and a suffix.
    """
    assert isinstance(owner.properties, ml.Compute)
    if owner.properties.resource_id is not None:
        return ResourceId.parse(owner.properties.resource_id)
    return owner.id.group_id.resource("Microsoft.ContainerService/managedClusters", f"{owner.id.name}{_suffix(owner, 12)}")


def node_group(cluster: Resource) -> ResourceId:
    """The group of what a cluster makes for itself, named as AKS names it (at most 80 characters)."""
    assert isinstance(cluster.properties, compute.ManagedCluster)
    name = cluster.properties.node_resource_group or f"MC_{cluster.id.group}_{cluster.id.name}_{cluster.region}"[:80]
    return ResourceId(cluster.id.subscription, name)


def managed_rules_id(cluster: Resource) -> ResourceId:
    """The network security group that AKS keeps on the interfaces of a cluster's nodes."""
    return node_group(cluster).resource("Microsoft.Network/networkSecurityGroups", f"aks-agentpool-{digits(cluster)}-nsg")


def own_subnet(cluster: Resource) -> ResourceId:
    """The subnet of a cluster that names none, in a network of its own."""
    vnet = node_group(cluster).resource("Microsoft.Network/virtualNetworks", f"aks-vnet-{digits(cluster)}")
    return vnet.child("subnets", "aks-subnet")


def region(owner: Resource) -> str:
    """Where the cluster that a compute brings runs."""
    assert isinstance(owner.properties, ml.Compute)
    here = owner.properties.compute_location
    return here.replace(" ", "").lower() if here else owner.region


def _of_compute(snapshot: Snapshot, owner: Resource) -> Iterator[Resource]:
    """The cluster of a compute that is not attached to one, with one pool; and what comes with a cluster."""
    assert isinstance(owner.properties, ml.Compute)
    if owner.properties.resource_id is not None:
        return
    asked = owner.properties.properties
    cluster = snapshot.get(cluster_id(owner))
    if cluster is None:
        cluster = _companion(snapshot, owner, cluster_id(owner), _cluster(owner), region(owner))
        cluster = dataclasses.replace(cluster, identity={"type": "SystemAssigned"}, sku={"name": "Base", "tier": "Free"})
        yield cluster
    first = _first_pool(snapshot, owner, cluster, asked)
    yield first
    yield from _of_cluster(snapshot.changed([cluster, first]), cluster)


def _first_pool(snapshot: Snapshot, owner: Resource, cluster: Resource, asked: ml.Aks) -> Resource:
    """The pool of a compute's cluster; of several, the first takes what is asked for in more or fewer nodes."""
    standing = [r for r in snapshot.children(cluster.id) if r.state is not ProvisioningState.DELETING]
    if not standing:
        subnet = asked.networking.subnet_id or None
        made = compute.AgentPool(count=asked.agent_count, vm_size=asked.agent_vm_size, vnet_subnet_id=subnet)
        made = made if subnet else made.model_copy(update={"vnet_subnet_id": str(own_subnet(cluster))})
        pool = _companion(snapshot, owner, cluster.id.child("agentPools", "agentpool"), made, None)
        return dataclasses.replace(pool, managed_by=None)
    counts = [one.properties.count for one in standing if isinstance(one.properties, compute.AgentPool)]
    count = counts[0] + asked.agent_count - sum(counts)
    return dataclasses.replace(standing[0], properties=standing[0].properties.model_copy(update={"count": count}))


def _cluster(owner: Resource) -> compute.ManagedCluster:
    assert isinstance(owner.properties, ml.Compute)
    asked = owner.properties.properties
    profile = compute.NetworkProfile(
        service_cidr=asked.service_cidr, dns_service_ip=asked.dns_service_ip, docker_bridge_cidr=asked.docker_bridge_cidr
    )
    return compute.ManagedCluster(dns_prefix=owner.id.name[:40].rstrip("-").lower(), network_profile=profile)


def _of_cluster(snapshot: Snapshot, cluster: Resource) -> Iterator[Resource]:
    """The node resource group, and a network where the pools name none."""
    yield _companion(snapshot, cluster, node_group(cluster), group.Group(), cluster.location)
    subnet = own_subnet(cluster)
    pools = [r.properties for r in snapshot.children(cluster.id)]
    named = [pool.vnet_subnet_id for pool in pools if isinstance(pool, compute.AgentPool)]
    if all(text is not None and text.lower() != subnet.key for text in named) or snapshot.get(subnet) is not None:
        return
    vnet = network.VirtualNetwork(address_space=network.AddressSpace(address_prefixes=(_OWN_SPACE,)))
    yield _companion(snapshot, cluster, subnet.parent, vnet, cluster.location)
    yield _companion(snapshot, cluster, subnet, network.Subnet(address_prefix=_OWN_SUBNET), None)


def _of_pool(snapshot: Snapshot, pool: Resource) -> Iterator[Resource]:
    """A compute that brought its cluster shows the nodes there are."""
    cluster = snapshot.get(pool.id.parent)
    owner = snapshot.get(cluster.managed_by) if cluster is not None and cluster.managed_by is not None else None
    if cluster is None or owner is None or not isinstance(owner.properties, ml.Compute):
        return
    pools = [r.properties for r in snapshot.children(cluster.id) if r.state is not ProvisioningState.DELETING]
    nodes = sum(one.count for one in pools if isinstance(one, compute.AgentPool))
    if nodes != owner.properties.properties.agent_count:
        inner = owner.properties.properties.model_copy(update={"agent_count": nodes})
        yield dataclasses.replace(owner, properties=owner.properties.model_copy(update={"properties": inner}))


def _of_workspace(snapshot: Snapshot, owner: Resource) -> Iterator[Resource]:
    assert isinstance(owner.properties, ml.Workspace)
    if owner.properties.storage_account is not None:
        return
    letters = "".join(c for c in owner.id.name.lower() if c.isalnum() and c.isascii())[:12]
    id = owner.id.group_id.resource("Microsoft.Storage/storageAccounts", f"{letters}{_suffix(owner, 11)}"[:24])
    account = _companion(snapshot, owner, id, storage.StorageAccount(), owner.location)
    yield dataclasses.replace(account, sku={"name": "Standard_LRS", "tier": "Standard"}, kind="StorageV2")


def _of_service(snapshot: Snapshot, service: Resource) -> Iterator[Resource]:
    """The workspace's registry, and the container group of a service that is not on a cluster."""
    yield from _registry_of(snapshot, service)
    yield from service_groups.companions(snapshot, service)


def _registry_of(snapshot: Snapshot, user: Resource) -> Iterator[Resource]:
    """The registry of a workspace that names none, made when the first image is: with an admin user, as AML (v1) makes it."""
    id = user.id
    while id.type.lower() != ml.WORKSPACE:
        id = id.parent
    owner = snapshot.need(id)
    if registries.needs_image(user) and registries.of_workspace(snapshot, owner) is None:
        asked = registry.Registry(admin_user_enabled=True)
        made = _companion(snapshot, owner, registries.companion_id(owner), asked, owner.location)
        yield dataclasses.replace(made, sku={"name": "Standard", "tier": "Standard"}, state=user.state)


_MAKERS: Mapping[str, Callable[[Snapshot, Resource], Iterator[Resource]]] = {
    ml.COMPUTE: _of_compute,
    compute.MANAGED_CLUSTER: _of_cluster,
    compute.AGENT_POOL: _of_pool,
    ml.WORKSPACE: _of_workspace,
    serving.SERVICE: _of_service,
    serving.ENVIRONMENT_VERSION: _registry_of,
    containers.CONTAINER_GROUP: lambda snapshot, resource: iter(container_groups.companions(snapshot, resource)),
}


def _companion(snapshot: Snapshot, owner: Resource, id: ResourceId, properties: Properties, location: str | None) -> Resource:
    """The companion as it shall stand; what it was before stays in its envelope."""
    old = snapshot.get(id)
    if old is not None and old.managed_by == owner.key:
        return dataclasses.replace(old, properties=properties)
    return Resource(
        id=id,
        location=location,
        properties=properties,
        managed_by=owner.key,
        state=owner.state,
        created_at=owner.created_at,
        changed_at=owner.changed_at,
    )


def _suffix(owner: Resource, digits: int) -> str:
    return owner.guid("companion").replace("-", "")[:digits]


def digits(cluster: Resource) -> str:
    """Eight decimal digits, as AKS puts them into the names of what it makes."""
    return f"{int(hashlib.sha256(_suffix(cluster, 32).encode()).hexdigest(), 16) % 10**8:08d}"
