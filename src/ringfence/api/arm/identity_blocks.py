"""The `identity` of resources on the wire: what a body may say, and what a document shows.

Which principal an identity is follows from resources (`policy.principals`); whether the
identities of a body exist is admission's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from ringfence.api.arm.registry import spelled
from ringfence.model import errors, identity
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import principals

_NONE, _SYSTEM, _USER, _BOTH = "None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"
_TYPES = {"none": _NONE, "systemassigned": _SYSTEM, "userassigned": _USER, "systemassigned,userassigned": _BOTH}
_READ_ONLY = frozenset({"principalid", "tenantid", "clientid"})


def read(given: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """An identity as it is stored: its type in one spelling, and the ids of user-assigned ones.

    Raises Invalid (`InvalidRequestContent`, `MissingIdentityIds`, `LinkedInvalidPropertyId`).
    """
    members = {name.lower(): value for name, value in given.items()}
    unknown = sorted(members.keys() - _READ_ONLY - {"type", "userassignedidentities"})
    if unknown:
        raise _content(f"Could not find member '{unknown[0][:100]}' on object of type 'ResourceIdentity'.", "identity")
    asked = members.get("type")
    type = _TYPES.get(asked.lower().replace(" ", "")) if isinstance(asked, str) else None
    if type is None:
        shown = str(asked)[:100]
        raise _content(
            f"The identity type '{shown}' is not valid. Use one of 'SystemAssigned', 'UserAssigned', "
            "'SystemAssigned, UserAssigned', 'None'.",
            "identity.type",
        )
    if type in (_NONE, _SYSTEM):
        return {"type": type}
    named = _named(members.get("userassignedidentities"))
    if not named:
        raise errors.Invalid(
            "MissingIdentityIds",
            f"The identity ids must not be null or empty for '{type}' identity type.",
            target="identity.userAssignedIdentities",
        )
    empty: dict[str, JsonValue] = {str(id): {} for id in named}
    return {"type": type, "userAssignedIdentities": empty}


def _named(given: JsonValue) -> tuple[ResourceId, ...]:
    """The ids of user-assigned identities, each once; one whose value is null is on its way out."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise _content("'identity.userAssignedIdentities' has to be an object.", "identity.userAssignedIdentities")
    found: dict[str, ResourceId] = {}
    for name, value in given.items():
        if value is not None:
            id = _id(name)
            found.setdefault(id.key, id)
    return tuple(found.values())


def _id(name: str) -> ResourceId:
    """The id of a user-assigned identity, in Azure's spelling."""
    try:
        id = spelled(ResourceId.parse(name))
    except errors.Problem:
        id = None
    if id is None or id.type.lower() != identity.USER_ASSIGNED or id.group is None:
        raise errors.Invalid(
            "LinkedInvalidPropertyId",
            f"Property id '{name[:300]}' at path 'identity.userAssignedIdentities' is invalid. Expect a fully qualified resource "
            "Id that starts with '/subscriptions/{subscriptionId}' and names a Microsoft.ManagedIdentity/userAssignedIdentities.",
            target="identity.userAssignedIdentities",
        )
    return id


def shown(snapshot: Snapshot, resource: Resource, tenant: str | None) -> dict[str, Any] | None:
    """An identity as documents show it: who it is, and in which tenant."""
    if resource.identity is None:
        return None
    block: dict[str, Any] = {"type": resource.identity.get("type")}
    own = principals.of(resource)
    if own is not None:
        block |= {"principalId": own.object_id, "tenantId": tenant}
    ids = principals.user_assigned(resource)
    if ids:
        block["userAssignedIdentities"] = {str(id): _ids(snapshot, id) for id in ids}
    return {name: value for name, value in block.items() if value is not None}


def _ids(snapshot: Snapshot, id: ResourceId) -> dict[str, str]:
    """Of one identity; {} once it is gone."""
    carrier = snapshot.get(id)
    found = principals.of(carrier) if carrier is not None else None
    return {} if found is None else {"principalId": found.object_id, "clientId": found.client_id}


def of_user_assigned(resource: Resource, tenant: str | None) -> dict[str, Any]:
    """What the document of a user-assigned identity shows."""
    found = principals.of(resource)
    assert found is not None
    ids = {"principalId": found.object_id, "clientId": found.client_id}
    return ids if tenant is None else {"tenantId": tenant, **ids}


def _content(message: str, target: str) -> errors.Invalid:
    return errors.Invalid("InvalidRequestContent", message, target=target)
