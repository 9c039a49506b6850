"""A compute and a cluster: what an attachment asks of the cluster, and what a compute's cluster may be.

Sources: RULES.md sections 4.3 and 5; the seed document's limitations (region, public FQDN, Network
Contributor); azure-docs#41778 and #93319 (one attachment for each cluster). Whether the caller
administers the cluster is a linked check (`policy.links`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import compute, errors, ml
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import cluster_access, clusters, places, private_link
from ringfence.policy.admission.case import Case, Finding

_FIELD = "properties.resourceId"
_BALANCER = "properties.properties.loadBalancerType"


def _attaches(case: Case) -> Resource | None:
    """The cluster, when the request attaches one."""
    assert isinstance(case.new.properties, ml.Compute)
    if case.old is not None or case.new.properties.resource_id is None:
        return None
    return clusters.cluster_of(case.snapshot, case.new)


def target_is_a_cluster(case: Case) -> Iterator[Finding]:
    """resourceId is the id of a managed cluster, and says nothing about a network of its own."""
    assert isinstance(case.new.properties, ml.Compute)
    text = case.new.properties.resource_id
    if case.old is not None or text is None:
        return
    cluster = clusters.cluster_of(case.snapshot, case.new)
    if cluster is not None and cluster.type != compute.MANAGED_CLUSTER:
        message = f"'{text[:300]}' is not the id of a cluster (…/Microsoft.ContainerService/managedClusters/CLUSTER)."
        yield errors.Invalid("LinkedInvalidPropertyId", message, target=_FIELD)
    if case.new.properties.properties.aks_networking_configuration is not None:
        message = "An attached cluster has its network already: leave aksNetworkingConfiguration out."
        yield errors.Invalid("InvalidParameter", message, target="properties.properties.aksNetworkingConfiguration")


def cluster_is_ready(case: Case) -> Iterator[Finding]:
    """Nothing is attached to a cluster that is still being made, or that failed."""
    cluster = _attaches(case)
    if cluster is not None and cluster.state is not ProvisioningState.SUCCEEDED:
        yield errors.Conflict(
            "ClusterNotReady",
            f"The cluster {cluster.id} is in the state {cluster.state.value}. Wait until it is Succeeded, and attach it then.",
            target=_FIELD,
        )


def cluster_is_free(case: Case) -> Iterator[Finding]:
    """One attachment for each cluster at a time: a second one breaks the first (azure-docs#41778)."""
    cluster = _attaches(case)
    if cluster is None:
        return
    for other in places.alive(case.snapshot, ml.COMPUTE):
        if other.key != case.new.key and clusters.cluster_of(case.snapshot, other) == cluster:
            yield errors.Conflict(
                "ClusterAlreadyAttached",
                f"The cluster {cluster.id} is already attached to the workspace '{other.id.parent.name}' as '{other.id.name}'. "
                f"A cluster has one attachment at a time: detach {other.id} first.",
                target=_FIELD,
            )


def region_is_the_workspaces(case: Case) -> Iterator[Finding]:
    """A workspace with a private endpoint takes clusters of its own region only (the seed document, limitations)."""
    workspace, cluster = case.snapshot.get(case.new.id.parent), clusters.cluster_of(case.snapshot, case.new)
    if case.old is not None or workspace is None or cluster is None or cluster.region == workspace.region:
        return
    if next(iter(private_link.approved_for(case.snapshot, workspace)), None) is not None:
        yield errors.Invalid(
            "InvalidClusterRegion",
            f"The workspace '{workspace.id.name}' has a private endpoint, so its clusters have to be in its region "
            f"'{workspace.region}'; this one is in '{cluster.region}'. Use a cluster there.",
            target="properties.computeLocation",
        )


def api_server_can_be_reached(case: Case) -> Iterator[Finding]:
    """Azure ML does not support private clusters with a public FQDN (the seed document, limitations)."""
    cluster = _attaches(case)
    if cluster is None:
        return
    access = clusters.of(cluster).access
    if access.enable_private_cluster and access.enable_private_cluster_public_fqdn is not False:
        yield errors.Invalid(
            "PrivateClusterWithPublicFqdnNotSupported",
            f"The private cluster {cluster.id} has a public FQDN, which Azure Machine Learning does not support. Disable it: "
            f"az aks update -n {cluster.id.name} -g {cluster.id.group} --disable-public-fqdn",
            target=_FIELD,
        )


def identity_may_use_the_network(case: Case) -> Iterator[Finding]:
    """Attaching, a new internal frontend and growing need a role of the cluster's identity in a network not its own.

    A compute that brings its cluster is let through: its identity is made with it, and the operation
    waits for the role (`policy.cluster_access`).
    """
    cluster = clusters.cluster_of(case.snapshot, case.new)
    if cluster is None:
        return
    nodes, frontend = clusters.nodes_subnet(case.snapshot, cluster), _new_frontend(case, cluster)
    if _attaches(case) is not None and not cluster_access.may_join(case.snapshot, cluster, nodes):
        yield cluster_access.frontend_refusal(case.snapshot, cluster, nodes)
    elif frontend is not None and not cluster_access.may_join(case.snapshot, cluster, frontend.id):
        yield cluster_access.frontend_refusal(case.snapshot, cluster, frontend.id)
    elif _grows(case, cluster) and not cluster_access.may_join(case.snapshot, cluster, nodes):
        yield cluster_access.growth_refusal(case.snapshot, cluster, "agentpool", nodes)


def _new_frontend(case: Case, cluster: Resource) -> Resource | None:
    """The subnet in which a request puts an internal frontend that does not stand there."""
    if not clusters.aks(case.new).internal or (case.old is None and _attaches(case) is None):
        return None
    subnet = clusters.balancer_subnet(case.snapshot, case.new, cluster)
    had = case.old if case.old is not None and clusters.aks(case.old).internal else None
    stood = had is not None and clusters.balancer_subnet(case.snapshot, had, cluster) == subnet
    if stood and case.snapshot.value(case.new.key, places.internal_frontend(subnet)) is not None:
        return None
    return case.snapshot.get(subnet)


def _grows(case: Case, cluster: Resource) -> bool:
    if case.old is None or cluster.managed_by != case.new.key:
        return False
    return clusters.aks(case.new).agent_count > clusters.aks(case.old).agent_count


SHAPE = (target_is_a_cluster,)
RULES = (cluster_is_ready, cluster_is_free, region_is_the_workspaces, api_server_can_be_reached, identity_may_use_the_network)
