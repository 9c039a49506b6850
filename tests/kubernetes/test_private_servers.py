"""API servers of private clusters: the names they go by, and that nobody gets in by another way than a private endpoint."""

from __future__ import annotations

import dataclasses

import pytest
from tests import clouds
from tests.kubernetes.kube_world import World, managed_cluster

from ringfence.api.kubernetes import plates
from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.keys import Keys
from ringfence.desired.build import build
from ringfence.model.resource import Snapshot
from ringfence.policy import names

ZONE = f"{clouds.SUBSCRIPTION}/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/mine.privatelink.eastus2.azmk8s.io"


def private(snapshot: Snapshot, **access: object) -> Snapshot:
    """The only cluster is a private one."""
    cluster = managed_cluster(snapshot)
    profile = {"enablePrivateCluster": True, **access}
    asked = cluster.properties.model_dump(by_alias=True) | {"apiServerAccessProfile": profile}
    return snapshot.changed([dataclasses.replace(cluster, properties=type(cluster.properties).model_validate(asked))])


@pytest.mark.parametrize("path", ["/version", "/healthz", "/api/v1/nodes"])
def test_a_private_server_answers_nobody_at_its_public_address(monkeypatch: pytest.MonkeyPatch, world: World, path: str) -> None:
    assert world.server().get(path).status_code == 200
    now = private(world.engine.snapshot())
    monkeypatch.setattr(world.engine, "snapshot", lambda: now)
    answer = world.server().get(path)
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert "is reached through its private endpoint" in answer.json()["message"]


@pytest.mark.parametrize(
    ("access", "private_name", "public_name"),
    [
        ({}, ".privatelink.eastus2.azmk8s.io", True),
        ({"enablePrivateClusterPublicFQDN": False}, ".privatelink.eastus2.azmk8s.io", False),
        ({"privateDNSZone": ZONE, "enablePrivateClusterPublicFQDN": False}, ".mine.privatelink.eastus2.azmk8s.io", False),
        ({"privateDNSZone": "none"}, "", True),
    ],
)
def test_a_private_server_goes_by_its_names_and_no_other(access: dict[str, object], private_name: str, public_name: bool) -> None:
    snapshot = private(clouds.served_cloud().snapshot, **access)
    cluster = Cluster(managed_cluster(snapshot), None, snapshot, build(snapshot), {})
    public = names.fqdn(cluster.resource)
    assert (public in cluster.hosts) is public_name
    private_names = [host for host in cluster.hosts if host != public]
    assert len(private_names) == bool(private_name) and all(host.endswith(private_name) for host in private_names)
    assert cluster.hosts[: len(private_names)] == tuple(private_names)  # kubeconfigs name the first
    (plate,) = plates.plates(snapshot, Keys(bytes(32))).values()
    assert {name for name in plate.names if name.endswith(".azmk8s.io")} == set(cluster.hosts)
