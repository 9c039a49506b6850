"""The tenant's directory as one frozen value: applications, service principals, users, groups, who is in what.

Managed identities are not in it: they follow from resources (`policy.principals`). Secrets
are not in it either; `control.identities` keeps their digests and writes all of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from pydantic import JsonValue

#: The domain of every user of the tenant, and the tenant's name.
DOMAIN = "ringfence.onmicrosoft.com"
#: Template of the directory role that may change everything in the directory (Entra's built-in roles).
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"

Kind = Literal["application", "servicePrincipal", "user", "group"]
Relation = Literal["member", "owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A secret of an application. label: its display name. hint: its first three characters."""

    key_id: str
    label: str | None
    hint: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """name: unique among its kind: the application's id (application, servicePrincipal), the UPN in lower case (user), else
    the object id. document: what Graph shows of it beside ids, times and credentials.
    """

    object_id: str
    kind: Kind
    name: str
    document: Mapping[str, JsonValue]
    created_at: datetime
    credentials: tuple[Credential, ...] = ()

    @property
    def display_name(self) -> str:
        return str(self.document.get("displayName") or "")

    @property
    def enabled(self) -> bool:
        return self.document.get("accountEnabled") is not False


@dataclass(frozen=True)
class Directory:
    """objects: by object id. links: (relation, holder) -> targets. roles: by principal."""

    objects: Mapping[str, Object] = field(default_factory=dict)
    links: Mapping[tuple[Relation, str], tuple[str, ...]] = field(default_factory=dict)
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def get(self, object_id: str) -> Object | None:
        """By object id, in any casing."""
        return self.objects.get(object_id.lower())

    def named(self, kind: Kind, name: str) -> Object | None:
        """By application id or UPN, in any casing."""
        return self._by_name.get((kind, name.lower()))

    def of_kind(self, kind: Kind) -> Iterator[Object]:
        """In the order of their creation."""
        return (found for found in self.objects.values() if found.kind == kind)

    def held(self, relation: Relation, holder: str) -> tuple[str, ...]:
        """The members or owners of an object."""
        return self.links.get((relation, holder), ())

    def holders(self, relation: Relation, target: str) -> frozenset[str]:
        """The groups that an object is a direct member of, or what it owns."""
        return self._by_target.get((relation, target), frozenset())

    def groups_of(self, object_id: str) -> frozenset[str]:
        """Every group that an object is in, through other groups as well; of a managed identity too."""
        found: set[str] = set()
        left = [object_id.lower()]
        while left:
            for group in self.holders("member", left.pop()) - found:
                found.add(group)
                left.append(group)
        return frozenset(found)

    def administers(self, object_id: str) -> bool:
        """Whether an object has the role Global Administrator."""
        return GLOBAL_ADMINISTRATOR in self.roles.get(object_id.lower(), frozenset())

    @cached_property
    def _by_name(self) -> Mapping[tuple[Kind, str], Object]:
        return {(found.kind, found.name): found for found in self.objects.values()}

    @cached_property
    def _by_target(self) -> Mapping[tuple[Relation, str], frozenset[str]]:
        found: dict[tuple[Relation, str], set[str]] = {}
        for (relation, holder), targets in self.links.items():
            for target in targets:
                found.setdefault((relation, target), set()).add(holder)
        return {key: frozenset(holders) for key, holders in found.items()}
