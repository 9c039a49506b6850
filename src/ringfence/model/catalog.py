"""Which model holds the `properties` of which resource type. Verbs and paths are in `api/arm/registry`."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import (
    access,
    authorization,
    compute,
    deployment,
    group,
    identity,
    ml,
    monitor,
    network,
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
    compute.MANAGED_CLUSTER: compute.ManagedCluster,
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
