"""Public IP addresses. Sources: Azure's reference of public IP addresses; error codes as Azure's clients report them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ringfence.model import balancing, errors
from ringfence.model.resource import Resource
from ringfence.policy import balancing as spreading
from ringfence.policy import links
from ringfence.policy.admission.case import Case, Finding, unsupported

_LABEL = re.compile(r"[a-z][a-z0-9-]{1,61}[a-z0-9]")
_SKUS = ("Basic", "Standard")


def address(case: Case) -> balancing.PublicAddress:
    assert isinstance(case.new.properties, balancing.PublicAddress)
    return case.new.properties


def sku_of(resource: Resource) -> str:
    """Basic unless Standard is asked for."""
    return str((resource.sku or {}).get("name") or "Basic")


def sku_is_known(case: Case) -> Iterator[Finding]:
    """Basic or Standard, in a region."""
    if sku_of(case.new) not in _SKUS:
        message = f"The sku '{sku_of(case.new)[:50]}' of {case.new.id} is none of {', '.join(_SKUS)}."
        yield errors.Invalid("InvalidSkuName", message, target="sku.name")
    if str((case.new.sku or {}).get("tier") or "Regional") != "Regional":
        yield unsupported("addresses and load balancers of the global tier", "sku.tier", "Use the tier Regional.")
    if case.old is not None and sku_of(case.old) != sku_of(case.new):
        message = f"The sku of {case.new.id} cannot be changed from {sku_of(case.old)} to {sku_of(case.new)}. Delete it first."
        yield errors.Invalid("PublicIPSkuCannotBeChanged", message, target="sku.name")


def address_is_enforceable(case: Case) -> Iterator[Finding]:
    """IPv4 from the platform's range; what else would mean something has nothing behind it here."""
    asked = address(case)
    if asked.public_ip_address_version.lower() != "ipv4":
        yield unsupported("IPv6", "properties.publicIPAddressVersion", "Use IPv4.")
    if asked.nat_gateway is not None or asked.public_ip_prefix is not None:
        yield unsupported("NAT gateways and public address prefixes", "properties")
    if asked.ip_tags:
        yield unsupported("ipTags", "properties.ipTags")
    method = asked.public_ip_allocation_method.lower()
    if method not in ("static", "dynamic"):
        message = f"publicIPAllocationMethod is '{asked.public_ip_allocation_method[:50]}'; it is Static or Dynamic."
        yield errors.Invalid("InvalidRequestFormat", message, target="properties.publicIPAllocationMethod")
    elif method == "dynamic" and sku_of(case.new) == "Standard":
        message = f"Standard sku publicIp {case.new.id} must have AllocationMethod set to Static."
        yield errors.Invalid("PublicIpWithStandardSkuMustHaveStaticAllocationMethod", message, target="properties")
    if not 4 <= asked.idle_timeout_in_minutes <= 30:
        message = f"The idle timeout {asked.idle_timeout_in_minutes} of {case.new.id} is not from 4 to 30 minutes."
        yield errors.Invalid("InvalidIdleTimeout", message, target="properties.idleTimeoutInMinutes")


def label_is_free(case: Case) -> Iterator[Finding]:
    """A DNS label is well formed, and nobody else's in the region."""
    label, target = address(case).label, "properties.dnsSettings.domainNameLabel"
    if not label:
        return
    if _LABEL.fullmatch(label) is None:
        message = (
            f"The domain name label {label[:80]} is invalid. It must conform to the following regular expression: "
            "^[a-z][a-z0-9-]{1,61}[a-z0-9]$."
        )
        yield errors.Invalid("InvalidDomainNameLabel", message, target=target)
    scope = (address(case).dns_settings or balancing.AddressDns()).domain_name_label_scope
    if scope not in (None, "", "NoReuse", "TenantReuse", "SubscriptionReuse", "ResourceGroupReuse") or scope:
        yield unsupported("domain name labels with a hash", "properties.dnsSettings.domainNameLabelScope")
    name = spreading.name_of(case.new)
    for other in case.snapshot.of_type(balancing.PUBLIC_ADDRESS):
        if other.key != case.new.key and spreading.name_of(other) == name:
            message = f"DNS record {name} is already used by another public IP."
            yield errors.Invalid("DnsRecordInUse", message, target=target)


def usable(case: Case, found: Resource, user: str, field: str) -> Iterator[Finding]:
    """Whether a public address suits what refers to it, and is nobody else's. user: the id of the part that has it."""
    if case.new.type == balancing.BALANCER and sku_of(found) != sku_of(case.new):
        message = f"{sku_of(case.new)} sku load balancer {case.new.id} cannot reference {sku_of(found)} sku publicIP {found.id}."
        yield errors.Invalid("PublicIPAndLBSkuDoNotMatch", message, target=f"{field}.publicIPAddress")
    for other, link in links.users(case.snapshot, balancing.PUBLIC_ADDRESS, frozenset({found.key})):
        if other.key != case.new.key:
            message = (
                f"Resource {user} is referencing public IP address {found.id} that is already allocated to resource {other.id}."
            )
            yield errors.Invalid("PublicIPAddressInUse", message, target=f"{field}.{link.field.rpartition('.')[2]}")


RULES = (sku_is_known, address_is_enforceable, label_is_free)
