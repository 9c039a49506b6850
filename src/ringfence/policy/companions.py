"""What comes into being with a resource, without being asked for by name.

A compute brings a managed cluster (and, when it names no subnet, a network of the cluster's
own in its node resource group); a workspace without a storage account brings one. Companions
carry `managed_by`: the key of the resource they go with. They are made once; an update
brings them up to date under the same names.
"""

from __future__ import annotations

import dataclasses
import hashlib

from ringfence.model import compute, containers, group, ml, network, storage
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Resource, Snapshot
from ringfence.policy import container_groups

#: The network of a cluster that names none, as AKS lays it out.
_OWN_SPACE, _OWN_SUBNET = "10.224.0.0/12", "10.224.0.0/16"


def companions(snapshot: Snapshot, resource: Resource) -> tuple[Resource, ...]:
    """Everything that has to stand beside `resource`, new or changed, parents first.

    `resource` as it will be stored; names derive from its time of creation, which an update keeps.
    """
    old = snapshot.get(resource.id)
    if old is not None:
        resource = dataclasses.replace(resource, created_at=old.created_at)
    if resource.type == ml.COMPUTE:
        return _of_compute(snapshot, resource)
    if resource.type == ml.WORKSPACE:
        return _of_workspace(snapshot, resource)
    if resource.type == containers.CONTAINER_GROUP:
        return container_groups.companions(snapshot, resource)
    return ()


def cluster_id(owner: Resource) -> ResourceId:
    """The managed cluster of a compute: in the workspace's group, the compute's name and a suffix."""
    return owner.id.group_id.resource("Microsoft.ContainerService/managedClusters", f"{owner.id.name}{_suffix(owner, 12)}")


def node_group(owner: Resource) -> ResourceId:
    """The group of what a cluster makes for itself, named as AKS names it (at most 80 characters)."""
    cluster = cluster_id(owner)
    name = f"MC_{cluster.group}_{cluster.name}_{region(owner)}"[:80]
    return ResourceId(owner.id.subscription, name)


def managed_rules_id(owner: Resource) -> ResourceId:
    """The network security group that AKS keeps on the interfaces of a cluster's nodes."""
    return node_group(owner).resource("Microsoft.Network/networkSecurityGroups", f"aks-agentpool-{_digits(owner)}-nsg")


def region(owner: Resource) -> str:
    """Where a compute's cluster runs."""
    assert isinstance(owner.properties, ml.Compute)
    here = owner.properties.compute_location
    return here.replace(" ", "").lower() if here else owner.region


def subnet_of(owner: Resource) -> ResourceId:
    """The subnet of a compute's nodes: the one it names, else that of its own network."""
    assert isinstance(owner.properties, ml.Compute)
    named = owner.properties.properties.networking.subnet
    return named or _own_network(owner).child("subnets", "aks-subnet")


def balancer_subnet_of(owner: Resource) -> ResourceId:
    """The subnet of a compute's internal frontend: in the nodes' network, the nodes' own unless another is named."""
    assert isinstance(owner.properties, ml.Compute)
    nodes, named = subnet_of(owner), owner.properties.properties.load_balancer_subnet
    return nodes.parent.child("subnets", named) if named else nodes


def _own_network(owner: Resource) -> ResourceId:
    return node_group(owner).resource("Microsoft.Network/virtualNetworks", f"aks-vnet-{_digits(owner)}")


def _of_compute(snapshot: Snapshot, owner: Resource) -> tuple[Resource, ...]:
    assert isinstance(owner.properties, ml.Compute)
    made = [_companion(snapshot, owner, node_group(owner), group.Group())]
    if owner.properties.properties.networking.subnet is None:
        vnet = network.VirtualNetwork(address_space=network.AddressSpace(address_prefixes=(_OWN_SPACE,)))
        made.append(_companion(snapshot, owner, _own_network(owner), vnet))
        made.append(_companion(snapshot, owner, subnet_of(owner), network.Subnet(address_prefix=_OWN_SUBNET)))
    cluster = _companion(snapshot, owner, cluster_id(owner), _cluster(owner))
    made.append(dataclasses.replace(cluster, identity={"type": "SystemAssigned"}, sku={"name": "Base", "tier": "Free"}))
    return tuple(made)


def _cluster(owner: Resource) -> compute.ManagedCluster:
    assert isinstance(owner.properties, ml.Compute)
    asked = owner.properties.properties
    prefix = owner.id.name[:40].rstrip("-").lower()
    pool = compute.AgentPool(
        name="agentpool", count=asked.agent_count, vm_size=asked.agent_vm_size, vnet_subnet_id=str(subnet_of(owner))
    )
    profile = compute.NetworkProfile(
        service_cidr=asked.service_cidr, dns_service_ip=asked.dns_service_ip, docker_bridge_cidr=asked.docker_bridge_cidr
    )
    return compute.ManagedCluster(
        dns_prefix=prefix,
        fqdn=f"{prefix}-{_suffix(owner, 8)}.hcp.{region(owner)}.azmk8s.io",
        agent_pool_profiles=(pool,),
        network_profile=profile,
        node_resource_group=node_group(owner).name,
    )


def _of_workspace(snapshot: Snapshot, owner: Resource) -> tuple[Resource, ...]:
    assert isinstance(owner.properties, ml.Workspace)
    if owner.properties.storage_account is not None:
        return ()
    letters = "".join(c for c in owner.id.name.lower() if c.isalnum() and c.isascii())[:12]
    id = owner.id.group_id.resource("Microsoft.Storage/storageAccounts", f"{letters}{_suffix(owner, 11)}"[:24])
    account = _companion(snapshot, owner, id, storage.StorageAccount())
    return (dataclasses.replace(account, sku={"name": "Standard_LRS", "tier": "Standard"}, kind="StorageV2"),)


def _companion(snapshot: Snapshot, owner: Resource, id: ResourceId, properties: Properties) -> Resource:
    """The companion as it shall stand; what it was before stays in its envelope."""
    old = snapshot.get(id)
    if old is not None and old.managed_by == owner.key:
        return dataclasses.replace(old, properties=properties)
    place = region(owner) if owner.type == ml.COMPUTE else owner.location
    location = None if id.type.lower() == network.SUBNET else place
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


def _digits(owner: Resource) -> str:
    """Eight decimal digits, as AKS puts them into the names of what it makes."""
    return f"{int(hashlib.sha256(_suffix(owner, 32).encode()).hexdigest(), 16) % 10**8:08d}"
