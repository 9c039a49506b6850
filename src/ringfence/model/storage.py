"""Microsoft.Storage accounts: the plain resource a workspace refers to. Blobs are in `control.blobs` and `api/blob`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue

from ringfence.model.firewall import NetworkRules
from ringfence.model.resource import Properties

STORAGE_ACCOUNT = "microsoft.storage/storageaccounts"


class StorageAccount(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "primaryEndpoints",
            "secondaryEndpoints",
            "primaryLocation",
            "secondaryLocation",
            "statusOfPrimary",
            "statusOfSecondary",
            "creationTime",
            "keyCreationTime",
            "privateEndpointConnections",
            "lastGeoFailoverTime",
            "geoReplicationStats",
        }
    )

    access_tier: str | None = None
    allow_blob_public_access: bool = False
    allow_cross_tenant_replication: bool = False
    allow_shared_key_access: bool = True
    default_to_o_auth_authentication: bool = Field(default=False, alias="defaultToOAuthAuthentication")
    encryption: JsonValue = None
    is_hns_enabled: bool = False
    minimum_tls_version: str | None = None
    network_acls: NetworkRules | None = None
    public_network_access: str | None = None
    supports_https_traffic_only: bool = True
