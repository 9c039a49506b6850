"""What comes into being with private endpoints: their interface, the connection below the target, records in private zones.

Companions carry `managed_by`: whose row they go with. The records of a zone group are made once the
connection is approved, by whichever of the two comes last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from ringfence.model import compute, network, private_dns, private_link
from ringfence.model.ids import ResourceId
from ringfence.model.private_link import Connection, ConnectionState, PrivateEndpoint, Status, ZoneGroup
from ringfence.model.resource import Properties, ProvisioningState, Reference, Resource, Snapshot
from ringfence.policy import api_servers, clusters, companions
from ringfence.policy import private_link as targets

#: Seconds that resolvers may keep the records of a zone group, as Azure sets them.
_TTL = 10


def accompanied(snapshot: Snapshot, resource: Resource) -> tuple[Resource, ...]:
    """Everything that has to stand beside `resource`, new or changed. snapshot: with it as it will be stored."""
    if resource.type == private_link.PRIVATE_ENDPOINT:
        return _of_endpoint(snapshot, resource)
    if resource.type == private_link.ZONE_GROUP:
        endpoint = snapshot.get(resource.id.parent)
        return () if endpoint is None else tuple(_records(snapshot, endpoint, resource))
    if resource.type == private_dns.ZONE:
        authority = private_dns.RecordSet(soa_record=private_dns.SoaRecord())
        return (_made(snapshot, resource, resource.id.child("SOA", "@"), authority, None),)
    if resource.type == compute.MANAGED_CLUSTER:
        return tuple(_of_cluster(snapshot, resource))
    if resource.type in private_link.CONNECTIONS.values():
        return _of_connection(snapshot, resource)
    return ()


def _of_cluster(snapshot: Snapshot, cluster: Resource) -> Iterator[Resource]:
    """What makes a cluster private: an endpoint in the nodes' subnet, and its name in a zone linked to that network only."""
    assert isinstance(cluster.properties, compute.ManagedCluster)
    if not cluster.properties.private:
        return
    group, subnet, zone = companions.node_group(cluster), clusters.nodes_subnet(snapshot, cluster), api_servers.zone(cluster)
    if zone is not None:
        if api_servers.own_zone(cluster):
            yield _made(snapshot, cluster, zone, private_dns.Zone(), "global")
        link = private_dns.VirtualNetworkLink(virtual_network=Reference(id=str(subnet.parent)))
        if not _is_linked(snapshot, cluster, zone, subnet.parent):
            yield _made(snapshot, cluster, zone.child("virtualNetworkLinks", f"{api_servers.label(cluster)}"), link, "global")
    endpoint = group.resource("Microsoft.Network/privateEndpoints", "kube-apiserver")
    asked = private_link.RequestedConnection(private_link_service_id=str(cluster.id), group_ids=("management",))
    connection = private_link.NamedConnection(name="kube-apiserver", properties=asked)
    properties = PrivateEndpoint(subnet=Reference(id=str(subnet)), private_link_service_connections=(connection,))
    yield _made(snapshot, cluster, endpoint, properties, cluster.location)
    if zone is not None:
        choice = private_link.NamedZone(name="management", properties=private_link.ZoneChoice(private_dns_zone_id=str(zone)))
        named = ZoneGroup(private_dns_zone_configs=(choice,))
        yield _made(snapshot, cluster, endpoint.child("privateDnsZoneGroups", "default"), named, None)


def _is_linked(snapshot: Snapshot, cluster: Resource, zone: ResourceId, vnet: ResourceId) -> bool:
    """Whether somebody else linked the zone to the network already: there is one link for each pair."""
    links = (r for r in snapshot.children(zone) if isinstance(r.properties, private_dns.VirtualNetworkLink))
    theirs = (r for r in links if r.managed_by != cluster.key and r.state is not ProvisioningState.DELETING)
    return any(
        isinstance(r.properties, private_dns.VirtualNetworkLink) and r.properties.virtual_network.key == vnet.key for r in theirs
    )


def interface_id(endpoint: Resource) -> ResourceId:
    """The interface of an endpoint: the name that was asked for, or Azure's."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    named = endpoint.properties.custom_network_interface_name
    name = named or f"{endpoint.id.name[:70]}.nic.{endpoint.guid('interface')}"
    return endpoint.id.resource("Microsoft.Network/networkInterfaces", name)


def connection_id(endpoint: Resource) -> ResourceId:
    """The row below the target."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    return endpoint.properties.target.child("privateEndpointConnections", f"{endpoint.id.name}.{endpoint.guid('connection')}")


