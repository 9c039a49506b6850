"""Microsoft.ContainerService: managed clusters and their agent pools.

A cluster owns its nodes, its resolver and the address of its API server, and pools are resources of
their own that a cluster's document shows inline (`INLINE`). Inference routers belong to the
computes that use a cluster (`ml`). What is allowed is in `policy.admission`; which addresses
a cluster has is in its allocations.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties

MANAGED_CLUSTER = "microsoft.containerservice/managedclusters"
AGENT_POOL = "microsoft.containerservice/managedclusters/agentpools"
#: The property that shows pools inline, and the type's segment below a cluster. Entries are flat: no `properties` in them.
INLINE = ("agentPoolProfiles", "agentPools")

#: The Kubernetes API version whose documents are spoken.
KUBERNETES_VERSION = "1.33.5"
#: Pods that each node reserves addresses for (Azure CNI, node subnet; RULES.md section 4.2).
MAX_PODS = 30
#: The size of nodes when none is asked for (`az aks create` sends an empty one).
VM_SIZE = "Standard_DS2_v2"
#: What a cluster has when nobody says (RULES.md section 4.1).
SERVICE_CIDR, DNS_SERVICE_IP, DOCKER_BRIDGE_CIDR = "10.0.0.0/16", "10.0.0.10", "172.17.0.1/16"


def _or(default: str) -> BeforeValidator:
    """Clients send "" for what they leave to the service (contract of azure-cli, section 3.3)."""
    return BeforeValidator(lambda given: default if given == "" else given)


class AgentPool(Properties):
    """A set of equal nodes. count: nodes. vnet_subnet_id: None for the cluster's own network. max_pods: for each node."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState", "currentOrchestratorVersion", "nodeImageVersion", "eTag", "status",
            "nodeInitializationTaints", "id", "etag",
        }
    )  # fmt: skip

    count: int = 1
    vm_size: Annotated[str, _or(VM_SIZE)] = VM_SIZE
    os_type: str = "Linux"
    os_disk_size_gb: int | None = Field(default=None, alias="osDiskSizeGB")
    os_disk_type: str | None = None
    kubelet_disk_type: str | None = None
    os_sku: str | None = Field(default=None, alias="osSKU")
    mode: str = "System"
    type: str = "VirtualMachineScaleSets"
    max_pods: Annotated[int, BeforeValidator(lambda given: MAX_PODS if given == 0 else given)] = MAX_PODS
    vnet_subnet_id: Annotated[str | None, BeforeValidator(lambda given: given or None)] = Field(
        default=None, alias="vnetSubnetID"
    )
    orchestrator_version: Annotated[str, _or(KUBERNETES_VERSION)] = KUBERNETES_VERSION
    workload_runtime: str | None = None
    node_labels: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    upgrade_settings: JsonValue = None
    upgrade_strategy: str | None = None
    power_state: JsonValue = None
    scale_down_mode: str | None = None
    #: What is accepted only while it asks for nothing: admission looks into it.
    enable_auto_scaling: bool | None = None
    min_count: int | None = None
    max_count: int | None = None
    enable_node_public_ip: bool | None = Field(default=None, alias="enableNodePublicIP")
    node_public_ip_prefix_id: str | None = Field(default=None, alias="nodePublicIPPrefixID")
    enable_encryption_at_host: bool | None = None
    enable_ultra_ssd: bool | None = Field(default=None, alias="enableUltraSSD")
    enable_fips: bool | None = Field(default=None, alias="enableFIPS")
    pod_subnet_id: str | None = Field(default=None, alias="podSubnetID")
    availability_zones: tuple[str, ...] | None = None
    node_taints: tuple[str, ...] | None = None
    proximity_placement_group_id: str | None = Field(default=None, alias="proximityPlacementGroupID")
    scale_set_priority: str | None = None
    scale_set_eviction_policy: str | None = None
    spot_max_price: float | None = None
    kubelet_config: JsonValue = None
    linux_os_config: JsonValue = Field(default=None, alias="linuxOSConfig")
    gpu_instance_profile: str | None = None
    gpu_profile: JsonValue = None
    creation_data: JsonValue = None
    capacity_reservation_group_id: str | None = Field(default=None, alias="capacityReservationGroupID")
    host_group_id: str | None = Field(default=None, alias="hostGroupID")
    network_profile: JsonValue = None
    security_profile: JsonValue = None
    windows_profile: JsonValue = None
    gateway_profile: JsonValue = None
    artifact_streaming_profile: JsonValue = None
    virtual_machines_profile: JsonValue = None
    virtual_machine_nodes_status: JsonValue = None
    local_dns_profile: JsonValue = Field(default=None, alias="localDNSProfile")
    message_of_the_day: str | None = None
    pod_ip_allocation_mode: str | None = Field(default=None, alias="podIPAllocationMode")

    @property
    def subnet(self) -> ResourceId | None:
        """Raises Invalid (`InvalidResourceId`)."""
        return ResourceId.parse(self.vnet_subnet_id) if self.vnet_subnet_id else None

    def merged(self, old: Self) -> Self:
        """Absent means unchanged: clients that scale a pool send what they read of it."""
        return old.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class NetworkProfile(Properties):
    """service_cidr, dns_service_ip, docker_bridge_cidr: the three ranges of a cluster; None is AKS's default."""

    network_plugin: str | None = None
    network_plugin_mode: str | None = None
    network_policy: str | None = None
    network_mode: str | None = None
    network_dataplane: str | None = None
    pod_cidr: str | None = None
    pod_cidrs: tuple[str, ...] | None = None
    service_cidr: str | None = None
    service_cidrs: tuple[str, ...] | None = None
    dns_service_ip: str | None = Field(default=None, alias="dnsServiceIP")
    docker_bridge_cidr: str | None = None
    load_balancer_sku: str | None = None
    load_balancer_profile: JsonValue = None
    nat_gateway_profile: JsonValue = None
    static_egress_gateway_profile: JsonValue = None
    advanced_networking: JsonValue = None
    outbound_type: str | None = None
    ip_families: tuple[str, ...] | None = None
    pod_link_local_access: str | None = Field(default=None)
    kube_proxy_config: JsonValue = None

    def merged(self, old: Self) -> Self:
        return old.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class ServicePrincipalProfile(Properties):
    """client_id: "msi" says that the cluster has an identity of its own.

    secret: checked when it arrives, and never stored. object_id: of the principal, as the directory had it then.
    """

    client_id: str = "msi"
    secret: str | None = Field(default=None, repr=False)
    object_id: str | None = None


