"""What each role answers to a request, one row each: role, where it is assigned, request, status and code (RULES.md section 9).

All rows are asked of one world, each by a principal of its own, so that none changes what another may do.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.arm.arm_world import COMPUTE, GROUP, NSG, SUBSCRIPTION, TENANT, VNET, WORKSPACE, Arm, cluster, network
from tests.arm.test_access import GUIDS, OTHER, SUBNET, interface
from tests.arm.test_role_assignments import assign, body, guid, path

from ringfence.api.entra.tokens import Subject

ROOT, MANAGED = "/", f"/providers/Microsoft.Management/managementGroups/{TENANT}"
FAR = VNET.replace("/mygroup/", "/mygroup0/")
ZONE = f"{OTHER}/providers/Microsoft.Network/privateDnsZones/a.test"
ZONE_LINK = f"{ZONE}/virtualNetworkLinks/one"
ACCOUNT = f"{OTHER}/providers/Microsoft.Storage/storageAccounts/target0815"
REGISTRY = f"{OTHER}/providers/Microsoft.ContainerRegistry/registries/images0815"
IDENTITY = f"{OTHER}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/runner"
ADDRESS = f"{OTHER}/providers/Microsoft.Network/publicIPAddresses/ip"
BALANCER = f"{GROUP}/providers/Microsoft.Network/loadBalancers/lb"
ENDPOINT = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/pe"
PEERING = f"{VNET}/virtualNetworkPeerings/far"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/k"
MANAGED_NIC = f"{OTHER}/providers/Microsoft.Network/networkInterfaces/n"

_OK, _NO, _LINKED = (200, ""), (403, "AuthorizationFailed"), (403, "LinkedAuthorizationFailed")
_NONE, _NO_GROUP = (404, "ResourceNotFound"), (404, "ResourceGroupNotFound")
_PEERED = {"properties": {"remoteVirtualNetwork": {"id": FAR}}}
_LINK = {"location": "global", "properties": {"virtualNetwork": {"id": VNET}, "registrationEnabled": False}}
_GUARDED = {"properties": {"addressPrefix": "10.1.0.0/22", "networkSecurityGroup": {"id": NSG}}}
_FRONT = {"name": "f", "properties": {"publicIPAddress": {"id": ADDRESS}}}
_PRIVATE = {"name": "c", "properties": {"privateLinkServiceId": ACCOUNT, "groupIds": ["blob"]}}
_POOL = {"name": "p", "count": 1, "vmSize": "Standard_D3_v2", "mode": "System", "vnetSubnetID": SUBNET}
_AKS = {
    "location": "eastus2",
    "identity": {"type": "SystemAssigned"},
    "properties": {"dnsPrefix": "k", "agentPoolProfiles": [_POOL]},
}
_AS_RUNNER = {
    "location": "eastus2",
    "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
    "properties": {},
}

Row = tuple[dict[str, str], str, str, Any, tuple[int, str]]


def _assign(scope: str) -> tuple[str, Any]:
    return path(scope, guid()), body("cccccccc-0000-4000-8000-000000000001", GUIDS["AcrPull"])


ROWS: tuple[Row, ...] = (
    # Where a role is assigned: at the root, a management group, a subscription, a group, a resource, a child; in any casing.
    *(({"Reader": scope}, "GET", SUBNET, None, _OK) for scope in (ROOT, MANAGED, SUBSCRIPTION, GROUP, VNET, SUBNET)),
    ({"Reader": GROUP.upper().replace("/SUBSCRIPTIONS", "/subscriptions")}, "GET", VNET.lower(), None, _OK),
    ({"Reader": SUBNET}, "GET", VNET, None, _NO),
    ({"Owner": GROUP}, "GET", FAR, None, _NO),
    ({"Owner": OTHER}, "GET", VNET, None, _NO),
    ({}, "GET", f"{VNET}x", None, _NO),
    ({"Reader": GROUP}, "GET", f"{VNET}x", None, _NONE),
    ({"Reader": GROUP}, "GET", f"{SUBSCRIPTION}/resourceGroups/nowhere", None, _NO),
    ({"Reader": SUBSCRIPTION}, "GET", f"{SUBSCRIPTION}/resourceGroups/nowhere", None, _NO_GROUP),
    ({"Reader": SUBSCRIPTION}, "DELETE", f"{VNET}x", None, _NO),
    ({"Contributor": SUBSCRIPTION}, "DELETE", f"{VNET}x", None, (204, "")),
    # Who writes what, and who assigns roles.
    ({"Reader": GROUP}, "PUT", NSG, {"location": "eastus2"}, _NO),
    ({"Contributor": GROUP}, "PUT", NSG, {"location": "eastus2"}, _OK),
    ({"Contributor": GROUP}, "PUT", *_assign(GROUP), _NO),
    ({"Network Contributor": GROUP}, "PUT", *_assign(GROUP), _NO),
    ({"Owner": GROUP}, "PUT", *_assign(GROUP), (201, "")),
    ({"Owner": GROUP}, "PUT", *_assign(SUBSCRIPTION), _NO),
    ({"User Access Administrator": GROUP}, "PUT", *_assign(VNET), (201, "")),
    ({"Role Based Access Control Administrator": GROUP}, "PUT", *_assign(NSG), (201, "")),
    ({"User Access Administrator": GROUP}, "PUT", NSG, {"location": "eastus2"}, _NO),
    ({"User Access Administrator": GROUP}, "GET", NSG, None, _OK),
    ({"Network Contributor": GROUP}, "GET", WORKSPACE, None, _NO),
    ({"Network Contributor": GROUP}, "GET", GROUP, None, _OK),
    ({"Network Contributor": GROUP}, "DELETE", GROUP, None, _NO),
    ({"Contributor": GROUP}, "PUT", f"{GROUP}1", {"location": "eastus2"}, _NO),
    # Keys and credentials are no reading.
    ({"Reader": OTHER}, "POST", f"{ACCOUNT}/listKeys", {}, _NO),
    ({"Storage Blob Data Owner": OTHER}, "POST", f"{ACCOUNT}/listKeys", {}, _NO),
    ({"Storage Account Key Operator Service Role": OTHER}, "POST", f"{ACCOUNT}/listKeys", {}, _OK),
    ({"Reader and Data Access": OTHER}, "POST", f"{ACCOUNT}/listKeys", {}, _OK),
    ({"Contributor": OTHER}, "POST", f"{ACCOUNT}/listKeys", {}, _OK),
    ({"Reader": OTHER}, "POST", f"{REGISTRY}/listCredentials", {}, _NO),
    ({"AcrPush": OTHER}, "POST", f"{REGISTRY}/listCredentials", {}, _NO),
    ({"AcrPull": REGISTRY}, "GET", REGISTRY, None, _NO),
    ({"Reader": GROUP}, "POST", f"{CLUSTER}/listClusterUserCredential", {}, _NO),
    ({"Azure Kubernetes Service Cluster User Role": GROUP}, "POST", f"{CLUSTER}/listClusterUserCredential", {}, _NONE),
    ({"Azure Kubernetes Service Cluster User Role": GROUP}, "POST", f"{CLUSTER}/listClusterAdminCredential", {}, _NO),
    ({"Azure Kubernetes Service Cluster Admin Role": GROUP}, "POST", f"{CLUSTER}/listClusterAdminCredential", {}, _NONE),
    ({"Azure Kubernetes Service Cluster Admin Role": GROUP}, "POST", f"{CLUSTER}/listClusterUserCredential", {}, _NO),
    ({"AzureML Data Scientist": WORKSPACE}, "POST", f"{COMPUTE}/listKeys", {}, _NO),
    ({"AzureML Compute Operator": WORKSPACE}, "POST", f"{COMPUTE}/listKeys", {}, (404, "NotFound")),
    # Machine learning.
    ({"AzureML Data Scientist": WORKSPACE}, "GET", WORKSPACE, None, _OK),
    ({"AzureML Data Scientist": WORKSPACE}, "PUT", WORKSPACE, {"location": "eastus2", "properties": {}}, _NO),
    ({"AzureML Data Scientist": WORKSPACE}, "PUT", COMPUTE, cluster(), _NO),
    ({"AzureML Data Scientist": WORKSPACE}, "DELETE", COMPUTE, None, _NO),
    ({"AzureML Compute Operator": WORKSPACE}, "PUT", COMPUTE, cluster(), _LINKED),
    ({"AzureML Compute Operator": WORKSPACE}, "GET", WORKSPACE, None, _NO),
    # References to what others own.
    ({"Contributor": OTHER}, "PUT", MANAGED_NIC, interface(), _LINKED),
    ({"Contributor": OTHER, "Reader": GROUP}, "PUT", MANAGED_NIC, interface(), _LINKED),
    ({"Contributor": OTHER, "Network Contributor": SUBNET}, "PUT", MANAGED_NIC, interface(), _OK),
    ({"Network Contributor": VNET}, "PUT", SUBNET, _GUARDED, _LINKED),
    ({"Network Contributor": VNET}, "PUT", VNET, network({"name": "default", **_GUARDED}), _LINKED),
    ({"Network Contributor": VNET}, "PUT", PEERING, _PEERED, _LINKED),
    ({"Network Contributor": VNET, "Private DNS Zone Contributor": FAR}, "PUT", PEERING, _PEERED, _LINKED),
    ({"Private DNS Zone Contributor": OTHER}, "PUT", ZONE_LINK, _LINK, _LINKED),
    ({"Network Contributor": GROUP}, "PUT", ZONE_LINK, _LINK, _NO),
    ({"Private DNS Zone Contributor": SUBSCRIPTION}, "PUT", ZONE_LINK, _LINK, _OK),
    (
        {"Contributor": GROUP},
        "PUT",
        BALANCER,
        {"location": "eastus2", "properties": {"frontendIPConfigurations": [_FRONT]}},
        _LINKED,
    ),
    (
        {"Contributor": GROUP},
        "PUT",
        ENDPOINT,
        {"location": "eastus2", "properties": {"subnet": {"id": SUBNET}, "privateLinkServiceConnections": [_PRIVATE]}},
        _LINKED,
    ),
    ({"Azure Kubernetes Service Contributor Role": GROUP}, "PUT", CLUSTER, _AKS, _LINKED),
    ({"Azure Kubernetes Service RBAC Cluster Admin": GROUP}, "PUT", CLUSTER, _AKS, _NO),
    ({"Contributor": GROUP}, "PUT", f"{WORKSPACE}2", _AS_RUNNER, _LINKED),
    ({"Contributor": GROUP, "Managed Identity Contributor": OTHER}, "PUT", f"{WORKSPACE}2", _AS_RUNNER, _LINKED),
    ({"Contributor": GROUP, "Managed Identity Operator": IDENTITY}, "PUT", f"{WORKSPACE}2", _AS_RUNNER, _OK),
    ({"Managed Identity Operator": OTHER}, "DELETE", IDENTITY, None, _NO),
)


@pytest.fixture
def world(arm: Arm) -> Arm:
    arm.workspace()
    arm.made(NSG, {"location": "eastus2"})
    arm.made(OTHER, {"location": "eastus2"})
    arm.made(FAR, network(prefix="10.9.0.0/16"))
    arm.made(ZONE, {"location": "global"})
    arm.made(ACCOUNT, {"location": "eastus2", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})
    arm.made(REGISTRY, {"location": "eastus2", "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": True}})
    arm.made(ADDRESS, {"location": "eastus2", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}})
    assert arm.put(IDENTITY, {"location": "eastus2"}).status_code == 201
    return arm


def test_every_row_is_answered_as_azure_does(world: Arm) -> None:
    administrator, wrong = world.token, list[str]()
    for number, (given, method, target, asked, expected) in enumerate(ROWS):
        who = str(uuid.UUID(int=number + 1))
        world.token = administrator
        for role, scope in given.items():
            answer = assign(world, scope, who, GUIDS[role])
            assert answer.status_code == 201, answer.text
        world.token = world.signer.issue(Subject("client", who), "https://management.azure.com/")
        answer = world.send(method, target, asked)
        shown = (200 if answer.status_code in (200, 201) and expected[0] == 200 else answer.status_code, "")
        if answer.status_code >= 400:
            shown = (answer.status_code, answer.json()["error"]["code"])
        if shown != expected:
            wrong.append(f"{given} {method} {target}: {shown}, not {expected}: {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)
