"""Roles for storage accounts and their blobs (Azure's category Storage)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

ROLES = (
    role(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab",
        "Storage Account Contributor",
        "Lets you manage storage accounts, including accessing storage account keys which provide full access to storage account "
        "data.",
        """
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Insights/diagnosticSettings/*
        Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action
        Microsoft.ResourceHealth/availabilityStatuses/read
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Storage/storageAccounts/*
        Microsoft.Support/*
        """,
    ),
    role(
        "81a9662b-bebf-436f-a333-f67b29880f12",
        "Storage Account Key Operator Service Role",
        "Storage Account Key Operators are allowed to list and regenerate keys on Storage Accounts",
        """
        Microsoft.Storage/storageAccounts/listkeys/action
        Microsoft.Storage/storageAccounts/regeneratekey/action
        """,
    ),
    role(
        "c12c1c16-33a1-487b-954d-41c89c60f349",
        "Reader and Data Access",
        "Lets you view everything but will not let you delete or create a storage account or contained resource. It will also "
        "allow read/write access to all data contained in a storage account via access to storage account keys.",
        """
        Microsoft.Storage/storageAccounts/listKeys/action
        Microsoft.Storage/storageAccounts/ListAccountSas/action
        Microsoft.Storage/storageAccounts/read
        """,
    ),
    role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        "Allows for full access to Azure Storage blob containers and data, including assigning POSIX access control.",
        """
        Microsoft.Storage/storageAccounts/blobServices/containers/*
        Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action
        """,
        data="Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*",
    ),
    role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        "Allows for read, write and delete access to Azure Storage blob containers and data",
        """
        Microsoft.Storage/storageAccounts/blobServices/containers/delete
        Microsoft.Storage/storageAccounts/blobServices/containers/read
        Microsoft.Storage/storageAccounts/blobServices/containers/write
        Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action
        """,
        data="""
        Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete
        Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read
        Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write
        Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action
        Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action
        """,
    ),
    role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data",
        """
        Microsoft.Storage/storageAccounts/blobServices/containers/read
        Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action
        """,
        data="Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    ),
    role(
        "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
        "Storage Blob Delegator",
        "Allows for generation of a user delegation key which can be used to sign SAS tokens",
        "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
    ),
)
