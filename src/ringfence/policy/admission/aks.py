"""Inference clusters on AKS: the address plan and everything else that is refused before a cluster is made.

Sources: RULES.md sections 4.1, 4.2, 5 and 10, and the seed document's section on AKS. Room for
nodes and pods is counted in `desired.alloc`, where the addresses are given out.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from ringfence.model import errors, ml, network
from ringfence.model.ml import ClusterPurpose
from ringfence.model.resource import Resource
from ringfence.policy import companions, sizes
from ringfence.policy.admission import ml as ml_rules
from ringfence.policy.admission import tls
from ringfence.policy.admission.case import Advice, Case, Finding, ipv4, unsupported

_BASE = "properties.properties"
_SERVICE, _DNS, _BRIDGE = "networkProfile.serviceCIDR", "networkProfile.dnsServiceIP", "networkProfile.dockerBridgeCidr"
#: Not for services, pods or networks of a cluster (RULES.md section 4.1).
BANNED = tuple(map(IPv4Network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
#: Fewest nodes and cores, by purpose (RULES.md section 5).
_LEAST = {ClusterPurpose.FAST_PROD: (3, 12), ClusterPurpose.DENSE_PROD: (3, 12), ClusterPurpose.DEV_TEST: (1, 1)}
_MOST_NODES = 1000


def aks(case: Case) -> ml.Aks:
    assert isinstance(case.new.properties, ml.Compute)
    return case.new.properties.properties


def kind_is_aks(case: Case) -> Iterator[Finding]:
    """Of the kinds of compute, AKS is the one with an engine behind it, and it is made, not attached."""
    assert isinstance(case.new.properties, ml.Compute)
    asked = case.new.properties
    if asked.compute_type.lower() != "aks":
        yield unsupported(f"computes of type '{asked.compute_type[:100]}'", "properties.computeType", "Use AKS.")
    if case.old is None and asked.resource_id is not None:
        yield unsupported("attached clusters", "properties.resourceId", "Let the compute make its cluster.")


def networking_is_all_or_nothing(case: Case) -> Iterator[Finding]:
    """Service range, DNS address and bridge go together (RULES.md section 4.1, the trio rule)."""
    given = aks(case).networking
    trio = (given.service_cidr, given.dns_service_ip, given.docker_bridge_cidr)
    if any(trio) and not all(trio):
        yield errors.Invalid(
            "InvalidParameter",
            "serviceCidr, dnsServiceIP and dockerBridgeCidr should all be empty or neither should be empty.",
            target=f"{_BASE}.aksNetworkingConfiguration",
        )


def subnet_id_is_an_id(case: Case) -> Iterator[Finding]:
    """The id of a subnet of a virtual network."""
    text = aks(case).networking.subnet_id
    if not text:
        return
    try:
        found = aks(case).networking.subnet
    except errors.Problem as problem:
        yield type(problem)(problem.code, problem.message, target=f"{_BASE}.aksNetworkingConfiguration.subnetId")
        return
    if found is None or found.type.lower() != network.SUBNET:
        message = f"'{text[:300]}' is not the id of a subnet (…/Microsoft.Network/virtualNetworks/NETWORK/subnets/SUBNET)."
        yield errors.Invalid("LinkedInvalidPropertyId", message, target=f"{_BASE}.aksNetworkingConfiguration.subnetId")


def ranges_are_well_formed(case: Case) -> Iterator[Finding]:
    """A network, an address, and a bridge address written with its host bits."""
    asked = aks(case)
    if ipv4(asked.service_cidr) is None:
        yield _invalid(f"The service CIDR '{asked.service_cidr[:100]}' is not a network in CIDR notation.", _SERVICE)
    if _address(asked.dns_service_ip) is None:
        yield _invalid(f"The DNS service IP '{asked.dns_service_ip[:100]}' is not an IPv4 address.", _DNS)
    if bridge(asked) is None:
        yield _invalid(
            f"The Docker bridge address '{asked.docker_bridge_cidr[:100]}' is not an address with the length of its network, "
            "as 172.17.0.1/16 is.",
            _BRIDGE,
        )


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def bridge(asked: ml.Aks) -> IPv4Interface | None:
    """The Docker bridge's address and network, or None when it is not one."""
    if "/" not in asked.docker_bridge_cidr:
        return None
    try:
        return IPv4Interface(asked.docker_bridge_cidr)
    except ValueError:
        return None


