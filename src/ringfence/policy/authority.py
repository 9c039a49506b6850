"""Which actions a request takes: the one of its verb, and those on what a written resource refers to.

Names are Azure's operations. Who may take them is decided in `policy.access`; which references
there are stands in `policy.links`. Permission is asked before existence, so that a refusal tells
nothing (RULES.md sections 9 and 10).
"""

from __future__ import annotations

from collections.abc import Iterable

from ringfence.model import ml, serving
from ringfence.model.authorization import RoleAssignment, RoleDefinition
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access, links
from ringfence.policy.access import Caller

READ, WRITE, DELETE = "read", "write", "delete"

_WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
#: Types whose operations have another name than the type itself (by lower-case type).
_NAMES = {
    GROUP_TYPE.lower(): "Microsoft.Resources/subscriptions/resourceGroups",
    ml.COMPUTE: f"{_WORKSPACE}/computes",
    serving.MODEL_VERSION: f"{_WORKSPACE}/models",
    serving.ENVIRONMENT_VERSION: f"{_WORKSPACE}/environments",
    serving.ASSET: f"{_WORKSPACE}/assets",
}


def action(type: str, verb: str) -> str:
    """`Microsoft.Network/virtualNetworks/read`. verb: READ, WRITE, DELETE, or `listKeys/action`."""
    return f"{_NAMES.get(type.lower(), type)}/{verb}"


def service_action(compute_type: str, verb: str) -> str:
    """Of a web service, whose operations are named after where it runs. compute_type: AKS or ACI."""
    return f"{_WORKSPACE}/services/{runs_on(compute_type)}/{verb}"


def runs_on(compute_type: str) -> str:
    """The segment in names of operations on services."""
    return "aci" if compute_type.lower() == "aci" else "aks"


def action_on(resource: Resource, verb: str) -> str:
    """The operation of a verb on this very resource."""
    if isinstance(resource.properties, serving.Service) and verb != READ:
        return service_action(resource.properties.compute_type, verb)
    return action(resource.id.type, verb)


def require_write(snapshot: Snapshot, caller: Caller, resource: Resource) -> None:
    """Raises Forbidden (`AuthorizationFailed`). Children in the body of their parent are the parent's write, as in Azure."""
    for scope in _scopes(resource):
        access.require(snapshot, caller, action_on(resource, WRITE), scope)


def require_delete(snapshot: Snapshot, caller: Caller, id: ResourceId) -> None:
    """Raises Forbidden (`AuthorizationFailed`), whether or not there is such a resource. What is below goes with it."""
    found = snapshot.get(id)
    if found is None:
        access.require(snapshot, caller, action(id.type, DELETE), id)
        return
    for scope in _scopes(found):
        access.require(snapshot, caller, action_on(found, DELETE), scope)


def _scopes(resource: Resource) -> tuple[ResourceId | str, ...]:
    """Where the right to write a resource is needed: where it lies; for roles, wherever they are or can be assigned."""
    match resource.properties:
        case RoleAssignment() as assignment:
            at = assignment.scope.rstrip("/")
            return (f"{at}/providers/Microsoft.Authorization/roleAssignments/{resource.id.name}",)
        case RoleDefinition() as definition:
            return definition.assignable_scopes
        case _:
            return (resource.id,)


def require_links(
    before: Snapshot, after: Snapshot, caller: Caller, main: Resource, children: Iterable[Resource], patched: bool = False
) -> None:
    """What a write of `main` with its children does to others. Raises Forbidden (`LinkedAuthorizationFailed`).

    before: holds the rights; after: with companions, which are the platform's own and nobody's to join.
    patched: a PATCH, whose body does not hold the references that stay as they are.
    """
    old = before.get(main.id) if patched else None
    kept = frozenset(links.actions(old)) if old is not None else frozenset()
    for resource in (main, *children):
        for link in links.actions(resource):
            if link.action and link not in kept and not link.target.within(main.id) and not _own(after, link.target, main):
                access.require_linked(before, caller, action_on(main, WRITE), main.id, link.action, link.target)


def _own(snapshot: Snapshot, target: ResourceId, main: Resource) -> bool:
    """Whether the platform made the target, or what it lies in, for `main`."""
    while target.provider is not None:
        found = snapshot.get(target)
        if found is not None and found.managed_by == main.key:
            return True
        target = target.parent
    return False


def readable(snapshot: Snapshot, caller: Caller, resources: Iterable[Resource]) -> list[Resource]:
    """Those that the caller may read."""
    return [r for r in resources if access.permits(snapshot, caller, action(r.id.type, READ), r.id)]


def require_list(snapshot: Snapshot, caller: Caller, type: str, scope: ResourceId) -> None:
    """A list of one type is for who may read that type there; in a subscription or a group, also for who may somewhere below.

    What is in the list is filtered (`readable`). Children of a resource are listed with the right to all of them.
    Raises Forbidden (`AuthorizationFailed`) over the scope as Azure writes it (Azure/CloudShell#561).
    """
    wanted = action(type, READ)
    if scope.provider is None and access.permits_within(snapshot, caller, wanted, scope):
        return
    provider = f"/providers/{type.partition('/')[0]}" if scope.group is not None and scope.provider is None else ""
    access.require(snapshot, caller, wanted, f"{scope}{provider}")


def require_sight(snapshot: Snapshot, caller: Caller, type: str, scope: ResourceId) -> None:
    """What is said of a subscription or a group to everybody who has a role in it. Raises Forbidden (`AuthorizationFailed`)."""
    if not access.visible(snapshot, caller, scope):
        access.require(snapshot, caller, action(type, READ), scope)
