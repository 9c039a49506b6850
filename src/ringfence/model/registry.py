"""Microsoft.ContainerRegistry registries: the plain resource a workspace refers to. No image is served from it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from ringfence.model.firewall import NetworkRules
from ringfence.model.resource import Properties

REGISTRY = "microsoft.containerregistry/registries"


class Registry(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "loginServer", "creationDate", "status", "privateEndpointConnections", "dataEndpointHostNames"}
    )

    admin_user_enabled: bool = False
    anonymous_pull_enabled: bool = False
    data_endpoint_enabled: bool = False
    encryption: JsonValue = None
    network_rule_set: NetworkRules | None = None
    network_rule_bypass_options: str | None = None
    policies: JsonValue = None
    public_network_access: str | None = None
    zone_redundancy: str | None = None
