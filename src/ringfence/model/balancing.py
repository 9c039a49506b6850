"""Microsoft.Network: public IP addresses and load balancers of the user's own.

Shapes only; what is allowed is in `policy.admission.balancing`, which packets go where is in
`policy.balancing`. The load balancers that clusters bring are not resources (`policy.places`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.network import Spelled
from ringfence.model.resource import Properties, Reference

PUBLIC_ADDRESS = "microsoft.network/publicipaddresses"
BALANCER = "microsoft.network/loadbalancers"

FRONTENDS, POOLS, PROBES = "frontendIPConfigurations", "backendAddressPools", "probes"


class AddressDns(Properties):
    """domain_name_label: the first label of a name below `<region>.cloudapp.azure.com`."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"fqdn"})

    domain_name_label: str | None = None
    domain_name_label_scope: str | None = None
    reverse_fqdn: str | None = None


class PublicAddress(Properties):
    """The address itself is an allocation. idle_timeout_in_minutes: taken and kept; connections never idle out."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "resourceGuid", "ipAddress", "ipConfiguration", "migrationPhase"}
    )

    public_ip_allocation_method: str = Field(default="Dynamic", alias="publicIPAllocationMethod")
    public_ip_address_version: str = Field(default="IPv4", alias="publicIPAddressVersion")
    idle_timeout_in_minutes: int = 4
    dns_settings: AddressDns | None = None
    ip_tags: tuple[JsonValue, ...] = ()
    ddos_settings: JsonValue = None
    delete_option: str | None = None
    nat_gateway: Reference | None = None
    public_ip_prefix: Reference | None = Field(default=None, alias="publicIPPrefix")

    @property
    def label(self) -> str:
        """In lower case; "" for an address without a name."""
        return ((self.dns_settings and self.dns_settings.domain_name_label) or "").lower()


class Transport(Spelled):
    """What a rule of a load balancer takes. `All` is for high-availability ports."""

    TCP = "Tcp"
    UDP = "Udp"
    ALL = "All"


class ProbeProtocol(Spelled):
    TCP = "Tcp"
    HTTP = "Http"
    HTTPS = "Https"


class Distribution(Spelled):
    """What a new connection is spread by: addresses and ports, or the client's address alone."""

    DEFAULT = "Default"
    SOURCE = "SourceIP"
    SOURCE_PROTOCOL = "SourceIPProtocol"


class _Part(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str


class FrontendAddress(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "loadBalancingRules", "inboundNatRules", "inboundNatPools", "outboundRules"}
    )

    subnet: Reference | None = None
    private_ip_address: str | None = Field(default=None, alias="privateIPAddress")
    private_ip_allocation_method: str = Field(default="Dynamic", alias="privateIPAllocationMethod")
    private_ip_address_version: str = Field(default="IPv4", alias="privateIPAddressVersion")
    public_ip_address: Reference | None = Field(default=None, alias="publicIPAddress")
    public_ip_prefix: Reference | None = Field(default=None, alias="publicIPPrefix")
    gateway_load_balancer: Reference | None = None

    @property
    def static_address(self) -> str | None:
        return self.private_ip_address if self.private_ip_allocation_method.lower() == "static" else None


class Frontend(_Part):
    zones: tuple[str, ...] = ()
    properties: FrontendAddress = FrontendAddress()


class PoolMembers(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "backendIPConfigurations", "loadBalancingRules", "outboundRule", "outboundRules", "inboundNatRules"}
    )

    load_balancer_backend_addresses: tuple[JsonValue, ...] = ()
    virtual_network: Reference | None = None
    location: str | None = None
    sync_mode: str | None = None
    drain_period_in_seconds: int | None = None
    tunnel_interfaces: tuple[JsonValue, ...] = ()


class Pool(_Part):
    """Interfaces join a pool by naming it; it does not name them."""

    properties: PoolMembers = PoolMembers()


class ProbeSettings(Properties):
    """interval_in_seconds: between probes. number_of_probes: failures in a row that count."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "loadBalancingRules"})

    protocol: ProbeProtocol
    port: int
    request_path: str | None = None
    interval_in_seconds: int = 15
    number_of_probes: int = 2
    probe_threshold: int | None = None
    no_healthy_backends_behavior: str | None = None


class Probe(_Part):
    properties: ProbeSettings


class Balancing(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})

    frontend_ip_configuration: Reference = Field(alias="frontendIPConfiguration")
    backend_address_pool: Reference | None = None
    backend_address_pools: tuple[Reference, ...] = ()
    probe: Reference | None = None
    protocol: Transport
    frontend_port: int
    backend_port: int | None = None
    idle_timeout_in_minutes: int = 4
    load_distribution: Distribution = Distribution.DEFAULT
    enable_floating_ip: bool = Field(default=False, alias="enableFloatingIP")
    enable_tcp_reset: bool = False
    disable_outbound_snat: bool | None = None
    enable_connection_tracking: bool = False

    @property
    def pools(self) -> tuple[ResourceId, ...]:
        """From whichever field was used; one that is named in both is one."""
        named = [reference.target for reference in self.backend_address_pools]
        if self.backend_address_pool is not None:
            named.append(self.backend_address_pool.target)
        return tuple(dict.fromkeys(named))


class BalancingRule(_Part):
    properties: Balancing


class LoadBalancer(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "resourceGuid"})

    frontend_ip_configurations: tuple[Frontend, ...] = Field(default=(), alias=FRONTENDS)
    backend_address_pools: tuple[Pool, ...] = ()
    load_balancing_rules: tuple[BalancingRule, ...] = ()
    probes: tuple[Probe, ...] = ()
    inbound_nat_rules: tuple[JsonValue, ...] = ()
    inbound_nat_pools: tuple[JsonValue, ...] = ()
    outbound_rules: tuple[JsonValue, ...] = ()
    scope: str | None = None
