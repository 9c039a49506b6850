"""End to end on the seed's world: who reaches the scoring endpoint, and which rule says so."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from tests import clouds
from tests.clouds import Cloud, aks, nsg_path, rid, rule, subnet, vnet_path, ws_path

from ringfence.model.network import Protocol
from ringfence.policy import places, reach
from ringfence.policy.places import Kind, Place
from ringfence.policy.reach import Trace, Verdict

VNET, NSG, OTHER = vnet_path("mynetwork"), nsg_path("mynetwork-nsg"), vnet_path("myvnetname", "myvnetresourcegroup")
INTERNET = None


@pytest.fixture
def cloud() -> Cloud:
    """A cluster with a public frontend in a guarded subnet, a jump host beside it, one in another network."""
    made = clouds.served_cloud()
    made.put(f"{VNET}/subnets/default/locations/jump", {}, location=None)
    made.put(f"{OTHER}/subnets/default/locations/jump", {}, location=None)
    return made


def place(cloud: Cloud, kind: Kind, owner: str = "") -> Place:
    return next(p for p in places.places(cloud.snapshot) if p.kind is kind and owner.lower() in p.owner)


def frontend(cloud: Cloud) -> str:
    found = places.frontend_address(cloud.snapshot, cloud.snapshot.need(rid(f"{ws_path()}/computes/myaks")))
    assert found is not None
    return found


def ask(cloud: Cloud, source: Place | None, to: str, port: int = 80, protocol: Protocol = Protocol.TCP) -> Trace:
    return reach.trace(cloud.snapshot, source, IPv4Address(to), port, protocol)


def jump(cloud: Cloud, network: str = "mynetwork") -> Place:
    return place(cloud, Kind.LOCATION, network)


def internal(cloud: Cloud) -> None:
    cloud.put(f"{ws_path()}/computes/myaks", aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default"))


def test_the_internet_is_kept_from_a_public_frontend_by_the_subnets_default_rule(cloud: Cloud) -> None:
    found = ask(cloud, INTERNET, frontend(cloud))
    assert found.verdict is Verdict.DENIED_INBOUND
    assert found.steps[-1].where == "inbound subnet" and found.steps[-1].by.endswith("mynetwork-nsg: DenyAllInBound")


def test_the_seeds_rule_opens_it_for_the_frontends_address(cloud: Cloud) -> None:
    says = {"protocol": "Tcp", "sourceAddressPrefix": "Internet", "destinationPortRange": "80"}
    cloud.put(f"{NSG}/securityRules/scoring", rule(200, **says, destinationAddressPrefix=frontend(cloud)), location=None)
    found = ask(cloud, INTERNET, frontend(cloud))
    assert found.verdict is Verdict.ALLOWED
    assert [step.where for step in found.steps] == ["load balancer", "inbound subnet", "inbound interface"]
    assert ask(cloud, INTERNET, frontend(cloud), 443).verdict is Verdict.NOTHING_THERE
    cloud.put(f"{NSG}/securityRules/scoring", rule(200, **says, destinationAddressPrefix="10.1.0.5"), location=None)
    assert ask(cloud, INTERNET, frontend(cloud)).verdict is Verdict.DENIED_INBOUND


def test_without_a_group_on_the_subnet_aks_own_rule_lets_the_internet_in(cloud: Cloud) -> None:
    cloud.put(f"{VNET}/subnets/default", subnet("10.1.0.0/22"), location=None)
    found = ask(cloud, INTERNET, frontend(cloud))
    assert found.verdict is Verdict.ALLOWED and "k8s-azure-lb" in found.steps[-1].by


def test_an_internal_frontend_answers_its_own_network_only(cloud: Cloud) -> None:
    public = frontend(cloud)
    internal(cloud)
    private = frontend(cloud)
    assert private.startswith("10.1.")
    assert ask(cloud, jump(cloud), private).verdict is Verdict.ALLOWED
    assert ask(cloud, INTERNET, private).verdict is Verdict.NO_ROUTE
    assert ask(cloud, jump(cloud, "myvnetname"), private).verdict is Verdict.NO_ROUTE
    assert ask(cloud, INTERNET, public).verdict is Verdict.NOTHING_THERE
    assert ask(cloud, jump(cloud), public).verdict is Verdict.NOTHING_THERE


def test_a_rule_inside_the_subnet_holds_between_its_own_machines(cloud: Cloud) -> None:
    internal(cloud)
    cloud.put(f"{NSG}/securityRules/closed", rule(4000, "Deny"), location=None)
    found = ask(cloud, jump(cloud), frontend(cloud))
    assert found.verdict is Verdict.DENIED_INBOUND and found.steps[-1].by.endswith("mynetwork-nsg: closed")


def test_outbound_rules_come_first(cloud: Cloud) -> None:
    internal(cloud)
    cloud.put(f"{NSG}/securityRules/out", rule(100, "Deny", "Outbound", destinationPortRange="80"), location=None)
    found = ask(cloud, jump(cloud), frontend(cloud))
    assert found.verdict is Verdict.DENIED_OUTBOUND and [step.where for step in found.steps] == ["outbound subnet"]


def test_a_replica_is_reached_by_its_cluster_and_by_nobody_else(cloud: Cloud) -> None:
    address = place(cloud, Kind.REPLICA).address
    assert ask(cloud, place(cloud, Kind.ROUTER), address, 5001).verdict is Verdict.ALLOWED
    for source in (jump(cloud), place(cloud, Kind.RESOLVER)):
        found = ask(cloud, source, address, 5001)
        assert found.verdict is Verdict.DENIED_INBOUND and found.steps[-1].by.endswith("DenyOtherInBound")
    assert ask(cloud, place(cloud, Kind.ROUTER), address, 22).verdict is Verdict.DENIED_INBOUND


def test_services_of_the_cloud_are_reached_on_443_unless_a_rule_closes_the_way(cloud: Cloud) -> None:
    storage = "198.18.2.1"
    assert ask(cloud, place(cloud, Kind.NODE), storage, 443).verdict is Verdict.ALLOWED
    assert ask(cloud, place(cloud, Kind.NODE), storage, 80).verdict is Verdict.NOTHING_THERE
    assert ask(cloud, INTERNET, storage, 443).verdict is Verdict.ALLOWED
    cloud.put(f"{NSG}/securityRules/closed", rule(200, "Deny", "Outbound", destinationAddressPrefix="Internet"), location=None)
    assert ask(cloud, place(cloud, Kind.NODE), storage, 443).verdict is Verdict.DENIED_OUTBOUND
    opened = rule(100, direction="Outbound", destinationAddressPrefix="Storage.EastUS2", destinationPortRange="443")
    cloud.put(f"{NSG}/securityRules/storage", opened, location=None)
    assert ask(cloud, place(cloud, Kind.NODE), storage, 443).verdict is Verdict.ALLOWED


def test_the_platforms_resolver_is_never_filtered(cloud: Cloud) -> None:
    cloud.put(f"{NSG}/securityRules/closed", rule(100, "Deny", "Outbound"), location=None)
    assert ask(cloud, jump(cloud), "168.63.129.16", 53, Protocol.UDP).verdict is Verdict.ALLOWED
    assert ask(cloud, jump(cloud), "168.63.129.16", 80).verdict is Verdict.NO_ROUTE


def test_addresses_that_nobody_has(cloud: Cloud) -> None:
    for source, to, verdict in (
        (jump(cloud), "10.1.200.1", Verdict.NOTHING_THERE),
        (jump(cloud), "192.168.0.1", Verdict.NO_ROUTE),
        (jump(cloud), "8.8.8.8", Verdict.NO_ROUTE),
        (jump(cloud), "198.19.77.7", Verdict.NOTHING_THERE),
        (INTERNET, "10.1.0.4", Verdict.NO_ROUTE),
    ):
        assert ask(cloud, source, to).verdict is verdict


def test_the_zero_value_is_a_denial() -> None:
    assert Verdict(0) is Verdict.DENIED and Trace().verdict is Verdict.DENIED
