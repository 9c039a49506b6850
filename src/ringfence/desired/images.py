"""Images: the one that is made of each environment in its workspace's registry, and the pulls of it onto hosts."""

from __future__ import annotations

from ringfence.desired import keys
from ringfence.desired.state import Image, ImageBuild, Key
from ringfence.model import ml
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import registries

#: What an item's `secret` begins with: behind it a host's resource key, or the object id of a managed identity.
HOST, IDENTITY = "host:", "identity:"


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


def pull(made: ImageBuild, host: Resource, *, key: Key, endpoint: Key, nonce: str) -> Image:
    """The image on the machine at `endpoint` of a host (a cluster or a container group), without owners.

    What the host signs in with is asked for at each try (`control.publishing`): it is no part of what is wanted, so
    that new passwords and roles change nothing that runs.
    """
    return Image(
        key=key,
        needs=(made.key, endpoint),
        endpoint=endpoint,
        registry=made.registry,
        repository=made.repository,
        reference=made.tag,
        secret=f"{HOST}{host.key}",
        nonce=nonce,
    )


def workspace_of(snapshot: Snapshot, resource: Resource) -> Resource:
    """The workspace of a service or an environment's version."""
    id = resource.id
    while id.type.lower() != ml.WORKSPACE:
        id = id.parent
    return snapshot.need(id)
