"""What `az ad`, `az role assignment` and the SDKs ask of Graph: every noun, its refusals, and who may write."""

from __future__ import annotations

import dataclasses

import pytest
from tests import clouds
from tests.graph.graph_world import ADMIN, DOMAIN, ORIGIN, PASSWORD, TENANT, Graph, ref, refused

from ringfence.api.entra import tokens
from ringfence.model import errors

_NOBODY = "00000000-0000-4000-8000-00000000dead"


def test_create_for_rbac_makes_an_application_a_secret_and_a_principal(graph: Graph) -> None:
    """The calls of `az ad sp create-for-rbac`, in their order."""
    assert graph.list("servicePrincipals", filter="displayName eq 'robot'") == []
    app = graph.application("robot", signInAudience="AzureADMyOrg", keyCredentials=[])
    assert app["passwordCredentials"] == [] and app["@odata.context"].endswith("#applications/$entity")
    times = {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2999-01-01T00:00:00+00:00"}
    path = f"applications/{app['id']}/addPassword"
    secret = graph.ok("POST", path, {"passwordCredential": {"displayName": "rbac", **times}})
    assert secret["secretText"].startswith(secret["hint"]) and secret["displayName"] == "rbac"
    made = graph.ok("POST", "servicePrincipals", {"appId": app["appId"], "accountEnabled": True}, status=201)
    assert graph.identities.authenticate(app["appId"], secret["secretText"]).object_id == made["id"]
    assert [d["id"] for d in graph.list("servicePrincipals", filter=f"servicePrincipalNames/any(c:c eq '{app['appId']}')")] == [
        made["id"]
    ]
    shown = graph.ok("GET", f"applications/{app['id']}")["passwordCredentials"]
    assert [(c["keyId"], c["secretText"]) for c in shown] == [(secret["keyId"], None)]
    graph.ok("POST", f"applications/{app['id']}/removePassword", {"keyId": secret["keyId"]}, status=204)
    with pytest.raises(errors.Unauthenticated):
        graph.identities.authenticate(app["appId"], secret["secretText"])
    refused(graph.send("POST", f"applications/{app['id']}/removePassword", {"keyId": secret["keyId"]}), 400, "Request_BadRequest")
    graph.ok("DELETE", f"applications/{app['id']}", status=204)
    refused(graph.send("GET", f"servicePrincipals/{made['id']}"), 404, "Request_ResourceNotFound", "does not exist or one of")


def test_an_application_is_found_by_each_of_its_names_and_changed(graph: Graph) -> None:
    app = graph.application("web", identifierUris=["api://web"])
    for path in (f"applications/{app['id']}", f"applications(appId='{app['appId']}')"):
        assert graph.ok("GET", path)["displayName"] == "web"
    for text in (f"appId eq '{app['appId']}'", "identifierUris/any(s:s eq 'api://web')", "startswith(displayName,'WE')"):
        assert [d["id"] for d in graph.list("applications", filter=text)] == [app["id"]]
    graph.ok("PATCH", f"applications/{app['id']}", {"displayName": "other", "isFallbackPublicClient": True}, status=204)
    assert graph.ok("GET", f"applications/{app['id']}")["isFallbackPublicClient"] is True
    for part in ({"redirectUris": ["https://a.example/"]}, {"homePageUrl": "https://a.example"}):
        graph.ok("PATCH", f"applications/{app['id']}", {"web": part}, status=204)
    web = graph.ok("GET", f"applications/{app['id']}")["web"]
    assert web["redirectUris"] == ["https://a.example/"] and web["homePageUrl"] == "https://a.example"
    refused(graph.send("POST", "applications", {"displayName": "b", "identifierUris": ["api://web"]}), 400, "Request_BadRequest")
    service = {"appId": app["appId"]}
    graph.ok("POST", "servicePrincipals", service, status=201)
    names = graph.list("servicePrincipals", filter=f"appId eq '{app['appId']}'")[0]["servicePrincipalNames"]
    assert names == ["api://web", app["appId"]]
    refused(graph.send("POST", "servicePrincipals", service), 409, "Request_MultipleObjectsWithSameKeyValue", "already in use")
    refused(graph.send("POST", "servicePrincipals", {"appId": _NOBODY}), 400, "Request_BadRequest", "does not reference a valid")


def test_users_are_created_changed_found_and_removed(graph: Graph) -> None:
    name = f"bob@{DOMAIN}"
    body = {"displayName": "Bob", "userPrincipalName": name, "mailNickname": "bob", "accountEnabled": True}
    made = graph.ok("POST", "users", {**body, "passwordProfile": {"password": PASSWORD}}, status=201)
    assert graph.identities.sign_in(name, PASSWORD).object_id == made["id"]
    assert graph.ok("GET", f"users/{name}")["id"] == graph.ok("GET", f"users('{made['id']}')")["id"] == made["id"]
    assert [u["id"] for u in graph.list("users", filter=f"userPrincipalName eq '{name.upper()}'")] == [made["id"]]
    assert "accountEnabled" not in graph.ok("GET", f"users/{name}")
    chosen = graph.ok("GET", f"users/{name}", select="accountEnabled,id")
    assert {n: v for n, v in chosen.items() if not n.startswith("@")} == {"accountEnabled": True, "id": made["id"]}
    graph.ok("PATCH", f"users/{name}", {"passwordProfile": {"password": "Other-2-password"}, "jobTitle": "Tester"}, status=204)
    assert graph.identities.sign_in(name, "Other-2-password") and graph.ok("GET", f"users/{name}")["jobTitle"] == "Tester"
    assert "password" not in graph.send("GET", f"users/{name}").text.lower().replace("passwordpolicies", "")
    graph.ok("PATCH", f"users/{name}", {"accountEnabled": False}, status=204)
    assert graph.identities.need(made["id"]).enabled is False
    graph.ok("DELETE", f"users/{name}", status=204)
    refused(graph.send("GET", f"users/{name}"), 404, "Request_ResourceNotFound", name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"userPrincipalName": "bob@example.com"}, "verified domain names"),
        ({"userPrincipalName": f"b ob@{DOMAIN}"}, "userPrincipalName is invalid"),
        ({"userPrincipalName": f"ADA@{DOMAIN}"}, "userPrincipalName already exists"),
        ({"passwordProfile": {"password": "short1A"}}, "complexity"),
        ({"passwordProfile": {"password": "onlylowercase"}}, "complexity"),
        ({"passwordProfile": None}, "passwordProfile"),
        ({"displayName": None}, "displayName"),
        ({"accountEnabled": "yes"}, "accountEnabled"),
        ({"isGod": True}, "Invalid property 'isGod'"),
    ],
)
def test_a_user_that_cannot_be_is_refused_and_not_made(graph: Graph, changes: dict[str, object], words: str) -> None:
    body = {"displayName": "Bob", "userPrincipalName": f"bob@{DOMAIN}", "mailNickname": "bob", "accountEnabled": True}
    before = len(graph.list("users"))
    asked = {**body, "passwordProfile": {"password": PASSWORD}, **changes}
    refused(graph.send("POST", "users", asked), 400, "Request_BadRequest", words)
    assert len(graph.list("users")) == before


