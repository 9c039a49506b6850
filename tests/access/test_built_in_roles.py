"""The built-in roles: what each is for, and what it is not (RULES.md section 9)."""

from __future__ import annotations

import re

import pytest
from tests.access.grants import SUBSCRIPTION, world

from ringfence.policy import access, roles

SCOPE = f"{SUBSCRIPTION}/resourceGroups/rg"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NETWORK, _ML = "Microsoft.Network", "Microsoft.MachineLearningServices/workspaces"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_CLUSTERS = "Microsoft.ContainerService/managedClusters"
_REGISTRY = "Microsoft.ContainerRegistry/registries"
_SECRETS = "Microsoft.KeyVault/vaults/secrets"
_ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
_JOIN = f"{_NETWORK}/virtualNetworks/subnets/join/action"


@pytest.mark.parametrize(
    ("role", "action", "permitted"),
    [
        ("Owner", "Microsoft.Authorization/roleAssignments/write", True),
        ("Owner", _JOIN, True),
        ("Contributor", _JOIN, True),
        ("Contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("Contributor", "Microsoft.Authorization/roleDefinitions/delete", False),
        ("Contributor", "Microsoft.Authorization/roleAssignments/read", True),
        ("Contributor", "Microsoft.Authorization/elevateAccess/action", False),
        ("Contributor", "Microsoft.Compute/galleries/share/action", False),
        ("Contributor", f"{_CLUSTERS}/listClusterAdminCredential/action", True),
        ("Contributor", f"{_REGISTRY}/pull/read", True),
        ("Reader", f"{_NETWORK}/virtualNetworks/read", True),
        ("Reader", _JOIN, False),
        ("Reader", f"{_CLUSTERS}/listClusterUserCredential/action", False),
        ("Reader", "Microsoft.Storage/storageAccounts/listKeys/action", False),
        ("User Access Administrator", "Microsoft.Authorization/roleAssignments/write", True),
        ("User Access Administrator", f"{_NETWORK}/virtualNetworks/write", False),
        ("Role Based Access Control Administrator", "Microsoft.Authorization/roleAssignments/delete", True),
        ("Role Based Access Control Administrator", "Microsoft.Authorization/roleDefinitions/write", False),
        ("Network Contributor", _JOIN, True),
        ("Network Contributor", f"{_NETWORK}/loadBalancers/write", True),
        ("Network Contributor", "Microsoft.Resources/deployments/write", True),
        ("Network Contributor", "Microsoft.Resources/subscriptions/resourceGroups/read", True),
        ("Network Contributor", "Microsoft.Resources/subscriptions/resourceGroups/write", False),
        ("Network Contributor", f"{_CLUSTERS}/read", False),
        ("Network Contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("Private DNS Zone Contributor", f"{_NETWORK}/privateDnsZones/A/write", True),
        ("Private DNS Zone Contributor", f"{_NETWORK}/virtualNetworks/join/action", True),
        ("Private DNS Zone Contributor", _JOIN, False),
        ("DNS Zone Contributor", f"{_NETWORK}/dnsZones/write", True),
        ("DNS Zone Contributor", f"{_NETWORK}/privateDnsZones/write", False),
        ("Azure Kubernetes Service Cluster Admin Role", f"{_CLUSTERS}/listClusterAdminCredential/action", True),
        ("Azure Kubernetes Service Cluster Admin Role", f"{_CLUSTERS}/listClusterUserCredential/action", False),
        ("Azure Kubernetes Service Cluster User Role", f"{_CLUSTERS}/listClusterUserCredential/action", True),
        ("Azure Kubernetes Service Cluster User Role", f"{_CLUSTERS}/listClusterAdminCredential/action", False),
        ("Azure Kubernetes Service Contributor Role", f"{_CLUSTERS}/write", True),
        ("AcrPull", f"{_REGISTRY}/pull/read", True),
        ("AcrPull", f"{_REGISTRY}/push/write", False),
        ("AcrPull", f"{_REGISTRY}/read", False),
        ("AcrPush", f"{_REGISTRY}/push/write", True),
        ("AcrPush", f"{_REGISTRY}/artifacts/delete", False),
        ("AzureML Data Scientist", f"{_ML}/read", True),
        ("AzureML Data Scientist", f"{_ML}/write", False),
        ("AzureML Data Scientist", f"{_ML}/delete", False),
        ("AzureML Data Scientist", f"{_ML}/services/aks/write", True),
        ("AzureML Data Scientist", f"{_ML}/services/aks/listkeys/action", True),
        ("AzureML Data Scientist", f"{_ML}/computes/read", True),
        ("AzureML Data Scientist", f"{_ML}/computes/write", False),
        ("AzureML Data Scientist", f"{_ML}/computes/delete", False),
        ("AzureML Data Scientist", f"{_ML}/computes/listKeys/action", False),
        ("AzureML Compute Operator", f"{_ML}/computes/write", True),
        ("AzureML Compute Operator", f"{_ML}/services/aks/write", False),
        ("AzureML Registry User", "Microsoft.MachineLearningServices/registries/assets/read", True),
        ("AzureML Metrics Writer (preview)", f"{_ML}/metrics/resource/write", True),
        ("AzureML Metrics Writer (preview)", f"{_ML}/read", False),
        ("Managed Identity Operator", _ASSIGN, True),
        ("Managed Identity Operator", "Microsoft.ManagedIdentity/userAssignedIdentities/write", False),
        ("Managed Identity Contributor", "Microsoft.ManagedIdentity/userAssignedIdentities/write", True),
        ("Managed Identity Contributor", _ASSIGN, False),
        ("Azure Container Instances Contributor Role", "Microsoft.ContainerInstance/containerGroups/write", True),
        ("Azure Container Instances Contributor Role", _JOIN, False),
        ("Storage Account Contributor", "Microsoft.Storage/storageAccounts/listKeys/action", True),
        ("Storage Blob Data Owner", "Microsoft.Storage/storageAccounts/listKeys/action", False),
        ("Key Vault Contributor", "Microsoft.KeyVault/vaults/write", True),
    ],
)
def test_what_a_role_permits(role: str, action: str, permitted: bool) -> None:
    assert access.permits(world([("who", role, SCOPE)]), "who", action, SCOPE) is permitted


@pytest.mark.parametrize(
    ("role", "action", "permitted"),
    [
        ("Owner", f"{_BLOBS}/read", False),
        ("Contributor", f"{_SECRETS}/getSecret/action", False),
        ("Storage Blob Data Reader", f"{_BLOBS}/read", True),
        ("Storage Blob Data Reader", f"{_BLOBS}/write", False),
        ("Storage Blob Data Contributor", f"{_BLOBS}/write", True),
        ("Storage Blob Data Contributor", f"{_BLOBS}/delete", True),
        ("Storage Blob Data Contributor", f"{_BLOBS}/manageOwnership/action", False),
        ("Storage Blob Data Owner", f"{_BLOBS}/manageOwnership/action", True),
        ("Key Vault Administrator", f"{_SECRETS}/getSecret/action", True),
        ("Key Vault Secrets User", f"{_SECRETS}/getSecret/action", True),
        ("Key Vault Secrets User", f"{_SECRETS}/setSecret/action", False),
        ("Key Vault Reader", f"{_SECRETS}/getSecret/action", False),
        ("Key Vault Contributor", f"{_SECRETS}/getSecret/action", False),
        ("Azure Kubernetes Service RBAC Cluster Admin", f"{_CLUSTERS}/namespaces/write", True),
        ("Azure Kubernetes Service RBAC Admin", f"{_CLUSTERS}/namespaces/write", False),
        ("Azure Kubernetes Service RBAC Admin", f"{_CLUSTERS}/secrets/read", True),
        ("Azure Kubernetes Service RBAC Reader", f"{_CLUSTERS}/pods/read", True),
        ("Azure Kubernetes Service RBAC Reader", f"{_CLUSTERS}/secrets/read", False),
        ("Azure Kubernetes Service RBAC Reader", f"{_CLUSTERS}/pods/write", False),
        ("Azure Kubernetes Service RBAC Writer", f"{_CLUSTERS}/secrets/read", True),
        ("Azure Kubernetes Service RBAC Writer", f"{_CLUSTERS}/pods/write", True),
        ("Azure Kubernetes Service RBAC Writer", f"{_CLUSTERS}/rbac.authorization.k8s.io/roles/read", False),
        ("Azure Kubernetes Service Cluster Admin Role", f"{_CLUSTERS}/pods/read", False),
    ],
)
def test_what_a_role_permits_on_data_planes(role: str, action: str, permitted: bool) -> None:
    assert access.permits(world([("who", role, SCOPE)]), "who", action, SCOPE, data=True) is permitted


def test_the_table_is_sound() -> None:
    names = [role.name for role in roles.BUILT_IN.values()]
    assert len(names) == len(set(names)) > 40
    for guid, role in roles.BUILT_IN.items():
        assert _GUID.fullmatch(guid) and role.description
        for entry in role.permissions:
            for name in (*entry.actions, *entry.not_actions, *entry.data_actions, *entry.not_data_actions):
                assert name == "*" or "/" in name, (role.name, name)
