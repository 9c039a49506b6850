"""The main job, step by step, with Microsoft's own SDK and nothing of Ringfence's.

    ringfence exec --at internet -- python job.py < steps

Reads the names of steps from standard input, one a line, runs each, prints what a
person would see, and ends each step with a line `@@ {"step", "ok", "seconds", "facts"}`.
Sign-in is by service principal, from AZUREML_SERVICE_PRINCIPAL_* variables. The three
files in seed/ are the document's own code, executed as they are.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import sys
import time
import traceback
import uuid

import requests
from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AksCompute
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AksWebservice, Webservice

HERE = pathlib.Path(__file__).parent
ARM = "https://management.azure.com"
LOCATION = "eastus2"
SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
GROUPS = ("myresourcegroup", "mygroup", "myvnetresourcegroup")
SERVICE = "diabetes"
NSG = "mynetwork-nsg"
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
API = {
    "Microsoft.Network": "2024-01-01",
    "Microsoft.MachineLearningServices": "2022-05-01",
    "Microsoft.ContainerService": "2024-02-01",
    "Microsoft.Authorization": "2022-04-01",
    "group": "2024-03-01",
}

auth = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)
session = requests.Session()


def arm(method, path, body=None, expect=(200, 201, 202, 204)):
    """One ARM request below the subscription; waits for a long-running operation to end."""
    kind = path.split("/providers/")[-1].split("/")[0] if "/providers/" in path else "group"
    url = f"{ARM}/subscriptions/{SUBSCRIPTION}/{path}?api-version={API[kind]}"
    answer = session.request(method, url, json=body, headers=auth.get_authentication_header())
    if answer.status_code not in expect:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    follow = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
    while follow and answer.status_code in (201, 202):
        time.sleep(0.5)
        poll = session.get(follow, headers=auth.get_authentication_header())
        status = poll.json().get("status", "Succeeded") if poll.content else "Succeeded"
        if poll.status_code != 202 and status in ("Succeeded", "Failed", "Canceled"):
            if status != "Succeeded":
                raise RuntimeError(f"{method} {path}: {poll.text}")
            break
    return answer


def network_path(group, kind, name):
    return f"resourceGroups/{group}/providers/Microsoft.Network/{kind}/{name}"


def clear():
    """Remove what an earlier run left."""
    for group in GROUPS:
        gone = arm("DELETE", f"resourceGroups/{group}", expect=(200, 202, 204, 404))
        if gone.status_code in (200, 202):
            print("deleted the resource group", group, "of an earlier run")


def networks():
    """Resource groups, two virtual networks that are not peered, and a network security group without rules."""
    for group in GROUPS:
        arm("PUT", f"resourceGroups/{group}", {"location": LOCATION})
    nsg = arm("PUT", network_path("mygroup", "networkSecurityGroups", NSG), {"location": LOCATION, "properties": {}}).json()
    for group, vnet, prefix in (("mygroup", "mynetwork", "10.1.0.0"), ("myvnetresourcegroup", "myvnetname", "10.2.0.0")):
        subnet = {"name": "default", "properties": {"addressPrefix": f"{prefix}/22"}}
        if vnet == "mynetwork":
            subnet["properties"]["networkSecurityGroup"] = {"id": nsg["id"]}
        body = {"location": LOCATION, "properties": {"addressSpace": {"addressPrefixes": [f"{prefix}/16"]}, "subnets": [subnet]}}
        arm("PUT", network_path(group, "virtualNetworks", vnet), body)
        print(f"{group}/{vnet}: {prefix}/16, subnet default {prefix}/22" + (f", guarded by {NSG}" if vnet == "mynetwork" else ""))


def workspaces():
    """One workspace by ARM, one by `Workspace.create`; then `Workspace.get` and `Workspace.from_config`."""
    path = "resourceGroups/myresourcegroup/providers/Microsoft.MachineLearningServices/workspaces/myworkspace"
    body = {"location": LOCATION, "identity": {"type": "SystemAssigned"}, "properties": {"friendlyName": "myworkspace"}}
    arm("PUT", path, body)
    # Without its progress, which it prints every five seconds only.
    Workspace.create(
        "myotherworkspace",
        subscription_id=SUBSCRIPTION,
        resource_group="myresourcegroup",
        location=LOCATION,
        auth=auth,
        show_output=False,
    )
    print("Workspace.create: myotherworkspace")
    ws = workspace("myworkspace")
    ws.write_config(path=".", file_name="config.json")
    again = Workspace.from_config(auth=auth)
    assert again.get_details()["id"] == ws.get_details()["id"]
    print("Workspace.get and Workspace.from_config:", ws.name, "in", ws.location)


def workspace(name):
    return Workspace.get(name=name, subscription_id=SUBSCRIPTION, resource_group="myresourcegroup", auth=auth)


def seed(number, **given):
    """Run one of the document's files as it stands; its names come back."""
    source = (HERE / "seed" / f"snippet{number}.py").read_text()
    names = dict(given)
    exec(compile(source, f"snippet{number}.py", "exec"), names)
    return names


