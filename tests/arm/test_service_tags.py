"""The listing of service tags, and what is said of online endpoints on a cluster of v1."""

from __future__ import annotations

import pytest
from tests.arm.arm_world import COMPUTE, GROUP, NSG, SUBSCRIPTION, WORKSPACE, Arm, cluster, error
from tests.clouds import rule

LISTING = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/{{}}/serviceTags"


def test_every_tag_that_is_listed_can_be_used_in_a_rule(arm: Arm) -> None:
    arm.group()
    arm.made(NSG, {"location": "eastus2", "properties": {}})
    document = arm.get(LISTING.format("eastus2")).json()
    assert (document["type"], document["cloud"]) == ("Microsoft.Network/serviceTags", "Public")
    named = {value["name"]: value["properties"] for value in document["values"]}
    assert named["Storage.EastUS2"]["region"] == "eastus2" and named["Storage.EastUS2"]["systemService"] == "Storage"
    assert set(named["Storage.EastUS2"]["addressPrefixes"]) < set(named["Storage"]["addressPrefixes"])
    for number, name in enumerate(
        ["AzureMachineLearning", "AzureFrontDoor.FrontEnd", "AzureCloud.WestEurope", "Storage.EastUS2"]
    ):
        assert named[name]["addressPrefixes"]
        body = {"properties": rule(100 + number, direction="Outbound") | {"destinationAddressPrefix": name}}
        arm.made(f"{NSG}/securityRules/r{number}", body)


def test_tags_are_listed_for_regions_of_azure(arm: Arm) -> None:
    error(arm.get(LISTING.format("mars")), 400, "LocationNotAvailableForResourceType")
    assert arm.get(LISTING.format("WestEurope")).status_code == 200


@pytest.mark.parametrize("below", ["", "/deployments/blue"])
def test_there_are_no_online_endpoints_on_a_cluster_of_v1(arm: Arm, below: str) -> None:
    arm.workspace()
    arm.made(COMPUTE, cluster())
    version = arm.engine.snapshot().version
    body = {"location": "eastus2", "properties": {"authMode": "Key", "compute": COMPUTE}}
    found = error(arm.put(f"{WORKSPACE}/onlineEndpoints/e{below}", body), 400, "NotSupported")
    assert "on AKS compute type is no longer supported" in found["message"] and COMPUTE in found["message"]
    body["properties"] = {"authMode": "Key"}
    error(arm.put(f"{WORKSPACE}/onlineEndpoints/e{below}", body), 404, "InvalidResourceType")
    assert arm.engine.snapshot().version == version and arm.get(GROUP).status_code == 200
