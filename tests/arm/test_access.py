"""What callers with few rights may do, see and list, in Azure's words (RULES.md sections 9 and 10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.arm.arm_world import (
    COMPUTE,
    GROUP,
    MANAGEMENT,
    NIC,
    NSG,
    SUBSCRIPTION,
    TENANT,
    VNET,
    WORKSPACE,
    Arm,
    cluster,
    error,
    network,
)
from tests.arm.test_role_assignments import assign

from ringfence.api.entra.tokens import Subject
from ringfence.policy import roles

ALICE = "aaaaaaaa-0000-4000-8000-00000000000a"
GUIDS = {role.name: role.guid for role in roles.BUILT_IN.values()}
SUBNET = f"{VNET}/subnets/default"
OTHER = f"{GROUP}0"


def grant(arm: Arm, role: str, scope: str, principal: str = ALICE) -> None:
    answer = assign(arm, scope, principal, GUIDS[role])
    assert answer.status_code == 201, answer.text


@contextmanager
def alice(arm: Arm) -> Iterator[None]:
    """Requests inside are Alice's."""
    before, arm.token = arm.token, arm.signer.issue(Subject("alice-app", ALICE), MANAGEMENT)
    yield
    arm.token = before


def refused(answer: Any, action: str, scope: str) -> None:
    assert error(answer, 403, "AuthorizationFailed")["message"] == (
        f"The client 'alice-app' with object id '{ALICE}' does not have authorization to perform action '{action}' over scope "
        f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    )


def linked(answer: Any, action: str, scope: str, linked_action: str, target: str) -> None:
    assert error(answer, 403, "LinkedAuthorizationFailed")["message"] == (
        f"The client 'alice-app' with object id '{ALICE}' has permission to perform action '{action}' on scope '{scope}'; "
        f"however, it does not have permission to perform action '{linked_action}' on the linked scope(s) '{target}' or the "
        "linked scope(s) are invalid."
    )


def interface(subnet: str = SUBNET) -> dict[str, Any]:
    configuration = {"name": "ipconfig", "properties": {"subnet": {"id": subnet}}}
    return {"location": "eastus2", "properties": {"ipConfigurations": [configuration]}}