def clash():
    """Snippet 1 against a subnet that lies inside the service range 10.0.0.0/16: it has to be refused."""
    vnet = network_path("mygroup", "virtualNetworks", "mynetwork")
    wide = {"location": LOCATION, "properties": arm("GET", vnet).json()["properties"]}
    wide["properties"]["addressSpace"]["addressPrefixes"].append("10.0.0.0/16")
    arm("PUT", vnet, wide)
    arm("PUT", f"{vnet}/subnets/clash", {"properties": {"addressPrefix": "10.0.8.0/24"}})
    try:
        seed(1, ws=workspace("myworkspace"))["aks_target"].wait_for_completion(show_output=True)
    except Exception as refusal:
        text = str(refusal)
        assert "ServiceCidrOverlapExistingSubnetsCidr" in text, text
        print("refused, as Azure does:", message_of(text))
        return {"refusal": message_of(text)}
    finally:
        arm("DELETE", f"{vnet}/subnets/clash")
        wide["properties"] = arm("GET", vnet).json()["properties"]
        wide["properties"]["addressSpace"]["addressPrefixes"].remove("10.0.0.0/16")
        arm("PUT", vnet, wide)
    raise AssertionError("a service range that overlaps a subnet was accepted")


def message_of(text):
    """Code and message of the ARM error that the SDK shows as a wall of text."""
    found = re.search(r'"code":"(\w+)","message":"([^"]*)"', text.replace("\\", ""))
    return f"{found[1]}: {found[2]}" if found else text


def cluster_of(name):
    cluster = AksCompute(workspace(name), "myaks")
    return {
        "state": cluster.provisioning_state,
        "nodes": cluster.agent_count,
        "load_balancer": cluster.load_balancer_type or "PublicIp",
        "address": next(s.public_ip_address for s in cluster.system_services if s.public_ip_address),
    }


def snippet1():
    names = seed(1, ws=workspace("myworkspace"))
    names["aks_target"].wait_for_completion(show_output=True)
    return cluster_of("myworkspace")


def refusal():
    """Snippet 2 before the cluster's identity has a role in the network: the cluster stands, its endpoint does not."""
    other = workspace("myotherworkspace")
    try:
        seed(2, ws=other, aks_cluster_name="nosuchcluster")
    except Exception as failure:
        print("the SDK says:", str(failure).strip().splitlines()[0])
    cluster = AksCompute(other, "myaks")
    said = json.dumps(cluster.provisioning_errors)
    assert cluster.provisioning_state == "Failed" and "LinkedAuthorizationFailed" in said, cluster.serialize()
    assert not [s.public_ip_address for s in cluster.system_services if s.public_ip_address], "an address was made"
    print("refused, as Azure does:", said)
    return {"refusal": said}


def grant():
    """The document's four steps, for the clusters of both workspaces: Network Contributor on the groups of the networks."""
    for name, network_group in (("myworkspace", "mygroup"), ("myotherworkspace", "myvnetresourcegroup")):
        cluster = arm("GET", AksCompute(workspace(name), "myaks").cluster_resource_id.partition(f"{SUBSCRIPTION}/")[2]).json()
        principal = cluster["properties"]["servicePrincipalProfile"]["clientId"]
        if principal == "msi":
            principal = cluster["identity"]["principalId"]
        scope = arm("GET", f"resourceGroups/{network_group}").json()["id"]
        role = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{NETWORK_CONTRIBUTOR}"
        body = {"properties": {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}}
        assignment = uuid.uuid5(uuid.NAMESPACE_URL, scope + principal)
        path = f"resourceGroups/{network_group}/providers/Microsoft.Authorization/roleAssignments/{assignment}"
        arm("PUT", path, body)
        print("Network Contributor on", scope, "for", principal)


