"""A cloud with everything in use, the bodies that clients send to it, and the check that a refusal changes nothing."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import GROUP, NIC, NSG, VNET, Arm
from tests.arm.test_container_instances import group as container_group
from tests.arm.test_managed_clusters import asked as managed
from tests.arm.test_private_link import ACCOUNT, NETWORK, endpoint, side
from tests.clouds import rule

SUBNETS = f"{VNET}/subnets"
OTHER, TWIN, FAR = (f"{NETWORK}/virtualNetworks/{name}" for name in ("other", "twin", "far"))
RULES, NICS = f"{NSG}/securityRules", f"{NETWORK}/networkInterfaces"
GROUPS = f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups"
CLUSTERS = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters"
ZONES = f"{NETWORK}/privateDnsZones"
ZONE = f"{ZONES}/privatelink.blob.core.windows.net"
ENDPOINTS, PEERINGS = f"{NETWORK}/privateEndpoints", f"{VNET}/virtualNetworkPeerings"
CONTAINERS, SQL = "Microsoft.ContainerInstance/containerGroups", "Microsoft.Sql/managedInstances"
ELSEWHERE = "/subscriptions/99999999-2222-3333-4444-555555555555"

#: What is asked, the path (a verb other than PUT before it), the body, and the code (a status other than 400 before it).
Case = tuple[str, str, dict[str, Any] | None, str]


def at(properties: dict[str, Any], location: str = "eastus2", **top: Any) -> dict[str, Any]:
    return {"location": location, "properties": properties, **top}


def part(prefix: str, service: str | None = None, **more: Any) -> dict[str, Any]:
    """A subnet as `az network vnet subnet create` sends it."""
    delegations = [{"name": "0", "properties": {"serviceName": service}}] if service else []
    return {"properties": {"addressPrefix": prefix, "delegations": delegations, **more}}


def nic(subnet: str, address: str | None = None) -> dict[str, Any]:
    inner: dict[str, Any] = {"subnet": {"id": subnet if subnet.startswith("/") else f"{SUBNETS}/{subnet}"}}
    if address is not None:
        inner |= {"privateIPAddress": address, "privateIPAllocationMethod": "Static"}
    return at({"ipConfigurations": [{"name": "ipconfig1", "properties": inner}]})


def pe(subnet: str, target: str = ACCOUNT, group: str = "blob", location: str = "eastus2") -> dict[str, Any]:
    return endpoint(target, group, subnet={"id": subnet if subnet.startswith("/") else f"{SUBNETS}/{subnet}"}) | {
        "location": location
    }


def aci(subnet: str = "free-aci", **more: Any) -> dict[str, Any]:
    return container_group(subnetIds=[{"id": f"{SUBNETS}/{subnet}"}], **more)


def lb(subnet: str, address: str | None = None) -> dict[str, Any]:
    inner: dict[str, Any] = {"subnet": {"id": f"{SUBNETS}/{subnet}"}, "privateIPAllocationMethod": "Dynamic"}
    if address is not None:
        inner |= {"privateIPAddress": address, "privateIPAllocationMethod": "Static"}
    return at({"frontendIPConfigurations": [{"name": "front", "properties": inner}]}, sku={"name": "Standard"})


def prefixes(*given: str) -> dict[str, Any]:
    return at({"addressSpace": {"addressPrefixes": list(given)}})


def world(arm: Arm) -> None:
    """Subnets with and without users, a peering, an endpoint, a container group, an interface, a cluster."""
    arm.workspace()
    arm.made(NSG, at({}))
    arm.made(f"{RULES}/first", {"properties": rule(100)})
    arm.made(f"{SUBNETS}/aci", part("10.1.8.0/24", CONTAINERS))
    arm.made(f"{SUBNETS}/free-aci", part("10.1.12.0/24", CONTAINERS))
    arm.made(f"{SUBNETS}/sql", part("10.1.9.0/24", SQL))
    arm.made(f"{SUBNETS}/used", part("10.1.10.0/24", networkSecurityGroup={"id": NSG}))
    arm.made(f"{SUBNETS}/full", part("10.1.11.0/29"))
    arm.made(f"{SUBNETS}/small", part("10.1.11.64/26"))
    arm.made(OTHER, prefixes("10.5.0.0/16"))
    arm.made(TWIN, prefixes("10.1.200.0/24"))
    arm.made(
        FAR,
        at(
            {"addressSpace": {"addressPrefixes": ["10.6.0.0/16"]}, "subnets": [{"name": "s", **part("10.6.0.0/24")}]},
            "westeurope",
        ),
    )
    arm.made(f"{PEERINGS}/other", side(OTHER))
    arm.made(f"{OTHER}/virtualNetworkPeerings/back", side(VNET))
    arm.made(ACCOUNT, at({}, sku={"name": "Standard_LRS"}, kind="StorageV2"))
    arm.made(f"{ENDPOINTS}/mine", pe("used"))
    arm.made(NIC, nic("used", "10.1.10.200"))
    for number in range(3):
        arm.made(f"{NICS}/full{number}", nic("full"))
    arm.made(f"{NETWORK}/loadBalancers/mine", lb("used", "10.1.10.100"))
    arm.made(f"{GROUPS}/app", aci("aci"))
    arm.made(ZONE, {"location": "global"})
    arm.made(f"{ZONE}/virtualNetworkLinks/here", {"location": "global", "properties": {"virtualNetwork": {"id": VNET}}})
    arm.made(f"{CLUSTERS}/old", managed(1))


def held(arm: Arm, cases: list[Case]) -> None:
    """Sends every case: each is refused as said, and not one leaves anything behind."""
    world(arm)
    before, state, wrong = arm.engine.snapshot(), arm.engine.state(), []
    for name, path, body, wanted in cases:
        verb, _, where = path.rpartition(" ")
        status, _, code = wanted.rpartition(" ")
        answer = arm.send(verb or "PUT", where, body)
        if (answer.status_code, answer.json()["error"]["code"]) != (int(status or 400), code):
            wrong.append(f"{name}: {wanted}, not {answer.status_code} {answer.text[:300]}")
        assert arm.engine.snapshot() is before, f"{name} changed something: {answer.text[:300]}"
    assert not wrong, "\n".join(wrong)
    assert arm.store.version() == before.version and arm.engine.state() == state
