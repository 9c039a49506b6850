"""Peerings and private endpoints as the trace sees them, and what the tag VirtualNetwork means with peers."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from tests import clouds
from tests.clouds import Cloud, nsg_path, rid, rule, vnet_path

from ringfence.model.ids import ResourceId
from ringfence.policy import groups, places, reach
from ringfence.policy.places import Place
from ringfence.policy.reach import Verdict

A, B, C, GUARD = vnet_path("a"), vnet_path("b"), vnet_path("c"), nsg_path("guard")
ACCOUNT = "mygroup/Microsoft.Storage/storageAccounts/mydata"
ENDPOINT = "mygroup/Microsoft.Network/privateEndpoints/pe"


def peer(cloud: Cloud, one: str, other: str, **more: Any) -> None:
    remote = {"remoteVirtualNetwork": {"id": str(rid(other))}, **more}
    cloud.put(f"{one}/virtualNetworkPeerings/{other.rpartition('/')[2]}", remote, location=None)


@pytest.fixture
def cloud() -> Cloud:
    """Three networks with a host in each; a guarded subnet with a private endpoint in a."""
    made = Cloud()
    made.put("mygroup", {})
    made.put(GUARD, {})
    for path, prefix in ((A, "10.1"), (B, "10.2"), (C, "10.3")):
        made.put(path, {"addressSpace": {"addressPrefixes": [f"{prefix}.0.0/16"]}})
        made.put(f"{path}/subnets/default", clouds.subnet(f"{prefix}.0.0/24"), location=None)
        made.put(f"{path}/subnets/default/locations/jump", {}, location=None)
    made.put(f"{A}/subnets/guarded", clouds.subnet("10.1.1.0/24", GUARD), location=None)
    made.put(f"{A}/subnets/guarded/locations/jump", {}, location=None)
    made.put(ACCOUNT, {})
    connection = {"name": "c", "properties": {"privateLinkServiceId": str(rid(ACCOUNT)), "groupIds": ["blob"]}}
    subnet = {"id": str(rid(f"{A}/subnets/guarded"))}
    made.put(ENDPOINT, {"subnet": subnet, "privateLinkServiceConnections": [connection]})
    return made


def host(cloud: Cloud, subnet: ResourceId) -> Place:
    return next(place for place in places.places(cloud.snapshot) if place.subnet == subnet)


def verdict(cloud: Cloud, source: str | None, to: str, port: int = 443) -> Verdict:
    at = None if source is None else host(cloud, rid(source))
    return reach.trace(cloud.snapshot, at, IPv4Address(to), port).verdict


def test_packets_pass_a_peering_that_both_sides_have_and_allow(cloud: Cloud) -> None:
    there = host(cloud, rid(f"{B}/subnets/default")).address
    assert verdict(cloud, f"{A}/subnets/default", there) is Verdict.NO_ROUTE
    peer(cloud, A, B)
    assert verdict(cloud, f"{A}/subnets/default", there) is Verdict.NO_ROUTE
    peer(cloud, B, A)
    assert verdict(cloud, f"{A}/subnets/default", there) is Verdict.ALLOWED
    assert verdict(cloud, f"{C}/subnets/default", there) is Verdict.NO_ROUTE
    peer(cloud, B, A, allowVirtualNetworkAccess=False)
    assert verdict(cloud, f"{A}/subnets/default", there) is Verdict.NO_ROUTE


def test_the_tag_of_a_network_holds_its_peers(cloud: Cloud) -> None:
    guarded = host(cloud, rid(f"{A}/subnets/guarded")).address
    peer(cloud, A, B)
    peer(cloud, B, A)
    space = groups.space_of(cloud.snapshot, cloud.snapshot.need(rid(A)))
    assert list(map(str, space)) == ["10.1.0.0/16", "10.2.0.0/16"]
    assert verdict(cloud, f"{B}/subnets/default", guarded) is Verdict.ALLOWED  # by AllowVnetInBound
    cloud.put(f"{GUARD}/securityRules/no", rule(100, "Deny", sourceAddressPrefix="10.2.0.0/16"), location=None)
    assert verdict(cloud, f"{B}/subnets/default", guarded) is Verdict.DENIED_INBOUND


def test_a_private_endpoint_is_reached_from_its_network_and_peers(cloud: Cloud) -> None:
    (address,) = [a.value for a in cloud.snapshot.allocations.values() if ".nic." in a.owner]
    peer(cloud, A, B)
    peer(cloud, B, A)
    for source in (f"{A}/subnets/default", f"{A}/subnets/guarded", f"{B}/subnets/default"):
        assert verdict(cloud, source, address) is Verdict.ALLOWED
        assert verdict(cloud, source, address, 80) is Verdict.NOTHING_THERE
    assert verdict(cloud, f"{C}/subnets/default", address) is Verdict.NO_ROUTE
    assert verdict(cloud, None, address) is Verdict.NO_ROUTE


def test_rules_judge_a_private_endpoint_where_policies_say_so(cloud: Cloud) -> None:
    (address,) = [a.value for a in cloud.snapshot.allocations.values() if ".nic." in a.owner]
    cloud.put(f"{GUARD}/securityRules/no", rule(100, "Deny", sourceAddressPrefix="10.1.0.0/24"), location=None)
    assert verdict(cloud, f"{A}/subnets/default", address) is Verdict.ALLOWED
    guarded = clouds.subnet("10.1.1.0/24", GUARD, privateEndpointNetworkPolicies="Enabled")
    cloud.put(f"{A}/subnets/guarded", guarded, location=None)
    assert verdict(cloud, f"{A}/subnets/default", address) is Verdict.DENIED_INBOUND
