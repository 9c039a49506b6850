"""Managed clusters: the address plan and everything else that is refused before a cluster is made or changed.

Sources: RULES.md sections 4.1, 4.2 and 10, and the seed document's section on AKS. A cluster that a
compute brings is held to the same (`aks`). Agent pools are in `pools`; room for nodes and
pods is counted in `desired.alloc`, where the addresses are given out.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from ringfence.model import compute, errors, network
from ringfence.model.resource import Resource
from ringfence.policy import clusters
from ringfence.policy.admission.case import Advice, Case, Finding, ipv4

SERVICE, DNS, BRIDGE = "networkProfile.serviceCIDR", "networkProfile.dnsServiceIP", "networkProfile.dockerBridgeCidr"
#: Not for services, pods or networks of a cluster (RULES.md section 4.1).
BANNED = tuple(map(IPv4Network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))


def asked(case: Case) -> compute.ManagedCluster:
    return clusters.of(case.new)


def trio_is_all_or_nothing(case: Case) -> Iterator[Finding]:
    """RULES.md section 4.1, the trio rule. Clients of today send no bridge any more: without one, two are a pair."""
    given = asked(case).network_profile
    pair = (given.service_cidr, given.dns_service_ip)
    if any(pair) != all(pair) or (given.docker_bridge_cidr and not all(pair)):
        yield invalid(
            "serviceCidr, dnsServiceIP and dockerBridgeCidr should all be empty or neither should be empty.", "networkProfile"
        )


def ranges_are_well_formed(case: Case) -> Iterator[Finding]:
    """A network, an address, and a bridge address written with its host bits."""
    yield from formed(asked(case).service_cidr, asked(case).dns_service_ip, asked(case).docker_bridge_cidr)


def formed(service: str, dns: str, docker: str) -> Iterator[Finding]:
    """The same of three texts."""
    if ipv4(service) is None:
        yield invalid(f"The service CIDR '{service[:100]}' is not a network in CIDR notation.", SERVICE)
    if _address(dns) is None:
        yield invalid(f"The DNS service IP '{dns[:100]}' is not an IPv4 address.", DNS)
    if bridge(docker) is None:
        yield invalid(
            f"The Docker bridge address '{docker[:100]}' is not an address with the length of its network, as 172.17.0.1/16 is.",
            BRIDGE,
        )


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def bridge(text: str) -> IPv4Interface | None:
    """The Docker bridge's address and network, or None when it is not one."""
    if "/" not in text:
        return None
    try:
        return IPv4Interface(text)
    except ValueError:
        return None


def invalid(message: str, target: str) -> errors.Invalid:
    """AKS's word for a value out of its range."""
    return errors.Invalid("InvalidParameter", message, target=target)


def _subnets(case: Case) -> list[tuple[Resource, IPv4Network]]:
    """Every subnet of the cluster's network."""
    children = case.snapshot.children(clusters.nodes_subnet(case.snapshot, case.new).parent)
    pairs = ((c, ipv4(c.properties.prefix)) for c in children if isinstance(c.properties, network.Subnet))
    return [(child, prefix) for child, prefix in pairs if prefix is not None]


def _network_prefixes(case: Case) -> list[IPv4Network]:
    found = case.snapshot.get(clusters.nodes_subnet(case.snapshot, case.new).parent)
    if found is None or not isinstance(found.properties, network.VirtualNetwork):
        return []
    return [prefix for text in found.properties.prefixes if (prefix := ipv4(text)) is not None]


def service_range_is_clear_of_subnets(case: Case) -> Iterator[Finding]:
    """The seed document: it may not overlap the range of any subnet."""
    range_ = IPv4Network(asked(case).service_cidr)
    for subnet, prefix in _subnets(case):
        if prefix.overlaps(range_):
            yield errors.Invalid(
                "ServiceCidrOverlapExistingSubnetsCidr",
                f"The specified service CIDR {range_} is conflicted with an existing subnet CIDR {prefix} "
                f"(subnet '{subnet.id.name}' of '{subnet.id.parent.name}'). Use a range that no subnet of the network overlaps.",
                target=SERVICE,
            )


