"""Names of private endpoints: outside, in networks that are linked to the private zone, and in those that are not."""

from __future__ import annotations

from typing import Any

from tests import clouds
from tests.clouds import Cloud, rid, vnet_path

from ringfence.desired import build, keys
from ringfence.desired.state import Network, View
from ringfence.drivers.linux.zones import Zone
from ringfence.policy import arrivals, private_link

ACCOUNT = "mygroup/Microsoft.Storage/storageAccounts/mydata"
ENDPOINT = "mygroup/Microsoft.Network/privateEndpoints/pe"
ZONE = "mygroup/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net"
A, B = vnet_path("a"), vnet_path("b")


def cloud(**more: Any) -> Cloud:
    made = Cloud()
    for group in ("mygroup",):
        made.put(group, {})
    for path, prefix in ((A, "10.1.0.0/16"), (B, "10.2.0.0/16")):
        made.put(path, {"addressSpace": {"addressPrefixes": [prefix]}})
        made.put(f"{path}/subnets/default", clouds.subnet(prefix.replace("/16", "/24"), **more), location=None)
    made.put(ACCOUNT, {})
    made.put("mygroup/Microsoft.Storage/storageAccounts/other", {})
    return made


def endpoint(made: Cloud, path: str = ENDPOINT, *, manual: bool = False, target: str = ACCOUNT, group: str = "blob") -> None:
    kind = "manualPrivateLinkServiceConnections" if manual else "privateLinkServiceConnections"
    connection = {"name": "c", "properties": {"privateLinkServiceId": str(rid(target)), "groupIds": [group]}}
    made.put(path, {"subnet": {"id": str(rid(f"{A}/subnets/default"))}, kind: [connection]})


def linked(made: Cloud, vnet: str, zone: str = ZONE, **more: Any) -> None:
    made.put(zone, {}, location="global")
    name = vnet.rpartition("/")[2]
    made.put(f"{zone}/virtualNetworkLinks/{name}", {"virtualNetwork": {"id": str(rid(vnet))}, **more}, location="global")


def grouped(made: Cloud, zone: str = ZONE) -> None:
    config = {"name": "z", "properties": {"privateDnsZoneId": str(rid(zone))}}
    made.put(f"{ENDPOINT}/privateDnsZoneGroups/default", {"privateDnsZoneConfigs": [config]}, location=None)


def resolved(made: Cloud, name: str, vnet: str | None = None) -> str:
    """The address a name has in a network, or on the internet; "" when it does not exist."""
    found = build.build(made.snapshot).items
    key = "dns/internet" if vnet is None else f"dns/{keys.short(rid(vnet).key)}"
    view = found[key]
    assert isinstance(view, View)
    zone = Zone(view.records)
    while True:
        records = zone.find(name) or {}
        if "CNAME" not in records:
            return records["A"].values[0] if "A" in records else ""
        name = records["CNAME"].values[0]


BLOB, OTHER = "mydata.blob.core.windows.net", "other.blob.core.windows.net"


def test_a_private_name_is_public_outside_and_private_where_the_zone_is_linked() -> None:
    made = cloud()
    public = resolved(made, BLOB)
    endpoint(made)
    linked(made, A)
    grouped(made)
    assert resolved(made, BLOB) == public == resolved(made, BLOB, B)
    assert resolved(made, BLOB, A) == "10.1.0.4"
    assert resolved(made, "mydata.privatelink.blob.core.windows.net") == public
    linked(made, B)
    assert resolved(made, BLOB, B) == "10.1.0.4"


def test_a_linked_zone_is_the_authority_for_its_names() -> None:
    made = cloud()
    endpoint(made)
    endpoint(made, f"{ENDPOINT}2", target="mygroup/Microsoft.Storage/storageAccounts/other")
    linked(made, A)
    grouped(made)
    assert resolved(made, OTHER) and resolved(made, OTHER, A) == ""
    linked(made, A, resolutionPolicy="NxDomainRedirect")
    assert resolved(made, OTHER, A) == resolved(made, OTHER)


def test_a_pending_connection_changes_no_name() -> None:
    made = cloud()
    endpoint(made, manual=True)
    linked(made, A)
    grouped(made)
    assert resolved(made, BLOB, A) == resolved(made, BLOB)
    assert resolved(made, "mydata.privatelink.blob.core.windows.net") == ""


def test_only_an_approved_connection_is_in_the_kernel() -> None:
    made = cloud(serviceEndpoints=[{"service": "Microsoft.Storage"}])
    endpoint(made, manual=True)
    endpoint(made, f"{ENDPOINT}2")
    (network,) = [item for item in build.build(made.snapshot) if isinstance(item, Network) and item.prefixes == ("10.1.0.0/16",)]
    storage = resolved(made, "other.blob.core.windows.net")
    assert [(one.address, one.port, one.target) for one in network.private] == [("10.1.0.5", 443, storage)]
    (source,) = network.sources
    assert source.prefix == "10.1.0.0/24" and len(source.destinations) == 1 and source.link != network.private[0].link
    assert rid(f"{ENDPOINT}2").key in network.owners


def test_record_sets_of_a_linked_zone_are_answered() -> None:
    made = cloud()
    zone = "mygroup/Microsoft.Network/privateDnsZones/corp.example"
    linked(made, A, zone)
    made.put(f"{zone}/A/www", {"aRecords": [{"ipv4Address": "10.9.0.1"}]}, location=None)
    made.put(f"{zone}/CNAME/alias", {"cnameRecord": {"cname": "www.corp.example"}}, location=None)
    assert resolved(made, "alias.corp.example", A) == "10.9.0.1"
    assert resolved(made, "www.corp.example", B) == "" == resolved(made, "www.corp.example")


def test_an_address_tells_where_a_request_came_from() -> None:
    made = cloud(serviceEndpoints=[{"service": "Microsoft.Storage"}])
    endpoint(made)
    snapshot = made.snapshot
    vnet, subnet = rid(A), rid(f"{A}/subnets/default")
    through = snapshot.value(rid(ENDPOINT), private_link.LINK)
    own, egress = snapshot.value(subnet, private_link.LINK), snapshot.value(vnet, "egress")
    assert through is not None and own is not None and egress is not None
    found = [arrivals.of(snapshot, source) for source in (through, own, egress, "198.19.255.4", "nonsense")]
    assert [one.kind for one in found] == ["private-endpoint", "service-endpoint", "network", "internet", "internet"]
    assert found[0].private_endpoint == rid(ENDPOINT).key and found[0].vnet == found[1].vnet == found[2].vnet == vnet.key
    assert found[1].subnet == subnet.key
