"""Microsoft.KeyVault vaults: where a workspace keeps secrets. A plain resource: no secret is served from it.

Principals and their secrets are in `control.identities`; role assignments are `model.authorization`.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from ringfence.model.firewall import NetworkRules
from ringfence.model.resource import Properties

VAULT = "microsoft.keyvault/vaults"


class Vault(Properties):
    """enabledForVolumeEncryption: Azure takes it, as azureml-core sends it, and it means nothing."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "hsmPoolResourceId", "privateEndpointConnections", "vaultUri", "enabledForVolumeEncryption"}
    )

    tenant_id: str | None = None
    sku: JsonValue = None
    access_policies: tuple[JsonValue, ...] = ()
    create_mode: str | None = None
    enabled_for_deployment: bool = False
    enabled_for_disk_encryption: bool = False
    enabled_for_template_deployment: bool = False
    enable_purge_protection: bool | None = None
    enable_rbac_authorization: bool = False
    enable_soft_delete: bool = True
    soft_delete_retention_in_days: int = 90
    network_acls: NetworkRules | None = None
    public_network_access: str | None = None
