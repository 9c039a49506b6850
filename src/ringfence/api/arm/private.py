"""What documents of peerings, private endpoints, private zones and their targets show beside what was asked for.

The envelope and the choice by type are `documents`' work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.model import network, private_dns, private_link
from ringfence.model.peering import Peering
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import peerings, private_companions
from ringfence.policy import private_link as targets

_ZONE_LIMITS = {
    "maxNumberOfRecordSets": 25000,
    "maxNumberOfVirtualNetworkLinks": 1000,
    "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
}


def of_peering(snapshot: Snapshot, side: Resource) -> Mapping[str, Any]:
    assert isinstance(side.properties, Peering)
    remote = snapshot.get(side.properties.remote)
    prefixes = list(remote.properties.prefixes) if remote and isinstance(remote.properties, network.VirtualNetwork) else []
    space = {"addressPrefixes": prefixes}
    return {
        "peeringState": peerings.state(snapshot, side).value,
        "peeringSyncLevel": "FullyInSync",
        "resourceGuid": side.guid("resource"),
        "remoteAddressSpace": space,
        "remoteVirtualNetworkAddressSpace": space,
    }


def of_endpoint(snapshot: Snapshot, endpoint: Resource) -> Mapping[str, Any]:
    """The connections carry the target's answer; with a zone group, the names are the zones' business."""
    assert isinstance(endpoint.properties, private_link.PrivateEndpoint)
    asked, interface = endpoint.properties, targets.interface_of(snapshot, endpoint)
    state = targets.state_of(snapshot, endpoint).model_dump(mode="json", by_alias=True, exclude_none=True)
    grouped = any(r.type == private_link.ZONE_GROUP for r in snapshot.children(endpoint.id))
    names = [
        {"fqdn": host.public, "ipAddresses": [address]}
        for member, address in targets.inside(snapshot, endpoint)
        for host in member.hosts
    ]
    return {
        "resourceGuid": endpoint.guid("resource"),
        "customNetworkInterfaceName": asked.custom_network_interface_name or "",
        "networkInterfaces": [] if interface is None else [{"id": str(interface.id)}],
        "privateLinkServiceConnections": _connections(endpoint, asked.private_link_service_connections, state),
        "manualPrivateLinkServiceConnections": _connections(endpoint, asked.manual_private_link_service_connections, state),
        "customDnsConfigs": [] if grouped or not targets.approved(snapshot, endpoint) else names,
    }


def _connections(
    endpoint: Resource, asked: Sequence[private_link.NamedConnection], state: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    kind = "privateLinkServiceConnections"
    return [
        {
            "id": f"{endpoint.id}/{kind}/{one.name}",
            "name": one.name,
            "etag": f'W/"{endpoint.etag}"',
            "type": f"Microsoft.Network/privateEndpoints/{kind}",
            "properties": {
                **one.properties.model_dump(mode="json", by_alias=True, exclude_none=True),
                "privateLinkServiceConnectionState": state,
                "provisioningState": endpoint.state.value,
            },
        }
        for one in asked
    ]


def name_members(snapshot: Snapshot, endpoint: Resource, configurations: Sequence[Mapping[str, Any]]) -> None:
    """Write which names each configuration of an endpoint's interface stands for."""
    assert isinstance(endpoint.properties, private_link.PrivateEndpoint)
    for member, shown in zip(targets.members(snapshot, endpoint), configurations, strict=False):
        shown["properties"]["privateLinkConnectionProperties"] = {
            "groupId": endpoint.properties.group,
            "requiredMemberName": member.name,
            "fqdns": [host.public for host in member.hosts],
        }


def of_zone_group(snapshot: Snapshot, group: Resource) -> Mapping[str, Any]:
    assert isinstance(group.properties, private_link.ZoneGroup)
    endpoint = snapshot.get(group.id.parent)
    held = [] if endpoint is None else list(private_companions.records(snapshot, endpoint, group))
    if endpoint is not None and not targets.approved(snapshot, endpoint):
        held = []
    configs = []
    for one in group.properties.private_dns_zone_configs:
        records = [
            {
                "recordType": "A",
                "recordSetName": id.name,
                "fqdn": private_dns.name_of(id),
                "ttl": 10,
                "ipAddresses": [address],
                "provisioningState": "Succeeded",
            }
            for id, address in held
            if id.parent == one.properties.zone
        ]
        inner = {"privateDnsZoneId": one.properties.private_dns_zone_id, "recordSets": records}
        configs.append({"name": one.name, "id": f"{group.id}/privateDnsZoneConfigs/{one.name}", "properties": inner})
    return {"privateDnsZoneConfigs": configs}


def of_zone(snapshot: Snapshot, zone: Resource) -> Mapping[str, Any]:
    below = snapshot.children(zone.id)
    linked = [r.properties for r in below if isinstance(r.properties, private_dns.VirtualNetworkLink)]
    return {
        **_ZONE_LIMITS,
        "numberOfRecordSets": sum(1 for r in below if private_dns.is_record_set(r.type)),
        "numberOfVirtualNetworkLinks": len(linked),
        "numberOfVirtualNetworkLinksWithRegistration": sum(1 for one in linked if one.registration_enabled),
        "internalId": zone.guid("internal"),
    }


def of_zone_link(_: Snapshot, __: Resource) -> Mapping[str, Any]:
    return {"virtualNetworkLinkState": "Completed"}


def of_record_set(_: Snapshot, record: Resource) -> Mapping[str, Any]:
    """Clients append to the list of the set's own type, so it is there even when it is empty; other lists are not shown."""
    kind = private_dns.kind_of(record)
    shown: dict[str, Any] = {"fqdn": f"{private_dns.name_of(record.id)}.", "isAutoRegistered": False}
    if kind not in ("CNAME", "SOA"):
        field = private_dns.FIELDS[kind]
        assert isinstance(record.properties, private_dns.RecordSet)
        held = getattr(record.properties, field)
        shown[private_dns.wire_name(kind)] = [one.model_dump(mode="json", by_alias=True) for one in held]
    return shown


def of_connection(snapshot: Snapshot, row: Resource) -> Mapping[str, Any]:
    endpoint = snapshot.get(row.managed_by) if row.managed_by else None
    return {} if endpoint is None else {"privateEndpointLocation": endpoint.region}


def connections_of(snapshot: Snapshot, target: Resource) -> list[Mapping[str, Any]]:
    """The connections as the document of their target shows them."""
    type = private_link.CONNECTIONS.get(target.type)
    return [
        {
            "id": str(row.id),
            "name": row.id.name,
            "type": row.id.type,
            "properties": {
                **row.properties.model_dump(mode="json", by_alias=True, exclude_none=True),
                "provisioningState": row.state.value,
            },
        }
        for row in snapshot.children(target.id)
        if row.type == type
    ]


def link_resources(snapshot: Snapshot, target: Resource) -> list[Mapping[str, Any]]:
    """The sub-resources that a target takes private endpoints for (`privateLinkResources`)."""
    found: list[Mapping[str, Any]] = []
    for group, members in targets.groups(snapshot, target).items():
        zones = dict.fromkeys(host.zone for member in members for host in member.hosts)
        found.append(
            {
                "id": f"{target.id}/privateLinkResources/{group}",
                "name": group,
                "type": f"{target.id.type}/privateLinkResources",
                "properties": {
                    "groupId": group,
                    "requiredMembers": [member.name for member in members],
                    "requiredZoneNames": list(zones),
                },
            }
        )
    return found
