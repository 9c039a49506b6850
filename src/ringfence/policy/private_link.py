"""What private endpoints lead to: groups, members and host names of each type of target, and where its service listens.

Source: RULES.md section 8. Whether a connection is approved is in its row below the target;
names that resolve differently inside and outside are `resolution`'s work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ringfence.model import access, compute, ml, network, private_link, registry, storage
from ringfence.model.ids import ResourceId
from ringfence.model.private_link import CONNECTIONS, Connection, PrivateEndpoint, Status
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import api_servers, places, tags

#: The port on which every service that a private endpoint leads to listens.
PORT = 443
#: Purpose and scope of the address under which a service sees what came through an endpoint or a service endpoint.
LINK, LINK_SCOPE = "link", "link"
_GUARDING = frozenset({"enabled", "networksecuritygroupenabled"})
_STORAGE = ("blob", "file", "queue", "table", "dfs", "web")


@dataclass(frozen=True, slots=True)
class Host:
    """public: the name clients use. private: the name it is an alias of once there is a private endpoint. zone: of the latter."""

    public: str
    private: str
    zone: str

    @property
    def relative(self) -> str:
        """The name of the record set in the zone."""
        return self.private.removesuffix(f".{self.zone}")


@dataclass(frozen=True, slots=True)
class Member:
    """One address of a private endpoint and the names that lead to it."""

    name: str
    hosts: tuple[Host, ...]


def groups(snapshot: Snapshot, target: Resource) -> Mapping[str, tuple[Member, ...]]:
    """The sub-resources of a target by group id; empty when it does not take private endpoints."""
    found = _GROUPS.get(target.type)
    return {} if found is None else found(snapshot, target)


def address(snapshot: Snapshot, target: Resource) -> str | None:
    """Where the service of a target listens."""
    match target.type:
        case storage.STORAGE_ACCOUNT:
            return tags.host("Storage", target.region)
        case registry.REGISTRY:
            return tags.host("AzureContainerRegistry", target.region)
        case access.VAULT:
            return tags.host("AzureKeyVault", target.region)
        case ml.WORKSPACE:
            return tags.host("AzureMachineLearning", target.region)
        case compute.MANAGED_CLUSTER:
            return snapshot.value(target.id, places.API_SERVER)
    return None


def endpoints(snapshot: Snapshot) -> tuple[Resource, ...]:
    """The private endpoints that are not on their way out."""
    return places.alive(snapshot, private_link.PRIVATE_ENDPOINT)


def target_of(endpoint: Resource) -> ResourceId:
    """What an endpoint leads to."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    return endpoint.properties.target


def subnet_of(endpoint: Resource) -> ResourceId:
    """The subnet that an endpoint is in."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    return endpoint.properties.subnet.target


def network_of(endpoint: Resource) -> ResourceId:
    """The virtual network that an endpoint is in."""
    return subnet_of(endpoint).parent


def rules_hold(snapshot: Snapshot, subnet: ResourceId) -> bool:
    """Whether privateEndpointNetworkPolicies lets the subnet's rules judge endpoints; by default they do not."""
    found = snapshot.get(subnet)
    if found is None or not isinstance(found.properties, network.Subnet):
        return False
    return (found.properties.private_endpoint_network_policies or "").lower() in _GUARDING


def connection_of(snapshot: Snapshot, endpoint: Resource) -> Resource | None:
    """The row below the target that stands for an endpoint; None once the owner of the target has removed it."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    type = CONNECTIONS.get(endpoint.properties.target.type.lower())
    for row in snapshot.children(endpoint.properties.target):
        if row.type == type and row.managed_by == endpoint.key and row.state is not ProvisioningState.DELETING:
            return row
    return None


def state_of(snapshot: Snapshot, endpoint: Resource) -> private_link.ConnectionState:
    """What the owner of the target says, or that there is no connection any more."""
    row = connection_of(snapshot, endpoint)
    if row is None:
        return private_link.ConnectionState(status=Status.DISCONNECTED, description="Deleted state")
    assert isinstance(row.properties, Connection)
    return row.properties.private_link_service_connection_state


def approved(snapshot: Snapshot, endpoint: Resource) -> bool:
    """Whether packets may take this endpoint."""
    return state_of(snapshot, endpoint).status is Status.APPROVED


def approved_for(snapshot: Snapshot, target: Resource) -> Iterator[Resource]:
    """The endpoints whose connection to a target is approved."""
    type = CONNECTIONS.get(target.type)
    for row in snapshot.children(target.id):
        if row.type != type or row.managed_by is None or row.state is ProvisioningState.DELETING:
            continue
        endpoint = snapshot.get(row.managed_by)
        if endpoint is not None and isinstance(row.properties, Connection) and row.properties.status is Status.APPROVED:
            yield endpoint


def members(snapshot: Snapshot, endpoint: Resource) -> tuple[Member, ...]:
    """The members that an endpoint has addresses for, in the order of its interface's configurations."""
    assert isinstance(endpoint.properties, PrivateEndpoint)
    target = snapshot.get(endpoint.properties.target)
    return () if target is None else groups(snapshot, target).get(endpoint.properties.group, ())


