"""Private clusters: which zone holds the name of the API server, and what the cluster's identity needs for it.

Sources: RULES.md sections 4.5 and 10 (`CustomPrivateDNSZoneMissingPermissionError`). What a workspace
asks of a private cluster is in `attaching`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import compute, errors, private_dns
from ringfence.model.ids import ResourceId
from ringfence.policy import access, cluster_access, clusters, principals
from ringfence.policy.admission.case import Case, Finding, unsupported

_PROFILE = "apiServerAccessProfile"
_ZONE = f"{_PROFILE}.privateDNSZone"
#: What an identity does in a zone of the user's: set the record, and link the cluster's network.
_IN_ZONE = (
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/A/write",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/write",
)
_IN_NETWORK = "Microsoft.Network/virtualNetworks/join/action"


def _access(case: Case) -> compute.ApiServerAccessProfile:
    return clusters.of(case.new).access


def only_private_clusters_have_zones(case: Case) -> Iterator[Finding]:
    """privateDNSZone means something for a private cluster only."""
    if _access(case).private_dns_zone and not _access(case).enable_private_cluster:
        message = "privateDNSZone is for private clusters: set enablePrivateCluster as well."
        yield errors.Invalid("InvalidParameter", message, target=_ZONE)


def name_resolves_somewhere(case: Case) -> Iterator[Finding]:
    """Without a private zone and without a public FQDN nobody would find the API server (RULES.md section 4.5)."""
    asked = _access(case)
    without = (asked.private_dns_zone or "system").lower() == "none"
    if asked.enable_private_cluster and without and asked.enable_private_cluster_public_fqdn is False:
        yield errors.Invalid(
            "InvalidParameter",
            "privateDNSZone 'none' needs a public FQDN: set enablePrivateClusterPublicFQDN to true, or use 'system' or a zone.",
            target=_ZONE,
        )


def own_zone_is_usable(case: Case) -> Iterator[Finding]:
    """A zone of the user's has AKS's name, exists, and the cluster's identity has its roles there before (RULES.md 4.5)."""
    text = _access(case).private_dns_zone
    if not _access(case).enable_private_cluster or not text or text.lower() in ("system", "none"):
        return
    try:
        id = ResourceId.parse(text)
    except errors.Problem as problem:
        yield type(problem)(problem.code, problem.message, target=_ZONE)
        return
    suffix, found = f"privatelink.{case.new.region}.azmk8s.io", case.snapshot.get(id)
    if id.type.lower() != private_dns.ZONE or not (id.name.lower() == suffix or id.name.lower().endswith(f".{suffix}")):
        message = f"The private DNS zone '{text[:300]}' is not of the form {suffix} or <subzone>.{suffix}."
        yield errors.Invalid("InvalidParameter", message, target=_ZONE)
    elif found is None:
        yield errors.Invalid("InvalidResourceReference", f"The private DNS zone {id} was not found. Create it.", target=_ZONE)
    else:
        yield from _permitted(case, id)


def _permitted(case: Case, zone: ResourceId) -> Iterator[Finding]:
    if principals.system_assigned(case.new):
        yield errors.Invalid(
            "CustomPrivateDNSZoneMissingPermissionError",
            f"A cluster with the private DNS zone {zone} needs a user-assigned identity or a service principal: a "
            "system-assigned identity cannot have its role on the zone before the cluster is made.",
            target=_ZONE,
        )
        return
    client_id, object_id = cluster_access.acting(case.snapshot, case.new)
    network = clusters.nodes_subnet(case.snapshot, case.new).parent
    own = clusters.is_own(case.new, network)
    wanted = [*((action, zone) for action in _IN_ZONE), *([] if own else [(_IN_NETWORK, network)])]
    for action, scope in wanted:
        if not object_id or not access.permits(case.snapshot, object_id, action, scope):
            yield errors.Invalid(
                "CustomPrivateDNSZoneMissingPermissionError",
                f"The identity of the cluster (client id '{client_id}', object id '{object_id}') does not have permission "
                f"to perform action '{action}' on {scope}. Grant it Private DNS Zone Contributor on the zone and Network "
                "Contributor on the network.",
                target=_ZONE,
            )
            return


def access_is_enforceable(case: Case) -> Iterator[Finding]:
    """Authorised ranges and an API server inside a subnet have nothing behind them."""
    asked = _access(case)
    if asked.authorized_ip_ranges:
        yield unsupported("authorised IP ranges of an API server", f"{_PROFILE}.authorizedIPRanges", "Use a private cluster.")
    if asked.enable_vnet_integration or asked.subnet_id:
        yield unsupported("API server VNet integration", f"{_PROFILE}.enableVnetIntegration", "Use a private cluster.")


RULES = (only_private_clusters_have_zones, name_resolves_somewhere, own_zone_is_usable, access_is_enforceable)
