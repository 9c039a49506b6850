"""Container registries by name and by right: which registry a name means, and which action each use of it needs.

Sources: Azure's role definitions (AcrPull holds `registries/pull/read`, AcrPush that and `registries/push/write`,
AcrDelete `registries/artifacts/delete`; all are control-plane actions, so `*/read` and with it
Reader may pull); Azure Container Registry's roles-and-permissions page. Where images lie is `control.images`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import ml, registry, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot

SUFFIX = ".azurecr.io"

#: What a token may allow -> the action on the registry that it needs.
ACTIONS: Mapping[str, str] = {
    "pull": "Microsoft.ContainerRegistry/registries/pull/read",
    "push": "Microsoft.ContainerRegistry/registries/push/write",
    "delete": "Microsoft.ContainerRegistry/registries/artifacts/delete",
    # Listing repositories and tags comes with pulling (roles and permissions: "List repositories and tags").
    "metadata_read": "Microsoft.ContainerRegistry/registries/pull/read",
    "metadata_write": "Microsoft.ContainerRegistry/registries/push/write",
    "catalog": "Microsoft.ContainerRegistry/registries/pull/read",
}
#: The repository of an environment's image and its tag, as Azure Machine Learning names them.
_REPOSITORY, TAG = "azureml/azureml_", "latest"


def login_server(named: Resource) -> str:
    """The host name of a registry."""
    return f"{named.id.name.lower()}{SUFFIX}"


def find(snapshot: Snapshot, host: str) -> Resource | None:
    """The registry that answers at a host name."""
    name = host.lower().removesuffix(SUFFIX)
    alive = (r for r in snapshot.of_type(registry.REGISTRY) if r.state is not ProvisioningState.DELETING)
    return next((r for r in alive if r.id.name.lower() == name), None)


def of_workspace(snapshot: Snapshot, workspace: Resource) -> Resource | None:
    """The registry of a workspace: the one it names, else the one that was made for it."""
    assert isinstance(workspace.properties, ml.Workspace)
    named = workspace.properties.container_registry
    alive = [r for r in snapshot.of_type(registry.REGISTRY) if r.state is not ProvisioningState.DELETING]
    if named:
        return next((r for r in alive if r.key == named.lower()), None)
    return next((r for r in alive if r.managed_by == workspace.key), None)


def companion_id(workspace: Resource) -> ResourceId:
    """The registry that is made for a workspace when it first needs one."""
    letters = "".join(c for c in workspace.id.name.lower() if c.isalnum() and c.isascii())[:12]
    suffix = workspace.guid("companion").replace("-", "")[:11]
    return workspace.id.group_id.resource("Microsoft.ContainerRegistry/registries", f"{letters}{suffix}")


def needs_image(resource: Resource) -> bool:
    """Whether an image is built for a resource, so that its workspace needs a registry."""
    if isinstance(resource.properties, serving.EnvironmentVersion):
        return resource.properties.build
    return resource.type == serving.SERVICE


def repository(environment: str) -> str:
    """The repository of an environment, by the hash of its content."""
    return f"{_REPOSITORY}{environment}"
