"""Microsoft.Authorization over HTTP: role assignments, role definitions, and what a caller may do, at every scope.

Rows are resources like others, so the engine keeps them; what may be assigned is admission's
(`policy.admission.authorization`), what it permits `policy.access`. Roles themselves are in
`role_definitions`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api import errors as table
from ringfence.api.arm import asked as answers
from ringfence.api.arm import authorization_documents as documents
from ringfence.api.arm import wire
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.authorization_filters import Filter, parse
from ringfence.api.arm.directory import Subscription
from ringfence.api.arm.paths import Path
from ringfence.api.arm.registry import spelled
from ringfence.api.arm.role_definitions import RoleDefinitions
from ringfence.control import acceptance
from ringfence.control.engine import Engine
from ringfence.model import authorization, catalog, errors
from ringfence.model.authorization import RoleAssignment
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access, principals

_MANAGEMENT_GROUPS = "/providers/microsoft.management/managementgroups/"
_TYPES = {"serviceprincipal": "ServicePrincipal", "user": "User", "group": "Group", "foreigngroup": "ForeignGroup"}
_KINDS = {"servicePrincipal": "ServicePrincipal", "user": "User", "group": "Group"}
#: Lists of Microsoft.Authorization that hold nothing here, and are asked for by clients.
_EMPTY = {"denyassignments": "denyAssignments", "classicadministrators": "classicAdministrators", "locks": "locks"}


class Authorization:
    """The provider's handlers."""

    def __init__(self, engine: Engine, subscription: Subscription) -> None:
        self._engine = engine
        self._subscription = subscription
        self._definitions = RoleDefinitions(engine, subscription)

    def answer(self, asked: Asked, path: Path) -> Response:
        """Raises errors.Problem."""
        kind = path.type.lower()
        scope = self._scope(path)
        if kind == "roledefinitions":
            return self._definitions.answer(asked, scope, path.name)
        if kind == "roleassignments":
            return self._assignments(asked, scope, path.name)
        if asked.method in ("GET", "HEAD") and not path.name:
            if kind == "permissions":
                return self._permissions(asked, scope)
            if kind in _EMPTY:
                self._require(asked, f"Microsoft.Authorization/{_EMPTY[kind]}/read", scope)
                return answers.listing([])
        raise errors.NotFound(
            "InvalidResourceType",
            f"The resource type '{path.type[:100]}' could not be found in the namespace 'Microsoft.Authorization' for api "
            f"version '{asked.version}'. The supported types are 'roleAssignments, roleDefinitions, permissions, "
            "denyAssignments'.",
        )

    def _assignments(self, asked: Asked, scope: str, name: str) -> Response:
        if not name:
            if asked.method not in ("GET", "HEAD"):
                raise _not_allowed(asked)
            return self._list(asked, scope)
        guid = _guid(name)
        verbs = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}
        if asked.method not in verbs:
            raise _not_allowed(asked)
        return verbs[asked.method](asked, scope, guid)

    def _list(self, asked: Asked, scope: str) -> Response:
        """At the scope, above it and below it, unless the filter says otherwise. Raises Forbidden, Invalid, NotFound."""
        snapshot = self._engine.snapshot()
        self._require(asked, "Microsoft.Authorization/roleAssignments/read", documents.provider(scope))
        self._there(snapshot, scope)
        wanted = parse(asked.query.get("$filter", ""))
        holders = self._holders(asked, wanted)
        found = [
            row
            for row in snapshot.of_type(authorization.ROLE_ASSIGNMENT)
            if wanted.reaches(_asked(row).scope, scope) and (holders is None or _asked(row).principal_id in holders)
        ]
        return answers.listing([documents.assignment(row, documents.prefix(scope)) for row in found])

    def _holders(self, asked: Asked, wanted: Filter) -> frozenset[str] | None:
        """The principals that a filter leaves; None for all. Who is in a group has what is assigned to it."""
        if wanted.principal:
            return frozenset({wanted.principal})
        if wanted.assigned_to:
            own = asked.caller.groups if asked.caller.object_id.lower() == wanted.assigned_to else frozenset()
            return frozenset({wanted.assigned_to}) | own | self._engine.identities.groups_of(wanted.assigned_to)
        return None

    def _get(self, asked: Asked, scope: str, name: str) -> Response:
        self._require(asked, "Microsoft.Authorization/roleAssignments/read", documents.assignment_path(scope, name))
        found = self._found(scope, name)
        if found is None:
            raise errors.NotFound("RoleAssignmentNotFound", f"The role assignment '{name}' is not found.", target=name)
        return answers.document(documents.assignment(found, documents.prefix(scope)))

    def _put(self, asked: Asked, scope: str, name: str) -> Response:
        self._require(asked, "Microsoft.Authorization/roleAssignments/write", documents.assignment_path(scope, name))
        snapshot, id = self._engine.snapshot(), authorization.assignment_id(self._subscription.id, name)
        self._there(snapshot, scope)
        old = snapshot.get(id)
        properties = self._read(asked, scope, name, None if old is None else _asked(old))
        now = self._engine.clock()
        accepted = self._engine.put(Resource(id=id, properties=properties, created_at=now, changed_at=now), caller=asked.caller)
        shown = documents.assignment(accepted.resource, documents.prefix(scope))
        return answers.document(shown, 201 if accepted.created else 200)

    def _delete(self, asked: Asked, scope: str, name: str) -> Response:
        """200 with what was deleted; 204 when there is none."""
        path = documents.assignment_path(scope, name)
        self._require(asked, "Microsoft.Authorization/roleAssignments/delete", path)
        found = self._found(scope, name)
        if found is None or self._engine.delete(found.id, caller=asked.caller) is None:
            return answers.nothing(204)
        return answers.document(documents.assignment(found, documents.prefix(scope)))

    def _found(self, scope: str, name: str) -> Resource | None:
        """The assignment of a name at this very scope."""
        found = self._engine.snapshot().get(authorization.assignment_id(self._subscription.id, name))
        return found if found is not None and access.above(_asked(found).scope)[-1] == access.above(scope)[-1] else None

    def _read(self, asked: Asked, scope: str, name: str, old: RoleAssignment | None) -> RoleAssignment:
        """The body as a row. Raises Invalid, Unsupported."""
        given = members(wire.parse(asked.body))
        principal, role = _text(given, "principalId", name), _text(given, "roleDefinitionId", name)
        for field in ("condition", "delegatedManagedIdentityResourceId"):
            if given.get(field.lower()):
                raise errors.Unsupported(
                    "NotSupported", f"Ringfence does not evaluate '{field}' of a role assignment. Remove it.", target=field
                )
        description = given.get("description")
        return RoleAssignment(
            scope=scope,
            role=role.rpartition("/")[2].lower(),
            principal_id=principal.lower(),
            principal_type=self._type(principal.lower(), given.get("principaltype")),
            description=description if isinstance(description, str) else None,
            created_by=asked.caller.object_id if old is None else old.created_by,
            updated_by=asked.caller.object_id,
        )

    def _type(self, principal: str, asked: JsonValue) -> str:
        """What kind of principal it is. One that is said to be a service principal may still be on its way, as in Azure.

        Raises Invalid (`PrincipalNotFound`, `UnmatchedPrincipalType`).
        """
        wanted = _TYPES.get(asked.lower()) if isinstance(asked, str) and asked else ""
        if wanted is None:
            raise errors.Invalid("InvalidPrincipalType", f"The principal type '{str(asked)[:50]}' is not valid.")
        known = self._kind(principal)
        if known is None and wanted != "ServicePrincipal":
            raise errors.Invalid(
                "PrincipalNotFound",
                f"Principal {principal.replace('-', '')} does not exist in the directory {self._subscription.tenant}. Check that "
                "you have the correct principal ID. If you are creating this principal and then immediately assigning a role, "
                "this error might be related to a replication delay. In this case, set the role assignment principalType "
                "property to a value, such as ServicePrincipal, User, or Group. See https://aka.ms/docs-principaltype",
            )
        if known is not None and wanted and known != wanted:
            raise errors.Invalid(
                "UnmatchedPrincipalType",
                f"The PrincipalId '{principal.replace('-', '')}' has type '{known}' , which is different from specified "
                f"PrinciaplType '{wanted}'.",
            )
        return known or wanted

    def _kind(self, principal: str) -> str | None:
        found = self._engine.identities.directory().get(principal)
        if found is not None:
            return _KINDS.get(found.kind)
        managed = any(one.object_id == principal for one in principals.managed(self._engine.snapshot()))
        return "ServicePrincipal" if managed else None

    def _permissions(self, asked: Asked, scope: str) -> Response:
        """What the caller may do here: every role's actions. Raises Forbidden."""
        snapshot = self._engine.snapshot()
        if not access.visible(snapshot, asked.caller, scope):
            self._require(asked, "Microsoft.Authorization/permissions/read", scope)
        return answers.listing([documents.permission(entry) for entry in access.granted(snapshot, asked.caller, scope)])

    def _scope(self, path: Path) -> str:
        """The scope in its spelling: what exists keeps that of its creation. Raises NotFound."""
        if path.id is not None:
            return str(acceptance.spelled(self._engine.snapshot(), spelled(path.id)))
        tenant = f"{_MANAGEMENT_GROUPS}{self._subscription.tenant}"
        if path.scope == "/":
            return path.scope
        if path.scope.lower() == tenant:
            return f"/providers/Microsoft.Management/managementGroups/{self._subscription.tenant}"
        if path.scope.lower().startswith(_MANAGEMENT_GROUPS):
            raise errors.NotFound(
                "ManagementGroupNotFound",
                f"The management group '{path.scope.rpartition('/')[2][:100]}' cannot be found. There is the tenant's root "
                f"group, '{self._subscription.tenant}'.",
            )
        raise errors.NotFound("InvalidScope", f"The scope '{path.scope[:300]}' is not valid.")

    def _there(self, snapshot: Snapshot, scope: str) -> None:
        """What is assigned at has to exist; levels that are no resources here (a container of blobs) are passed over."""
        if not scope.lower().startswith("/subscriptions/"):
            return
        id = ResourceId.parse(scope)
        if id.group is None:
            return
        self._engine.get(id.group_id)
        while id.provider is not None:
            if id.type.lower() in catalog.PROPERTIES:
                self._engine.get(id)
            id = id.parent

    def _require(self, asked: Asked, action: str, scope: str) -> None:
        access.require(self._engine.snapshot(), asked.caller, action, scope)


