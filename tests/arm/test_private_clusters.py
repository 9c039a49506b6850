"""Private clusters over HTTP: what is refused, its accepted neighbour, and what a workspace asks of one."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds
from tests.arm.arm_world import COMPUTE, GROUP, Arm, error
from tests.arm.test_managed_clusters import CLUSTER, asked, attachment, let_in

from ringfence.model.ids import ResourceId

ZONE = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/privatelink.eastus2.azmk8s.io"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/acts"


def private(**more: Any) -> dict[str, Any]:
    return asked(apiServerAccessProfile={"enablePrivateCluster": True, **more})


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ({"enablePrivateCluster": True, "privateDNSZone": "none", "enablePrivateClusterPublicFQDN": False}, "InvalidParameter"),
        ({"privateDNSZone": "system"}, "InvalidParameter"),
        ({"enablePrivateCluster": True, "privateDNSZone": f"{ZONE.rpartition('/')[0]}/other.example"}, "InvalidParameter"),
        ({"enablePrivateCluster": True, "privateDNSZone": ZONE}, "InvalidResourceReference"),
        ({"authorizedIPRanges": ["198.19.255.4/32"]}, "NotSupported"),
    ],
)
def test_what_is_refused(arm: Arm, profile: dict[str, Any], code: str) -> None:
    arm.network()
    version = arm.engine.snapshot().version
    error(arm.put(CLUSTER, asked(apiServerAccessProfile=profile)), 400, code)
    assert arm.engine.snapshot().version == version


def test_a_zone_of_ones_own_needs_an_identity_with_roles_there(arm: Arm) -> None:
    arm.network()
    arm.made(ZONE, {"location": "global", "properties": {}})
    error(arm.put(CLUSTER, private(privateDNSZone=ZONE)), 400, "CustomPrivateDNSZoneMissingPermissionError")
    arm.put(IDENTITY, {"location": "eastus2"})
    body = private(privateDNSZone=ZONE) | {"identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}}
    found = error(arm.put(CLUSTER, body), 400, "CustomPrivateDNSZoneMissingPermissionError")
    assert "Private DNS Zone Contributor" in found["message"]
    arm.engine.put(clouds.contributor(arm.engine.get(ResourceId.parse(IDENTITY)), GROUP))
    arm.made(CLUSTER, body)


def test_azure_ml_takes_no_private_cluster_with_a_public_name(arm: Arm) -> None:
    arm.workspace()
    document = arm.made(CLUSTER, private())
    let_in(arm)
    found = error(arm.put(COMPUTE, attachment()), 400, "PrivateClusterWithPublicFqdnNotSupported")
    assert "--disable-public-fqdn" in found["message"]
    error(arm.get(COMPUTE), 404, "NotFound")
    document["properties"]["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] = False
    arm.made(CLUSTER, document)
    shown = arm.made(COMPUTE, attachment())["properties"]["properties"]
    assert shown["clusterFqdn"] == arm.get(CLUSTER).json()["properties"]["privateFQDN"]


def test_public_and_private_are_for_life(arm: Arm) -> None:
    arm.network()
    arm.made(CLUSTER, asked())
    error(arm.put(CLUSTER, private()), 400, "PropertyChangeNotAllowed")
