"""Microsoft.ContainerService clusters, as they stand behind an AML compute.

In this version clusters are made by computes and read by GET; the address plan, sizes and
purposes are the compute's. Which addresses a cluster has is in its allocations.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ringfence.model.resource import Properties

MANAGED_CLUSTER = "microsoft.containerservice/managedclusters"

#: The Kubernetes API version whose documents are spoken.
KUBERNETES_VERSION = "1.33.5"
#: Pods that each node reserves addresses for (Azure CNI, node subnet; RULES.md section 4.2).
MAX_PODS = 30


class AgentPool(Properties):
    name: str
    count: int
    vm_size: str
    os_type: str = "Linux"
    mode: str = "System"
    type: str = "VirtualMachineScaleSets"
    max_pods: int = MAX_PODS
    vnet_subnet_id: str = Field(alias="vnetSubnetID")
    orchestrator_version: str = KUBERNETES_VERSION


class NetworkProfile(Properties):
    """service_cidr, dns_service_ip, docker_bridge_cidr: the three ranges of a cluster. load_balancer_sku: "standard"."""

    network_plugin: str = "azure"
    service_cidr: str
    dns_service_ip: str = Field(alias="dnsServiceIP")
    docker_bridge_cidr: str
    load_balancer_sku: str = "standard"
    outbound_type: str = "loadBalancer"


class ServicePrincipalProfile(Properties):
    """client_id: "msi" says that the cluster has an identity of its own."""

    client_id: str = "msi"


class ManagedCluster(Properties):
    """node_resource_group: the name of the group of what the cluster makes for itself (`MC_…`)."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "powerState", "currentKubernetesVersion", "maxAgentPools"}
    )

    kubernetes_version: str = KUBERNETES_VERSION
    dns_prefix: str
    fqdn: str
    agent_pool_profiles: tuple[AgentPool, ...]
    network_profile: NetworkProfile
    service_principal_profile: ServicePrincipalProfile = ServicePrincipalProfile()
    node_resource_group: str
    enable_rbac: bool = Field(default=True, alias="enableRBAC")

    @property
    def pool(self) -> AgentPool:
        return self.agent_pool_profiles[0]
