"""RULES.md sections 4 to 6 as clients meet them: each refusal over HTTP, and nothing changed by it."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import COMPUTE, VNET, WORKSPACE, Arm, cluster
from tests.arm.limits_world import (
    CLUSTERS,
    FAR,
    GROUPS,
    SUBNETS,
    Case,
    aci,
    at,
    held,
)
from tests.arm.test_container_instances import group as container_group
from tests.arm.test_managed_clusters import asked as managed
from tests.policy.test_container_groups import container


def inside(change: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Snippet 1's body with another address plan."""
    body = cluster(**more)
    body["properties"]["properties"]["aksNetworkingConfiguration"] |= change
    return body


def ranges(**change: Any) -> dict[str, Any]:
    """What `az aks create` sends, with another address plan."""
    plan = {"networkPlugin": "azure", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10", "loadBalancerSku": "standard"}
    return managed(networkProfile=plan | change)


def pool(**change: Any) -> dict[str, Any]:
    body = managed()
    body["properties"]["agentPoolProfiles"][0] |= change
    return body


def one(cpu: float, memory: float) -> list[dict[str, Any]]:
    resources = {"requests": {"cpu": cpu, "memoryInGB": memory}}
    return [{"name": "one", "properties": container(ports=[{"port": 80}])["properties"] | {"resources": resources}}]


CASES: list[Case] = [
    # Section 4: address plans of clusters, made by a compute and by AKS.
    *(
        (f"{word} {kind}", path, make(change), code)
        for kind, path, make in (
            ("of a compute", COMPUTE, inside),
            ("of a cluster", f"{CLUSTERS}/n", lambda change: ranges(**change)),
        )
        for word, change, code in (
            (
                "services in a subnet",
                {"serviceCidr": "10.1.10.0/24", "dnsServiceIP": "10.1.10.10"},
                "ServiceCidrOverlapExistingSubnetsCidr",
            ),
            (
                "services over a subnet",
                {"serviceCidr": "10.0.0.0/14", "dnsServiceIP": "10.0.0.10"},
                "ServiceCidrOverlapExistingSubnetsCidr",
            ),
            ("services too many", {"serviceCidr": "11.0.0.0/12", "dnsServiceIP": "11.0.0.10"}, "InvalidParameter"),
            ("services banned", {"serviceCidr": "172.31.0.0/24", "dnsServiceIP": "172.31.0.10"}, "InvalidParameter"),
            ("dns outside", {"dnsServiceIP": "10.7.0.10"}, "DnsServiceIpOutOfServiceCidr"),
            ("dns first", {"dnsServiceIP": "10.0.0.1"}, "InvalidParameter"),
            ("bridge in a subnet", {"dockerBridgeCidr": "10.1.10.1/24"}, "InvalidParameter"),
            ("bridge in services", {"dockerBridgeCidr": "10.0.9.1/24"}, "InvalidParameter"),
            ("bridge without length", {"dockerBridgeCidr": "172.17.0.1"}, "InvalidParameter"),
            ("services alone", {"dnsServiceIP": None}, "InvalidParameter"),
        )
    ),
    ("pods banned", f"{CLUSTERS}/n", ranges(podCidr="172.16.0.0/12"), "InvalidParameter"),
    ("pods over services", f"{CLUSTERS}/n", ranges(podCidr="10.0.0.0/16"), "InvalidParameter"),
    ("kubenet", f"{CLUSTERS}/n", ranges(networkPlugin="kubenet"), "InvalidParameter"),
    ("pods per node 9", f"{CLUSTERS}/n", pool(maxPods=9, count=4), "InvalidParameter"),
    ("pods per node 251", f"{CLUSTERS}/n", pool(maxPods=251), "InvalidParameter"),
    ("pods in all 20", f"{CLUSTERS}/n", pool(maxPods=10, count=2), "InvalidParameter"),
    ("nodes in delegated subnet", f"{CLUSTERS}/n", pool(vnetSubnetID=f"{SUBNETS}/sql"), "SubnetIsDelegated"),
    ("nodes in container subnet", f"{CLUSTERS}/n", pool(vnetSubnetID=f"{SUBNETS}/aci"), "SubnetIsDelegated"),
    ("nodes in small subnet", f"{CLUSTERS}/n", pool(vnetSubnetID=f"{SUBNETS}/small", count=1), "InsufficientSubnetSize"),
    ("nodes in no subnet", f"{CLUSTERS}/n", pool(vnetSubnetID=f"{SUBNETS}/none"), "InvalidResourceReference"),
    ("nodes in a network", f"{CLUSTERS}/n", pool(vnetSubnetID=VNET), "LinkedInvalidPropertyId"),
    ("nodes elsewhere", f"{CLUSTERS}/n", pool(vnetSubnetID=f"{FAR}/subnets/s"), "InvalidResourceReference"),
    ("pool name", f"{CLUSTERS}/n", pool(name="Pool1"), "InvalidParameter"),
    ("pool name long", f"{CLUSTERS}/n", pool(name="a" * 13), "InvalidParameter"),
    ("dns prefix", f"{CLUSTERS}/n", managed(dnsPrefix="ab"), "InvalidParameter"),
    ("no system pool", f"{CLUSTERS}/n", pool(mode="User"), "InvalidParameter"),
    (
        "plan for life",
        f"{CLUSTERS}/old",
        managed(1, networkProfile={"serviceCidr": "10.9.0.0/16", "dnsServiceIP": "10.9.0.10"}),
        "PropertyChangeNotAllowed",
    ),
    # Section 5: computes.
    ("compute name short", f"{WORKSPACE}/computes/ab", cluster(), "InvalidComputeName"),
    ("compute name long", f"{WORKSPACE}/computes/{'a' * 25}", cluster(), "InvalidComputeName"),
    ("compute name digit", f"{WORKSPACE}/computes/1ab", cluster(), "InvalidComputeName"),
    ("compute name hyphen", f"{WORKSPACE}/computes/ab-", cluster(), "InvalidComputeName"),
    ("two nodes in production", COMPUTE, cluster(agentCount=2), "InvalidParameter"),
    ("few cores in production", COMPUTE, cluster(agentVmSize="Standard_D2s_v3", agentCount=3), "InvalidParameter"),
    (
        "leaf label inside",
        COMPUTE,
        cluster(loadBalancerType="InternalLoadBalancer", sslConfiguration={"status": "Auto", "leafDomainLabel": "me"}),
        "InvalidSslConfiguration",
    ),
    (
        "frontend in delegated subnet",
        COMPUTE,
        cluster(loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="aci"),
        "SubnetIsDelegated",
    ),
    (
        "attach nothing",
        COMPUTE,
        at({"computeType": "AKS", "resourceId": f"{CLUSTERS}/none", "properties": {}}),
        "InvalidResourceReference",
    ),
    ("virtual machines", COMPUTE, at({"computeType": "AmlCompute", "properties": {}}), "NotSupported"),
    # Section 6: container groups.
    ("group in plain subnet", f"{GROUPS}/n", aci("used"), "SubnetMissingRequiredDelegation"),
    ("group in another's subnet", f"{GROUPS}/n", aci("sql"), "SubnetWithExternalResourcesCannotBeUsedByOtherResources"),
    ("group in no subnet", f"{GROUPS}/n", aci("none"), "InvalidResourceReference"),
    ("group elsewhere", f"{GROUPS}/n", aci() | {"location": "westeurope"}, "InvalidResourceReference"),
    ("group public in subnet", f"{GROUPS}/n", aci(ipAddress={"type": "Public", "ports": [{"port": 80}]}), "InvalidIPAddressType"),
    (
        "group label in subnet",
        f"{GROUPS}/n",
        aci(ipAddress={"type": "Private", "dnsNameLabel": "mylabel", "ports": [{"port": 80}]}),
        "InvalidDnsNameLabel",
    ),
    ("group private without subnet", f"{GROUPS}/n", container_group(subnetIds=[]), "InvalidIPAddressType"),
    ("group without ports", f"{GROUPS}/n", aci(ipAddress={"type": "Private", "ports": []}), "MissingIpAddressPorts"),
    ("group port 0", f"{GROUPS}/n", aci(ipAddress={"type": "Private", "ports": [{"port": 0}]}), "InvalidIpAddressPorts"),
    ("group of Windows", f"{GROUPS}/n", aci(osType="Windows"), "NotSupported"),
    ("group too many cores", f"{GROUPS}/n", aci(containers=one(4.5, 8)), "409 ServiceUnavailable"),
    ("group too much memory", f"{GROUPS}/n", aci(containers=one(4, 16.5)), "409 ServiceUnavailable"),
    ("group no cpu", f"{GROUPS}/n", aci(containers=one(0, 1)), "InvalidResourceRequests"),
    ("group name", f"{GROUPS}/Upper", aci(), "InvalidContainerGroupName"),
    (
        "group two subnets",
        f"{GROUPS}/n",
        container_group(subnetIds=[{"id": f"{SUBNETS}/{n}"} for n in ("aci", "free-aci")]),
        "InvalidSubnetIds",
    ),
]


def test_every_refusal_has_azures_code_and_changes_nothing(arm: Arm) -> None:
    held(arm, CASES)
