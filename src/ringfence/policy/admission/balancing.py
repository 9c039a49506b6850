"""Load balancers of the user's own, and the interfaces that join them. Their public addresses are in `public_addresses`.

Sources: Azure's reference of load balancers ("Load Balancer components", "Standard Load Balancer is secure by
default", "SKU comparison"); error codes as Azure's clients report them; RULES.md sections 4.4 and 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from ringfence.model import balancing, errors, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import balancing as spreading
from ringfence.policy import links
from ringfence.policy.admission import interfaces, public_addresses
from ringfence.policy.admission.case import Case, Finding, ipv4, unsupported


def balancer(case: Case) -> balancing.LoadBalancer:
    assert isinstance(case.new.properties, balancing.LoadBalancer)
    return case.new.properties


def frontends_are_whole(case: Case) -> Iterator[Finding]:
    """Each frontend has a subnet or a public address; its own names are unique."""
    asked = balancer(case)
    kinds = (
        ("frontendIPConfigurations", asked.frontend_ip_configurations),
        ("backendAddressPools", asked.backend_address_pools),
        ("loadBalancingRules", asked.load_balancing_rules),
        ("probes", asked.probes),
    )
    for kind, parts in kinds:
        names = [part.name.lower() for part in parts]
        for name in sorted({name for name in names if names.count(name) > 1}):
            message = f"Resource {case.new.id}/{kind}/ has two child resources with the same name ({name})."
            yield errors.Invalid("DuplicateResourceName", message, target=f"properties.{kind}")
    for number, front in enumerate(asked.frontend_ip_configurations):
        inner, field = front.properties, f"properties.frontendIPConfigurations[{number}]"
        if (inner.subnet is None) == (inner.public_ip_address is None):
            message = (
                f"The frontend IP configuration {case.new.id}/frontendIPConfigurations/{front.name} must reference either a "
                "subnet or a public IP address."
            )
            yield errors.Invalid("LoadBalancerFrontendIPConfigurationMustReferenceSubnetOrPublicIP", message, target=field)
    if len({front.properties.subnet is None for front in asked.frontend_ip_configurations}) > 1:
        message = f"Load balancer {case.new.id} cannot have both public and internal frontend IP configurations. Use two."
        yield errors.Invalid("LoadBalancerCannotHaveBothPublicAndInternalFrontends", message, target="properties")


def frontends_have_room(case: Case) -> Iterator[Finding]:
    """A subnet that belongs to a service holds no frontend (RULES.md section 7), and a frontend keeps its address."""
    old = {} if case.old is None else {f.name.lower(): f.properties for f in _before(case).frontend_ip_configurations}
    for number, front in enumerate(balancer(case).frontend_ip_configurations):
        inner, field = front.properties, f"properties.frontendIPConfigurations[{number}].properties"
        found = None if inner.subnet is None else case.snapshot.get(inner.subnet.target)
        if found is not None:
            yield from interfaces.delegated(case.new, found)
        had, held = old.get(front.name.lower()), case.snapshot.value(case.new.key, spreading.frontend(front.name))
        if had is None or held is None or had.subnet is None or inner.subnet is None:
            continue
        if had.subnet.key != inner.subnet.key or inner.static_address not in (None, held):
            yield unsupported("a move of a frontend to another address", field, "Give the new frontend another name.")


def _before(case: Case) -> balancing.LoadBalancer:
    assert case.old is not None and isinstance(case.old.properties, balancing.LoadBalancer)
    return case.old.properties


def parts_exist(case: Case) -> Iterator[Finding]:
    """What a rule names is a part of this very load balancer."""
    asked = balancer(case)
    known = {
        "frontendipconfigurations": {part.name.lower() for part in asked.frontend_ip_configurations},
        "backendaddresspools": {part.name.lower() for part in asked.backend_address_pools},
        "probes": {part.name.lower() for part in asked.probes},
    }
    for number, rule in enumerate(asked.load_balancing_rules):
        inner, field = rule.properties, f"properties.loadBalancingRules[{number}].properties"
        wanted = [(inner.frontend_ip_configuration.target, "frontendipconfigurations"), *_of_pools(inner)]
        wanted += [] if inner.probe is None else [(inner.probe.target, "probes")]
        for id, kind in wanted:
            if not _is_part(case.new.id, id, kind) or id.name.lower() not in known[kind]:
                message = (
                    f"Resource {id} referenced by resource {case.new.id}/loadBalancingRules/{rule.name} was not found. Please "
                    "make sure that the referenced resource exists, and that both resources are in the same region."
                )
                yield errors.Invalid("InvalidResourceReference", message, target=field)


def _of_pools(inner: balancing.Balancing) -> list[tuple[ResourceId, str]]:
    return [(pool, "backendaddresspools") for pool in inner.pools]


def _is_part(balancer: ResourceId, id: ResourceId, kind: str) -> bool:
    return id.parent == balancer and id.types[-1].lower() == kind


def rules_do_not_collide(case: Case) -> Iterator[Finding]:
    """A frontend's port is one rule's; without floating IP a pool's port is too."""
    fronts: dict[tuple[str, str, int], str] = {}
    backs: dict[tuple[str, str, int], str] = {}
    for number, rule in enumerate(balancer(case).load_balancing_rules):
        inner, field = rule.properties, f"properties.loadBalancingRules[{number}]"
        id = f"{case.new.id}/loadBalancingRules/{rule.name}"
        protocol = inner.protocol.value
        front = (inner.frontend_ip_configuration.key, protocol, inner.frontend_port)
        other = fronts.setdefault(front, id)
        if other != id:
            message = (
                f"Load balancing rules {other} and {id} belong to the same frontend IP configuration and use the same protocol "
                f"{protocol} and frontend port {inner.frontend_port}."
            )
            yield errors.Invalid("RulesUseSameFrontendPortProtocolAndIPConfig", message, target=field)
        for pool in inner.pools:
            port = inner.backend_port or inner.frontend_port
            other = backs.setdefault((pool.key, protocol, port), id)
            if other != id:
                message = (
                    f"Load balancing rules {other} and {id} with floating IP disabled use the same protocol {protocol} and "
                    f"backend port {port}, and must not be used with the same backend address pool {pool}."
                )
                yield errors.Invalid("RulesUseSameBackendPortProtocolAndPool", message, target=field)


