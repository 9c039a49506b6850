"""Agent pools: their names, sizes, counts, subnets, and what of them has nothing behind it.

Sources: RULES.md sections 4.1, 4.2 and 10. Rules of the whole cluster are in `clusters`; room is
counted in `desired.alloc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import compute, errors, network
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import cluster_access, clusters, places, sizes
from ringfence.policy.admission import cluster_features, ml
from ringfence.policy.admission import clusters as cluster_rules
from ringfence.policy.admission.case import Case, Finding

#: Nodes of one pool (RULES.md section 4.2).
MOST_NODES = 1000
LEAST_PODS, MOST_PODS, LEAST_IN_ALL = 10, 250, 30


def asked(case: Case) -> compute.AgentPool:
    return clusters.pool(case.new)


def _invalid(message: str, target: str) -> errors.Invalid:
    return errors.Invalid("InvalidParameter", message, target=target)


def subnet_is_a_subnet(case: Case) -> Iterator[Finding]:
    """vnetSubnetID is the id of a subnet of a virtual network."""
    text = asked(case).vnet_subnet_id
    if not text:
        return
    found = asked(case).subnet
    if found is None or found.type.lower() != network.SUBNET:
        message = f"'{text[:300]}' is not the id of a subnet (…/Microsoft.Network/virtualNetworks/NETWORK/subnets/SUBNET)."
        yield errors.Invalid("LinkedInvalidPropertyId", message, target="properties.vnetSubnetID")


def subnet_is_not_delegated(case: Case) -> Iterator[Finding]:
    """Nodes have no place in a subnet that belongs to a service (RULES.md sections 4.1 and 7)."""
    id = clusters.subnet_of(case.snapshot, case.new)
    found = case.snapshot.get(id)
    if found is not None and isinstance(found.properties, network.Subnet) and found.properties.delegated_to is not None:
        yield errors.Invalid(
            "SubnetIsDelegated",
            f"AgentPoolProfile subnet with id {id} cannot be used as it's a delegated subnet. "
            f"It is delegated to {found.properties.delegated_to}. Use another subnet or remove the delegation.",
            target="properties.vnetSubnetID",
        )


def pools_share_a_network(case: Case) -> Iterator[Finding]:
    """All pools of a cluster are in one virtual network (RULES.md section 4.1)."""
    cluster = case.snapshot.get(case.new.id.parent)
    if cluster is None:
        return
    mine = clusters.subnet_of(case.snapshot, case.new)
    for other in clusters.pools_of(case.snapshot, cluster):
        theirs = clusters.subnet_of(case.snapshot, other)
        if theirs.parent != mine.parent:
            yield _invalid(
                f"All agent pools of a cluster have to be in one virtual network: '{case.new.id.name}' is in {mine.parent}, "
                f"'{other.id.name}' in {theirs.parent}.",
                "properties.vnetSubnetID",
            )
            return


def size_is_known(case: Case) -> Iterator[Finding]:
    """A size with known cores and memory: services are scheduled by them."""
    if sizes.of_pool(case.new) is None:
        yield _invalid(
            f"The VM size '{asked(case).vm_size[:100]}' is not known. Sizes: {', '.join(sizes.NAMES)}.", "properties.vmSize"
        )


def count_is_in_range(case: Case) -> Iterator[Finding]:
    """From one node to a thousand; a pool of mode User may have none."""
    least = 0 if asked(case).mode.lower() == "user" else 1
    if not least <= asked(case).count <= MOST_NODES:
        yield _invalid(f"The node count is {asked(case).count}; it is from {least} to {MOST_NODES}.", "properties.count")


def identity_may_grow(case: Case) -> Iterator[Finding]:
    """More nodes in a network that is not the cluster's own: its identity needs a role there (the seed document)."""
    cluster = case.snapshot.get(case.new.id.parent)
    if cluster is None or (case.new.created_at == cluster.created_at and case.old is None):
        return
    before = 0 if case.old is None else clusters.pool(case.old).count
    subnet = clusters.subnet_of(case.snapshot, case.new)
    if asked(case).count > before and not cluster_access.may_join(case.snapshot, cluster, subnet):
        yield cluster_access.growth_refusal(case.snapshot, cluster, case.new.id.name, subnet)


