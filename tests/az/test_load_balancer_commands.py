"""`az network` for load balancers, public addresses and the effective rules of an interface, by the unmodified Azure CLI."""

from __future__ import annotations

import pytest
from tests.az.conftest import Desk

_GROUP = ("-g", "networks")


@pytest.fixture(scope="module")
def network(desk: Desk) -> Desk:
    desk.az("group", "create", "-n", "networks", "-l", "eastus2")
    vnet = ("--address-prefixes", "10.1.0.0/16", "--subnet-name", "s", "--subnet-prefixes", "10.1.0.0/24")
    desk.az("network", "vnet", "create", *_GROUP, "-n", "v", *vnet)
    return desk


def test_a_load_balancer_grows_a_probe_a_rule_and_a_member(network: Desk) -> None:
    front = ("--frontend-ip-name", "fe", "--backend-pool-name", "pool")
    made = network.az(
        "network", "lb", "create", *_GROUP, "-n", "ilb", "--sku", "Standard", "--vnet-name", "v", "--subnet", "s", *front
    )
    assert made["loadBalancer"]["frontendIPConfigurations"][0]["properties"]["privateIPAddress"] == "10.1.0.4"
    at = ("--lb-name", "ilb")
    network.az("network", "lb", "probe", "create", *_GROUP, *at, "-n", "p", "--protocol", "tcp", "--port", "8080")
    ports = ("--protocol", "Tcp", "--frontend-port", "80", "--backend-port", "8080", "--probe-name", "p")
    rule = network.az("network", "lb", "rule", "create", *_GROUP, *at, "-n", "r", *ports, *front)
    assert rule["probe"]["id"].endswith("/probes/p")
    where = ("--vnet-name", "v", "--subnet", "s", "--lb-address-pools", "pool")
    network.az("network", "nic", "create", *_GROUP, "-n", "nic", *where, *at)
    shown = network.az("network", "lb", "show", *_GROUP, "-n", "ilb")
    assert [one["id"].split("/")[-3] for one in shown["backendAddressPools"][0]["backendIPConfigurations"]] == ["nic"]
    assert "(LoadBalancerInUseByNetworkInterface)" in network.refused("network", "lb", "delete", *_GROUP, "-n", "ilb")


def test_effective_rules_and_routes_of_an_interface(network: Desk) -> None:
    network.az("network", "nsg", "create", *_GROUP, "-n", "nsg")
    rule = ("--priority", "200", "--access", "Deny", "--source-address-prefixes", "VirtualNetwork", "--protocol", "Tcp")
    network.az(
        "network", "nsg", "rule", "create", *_GROUP, "--nsg-name", "nsg", "-n", "no", *rule, "--destination-port-ranges", "80"
    )
    where = ("--vnet-name", "v", "--subnet", "s", "--network-security-group", "nsg")
    network.az("network", "nic", "create", *_GROUP, "-n", "guarded", *where)
    (group,) = network.az("network", "nic", "list-effective-nsg", *_GROUP, "-n", "guarded")["value"]
    first = group["effectiveSecurityRules"][0]
    assert (first["name"], first["access"], first["destinationPortRange"]) == ("securityRules/no", "Deny", "80-80")
    assert "10.1.0.0/16" in first["expandedSourceAddressPrefix"]
    found = network.az("network", "nic", "show-effective-route-table", *_GROUP, "-n", "guarded")["value"]
    assert (found[0]["addressPrefix"], found[0]["nextHopType"]) == (["10.1.0.0/16"], "VnetLocal")


def test_a_public_address_has_its_name_inside(network: Desk) -> None:
    made = network.az("network", "public-ip", "create", *_GROUP, "-n", "pip", "--sku", "Standard", "--dns-name", "mine")
    name = made["publicIp"]["dnsSettings"]["fqdn"]
    assert name == "mine.eastus2.cloudapp.azure.com"
    assert (
        network.ringfence("exec", "--at", "internet", "--", "getent", "hosts", name).split()[0] == made["publicIp"]["ipAddress"]
    )
