"""Network interfaces and locations. Sources: RULES.md sections 1, 4.4, 7 and 10."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from ringfence.model import errors, network
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy.admission.case import Case, Finding, ipv4, unsupported

_FIELD = "properties.ipConfigurations[0].properties"


def interface(case: Case) -> network.NetworkInterface:
    assert isinstance(case.new.properties, network.NetworkInterface)
    return case.new.properties


def has_one_configuration(case: Case) -> Iterator[Finding]:
    """An interface has an address of one subnet."""
    count = len(interface(case).ip_configurations)
    if count == 0:
        message = f"The network interface '{case.new.id.name}' has no ipConfigurations. Give one."
        yield errors.Invalid("NetworkInterfaceMustHaveAtLeastOneIpConfiguration", message, target="properties.ipConfigurations")
    elif count > 1:
        yield unsupported("several addresses on one interface", "properties.ipConfigurations", "Give one configuration.")


def interface_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would change how packets go and has nothing behind it here."""
    asked = interface(case)
    inner = asked.ip_configurations[0].properties
    if inner.load_balancer_inbound_nat_rules:
        yield unsupported("inbound NAT rules of a load balancer", f"{_FIELD}.loadBalancerInboundNatRules")
    if inner.application_gateway_backend_address_pools or inner.application_security_groups:
        yield unsupported("application gateways and application security groups", _FIELD)
    if inner.private_ip_address_version.lower() != "ipv4":
        yield unsupported("IPv6", f"{_FIELD}.privateIPAddressVersion", "Use IPv4.")
    if asked.enable_ip_forwarding:
        yield unsupported("IP forwarding", "properties.enableIPForwarding")
    if asked.dns_settings is not None and asked.dns_settings.dns_servers:
        yield unsupported("DNS servers of your own", "properties.dnsSettings.dnsServers")


def static_address_is_usable(case: Case) -> Iterator[Finding]:
    """A static address lies in the subnet, and is none of the five that Azure keeps."""
    inner = interface(case).ip_configurations[0].properties
    method = inner.private_ip_allocation_method.lower()
    if method not in ("static", "dynamic"):
        message = f"privateIPAllocationMethod is '{inner.private_ip_allocation_method[:100]}'; it is Static or Dynamic."
        yield errors.Invalid("InvalidRequestFormat", message, target=f"{_FIELD}.privateIPAllocationMethod")
    if method != "static":
        return
    prefix, target = _prefix(case.snapshot, interface(case)), f"{_FIELD}.privateIPAddress"
    try:
        address = IPv4Address(inner.private_ip_address or "")
    except AddressValueError:
        message = f"Private static IP address '{(inner.private_ip_address or '')[:100]}' is not an IPv4 address."
        yield errors.Invalid("InvalidIPAddressFormat", message, target=target)
        return
    if prefix is None:
        return
    if address not in prefix:
        message = f"Private static IP address {address} does not belong to the range of subnet prefix {prefix}."
        yield errors.Invalid("PrivateIPAddressNotInSubnet", message, target=target)
    elif address in (*(prefix[number] for number in range(4)), prefix.broadcast_address):
        message = f"Private static IP address {address} falls within reserved IP range of subnet prefix {prefix}."
        yield errors.Invalid("PrivateIPAddressInReservedRange", message, target=target)


def _prefix(snapshot: Snapshot, asked: network.NetworkInterface) -> IPv4Network | None:
    found = snapshot.get(asked.subnet)
    return ipv4(found.properties.prefix) if found is not None and isinstance(found.properties, network.Subnet) else None


def interface_stays(case: Case) -> Iterator[Finding]:
    """An interface keeps its subnet and address."""
    if case.old is None or not isinstance(case.old.properties, network.NetworkInterface):
        return
    before, after = (p.ip_configurations[0].properties for p in (case.old.properties, interface(case)))
    if before.subnet.key != after.subnet.key or before.static_address != after.static_address:
        yield unsupported("a move of an interface to another address", _FIELD, "Delete it and create it again.")


def subnet_is_not_delegated(case: Case) -> Iterator[Finding]:
    """A delegated subnet is for its service only."""
    found = case.snapshot.get(interface(case).subnet)
    if found is not None:
        yield from delegated(case.new, found)


def delegated(resource: Resource, subnet: Resource) -> Iterator[Finding]:
    """The refusal of `resource` in `subnet`, if that is delegated."""
    assert isinstance(subnet.properties, network.Subnet)
    service = subnet.properties.delegated_to
    if service is not None:
        yield errors.Invalid(
            "SubnetWithExternalResourcesCannotBeUsedByOtherResources",
            f"Resource {resource.id} cannot be created in or updated to use the subnet {subnet.id} since it has delegation(s) "
            f"[{service}] to external services.",
            target=str(subnet.id),
        )


SHAPE = (has_one_configuration,)
RULES = (static_address_is_usable, subnet_is_not_delegated, interface_stays, interface_is_enforceable)
