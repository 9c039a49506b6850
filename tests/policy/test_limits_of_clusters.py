"""RULES.md sections 4 and 5, value by value: what is refused of inference clusters, and the neighbour that is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clouds import Cloud, aks, contributor, network, nsg_path, rid, seed_cloud, subnet, vnet_path, ws_path
from tests.policy.test_limits_of_networks import delegated, refused

from ringfence.desired import alloc
from ringfence.policy import clusters

VNET = vnet_path("mynetwork")
COMPUTE = f"{ws_path()}/computes/myaks"
DOCKER = "dockerBridgeCidr"


def planned(**change: Any) -> dict[str, Any]:
    """Snippet 1's body with other networking values."""
    body = aks(VNET)
    body["properties"]["aksNetworkingConfiguration"] |= change
    return body


def services(range_: str, dns: str) -> dict[str, Any]:
    return {"serviceCidr": range_, "dnsServiceIP": dns}


PLANS: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    # wrong, code, words of the refusal, the accepted neighbour
    (services("11.0.0.0/12", "11.0.0.10"), "InvalidParameter", "ServiceCidr is too large", services("11.0.0.0/13", "11.0.0.10")),
    (services("11.0.0.0/8", "11.0.0.10"), "InvalidParameter", "ServiceCidr is too large", services("11.0.0.0/16", "11.0.0.10")),
    (services("10.9.0.0/29", "10.9.0.3"), "InvalidParameter", "too small", services("10.9.0.0/28", "10.9.0.10")),
    (services("10.9.0.0/24", "10.9.1.0"), "DnsServiceIpOutOfServiceCidr", "10.9.1.0", services("10.9.0.0/24", "10.9.0.254")),
    (services("10.9.1.0/24", "10.9.0.255"), "DnsServiceIpOutOfServiceCidr", "10.9.0.255", services("10.9.1.0/24", "10.9.1.2")),
    (services("10.9.0.0/24", "10.9.0.0"), "InvalidParameter", "can not be the first", services("10.9.0.0/24", "10.9.0.2")),
    (services("10.9.0.0/24", "10.9.0.1"), "InvalidParameter", "can not be the first", services("10.9.0.0/24", "10.9.0.3")),
    (services("10.9.0.0/24", "10.9.0.255"), "InvalidParameter", "can not be the last", services("10.9.0.0/24", "10.9.0.253")),
    (services("10.9.0.0/24", "10.9.0"), "InvalidParameter", "not an IPv4 address", services("10.9.0.0/24", "10.9.0.10")),
    (services("10.9.0.0/24", "10.9.0.010"), "InvalidParameter", "not an IPv4 address", services("10.9.0.0/24", "10.9.0.10")),
    (services("10.9.0.1/24", "10.9.0.10"), "InvalidParameter", "CIDR notation", services("10.9.0.0/24", "10.9.0.10")),
    (services("10.9.0.0/255.255.255.0", "10.9.0.10"), "InvalidParameter", "CIDR notation", services("10.9.0.0/24", "10.9.0.10")),
    (
        services("10.1.2.0/24", "10.1.2.10"),
        "ServiceCidrOverlapExistingSubnetsCidr",
        "The specified service CIDR 10.1.2.0/24 is conflicted with an existing subnet CIDR 10.1.0.0/22",
        services("10.1.4.0/24", "10.1.4.10"),
    ),
    (
        services("10.0.0.0/15", "10.0.0.10"),
        "ServiceCidrOverlapExistingSubnetsCidr",
        "existing subnet CIDR 10.1.0.0/22",
        services("10.2.0.0/15", "10.2.0.10"),
    ),
    *(
        (services(f"{banned}/24", f"{banned[:-1]}10"), "InvalidParameter", "a cluster may not use", services(f"{right}/24", dns))
        for banned, right, dns in (
            ("169.254.7.0", "169.253.7.0", "169.253.7.10"),
            ("172.30.0.0", "172.29.0.0", "172.29.0.10"),
            ("172.31.255.0", "172.32.0.0", "172.32.0.10"),
            ("192.0.2.0", "192.0.3.0", "192.0.3.10"),
        )
    ),
    ({DOCKER: "10.1.3.1/24"}, "InvalidParameter", "overlaps the range 10.1.0.0/22", {DOCKER: "10.1.4.1/24"}),
    ({DOCKER: "10.1.0.1/8"}, "InvalidParameter", "overlaps", {DOCKER: "172.18.0.1/16"}),
    ({DOCKER: "10.0.5.1/24"}, "InvalidParameter", "overlaps the service CIDR", {DOCKER: "172.17.0.1/16"}),
    ({DOCKER: "172.17.0.1"}, "InvalidParameter", "as 172.17.0.1/16 is", {DOCKER: "172.17.0.1/24"}),
    ({DOCKER: "172.17.0.1/255.255.0.0"}, "InvalidParameter", "as 172.17.0.1/16 is", {DOCKER: "172.17.0.1/16"}),
    ({DOCKER: "172.17.0.1/33"}, "InvalidParameter", "as 172.17.0.1/16 is", {DOCKER: "172.17.0.1/30"}),
    ({DOCKER: "docker0"}, "InvalidParameter", "as 172.17.0.1/16 is", {DOCKER: "192.168.5.1/24"}),
    ({DOCKER: None}, "InvalidParameter", "should all be empty or neither", {DOCKER: None} | dict.fromkeys(services("", ""))),
    ({"serviceCidr": None}, "InvalidParameter", "should all be empty or neither", services("10.0.0.0/16", "10.0.0.11")),
    ({"dnsServiceIP": ""}, "InvalidParameter", "should all be empty or neither", services("10.0.0.0/17", "10.0.0.11")),
]


