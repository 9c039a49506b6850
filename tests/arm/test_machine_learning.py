"""Workspaces and computes over HTTP: the fields that `azureml-core` reads (contract sections 3 to 5)."""

from __future__ import annotations

from typing import Any

from tests import clouds
from tests.arm.arm_world import COMPUTE, GROUP, SUBSCRIPTION, TENANT, VNET, WORKSPACE, Arm, cluster, error

from ringfence.model.ids import ResourceId

MUST = {"computeType", "provisioningState", "provisioningErrors", "description", "isAttachedCompute", "resourceId", "properties"}
INNER = {
    "agentVmSize",
    "agentCount",
    "clusterPurpose",
    "clusterFqdn",
    "systemServices",
    "loadBalancerType",
    "loadBalancerSubnet",
    "sslConfiguration",
}


def test_the_document_of_a_workspace(arm: Arm) -> None:
    arm.workspace()
    document = arm.get(WORKSPACE, version="2022-05-01").json()
    shown = document["properties"]
    assert document["id"] == WORKSPACE and document["location"] == "eastus2"
    assert document["identity"]["type"] == "SystemAssigned" and document["identity"]["tenantId"] == TENANT
    assert shown["discoveryUrl"] == f"https://eastus2.api.azureml.ms/discovery/workspaces/{shown['workspaceId']}"
    assert shown["storageAccount"].startswith(f"{GROUP}/providers/Microsoft.Storage/storageAccounts/ws")
    assert arm.get(shown["storageAccount"]).json()["properties"]["primaryEndpoints"]["blob"].endswith(".blob.core.windows.net/")
    for scope in (GROUP, SUBSCRIPTION):
        listed = arm.get(f"{scope}/providers/Microsoft.MachineLearningServices/workspaces").json()
        assert [w["name"] for w in listed["value"]] == ["ws"]


def test_a_workspace_is_patched_by_merging(arm: Arm) -> None:
    arm.workspace()
    patched = arm.send("PATCH", WORKSPACE, {"tags": {"a": "1"}, "properties": {"friendlyName": "mine"}})
    assert patched.status_code == 200 and patched.json()["properties"]["friendlyName"] == "mine"
    patched = arm.send("PATCH", WORKSPACE, {"properties": {"description": "words"}})
    assert patched.json()["properties"]["friendlyName"] == "mine" and patched.json()["tags"] == {"a": "1"}
    error(arm.send("PATCH", WORKSPACE, {"properties": {"colour": "red"}}), 400, "InvalidRequestContent")


def test_the_first_snippet(arm: Arm) -> None:
    arm.workspace()
    answer = arm.put(COMPUTE, cluster(), version="2020-02-02")
    assert answer.status_code == 201 and answer.json()["properties"]["provisioningState"] == "Creating"
    url = answer.headers["Azure-AsyncOperation"]
    base = f"https://management.azure.com{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/locations/eastus2"
    assert url.startswith(f"{base}/computeOperationsStatus/") and url.endswith("?api-version=2020-02-02")
    assert arm.follow(answer)["status"] == "Succeeded"
    document = arm.get(COMPUTE, version="2020-02-02").json()
    assert document["properties"].keys() >= MUST and document["properties"]["properties"].keys() >= INNER
    assert {"id", "name", "location", "tags", "type"} <= document.keys()
    (service,) = document["properties"]["properties"]["systemServices"]
    assert service.keys() == {"systemServiceType", "version", "publicIpAddress"}
    assert service["publicIpAddress"].startswith("198.19.")
    behind = arm.get(document["properties"]["resourceId"], version="2026-06-01").json()
    assert behind["properties"]["servicePrincipalProfile"]["clientId"] == "msi" and behind["identity"]["principalId"]
    assert behind["properties"]["networkProfile"]["serviceCidr"] == "10.0.0.0/16"
    assert [c["name"] for c in arm.get(f"{WORKSPACE}/computes").json()["value"]] == ["myaks"]


