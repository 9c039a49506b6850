"""Addresses and numbers: the lowest free ones, never the reserved ones, never twice, and kept for life."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import clouds
from tests.clouds import Cloud, aks, network, rid, seed_cloud, service, subnet, vnet_path, ws_path

from ringfence.desired import alloc
from ringfence.model import errors
from ringfence.policy import companions, places

VNET = vnet_path("mynetwork")
COMPUTE = f"{ws_path()}/computes/myaks"


def held(cloud: Cloud, path: str) -> dict[str, str]:
    return {a.purpose: a.value for a in cloud.snapshot.allocated(rid(path))}


def test_azures_own_addresses_are_never_given_out() -> None:
    assert list(alloc.usable(IPv4Network("10.0.0.0/29"))) == ["10.0.0.4", "10.0.0.5", "10.0.0.6"]
    assert alloc.capacity(IPv4Network("10.0.0.0/29")) == 3 and alloc.capacity(IPv4Network("10.0.0.0/24")) == 251


def test_a_small_subnet_fills_up() -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/tiny", subnet("10.1.8.0/29"), location=None)
    for number in range(3):
        cloud.put(f"{VNET}/subnets/tiny/locations/l{number}", {}, location=None)
    with pytest.raises(errors.Invalid) as refusal:
        cloud.put(f"{VNET}/subnets/tiny/locations/l3", {}, location=None)
    assert refusal.value.code == "SubnetIsFull"
    assert refusal.value.message == "Subnet tiny with address prefix 10.1.8.0/29 doesn't have enough capacity for IP addresses."
    cloud.gone(f"{VNET}/subnets/tiny/locations/l1")
    cloud.put(f"{VNET}/subnets/tiny/locations/l3", {}, location=None)
    assert list(held(cloud, f"{VNET}/subnets/tiny/locations/l3").values()) == ["10.1.8.5"]


def test_a_cluster_holds_a_node_address_and_thirty_for_pods_on_each_node() -> None:
    cloud = seed_cloud()
    cloud.put(COMPUTE, aks(VNET))
    cluster = companions.cluster_id(cloud.snapshot.need(rid(COMPUTE)))
    owners = (cluster, cluster.child("agentPools", "agentpool"))
    mine = held(cloud, COMPUTE) | {a.purpose: a.value for id in owners for a in cloud.snapshot.allocated(id)}
    of_subnet = [v for v in cloud.snapshot.taken(places.address_scope(rid(VNET)))]
    assert len(of_subnet) == 93
    assert (mine["node0"], mine["node1"], mine["node2"]) == ("10.1.0.4", "10.1.0.35", "10.1.0.66")
    assert {mine["pod-fe"], mine["pod-dns"]} <= set(of_subnet)
    assert IPv4Address(mine["frontend-public"]) in IPv4Network("198.19.0.0/17")
    assert IPv4Address(mine["api-server"]) in IPv4Network("198.18.2.128/25")


def test_a_cluster_that_moves_its_load_balancer_and_back_has_its_old_addresses() -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/frontends", subnet("10.1.8.0/24"), location=None)
    cloud.put(COMPUTE, aks(VNET))
    before = held(cloud, COMPUTE)
    seen = []
    for more in (
        {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "frontends"},
        {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"},
        {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "frontends"},
        {"loadBalancerType": "PublicIp"},
    ):
        cloud.put(COMPUTE, aks(VNET, **more))
        seen.append(places.frontend_address(cloud.snapshot, cloud.snapshot.need(rid(COMPUTE))))
        assert before.items() <= held(cloud, COMPUTE).items()
    assert seen == ["10.1.8.4", "10.1.0.97", "10.1.8.4", before["frontend-public"]]


def test_replicas_live_in_the_addresses_of_the_nodes() -> None:
    cloud = clouds.served_cloud()
    cloud.put(f"{ws_path()}/services/diabetes", service(numReplicas=4), location=None)
    cloud.put(f"{ws_path()}/services/second", service(numReplicas=4), location=None)
    both = [
        v for name in ("diabetes", "second") for p, v in held(cloud, f"{ws_path()}/services/{name}").items() if "replica" in p
    ]
    assert len(set(both)) == 8 and set(both) <= set(cloud.snapshot.taken(places.address_scope(rid(VNET))))


def test_two_networks_may_have_the_same_addresses() -> None:
    cloud = seed_cloud()
    for name in ("one", "two"):
        cloud.put(vnet_path(name), network("10.50.0.0/16"), also={"subnets/default": subnet("10.50.0.0/24")})
        cloud.put(f"{vnet_path(name)}/subnets/default/locations/jump", {}, location=None)
    found = [places.places(cloud.snapshot)[n].address for n in range(2)]
    assert found == ["10.50.0.4", "10.50.0.4"]
    assert held(cloud, vnet_path("one"))["index"] != held(cloud, vnet_path("two"))["index"]


def test_a_location_moves_with_its_subnet() -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/small", subnet("10.1.8.0/29"), location=None)
    cloud.put(f"{VNET}/subnets/small/locations/jump", {}, location=None)
    cloud.put(f"{VNET}/subnets/small", subnet("10.1.16.0/24"), location=None)
    assert [p.address for p in places.places(cloud.snapshot)] == ["10.1.16.4"]


_NODES = st.integers(1, 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), _NODES, st.booleans(), st.booleans()), max_size=10))
def test_no_address_is_held_twice_whatever_is_done(steps: list[tuple[str, int, bool, bool]]) -> None:
    cloud = seed_cloud()
    for name, nodes, internal, delete in steps:
        path = f"{ws_path()}/computes/cluster-{name}"
        if delete and cloud.snapshot.get(rid(path)) is not None:
            cloud.gone(path)
            continue
        more: dict[str, Any] = {"agentCount": nodes, "clusterPurpose": "DevTest"}
        if internal:
            more |= {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"}
        cloud.put(path, aks(VNET, **more))
        for again in alloc.plan_all(cloud.snapshot, [cloud.snapshot.need(rid(path))]):
            raise AssertionError(f"asked twice: {again}")
    everything = [(a.scope, a.value) for a in cloud.snapshot.allocations.values()]
    assert len(everything) == len(set(everything))
    prefix = IPv4Network("10.1.0.0/22")
    for value in cloud.snapshot.taken(places.address_scope(rid(VNET))):
        assert IPv4Address(value) in prefix and IPv4Address(value) not in (*list(prefix)[:4], prefix.broadcast_address)