def members(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The members of `properties` by lower-case name; nulls left out. Raises Invalid."""
    given = next((value for name, value in body.items() if name.lower() == "properties"), None)
    if not isinstance(given, Mapping):
        raise errors.Invalid("BadRequestFormat", "The request was incorrectly formatted.", target="properties")
    return {name.lower(): value for name, value in given.items() if value is not None}


def _asked(row: Resource) -> RoleAssignment:
    assert isinstance(row.properties, RoleAssignment)
    return row.properties


def _text(given: Mapping[str, JsonValue], field: str, name: str) -> str:
    value = given.get(field.lower())
    if not isinstance(value, str) or not value or not _is_guid(value.rpartition("/")[2]):
        raise errors.Invalid(
            "InvalidCreateRoleAssignmentRequest",
            f"The request to create role assignment '{name}' is not valid. '{field}' has to be "
            f"{'the id of a role definition' if field == 'roleDefinitionId' else 'the object id of a principal'}.",
            target=f"properties.{field}",
        )
    return value


def _guid(name: str) -> str:
    """Raises Invalid (`InvalidRoleAssignmentId`)."""
    if not _is_guid(name):
        message = f"The role assignment ID '{name[:100]}' is not valid. The role assignment ID must be a GUID."
        raise errors.Invalid("InvalidRoleAssignmentId", message)
    return name.lower()


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _not_allowed(asked: Asked) -> table.MethodNotAllowed:
    return table.MethodNotAllowed(
        "MethodNotAllowed", f"The requested resource 'roleAssignments' does not support http method '{asked.method[:20]}'."
    )
