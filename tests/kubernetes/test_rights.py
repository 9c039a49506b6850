"""What a user may do: everybody, the cluster's own accounts, administrators' groups, and Azure RBAC for Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests import clouds
from tests.kubernetes.kube_world import SOMEBODY, World, assignment, managed_cluster, seen, with_entra

from ringfence.api.kubernetes import protobuf
from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.identity import AUTHENTICATED, User
from ringfence.api.kubernetes.rights import Attributes, decide
from ringfence.policy.access import Caller

READER, WRITER, ADMIN, CLUSTER_ADMIN = (
    f"Azure Kubernetes Service RBAC {word}" for word in ("Reader", "Writer", "Admin", "Cluster Admin")
)
SOMEONE = Caller(object_id=SOMEBODY, client_id="client", groups=frozenset({"0000-group"}))


def user(caller: Caller | None = SOMEONE) -> User:
    return User(name=SOMEBODY, groups=(AUTHENTICATED,), caller=caller)


def cluster(*roles: tuple[str, str], **profile: object) -> Cluster:
    """roles: names and where, below the cluster's id."""
    cloud = clouds.served_cloud()
    cloud.snapshot = with_entra(cloud.snapshot, **({"enableAzureRBAC": True} | profile))
    id = managed_cluster(cloud.snapshot).id
    cloud.snapshot = cloud.snapshot.changed([assignment(name, f"{id}{where}") for name, where in roles])
    return seen(cloud)


def asked(verb: str, resource: str, namespace: str = "", group: str = "", subresource: str = "") -> Attributes:
    return Attributes(verb=verb, resource=resource, namespace=namespace, group=group, subresource=subresource)


@pytest.mark.parametrize(
    ("role", "attributes", "allowed"),
    [
        (READER, asked("list", "pods", "default"), True),
        (READER, asked("get", "pods", "default", subresource="log"), True),
        (READER, asked("watch", "deployments", "default", "apps"), True),
        (READER, asked("list", "deployments", "default"), False),
        (READER, asked("list", "secrets", "default"), False),
        (READER, asked("list", "nodes"), False),
        (READER, asked("create", "pods", "default"), False),
        (READER, asked("create", "pods", "default", subresource="exec"), False),
        (READER, asked("*", "pods", "default"), False),
        (WRITER, asked("create", "pods", "default"), True),
        (WRITER, asked("deletecollection", "deployments", "default", "apps"), True),
        (WRITER, asked("list", "secrets", "default"), True),
        (WRITER, asked("create", "pods", "default", subresource="exec"), True),
        (WRITER, asked("list", "nodes"), False),
        (ADMIN, asked("list", "pods", "default"), True),
        (CLUSTER_ADMIN, asked("list", "nodes"), True),
        (CLUSTER_ADMIN, asked("*", "*"), True),
        (CLUSTER_ADMIN, Attributes(verb="get", path="/metrics"), True),
        (READER, Attributes(verb="get", path="/metrics"), False),
        (CLUSTER_ADMIN, asked("approve", "pods", "default"), False),
    ],
)
def test_azure_roles_decide(role: str, attributes: Attributes, allowed: bool) -> None:
    decision = decide(cluster((role, "")), user(), attributes)
    assert decision.allowed is allowed
    assert ("Update role assignment" in decision.reason) is not allowed
    assert not decide(cluster(), user(), attributes).allowed


def test_a_role_in_a_namespace_holds_in_that_namespace() -> None:
    here = cluster((READER, "/namespaces/azureml-ws"))
    assert decide(here, user(), asked("list", "pods", "azureml-ws")).allowed
    for namespace in ("azureml-ws2", "default", ""):
        assert not decide(here, user(), asked("list", "pods", namespace)).allowed


def test_without_azure_rbac_administrators_are_in_groups() -> None:
    admins = cluster((CLUSTER_ADMIN, ""), enableAzureRBAC=False, adminGroupObjectIDs=["0000-GROUP"])
    assert decide(admins, user(), asked("delete", "nodes")).allowed
    others = cluster((CLUSTER_ADMIN, ""), enableAzureRBAC=False, adminGroupObjectIDs=["1111-group"])
    assert not decide(others, user(), asked("list", "pods", "default")).allowed


