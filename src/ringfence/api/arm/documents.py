"""Documents: what GET shows of a resource, by type. The envelope is here; `network`, `ml` and `plain` fill in properties.

A document is computed from a snapshot: what was asked for, and what follows from it
(addresses, host names, default rules, children). Reading bodies is `wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringfence.api.arm import (
    balancing,
    containers,
    deployment_documents,
    identity_blocks,
    managed_clusters,
    ml,
    network,
    plain,
    private,
    registries,
)
from ringfence.model import (
    access,
    compute,
    deployment,
    errors,
    identity,
    monitor,
    peering,
    private_dns,
    private_link,
    registry,
    storage,
)
from ringfence.model import balancing as balancing_nouns
from ringfence.model import containers as container_nouns
from ringfence.model import ml as ml_nouns
from ringfence.model import network as network_nouns
from ringfence.model.resource import Resource, Snapshot

Document = dict[str, Any]

#: By lower-case type: properties beside those that were asked for.
_ADDED: Mapping[str, Callable[[Snapshot, Resource], Mapping[str, Any]]] = {
    network_nouns.VIRTUAL_NETWORK: network.of_virtual_network,
    network_nouns.SUBNET: network.of_subnet,
    network_nouns.SECURITY_GROUP: network.of_security_group,
    network_nouns.INTERFACE: network.of_interface,
    compute.MANAGED_CLUSTER: managed_clusters.of_cluster,
    compute.AGENT_POOL: managed_clusters.of_pool,
    balancing_nouns.PUBLIC_ADDRESS: balancing.of_public_address,
    balancing_nouns.BALANCER: balancing.of_balancer,
    container_nouns.CONTAINER_GROUP: containers.of_container_group,
    container_nouns.NETWORK_PROFILE: containers.of_network_profile,
    peering.PEERING: private.of_peering,
    private_link.PRIVATE_ENDPOINT: private.of_endpoint,
    private_link.ZONE_GROUP: private.of_zone_group,
    **dict.fromkeys(private_link.CONNECTIONS.values(), private.of_connection),
    private_dns.ZONE: private.of_zone,
    private_dns.LINK: private.of_zone_link,
    **dict.fromkeys(private_dns.RECORDS.values(), private.of_record_set),
    storage.STORAGE_ACCOUNT: plain.of_storage_account,
    access.VAULT: plain.of_vault,
    monitor.COMPONENT: plain.of_component,
    monitor.LOG_WORKSPACE: plain.of_log_workspace,
    registry.REGISTRY: registries.of_registry,
    ml_nouns.WORKSPACE: ml.of_workspace,
    ml_nouns.COMPUTE: ml.of_compute,
}


def document(
    snapshot: Snapshot, resource: Resource, *, tenant: str | None = None, failure: errors.Problem | None = None
) -> Document:
    """The whole document. tenant: of the subscription; failure: why the last operation on it failed."""
    if resource.type == deployment.DEPLOYMENT:
        return envelope(snapshot, resource, tenant) | {"properties": deployment_documents.properties(resource)}
    shown = containers.visible(resource.properties).model_dump(mode="json", by_alias=True, exclude_none=True)
    shown.pop("ringfenceRun", None)
    added = _ADDED.get(resource.type)
    if private_dns.is_record_set(resource.type):
        shown = {name: value for name, value in shown.items() if value != []}
    if added is not None:
        shown |= added(snapshot, resource)
    if resource.type in private_link.CONNECTIONS:
        shown["privateEndpointConnections"] = private.connections_of(snapshot, resource)
    if resource.type == identity.USER_ASSIGNED:
        shown |= identity_blocks.of_user_assigned(resource, tenant)
    shown["provisioningState"] = resource.state.value
    if resource.type == ml_nouns.COMPUTE:
        shown["provisioningErrors"] = ml.provisioning_errors(failure)
    return envelope(snapshot, resource, tenant) | {"properties": shown}


def compute_document(snapshot: Snapshot, resource: Resource, failure: errors.Problem | None = None) -> Document:
    """An AML compute, with every field that `azureml-core` reads (contract section 5.2)."""
    return document(snapshot, resource, failure=failure)


def workspace_document(snapshot: Snapshot, resource: Resource, tenant: str | None = None) -> Document:
    """An AML workspace (contract section 3.1)."""
    return document(snapshot, resource, tenant=tenant)


def summary(snapshot: Snapshot, resource: Resource, tenant: str | None = None) -> Document:
    """What lists of resources of several types show: the envelope without properties and etag."""
    return {name: value for name, value in envelope(snapshot, resource, tenant).items() if name != "etag"}


def envelope(snapshot: Snapshot, resource: Resource, tenant: str | None) -> Document:
    """Everything but `properties`."""
    found: Document = {"id": str(resource.id), "name": resource.id.name, "type": resource.id.type}
    if resource.location is not None:
        found["location"] = resource.location
    if resource.location is not None or resource.tags:
        found["tags"] = dict(resource.tags)
    identity_block = identity_blocks.shown(snapshot, resource, tenant)
    sku = resource.sku
    if resource.type == registry.REGISTRY and sku is not None:
        sku = {**sku, "tier": sku.get("tier") or sku["name"]}
    for name, value in (("sku", sku), ("kind", resource.kind), ("identity", identity_block)):
        if value is not None:
            found[name] = value
    if resource.type.startswith("microsoft.network/"):
        found["etag"] = etag(resource)
    if resource.managed_by is not None:
        found["managedBy"] = resource.managed_by
    return found


def etag(resource: Resource) -> str:
    """As it stands in headers and documents."""
    return f'W/"{resource.etag}"'
