"""Microsoft.Authorization: role assignments and custom role definitions, as they are stored.

What a role permits and who may do what is decided in `policy.access`; the built-in roles are a
table in `policy.roles`. A row's id lies below the subscription, whatever its scope is.
"""

from __future__ import annotations

from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties

ROLE_ASSIGNMENT = "microsoft.authorization/roleassignments"
ROLE_DEFINITION = "microsoft.authorization/roledefinitions"
PROVIDER = "Microsoft.Authorization"


class Permission(Properties):
    """One entry of a role: what is in `actions` and not in `not_actions`; the data plane apart from it."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


class RoleDefinition(Properties):
    """A custom role. assignable_scopes: as spelled; `/subscriptions/S` and below."""

    role_name: str
    description: str = ""
    permissions: tuple[Permission, ...] = ()
    assignable_scopes: tuple[str, ...] = ()
    created_by: str = ""
    updated_by: str = ""


class RoleAssignment(Properties):
    """principal has role at scope, and below it.

    scope: "/", a management group, a subscription, a group or a resource, as spelled.
    role: the GUID of the definition, in lower case. principal_id: an object id, in lower case.
    """

    scope: str
    role: str
    principal_id: str
    principal_type: str = "ServicePrincipal"
    description: str | None = None
    created_by: str = ""
    updated_by: str = ""


def assignment_id(subscription: str, name: str) -> ResourceId:
    """Where an assignment is stored. name: a GUID."""
    return ResourceId(subscription, None, PROVIDER, ("roleAssignments",), (name,))


def definition_id(subscription: str, name: str) -> ResourceId:
    """Where a custom role is stored, and how every role is referred to. name: a GUID."""
    return ResourceId(subscription, None, PROVIDER, ("roleDefinitions",), (name,))
