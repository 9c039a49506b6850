"""Managed identities over HTTP: the resource, identity blocks of other resources, and refusals."""

from __future__ import annotations

import pytest
from tests.arm.arm_world import GROUP, TENANT, WORKSPACE, Arm, error

IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mine"


def test_an_identity_is_there_with_the_answer_and_says_who_it_is(arm: Arm) -> None:
    arm.group()
    answer = arm.put(IDENTITY, {"location": "eastus2", "tags": {"a": "b"}}, version="2023-01-31")
    document = answer.json()
    assert answer.status_code == 201 and "Azure-AsyncOperation" not in answer.headers
    assert document["type"] == "Microsoft.ManagedIdentity/userAssignedIdentities"
    found = document["properties"]
    assert found["tenantId"] == TENANT and len({found["principalId"], found["clientId"]}) == 2
    again = arm.put(IDENTITY, {"location": "eastus2"})
    assert again.status_code == 200 and again.json()["properties"]["principalId"] == found["principalId"]
    assert arm.send("DELETE", IDENTITY).status_code == 200
    error(arm.get(IDENTITY), 404, "ResourceNotFound")


def test_a_workspace_shows_every_identity_it_acts_with(arm: Arm) -> None:
    arm.network()
    mine = arm.made(IDENTITY, {"location": "eastus2"})["properties"]
    spelled = IDENTITY.replace("userAssignedIdentities", "USERASSIGNEDIDENTITIES")
    body = {
        "location": "eastus2",
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {spelled: {}}},
        "properties": {},
    }
    block = arm.made(WORKSPACE, body)["identity"]
    assert block["type"] == "SystemAssigned, UserAssigned" and block["tenantId"] == TENANT and block["principalId"]
    assert block["userAssignedIdentities"] == {IDENTITY: {"principalId": mine["principalId"], "clientId": mine["clientId"]}}
    listed = arm.get(f"{GROUP}/resources").json()["value"]
    assert block in [entry.get("identity") for entry in listed]


def test_a_patch_takes_an_identity_away_and_none_takes_all(arm: Arm) -> None:
    arm.network()
    arm.made(IDENTITY, {"location": "eastus2"})
    both = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    arm.made(WORKSPACE, {"location": "eastus2", "identity": both, "properties": {}})
    answer = arm.send("PATCH", WORKSPACE, {"identity": {"type": "SystemAssigned", "userAssignedIdentities": {IDENTITY: None}}})
    arm.follow(answer)
    block = arm.get(WORKSPACE).json()["identity"]
    assert block["type"] == "SystemAssigned" and "userAssignedIdentities" not in block
    arm.follow(arm.send("PATCH", WORKSPACE, {"identity": {"type": "None"}}))
    assert arm.get(WORKSPACE).json()["identity"] == {"type": "None"}


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ({"type": "UserAssigned", "userAssignedIdentities": {}}, "MissingIdentityIds"),
        ({"type": "UserAssigned", "userAssignedIdentities": {"mine": {}}}, "LinkedInvalidPropertyId"),
        ({"type": "UserAssigned", "userAssignedIdentities": {WORKSPACE: {}}}, "LinkedInvalidPropertyId"),
        ({"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}, "FailedIdentityOperation"),
        ({"type": "UserAssigned", "userAssignedIdentities": [IDENTITY]}, "InvalidRequestContent"),
        ({"type": "SystemAssigned", "role": "Owner"}, "InvalidRequestContent"),
        ({}, "InvalidRequestContent"),
    ],
)
def test_an_identity_that_cannot_be_acted_with_is_refused_and_nothing_is_made(
    arm: Arm, identity: dict[str, object], code: str
) -> None:
    arm.network()
    error(arm.put(WORKSPACE, {"location": "eastus2", "identity": identity, "properties": {}}), 400, code)
    error(arm.get(WORKSPACE), 404, "ResourceNotFound")


@pytest.mark.parametrize("name", ["ab", "-abc", "a" * 129, "a.b.c"])
def test_a_name_is_held_to_azures_rule(arm: Arm, name: str) -> None:
    arm.group()
    error(arm.put(IDENTITY.replace("mine", name), {"location": "eastus2"}), 400, "InvalidResourceName")
