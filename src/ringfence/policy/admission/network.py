"""Virtual networks and subnets. Sources: RULES.md sections 1, 7 and 10.

Security groups are in `security`, network interfaces in `interfaces`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from ringfence.model import compute, errors, network
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import clusters, links, tags
from ringfence.policy.admission import delegations
from ringfence.policy.admission.case import Advice, Case, Finding, ipv4, unsupported

#: Never part of a network (RULES.md section 1).
FORBIDDEN = tuple(map(IPv4Network, ("224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32")))
#: Where Ringfence's own public addresses are.
_PUBLIC = IPv4Network("198.18.0.0/15")
#: The shortest and the longest prefix of a network and of a subnet (RULES.md section 1).
_LARGEST, _SMALLEST = 2, 29
_POLICIES = frozenset({"enabled", "disabled", "networksecuritygroupenabled", "routetableenabled"})


def vnet(case: Case) -> network.VirtualNetwork:
    assert isinstance(case.new.properties, network.VirtualNetwork)
    return case.new.properties


def subnet(case: Case) -> network.Subnet:
    assert isinstance(case.new.properties, network.Subnet)
    return case.new.properties


def prefix_format(resource: Resource, text: str, target: str) -> Iterator[Finding]:
    """CIDR notation, IPv4, no host bits."""
    if ipv4(text) is not None:
        return
    if _is_ipv6(text):
        yield unsupported(f"IPv6 (the prefix {text})", target, "Use IPv4 prefixes.")
        return
    loose = _loose(text)
    if loose is not None:
        yield errors.Invalid(
            "InvalidCIDRNotation",
            f"The address prefix {text} in resource {resource.id} has an invalid CIDR notation. For the given prefix length, the "
            f"address prefix should be {loose}.",
            target=target,
        )
        return
    yield errors.Invalid(
        "InvalidAddressPrefixFormat",
        f"Address prefix {text[:100]} of resource {resource.id} is not formatted correctly. It should follow CIDR notation, for "
        "example 10.0.0.0/24.",
        target=target,
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Network(text, strict=False)
    except ValueError:
        return False
    return True


def _loose(text: str) -> IPv4Network | None:
    address, slash, length = text.partition("/")
    if not (slash and length.isdigit()):
        return None
    try:
        return IPv4Network(f"{address}/{length}", strict=False)
    except ValueError:
        return None


def address_space_is_well_formed(case: Case) -> Iterator[Finding]:
    """At least one prefix, each in CIDR notation."""
    target = "properties.addressSpace.addressPrefixes"
    if not vnet(case).prefixes:
        message = f"The address space of the virtual network {case.new.id} is empty. Give at least one prefix."
        yield errors.Invalid("AddressSpaceIsEmpty", message, target=target)
    for number, text in enumerate(vnet(case).prefixes):
        yield from prefix_format(case.new, text, f"{target}[{number}]")


def address_space_is_allowed(case: Case) -> Iterator[Finding]:
    """Forbidden ranges; Ringfence's public range; /2 to /29; no prefix inside another."""
    found = [IPv4Network(text) for text in vnet(case).prefixes]
    for number, prefix in enumerate(found):
        target = f"properties.addressSpace.addressPrefixes[{number}]"
        reserved = next((f for f in FORBIDDEN if f.overlaps(prefix)), None)
        if reserved is not None:
            message = (
                f"The address prefix {prefix} of {case.new.id} overlaps {reserved}, which no virtual network may use. "
                "Use another range, for example one of 10.0.0.0/8."
            )
            yield errors.Invalid("AddressPrefixNotAllowed", message, target=target)
        if prefix.overlaps(_PUBLIC):
            yield unsupported(f"the address prefix {prefix}: {_PUBLIC} holds its public addresses", target, "Use another prefix.")
        if not _LARGEST <= prefix.prefixlen <= _SMALLEST:
            message = (
                f"The address prefix {prefix} of {case.new.id} has a length of {prefix.prefixlen}; a virtual network's is from "
                f"{_LARGEST} to {_SMALLEST}. Use a prefix of such a length."
            )
            yield errors.Invalid("InvalidAddressPrefixLength", message, target=target)
        if any(prefix.overlaps(other) for other in found[:number]):
            message = f"The address prefix {prefix} overlaps another prefix of the virtual network {case.new.id}. Leave one out."
            yield errors.Invalid("NetcfgAddressPrefixesOverlap", message, target=target)


def subnets_stay_inside(case: Case) -> Iterator[Finding]:
    """A smaller address space still holds every subnet."""
    found = [IPv4Network(text) for text in vnet(case).prefixes]
    for child in case.snapshot.children(case.new.id):
        if isinstance(child.properties, network.Subnet):
            prefix = ipv4(child.properties.prefix)
            if prefix is not None and not any(prefix.subnet_of(whole) for whole in found):
                yield _outside(child, case.new)


