"""Microsoft.MachineLearningServices: workspaces and their inference clusters.

Models, assets, environments and services of a workspace are in `serving`. Shapes and
the meaning of a PUT onto what exists; what is allowed is in `policy.admission`.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, JsonValue

from ringfence.model.ids import ResourceId
from ringfence.model.network import Spelled
from ringfence.model.resource import Properties

WORKSPACE = "microsoft.machinelearningservices/workspaces"
COMPUTE = "microsoft.machinelearningservices/workspaces/computes"


class Workspace(Properties):
    """storage_account, key_vault, application_insights, container_registry: resource ids.

    workspaceId, discoveryUrl and what else follows from the resource itself is computed where it is shown.
    """

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "workspaceId",
            "discoveryUrl",
            "creationTime",
            "notebookInfo",
            "privateEndpointConnections",
            "privateLinkCount",
            "serviceProvisionedResourceGroup",
            "storageHnsEnabled",
            "tenantId",
            "mlFlowTrackingUri",
            "sdkTelemetryAppInsightsKey",
            "workspaceHubConfig",
            "enableDataIsolation",
            "agentsEndpointUri",
            "associatedWorkspaces",
            "provisioningErrors",
            "sharedPrivateLinkResources",
            "softDeleteEnabled",
            "allowRoleAssignmentOnRG",
        }
    )

    friendly_name: str | None = None
    description: str | None = None
    storage_account: str | None = None
    key_vault: str | None = None
    application_insights: str | None = None
    container_registry: str | None = None
    image_build_compute: str | None = None
    hbi_workspace: bool = False
    allow_public_access_when_behind_vnet: bool = False
    public_network_access: str | None = None
    v1_legacy_mode: bool | None = Field(default=None, alias="v1LegacyMode")
    system_datastores_auth_mode: str | None = None
    primary_user_assigned_identity: str | None = None
    managed_network: JsonValue = None
    encryption: JsonValue = None

    def merged(self, old: Self) -> Self:
        """What a workspace once refers to, it keeps referring to when a PUT leaves it out."""
        names = ("storage_account", "key_vault", "application_insights", "container_registry")
        kept = {name: getattr(old, name) for name in names if getattr(self, name) is None}
        return self.model_copy(update=kept)


class ClusterPurpose(Spelled):
    """FastProd wants three nodes and twelve cores; DevTest is content with one node."""

    FAST_PROD = "FastProd"
    DENSE_PROD = "DenseProd"
    DEV_TEST = "DevTest"


class LoadBalancerType(Spelled):
    PUBLIC_IP = "PublicIp"
    INTERNAL = "InternalLoadBalancer"


class SslStatus(Spelled):
    DISABLED = "Disabled"
    ENABLED = "Enabled"
    AUTO = "Auto"


class SslConfiguration(Properties):
    """TLS on the scoring endpoint. cert, key: PEM, of `cname`. Auto: a name of Azure's below `leaf_domain_label`.

    renewals: how often a new certificate was asked for; the platform's own count.
    """

    status: SslStatus = SslStatus.DISABLED
    cert: str | None = None
    key: str | None = Field(default=None, repr=False)
    cname: str | None = None
    leaf_domain_label: str | None = None
    overwrite_existing_domain: bool | None = None
    renew: bool | None = None
    renewals: int = 0

    @property
    def on(self) -> bool:
        return self.status is not SslStatus.DISABLED

    def merged(self, old: SslConfiguration) -> SslConfiguration:
        """Certificate and key are never shown, so a document that is put back keeps them; `renew` asks for a new one once."""
        count, given = old.renewals + bool(self.renew), {"renew": None}
        if self.status is SslStatus.ENABLED and old.status is SslStatus.ENABLED and self.cert is None and self.key is None:
            return self.model_copy(
                update={**given, "renewals": count, "cert": old.cert, "key": old.key, "cname": self.cname or old.cname}
            )
        if self.renew and self.leaf_domain_label is None:
            return old.model_copy(update={**given, "renewals": count})
        return self.model_copy(update={**given, "renewals": count})


class AksNetworking(Properties):
    """The four networking values of the seed document. Absent ones take AKS's defaults (RULES.md section 4.1)."""

    subnet_id: str | None = None
    service_cidr: str | None = None
    dns_service_ip: str | None = Field(default=None, alias="dnsServiceIP")
    docker_bridge_cidr: str | None = None

    @property
    def subnet(self) -> ResourceId | None:
        """Raises Invalid (`InvalidResourceId`)."""
        return ResourceId.parse(self.subnet_id) if self.subnet_id else None


#: What a cluster has when its compute does not say (RULES.md section 4.1, the contract section 5).
DEFAULT_SERVICE_CIDR = "10.0.0.0/16"
DEFAULT_DNS_SERVICE_IP = "10.0.0.10"
DEFAULT_DOCKER_BRIDGE_CIDR = "172.17.0.1/16"


class Aks(Properties):
    """The inner `properties` of a compute of type AKS. agent_count: nodes."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"clusterFqdn", "systemServices", "loadBalancerIp", "isPrivateCluster"})

    agent_count: int = 3
    agent_vm_size: str = "Standard_D3_v2"
    cluster_purpose: ClusterPurpose = ClusterPurpose.FAST_PROD
    ssl_configuration: SslConfiguration | None = None
    aks_networking_configuration: AksNetworking | None = None
    load_balancer_type: LoadBalancerType = LoadBalancerType.PUBLIC_IP
    load_balancer_subnet: str | None = None

    @property
    def networking(self) -> AksNetworking:
        return self.aks_networking_configuration or AksNetworking()

    @property
    def service_cidr(self) -> str:
        return self.networking.service_cidr or DEFAULT_SERVICE_CIDR

    @property
    def dns_service_ip(self) -> str:
        return self.networking.dns_service_ip or DEFAULT_DNS_SERVICE_IP

    @property
    def docker_bridge_cidr(self) -> str:
        return self.networking.docker_bridge_cidr or DEFAULT_DOCKER_BRIDGE_CIDR

    @property
    def internal(self) -> bool:
        return self.load_balancer_type is LoadBalancerType.INTERNAL

    @property
    def ssl(self) -> SslConfiguration:
        return self.ssl_configuration or SslConfiguration()

    def merged(self, old: Self) -> Self:
        """Absent means unchanged, for every field: clients PUT the document back with fields removed (contract section 5.1)."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if self.ssl_configuration is not None:
            given["ssl_configuration"] = self.ssl_configuration.merged(old.ssl)
        return old.model_copy(update=given)


class Compute(Properties):
    """An inference cluster of a workspace. resource_id: the managed cluster behind it, once there is one."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "provisioningErrors", "createdOn", "modifiedOn", "isAttachedCompute", "provisioningWarnings"}
    )

    compute_type: str
    compute_location: str | None = None
    description: str | None = None
    resource_id: str | None = None
    disable_local_auth: bool | None = None
    properties: Aks = Aks()

    def merged(self, old: Self) -> Self:
        """An update keeps what it does not name. The cluster behind a compute never changes."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"properties", "resource_id"}}
        inner = self.properties.merged(old.properties) if "properties" in self.model_fields_set else old.properties
        return old.model_copy(update={**given, "properties": inner})