def snippet2():
    """On a fresh name it creates; on an existing one it finds."""
    other = workspace("myotherworkspace")
    seed(2, ws=other, aks_cluster_name="nosuchcluster")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        seed(2, ws=other, aks_cluster_name="myaks")
    print(said.getvalue(), end="")
    assert "Found existing aks cluster" in said.getvalue()
    return cluster_of("myotherworkspace")


def snippet3():
    seed(3, ws=workspace("myworkspace"))
    return cluster_of("myworkspace")


def register():
    import joblib
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    features, target = load_diabetes(return_X_y=True)
    joblib.dump(Ridge(alpha=0.1).fit(features, target), "diabetes.pkl")
    model = Model.register(workspace("myworkspace"), model_path="diabetes.pkl", model_name="diabetes")
    print("registered", model.id)


def configuration(description):
    environment = Environment.from_conda_specification("diabetes", str(HERE / "source" / "environment.yml"))
    return InferenceConfig(
        entry_script="score.py", source_directory=str(HERE / "source"), environment=environment, description=description
    )


def deploy():
    ws = workspace("myworkspace")
    wanted = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=1, num_replicas=1, autoscale_enabled=False)
    target = AksCompute(ws, "myaks")
    service = Model.deploy(ws, SERVICE, [Model(ws, "diabetes")], configuration("first"), wanted, target, overwrite=False)
    service.wait_for_deployment(show_output=True)
    assert service.state == "Healthy", service.get_logs()
    primary, _ = service.get_keys()
    print(service.get_logs().strip().splitlines()[-1])
    return {"uri": service.scoring_uri, "key": primary}


def where():
    service = AksWebservice(workspace("myworkspace"), SERVICE)
    return {"uri": service.scoring_uri, "key": service.get_keys()[0]}


def open_rule():
    """The rule the document asks for: inbound, to the address of the scoring endpoint."""
    address = where()["uri"].split("/")[2]
    rule = {
        "priority": 200, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "Internet",
        "sourcePortRange": "*", "destinationAddressPrefix": address, "destinationPortRange": "80",
    }  # fmt: skip
    arm("PUT", network_path("mygroup", "networkSecurityGroups", NSG) + "/securityRules/scoring", {"properties": rule})
    print(f"allow Tcp from Internet to {address}:80, priority 200")


def close_rule():
    arm("DELETE", network_path("mygroup", "networkSecurityGroups", NSG) + "/securityRules/scoring")
    print("deleted the rule again")


def update():
    ws = workspace("myworkspace")
    service = AksWebservice(ws, SERVICE)
    service.update(inference_config=configuration("second"), num_replicas=1, description="second")
    service.wait_for_deployment(show_output=True)
    assert service.state == "Healthy" and service.description == "second", service.serialize()


def delete():
    ws = workspace("myworkspace")
    AksWebservice(ws, SERVICE).delete()
    assert SERVICE not in [s.name for s in Webservice.list(ws)]
    print("deleted the service")


STEPS = [clear, networks, workspaces, clash, snippet1, refusal, grant, snippet2, register, deploy, where]
STEPS += [open_rule, close_rule, snippet3, update, delete]


def main():
    os.dup2(1, 2)  # one stream, so that warnings stand where they belong
    by_name = {step.__name__: step for step in STEPS}
    for line in sys.stdin:
        name = line.strip()
        begun, facts, ok = time.perf_counter(), {}, True
        try:
            facts = by_name[name]() or {}
        except Exception:
            ok = False
            traceback.print_exc(file=sys.stdout)
        result = {"step": name, "ok": ok, "seconds": round(time.perf_counter() - begun, 2), "facts": facts}
        print("\n@@ " + json.dumps(result), flush=True)
        if not ok:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
