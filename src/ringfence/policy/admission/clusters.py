"""Managed clusters: the address plan and everything else that is refused before a cluster is made or changed.

Sources: RULES.md sections 4.1, 4.2 and 10, and the seed document's section on AKS. A cluster that a
compute brings is held to the same (`aks`). Agent pools are in `pools`; room for nodes and
pods is counted in `desired.alloc`, where the addresses are given out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from ringfence.model import compute, errors, network
from ringfence.model.peering import Peering
from ringfence.model.resource import Resource
from ringfence.policy import clusters, companions, peerings
from ringfence.policy.admission import cluster_features, private_clusters
from ringfence.policy.admission.case import LENGTH, Advice, Case, Finding, ipv4

SERVICE, DNS, BRIDGE = "networkProfile.serviceCIDR", "networkProfile.dnsServiceIP", "networkProfile.dockerBridgeCidr"
POD, POOLS = "networkProfile.podCidr", "agentPoolProfiles"
MOST_POOLS = 100
MOST_KUBENET_NODES = 400
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,43}[A-Za-z0-9]")
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
    if LENGTH.fullmatch(text[text.find("/") :]) is None:
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
    """No banned range, smaller than a /12 (concepts-network-ip-address-planning.md)."""
    range_ = IPv4Network(asked(case).service_cidr)
    yield from _banned(range_, f"The service CIDR {range_}", SERVICE)
    if range_.prefixlen <= 12:
        yield invalid(f"ServiceCidr is too large: {range_} is not smaller than a /12. Use a /13 or smaller.", SERVICE)
    if range_.prefixlen > 28:
        yield invalid(f"ServiceCidr is too small: {range_} has no room for the cluster's services. Use a /28 or larger.", SERVICE)


def service_range_is_better_apart_from_peers(case: Case) -> Iterator[Finding]:
    """The range overlaps no network that the cluster's is peered with (RULES.md section 4.1: asked for, not refused)."""
    range_, vnet = IPv4Network(asked(case).service_cidr), clusters.nodes_subnet(case.snapshot, case.new).parent
    for side in peerings.sides(case.snapshot, vnet):
        remote = case.snapshot.get(side.properties.remote) if isinstance(side.properties, Peering) else None
        if remote is None or not isinstance(remote.properties, network.VirtualNetwork):
            continue
        shared = [text for text in remote.properties.prefixes if (prefix := ipv4(text)) is not None and prefix.overlaps(range_)]
        if shared:
            yield Advice(
                f"The service CIDR {range_} overlaps {', '.join(shared)} of the virtual network '{remote.id.name}', which the "
                "cluster's network is peered with: the cluster's pods will not reach these addresses there."
            )


def network_is_allowed(case: Case) -> Iterator[Finding]:
    """The banned ranges hold for the cluster's network as well."""
    for prefix in _network_prefixes(case):
        yield from _banned(prefix, f"The address prefix {prefix} of the cluster's network", "networkProfile")


def _banned(range_: IPv4Network, what: str, target: str) -> Iterator[Finding]:
    found = next((b for b in BANNED if b.overlaps(range_)), None)
    if found is not None:
        yield invalid(f"{what} overlaps {found}, which a cluster may not use. Use another range.", target)


