"""Run inside the sandbox, by any Python: makes a cloud with private endpoints, or asks its services from where it runs.

private_world.py make ADMIN.JSON     prints what `ask` needs
private_world.py ask WHAT            prints, for each service, [address, HTTP status, code]
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

LOCATION = "eastus2"
NETWORKS = {"va": "10.1.0.0/16", "vb": "10.2.0.0/16", "vc": "10.3.0.0/16", "vd": "10.1.0.0/16"}
ZONES = (
    "privatelink.blob.core.windows.net",
    "privatelink.vaultcore.azure.net",
    "privatelink.api.azureml.ms",
    "privatelink.azurecr.io",
)
PATIENCE_S = 2.0


def send(method: str, url: str, body: object = None, token: str = "") -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text[:1] == b"{" else text.decode()


class Maker:
    def __init__(self, admin: dict[str, str]) -> None:
        self.admin = admin
        self.arm = self.token("https://management.azure.com")
        self.group = f"/subscriptions/{admin['subscriptionId']}/resourceGroups/g"

    def token(self, audience: str) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.admin["clientId"],
            "client_secret": self.admin["clientSecret"],
            "scope": f"{audience}/.default",
        }
        url = f"https://login.microsoftonline.com/{self.admin['tenantId']}/oauth2/v2.0/token"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=10) as answer:
            return str(json.load(answer)["access_token"])

    def put(self, path: str, properties: object = None, **more: object) -> Any:
        body = {"properties": properties or {}, **more}
        status, found = send("PUT", f"https://management.azure.com{self.group}{path}?api-version=2024-01-01", body, self.arm)
        assert status in (200, 201), (path, status, found)
        return found


def make(admin: dict[str, str]) -> dict[str, str]:
    maker = Maker(admin)
    group, network = maker.group, "/providers/Microsoft.Network"
    maker.put("", location=LOCATION)
    for name, prefix in NETWORKS.items():
        rest = prefix.removesuffix("0.0/16")
        subnets = [
            {"name": subnet, "properties": {"addressPrefix": f"{rest}{number}.0/24"}}
            for number, subnet in enumerate(("default", "other"))
        ]
        space = {"addressSpace": {"addressPrefixes": [prefix]}, "subnets": subnets}
        maker.put(f"{network}/virtualNetworks/{name}", space, location=LOCATION)
    for one, other in (("va", "vb"), ("vb", "va")):
        remote = {"remoteVirtualNetwork": {"id": f"{group}{network}/virtualNetworks/{other}"}}
        maker.put(f"{network}/virtualNetworks/{one}/virtualNetworkPeerings/to-{other}", remote)
    closed: dict[str, Any] = {"publicNetworkAccess": "Disabled"}
    policies = {"accessPolicies": [{"objectId": admin["objectId"], "permissions": {"secrets": ["get"]}}]}
    targets = {
        "blob": maker.put("/providers/Microsoft.Storage/storageAccounts/mydata", closed, location=LOCATION, sku={"name": "x"}),
        "vault": maker.put("/providers/Microsoft.KeyVault/vaults/myvault", closed | policies, location=LOCATION),
        "amlworkspace": maker.put("/providers/Microsoft.MachineLearningServices/workspaces/ws", closed, location=LOCATION),
    }
    images = "/providers/Microsoft.ContainerRegistry/registries/myimages"
    targets["registry"] = maker.put(images, closed, location=LOCATION, sku={"name": "Premium"})
    for zone, (kind, target) in zip(ZONES, targets.items(), strict=True):
        maker.put(f"{network}/privateDnsZones/{zone}", location="global")
        for name in ("va", "vb", "vc"):
            linked = {"virtualNetwork": {"id": f"{group}{network}/virtualNetworks/{name}"}}
            maker.put(f"{network}/privateDnsZones/{zone}/virtualNetworkLinks/{name}", linked, location="global")
        connection = {"name": "c", "properties": {"privateLinkServiceId": target["id"], "groupIds": [kind]}}
        subnet = {"id": f"{group}{network}/virtualNetworks/va/subnets/default"}
        endpoint = f"{network}/privateEndpoints/{kind}"
        maker.put(endpoint, {"subnet": subnet, "privateLinkServiceConnections": [connection]}, location=LOCATION)
        config = {"name": "z", "properties": {"privateDnsZoneId": f"{group}{network}/privateDnsZones/{zone}"}}
        maker.put(f"{endpoint}/privateDnsZoneGroups/default", {"privateDnsZoneConfigs": [config]})
    workspace = targets["amlworkspace"]
    return {
        "blob": "https://mydata.blob.core.windows.net/container/name",
        "registry": "https://myimages.azurecr.io/v2/",
        "vault": "https://myvault.vault.azure.net/secrets/none?api-version=7.4",
        "vaultToken": maker.token("https://vault.azure.net"),
        "workspace": f"https://{workspace['properties']['workspaceId']}.workspace.{LOCATION}.api.azureml.ms"
        f"/modelmanagement/v1.0{workspace['id']}/services",
        "workspaceToken": maker.arm,
    }


def ask(what: dict[str, str]) -> dict[str, Any]:
    found = {}
    for name in ("blob", "vault", "workspace", "registry"):
        host = urllib.parse.urlsplit(what[name]).hostname or ""
        address = socket.gethostbyname(host)
        try:
            status, body = send("GET", what[name], token=what.get(f"{name}Token", ""))
        except (urllib.error.URLError, TimeoutError):
            status, body = 0, ""
        error: Any = body.get("error", *body.get("errors", [{}])[:1]) if isinstance(body, dict) else {}
        code = error.get("innererror", error).get("code", "") or (body if isinstance(body, str) else "")
        found[name] = [address, status, code]
    return found


if __name__ == "__main__":
    if sys.argv[1] == "make":
        with open(sys.argv[2]) as file:
            print(json.dumps(make(json.load(file))))
    else:
        print(json.dumps(ask(json.loads(sys.argv[2]))))
