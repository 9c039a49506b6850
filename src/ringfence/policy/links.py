"""Which resources refer to which: every reference field, the action it takes on its target, and who uses a resource.

Admission asks it whether targets exist and whether a resource may go; the check of linked
scopes (RULES.md section 9, `policy.authority`) asks it for the actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringfence.model import balancing, compute, containers, ml, network, peering, private_dns, private_link, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import companions, firewalls, places, principals, service_groups

_JOIN_SUBNET = "Microsoft.Network/virtualNetworks/subnets/join/action"
_JOIN_GROUP = "Microsoft.Network/networkSecurityGroups/join/action"
_ADMINISTER = "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action"
_JOIN_ADDRESS = "Microsoft.Network/publicIPAddresses/join/action"
_JOIN_POOL = "Microsoft.Network/loadBalancers/backendAddressPools/join/action"
_JOIN_NETWORK = "Microsoft.Network/virtualNetworks/join/action"
_ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
_PEER = "Microsoft.Network/virtualNetworks/peer/action"
_JOIN_ZONE = "Microsoft.Network/privateDnsZones/join/action"
_THROUGH_SUBNET = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"
#: azure-docs#96892: the linked action of an endpoint whose connection is to be approved at once.
_APPROVE = "PrivateEndpointConnectionsApproval/action"


@dataclass(frozen=True, slots=True)
class Link:
    """One reference. field: its wire path in the referring resource. action: what it does to the target, "" for reading."""

    target: ResourceId
    field: str
    action: str = ""


def links(resource: Resource) -> Iterator[Link]:
    """Every reference of a resource to another, but to its parent: those of its type, and the identities it acts with."""
    yield from references(resource)
    for id in principals.user_assigned(resource):
        yield Link(id, "identity.userAssignedIdentities", _ASSIGN)


def actions(resource: Resource) -> Iterator[Link]:
    """The references of a resource, with every action that they take.

    What Azure ML deploys into a subnet takes the right to join the network as well, which is inherited by
    the subnet (the seed document, prerequisites; RULES.md section 9: the list of Azure ML's own).
    """
    for link in links(resource):
        yield link
        if link.action == _JOIN_SUBNET and resource.type in (ml.COMPUTE, serving.SERVICE):
            yield Link(link.target, link.field, _JOIN_NETWORK)


def references(resource: Resource) -> Iterator[Link]:
    """The references that the properties of a resource hold."""
    found = _LINKS.get(resource.type)
    return iter(()) if found is None else found(resource)


def users(snapshot: Snapshot, target_type: str, targets: frozenset[str]) -> Iterator[tuple[Resource, Link]]:
    """Who refers to one of the keys in `targets`, all of one lower-case type, and is not on its way out."""
    for type in _USERS.get(target_type, ()):
        for resource in snapshot.of_type(type):
            if resource.state is ProvisioningState.DELETING:
                continue
            for link in links(resource):
                if link.target.key in targets:
                    yield resource, link


def _of_subnet(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, network.Subnet)
    group = resource.properties.network_security_group
    if group is not None:
        yield Link(group.target, "properties.networkSecurityGroup.id", _JOIN_GROUP)


def _of_interface(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, network.NetworkInterface)
    for number, configuration in enumerate(resource.properties.ip_configurations):
        field = f"properties.ipConfigurations[{number}].properties.subnet.id"
        yield Link(configuration.properties.subnet.target, field, _JOIN_SUBNET)
        field = f"properties.ipConfigurations[{number}].properties.loadBalancerBackendAddressPools"
        for pool in configuration.properties.load_balancer_backend_address_pools:
            # A pool is a part of its load balancer; a right on that is a right on it.
            yield Link(pool.target.parent, field, _JOIN_POOL)
        address = configuration.properties.public_ip_address
        if address is not None:
            yield Link(address.target, f"properties.ipConfigurations[{number}].properties.publicIPAddress.id", _JOIN_ADDRESS)
    group = resource.properties.network_security_group
    if group is not None:
        yield Link(group.target, "properties.networkSecurityGroup.id", _JOIN_GROUP)


def _of_pool(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, compute.AgentPool)
    subnet = resource.properties.subnet
    if subnet is not None:
        yield Link(subnet, "properties.vnetSubnetID", _JOIN_SUBNET)


def _of_balancer(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, balancing.LoadBalancer)
    for number, front in enumerate(resource.properties.frontend_ip_configurations):
        field = f"properties.frontendIPConfigurations[{number}].properties"
        if front.properties.subnet is not None:
            yield Link(front.properties.subnet.target, f"{field}.subnet.id", _JOIN_SUBNET)
        if front.properties.public_ip_address is not None:
            yield Link(front.properties.public_ip_address.target, f"{field}.publicIPAddress.id", _JOIN_ADDRESS)


def _of_compute(resource: Resource) -> Iterator[Link]:
    """Where its cluster is attached, the balancer's subnet is found through the cluster, which is not known here."""
    assert isinstance(resource.properties, ml.Compute)
    asked = resource.properties.properties
    if resource.properties.resource_id is not None:
        yield Link(companions.cluster_id(resource), "properties.resourceId", _ADMINISTER)
        return
    subnet = asked.networking.subnet
    if subnet is None:
        return
    yield Link(subnet, "properties.properties.aksNetworkingConfiguration.subnetId", _JOIN_SUBNET)
    if asked.internal and asked.load_balancer_subnet:
        other = subnet.parent.child("subnets", asked.load_balancer_subnet)
        yield Link(other, "properties.properties.loadBalancerSubnet", _JOIN_SUBNET)


def _of_service(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, serving.Service)
    subnet = service_groups.subnet_of(resource)
    if subnet is not None:
        yield Link(subnet, "vnetConfiguration.subnetName", _JOIN_SUBNET)
    cluster = places.compute_of(resource)
    if cluster is not None:
        yield Link(cluster, "computeName")
    for reference in resource.properties.environment_image_request.model_ids:
        yield Link(places.model_id(resource.id.parent, reference), "environmentImageRequest.modelIds")


def _of_model(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, serving.ModelVersion)
    name = resource.properties.asset_id
    if name:
        yield Link(resource.id.parent.parent.child("assets", name), "url")


def _of_container_group(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, containers.ContainerGroup)
    for number, subnet in enumerate(resource.properties.subnet_ids):
        yield Link(subnet.target, f"properties.subnetIds[{number}].id", _JOIN_SUBNET)
    profile = resource.properties.network_profile
    if profile is not None:
        yield Link(profile.target, "properties.networkProfile.id")


def _of_network_profile(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, containers.NetworkProfile)
    for number, subnet in enumerate(resource.properties.subnets):
        field = (
            f"properties.containerNetworkInterfaceConfigurations[{number}].properties.ipConfigurations[0].properties.subnet.id"
        )
        yield Link(subnet.target, field, _JOIN_SUBNET)


def _of_peering(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, peering.Peering)
    yield Link(resource.properties.remote, "properties.remoteVirtualNetwork.id", _PEER)


def _of_endpoint(resource: Resource) -> Iterator[Link]:
    """By request, the owner of the target decides; otherwise whoever asks has to be allowed to approve."""
    assert isinstance(resource.properties, private_link.PrivateEndpoint)
    asked = resource.properties
    yield Link(asked.subnet.target, "properties.subnet.id", _JOIN_SUBNET)
    for number, one in enumerate(asked.private_link_service_connections):
        field = f"properties.privateLinkServiceConnections[{number}].properties.privateLinkServiceId"
        target = one.properties.target
        yield Link(target, field, f"{target.type}/{_APPROVE}")
    for number, one in enumerate(asked.manual_private_link_service_connections):
        field = f"properties.manualPrivateLinkServiceConnections[{number}].properties.privateLinkServiceId"
        yield Link(one.properties.target, field)


def _of_zone_group(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, private_link.ZoneGroup)
    for number, one in enumerate(resource.properties.private_dns_zone_configs):
        field = f"properties.privateDnsZoneConfigs[{number}].properties.privateDnsZoneId"
        yield Link(one.properties.zone, field, _JOIN_ZONE)


def _of_zone_link(resource: Resource) -> Iterator[Link]:
    assert isinstance(resource.properties, private_dns.VirtualNetworkLink)
    yield Link(resource.properties.virtual_network.target, "properties.virtualNetwork.id", _JOIN_NETWORK)


def _through_subnets(resource: Resource) -> Iterator[Link]:
    """The subnets that the firewall of a storage account, a vault or a registry lets in."""
    for field, subnet in firewalls.subnets(resource):
        yield Link(subnet, field, _THROUGH_SUBNET)


_LINKS: dict[str, Callable[[Resource], Iterator[Link]]] = {
    network.SUBNET: _of_subnet,
    network.INTERFACE: _of_interface,
    compute.AGENT_POOL: _of_pool,
    balancing.BALANCER: _of_balancer,
    peering.PEERING: _of_peering,
    private_link.PRIVATE_ENDPOINT: _of_endpoint,
    private_link.ZONE_GROUP: _of_zone_group,
    private_dns.LINK: _of_zone_link,
    **dict.fromkeys(firewalls.GUARDED, _through_subnets),
    ml.COMPUTE: _of_compute,
    containers.CONTAINER_GROUP: _of_container_group,
    containers.NETWORK_PROFILE: _of_network_profile,
    serving.SERVICE: _of_service,
    serving.MODEL_VERSION: _of_model,
}
#: Target type -> the types that may refer to it.
_USERS: dict[str, tuple[str, ...]] = {
    compute.MANAGED_CLUSTER: (ml.COMPUTE,),
    balancing.PUBLIC_ADDRESS: (network.INTERFACE, balancing.BALANCER),
    balancing.BALANCER: (network.INTERFACE,),
    network.SUBNET: (
        network.INTERFACE,
        balancing.BALANCER,
        private_link.PRIVATE_ENDPOINT,
        compute.AGENT_POOL,
        ml.COMPUTE,
        containers.CONTAINER_GROUP,
        containers.NETWORK_PROFILE,
    ),
    containers.NETWORK_PROFILE: (containers.CONTAINER_GROUP,),
    network.SECURITY_GROUP: (network.SUBNET, network.INTERFACE),
    ml.COMPUTE: (serving.SERVICE,),
    serving.MODEL_VERSION: (serving.SERVICE,),
    serving.ASSET: (serving.MODEL_VERSION,),
}