def inside(snapshot: Snapshot, endpoint: Resource) -> tuple[tuple[Member, str], ...]:
    """The members and the private address of each."""
    interface = interface_of(snapshot, endpoint)
    if interface is None:
        return ()
    found = []
    for number, member in enumerate(members(snapshot, endpoint)):
        value = snapshot.value(interface.id, places.configuration(number))
        if value is not None:
            found.append((member, value))
    return tuple(found)


def hosts(snapshot: Snapshot) -> frozenset[str]:
    """The names that only private endpoints lead to: they exist, though no public zone need hold them."""
    found = set()
    for endpoint in endpoints(snapshot):
        if approved(snapshot, endpoint):
            found |= {host.public for member in members(snapshot, endpoint) for host in member.hosts}
    return frozenset(found)


def interface_of(snapshot: Snapshot, endpoint: Resource) -> Resource | None:
    """The network interface that came with an endpoint."""
    return next((nic for nic in places.interfaces_of(snapshot, endpoint)), None)


def _of_storage(_: Snapshot, account: Resource) -> Mapping[str, tuple[Member, ...]]:
    name = account.id.name.lower()

    def member(service: str) -> tuple[Member, ...]:
        zone = f"privatelink.{service}.core.windows.net"
        return (Member(service, (Host(f"{name}.{service}.core.windows.net", f"{name}.{zone}", zone),)),)

    return {service: member(service) for service in _STORAGE}


def _of_vault(_: Snapshot, vault: Resource) -> Mapping[str, tuple[Member, ...]]:
    name, zone = vault.id.name.lower(), "privatelink.vaultcore.azure.net"
    return {"vault": (Member("default", (Host(f"{name}.vault.azure.net", f"{name}.{zone}", zone),)),)}


def _of_registry(_: Snapshot, images: Resource) -> Mapping[str, tuple[Member, ...]]:
    """Private endpoints are a matter of the Premium tier."""
    if str((images.sku or {}).get("name", "")).lower() != "premium":
        return {}
    name, zone = images.id.name.lower(), "privatelink.azurecr.io"
    data = f"{name}.{images.region}.data"
    return {
        "registry": (
            Member(f"registry_data_{images.region}", (Host(f"{data}.azurecr.io", f"{data}.{zone}", zone),)),
            Member("registry", (Host(f"{name}.azurecr.io", f"{name}.{zone}", zone),)),
        )
    }


def notebook_host(workspace: Resource) -> str:
    """`ml-<name>-<region>-<guid>.<region>`: the label has at most 63 characters, so the name is cut."""
    guid = workspace.guid("workspace")
    room = 63 - len(f"ml--{workspace.region}-{guid}")
    return f"ml-{workspace.id.name.lower()[: max(room, 0)]}-{workspace.region}-{guid}.{workspace.region}"


def _of_workspace(_: Snapshot, workspace: Resource) -> Mapping[str, tuple[Member, ...]]:
    guid, region = workspace.guid("workspace"), workspace.region
    api, notebooks = "privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"
    main, cert = f"{guid}.workspace.{region}", f"{guid}.workspace.{region}.cert"
    scoring, book = f"*.{guid}.inference.{region}", notebook_host(workspace)
    return {
        "amlworkspace": (
            Member("default", tuple(Host(f"{n}.api.azureml.ms", f"{n}.{api}", api) for n in (main, cert))),
            Member("notebook", (Host(f"{book}.notebooks.azure.net", f"{book}.{notebooks}", notebooks),)),
            Member("inference", (Host(f"{scoring}.api.azureml.ms", f"{scoring}.{api}", api),)),
        )
    }


def _of_cluster(_: Snapshot, cluster: Resource) -> Mapping[str, tuple[Member, ...]]:
    """The API server of a private cluster; its name is private from the beginning."""
    assert isinstance(cluster.properties, compute.ManagedCluster)
    if not cluster.properties.private:
        return {}
    zone, name = api_servers.zone(cluster), api_servers.private_fqdn(cluster) or api_servers.public_fqdn(cluster)
    host = Host(name, name, zone.name.lower() if zone is not None else "")
    return {"management": (Member("management", (host,)),)}


def api_server(snapshot: Snapshot, cluster: Resource) -> str | None:
    """The address at which a cluster's own nodes and pods find the API server: of a private one, its endpoint's."""
    assert isinstance(cluster.properties, compute.ManagedCluster)
    if not cluster.properties.private:
        return snapshot.value(cluster.id, places.API_SERVER)
    for endpoint in approved_for(snapshot, cluster):
        if endpoint.managed_by == cluster.key:
            return next((address for _, address in inside(snapshot, endpoint)), None)
    return None


_GROUPS: Mapping[str, Callable[[Snapshot, Resource], Mapping[str, tuple[Member, ...]]]] = {
    storage.STORAGE_ACCOUNT: _of_storage,
    access.VAULT: _of_vault,
    registry.REGISTRY: _of_registry,
    ml.WORKSPACE: _of_workspace,
    compute.MANAGED_CLUSTER: _of_cluster,
}
