"""Azure's own questions about one interface: the rules that hold at it, and the routes it has.

`az network nic list-effective-nsg` and `show-effective-route-table`. Which groups and routes hold is
the same policy that the kernel is programmed from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import network as documents
from ringfence.api.arm.asked import Asked
from ringfence.control.engine import Engine
from ringfence.model import errors, network
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import groups, peerings, places, private_link, tags

_ANY_PORT = "0-65535"


def security_groups(engine: Engine, _: Asked, nic: Resource) -> Response:
    """The group on the subnet, then the one on the interface, each with its rules in Azure's expanded form."""
    snapshot = engine.snapshot()
    assert isinstance(nic.properties, network.NetworkInterface)
    _attached(snapshot, nic)
    return answers.listing(list(_groups(snapshot, nic)))


def routes(engine: Engine, _: Asked, nic: Resource) -> Response:
    """The system routes of the interface's network."""
    snapshot = engine.snapshot()
    assert isinstance(nic.properties, network.NetworkInterface)
    _attached(snapshot, nic)
    vnet = snapshot.need(nic.properties.subnet.parent)
    assert isinstance(vnet.properties, network.VirtualNetwork)
    found: list[Mapping[str, Any]] = [_route(list(vnet.properties.prefixes), "VnetLocal")]
    near = [vnet, *peerings.open_to(snapshot, vnet.id)]
    for remote in near[1:]:
        found.append(_route([str(prefix) for prefix in groups.own_space(remote)], "VNetPeering"))
    for endpoint in private_link.endpoints(snapshot):
        if private_link.network_of(endpoint) in {one.id for one in near} and private_link.approved(snapshot, endpoint):
            found += [_route([f"{address}/32"], "InterfaceEndpoint") for _, address in private_link.inside(snapshot, endpoint)]
    found.append(_route(["0.0.0.0/0"], "Internet"))
    return answers.listing(found)


def _attached(snapshot: Snapshot, nic: Resource) -> None:
    if snapshot.value(nic.id, places.ADDRESS) is None:
        raise errors.Invalid("NicMustHaveAddress", f"The interface {nic.id} has no address yet.", target=str(nic.id))


def _route(prefixes: list[str], hop: str) -> dict[str, Any]:
    return {
        "source": "Default",
        "state": "Active",
        "addressPrefix": prefixes,
        "nextHopType": hop,
        "nextHopIpAddress": [],
        "hasBgpOverride": False,
        "disableBgpRoutePropagation": False,
    }


def _groups(snapshot: Snapshot, nic: Resource) -> Iterator[Mapping[str, Any]]:
    assert isinstance(nic.properties, network.NetworkInterface)
    subnet = snapshot.need(nic.properties.subnet)
    assert isinstance(subnet.properties, network.Subnet)
    space = groups.space_of(snapshot, snapshot.need(subnet.id.parent))
    levels = ((subnet.properties.network_security_group, "subnet", subnet.id),)
    for reference, level, id in (*levels, (nic.properties.network_security_group, "networkInterface", nic.id)):
        found = None if reference is None else snapshot.get(reference.key)
        if found is not None:
            yield _group(snapshot, found, level, id, space)


def _group(snapshot: Snapshot, group: Resource, level: str, at: ResourceId, space: groups.Space) -> dict[str, Any]:
    shown = documents.of_security_group(snapshot, group)
    rules = [_rule("securityRules", rule, space) for rule in shown["securityRules"]]
    rules += [_rule("defaultSecurityRules", rule, space) for rule in shown["defaultSecurityRules"]]
    return {
        "networkSecurityGroup": {"id": str(group.id)},
        "association": {level: {"id": str(at)}},
        "effectiveSecurityRules": sorted(rules, key=lambda rule: (rule["direction"], rule["priority"])),
        "tagMap": None,
    }


def _rule(kind: str, rule: Any, space: groups.Space) -> dict[str, Any]:
    asked = rule["properties"]
    found: dict[str, Any] = {
        "name": f"{kind}/{rule['name']}",
        "protocol": "All" if asked["protocol"] == "*" else asked["protocol"],
        "access": asked["access"],
        "priority": asked["priority"],
        "direction": asked["direction"],
    }
    for side in ("source", "destination"):
        ports = asked.get(f"{side}PortRanges") or [asked.get(f"{side}PortRange") or "*"]
        ranges = [_ports(text) for text in ports]
        found[f"{side}PortRange"], found[f"{side}PortRanges"] = ranges[0], ranges
        given = asked.get(f"{side}AddressPrefixes") or [asked.get(f"{side}AddressPrefix") or "*"]
        shown = ["0.0.0.0/0" if text == "*" else text for text in given]
        found[f"{side}AddressPrefix"], found[f"{side}AddressPrefixes"] = shown[0], shown
        expanded = [str(prefix) for text in given if tags.is_tag(text) for prefix in tags.resolve(text, space)]
        if expanded:
            found[f"expanded{side.capitalize()}AddressPrefix"] = expanded
    return found


def _ports(text: str) -> str:
    if text == "*":
        return _ANY_PORT
    return text if "-" in text else f"{text}-{text}"
