"""What Azure refuses of inference clusters: the seed's rules on the address plan, and the other documented ones."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds
from tests.clouds import Cloud, aks, network, rid, seed_cloud, subnet, vnet_path, ws_path

from ringfence.model import errors

VNET = vnet_path("mynetwork")
COMPUTE = f"{ws_path()}/computes/myaks"


def planned(**change: Any) -> dict[str, Any]:
    """Snippet 1's body with another networking value."""
    body = aks(VNET)
    body["properties"]["aksNetworkingConfiguration"] |= change
    return body


def refused(cloud: Cloud, body: dict[str, Any], path: str = COMPUTE) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(path, body)
    assert cloud.snapshot is before
    return refusal.value


def test_the_seeds_clusters_are_accepted() -> None:
    cloud = seed_cloud()
    assert cloud.put(COMPUTE, aks(VNET)) == []
    private = aks(
        vnet_path("myvnetname", "myvnetresourcegroup"), loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default"
    )
    assert cloud.put(f"{ws_path()}/computes/second", private) == []
    # Snippet 3: the document read before, with the load balancer changed.
    moved = aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default", agentCount=3)
    assert cloud.put(COMPUTE, moved) == []


def test_a_cluster_may_say_nothing() -> None:
    cloud = seed_cloud()
    assert cloud.put(COMPUTE, aks()) == []
    assert cloud.put(f"{ws_path()}/computes/inner", aks(loadBalancerType="InternalLoadBalancer")) == []


def test_the_service_range_is_held_against_every_subnet_of_the_network() -> None:
    cloud = seed_cloud()
    cloud.put(VNET, network("10.1.0.0/16", "10.0.0.0/16"))
    cloud.put(f"{VNET}/subnets/other", subnet("10.0.8.0/24"), location=None)
    problem = refused(cloud, aks(VNET))
    assert problem.code == "ServiceCidrOverlapExistingSubnetsCidr"
    assert problem.message.startswith(
        "The specified service CIDR 10.0.0.0/16 is conflicted with an existing subnet CIDR 10.0.8.0/24"
    )
    assert problem.target == "networkProfile.serviceCIDR"


def test_inside_the_network_but_clear_of_its_subnets_is_a_warning() -> None:
    cloud = seed_cloud()
    cloud.put(VNET, network("10.1.0.0/16", "10.0.0.0/16"))
    (warning,) = cloud.put(COMPUTE, aks(VNET))
    assert "10.0.0.0/16" in warning and "recommended" in warning
    (later,) = cloud.put(f"{VNET}/subnets/later", subnet("10.0.8.0/24"), location=None)
    assert "'myaks'" in later


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"serviceCidr": "10.1.0.0/24", "dnsServiceIP": "10.1.0.10"}, "ServiceCidrOverlapExistingSubnetsCidr", "10.1.0.0/22"),
        (
            {"dnsServiceIP": "10.9.0.10"},
            "DnsServiceIpOutOfServiceCidr",
            "is out of the range defined by service CIDR 10.0.0.0/16",
        ),
        ({"dnsServiceIP": "10.0.0.1"}, "InvalidParameter", "can not be the first IP address"),
        ({"dnsServiceIP": "10.0.255.255"}, "InvalidParameter", "last IP address"),
        ({"dnsServiceIP": "10.0.0"}, "InvalidParameter", "is not an IPv4 address"),
        ({"serviceCidr": "10.0.0.0"}, "InvalidParameter", "CIDR notation"),
        ({"serviceCidr": "10.0.0.1/16"}, "InvalidParameter", "CIDR notation"),
        ({"serviceCidr": "172.30.0.0/24", "dnsServiceIP": "172.30.0.10"}, "InvalidParameter", "172.30.0.0/16"),
        ({"serviceCidr": "172.16.0.0/12", "dnsServiceIP": "172.16.0.10"}, "InvalidParameter", "172.30.0.0/16"),
        ({"serviceCidr": "192.0.2.0/24", "dnsServiceIP": "192.0.2.10"}, "InvalidParameter", "192.0.2.0/24"),
        ({"serviceCidr": "20.0.0.0/11", "dnsServiceIP": "20.0.0.10"}, "InvalidParameter", "ServiceCidr is too large"),
        ({"serviceCidr": "10.0.0.0/29", "dnsServiceIP": "10.0.0.3"}, "InvalidParameter", "too small"),
        ({"dockerBridgeCidr": "10.1.0.1/24"}, "InvalidParameter", "overlaps the range 10.1.0.0/22 of the subnet 'default'"),
        ({"dockerBridgeCidr": "10.0.5.1/24"}, "InvalidParameter", "overlaps the service CIDR"),
        ({"dockerBridgeCidr": "172.17.0.1"}, "InvalidParameter", "as 172.17.0.1/16 is"),
        ({"dockerBridgeCidr": None}, "InvalidParameter", "should all be empty or neither should be empty"),
        ({"serviceCidr": None, "dnsServiceIP": None}, "InvalidParameter", "should all be empty or neither should be empty"),
        ({"subnetId": "default"}, "InvalidResourceId", "not a well-formed"),
        ({"subnetId": str(rid(VNET))}, "LinkedInvalidPropertyId", "is not the id of a subnet"),
    ],
)
def test_address_plan(change: dict[str, Any], code: str, words: str) -> None:
    problem = refused(seed_cloud(), planned(**change))
    assert problem.code == code and words in problem.message


