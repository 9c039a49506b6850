"""Resource groups over HTTP."""

from __future__ import annotations

from tests.arm.arm_world import GROUP, SUBSCRIPTION, VNET, Arm, error, network


def test_created_shown_changed_deleted(arm: Arm) -> None:
    made = arm.put(GROUP, {"location": "eastus2", "tags": {"a": "1"}})
    assert made.status_code == 201 and "Azure-AsyncOperation" not in made.headers
    assert made.json() == {
        "id": GROUP,
        "name": "mygroup",
        "type": "Microsoft.Resources/resourceGroups",
        "location": "eastus2",
        "tags": {"a": "1"},
        "properties": {"provisioningState": "Succeeded"},
    }
    assert arm.put(GROUP, {"location": "East US 2", "tags": {"b": "2"}}).status_code == 200
    assert arm.get(GROUP).json()["tags"] == {"b": "2"} and arm.get(GROUP).json()["location"] == "eastus2"
    patched = arm.send("PATCH", GROUP, {"tags": {"c": "3", "b": None}})
    assert patched.status_code == 200 and patched.json()["tags"] == {"c": "3"}
    assert arm.send("DELETE", GROUP).status_code == 200
    error(arm.get(GROUP), 404, "ResourceGroupNotFound")
    assert arm.send("DELETE", GROUP).status_code == 204


def test_head_tells_whether_it_exists(arm: Arm) -> None:
    assert arm.send("HEAD", GROUP).status_code == 404
    arm.group()
    answer = arm.send("HEAD", GROUP)
    assert answer.status_code == 204 and answer.content == b""


def test_listed(arm: Arm) -> None:
    arm.group()
    for path in (f"{SUBSCRIPTION}/resourcegroups", f"{SUBSCRIPTION}/resourceGroups"):
        assert [group["name"] for group in arm.get(path).json()["value"]] == ["mygroup"]


def test_the_path_is_case_insensitive_and_the_answer_stable(arm: Arm) -> None:
    arm.group()
    shouted = arm.get(GROUP.upper().replace("/SUBSCRIPTIONS", "/Subscriptions")).json()
    assert shouted["id"] == GROUP
    vnet = VNET.replace("mygroup", "MYGROUP").replace("virtualNetworks", "VIRTUALNETWORKS").replace("Microsoft", "microsoft")
    assert arm.put(vnet, network()).json()["id"] == VNET


def test_another_location_is_refused(arm: Arm) -> None:
    arm.group()
    error(arm.put(GROUP, {"location": "westeurope"}), 409, "InvalidResourceGroupLocation")
    error(arm.put(GROUP + "2", {"location": "atlantis"}), 400, "LocationNotAvailableForResourceType")
    error(arm.put(GROUP + "2", {}), 400, "LocationRequired")


def test_deletion_takes_everything_along_and_can_be_followed(arm: Arm) -> None:
    arm.workspace()
    arm.driver.refuse("net/", "Busy", "still in use")
    answer = arm.send("DELETE", GROUP)
    assert answer.status_code == 202 and answer.headers["Retry-After"] == "1"
    assert answer.headers["Location"].startswith(f"https://management.azure.com{SUBSCRIPTION}/operationresults/")
    assert arm.get(answer.headers["Location"]).status_code == 202
    assert arm.get(GROUP).json()["properties"]["provisioningState"] == "Deleting"
    error(arm.put(VNET, network()), 409, "ResourceGroupBeingDeleted")
    arm.driver.recover()
    assert arm.follow(answer)["status"] == "Succeeded"
    assert arm.get(answer.headers["Location"]).status_code == 204
    assert [r.key for r in arm.engine.snapshot() if r.id.group is not None] == []


def test_what_others_use_blocks_the_deletion(arm: Arm) -> None:
    arm.network()
    other = GROUP.replace("mygroup", "other")
    arm.made(other, {"location": "eastus2"})
    nic = other + "/providers/Microsoft.Network/networkInterfaces/nic"
    subnet = {"id": f"{VNET}/subnets/default"}
    body = {"location": "eastus2", "properties": {"ipConfigurations": [{"name": "one", "properties": {"subnet": subnet}}]}}
    arm.made(nic, body)
    found = error(arm.send("DELETE", GROUP), 409, "ResourceGroupDeletionBlocked")
    assert found["details"][0]["code"] == "InUseSubnetCannotBeDeleted"
    assert arm.get(VNET).json()["properties"]["provisioningState"] == "Succeeded"
