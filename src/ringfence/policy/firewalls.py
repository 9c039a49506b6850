"""Who may reach a storage account, a vault or a registry by its public address: networkAcls and publicNetworkAccess.

One reading for all three types. Where a request came from is `arrivals`' question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ringfence.model import access, registry, storage
from ringfence.model.firewall import NetworkRules
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource

#: Guarded type -> the service that a subnet names to come as itself (`serviceEndpoints`).
GUARDED: Mapping[str, str] = {
    storage.STORAGE_ACCOUNT: "Microsoft.Storage",
    access.VAULT: "Microsoft.KeyVault",
    registry.REGISTRY: "Microsoft.ContainerRegistry",
}


@dataclass(frozen=True, slots=True)
class Firewall:
    """public: whether the public address answers at all. open: whether it answers whom no rule names."""

    public: bool = True
    open: bool = True
    prefixes: tuple[IPv4Network, ...] = ()
    subnets: frozenset[str] = frozenset()
    bypass: bool = True

    def admits(self, source: IPv4Address, subnet: str | None) -> bool:
        """subnet: the key of the one whose service endpoint was taken."""
        if not self.public:
            return False
        return self.open or any(source in prefix for prefix in self.prefixes) or (subnet is not None and subnet in self.subnets)


def of(resource: Resource) -> Firewall:
    """The firewall of a resource; one of another type is open."""
    rules, public = rules_of(resource), public_of(resource)
    if rules is None:
        return Firewall(public=public)
    return Firewall(
        public=public,
        open=not rules.denies,
        prefixes=tuple(IPv4Network(rule.value, strict=False) for rule in rules.ip_rules),
        subnets=frozenset(rule.subnet.key for rule in rules.virtual_network_rules),
        bypass="azureservices" in (rules.bypass or "AzureServices").lower(),
    )


def rules_of(resource: Resource) -> NetworkRules | None:
    """The written rules, or None."""
    match resource.properties:
        case storage.StorageAccount() as account:
            return account.network_acls
        case access.Vault() as vault:
            return vault.network_acls
        case registry.Registry() as images:
            return images.network_rule_set
    return None


def public_of(resource: Resource) -> bool:
    """publicNetworkAccess; whoever does not say so is reachable."""
    said = getattr(resource.properties, "public_network_access", None)
    return not isinstance(said, str) or said.lower() not in ("disabled", "securedbyperimeter")


def field_of(resource: Resource) -> str:
    """Where the rules stand on the wire."""
    return "networkRuleSet" if resource.type == registry.REGISTRY else "networkAcls"


def subnets(resource: Resource) -> Iterator[tuple[str, ResourceId]]:
    """The subnets that the rules name, and the wire path of each."""
    rules = rules_of(resource)
    for number, rule in enumerate(rules.virtual_network_rules if rules is not None else ()):
        yield f"properties.{field_of(resource)}.virtualNetworkRules[{number}].id", rule.subnet
