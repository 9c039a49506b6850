"""What documents of public IP addresses and load balancers show beside what was asked for: addresses, ids of parts, users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.model import balancing, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import balancing as spreading
from ringfence.policy import links

_Object = dict[str, Any]


def of_public_address(snapshot: Snapshot, address: Resource) -> Mapping[str, Any]:
    found: _Object = {"resourceGuid": address.guid("resource"), "ipAddress": snapshot.value(address.id, spreading.ADDRESS)}
    user = next(links.users(snapshot, balancing.PUBLIC_ADDRESS, frozenset({address.key})), None)
    if user is not None:
        found["ipConfiguration"] = {"id": _configuration(user[0], address)}
    name = spreading.name_of(address)
    if name:
        assert isinstance(address.properties, balancing.PublicAddress)
        found["dnsSettings"] = {"domainNameLabel": address.properties.label, "fqdn": name}
    return found


def _configuration(user: Resource, address: Resource) -> str:
    """The part of an interface or load balancer that has the address."""
    if isinstance(user.properties, balancing.LoadBalancer):
        fronts = user.properties.frontend_ip_configurations
        names = [f.name for f in fronts if f.properties.public_ip_address and f.properties.public_ip_address.key == address.key]
        return f"{user.id}/frontendIPConfigurations/{names[0]}"
    assert isinstance(user.properties, network.NetworkInterface)
    return f"{user.id}/ipConfigurations/{user.properties.ip_configurations[0].name}"


def of_balancer(snapshot: Snapshot, resource: Resource) -> Mapping[str, Any]:
    assert isinstance(resource.properties, balancing.LoadBalancer)
    asked, members = resource.properties, _members(snapshot, resource)
    fronts = []
    for front in asked.frontend_ip_configurations:
        shown = _part(resource, "frontendIPConfigurations", front)
        if front.properties.public_ip_address is None:
            shown["properties"]["privateIPAddress"] = spreading.address_of(snapshot, resource, front.name, front.properties)
        fronts.append(_with_rules(resource, shown, [_uses_front(rule, front.name) for rule in asked.load_balancing_rules]))
    pools = []
    for pool in asked.backend_address_pools:
        shown = _part(resource, "backendAddressPools", pool)
        inside = members.get(pool.name.lower(), [])
        if inside:
            shown["properties"]["backendIPConfigurations"] = [{"id": id} for id in inside]
        pools.append(_with_rules(resource, shown, [_uses_pool(rule, pool.name) for rule in asked.load_balancing_rules]))
    probes = [
        _with_rules(
            resource, _part(resource, "probes", probe), [_uses_probe(rule, probe.name) for rule in asked.load_balancing_rules]
        )
        for probe in asked.probes
    ]
    rules = [_part(resource, "loadBalancingRules", rule) for rule in asked.load_balancing_rules]
    return {
        "resourceGuid": resource.guid("resource"),
        "frontendIPConfigurations": fronts,
        "backendAddressPools": pools,
        "loadBalancingRules": rules,
        "probes": probes,
        "inboundNatRules": [],
        "outboundRules": [],
        "inboundNatPools": [],
    }


def _part(
    resource: Resource, kind: str, part: balancing.Frontend | balancing.Pool | balancing.Probe | balancing.BalancingRule
) -> _Object:
    shown = part.properties.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "id": f"{resource.id}/{kind}/{part.name}",
        "name": part.name,
        "etag": f'W/"{resource.etag}"',
        "type": f"Microsoft.Network/loadBalancers/{kind}",
        "properties": {**shown, "provisioningState": resource.state.value},
    }


def _with_rules(resource: Resource, shown: _Object, used_by: Sequence[str | None]) -> _Object:
    names = [name for name in used_by if name is not None]
    if names:
        shown["properties"]["loadBalancingRules"] = [{"id": f"{resource.id}/loadBalancingRules/{name}"} for name in names]
    return shown


def _uses_front(rule: balancing.BalancingRule, name: str) -> str | None:
    return rule.name if _named(rule.properties.frontend_ip_configuration.target, name) else None


def _uses_pool(rule: balancing.BalancingRule, name: str) -> str | None:
    return rule.name if any(_named(pool, name) for pool in rule.properties.pools) else None


def _uses_probe(rule: balancing.BalancingRule, name: str) -> str | None:
    probe = rule.properties.probe
    return rule.name if probe is not None and _named(probe.target, name) else None


def _named(id: ResourceId, name: str) -> bool:
    return id.name.lower() == name.lower()


def _members(snapshot: Snapshot, resource: Resource) -> Mapping[str, list[str]]:
    """Ids of the interfaces' configurations by the lower-case name of the pool."""
    found: dict[str, list[str]] = {}
    for nic in snapshot.of_type(network.INTERFACE):
        assert isinstance(nic.properties, network.NetworkInterface)
        for one in nic.properties.ip_configurations:
            for pool in spreading.pools_of(one.properties):
                if pool.parent == resource.id:
                    found.setdefault(pool.name.lower(), []).append(f"{nic.id}/ipConfigurations/{one.name}")
    return found
