"""RULES.md section 1, value by value: what is refused of networks and subnets, and the neighbour that is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds
from tests.clouds import Cloud, network, nsg_path, rid, seed_cloud, subnet, vnet_path

from ringfence.model import errors
from ringfence.policy.admission import quotas

VNET = vnet_path("mynetwork")
CONTAINERS = "Microsoft.ContainerInstance/containerGroups"


def refused(cloud: Cloud, path: str, body: dict[str, Any], **more: Any) -> errors.Problem:
    """The refusal of a PUT, which changes nothing."""
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(path, body, **more)
    assert cloud.snapshot is before
    return refusal.value


def stays(cloud: Cloud, path: str) -> errors.Problem:
    """The refusal of a DELETE, which changes nothing."""
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.delete(path)
    assert cloud.snapshot is before
    return refusal.value


def delegated(prefix: str, service: str = CONTAINERS) -> dict[str, Any]:
    return subnet(prefix, delegations=[{"name": "0", "properties": {"serviceName": service}}])


@pytest.mark.parametrize(
    ("wrong", "code", "right"),
    [
        ("10.9.0.0/30", "InvalidAddressPrefixLength", "10.9.0.0/29"),
        ("0.0.0.0/1", "AddressPrefixNotAllowed", "0.0.0.0/2"),
        ("127.0.0.0/8", "AddressPrefixNotAllowed", "126.0.0.0/8"),
        ("127.255.255.0/24", "AddressPrefixNotAllowed", "128.0.0.0/24"),
        ("126.0.0.0/7", "AddressPrefixNotAllowed", "124.0.0.0/7"),
        ("169.254.255.0/24", "AddressPrefixNotAllowed", "169.255.0.0/24"),
        ("169.254.0.0/16", "AddressPrefixNotAllowed", "169.253.0.0/16"),
        ("168.63.129.16/29", "AddressPrefixNotAllowed", "168.63.129.24/29"),
        ("168.63.128.0/23", "AddressPrefixNotAllowed", "168.63.130.0/23"),
        ("224.0.0.0/4", "AddressPrefixNotAllowed", "223.0.0.0/8"),
        ("239.255.255.0/24", "AddressPrefixNotAllowed", "240.0.0.0/24"),
        ("255.255.255.248/29", "AddressPrefixNotAllowed", "255.255.255.240/29"),
        ("198.19.255.0/24", "NotSupported", "198.20.0.0/24"),
        ("10.9.0.1/24", "InvalidCIDRNotation", "10.9.1.0/24"),
        ("10.9.0.0/016", "InvalidCIDRNotation", "10.9.0.0/16"),
        ("10.9.0.0/255.255.0.0", "InvalidAddressPrefixFormat", "10.9.0.0/16"),
        ("10.9.0.0/16 ", "InvalidAddressPrefixFormat", "10.9.0.0/16"),
        (" 10.9.0.0/16", "InvalidAddressPrefixFormat", "10.9.0.0/16"),
        ("10.9.0.0/", "InvalidAddressPrefixFormat", "10.9.0.0/16"),
        ("10.9.0.256/24", "InvalidAddressPrefixFormat", "10.9.0.0/24"),
        ("", "InvalidAddressPrefixFormat", "10.9.0.0/24"),
    ],
)
def test_a_prefix_of_a_network_and_its_neighbour(wrong: str, code: str, right: str) -> None:
    cloud = seed_cloud()
    problem = refused(cloud, vnet_path("new"), network(wrong))
    assert problem.code == code and wrong.strip() in problem.message
    assert cloud.put(vnet_path("new"), network(right)) == []


@pytest.mark.parametrize(
    ("wrong", "code", "right"),
    [
        ("10.1.4.0/30", "InvalidSubnetSize", "10.1.4.0/29"),
        ("10.1.4.0/32", "InvalidSubnetSize", "10.1.4.0/28"),
        ("10.1.4.4/29", "InvalidCIDRNotation", "10.1.4.8/29"),
        ("10.1.3.248/29", "NetcfgSubnetRangesOverlap", "10.1.4.0/29"),
        ("10.1.0.0/22", "NetcfgSubnetRangesOverlap", "10.1.4.0/22"),
        ("10.1.0.0/21", "NetcfgSubnetRangesOverlap", "10.1.8.0/21"),
        ("10.2.0.0/24", "NetcfgInvalidSubnet", "10.1.255.0/24"),
        ("10.0.255.0/24", "NetcfgInvalidSubnet", "10.1.128.0/17"),
        ("10.0.0.0/15", "NetcfgInvalidSubnet", "10.1.64.0/18"),
    ],
)
def test_a_prefix_of_a_subnet_and_its_neighbour(wrong: str, code: str, right: str) -> None:
    cloud, path = seed_cloud(), f"{VNET}/subnets/new"
    problem = refused(cloud, path, subnet(wrong), location=None)
    assert problem.code == code and wrong in problem.message and str(rid(path)) in problem.message
    assert cloud.put(path, subnet(right), location=None) == []


def test_a_subnet_may_fill_its_network_but_not_reach_over_two_prefixes() -> None:
    cloud = seed_cloud()
    halves = network("10.8.0.0/17", "10.8.128.0/17")
    problem = refused(cloud, vnet_path("halves"), halves, also={"subnets/a": subnet("10.8.0.0/16")})
    assert problem.code == "NetcfgInvalidSubnet"
    assert cloud.put(vnet_path("halves"), halves, also={"subnets/a": subnet("10.8.0.0/17")}) == []


def test_an_unused_subnet_is_resized_and_delegated_anew() -> None:
    cloud, path = seed_cloud(), f"{VNET}/subnets/free"
    cloud.put(path, subnet("10.1.8.0/24"), location=None)
    cloud.put(path, subnet("10.1.8.0/23"), location=None)
    cloud.put(path, delegated("10.1.8.0/23"), location=None)
    cloud.put(path, delegated("10.1.8.0/23", "Microsoft.Web/serverFarms"), location=None)
    assert cloud.put(path, subnet("10.1.8.0/25"), location=None) == []
    cloud.delete(path)


def _nic(where: str) -> dict[str, Any]:
    return {"ipConfigurations": [{"name": "one", "properties": {"subnet": {"id": str(rid(where))}}}]}


def _group(where: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": 1.0, "memoryInGB": 1.0}}
    return {
        "osType": "Linux",
        "containers": [{"name": "c", "properties": {"image": "registry.azurecr.io/a:1", "resources": resources}}],
        "subnetIds": [{"id": str(rid(where))}],
        "ipAddress": {"type": "Private", "ports": [{"port": 80, "protocol": "TCP"}]},
    }


def _front(where: str) -> dict[str, Any]:
    inner = {"subnet": {"id": str(rid(where))}, "privateIPAllocationMethod": "Dynamic"}
    return {"frontendIPConfigurations": [{"name": "front", "properties": inner}]}


def _endpoint(where: str) -> dict[str, Any]:
    to = {"privateLinkServiceId": str(rid(clouds.ws_path())), "groupIds": ["amlworkspace"]}
    return {"subnet": {"id": str(rid(where))}, "privateLinkServiceConnections": [{"name": "c", "properties": to}]}


USERS: list[tuple[str, Any, str | None]] = [
    ("mygroup/Microsoft.Network/networkInterfaces/nic", _nic, None),
    ("mygroup/Microsoft.Network/loadBalancers/balancer", _front, None),
    ("mygroup/Microsoft.Network/privateEndpoints/endpoint", _endpoint, None),
    ("mygroup/Microsoft.ContainerInstance/containerGroups/group", _group, CONTAINERS),
]


@pytest.mark.parametrize(("user", "body", "service"), USERS, ids=[user.rpartition("/")[2] for user, _, _ in USERS])
def test_every_kind_of_user_keeps_its_subnet_as_it_is(user: str, body: Any, service: str | None) -> None:
    cloud, path = seed_cloud(), f"{VNET}/subnets/used"
    plain = delegated("10.1.8.0/24", service) if service else subnet("10.1.8.0/24")
    cloud.put(path, plain, location=None)
    cloud.put(user, body(path))
    assert refused(cloud, path, plain | {"addressPrefix": "10.1.8.0/25"}, location=None).code == "InUsePrefixCannotBeDeleted"
    assert refused(cloud, path, plain | {"addressPrefix": "10.1.8.0/23"}, location=None).code == "InUsePrefixCannotBeDeleted"
    other = delegated("10.1.8.0/24", "Microsoft.Sql/managedInstances")
    problem = refused(cloud, path, other, location=None)
    assert problem.code == "SubnetDelegationsCannotChangeWhenSubnetUsedByResource" and "Sql" in problem.message
    for victim in (path, VNET):
        problem = stays(cloud, victim)
        assert problem.code == "InUseSubnetCannotBeDeleted" and "Subnet used is in use by" in problem.message
    # What does not concern its users may change, and casing is no change.
    if service is not None:
        cloud.put(path, delegated("10.1.8.0/24", service.lower()), location=None)
    assert cloud.put(path, plain | {"networkSecurityGroup": {"id": str(rid(nsg_path("mynetwork-nsg")))}}, location=None) == []
    cloud.gone(user)
    cloud.delete(path)


def test_ids_are_compared_in_any_casing() -> None:
    cloud = seed_cloud()
    body = _nic(f"{VNET}/subnets/default".upper())
    body["ipConfigurations"][0]["properties"]["subnet"]["id"] = str(rid(f"{VNET}/subnets/default")).upper()
    cloud.put("mygroup/Microsoft.Network/networkInterfaces/nic", body)
    assert stays(cloud, f"{VNET}/subnets/default").code == "InUseSubnetCannotBeDeleted"


def test_networks_of_a_subscription_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_NETWORKS", 2)
    cloud = seed_cloud()
    problem = refused(cloud, vnet_path("third"), network("10.9.0.0/16"))
    assert problem.code == "VnetCountLimitReached"
    assert problem.message.startswith("Cannot create more than 2 virtual networks for this subscription in this region")
    assert cloud.put(vnet_path("third"), network("10.9.0.0/16"), location="westeurope") == []
    assert cloud.put(VNET, network("10.1.0.0/16", "10.7.0.0/16")) == []
    cloud.gone(VNET)
    assert cloud.put(vnet_path("fourth"), network("10.9.0.0/16")) == []


def test_subnets_of_a_network_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_SUBNETS", 2)
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/second", subnet("10.1.8.0/24"), location=None)
    assert refused(cloud, f"{VNET}/subnets/third", subnet("10.1.9.0/24"), location=None).code == "SubnetCountLimitReached"
    three = {f"subnets/{name}": subnet(f"10.9.{number}.0/24") for number, name in enumerate("abc")}
    problem = refused(cloud, vnet_path("new"), network("10.9.0.0/16"), also=three)
    assert problem.code == "SubnetCountLimitReached" and "it would have 3" in problem.message
    assert cloud.put(f"{VNET}/subnets/second", subnet("10.1.8.0/25"), location=None) == []
    cloud.gone(f"{VNET}/subnets/second")
    assert cloud.put(f"{VNET}/subnets/third", subnet("10.1.9.0/24"), location=None) == []


def test_peerings_of_a_network_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_PEERINGS", 1)
    cloud = seed_cloud()
    cloud.put(vnet_path("third"), network("10.9.0.0/16"))
    to_other = {"remoteVirtualNetwork": {"id": str(rid(vnet_path("myvnetname", "myvnetresourcegroup")))}}
    to_third = {"remoteVirtualNetwork": {"id": str(rid(vnet_path("third")))}}
    cloud.put(f"{VNET}/virtualNetworkPeerings/one", to_other, location=None)
    problem = refused(cloud, f"{VNET}/virtualNetworkPeerings/two", to_third, location=None)
    assert problem.code == "VnetPeeringCountLimitReached" and str(rid(VNET)) in problem.message
    assert cloud.put(f"{VNET}/virtualNetworkPeerings/one", to_other, location=None) == []


def test_the_counts_are_azures() -> None:
    counts = (quotas.MOST_NETWORKS, quotas.MOST_GROUPS, quotas.MOST_SUBNETS, quotas.MOST_PEERINGS, quotas.MOST_RULES)
    assert counts == (1000, 5000, 3000, 500, 1000)


def test_groups_of_rules_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_GROUPS", 1)
    cloud = seed_cloud()
    assert refused(cloud, nsg_path("second"), {}).code == "NetworkSecurityGroupCountLimitReached"
    assert cloud.put(nsg_path("second"), {}, location="westeurope") == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("a" * 81, "a" * 80),
        ("-a", "a-a"),
        (".a", "a.a"),
        ("a-", "a_"),
        ("a.", "a.0"),
        ("a b", "ab"),
        ("a!", "a1"),
        ("ä", "a"),
    ],
)
def test_names_of_network_resources(wrong: str, right: str) -> None:
    cloud = seed_cloud()
    other = {"remoteVirtualNetwork": {"id": str(rid(vnet_path("myvnetname", "myvnetresourcegroup")))}}
    for path, body, location in (
        (f"{VNET}/subnets/", subnet("10.1.8.0/24"), None),
        (nsg_path(""), {}, "eastus2"),
        (f"{nsg_path('mynetwork-nsg')}/securityRules/", clouds.rule(100), None),
        (f"{VNET}/virtualNetworkPeerings/", other, None),
    ):
        problem = refused(cloud, path + wrong, body, location=location)
        assert problem.code == "InvalidResourceName" and f"Resource name {wrong} is invalid" in problem.message
        assert cloud.put(path + right, body, location=location) == []
