"""The data plane over HTTP: who comes in, artifacts, assets, models, environments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.ml.plane import WORKSPACE, Plane, refusal

from ringfence.api.entra import tokens
from ringfence.model.ids import ResourceId


def test_discovery_needs_no_token_and_names_every_service(plane: Plane) -> None:
    for path in ("/discovery", "/discovery/workspaces/any"):
        found = plane.client.get(path, headers={"Authorization": ""}).json()
        assert {"api", "history", "experimentation", "hyperdrive", "modelmanagement", "studio"} <= found.keys()
        assert set(found.values()) == {"https://eastus2.api.azureml.ms"}


@pytest.mark.parametrize("service", ["modelmanagement/v1.0", "artifact/v2.0", "environment/v1.0", "rp/workspaces", "other/v1"])
def test_everything_else_asks_who_is_calling(plane: Plane, service: str) -> None:
    answer = plane.client.get(plane.url("models", service), headers={"Authorization": ""})
    assert refusal(answer) == (401, "AuthenticationFailedInvalidHeader")
    assert answer.headers["www-authenticate"].startswith('Bearer authorization_uri="https://login.microsoftonline.com/')


def test_tokens_for_the_data_plane_hold_and_others_do_not(plane: Plane) -> None:
    subject = tokens.Subject("app", "oid")
    own = {"Authorization": f"Bearer {plane.signer.issue(subject, 'https://ml.azure.com')}"}
    assert plane.client.get(plane.url("models"), headers=own).status_code == 200
    graph = {"Authorization": f"Bearer {plane.signer.issue(subject, 'https://graph.microsoft.com')}"}
    assert refusal(plane.client.get(plane.url("models"), headers=graph)) == (401, "InvalidAuthenticationTokenAudience")
    plane.clock.shift = dt.timedelta(hours=2)
    assert refusal(plane.client.get(plane.url("models"))) == (401, "ExpiredAuthenticationToken")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/modelmanagement/v1.0" + str(WORKSPACE).replace("/ws", "/none") + "/models", 404, "ResourceNotFound"),
        ("/modelmanagement/v1.0" + str(WORKSPACE).replace("/group", "/none") + "/models", 404, "ResourceGroupNotFound"),
        (f"/modelmanagement/v1.0{WORKSPACE}/nothing", 404, "NotFound"),
        (f"/modelmanagement/v1.0{WORKSPACE}/models/%2e%2e:1", 400, "InvalidResourceId"),
        (f"/modelmanagement/v1.0{WORKSPACE}/services/a%2Fb", 400, "InvalidResourceId"),
        (f"/modelmanagement/v1.0{WORKSPACE}/services/a%00b", 400, "BadRequest"),
        (f"/modelmanagement/v1.0{WORKSPACE}/services/{'a' * 10_000}", 400, "InvalidResourceId"),
        (f"/modelmanagement/v1.0{WORKSPACE}/%ff", 400, "BadRequest"),
        ("/", 404, "NotFound"),
    ],
)
def test_paths_that_lead_nowhere(plane: Plane, path: str, status: int, code: str) -> None:
    assert refusal(plane.client.get(httpx.URL("https://eastus2.api.azureml.ms", raw_path=path.encode()))) == (status, code)


def test_case_and_double_slashes_do_not_matter(plane: Plane) -> None:
    url = plane.url("models").replace("resourceGroups", "resourcegroups").replace("/providers", "//providers").upper()
    assert plane.client.get(url).json() == {"value": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b'{"name": NaN}', 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'"' + b"a" * 5_000_000 + b'"', 413),
        (b"", 400),
    ],
)
def test_bodies_that_are_refused(plane: Plane, body: bytes, status: int) -> None:
    answer = plane.client.post(plane.url("models"), content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer)[0] == status


def test_an_artifact_is_uploaded_and_found_again(plane: Plane) -> None:
    id = plane.upload("dir/a b.txt", b"hello")
    assert id == "LocalUpload/c1/dir/a b.txt"
    one = plane.client.get(plane.url("artifacts/contentinfo/LocalUpload/c1/dir/a b.txt", "artifact/v2.0")).json()
    assert one["path"] == "dir/a b.txt" and plane.storage.get(one["contentUri"]).content == b"hello"
    assert plane.storage.put(one["contentUri"], content=b"x", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 403
    below = plane.client.get(plane.url("artifacts/prefix/contentinfo/LocalUpload/c1/dir/", "artifact/v2.0")).json()
    assert [entry["path"] for entry in below["value"]] == ["dir/a b.txt"] and below["continuationToken"] is None
    listed = plane.client.get(plane.url("artifacts/LocalUpload/c1", "artifact/v2.0")).json()
    assert [entry["artifactId"] for entry in listed["value"]] == [id]
    assert refusal(plane.client.get(plane.url("artifacts/contentinfo/LocalUpload/c1/other", "artifact/v2.0")))[0] == 404


@pytest.mark.parametrize("path", ["../up", "/abs", "a//b", "a/./b", "", "a\x00b", "x" * 2000])
def test_artifact_paths_that_are_refused_one_by_one(plane: Plane, path: str) -> None:
    body = {"paths": [{"path": path}, {"path": "fine"}]}
    answer = plane.client.post(plane.url("artifacts/batch/metadata/LocalUpload/c1", "artifact/v2.0"), json=body)
    if not path:
        assert refusal(answer)[0] == 400
        return
    found = answer.json()
    assert list(found["artifacts"]) == ["fine"] and list(found["errors"]) == [path]
    assert found["errors"][path]["error"]["code"] == "UserError"


def test_versions_of_a_model_count_upwards(plane: Plane) -> None:
    documents = [plane.model(content=bytes([i])) for i in range(3)]
    assert [d["id"] for d in documents] == ["diabetes:1", "diabetes:2", "diabetes:3"]
    plane.model("other")
    newest = plane.client.get(plane.url("models"), params={"name": "diabetes", "count": 1}).json()
    assert newest["value"][0]["version"] == 3
    every, url = [], plane.url("models?count=2")
    while url:
        page = plane.client.get(url).json()
        every += [model["id"] for model in page["value"]]
        url = page.get("nextLink")
    assert every == ["other:1", "diabetes:3", "diabetes:2", "diabetes:1"]
    latest = plane.client.get(plane.url("models"), params={"latestVersionOnly": "true"}).json()
    assert [model["id"] for model in latest["value"]] == ["other:1", "diabetes:3"]


def test_models_registered_at_the_same_time_get_different_versions(plane: Plane) -> None:
    artifact = plane.upload("m.pkl", b"m")
    asset = plane.client.post(plane.url("assets"), json={"name": "m", "artifacts": [{"id": artifact}]}).json()["id"]
    body = {"name": "m", "url": f"aml://asset/{asset}", "datasets": []}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: plane.client.post(plane.url("models"), json=body).json()["version"], range(8)))
    assert sorted(found) == list(range(1, 9))


def test_a_model_document_has_what_the_sdk_reads(plane: Plane) -> None:
    document = plane.model()
    wanted = {"id", "name", "version", "createdTime", "createdBy", "description", "mimeType", "framework", "frameworkVersion"}
    assert wanted | {"properties", "unpack", "url", "experimentName", "runId", "datasets", "kvTags", "tags"} <= document.keys()
    assert document["datasets"] == [] and document["createdBy"]["userObjectId"] == "oid"
    dt.datetime.fromisoformat(document["createdTime"])
    assert plane.client.get(plane.url("models/diabetes%3A1")).json() == document
    asset = plane.client.get(plane.url("assets/" + document["url"].removeprefix("aml://asset/"))).json()
    assert asset["artifacts"][0]["prefix"].startswith("LocalUpload/") and "blobs" not in asset


def test_a_folder_keeps_its_name_below_the_asset(plane: Plane) -> None:
    plane.upload("folder/inner/part", b"1", "c9")
    plane.upload("folder2/other", b"2", "c9")
    body = {"name": "f", "artifacts": [{"prefix": "LocalUpload/c9/folder"}]}
    id = plane.client.post(plane.url("assets"), json=body).json()["id"]
    stored = plane.engine.snapshot().need(ResourceId.parse(f"{WORKSPACE}/assets/{id}")).properties.model_dump()
    assert [blob["path"] for blob in stored["blobs"]] == ["folder/inner/part"]


def test_a_model_is_patched_and_deleted(plane: Plane) -> None:
    plane.model()
    patch = [{"op": "replace", "path": "/description", "value": "new"}, {"op": "add", "path": "/kvTags/a", "value": "b"}]
    changed = plane.client.patch(plane.url("models/diabetes:1"), json=patch).json()
    assert changed["description"] == "new" and changed["kvTags"] == {"a": "b"}
    refused = plane.client.patch(plane.url("models/diabetes:1"), json=[{"op": "replace", "path": "/version", "value": 9}])
    assert refusal(refused) == (400, "BadRequest")
    assert plane.client.delete(plane.url("models/diabetes:1")).status_code == 200
    assert refusal(plane.client.get(plane.url("models/diabetes:1"))) == (404, "ModelNotFound")
    assert plane.client.delete(plane.url("models/diabetes:1")).status_code == 204


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"url": "aml://asset/none"}, 404),
        ({"url": "azureml://datastores/x"}, 400),
        ({"unknown": 1}, 400),
        ({"unpack": "perhaps"}, 400),
        ({"name": "a/b"}, 400),
        ({"name": "a:b"}, 400),
        ({"name": ".."}, 400),
        ({"name": None}, 400),
        ({"kvTags": {"a": {}}}, 400),
    ],
)
def test_models_that_are_refused(plane: Plane, changes: Mapping[str, object], status: int) -> None:
    url = plane.model("known")["url"]
    answer = plane.client.post(plane.url("models"), json={"name": "m", "url": url, "datasets": []} | dict(changes))
    assert refusal(answer)[0] == status
    assert plane.client.get(plane.url("models"), params={"name": "m"}).json() == {"value": []}


def test_a_model_id_has_two_parts(plane: Plane) -> None:
    for id in ("diabetes", "diabetes:x", ":1", "diabetes:-1"):
        assert refusal(plane.client.get(plane.url(f"models/{id}")))[0] == 400


ENVIRONMENT = {"Name": "sk", "python": {"condaDependencies": {}}, "EnvironmentVariables": {"A": "1"}, "Docker": {}, "Spark": {}}


def test_environments_are_versioned_and_the_same_one_stays_the_same(plane: Plane) -> None:
    url = plane.url("environments/sk", "environment/v1.0")
    first = plane.client.put(url, json=ENVIRONMENT).json()
    assert (first["name"], first["version"], first["environmentVariables"]) == ("sk", "1", {"A": "1"})
    assert plane.client.put(url, json=ENVIRONMENT).json()["version"] == "1"
    changed = ENVIRONMENT | {"python": {"condaDependencies": {"name": "x"}}}
    assert plane.client.put(url, json=changed).json()["version"] == "2"
    assert plane.client.put(url + "/versions/1", json=ENVIRONMENT).json()["version"] == "1"
    assert refusal(plane.client.put(url + "/versions/1", json=changed)) == (409, "EnvironmentVersionExists")
    assert plane.client.put(url + "/versions/named", json=changed | {"Docker": {"a": 1}}).json()["version"] == "named"
    assert plane.client.get(url + "/versions/2").json()["python"] == changed["python"]
    assert plane.client.get(url).json()["version"] == "named" == plane.client.get(url + "/labels/latest").json()["version"]
    listed = plane.client.get(plane.url("environments/", "environment/v1.0")).json()
    assert [e["version"] for e in listed["value"]] == ["named"] and listed["continuationToken"] is None


def test_a_registered_environment_is_built_by_itself(plane: Plane) -> None:
    url = plane.url("environments/sk", "environment/v2.0")
    python = {"condaDependencies": {"dependencies": ["python=3.11", {"pip": ["joblib"]}]}}
    plane.client.put(plane.url("environments/sk", "environment/v1.0"), json=ENVIRONMENT | {"python": python})
    assert plane.client.get(url + "/image").json()["imageExistsInRegistry"] is False
    plane.driver.slow_down("env/", 0.2)
    started = plane.client.post(url + "/versions/1/image", json={})
    assert started.status_code == 202
    location = started.json()["location"]
    assert location.startswith("https://eastus2.api.azureml.ms/environment/v2.0/subscriptions/")
    assert plane.client.get(location).json()["status"] == "Running"
    assert plane.engine.wait(location.rpartition("/")[2], 10).status.terminal
    ended = plane.client.get(location).json()
    assert ended["status"] == "Succeeded"
    assert "would install joblib" in plane.client.get(ended["logUrl"], headers={"Authorization": ""}).text
    assert plane.client.get(url + "/image").json()["imageExistsInRegistry"] is True


def test_an_environment_that_cannot_be_built_is_refused_or_fails(plane: Plane) -> None:
    url = plane.url("environments/sk", "environment/v1.0")
    conda = {"condaDependencies": {"dependencies": ["r-base"]}}
    plane.client.put(url, json=ENVIRONMENT | {"python": conda})
    answer = plane.client.post(url + "/versions/1/image", json={})
    assert refusal(answer)[0] == 400 and "r-base" in answer.text
    plane.client.put(url, json=ENVIRONMENT | {"python": {"condaDependencies": {"dependencies": ["python=3.11"]}}})
    plane.driver.break_after_start("env/", "ImageBuildFailure", "No such package.")
    location = plane.client.post(url + "/versions/2/image", json={}).json()["location"]
    plane.engine.wait(location.rpartition("/")[2], 10)
    ended = plane.client.get(location).json()
    assert ended["status"] == "Failed" and ended["error"]["code"] == "ImageBuildFailure"
    assert "No such package." in plane.client.get(ended["logUrl"], headers={"Authorization": ""}).text


@pytest.mark.parametrize("body", [{}, {"python": 1}, {"python": {}, "unknown": 1}, [], None])
def test_environments_that_are_refused(plane: Plane, body: object) -> None:
    assert refusal(plane.client.put(plane.url("environments/sk", "environment/v1.0"), json=body))[0] == 400
    assert refusal(plane.client.get(plane.url("environments/sk", "environment/v1.0")))[0] == 404


def test_computes_are_shown_as_resource_manager_shows_them(plane: Plane) -> None:
    one = plane.client.get(plane.url("computes/aks", "rp/workspaces")).json()
    inner = {
        "agentVmSize",
        "agentCount",
        "clusterPurpose",
        "clusterFqdn",
        "systemServices",
        "loadBalancerType",
        "sslConfiguration",
    }
    assert inner <= one["properties"]["properties"].keys() and one["properties"]["provisioningState"] == "Succeeded"
    assert plane.client.get(plane.url("computes", "rp/workspaces")).json() == {"value": [one]}
    assert refusal(plane.client.get(plane.url("computes/none", "rp/workspaces"))) == (404, "ComputeNotFound")
