"""Role definitions over HTTP: the built-in ones, and custom roles that callers write.

What a role permits is `policy.access`; whether one may be written or may go is
`policy.admission.authorization`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from pydantic import JsonValue, ValidationError
from starlette.responses import Response

from ringfence.api import errors as table
from ringfence.api.arm import asked as answers
from ringfence.api.arm import authorization_documents as documents
from ringfence.api.arm import wire
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.authorization_filters import parse
from ringfence.api.arm.directory import Subscription
from ringfence.control.engine import Engine
from ringfence.model import authorization, errors
from ringfence.model.authorization import Permission, RoleDefinition
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import access, roles

_READ, _WRITE, _DELETE = (f"Microsoft.Authorization/roleDefinitions/{verb}" for verb in ("read", "write", "delete"))
_KNOWN = frozenset(
    {"rolename", "description", "type", "permissions", "assignablescopes", "createdon", "updatedon", "createdby", "updatedby"}
)


class RoleDefinitions:
    """The handlers of one type of Microsoft.Authorization."""

    def __init__(self, engine: Engine, subscription: Subscription) -> None:
        self._engine = engine
        self._subscription = subscription

    def answer(self, asked: Asked, scope: str, name: str) -> Response:
        """Raises errors.Problem."""
        if not name and asked.method in ("GET", "HEAD"):
            return self._list(asked, scope)
        verbs = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}
        if not name or asked.method not in verbs:
            raise table.MethodNotAllowed(
                "MethodNotAllowed",
                f"The requested resource 'roleDefinitions' does not support http method '{asked.method[:20]}'.",
            )
        return verbs[asked.method](asked, scope, _guid(name))

    def _list(self, asked: Asked, scope: str) -> Response:
        """Every role that can be assigned at the scope. Raises Forbidden, Invalid."""
        snapshot = self._engine.snapshot()
        access.require(snapshot, asked.caller, _READ, documents.provider(scope))
        wanted, at = parse(asked.query.get("$filter", "")), documents.prefix(scope)
        own = [row for row in snapshot.of_type(authorization.ROLE_DEFINITION) if self._offered(row, scope)]
        shown = [documents.built_in(role, at) for role in roles.BUILT_IN.values()]
        shown += [documents.custom(row, at) for row in own]
        return answers.listing(
            [
                one
                for one in shown
                if wanted.role_name in ("", one["properties"]["roleName"].lower())
                and wanted.kind in ("", one["properties"]["type"].lower())
            ]
        )

    def _offered(self, row: Resource, scope: str) -> bool:
        """Where it can be assigned, and in lists of what lies above that."""
        here = access.above(scope)
        lies = access.place(scope)
        return any(access.place(one) in here or lies in access.above(one) for one in _asked(row).assignable_scopes)

    def _get(self, asked: Asked, scope: str, name: str) -> Response:
        snapshot = self._engine.snapshot()
        access.require(snapshot, asked.caller, _READ, scope)
        at, known = documents.prefix(scope), roles.BUILT_IN.get(name)
        if known is not None:
            return answers.document(documents.built_in(known, at))
        row = snapshot.get(self._id(name))
        if row is None:
            raise errors.NotFound("RoleDefinitionDoesNotExist", f"The specified role definition with ID '{name}' does not exist.")
        return answers.document(documents.custom(row, at))

    def _put(self, asked: Asked, scope: str, name: str) -> Response:
        """A custom role: the caller needs the right to write one wherever it shall be assignable."""
        access.require(self._engine.snapshot(), asked.caller, _WRITE, scope)
        if name in roles.BUILT_IN:
            raise errors.Forbidden(
                "RoleDefinitionUpdateNotPermitted", f"The role '{roles.BUILT_IN[name].name}' is built in and cannot be changed."
            )
        old, now = self._engine.snapshot().get(self._id(name)), self._engine.clock()
        properties = self._read(asked, None if old is None else _asked(old))
        self._linked(asked, scope, properties.assignable_scopes)
        draft = Resource(id=self._id(name), properties=properties, created_at=now, changed_at=now)
        accepted = self._engine.put(draft, caller=asked.caller)
        # 201 for an update as well: the management SDK takes nothing else.
        return answers.document(documents.custom(accepted.resource, documents.prefix(scope)), 201)

    def _linked(self, asked: Asked, scope: str, assignable: Sequence[str]) -> None:
        """Raises Forbidden (`LinkedAuthorizationFailed`), also for a subscription that is not this one."""
        for place in assignable:
            parts = place.lower().strip("/").split("/")
            if parts[0] == "subscriptions" and parts[1:2] != [self._subscription.id]:
                who = asked.caller.name or asked.caller.client_id
                raise access.linked_failure(who, asked.caller.object_id, _WRITE, scope, _WRITE, place)
            access.require_linked(self._engine.snapshot(), asked.caller, _WRITE, scope, _WRITE, place)

    def _delete(self, asked: Asked, scope: str, name: str) -> Response:
        access.require(self._engine.snapshot(), asked.caller, _DELETE, scope)
        if name in roles.BUILT_IN:
            raise errors.Forbidden(
                "RoleDefinitionUpdateNotPermitted", f"The role '{roles.BUILT_IN[name].name}' is built in and cannot be deleted."
            )
        row = self._engine.snapshot().get(self._id(name))
        if row is None or self._engine.delete(row.id, caller=asked.caller) is None:
            return answers.nothing(204)
        return answers.document(documents.custom(row, documents.prefix(scope)))

    def _id(self, name: str) -> ResourceId:
        return authorization.definition_id(self._subscription.id, name)

    def _read(self, asked: Asked, old: RoleDefinition | None) -> RoleDefinition:
        given = _members(wire.parse(asked.body))
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise errors.Invalid("BadRequestFormat", f"The request was incorrectly formatted: '{unknown[0][:100]}' is unknown.")
        if str(given.get("type", "CustomRole")).lower() != "customrole":
            raise errors.Invalid("InvalidRoleDefinitionType", "The type of a role that is written is CustomRole.", target="type")
        try:
            return RoleDefinition(
                role_name=str(given.get("rolename") or ""),
                description=str(given.get("description") or ""),
                permissions=tuple(Permission.model_validate(entry) for entry in _list(given, "permissions")),
                assignable_scopes=tuple(str(scope) for scope in _list(given, "assignableScopes")),
                created_by=asked.caller.object_id if old is None else old.created_by,
                updated_by=asked.caller.object_id,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise errors.Invalid(
                "BadRequestFormat", f"The request was incorrectly formatted: {first['msg']}.", target="properties.permissions"
            ) from error


def _asked(row: Resource) -> RoleDefinition:
    assert isinstance(row.properties, RoleDefinition)
    return row.properties


def _members(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The members of `properties` by lower-case name; nulls left out. Raises Invalid."""
    given = next((value for name, value in body.items() if name.lower() == "properties"), None)
    if not isinstance(given, Mapping):
        raise errors.Invalid("BadRequestFormat", "The request was incorrectly formatted.", target="properties")
    return {name.lower(): value for name, value in given.items() if value is not None}


def _list(given: Mapping[str, JsonValue], name: str) -> list[JsonValue]:
    value = given.get(name.lower(), [])
    if not isinstance(value, list):
        raise errors.Invalid("BadRequestFormat", f"'{name}' has to be a list.", target=f"properties.{name}")
    return value


def _guid(name: str) -> str:
    """Raises Invalid."""
    try:
        known = str(uuid.UUID(name))
    except ValueError:
        known = ""
    if known != name.lower():
        raise errors.Invalid("InvalidRoleDefinitionId", f"The role definition ID '{name[:100]}' is not valid. It must be a GUID.")
    return known
