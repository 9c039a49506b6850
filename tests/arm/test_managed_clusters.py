"""Managed clusters over HTTP, as `az aks` speaks: created, shown, scaled, attached to a workspace, detached, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds
from tests.arm.arm_world import COMPUTE, GROUP, VNET, WORKSPACE, Arm, error

from ringfence.model.ids import ResourceId
from ringfence.policy import cluster_access

CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/mycluster"


def asked(count: int = 3, **more: Any) -> dict[str, Any]:
    """What `az aks create --vnet-subnet-id` sends (contract of azure-cli, section 3.3)."""
    pool = {
        "name": "nodepool1", "count": count, "mode": "System", "osType": "Linux", "type": "VirtualMachineScaleSets",
        "vmSize": "", "vnetSubnetID": f"{VNET}/subnets/default", "orchestratorVersion": "", "enableAutoScaling": False,
        "enableNodePublicIP": False, "upgradeSettings": {}, "nodeTaints": [], "networkProfile": {},
    }  # fmt: skip
    network = {"networkPlugin": "azure", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10", "loadBalancerSku": "standard"}
    properties = {
        "dnsPrefix": "mycluster-mygroup-111111", "kubernetesVersion": "", "enableRBAC": True, "addonProfiles": {},
        "agentPoolProfiles": [pool], "networkProfile": network, "storageProfile": {},
        "bootstrapProfile": {"artifactSource": "Direct"},
        "linuxProfile": {"adminUsername": "azureuser", "ssh": {"publicKeys": [{"keyData": "ssh-rsa AAAA"}]}},
    }  # fmt: skip
    return {
        "location": "eastus2",
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base", "tier": "Free"},
        "properties": properties | more,
    }


def attachment(**more: Any) -> dict[str, Any]:
    inner = {"loadBalancerType": "PublicIp", "loadBalancerSubnet": None, "clusterPurpose": "DevTest"} | more
    return {"location": "eastus2", "properties": {"computeType": "AKS", "resourceId": CLUSTER, "properties": inner}}


def let_in(arm: Arm, scope: str = GROUP) -> None:
    """Network Contributor for the cluster's identity."""
    arm.engine.put(clouds.contributor(arm.engine.get(ResourceId.parse(CLUSTER)), scope))


def test_a_cluster_as_the_command_line_makes_it(arm: Arm) -> None:
    arm.network()
    answer = arm.put(CLUSTER, asked())
    assert answer.status_code == 201 and "Azure-AsyncOperation" in answer.headers
    early = answer.json()
    assert early["identity"]["principalId"] and early["properties"]["servicePrincipalProfile"] == {"clientId": "msi"}
    assert arm.follow(answer)["status"] == "Succeeded"
    shown = arm.get(CLUSTER).json()
    properties = shown["properties"]
    assert shown["identity"]["principalId"] == early["identity"]["principalId"]
    assert properties["nodeResourceGroup"] == "MC_mygroup_mycluster_eastus2" and properties["powerState"] == {"code": "Running"}
    assert properties["fqdn"].startswith("mycluster-mygroup-111111-") and properties["fqdn"].endswith(".hcp.eastus2.azmk8s.io")
    (pool,) = properties["agentPoolProfiles"]
    assert (pool["name"], pool["count"], pool["vmSize"], pool["maxPods"]) == ("nodepool1", 3, "Standard_DS2_v2", 30)
    assert properties["maxAgentPools"] == 100 and properties["identityProfile"]["kubeletidentity"]["objectId"]
    assert arm.get(f"{CLUSTER}/agentPools").json()["value"][0]["properties"]["count"] == 3


def test_the_document_can_be_put_back_and_tags_patched(arm: Arm) -> None:
    arm.network()
    document = arm.made(CLUSTER, asked())
    assert arm.made(CLUSTER, document)["properties"]["agentPoolProfiles"] == document["properties"]["agentPoolProfiles"]
    answer = arm.send("PATCH", CLUSTER, {"tags": {"a": "b"}})
    assert arm.follow(answer)["status"] == "Succeeded" and arm.get(CLUSTER).json()["tags"] == {"a": "b"}
    changed = document | {"properties": document["properties"] | {"networkProfile": {"serviceCidr": "10.9.0.0/16"}}}
    error(arm.put(CLUSTER, changed), 400, "DnsServiceIpOutOfServiceCidr")