def values_are_in_range(case: Case) -> Iterator[Finding]:
    """Ports 1-65534 in front and 1-65535 behind; probes every 5 seconds or more; timeouts 4-100 minutes."""
    for number, rule in enumerate(balancer(case).load_balancing_rules):
        inner, field = rule.properties, f"properties.loadBalancingRules[{number}].properties"
        ports = ((inner.frontend_port, 65534, "frontendPort"), (inner.backend_port or inner.frontend_port, 65535, "backendPort"))
        for port, most, name in ports:
            if inner.protocol is not balancing.Transport.ALL and not 1 <= port <= most:
                message = f"The value {port} of {name} of the load balancing rule {rule.name} is not from 1 to {most}."
                yield errors.Invalid("InvalidRequestFormat", message, target=f"{field}.{name}")
        if not 4 <= inner.idle_timeout_in_minutes <= 100:
            message = f"The idle timeout {inner.idle_timeout_in_minutes} of {rule.name} is not from 4 to 100 minutes."
            yield errors.Invalid("InvalidIdleTimeout", message, target=f"{field}.idleTimeoutInMinutes")
    for number, probe in enumerate(balancer(case).probes):
        settings, field = probe.properties, f"properties.probes[{number}].properties"
        if not 1 <= settings.port <= 65535 or settings.interval_in_seconds < 5 or settings.number_of_probes < 1:
            message = (
                f"The probe {probe.name} has port {settings.port}, interval {settings.interval_in_seconds} s and threshold "
                f"{settings.number_of_probes}; the port is from 1 to 65535, the interval at least 5, the threshold at least 1."
            )
            yield errors.Invalid("InvalidRequestFormat", message, target=field)
        if (settings.protocol is balancing.ProbeProtocol.TCP) != (settings.request_path is None):
            message = f"The probe {probe.name} needs a requestPath if it is Http, and must not have one if it is Tcp."
            yield errors.Invalid("ProbeRequestPathInvalid", message, target=f"{field}.requestPath")


def balancer_is_enforceable(case: Case) -> Iterator[Finding]:
    """Rules and probes over TCP, UDP and HTTP for members that are interfaces; nothing else is promised."""
    asked = balancer(case)
    named = {
        "inbound NAT rules": asked.inbound_nat_rules,
        "inbound NAT pools": asked.inbound_nat_pools,
        "outbound rules": asked.outbound_rules,
    }
    for what, given in named.items():
        if given:
            yield unsupported(f"{what} of a load balancer", "properties")
    for rule in asked.load_balancing_rules:
        field = f"properties.loadBalancingRules/{rule.name}"
        if rule.properties.protocol is balancing.Transport.ALL:
            yield unsupported("high-availability ports", field, "Name a protocol.")
        if rule.properties.enable_floating_ip:
            yield unsupported("floating IP for members of your own", field)
    yield from _parts_are_enforceable(asked)


def _parts_are_enforceable(asked: balancing.LoadBalancer) -> Iterator[Finding]:
    for probe in asked.probes:
        if probe.properties.protocol is balancing.ProbeProtocol.HTTPS:
            yield unsupported("probes over HTTPS", f"properties.probes/{probe.name}", "Use Http or Tcp.")
    for pool in asked.backend_address_pools:
        inner = pool.properties
        if inner.load_balancer_backend_addresses or inner.virtual_network is not None or inner.tunnel_interfaces:
            what = "members by address"
            yield unsupported(what, f"properties.backendAddressPools/{pool.name}", "Let interfaces join the pool.")
    for front in asked.frontend_ip_configurations:
        inner_front = front.properties
        if inner_front.gateway_load_balancer is not None or inner_front.public_ip_prefix is not None:
            yield unsupported("gateway load balancers and prefixes", f"properties.frontendIPConfigurations/{front.name}")


