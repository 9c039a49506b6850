"""Microsoft.Network: peerings between virtual networks.

A peering is one side of a pair: a row below the virtual network it was made in. Whether the
pair stands is in `policy.peerings`; whether it may be made is admission's question.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.network import AddressSpace
from ringfence.model.resource import Properties, Reference

PEERING = "microsoft.network/virtualnetworks/virtualnetworkpeerings"


class Peering(Properties):
    """remote_virtual_network: the other network. use_remote_gateways and its kin: there are no gateways here."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "resourceGuid",
            "peeringState",
            "peeringSyncLevel",
            "remoteVirtualNetworkEncryption",
            "remoteBgpCommunities",
            "remoteAddressSpace",
            "remoteVirtualNetworkAddressSpace",
            "localAddressSpace",
            "localVirtualNetworkAddressSpace",
        }
    )

    remote_virtual_network: Reference
    allow_virtual_network_access: bool = True
    allow_forwarded_traffic: bool = False
    allow_gateway_transit: bool = False
    use_remote_gateways: bool = False
    do_not_verify_remote_gateways: bool = False
    peer_complete_vnets: bool = Field(default=True, alias="peerCompleteVnets")
    enable_only_ipv6_peering: bool = Field(default=False, alias="enableOnlyIPv6Peering")
    local_subnet_names: tuple[str, ...] = ()
    remote_subnet_names: tuple[str, ...] = ()
    remote_address_prefixes: AddressSpace | None = None
    gateways: JsonValue = None

    @property
    def remote(self) -> ResourceId:
        return self.remote_virtual_network.target