def test_groups_hold_members_and_other_groups(graph: Graph) -> None:
    inner, outer = graph.group("inner"), graph.group("outer")
    graph.ok("POST", f"groups/{inner}/members/$ref", ref(graph.ada), status=204)
    graph.ok("POST", f"groups/{outer}/members/$ref", ref(inner), status=204)
    refused(graph.send("POST", f"groups/{inner}/members/$ref", ref(graph.ada)), 400, "Request_BadRequest", "already exist")
    refused(graph.send("POST", f"groups/{inner}/members/$ref", ref(_NOBODY)), 404, "Request_ResourceNotFound", _NOBODY)
    refused(graph.send("POST", f"groups/{inner}/members/$ref", ref(inner)), 400, "Request_BadRequest")
    members = graph.list(f"groups/{inner}/members")
    assert [(m["@odata.type"], m["id"]) for m in members] == [("#microsoft.graph.user", graph.ada)]
    assert {m["id"] for m in graph.list(f"groups/{outer}/transitiveMembers")} == {inner, graph.ada}
    assert {m["id"] for m in graph.list(f"users/{graph.ada}/memberOf")} == {inner}
    assert {m["id"] for m in graph.list(f"users/{graph.ada}/transitiveMemberOf")} == {inner, outer}
    ids = graph.ok("POST", f"users/{graph.ada}/getMemberGroups", {"securityEnabledOnly": True})["value"]
    assert set(ids) == {inner, outer}
    asked = {"groupIds": [outer, _NOBODY]}
    assert graph.ok("POST", f"directoryObjects/{graph.ada}/checkMemberGroups", asked)["value"] == [outer]
    graph.ok("DELETE", f"groups/{inner}/members/{graph.ada}/$ref", status=204)
    assert graph.identities.groups_of(graph.ada) == frozenset()
    refused(graph.send("DELETE", f"groups/{inner}/members/{graph.ada}/$ref"), 404, "Request_ResourceNotFound")
    graph.ok("DELETE", f"groups/{inner}", status=204)
    assert graph.list(f"groups/{outer}/members") == []
    mail = {"displayName": "m", "mailNickname": "m", "mailEnabled": True, "securityEnabled": False}
    refused(graph.send("POST", "groups", mail), 400, "Request_BadRequest", "security groups")


