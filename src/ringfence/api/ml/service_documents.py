"""What clients see of a service (contract section 7.4): every must-have field, and nothing secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from ringfence.api.ml import answers
from ringfence.api.ml.models import document as model_document
from ringfence.control.endpoints import Fault
from ringfence.control.operations import Operation, Status
from ringfence.desired import ml as desired
from ringfence.model import serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import container_groups, endpoints, places, service_groups

_HIDDEN = {
    "files",
    "primary_key",
    "secondary_key",
    "token_key",
    "token_public_key",
    "ssl_key",
    "scale",
    "nonce",
    "created_time",
    "updated_time",
}
_STATES: Mapping[ProvisioningState, str] = {
    ProvisioningState.ACCEPTED: "Transitioning",
    ProvisioningState.CREATING: "Transitioning",
    ProvisioningState.UPDATING: "Transitioning",
    ProvisioningState.DELETING: "Transitioning",
    ProvisioningState.SUCCEEDED: "Healthy",
    ProvisioningState.FAILED: "Failed",
    ProvisioningState.CANCELED: "Failed",
}
#: Codes of failures that say: there is no room on the nodes.
_NO_ROOM = frozenset({"SubnetIsFull", "InsufficientSubnetSize", "Unschedulable", "PodUnschedulable"})


def document(snapshot: Snapshot, service: Resource, latest: Operation | None, down: Fault | None = None) -> dict[str, object]:
    """latest: the newest operation about the service; it knows why the service failed. down: why its endpoint is."""
    properties, failed = of(service), service.state is ProvisioningState.FAILED
    shown: dict[str, JsonValue] = properties.model_dump(mode="json", by_alias=True, exclude=_HIDDEN)
    return {
        "id": service.id.name,
        "name": service.id.name,
        **shown,
        "numReplicas": properties.replicas,
        "createdTime": answers.instant(service.created_at),
        "updatedTime": answers.instant(service.changed_at),
        "state": state(service, latest, down),
        "error": failure(latest if failed else None, down if service.state is ProvisioningState.SUCCEEDED else None),
        "scoringUri": scoring_uri(snapshot, service),
        "models": _models(snapshot, service.id.parent, properties.environment_image_request.model_ids),
        **_where(snapshot, service),
        "imageId": image_location(snapshot, service),
        "imageDigest": None,
        "deploymentStatus": None,
        "operationId": latest.id if latest is not None else None,
    }


def _where(snapshot: Snapshot, service: Resource) -> dict[str, object]:
    """What only services in container groups show (contract section 7.4). publicIp: none in a subnet."""
    if not service_groups.is_hosted(service):
        return {}
    properties, group = of(service), service_groups.group_of(snapshot, service)
    vnet = properties.vnet_configuration
    return {
        "location": group.location if group is not None else properties.location,
        "publicIp": snapshot.value(group.id, container_groups.PUBLIC_ADDRESS) if group is not None else None,
        "vnetConfiguration": vnet.model_dump(mode="json", by_alias=True) if vnet is not None else None,
        "sslKey": None,
    }


def of(service: Resource) -> serving.Service:
    assert isinstance(service.properties, serving.Service)
    return service.properties


def state(service: Resource, latest: Operation | None, down: Fault | None = None) -> str:
    """In the data plane's words: Transitioning, Healthy, Unhealthy, Failed, Unschedulable."""
    if service.state is ProvisioningState.SUCCEEDED and down is not None:
        return "Unhealthy"
    if service.state is ProvisioningState.FAILED and latest is not None and latest.code in _NO_ROOM:
        return "Unschedulable"
    return _STATES[service.state]


def failure(latest: Operation | None, down: Fault | None = None) -> dict[str, object] | None:
    """Why the newest operation failed, or why nobody reaches the service, or None."""
    if latest is None or latest.status is not Status.FAILED:
        return None if down is None else {"code": down.code, "statusCode": 503, "message": down.message, "details": []}
    return {"code": latest.code, "statusCode": 400, "message": latest.message, "details": []}


def image_location(snapshot: Snapshot, service: Resource) -> str | None:
    """`<registry>.azurecr.io/azureml/azureml_<hash>:latest`: what the replicas run from."""
    made = desired.image(snapshot, service)
    return None if made is None else f"{made.registry}/{made.repository}:{made.tag}"


def scoring_uri(snapshot: Snapshot, service: Resource) -> str | None:
    """`http://<cluster address>/api/v1/service/<name>/score` (with TLS: https and its name) once it has answered, else None.

    All services of a cluster share its address.
    """
    if service_groups.is_hosted(service):
        return service_groups.url(snapshot, service) if service.state is ProvisioningState.SUCCEEDED else None
    where = places.compute_of(service)
    cluster = snapshot.get(where) if where is not None else None
    if cluster is None or service.state is not ProvisioningState.SUCCEEDED:
        return None
    address = places.frontend_address(snapshot, cluster)
    return None if address is None else endpoints.url(cluster, address, service.id.name)


def _models(snapshot: Snapshot, workspace: ResourceId, ids: Sequence[str]) -> list[object]:
    found: list[object] = []
    for id in ids:
        name, _, version = id.rpartition(":")
        model = snapshot.get(workspace.child("models", name).child("versions", version))
        if model is not None:
            found.append(model_document(model))
    return found
