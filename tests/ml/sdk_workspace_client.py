"""Runs in the official client's own interpreter: `Workspace.create` as a user calls it, with assertions.

The SDK is as installed; only its waiting is shortened, because its intervals are fixed.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# The client's packages are not in the environment that mypy sees.

from __future__ import annotations

import contextlib
import io
import os
import time
from typing import Any

import requests
from azureml.core import Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.exceptions import WorkspaceException

SUBSCRIPTION = os.environ["RINGFENCE_SUBSCRIPTION_ID"]
ARM = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}"
AUTH = ServicePrincipalAuthentication(
    tenant_id=os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"],
    service_principal_id=os.environ["AZUREML_SERVICE_PRINCIPAL_ID"],
    service_principal_password=os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
)

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(float(seconds), 0.2))


def create(name: str, **more: Any) -> tuple[Workspace, str]:
    """The workspace, and what the SDK printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        ws = Workspace.create(
            name,
            subscription_id=SUBSCRIPTION,
            resource_group="fresh",
            create_resource_group=True,
            location="eastus2",
            auth=AUTH,
            **more,
        )
    return ws, said.getvalue()


def listed(path: str) -> list[Any]:
    answer = requests.get(f"{ARM}/{path}?api-version=2024-03-01", headers=AUTH.get_authentication_header(), timeout=30)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["value"]
    return found


def main() -> None:
    ws, said = create("first")
    print(said)
    assert "Deployed Workspace with name first" in said and "Deployed StorageAccount with name first" in said, said
    details = ws.get_details()
    assert ws.location == "eastus2" and details["provisioningState"] == "Succeeded", details
    for reference in ("storageAccount", "keyVault", "applicationInsights"):
        assert "/resourcegroups/fresh/" in details[reference].lower(), details
    kinds = {entry["type"] for entry in listed("resources")}
    assert "Microsoft.OperationalInsights/workspaces" in kinds and "Microsoft.Insights/components" in kinds, kinds
    same, said = create("first", exist_ok=True)
    assert same.get_details()["id"] == details["id"] and "Deploy" not in said, said
    try:
        create("first")
    except WorkspaceException as refusal:
        assert "already exists" in str(refusal), refusal
    else:
        raise AssertionError("a second workspace of the same name was made")
    _, said = create("second", show_output=False)
    deployments = listed("resourceGroups/fresh/providers/Microsoft.Resources/deployments")
    states = [d["properties"]["provisioningState"] for d in deployments]
    assert states == ["Succeeded", "Succeeded"], states
    print("all of it")


main()
