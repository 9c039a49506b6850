"""Linked checks (RULES.md section 9): the document's `subnets/join/action` for what goes into a subnet, and its kin."""

from __future__ import annotations

from typing import Any

import pytest
from tests.arm import test_role_assignments as assignments
from tests.arm.arm_world import COMPUTE, GROUP, SUBSCRIPTION, VNET, WORKSPACE, Arm, cluster, error
from tests.arm.test_access import alice, grant, linked
from tests.arm.test_role_assignments import guid, role_id

OTHER = f"{GROUP}0"
SUBNET = f"{VNET}/subnets/default"
_JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
_JOIN_NETWORK = "Microsoft.Network/virtualNetworks/join/action"
_CONTAINER = {"image": "mcr.microsoft.com/x:1", "resources": {"requests": {"cpu": 1, "memoryInGB": 1}}}


def account(group: str = OTHER) -> str:
    return f"{group}/providers/Microsoft.Storage/storageAccounts/target0815"


def connection(target: str) -> dict[str, Any]:
    return {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": ["blob"]}}


BODIES: dict[str, dict[str, Any]] = {
    "Microsoft.Network/networkInterfaces": {
        "ipConfigurations": [{"name": "ipconfig", "properties": {"subnet": {"id": SUBNET}}}],
    },
    "Microsoft.Network/privateEndpoints": {
        "subnet": {"id": SUBNET},
        "privateLinkServiceConnections": [connection(account())],
    },
    "Microsoft.ContainerInstance/containerGroups": {
        "containers": [{"name": "one", "properties": _CONTAINER}],
        "osType": "Linux",
        "subnetIds": [{"id": SUBNET}],
    },
}


@pytest.mark.parametrize("type", BODIES)
def test_what_goes_into_a_subnet_needs_the_right_to_join_it(arm: Arm, type: str) -> None:
    arm.network()
    arm.made(OTHER, {"location": "eastus2"})
    grant(arm, "Contributor", OTHER)
    path = f"{OTHER}/providers/{type}/one"
    body = {"location": "eastus2", "properties": BODIES[type]}
    with alice(arm):
        linked(arm.put(path, body), f"{type}/write", path, _JOIN, SUBNET)
        error(arm.get(path), 404, "ResourceNotFound")
    grant(arm, "Network Contributor", VNET)
    with alice(arm):
        answer = arm.put(path, body)
        assert answer.json().get("error", {}).get("code") != "LinkedAuthorizationFailed", answer.text


def test_a_custom_role_of_the_one_action_is_enough(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, {"location": "eastus2"})
    grant(arm, "Contributor", OTHER)
    own = guid()
    permissions = [{"actions": [_JOIN]}]
    role = assignments.custom(permissions=permissions, assignableScopes=[SUBSCRIPTION])
    assert arm.put(role_id(own), role).status_code == 201
    answer = assignments.assign(arm, SUBNET, "aaaaaaaa-0000-4000-8000-00000000000a", own)
    assert answer.status_code == 201, answer.text
    path = f"{OTHER}/providers/Microsoft.Network/networkInterfaces/one"
    body = {"location": "eastus2", "properties": BODIES["Microsoft.Network/networkInterfaces"]}
    with alice(arm):
        assert arm.put(path, body).status_code == 201
        other = {"ipConfigurations": [{"name": "ipconfig", "properties": {"subnet": {"id": f"{VNET}/subnets/default2"}}}]}
        linked(
            arm.put(path, {"location": "eastus2", "properties": other}),
            "Microsoft.Network/networkInterfaces/write",
            path,
            _JOIN,
            f"{VNET}/subnets/default2",
        )


def test_a_cluster_of_a_workspace_needs_both_actions_of_the_document_and_no_more(arm: Arm) -> None:
    """And not the one that the document misprints."""
    arm.workspace()
    grant(arm, "AzureML Compute Operator", WORKSPACE)
    write, network = "Microsoft.MachineLearningServices/workspaces/computes/write", _JOIN_NETWORK
    steps = (("Microsoft.Network/virtualNetworks/subnet/join/action", _JOIN), (_JOIN, network))
    for granted, missing in steps:
        may(arm, granted)
        with alice(arm):
            linked(arm.put(COMPUTE, cluster()), write, COMPUTE, missing, SUBNET)
    may(arm, network)
    with alice(arm):
        assert arm.put(COMPUTE, cluster()).status_code == 201


def may(arm: Arm, action: str) -> None:
    """Alice gets a role of her own with one action on the network."""
    own = guid()
    role = assignments.custom(f"only {own}", permissions=[{"actions": [action]}], assignableScopes=[SUBSCRIPTION])
    assert arm.put(role_id(own), role).status_code == 201
    answer = assignments.assign(arm, VNET, "aaaaaaaa-0000-4000-8000-00000000000a", own)
    assert answer.status_code == 201, answer.text


def test_an_endpoint_is_approved_at_once_only_by_who_may_approve(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, {"location": "eastus2"})
    arm.made(account(), {"location": "eastus2", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})
    grant(arm, "Network Contributor", GROUP)
    path = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/one"
    body = {"location": "eastus2", "properties": BODIES["Microsoft.Network/privateEndpoints"]}
    write, approve = "Microsoft.Network/privateEndpoints/write", "PrivateEndpointConnectionsApproval/action"
    with alice(arm):
        linked(arm.put(path, body), write, path, f"Microsoft.Storage/storageAccounts/{approve}", account())
    grant(arm, "Storage Account Contributor", account())
    with alice(arm):
        assert arm.put(path, body).status_code == 201


def test_an_identity_is_given_to_a_resource_by_who_may_assign_it(arm: Arm) -> None:
    arm.group()
    arm.made(OTHER, {"location": "eastus2"})
    identity = f"{OTHER}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/runner"
    assert arm.put(identity, {"location": "eastus2"}).status_code == 201
    grant(arm, "Contributor", GROUP)
    path = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
    body = {
        "location": "eastus2",
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {identity: {}}},
        "properties": {},
    }
    assign = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
    with alice(arm):
        linked(arm.put(path, body), "Microsoft.MachineLearningServices/workspaces/write", path, assign, identity)
    grant(arm, "Managed Identity Operator", identity)
    with alice(arm):
        assert arm.put(path, body).status_code == 201
