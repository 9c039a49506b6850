"""Runs in the official client's own interpreter: `AciWebservice` from deployment to deletion. Imports nothing of Ringfence.

    sdk_aci_client.py SOURCE

SOURCE: folder with an entry script. Only the SDK's waiting is shortened.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import pathlib
import sys
import time
from typing import Any

import requests
from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AciWebservice, Webservice
from azureml.exceptions import WebserviceException

SOURCE = pathlib.Path(sys.argv[1]).resolve()
SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
GROUP = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
AUTH = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)
_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(float(seconds), 0.2))


def put(path: str, body: Any) -> None:
    url = f"{GROUP}{path}?api-version=2024-01-01"
    answer = requests.put(url, json=body, headers=AUTH.get_authentication_header(), timeout=30)
    assert answer.status_code in (200, 201), answer.text


def world() -> Workspace:
    put("", {"location": "eastus2"})
    delegation = {"name": "aci", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}
    subnets = [
        {"name": "aci", "properties": {"addressPrefix": "10.5.1.0/24", "delegations": [delegation]}},
        {"name": "plain", "properties": {"addressPrefix": "10.5.2.0/24"}},
    ]
    body = {"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": ["10.5.0.0/16"]}, "subnets": subnets}}
    put("/providers/Microsoft.Network/virtualNetworks/net", body)
    put("/providers/Microsoft.MachineLearningServices/workspaces/ws", {"location": "eastus2", "properties": {}})
    return Workspace.get(name="ws", subscription_id=SUBSCRIPTION, resource_group="rg", auth=AUTH)


def deploy(ws: Workspace, name: str, **more: Any) -> AciWebservice:
    inference = InferenceConfig(entry_script="score.py", source_directory=str(SOURCE), environment=Environment("aci"))
    asked = AciWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=0.5, **more)
    service = Model.deploy(ws, name, [], inference, asked)
    service.wait_for_deployment()
    return service


def main() -> None:
    ws = world()
    inside = deploy(ws, "inside", vnet_name="net", subnet_name="aci", auth_enabled=True, tags={"a": "b"})
    assert inside.state == "Healthy" and inside.scoring_uri == "http://10.5.1.4:80/score" and not inside.public_ip
    assert (inside.vnet_configuration.vnet_name, inside.vnet_configuration.subnet_name) == ("net", "aci")
    assert inside.swagger_uri == "http://10.5.1.4:80/swagger.json" and inside.ssl_key is None
    first, second = inside.get_keys()
    inside.regen_key("Primary")
    assert inside.get_keys()[0] not in (first, second) and inside.get_keys()[1] == second
    inside.update(description="new", auth_enabled=False)
    inside.wait_for_deployment()
    assert Webservice(ws, "inside").description == "new" and not Webservice(ws, "inside").auth_enabled
    assert inside.get_logs()

    outside = deploy(ws, "outside", dns_name_label="outside-scorer")
    assert outside.scoring_uri == "http://outside-scorer.eastus2.azurecontainer.io:80/score"
    assert outside.public_ip.startswith("198.19.") and outside.vnet_configuration is None and not outside.auth_enabled

    try:
        deploy(ws, "refused", vnet_name="net", subnet_name="plain")
    except WebserviceException as error:
        assert "SubnetMissingRequiredDelegation" in str(error) or "missing required delegation" in str(error), error
    else:
        raise AssertionError("a subnet that is not delegated took the service")
    assert [one.name for one in Webservice.list(ws, compute_type="ACI")] == ["inside", "outside"]
    inside.delete()
    outside.delete()
    assert Webservice.list(ws) == []
    print("all of it")


main()