@pytest.mark.parametrize(("wrong", "code", "words", "right"), PLANS, ids=[f"{n}-{p[1]}" for n, p in enumerate(PLANS)])
def test_an_address_plan_and_its_neighbour(wrong: dict[str, Any], code: str, words: str, right: dict[str, Any]) -> None:
    cloud = seed_cloud()
    problem = refused(cloud, COMPUTE, planned(**wrong))
    assert problem.code == code and words in problem.message and str(rid(COMPUTE)).rpartition("/")[2] in problem.message
    cloud.put(COMPUTE, planned(**right))


@pytest.mark.parametrize("banned", ["169.254.0.0/16", "172.30.0.0/16", "172.31.8.0/24", "192.0.2.0/24", "172.16.0.0/12"])
def test_a_banned_range_of_the_clusters_network(banned: str) -> None:
    cloud, vnet = seed_cloud(), vnet_path("other")
    if banned.startswith("169"):
        assert refused(cloud, vnet, network(banned)).code == "AddressPrefixNotAllowed"
        return
    cloud.put(vnet, network(banned, "10.9.0.0/16"), also={"subnets/default": subnet("10.9.0.0/22")})
    problem = refused(cloud, COMPUTE, aks(vnet))
    assert problem.code == "InvalidParameter" and banned in problem.message
    cloud.put(vnet, network("10.9.0.0/16"))
    cloud.put(COMPUTE, aks(vnet))


def test_a_service_range_that_a_peered_network_has_is_advised_against() -> None:
    cloud = seed_cloud()
    cloud.put(vnet_path("far"), network("10.0.0.0/16"))
    assert cloud.put(COMPUTE, aks(VNET)) == []
    cloud.gone(COMPUTE)
    cloud.put(f"{VNET}/virtualNetworkPeerings/far", {"remoteVirtualNetwork": {"id": str(rid(vnet_path("far")))}}, location=None)
    (warning,) = cloud.put(COMPUTE, aks(VNET))
    assert "'far'" in warning and "10.0.0.0/16" in warning


def needed(nodes: int) -> int:
    """RULES.md section 4.2: the documentation's own sum."""
    return (nodes + 1) + (nodes + 1) * 30


def test_the_documentations_own_example_of_room() -> None:
    assert needed(50) == 1581


@pytest.mark.parametrize(
    ("prefix", "refused_count", "accepted_count"),
    [("10.1.8.0/24", 8, 7), ("10.1.8.0/25", 3, 2), ("10.1.8.0/26", 1, 0), ("10.1.16.0/23", 16, 15)],
)
def test_room_for_nodes_and_their_pods(prefix: str, refused_count: int, accepted_count: int) -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/nodes", subnet(prefix), location=None)
    free = alloc.free(cloud.snapshot, cloud.snapshot.need(rid(f"{VNET}/subnets/nodes")))
    body = aks(VNET, "nodes", agentCount=refused_count, clusterPurpose="DevTest")
    assert needed(refused_count) > free >= needed(accepted_count)
    problem = refused(cloud, COMPUTE, body)
    assert problem.code == "InsufficientSubnetSize" and prefix in problem.message and str(free) in problem.message
    if accepted_count:
        cloud.put(COMPUTE, aks(VNET, "nodes", agentCount=accepted_count, clusterPurpose="DevTest"))


