"""Images: the one that is made of each environment in its workspace's registry, and the pulls of it onto hosts."""

from __future__ import annotations

from ringfence.desired import keys
from ringfence.desired.state import Image, ImageBuild, Key
from ringfence.model import ml, registry
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import principals, registries

#: Under what names the control plane knows what a host signs in with.
ADMIN, IDENTITY = "admin", "identity:"


def build(snapshot: Snapshot, workspace: Resource, environment: Key) -> ImageBuild | None:
    """The image of an environment, without owners. None while its workspace has no registry."""
    named = registries.of_workspace(snapshot, workspace)
    if named is None:
        return None
    host = registries.login_server(named)
    repository = registries.repository(environment.removeprefix("env/"))
    key = f"build/{keys.content(f'{named.key}|{named.created_at.isoformat()}|{repository}')}"
    return ImageBuild(
        key=key, needs=(environment,), environment=environment, registry=host, repository=repository, tag=registries.TAG
    )


def pull(snapshot: Snapshot, made: ImageBuild, cluster: Resource, *, key: Key, endpoint: Key, nonce: str) -> Image:
    """The image on the host at `endpoint`, without owners.

    A workspace's cluster signs in as the registry's admin user, as Azure Machine Learning (v1) has it; where that is
    switched off, as the cluster's own identity, which then needs AcrPull.
    """
    return Image(
        key=key,
        needs=(made.key, endpoint),
        endpoint=endpoint,
        registry=made.registry,
        repository=made.repository,
        reference=made.tag,
        secret=secret(snapshot, registries.find(snapshot, made.registry), cluster),
        nonce=nonce,
    )


def secret(snapshot: Snapshot, named: Resource | None, host: Resource) -> str:
    """The name of what `host` (a cluster or a container group) signs in at a registry with; "" for nothing."""
    if named is not None and isinstance(named.properties, registry.Registry) and named.properties.admin_user_enabled:
        return ADMIN
    acting = principals.acting(snapshot, host)
    return f"{IDENTITY}{acting[0].object_id}" if acting else ""


def workspace_of(snapshot: Snapshot, resource: Resource) -> Resource:
    """The workspace of a service or an environment's version."""
    id = resource.id
    while id.type.lower() != ml.WORKSPACE:
        id = id.parent
    return snapshot.need(id)
