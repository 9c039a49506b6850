"""A small ARM client for benchmarks, run inside a location: standard library only.

    ringfence exec --at internet -- python bench/arm_client.py TASK [ARGUMENT ...]

Prints one JSON document per task. One kept-alive connection, so that what is measured is
the control plane and not TLS handshakes.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
import time
import urllib.parse
from typing import Any

ARM = "management.azure.com"
SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
TENANT = os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"]
LOCATION = "eastus2"


class Arm:
    """Signed in as the administrator; `put` waits until the resource is ready, polling every `interval_s`."""

    def __init__(self, interval_s: float = 0.02) -> None:
        self.interval_s = interval_s
        context = ssl.create_default_context()
        self.token = self._token(context)
        self.connection = http.client.HTTPSConnection(ARM, context=context)

    def _token(self, context: ssl.SSLContext) -> str:
        login = http.client.HTTPSConnection("login.microsoftonline.com", context=context)
        form = {
            "client_id": os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
            "client_secret": os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
            "grant_type": "client_credentials",
            "scope": "https://management.azure.com/.default",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        login.request("POST", f"/{TENANT}/oauth2/v2.0/token", urllib.parse.urlencode(form), headers)
        answer = json.load(login.getresponse())
        return str(answer["access_token"])

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(content) if content else None

    def send(self, method: str, path: str, version: str, body: Any = None) -> Any:
        """One request, and its operation to the end. Raises RuntimeError with the answer."""
        status, headers, document = self.call(method, f"/subscriptions/{SUBSCRIPTION}/{path}?api-version={version}", body)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {document}")
        follow = headers.get("azure-asyncoperation")
        while follow and status in (200, 201, 202):
            _, _, poll = self.call("GET", follow.split(ARM, 1)[1])
            if poll["status"] in ("Succeeded", "Failed", "Canceled"):
                if poll["status"] != "Succeeded":
                    raise RuntimeError(f"{method} {path}: {poll}")
                break
            time.sleep(self.interval_s)
        return document


def network(group: str, kind: str, name: str) -> str:
    return f"resourceGroups/{group}/providers/Microsoft.Network/{kind}/{name}"


def make_network(arm: Arm, group: str, number: int, rules: int) -> None:
    """A VNet of two subnets, both guarded by an NSG of so many rules."""
    security = [
        {
            "name": f"rule{i}",
            "properties": {
                "priority": 100 + i, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*",
                "sourceAddressPrefix": f"198.51.{i}.0/24", "destinationAddressPrefix": "*", "destinationPortRange": str(1000 + i),
            },
        }
        for i in range(rules)
    ]  # fmt: skip
    nsg = network(group, "networkSecurityGroups", f"nsg{number}")
    made = arm.send("PUT", nsg, "2024-01-01", {"location": LOCATION, "properties": {"securityRules": security}})
    guarded = {"networkSecurityGroup": {"id": made["id"]}}
    subnets = [{"name": f"subnet{i}", "properties": {"addressPrefix": f"10.{number + 1}.{i}.0/24"} | guarded} for i in (0, 1)]
    space = {"addressPrefixes": [f"10.{number + 1}.0.0/16"]}
    body = {"location": LOCATION, "properties": {"addressSpace": space, "subnets": subnets}}
    arm.send("PUT", network(group, "virtualNetworks", f"vnet{number}"), "2024-01-01", body)


def token() -> dict[str, float]:
    begun = time.perf_counter()
    Arm()
    return {"token_s": time.perf_counter() - begun}


def networks(count: int = 100, rules: int = 50) -> dict[str, Any]:
    """So many empty VNets, and how long each took."""
    arm = Arm()
    arm.send("PUT", "resourceGroups/bench", "2024-03-01", {"location": LOCATION})
    each: list[float] = []
    begun = time.perf_counter()
    for number in range(count):
        start = time.perf_counter()
        make_network(arm, "bench", number, rules)
        each.append(time.perf_counter() - start)
    return {"count": count, "total_s": time.perf_counter() - begun, "each_s": each}


def cluster() -> dict[str, Any]:
    """A three-node cluster in a subnet, from PUT to Succeeded."""
    arm = Arm()
    arm.send("PUT", "resourceGroups/bench", "2024-03-01", {"location": LOCATION})
    make_network(arm, "bench", 0, 0)
    # One /22 for the cluster: 3 nodes reserve 93 addresses and the surge node 31 more.
    subnet = network("bench", "virtualNetworks", "vnet0") + "/subnets/cluster"
    arm.send("PUT", subnet, "2024-01-01", {"properties": {"addressPrefix": "10.1.4.0/22"}})
    workspace = "resourceGroups/bench/providers/Microsoft.MachineLearningServices/workspaces/bench"
    arm.send("PUT", workspace, "2022-05-01", {"location": LOCATION, "identity": {"type": "SystemAssigned"}, "properties": {}})
    networking = {
        "subnetId": f"/subscriptions/{SUBSCRIPTION}/{subnet}",
        "serviceCidr": "10.0.0.0/16",
        "dnsServiceIP": "10.0.0.10",
        "dockerBridgeCidr": "172.17.0.1/16",
    }
    properties = {
        "agentCount": 3,
        "aksNetworkingConfiguration": networking,
    }
    body = {"location": LOCATION, "properties": {"computeType": "AKS", "properties": properties}}
    begun = time.perf_counter()
    arm.send("PUT", f"{workspace}/computes/bench", "2020-02-02", body)
    return {"cluster_s": time.perf_counter() - begun}


TASKS = {"token": token, "networks": networks, "cluster": cluster}

if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[2:]]
    print(json.dumps(TASKS[sys.argv[1]](*given)))