def addresses_fit(case: Case) -> Iterator[Finding]:
    """A public address of the same sku that is nobody else's; a static private one of the subnet's, not reserved."""
    for number, front in enumerate(balancer(case).frontend_ip_configurations):
        field = f"properties.frontendIPConfigurations[{number}].properties"
        reference, static = front.properties.public_ip_address, front.properties.static_address
        found = None if reference is None else case.snapshot.get(reference.key)
        if found is not None:
            yield from public_addresses.usable(case, found, f"{case.new.id}/frontendIPConfigurations/{front.name}", field)
        if static is not None and front.properties.subnet is not None:
            yield from _static(case, front.properties.subnet.target, static, f"{field}.privateIPAddress")


def _static(case: Case, subnet: ResourceId, text: str, target: str) -> Iterator[Finding]:
    found = case.snapshot.get(subnet)
    prefix = ipv4(found.properties.prefix) if found is not None and isinstance(found.properties, network.Subnet) else None
    try:
        wanted = IPv4Address(text)
    except AddressValueError:
        yield errors.Invalid("InvalidIPAddressFormat", f"'{text[:100]}' is not an IPv4 address.", target=target)
        return
    if prefix is not None:
        yield from in_subnet(wanted, prefix, target)


def in_subnet(wanted: IPv4Address, prefix: IPv4Network, target: str) -> Iterator[Finding]:
    """Whether a static address is the subnet's, and none of the five that Azure keeps (RULES.md section 1)."""
    if wanted not in prefix:
        message = f"Private static IP address {wanted} does not belong to the range of subnet prefix {prefix}."
        yield errors.Invalid("PrivateIPAddressNotInSubnet", message, target=target)
    elif wanted in (*(prefix[number] for number in range(4)), prefix.broadcast_address):
        message = f"Private static IP address {wanted} falls within reserved IP range of subnet prefix {prefix}."
        yield errors.Invalid("PrivateIPAddressInReservedRange", message, target=target)


def members_stay(case: Case) -> Iterator[Finding]:
    """A pool that interfaces are in stays."""
    kept = {pool.name.lower() for pool in balancer(case).backend_address_pools}
    for nic, link in links.users(case.snapshot, balancing.BALANCER, frozenset({case.new.key})):
        assert isinstance(nic.properties, network.NetworkInterface)
        for pool in spreading.pools_of(nic.properties.ip_configurations[0].properties):
            if pool.parent == case.new.id and pool.name.lower() not in kept:
                message = (
                    f"The backend address pool {pool} cannot be removed because the interface {nic.id} is in it. "
                    "Take the interface out of the pool first."
                )
                yield errors.Invalid("InUseBackendAddressPoolCannotBeDeleted", message, target=link.field)


def interface_joins(case: Case) -> Iterator[Finding]:
    """What an interface joins exists: pools of load balancers of its own network, a public address that is free."""
    assert isinstance(case.new.properties, network.NetworkInterface)
    inner, field = case.new.properties.ip_configurations[0].properties, "properties.ipConfigurations[0].properties"
    for pool in spreading.pools_of(inner):
        found = case.snapshot.get(pool.parent)
        held = found.properties.backend_address_pools if found and isinstance(found.properties, balancing.LoadBalancer) else ()
        if found is None or pool.name.lower() not in {one.name.lower() for one in held}:
            message = (
                f"Resource {pool} referenced by resource {case.new.id} was not found. Create the backend address pool first."
            )
            yield errors.Invalid("InvalidResourceReference", message, target=f"{field}.loadBalancerBackendAddressPools")
        else:
            yield from _one_network(case, found, pool, inner.subnet.target.parent)
    reference = inner.public_ip_address
    address = None if reference is None else case.snapshot.get(reference.key)
    if address is not None:
        yield from public_addresses.usable(case, address, str(case.new.id), field)


def _one_network(case: Case, found: Resource, pool: ResourceId, vnet: ResourceId) -> Iterator[Finding]:
    """Every member of a load balancer, and its private frontends, are in one virtual network."""
    assert isinstance(found.properties, balancing.LoadBalancer)
    networks = {f.properties.subnet.target.parent.key for f in found.properties.frontend_ip_configurations if f.properties.subnet}
    for nic, _ in links.users(case.snapshot, balancing.BALANCER, frozenset({found.key})):
        assert isinstance(nic.properties, network.NetworkInterface)
        if nic.key != case.new.key:
            networks.add(nic.properties.subnet.parent.key)
    if networks - {vnet.key}:
        message = (
            f"The interface {case.new.id} is in the virtual network {vnet}, but the load balancer of {pool} serves "
            f"{', '.join(sorted(networks))}. All members of a load balancer are in one network."
        )
        target = "properties.ipConfigurations[0].properties.loadBalancerBackendAddressPools"
        yield errors.Invalid("LoadBalancerBackendPoolVnetMismatch", message, target=target)


BALANCER_SHAPE = (public_addresses.sku_is_known, frontends_are_whole, parts_exist)
BALANCER_RULES = (
    balancer_is_enforceable,
    frontends_have_room,
    rules_do_not_collide,
    values_are_in_range,
    addresses_fit,
    members_stay,
)