def test_a_cluster_does_not_grow_beyond_its_subnet() -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/nodes", subnet("10.1.8.0/25"), location=None)
    cloud.put(COMPUTE, aks(VNET, "nodes", agentCount=2, clusterPurpose="DevTest"))
    cluster = clusters.cluster_of(cloud.snapshot, cloud.snapshot.need(rid(COMPUTE)))
    assert cluster is not None
    cloud.snapshot = cloud.snapshot.changed([contributor(cluster, str(rid("mygroup")))])
    problem = refused(cloud, COMPUTE, aks(VNET, "nodes", agentCount=3, clusterPurpose="DevTest"))
    assert problem.code == "SubnetIsFull" and "10.1.8.0/25 doesn't have enough capacity" in problem.message
    cloud.put(f"{VNET}/subnets/nodes", subnet("10.1.8.0/25", nsg_path("mynetwork-nsg")), location=None)
    cloud.put(COMPUTE, aks(VNET, "nodes", agentCount=1, clusterPurpose="DevTest"))
    cloud.put(COMPUTE, aks(VNET, "nodes", agentCount=2, clusterPurpose="DevTest"))


SIZES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"agentCount": 2, "agentVmSize": "Standard_D16s_v3"}, {"agentCount": 3, "agentVmSize": "Standard_D4s_v3"}),
    ({"agentCount": 5, "agentVmSize": "Standard_D2s_v3"}, {"agentCount": 6, "agentVmSize": "Standard_D2s_v3"}),
    ({"agentCount": 0, "clusterPurpose": "DevTest"}, {"agentCount": 1, "clusterPurpose": "DevTest"}),
    ({"clusterPurpose": "DenseProd", "agentCount": 2}, {"clusterPurpose": "DevTest", "agentCount": 2}),
]


@pytest.mark.parametrize(("wrong", "right"), SIZES, ids=range(len(SIZES)))
def test_nodes_and_cores_by_purpose(wrong: dict[str, Any], right: dict[str, Any]) -> None:
    cloud = seed_cloud()
    problem = refused(cloud, COMPUTE, aks(VNET, **wrong))
    assert problem.code == "InvalidParameter" and problem.target == "properties.properties.agentCount"
    cloud.put(COMPUTE, aks(VNET, **right))


def test_the_purpose_of_a_small_cluster_does_not_become_production() -> None:
    cloud = seed_cloud()
    small: dict[str, Any] = {"agentCount": 1, "agentVmSize": "Standard_D2s_v3"}
    cloud.put(COMPUTE, aks(VNET, clusterPurpose="DevTest", **small))
    problem = refused(cloud, COMPUTE, aks(VNET, clusterPurpose="FastProd", **small))
    assert problem.code == "InvalidParameter" and "3 nodes and 12 cores" in problem.message
    cloud.put(COMPUTE, aks(VNET, clusterPurpose="DevTest", **small))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ab", "abc"),
        ("a" * 25, "a" * 24),
        ("1ab", "a1b"),
        ("-ab", "a-b"),
        ("ab-", "ab1"),
        ("a_b", "aBc"),
        ("a.b", "a--b"),
    ],
)
def test_names_of_computes(wrong: str, right: str) -> None:
    cloud = seed_cloud()
    problem = refused(cloud, f"{ws_path()}/computes/{wrong}", aks(VNET))
    assert problem.code == "InvalidComputeName" and wrong in problem.message
    cloud.put(f"{ws_path()}/computes/{right}", aks(VNET))


def _with_subnets() -> Cloud:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/aci", delegated("10.1.8.0/24"), location=None)
    cloud.put(f"{VNET}/subnets/sql", delegated("10.1.9.0/24", "Microsoft.Sql/managedInstances"), location=None)
    cloud.put(f"{VNET}/subnets/front", subnet("10.1.10.0/24"), location=None)
    return cloud


@pytest.mark.parametrize("name", ["aci", "sql"])
def test_a_delegated_subnet_takes_neither_nodes_nor_frontends(name: str) -> None:
    cloud = _with_subnets()
    problem = refused(cloud, COMPUTE, aks(VNET, name))
    assert problem.code == "SubnetIsDelegated"
    assert f"subnet with id {rid(f'{VNET}/subnets/{name}')} cannot be used as it's a delegated subnet" in problem.message
    inner = aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet=name)
    assert refused(cloud, COMPUTE, inner).code == "SubnetIsDelegated"
    cloud.put(COMPUTE, aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="front"))


def test_a_frontends_subnet_is_one_of_the_clusters_network() -> None:
    cloud = _with_subnets()
    problem = refused(cloud, COMPUTE, aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="nowhere"))
    assert problem.code == "InvalidResourceReference" and "'nowhere'" in problem.message and "'mynetwork'" in problem.message


def test_a_cluster_is_in_the_region_of_its_network() -> None:
    cloud = seed_cloud()
    cloud.put(vnet_path("west"), network("10.9.0.0/16"), location="westeurope", also={"subnets/default": subnet("10.9.0.0/22")})
    problem = refused(cloud, COMPUTE, aks(vnet_path("west")))
    assert problem.code == "InvalidResourceReference" and "eastus2" in problem.message
    cloud.put(COMPUTE, {**aks(vnet_path("west")), "computeLocation": "westeurope"})
