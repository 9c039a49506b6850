"""Service endpoints: which services a subnet reaches as itself, and the address it is seen as.

A service sees a subnet's own link address in place of the network's public one, so that rules can name the subnet.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from ringfence.model import network
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import private_link, tags

#: Reaches accounts of the network's own region; `Microsoft.Storage.Global` those of every region.
_REGIONAL = "microsoft.storage"


@dataclass(frozen=True, slots=True)
class Source:
    """What leaves `prefix` for `destinations` comes from `link`."""

    prefix: str
    destinations: tuple[IPv4Network, ...]
    link: str


def source(snapshot: Snapshot, subnet: Resource) -> Source | None:
    """None for a subnet without service endpoints."""
    if subnet.state is ProvisioningState.DELETING or not isinstance(subnet.properties, network.Subnet):
        return None
    link = snapshot.value(subnet.id, private_link.LINK)
    vnet = snapshot.get(subnet.parent)
    if link is None or vnet is None or not subnet.properties.service_endpoints:
        return None
    found: set[IPv4Network] = set()
    for one in subnet.properties.service_endpoints:
        _, tag = tags.SERVICE_ENDPOINTS[one.service.lower()]
        regional = one.service.lower() == _REGIONAL
        found.update(tags.resolve(f"{tag}.{vnet.region}" if regional else tag, ()))
    return Source(subnet.properties.prefix, tuple(sorted(found)), link)
