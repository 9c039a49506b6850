"""Load balancers and public addresses of the user's own: what is refused, who gets what, what is closed until a rule opens it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.clouds import Cloud, nsg_path, rid, rule, seed_cloud, subnet, vnet_path

from ringfence.desired import build, keys
from ringfence.desired.state import Balancer, Filter, Network, Target, View
from ringfence.model import errors
from ringfence.policy import balancing

VNET = vnet_path("mynetwork")
LB = "mygroup/Microsoft.Network/loadBalancers/lb"
PIP = "mygroup/Microsoft.Network/publicIPAddresses/pip"
NIC = "mygroup/Microsoft.Network/networkInterfaces/nic"

Body = dict[str, Any]


def part(kind: str, name: str, balancer: str = LB) -> Body:
    return {"id": f"{rid(balancer)}/{kind}/{name}"}


def balancer(*rules: Body, front: Body | None = None, **more: Any) -> Body:
    if front is None:
        front = {"subnet": {"id": str(rid(f"{VNET}/subnets/default"))}}
    return {
        "frontendIPConfigurations": [{"name": "fe", "properties": front}],
        "backendAddressPools": [{"name": "pool"}],
        "loadBalancingRules": [{"name": f"r{number}", "properties": one} for number, one in enumerate(rules)],
        "probes": [{"name": "p", "properties": {"protocol": "Http", "port": 8080, "requestPath": "/healthz"}}],
        **more,
    }


def spread(port: int = 80, to: int = 8080, **more: Any) -> Body:
    return {
        "frontendIPConfiguration": part("frontendIPConfigurations", "fe"),
        "backendAddressPool": part("backendAddressPools", "pool"),
        "probe": part("probes", "p"),
        "protocol": "Tcp",
        "frontendPort": port,
        "backendPort": to,
        **more,
    }


def nic(pool: bool = True, subnet_path: str = f"{VNET}/subnets/default", **more: Any) -> Body:
    inner: Body = {"subnet": {"id": str(rid(subnet_path))}, **more}
    if pool:
        inner["loadBalancerBackendAddressPools"] = [part("backendAddressPools", "pool")]
    return {"ipConfigurations": [{"name": "ipconfig1", "properties": inner}]}


def refused(cloud: Cloud, path: str, body: Body) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(path, body)
    assert cloud.snapshot is before
    return refusal.value


def standard(cloud: Cloud, path: str) -> None:
    """Give a resource the sku Standard, as the envelope of a request would."""
    changed = dataclasses.replace(cloud.snapshot.need(rid(path)), sku={"name": "Standard"})
    cloud.snapshot = cloud.snapshot.changed([changed])


def test_a_rule_leads_from_the_frontend_to_the_interfaces_in_its_pool() -> None:
    cloud = seed_cloud()
    cloud.put(LB, balancer(spread(loadDistribution="SourceIP")))
    assert balancing.spreads(cloud.snapshot) == ()
    cloud.put(NIC, nic())
    cloud.put(f"{NIC}2", nic())
    (found,) = balancing.spreads(cloud.snapshot)
    (item,) = [item for item in build.build(cloud.snapshot) if isinstance(item, Balancer)]
    assert (item.address, item.port, item.public) == (found.address, 80, False) == ("10.1.0.4", 80, False)
    assert item.targets == (Target(address="10.1.0.5", port=8080), Target(address="10.1.0.6", port=8080))
    assert (item.probe_port, item.probe_path, item.probe_interval_s, item.probe_threshold) == (8080, "/healthz", 15.0, 2)
    assert item.by_source
    assert set(item.owners) == {rid(path).key for path in (LB, NIC, f"{NIC}2")}


def test_without_a_probe_every_member_counts() -> None:
    cloud = seed_cloud()
    one = spread()
    del one["probe"]
    cloud.put(LB, balancer(one))
    cloud.put(NIC, nic())
    (item,) = [item for item in build.build(cloud.snapshot) if isinstance(item, Balancer)]
    assert item.probe_port == 0


def test_an_interfaces_own_public_address_goes_both_ways_and_has_a_name() -> None:
    cloud = seed_cloud()
    cloud.put(PIP, {"dnsSettings": {"domainNameLabel": "Mine"}})
    cloud.put(NIC, nic(pool=False, publicIPAddress={"id": str(rid(PIP))}))
    address = cloud.snapshot.value(rid(PIP), balancing.ADDRESS)
    state = build.build(cloud.snapshot)
    network = state.items[keys.network(rid(VNET).key)]
    assert isinstance(network, Network) and network.owned == ((address, "10.1.0.4"),)
    assert {rid(PIP).key, rid(NIC).key} <= set(network.owners)
    view = state.items["dns/internet"]
    assert isinstance(view, View)
    assert ("mine.eastus2.cloudapp.azure.com", (address,)) in {(r.name, r.values) for r in view.records}


def test_what_is_standard_is_closed_until_a_group_opens_it() -> None:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/bare", subnet("10.1.8.0/24"))
    cloud.put(PIP, {})
    cloud.put(NIC, nic(pool=False, subnet_path=f"{VNET}/subnets/bare", publicIPAddress={"id": str(rid(PIP))}))

    def bound() -> str | None:
        found = next(i for i in build.build(cloud.snapshot) if isinstance(i, Filter) and i.network == keys.network(rid(VNET).key))
        return next(b.nic for b in found.bindings if b.endpoint.startswith("nic/") and b.address == "10.1.8.4")

    assert bound() is None  # Basic is open
    standard(cloud, PIP)
    closed = bound()
    assert closed is not None
    cloud.put(nsg_path("opens"), {})
    cloud.put(f"{nsg_path('opens')}/securityRules/web", rule(200))
    cloud.put(f"{VNET}/subnets/bare", subnet("10.1.8.0/24", nsg_path("opens")))
    assert bound() is None  # the subnet's group judges now


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (balancer(front={}), "LoadBalancerFrontendIPConfigurationMustReferenceSubnetOrPublicIP"),
        (balancer(front={"subnet": {"id": str(rid(f"{VNET}/subnets/none"))}}), "InvalidResourceReference"),
        (balancer(front={"publicIPAddress": {"id": str(rid(PIP + "none"))}}), "InvalidResourceReference"),
        (balancer(spread(probe=part("probes", "none"))), "InvalidResourceReference"),
        (balancer(spread(backendAddressPool=part("backendAddressPools", "pool", LB + "2"))), "InvalidResourceReference"),
        (balancer(spread(), spread(to=81)), "RulesUseSameFrontendPortProtocolAndIPConfig"),
        (balancer(spread(), spread(port=81)), "RulesUseSameBackendPortProtocolAndPool"),
        (balancer(spread(port=65535)), "InvalidRequestFormat"),
        (balancer(spread(port=0)), "InvalidRequestFormat"),
        (balancer(spread(protocol="All", port=0, to=0)), "NotSupported"),
        (balancer(spread(enableFloatingIP=True)), "NotSupported"),
        (balancer(spread(idleTimeoutInMinutes=3)), "InvalidIdleTimeout"),
        (balancer(inboundNatRules=[{"name": "x"}]), "NotSupported"),
        (balancer(probes=[{"name": "p", "properties": {"protocol": "Tcp", "port": 0}}]), "InvalidRequestFormat"),
        (balancer(probes=[{"name": "p", "properties": {"protocol": "Http", "port": 80}}]), "ProbeRequestPathInvalid"),
        (balancer(probes=[{"name": "p", "properties": {"protocol": "Https", "port": 443, "requestPath": "/"}}]), "NotSupported"),
        (balancer(backendAddressPools=[{"name": "pool"}, {"name": "POOL"}]), "DuplicateResourceName"),
        (
            balancer(front={"subnet": {"id": str(rid(f"{VNET}/subnets/default"))}, "privateIPAddress": "10.1.0.1",
                            "privateIPAllocationMethod": "Static"}),
            "PrivateIPAddressInReservedRange",
        ),
    ],
)  # fmt: skip
def test_refusals_of_load_balancers(body: Body, code: str) -> None:
    assert refused(seed_cloud(), LB, body).code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"publicIPAddressVersion": "IPv6"}, "NotSupported"),
        ({"idleTimeoutInMinutes": 31}, "InvalidIdleTimeout"),
        ({"publicIPAllocationMethod": "Perhaps"}, "InvalidRequestFormat"),
        ({"dnsSettings": {"domainNameLabel": "-no"}}, "InvalidDomainNameLabel"),
    ],
)
def test_refusals_of_public_addresses(body: Body, code: str) -> None:
    assert refused(seed_cloud(), PIP, body).code == code


def test_a_label_is_one_addresss_in_a_region() -> None:
    cloud = seed_cloud()
    cloud.put(PIP, {"dnsSettings": {"domainNameLabel": "mine"}})
    assert refused(cloud, f"{PIP}2", {"dnsSettings": {"domainNameLabel": "MINE"}}).code == "DnsRecordInUse"
    cloud.put(f"{PIP}2", {"dnsSettings": {"domainNameLabel": "MINE"}}, location="westus")


def test_a_public_address_has_one_user_of_its_own_sku_and_stays_while_used() -> None:
    cloud = seed_cloud()
    cloud.put(PIP, {})
    cloud.put(NIC, nic(pool=False, publicIPAddress={"id": str(rid(PIP))}))
    public = balancer(front={"publicIPAddress": {"id": str(rid(PIP))}})
    assert refused(cloud, LB, public).code == "PublicIPAddressInUse"
    with pytest.raises(errors.Problem, match="still allocated to resource") as refusal:
        cloud.delete(PIP)
    assert refusal.value.code == "PublicIPAddressCannotBeDeleted"
    cloud.gone(NIC)
    standard(cloud, PIP)
    assert refused(cloud, LB, public).code == "PublicIPAndLBSkuDoNotMatch"


def test_pools_and_balancers_stay_while_interfaces_are_in_them() -> None:
    cloud = seed_cloud()
    cloud.put(LB, balancer(spread()))
    cloud.put(NIC, nic())
    assert refused(cloud, LB, {**balancer(), "backendAddressPools": []}).code == "InUseBackendAddressPoolCannotBeDeleted"
    with pytest.raises(errors.Problem) as refusal:
        cloud.delete(LB)
    assert refusal.value.code == "LoadBalancerInUseByNetworkInterface"
    cloud.put(NIC, nic(pool=False))
    cloud.delete(LB)


def test_members_are_of_one_network() -> None:
    cloud = seed_cloud()
    cloud.put(LB, balancer(spread()))
    other = vnet_path("othernetwork")
    cloud.put(other, {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}})
    cloud.put(f"{other}/subnets/default", subnet("10.9.0.0/24"))
    assert refused(cloud, NIC, nic(subnet_path=f"{other}/subnets/default")).code == "LoadBalancerBackendPoolVnetMismatch"
