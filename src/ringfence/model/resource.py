"""The envelope of every resource, and the snapshot that all thinking starts from.

A `Resource` is what was asked for; what follows from it is in `desired`, and whether it
may be asked is in `policy`. Values are frozen; nothing here reads a clock or a database.
What a type holds in `properties` is in one file per family: `network`, `compute`, `ml`, ….
"""

from __future__ import annotations

import bisect
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from ringfence.model import errors
from ringfence.model.ids import ResourceId

_T = TypeVar("_T")

#: Names for ids that are derived from a resource (RFC 4122, version 5), so that they survive a restart.
_NAMESPACE = uuid.UUID("5e2f0a3c-3f0f-5d6e-9a55-52494e474645")


class ProvisioningState(Enum):
    """ARM's word for how far a resource is. Values are the wire's spelling."""

    ACCEPTED = "Accepted"
    CREATING = "Creating"
    UPDATING = "Updating"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def terminal(self) -> bool:
        return self in (ProvisioningState.SUCCEEDED, ProvisioningState.FAILED, ProvisioningState.CANCELED)


class Properties(BaseModel):
    """The `properties` of a type, and every object inside them: camelCase on the wire, frozen, no unknown names.

    Names match in any casing, as Azure's do, and null is absence. READ_ONLY: wire names that a client may send
    back (it read them before) and that mean nothing. A validation fault whose type begins with a
    capital letter carries Azure's own code (`LinkedInvalidPropertyId`).
    """

    READ_ONLY: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _spell(cls, data: object) -> object:
        """Bring names to the spelling of the wire; leave out what is read-only, and nulls where a field may be absent."""
        if not isinstance(data, Mapping):
            return data
        spelling, optional = cls._names()
        named: dict[object, object] = {}
        for name, value in data.items():
            known = spelling.get(name.lower(), name) if isinstance(name, str) else name
            if known in named:
                raise PydanticCustomError("InvalidRequestContent", "The name {name} is given twice.", {"name": str(known)})
            if known not in cls.READ_ONLY and not (value is None and known in optional):
                named[known] = value
        return named

    @classmethod
    def _names(cls) -> tuple[Mapping[str, str], frozenset[str]]:
        """Spelling by lower-case name, and the names that may be absent."""
        found = _NAMES.get(cls)
        if found is None:
            spelling = {name.lower(): name for name in cls.READ_ONLY}
            for name, about in cls.model_fields.items():
                spelling |= {name.lower(): about.alias or name, (about.alias or name).lower(): about.alias or name}
            optional = frozenset(about.alias or name for name, about in cls.model_fields.items() if not about.is_required())
            found = _NAMES[cls] = spelling, optional
        return found

    def merged(self, old: Self) -> Self:
        """What a PUT of these properties onto a resource with `old` means: full replacement, unless a type says otherwise."""
        return self


_NAMES: dict[type[Properties], tuple[Mapping[str, str], frozenset[str]]] = {}


def reference_text(text: str) -> str:
    """A field that holds a resource id. Raises pydantic's fault with Azure's code (`LinkedInvalidPropertyId`)."""
    reason = (
        f"Property id '{text[:300]}' is invalid. Expect fully qualified resource Id that start with "
        "'/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'."
    )
    if not text.startswith("/"):
        raise PydanticCustomError("LinkedInvalidPropertyId", "{reason}", {"reason": reason})
    try:
        ResourceId.parse(text)
    except errors.Problem as problem:
        raise PydanticCustomError("LinkedInvalidPropertyId", "{reason}", {"reason": reason}) from problem
    return text


class Reference(Properties):
    """`{"id": …}`: another resource. Whether it exists is admission's question."""

    id: Annotated[str, AfterValidator(reference_text)]

    @property
    def target(self) -> ResourceId:
        return _parsed(self.id)

    @property
    def key(self) -> str:
        return self.target.key


