"""Web services over HTTP, on the engine with the memory driver: the whole life of one, and what is refused."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.ml.plane import Plane, refusal

COMMON = {"name", "description", "kvTags", "properties", "computeType", "createdTime", "updatedTime", "state", "error", "models"}
AKS = {"appInsightsEnabled", "authEnabled", "aadAuthEnabled", "computeName", "numReplicas", "scoringUri", "scoringTimeoutMs"}
AKS |= {"maxConcurrentRequestsPerContainer", "maxQueueWaitMs", "autoScaler", "containerResourceRequirements"}
AKS |= {"dataCollection", "livenessProbeRequirements", "environmentImageRequest"}
NESTED = {
    "autoScaler": {"autoscaleEnabled", "maxReplicas", "minReplicas", "refreshPeriodInSeconds", "targetUtilization"},
    "containerResourceRequirements": {"cpu", "cpuLimit", "memoryInGB", "memoryInGBLimit", "gpu"},
    "dataCollection": {"eventHubEnabled", "storageEnabled"},
}


def verdict(plane: Plane, kind: str, name: str = "diabetes", create: object = None, update: object = None) -> str | None:
    body = {"type": kind, "serviceName": name, "createRequest": create, "updateRequest": update}
    answer = plane.client.post(plane.url("services/validate"), json=body)
    assert answer.status_code == 200, answer.text
    error: dict[str, str] | None = answer.json().get("error")
    return None if error is None else error["message"]


def test_a_service_is_there_at_once_and_healthy_in_the_end(plane: Plane) -> None:
    model = plane.model()
    plane.driver.slow_down("pod/", 0.3)
    payload = plane.payload()
    payload["environmentImageRequest"]["modelIds"] = [model["id"]]
    assert plane.client.post(plane.url("services/validate/name/diabetes"), json={}).json() == {}
    assert verdict(plane, "Create", create=payload) is None
    assert plane.client.post(plane.url("services/validate/resource"), json=payload).json() == {}
    answer = plane.client.post(plane.url("services"), json=payload)
    assert answer.status_code == 202 and re.fullmatch(r"https://.*/operations/[0-9a-f-]+", answer.headers["operation-location"])
    at_once = plane.client.get(plane.url("services/diabetes"), params={"expand": "true"}).json()
    assert at_once["state"] == "Transitioning" and at_once["scoringUri"] is None
    assert plane.ended(answer)["state"] == "Succeeded"
    healthy = plane.client.get(plane.url("services/diabetes")).json()
    assert healthy["state"] == "Healthy" and healthy["error"] is None
    address = next(
        iter(plane.client.get(plane.url("computes/aks", "rp/workspaces")).json()["properties"]["properties"]["systemServices"])
    )
    assert healthy["scoringUri"] == f"http://{address['publicIpAddress']}/api/v1/service/diabetes/score"
    assert [m["id"] for m in healthy["models"]] == [model["id"]]


def test_a_document_has_every_must_have_field_and_no_secret(plane: Plane) -> None:
    document = plane.deploy()
    assert document.keys() >= COMMON | AKS
    for name, fields in NESTED.items():
        assert fields <= document[name].keys()
    assert document["livenessProbeRequirements"] is None or len(document["livenessProbeRequirements"]) >= 5
    keys = plane.client.post(plane.url("services/diabetes/listkeys")).json()
    assert all(key not in str(document) for key in keys.values()) and "primaryKey" not in document and "files" not in document
    assert document["environmentImageRequest"]["environment"]["python"]
    assert plane.client.get(plane.url("environments/env", "environment/v1.0")).json()["version"] == "1"


def test_the_live_log_is_polled_by_offset(plane: Plane) -> None:
    plane.driver.slow_down("pod/", 0.4)
    answer = plane.client.post(plane.url("services"), json=plane.payload())
    url = plane.url("operations/" + answer.headers["operation-location"].rpartition("/")[2])
    assert "streamingOperationLog" not in plane.client.get(url).json()
    offset, text, state = 0, "", "Running"
    while state == "Running":
        found = plane.client.get(url, params={"offset": offset}).json()
        text, state = text + found["streamingOperationLog"], found["state"]
        offset = len(text)
    records = [record for record in text.split("#") if record]
    assert all(re.fullmatch(r"\d{14}\|[^|#]+", record) for record in records), records
    assert any("would install scikit-learn" in record for record in records)
    link = urlsplit(plane.client.get(url).json()["operationLog"])
    opened = plane.client.get(f"{link.path}?{link.query}", headers={"Authorization": ""})
    assert opened.status_code == 200 and "would install scikit-learn" in opened.text
    assert plane.client.get(f"{link.path}?{link.query}x", headers={"Authorization": ""}).status_code == 401


def test_an_environment_that_cannot_be_built_fails_the_deployment_with_its_log(plane: Plane) -> None:
    plane.driver.break_after_start("env/", "ImageBuildFailure", "No such package: nothing-of-that-name.")
    answer = plane.client.post(plane.url("services"), json=plane.payload())
    ended = plane.ended(answer)
    assert ended["state"] == "Failed" and ended["error"]["code"] == "ImageBuildFailure"
    assert ended["operationDetails"]["subOperationType"] == "BuildEnvironment" and "/log?" in ended["operationLog"]
    document = plane.client.get(plane.url("services/diabetes")).json()
    assert document["state"] == "Failed" and document["error"]["message"].startswith("No such package")


def test_keys_are_made_given_and_regenerated(plane: Plane) -> None:
    plane.deploy()
    made = plane.client.post(plane.url("services/diabetes/listkeys")).json()
    assert [len(made[k]) for k in ("primaryKey", "secondaryKey")] == [32, 32] and made["primaryKey"] != made["secondaryKey"]
    for body, kept in (
        ({"keyType": "Primary", "keyValue": None}, "secondaryKey"),
        ({"keyType": "Secondary", "keyValue": "mine"}, ""),
    ):
        answer = plane.client.post(plane.url("services/diabetes/regenerateKeys"), json=body)
        assert answer.status_code == 202 and plane.ended(answer)["state"] == "Succeeded"
        found = plane.client.post(plane.url("services/diabetes/listkeys")).json()
        assert found["primaryKey"] != made["primaryKey"] and (not kept or found[kept] == made[kept])
    assert found["secondaryKey"] == "mine"
    for wrong in ({"keyType": "Third"}, {"keyType": "Primary", "keyValue": "with space"}, {"keyType": "Primary", "keyValue": 1}):
        assert refusal(plane.client.post(plane.url("services/diabetes/regenerateKeys"), json=wrong))[0] == 400
    given = plane.payload("given", keys={"primaryKey": "one", "secondaryKey": "two"})
    plane.ended(plane.client.post(plane.url("services"), json=given))
    assert plane.client.post(plane.url("services/given/listkeys")).json() == {"primaryKey": "one", "secondaryKey": "two"}
    assert refusal(plane.client.post(plane.url("services/given/token"))) == (400, "AadAuthDisabled")


def test_keys_of_a_service_without_keys_are_not_told(plane: Plane) -> None:
    plane.deploy("open", authEnabled=False)
    assert refusal(plane.client.post(plane.url("services/open/listkeys"))) == (400, "KeyAuthDisabled")


def test_a_service_is_patched(plane: Plane) -> None:
    before = plane.deploy()
    keys = plane.client.post(plane.url("services/diabetes/listkeys")).json()
    request = plane.payload()["environmentImageRequest"]
    patch = [
        {"op": "replace", "path": "/environmentImageRequest", "value": request},
        {"op": "replace", "path": "/numReplicas", "value": 2},
        {"op": "replace", "path": "/description", "value": "second"},
        {"op": "replace", "path": "/kvTags", "value": {"a": "b"}},
        {"op": "add", "path": "/properties/p", "value": "q"},
        {"op": "replace", "path": "/containerResourceRequirements/cpu", "value": 0.25},
        {"op": "replace", "path": "/livenessProbeRequirements/periodSeconds", "value": 7},
    ]
    assert verdict(plane, "Update", update=patch) is None
    answer = plane.client.patch(plane.url("services/diabetes"), json=patch)
    assert answer.status_code == 202 and plane.ended(answer)["state"] == "Succeeded"
    after = plane.client.get(plane.url("services/diabetes")).json()
    assert (after["numReplicas"], after["description"], after["kvTags"], after["properties"]) == (
        2,
        "second",
        {"a": "b"},
        {"p": "q"},
    )
    assert after["containerResourceRequirements"]["cpu"] == 0.25 and after["containerResourceRequirements"]["memoryInGB"] == 1
    assert after["livenessProbeRequirements"]["periodSeconds"] == 7
    assert after["createdTime"] == before["createdTime"] and after["updatedTime"] > before["updatedTime"]
    assert plane.client.post(plane.url("services/diabetes/listkeys")).json() == keys
    assert plane.client.get(plane.url("services/diabetes/logs"), params={"tail": 1, "init": "False"}).json()["content"]


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "replace", "path": "/primaryKey", "value": "stolen"}],
        [{"op": "replace", "path": "/files", "value": []}],
        [{"op": "replace", "path": "/computeName", "value": "other"}],
        [{"op": "replace", "path": "/numReplicas", "value": "many"}],
        [{"op": "replace", "path": "/numReplicas", "value": 0}],
        [{"op": "replace", "path": "/imageId", "value": "x"}],
        [{"op": "replace", "path": f"/{name}", "value": True} for name in ("aadAuthEnabled", "authEnabled")],
        {"op": "replace"},
    ],
)
def test_patches_that_are_refused_change_nothing(plane: Plane, patch: object) -> None:
    before = plane.deploy()
    assert verdict(plane, "Update", update=patch) is not None
    assert refusal(plane.client.patch(plane.url("services/diabetes"), json=patch))[0] == 400
    assert plane.client.get(plane.url("services/diabetes")).json() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Bad_Name"}, "name"),
        ({"computeName": "none"}, "none"),
        ({"computeName": None}, "computeName"),
        ({"computeType": "VM"}, "ACI"),
        ({"computeType": "ACI"}, "Azure Container Instances"),
        ({"numReplicas": -1}, "numReplicas"),
        ({"containerResourceRequirements": {"cpu": 900, "memoryInGB": 1}}, "Couldn't Schedule"),
        ({"containerResourceRequirements": {"cpu": 1, "memoryInGB": 1, "gpu": 1}}, "GPU"),
        ({"aadAuthEnabled": True, "authEnabled": True}, "tokens"),
        ({"unknown": 1}, "unknown"),
        ({"files": []}, "files"),
        ({"primaryKey": "x"}, "primaryKey"),
        ({"keys": {"primaryKey": "a b"}}, "key"),
        ({"authEnabled": "perhaps"}, "authEnabled"),
    ],
)
def test_services_that_are_refused(plane: Plane, changes: dict[str, Any], words: str) -> None:
    payload = plane.payload() | changes
    name = str(payload["name"])
    assert words in (verdict(plane, "Create", name, create=payload) or "")
    answer = plane.client.post(plane.url("services"), json=payload)
    assert answer.status_code in (400, 409) and words in answer.text
    assert plane.client.get(plane.url("services")).json() == {"value": []}


@pytest.mark.parametrize(
    "break_it",
    [
        lambda r: r["assets"][0].update(url="aml://artifact/LocalUpload/none/none"),
        lambda r: r["assets"][0].update(url="https://example.com/a"),
        lambda r: r["assets"][0].update(id="../../etc/passwd"),
        lambda r: r.update(modelIds=["none:1"]),
        lambda r: r.update(driverProgram=None, environment=None),
        lambda r: r["environment"].update(environmentVariables={}),
        lambda r: r["environment"]["python"]["condaDependencies"].update(dependencies=["r-base"]),
        lambda r: r.update(environment={"name": "unregistered", "version": None}),
    ],
)
def test_image_requests_that_are_refused(plane: Plane, break_it: Any) -> None:
    payload = plane.payload()
    break_it(payload["environmentImageRequest"])
    assert verdict(plane, "Create", create=payload)
    assert refusal(plane.client.post(plane.url("services"), json=payload))[0] in (400, 404)
    assert plane.client.get(plane.url("services/diabetes")).status_code == 404


def test_a_registered_environment_can_be_named(plane: Plane) -> None:
    payload = plane.payload()
    environment = payload["environmentImageRequest"]["environment"]
    plane.client.put(
        plane.url("environments/mine", "environment/v1.0"), json={k: v for k, v in environment.items() if k != "version"}
    )
    payload["environmentImageRequest"]["environment"] = {"name": "mine", "version": "1"}
    answer = plane.client.post(plane.url("services"), json=payload)
    assert answer.status_code == 202 and plane.ended(answer)["state"] == "Succeeded"
    shown = plane.client.get(plane.url("services/diabetes")).json()["environmentImageRequest"]["environment"]
    assert shown["python"] == environment["python"] and shown["name"] == "mine"


def test_a_name_is_taken_once_unless_it_is_overwritten(plane: Plane) -> None:
    plane.deploy()
    keys = plane.client.post(plane.url("services/diabetes/listkeys")).json()
    taken = plane.client.post(plane.url("services/validate/name/diabetes"), json={}).json()
    assert "already exists" in taken["error"]["message"]
    assert "already exists" in (verdict(plane, "Create", create=plane.payload()) or "")
    assert refusal(plane.client.post(plane.url("services"), json=plane.payload())) == (409, "ServiceNameConflict")
    answer = plane.client.post(plane.url("services"), json=plane.payload(overwrite=True, description="over"))
    assert plane.ended(answer)["state"] == "Succeeded"
    assert plane.client.get(plane.url("services/diabetes")).json()["description"] == "over"
    assert plane.client.post(plane.url("services/diabetes/listkeys")).json() == keys


def test_services_are_listed_by_what_they_are(plane: Plane) -> None:
    model = plane.model()
    payload = plane.payload("one", kvTags={"a": "1"})
    payload["environmentImageRequest"]["modelIds"] = [model["id"]]
    plane.ended(plane.client.post(plane.url("services"), json=payload))
    plane.deploy("two", kvTags={"b": "2"})

    def listed(**query: str) -> list[str]:
        found = plane.client.get(plane.url("services"), params={"expand": "true", **query}).json()
        assert "nextLink" not in found
        return [service["name"] for service in found["value"]]

    assert listed() == ["one", "two"] == listed(computeType="AKS") and listed(computeType="ACI") == []
    assert listed(modelName="diabetes") == ["one"] == listed(modelId=model["id"]) == listed(tags="a=1") == listed(tags="a")
    assert listed(tags="a=2") == []


def test_a_deleted_service_is_gone(plane: Plane) -> None:
    plane.deploy()
    assert verdict(plane, "Delete") is None
    answer = plane.client.delete(plane.url("services/diabetes"))
    assert answer.status_code == 202 and plane.ended(answer)["state"] == "Succeeded"
    assert refusal(plane.client.get(plane.url("services/diabetes"))) == (404, "ServiceNotFound")
    assert plane.client.delete(plane.url("services/diabetes")).status_code == 204
    assert plane.client.get(plane.url("services")).json() == {"value": []}


def test_operations_of_others_are_not_shown(plane: Plane) -> None:
    model_operation = plane.engine.latest(plane.engine.snapshot().of_type("microsoft.machinelearningservices/workspaces")[0].id)
    assert model_operation is not None
    for id in (model_operation.id, "none", base64.b64encode(b"x").decode()):
        assert refusal(plane.client.get(plane.url(f"operations/{id}")))[0] == 404


def test_unknown_verdicts_are_refused(plane: Plane) -> None:
    answer: httpx.Response = plane.client.post(plane.url("services/validate"), json={"type": "Other", "serviceName": "a"})
    assert refusal(answer)[0] == 400
