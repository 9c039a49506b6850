"""Run inside the sandbox, by any Python: makes a private cluster and networks around it, or asks its API server from there.

private_cluster_world.py make ADMIN.JSON     prints the kubeconfig, as {"server": ..., "ca": PEM, "token": ...}
private_cluster_world.py peer ADMIN.JSON     the second half of the peering between the cluster's network and vb
private_cluster_world.py remove ADMIN.JSON   tries to delete the API server's endpoint; prints [endpoints, HTTP status, code]
private_cluster_world.py ask KUBECONFIG      prints [address, HTTP status, names of the nodes, their and the pods' addresses]
"""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sandbox.private_world import Maker, send
else:
    from private_world import Maker, send

LOCATION, PATIENCE_S, VERSION = "eastus2", 2.0, "?api-version=2024-02-01"
NETWORKS = {"va": "10.1", "vb": "10.2", "vc": "10.3", "vd": "10.4"}
NETWORK = "/providers/Microsoft.Network"
CLUSTER = "/providers/Microsoft.ContainerService/managedClusters/private"


def peer(maker: Maker, one: str, other: str) -> None:
    remote = {"remoteVirtualNetwork": {"id": f"{maker.group}{NETWORK}/virtualNetworks/{other}"}}
    maker.put(f"{NETWORK}/virtualNetworks/{one}/virtualNetworkPeerings/to-{other}", remote)


def call(maker: Maker, method: str, path: str, body: object = None) -> tuple[int, Any]:
    return send(method, f"https://management.azure.com{path}{VERSION}", body, maker.arm)


def make(maker: Maker) -> dict[str, str]:
    """vb: linked, and peered by one side only. vc: linked. vd: peered."""
    maker.put("", location=LOCATION)
    for name, prefix in NETWORKS.items():
        subnets = [{"name": s, "properties": {"addressPrefix": f"{prefix}.{n}.0/24"}} for n, s in enumerate(("default", "other"))]
        space = {"addressSpace": {"addressPrefixes": [f"{prefix}.0.0/16"]}, "subnets": subnets}
        maker.put(f"{NETWORK}/virtualNetworks/{name}", space, location=LOCATION)
    for one, other in (("va", "vd"), ("vd", "va"), ("vb", "va")):
        peer(maker, one, other)
    subnet = f"{maker.group}{NETWORK}/virtualNetworks/va/subnets/default"
    pool = {"name": "nodepool1", "count": 1, "mode": "System", "vmSize": "Standard_DS2_v2", "vnetSubnetID": subnet}
    access = {"enablePrivateCluster": True, "enablePrivateClusterPublicFQDN": False}
    services = {"networkPlugin": "azure", "serviceCidr": "10.200.0.0/16", "dnsServiceIP": "10.200.0.10"}
    asked = {"dnsPrefix": "private", "agentPoolProfiles": [pool], "apiServerAccessProfile": access, "networkProfile": services}
    body = {"location": LOCATION, "properties": asked, "identity": {"type": "SystemAssigned"}}
    status, made = call(maker, "PUT", f"{maker.group}{CLUSTER}", body)
    assert status == 201, made
    end = time.monotonic() + 20
    while made["properties"]["provisioningState"] != "Succeeded":
        assert time.monotonic() < end, made
        time.sleep(0.1)
        made = call(maker, "GET", f"{maker.group}{CLUSTER}")[1]
    zone = made["properties"]["privateFQDN"].partition(".")[2]
    maker.group = f"{maker.group.rpartition('/')[0]}/{made['properties']['nodeResourceGroup']}"
    for name in ("vb", "vc"):
        linked = {"virtualNetwork": {"id": f"{subnet.partition('/virtualNetworks/')[0]}/virtualNetworks/{name}"}}
        maker.put(f"{NETWORK}/privateDnsZones/{zone}/virtualNetworkLinks/{name}", linked, location="global")
    status, found = call(maker, "POST", f"{made['id']}/listClusterUserCredential")
    assert status == 200, found
    text = base64.b64decode(found["kubeconfigs"][0]["value"]).decode()
    lines = dict(re.findall(r"^ *([\w-]+): (.+)$", text, re.MULTILINE))
    assert lines["server"] == f"https://{made['properties']['privateFQDN']}:443", lines["server"]
    ca = base64.b64decode(lines["certificate-authority-data"]).decode()
    return {"server": lines["server"], "ca": ca, "token": lines["token"]}


def remove(maker: Maker) -> list[Any]:
    node_group = call(maker, "GET", f"{maker.group}{CLUSTER}")[1]["properties"]["nodeResourceGroup"]
    path = f"{maker.group.rpartition('/')[0]}/{node_group}{NETWORK}/privateEndpoints"
    shown = [one["name"] for one in call(maker, "GET", path)[1]["value"]]
    status, found = call(maker, "DELETE", f"{path}/{shown[0]}")
    return [shown, status, found["error"]["code"]]


def ask(kubeconfig: dict[str, str]) -> list[Any]:
    """As kubectl does: by the name, whose certificate is checked with the authority of the kubeconfig."""
    try:
        address = socket.gethostbyname(urllib.parse.urlsplit(kubeconfig["server"]).hostname or "")
    except socket.gaierror:
        return ["", 0, [], []]
    trust, found = ssl.create_default_context(cadata=kubeconfig["ca"]), []
    for path in ("nodes", "pods"):
        request = urllib.request.Request(f"{kubeconfig['server']}/api/v1/{path}")
        request.add_header("Authorization", f"Bearer {kubeconfig['token']}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S, context=trust) as answer:
                found.append(json.load(answer)["items"])
        except urllib.error.HTTPError as error:
            return [address, error.code, [], []]
        except (urllib.error.URLError, TimeoutError):
            return [address, 0, [], []]
    nodes, pods = found
    internal = [one["address"] for one in nodes[0]["status"]["addresses"] if one["type"] == "InternalIP"]
    names = [node["metadata"]["name"] for node in nodes]
    return [address, 200, names, [*internal, *(pod["status"]["podIP"] for pod in pods)]]


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        print(json.dumps(ask(json.loads(sys.argv[2]))))
    else:
        with open(sys.argv[2]) as file:
            administrator = Maker(json.load(file))
        if sys.argv[1] == "make":
            print(json.dumps(make(administrator)))
        elif sys.argv[1] == "peer":
            peer(administrator, "va", "vb")
        else:
            print(json.dumps(remove(administrator)))
