"""Deployments of templates over HTTP: to the end, to a failure, and across the death of the process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp
from tests.arm.arm_world import GROUP, SUBSCRIPTION, Arm, error

DEPLOYMENT = f"{GROUP}/providers/Microsoft.Resources/deployments/main"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/deployed"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/deployed"


def vnet(**more: Any) -> dict[str, Any]:
    space = {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}
    return {"type": "Microsoft.Network/virtualNetworks", "name": "deployed", "location": "eastus2", "properties": space, **more}


def subnet(name: str, prefix: str) -> dict[str, Any]:
    properties = {"addressPrefix": prefix}
    kind = "Microsoft.Network/virtualNetworks/subnets"
    return {"type": kind, "name": f"deployed/{name}", "dependsOn": ["deployed"], "properties": properties}


def account(name: str = "deployed", **more: Any) -> dict[str, Any]:
    kind = "Microsoft.Storage/storageAccounts"
    return {"type": kind, "name": name, "location": "[resourceGroup().location]", "kind": "StorageV2", **more}


def asked(*resources: Any, **more: Any) -> dict[str, Any]:
    return {"properties": {"mode": "Incremental", "template": {"resources": list(resources), **more}}}


def test_resources_come_one_after_the_other(arm: Arm) -> None:
    arm.group()
    host = {"type": "string", "value": "[reference('deployed/one').addressPrefix]"}
    body = asked(subnet("one", "10.1.0.0/24"), vnet(), account(), outputs={"prefix": host})
    answer = arm.put(DEPLOYMENT, body)
    assert answer.status_code == 201 and answer.headers["Retry-After"] == "1"
    assert answer.json()["properties"]["provisioningState"] in ("Accepted", "Running")
    assert arm.follow(answer)["status"] == "Succeeded"
    found = arm.get(DEPLOYMENT).json()["properties"]
    assert found["provisioningState"] == "Succeeded" and found["outputs"]["prefix"]["value"] == "10.1.0.0/24"
    assert sorted(r["id"] for r in found["outputResources"]) == sorted([VNET, f"{VNET}/subnets/one", ACCOUNT])
    for path in (VNET, f"{VNET}/subnets/one", ACCOUNT):
        assert arm.get(path).json()["properties"]["provisioningState"] == "Succeeded"
    for path in (f"{GROUP}/deployments/main/operations", f"{DEPLOYMENT}/operations"):
        listed = [operation["properties"] for operation in arm.get(path).json()["value"]]
        assert {p["targetResource"]["resourceName"] for p in listed} == {"deployed", "deployed/one"}
        assert {(p["provisioningState"], p["statusCode"]) for p in listed} == {("Succeeded", "Created")}


def test_the_same_once_more_changes_nothing(arm: Arm) -> None:
    arm.group()
    arm.follow(arm.put(DEPLOYMENT, asked(vnet(), account())))
    again = arm.put(DEPLOYMENT, asked(vnet(), account()))
    assert again.status_code == 200 and arm.follow(again)["status"] == "Succeeded"
    assert {o["properties"]["statusCode"] for o in arm.get(f"{DEPLOYMENT}/operations").json()["value"]} == {"OK"}


def test_a_failure_names_its_cause_and_keeps_what_came_before(arm: Arm) -> None:
    arm.group()
    late = subnet("late", "10.1.9.0/24") | {"dependsOn": ["deployed/wrong"]}
    answer = arm.put(DEPLOYMENT, asked(vnet(), subnet("wrong", "10.9.0.0/24"), late))
    status = arm.follow(answer)
    assert status["status"] == "Failed" and status["error"]["code"] == "DeploymentFailed"
    assert [d["code"] for d in status["error"]["details"]] == ["NetcfgInvalidSubnet"]
    assert "NetcfgInvalidSubnet" in status["error"]["message"]
    found = arm.get(DEPLOYMENT).json()["properties"]
    assert found["provisioningState"] == "Failed" and found["error"] == status["error"]
    assert arm.get(VNET).status_code == 200 and arm.get(f"{VNET}/subnets/late").status_code == 404
    states = {
        o["properties"]["targetResource"]["resourceName"]: o["properties"]
        for o in arm.get(f"{DEPLOYMENT}/operations").json()["value"]
    }
    assert states["deployed/wrong"]["statusMessage"]["error"]["code"] == "NetcfgInvalidSubnet"
    assert states["deployed"]["provisioningState"] == "Succeeded" and "deployed/late" not in states


def test_what_can_be_refused_at_once_is(arm: Arm) -> None:
    error(arm.put(DEPLOYMENT, asked(account())), 404, "ResourceGroupNotFound")
    arm.group()
    error(arm.put(DEPLOYMENT, asked(account("[nothing()]"))), 400, "InvalidTemplate")
    error(arm.put(DEPLOYMENT, {}), 400, "InvalidRequestContent")
    error(arm.put(DEPLOYMENT, {"properties": {"mode": "Complete", "template": {}}}), 400, "NotSupported")
    error(arm.put(DEPLOYMENT, {"properties": {"templateLink": {"uri": "https://x"}}}), 400, "NotSupported")
    unknown = asked({"type": "Microsoft.Nothing/things", "name": "x", "location": "eastus2"}, account(properties={"no": 1}))
    found = error(arm.put(DEPLOYMENT, unknown), 400, "InvalidTemplateDeployment")
    assert [d["code"] for d in found["details"]] == ["InvalidResourceNamespace", "InvalidRequestContent"]
    error(arm.get(f"{DEPLOYMENT}/operations"), 404, "DeploymentNotFound")


def test_validate_deploys_nothing(arm: Arm) -> None:
    arm.group()
    answer = arm.send("POST", f"{DEPLOYMENT}/validate", asked(vnet()))
    assert answer.status_code == 200 and "error" not in answer.json()
    assert [r["id"] for r in answer.json()["properties"]["validatedResources"]] == [VNET]
    assert arm.get(VNET).status_code == 404 and arm.get(DEPLOYMENT).status_code == 404
    error(arm.send("POST", f"{DEPLOYMENT}/validate", asked(account("[nothing()]"))), 400, "InvalidTemplate")


def test_a_template_file_as_the_cli_sends_it(arm: Arm) -> None:
    arm.group()
    body = b"""{"properties": {"mode": "Incremental", "parameters": {"tag": {"value": "x"}}, template: {
      // the "account"
      "parameters": {"tag": {"type": "string"}}, /* both
      lines */ "resources": [{"type": "Microsoft.Storage/storageAccounts", "name": "deployed", "location": "eastus2",
        "tags": {"url": "https://x/*y*/", "template": "[concat(parameters('tag'),
        '!')]"}}]}}}"""
    assert arm.follow(arm.put(DEPLOYMENT, body))["status"] == "Succeeded"
    assert arm.get(ACCOUNT).json()["tags"] == {"url": "https://x/*y*/", "template": "x!"}


def test_secure_parameters_are_not_shown(arm: Arm) -> None:
    arm.group()
    body = asked(account(), parameters={"word": {"type": "securestring"}, "open": {"type": "string"}})
    body["properties"]["parameters"] = {"word": {"value": "hush"}, "open": {"value": "seen"}}
    arm.follow(arm.put(DEPLOYMENT, body))
    assert "hush" not in arm.get(DEPLOYMENT).text and "seen" in arm.get(DEPLOYMENT).text


def test_listed_in_its_group_and_deleted(arm: Arm) -> None:
    arm.group()
    arm.follow(arm.put(DEPLOYMENT, asked(account())))
    kind = "providers/Microsoft.Resources/deployments"
    assert [d["name"] for d in arm.get(f"{GROUP}/{kind}").json()["value"]] == ["main"]
    assert arm.get(f"{SUBSCRIPTION}/{kind}/").json()["value"] == []
    assert [r["name"] for r in arm.get(f"{GROUP}/resources").json()["value"]] == ["deployed"]
    assert arm.send("DELETE", DEPLOYMENT).status_code == 200
    assert arm.get(DEPLOYMENT).status_code == 404 and arm.get(ACCOUNT).status_code == 200


def test_an_active_deployment_is_left_alone(arm: Arm) -> None:
    arm.group()
    arm.driver.slow_down("net/", 60.0)
    arm.engine.deployer.stop()
    arm.put(DEPLOYMENT, asked(account()))
    error(arm.put(DEPLOYMENT, asked(account())), 409, "DeploymentActive")


def test_it_goes_on_where_a_killed_process_ended(
    tmp_path: Path, signing_key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]
) -> None:
    """A fork is killed after so many steps were put and before they are noted; the next process ends the deployment."""
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        pid = os.fork()
        if pid == 0:
            _deploy_and_die(folder, signing_key, asking, number)
        os.waitpid(pid, 0)
        arm = Arm(folder, signing_key, asking)
        arm.engine.start()
        deadline = time.monotonic() + 10.0
        while arm.get(DEPLOYMENT).json()["properties"]["provisioningState"] != "Succeeded":
            assert time.monotonic() < deadline, arm.get(DEPLOYMENT).text
            time.sleep(0.02)
        assert arm.get(f"{VNET}/subnets/one").status_code == 200 and arm.get(ACCOUNT).status_code == 200
        assert arm.engine.pending() == ()
        arm.close()


def _deploy_and_die(folder: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client], puts: int) -> None:
    try:
        arm = Arm(folder, key, asking)
        put, seen = arm.engine.deployer._put, 0

        def counted(request: Any) -> Any:
            nonlocal seen
            if seen == puts:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
            found = put(request)
            return found

        arm.engine.deployer._put = counted
        arm.engine.start()
        arm.group()
        answer = arm.put(DEPLOYMENT, asked(subnet("one", "10.1.0.0/24"), vnet(), account()))
        arm.follow(answer)
    finally:
        os._exit(0)