def test_the_trio_may_be_left_to_its_defaults() -> None:
    body = planned(serviceCidr=None, dnsServiceIP=None, dockerBridgeCidr=None)
    assert seed_cloud().put(COMPUTE, body) == []


def test_the_defaults_are_held_against_the_network_as_well() -> None:
    cloud = seed_cloud()
    cloud.put(vnet_path("low"), network("10.0.0.0/16"), also={"subnets/default": subnet("10.0.0.0/22")})
    body = {
        "computeType": "AKS",
        "properties": {"aksNetworkingConfiguration": {"subnetId": str(rid(vnet_path("low") + "/subnets/default"))}},
    }
    assert refused(cloud, body).code == "ServiceCidrOverlapExistingSubnetsCidr"


def test_a_missing_subnet_is_named_with_its_network_and_group() -> None:
    problem = refused(seed_cloud(), aks(VNET, subnet="other"))
    assert problem.code == "InvalidResourceReference"
    assert "'other' in the virtual network 'mynetwork' of the resource group 'mygroup'" in problem.message
    problem = refused(seed_cloud(), aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="other"))
    assert problem.code == "InvalidResourceReference" and problem.target == "properties.properties.loadBalancerSubnet"


def test_a_cluster_is_in_the_region_of_its_network() -> None:
    body = aks(VNET) | {"computeLocation": "westeurope"}
    assert refused(seed_cloud(), body).code == "InvalidResourceReference"


def test_a_banned_range_may_not_be_the_clusters_network() -> None:
    cloud = seed_cloud()
    cloud.put(vnet_path("banned"), network("172.31.0.0/16"), also={"subnets/default": subnet("172.31.0.0/22")})
    assert refused(cloud, aks(vnet_path("banned"))).code == "InvalidParameter"


def test_a_delegated_subnet_takes_no_nodes() -> None:
    cloud = seed_cloud()
    delegation = [{"name": "0", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}]
    cloud.put(f"{VNET}/subnets/aci", subnet("10.1.8.0/22", delegations=delegation), location=None)
    assert refused(cloud, aks(VNET, subnet="aci")).code == "SubnetIsDelegated"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"agentCount": 2}, "at least 3 nodes and 12 cores"),
        ({"agentVmSize": "Standard_D2_v2"}, "are 6 cores"),
        ({"agentVmSize": "Standard_Nothing"}, "is not known"),
        ({"agentCount": 0, "clusterPurpose": "DevTest"}, "from 1 to"),
        ({"agentCount": -3}, "from 1 to"),
    ],
)
def test_size_and_purpose(more: dict[str, Any], words: str) -> None:
    problem = refused(seed_cloud(), aks(VNET, **more))
    assert problem.code == "InvalidParameter" and words in problem.message