def test_objects_are_found_by_their_ids_with_their_kinds(graph: Graph) -> None:
    group = graph.group()
    asked = {"ids": [graph.ada, group, ADMIN.object_id, _NOBODY], "types": ["user", "group", "servicePrincipal"]}
    found = graph.ok("POST", "directoryObjects/getByIds", asked)["value"]
    kinds = {d["id"]: d["@odata.type"].rpartition(".")[2] for d in found}
    assert kinds == {graph.ada: "user", group: "group", ADMIN.object_id: "servicePrincipal"}
    asked = {"ids": [graph.ada, group], "types": ["group"]}
    assert [d["id"] for d in graph.ok("POST", "directoryObjects/getByIds", asked)["value"]] == [group]
    assert graph.ok("GET", f"directoryObjects/{group}")["@odata.type"] == "#microsoft.graph.group"
    refused(graph.send("POST", "directoryObjects/getByIds", {"ids": "x"}), 400, "Request_BadRequest")


def test_managed_identities_are_there_while_their_resource_is(graph: Graph) -> None:
    graph.engine.put(clouds.resource("mygroup", {}))
    path = "mygroup/Microsoft.ManagedIdentity/userAssignedIdentities/mine"
    workspace = dataclasses.replace(clouds.resource(clouds.ws_path("ws", "mygroup"), {}), identity={"type": "SystemAssigned"})
    for draft in (clouds.resource(path, {}), workspace):
        graph.engine.put(draft)
    assert graph.engine.wait_settled(5.0)
    found = {d["displayName"]: d for d in graph.list("servicePrincipals", filter="servicePrincipalType eq 'ManagedIdentity'")}
    mine = found["mine"]
    assert set(found) == {"mine", "ws"} and mine["alternativeNames"] == ["isExplicit=True", str(clouds.rid(path))]
    assert found["ws"]["alternativeNames"][0] == "isExplicit=False"
    names = f"servicePrincipalNames/any(c:c eq '{mine['appId']}')"
    assert [d["id"] for d in graph.list("servicePrincipals", filter=names)] == [mine["id"]]
    group = graph.group()
    graph.ok("POST", f"groups/{group}/members/$ref", ref(mine["id"]), status=204)
    assert graph.identities.groups_of(mine["id"]) == {group}
    refused(graph.send("DELETE", f"servicePrincipals/{mine['id']}"), 400, "Request_BadRequest", "managed identity")
    graph.engine.delete(clouds.rid(path))
    assert graph.engine.wait_settled(5.0)
    refused(graph.send("GET", f"servicePrincipals/{mine['id']}"), 404, "Request_ResourceNotFound")


def test_me_is_a_person(graph: Graph) -> None:
    assert graph.ok("GET", "me", token=graph.person)["userPrincipalName"] == f"ada@{DOMAIN}"
    refused(graph.send("GET", "me"), 400, "BadRequest", "delegated authentication flow")
    made = graph.application("mine", token=graph.person)
    assert [d["id"] for d in graph.list("me/ownedObjects", token=graph.person)] == [made["id"]]


def test_the_tenant_says_who_it_is(graph: Graph) -> None:
    assert graph.list("organization")[0]["id"] == TENANT and graph.list("domains")[0]["id"] == DOMAIN
    assert graph.list("directoryRoles")[0]["displayName"] == "Global Administrator"
    role = "directoryRoles/roleTemplateId=62e90394-69f5-4237-9190-012177145e10/members"
    assert ADMIN.object_id in {d["id"] for d in graph.list(role)}


