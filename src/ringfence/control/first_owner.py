"""Ownership of the sandbox: the administrator may do everything, from the first start on.

One role assignment at the tenant's root, written when there is none; state folders from before
role assignments get it when they are opened. Rights of everybody else are assigned by requests.
"""

from __future__ import annotations

import uuid

from ringfence.control.engine import Engine
from ringfence.model import authorization
from ringfence.model.authorization import RoleAssignment
from ringfence.model.resource import Resource
from ringfence.policy.builtin import general
from ringfence.policy.principals import Kind

ROOT = "/"
#: The name of the assignment follows from the principal (RFC 4122, version 5), so that two starts write one.
_NAMESPACE = uuid.UUID("0d9a7a55-2f5c-5b0e-8f1c-3a5d8c6b1e77")


def ensure_owner(engine: Engine, subscription: str, object_id: str, kind: Kind = "ServicePrincipal") -> None:
    """The principal owns everything afterwards. subscription: where the row is kept. kind: of the principal."""
    if any(_is_theirs(found, object_id.lower()) for found in engine.snapshot().of_type(authorization.ROLE_ASSIGNMENT)):
        return
    name = str(uuid.uuid5(_NAMESPACE, object_id.lower()))
    properties = RoleAssignment(
        scope=ROOT,
        role=general.OWNER,
        principal_id=object_id.lower(),
        principal_type=kind,
        description="The administrator of this sandbox.",
    )
    now = engine.clock()
    engine.put(
        Resource(
            id=authorization.assignment_id(subscription.lower(), name), properties=properties, created_at=now, changed_at=now
        )
    )


def _is_theirs(found: Resource, object_id: str) -> bool:
    asked = found.properties
    assert isinstance(asked, RoleAssignment)
    return (asked.scope, asked.role, asked.principal_id) == (ROOT, general.OWNER, object_id)