def test_a_cluster_for_tests_may_be_small() -> None:
    assert seed_cloud().put(COMPUTE, aks(VNET, agentCount=1, agentVmSize="Standard_D2_v2", clusterPurpose="DevTest")) == []


@pytest.mark.parametrize(
    "body",
    [
        {"computeType": "AmlCompute"},
    ],
)
def test_what_a_cluster_cannot_be_promised(body: dict[str, Any]) -> None:
    assert isinstance(refused(seed_cloud(), body), errors.Unsupported)


@pytest.mark.parametrize(
    "change",
    [
        {"serviceCidr": "10.3.0.0/16", "dnsServiceIP": "10.3.0.10"},
        {"dnsServiceIP": "10.0.0.11"},
        {"dockerBridgeCidr": "172.18.0.1/16"},
        {"subnetId": str(rid(f"{VNET}/subnets/other"))},
    ],
)
def test_a_cluster_keeps_its_address_plan(change: dict[str, Any]) -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/other", subnet("10.1.8.0/22"), location=None)
    cloud.put(COMPUTE, aks(VNET))
    assert refused(cloud, planned(**change)).code == "PropertyChangeNotAllowed"


@pytest.mark.parametrize("name", ["ab", "a" * 25, "1aks", "aks-", "a_ks", "a.ks"])
def test_names_of_computes(name: str) -> None:
    assert refused(seed_cloud(), aks(VNET), f"{ws_path()}/computes/{name}").code == "InvalidComputeName"


def test_room_is_counted_with_an_upgrade_in_mind() -> None:
    """RULES.md section 4.2: three nodes and one for upgrades, each with 30 pods, are 124 addresses; a /25 has 123."""
    cloud = seed_cloud()
    cloud.put(
        vnet_path("tight"), network("10.9.0.0/16"), also={"subnets/a": subnet("10.9.0.0/25"), "subnets/b": subnet("10.9.1.0/24")}
    )
    problem = refused(cloud, aks(vnet_path("tight"), subnet="a"))
    assert problem.code == "InsufficientSubnetSize" and "124" in problem.message and "123" in problem.message
    for name in ("one", "two"):
        cloud.put(f"{ws_path()}/computes/{name}", aks(vnet_path("tight"), subnet="b", loadBalancerType="InternalLoadBalancer"))
    cloud.put(f"{vnet_path('tight')}/subnets/b/locations/jump", {}, location=None)
    assert refused(cloud, aks(vnet_path("tight"), subnet="b")).code == "InsufficientSubnetSize"
    assert refused(cloud, aks(vnet_path("tight"), subnet="b", agentCount=5), f"{ws_path()}/computes/one").code == "SubnetIsFull"


def test_what_a_cluster_made_goes_with_it_and_not_before() -> None:
    cloud = seed_cloud()
    cloud.put(COMPUTE, aks())
    (cluster,) = (r for r in cloud.snapshot if r.managed_by == rid(COMPUTE).key)
    made = [r for r in cloud.snapshot if r.managed_by == cluster.key]
    assert sorted(r.id.types[-1] if r.id.types else "group" for r in made) == ["group", "subnets", "virtualNetworks"]
    with pytest.raises(errors.Problem) as refusal:
        cloud.delete(next(r.id.name for r in made if not r.id.types))
    assert refusal.value.code in ("DenyAssignmentAuthorizationFailed", "InUseSubnetCannotBeDeleted")
    cloud.gone(COMPUTE)
    assert not [r for r in cloud.snapshot if r.key == cluster.key or r.managed_by == cluster.key]


def test_a_cluster_with_services_stays() -> None:
    cloud = clouds.served_cloud()
    with pytest.raises(errors.Conflict) as refusal:
        cloud.delete(COMPUTE)
    assert refusal.value.code == "ComputeInUse" and "services/diabetes" in refusal.value.message
    cloud.gone(f"{ws_path()}/services/diabetes")
    cloud.gone(COMPUTE)
