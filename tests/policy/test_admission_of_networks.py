"""What Azure refuses of networks, subnets, groups of rules and interfaces: one row for each documented rule, by code."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds
from tests.clouds import Cloud, network, nsg_path, rid, rule, seed_cloud, subnet, vnet_path

from ringfence.model import errors

VNET = vnet_path("mynetwork")


def refused(cloud: Cloud, path: str, body: dict[str, Any], **more: Any) -> errors.Problem:
    """The refusal of a PUT, which changes nothing."""
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(path, body, **more)
    assert cloud.snapshot is before
    return refusal.value


@pytest.mark.parametrize(
    ("prefixes", "code"),
    [
        ([], "AddressSpaceIsEmpty"),
        (["10.0.0.0"], "InvalidAddressPrefixFormat"),
        (["10.0.0.0/33"], "InvalidAddressPrefixFormat"),
        (["10.0.0/16"], "InvalidAddressPrefixFormat"),
        (["ten/8"], "InvalidAddressPrefixFormat"),
        (["10.0.0.1/16"], "InvalidCIDRNotation"),
        (["fd00::/64"], "NotSupported"),
        (["127.0.0.0/8"], "AddressPrefixNotAllowed"),
        (["169.254.0.0/16"], "AddressPrefixNotAllowed"),
        (["224.0.0.0/8"], "AddressPrefixNotAllowed"),
        (["168.63.129.0/24"], "AddressPrefixNotAllowed"),
        (["198.18.0.0/16"], "NotSupported"),
        (["10.0.0.0/30"], "InvalidAddressPrefixLength"),
        (["10.0.0.0/16", "10.0.1.0/24"], "NetcfgAddressPrefixesOverlap"),
    ],
)
def test_address_space(prefixes: list[str], code: str) -> None:
    assert refused(seed_cloud(), vnet_path("new"), network(*prefixes)).code == code


@pytest.mark.parametrize(
    "more",
    [
        {"enableDdosProtection": True},
        {"flowTimeoutInMinutes": 10},
        {"dhcpOptions": {"dnsServers": ["10.0.0.4"]}},
        {"encryption": {"enabled": True}},
    ],
)
def test_what_a_network_cannot_be_promised(more: dict[str, Any]) -> None:
    problem = refused(seed_cloud(), vnet_path("new"), network("10.9.0.0/16", **more))
    assert isinstance(problem, errors.Unsupported) and "Ringfence cannot enforce" in problem.message


def test_what_a_network_may_say() -> None:
    harmless: dict[str, Any] = {
        "enableDdosProtection": False,
        "enableVmProtection": False,
        "flowTimeoutInMinutes": None,
        "privateEndpointVNetPolicies": "Disabled",
        "dhcpOptions": {"dnsServers": []},
    }
    assert seed_cloud().put(vnet_path("new"), network("10.9.0.0/16", **harmless)) == []


def test_a_network_keeps_room_for_its_subnets() -> None:
    assert refused(seed_cloud(), VNET, network("10.1.128.0/17")).code == "NetcfgInvalidSubnet"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "InvalidRequestFormat"),
        (subnet("10.1.4.0"), "InvalidAddressPrefixFormat"),
        (subnet("10.1.4.1/24"), "InvalidCIDRNotation"),
        (subnet("10.3.0.0/24"), "NetcfgInvalidSubnet"),
        (subnet("10.0.0.0/15"), "NetcfgInvalidSubnet"),
        (subnet("10.1.4.0/30"), "InvalidSubnetSize"),
        (subnet("10.1.3.0/24"), "NetcfgSubnetRangesOverlap"),
        (subnet("10.1.0.0/16"), "NetcfgSubnetRangesOverlap"),
        ({"addressPrefixes": ["10.1.4.0/24", "10.1.5.0/24"]}, "NotSupported"),
        (subnet("10.1.4.0/24", nsg_path("none")), "InvalidResourceReference"),
        (subnet("10.1.4.0/24", defaultOutboundAccess=False), "NotSupported"),
        (subnet("10.1.4.0/24", serviceEndpoints=[{"service": "Microsoft.CognitiveServices"}]), "NotSupported"),
        (subnet("10.1.4.0/24", routeTable={"id": str(rid("mygroup/Microsoft.Network/routeTables/r"))}), "NotSupported"),
        (subnet("10.1.4.0/24", privateEndpointNetworkPolicies="Perhaps"), "InvalidRequestFormat"),
    ],
)
def test_subnet(body: dict[str, Any], code: str) -> None:
    assert refused(seed_cloud(), f"{VNET}/subnets/new", body, location=None).code == code


def test_what_a_subnet_may_say() -> None:
    harmless = subnet(
        "10.1.4.0/24",
        nsg_path("mynetwork-nsg"),
        privateEndpointNetworkPolicies="Disabled",
        privateLinkServiceNetworkPolicies="Enabled",
        serviceEndpoints=[],
        defaultOutboundAccess=True,
        delegations=[{"name": "0", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}],
    )
    assert seed_cloud().put(f"{VNET}/subnets/new", harmless, location=None) == []


def test_siblings_of_one_request_are_held_against_each_other() -> None:
    both = {"subnets/a": subnet("10.9.0.0/24"), "subnets/b": subnet("10.9.0.128/25")}
    assert refused(seed_cloud(), vnet_path("new"), network("10.9.0.0/16"), also=both).code == "NetcfgSubnetRangesOverlap"


def test_a_group_of_rules_is_in_the_region_of_its_subnets() -> None:
    cloud = seed_cloud()
    cloud.put(nsg_path("far"), {}, location="westeurope")
    problem = refused(cloud, f"{VNET}/subnets/new", subnet("10.1.4.0/24", nsg_path("far")), location=None)
    assert problem.code == "InvalidResourceReference" and "eastus2" in problem.message


def test_a_subnet_in_use_keeps_its_range_and_stays() -> None:
    cloud = clouds.served_cloud()
    problem = refused(cloud, f"{VNET}/subnets/default", subnet("10.1.0.0/21", nsg_path("mynetwork-nsg")), location=None)
    assert problem.code == "InUsePrefixCannotBeDeleted" and "computes/myaks" in problem.message
    delegated = subnet("10.1.0.0/22", delegations=[{"name": "0", "properties": {"serviceName": "Microsoft.Web/serverFarms"}}])
    problem = refused(cloud, f"{VNET}/subnets/default", delegated, location=None)
    assert problem.code == "SubnetDelegationsCannotChangeWhenSubnetUsedByResource"
    for path in (f"{VNET}/subnets/default", VNET):
        with pytest.raises(errors.Invalid) as refusal:
            cloud.delete(path)
        assert refusal.value.code == "InUseSubnetCannotBeDeleted"
    with pytest.raises(errors.Invalid) as refusal:
        cloud.delete("mygroup")
    assert refusal.value.code == "InUseSubnetCannotBeDeleted"


def test_a_subnet_changes_its_group_of_rules_while_in_use() -> None:
    assert clouds.served_cloud().put(f"{VNET}/subnets/default", subnet("10.1.0.0/22"), location=None) == []


def test_a_group_of_rules_in_use_stays() -> None:
    cloud = seed_cloud()
    with pytest.raises(errors.Invalid) as refusal:
        cloud.delete(nsg_path("mynetwork-nsg"))
    assert refusal.value.code == "InUseNetworkSecurityGroupCannotBeDeleted" and "subnets/default" in refusal.value.message
    cloud.put(f"{VNET}/subnets/default", subnet("10.1.0.0/22"), location=None)
    cloud.delete(nsg_path("mynetwork-nsg"))


def test_everything_of_a_group_may_go_together() -> None:
    cloud = clouds.served_cloud()
    for group in ("mlgroup", "mygroup", "myvnetresourcegroup"):
        cloud.gone(group)
    assert [r for r in cloud.snapshot if r.id.group is not None] == [] and cloud.snapshot.allocations == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"priority": 99}, "SecurityRuleInvalidPriority"),
        ({"priority": 4097}, "SecurityRuleInvalidPriority"),
        ({"destinationPortRange": "70000"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": "90-80"}, "SecurityRuleInvalidPortRange"),
        ({"sourcePortRange": "http"}, "SecurityRuleInvalidPortRange"),
        ({"sourceAddressPrefix": "Storrage"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefix": "10.0.0.1/8"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefix": "AzurePlatformDNS", "access": "Deny"}, "UnsupportedServiceTag"),
        ({"sourceAddressPrefix": "AzurePlatformDNS"}, "SecurityRuleInvalidAccessType"),
        ({"sourceAddressPrefix": None}, "SecurityRuleParametersMissing"),
        ({"destinationPortRange": None}, "SecurityRuleParametersMissing"),
        ({"sourceAddressPrefixes": ["10.0.0.0/8"]}, "SecurityRuleParametersConflict"),
        (
            {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.0.0.0/8", "Internet"]},
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        ({"protocol": "Icmp", "destinationPortRange": "80"}, "SecurityRuleInvalidPortRange"),
        ({"sourceApplicationSecurityGroups": [{"id": str(rid(nsg_path("x")))}], "sourceAddressPrefix": None}, "NotSupported"),
        ({"description": "x" * 141}, "InvalidRequestFormat"),
    ],
)
def test_security_rule(change: dict[str, Any], code: str) -> None:
    path = nsg_path("mynetwork-nsg") + "/securityRules/new"
    assert refused(seed_cloud(), path, rule(100) | change, location=None).code == code


def test_priority_and_direction_are_unique() -> None:
    cloud, group = seed_cloud(), nsg_path("mynetwork-nsg")
    cloud.put(f"{group}/securityRules/a", rule(100), location=None)
    assert refused(cloud, f"{group}/securityRules/b", rule(100, "Deny"), location=None).code == "SecurityRuleConflict"
    cloud.put(f"{group}/securityRules/b", rule(100, direction="Outbound"), location=None)
    cloud.put(f"{group}/securityRules/a", rule(100, "Deny"), location=None)


def test_a_rule_that_stops_health_probes_is_warned_about() -> None:
    cloud, group = seed_cloud(), nsg_path("mynetwork-nsg")
    (warning,) = cloud.put(f"{group}/securityRules/closed", rule(4000, "Deny"), location=None)
    assert "168.63.129.16" in warning
    assert cloud.put(f"{group}/securityRules/probes", rule(200, sourceAddressPrefix="AzureLoadBalancer"), location=None) == []
    assert cloud.put(f"{group}/securityRules/closed", rule(4000, "Deny"), location=None) == []


def _nic(more: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    inner = {"subnet": {"id": str(rid(f"{VNET}/subnets/default"))}} | (more or {})
    return {"ipConfigurations": [{"name": "ipconfig1", "properties": inner}], **top}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ipConfigurations": []}, "NetworkInterfaceMustHaveAtLeastOneIpConfiguration"),
        ({"ipConfigurations": _nic()["ipConfigurations"] * 2}, "NotSupported"),
        (_nic({"subnet": {"id": str(rid(f"{VNET}/subnets/none"))}}), "InvalidResourceReference"),
        (_nic(enableIPForwarding=True), "NotSupported"),
        (
            _nic({"publicIPAddress": {"id": str(rid("mygroup/Microsoft.Network/publicIPAddresses/p"))}}),
            "InvalidResourceReference",
        ),
        (_nic({"privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.4.4"}), "PrivateIPAddressNotInSubnet"),
        (_nic({"privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.0.3"}), "PrivateIPAddressInReservedRange"),
        (_nic({"privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.3.255"}), "PrivateIPAddressInReservedRange"),
        (_nic({"privateIPAllocationMethod": "Static", "privateIPAddress": "ten"}), "InvalidIPAddressFormat"),
        (_nic({"privateIPAllocationMethod": "Perhaps"}), "InvalidRequestFormat"),
    ],
)
def test_interface(body: dict[str, Any], code: str) -> None:
    assert refused(seed_cloud(), "mygroup/Microsoft.Network/networkInterfaces/nic", body).code == code


def test_a_static_address_is_taken_once() -> None:
    cloud = seed_cloud()
    static = _nic({"privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.0.7"})
    cloud.put("mygroup/Microsoft.Network/networkInterfaces/a", static)
    problem = refused(cloud, "mygroup/Microsoft.Network/networkInterfaces/b", static)
    assert problem.code == "PrivateIPAddressIsAllocated" and "networkinterfaces/a" in problem.message
    moved = refused(cloud, "mygroup/Microsoft.Network/networkInterfaces/a", _nic())
    assert moved.code == "NotSupported"


def test_a_delegated_subnet_takes_nobody_else() -> None:
    cloud = seed_cloud()
    delegation = [{"name": "0", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}]
    cloud.put(f"{VNET}/subnets/aci", subnet("10.1.4.0/24", delegations=delegation), location=None)
    inside = _nic({"subnet": {"id": str(rid(f"{VNET}/subnets/aci"))}})
    code = "SubnetWithExternalResourcesCannotBeUsedByOtherResources"
    assert refused(cloud, "mygroup/Microsoft.Network/networkInterfaces/nic", inside).code == code
    # A jump host is no resource of Azure's: it shows what a container group there can reach.
    cloud.put(f"{VNET}/subnets/aci/locations/jump", {}, location=None)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("bad name!", "InvalidResourceGroup"),
        ("ends.", "InvalidResourceGroup"),
        ("g" * 91, "InvalidResourceGroup"),
        (vnet_path("-v"), "InvalidResourceName"),
        (vnet_path("v" * 81), "InvalidResourceName"),
        ("mygroup/Microsoft.Storage/storageAccounts/UPPER", "AccountNameInvalid"),
        ("mygroup/Microsoft.Storage/storageAccounts/ab", "AccountNameInvalid"),
        ("mygroup/Microsoft.KeyVault/vaults/1vault", "VaultNameNotValid"),
        (clouds.ws_path("-"), "InvalidWorkspaceName"),
    ],
)
def test_names(path: str, code: str) -> None:
    body = network("10.9.0.0/16") if "virtualNetworks" in path else {}
    assert refused(seed_cloud(), path, body).code == code


def test_locations_are_azures() -> None:
    assert (
        refused(seed_cloud(), vnet_path("new"), network("10.9.0.0/16"), location="mars").code
        == "LocationNotAvailableForResourceType"
    )
    assert refused(seed_cloud(), vnet_path("new"), network("10.9.0.0/16"), location=None).code == "LocationRequired"
    assert seed_cloud().put(vnet_path("new"), network("10.9.0.0/16"), location="West Europe") == []


def test_names_that_are_host_names_are_taken_once() -> None:
    cloud = seed_cloud()
    cloud.put("mygroup/Microsoft.Storage/storageAccounts/shared", {})
    assert refused(cloud, "mlgroup/Microsoft.Storage/storageAccounts/shared", {}).code == "StorageAccountAlreadyTaken"
