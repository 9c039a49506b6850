"""The firewall in front of a storage account, a vault or a registry: who may come by the public address.

Who passes is `policy.firewalls`; whether rules may be written is admission's question.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, reference_text


class AddressRule(Properties):
    """value: a public address or prefix. action: Allow, the only one there is."""

    value: str
    action: str = "Allow"


class SubnetRule(Properties):
    """A subnet with a service endpoint."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"state"})

    id: Annotated[str, AfterValidator(reference_text)]
    action: str = "Allow"
    ignore_missing_vnet_service_endpoint: bool = False

    @property
    def subnet(self) -> ResourceId:
        return ResourceId.parse(self.id)


class NetworkRules(Properties):
    """default_action: what happens to whom no rule names. bypass: platform services that pass in any case."""

    default_action: str = "Allow"
    bypass: str | None = None
    ip_rules: tuple[AddressRule, ...] = ()
    virtual_network_rules: tuple[SubnetRule, ...] = ()
    resource_access_rules: tuple[JsonValue, ...] = ()
    ipv6_rules: tuple[JsonValue, ...] = ()

    @property
    def denies(self) -> bool:
        return self.default_action.lower() == "deny"
