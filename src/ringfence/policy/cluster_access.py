"""What a cluster may do in a network that it did not make: it acts with its own identity, as AKS's cloud provider does.

Source: the seed document (Network Contributor), RULES.md sections 4.3, 4.4 and 10. Only new acts are
asked about; a frontend that stands has its address, and keeps it when the role is taken away.
"""

from __future__ import annotations

from ringfence.model import authorization, errors, ml
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import access, clusters, companions, places, principals

_JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
_READ = "Microsoft.Network/virtualNetworks/subnets/read"


def acting(snapshot: Snapshot, cluster: Resource) -> tuple[str, str]:
    """Client id and object id of whom a cluster acts as; the object id is "" when there is nobody."""
    profile = clusters.of(cluster).service_principal_profile
    if profile.client_id.lower() != "msi":
        return profile.client_id, profile.object_id or ""
    found = next(iter(principals.acting(snapshot, cluster)), None)
    return ("", "") if found is None else (found.client_id, found.object_id)


def may_join(snapshot: Snapshot, cluster: Resource, subnet: ResourceId) -> bool:
    """Whether the cluster may put something into a subnet: one of its own making, or one that its identity has a role on."""
    if clusters.is_own(cluster, subnet):
        return True
    _, object_id = acting(snapshot, cluster)
    return bool(object_id) and all(access.permits(snapshot, object_id, action, subnet) for action in (_JOIN, _READ))


def frontend_refusal(snapshot: Snapshot, cluster: Resource, subnet: ResourceId) -> errors.Forbidden:
    """What the cloud provider answers when an internal load balancer cannot have its frontend."""
    balancer = companions.node_group(cluster).resource("Microsoft.Network/loadBalancers", "kubernetes-internal")
    return _refusal(snapshot, cluster, "Microsoft.Network/loadBalancers/write", balancer, subnet)


def growth_refusal(snapshot: Snapshot, cluster: Resource, pool: str, subnet: ResourceId) -> errors.Forbidden:
    """The same of a scale set that is to have more nodes."""
    name = f"aks-{pool}-{companions.digits(cluster)}-vmss"
    machines = companions.node_group(cluster).resource("Microsoft.Compute/virtualMachineScaleSets", name)
    return _refusal(snapshot, cluster, "Microsoft.Compute/virtualMachineScaleSets/write", machines, subnet)


def _refusal(snapshot: Snapshot, cluster: Resource, action: str, scope: ResourceId, subnet: ResourceId) -> errors.Forbidden:
    client_id, object_id = acting(snapshot, cluster)
    missing = next((a for a in (_JOIN, _READ) if not access.permits(snapshot, object_id, a, subnet)), _JOIN)
    said = access.linked_failure(client_id, object_id, action, scope, missing, subnet)
    return errors.Forbidden(
        said.code,
        f"{said.message} This is the identity of the cluster '{cluster.id.name}'. Grant it the role on the group of the network "
        f"and try again: az role assignment create --assignee {object_id or client_id} --role 'Network Contributor' "
        f"--scope {subnet.group_id}",
        target=str(subnet),
    )


def waiting(snapshot: Snapshot) -> tuple[Resource, ...]:
    """The computes whose internal frontend was asked for and has no address, because their cluster may not put it there."""
    found = []
    for owner in places.alive(snapshot, ml.COMPUTE):
        if not clusters.aks(owner).internal or places.frontend_address(snapshot, owner) is not None:
            continue
        cluster = clusters.cluster_of(snapshot, owner)
        if cluster is not None and cluster.state is not ProvisioningState.DELETING:
            found.append(owner)
    return tuple(found)


def unblocked(snapshot: Snapshot, written: Resource) -> tuple[Resource, ...]:
    """The computes still being made that a role assignment lets go on."""
    if written.type != authorization.ROLE_ASSIGNMENT:
        return ()
    return tuple(owner for owner in waiting(snapshot) if not owner.state.terminal)


def refusals(snapshot: Snapshot) -> dict[str, errors.Forbidden]:
    """By the compute's key, why it has no frontend."""
    found = {}
    for owner in waiting(snapshot):
        cluster = snapshot.need(companions.cluster_id(owner))
        found[owner.key] = frontend_refusal(snapshot, cluster, clusters.balancer_subnet(snapshot, owner, cluster))
    return found