def test_everybody_may_look_around_and_ask_what_they_may() -> None:
    nobody = User(name="system:serviceaccount:azureml-ws:default", groups=(AUTHENTICATED,))
    for path in ("/api", "/apis/apps/v1", "/openapi/v3", "/version"):
        assert decide(cluster(), nobody, Attributes(verb="get", path=path)).allowed
    assert decide(cluster(), nobody, asked("create", "selfsubjectaccessreviews", group="authorization.k8s.io")).allowed
    for attributes in (asked("list", "pods"), Attributes(verb="get", path="/apisx"), Attributes(verb="post", path="/api")):
        assert not decide(cluster(), nobody, attributes).allowed


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/nodes", 'nodes is forbidden: User "{}" cannot list resource "nodes" in API group "" at the cluster scope'),
        (
            "/api/v1/namespaces/default/pods/x/log",
            'pods "x" is forbidden: User "{}" cannot get resource "pods/log" in API group "" in the namespace "default"',
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments?watch=true",
            'deployments.apps is forbidden: User "{}" cannot watch resource "deployments" in API group "apps" '
            'in the namespace "default"',
        ),
        ("/metrics", 'forbidden: User "{}" cannot get path "/metrics"'),
    ],
)
def test_a_refusal_is_in_kubernetes_words(monkeypatch: pytest.MonkeyPatch, world: World, path: str, words: str) -> None:
    snapshot = with_entra(world.engine.snapshot(), enableAzureRBAC=True)
    monkeypatch.setattr(world.engine, "snapshot", lambda: snapshot)
    answer = world.server(Authorization=world.token()).get(path)
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    why = "User does not have access to the resource in Azure. Update role assignment to allow access."
    assert answer.json()["message"] == f"{words.format(SOMEBODY)}: {why}"


def test_a_grant_in_azure_opens_the_server(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    snapshot = with_entra(world.engine.snapshot(), enableAzureRBAC=True)
    snapshot = snapshot.changed([assignment(READER, f"{world.cluster.id}/namespaces/azureml-ws")])
    monkeypatch.setattr(world.engine, "snapshot", lambda: snapshot)
    client = world.server(Authorization=world.token())
    assert len(client.get("/api/v1/namespaces/azureml-ws/pods").json()["items"]) == 1
    assert client.get("/api/v1/namespaces/default/pods").status_code == 403
    assert client.get("/api/v1/namespaces/azureml-ws/secrets").status_code == 403
    assert client.post("/api/v1/namespaces/azureml-ws/pods", json={}).status_code == 403
    wrong = world.server(Authorization=world.token("https://management.azure.com/"))
    assert wrong.get("/api/v1/namespaces/azureml-ws/pods").status_code == 401


def review(world: World, kind: str, group: str, spec: dict[str, Any], **headers: str) -> Any:
    answer = world.server(**headers).post(f"/apis/{group}/v1/{kind.lower()}s", json={"kind": kind, "spec": spec})
    assert answer.status_code == 201, answer.text
    return answer.json()["status"]


def test_reviews_say_what_may_be_done(world: World) -> None:
    pods = {"verb": "list", "resource": "pods", "namespace": "default"}
    found = review(world, "SelfSubjectAccessReview", "authorization.k8s.io", {"resourceAttributes": pods})
    assert found == {"allowed": True}
    found = review(
        world, "SelfSubjectAccessReview", "authorization.k8s.io", {"nonResourceAttributes": {"verb": "get", "path": "/x"}}
    )
    assert found == {"allowed": True}
    rules = review(world, "SelfSubjectRulesReview", "authorization.k8s.io", {"namespace": "default"})["resourceRules"]
    assert {"verbs": rules[0]["verbs"], "apiGroups": [""], "resources": ["pods"]} in rules
    who = review(world, "SelfSubjectReview", "authentication.k8s.io", {})["userInfo"]
    assert who["username"] == "masterclient" and "system:masters" in who["groups"]
    answer = world.server().post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json={"spec": {}})
    assert answer.status_code == 400


def test_a_review_may_be_written_in_protocol_buffers(world: World) -> None:
    """The bytes that kubectl 1.33 sends for `auth can-i list pods -n azureml-ws`."""
    body = Path(__file__).with_name("can_i_list_pods.bin").read_bytes()
    assert protobuf.review(body, "SelfSubjectAccessReview")["spec"]["resourceAttributes"] == {
        "namespace": "azureml-ws",
        "verb": "list",
        "group": "",
        "version": "",
        "resource": "pods",
        "subresource": "",
        "name": "",
    }
    client = world.server(content_type=protobuf.MEDIA_TYPE)
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert client.post(path, content=body).json()["status"]["allowed"] is True
    for broken in (b"", body[4:], body[:-9], body[:20] + b"\xff" * 40):
        answer = client.post(path, content=broken)
        assert answer.status_code == 400 and json.loads(answer.text)["reason"] == "BadRequest", broken
    assert client.post(path, content=b"{}", headers={"Content-Type": "text/yaml"}).status_code == 415
