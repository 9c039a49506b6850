"""Names and zones of clusters' API servers: public ones, and those of private clusters (RULES.md section 4.5).

The API server of a private cluster has a private endpoint in the nodes' subnet; its address is
`private_link`'s question, as what makes the endpoint is `private_companions`'.
"""

from __future__ import annotations

from ringfence.model import compute, errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import companions


def label(cluster: Resource) -> str:
    """The first label of the names of a cluster's API server."""
    properties = _of(cluster)
    prefix = properties.dns_prefix or properties.fqdn_subdomain or cluster.id.name[:40].rstrip("-").lower()
    return f"{prefix.lower()}-{cluster.guid('fqdn')[:8]}"


def public_fqdn(cluster: Resource) -> str:
    """`<prefix>-<digits>.hcp.<region>.azmk8s.io`."""
    return f"{label(cluster)}.hcp.{cluster.region}.azmk8s.io"


def has_public_fqdn(cluster: Resource) -> bool:
    """A private cluster has one unless it says that it does not; it then leads to the private address."""
    access = _of(cluster).access
    return not _of(cluster).private or access.enable_private_cluster_public_fqdn is not False


def zone(cluster: Resource) -> ResourceId | None:
    """The private zone that holds the name of a private cluster's API server; None without one (`none`)."""
    if not _of(cluster).private:
        return None
    asked = _of(cluster).access.private_dns_zone
    if own_zone(cluster):
        name = f"{cluster.guid('zone')}.privatelink.{cluster.region}.azmk8s.io"
        return companions.node_group(cluster).resource("Microsoft.Network/privateDnsZones", name)
    try:
        return None if asked is None or asked.lower() == "none" else ResourceId.parse(asked)
    except errors.Problem:  # admission refuses it in Azure's words
        return None


def own_zone(cluster: Resource) -> bool:
    """Whether the cluster makes the zone itself, in its node resource group (`system`, the default)."""
    return (_of(cluster).access.private_dns_zone or "system").lower() == "system"


def private_fqdn(cluster: Resource) -> str | None:
    """The name in the private zone; None for a public cluster and for one without a zone."""
    found = zone(cluster)
    return None if found is None else f"{label(cluster)}.{found.name.lower()}"


def hosts(cluster: Resource) -> tuple[str, ...]:
    """Every name of a cluster's API server, in lower case: the one for clients of its network first, then the public one."""
    private = private_fqdn(cluster)
    public = (public_fqdn(cluster),) if private is None or has_public_fqdn(cluster) else ()
    return (*(() if private is None else (private,)), *public)


def _of(cluster: Resource) -> compute.ManagedCluster:
    assert isinstance(cluster.properties, compute.ManagedCluster)
    return cluster.properties
