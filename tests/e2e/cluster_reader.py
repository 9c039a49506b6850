"""Print what the official Kubernetes client reads of the main job's cluster; run by the clients' Python, given admin.json."""

import base64
import json
import sys
import tempfile

from azureml.core import Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AksCompute

from kubernetes import client, config

with open(sys.argv[1]) as file:
    admin = json.load(file)
auth = ServicePrincipalAuthentication(admin["tenantId"], admin["clientId"], admin["clientSecret"])
ws = Workspace.get("myworkspace", auth=auth, subscription_id=admin["subscriptionId"], resource_group="myresourcegroup")
service = ws.webservices["diabetes"]
with tempfile.NamedTemporaryFile(suffix=".yaml") as kubeconfig:
    kubeconfig.write(base64.b64decode(AksCompute(ws, service.compute_name).get_credentials()["adminKubeConfig"]))
    kubeconfig.flush()
    config.load_kube_config(kubeconfig.name)
core = client.CoreV1Api()
pods = core.list_namespaced_pod("azureml-myworkspace").items
found = {
    "nodes": [node.status.addresses[0].address for node in core.list_node().items],
    "pods": [[pod.metadata.labels["azuremlappname"], pod.status.phase, pod.status.host_ip] for pod in pods],
    "services": [one.metadata.name for one in core.list_namespaced_service("azureml-myworkspace").items],
    "log": core.read_namespaced_pod_log(pods[0].metadata.name, "azureml-myworkspace"),
    "sdk": service.get_logs(),
}
print(json.dumps(found))