_parsed = lru_cache(maxsize=16_384)(ResourceId.parse)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as it stands in the store.

    managed_by: key of the resource that brought it into being; it goes when that one goes.
    etag: without quotes.
    sku, identity: the envelope's objects of these names, as sent.
    """

    id: ResourceId
    location: str | None = None
    properties: Properties
    tags: Mapping[str, str] = field(default_factory=dict)
    sku: Mapping[str, JsonValue] | None = None
    identity: Mapping[str, JsonValue] | None = None
    kind: str | None = None
    managed_by: str | None = None
    state: ProvisioningState = ProvisioningState.SUCCEEDED
    etag: str = ""
    created_at: datetime
    changed_at: datetime

    @cached_property
    def key(self) -> str:
        """The lower-case id: how resources are compared and stored."""
        return self.id.key

    @cached_property
    def type(self) -> str:
        """The lower-case resource type."""
        return self.id.type.lower()

    @cached_property
    def parent(self) -> str:
        """The key of the resource one level up."""
        return self.id.parent.key

    @property
    def region(self) -> str:
        """The location in its short spelling, `East US 2` -> `eastus2`; "" for a resource without one."""
        return region_of(self.location or "")

    def guid(self, purpose: str = "") -> str:
        """A stable GUID of this very resource; one of the same name made later has another."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.key}|{self.created_at.isoformat()}|{purpose}"))


def region_of(location: str) -> str:
    """`East US 2` and `eastus2` are one region."""
    return location.replace(" ", "").lower()


@dataclass(frozen=True, slots=True)
class Allocation:
    """A value that belongs to one resource and to no other of the same scope: an address, an index.

    owner: resource key. purpose: what it is for, unique in the owner. scope: where it is unique.
    """

    owner: str
    purpose: str
    scope: str
    value: str


