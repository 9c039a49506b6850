"""Roles for everything (Azure's categories Privileged and General)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"

ROLES = (
    role(
        OWNER,
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        "*",
    ),
    role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage assignments in "
        "Azure Blueprints, or share image galleries.",
        "*",
        excepted="""
        Microsoft.Authorization/*/Delete
        Microsoft.Authorization/*/Write
        Microsoft.Authorization/elevateAccess/Action
        Microsoft.Blueprint/blueprintAssignments/write
        Microsoft.Blueprint/blueprintAssignments/delete
        Microsoft.Compute/galleries/share/action
        Microsoft.Purview/consents/write
        Microsoft.Purview/consents/delete
        Microsoft.Resources/deploymentStacks/manageDenySetting/action
        Microsoft.Subscription/cancel/action
        Microsoft.Subscription/enable/action
        """,
    ),
    role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, but does not allow you to make any changes.",
        "*/read",
    ),
    role(
        USER_ACCESS_ADMINISTRATOR,
        "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        "*/read Microsoft.Authorization/* Microsoft.Support/*",
    ),
    role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC. This role does not allow you to manage access "
        "using other ways, such as Azure Policy.",
        """
        Microsoft.Authorization/roleAssignments/write
        Microsoft.Authorization/roleAssignments/delete
        */read
        Microsoft.Support/*
        """,
    ),
)
