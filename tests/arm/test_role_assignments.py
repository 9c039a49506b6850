"""Role assignments, roles and permissions over HTTP, as `az role` and the management SDK use them (contract section 3.4)."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from tests.arm.arm_world import GROUP, NSG, SUBSCRIPTION, TENANT, VNET, Answer, Arm, error

from ringfence.control import resources

_PROVIDER = "providers/Microsoft.Authorization"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
NETWORK = "4d97b98b-1d4f-4787-a291-c67834d212e7"
ALICE, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
_NUMBERS = itertools.count(1)
ROOT_GROUP = f"/providers/Microsoft.Management/managementGroups/{TENANT}"


def guid() -> str:
    """Another one at each call."""
    return str(uuid.UUID(int=next(_NUMBERS)))


def role_id(guid: str) -> str:
    return f"{SUBSCRIPTION}/{_PROVIDER}/roleDefinitions/{guid}"


def path(scope: str, name: str) -> str:
    return f"{scope.rstrip('/')}/{_PROVIDER}/roleAssignments/{name}"


def body(principal: str = ALICE, role: str = READER, **more: Any) -> Mapping[str, Any]:
    asked = {"roleDefinitionId": role_id(role), "principalId": principal, "principalType": "ServicePrincipal"}
    return {"properties": asked | more}


def assign(arm: Arm, scope: str, principal: str = ALICE, role: str = READER, **more: Any) -> Answer:
    return arm.put(path(scope, guid()), body(principal, role, **more))


def listed(arm: Arm, scope: str, filter: str = "") -> list[str]:
    """The scopes of what a list shows, without the administrator's own."""
    query = f"$filter={filter}" if filter else ""
    answer = arm.get(f"{scope.rstrip('/')}/{_PROVIDER}/roleAssignments", query=query)
    assert answer.status_code == 200, answer.text
    return sorted(one["properties"]["scope"] for one in answer.json()["value"] if one["properties"]["scope"] != "/")


@pytest.mark.parametrize("scope", ["/", ROOT_GROUP, SUBSCRIPTION, GROUP, VNET, f"{VNET}/subnets/default"])
def test_a_role_is_assigned_shown_and_taken_back_at_every_scope(arm: Arm, scope: str) -> None:
    arm.network()
    name = guid()
    made = arm.put(path(scope, name), body(description="for a while"))
    assert made.status_code == 201, made.text
    document = made.json()
    assert document["id"] == path(scope, name) and document["name"] == name
    assert document["type"] == "Microsoft.Authorization/roleAssignments"
    shown = document["properties"]
    assert (shown["scope"], shown["principalId"], shown["principalType"]) == (scope, ALICE, "ServicePrincipal")
    assert shown["roleDefinitionId"].lower().endswith(f"/roledefinitions/{READER}")
    assert shown["createdBy"] == "object" and shown["description"] == "for a while"
    assert arm.get(path(scope, name)).json() == document
    gone = arm.send("DELETE", path(scope, name))
    assert gone.status_code == 200 and gone.json() == document
    assert arm.send("DELETE", path(scope, name)).status_code == 204
    error(arm.get(path(scope, name)), 404, "RoleAssignmentNotFound")


def test_a_scope_is_shown_in_the_spelling_of_what_exists(arm: Arm) -> None:
    arm.network()
    assert assign(arm, VNET.upper().replace("/SUBSCRIPTIONS", "/subscriptions")).json()["properties"]["scope"] == VNET


def test_lists_hold_what_is_at_above_and_below_a_scope(arm: Arm) -> None:
    arm.network()
    for scope in (ROOT_GROUP, SUBSCRIPTION, GROUP, VNET):
        assert assign(arm, scope).status_code == 201
    assert assign(arm, GROUP, BOB).status_code == 201
    everything = sorted([ROOT_GROUP, SUBSCRIPTION, GROUP, GROUP, VNET])
    assert listed(arm, SUBSCRIPTION) == listed(arm, GROUP) == everything
    assert listed(arm, GROUP, "atScope()") == sorted([ROOT_GROUP, SUBSCRIPTION, GROUP, GROUP])
    assert listed(arm, SUBSCRIPTION, "atScope()") == sorted([ROOT_GROUP, SUBSCRIPTION])
    assert listed(arm, VNET, f"atScope() and assignedTo('{ALICE}')") == sorted([ROOT_GROUP, SUBSCRIPTION, GROUP, VNET])
    assert listed(arm, SUBSCRIPTION, f"principalId eq '{BOB}'") == [GROUP]
    error(arm.get(f"{GROUP}/{_PROVIDER}/roleAssignments", query="$filter=color eq 'red'"), 400, "InvalidFilter")


