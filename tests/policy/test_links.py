"""References between resources: every field is listed, with the action it takes, and can be followed backwards."""

from __future__ import annotations

from tests import clouds
from tests.clouds import aks, nsg_path, rid, subnet, vnet_path, ws_path

from ringfence.policy import links

JOIN_SUBNET = "Microsoft.Network/virtualNetworks/subnets/join/action"
JOIN_GROUP = "Microsoft.Network/networkSecurityGroups/join/action"


def test_every_link_can_be_followed_backwards() -> None:
    cloud = clouds.served_cloud()
    vnet = vnet_path("mynetwork")
    cloud.put(f"{vnet}/subnets/frontends", subnet("10.1.8.0/24", nsg_path("mynetwork-nsg")), location=None)
    cloud.put(f"{ws_path()}/computes/myaks", aks(vnet, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="frontends"))
    inner = {"subnet": {"id": str(rid(f"{vnet}/subnets/default"))}}
    nic = {
        "ipConfigurations": [{"name": "i", "properties": inner}],
        "networkSecurityGroup": {"id": str(rid(nsg_path("mynetwork-nsg")))},
    }
    cloud.put("mygroup/Microsoft.Network/networkInterfaces/nic", nic)
    found = {}
    for resource in cloud.snapshot:
        for link in links.links(resource):
            found[resource.id.type.rpartition("/")[2], link.field] = link.action
            target = cloud.snapshot.need(link.target)
            assert (resource, link) in list(links.users(cloud.snapshot, target.type, frozenset({target.key})))
    assert found == {
        ("subnets", "properties.networkSecurityGroup.id"): JOIN_GROUP,
        ("networkInterfaces", "properties.networkSecurityGroup.id"): JOIN_GROUP,
        (
            "networkInterfaces",
            "properties.ipConfigurations[0].properties.subnet.id",
        ): JOIN_SUBNET,
        (
            "computes",
            "properties.properties.aksNetworkingConfiguration.subnetId",
        ): JOIN_SUBNET,
        ("computes", "properties.properties.loadBalancerSubnet"): JOIN_SUBNET,
        ("agentPools", "properties.vnetSubnetID"): JOIN_SUBNET,
        ("services", "computeName"): "",
        ("services", "environmentImageRequest.modelIds"): "",
        ("versions", "url"): "",
    }
