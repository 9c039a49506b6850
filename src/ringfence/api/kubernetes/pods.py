"""Pods, and the deployments and replica sets that stand for why they are there.

A pod's name carries the hash of what runs in it, so a workload that is replaced is another pod.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.api.kubernetes.cluster import Cluster, Seen, template_hash
from ringfence.api.kubernetes.metadata import about, moment
from ringfence.desired.state import Readiness, Workload
from ringfence.model import serving
from ringfence.model.resource import Resource
from ringfence.policy import endpoints, places
from ringfence.policy.places import Place

Document = dict[str, Any]

#: The letters of Kubernetes' own names: no vowels, nothing that looks like another.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
ROUTER, RESOLVER = "azureml-fe", "coredns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The pods of one deployment. source: the resource they follow from. port: (name, protocol, number)."""

    name: str
    namespace: str
    source: Resource
    labels: Mapping[str, str]
    container: str
    image: str
    port: tuple[str, str, int]
    resources: Mapping[str, Mapping[str, str]]
    environment: tuple[tuple[str, str], ...]
    wanted: int
    members: Sequence[tuple[Place, Seen]]

    @property
    def hash(self) -> str:
        """Of the version that runs, as in names of replica sets."""
        first = self.members[0][1] if self.members else Seen(None, None)
        return spelled(f"{self.name}|{template_hash(first)}", 10)

    def pod_name(self, place: Place) -> str:
        return f"{self.name}-{self.hash}-{spelled(f'{self.source.guid()}|{self.hash}|{place.number}', 5)}"

    @property
    def ready(self) -> int:
        return sum(1 for _, seen in self.members if seen.ready)


