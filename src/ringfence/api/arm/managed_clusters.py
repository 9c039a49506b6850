"""What documents of managed clusters and agent pools show beside what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.model import compute
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import api_servers, clusters, companions, names

#: Pools that a cluster may have, as its document says.
_MOST_POOLS = 100
_RUNNING = {"code": "Running"}


def of_cluster(snapshot: Snapshot, cluster: Resource) -> Mapping[str, Any]:
    properties = clusters.of(cluster)
    principal: dict[str, Any] = {"clientId": properties.service_principal_profile.client_id}
    known = {
        "fqdn": names.fqdn(cluster) if api_servers.has_public_fqdn(cluster) else None,
        "privateFQDN": api_servers.private_fqdn(cluster),
    }
    return {
        "identityProfile": _kubelet(cluster),
        **{name: value for name, value in known.items() if value is not None},
        "agentPoolProfiles": [{"name": one.id.name, **_pool(snapshot, one)} for one in clusters.pools_of(snapshot, cluster)],
        "currentKubernetesVersion": properties.kubernetes_version,
        "kubernetesVersion": properties.kubernetes_version,
        "dnsPrefix": properties.dns_prefix,
        "networkProfile": _network(properties),
        "nodeResourceGroup": companions.node_group(cluster).name,
        "servicePrincipalProfile": principal,
        "powerState": _RUNNING,
        "maxAgentPools": _MOST_POOLS,
    }


def _kubelet(cluster: Resource) -> Mapping[str, Any]:
    """The identity that nodes pull images with: of the cluster's own making, in its node resource group."""
    if clusters.of(cluster).service_principal_profile.client_id != "msi":
        return {}
    id = companions.node_group(cluster).resource(
        "Microsoft.ManagedIdentity/userAssignedIdentities", f"{cluster.id.name}-agentpool"
    )
    return {
        "kubeletidentity": {
            "resourceId": str(id),
            "clientId": cluster.guid("kubelet-client"),
            "objectId": cluster.guid("kubelet"),
        }
    }


def of_pool(snapshot: Snapshot, pool: Resource) -> Mapping[str, Any]:
    return _pool(snapshot, pool)


def _pool(snapshot: Snapshot, resource: Resource) -> dict[str, Any]:
    pool = clusters.pool(resource)
    shown: dict[str, Any] = pool.model_dump(mode="json", by_alias=True, exclude_none=True)
    shown |= {
        "provisioningState": resource.state.value,
        "powerState": _RUNNING,
        "currentOrchestratorVersion": pool.orchestrator_version,
    }
    if clusters.is_own(snapshot.need(resource.id.parent), clusters.subnet_of(snapshot, resource)):
        shown.pop("vnetSubnetID", None)
    return shown


def _network(properties: compute.ManagedCluster) -> dict[str, Any]:
    shown: dict[str, Any] = properties.network_profile.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "networkPlugin": "azure",
        "loadBalancerSku": "standard",
        "outboundType": "loadBalancer",
        **shown,
        "serviceCidr": properties.service_cidr,
        "serviceCidrs": [properties.service_cidr],
        "dnsServiceIP": properties.dns_service_ip,
        "dockerBridgeCidr": properties.docker_bridge_cidr,
        "ipFamilies": ["IPv4"],
    }
