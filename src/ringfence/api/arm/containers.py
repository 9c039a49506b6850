"""What documents of container groups show: the group without its secrets, its address, and how each container is.

What can be asked of a group beside reading and writing it is `container_actions`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ringfence.desired import ml as desired
from ringfence.drivers.base import Instance
from ringfence.model import containers, network
from ringfence.model.resource import Properties, Resource, Snapshot
from ringfence.policy import container_groups

Document = dict[str, Any]


def visible(properties: Properties) -> Properties:
    """What a document may show of any resource's properties."""
    return containers.secret_free(properties) if isinstance(properties, containers.ContainerGroup) else properties


def of_container_group(snapshot: Snapshot, resource: Resource) -> Mapping[str, Any]:
    asked = container_groups.of(resource)
    found: Document = {"sku": asked.sku or "Standard", "initContainers": []}
    if asked.ip_address is not None:
        shown = asked.ip_address.model_dump(mode="json", by_alias=True, exclude_none=True)
        address, name = container_groups.address(snapshot, resource), container_groups.host_name(resource)
        shown |= {"ip": address} if address is not None else {}
        found["ipAddress"] = shown | ({"fqdn": name} if name is not None else {})
    service = snapshot.get(resource.managed_by) if container_groups.serves(snapshot, resource) and resource.managed_by else None
    made = desired.image(snapshot, service) if service is not None else None
    if made is not None:
        inner = asked.containers[0].properties.model_copy(update={"image": f"{made.registry}/{made.repository}:{made.tag}"})
        whole = asked.containers[0].model_copy(update={"properties": inner})
        found["containers"] = [whole.model_dump(mode="json", by_alias=True, exclude_none=True)]
    return found


def of_network_profile(snapshot: Snapshot, profile: Resource) -> Mapping[str, Any]:
    users = [
        r for r in snapshot.of_type(containers.CONTAINER_GROUP)
        if (used := container_groups.of(r).network_profile) is not None and used.key == profile.key
    ]  # fmt: skip
    return {
        "resourceGuid": profile.guid("resource"),
        "containerNetworkInterfaces": [{"id": f"{profile.id}/containerNetworkInterfaces/{r.id.name}"} for r in users],
    }


def association_links(snapshot: Snapshot, subnet: Resource) -> list[Document]:
    """The mark that container groups leave on a subnet while they use it (RULES.md section 7)."""
    assert isinstance(subnet.properties, network.Subnet)
    if not container_groups.in_subnet(snapshot, subnet.id):
        return []
    properties = {
        "provisioningState": "Succeeded",
        "linkedResourceType": containers.DELEGATION,
        "link": f"/subscriptions/{subnet.id.subscription}/providers/{containers.DELEGATION}",
        "enabledForArmDeployments": False,
        "allowDelete": False,
        "locations": [],
    }
    return [
        {
            "name": "acisal",
            "id": f"{subnet.id}/serviceAssociationLinks/acisal",
            "etag": f'W/"{subnet.etag}"',
            "type": "Microsoft.Network/virtualNetworks/subnets/serviceAssociationLinks",
            "properties": properties,
        }
    ]


def with_instances(shown: Document, resource: Resource, instances: Mapping[str, Instance]) -> Document:
    """The document of a group with what is seen of its containers. instances: by the container's name."""
    properties = dict(shown["properties"])
    properties["containers"] = [
        one | {"properties": one["properties"] | {"instanceView": _view(instances.get(one["name"]))}}
        for one in properties["containers"]
    ]
    properties["instanceView"] = {"events": [], "state": state(resource, list(instances.values()))}
    return shown | {"properties": properties}


def state(resource: Resource, instances: list[Instance]) -> str:
    """Of the whole group, in the words of container-instances-container-state."""
    if container_groups.of(resource).run.stopped:
        return "Stopped"
    if not instances or any(one.state == "Waiting" for one in instances):
        return "Pending"
    if any(one.state == "Running" for one in instances):
        return "Running"
    return "Failed" if any(one.exit_code for one in instances) else "Succeeded"


def _view(instance: Instance | None) -> Document:
    if instance is None:
        return {"restartCount": 0, "currentState": {"state": "Waiting", "detailStatus": ""}, "events": []}
    found: Document = {"restartCount": instance.restarts, "currentState": _state(instance), "events": []}
    if instance.previous is not None:
        found["previousState"] = _state(instance.previous)
    if instance.began is not None:
        starts = instance.restarts + 1
        found["events"] = [_event("Started", "Started container", starts, instance.began)]
    return found


def _state(instance: Instance) -> Document:
    found: Document = {"state": instance.state, "detailStatus": instance.detail}
    for name, value in (("startTime", instance.began), ("finishTime", instance.ended)):
        if value is not None:
            found[name] = _instant(value)
    if instance.exit_code is not None:
        found["exitCode"] = instance.exit_code
    return found


def _event(name: str, message: str, count: int, at: float) -> Document:
    return {
        "name": name,
        "type": "Normal",
        "count": count,
        "firstTimestamp": _instant(at),
        "lastTimestamp": _instant(at),
        "message": message,
    }


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
