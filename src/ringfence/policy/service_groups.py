"""Web services on Azure Container Instances: each runs in a container group that it makes for itself and that goes with it.

In a subnet the group has a private address and no other; without one it has a public address, in a network of
its own (contract section 7; the seed document, "Enable Azure Container Instances"). What a group is, is
`container_groups`; who may have one is `admission.aci`.
"""

from __future__ import annotations

from ringfence.model import containers, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import container_groups, registries

HTTP_PORT, HTTPS_PORT = 80, 443


def of(service: Resource) -> serving.Service:
    assert isinstance(service.properties, serving.Service)
    return service.properties


def is_hosted(service: Resource) -> bool:
    """Whether a service runs in a container group, and not on a cluster."""
    return of(service).compute_type.upper() == "ACI"


def port(service: Resource) -> int:
    """Where it is called."""
    return HTTPS_PORT if of(service).ssl_enabled else HTTP_PORT


def subnet_of(service: Resource) -> ResourceId | None:
    """The subnet it names: by name only, so in the resource group of the workspace."""
    named = of(service).vnet_configuration
    if named is None:
        return None
    vnet = service.id.group_id.resource("Microsoft.Network/virtualNetworks", named.vnet_name)
    return vnet.child("subnets", named.subnet_name)


def group_id(service: Resource) -> ResourceId:
    """The container group of a service: in the group of the workspace, the service's name and a suffix."""
    suffix = service.guid("container-group").replace("-", "")[:12]
    return service.id.group_id.resource(containers.DELEGATION, f"{service.id.name.lower()}-{suffix}")


def group_of(snapshot: Snapshot, service: Resource) -> Resource | None:
    """The container group of a service, once it stands."""
    found = snapshot.get(group_id(service))
    return found if found is not None and found.managed_by == service.key else None


def url(snapshot: Snapshot, service: Resource) -> str | None:
    """Where it is called: the path is the script's own, without the service's name. None while it has no address."""
    group = group_of(snapshot, service)
    host = None if group is None else container_groups.host_name(group) or container_groups.address(snapshot, group)
    if host is None:
        return None
    if of(service).ssl_enabled:
        return f"https://{of(service).cname or host}:{HTTPS_PORT}/score"
    return f"http://{host}:{HTTP_PORT}/score"


def companions(snapshot: Snapshot, service: Resource) -> tuple[Resource, ...]:
    """The group, behind what it needs itself; none for a service on a cluster."""
    if not is_hosted(service):
        return ()
    id = group_id(service)
    old = snapshot.get(id)
    workspace = snapshot.get(service.id.parent)
    made = Resource(
        id=id,
        location=of(service).location or (workspace.location if workspace is not None else None),
        properties=_group(snapshot, service),
        managed_by=service.key,
        state=service.state,
        created_at=service.created_at if old is None else old.created_at,
        changed_at=service.changed_at,
    )
    return (*container_groups.companions(snapshot, made), made)


def _group(snapshot: Snapshot, service: Resource) -> containers.ContainerGroup:
    asked, subnet = of(service), subnet_of(service)
    needs = asked.container_resource_requirements
    amount = containers.ResourceAmount(cpu=needs.cpu, memory_in_gb=needs.memory_in_gb)
    container = containers.ContainerAsked(
        image=_image(snapshot, service),
        ports=(containers.ContainerPort(port=port(service)),),
        resources=containers.ContainerResources(requests=amount),
    )
    address = containers.GroupAddress(
        type=containers.AddressType.PUBLIC if subnet is None else containers.AddressType.PRIVATE,
        ports=(containers.ContainerPort(port=port(service)),),
        dns_name_label=asked.dns_name_label,
    )
    return containers.ContainerGroup(
        containers=(containers.Container(name=service.id.name.lower(), properties=container),),
        os_type=containers.OsType.LINUX,
        ip_address=address,
        subnet_ids=() if subnet is None else (containers.SubnetId(id=str(subnet)),),
    )


def _image(snapshot: Snapshot, service: Resource) -> str:
    """The registry and the service it is for; which build of it runs is decided where images are made."""
    workspace = snapshot.get(service.id.parent)
    named = registries.of_workspace(snapshot, workspace) if workspace is not None else None
    host = registries.login_server(named) if named is not None else "azureml"
    return f"{host}/azureml/{service.id.name.lower()}"
