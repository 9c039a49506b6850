"""What may be assigned, and what may go: role assignments and custom roles.

Sources: Microsoft's role-based access control troubleshooting and REST reference; the codes are
those of Microsoft.Authorization. Whether a principal exists is asked of the directory by the face.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import authorization, errors
from ringfence.model.authorization import RoleAssignment, RoleDefinition
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import access, roles
from ringfence.policy.admission.case import Case, Finding
from ringfence.policy.builtin import general

#: Custom roles of a tenant (Azure's limit).
_MOST_ROLES = 5000
_ADMINISTRATORS = frozenset({general.OWNER, general.USER_ACCESS_ADMINISTRATOR})


def role_exists(case: Case) -> Iterator[Finding]:
    """The role is built in, or a custom one that is assignable here."""
    asked = _assignment(case.new)
    row = next((r for r in case.snapshot.of_type(authorization.ROLE_DEFINITION) if r.id.name.lower() == asked.role), None)
    here = access.above(asked.scope)
    offered = row is not None and any(access.place(one) in here for one in _definition(row).assignable_scopes)
    if asked.role not in roles.BUILT_IN and not offered:
        yield errors.Invalid(
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{asked.role.replace('-', '')}' does not exist.",
            target="properties.roleDefinitionId",
        )


def assigned_once(case: Case) -> Iterator[Finding]:
    """One role is assigned to one principal once at a scope."""
    asked = _assignment(case.new)
    for other in case.snapshot.of_type(authorization.ROLE_ASSIGNMENT):
        if other.key != case.new.key and _what(_assignment(other)) == _what(asked):
            yield errors.Conflict(
                "RoleAssignmentExists",
                "The role assignment already exists. The ID of the conflicting role assignment is "
                f"{other.id.name.replace('-', '')}.",
            )
            return


def stays_as_it_is(case: Case) -> Iterator[Finding]:
    """Of an assignment, the description can change, and nothing else."""
    if case.old is not None and _what(_assignment(case.old)) != _what(_assignment(case.new)):
        yield errors.Invalid(
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )


def _what(asked: RoleAssignment) -> tuple[str, str, str]:
    return access.above(asked.scope)[-1], asked.role, asked.principal_id


def role_is_named(case: Case) -> Iterator[Finding]:
    """A custom role has a name that no other role of the tenant has."""
    name = _definition(case.new).role_name
    if not name or len(name) > 128:
        yield errors.Invalid("InvalidRoleDefinitionName", "The name of a role has 1 to 128 characters.", target="roleName")
    others = [r for r in case.snapshot.of_type(authorization.ROLE_DEFINITION) if r.key != case.new.key]
    taken = {_definition(r).role_name.lower() for r in others} | {role.name.lower() for role in roles.BUILT_IN.values()}
    if name.lower() in taken:
        yield errors.Conflict(
            "RoleDefinitionWithSameNameExists",
            f"A custom role with the same name already exists in this directory. Use a different name. The name is '{name}'.",
            target="roleName",
        )
    if len(others) >= _MOST_ROLES:
        yield errors.Invalid(
            "RoleDefinitionLimitExceeded", "Role definition limit exceeded. No more role definitions can be created."
        )


def role_is_assignable(case: Case) -> Iterator[Finding]:
    """A custom role names where it can be assigned: management groups, subscriptions and groups, never the tenant's root."""
    scopes = _definition(case.new).assignable_scopes
    if not scopes:
        yield errors.Invalid(
            "MissingAssignableScopes", "The role definition is missing the assignable scopes.", target="assignableScopes"
        )
    for scope in scopes:
        places = access.above(scope)
        if len(places) < 3 or "*" in scope:
            yield errors.Invalid(
                "LinkedInvalidScope" if "*" in scope else "InvalidAssignableScope",
                f"The assignable scope '{scope[:300]}' is not valid for a custom role. Use a management group, a subscription or "
                "a resource group.",
                target="assignableScopes",
            )


def role_does_something(case: Case) -> Iterator[Finding]:
    """Names of operations look like operations."""
    for entry in _definition(case.new).permissions:
        for name in (*entry.actions, *entry.not_actions, *entry.data_actions, *entry.not_data_actions):
            if not name.strip() or " " in name or ("/" not in name and name != "*"):
                yield errors.Invalid(
                    "InvalidActionOrNotAction",
                    f"'{name[:200]}' does not match any of the actions supported by the providers.",
                    target="permissions",
                )


def role_is_unused(snapshot: Snapshot, resource: Resource) -> Iterator[errors.Problem]:
    """A custom role stays while it is assigned."""
    if resource.type != authorization.ROLE_DEFINITION:
        return
    for row in snapshot.of_type(authorization.ROLE_ASSIGNMENT):
        if row.state is not ProvisioningState.DELETING and _assignment(row).role == resource.id.name.lower():
            yield errors.Conflict(
                "RoleDefinitionHasAssignments",
                "There are existing role assignments referencing role (code: RoleDefinitionHasAssignments). Delete them first: "
                f"{_assignment(row).scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{row.id.name}",
            )
            return


def somebody_assigns(snapshot: Snapshot, resource: Resource) -> Iterator[errors.Problem]:
    """The last assignment of Owner or User Access Administrator over the whole subscription stays."""
    if resource.type != authorization.ROLE_ASSIGNMENT or not _administers(resource):
        return
    others = (r for r in snapshot.of_type(authorization.ROLE_ASSIGNMENT) if r.key != resource.key)
    if not any(r.state is not ProvisioningState.DELETING and _administers(r) for r in others):
        yield errors.PreconditionFailed("CannotDeleteLastRbacAdminAssignment", "Cannot delete the last RBAC admin assignment")


def _administers(row: Resource) -> bool:
    asked = _assignment(row)
    levels = access.place(asked.scope).split("/")
    everywhere = levels == [""] or levels[-1] == "managementgroups" or len(levels) == len(["", "subscriptions", "S"])
    return asked.role in _ADMINISTRATORS and everywhere


def _assignment(row: Resource) -> RoleAssignment:
    assert isinstance(row.properties, RoleAssignment)
    return row.properties


def _definition(row: Resource) -> RoleDefinition:
    assert isinstance(row.properties, RoleDefinition)
    return row.properties


ASSIGNMENT_RULES = (stays_as_it_is, role_exists, assigned_once)
DEFINITION_RULES = (role_is_named, role_is_assignable, role_does_something)
