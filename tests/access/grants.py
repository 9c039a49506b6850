"""Snapshots that hold role assignments, for tests of who may do what."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence

from tests import clouds

from ringfence.model import authorization
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import roles

SUBSCRIPTION = clouds.SUBSCRIPTION
_GUIDS = itertools.count(1)


def role(name: str) -> str:
    """The GUID of a built-in role."""
    return next(role.guid for role in roles.BUILT_IN.values() if role.name == name)


def assignment(principal: str, role: str, scope: str) -> Resource:
    """role: a GUID."""
    subscription = SUBSCRIPTION.rpartition("/")[2]
    return Resource(
        id=authorization.assignment_id(subscription, str(uuid.UUID(int=next(_GUIDS)))),
        properties=authorization.RoleAssignment(scope=scope, role=role, principal_id=principal),
        created_at=clouds.NOW,
        changed_at=clouds.NOW,
    )


def definition(guid: str, *entries: Mapping[str, Sequence[str]]) -> Resource:
    """A custom role. entries: permissions with the wire's names."""
    subscription = SUBSCRIPTION.rpartition("/")[2]
    permissions = [authorization.Permission.model_validate(dict(entry)) for entry in entries]
    return Resource(
        id=authorization.definition_id(subscription, guid),
        properties=authorization.RoleDefinition(
            role_name=f"role {guid}", permissions=tuple(permissions), assignable_scopes=(SUBSCRIPTION,)
        ),
        created_at=clouds.NOW,
        changed_at=clouds.NOW,
    )


def world(assigned: Iterable[tuple[str, str, str]], *definitions: Resource) -> Snapshot:
    """assigned: (principal, name or GUID of a role, scope)."""
    known = {role.name: role.guid for role in roles.BUILT_IN.values()}
    return Snapshot.of([*definitions, *(assignment(who, known.get(what, what), where) for who, what, where in assigned)])