def _invalid(message: str, target: str) -> errors.Invalid:
    return errors.Invalid("InvalidParameter", message, target=target)


def _subnets(case: Case) -> list[tuple[Resource, IPv4Network]]:
    """Every subnet of the cluster's network."""
    children = case.snapshot.children(companions.subnet_of(case.new).parent)
    pairs = ((c, ipv4(c.properties.prefix)) for c in children if isinstance(c.properties, network.Subnet))
    return [(child, prefix) for child, prefix in pairs if prefix is not None]


def _network_prefixes(case: Case) -> list[IPv4Network]:
    found = case.snapshot.get(companions.subnet_of(case.new).parent)
    if found is None or not isinstance(found.properties, network.VirtualNetwork):
        return []
    return [prefix for text in found.properties.prefixes if (prefix := ipv4(text)) is not None]


def service_range_is_clear_of_subnets(case: Case) -> Iterator[Finding]:
    """The seed document: it may not overlap the range of any subnet."""
    range_ = IPv4Network(aks(case).service_cidr)
    for subnet, prefix in _subnets(case):
        if prefix.overlaps(range_):
            yield errors.Invalid(
                "ServiceCidrOverlapExistingSubnetsCidr",
                f"The specified service CIDR {range_} is conflicted with an existing subnet CIDR {prefix} "
                f"(subnet '{subnet.id.name}' of '{subnet.id.parent.name}'). Use a range that no subnet of the network overlaps.",
                target=_SERVICE,
            )


def service_range_is_better_outside(case: Case) -> Iterator[Finding]:
    """Inside the network but clear of its subnets: possible, not recommended (RULES.md section 4.1)."""
    range_ = IPv4Network(aks(case).service_cidr)
    inside = next((prefix for prefix in _network_prefixes(case) if prefix.overlaps(range_)), None)
    if inside is not None and not any(prefix.overlaps(range_) for _, prefix in _subnets(case)):
        yield Advice(
            f"The service CIDR {range_} lies in the address space {inside} of the virtual network. It is clear of today's "
            "subnets; a later subnet there could not be reached from the cluster. A range outside of the network is recommended."
        )


def service_range_is_allowed(case: Case) -> Iterator[Finding]:
    """No banned range, not larger than a /12."""
    range_ = IPv4Network(aks(case).service_cidr)
    yield from _banned(range_, f"The service CIDR {range_}", _SERVICE)
    if range_.prefixlen < 12:
        yield _invalid(f"ServiceCidr is too large: {range_} is larger than a /12.", _SERVICE)
    if range_.prefixlen > 28:
        yield _invalid(
            f"ServiceCidr is too small: {range_} has no room for the cluster's services. Use a /28 or larger.", _SERVICE
        )


def network_is_allowed(case: Case) -> Iterator[Finding]:
    """The banned ranges hold for the cluster's network as well."""
    for prefix in _network_prefixes(case):
        yield from _banned(prefix, f"The address prefix {prefix} of the cluster's network", "networkProfile")


def _banned(range_: IPv4Network, what: str, target: str) -> Iterator[Finding]:
    found = next((b for b in BANNED if b.overlaps(range_)), None)
    if found is not None:
        yield _invalid(f"{what} overlaps {found}, which a cluster may not use.", target)


def dns_address_is_in_the_service_range(case: Case) -> Iterator[Finding]:
    """Inside the range, and not its first address, which is the API server's."""
    range_, address = IPv4Network(aks(case).service_cidr), IPv4Address(aks(case).dns_service_ip)
    if address not in range_:
        yield errors.Invalid(
            "DnsServiceIpOutOfServiceCidr",
            f"The DNS service IP {address} is out of the range defined by service CIDR {range_}.",
            target="networkProfile.dnsServiceIP",
        )
    elif address in (range_[0], range_[1]):
        yield _invalid(f"DNSServiceIP can not be the first IP address in ServiceCidr: {address} in {range_}.", _DNS)
    elif address == range_.broadcast_address:
        yield _invalid(f"DNSServiceIP can not be the last IP address in ServiceCidr: {address} in {range_}.", _DNS)


