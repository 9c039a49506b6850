"""Microsoft.Network: virtual networks, subnets, network security groups, rules, network interfaces, locations.

Shapes only. Whether a prefix is well formed, free or allowed is admission's question;
what a rule means in one network is in `policy.rules`. Subnets and security rules are
resources of their own; the documents of their parents show them inline (`INLINE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Reference

VIRTUAL_NETWORK = "microsoft.network/virtualnetworks"
SUBNET = "microsoft.network/virtualnetworks/subnets"
LOCATION = "microsoft.network/virtualnetworks/subnets/locations"
SECURITY_GROUP = "microsoft.network/networksecuritygroups"
SECURITY_RULE = "microsoft.network/networksecuritygroups/securityrules"
INTERFACE = "microsoft.network/networkinterfaces"

#: Parent type -> the children that its document shows inline: property, spelled type below it, whether a PUT may leave it out.
INLINE: Mapping[str, tuple[tuple[str, str, bool], ...]] = {
    VIRTUAL_NETWORK: (("subnets", "subnets", False), ("virtualNetworkPeerings", "virtualNetworkPeerings", True)),
    SECURITY_GROUP: (("securityRules", "securityRules", False),),
}


class Spelled(StrEnum):
    """A closed set of words that match in any casing."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        return next((member for member in cls if member.value.lower() == value.lower()), None)


class Direction(Spelled):
    INBOUND = "Inbound"
    OUTBOUND = "Outbound"


class Access(Spelled):
    """Whether a rule lets packets pass."""

    ALLOW = "Allow"
    DENY = "Deny"


class Protocol(Spelled):
    TCP = "Tcp"
    UDP = "Udp"
    ICMP = "Icmp"
    ESP = "Esp"
    AH = "Ah"
    ANY = "*"


class AddressSpace(Properties):
    address_prefixes: tuple[str, ...] = ()
    ipam_pool_prefix_allocations: tuple[JsonValue, ...] = ()


class DhcpOptions(Properties):
    """dns_servers: empty means Azure's resolver at 168.63.129.16, the only one that is served."""

    dns_servers: tuple[str, ...] = ()


class VirtualNetwork(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "resourceGuid", "defaultPublicNatGateway", "flowLogs", "virtualNetworkPeerings"}
    )

    address_space: AddressSpace
    dhcp_options: DhcpOptions | None = None
    enable_ddos_protection: bool = False
    enable_vm_protection: bool = False
    flow_timeout_in_minutes: int | None = None
    private_endpoint_v_net_policies: str | None = Field(default=None, alias="privateEndpointVNetPolicies")
    ip_allocations: tuple[JsonValue, ...] = ()
    ddos_protection_plan: Reference | None = None
    bgp_communities: JsonValue = None
    encryption: JsonValue = None

    @property
    def prefixes(self) -> tuple[str, ...]:
        return self.address_space.address_prefixes


class ServiceEndpoint(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})

    service: str
    locations: tuple[str, ...] = ()
    network_identifier: Reference | None = None


