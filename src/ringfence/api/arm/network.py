"""What documents of Microsoft.Network show beside what was asked for: children, addresses, default rules, users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.api.arm import containers, private
from ringfence.model import network, peering, private_link
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import places

_IN, _OUT = "Inbound", "Outbound"
_VNET, _BALANCER = "VirtualNetwork", "AzureLoadBalancer"
#: Azure's six default rules in the wire's words (RULES.md section 2.7).
#: Name, description, source, destination, access, priority, direction.
_DEFAULTS = (
    ("AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", _VNET, _VNET, "Allow", 65000, _IN),
    ("AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer", _BALANCER, "*", "Allow", 65001, _IN),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, _IN),
    ("AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", _VNET, _VNET, "Allow", 65000, _OUT),
    ("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*", "Internet", "Allow", 65001, _OUT),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, _OUT),
)  # fmt: skip


def of_virtual_network(snapshot: Snapshot, vnet: Resource) -> Mapping[str, Any]:
    children = [r for r in snapshot.children(vnet.id) if r.type == network.SUBNET]
    sides = [r for r in snapshot.children(vnet.id) if r.type == peering.PEERING]
    return {
        "resourceGuid": vnet.guid("resource"),
        "subnets": [child(r, of_subnet(snapshot, r)) for r in children],
        "virtualNetworkPeerings": [child(r, private.of_peering(snapshot, r)) for r in sides],
    }


def of_subnet(snapshot: Snapshot, subnet: Resource) -> Mapping[str, Any]:
    assert isinstance(subnet.properties, network.Subnet)
    asked = subnet.properties
    found: dict[str, Any] = {
        "addressPrefix": asked.prefix,
        "privateEndpointNetworkPolicies": asked.private_endpoint_network_policies or "Disabled",
        "privateLinkServiceNetworkPolicies": asked.private_link_service_network_policies or "Enabled",
        "delegations": [_delegation(subnet, delegation) for delegation in asked.delegations],
    }
    endpoints = [
        {"id": str(r.id)}
        for r in snapshot.of_type(private_link.PRIVATE_ENDPOINT)
        if isinstance(r.properties, private_link.PrivateEndpoint) and r.properties.subnet.key == subnet.key
    ]
    if endpoints:
        found["privateEndpoints"] = endpoints
    if asked.service_endpoints:
        found["serviceEndpoints"] = [
            {"provisioningState": "Succeeded", "service": one.service, "locations": list(one.locations or ("*",))}
            for one in asked.service_endpoints
        ]
    users = [
        f"{nic.id}/ipConfigurations/{one.name}"
        for nic in snapshot.of_type(network.INTERFACE)
        if isinstance(nic.properties, network.NetworkInterface)
        for one in nic.properties.ip_configurations
        if one.properties.subnet.key == subnet.key
    ]
    if users:
        found["ipConfigurations"] = [{"id": id} for id in users]
    if links := containers.association_links(snapshot, subnet):
        found["serviceAssociationLinks"] = links
    return found


def _delegation(subnet: Resource, delegation: network.Delegation) -> Mapping[str, Any]:
    service = delegation.properties.service_name
    return {
        "id": f"{subnet.id}/delegations/{delegation.name}",
        "name": delegation.name,
        "etag": f'W/"{subnet.etag}"',
        "type": "Microsoft.Network/virtualNetworks/subnets/delegations",
        "properties": {
            "provisioningState": "Succeeded",
            "serviceName": service,
            "actions": ["Microsoft.Network/virtualNetworks/subnets/action"],
        },
    }


def of_security_group(snapshot: Snapshot, group: Resource) -> Mapping[str, Any]:
    rules = [r for r in snapshot.children(group.id) if r.type == network.SECURITY_RULE]
    found: dict[str, Any] = {
        "resourceGuid": group.guid("resource"),
        "securityRules": [child(r, {}) for r in rules],
        "defaultSecurityRules": [_default(group, row) for row in _DEFAULTS],
    }
    subnets = [r for r in snapshot.of_type(network.SUBNET) if _guarded_by(r) == group.key]
    interfaces = [r for r in snapshot.of_type(network.INTERFACE) if _guarded_by(r) == group.key]
    for name, users in (("subnets", subnets), ("networkInterfaces", interfaces)):
        if users:
            found[name] = [{"id": str(r.id)} for r in users]
    return found


def _guarded_by(resource: Resource) -> str | None:
    assert isinstance(resource.properties, network.Subnet | network.NetworkInterface)
    reference = resource.properties.network_security_group
    return None if reference is None else reference.key


def _default(group: Resource, row: tuple[str, str, str, str, str, int, str]) -> Mapping[str, Any]:
    name, description, source, destination, access, priority, direction = row
    return {
        "id": f"{group.id}/defaultSecurityRules/{name}",
        "name": name,
        "etag": f'W/"{group.etag}"',
        "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
        "properties": {
            "provisioningState": "Succeeded",
            "description": description,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "access": access,
            "priority": priority,
            "direction": direction,
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    }


def of_interface(snapshot: Snapshot, nic: Resource) -> Mapping[str, Any]:
    assert isinstance(nic.properties, network.NetworkInterface)
    configurations = []
    for number, one in enumerate(nic.properties.ip_configurations):
        shown = one.properties.model_dump(mode="json", by_alias=True, exclude_none=True)
        shown["privateIPAddress"] = snapshot.value(nic.id, places.configuration(number)) or one.properties.private_ip_address
        configurations.append(
            {
                "id": f"{nic.id}/ipConfigurations/{one.name}",
                "name": one.name,
                "etag": f'W/"{nic.etag}"',
                "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                "properties": {**shown, "provisioningState": nic.state.value},
            }
        )
    found: dict[str, Any] = {"resourceGuid": nic.guid("resource"), "nicType": "Standard", "ipConfigurations": configurations}
    owner = snapshot.get(nic.managed_by) if nic.managed_by else None
    if owner is not None and owner.type == private_link.PRIVATE_ENDPOINT:
        found["privateEndpoint"] = {"id": str(owner.id)}
        private.name_members(snapshot, owner, configurations)
    return found


def child(resource: Resource, added: Mapping[str, Any]) -> Mapping[str, Any]:
    """A child as its parent's document shows it."""
    shown = resource.properties.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "id": str(resource.id),
        "name": resource.id.name,
        "etag": f'W/"{resource.etag}"',
        "type": resource.id.type,
        "properties": {**shown, **added, "provisioningState": resource.state.value},
    }