def pods_are_in_range(case: Case) -> Iterator[Finding]:
    """maxPods: 10 to 250, and the pool has room for thirty pods in all (RULES.md section 4.2)."""
    pods, count = asked(case).max_pods, asked(case).count
    if not LEAST_PODS <= pods <= MOST_PODS:
        yield _invalid(f"maxPods is {pods}; it is from {LEAST_PODS} to {MOST_PODS}.", "properties.maxPods")
    elif 0 < count * pods < LEAST_IN_ALL:
        yield _invalid(
            f"{count} nodes with maxPods {pods} hold {count * pods} pods; a pool has room for at least {LEAST_IN_ALL}. Use more "
            "nodes or a larger maxPods.",
            "properties.maxPods",
        )


def pool_keeps_its_machines(case: Case) -> Iterator[Finding]:
    """Size, subnet and maxPods of a pool are for life (AKS: PropertyChangeNotAllowed)."""
    if case.old is None:
        return
    before, after = clusters.pool(case.old), asked(case)
    pairs = (
        ("vmSize", before.vm_size.lower(), after.vm_size.lower()),
        ("vnetSubnetID", (before.vnet_subnet_id or "").lower(), (after.vnet_subnet_id or "").lower()),
        ("maxPods", before.max_pods, after.max_pods),
        ("osType", before.os_type.lower(), after.os_type.lower()),
    )
    for name, was, wanted in pairs:
        if was != wanted:
            message = f"Changing property '{name}' is not allowed. It is {was}; add another agent pool for {wanted}."
            yield errors.Invalid("PropertyChangeNotAllowed", message, target=f"properties.{name}")


def services_still_fit(case: Case) -> Iterator[Finding]:
    """A smaller pool still holds the services that run on the cluster."""
    cluster = case.snapshot.get(case.new.id.parent)
    user = clusters.compute_of(case.snapshot, cluster) if cluster is not None and case.old is not None else None
    if user is not None:
        yield from ml.services_fit(case.snapshot, user, "properties.count")


def kubenet_cluster_still_fits(case: Case) -> Iterator[Finding]:
    """A pool that grows keeps the cluster within kubenet's bounds."""
    cluster = case.snapshot.get(case.new.id.parent)
    if cluster is not None:
        yield from cluster_rules.kubenet_has_its_subnet_alone(Case(case.snapshot, cluster, None))


def may_go(snapshot: Snapshot, resource: Resource) -> Iterator[errors.Problem]:
    """A cluster keeps one pool of mode System, and a pool the addresses of pods that run."""
    cluster = snapshot.get(resource.id.parent) if resource.type == compute.AGENT_POOL else None
    if cluster is None or cluster.state is ProvisioningState.DELETING:
        return
    left = clusters.pools_of(snapshot, cluster)
    if not any(clusters.pool(one).mode.lower() == "system" for one in left):
        yield errors.Invalid(
            "InvalidParameter",
            f"The agent pool '{resource.id.name}' cannot be deleted: there has to be at least one of mode System in the cluster "
            f"'{cluster.id.name}'.",
            target=str(resource.id),
        )
        return
    mine = {a.value for a in snapshot.allocated(resource.id)}
    pods = sorted(mine & snapshot.taken(places.pod_scope(cluster.key)).keys())
    if pods:
        yield errors.Unsupported(
            "NotSupported",
            f"Ringfence does not move pods: {', '.join(pods[:3])} run on the nodes of '{resource.id.name}'. Delete their "
            "services or detach the cluster first.",
            target=str(resource.id),
        )


SHAPE = (subnet_is_a_subnet,)
#: What holds for every pool, whoever asks for it.
PLAN = (subnet_is_not_delegated, pools_share_a_network)
RULES = (
    *PLAN,
    size_is_known,
    count_is_in_range,
    pods_are_in_range,
    identity_may_grow,
    pool_keeps_its_machines,
    kubenet_cluster_still_fits,
    services_still_fit,
    cluster_features.pool_is_enforceable,
)