class DelegatedTo(Properties):
    """service_name: `Microsoft.ContainerInstance/containerGroups` and the like."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "actions"})

    service_name: str


class Delegation(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: DelegatedTo


class Subnet(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "purpose",
            "ipConfigurations",
            "ipConfigurationProfiles",
            "privateEndpoints",
            "resourceNavigationLinks",
            "serviceAssociationLinks",
        }
    )

    address_prefix: str | None = None
    address_prefixes: tuple[str, ...] = ()
    network_security_group: Reference | None = None
    route_table: Reference | None = None
    nat_gateway: Reference | None = None
    service_endpoints: tuple[ServiceEndpoint, ...] = ()
    service_endpoint_policies: tuple[Reference, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    private_endpoint_network_policies: str | None = None
    private_link_service_network_policies: str | None = None
    default_outbound_access: bool | None = None
    ip_allocations: tuple[JsonValue, ...] = ()
    ipam_pool_prefix_allocations: tuple[JsonValue, ...] = ()
    application_gateway_ip_configurations: tuple[JsonValue, ...] = ()
    sharing_scope: str | None = None

    @property
    def prefix(self) -> str:
        """The one prefix, from the singular or the plural field; "" when neither is set."""
        return self.address_prefix or (self.address_prefixes[0] if self.address_prefixes else "")

    @property
    def delegated_to(self) -> str | None:
        return self.delegations[0].properties.service_name if self.delegations else None


class SecurityGroup(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "resourceGuid", "defaultSecurityRules", "networkInterfaces", "subnets", "flowLogs"}
    )

    flush_connection: bool = False


class SecurityRule(Properties):
    """One rule as it was written: singular and plural fields are kept apart and echoed as given."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})

    description: str | None = None
    protocol: Protocol
    source_port_range: str | None = None
    source_port_ranges: tuple[str, ...] = ()
    destination_port_range: str | None = None
    destination_port_ranges: tuple[str, ...] = ()
    source_address_prefix: str | None = None
    source_address_prefixes: tuple[str, ...] = ()
    destination_address_prefix: str | None = None
    destination_address_prefixes: tuple[str, ...] = ()
    source_application_security_groups: tuple[Reference, ...] = ()
    destination_application_security_groups: tuple[Reference, ...] = ()
    access: Access
    priority: int
    direction: Direction

    @property
    def sources(self) -> tuple[str, ...]:
        """Prefixes and tags, from whichever field was used."""
        return _given(self.source_address_prefix, self.source_address_prefixes)

    @property
    def destinations(self) -> tuple[str, ...]:
        return _given(self.destination_address_prefix, self.destination_address_prefixes)

    @property
    def source_ports(self) -> tuple[str, ...]:
        return _given(self.source_port_range, self.source_port_ranges)

    @property
    def destination_ports(self) -> tuple[str, ...]:
        return _given(self.destination_port_range, self.destination_port_ranges)


def _given(one: str | None, many: tuple[str, ...]) -> tuple[str, ...]:
    return (one,) if one else many


class AddressOfInterface(Properties):
    """How an interface gets its address. private_ip_address counts when the method is Static."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "privateLinkConnectionProperties"})

    subnet: Reference
    private_ip_address: str | None = Field(default=None, alias="privateIPAddress")
    private_ip_allocation_method: str = Field(default="Dynamic", alias="privateIPAllocationMethod")
    private_ip_address_version: str = Field(default="IPv4", alias="privateIPAddressVersion")
    primary: bool = True
    public_ip_address: Reference | None = Field(default=None, alias="publicIPAddress")
    load_balancer_backend_address_pools: tuple[Reference, ...] = ()
    load_balancer_inbound_nat_rules: tuple[JsonValue, ...] = ()
    application_gateway_backend_address_pools: tuple[JsonValue, ...] = ()
    application_security_groups: tuple[Reference, ...] = ()

    @property
    def static_address(self) -> str | None:
        return self.private_ip_address if self.private_ip_allocation_method.lower() == "static" else None


class IpConfiguration(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: AddressOfInterface


class DnsSettings(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"appliedDnsServers", "internalFqdn", "internalDomainNameSuffix"})

    dns_servers: tuple[str, ...] = ()
    internal_dns_name_label: str | None = None


class NetworkInterface(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "resourceGuid",
            "macAddress",
            "primary",
            "virtualMachine",
            "hostedWorkloads",
            "tapConfigurations",
            "nicType",
            "vnetEncryptionSupported",
            "privateEndpoint",
            "privateLinkService",
            "dscpConfiguration",
            "auxiliaryMode",
            "auxiliarySku",
            "allowPort25Out",
            "defaultOutboundConnectivityEnabled",
            "disableTcpStateTracking",
        }
    )

    ip_configurations: tuple[IpConfiguration, ...]
    network_security_group: Reference | None = None
    enable_accelerated_networking: bool = False
    enable_ip_forwarding: bool = Field(default=False, alias="enableIPForwarding")
    dns_settings: DnsSettings | None = None

    @property
    def subnet(self) -> ResourceId:
        return self.ip_configurations[0].properties.subnet.target


class Location(Properties):
    """A jump host of a subnet: where `ringfence exec --at VNET/SUBNET` starts. Not reachable through ARM."""
