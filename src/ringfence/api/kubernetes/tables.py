"""`kubectl get` as the server prints it: a `Table` with the columns of each kind (meta.k8s.io/v1)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.api.kubernetes.kinds import Kind

Document = Mapping[str, Any]
Cell = Callable[[Document, dt.datetime], object]


@dataclass(frozen=True, slots=True)
class Column:
    """wide: shown with `-o wide` only."""

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False

    def definition(self) -> Mapping[str, Any]:
        shown = "name" if self.name == "Name" else ""
        priority = 1 if self.wide else 0
        return {"name": self.name, "type": self.type, "format": shown, "description": "", "priority": priority}


def table(kind: Kind, documents: Sequence[Document], now: dt.datetime, whole: str, *, head: bool = True) -> dict[str, Any]:
    """whole: what stands beside the cells of each row (`includeObject`): None, Metadata or Object. head: with definitions."""
    columns = _COLUMNS.get(kind.kind, _PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [column.definition() for column in columns] if head else None,
        "rows": [_row(columns, document, now, whole) for document in documents],
    }


def _row(columns: Sequence[Column], document: Document, now: dt.datetime, whole: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {"cells": [column.cell(document, now) for column in columns]}
    if whole == "Object":
        found["object"] = document
    elif whole != "None":
        about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}
        found["object"] = about
    return found


def age(text: str, now: dt.datetime) -> str:
    """How long ago a moment was, as kubectl says it: `45s`, `5m30s`, `3h20m`, `2d3h`, `400d`."""
    seconds = max(int((now - dt.datetime.fromisoformat(text)).total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d" if days < 730 else _two(days // 365, "y", days % 365, "d")


def _two(first: int, unit: str, second: int, smaller: str) -> str:
    return f"{first}{unit}{second}{smaller}" if second else f"{first}{unit}"


def _at(path: str, default: object = "<none>") -> Cell:
    """The value at a dotted path."""

    def cell(document: Document, _: dt.datetime) -> object:
        found: Any = document
        for step in path.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return default if found is None else found

    return cell


def _pairs(path: str) -> Cell:
    def cell(document: Document, now: dt.datetime) -> object:
        found = _at(path, {})(document, now)
        assert isinstance(found, Mapping)
        return ",".join(f"{name}={value}" for name, value in sorted(found.items())) or "<none>"

    return cell


def _containers(document: Document, what: str) -> str:
    spec = document["spec"].get("template", document)["spec"]
    return ",".join(container[what] for container in spec["containers"])


def _image(document: Document, _: dt.datetime) -> object:
    return _containers(document, "image")


def _container(document: Document, _: dt.datetime) -> object:
    return _containers(document, "name")


def _ready_pods(document: Document, _: dt.datetime) -> object:
    statuses = document["status"]["containerStatuses"]
    return f"{sum(1 for one in statuses if one['ready'])}/{len(statuses)}"


def _pod_status(document: Document, _: dt.datetime) -> object:
    waiting = [one["state"]["waiting"]["reason"] for one in document["status"]["containerStatuses"] if "waiting" in one["state"]]
    return waiting[0] if waiting else document["status"]["phase"]


def _node_status(document: Document, _: dt.datetime) -> object:
    ready = next(one["status"] for one in document["status"]["conditions"] if one["type"] == "Ready")
    return "Ready" if ready == "True" else "NotReady"


def _roles(document: Document, _: dt.datetime) -> object:
    prefix = "node-role.kubernetes.io/"
    found = sorted(name.removeprefix(prefix) for name in document["metadata"]["labels"] if name.startswith(prefix))
    return ",".join(found) or "<none>"


def _internal_ip(document: Document, _: dt.datetime) -> object:
    return next((one["address"] for one in document["status"]["addresses"] if one["type"] == "InternalIP"), "<none>")


def _external_ip(document: Document, _: dt.datetime) -> object:
    if document["spec"]["type"] != "LoadBalancer":
        return "<none>"
    found = [one["ip"] for one in document["status"]["loadBalancer"].get("ingress", [])]
    return ",".join(found) or "<pending>"


def _ports(document: Document, _: dt.datetime) -> object:
    return ",".join(f"{port['port']}/{port['protocol']}" for port in document["spec"]["ports"])


def _addresses(document: Document, _: dt.datetime) -> object:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in document["subsets"]
        for port in subset["ports"]
        for address in subset.get("addresses", [])
    ]
    return ",".join(found) or "<none>"


def _slice_ports(document: Document, _: dt.datetime) -> object:
    return ",".join(str(port["port"]) for port in document["ports"])


def _slice_addresses(document: Document, _: dt.datetime) -> object:
    return ",".join(address for one in document["endpoints"] for address in one["addresses"]) or "<unset>"


def _deployed(document: Document, _: dt.datetime) -> object:
    return f"{document['status']['readyReplicas']}/{document['spec']['replicas']}"


def _involved(document: Document, _: dt.datetime) -> object:
    about = document["involvedObject"]
    return f"{about['kind'].lower()}/{about['name']}"


def _entries(document: Document, _: dt.datetime) -> object:
    return len(document.get("data", {}))


def _since(path: str) -> Cell:
    def cell(document: Document, now: dt.datetime) -> object:
        return age(str(_at(path, "")(document, now)), now)

    return cell


_NAME = Column("Name", _at("metadata.name"))
_AGE = Column("Age", _since("metadata.creationTimestamp"))
_PLAIN = (_NAME, _AGE)
_TEMPLATE = (
    Column("Containers", _container, wide=True),
    Column("Images", _image, wide=True),
    Column("Selector", _pairs("spec.selector.matchLabels"), wide=True),
)
_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Node": (
        _NAME,
        Column("Status", _node_status),
        Column("Roles", _roles),
        _AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _internal_ip, wide=True),
        Column("External-IP", lambda _, __: "<none>", wide=True),
        Column("OS-Image", _at("status.nodeInfo.osImage"), wide=True),
        Column("Kernel-Version", _at("status.nodeInfo.kernelVersion"), wide=True),
        Column("Container-Runtime", _at("status.nodeInfo.containerRuntimeVersion"), wide=True),
    ),
    "Pod": (
        _NAME,
        Column("Ready", _ready_pods),
        Column("Status", _pod_status),
        Column("Restarts", lambda d, _: str(sum(one["restartCount"] for one in d["status"]["containerStatuses"]))),
        _AGE,
        Column("IP", _at("status.podIP"), wide=True),
        Column("Node", _at("spec.nodeName"), wide=True),
        Column("Nominated Node", lambda _, __: "<none>", wide=True),
        Column("Readiness Gates", lambda _, __: "<none>", wide=True),
    ),
    "Service": (
        _NAME,
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", _external_ip),
        Column("Port(s)", _ports),
        _AGE,
        Column("Selector", _pairs("spec.selector"), wide=True),
    ),
    "Namespace": (_NAME, Column("Status", _at("status.phase")), _AGE),
    "Endpoints": (_NAME, Column("Endpoints", _addresses), _AGE),
    "EndpointSlice": (
        _NAME,
        Column("AddressType", _at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_addresses),
        _AGE,
    ),
    "Deployment": (
        _NAME,
        Column("Ready", _deployed),
        Column("Up-to-date", _at("status.updatedReplicas"), "integer"),
        Column("Available", _at("status.availableReplicas"), "integer"),
        _AGE,
        *_TEMPLATE,
    ),
    "ReplicaSet": (
        _NAME,
        Column("Desired", _at("spec.replicas"), "integer"),
        Column("Current", _at("status.replicas"), "integer"),
        Column("Ready", _at("status.readyReplicas"), "integer"),
        _AGE,
        *_TEMPLATE,
    ),
    "Event": (
        Column("Last Seen", _since("lastTimestamp")),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _involved),
        Column("Message", _at("message")),
        Column("Name", _at("metadata.name"), wide=True),
    ),
    "ConfigMap": (_NAME, Column("Data", _entries, "integer"), _AGE),
    "Secret": (_NAME, Column("Type", _at("type")), Column("Data", _entries, "integer"), _AGE),
    "ServiceAccount": (_NAME, Column("Secrets", lambda _, __: 0, "integer"), _AGE),
}