def network_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would change how packets go and has nothing behind it here."""
    asked, path = vnet(case), "properties"
    if asked.enable_ddos_protection or asked.ddos_protection_plan is not None:
        yield unsupported("DDoS protection", f"{path}.enableDdosProtection")
    if asked.enable_vm_protection:
        yield unsupported("VM protection", f"{path}.enableVmProtection")
    if asked.flow_timeout_in_minutes is not None:
        yield unsupported("a flow timeout", f"{path}.flowTimeoutInMinutes")
    if asked.dhcp_options is not None and any(s != "168.63.129.16" for s in asked.dhcp_options.dns_servers):
        yield unsupported("DNS servers of your own", f"{path}.dhcpOptions.dnsServers")
    if isinstance(asked.encryption, dict) and asked.encryption.get("enabled"):
        yield unsupported("encryption between machines", f"{path}.encryption")
    if asked.bgp_communities or asked.ip_allocations or asked.address_space.ipam_pool_prefix_allocations:
        yield unsupported("BGP communities and address pools", path)


def subnet_prefix_is_well_formed(case: Case) -> Iterator[Finding]:
    """One prefix, in the singular or the plural field."""
    given = {text for text in (subnet(case).address_prefix, *subnet(case).address_prefixes) if text}
    if len(given) > 1:
        yield unsupported("several prefixes in one subnet", "properties.addressPrefixes", "Give one.")
    elif not given:
        message = f"The subnet {case.new.id} has no address prefix. Give properties.addressPrefix."
        yield errors.Invalid("InvalidRequestFormat", message, target="properties.addressPrefix")
    for text in given:
        yield from prefix_format(case.new, text, "properties.addressPrefix")


def subnet_is_inside_its_network(case: Case) -> Iterator[Finding]:
    """A subnet lies in one of its network's prefixes, and is a /29 or larger."""
    parent, prefix = case.snapshot.get(case.new.id.parent), IPv4Network(subnet(case).prefix)
    if not _LARGEST <= prefix.prefixlen <= _SMALLEST:
        message = (
            f"The subnet {case.new.id} has the prefix {prefix}; subnets are from /{_LARGEST} to /{_SMALLEST}, because Azure "
            "keeps five addresses of each. Use a prefix of such a length."
        )
        yield errors.Invalid("InvalidSubnetSize", message, target="properties.addressPrefix")
    if parent is not None and isinstance(parent.properties, network.VirtualNetwork):
        spaces = [found for text in parent.properties.prefixes if (found := ipv4(text)) is not None]
        if not any(prefix.subnet_of(space) for space in spaces):
            yield _outside(case.new, parent)


def _outside(child: Resource, parent: Resource) -> errors.Invalid:
    assert isinstance(child.properties, network.Subnet) and isinstance(parent.properties, network.VirtualNetwork)
    return errors.Invalid(
        "NetcfgInvalidSubnet",
        f"Subnet '{child.id.name}' is not valid in virtual network '{parent.id.name}'. "
        f"The range {child.properties.prefix} of {child.id} is outside of the network's "
        f"{', '.join(parent.properties.prefixes)}. Use a range inside, or add a prefix to the network.",
        target=str(child.id),
    )


def subnets_do_not_overlap(case: Case) -> Iterator[Finding]:
    """No two subnets of a network share an address; one that goes with the same request is out of the way."""
    prefix, bounds = subnet(case).prefix, _bounds(subnet(case).prefix)
    assert bounds is not None
    first, last = bounds
    for sibling in case.snapshot.children(case.new.id.parent):
        if sibling.key == case.new.key or not isinstance(sibling.properties, network.Subnet):
            continue
        other = _bounds(sibling.properties.prefix)
        if other is not None and other[0] <= last and first <= other[1] and sibling.state is not ProvisioningState.DELETING:
            yield errors.Invalid(
                "NetcfgSubnetRangesOverlap",
                f"Subnet '{case.new.id.name}' is not valid because its IP address range overlaps with that of an existing "
                f"subnet in virtual network '{case.new.id.parent.name}': {prefix} of {case.new.id}, and '{sibling.id.name}', "
                f"{sibling.properties.prefix}. Use a range that no subnet has.",
                target=str(case.new.id),
            )


@lru_cache(maxsize=16_384)
def _bounds(text: str) -> tuple[int, int] | None:
    """The first and the last address of a prefix: a network may have thousands of subnets, each held against the others."""
    prefix = ipv4(text)
    return None if prefix is None else (int(prefix.network_address), int(prefix.broadcast_address))


def subnet_in_use_keeps_its_prefix(case: Case) -> Iterator[Finding]:
    """A prefix changes only while nothing uses the subnet."""
    if case.old is None or not isinstance(case.old.properties, network.Subnet):
        return
    if case.old.properties.prefix != subnet(case).prefix and _users(case):
        yield errors.Invalid(
            "InUsePrefixCannotBeDeleted",
            f"IpPrefix {case.old.properties.prefix} on Subnet {case.new.id.name} has active allocations and cannot be deleted. "
            f"{case.new.id} is used by {', '.join(_users(case))}; delete these first, or make another subnet.",
            target="properties.addressPrefix",
        )


