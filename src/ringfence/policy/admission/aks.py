"""Inference clusters of a workspace: what is refused before a compute makes a cluster or changes.

Sources: RULES.md sections 4.1, 5 and 10, and the seed document's section on AKS. The cluster that
a compute brings is held to the rules of `clusters` and `pools`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors, ml, network
from ringfence.model.ml import ClusterPurpose
from ringfence.model.resource import ProvisioningState, region_of
from ringfence.policy import clusters, sizes
from ringfence.policy.admission import attaching, tls
from ringfence.policy.admission import clusters as cluster_rules
from ringfence.policy.admission import ml as ml_rules
from ringfence.policy.admission import pools as pool_rules
from ringfence.policy.admission.case import Case, Finding, unsupported

_BASE = "properties.properties"
#: Fewest nodes and cores, by purpose (RULES.md section 5).
_LEAST = {ClusterPurpose.FAST_PROD: (3, 12), ClusterPurpose.DENSE_PROD: (3, 12), ClusterPurpose.DEV_TEST: (1, 1)}


def aks(case: Case) -> ml.Aks:
    assert isinstance(case.new.properties, ml.Compute)
    return case.new.properties.properties


def kind_is_aks(case: Case) -> Iterator[Finding]:
    """Of the kinds of compute, AKS is the one with an engine behind it."""
    assert isinstance(case.new.properties, ml.Compute)
    asked = case.new.properties
    if asked.compute_type.lower() != "aks":
        yield unsupported(f"computes of type '{asked.compute_type[:100]}'", "properties.computeType", "Use AKS.")


def networking_is_all_or_nothing(case: Case) -> Iterator[Finding]:
    """Service range, DNS address and bridge go together (RULES.md section 4.1, the trio rule)."""
    given = aks(case).networking
    trio = (given.service_cidr, given.dns_service_ip, given.docker_bridge_cidr)
    if any(trio) and not all(trio):
        yield errors.Invalid(
            "InvalidParameter",
            "serviceCidr, dnsServiceIP and dockerBridgeCidr should all be empty or neither should be empty.",
            target=f"{_BASE}.aksNetworkingConfiguration",
        )


def subnet_id_is_an_id(case: Case) -> Iterator[Finding]:
    """The id of a subnet of a virtual network."""
    text = aks(case).networking.subnet_id
    if not text:
        return
    try:
        found = aks(case).networking.subnet
    except errors.Problem as problem:
        yield type(problem)(problem.code, problem.message, target=f"{_BASE}.aksNetworkingConfiguration.subnetId")
        return
    if found is None or found.type.lower() != network.SUBNET:
        message = f"'{text[:300]}' is not the id of a subnet (…/Microsoft.Network/virtualNetworks/NETWORK/subnets/SUBNET)."
        yield errors.Invalid("LinkedInvalidPropertyId", message, target=f"{_BASE}.aksNetworkingConfiguration.subnetId")


def ranges_are_well_formed(case: Case) -> Iterator[Finding]:
    """A network, an address, and a bridge address written with its host bits."""
    asked = aks(case)
    yield from cluster_rules.formed(asked.service_cidr, asked.dns_service_ip, asked.docker_bridge_cidr)


def its_cluster_is_allowed(case: Case) -> Iterator[Finding]:
    """The cluster that comes with a compute, and its pool, are held to what holds for any."""
    cluster = clusters.cluster_of(case.snapshot, case.new)
    if cluster is None or cluster.managed_by != case.new.key:
        return
    for rule in cluster_rules.PLAN:
        yield from rule(Case(case.snapshot, cluster, None))
    for pool in clusters.pools_of(case.snapshot, cluster):
        for rule in pool_rules.PLAN:
            yield from rule(Case(case.snapshot, pool, None))


def balancer_subnet_takes_frontends(case: Case) -> Iterator[Finding]:
    """The subnet of an internal frontend is one of the nodes' network, and belongs to no service (RULES.md sections 4.4, 7)."""
    cluster = clusters.cluster_of(case.snapshot, case.new)
    if cluster is None or not aks(case).internal:
        return
    id = clusters.balancer_subnet(case.snapshot, case.new, cluster)
    found, field = case.snapshot.get(id), f"{_BASE}.loadBalancerSubnet"
    if found is None or not isinstance(found.properties, network.Subnet) or found.state is ProvisioningState.DELETING:
        yield errors.Invalid(
            "InvalidResourceReference",
            f"Resource {id} referenced by resource {case.new.id} was not found. There is no subnet '{id.name}' in the virtual "
            f"network '{id.parent.name}' of the resource group '{id.group}'.",
            target=field,
        )
    elif found.properties.delegated_to is not None:
        yield errors.Invalid(
            "SubnetIsDelegated",
            f"The subnet {id} cannot hold the frontend of a load balancer as it's a delegated subnet. "
            f"It is delegated to {found.properties.delegated_to}. Use another subnet or remove the delegation.",
            target=field,
        )


