"""Runs in the official client's own interpreter: the flows of a user, with assertions. Imports nothing of Ringfence.

    sdk_client.py SEED SOURCE

SEED: folder of the document's snippets; SOURCE: folder with an entry script and a conda file.
The SDK is as installed; only its waiting is shortened, because its intervals are fixed.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# The client's packages are not in the environment that mypy sees.

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import sys
import time
import uuid
from typing import Any

import requests
from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AksCompute
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AksWebservice, Webservice
from azureml.exceptions import ComputeTargetException, WebserviceException

SEED, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
ARM = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}"
AUTH = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(float(seconds), 0.2))


def put(path: str, version: str, body: Any) -> Any:
    answer = requests.put(f"{ARM}/{path}?api-version={version}", json=body, headers=AUTH.get_authentication_header(), timeout=30)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def networks() -> None:
    for group in ("myresourcegroup", "mygroup", "myvnetresourcegroup"):
        put(f"resourceGroups/{group}", "2024-03-01", {"location": "eastus2"})
    for group, name, prefix in (("mygroup", "mynetwork", "10.1.0.0"), ("myvnetresourcegroup", "myvnetname", "10.2.0.0")):
        subnets = [{"name": "default", "properties": {"addressPrefix": f"{prefix}/22"}}]
        body = {"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": [f"{prefix}/16"]}, "subnets": subnets}}
        put(f"resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}", "2024-01-01", body)


def workspace(name: str) -> Workspace:
    kind = "providers/Microsoft.MachineLearningServices/workspaces"
    put(f"resourceGroups/myresourcegroup/{kind}/{name}", "2022-05-01", {"location": "eastus2", "properties": {}})
    return Workspace.get(name=name, subscription_id=SUBSCRIPTION, resource_group="myresourcegroup", auth=AUTH)


def seed(number: int, **given: Any) -> dict[str, Any]:
    names = dict(given)
    exec(compile((SEED / f"snippet{number}.py").read_text(), f"snippet{number}.py", "exec"), names)
    return names


def grant(ws: Workspace, group: str) -> None:
    """Network Contributor on the group of a network for the identity of the cluster behind `myaks`."""
    behind = AksCompute(ws, "myaks").cluster_resource_id
    at = f"https://management.azure.com{behind}?api-version=2024-02-01"
    cluster = requests.get(at, headers=AUTH.get_authentication_header(), timeout=30).json()
    role = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7"
    body = {"properties": {"roleDefinitionId": role, "principalId": cluster["identity"]["principalId"]}}
    name = uuid.uuid5(uuid.NAMESPACE_URL, behind)
    put(f"resourceGroups/{group}/providers/Microsoft.Authorization/roleAssignments/{name}", "2022-04-01", body)


def clusters(ws: Workspace, other: Workspace) -> None:
    seed(1, ws=ws)["aks_target"].wait_for_completion(show_output=True)
    cluster = AksCompute(ws, "myaks")
    assert cluster.provisioning_state == "Succeeded" and cluster.agent_count == 3
    public = [s.public_ip_address for s in cluster.system_services if s.public_ip_address]
    with contextlib.suppress(ComputeTargetException):
        seed(2, ws=other, aks_cluster_name="nosuchcluster")
    refused = AksCompute(other, "myaks")
    assert refused.provisioning_state == "Failed" and "LinkedAuthorizationFailed" in str(refused.provisioning_errors)
    grant(ws, "mygroup")
    grant(other, "myvnetresourcegroup")
    seed(2, ws=other, aks_cluster_name="nosuchcluster")
    assert AksCompute(other, "myaks").load_balancer_type == "InternalLoadBalancer"
    seed(2, ws=other, aks_cluster_name="myaks")
    seed(3, ws=ws)
    moved = AksCompute(ws, "myaks")
    private = [s.public_ip_address for s in moved.system_services if s.public_ip_address]
    assert public[0].startswith("198.19.") and private[0].startswith("10.1."), (public, private)
    assert sorted(ws.compute_targets) == ["myaks"]


def configuration(description: str) -> InferenceConfig:
    environment = Environment.from_conda_specification("diabetes", str(SOURCE / "environment.yml"))
    return InferenceConfig(
        entry_script="score.py", source_directory=str(SOURCE), environment=environment, description=description
    )


def models(ws: Workspace) -> Model:
    pathlib.Path("diabetes.pkl").write_bytes(os.urandom(1000))
    pathlib.Path("folder/inner").mkdir(parents=True)
    pathlib.Path("folder/inner/part").write_text("x" * 10)
    first = Model.register(ws, model_path="diabetes.pkl", model_name="diabetes", tags={"kind": "ridge"}, description="d")
    second = Model.register(ws, model_path="diabetes.pkl", model_name="diabetes")
    folder = Model.register(ws, model_path="folder", model_name="folder")
    assert (first.id, second.id, folder.version) == ("diabetes:1", "diabetes:2", 1) and first.tags == {"kind": "ridge"}
    assert Model(ws, "diabetes").version == 2 and Model(ws, "diabetes", version=1).id == first.id
    assert {model.id for model in Model.list(ws)} == {"diabetes:1", "diabetes:2", "folder:1"}
    assert [model.id for model in Model.list(ws, name="diabetes", latest=True)] == ["diabetes:2"]
    path = first.download(target_dir="down", exist_ok=True)
    assert pathlib.Path(path).read_bytes() == pathlib.Path("diabetes.pkl").read_bytes()
    folder.download(target_dir="down", exist_ok=True)
    assert pathlib.Path("down/folder/inner/part").read_text() == "x" * 10
    with open("large.bin", "wb") as large:
        large.truncate(70 * 1024 * 1024)
    assert Model.register(ws, model_path="large.bin", model_name="large").version == 1
    first.add_tags({"more": "1"})
    assert Model(ws, id="diabetes:1").tags == {"kind": "ridge", "more": "1"}
    folder.delete()
    try:
        Model(ws, "folder")
    except WebserviceException as missing:
        assert "ModelNotFound" in str(missing)
    else:
        raise AssertionError("a deleted model was found")
    return second


def environments(ws: Workspace) -> None:
    environment = Environment.from_conda_specification("sklearn", str(SOURCE / "environment.yml"))
    assert environment.register(ws).version == "1" and environment.register(ws).version == "1"
    environment.python.conda_dependencies.add_pip_package("joblib")
    assert environment.register(ws).version == "2"
    assert Environment.get(ws, "sklearn").version == "2" and Environment.get(ws, "sklearn", version="1").name == "sklearn"
    assert "sklearn" in Environment.list(ws)
    built = environment.build(ws)
    built.wait_for_completion(show_output=True)
    assert built.status == "Succeeded" and "would install joblib" in built.get_log()
    assert environment.get_image_details(ws).image_exist


def services(ws: Workspace, model: Model) -> None:
    wanted = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=1, num_replicas=1, autoscale_enabled=False)
    target = AksCompute(ws, "myaks")
    service = Model.deploy(ws, "diabetes", [model], configuration("first"), wanted, target)
    assert service.state == "Transitioning" and not service.scoring_uri
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        service.wait_for_deployment(show_output=True)
    print(said.getvalue())
    assert "Running" in said.getvalue() and "would install scikit-learn" in said.getvalue()
    assert service.state == "Healthy", service.serialize()
    assert service.scoring_uri.startswith("http://10.1.") and service.scoring_uri.endswith("/api/v1/service/diabetes/score")
    assert [m.id for m in service.models] == [model.id] and service.environment.name == "diabetes"
    assert "ready" in service.get_logs()
    keys = service.get_keys()
    assert all(len(key) == 32 for key in keys) and keys[0] != keys[1]
    service.regen_key("Primary")
    assert service.get_keys()[1] == keys[1] and service.get_keys()[0] not in keys
    service.regen_key("Secondary", set_key="chosen")
    assert service.get_keys()[1] == "chosen"
    refused(lambda: Model.deploy(ws, "diabetes", [model], configuration("again"), wanted, target), "already exists")
    refused(lambda: Model.deploy(ws, "Bad_Name", [model], configuration("name"), wanted, target), "name")
    huge = AksWebservice.deploy_configuration(cpu_cores=900, memory_gb=1, num_replicas=1, autoscale_enabled=False)
    refused(lambda: Model.deploy(ws, "huge", [model], configuration("huge"), huge, target), "Couldn't Schedule")
    service.update(inference_config=configuration("second"), num_replicas=2, description="second", tags={"a": "b"})
    service.wait_for_deployment(show_output=True)
    again = AksWebservice(ws, "diabetes")
    assert (again.description, again.num_replicas, again.tags) == ("second", 2, {"a": "b"}), again.serialize()
    assert again.get_keys()[1] == "chosen"
    assert [s.name for s in Webservice.list(ws, compute_type="AKS", model_name="diabetes")] == ["diabetes"]
    overwritten = Model.deploy(ws, "diabetes", [model], configuration("third"), wanted, target, overwrite=True)
    overwritten.wait_for_deployment()
    assert AksWebservice(ws, "diabetes").num_replicas == 1 and overwritten.get_keys()[1] == "chosen"
    again.delete()
    assert Webservice.list(ws) == []
    refused(lambda: AksWebservice(ws, "diabetes"), "WebserviceNotFound")


def refused(action: Any, words: str) -> None:
    try:
        action()
    except WebserviceException as refusal:
        assert words in str(refusal), str(refusal)
        return
    raise AssertionError(f"nothing was refused for {words!r}")


def main() -> None:
    networks()
    ws, other = workspace("myworkspace"), workspace("myotherworkspace")
    clusters(ws, other)
    environments(ws)
    services(ws, models(ws))
    print("all of it")


if __name__ == "__main__":
    main()