def dns_address_is_in_the_service_range(case: Case) -> Iterator[Finding]:
    """Inside the range, and not its first address, which is the API server's."""
    range_, address = IPv4Network(asked(case).service_cidr), IPv4Address(asked(case).dns_service_ip)
    if address not in range_:
        yield errors.Invalid(
            "DnsServiceIpOutOfServiceCidr",
            f"The DNS service IP {address} is out of the range defined by service CIDR {range_}. Use an address of the range, "
            f"for example {range_[min(10, range_.num_addresses - 2)]}.",
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


def pod_range_is_allowed(case: Case) -> Iterator[Finding]:
    """The banned ranges hold for pods as well, and pods and services do not share addresses (RULES.md section 4.1)."""
    text = asked(case).network_profile.pod_cidr
    if not text:
        return
    range_ = ipv4(text)
    if range_ is None:
        yield invalid(f"The pod CIDR '{text[:100]}' is not a network in CIDR notation.", POD)
        return
    yield from _banned(range_, f"The pod CIDR {range_}", POD)
    service = IPv4Network(asked(case).service_cidr)
    if range_.overlaps(service):
        yield invalid(f"The pod CIDR {range_} overlaps the service CIDR {service}.", POD)
    for subnet, prefix in _subnets(case):
        if range_.overlaps(prefix):
            yield invalid(f"The pod CIDR {range_} overlaps the range {prefix} of the subnet '{subnet.id.name}'.", POD)


def kubenet_has_its_subnet_alone(case: Case) -> Iterator[Finding]:
    """kubenet: one cluster in a subnet, because its routes are the subnet's, and 400 nodes at most (RULES.md section 4.2)."""
    if not _kubenet(case.new):
        return
    nodes = clusters.node_count(case.snapshot, case.new)
    if nodes > MOST_KUBENET_NODES:
        yield invalid(f"A cluster with kubenet has at most {MOST_KUBENET_NODES} nodes; {nodes} are asked for.", POOLS)
    mine = {clusters.subnet_of(case.snapshot, pool) for pool in clusters.pools_of(case.snapshot, case.new)}
    for other in case.snapshot.of_type(compute.MANAGED_CLUSTER):
        theirs = {clusters.subnet_of(case.snapshot, pool) for pool in clusters.pools_of(case.snapshot, other)}
        if other.key != case.new.key and mine & theirs:
            yield invalid(
                f"The subnet {next(iter(mine & theirs))} is used by the cluster '{other.id.name}'; with kubenet a subnet holds "
                "one cluster. Use another subnet.",
                POOLS,
            )


def _kubenet(cluster: Resource) -> bool:
    return (clusters.of(cluster).network_profile.network_plugin or "").lower() == "kubenet"


def prefix_is_allowed(case: Case) -> Iterator[Finding]:
    """The DNS prefix: 3 to 45 letters, digits and hyphens (RULES.md section 4.1)."""
    prefix = asked(case).dns_prefix or asked(case).fqdn_subdomain
    if prefix is None:
        yield errors.Invalid("InvalidParameter", "Required parameter dnsPrefix is missing (null).", target="dnsPrefix")
    elif not _PREFIX.fullmatch(prefix):
        yield invalid(
            f"The DNS prefix '{prefix[:100]}' is invalid. It has 3 to 45 letters, digits and '-', begins with a letter and ends "
            "with a letter or digit.",
            "dnsPrefix",
        )


def somebody_acts_for_it(case: Case) -> Iterator[Finding]:
    """A cluster acts with an identity of its own, or as a service principal whose secret was right."""
    profile = asked(case).service_principal_profile
    if profile.client_id.lower() != "msi":
        if profile.object_id is None:
            yield errors.Invalid(
                "ServicePrincipalValidationClientError",
                f"The credentials of the service principal '{profile.client_id[:100]}' are missing. Give its secret "
                "(servicePrincipalProfile.secret).",
                target="servicePrincipalProfile.secret",
            )
        if case.new.identity is not None and case.new.identity.get("type") != "None":
            yield invalid("A cluster has a service principal or a managed identity, not both.", "servicePrincipalProfile")
    elif case.new.identity is None or case.new.identity.get("type") == "None":
        yield invalid(
            "Required parameter servicePrincipalProfile is missing (null), and the cluster has no managed identity.",
            "servicePrincipalProfile",
        )


def version_is_served(case: Case) -> Iterator[Finding]:
    """The one version of Kubernetes whose documents are spoken, or its minor version."""
    version = asked(case).kubernetes_version
    if version not in (compute.KUBERNETES_VERSION, compute.KUBERNETES_VERSION.rpartition(".")[0]):
        yield errors.Invalid(
            "K8sVersionNotSupported",
            f"Managed cluster {case.new.id.name} is on version {version[:50]} which is not supported in this region. Use "
            f"{compute.KUBERNETES_VERSION}, or leave the version out.",
            target="kubernetesVersion",
        )


def has_a_system_pool(case: Case) -> Iterator[Finding]:
    """At least one pool of mode System, and at most a hundred pools."""
    pools = [clusters.pool(one) for one in clusters.pools_of(case.snapshot, case.new)]
    if not any(pool.mode.lower() == "system" for pool in pools):
        yield invalid("There must be at least one agent pool of mode System (agentPoolProfiles).", POOLS)
    if len(pools) > MOST_POOLS:
        yield invalid(f"A cluster has at most {MOST_POOLS} agent pools; {len(pools)} are asked for.", POOLS)


def plan_stays(case: Case) -> Iterator[Finding]:
    """What a cluster keeps for life (AKS: PropertyChangeNotAllowed)."""
    if case.old is None:
        return
    before, after = clusters.of(case.old), asked(case)
    pairs = (
        ("networkProfile.serviceCidr", before.service_cidr, after.service_cidr),
        ("networkProfile.dnsServiceIP", before.dns_service_ip, after.dns_service_ip),
        ("networkProfile.dockerBridgeCidr", before.docker_bridge_cidr, after.docker_bridge_cidr),
        ("dnsPrefix", (before.dns_prefix or "").lower(), (after.dns_prefix or "").lower()),
        ("nodeResourceGroup", companions.node_group(case.old).key, companions.node_group(case.new).key),
        ("apiServerAccessProfile.enablePrivateCluster", before.private, after.private),
    )
    for name, was, wanted in pairs:
        if was != wanted:
            message = f"Changing property '{name}' is not allowed. It is {was}; create another cluster for {wanted}."
            yield errors.Invalid("PropertyChangeNotAllowed", message, target=name)


SHAPE = (trio_is_all_or_nothing, ranges_are_well_formed, prefix_is_allowed)
#: What holds for every cluster, whoever asks for it.
PLAN = (
    service_range_is_clear_of_subnets,
    service_range_is_better_outside,
    service_range_is_better_apart_from_peers,
    service_range_is_allowed,
    network_is_allowed,
    dns_address_is_in_the_service_range,
    bridge_is_clear,
)
RULES = (
    *PLAN,
    pod_range_is_allowed,
    kubenet_has_its_subnet_alone,
    somebody_acts_for_it,
    version_is_served,
    has_a_system_pool,
    plan_stays,
    *private_clusters.RULES,
    cluster_features.cluster_is_enforceable,
    cluster_features.network_is_enforceable,
)
