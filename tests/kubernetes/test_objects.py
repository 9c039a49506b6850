"""What a cluster holds, in Kubernetes' words: derived from a snapshot and from what is seen of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from tests import clouds
from tests.kubernetes.kube_world import CA, seen

from ringfence.api.kubernetes import objects
from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.services import INTERNAL
from ringfence.desired.state import Balancer, Observed, Readiness, Workload

Json = dict[str, Any]


def of(cluster: Cluster, kind: str, namespace: str | None = None) -> list[Json]:
    found = [d for d in objects.everything(cluster, CA) if d["kind"] == kind]
    return [d for d in found if namespace is None or d["metadata"]["namespace"] == namespace]


def one(found: Iterable[Json], name: str) -> Json:
    return next(d for d in found if d["metadata"]["name"].startswith(name))


def observed(cluster: Cluster, readiness: Readiness, code: str = "", message: str = "") -> dict[str, Observed]:
    """Every scoring process seen so."""
    items = [item for item in cluster.state if isinstance(item, Workload)]
    return {item.key: Observed(item.fingerprint, readiness, code, message) for item in items}


def test_nodes_have_the_addresses_and_the_size_of_the_cluster() -> None:
    nodes = of(seen(clouds.served_cloud()), "Node")
    assert [n["metadata"]["name"][-10:] for n in nodes] == ["vmss000000", "vmss000001", "vmss000002"]
    assert [n["status"]["addresses"][0]["address"] for n in nodes] == ["10.1.0.4", "10.1.0.35", "10.1.0.66"]
    status = nodes[0]["status"]
    assert (status["capacity"]["cpu"], status["allocatable"]["cpu"], status["capacity"]["pods"]) == ("4", "3860m", "30")
    assert [c["status"] for c in status["conditions"] if c["type"] == "Ready"] == ["True"]
    assert nodes[0]["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "Standard_D3_v2"


def test_pods_stand_on_the_nodes_that_hold_their_addresses() -> None:
    cloud = clouds.served_cloud()
    cloud.put(f"{clouds.ws_path()}/services/diabetes", clouds.service(numReplicas=3), location=None)
    cluster = seen(cloud)
    pods = of(cluster, "Pod")
    nodes = {n["metadata"]["name"]: n["status"]["addresses"][0]["address"] for n in of(cluster, "Node")}
    assert all(nodes[p["spec"]["nodeName"]] == p["status"]["hostIP"] for p in pods)
    assert len({p["status"]["podIP"] for p in pods}) == len(pods) == 5
    scoring = of(cluster, "Pod", "azureml-ws")
    assert {p["metadata"]["ownerReferences"][0]["name"] for p in scoring} == {
        r["metadata"]["name"] for r in of(cluster, "ReplicaSet", "azureml-ws")
    }
    container = scoring[0]["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "500m", "memory": "1024Mi"}
    assert {"name": "EXAMPLE_ENV_VAR", "value": "EXAMPLE_VALUE"} in container["env"]
    deployment = one(of(cluster, "Deployment"), "diabetes")
    assert (deployment["spec"]["replicas"], deployment["status"]["readyReplicas"]) == (3, 3)


@pytest.mark.parametrize(
    ("readiness", "phase", "ready", "state"),
    [
        (Readiness.READY, "Running", True, "running"),
        (Readiness.STARTING, "Running", False, "running"),
        (Readiness.FAILED, "Running", False, "waiting"),
    ],
)
def test_a_pod_is_as_ready_as_its_process(readiness: Readiness, phase: str, ready: bool, state: str) -> None:
    cloud = clouds.served_cloud()
    cluster = seen(cloud, observed(seen(cloud), readiness, "UserScriptInitFailed", "init() raised ValueError"))
    pod = of(cluster, "Pod", "azureml-ws")[0]
    container = pod["status"]["containerStatuses"][0]
    assert (pod["status"]["phase"], container["ready"], list(container["state"])) == (phase, ready, [state])
    deployment = one(of(cluster, "Deployment"), "diabetes")
    assert deployment["status"]["readyReplicas"] == int(ready)
    if readiness is Readiness.FAILED:
        assert container["state"]["waiting"] == {"reason": "UserScriptInitFailed", "message": "init() raised ValueError"}
        event = of(cluster, "Event", "azureml-ws")[0]
        assert event["involvedObject"]["uid"] == pod["metadata"]["uid"] and event["message"] == "init() raised ValueError"


def test_what_is_not_there_yet_is_pending() -> None:
    cloud = clouds.served_cloud()
    items = [item for item in seen(cloud).state if isinstance(item, Workload | Balancer)]
    cluster = seen(cloud, {item.key: Observed("0123456789abcdef") for item in items})
    pod = of(cluster, "Pod", "azureml-ws")[0]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert one(of(cluster, "Service"), "azureml-fe")["status"] == {"loadBalancer": {}}


def test_a_changed_workload_is_another_pod_and_its_replicas_are_alike() -> None:
    cloud = clouds.served_cloud()
    cloud.put(f"{clouds.ws_path()}/services/diabetes", clouds.service(numReplicas=2), location=None)
    before = of(seen(cloud), "Pod", "azureml-ws")
    cloud.put(f"{clouds.ws_path()}/services/diabetes", clouds.service(numReplicas=2, description="new"), location=None)
    assert [p["metadata"]["name"] for p in of(seen(cloud), "Pod", "azureml-ws")] == [p["metadata"]["name"] for p in before]
    cloud.put(f"{clouds.ws_path()}/services/diabetes", clouds.service(numReplicas=2, nonce="again"), location=None)
    after = of(seen(cloud), "Pod", "azureml-ws")
    assert {p["metadata"]["name"] for p in before}.isdisjoint(p["metadata"]["name"] for p in after)
    assert len({p["metadata"]["labels"]["pod-template-hash"] for p in after}) == 1


@pytest.mark.parametrize(
    ("asked", "annotations", "prefix"),
    [
        ({}, {}, "198.19."),
        ({"loadBalancerType": "InternalLoadBalancer"}, {INTERNAL: "true"}, "10.1."),
        (
            {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"},
            {INTERNAL: "true", f"{INTERNAL}-subnet": "default"},
            "10.1.",
        ),
    ],
)
def test_the_inference_router_has_the_address_of_the_load_balancer(asked: Json, annotations: Json, prefix: str) -> None:
    cloud = clouds.seed_cloud()
    cloud.put(f"{clouds.ws_path()}/computes/myaks", clouds.aks(clouds.vnet_path("mynetwork"), **asked))
    service = one(of(seen(cloud), "Service"), "azureml-fe")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"].get("annotations", {}) == annotations
    assert service["status"]["loadBalancer"]["ingress"][0]["ip"].startswith(prefix)


def test_services_lead_where_the_service_range_leads() -> None:
    cluster = seen(clouds.served_cloud())
    services = {s["metadata"]["name"]: s for s in of(cluster, "Service")}
    assert set(services) == {"kubernetes", "kube-dns", "azureml-fe", "diabetes"}
    assert services["kubernetes"]["spec"]["clusterIP"] == "10.0.0.1" and services["kube-dns"]["spec"]["clusterIP"] == "10.0.0.10"
    for endpoints in of(cluster, "Endpoints"):
        name = endpoints["metadata"]["name"]
        behind = [a["ip"] for subset in endpoints["subsets"] for a in subset["addresses"]]
        wanted = {s.target for item in cluster.state if hasattr(item, "services") for s in item.services
                  if s.address == services[name]["spec"]["clusterIP"]}  # fmt: skip
        assert set(behind) == wanted, name
        slices = [s for s in of(cluster, "EndpointSlice") if s["metadata"]["labels"]["kubernetes.io/service-name"] == name]
        assert [e["addresses"] for s in slices for e in s["endpoints"]] == [behind]


def test_every_object_has_a_place_of_its_own() -> None:
    found = list(objects.everything(seen(clouds.served_cloud()), CA))
    places = {(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in found}
    assert len(places) == len(found) == len({d["metadata"]["uid"] for d in found})
    namespaces = {d["metadata"]["name"] for d in found if d["kind"] == "Namespace"}
    assert {d["metadata"]["namespace"] for d in found if "namespace" in d["metadata"]} <= namespaces


def test_a_pod_whose_image_does_not_come_says_why() -> None:
    cloud = clouds.served_cloud()
    workload = next(item for item in seen(cloud).state if isinstance(item, Workload))
    why = Observed(
        seen(cloud).state.items[workload.image].fingerprint, Readiness.FAILED, "ImagePullBackOff", "blocked by DenyAll"
    )
    cluster = seen(cloud, {workload.image: why, workload.key: Observed("0123456789abcdef")})
    pod = of(cluster, "Pod", "azureml-ws")[0]
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ImagePullBackOff", "message": "blocked by DenyAll"}
    assert pod["status"]["phase"] == "Pending" and of(cluster, "Event")[0]["message"] == "blocked by DenyAll"
