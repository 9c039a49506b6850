"""Storage accounts, vaults and registries: their firewalls.

Sources: storage-network-security.md, key-vault/general/network-security.md,
container-registry-access-selected-networks.md; RULES.md section 9 (joinViaServiceEndpoint).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from ringfence.model import errors, network, registry, storage
from ringfence.model.resource import ProvisioningState
from ringfence.policy import firewalls
from ringfence.policy.admission.case import Case, Finding, unsupported

_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def rules_are_well_formed(case: Case) -> Iterator[Finding]:
    """Allow or Deny by default; rules name public addresses."""
    rules, field = firewalls.rules_of(case.new), f"properties.{firewalls.field_of(case.new)}"
    said = getattr(case.new.properties, "public_network_access", None)
    if isinstance(said, str) and said.lower() not in ("enabled", "disabled"):
        yield unsupported(f"publicNetworkAccess {said[:40]}", "properties.publicNetworkAccess", "Use Enabled or Disabled.")
    if rules is None:
        return
    if rules.default_action.lower() not in ("allow", "deny"):
        message = f"The defaultAction is '{rules.default_action[:40]}'; it is Allow or Deny."
        yield errors.Invalid("InvalidRequestPropertyValue", message, target=f"{field}.defaultAction")
    if rules.resource_access_rules or rules.ipv6_rules:
        yield unsupported("rules for resource instances or IPv6", field)
    for number, rule in enumerate(rules.ip_rules):
        try:
            prefix = IPv4Network(rule.value, strict=False)
        except (AddressValueError, NetmaskValueError, ValueError):
            prefix = None
        if prefix is None or any(prefix.overlaps(private) for private in _PRIVATE):
            yield errors.Invalid(
                "InvalidValuesForRequestParameters",
                f"Values for request parameters are invalid: {field.removeprefix('properties.')}.ipRules[*].value: "
                f"'{rule.value[:100]}'. For more information, see - https://aka.ms/storagenetworkruleset. It is a public IPv4 "
                "address or prefix.",
                target=f"{field}.ipRules[{number}].value",
            )


def tier_has_a_firewall(case: Case) -> Iterator[Finding]:
    """Network rules of a registry are a matter of the Premium tier; what else a tier offers is in `registries`."""
    if case.new.type != registry.REGISTRY:
        return
    rules, premium = firewalls.rules_of(case.new), str((case.new.sku or {}).get("name", "")).lower() == "premium"
    restricted = rules is not None and (rules.denies or rules.ip_rules or rules.virtual_network_rules)
    if not premium and restricted:
        message = f"The registry {case.new.id} is not of the Premium tier, so it has no network rules. Use the Premium tier."
        yield errors.Invalid("NetworkRuleSetNotSupported", message, target="sku.name")


def subnets_have_service_endpoints(case: Case) -> Iterator[Finding]:
    """A rule for a subnet needs the subnet's service endpoint."""
    service, rules = firewalls.GUARDED[case.new.type], firewalls.rules_of(case.new)
    for rule in rules.virtual_network_rules if rules is not None else ():
        found, field = case.snapshot.get(rule.subnet), f"properties.{firewalls.field_of(case.new)}.virtualNetworkRules"
        if found is None or not isinstance(found.properties, network.Subnet) or found.state is ProvisioningState.DELETING:
            yield errors.Invalid(
                "NetworkAclsValidationFailure",
                f"Validation of network acls failure: SubnetsNotFound:Subnet {rule.subnet} was not found.",
                target=field,
            )
        elif not rule.ignore_missing_vnet_service_endpoint and not _goes_as_itself(found.properties, service):
            yield errors.Invalid(
                "NetworkAclsValidationFailure",
                "Validation of network acls failure: SubnetsHaveNoServiceEndpointsConfigured:Subnets "
                f"{found.id.name} of virtual network {found.id.parent} do not have ServiceEndpoints for {service} resources "
                f"configured. Add {service} to subnet's ServiceEndpoints collection before trying to ACL {service} resources to "
                "these subnets.",
                target=field,
            )


def _goes_as_itself(subnet: network.Subnet, service: str) -> bool:
    return any(endpoint.service.lower().startswith(service.lower()) for endpoint in subnet.service_endpoints)


def account_is_flat(case: Case) -> Iterator[Finding]:
    """Blobs have no folders here."""
    if isinstance(case.new.properties, storage.StorageAccount) and case.new.properties.is_hns_enabled:
        yield unsupported("hierarchical namespaces", "properties.isHnsEnabled")


RULES = (rules_are_well_formed, tier_has_a_firewall, subnets_have_service_endpoints, account_is_flat)
