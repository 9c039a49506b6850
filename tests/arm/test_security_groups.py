"""Network security groups, their rules, and interfaces over HTTP."""

from __future__ import annotations

from tests.arm.arm_world import NIC, NSG, VNET, Arm, error
from tests.clouds import rule


def test_rules_inline_and_on_their_own(arm: Arm) -> None:
    arm.group()
    first = {"name": "first", "properties": rule(100)}
    document = arm.made(NSG, {"location": "eastus2", "properties": {"securityRules": [first]}})
    assert [r["name"] for r in document["properties"]["securityRules"]] == ["first"]
    defaults = [(r["name"], r["properties"]["priority"]) for r in document["properties"]["defaultSecurityRules"]]
    assert len(defaults) == 6 and ("DenyAllInBound", 65500) in defaults
    answer = arm.put(f"{NSG}/securityRules/second", {"properties": rule(101, "Deny", destinationPortRanges=["80", "443"])})
    assert answer.status_code == 400, "one of destinationPortRange and destinationPortRanges"
    body = {"properties": {**rule(101, "Deny"), "destinationPortRange": None, "destinationPortRanges": ["80", "443"]}}
    assert arm.put(f"{NSG}/securityRules/second", body).status_code == 201
    shown = arm.get(f"{NSG}/securityRules/second").json()
    assert shown["properties"]["destinationPortRanges"] == ["80", "443"] and shown["properties"]["access"] == "Deny"
    assert len(arm.get(f"{NSG}/securityRules").json()["value"]) == 2
    error(arm.put(f"{NSG}/securityRules/third", {"properties": rule(101)}), 400, "SecurityRuleConflict")
    assert arm.send("DELETE", f"{NSG}/securityRules/second").status_code == 200
    assert len(arm.get(NSG).json()["properties"]["securityRules"]) == 1
    again = arm.get(NSG).json()
    assert arm.put(NSG, again).status_code == 200, "default rules come back and mean nothing"


def test_faults_name_the_place_in_the_body(arm: Arm) -> None:
    arm.group()
    bad = {"name": "bad", "properties": {**rule(100), "direction": "Sideways", "priority": "high", "extra": 1}}
    found = error(arm.put(NSG, {"location": "eastus2", "properties": {"securityRules": [bad]}}), 400, "InvalidRequestFormat")
    base = "properties.securityRules[0].properties"
    assert {d["target"] for d in found["details"]} == {f"{base}.direction", f"{base}.priority", f"{base}.extra"}
    unknown = {"properties": rule(100, sourceAddressPrefix="Martians")}
    error(arm.put(f"{NSG}/securityRules/r", unknown), 404, "ParentResourceNotFound")
    arm.made(NSG, {"location": "eastus2", "properties": {}})
    error(arm.put(f"{NSG}/securityRules/r", unknown), 400, "SecurityRuleInvalidAddressPrefix")


def test_two_children_of_one_name(arm: Arm) -> None:
    arm.group()
    twins = [{"name": "a", "properties": rule(100)}, {"name": "A", "properties": rule(101)}]
    error(arm.put(NSG, {"location": "eastus2", "properties": {"securityRules": twins}}), 400, "DuplicateResourceName")


def test_an_interface_gets_an_address(arm: Arm) -> None:
    arm.network()
    subnet = {"id": f"{VNET}/subnets/default"}
    body = {"location": "eastus2", "properties": {"ipConfigurations": [{"name": "one", "properties": {"subnet": subnet}}]}}
    document = arm.made(NIC, body)
    (configuration,) = document["properties"]["ipConfigurations"]
    assert configuration["properties"]["privateIPAddress"] == "10.1.0.4"
    assert configuration["properties"]["privateIPAllocationMethod"] == "Dynamic"
    assert configuration["id"] == f"{NIC}/ipConfigurations/one"
    users = arm.get(f"{VNET}/subnets/default").json()["properties"]["ipConfigurations"]
    assert users == [{"id": f"{NIC}/ipConfigurations/one"}]
    assert arm.put(NIC, document).status_code == 200
    assert arm.get(NIC).json()["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] == "10.1.0.4"
    static = {"subnet": subnet, "privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.0.4"}
    twin = {"location": "eastus2", "properties": {"ipConfigurations": [{"name": "one", "properties": static}]}}
    error(arm.put(NIC + "2", twin), 400, "PrivateIPAddressIsAllocated")
