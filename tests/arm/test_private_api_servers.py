"""API servers of private clusters: the endpoint, zone, link and record that come with one, and where its name leads."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import GROUP, VNET, Arm

from ringfence.control.operations import Status
from ringfence.desired import build
from ringfence.desired.state import Network, ServiceMap, View
from ringfence.model import compute
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import arrivals, private_link

CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks"


def cluster(arm: Arm, **access: Any) -> dict[str, Any]:
    arm.network()
    id, now = ResourceId.parse(CLUSTER), arm.now()
    profile = compute.ApiServerAccessProfile.model_validate({"enablePrivateCluster": True, **access})
    properties = compute.ManagedCluster(dns_prefix="aks", api_server_access_profile=profile)
    pool = compute.AgentPool.model_validate({"count": 1, "mode": "System", "vnetSubnetID": f"{VNET}/subnets/default"})
    own = {"type": "SystemAssigned"}
    draft = Resource(id=id, location="eastus2", properties=properties, identity=own, created_at=now, changed_at=now)
    nodes = Resource(id=id.child("agentPools", "nodepool1"), properties=pool, created_at=now, changed_at=now)
    arm.engine.wait(arm.engine.put(draft, also=(nodes,)).operation.id, 5.0)
    found: dict[str, Any] = arm.get(CLUSTER).json()
    assert found["properties"]["provisioningState"] == "Succeeded", found
    return found


def test_a_private_cluster_has_an_endpoint_and_a_record_in_its_zone(arm: Arm) -> None:
    shown = cluster(arm, enablePrivateClusterPublicFQDN=False)["properties"]
    assert "fqdn" not in shown and ".privatelink.eastus2.azmk8s.io" in shown["privateFQDN"]
    inside = f"{GROUP.rpartition('/')[0]}/{shown['nodeResourceGroup']}/providers/Microsoft.Network"
    name, _, zone = shown["privateFQDN"].partition(".")
    record = arm.get(f"{inside}/privateDnsZones/{zone}/A/{name}").json()["properties"]
    (address,) = [one["ipv4Address"] for one in record["aRecords"]]
    links = arm.get(f"{inside}/privateDnsZones/{zone}/virtualNetworkLinks").json()["value"]
    assert [link["properties"]["virtualNetwork"]["id"] for link in links] == [VNET]
    endpoint = arm.get(f"{inside}/privateEndpoints/kube-apiserver").json()["properties"]
    (connection,) = endpoint["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    state, snapshot = build.build(arm.engine.snapshot()), arm.engine.snapshot()
    views = {item.key: {record.name: record.values for record in item.records} for item in state if isinstance(item, View)}
    knowing = [key for key, names in views.items() if shown["privateFQDN"] in names]
    assert "dns/internet" not in knowing and len(knowing) == 2  # the network and the cluster's own resolver
    (network,) = [item for item in state if isinstance(item, Network) and item.private]
    assert [one.address for one in network.private] == [address]
    maps = [item for item in state if isinstance(item, ServiceMap)]
    assert maps and all(any(s.port == 443 and s.target == address for s in item.services) for item in maps)
    resource, link = snapshot.need(ResourceId.parse(CLUSTER)), network.private[0].link
    arrivals.require(snapshot, resource, link)
    assert private_link.api_server(snapshot, resource) == address


def test_a_public_name_of_a_private_cluster_leads_to_the_private_address(arm: Arm) -> None:
    shown = cluster(arm)["properties"]
    state = build.build(arm.engine.snapshot())
    (outside,) = [item for item in state if isinstance(item, View) and item.key == "dns/internet"]
    (values,) = [record.values for record in outside.records if record.name == shown["fqdn"]]
    assert values[0].startswith("10.1.0.")


def test_everything_of_a_private_cluster_goes_with_it(arm: Arm) -> None:
    shown = cluster(arm)["properties"]
    operation = arm.engine.delete(ResourceId.parse(CLUSTER))
    assert operation is not None and arm.engine.wait(operation.id, 5.0).status is Status.SUCCEEDED
    left = [r.key for r in arm.engine.snapshot() if shown["nodeResourceGroup"].lower() in r.key]
    assert left == []