def bridge_is_clear(case: Case) -> Iterator[Finding]:
    """The seed document: neither in a subnet's range nor in the service range."""
    found, range_ = bridge(aks(case)), IPv4Network(aks(case).service_cidr)
    assert found is not None
    if found.network.overlaps(range_):
        yield _invalid(f"The Docker bridge CIDR {found} overlaps the service CIDR {range_}.", _BRIDGE)
    for subnet, prefix in _subnets(case):
        if found.network.overlaps(prefix):
            yield _invalid(
                f"The Docker bridge CIDR {found} overlaps the range {prefix} of the subnet '{subnet.id.name}' of "
                f"'{subnet.id.parent.name}'.",
                _BRIDGE,
            )


def subnets_are_not_delegated(case: Case) -> Iterator[Finding]:
    """Neither the nodes' subnet nor the load balancer's."""
    for id in {companions.subnet_of(case.new), companions.balancer_subnet_of(case.new)}:
        found = case.snapshot.get(id)
        if found is not None and isinstance(found.properties, network.Subnet) and found.properties.delegated_to is not None:
            yield errors.Invalid(
                "SubnetIsDelegated",
                f"AgentPoolProfile subnet with id {id} cannot be used as it's a delegated subnet. "
                f"It is delegated to {found.properties.delegated_to}. Use another subnet or remove the delegation.",
                target=f"{_BASE}.aksNetworkingConfiguration.subnetId",
            )


def size_fits_the_purpose(case: Case) -> Iterator[Finding]:
    """FastProd: at least three nodes and twelve cores; DevTest: one node."""
    asked = aks(case)
    size = sizes.size(asked.agent_vm_size)
    if size is None:
        yield errors.Invalid(
            "InvalidParameter",
            f"The VM size '{asked.agent_vm_size[:100]}' is not known. Sizes: {', '.join(sizes.NAMES)}.",
            target=f"{_BASE}.agentVmSize",
        )
        return
    nodes, cores = _LEAST[asked.cluster_purpose]
    if not 1 <= asked.agent_count <= _MOST_NODES:
        yield _invalid(f"agentCount is {asked.agent_count}; it is from 1 to {_MOST_NODES}.", f"{_BASE}.agentCount")
    elif asked.agent_count < nodes or asked.agent_count * size.cores < cores:
        yield _invalid(
            f"A cluster for {asked.cluster_purpose.value} has at least {nodes} nodes and {cores} cores; {asked.agent_count} of "
            f"{asked.agent_vm_size} are {asked.agent_count * size.cores} cores. Use more or larger nodes, or DevTest.",
            f"{_BASE}.agentCount",
        )


def plan_stays(case: Case) -> Iterator[Finding]:
    """A cluster keeps its address plan and the size of its nodes (AKS: PropertyChangeNotAllowed)."""
    if case.old is None or not isinstance(case.old.properties, ml.Compute):
        return
    before, after = case.old.properties.properties, aks(case)
    pairs = (
        ("networkProfile.serviceCidr", before.service_cidr, after.service_cidr),
        ("networkProfile.dnsServiceIP", before.dns_service_ip, after.dns_service_ip),
        ("networkProfile.dockerBridgeCidr", before.docker_bridge_cidr, after.docker_bridge_cidr),
        ("agentPoolProfile.vnetSubnetID", companions.subnet_of(case.old).key, companions.subnet_of(case.new).key),
        ("agentPoolProfile.vmSize", before.agent_vm_size.lower(), after.agent_vm_size.lower()),
        ("location", companions.region(case.old), companions.region(case.new)),
    )
    for name, was, wanted in pairs:
        if was != wanted:
            message = f"Changing property '{name}' is not allowed. It is {was}; create another cluster for {wanted}."
            yield errors.Invalid("PropertyChangeNotAllowed", message, target=name)


def services_still_fit(case: Case) -> Iterator[Finding]:
    """A smaller cluster still holds the services that run on it."""
    if case.old is not None:
        yield from ml_rules.services_fit(case.snapshot, case.new, f"{_BASE}.agentCount")


SHAPE = (kind_is_aks, networking_is_all_or_nothing, subnet_id_is_an_id, ranges_are_well_formed, *tls.SHAPE)
RULES = (
    service_range_is_clear_of_subnets,
    service_range_is_better_outside,
    service_range_is_allowed,
    network_is_allowed,
    dns_address_is_in_the_service_range,
    bridge_is_clear,
    subnets_are_not_delegated,
    size_fits_the_purpose,
    plan_stays,
    services_still_fit,
    *tls.RULES,
)
