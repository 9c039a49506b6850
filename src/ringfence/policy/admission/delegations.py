"""Subnets that are delegated to a service. Sources: RULES.md sections 6, 7 and 10; azurerm#21779 for the list and its code."""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import containers, errors, network
from ringfence.model.resource import Resource
from ringfence.policy.admission.case import Case, Finding

#: What Azure lets a subnet be delegated to. Only container groups are served here; the others keep everybody out.
SERVICES = (
    "Microsoft.ApiManagement/service", "Microsoft.App/environments", "Microsoft.AzureCosmosDB/clusters",
    "Microsoft.BareMetal/AzureHostedService", "Microsoft.BareMetal/AzureVMware", "Microsoft.BareMetal/CrayServers",
    "Microsoft.BareMetal/MonitoringServers", "Microsoft.Batch/batchAccounts", containers.DELEGATION,
    "Microsoft.ContainerService/managedClusters", "Microsoft.DBforMySQL/flexibleServers", "Microsoft.DBforMySQL/serversv2",
    "Microsoft.DBforPostgreSQL/flexibleServers", "Microsoft.DBforPostgreSQL/serversv2",
    "Microsoft.DBforPostgreSQL/singleServers", "Microsoft.Databricks/workspaces", "Microsoft.DevCenter/networkConnection",
    "Microsoft.HardwareSecurityModules/dedicatedHSMs", "Microsoft.Kusto/clusters", "Microsoft.LabServices/labplans",
    "Microsoft.Logic/integrationServiceEnvironments", "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.Netapp/volumes", "Microsoft.Network/dnsResolvers", "Microsoft.Network/fpgaNetworkInterfaces",
    "Microsoft.Network/managedResolvers", "Microsoft.Orbital/orbitalGateways", "Microsoft.PowerPlatform/enterprisePolicies",
    "Microsoft.PowerPlatform/vnetaccesslinks", "Microsoft.ServiceFabricMesh/networks",
    "Microsoft.ServiceNetworking/trafficControllers", "Microsoft.Sql/managedInstances", "Microsoft.StoragePool/diskPools",
    "Microsoft.StreamAnalytics/streamingJobs", "Microsoft.Synapse/workspaces", "Microsoft.Web/hostingEnvironments",
    "Microsoft.Web/serverFarms", "NGINX.NGINXPLUS/nginxDeployments", "PaloAltoNetworks.Cloudngfw/firewalls",
    "Qumulo.Storage/fileSystems",
)  # fmt: skip
_KNOWN = frozenset(name.lower() for name in SERVICES)


def service_is_known(case: Case) -> Iterator[Finding]:
    """A delegation names a service of Azure's list."""
    assert isinstance(case.new.properties, network.Subnet)
    for number, one in enumerate(case.new.properties.delegations):
        name = one.properties.service_name
        if name.lower() not in _KNOWN:
            yield errors.Invalid(
                "InvalidServiceNameOnDelegation",
                f"The service name {name[:200]} specified on delegation {case.new.id}/delegations/{one.name} is not valid. "
                f"Valid value(s) are: {','.join(SERVICES)}.",
                target=f"properties.delegations[{number}].properties.serviceName",
            )


def for_containers(subnet: Resource) -> bool:
    """Whether container groups may live in a subnet."""
    assert isinstance(subnet.properties, network.Subnet)
    return (subnet.properties.delegated_to or "").lower() == containers.DELEGATION.lower()


def missing(subnet: Resource, group: str, target: str) -> errors.Invalid:
    """The refusal of a container group in a subnet that is not delegated to container groups."""
    return errors.Invalid(
        "SubnetMissingRequiredDelegation",
        f"Subnet missing required delegation 'Microsoft.ContainerInstance' for container group '{group}'. The subnet is "
        f"{subnet.id}. Delegate it to {containers.DELEGATION}.",
        target=target,
    )
