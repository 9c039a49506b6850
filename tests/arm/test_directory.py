"""Metadata, subscriptions, tenants, locations, providers, lists of resources."""

from __future__ import annotations

import pytest
from tests.arm.arm_world import GROUP, SUBSCRIPTION, TENANT, Arm, error


def test_metadata_is_public_and_has_two_shapes(arm: Arm) -> None:
    listed = arm.get("/metadata/endpoints", version="2019-05-01", headers={"Authorization": ""}).json()
    single = arm.get("/metadata/endpoints", version="2022-09-01", headers={"Authorization": ""}).json()
    assert isinstance(listed, list) and listed[0]["name"] == single["name"] == "AzureCloud"
    assert single["resourceManager"] == "https://management.azure.com/"
    assert single["authentication"]["loginEndpoint"] == "https://login.microsoftonline.com"
    assert single["authentication"]["audiences"][0] and single["suffixes"]["storage"] == "core.windows.net"
    error(arm.send("POST", "/metadata/endpoints", {}), 405, "MethodNotAllowed")


def test_the_subscription_and_its_tenant(arm: Arm) -> None:
    (listed,) = arm.get("/subscriptions", version="2022-12-01").json()["value"]
    assert listed == arm.get(SUBSCRIPTION).json()
    assert f"/subscriptions/{listed['subscriptionId']}" == SUBSCRIPTION and listed["tenantId"] == TENANT
    assert arm.get("/tenants").json()["value"][0]["tenantId"] == TENANT
    names = {place["name"] for place in arm.get(f"{SUBSCRIPTION}/locations").json()["value"]}
    assert {"eastus2", "westeurope"} <= names


def test_providers(arm: Arm) -> None:
    provider = arm.get(f"{SUBSCRIPTION}/providers/microsoft.machinelearningservices").json()
    kinds = {kind["resourceType"]: kind for kind in provider["resourceTypes"]}
    assert "East US 2" in kinds["workspaces"]["locations"] and kinds["workspaces/computes"]["apiVersions"]
    assert "Microsoft.Network" in {p["namespace"] for p in arm.get(f"{SUBSCRIPTION}/providers").json()["value"]}
    error(arm.get(f"{SUBSCRIPTION}/providers/Contoso.Widgets"), 404, "InvalidResourceNamespace")


FILTERS = [
    ("resourceType eq 'Microsoft.MachineLearningServices/workspaces'", {"ws"}),
    ("resourcegroup eq 'MYGROUP' and name eq 'mynetwork'", {"mynetwork"}),
    ("substringof('network', name)", {"mynetwork"}),
    ("location eq 'East US 2' and resourceType ne 'microsoft.storage/storageAccounts'", {"ws", "mynetwork"}),
    ("tagName eq 'colour' and tagValue eq 'red'", {"mynetwork"}),
    ("tagName eq 'colour'", {"mynetwork"}),
    ("name eq 'it''s'", set()),
]


@pytest.mark.parametrize(("text", "names"), FILTERS)
def test_filters(arm: Arm, text: str, names: set[str]) -> None:
    arm.workspace()
    arm.send("PATCH", f"{GROUP}/providers/Microsoft.Network/virtualNetworks/mynetwork", {"tags": {"colour": "red"}})
    for scope in (SUBSCRIPTION, GROUP):
        found = arm.get(f"{scope}/resources", query=f"$filter={text}").json()["value"]
        assert {entry["name"] for entry in found} == names
        assert all(entry.keys() >= {"id", "name", "type", "location"} for entry in found)


@pytest.mark.parametrize(
    "text", ["name", "name eq", "name eq 'a' or name eq 'b'", "size eq '1'", "name eq 'a' and", "' and '", "and"]
)
def test_a_filter_that_is_not_understood_is_refused(arm: Arm, text: str) -> None:
    error(arm.get(f"{SUBSCRIPTION}/resources", query=f"$filter={text}"), 400, "InvalidFilterInQueryString")


def test_expanded_and_cut(arm: Arm) -> None:
    arm.workspace()
    query = "$expand=createdTime,changedTime,provisioningState&$top=1"
    (entry,) = arm.get(f"{SUBSCRIPTION}/resources", query=query).json()["value"]
    assert entry["provisioningState"] == "Succeeded" and entry["createdTime"] and entry["changedTime"]
    error(arm.get(f"{SUBSCRIPTION}/resources", query="$top=many"), 400, "InvalidTopInQueryString")
    error(arm.get(f"{GROUP}x/resources"), 404, "ResourceGroupNotFound")