def test_the_same_assignment_is_made_once(arm: Arm) -> None:
    arm.network()
    name = guid()
    assert arm.put(path(GROUP, name), body()).status_code == 201
    again = error(assign(arm, GROUP), 409, "RoleAssignmentExists")
    assert again["message"].endswith(f"The ID of the conflicting role assignment is {name.replace('-', '')}.")
    assert arm.put(path(GROUP, name), body(description="new")).json()["properties"]["description"] == "new"
    error(arm.put(path(GROUP, name), body(BOB)), 400, "RoleAssignmentUpdateNotPermitted")
    error(arm.put(path(SUBSCRIPTION, name), body()), 400, "RoleAssignmentUpdateNotPermitted")
    error(arm.put(path(GROUP, name), body(role=OWNER)), 400, "RoleAssignmentUpdateNotPermitted")
    assert assign(arm, GROUP, role=NETWORK).status_code == 201


def test_what_cannot_be_assigned_is_refused(arm: Arm) -> None:
    arm.network()
    error(arm.put(path(GROUP, "not-a-guid"), body()), 400, "InvalidRoleAssignmentId")
    error(assign(arm, GROUP, role=guid()), 400, "RoleDefinitionDoesNotExist")
    error(arm.put(path(GROUP, guid()), {"properties": {}}), 400, "InvalidCreateRoleAssignmentRequest")
    error(arm.put(path(GROUP, guid()), {}), 400, "BadRequestFormat")
    error(assign(arm, GROUP, condition="@Resource[x] StringEquals 'y'", conditionVersion="2.0"), 400, "NotSupported")
    error(assign(arm, f"{GROUP}0"), 404, "ResourceGroupNotFound")
    error(assign(arm, f"{VNET}0"), 404, "ResourceNotFound")
    error(assign(arm, "/providers/Microsoft.Management/managementGroups/other"), 404, "ManagementGroupNotFound")
    assert listed(arm, SUBSCRIPTION) == []


def test_principals_are_looked_up_unless_they_may_be_on_their_way(arm: Arm) -> None:
    arm.network()
    person = arm.engine.identities.create("user", {"displayName": "Alice"}, "alice@ringfence.onmicrosoft.com").object_id
    assert assign(arm, GROUP, person, principalType=None).json()["properties"]["principalType"] == "User"
    mismatch = error(assign(arm, VNET, person), 400, "UnmatchedPrincipalType")
    assert "has type 'User'" in mismatch["message"]
    unknown = error(assign(arm, GROUP, BOB, principalType=None), 400, "PrincipalNotFound")
    assert unknown["message"].startswith(f"Principal {BOB.replace('-', '')} does not exist in the directory {TENANT}.")
    error(assign(arm, GROUP, BOB, principalType="User"), 400, "PrincipalNotFound")
    assert assign(arm, GROUP, BOB).status_code == 201


def test_who_can_assign_never_runs_out(arm: Arm) -> None:
    own = arm.get(f"/{_PROVIDER}/roleAssignments").json()["value"][0]
    error(arm.send("DELETE", own["id"]), 412, "CannotDeleteLastRbacAdminAssignment")
    assert assign(arm, SUBSCRIPTION, BOB, OWNER).status_code == 201
    assert arm.send("DELETE", own["id"]).status_code == 200


def test_an_assignment_goes_with_what_it_is_assigned_at(arm: Arm) -> None:
    arm.network()
    arm.made(NSG, {"location": "eastus2"})
    for scope in (SUBSCRIPTION, GROUP, VNET, f"{VNET}/subnets/default", NSG):
        assert assign(arm, scope).status_code == 201
    arm.follow(arm.send("DELETE", VNET))
    assert listed(arm, SUBSCRIPTION) == sorted([SUBSCRIPTION, GROUP, NSG])
    arm.follow(arm.send("DELETE", GROUP))
    assert listed(arm, SUBSCRIPTION) == [SUBSCRIPTION]


