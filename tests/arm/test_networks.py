"""Virtual networks and subnets over HTTP: inline children, replacement, etags."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import GROUP, NSG, VNET, Arm, error, network

DEFAULT = {"name": "default", "properties": {"addressPrefix": "10.1.0.0/22"}}


def test_a_new_network_shows_its_subnets(arm: Arm) -> None:
    arm.group()
    answer = arm.put(VNET, network(DEFAULT))
    assert answer.status_code == 201 and "Azure-AsyncOperation" not in answer.headers
    document = answer.json()
    assert document["properties"]["provisioningState"] == "Succeeded"
    assert document["etag"] == answer.headers["ETag"] and document["etag"].startswith('W/"')
    assert document["properties"]["addressSpace"] == {"addressPrefixes": ["10.1.0.0/16"], "ipamPoolPrefixAllocations": []}
    (subnet,) = document["properties"]["subnets"]
    assert subnet["id"] == f"{VNET}/subnets/default" and subnet["type"] == "Microsoft.Network/virtualNetworks/subnets"
    assert subnet["properties"]["addressPrefix"] == "10.1.0.0/22"
    assert subnet["properties"]["provisioningState"] == "Succeeded"
    assert arm.get(f"{VNET}/subnets/default").json() == subnet


def test_the_inline_list_is_the_whole_list(arm: Arm) -> None:
    arm.network()
    second = {"name": "second", "properties": {"addressPrefix": "10.1.8.0/24"}}
    arm.made(VNET, network(second))
    assert [s["name"] for s in arm.get(f"{VNET}/subnets").json()["value"]] == ["second"]
    error(arm.get(f"{VNET}/subnets/default"), 404, "NotFound")
    arm.made(VNET, {"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}})
    assert arm.get(VNET).json()["properties"]["subnets"] == []


def test_a_subnet_in_use_cannot_be_left_out(arm: Arm) -> None:
    arm.network()
    subnet = {"id": f"{VNET}/subnets/default"}
    body = {"location": "eastus2", "properties": {"ipConfigurations": [{"name": "one", "properties": {"subnet": subnet}}]}}
    arm.made(f"{GROUP}/providers/Microsoft.Network/networkInterfaces/nic", body)
    version = arm.engine.snapshot().version
    error(arm.put(VNET, network()), 400, "InUseSubnetCannotBeDeleted")
    error(arm.send("DELETE", f"{VNET}/subnets/default"), 400, "InUseSubnetCannotBeDeleted")
    assert arm.engine.snapshot().version == version


def test_what_was_read_can_be_written_back(arm: Arm) -> None:
    arm.network()
    arm.made(NSG, {"location": "eastus2", "properties": {}})
    document: dict[str, Any] = arm.get(VNET).json()
    document["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = {"id": NSG}
    assert arm.put(VNET, document).status_code == 200
    subnet = arm.get(f"{VNET}/subnets/default").json()
    assert subnet["properties"]["networkSecurityGroup"] == {"id": NSG}
    assert arm.put(f"{VNET}/subnets/default", subnet).status_code == 200
    assert arm.get(NSG).json()["properties"]["subnets"] == [{"id": f"{VNET}/subnets/default"}]


def test_a_subnet_on_its_own(arm: Arm) -> None:
    arm.network()
    path = f"{VNET}/subnets/second"
    before = arm.get(VNET).json()["etag"]
    answer = arm.put(path, {"properties": {"addressPrefixes": ["10.1.8.0/24"], "delegations": []}})
    assert answer.status_code == 201 and answer.json()["properties"]["addressPrefix"] == "10.1.8.0/24"
    assert arm.get(VNET).json()["etag"] != before
    assert [s["name"] for s in arm.get(VNET).json()["properties"]["subnets"]] == ["default", "second"]
    assert arm.send("DELETE", path).status_code == 200
    assert arm.send("DELETE", path).status_code == 204
    error(arm.get(path), 404, "NotFound")
    error(
        arm.put(path.replace("mynetwork", "ghost"), {"properties": {"addressPrefix": "10.1.8.0/24"}}),
        404,
        "ParentResourceNotFound",
    )
    error(arm.get(path.replace("mynetwork", "ghost")), 404, "ResourceNotFound")


def test_etags_guard_updates(arm: Arm) -> None:
    arm.network()
    etag = arm.get(VNET).headers["ETag"]
    error(arm.put(VNET, network(DEFAULT), headers={"If-None-Match": "*"}), 412, "PreconditionFailed")
    error(arm.put(VNET, network(DEFAULT), headers={"If-Match": '"other"'}), 412, "PreconditionFailed")
    error(arm.send("PATCH", VNET, {"tags": {}}, headers={"If-Match": '"other"'}), 412, "PreconditionFailed")
    error(arm.send("DELETE", VNET, headers={"If-Match": '"other"'}), 412, "PreconditionFailed")
    assert arm.put(VNET, network(DEFAULT), headers={"If-Match": etag}).status_code == 200
    error(arm.put(VNET, network(DEFAULT), headers={"If-Match": etag}), 412, "PreconditionFailed")
    assert arm.send("DELETE", VNET, headers={"If-Match": "*"}).status_code == 200


def test_tags_are_patched_and_nothing_else(arm: Arm) -> None:
    arm.network()
    assert arm.send("PATCH", VNET, {"tags": {"a": "1"}}).json()["tags"] == {"a": "1"}
    assert len(arm.get(VNET).json()["properties"]["subnets"]) == 1
    error(arm.send("PATCH", VNET, {"properties": {}}), 400, "InvalidRequestContent")


def test_an_operation_that_takes_long_is_followed(arm: Arm) -> None:
    arm.group()
    arm.driver.refuse("net/", "OutOfNamespaces", "no more namespaces")
    answer = arm.put(VNET, network(DEFAULT))
    assert answer.status_code == 201 and answer.json()["properties"]["provisioningState"] == "Failed"
    url = answer.headers["Azure-AsyncOperation"]
    assert "/providers/Microsoft.Network/locations/eastus2/operations/" in url and url.endswith("?api-version=2024-01-01")
    status = arm.follow(answer)
    assert status["status"] == "Failed" and status["error"] == {"code": "OutOfNamespaces", "message": "no more namespaces"}
    assert {"id", "name", "startTime", "endTime"} <= status.keys()
    error(arm.get(answer.headers["Location"]), 409, "OutOfNamespaces")