def test_pools_are_scaled_added_and_deleted(arm: Arm) -> None:
    arm.network()
    arm.made(CLUSTER, asked())
    pool, second = f"{CLUSTER}/agentPools/nodepool1", f"{CLUSTER}/agentPools/second"
    document = arm.get(pool).json()
    grown = {"properties": document["properties"] | {"count": 4}}
    found = error(arm.put(pool, grown), 403, "LinkedAuthorizationFailed")
    assert "virtualMachineScaleSets/write" in found["message"] and "az role assignment create" in found["message"]
    assert arm.get(pool).json()["properties"]["count"] == 3
    let_in(arm)
    assert arm.made(pool, grown)["properties"]["count"] == 4
    body = {"properties": {"count": 3, "vmSize": "Standard_D2s_v3", "mode": "User", "vnetSubnetID": f"{VNET}/subnets/default"}}
    arm.made(second, body)
    assert len(arm.get(CLUSTER).json()["properties"]["agentPoolProfiles"]) == 2
    error(arm.send("DELETE", pool), 400, "InvalidParameter")
    arm.follow(arm.send("DELETE", second))
    error(arm.get(second), 404, "NotFound")
    assert arm.follow(arm.send("DELETE", CLUSTER))["status"] == "Succeeded"
    error(arm.get(CLUSTER), 404, "ResourceNotFound")
    error(arm.get(f"{GROUP.rpartition('/')[0]}/MC_mygroup_mycluster_eastus2"), 404, "ResourceGroupNotFound")


def test_a_service_principal_is_proved_and_its_secret_forgotten(arm: Arm) -> None:
    arm.network()
    identities = arm.engine.identities
    body = asked(servicePrincipalProfile={"clientId": "11111111-2222-4333-8444-555555555555", "secret": "wrong"})
    del body["identity"]
    error(arm.put(CLUSTER, body), 400, "ServicePrincipalValidationClientError")
    client = "11111111-2222-4333-8444-555555555555"
    owner = identities.create("servicePrincipal", {"displayName": "aks"}, client).object_id
    _, secret = identities.add_secret(owner)
    body["properties"]["servicePrincipalProfile"]["secret"] = secret
    shown = arm.made(CLUSTER, body)
    assert shown["properties"]["servicePrincipalProfile"] == {"clientId": client} and secret not in str(shown)
    assert cluster_access.acting(arm.engine.snapshot(), arm.engine.get(ResourceId.parse(CLUSTER))) == (client, owner)
    arm.made(CLUSTER, shown)
    with arm.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT properties FROM resources WHERE key = ?", (CLUSTER.lower(),)).all()
    assert rows and secret not in str(rows)


def test_attach_update_and_detach(arm: Arm) -> None:
    arm.workspace()
    arm.made(CLUSTER, asked())
    error(arm.put(COMPUTE, attachment()), 403, "LinkedAuthorizationFailed")
    error(arm.get(COMPUTE), 404, "NotFound")
    let_in(arm)
    error(arm.put(COMPUTE, attachment(clusterPurpose="FastProd")), 400, "InvalidParameter")
    document = arm.made(COMPUTE, attachment())
    properties = document["properties"]
    assert properties["isAttachedCompute"] is True and properties["resourceId"].lower() == CLUSTER.lower()
    assert properties["properties"]["agentCount"] == 3 and properties["properties"]["agentVmSize"] == "Standard_DS2_v2"
    found = error(arm.put(f"{WORKSPACE}/computes/again", attachment()), 409, "ClusterAlreadyAttached")
    assert "myaks" in found["message"]
    error(arm.send("DELETE", CLUSTER), 409, "ClusterInUse")
    error(arm.send("DELETE", COMPUTE, query="underlyingResourceAction=delete"), 400, "DeleteNotSupportedForAttachedCompute")
    arm.made(f"{VNET}/subnets/frontends", {"properties": {"addressPrefix": "10.1.8.0/24"}})
    document["properties"]["properties"] |= {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "frontends"}
    moved = arm.made(COMPUTE, document)["properties"]["properties"]
    assert moved["systemServices"][0]["publicIpAddress"].startswith("10.1.8.")
    error(arm.send("DELETE", f"{VNET}/subnets/frontends"), 400, "InUseSubnetCannotBeDeleted")
    assert arm.follow(arm.send("DELETE", COMPUTE, query="underlyingResourceAction=detach"))["status"] == "Succeeded"
    assert arm.get(CLUSTER).json()["properties"]["provisioningState"] == "Succeeded"
    arm.made(f"{WORKSPACE}/computes/again", attachment())


