"""Runs at the location `internet` with the official client's interpreter: moves the load balancer of `myaks`, and says where to.

    balancer_switch.py TYPE [SUBNET]

Prints the address of the document that answers the PUT, and the one at the end of the operation.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import sys
import time
from typing import Any

import requests
from azureml.core.authentication import ServicePrincipalAuthentication

SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
WORKSPACE = "resourceGroups/myresourcegroup/providers/Microsoft.MachineLearningServices/workspaces/myworkspace"
URL = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/{WORKSPACE}/computes/myaks?api-version=2020-02-02"
AUTH = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)


def address(document: Any) -> str:
    return str(document["properties"]["properties"]["systemServices"][0]["publicIpAddress"])


def main() -> None:
    headers = AUTH.get_authentication_header()
    document = requests.get(URL, headers=headers, timeout=30).json()
    inner = document["properties"]["properties"]
    del inner["sslConfiguration"]
    inner |= {"loadBalancerType": sys.argv[1], "loadBalancerSubnet": sys.argv[2] if len(sys.argv) > 2 else None}
    answer = requests.put(URL, json=document, headers=headers, timeout=30)
    assert answer.status_code in (200, 201), answer.text
    follow = answer.headers["Azure-AsyncOperation"]
    while (status := requests.get(follow, headers=headers, timeout=30).json()["status"]) not in ("Succeeded", "Failed"):
        time.sleep(0.1)
    assert status == "Succeeded", status
    print(address(answer.json()), address(requests.get(URL, headers=headers, timeout=30).json()))


if __name__ == "__main__":
    main()