def service_range_is_better_outside(case: Case) -> Iterator[Finding]:
    """Inside the network but clear of its subnets: possible, not recommended (RULES.md section 4.1)."""
    range_ = IPv4Network(asked(case).service_cidr)
    inside = next((prefix for prefix in _network_prefixes(case) if prefix.overlaps(range_)), None)
    if inside is not None and not any(prefix.overlaps(range_) for _, prefix in _subnets(case)):
        yield Advice(
            f"The service CIDR {range_} lies in the address space {inside} of the virtual network. It is clear of today's "
            "subnets; a later subnet there could not be reached from the cluster. A range outside of the network is recommended."
        )


def service_range_is_allowed(case: Case) -> Iterator[Finding]:
    """No banned range, not larger than a /12."""
    range_ = IPv4Network(asked(case).service_cidr)
    yield from _banned(range_, f"The service CIDR {range_}", SERVICE)
    if range_.prefixlen < 12:
        yield invalid(f"ServiceCidr is too large: {range_} is larger than a /12.", SERVICE)
    if range_.prefixlen > 28:
        yield invalid(f"ServiceCidr is too small: {range_} has no room for the cluster's services. Use a /28 or larger.", SERVICE)


def network_is_allowed(case: Case) -> Iterator[Finding]:
    """The banned ranges hold for the cluster's network as well."""
    for prefix in _network_prefixes(case):
        yield from _banned(prefix, f"The address prefix {prefix} of the cluster's network", "networkProfile")


def _banned(range_: IPv4Network, what: str, target: str) -> Iterator[Finding]:
    found = next((b for b in BANNED if b.overlaps(range_)), None)
    if found is not None:
        yield invalid(f"{what} overlaps {found}, which a cluster may not use.", target)


def dns_address_is_in_the_service_range(case: Case) -> Iterator[Finding]:
    """Inside the range, and not its first address, which is the API server's."""
    range_, address = IPv4Network(asked(case).service_cidr), IPv4Address(asked(case).dns_service_ip)
    if address not in range_:
        yield errors.Invalid(
            "DnsServiceIpOutOfServiceCidr",
            f"The DNS service IP {address} is out of the range defined by service CIDR {range_}.",
            target="networkProfile.dnsServiceIP",
        )
    elif address in (range_[0], range_[1]):
        yield invalid(f"DNSServiceIP can not be the first IP address in ServiceCidr: {address} in {range_}.", DNS)
    elif address == range_.broadcast_address:
        yield invalid(f"DNSServiceIP can not be the last IP address in ServiceCidr: {address} in {range_}.", DNS)


def bridge_is_clear(case: Case) -> Iterator[Finding]:
    """The seed document: neither in a subnet's range nor in the service range."""
    found, range_ = bridge(asked(case).docker_bridge_cidr), IPv4Network(asked(case).service_cidr)
    assert found is not None
    if found.network.overlaps(range_):
        yield invalid(f"The Docker bridge CIDR {found} overlaps the service CIDR {range_}.", BRIDGE)
    for subnet, prefix in _subnets(case):
        if found.network.overlaps(prefix):
            yield invalid(
                f"The Docker bridge CIDR {found} overlaps the range {prefix} of the subnet '{subnet.id.name}' of "
                f"'{subnet.id.parent.name}'.",
                BRIDGE,
            )


SHAPE = (trio_is_all_or_nothing, ranges_are_well_formed)
#: What holds for every cluster, whoever asks for it.
PLAN = (
    service_range_is_clear_of_subnets,
    service_range_is_better_outside,
    service_range_is_allowed,
    network_is_allowed,
    dns_address_is_in_the_service_range,
    bridge_is_clear,
)
RULES = PLAN
