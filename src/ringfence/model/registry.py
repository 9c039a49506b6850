"""Microsoft.ContainerRegistry registries: what is asked of one. Its images are `control.images`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from ringfence.model.firewall import NetworkRules
from ringfence.model.resource import Properties

REGISTRY = "microsoft.containerregistry/registries"


class Registry(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "loginServer",
            "creationDate",
            "status",
            "privateEndpointConnections",
            "dataEndpointHostNames",
            "dataEndpointHostNamesByRegion",
            "regionalEndpointHostNames",
        }
    )

    admin_user_enabled: bool = False
    anonymous_pull_enabled: bool = False
    auto_generated_domain_name_label_scope: str | None = None
    data_endpoint_enabled: bool = False
    encryption: JsonValue = None
    endpoint_protocol: str | None = None
    metadata_search: str | None = None
    network_rule_set: NetworkRules | None = None
    network_rule_bypass_options: str | None = None
    network_rule_bypass_allowed_for_tasks: bool | None = None
    policies: JsonValue = None
    public_network_access: str | None = None
    regional_endpoints: str | None = None
    role_assignment_mode: str | None = None
    writable_cache_repos: str | None = None
    zone_redundancy: str | None = None
