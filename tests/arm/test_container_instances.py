"""Container groups over HTTP: written, shown without secrets, started, stopped, asked for logs."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import GROUP, VNET, Arm, error, network
from tests.policy.test_container_groups import container, delegated

GROUPS = f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups"
APP = f"{GROUPS}/app"
SUBNET = f"{VNET}/subnets/aci"


def group(**more: Any) -> dict[str, Any]:
    variables = [{"name": "TOKEN", "secureValue": "hidden"}, {"name": "MODE", "value": "plain"}]
    properties = {
        "osType": "Linux",
        "containers": [container(ports=[{"port": 80}], environmentVariables=variables)],
        "ipAddress": {"type": "Private", "ports": [{"protocol": "TCP", "port": 80}]},
        "subnetIds": [{"id": SUBNET}],
    }
    return {"location": "eastus2", "properties": properties | more}


def with_subnet(arm: Arm) -> None:
    arm.group()
    arm.made(VNET, network({"name": "aci", "properties": delegated("10.1.8.0/24")}))


def test_a_delegation_made_with_the_network_is_shown_as_azure_shows_it(arm: Arm) -> None:
    with_subnet(arm)
    (shown,) = arm.get(VNET).json()["properties"]["subnets"][0]["properties"]["delegations"]
    assert shown["properties"] == {
        "provisioningState": "Succeeded",
        "serviceName": "Microsoft.ContainerInstance/containerGroups",
        "actions": ["Microsoft.Network/virtualNetworks/subnets/action"],
    }
    assert "serviceAssociationLinks" not in arm.get(SUBNET).json()["properties"]


def test_a_group_is_made_shown_and_deleted(arm: Arm) -> None:
    with_subnet(arm)
    shown = arm.made(APP, group())
    properties = shown["properties"]
    assert properties["ipAddress"] == {"type": "Private", "ip": "10.1.8.4", "ports": [{"protocol": "TCP", "port": 80}]}
    assert properties["instanceView"]["state"] in ("Running", "Pending")
    assert properties["containers"][0]["properties"]["environmentVariables"] == [
        {"name": "TOKEN"},
        {"name": "MODE", "value": "plain"},
    ]
    assert "hidden" not in arm.get(GROUPS).text and "ringfenceRun" not in arm.get(GROUPS).text
    (link,) = arm.get(SUBNET).json()["properties"]["serviceAssociationLinks"]
    assert link["properties"]["linkedResourceType"] == "Microsoft.ContainerInstance/containerGroups"
    error(arm.send("DELETE", SUBNET), 400, "InUseSubnetCannotBeDeleted")
    answer = arm.send("DELETE", APP)
    arm.follow(answer)
    error(arm.get(APP), 404, "ResourceNotFound")
    arm.follow(arm.send("DELETE", SUBNET))


def test_a_patch_changes_tags_and_keeps_secrets(arm: Arm) -> None:
    with_subnet(arm)
    arm.made(APP, group())
    before = arm.engine.snapshot()
    answer = arm.send("PATCH", APP, {"tags": {"a": "b"}})
    arm.follow(answer)
    assert arm.get(APP).json()["tags"] == {"a": "b"}
    after = arm.engine.snapshot()
    key = APP.lower()
    assert after.need(key).properties == before.need(key).properties


def test_a_group_stops_starts_and_restarts(arm: Arm) -> None:
    with_subnet(arm)
    arm.made(APP, group())
    assert arm.send("POST", f"{APP}/stop").status_code == 204
    assert arm.get(APP).json()["properties"]["instanceView"]["state"] == "Stopped"
    error(arm.send("POST", f"{APP}/restart"), 409, "ContainerGroupStopped")
    assert arm.send("POST", f"{APP}/start").status_code == 204
    assert arm.get(APP).json()["properties"]["instanceView"]["state"] != "Stopped"
    assert arm.send("POST", f"{APP}/restart").status_code == 204
    error(arm.send("POST", f"{APP}/fly"), 405, "MethodNotAllowed")
    error(arm.send("POST", f"{GROUPS}/other/start"), 404, "ResourceNotFound")


def test_logs_are_those_of_a_container_that_exists(arm: Arm) -> None:
    with_subnet(arm)
    arm.made(APP, group())
    assert "content" in arm.get(f"{APP}/containers/app/logs").json()
    error(arm.get(f"{APP}/containers/nobody/logs"), 404, "ContainerNotFound")


def test_networks_of_the_platform_are_not_shown(arm: Arm) -> None:
    arm.group()
    body = group(ipAddress={"type": "Public", "ports": [{"port": 80}]}, subnetIds=[])
    address = arm.made(APP, body)["properties"]["ipAddress"]
    assert address["ip"].startswith("198.19.")
    subscription = GROUP.rpartition("/resourceGroups")[0]
    networks = arm.get(f"{subscription}/providers/Microsoft.Network/virtualNetworks").json()["value"]
    groups = arm.get(f"{subscription}/resourcegroups").json()["value"]
    assert networks == [] and [one["name"] for one in groups] == ["mygroup"]
