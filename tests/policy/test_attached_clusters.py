"""The region rule of the document: a workspace with a private endpoint takes clusters of its own region."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clouds import Cloud, rid, seed_cloud, vnet_path, ws_path

from ringfence.model import errors

COMPUTE = f"{ws_path()}/computes/elsewhere"


def workspace(*, private: bool) -> Cloud:
    cloud = seed_cloud()
    cloud.put(ws_path(), {"friendlyName": "ws"})
    if private:
        connection = {"name": "c", "properties": {"privateLinkServiceId": str(rid(ws_path())), "groupIds": ["amlworkspace"]}}
        subnet = {"id": str(rid(f"{vnet_path('mynetwork')}/subnets/default"))}
        body = {"subnet": subnet, "privateLinkServiceConnections": [connection]}
        cloud.put("mygroup/Microsoft.Network/privateEndpoints/pe", body)
    return cloud


def cluster(region: str) -> dict[str, Any]:
    return {"computeType": "AKS", "computeLocation": region}


def test_a_workspace_with_a_private_endpoint_takes_clusters_of_its_region() -> None:
    cloud = workspace(private=True)
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(COMPUTE, cluster("westeurope"))
    assert refusal.value.code == "InvalidClusterRegion"
    assert "'eastus2'" in refusal.value.message and "'westeurope'" in refusal.value.message
    assert cloud.snapshot is before
    cloud.put(COMPUTE, cluster("East US 2"))


def test_without_a_private_endpoint_a_cluster_may_be_anywhere() -> None:
    workspace(private=False).put(COMPUTE, cluster("westeurope"))