def test_built_in_roles_are_found_by_name(arm: Arm) -> None:
    arm.group()
    found = arm.get(f"{GROUP}/{_PROVIDER}/roleDefinitions", query="$filter=roleName eq 'Network Contributor'").json()["value"]
    assert [one["id"] for one in found] == [role_id(NETWORK)]
    shown = found[0]["properties"]
    assert (shown["roleName"], shown["type"], shown["assignableScopes"]) == ("Network Contributor", "BuiltInRole", ["/"])
    assert "Microsoft.Network/*" in shown["permissions"][0]["actions"] and shown["permissions"][0]["notActions"] == []
    assert arm.get(role_id(NETWORK)).json() == found[0]
    assert arm.get(f"/{_PROVIDER}/roleDefinitions/{NETWORK}").json()["id"] == f"/{_PROVIDER}/roleDefinitions/{NETWORK}"
    kinds = arm.get(f"{SUBSCRIPTION}/{_PROVIDER}/roleDefinitions", query="$filter=type eq 'BuiltInRole'").json()["value"]
    assert len(kinds) > 40 and len({one["name"] for one in kinds}) == len(kinds)
    error(arm.get(role_id(guid())), 404, "RoleDefinitionDoesNotExist")


def custom(name: str = "Joiner", **more: Any) -> Mapping[str, Any]:
    properties = {
        "roleName": name,
        "description": "joins subnets",
        "type": "CustomRole",
        "permissions": [{"actions": ["Microsoft.Network/virtualNetworks/subnets/join/action"], "notActions": []}],
        "assignableScopes": [GROUP],
    }
    return {"properties": properties | more}


def test_a_custom_role_is_written_assigned_and_kept_while_it_is(arm: Arm) -> None:
    arm.network()
    own = guid()
    made = arm.put(role_id(own), custom())
    assert made.status_code == 201 and made.json()["properties"]["type"] == "CustomRole", made.text
    assert arm.put(role_id(own), custom(description="joins")).status_code == 201
    found = arm.get(f"{GROUP}/{_PROVIDER}/roleDefinitions", query="$filter=roleName eq 'Joiner'").json()["value"]
    assert [one["properties"]["description"] for one in found] == ["joins"]
    assert assign(arm, VNET, role=own).status_code == 201
    error(assign(arm, SUBSCRIPTION, role=own), 400, "RoleDefinitionDoesNotExist")
    error(arm.send("DELETE", role_id(own)), 409, "RoleDefinitionHasAssignments")
    for one in arm.get(f"{VNET}/{_PROVIDER}/roleAssignments", query=f"$filter=principalId eq '{ALICE}'").json()["value"]:
        assert arm.send("DELETE", one["id"]).status_code == 200
    assert arm.send("DELETE", role_id(own)).status_code == 200
    assert arm.send("DELETE", role_id(own)).status_code == 204


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"roleName": "network contributor"}, 409, "RoleDefinitionWithSameNameExists"),
        ({"roleName": "Taken"}, 409, "RoleDefinitionWithSameNameExists"),
        ({"roleName": ""}, 400, "InvalidRoleDefinitionName"),
        ({"assignableScopes": []}, 400, "MissingAssignableScopes"),
        ({"assignableScopes": ["/"]}, 400, "InvalidAssignableScope"),
        ({"permissions": [{"actions": ["nothing"]}]}, 400, "InvalidActionOrNotAction"),
        ({"permissions": [{"deeds": ["*"]}]}, 400, "BadRequestFormat"),
        ({"type": "BuiltInRole"}, 400, "InvalidRoleDefinitionType"),
    ],
)
def test_what_is_no_role_is_refused(arm: Arm, change: Mapping[str, Any], status: int, code: str) -> None:
    arm.group()
    assert arm.put(role_id(guid()), custom("Taken")).status_code == 201
    error(arm.put(role_id(guid()), custom(**change)), status, code)


def test_built_in_roles_stay_as_they_are(arm: Arm) -> None:
    error(arm.put(role_id(NETWORK), custom()), 403, "RoleDefinitionUpdateNotPermitted")
    error(arm.send("DELETE", role_id(NETWORK)), 403, "RoleDefinitionUpdateNotPermitted")


def test_what_a_caller_may_do_is_told(arm: Arm) -> None:
    arm.group()
    assert arm.get(f"{GROUP}/{_PROVIDER}/permissions").json()["value"][0]["actions"] == ["*"]
    assert arm.get(f"{GROUP}/{_PROVIDER}/denyAssignments").json() == {"value": []}
    error(arm.get(f"{GROUP}/{_PROVIDER}/nothing"), 404, "InvalidResourceType")


def test_assignments_outlive_the_process(arm: Arm) -> None:
    arm.network()
    assert assign(arm, VNET).status_code == 201
    assert arm.put(role_id(guid()), custom()).status_code == 201
    before = dict(arm.engine.snapshot().resources)
    with arm.store.read() as connection:
        assert dict(resources.load(connection).resources) == before