def subnet_in_use_keeps_its_delegation(case: Case) -> Iterator[Finding]:
    """A delegation changes only while nothing uses the subnet."""
    if case.old is None or not isinstance(case.old.properties, network.Subnet):
        return
    before, after = ([d.properties.service_name for d in s.delegations] for s in (case.old.properties, subnet(case)))
    if [name.lower() for name in before] != [name.lower() for name in after] and _users(case):
        yield errors.Invalid(
            "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
            f"Delegations of subnet {case.new.id} cannot be changed from [{', '.join(before)}] to [{', '.join(after)}] because "
            f"it is being used by the resource {_users(case)[0]}. Delete that first.",
            target="properties.delegations",
        )


def _users(case: Case) -> list[str]:
    return sorted({str(user.id) for user, _ in links.users(case.snapshot, network.SUBNET, frozenset({case.new.key}))})


def subnet_is_clear_of_clusters(case: Case) -> Iterator[Finding]:
    """A new subnet inside the service range of a cluster of its network cannot be reached from that cluster's pods."""
    prefix = IPv4Network(subnet(case).prefix)
    if case.old is not None and case.old.properties == case.new.properties:
        return
    for user, range_ in _service_ranges(case):
        if range_.overlaps(prefix):
            yield Advice(
                f"Subnet '{case.new.id.name}' ({prefix}) overlaps the service range {range_} of the cluster "
                f"'{user.id.name}': its pods will not reach the overlapping addresses."
            )


def _service_ranges(case: Case) -> Iterator[tuple[Resource, IPv4Network]]:
    """The service ranges of the clusters whose nodes are in this network, by the compute that uses one, or the cluster."""
    for cluster in case.snapshot.of_type(compute.MANAGED_CLUSTER):
        range_ = ipv4(clusters.of(cluster).service_cidr)
        if range_ is not None and clusters.nodes_subnet(case.snapshot, cluster).parent == case.new.id.parent:
            yield clusters.compute_of(case.snapshot, cluster) or cluster, range_


def subnet_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would change how packets go and has nothing behind it here."""
    asked, path = subnet(case), "properties"
    if asked.route_table is not None:
        yield unsupported("route tables", f"{path}.routeTable")
    if asked.nat_gateway is not None:
        yield unsupported("NAT gateways", f"{path}.natGateway")
    if asked.service_endpoint_policies:
        yield unsupported("service endpoint policies", f"{path}.serviceEndpointPolicies")
    yield from _service_endpoints(asked)
    if asked.default_outbound_access is False:
        yield unsupported("a private subnet", f"{path}.defaultOutboundAccess", "Remove it, and deny outbound traffic by a rule.")
    if asked.application_gateway_ip_configurations or asked.ip_allocations or asked.ipam_pool_prefix_allocations:
        yield unsupported("application gateways and address pools", path)
    if asked.sharing_scope is not None:
        yield unsupported("a shared subnet", f"{path}.sharingScope")
    if len(asked.delegations) > 1:
        yield unsupported("several delegations", f"{path}.delegations", "Give one.")
    for name, value in (
        ("privateEndpointNetworkPolicies", asked.private_endpoint_network_policies),
        ("privateLinkServiceNetworkPolicies", asked.private_link_service_network_policies),
    ):
        if value is not None and value.lower() not in _POLICIES:
            message = (
                f"{name} of {case.new.id} is '{value[:100]}'; it is Enabled, Disabled, NetworkSecurityGroupEnabled or "
                "RouteTableEnabled."
            )
            yield errors.Invalid("InvalidRequestFormat", message, target=f"{path}.{name}")


def _service_endpoints(asked: network.Subnet) -> Iterator[Finding]:
    """Services that are here, each once."""
    seen = set()
    for number, one in enumerate(asked.service_endpoints):
        target = f"properties.serviceEndpoints[{number}].service"
        if one.service.lower() not in tags.SERVICE_ENDPOINTS:
            known = ", ".join(spelled for spelled, _ in tags.SERVICE_ENDPOINTS.values())
            yield unsupported(f"service endpoints of {one.service[:60]}", target, f"Known: {known}.")
        if one.service.lower() in seen:
            message = f"The service endpoint '{one.service}' is given twice."
            yield errors.Invalid("ServiceEndpointsHaveDuplicateValues", message, target=target)
        seen.add(one.service.lower())


NETWORK_SHAPE = (address_space_is_well_formed,)
NETWORK_RULES = (address_space_is_allowed, subnets_stay_inside, network_is_enforceable)
SUBNET_SHAPE = (subnet_prefix_is_well_formed,)
SUBNET_RULES = (
    subnet_is_inside_its_network,
    subnets_do_not_overlap,
    subnet_in_use_keeps_its_prefix,
    subnet_in_use_keeps_its_delegation,
    delegations.service_is_known,
    subnet_is_clear_of_clusters,
    subnet_is_enforceable,
)
