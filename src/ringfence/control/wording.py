"""What Azure Resource Manager says when something is missing, busy or changed: codes and sentences (RULES.md section 10).

When each is raised is decided by `engine`, `acceptance` and `removal`.
"""

from __future__ import annotations

from ringfence.model import errors
from ringfence.model.ids import GROUP_TYPE, ResourceId


def not_found(id: ResourceId) -> errors.NotFound:
    """A resource that is not there, told apart by what it is."""
    if id.type == GROUP_TYPE:
        return errors.NotFound("ResourceGroupNotFound", f"Resource group '{id.name}' could not be found.")
    if len(id.names) > 1:
        return errors.NotFound("NotFound", f"Resource {id} not found.", target=str(id))
    return errors.NotFound(
        "ResourceNotFound",
        f"The Resource '{id.type}/{id.name}' under resource group '{id.group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def parent_not_found(id: ResourceId, parent: ResourceId) -> errors.NotFound:
    """A write below something that is not there."""
    return errors.NotFound(
        "ParentResourceNotFound",
        f"Failed to perform 'write' on resource(s) of type '{'/'.join(id.types)}', "
        f"because the parent resource '{parent}' could not be found.",
    )


def moved(id: ResourceId, here: str, there: str) -> errors.Conflict:
    """A PUT that names another location than the resource has."""
    if id.type == GROUP_TYPE:
        return errors.Conflict(
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{there}'. The Resource group already exists in location '{here}'.",
            target="location",
        )
    return errors.Conflict(
        "InvalidResourceLocation",
        f"The resource '{id.name}' already exists in location '{here}' in resource group '{id.group}'. "
        f"A resource with the same name cannot be created in location '{there}'. Please select a new resource name.",
        target="location",
    )


def group_being_deleted(group: ResourceId) -> errors.Conflict:
    """A write into a group on its way out."""
    return errors.Conflict(
        "ResourceGroupBeingDeleted",
        f"The resource group '{group.name}' is in deprovisioning state and cannot perform this operation.",
    )


def busy(id: ResourceId) -> errors.Conflict:
    """A write onto something that an operation is still working on."""
    return errors.Conflict(
        "AnotherOperationInProgress",
        f"Another operation on this or dependent resource is in progress: {id}. Try again when it has ended.",
        target=str(id),
    )


def etag_differs(id: ResourceId) -> errors.PreconditionFailed:
    """If-Match named another state of the resource."""
    return errors.PreconditionFailed(
        "PreconditionFailed",
        f"Precondition failed. The etag given for '{id}' is not that of its present state. Read the resource again, then write.",
    )


def exists_already(id: ResourceId) -> errors.PreconditionFailed:
    """If-None-Match: * and there is one."""
    return errors.PreconditionFailed(
        "PreconditionFailed", f"Precondition failed. The resource '{id}' exists already, and the request asked for a new one."
    )


def deletion_blocked(group: ResourceId, problems: tuple[errors.Problem, ...]) -> errors.Conflict:
    """A group that holds what something outside of it still uses."""
    held = ", ".join(sorted({problem.target or problem.code for problem in problems}))
    return errors.Conflict(
        "ResourceGroupDeletionBlocked",
        f"Deletion of resource group '{group.name}' failed as resources with identifiers '{held}' could not be deleted. "
        "Nothing was deleted.",
        details=problems,
    )


def operation_not_found(operation: str) -> errors.NotFound:
    """An operation that never was, or ended long ago."""
    return errors.NotFound("OperationNotFound", f"The operation {operation[:100]!r} does not exist, or ended too long ago.")


SUPERSEDED = "CanceledAndSupersededDueToAnotherOperation"


def superseded(id: ResourceId) -> str:
    """The message of an operation that a later one replaced."""
    return f"Operation was canceled because a later operation on {id} superseded it."
