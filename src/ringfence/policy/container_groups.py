"""Where container groups stand: the subnet of each, its address, what it exposes, and the network of those that name none.

A group without a subnet lives in a network of its own in a subscription of the platform's, as in
Azure: its owner neither sees nor changes it. Which values a group may have is in
`admission.containers`; what runs in it is `desired.containers`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import containers, group, network, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, ProvisioningState, Resource, Snapshot
from ringfence.policy import tags

#: Purposes of the address in the subnet, and of the one on the internet.
ADDRESS = "address"
PUBLIC_ADDRESS = "address-public"
#: The subscription of what the platform keeps for itself.
PLATFORM_SUBSCRIPTION = "00000000-0000-0000-0000-000000000ac1"
_SPACE, _SUBNET = "10.255.0.0/24", "containers"
_DOMAIN = "azurecontainer.io"
_DOCKER = "registry-1.docker.io"
#: Where connections into containers go: one of the addresses that no API server gets.
_TERMINALS, _TERMINALS_AT = "bridge-linux.", 2


def of(resource: Resource) -> containers.ContainerGroup:
    assert isinstance(resource.properties, containers.ContainerGroup)
    return resource.properties


def subnet_of(snapshot: Snapshot, resource: Resource) -> ResourceId | None:
    """The subnet of a group: the one it or its network profile names, else its own. None: the profile names none."""
    asked = of(resource)
    if asked.subnet_ids:
        return asked.subnet_ids[0].target
    if asked.network_profile is None:
        return _own_network(resource).child("subnets", _SUBNET)
    profile = snapshot.get(asked.network_profile.target)
    if profile is None or not isinstance(profile.properties, containers.NetworkProfile):
        return None
    return profile.properties.subnets[0].target if profile.properties.subnets else None


def alive(snapshot: Snapshot) -> tuple[Resource, ...]:
    """The groups that are not on their way out."""
    return tuple(r for r in snapshot.of_type(containers.CONTAINER_GROUP) if r.state is not ProvisioningState.DELETING)


def where(snapshot: Snapshot) -> Iterator[tuple[str, ResourceId, str]]:
    """Key, subnet and address of each group: its containers share one."""
    for resource in alive(snapshot):
        subnet, address = subnet_of(snapshot, resource), snapshot.value(resource.key, ADDRESS)
        if subnet is not None and address is not None:
            yield resource.key, subnet, address


def in_subnet(snapshot: Snapshot, subnet: ResourceId) -> tuple[Resource, ...]:
    """The groups that live in a subnet, in the order of their keys."""
    found = alive(snapshot)
    return tuple(resource for resource in found if subnet_of(snapshot, resource) == subnet)


def address(snapshot: Snapshot, resource: Resource) -> str | None:
    """Where a group's exposed ports are: its public address, or the one in its subnet. None: it exposes nothing."""
    asked = of(resource)
    if asked.ip_address is None:
        return None
    return snapshot.value(resource.key, PUBLIC_ADDRESS if asked.public else ADDRESS)


def host_name(resource: Resource) -> str | None:
    """`<label>.<region>.azurecontainer.io`, of a group that asked for one."""
    asked = of(resource).ip_address
    if asked is None or not asked.dns_name_label:
        return None
    return f"{asked.dns_name_label.lower()}.{resource.region}.{_DOMAIN}"


def terminal_host(region: str) -> str:
    """Where connections into the containers of a region go."""
    return f"{_TERMINALS}{region}.management.{_DOMAIN}"


def is_terminal_host(host: str) -> bool:
    return host.startswith(_TERMINALS) and host.endswith(f".management.{_DOMAIN}")


def hosts(snapshot: Snapshot) -> dict[str, str]:
    """The public names of groups, and of the connections into their containers -> addresses."""
    regions = {resource.region for resource in alive(snapshot)}
    found = {terminal_host(region): str(tags.api_server_block(region)[_TERMINALS_AT]) for region in sorted(regions)}
    for resource in alive(snapshot):
        name, value = host_name(resource), snapshot.value(resource.key, PUBLIC_ADDRESS)
        if name is not None and value is not None:
            found[name] = value
    return found


def companions(snapshot: Snapshot, resource: Resource) -> tuple[Resource, ...]:
    """The network of a group that names none; parents first."""
    if of(resource).in_network:
        return ()
    vnet, space = _own_network(resource), network.AddressSpace(address_prefixes=(_SPACE,))
    return (
        _companion(snapshot, resource, vnet.group_id, group.Group()),
        _companion(snapshot, resource, vnet, network.VirtualNetwork(address_space=space)),
        _companion(snapshot, resource, vnet.child("subnets", _SUBNET), network.Subnet(address_prefix=_SPACE)),
    )


def serves(snapshot: Snapshot, resource: Resource) -> bool:
    """Whether a web service made the group for itself."""
    owner = snapshot.get(resource.managed_by) if resource.managed_by else None
    return owner is not None and owner.type == serving.SERVICE


def image_name(text: str) -> tuple[str, str, str]:
    """Registry, repository and tag or digest of an image, read as container tools do: without a registry it is Docker's."""
    name, at, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    host, path = (head, rest) if slash and ("." in head or ":" in head or head == "localhost") else (_DOCKER, name)
    if host == _DOCKER and "/" not in path:
        path = f"library/{path}"
    repository, colon, tag = path.rpartition(":")
    repository, tag = (repository, tag) if colon and "/" not in tag else (path, "latest")
    return host.lower(), repository, digest if at else tag


def hidden(resource: Resource) -> bool:
    """Whether it belongs to the platform, and nobody else sees it."""
    return resource.id.subscription == PLATFORM_SUBSCRIPTION


def _own_network(resource: Resource) -> ResourceId:
    name = "aci-" + resource.guid("network").replace("-", "")[:20]
    return ResourceId(PLATFORM_SUBSCRIPTION, name).resource("Microsoft.Network/virtualNetworks", name)


def _companion(snapshot: Snapshot, owner: Resource, id: ResourceId, properties: Properties) -> Resource:
    old = snapshot.get(id)
    if old is not None:
        return old
    location = None if id.type.lower() == network.SUBNET else owner.location
    return Resource(
        id=id,
        location=location,
        properties=properties,
        managed_by=owner.key,
        state=owner.state,
        created_at=owner.created_at,
        changed_at=owner.changed_at,
    )