def _of_endpoint(snapshot: Snapshot, endpoint: Resource) -> tuple[Resource, ...]:
    assert isinstance(endpoint.properties, PrivateEndpoint)
    made = [_made(snapshot, endpoint, interface_id(endpoint), _interface(snapshot, endpoint), endpoint.location)]
    # Only with a new endpoint: once the owner of the target has removed a connection, the endpoint is for information only.
    if snapshot.get(interface_id(endpoint)) is None:
        made.append(_made(snapshot, endpoint, connection_id(endpoint), _connection(endpoint), None))
    return tuple(made)


def _interface(snapshot: Snapshot, endpoint: Resource) -> network.NetworkInterface:
    """One configuration for each member of the group, with the address that was asked for."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    asked = endpoint.properties
    wanted = {(one.properties.member_name or "").lower(): one.properties.private_ip_address for one in asked.ip_configurations}
    if len(wanted) == 1 and len(targets.members(snapshot, endpoint)) == 1:
        wanted = {targets.members(snapshot, endpoint)[0].name.lower(): next(iter(wanted.values()))}
    configurations = []
    for number, member in enumerate(targets.members(snapshot, endpoint)):
        static = wanted.get(member.name.lower())
        address = network.AddressOfInterface(
            subnet=asked.subnet,
            private_ip_address=static,
            private_ip_allocation_method="Static" if static else "Dynamic",
            primary=number == 0,
        )
        configurations.append(network.IpConfiguration(name=f"privateEndpointIpConfig.{member.name}", properties=address))
    return network.NetworkInterface(ip_configurations=tuple(configurations))


def _connection(endpoint: Resource) -> Connection:
    assert isinstance(endpoint.properties, PrivateEndpoint)
    asked = endpoint.properties
    state = ConnectionState(status=Status.APPROVED, description="Auto-Approved")
    if asked.manual:
        state = ConnectionState(status=Status.PENDING, description=asked.connection.request_message or "")
    return Connection(
        private_endpoint=Reference(id=str(endpoint.id)),
        private_link_service_connection_state=state,
        group_ids=asked.connection.group_ids,
    )


def _of_connection(snapshot: Snapshot, row: Resource) -> tuple[Resource, ...]:
    """An approval brings the records of zone groups that were made before."""
    endpoint = snapshot.get(row.managed_by) if row.managed_by else None
    if endpoint is None:
        return ()
    found = (r for r in snapshot.children(endpoint.id) if r.type == private_link.ZONE_GROUP)
    groups = [r for r in found if r.state is not ProvisioningState.DELETING]
    return tuple(record for group in groups for record in _records(snapshot, endpoint, group))


def _records(snapshot: Snapshot, endpoint: Resource, group: Resource) -> Iterator[Resource]:
    """The address records of an endpoint in the zones of one of its groups."""
    if not targets.approved(snapshot, endpoint):
        return
    for record, address in records(snapshot, endpoint, group):
        metadata = {"creator": f"created by private endpoint {endpoint.id.name} with resource guid {endpoint.guid('resource')}"}
        properties = private_dns.RecordSet(ttl=_TTL, a_records=(private_dns.ARecord(ipv4_address=address),), metadata=metadata)
        yield _made(snapshot, group, record, properties, None)


def records(snapshot: Snapshot, endpoint: Resource, group: Resource) -> Iterable[tuple[ResourceId, str]]:
    """The record sets that an endpoint has in the zones of a group, and the address in each."""
    assert isinstance(group.properties, ZoneGroup)
    for choice in group.properties.private_dns_zone_configs:
        zone = choice.properties.zone
        held = snapshot.get(zone)
        if held is None or held.state is ProvisioningState.DELETING:
            continue
        for member, address in targets.inside(snapshot, endpoint):
            for host in member.hosts:
                if host.zone == zone.name.lower():
                    yield zone.child("A", host.relative), address


def _made(snapshot: Snapshot, owner: Resource, id: ResourceId, properties: Properties, location: str | None) -> Resource:
    """The companion as it shall stand; what it was before stays in its envelope."""
    old = snapshot.get(id)
    if old is not None and old.managed_by == owner.key:
        kept = owner.type == private_dns.ZONE  # the authority is the zone's to keep
        return old if kept else dataclasses.replace(old, properties=properties)
    return Resource(
        id=id if old is None else old.id,
        location=location,
        properties=properties,
        managed_by=owner.key,
        state=owner.state,
        created_at=owner.created_at,
        changed_at=owner.changed_at,
    )