def test_the_third_snippet_puts_the_document_back(arm: Arm) -> None:
    arm.workspace()
    document = arm.made(COMPUTE, cluster())
    behind = arm.engine.get(ResourceId.parse(document["properties"]["resourceId"]))
    arm.engine.put(clouds.contributor(behind, VNET))
    inner: dict[str, Any] = document["properties"]["properties"]
    public = inner["systemServices"][0]["publicIpAddress"]
    del inner["sslConfiguration"]
    inner |= {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"}
    answer = arm.put(COMPUTE, document)
    assert answer.status_code == 200 and arm.follow(answer)["status"] == "Succeeded"
    after = arm.get(COMPUTE).json()["properties"]["properties"]
    private = after["systemServices"][0]["publicIpAddress"]
    assert private.startswith("10.1.") and private != public and after["loadBalancerType"] == "InternalLoadBalancer"
    assert after["agentCount"] == inner["agentCount"]


def test_rules_refuse_before_anything_is_made(arm: Arm) -> None:
    arm.workspace()
    version = arm.engine.snapshot().version
    body = cluster()
    body["properties"]["properties"]["aksNetworkingConfiguration"]["serviceCidr"] = "10.1.0.0/16"
    body["properties"]["properties"]["aksNetworkingConfiguration"]["dnsServiceIP"] = "10.1.0.10"
    found = error(arm.put(COMPUTE, body), 400, "ServiceCidrOverlapExistingSubnetsCidr")
    assert "10.1.0.0/22" in found["message"]
    error(arm.put(COMPUTE, {"properties": {"computeType": "AmlCompute"}, "location": "eastus2"}), 400, "NotSupported")
    error(arm.get(COMPUTE), 404, "NotFound")
    assert arm.engine.snapshot().version == version


def test_a_failure_is_told_everywhere(arm: Arm) -> None:
    arm.workspace()
    arm.driver.break_after_start("router/", "RouterFailed", "it ended with exit code 1")
    status = arm.follow(arm.put(COMPUTE, cluster()))
    assert status["status"] == "Failed" and status["error"]["code"] == "RouterFailed"
    shown = arm.get(COMPUTE).json()["properties"]
    assert shown["provisioningState"] == "Failed"
    assert shown["provisioningErrors"] == [{"error": {"code": "RouterFailed", "message": "it ended with exit code 1"}}]


def test_a_second_request_has_to_wait(arm: Arm) -> None:
    arm.workspace()
    arm.driver.slow_down("router/", 60.0)
    arm.put(COMPUTE, cluster())
    error(arm.put(COMPUTE, cluster()), 409, "AnotherOperationInProgress")


def test_deletion(arm: Arm) -> None:
    arm.workspace()
    arm.made(COMPUTE, cluster())
    behind = arm.get(COMPUTE).json()["properties"]["resourceId"]
    error(arm.send("DELETE", f"{VNET}/subnets/default"), 400, "InUseSubnetCannotBeDeleted")
    error(arm.send("DELETE", COMPUTE, query="underlyingResourceAction=explode"), 400, "InvalidParameter")
    answer = arm.send("DELETE", COMPUTE, query="underlyingResourceAction=delete")
    assert answer.status_code == 202 and arm.follow(answer)["status"] == "Succeeded"
    error(arm.get(behind), 404, "ResourceNotFound")
    assert arm.send("DELETE", COMPUTE).status_code == 204


def test_credentials_are_handed_out(arm: Arm) -> None:
    arm.workspace()
    error(arm.send("POST", f"{COMPUTE}/listKeys", {}), 404, "NotFound")
    arm.made(COMPUTE, cluster())
    found = arm.send("POST", f"{COMPUTE}/listKeys", {}).json()
    assert found["computeType"] == "AKS" and found["userKubeConfig"] and found["adminKubeConfig"]
