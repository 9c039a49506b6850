"""The Python parts of the document, typed into one session at a location, with Microsoft's own SDK and nothing of Ringfence's.

    ringfence exec --at internet -- python sdk.py < steps

Reads names of steps from standard input and ends each with a line `@@ {"ok", "said"}`. The
snippets are the document's own code, executed as they are; what stands around them is what
the document takes for granted (a workspace, a model, an entry script).
"""

import json
import os
import pathlib
import sys
import time
import traceback

from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AksCompute
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AciWebservice, AksWebservice

SEED = pathlib.Path(__file__).resolve().parents[1] / "secure-inferencing" / "seed"
PATIENCE_S = 60.0
SCORE = """
import json


def init():
    print("ready")


def run(data):
    return [sum(row) for row in json.loads(data)["data"]]
"""

auth = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)


def workspace(name="myworkspace"):
    return Workspace.get(
        name, subscription_id=os.environ["RINGFENCE_SUBSCRIPTION_ID"], resource_group="myresourcegroup", auth=auth
    )


def snippet(number, **given):
    """One of the document's files as it stands; its names come back."""
    names = dict(given)
    exec(compile((SEED / f"snippet{number}.py").read_text(), f"snippet{number}.py", "exec"), names)
    return names


def address(cluster):
    return next(service.public_ip_address for service in cluster.system_services if service.public_ip_address)


def snippet1():
    cluster = snippet(1, ws=workspace())["aks_target"]
    cluster.wait_for_completion(show_output=True)
    return address(cluster)


def snippet2():
    try:
        snippet(2, ws=workspace("myotherworkspace"), aks_cluster_name="nosuchcluster")
    except Exception as refusal:
        return "refused: " + str(refusal)
    return address(AksCompute(workspace("myotherworkspace"), "myaks"))


def snippet3():
    snippet(3, ws=workspace())
    return address(AksCompute(workspace(), "myaks"))


def cluster():
    """The AKS cluster behind the compute of the other workspace, by name."""
    return AksCompute(workspace("myotherworkspace"), "myaks").cluster_resource_id.rsplit("/", 1)[-1]


def mine():
    return AksCompute(workspace(), "myaks").cluster_resource_id.rsplit("/", 1)[-1]


def where():
    service = AksWebservice(workspace(), "onaks")
    return {"uri": service.scoring_uri, "key": service.get_keys()[0]}


def configuration():
    pathlib.Path("score.py").write_text(SCORE)
    pathlib.Path("weights.txt").write_text("none")
    environment = Environment("plain")
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["pip"])
    return InferenceConfig(entry_script="score.py", environment=environment)


def deploy(name, wanted, target=None):
    ws = workspace()
    model = Model.register(ws, "weights.txt", "weights") if not Model.list(ws, "weights") else Model(ws, "weights")
    service = Model.deploy(ws, name, [model], configuration(), wanted, target, overwrite=True)
    service.wait_for_deployment(show_output=True)
    return {"uri": service.scoring_uri, "key": service.get_keys()[0]}


def aks():
    pathlib.Path("weights.txt").write_text("none")
    wanted = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=0.5, num_replicas=1, autoscale_enabled=False)
    return deploy("onaks", wanted, AksCompute(workspace(), "myaks"))


def limited():
    """The same on a cluster whose egress is closed: it has to fail, and its log has to say why."""
    wanted = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=0.5, num_replicas=1, autoscale_enabled=False)
    try:
        deploy("limited", wanted, AksCompute(workspace(), "myaks"))
    except Exception:
        return "failed: " + AksWebservice(workspace(), "limited").get_logs()
    return "it answers"


def opened():
    """The service that could not pull its image tries again by itself; where it is, once it is healthy."""
    until = time.monotonic() + PATIENCE_S
    while (service := AksWebservice(workspace(), "limited")).state != "Healthy" and time.monotonic() < until:
        time.sleep(0.5)
    return {"uri": service.scoring_uri, "key": service.get_keys()[0], "state": service.state}


def aci():
    wanted = AciWebservice.deploy_configuration(
        cpu_cores=0.5, memory_gb=0.5, auth_enabled=True, vnet_name="myacinetwork", subnet_name="containers"
    )
    return deploy("onaci", wanted)


def main():
    os.dup2(1, 2)  # one stream, so that warnings stand where they belong
    for line in sys.stdin:
        ok, said = True, None
        try:
            said = globals()[line.strip()]()
        except Exception:
            ok = False
            traceback.print_exc(file=sys.stdout)
        print("\n@@ " + json.dumps({"ok": ok, "said": said}), flush=True)


if __name__ == "__main__":
    main()
