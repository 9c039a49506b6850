"""What comes into being unasked: names that hold for life, and nothing where something was named."""

from __future__ import annotations

import dataclasses
import datetime as dt

from tests import clouds
from tests.clouds import aks, rid, vnet_path, ws_path

from ringfence.model import compute, storage
from ringfence.policy import clusters, companions, names

COMPUTE = f"{ws_path()}/computes/myaks"


def test_a_compute_brings_a_cluster_and_its_node_group() -> None:
    cloud = clouds.seed_cloud()
    cloud.put(COMPUTE, aks(vnet_path("mynetwork"), agentCount=4))
    owner = cloud.snapshot.need(rid(COMPUTE))
    cluster = cloud.snapshot.need(companions.cluster_id(owner))
    assert isinstance(cluster.properties, compute.ManagedCluster)
    assert cluster.managed_by == owner.key and cluster.id.group == "mlgroup" and cluster.region == "eastus2"
    node_group = cloud.snapshot.need(companions.node_group(cluster))
    assert node_group.id.name == f"MC_mlgroup_{cluster.id.name}_eastus2" and node_group.managed_by == cluster.key
    assert cluster.properties.service_principal_profile.client_id == "msi"
    (pool,) = clusters.pools_of(cloud.snapshot, cluster)
    assert (clusters.pool(pool).count, clusters.pool(pool).vm_size) == (4, "Standard_D3_v2")
    assert clusters.subnet_of(cloud.snapshot, pool) == rid(vnet_path("mynetwork") + "/subnets/default")
    assert names.fqdn(cluster).endswith(".hcp.eastus2.azmk8s.io")


def test_a_cluster_without_a_subnet_has_a_network_of_its_own() -> None:
    cloud = clouds.seed_cloud()
    cloud.put(COMPUTE, aks())
    cluster = cloud.snapshot.need(companions.cluster_id(cloud.snapshot.need(rid(COMPUTE))))
    subnet = clusters.nodes_subnet(cloud.snapshot, cluster)
    assert subnet.group == companions.node_group(cluster).name and cloud.snapshot.need(subnet.parent).managed_by == cluster.key
    assert clusters.is_own(cluster, subnet) and not clusters.is_own(cluster, rid(vnet_path("mynetwork") + "/subnets/default"))


def test_companions_keep_their_names_and_follow_their_resource() -> None:
    cloud = clouds.seed_cloud()
    cloud.put(COMPUTE, aks())
    owner = cloud.snapshot.need(rid(COMPUTE))
    before = {r.id for r in companions.companions(cloud.snapshot, owner)}
    later = dataclasses.replace(owner, created_at=owner.created_at + dt.timedelta(days=1))
    assert {r.id for r in companions.companions(cloud.snapshot, later)} == before
    cloud.put(COMPUTE, aks(agentCount=5))
    cluster = cloud.snapshot.need(companions.cluster_id(owner))
    assert clusters.node_count(cloud.snapshot, cluster) == 5
    again = clouds.seed_cloud().snapshot
    assert not {r.id for r in companions.companions(again, later)} & before


def test_a_workspace_brings_a_storage_account_unless_it_names_one() -> None:
    cloud = clouds.seed_cloud()
    (account,) = cloud.snapshot.of_type(storage.STORAGE_ACCOUNT)
    assert account.managed_by == rid(ws_path()).key and account.id.name.isalnum() and 3 <= len(account.id.name) <= 24
    cloud.put(ws_path("second"), {"storageAccount": str(account.id)})
    assert len(cloud.snapshot.of_type(storage.STORAGE_ACCOUNT)) == 1


def test_names_are_cut_to_what_azure_allows() -> None:
    cloud = clouds.seed_cloud()
    cloud.put("g" * 90, {})
    path = f"{ws_path('w' * 33, 'g' * 90)}"
    cloud.put(path, {})
    cloud.put(f"{path}/computes/{'c' * 24}", aks())
    made = [r for r in cloud.snapshot if r.managed_by and "g" * 90 in r.managed_by]
    assert all(len(r.id.name) <= 90 for r in made) and all(len(r.id.group or "") <= 90 for r in made)