@dataclass(frozen=True)
class Snapshot:
    """All resources and allocations at one version of the store.

    resources: by key. allocations: by (owner, purpose).
    """

    version: int = 0
    resources: Mapping[str, Resource] = field(default_factory=dict)
    allocations: Mapping[tuple[str, str], Allocation] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Resource], allocations: Iterable[Allocation] = (), version: int = 0) -> Snapshot:
        return cls(version, {r.key: r for r in resources}, {(a.owner, a.purpose): a for a in allocations})

    def get(self, id: ResourceId | str) -> Resource | None:
        """By id or key; None when there is none."""
        return self.resources.get(id.key if isinstance(id, ResourceId) else id)

    def need(self, id: ResourceId | str) -> Resource:
        """As `get`. Raises NotFound (`ResourceNotFound`)."""
        found = self.get(id)
        if found is None:
            raise errors.NotFound("ResourceNotFound", f"The resource '{id}' was not found.", target=str(id))
        return found

    def of_type(self, type: str) -> tuple[Resource, ...]:
        """All resources of a type (any casing), in the order of their keys."""
        return self._by_type.get(type.lower(), ())

    def children(self, id: ResourceId | str) -> tuple[Resource, ...]:
        """The resources one level below, in the order of their keys; of a group: its top-level resources."""
        return self._by_parent.get(id.key if isinstance(id, ResourceId) else id, ())

    def value(self, owner: ResourceId | str, purpose: str) -> str | None:
        """The allocated value, or None."""
        key = owner.key if isinstance(owner, ResourceId) else owner
        found = self.allocations.get((key, purpose))
        return None if found is None else found.value

    def taken(self, scope: str) -> Mapping[str, Allocation]:
        """Every allocation of a scope, by value."""
        return self._by_scope.get(scope, {})

    def allocated(self, owner: ResourceId | str) -> tuple[Allocation, ...]:
        """Every allocation of a resource, in the order of their purposes."""
        return self._by_owner.get(owner.key if isinstance(owner, ResourceId) else owner, ())

    def changed(
        self,
        written: Iterable[Resource] = (),
        gone: Iterable[str] = (),
        allocated: Iterable[Allocation] = (),
        version: int | None = None,
        released: Iterable[tuple[str, str]] = (),
    ) -> Snapshot:
        """The snapshot after some writes, at a cost of what was written and not of what there is.

        gone: keys of resources that are no more; their allocations go with them. released: allocations that are given
        back, by (owner, purpose). Groups that nothing
        touched (the children of an id, the resources of a type) are the very same tuples as before.
        """
        new, left = {r.key: r for r in written}, set(gone) & self.resources.keys()
        old = [self.resources[key] for key in (*left, *(new.keys() & self.resources.keys()))]
        resources = {**self.resources, **new}
        back = [self.allocations[k] for k in released if k in self.allocations and k[0] not in left]
        freed = [*back, *(a for key in left for a in self.allocated(key))]
        given = {(a.owner, a.purpose): a for a in allocated if a.owner not in left}
        replaced = [*freed, *(self.allocations[k] for k in given.keys() & self.allocations.keys())]
        allocations = {**self.allocations, **given}
        for key in left:
            del resources[key]
        for a in freed:
            del allocations[a.owner, a.purpose]
        after = Snapshot(self.version if version is None else version, resources, allocations)
        values, held = tuple(new.values()), tuple(given.values())
        after.__dict__["_by_type"] = _regrouped(self._by_type, old, values, lambda r: r.type, lambda r: r.key)
        after.__dict__["_by_parent"] = _regrouped(self._by_parent, old, values, lambda r: r.parent, lambda r: r.key)
        if replaced or held:
            after.__dict__["_by_owner"] = _regrouped(self._by_owner, replaced, held, lambda a: a.owner, lambda a: a.purpose)
            after.__dict__["_by_scope"] = _rescoped(self._by_scope, replaced, held)
        else:
            after.__dict__["_by_owner"], after.__dict__["_by_scope"] = self._by_owner, self._by_scope
        return after

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources.values())

    @cached_property
    def _by_type(self) -> Mapping[str, tuple[Resource, ...]]:
        return _grouped((r.type, r) for _, r in sorted(self.resources.items()))

    @cached_property
    def _by_parent(self) -> Mapping[str, tuple[Resource, ...]]:
        return _grouped((r.parent, r) for _, r in sorted(self.resources.items()))

    @cached_property
    def _by_scope(self) -> Mapping[str, Mapping[str, Allocation]]:
        found: dict[str, dict[str, Allocation]] = {}
        for allocation in self.allocations.values():
            found.setdefault(allocation.scope, {})[allocation.value] = allocation
        return found

    @cached_property
    def _by_owner(self) -> Mapping[str, tuple[Allocation, ...]]:
        return _grouped((owner, a) for (owner, _), a in sorted(self.allocations.items(), key=lambda item: item[0]))


def _grouped(pairs: Iterable[tuple[str, _T]]) -> Mapping[str, tuple[_T, ...]]:
    found: dict[str, list[_T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def _regrouped(
    groups: Mapping[str, tuple[_T, ...]],
    old: Iterable[_T],
    new: Iterable[_T],
    group: Callable[[_T], str],
    order: Callable[[_T], str],
) -> Mapping[str, tuple[_T, ...]]:
    """The groups without `old` and with `new`, each in its order."""
    touched: dict[str, list[_T]] = {}
    for name in {group(value) for value in (*old, *new)}:
        touched[name] = list(groups.get(name, ()))
    for value in old:
        members = touched[group(value)]
        del members[bisect.bisect_left(members, order(value), key=order)]
    for value in new:
        bisect.insort(touched[group(value)], value, key=order)
    changed = {**groups, **{name: tuple(members) for name, members in touched.items()}}
    return {name: members for name, members in changed.items() if members} if old else changed


def _rescoped(
    scopes: Mapping[str, Mapping[str, Allocation]], old: Iterable[Allocation], new: Iterable[Allocation]
) -> Mapping[str, Mapping[str, Allocation]]:
    touched: dict[str, dict[str, Allocation]] = {}
    for allocation in (*old, *new):
        touched.setdefault(allocation.scope, dict(scopes.get(allocation.scope, {})))
    for allocation in old:
        touched[allocation.scope].pop(allocation.value, None)
    for allocation in new:
        touched[allocation.scope][allocation.value] = allocation
    return {**scopes, **touched}
