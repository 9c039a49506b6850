"""Roles for key vaults (Azure's category Security). The data actions hold for vaults that use role-based access control."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

_ONLY = "Only works for key vaults that use the 'Azure role-based access control' permission model."
#: What every role for the contents of a vault may do on the control plane.
_AROUND = """
    Microsoft.Authorization/*/read
    Microsoft.Insights/alertRules/*
    Microsoft.Resources/deployments/*
    Microsoft.Resources/subscriptions/resourceGroups/read
    Microsoft.Support/*
    Microsoft.KeyVault/checkNameAvailability/read
    Microsoft.KeyVault/deletedVaults/read
    Microsoft.KeyVault/locations/*/read
    Microsoft.KeyVault/vaults/*/read
    Microsoft.KeyVault/operations/read
    """

ROLES = (
    role(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        "Perform all data plane operations on a key vault and all objects in it, including certificates, keys, and secrets. "
        f"Cannot manage key vault resources or manage role assignments. {_ONLY}",
        _AROUND,
        data="Microsoft.KeyVault/vaults/*",
    ),
    role(
        "f25e0fa2-a7c8-4377-a976-54943a77a395",
        "Key Vault Contributor",
        "Lets you manage key vaults, but not access to them.",
        """
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.KeyVault/*
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Support/*
        """,
        excepted="""
        Microsoft.KeyVault/locations/deletedVaults/purge/action
        Microsoft.KeyVault/hsmPools/*
        Microsoft.KeyVault/managedHsms/*
        """,
    ),
    role(
        "21090545-7ca7-4776-b22c-e363652d74d2",
        "Key Vault Reader",
        "Read metadata of key vaults and its certificates, keys, and secrets. Cannot read sensitive values such as secret "
        f"contents or key material. {_ONLY}",
        _AROUND,
        data="""
        Microsoft.KeyVault/vaults/*/read
        Microsoft.KeyVault/vaults/secrets/readMetadata/action
        """,
    ),
    role(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        f"Perform any action on the secrets of a key vault, except manage permissions. {_ONLY}",
        _AROUND,
        data="Microsoft.KeyVault/vaults/secrets/*",
    ),
    role(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        f"Read secret contents. {_ONLY}",
        data="""
        Microsoft.KeyVault/vaults/secrets/getSecret/action
        Microsoft.KeyVault/vaults/secrets/readMetadata/action
        """,
    ),
    role(
        "a4417e6f-fecd-4de8-b567-7b0420556985",
        "Key Vault Certificates Officer",
        f"Perform any action on the certificates of a key vault, except manage permissions. {_ONLY}",
        _AROUND,
        data="""
        Microsoft.KeyVault/vaults/certificatecas/*
        Microsoft.KeyVault/vaults/certificates/*
        Microsoft.KeyVault/vaults/certificatecontacts/write
        """,
    ),
    role(
        "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba",
        "Key Vault Certificate User",
        f"Read certificate contents. {_ONLY}",
        data="""
        Microsoft.KeyVault/vaults/certificates/read
        Microsoft.KeyVault/vaults/secrets/getSecret/action
        Microsoft.KeyVault/vaults/secrets/readMetadata/action
        Microsoft.KeyVault/vaults/keys/read
        """,
    ),
    role(
        "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        "Key Vault Crypto Officer",
        f"Perform any action on the keys of a key vault, except manage permissions. {_ONLY}",
        _AROUND,
        data="""
        Microsoft.KeyVault/vaults/keys/*
        Microsoft.KeyVault/vaults/keyrotationpolicies/*
        """,
    ),
    role(
        "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        "Key Vault Crypto Service Encryption User",
        f"Read metadata of keys and perform wrap/unwrap operations. {_ONLY}",
        """
        Microsoft.EventGrid/eventSubscriptions/write
        Microsoft.EventGrid/eventSubscriptions/read
        Microsoft.EventGrid/eventSubscriptions/delete
        """,
        data="""
        Microsoft.KeyVault/vaults/keys/read
        Microsoft.KeyVault/vaults/keys/wrap/action
        Microsoft.KeyVault/vaults/keys/unwrap/action
        """,
    ),
    role(
        "12338af0-0e69-4776-bea7-57ae8d297424",
        "Key Vault Crypto User",
        f"Perform cryptographic operations using keys. {_ONLY}",
        data="""
        Microsoft.KeyVault/vaults/keys/read
        Microsoft.KeyVault/vaults/keys/update/action
        Microsoft.KeyVault/vaults/keys/backup/action
        Microsoft.KeyVault/vaults/keys/encrypt/action
        Microsoft.KeyVault/vaults/keys/decrypt/action
        Microsoft.KeyVault/vaults/keys/wrap/action
        Microsoft.KeyVault/vaults/keys/unwrap/action
        Microsoft.KeyVault/vaults/keys/sign/action
        Microsoft.KeyVault/vaults/keys/verify/action
        """,
    ),
)
