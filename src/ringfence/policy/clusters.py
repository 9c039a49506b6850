"""Clusters and those who use them: which pools a cluster has, which compute is attached to it, where its nodes are.

A managed cluster owns nodes, resolver, API server and service range; a compute owns the
inference router and its frontends on the cluster it is attached to. What comes with a
cluster is in `companions`, who stands at which address in `places`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from ringfence.model import compute, ml, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import companions


def of(cluster: Resource) -> compute.ManagedCluster:
    """The properties of a managed cluster."""
    assert isinstance(cluster.properties, compute.ManagedCluster)
    return cluster.properties


def pool(resource: Resource) -> compute.AgentPool:
    """The properties of an agent pool."""
    assert isinstance(resource.properties, compute.AgentPool)
    return resource.properties


def aks(owner: Resource) -> ml.Aks:
    """The inner properties of a compute."""
    assert isinstance(owner.properties, ml.Compute)
    return owner.properties.properties


def namespace(workspace: ResourceId) -> str:
    """Where Azure Machine Learning puts the services of a workspace in its clusters."""
    return f"azureml-{workspace.name.lower()}"


def cluster_of(snapshot: Snapshot, owner: Resource) -> Resource | None:
    """The managed cluster of a compute: the one it is attached to, or the one it brought."""
    return snapshot.get(companions.cluster_id(owner))


def compute_of(snapshot: Snapshot, cluster: Resource) -> Resource | None:
    """The compute that uses a cluster; None when no workspace does, or the one that did is on its way out."""
    mine = snapshot.get(cluster.managed_by) if cluster.managed_by is not None else None
    found = (mine,) if mine is not None else (r for r in snapshot.of_type(ml.COMPUTE) if _names(r, cluster))
    return next((r for r in found if r.state is not ProvisioningState.DELETING), None)


def _names(owner: Resource, cluster: Resource) -> bool:
    assert isinstance(owner.properties, ml.Compute)
    return owner.properties.resource_id is not None and companions.cluster_id(owner) == cluster.id


def pools_of(snapshot: Snapshot, cluster: Resource | ResourceId) -> tuple[Resource, ...]:
    """The agent pools of a cluster that are not on their way out, in the order of their names."""
    found = snapshot.children(cluster if isinstance(cluster, ResourceId) else cluster.id)
    return tuple(r for r in found if r.type == compute.AGENT_POOL and r.state is not ProvisioningState.DELETING)


def node_count(snapshot: Snapshot, cluster: Resource) -> int:
    """Nodes of all pools."""
    return sum(pool(one).count for one in pools_of(snapshot, cluster))


def subnet_of(snapshot: Snapshot, one: Resource) -> ResourceId:
    """The subnet of a pool's nodes: the one it names, else that of the cluster's own network."""
    return pool(one).subnet or companions.own_subnet(snapshot.need(one.id.parent))


def nodes_subnet(snapshot: Snapshot, cluster: Resource) -> ResourceId:
    """The subnet of a cluster's first pool, in whose network all its pools are."""
    first = next(iter(pools_of(snapshot, cluster)), None)
    return companions.own_subnet(cluster) if first is None else subnet_of(snapshot, first)


def subnet_at(snapshot: Snapshot, cluster: Resource, address: str) -> ResourceId:
    """The subnet of a cluster's nodes that holds an address of one of its pods."""
    found = {subnet_of(snapshot, one): None for one in pools_of(snapshot, cluster)}
    if len(found) > 1:
        for id in found:
            subnet = snapshot.get(id)
            prefix = subnet.properties.prefix if subnet is not None and isinstance(subnet.properties, network.Subnet) else ""
            if prefix and IPv4Address(address) in IPv4Network(prefix):
                return id
    return next(iter(found), companions.own_subnet(cluster))


def balancer_subnet(snapshot: Snapshot, owner: Resource, cluster: Resource) -> ResourceId:
    """The subnet of a compute's internal frontend: in the nodes' network, the nodes' own unless another is named."""
    nodes, named = nodes_subnet(snapshot, cluster), aks(owner).load_balancer_subnet
    return nodes.parent.child("subnets", named) if named else nodes


def is_own(cluster: Resource, id: ResourceId) -> bool:
    """Whether a subnet or network is one that the cluster made for itself."""
    return id.group is not None and id.group.lower() == companions.node_group(cluster).name.lower()


def node_name(cluster: Resource, pool_name: str, index: int) -> str:
    """What a node is called inside: `aks-<pool>-<digits>-vmss<six digits>`."""
    return f"aks-{pool_name.lower()}-{companions.digits(cluster)}-vmss{index:06d}"
