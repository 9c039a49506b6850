"""Container groups: the pull of each image through the group's own network, its containers, and its frontend.

Where a group stands is `policy.container_groups`. A group that a web service made for itself runs that service's
process instead, which is in `service_groups`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ringfence.desired import images, keys
from ringfence.desired.state import AnyItem, Balancer, Container, Image, Target, Volume
from ringfence.model import containers
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import container_groups, principals
from ringfence.policy.places import Kind, Place

#: What signs in at registries with the credentials of a group: the name the control plane knows them by.
GROUP = "group:"


def items(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[AnyItem]:
    """Everything that runs in container groups, and how the internet reaches it."""
    for place in everyone:
        if place.kind is not Kind.CONTAINERS:
            continue
        group = snapshot.need(place.owner)
        asked = container_groups.of(group)
        yield from _frontends(snapshot, group, place)
        if asked.run.stopped or container_groups.serves(snapshot, group):
            continue
        for container in asked.containers:
            yield _image(snapshot, group, container, place)
            yield _container(group, container, place)


def _image(snapshot: Snapshot, group: Resource, container: containers.Container, place: Place) -> Image:
    host, repository, reference = container_groups.image_name(container.properties.image)
    endpoint = keys.endpoint(place)
    return Image(
        key=keys.container_image(group.key, container.name),
        owners=(group.key,),
        needs=(endpoint,),
        endpoint=endpoint,
        registry=host,
        repository=repository,
        reference=reference,
        secret=_secret(snapshot, group, host),
        nonce=container_groups.of(group).run.nonce,
    )


def _secret(snapshot: Snapshot, group: Resource, host: str) -> str:
    """A group signs in with what it was given for that registry: a user and a password, or an identity; else with nothing."""
    for credential in container_groups.of(group).image_registry_credentials:
        if credential.server.lower() != host:
            continue
        if credential.username is not None:
            return f"{GROUP}{group.key}"
        acting = principals.acting(snapshot, group)
        named = [one for one in acting if one.source_key == (credential.identity or "").lower()] or list(acting)
        return f"{images.IDENTITY}{named[0].object_id}" if named else ""
    return ""


def _container(group: Resource, container: containers.Container, place: Place) -> Container:
    asked, whole = container.properties, container_groups.of(group)
    pulled = keys.container_image(group.key, container.name)
    variables = {one.name: one.value if one.secure_value is None else one.secure_value for one in asked.environment_variables}
    return Container(
        key=keys.container(group.key, container.name),
        owners=(group.key,),
        needs=(pulled,),
        endpoint=keys.endpoint(place),
        group=keys.container_group(group.key),
        container=container.name,
        image=pulled,
        command=asked.command,
        variables=tuple(sorted((name, value or "") for name, value in variables.items())),
        volumes=tuple(_volume(whole, mount) for mount in asked.volume_mounts),
        cpu=asked.cpu,
        memory_mb=max(1, int(asked.memory_gb * 1024)),
        restart=whole.restart_policy.value,
        nonce=f"{group.created_at.isoformat()}{whole.run.nonce}",
    )


def _volume(group: containers.ContainerGroup, mount: containers.VolumeMount) -> Volume:
    named = next(one for one in group.volumes if one.name == mount.name)
    if named.secret is not None:
        return Volume(path=mount.mount_path, files=tuple(sorted(named.secret.items())), read_only=True)
    return Volume(path=mount.mount_path, shared=keys.content(named.name), read_only=mount.read_only)


def _frontends(snapshot: Snapshot, group: Resource, place: Place) -> Iterator[Balancer]:
    """The public address of a group: each exposed port leads to the same port of its containers."""
    address, asked = snapshot.value(group.key, container_groups.PUBLIC_ADDRESS), container_groups.of(group)
    if address is None or asked.ip_address is None or not asked.public:
        return
    for one in asked.ip_address.ports:
        yield Balancer(
            key=keys.balancer(group.key, public=True, port=one.port),
            owners=(group.key,),
            network=keys.network(place.vnet.key),
            address=address,
            port=one.port,
            public=True,
            floating=False,
            targets=(Target(address=place.address, port=one.port),),
            # Nobody probes a container group: a connection is the customer's, or it is not there.
            probe_port=0,
        )


def registry_login(snapshot: Snapshot, secret: str, host: str) -> tuple[str, str] | None:
    """The user and password behind a name that `items` gave; None for another kind of name, or when it is no more."""
    group = snapshot.get(secret.removeprefix(GROUP)) if secret.startswith(GROUP) else None
    for credential in container_groups.of(group).image_registry_credentials if group is not None else ():
        if credential.server.lower() == host and credential.username is not None:
            return credential.username, credential.password or ""
    return None
