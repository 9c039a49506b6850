"""Documents of role assignments and roles, as Azure shows them at a scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ringfence.model.authorization import RoleAssignment, RoleDefinition
from ringfence.model.resource import Resource
from ringfence.policy import roles
from ringfence.policy.builtin.role import Permission, Role

Document = Mapping[str, Any]

_DEFINITIONS = "providers/Microsoft.Authorization/roleDefinitions"
#: When the built-in roles came into being, as far as documents say.
_ALWAYS = "2015-02-02T21:55:09.8806423Z"


def prefix(scope: str) -> str:
    """Where ids of roles begin in the documents of a scope: the subscription it lies in, or the tenant's root."""
    parts = scope.split("/")
    return f"/subscriptions/{parts[2]}" if scope.lower().startswith("/subscriptions/") else ""


def assignment_path(scope: str, name: str) -> str:
    return f"{scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}"


def provider(scope: str) -> str:
    """Where lists of the provider at a scope lie, as refusals name it (Azure/azure-powershell#6624)."""
    return f"{scope.rstrip('/')}/providers/Microsoft.Authorization"


def assignment(row: Resource, at: str) -> Document:
    """at: see `prefix`."""
    asked = row.properties
    assert isinstance(asked, RoleAssignment)
    return {
        "id": assignment_path(asked.scope, row.id.name),
        "type": "Microsoft.Authorization/roleAssignments",
        "name": row.id.name,
        "properties": {
            "roleDefinitionId": f"{at}/{_DEFINITIONS}/{asked.role}",
            "principalId": asked.principal_id,
            "principalType": asked.principal_type,
            "scope": asked.scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": _time(row.created_at),
            "updatedOn": _time(row.changed_at),
            "createdBy": asked.created_by or None,
            "updatedBy": asked.updated_by or None,
            "delegatedManagedIdentityResourceId": None,
            "description": asked.description,
        },
    }


def built_in(role: Role, at: str) -> Document:
    return _role(
        at,
        role.guid,
        {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [permission(entry) for entry in role.permissions],
            "createdOn": _ALWAYS,
            "updatedOn": _ALWAYS,
            "createdBy": None,
            "updatedBy": None,
        },
    )


def custom(row: Resource, at: str) -> Document:
    asked = row.properties
    assert isinstance(asked, RoleDefinition)
    return _role(
        at,
        row.id.name,
        {
            "roleName": asked.role_name,
            "type": "CustomRole",
            "description": asked.description,
            "assignableScopes": list(asked.assignable_scopes),
            "permissions": [permission(roles.permission(entry)) for entry in asked.permissions],
            "createdOn": _time(row.created_at),
            "updatedOn": _time(row.changed_at),
            "createdBy": asked.created_by or None,
            "updatedBy": asked.updated_by or None,
        },
    )


def permission(entry: Permission) -> Document:
    return {
        "actions": list(entry.actions),
        "notActions": list(entry.not_actions),
        "dataActions": list(entry.data_actions),
        "notDataActions": list(entry.not_data_actions),
    }


def _role(at: str, guid: str, properties: Document) -> Document:
    return {
        "id": f"{at}/{_DEFINITIONS}/{guid}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": guid,
        "properties": properties,
    }


def _time(when: dt.datetime) -> str:
    return f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
