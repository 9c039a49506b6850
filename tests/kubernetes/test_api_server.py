"""The API server over HTTP, as the administrator: what it serves, how it lists, selects, pages, prints and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kubernetes.kube_world import World

from ringfence.model.compute import KUBERNETES_VERSION

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def get(world: World, path: str, **headers: str) -> Any:
    answer = world.server(**headers).get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(document: Any) -> list[str]:
    return [item["metadata"]["name"] for item in document["items"]]


def test_version_and_health_are_open_and_nothing_else_is(world: World) -> None:
    client = world.server()
    del client.headers["Authorization"]
    for path in ("/version", "/version/"):
        assert client.get(path).json()["gitVersion"] == f"v{KUBERNETES_VERSION}"
    assert [client.get(path).text for path in ("/healthz", "/livez", "/readyz")] == ["ok"] * 3
    for method, path in (("GET", "/"), ("GET", "/api"), ("GET", "/api/v1/nodes"), ("DELETE", "/apis/apps/v1/deployments")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["kind"], answer.json()["reason"]) == (401, "Status", "Unauthorized")


def test_what_is_discovered_is_served(world: World) -> None:
    groups = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in get(world, "/apis")["groups"])]
    seen = set()
    for group in groups:
        for resource in get(world, group)["resources"]:
            if "list" in resource["verbs"]:
                found = get(world, f"{group}/{resource['name']}")
                assert found["kind"] == f"{resource['kind']}List"
                seen.add(resource["kind"])
                assert all(item["kind"] == resource["kind"] for item in found["items"])
    assert {"Node", "Pod", "Service", "Namespace", "Endpoints", "EndpointSlice", "Deployment", "ReplicaSet", "Event"} <= seen


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_discovery_is_aggregated_for_those_who_ask(world: World, version: str) -> None:
    accept = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for path in ("/api", "/apis"):
        answer = world.server(accept=accept).get(path)
        assert answer.headers["content-type"] == accept
        items = answer.json()["items"]
        plain = {r["kind"] for item in items for v in item["versions"] for r in [x["responseKind"] for x in v["resources"]]}
        assert plain and answer.json()["apiVersion"] == f"apidiscovery.k8s.io/{version}"


def test_openapi_knows_each_kind(world: World) -> None:
    for path, at in get(world, "/openapi/v3")["paths"].items():
        described = get(world, at["serverRelativeURL"])
        assert described["openapi"].startswith("3.") and described["paths"], path
        assert all("x-kubernetes-group-version-kind" in schema for schema in described["components"]["schemas"].values())


def test_lists_are_of_a_namespace_or_of_all(world: World) -> None:
    everything = get(world, "/api/v1/pods")
    assert len(everything["items"]) == 3 and everything["apiVersion"] == "v1"
    assert [name[:8] for name in names(get(world, "/api/v1/namespaces/azureml-ws/pods"))] == ["diabetes"]
    assert names(get(world, "/api/v1/namespaces/nowhere/pods")) == []
    pod = everything["items"][0]
    at = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    assert get(world, at) == pod
    assert len(names(get(world, "/api/v1/nodes"))) == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("labelSelector=isazuremlapp%3Dtrue", ["diabetes"]),
        ("labelSelector=azuremlappname", ["azureml-", "diabetes"]),
        ("labelSelector=!azuremlappname", ["coredns-"]),
        ("labelSelector=azuremlappname+in+(diabetes,x)", ["diabetes"]),
        ("labelSelector=azuremlappname+notin+(diabetes)", ["azureml-", "coredns-"]),
        ("labelSelector=azuremlappname!%3Ddiabetes,azuremlappname", ["azureml-"]),
        ("fieldSelector=metadata.namespace%3Dkube-system", ["coredns-"]),
        ("fieldSelector=status.phase!%3DRunning", []),
        ("fieldSelector=metadata.namespace%3Dkube-system,status.phase%3DPending", []),
    ],
)
def test_selectors(world: World, query: str, found: list[str]) -> None:
    assert sorted(name[:8] for name in names(get(world, f"/api/v1/pods?{query}"))) == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("labelSelector=a+b", "unable to parse requirement"),
        ("fieldSelector=spec.nothing%3Dx", "field label not supported: spec.nothing"),
        ("fieldSelector=x", "invalid selector"),
        ("limit=x", "ParseInt"),
        ("continue=x&limit=1", "continue key is not valid"),
    ],
)
def test_bad_selections_are_named(world: World, query: str, words: str) -> None:
    answer = world.server().get(f"/api/v1/pods?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest") and words in answer.json()["message"]


def test_pages_make_up_the_whole(world: World) -> None:
    spaces = ("default", "kube-system", "azureml-ws")
    whole = [name for space in spaces for name in names(get(world, f"/api/v1/namespaces/{space}/services"))]
    found, after, left = [], "", []
    while True:
        page = get(world, f"/api/v1/services?limit=1&continue={after}")
        found += names(page)
        after = page["metadata"].get("continue", "")
        if not after:
            break
        left.append(page["metadata"]["remainingItemCount"])
    assert sorted(found) == sorted(whole) and left == [3, 2, 1]


def test_tables_have_a_cell_for_each_column(world: World) -> None:
    for group in ("/api/v1", "/apis/apps/v1", "/apis/discovery.k8s.io/v1"):
        for resource in get(world, group)["resources"]:
            if "list" in resource["verbs"]:
                table = get(world, f"{group}/{resource['name']}", accept=TABLE)
                width = len(table["columnDefinitions"])
                assert table["kind"] == "Table" and all(len(row["cells"]) == width for row in table["rows"]), resource
    nodes = get(world, "/api/v1/nodes", accept=TABLE)
    assert nodes["rows"][0]["cells"][1] == "Ready" and nodes["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = get(world, "/api/v1/nodes?includeObject=Object", accept=TABLE)
    assert whole["rows"][0]["object"]["status"]["addresses"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/namespaces/default/pods/nope", 'pods "nope" not found'),
        ("/apis/apps/v1/namespaces/default/deployments/nope", 'deployments.apps "nope" not found'),
        ("/api/v1/namespaces/default/pods/nope/log", 'pods "nope" not found'),
        ("/api/v1/widgets", "the server could not find the requested resource"),
        ("/apis/nothing.io/v1/widgets", "the server could not find the requested resource"),
        ("/api/v1/namespaces/default/nodes", "the server could not find the requested resource"),
        ("/nothing", "the server could not find the requested resource"),
    ],
)
def test_what_is_not_there_is_not_found(world: World, path: str, message: str) -> None:
    answer = world.server().get(path)
    assert (answer.status_code, answer.json()["kind"], answer.json()["message"]) == (404, "Status", message)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/api/v1/namespaces/default/pods", "create of pods"),
        ("DELETE", "/api/v1/nodes/x", "delete of nodes"),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/x", "patch of deployments.apps"),
        ("DELETE", "/api/v1/namespaces/default/pods", "deletecollection of pods"),
        ("POST", "/api/v1/namespaces/default/pods/x/exec", "create of pods/exec"),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "list of selfsubjectaccessreviews"),
    ],
)
def test_what_the_engine_does_not_do_is_said(world: World, method: str, path: str, words: str) -> None:
    answer = world.server().request(method, path, json={})
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")
    assert words in answer.json()["message"] and "Azure Machine Learning" in answer.json()["message"]


def test_logs_are_what_the_process_printed(world: World) -> None:
    name = names(get(world, "/api/v1/namespaces/azureml-ws/pods"))[0]
    at = f"/api/v1/namespaces/azureml-ws/pods/{name}/log"
    client = world.server()
    whole = client.get(at)
    assert whole.headers["content-type"].startswith("text/plain") and whole.text.startswith("pod/")
    assert client.get(f"{at}?container=diabetes&tailLines=1&sinceSeconds=3600").text == whole.text
    assert client.get(f"{at}?tailLines=0").text == "" and client.get(f"{at}?limitBytes=3").text == "pod"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("container=other", "container other is not valid for pod"),
        ("previous=true", "previous terminated container"),
        ("timestamps=true", "without their times"),
        ("sinceSeconds=0", "without their times"),
        ("sinceTime=yesterday", "is no time"),
        ("tailLines=-1", "greater than or equal to 0"),
    ],
)
def test_logs_that_nobody_has_are_refused(world: World, query: str, words: str) -> None:
    name = names(get(world, "/api/v1/namespaces/azureml-ws/pods"))[0]
    answer = world.server().get(f"/api/v1/namespaces/azureml-ws/pods/{name}/log?{query}")
    assert answer.status_code == 400 and words in answer.json()["message"]


def test_nobody_acts_as_another(world: World) -> None:
    answer = world.server(impersonate_user="bob").get("/api/v1/pods")
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden") and '"bob"' in answer.json()["message"]
