"""State folders of the version in which computes owned the nodes: every address stays, and everything goes on working."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests import clouds
from tests.control.engine_world import COMPUTE, VNET, WORKSPACE, World

from ringfence.control.operations import Status
from ringfence.policy import clusters, places

PREVIOUS = Path(__file__).with_name("previous_version.sql")
SMALL = {"agentVmSize": "Standard_D2_v2", "clusterPurpose": "DevTest"}


def previous(folder: Path) -> dict[tuple[str, str], str]:
    """A folder as that version left it; its addresses by (compute, purpose)."""
    with sqlite3.connect(folder / "ringfence.db") as connection:
        connection.executescript(PREVIOUS.read_text())
        return {(owner, purpose): value for owner, purpose, _, value in connection.execute("SELECT * FROM allocations")}


def test_clusters_of_the_previous_version_keep_their_addresses(tmp_path: Path) -> None:
    before = previous(tmp_path)
    world = World(tmp_path)
    world.engine.start()
    assert world.engine.wait_settled(5.0)
    world.consistent()
    snapshot = world.engine.snapshot()
    for path in (COMPUTE, f"{WORKSPACE}/computes/own"):
        compute = world.engine.get(world.id(path))
        cluster = clusters.cluster_of(snapshot, compute)
        assert cluster is not None and clusters.compute_of(snapshot, cluster) == compute
        (pool,) = clusters.pools_of(snapshot, cluster)
        for owner, purpose in ((pool, "node0"), (pool, "node0-pod29"), (cluster, "pod-dns"), (cluster, "api-server")):
            assert snapshot.value(owner.key, purpose) == before[compute.key, purpose]
        assert snapshot.value(compute.key, "pod-fe") == before[compute.key, "pod-fe"]
        assert places.frontend_address(snapshot, compute) is not None
    assert {a.owner for a in snapshot.allocations.values()} <= snapshot.resources.keys()
    world.close()


def test_they_grow_change_and_go_as_new_ones_do(tmp_path: Path) -> None:
    previous(tmp_path)
    world = World(tmp_path)
    world.engine.start()
    world.let_in()
    assert world.put(COMPUTE, clouds.aks(VNET, agentCount=2, **SMALL)).status is Status.SUCCEEDED
    own = f"{WORKSPACE}/computes/own"
    assert world.put(own, clouds.aks(agentCount=2, loadBalancerType="PublicIp", **SMALL)).status is Status.SUCCEEDED
    world.restart()
    for path in (COMPUTE, own):
        done = world.delete(path)
        assert done is not None and done.status is Status.SUCCEEDED
    assert not [r for r in world.engine.snapshot() if "managedclusters" in r.key or r.id.name.startswith("MC_")]
    world.consistent()
    world.close()