class ApiServerAccessProfile(Properties):
    """private_dns_zone: `system`, `none` or a resource id."""

    enable_private_cluster: bool | None = None
    private_dns_zone: str | None = Field(default=None, alias="privateDNSZone")
    enable_private_cluster_public_fqdn: bool | None = Field(default=None, alias="enablePrivateClusterPublicFQDN")
    authorized_ip_ranges: tuple[str, ...] | None = Field(default=None, alias="authorizedIPRanges")
    disable_run_command: bool | None = None
    enable_vnet_integration: bool | None = None
    subnet_id: str | None = None

    def merged(self, old: Self) -> Self:
        return old.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class ManagedCluster(Properties):
    """node_resource_group: the name of the group of what the cluster makes for itself; None for `MC_…`."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState", "powerState", "currentKubernetesVersion", "maxAgentPools", "fqdn", "privateFQDN",
            "azurePortalFQDN", "privateLinkResources", "privateEndpointConnections",
            "resourceUID", "eTag", "status", "identityProfile",
        }
    )  # fmt: skip

    kubernetes_version: Annotated[str, _or(KUBERNETES_VERSION)] = KUBERNETES_VERSION
    dns_prefix: str | None = None
    fqdn_subdomain: str | None = None
    network_profile: NetworkProfile = NetworkProfile()
    service_principal_profile: ServicePrincipalProfile = ServicePrincipalProfile()
    api_server_access_profile: ApiServerAccessProfile | None = None
    node_resource_group: str | None = None
    enable_rbac: bool = Field(default=True, alias="enableRBAC")
    disable_local_accounts: bool | None = None
    aad_profile: JsonValue = None
    support_plan: str | None = None
    linux_profile: JsonValue = None
    #: What is accepted only while it asks for nothing: admission looks into it.
    addon_profiles: JsonValue = None
    auto_upgrade_profile: JsonValue = None
    upgrade_settings: JsonValue = None
    auto_scaler_profile: JsonValue = None
    storage_profile: JsonValue = None
    bootstrap_profile: JsonValue = None
    oidc_issuer_profile: JsonValue = None
    security_profile: JsonValue = None
    workload_auto_scaler_profile: JsonValue = None
    azure_monitor_profile: JsonValue = None
    ingress_profile: JsonValue = None
    service_mesh_profile: JsonValue = None
    metrics_profile: JsonValue = None
    node_provisioning_profile: JsonValue = None
    node_resource_group_profile: JsonValue = None
    http_proxy_config: JsonValue = None
    windows_profile: JsonValue = None
    pod_identity_profile: JsonValue = None
    ai_toolchain_operator_profile: JsonValue = None
    hosted_system_profile: JsonValue = None
    scheduler_profile: JsonValue = None
    disk_encryption_set_id: str | None = Field(default=None, alias="diskEncryptionSetID")
    public_network_access: str | None = None

    @property
    def service_cidr(self) -> str:
        return self.network_profile.service_cidr or SERVICE_CIDR

    @property
    def dns_service_ip(self) -> str:
        return self.network_profile.dns_service_ip or DNS_SERVICE_IP

    @property
    def docker_bridge_cidr(self) -> str:
        return self.network_profile.docker_bridge_cidr or DOCKER_BRIDGE_CIDR

    @property
    def access(self) -> ApiServerAccessProfile:
        return self.api_server_access_profile or ApiServerAccessProfile()

    @property
    def private(self) -> bool:
        """Whether the API server has an address in the cluster's network, and none outside."""
        return bool(self.access.enable_private_cluster)

    def merged(self, old: Self) -> Self:
        """Absent means unchanged, in the profiles as well."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "network_profile" in given:
            given["network_profile"] = self.network_profile.merged(old.network_profile)
        if self.api_server_access_profile is not None and old.api_server_access_profile is not None:
            given["api_server_access_profile"] = self.api_server_access_profile.merged(old.api_server_access_profile)
        mine, before = self.service_principal_profile, old.service_principal_profile
        if "service_principal_profile" in given and mine.client_id == before.client_id:
            given["service_principal_profile"] = before.model_copy(update={"object_id": mine.object_id or before.object_id})
        return old.model_copy(update=given)