def test_a_cluster_that_a_compute_made_outlives_its_detachment(arm: Arm) -> None:
    arm.workspace()
    body = {"location": "eastus2", "properties": {"computeType": "AKS"}}
    behind = arm.made(COMPUTE, body)["properties"]["resourceId"]
    assert arm.follow(arm.send("DELETE", COMPUTE, query="underlyingResourceAction=detach"))["status"] == "Succeeded"
    error(arm.get(COMPUTE), 404, "NotFound")
    assert arm.get(behind).json()["properties"]["provisioningState"] == "Succeeded"
    assert arm.follow(arm.send("DELETE", behind))["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"networkProfile": {"networkPlugin": "kubenet"}}, "NotSupported"),
        ({"networkProfile": {"networkPlugin": "azure", "networkPluginMode": "overlay"}}, "NotSupported"),
        ({"networkProfile": {"podCidr": "172.16.0.0/12"}}, "InvalidParameter"),
        ({"networkProfile": {"networkPolicy": "calico"}}, "NotSupported"),
        (
            {"networkProfile": {"serviceCidr": "10.1.0.0/24", "dnsServiceIP": "10.1.0.10"}},
            "ServiceCidrOverlapExistingSubnetsCidr",
        ),
        ({"networkProfile": {"serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.9.0.10"}}, "DnsServiceIpOutOfServiceCidr"),
        ({"networkProfile": {"serviceCidr": "10.0.0.0/16"}}, "InvalidParameter"),
        ({"kubernetesVersion": "1.11.0"}, "K8sVersionNotSupported"),
        ({"dnsPrefix": "ab"}, "InvalidParameter"),
        ({"dnsPrefix": "a" * 46}, "InvalidParameter"),
        ({"agentPoolProfiles": []}, "InvalidParameter"),
        ({"agentPoolProfiles": [{"name": "Nodes", "count": 1}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{"name": "nodes", "count": 0, "mode": "System"}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{"name": "nodes", "count": 2, "maxPods": 10}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{"name": "nodes", "count": 3, "maxPods": 251}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{"name": "nodes", "count": 3, "enableAutoScaling": True}]}, "NotSupported"),
        ({"agentPoolProfiles": [{"name": "nodes", "count": 3, "vmSize": "Standard_Nothing"}]}, "InvalidParameter"),
        ({"addonProfiles": {"azurepolicy": {"enabled": True}}}, "NotSupported"),
        ({"servicePrincipalProfile": {"clientId": "abc", "secret": "no"}}, "ServicePrincipalValidationClientError"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing_behind(arm: Arm, more: dict[str, Any], code: str) -> None:
    arm.network()
    version = arm.engine.snapshot().version
    answer = arm.put(CLUSTER, asked(**more))
    assert answer.status_code == 400
    found = answer.json()["error"]
    assert code in (found["code"], *(detail["code"] for detail in found.get("details", []))), found
    assert arm.engine.snapshot().version == version


def test_the_accepted_neighbours(arm: Arm) -> None:
    arm.network()
    pools = [
        {"name": "nodes", "count": 3, "maxPods": 10, "vnetSubnetID": f"{VNET}/subnets/default"},
        {"name": "more", "count": 0, "mode": "User", "vnetSubnetID": f"{VNET}/subnets/default"},
    ]
    arm.made(CLUSTER, asked(agentPoolProfiles=pools, dnsPrefix="a" * 45, kubernetesVersion="1.33"))