def test_people_own_what_they_made_and_change_nothing_else(graph: Graph) -> None:
    theirs, mine = graph.application("theirs"), graph.application("mine", token=graph.person)
    group = graph.group("mygroup", token=graph.person)
    own = graph.ok("POST", "servicePrincipals", {"appId": mine["appId"]}, status=201, token=graph.person)
    graph.ok("POST", f"applications/{mine['id']}/addPassword", {}, token=graph.person)
    graph.ok("PATCH", f"servicePrincipals/{own['id']}", {"notes": "n"}, status=204, token=graph.person)
    graph.ok("POST", f"groups/{group}/members/$ref", ref(graph.ada), status=204, token=graph.person)
    assert [d["id"] for d in graph.list(f"applications/{mine['id']}/owners")] == [graph.ada]
    other = graph.group("other")
    body = {"displayName": "B", "userPrincipalName": f"b@{DOMAIN}", "mailNickname": "b", "accountEnabled": True}
    for method, path, sent in (
        ("POST", f"applications/{theirs['id']}/addPassword", {}),
        ("DELETE", f"applications/{theirs['id']}", None),
        ("POST", "servicePrincipals", {"appId": theirs["appId"]}),
        ("POST", f"groups/{other}/members/$ref", ref(graph.ada)),
        ("DELETE", f"groups/{other}", None),
        ("POST", "users", {**body, "passwordProfile": {"password": PASSWORD}}),
        ("PATCH", f"users/{graph.ada}", {"accountEnabled": False}),
        ("DELETE", f"users/{graph.ada}", None),
    ):
        refused(graph.send(method, path, sent, token=graph.person), 403, "Authorization_RequestDenied", "Insufficient privileges")


def test_an_application_without_a_role_reads_and_writes_nothing(graph: Graph) -> None:
    app = graph.application()
    made = graph.ok("POST", "servicePrincipals", {"appId": app["appId"]}, status=201)
    token = graph.signer.issue(tokens.Subject(app["appId"], made["id"]), ORIGIN)
    assert graph.list("users", token=token)
    for method, path, body in (
        ("POST", "applications", {"displayName": "x"}),
        ("POST", f"applications/{app['id']}/addPassword", {}),
        ("POST", "groups", {"displayName": "x", "mailNickname": "x", "mailEnabled": False, "securityEnabled": True}),
    ):
        refused(graph.send(method, path, body, token=token), 403, "Authorization_RequestDenied")
    graph.ok("DELETE", f"servicePrincipals/{made['id']}", status=204)
    refused(graph.send("GET", "users", token=token), 401, "InvalidAuthenticationToken", "does not exist in the tenant")


def test_a_token_for_something_else_is_no_token_here(graph: Graph) -> None:
    other = graph.signer.issue(tokens.Subject(ADMIN.client_id, ADMIN.object_id), "https://management.azure.com/")
    refused(graph.send("GET", "users", token=other), 401, "InvalidAuthenticationToken", "audience")
    answer = graph.client.get("/v1.0/users")
    refused(answer, 401, "InvalidAuthenticationToken", "Access token is empty")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "v2.0/users", 400, "BadRequest"),
        ("GET", "v1.0/teams", 400, "BadRequest"),
        ("PUT", "v1.0/users", 400, "Request_BadRequest"),
        ("GET", "v1.0/users/x/y/z", 400, "BadRequest"),
        ("GET", "", 400, "BadRequest"),
    ],
)
def test_what_is_not_served_says_so(graph: Graph, method: str, path: str, status: int, code: str) -> None:
    answer = graph.client.request(method, f"/{path}", headers={"Authorization": f"Bearer {graph.admin}"})
    refused(answer, status, code)


def test_bodies_that_cannot_be_read_are_refused(graph: Graph) -> None:
    for content in (b"{", b"[]", b"[" * 100_000, b"\xff"):
        headers = {"Authorization": f"Bearer {graph.admin}"}
        refused(graph.client.post("/v1.0/users", content=content, headers=headers), 400, "BadRequest")
    large = graph.client.post("/v1.0/users", content=b" " * 2_000_000, headers={"Authorization": f"Bearer {graph.admin}"})
    refused(large, 413, "RequestEntityTooLarge")
