"""What the test of outbound limits asks of the cloud, run at a location: python outbound_client.py TASK [ARGUMENT…] -> JSON.

Speaks the requests of the official clients with the standard library alone, so that a whole deployment takes a second.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import ssl
import sys
import tarfile
import time
import urllib.parse
import urllib.request
import uuid
from typing import Any

SUBSCRIPTION = os.environ["SUBSCRIPTION"]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/limits"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/limits"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks"
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
SCORING = {
    "name": "AllowScoring",
    "properties": {
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "80",
    },
}
SCORE = """
import json, socket

def init(): pass

def run(data):
    try:
        socket.create_connection((json.loads(data), 443), 1.5).close()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "connected"
"""


class Cloud:
    def __init__(self, audience: str = "https://management.azure.com") -> None:
        self._context = ssl.create_default_context()
        form = {"client_id": os.environ["CLIENT"], "client_secret": os.environ["SECRET"], "grant_type": "client_credentials"}
        form["scope"] = f"{audience}/.default"
        url = f"https://login.microsoftonline.com/{os.environ['TENANT']}/oauth2/v2.0/token"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), context=self._context) as answer:
            self._token = json.load(answer)["access_token"]

    def call(self, method: str, host: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """Status, document, and where to follow the operation."""
        connection = http.client.HTTPSConnection(host, context=self._context)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        where = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Operation-Location") or ""
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {content.decode()}")
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(content) if content and "json" in kind else content.decode(), where

    def arm(self, method: str, id: str, body: Any = None, version: str = "2024-01-01") -> Any:
        _, document, where = self.call(method, "management.azure.com", f"{id}?api-version={version}", body)
        while where:
            ended = self.call("GET", "management.azure.com", where.split("azure.com", 1)[1])[1]
            if ended["status"] not in ("InProgress", "Accepted", "Creating", "Updating"):
                assert ended["status"] == "Succeeded", ended
                break
            time.sleep(0.05)
        return document

    def plane(self, method: str, path: str, body: Any = None, service: str = "modelmanagement") -> Any:
        base = {"modelmanagement": "modelmanagement/v1.0", "artifact": "artifact/v2.0"}[service]
        return self.call(method, "eastus2.api.azureml.ms", f"/{base}{WORKSPACE}/{path}", body)

    def upload(self, path: str, content: bytes) -> str:
        asked = {"paths": [{"path": path}]}
        _, told, _ = self.plane("POST", f"artifacts/batch/metadata/LocalUpload/{time.monotonic_ns()}", asked, "artifact")
        uri = told["artifactContentInformation"][path]["contentUri"]
        request = urllib.request.Request(uri, content, {"x-ms-blob-type": "BlockBlob"}, method="PUT")
        urllib.request.urlopen(request, context=self._context).close()
        return str(told["artifacts"][path]["artifactId"])


def setup() -> Any:
    cloud = Cloud()
    cloud.arm("PUT", GROUP, {"location": "eastus2"})
    nsg = cloud.arm(
        "PUT", f"{NETWORK}/networkSecurityGroups/guard", {"location": "eastus2", "properties": {"securityRules": [SCORING]}}
    )
    subnet = {"name": "nodes", "properties": {"addressPrefix": "10.1.0.0/22", "networkSecurityGroup": {"id": nsg["id"]}}}
    space = {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [subnet]}
    cloud.arm("PUT", f"{NETWORK}/virtualNetworks/net", {"location": "eastus2", "properties": space})
    cloud.arm("PUT", WORKSPACE, {"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}})
    robot, secret = _service_principal()
    _grant(NETWORK_CONTRIBUTOR, robot["id"], GROUP)
    pool = {"name": "pool", "count": 1, "vmSize": "Standard_D3_v2", "mode": "System"}
    pool["vnetSubnetID"] = f"{NETWORK}/virtualNetworks/net/subnets/nodes"
    properties = {
        "dnsPrefix": "limits",
        "agentPoolProfiles": [pool],
        "networkProfile": {"networkPlugin": "azure", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10"},
        "servicePrincipalProfile": {"clientId": robot["appId"], "secret": secret},
    }
    cloud.arm("PUT", CLUSTER, {"location": "eastus2", "properties": properties})
    attached = {"computeType": "AKS", "resourceId": CLUSTER, "properties": {"clusterPurpose": "DevTest"}}
    cloud.arm("PUT", f"{WORKSPACE}/computes/aks", {"location": "eastus2", "properties": attached})
    return {}


def _service_principal() -> tuple[Any, str]:
    """What `az ad sp create-for-rbac` makes, and its secret."""
    graph = Cloud("https://graph.microsoft.com")

    def post(path: str, body: Any) -> Any:
        return graph.call("POST", "graph.microsoft.com", f"/v1.0/{path}", body)[1]

    application = post("applications", {"displayName": "robot"})
    secret = post(f"applications/{application['id']}/addPassword", {"passwordCredential": {}})["secretText"]
    return post("servicePrincipals", {"appId": application["appId"]}), secret


def _grant(role: str, object_id: str, scope: str) -> None:
    definition = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    asked = {"roleDefinitionId": definition, "principalId": object_id, "principalType": "ServicePrincipal"}
    id = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid5(uuid.NAMESPACE_OID, scope)}"
    Cloud().arm("PUT", id, {"properties": asked}, "2022-04-01")


def rule(name: str, priority: str, access: str, destination: str) -> Any:
    """An outbound rule of the subnet's group."""
    asked = {"priority": int(priority), "direction": "Outbound", "access": access, "protocol": "*"}
    asked |= {"sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "*"}
    asked["destinationAddressPrefix"] = destination
    Cloud().arm("PUT", f"{NETWORK}/networkSecurityGroups/guard/securityRules/{name}", {"properties": asked})
    return {}


def deploy(name: str) -> Any:
    """A service, to the end of its operation."""
    cloud = Cloud()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("score.py")
        entry.size = len(SCORE)
        tar.addfile(entry, io.BytesIO(SCORE.encode()))
    driver = {"id": "driver", "url": f"aml://artifact/{cloud.upload('driver.py', b'pass')}", "mimeType": "application/x-python"}
    source = cloud.upload("source.tar.gz", archive.getvalue())
    files = [driver, {"id": "source", "url": f"aml://artifact/{source}", "mimeType": "application/octet-stream", "unpack": True}]
    environment: dict[str, Any] = {
        "name": "plain",
        "version": None,
        "environmentVariables": {"AZUREML_ENTRY_SCRIPT": "score.py"},
        "python": {"condaDependencies": {"dependencies": []}},
        "docker": {"baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:1"},
    }
    image = {"driverProgram": "driver", "assets": files, "modelIds": [], "environment": environment}
    body = {
        "name": name,
        "computeName": "aks",
        "computeType": "AKS",
        "numReplicas": 1,
        "authEnabled": False,
        "autoScaler": {"autoscaleEnabled": False},
        "containerResourceRequirements": {"cpu": 0.2, "memoryInGB": 0.5},
        "environmentImageRequest": image,
    }
    _, _, where = cloud.plane("POST", "services", body)
    operation = where.rsplit("/", 1)[-1]
    while (ended := cloud.plane("GET", f"operations/{operation}")[1])["state"] not in ("Succeeded", "Failed"):
        time.sleep(0.05)
    return {"operation": ended, **service(name)}


def service(name: str) -> Any:
    """Its document, its log, and the workspace's registry."""
    cloud = Cloud()
    _, found, _ = cloud.plane("GET", f"services/{name}?expand=true")
    _, log, _ = cloud.plane("GET", f"services/{name}/logs")
    shown = cloud.arm("GET", WORKSPACE)["properties"]["containerRegistry"]
    return {"service": found, "log": log["content"], "registry": shown}


def recovered(name: str) -> Any:
    """Wait until it is healthy, and nobody asks for anything."""
    end = time.monotonic() + 30
    while (found := service(name))["service"]["state"] != "Healthy" and time.monotonic() < end:
        time.sleep(0.1)
    return found


def limits(outside: str) -> Any:
    """Deployments into an open subnet, a closed one, and a closed one with the registry's tag allowed."""
    setup()
    found = {"open": deploy("first")}
    found["out_of_open"] = score(found["open"]["service"]["scoringUri"], outside)
    rule("AllowVnet", "150", "Allow", "VirtualNetwork")
    rule("DenyAllOutbound", "200", "Deny", "*")
    found["closed"] = deploy("second")
    rule("AllowRegistry", "199", "Allow", "AzureContainerRegistry.eastus2")
    found["allowed"] = recovered("second")
    found["out_of_allowed"] = score(found["allowed"]["service"]["scoringUri"], outside)
    return found


def behind_endpoint() -> Any:
    """A closed subnet without the registry's tag, whose registry answers at a private endpoint and nowhere else."""
    cloud, images = Cloud(), service("second")["registry"]
    cloud.arm("DELETE", f"{NETWORK}/networkSecurityGroups/guard/securityRules/AllowRegistry")
    network = {"id": f"{NETWORK}/virtualNetworks/net"}
    subnet = cloud.arm("PUT", f"{network['id']}/subnets/links", {"properties": {"addressPrefix": "10.1.8.0/24"}})
    cloud.arm("PATCH", images, {"sku": {"name": "Premium"}, "properties": {"publicNetworkAccess": "Disabled"}})
    zone = f"{NETWORK}/privateDnsZones/privatelink.azurecr.io"
    cloud.arm("PUT", zone, {"location": "global"})
    linked = {"location": "global", "properties": {"virtualNetwork": network, "registrationEnabled": False}}
    cloud.arm("PUT", f"{zone}/virtualNetworkLinks/net", linked)
    connection = {"name": "registry", "properties": {"privateLinkServiceId": images, "groupIds": ["registry"]}}
    asked = {"subnet": {"id": subnet["id"]}, "privateLinkServiceConnections": [connection]}
    endpoint = f"{NETWORK}/privateEndpoints/registry"
    cloud.arm("PUT", endpoint, {"location": "eastus2", "properties": asked})
    config = {"name": "registry", "properties": {"privateDnsZoneId": zone}}
    group = f"{endpoint}/privateDnsZoneGroups/default"
    cloud.arm("PUT", group, {"properties": {"privateDnsZoneConfigs": [config]}})
    shown = cloud.arm("GET", group)["properties"]["privateDnsZoneConfigs"][0]["properties"]["recordSets"]
    return {"records": {one["recordSetName"]: one["ipAddresses"][0] for one in shown}, **deploy("behind")}


def close_network() -> Any:
    """Take back what lets the subnet reach its own network: the explicit deny is for that too."""
    Cloud().arm("DELETE", f"{NETWORK}/networkSecurityGroups/guard/securityRules/AllowVnet")
    return {}


def identity() -> Any:
    """A registry whose admin user is off, and a cluster that is a service principal: without the way to Entra, without a role
    on the registry, and with both."""
    cloud, images = Cloud(), service("second")["registry"]
    cloud.arm("PATCH", images, {"properties": {"adminUserEnabled": False}})
    found = {"no_way": deploy("third")}
    rule("AllowEntra", "198", "Allow", "AzureActiveDirectory")
    found["no_role"] = told("third", "answered 401")
    profile = cloud.arm("GET", CLUSTER)["properties"]["servicePrincipalProfile"]
    graph = Cloud("https://graph.microsoft.com")
    path = f"/v1.0/servicePrincipals(appId='{profile['clientId']}')"
    _grant(ACR_PULL, graph.call("GET", "graph.microsoft.com", path)[1]["id"], images)
    rule("AllowEntra", "197", "Allow", "AzureActiveDirectory")  # a change of the rules has hosts try again at once
    found["both"] = recovered("third")
    return found


def told(name: str, words: str) -> Any:
    """Wait until its log says so."""
    end = time.monotonic() + 30
    while words not in (found := service(name))["log"] and time.monotonic() < end:
        time.sleep(0.1)
    return found


def score(uri: str, host: str) -> Any:
    """What the service's own code can reach."""
    request = urllib.request.Request(uri, json.dumps(host).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


TASKS = {task.__name__: task for task in (limits, identity, behind_endpoint, close_network, service)}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
