"""Deploy an echo service and time a second deployment, from POST to the first scored request.

Run at a location of the cluster's subnet by a Python that has azureml-core:

    ringfence exec --at vnet0/cluster -- python bench/deployment.py

The first deployment goes through the SDK and builds the environment. The second one sends the
same request under another name and polls every 20 ms, since the SDK polls every 5 s, which
would be most of what is measured. Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import time
import warnings
from typing import Any

import requests
from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AksCompute
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AksWebservice

SCORE = """
import json


def init():
    pass


def run(data):
    return json.loads(data)
"""
BODY = json.dumps({"data": [[0.0381, 0.0507, 0.0617, 0.0219, -0.0442, -0.0348, -0.0434, -0.0026, 0.0199, -0.0176]]})


def workspace() -> Any:
    auth = ServicePrincipalAuthentication(
        os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
        os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
        os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
    )
    return Workspace.get("bench", subscription_id=os.environ["RINGFENCE_SUBSCRIPTION_ID"], resource_group="bench", auth=auth)


def first(ws: Any) -> Any:
    """A service through the SDK."""
    pathlib.Path("score.py").write_text(SCORE)
    pathlib.Path("weights.bin").write_bytes(b"0")
    model = Model.register(ws, "weights.bin", "weights")
    environment = Environment("echo")
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["pip"])
    wanted = AksWebservice.deploy_configuration(cpu_cores=1, memory_gb=1, num_replicas=1, autoscale_enabled=False)
    configuration = InferenceConfig(entry_script="score.py", environment=environment)
    service = Model.deploy(ws, "echo", [model], configuration, wanted, AksCompute(ws, "bench"))
    service.wait_for_deployment()
    return service


def second(ws: Any) -> float:
    """Seconds from POST to the first scored request of a service whose environment is there."""
    plane = f"https://eastus2.api.azureml.ms/modelmanagement/v1.0{ws.get_details()['id']}"
    session = requests.Session()
    session.headers.update(ws._auth.get_authentication_header())
    known = session.get(f"{plane}/services/echo?expand=true").json()
    wanted = {key: known[key] for key in ("computeName", "computeType", "environmentImageRequest", "numReplicas")}
    wanted |= {"name": "again", "keys": {"primaryKey": "k" * 32, "secondaryKey": "s" * 32}}
    wanted |= {"containerResourceRequirements": known["containerResourceRequirements"], "autoScaler": {"autoscaleEnabled": False}}
    begun = time.perf_counter()
    answer = session.post(f"{plane}/services", json=wanted)
    answer.raise_for_status()
    operation = answer.headers["Operation-Location"].rsplit("/", 1)[-1]
    while (state := session.get(f"{plane}/operations/{operation}").json())["state"] not in ("Succeeded", "Failed"):
        time.sleep(0.02)
    if state["state"] != "Succeeded":
        raise RuntimeError(state)
    uri = session.get(f"{plane}/services/again?expand=true").json()["scoringUri"]
    scored = requests.post(uri, BODY, headers={"Authorization": "Bearer " + "k" * 32, "Content-Type": "application/json"})
    scored.raise_for_status()
    return time.perf_counter() - begun


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the SDK announces its own retirement with every call
    os.chdir(tempfile.mkdtemp())
    bench = workspace()
    service = first(bench)
    print()
    print(json.dumps({"deploy_s": second(bench), "uri": service.scoring_uri, "key": service.get_keys()[0], "body": BODY}))
