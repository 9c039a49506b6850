"""The official Kubernetes client, unmodified, with kubeconfigs of Azure. Run by the clients' Python in `tests.ml.sdk_world`."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

import requests

from kubernetes import client, config, watch

SUBSCRIPTION = f"/subscriptions/{os.environ['RINGFENCE_SUBSCRIPTION_ID']}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/mygroup"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
COMPUTE = f"{WORKSPACE}/computes/myaks"


def token() -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
        "client_secret": os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
        "scope": "https://management.azure.com/.default",
    }
    tenant = os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"]
    answer = requests.post(f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", data=form, timeout=10)
    return str(answer.json()["access_token"])


def arm(session: requests.Session, method: str, path: str, body: object = None) -> Any:
    answer = session.request(method, f"https://management.azure.com{path}?api-version=2024-02-01", json=body, timeout=10)
    assert answer.status_code < 300, answer.text
    return answer.json()


def cluster(session: requests.Session) -> str:
    """The id of the managed cluster of a compute with an internal load balancer."""
    arm(session, "PUT", GROUP, {"location": "eastus2"})
    arm(session, "PUT", WORKSPACE, {"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}})
    inner = {"loadBalancerType": "InternalLoadBalancer"}
    arm(session, "PUT", COMPUTE, {"location": "eastus2", "properties": {"computeType": "AKS", "properties": inner}})
    deadline = time.monotonic() + 20
    while True:
        found = arm(session, "GET", COMPUTE)["properties"]
        if found["provisioningState"] == "Succeeded":
            return str(found["resourceId"])
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def credentials(session: requests.Session, id: str, action: str) -> None:
    """Load what Azure hands out, as `az aks get-credentials` stores it."""
    found = arm(session, "POST", f"{id}/{action}")["kubeconfigs"][0]["value"]
    with open("kubeconfig", "wb") as file:
        file.write(base64.b64decode(found))
    config.load_kube_config("kubeconfig")


def as_administrator() -> None:
    core, apps, reviews = client.CoreV1Api(), client.AppsV1Api(), client.AuthorizationV1Api()
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    nodes = core.list_node().items
    assert len(nodes) == 3 and all(n.status.addresses[0].address.startswith("10.224.") for n in nodes)
    pods = core.list_pod_for_all_namespaces().items
    assert {p.metadata.name.split("-")[0] for p in pods} == {"azureml", "coredns"}
    assert {p.spec.node_name for p in pods} <= {n.metadata.name for n in nodes}
    balancer = core.read_namespaced_service("azureml-fe", "default")
    assert balancer.metadata.annotations == {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    assert balancer.status.load_balancer.ingress[0].ip.startswith("10.224.")
    router = core.list_namespaced_pod("default", label_selector="azuremlappname=azureml-fe").items[0]
    assert core.read_namespaced_pod_log(router.metadata.name, "default", tail_lines=1)
    assert apps.read_namespaced_deployment("azureml-fe", "default").status.ready_replicas == 1
    begun = [e["type"] for e in watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=1)]
    assert begun == ["ADDED"]
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="list", resource="nodes"))
    assert reviews.create_self_subject_access_review(client.V1SelfSubjectAccessReview(spec=spec)).status.allowed
    assert refused(lambda: core.read_namespaced_pod("nope", "default")) == 404
    assert refused(lambda: core.delete_namespaced_pod(router.metadata.name, "default")) == 405


def refused(call: Any) -> int:
    try:
        call()
    except client.ApiException as refusal:
        return int(refusal.status)
    raise AssertionError("it was not refused")


def main() -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token()}"
    id = cluster(session)
    credentials(session, id, "listClusterAdminCredential")
    as_administrator()
    credentials(session, id, "listClusterMonitoringUserCredential")
    assert len(client.CoreV1Api().list_node().items) == 3
    assert refused(lambda: client.CoreV1Api().list_config_map_for_all_namespaces()) == 403
    configuration = client.Configuration.get_default_copy()
    configuration.api_key, configuration.cert_file, configuration.key_file = {}, None, None
    assert refused(lambda: client.CoreV1Api(client.ApiClient(configuration)).list_node()) == 401
    print("all of it")


if __name__ == "__main__":
    main()