def test_without_a_role_nothing_is_seen_and_nothing_is_said_to_be_there(arm: Arm) -> None:
    arm.network()
    network_read = "Microsoft.Network/virtualNetworks/read"
    with alice(arm):
        assert arm.get("/subscriptions").json() == {"value": []}
        for path in (SUBSCRIPTION, f"{SUBSCRIPTION}/locations", f"{SUBSCRIPTION}/providers", f"{SUBSCRIPTION}/resources"):
            error(arm.get(path), 403, "AuthorizationFailed")
        refused(arm.get(GROUP), "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP)
        assert arm.send("HEAD", GROUP).status_code == arm.send("HEAD", OTHER).status_code == 403
        for path in (VNET, f"{VNET}x", VNET.replace("mygroup", "nogroup")):
            refused(arm.get(path), network_read, path)
            refused(arm.put(path, network()), "Microsoft.Network/virtualNetworks/write", path)
            refused(arm.send("PATCH", path, {"tags": {}}), "Microsoft.Network/virtualNetworks/write", path)
            refused(arm.send("DELETE", path), "Microsoft.Network/virtualNetworks/delete", path)
        for scope, shown in (
            (SUBSCRIPTION, ""),
            (GROUP, "/providers/Microsoft.Network"),
            (OTHER, "/providers/Microsoft.Network"),
        ):
            refused(arm.get(f"{scope}/providers/Microsoft.Network/virtualNetworks"), network_read, f"{scope}{shown}")
    assert arm.get(VNET).status_code == 200


def test_a_reader_of_one_resource_sees_it_and_the_way_to_it(arm: Arm) -> None:
    arm.network()
    arm.made(NSG, {"location": "eastus2"})
    grant(arm, "Reader", VNET)
    with alice(arm):
        assert [s["subscriptionId"] for s in arm.get("/subscriptions").json()["value"]] == [SUBSCRIPTION.rpartition("/")[2]]
        assert arm.get(SUBSCRIPTION).status_code == 200
        assert arm.get(VNET).status_code == arm.get(SUBNET).status_code == 200
        assert [v["id"] for v in arm.get(f"{SUBSCRIPTION}/providers/Microsoft.Network/virtualNetworks").json()["value"]] == [VNET]
        assert [r["id"] for r in arm.get(f"{SUBSCRIPTION}/resources").json()["value"]] == [VNET]
        assert arm.get(f"{SUBSCRIPTION}/resourcegroups").json() == {"value": []}
        assert arm.get(f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups").json() == {"value": []}
        refused(arm.get(NSG), "Microsoft.Network/networkSecurityGroups/read", NSG)
        refused(arm.send("DELETE", VNET), "Microsoft.Network/virtualNetworks/delete", VNET)


def test_a_grant_on_one_group_says_nothing_about_one_whose_name_begins_so(arm: Arm) -> None:
    arm.group()
    arm.made(OTHER, {"location": "eastus2"})
    grant(arm, "Contributor", GROUP)
    with alice(arm):
        assert arm.put(VNET, network()).status_code == 201
        other = VNET.replace("/mygroup/", "/mygroup0/")
        refused(arm.put(other, network()), "Microsoft.Network/virtualNetworks/write", other)
        assert [g["name"] for g in arm.get(f"{SUBSCRIPTION}/resourcegroups").json()["value"]] == ["mygroup"]
        refused(arm.send("DELETE", OTHER), "Microsoft.Resources/subscriptions/resourceGroups/delete", OTHER)


def test_a_contributor_assigns_no_roles(arm: Arm) -> None:
    arm.group()
    grant(arm, "Contributor", GROUP)
    with alice(arm):
        answer = error(assign(arm, GROUP, ALICE, GUIDS["Owner"]), 403, "AuthorizationFailed")
        assert "'Microsoft.Authorization/roleAssignments/write' over scope" in answer["message"]
    grant(arm, "User Access Administrator", GROUP)
    with alice(arm):
        assert assign(arm, GROUP, ALICE, GUIDS["Owner"]).status_code == 201
        error(assign(arm, SUBSCRIPTION, ALICE, GUIDS["Owner"]), 403, "AuthorizationFailed")


def test_an_interface_joins_its_subnet_only_with_the_right_to(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, {"location": "eastus2"})
    nic = NIC.replace("/mygroup/", "/mygroup0/")
    grant(arm, "Contributor", OTHER)
    join, write = "Microsoft.Network/virtualNetworks/subnets/join/action", "Microsoft.Network/networkInterfaces/write"
    with alice(arm):
        linked(arm.put(nic, interface()), write, nic, join, SUBNET)
        # What does not exist is answered in the same words.
        linked(arm.put(nic, interface(f"{SUBNET}x")), write, nic, join, f"{SUBNET}x")
    error(arm.get(nic), 404, "ResourceNotFound")
    grant(arm, "Network Contributor", SUBNET)
    with alice(arm):
        assert arm.put(nic, interface()).status_code == 201
        linked(arm.put(nic, interface(f"{SUBNET}x")), write, nic, join, f"{SUBNET}x")
    error(arm.put(nic, interface(f"{SUBNET}x")), 400, "InvalidResourceReference")


def test_a_subnet_in_its_networks_body_joins_a_group_of_rules(arm: Arm) -> None:
    arm.made(OTHER, {"location": "eastus2"})
    arm.group()
    guard = NSG.replace("/mygroup/", "/mygroup0/")
    arm.made(guard, {"location": "eastus2"})
    grant(arm, "Network Contributor", GROUP)
    guarded = {"name": "default", "properties": {"addressPrefix": "10.1.0.0/22", "networkSecurityGroup": {"id": guard}}}
    join, write = "Microsoft.Network/networkSecurityGroups/join/action", "Microsoft.Network/virtualNetworks/write"
    with alice(arm):
        linked(arm.put(VNET, network(guarded)), write, VNET, join, guard)
        assert arm.put(VNET, network()).status_code == 201
        linked(arm.put(SUBNET, guarded), "Microsoft.Network/virtualNetworks/subnets/write", SUBNET, join, guard)
    grant(arm, "Network Contributor", guard)
    with alice(arm):
        assert arm.put(SUBNET, guarded).status_code == 201


def test_a_cluster_in_a_network_needs_its_subnet(arm: Arm) -> None:
    arm.workspace()
    grant(arm, "AzureML Compute Operator", WORKSPACE)
    write = "Microsoft.MachineLearningServices/workspaces/computes/write"
    join = "Microsoft.Network/virtualNetworks/subnets/join/action"
    with alice(arm):
        linked(arm.put(COMPUTE, cluster()), write, COMPUTE, join, SUBNET)
        refused(arm.get(WORKSPACE), "Microsoft.MachineLearningServices/workspaces/read", WORKSPACE)
    grant(arm, "Network Contributor", VNET)
    with alice(arm):
        assert arm.put(COMPUTE, cluster()).status_code == 201


def test_a_data_scientist_reads_the_workspace_and_makes_no_compute(arm: Arm) -> None:
    arm.workspace()
    grant(arm, "AzureML Data Scientist", WORKSPACE)
    grant(arm, "Network Contributor", VNET)
    with alice(arm):
        assert arm.get(WORKSPACE).status_code == 200
        refused(arm.put(COMPUTE, cluster()), "Microsoft.MachineLearningServices/workspaces/computes/write", COMPUTE)


def test_a_deployment_has_the_rights_of_its_caller(arm: Arm) -> None:
    arm.group()
    grant(arm, "Network Contributor", GROUP)
    deployment = f"{GROUP}/providers/Microsoft.Resources/deployments/one"
    rules = {"type": "Microsoft.Network/networkSecurityGroups", "apiVersion": "2023-09-01", "name": "nsg", "location": "eastus2"}
    vault = {"type": "Microsoft.KeyVault/vaults", "apiVersion": "2023-07-01", "name": "vault0815", "location": "eastus2"}

    def body(*resources: dict[str, Any]) -> dict[str, Any]:
        return {"properties": {"mode": "Incremental", "template": {"contentVersion": "1.0.0.0", "resources": list(resources)}}}

    with alice(arm):
        answer = error(arm.put(deployment, body(rules, vault)), 403, "InvalidTemplateDeployment")
        assert [one["code"] for one in answer["details"]] == ["AuthorizationFailed"]
        assert "'Microsoft.KeyVault/vaults/write'" in answer["message"]
        error(arm.send("POST", f"{deployment}/validate", body(vault)), 403, "InvalidTemplateDeployment")
        error(arm.get(deployment), 404, "ResourceNotFound")
        made = arm.put(deployment, body(rules))
        assert made.status_code == 201 and arm.follow(made)["status"] == "Succeeded", made.text
        assert [d["name"] for d in arm.get(f"{GROUP}/providers/Microsoft.Resources/deployments").json()["value"]] == ["one"]
    error(arm.get(f"{GROUP}/providers/Microsoft.KeyVault/vaults/vault0815"), 404, "ResourceNotFound")


def test_rights_that_are_taken_while_a_deployment_runs_end_it(arm: Arm) -> None:
    """The second resource needs the first one's end, which comes after the role is gone."""
    arm.group()
    grant(arm, "Network Contributor", GROUP)
    first = {
        "type": "Microsoft.Network/virtualNetworks",
        "apiVersion": "2023-09-01",
        "name": "first",
        "location": "eastus2",
        "properties": {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}},
    }
    second = first | {"name": "second", "dependsOn": ["[resourceId('Microsoft.Network/virtualNetworks', 'first')]"]}
    arm.driver.slow_down("net/", 0.5)
    template = {"contentVersion": "1.0.0.0", "resources": [first, second]}
    body = {"properties": {"mode": "Incremental", "template": template}}
    with alice(arm):
        made = arm.put(f"{GROUP}/providers/Microsoft.Resources/deployments/two", body)
        assert made.status_code == 201
    mine = arm.get(f"{GROUP}/providers/Microsoft.Authorization/roleAssignments", query=f"$filter=principalId eq '{ALICE}'").json()
    for one in mine["value"]:
        assert arm.send("DELETE", one["id"]).status_code == 200
    status = arm.follow(made)
    assert status["status"] == "Failed" and "AuthorizationFailed" in json.dumps(status)
    error(arm.get(f"{GROUP}/providers/Microsoft.Network/virtualNetworks/second"), 404, "ResourceNotFound")


def test_operations_are_followed_by_who_may_touch_what_they_are_about(arm: Arm) -> None:
    arm.workspace()
    made = arm.put(COMPUTE, cluster())
    url = made.headers["Azure-AsyncOperation"]
    with alice(arm):
        error(arm.get(url), 403, "AuthorizationFailed")
    grant(arm, "AzureML Compute Operator", WORKSPACE)
    with alice(arm):
        assert arm.get(url).status_code == 200
    assert arm.follow(made)["status"] == "Succeeded"


def test_a_group_of_people_has_what_is_assigned_to_it(arm: Arm) -> None:
    arm.network()
    team = arm.engine.identities.create("group", {"displayName": "team"}).object_id
    person = arm.engine.identities.create("user", {"displayName": "p"}, "p@ringfence.onmicrosoft.com").object_id
    arm.engine.identities.link("member", team, person)
    grant_answer = assign(arm, GROUP, team, GUIDS["Reader"], principalType="Group")
    assert grant_answer.status_code == 201, grant_answer.text
    arm.token = arm.signer.issue(Subject("app", person), MANAGEMENT)
    assert arm.get(VNET).status_code == 200
    arm.engine.identities.unlink("member", team, person)
    error(arm.get(VNET), 403, "AuthorizationFailed")


@pytest.mark.parametrize("role", ["AcrPull", "Storage Blob Data Owner", "Azure Kubernetes Service RBAC Cluster Admin"])
def test_roles_of_data_planes_read_no_networks(arm: Arm, role: str) -> None:
    arm.network()
    grant(arm, role, SUBSCRIPTION)
    with alice(arm):
        refused(arm.get(VNET), "Microsoft.Network/virtualNetworks/read", VNET)


def test_the_tenants_root_group_is_shown_to_who_may_read_it(arm: Arm) -> None:
    root = f"/providers/Microsoft.Management/managementGroups/{TENANT}"
    assert [one["id"] for one in arm.get("/providers/Microsoft.Management/managementGroups").json()["value"]] == [root]
    assert arm.get(root).json()["properties"]["displayName"] == "Tenant Root Group"
    error(arm.get(f"{root}x"), 404, "NotFound")
    grant(arm, "Reader", SUBSCRIPTION)
    with alice(arm):
        assert arm.get("/providers/Microsoft.Management/managementGroups").json() == {"value": []}
        refused(arm.get(root), "Microsoft.Management/managementGroups/read", root)
    grant(arm, "Reader", root)
    with alice(arm):
        assert arm.get(root).status_code == 200
