"""Which model holds the `properties` of which resource type. Verbs and paths are in `api/arm/registry`."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import (
    access,
    authorization,
    balancing,
    compute,
    containers,
    deployment,
    group,
    identity,
    ml,
    monitor,
    network,
    peering,
    private_dns,
    private_link,
    registry,
    serving,
    storage,
)
from ringfence.model.resource import Properties

#: By lower-case resource type.
PROPERTIES: Mapping[str, type[Properties]] = {
    group.GROUP: group.Group,
    deployment.DEPLOYMENT: deployment.Deployment,
    network.VIRTUAL_NETWORK: network.VirtualNetwork,
    network.SUBNET: network.Subnet,
    network.LOCATION: network.Location,
    network.SECURITY_GROUP: network.SecurityGroup,
    network.SECURITY_RULE: network.SecurityRule,
    network.INTERFACE: network.NetworkInterface,
    balancing.PUBLIC_ADDRESS: balancing.PublicAddress,
    balancing.BALANCER: balancing.LoadBalancer,
    containers.CONTAINER_GROUP: containers.ContainerGroup,
    containers.NETWORK_PROFILE: containers.NetworkProfile,
    peering.PEERING: peering.Peering,
    private_link.PRIVATE_ENDPOINT: private_link.PrivateEndpoint,
    private_link.ZONE_GROUP: private_link.ZoneGroup,
    **dict.fromkeys(private_link.CONNECTIONS.values(), private_link.Connection),
    private_dns.ZONE: private_dns.Zone,
    private_dns.LINK: private_dns.VirtualNetworkLink,
    **dict.fromkeys(private_dns.RECORDS.values(), private_dns.RecordSet),
    compute.MANAGED_CLUSTER: compute.ManagedCluster,
    compute.AGENT_POOL: compute.AgentPool,
    storage.STORAGE_ACCOUNT: storage.StorageAccount,
    access.VAULT: access.Vault,
    authorization.ROLE_ASSIGNMENT: authorization.RoleAssignment,
    authorization.ROLE_DEFINITION: authorization.RoleDefinition,
    identity.USER_ASSIGNED: identity.UserAssignedIdentity,
    monitor.COMPONENT: monitor.Component,
    monitor.LOG_WORKSPACE: monitor.LogWorkspace,
    registry.REGISTRY: registry.Registry,
    ml.WORKSPACE: ml.Workspace,
    ml.COMPUTE: ml.Compute,
    serving.SERVICE: serving.Service,
    serving.MODEL_VERSION: serving.ModelVersion,
    serving.ASSET: serving.Asset,
    serving.ENVIRONMENT_VERSION: serving.EnvironmentVersion,
}
