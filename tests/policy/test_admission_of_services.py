"""What is refused of workspaces, models and services."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests import clouds
from tests.clouds import Cloud, environment, served_cloud, service, ws_path

from ringfence.model import errors
from ringfence.model.resource import ProvisioningState

SERVICE = f"{ws_path()}/services/other"


def refused(cloud: Cloud, body: dict[str, Any], path: str = SERVICE) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(path, body, location=None)
    assert cloud.snapshot is before
    return refusal.value


def resources(**more: Any) -> dict[str, Any]:
    return {"containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1, **more}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"computeName": "nowhere"}, "ComputeNotFound"),
        ({"computeName": None}, "ComputeNameRequired"),
        ({"computeName": "../computes/myaks"}, "ComputeNotFound"),
        ({"computeType": "ACI"}, "NotSupported"),
        ({"numReplicas": 0}, "InvalidReplicaCount"),
        ({"numReplicas": -1}, "InvalidReplicaCount"),
        ({"numReplicas": 10**9}, "InvalidReplicaCount"),
        ({"numReplicas": 100}, "KubernetesDeploymentFailed"),
        ({"autoScaler": {"autoscaleEnabled": True, "minReplicas": 3, "maxReplicas": 2}}, "InvalidParameter"),
        ({"autoScaler": {"autoscaleEnabled": True, "minReplicas": 0}}, "InvalidReplicaCount"),
        ({"autoScaler": {"autoscaleEnabled": True, "maxReplicas": 1001}}, "InvalidParameter"),
        ({"autoScaler": {"autoscaleEnabled": True, "targetUtilization": 0}}, "InvalidParameter"),
        ({"autoScaler": {"autoscaleEnabled": True, "targetUtilization": 101}}, "InvalidParameter"),
        ({"autoScaler": {"autoscaleEnabled": True, "refreshPeriodInSeconds": 0}}, "InvalidParameter"),
        ({"autoScaler": {"autoscaleEnabled": True, "minReplicas": 100}}, "KubernetesDeploymentFailed"),
        (resources(cpu=0), "InvalidContainerResources"),
        (resources(cpu=-1), "InvalidContainerResources"),
        (resources(memoryInGB=0), "InvalidContainerResources"),
        (resources(cpu=2, cpuLimit=1), "InvalidContainerResources"),
        (resources(cpu=13), "KubernetesDeploymentFailed"),
        (resources(gpu=1), "NotSupported"),
        ({"scoringTimeoutMs": 0}, "InvalidParameter"),
        ({"maxConcurrentRequestsPerContainer": 0}, "InvalidParameter"),
        ({"environmentImageRequest": {"modelIds": ["nothing:1"], "environment": environment()}}, "ModelNotFound"),
        ({"environmentImageRequest": {"modelIds": ["diabetes"], "environment": environment()}}, "ModelNotFound"),
        ({"environmentImageRequest": {"modelIds": ["diabetes:1"]}}, "NotSupported"),
        ({"environmentImageRequest": {"environment": environment(script="")}}, "EntryScriptRequired"),
        ({"aadAuthEnabled": True}, "InvalidParameter"),
        ({"aadAuthEnabled": True, "authEnabled": False}, "InvalidParameter"),
        ({"appInsightsEnabled": True}, "NotSupported"),
        ({"dataCollection": {"eventHubEnabled": True, "storageEnabled": False}}, "NotSupported"),
        ({"primaryKey": ""}, "InvalidParameter"),
    ],
)
def test_service(change: dict[str, Any], code: str) -> None:
    assert refused(served_cloud(), service() | change).code == code


@pytest.mark.parametrize("name", ["ab", "Upper", "1st", "ends-", "under_score", "a" * 33])
def test_names_of_services(name: str) -> None:
    assert refused(served_cloud(), service(), f"{ws_path()}/services/{name}").code == "InvalidServiceName"


def test_several_services_share_the_cores_of_a_cluster() -> None:
    cloud = served_cloud()
    large = service() | resources(cpu=6)
    cloud.put(SERVICE, large, location=None)
    problem = refused(cloud, large, f"{ws_path()}/services/third")
    assert problem.code == "KubernetesDeploymentFailed" and "12.5 cores" in problem.message
    cloud.put(SERVICE, large, location=None)


def test_a_cluster_does_not_shrink_below_its_services() -> None:
    cloud = served_cloud()
    cloud.put(SERVICE, service() | resources(cpu=6), location=None)
    path = f"{ws_path()}/computes/myaks"
    small = clouds.aks(clouds.vnet_path("mynetwork"), agentCount=1, clusterPurpose="DevTest")
    with pytest.raises(errors.Invalid) as refusal:
        cloud.put(path, small)
    assert refusal.value.code == "KubernetesDeploymentFailed"
    cloud.gone(SERVICE)
    cloud.put(path, small)


@pytest.mark.parametrize("state", [ProvisioningState.CREATING, ProvisioningState.FAILED, ProvisioningState.DELETING])
def test_a_cluster_that_is_not_there_yet_takes_no_services(state: ProvisioningState) -> None:
    cloud = served_cloud()
    cluster = cloud.snapshot.need(clouds.rid(f"{ws_path()}/computes/myaks"))
    cloud.snapshot = cloud.snapshot.changed([dataclasses.replace(cluster, state=state)])
    assert refused(cloud, service()).code == "ComputeResourceNotCreated"


def test_an_autoscaler_that_stands_still_is_a_number_of_replicas() -> None:
    cloud = served_cloud()
    cloud.put(SERVICE, service(autoScaler={"autoscaleEnabled": True, "minReplicas": 2, "maxReplicas": 2}), location=None)
    cloud.put(SERVICE, service(autoScaler={"autoscaleEnabled": True}), location=None)


def test_a_service_stays_on_its_cluster() -> None:
    cloud = served_cloud()
    cloud.put(f"{ws_path()}/computes/other", clouds.aks())
    assert refused(cloud, service("other"), f"{ws_path()}/services/diabetes").code == "ComputeCannotBeChanged"


def test_models_and_assets_in_use_stay() -> None:
    cloud = served_cloud()
    for path, code in (
        (f"{ws_path()}/models/diabetes/versions/1", "ModelInUse"),
        (f"{ws_path()}/assets/diabetes-1", "AssetInUse"),
    ):
        with pytest.raises(errors.Conflict) as refusal:
            cloud.delete(path)
        assert refusal.value.code == code


def test_a_model_needs_its_asset() -> None:
    body = {"name": "lost", "version": 1, "url": "aml://asset/none"}
    assert refused(served_cloud(), body, f"{ws_path()}/models/lost/versions/1").code == "InvalidResourceReference"


@pytest.mark.parametrize(("name", "version"), [("-bad", "1"), ("good", "0"), ("good", "one"), ("a" * 256, "1")])
def test_names_of_models(name: str, version: str) -> None:
    body = {"name": name, "version": 1, "url": "aml://asset/diabetes-1"}
    assert refused(served_cloud(), body, f"{ws_path()}/models/{name}/versions/{version}").code in (
        "InvalidName",
        "InvalidModelVersion",
    )


def test_a_workspace_names_only_what_exists() -> None:
    account = str(clouds.rid("mlgroup/Microsoft.Storage/storageAccounts/none"))
    cloud = served_cloud()
    before = cloud.snapshot
    with pytest.raises(errors.Invalid) as refusal:
        cloud.put(ws_path("second"), {"storageAccount": account})
    assert refusal.value.code == "InvalidResourceReference" and cloud.snapshot is before
