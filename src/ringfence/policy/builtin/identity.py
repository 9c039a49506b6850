"""Roles for managed identities (Azure's category Identity)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

ROLES = (
    role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        "Create, Read, Update, and Delete User Assigned Identity",
        """
        Microsoft.ManagedIdentity/userAssignedIdentities/read
        Microsoft.ManagedIdentity/userAssignedIdentities/write
        Microsoft.ManagedIdentity/userAssignedIdentities/delete
        Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read
        Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write
        Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete
        Microsoft.ManagedIdentity/userAssignedIdentities/revokeTokens/action
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Resources/deployments/*
        Microsoft.Support/*
        """,
    ),
    role(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        "Read and Assign User Assigned Identity",
        """
        Microsoft.ManagedIdentity/userAssignedIdentities/*/read
        Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Resources/deployments/*
        Microsoft.Support/*
        """,
    ),
)