def _invalid(message: str, target: str) -> errors.Invalid:
    return errors.Invalid("InvalidParameter", message, target=target)


def size_fits_the_purpose(case: Case) -> Iterator[Finding]:
    """FastProd: at least three nodes and twelve cores; DevTest: one node. Of an attached cluster, the nodes it has."""
    asked, field = aks(case), f"{_BASE}.agentCount"
    old = clusters.aks(case.old) if case.old is not None else None
    if old is not None and (old.agent_count, old.cluster_purpose) == (asked.agent_count, asked.cluster_purpose):
        return
    cluster = clusters.cluster_of(case.snapshot, case.new)
    pools = [clusters.pool(one) for one in clusters.pools_of(case.snapshot, cluster)] if cluster is not None else []
    known = [(pool.count, sizes.size(pool.vm_size)) for pool in pools]
    if any(size is None for _, size in known):
        yield _invalid(
            f"The VM size '{asked.agent_vm_size[:100]}' is not known. Sizes: {', '.join(sizes.NAMES)}.", f"{_BASE}.agentVmSize"
        )
        return
    have = sum(count for count, _ in known), sum(count * size.cores for count, size in known if size is not None)
    least = _LEAST[asked.cluster_purpose]
    if any(not 0 <= count <= pool_rules.MOST_NODES for count, _ in known) or have[0] < 1:
        yield _invalid(f"agentCount is {asked.agent_count}; it is from 1 to {pool_rules.MOST_NODES}.", field)
    elif have[0] < least[0] or have[1] < least[1]:
        yield _invalid(
            f"A cluster for {asked.cluster_purpose.value} has at least {least[0]} nodes and {least[1]} cores; {have[0]} of "
            f"{', '.join(sorted({pool.vm_size for pool in pools}))} are {have[1]} cores. Use more or larger nodes, or DevTest.",
            field,
        )


def plan_stays(case: Case) -> Iterator[Finding]:
    """A cluster keeps its address plan and the size of its nodes (AKS: PropertyChangeNotAllowed)."""
    cluster = clusters.cluster_of(case.snapshot, case.new)
    if case.old is None or cluster is None or not isinstance(case.new.properties, ml.Compute):
        return
    plan, named, subnet = clusters.of(cluster), aks(case).networking, clusters.nodes_subnet(case.snapshot, cluster).key
    before, after = clusters.aks(case.old).agent_vm_size, aks(case).agent_vm_size
    first = next(iter(clusters.pools_of(case.snapshot, cluster)), None)
    size = clusters.pool(first).vm_size if first is not None else before
    where = case.new.properties.compute_location
    pairs = (
        ("networkProfile.serviceCidr", plan.service_cidr, named.service_cidr or plan.service_cidr),
        ("networkProfile.dnsServiceIP", plan.dns_service_ip, named.dns_service_ip or plan.dns_service_ip),
        ("networkProfile.dockerBridgeCidr", plan.docker_bridge_cidr, named.docker_bridge_cidr or plan.docker_bridge_cidr),
        ("agentPoolProfile.vnetSubnetID", subnet, (named.subnet_id or subnet).lower()),
        ("agentPoolProfile.vmSize", size.lower(), size.lower() if after == before else after.lower()),
        ("location", cluster.region, region_of(where) if where else cluster.region),
    )
    for name, was, wanted in pairs:
        if was != wanted:
            message = f"Changing property '{name}' is not allowed. It is {was}; create another cluster for {wanted}."
            yield errors.Invalid("PropertyChangeNotAllowed", message, target=name)


def services_still_fit(case: Case) -> Iterator[Finding]:
    """A smaller cluster still holds the services that run on it."""
    if case.old is not None:
        yield from ml_rules.services_fit(case.snapshot, case.new, f"{_BASE}.agentCount")


SHAPE = (kind_is_aks, *attaching.SHAPE, networking_is_all_or_nothing, subnet_id_is_an_id, ranges_are_well_formed, *tls.SHAPE)
RULES = (
    its_cluster_is_allowed,
    balancer_subnet_takes_frontends,
    *attaching.RULES,
    size_fits_the_purpose,
    plan_stays,
    services_still_fit,
    *tls.RULES,
)
