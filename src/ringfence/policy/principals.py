"""Who acts in the tenant: principals, and those of them that follow from resources.

A managed identity is no row of its own: it is derived from the resource that has it, so it
comes, stays and goes with it. Applications, users and groups are kept in
`control.identities`; what a principal may do is `policy.access`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ringfence.model import identity
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot

Kind = Literal["ServicePrincipal", "User", "Group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whom a role can be assigned to.

    client_id: of its application; "" for users and groups. source_key: of the resource that it is the identity of.
    """

    object_id: str
    client_id: str
    kind: Kind
    name: str
    source_key: str | None = None


def of(resource: Resource) -> Principal | None:
    """The identity that lives and dies with `resource`: its system-assigned one, or itself when it is an identity."""
    if resource.type != identity.USER_ASSIGNED and not system_assigned(resource):
        return None
    return Principal(
        object_id=resource.guid("identity"),
        client_id=resource.guid("identity-client"),
        kind="ServicePrincipal",
        name=resource.id.name,
        source_key=resource.key,
    )


def system_assigned(resource: Resource) -> bool:
    """Whether the resource has an identity of its own."""
    return resource.identity is not None and "systemassigned" in _kinds(resource.identity)


def user_assigned(resource: Resource) -> tuple[ResourceId, ...]:
    """The user-assigned identities that a resource acts with, as it names them."""
    if resource.identity is None or "userassigned" not in _kinds(resource.identity):
        return ()
    named = resource.identity.get("userAssignedIdentities")
    return tuple(ResourceId.parse(name) for name in named) if isinstance(named, Mapping) else ()


def acting(snapshot: Snapshot, resource: Resource) -> tuple[Principal, ...]:
    """Every identity that a resource acts with, its own one first. Those whose resource is gone are left out."""
    carriers = [resource, *(found for id in user_assigned(resource) if (found := snapshot.get(id)) is not None)]
    return tuple(principal for carrier in carriers if (principal := of(carrier)) is not None)


def managed(snapshot: Snapshot) -> tuple[Principal, ...]:
    """Every managed identity of the tenant, in the order of their resources' keys."""
    return tuple(principal for _, r in sorted(snapshot.resources.items()) if (principal := of(r)) is not None)


def _kinds(block: Mapping[str, object]) -> frozenset[str]:
    return frozenset(str(block.get("type", "")).lower().replace(" ", "").split(","))
