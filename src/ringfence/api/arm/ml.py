"""What documents of workspaces and computes show beside what was asked for (contract sections 3.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.model import errors, ml
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import api_servers, clusters, companions, endpoints, names, places, registries

#: The version of the inference router that documents name.
_FRONT_END = "1.0.0"


def of_workspace(snapshot: Snapshot, workspace: Resource) -> Mapping[str, Any]:
    assert isinstance(workspace.properties, ml.Workspace)
    guid, host = workspace.guid("workspace"), names.regional_host(workspace.region)
    account = names.storage_of(snapshot, workspace)
    images = registries.of_workspace(snapshot, workspace)
    asked = workspace.properties
    return {
        "workspaceId": guid,
        "discoveryUrl": f"https://{host}/discovery/workspaces/{guid}",
        "friendlyName": asked.friendly_name or workspace.id.name,
        "description": asked.description or "",
        "storageAccount": str(account.id) if account is not None else asked.storage_account,
        "keyVault": asked.key_vault,
        "applicationInsights": asked.application_insights,
        "containerRegistry": str(images.id) if images is not None else asked.container_registry,
        "imageBuildCompute": asked.image_build_compute,
        "creationTime": f"{workspace.created_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "hbiWorkspace": asked.hbi_workspace,
        "allowPublicAccessWhenBehindVnet": asked.allow_public_access_when_behind_vnet,
        "publicNetworkAccess": asked.public_network_access or "Enabled",
        "v1LegacyMode": bool(asked.v1_legacy_mode),
        "systemDatastoresAuthMode": asked.system_datastores_auth_mode or "accesskey",
        "privateEndpointConnections": [],
        "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{workspace.id}",
        "notebookInfo": None,
        "encryption": asked.encryption,
    }


def of_compute(snapshot: Snapshot, owner: Resource) -> Mapping[str, Any]:
    assert isinstance(owner.properties, ml.Compute)
    asked, cluster = owner.properties.properties, clusters.cluster_of(snapshot, owner)
    pools = clusters.pools_of(snapshot, cluster) if cluster is not None else ()
    ssl = asked.ssl_configuration
    inner = {
        "agentVmSize": clusters.pool(pools[0]).vm_size if pools else asked.agent_vm_size,
        "agentCount": sum(clusters.pool(one).count for one in pools),
        "clusterPurpose": asked.cluster_purpose.value,
        "clusterFqdn": api_servers.hosts(cluster)[0] if cluster is not None else None,
        "systemServices": _system_services(snapshot, owner),
        "sslConfiguration": None if ssl is None else _ssl(owner, ssl),
        "aksNetworkingConfiguration": _networking(snapshot, cluster) if cluster is not None else None,
        "loadBalancerType": asked.load_balancer_type.value,
        "loadBalancerSubnet": asked.load_balancer_subnet,
    }
    return {
        "computeType": owner.properties.compute_type,
        "computeLocation": cluster.region if cluster is not None else companions.region(owner),
        "description": owner.properties.description,
        "createdOn": owner.created_at.isoformat(),
        "modifiedOn": owner.changed_at.isoformat(),
        "resourceId": str(cluster.id) if cluster is not None else None,
        "isAttachedCompute": owner.properties.resource_id is not None,
        "disableLocalAuth": bool(owner.properties.disable_local_auth),
        "properties": inner,
    }


def provisioning_errors(failure: errors.Problem | None) -> list[Mapping[str, Any]] | None:
    """As the clients print it; None without a failure."""
    return None if failure is None else [{"error": {"code": failure.code, "message": failure.message}}]


def _system_services(snapshot: Snapshot, owner: Resource) -> list[Mapping[str, Any]]:
    """The inference router. Its address is the scoring address, public or not: the field has no other name."""
    address = places.frontend_address(snapshot, owner)
    return [{"systemServiceType": "ScoringFrontend", "publicIpAddress": address, "version": _FRONT_END}]


def _ssl(owner: Resource, asked: ml.SslConfiguration) -> Mapping[str, Any]:
    """Without certificate and key; with the name that Azure gave."""
    shown: dict[str, Any] = asked.model_dump(mode="json", by_alias=True, exclude={"key", "cert", "renew", "renewals"})
    return {**shown, "cname": endpoints.name(owner) or asked.cname}


def _networking(snapshot: Snapshot, cluster: Resource) -> Mapping[str, Any]:
    plan = clusters.of(cluster)
    return {
        "subnetId": str(clusters.nodes_subnet(snapshot, cluster)),
        "serviceCidr": plan.service_cidr,
        "dnsServiceIP": plan.dns_service_ip,
        "dockerBridgeCidr": plan.docker_bridge_cidr,
    }