def spelled(text: str, letters: int) -> str:
    """A short name that stands for a text."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in hashlib.sha256(text.encode()).digest()[:letters])


def everything(cluster: Cluster) -> Iterator[Document]:
    for group in groups(cluster):
        yield _deployment(group)
        yield _replica_set(group)
        for place, seen in group.members:
            pod = _pod(cluster, group, place, seen)
            yield pod
            yield from _events(cluster, group, pod, seen)


def groups(cluster: Cluster) -> Iterator[Group]:
    """The inference router, the resolver, and each scoring service."""
    if (place := cluster.router) is not None:
        port = ("http", "TCP", cluster.frontend.port if cluster.frontend is not None else endpoints.HTTP_PORT)
        yield _own(cluster, ROUTER, "default", place, cluster.router_seen(), port)
    if (place := cluster.resolver) is not None:
        yield _own(cluster, RESOLVER, "kube-system", place, cluster.resolver_seen(), ("dns", "UDP", 53))
    for service, properties, here in cluster.services():
        yield _scoring(cluster, service, properties, here)


def place_of(cluster: Cluster, namespace: str, name: str) -> tuple[Group, Place] | None:
    """The group and the place of a pod, by its name."""
    for group in groups(cluster):
        for place, _ in group.members:
            if group.namespace == namespace and group.pod_name(place) == name:
                return group, place
    return None


def _own(cluster: Cluster, name: str, namespace: str, place: Place, seen: Seen, port: tuple[str, str, int]) -> Group:
    app = {"k8s-app": "kube-dns"} if name == RESOLVER else {"azuremlappname": ROUTER}
    return Group(
        name=name,
        namespace=namespace,
        source=cluster.snapshot.need(place.owner),
        labels=app,
        container=name,
        image=f"ringfence/{name}",
        port=port,
        resources={},
        environment=(),
        wanted=1,
        members=((place, seen),),
    )


def _scoring(cluster: Cluster, service: Resource, asked: serving.Service, here: Sequence[Place]) -> Group:
    name, needs = service.id.name.lower(), asked.container_resource_requirements
    limits = {
        "cpu": _cpu(needs.cpu_limit) if needs.cpu_limit else "",
        "memory": _memory(needs.memory_in_gb_limit) if needs.memory_in_gb_limit else "",
    }
    members = tuple((place, cluster.replica(place)) for place in here)
    first = members[0][1].item if members else None
    return Group(
        name=name,
        namespace=cluster.namespaces[0],
        source=service,
        labels={"azuremlappname": name, "isazuremlapp": "true"},
        container=name,
        image=first.image if isinstance(first, Workload) else "",
        port=("http", "TCP", places.SCORING_PORT),
        resources={
            "requests": {"cpu": _cpu(needs.cpu), "memory": _memory(needs.memory_in_gb)},
            "limits": {what: value for what, value in limits.items() if value},
        },
        environment=first.variables if isinstance(first, Workload) else (),
        wanted=asked.replicas,
        members=members,
    )


def _cpu(cores: float) -> str:
    return f"{round(cores * 1000)}m"


def _memory(gigabytes: float) -> str:
    return f"{round(gigabytes * 1024)}Mi"


def _template(group: Group) -> Document:
    labels = {**group.labels, "pod-template-hash": group.hash}
    name, protocol, number = group.port
    container: Document = {
        "name": group.container,
        "image": group.image,
        "ports": [{"name": name, "containerPort": number, "protocol": protocol}],
        "resources": {what: value for what, value in group.resources.items() if value},
        "imagePullPolicy": "IfNotPresent",
    }
    if group.environment:
        container["env"] = [{"name": variable, "value": value} for variable, value in group.environment]
    spec = {
        "containers": [container],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "schedulerName": "default-scheduler",
    }
    return {"metadata": {"labels": labels}, "spec": spec}


def _deployment(group: Group) -> Document:
    ready, is_there = group.ready, group.ready >= group.wanted
    since = moment(group.source.changed_at)
    conditions = [
        {
            "type": "Available",
            "status": "True" if is_there else "False",
            "reason": "MinimumReplicasAvailable" if is_there else "MinimumReplicasUnavailable",
            "message": f"Deployment {'has' if is_there else 'does not have'} minimum availability.",
            "lastUpdateTime": since,
            "lastTransitionTime": since,
        }
    ]
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": about(group.source, "Deployment", group.name, group.namespace, group.labels, generation=1),
        "spec": {
            "replicas": group.wanted,
            "selector": {"matchLabels": dict(group.labels)},
            "template": _template(group),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        },
        "status": {"observedGeneration": 1, **_counts(group), "conditions": conditions}
        | ({} if ready == group.wanted else {"unavailableReplicas": group.wanted - ready}),
    }


def _replica_set(group: Group) -> Document:
    name = f"{group.name}-{group.hash}"
    labels = {**group.labels, "pod-template-hash": group.hash}
    counts = {what: value for what, value in _counts(group).items() if what != "updatedReplicas"}
    owner = _controller("apps/v1", "Deployment", group.name, group)
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": about(group.source, "ReplicaSet", name, group.namespace, labels, generation=1, ownerReferences=[owner]),
        "spec": {"replicas": group.wanted, "selector": {"matchLabels": labels}, "template": _template(group)},
        "status": {"observedGeneration": 1, **counts},
    }


def _counts(group: Group) -> Document:
    ready = group.ready
    return {
        "replicas": len(group.members),
        "updatedReplicas": len(group.members),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }


def _controller(api_version: str, kind: str, name: str, group: Group) -> Document:
    uid = group.source.guid(f"{kind}/{group.namespace}/{name}")
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}


def _pod(cluster: Cluster, group: Group, place: Place, seen: Seen) -> Document:
    node, since = cluster.node_of(place.address), moment(group.source.changed_at)
    owner = _controller("apps/v1", "ReplicaSet", f"{group.name}-{group.hash}", group)
    template = _template(group)
    found = about(
        group.source, "Pod", group.pod_name(place), group.namespace, template["metadata"]["labels"], ownerReferences=[owner]
    )
    spec = dict(template["spec"])
    if node is not None:
        spec["nodeName"] = node.name
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {**found, "creationTimestamp": since, "generateName": f"{group.name}-{group.hash}-"},
        "spec": spec,
        "status": {
            "phase": _phase(seen),
            "conditions": [
                {"type": type, "status": "True" if holds else "False", "lastTransitionTime": since}
                for type, holds in (
                    ("PodScheduled", node is not None),
                    ("Initialized", True),
                    ("ContainersReady", seen.ready),
                    ("Ready", seen.ready),
                )
            ],
            "hostIP": node.address if node is not None else "",
            "podIP": place.address,
            "podIPs": [{"ip": place.address}],
            "startTime": since,
            "qosClass": "Burstable" if group.resources else "BestEffort",
            "containerStatuses": [_container(group, seen, since)],
        },
    }


def _phase(seen: Seen) -> str:
    if not seen.current or seen.observed is None:
        return "Pending"
    return "Running"


def _container(group: Group, seen: Seen, since: str) -> Document:
    started = seen.current and seen.observed is not None and seen.observed.readiness is not Readiness.FAILED
    return {
        "name": group.container,
        "image": group.image,
        "imageID": "",
        "ready": seen.ready,
        "started": started,
        "restartCount": 0,
        "state": {"running": {"startedAt": since}} if started else {"waiting": _waiting(seen)},
        "lastState": {},
    }


def _waiting(seen: Seen) -> Document:
    if seen.current and seen.observed is not None and seen.observed.readiness is Readiness.FAILED:
        return {"reason": seen.observed.code or "CrashLoopBackOff", "message": seen.observed.message}
    if seen.held is not None:
        return {"reason": seen.held.code or "ImagePullBackOff", "message": seen.held.message}
    return {"reason": "ContainerCreating"}


def _events(cluster: Cluster, group: Group, pod: Document, seen: Seen) -> Iterator[Document]:
    """Why a pod does not run."""
    observed = seen.held or seen.observed
    if observed is None or observed.readiness is not Readiness.FAILED or (seen.held is None and not seen.current):
        return
    about_pod, since = pod["metadata"], moment(group.source.changed_at)
    name = f"{about_pod['name']}.{spelled(observed.message, 12)}"
    yield {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": about(group.source, "Event", name, group.namespace),
        "involvedObject": {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": group.namespace,
            "name": about_pod["name"],
            "uid": about_pod["uid"],
        },
        "type": "Warning",
        "reason": observed.code or "BackOff",
        "message": observed.message,
        "source": {"component": "kubelet", "host": pod["spec"].get("nodeName", "")},
        "firstTimestamp": since,
        "lastTimestamp": since,
        "count": 1,
        "reportingComponent": "kubelet",
        "reportingInstance": pod["spec"].get("nodeName", ""),
    }
