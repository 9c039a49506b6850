"""Resource ids: parse, compare, derive.

Azure Resource Manager compares ids case-insensitively and echoes them with the
casing of their creation. A `ResourceId` keeps the spelling it was given and
compares by `key`. What a type may hold, and whether it exists, is not decided here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from ringfence.model import errors

GROUP_TYPE = "Microsoft.Resources/resourceGroups"
SUBSCRIPTION_TYPE = "Microsoft.Resources/subscriptions"

#: What a path segment of an id may hold; ARM refuses `/ \ ? # %` and control characters.
_SEGMENT = re.compile(r"^[^\x00-\x1f\x7f/\\?#%<>&:]{1,260}$")


@dataclass(frozen=True, slots=True, eq=False)
class ResourceId:
    """One ARM resource id below a subscription, e.g. a group, a VNet or a subnet of it."""

    subscription: str
    group: str | None = None
    provider: str | None = None
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    _key: str | None = field(default=None, init=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Read an id; double slashes collapse, segments are kept as spelled.

        Raises errors.Problem (400 `InvalidResourceId`, or `LinkedInvalidPropertyId`'s cause).
        """
        return _parsed(text)

    @property
    def type(self) -> str:
        """The full resource type, `Microsoft.Network/virtualNetworks/subnets`."""
        if self.provider is None:
            return GROUP_TYPE if self.group is not None else SUBSCRIPTION_TYPE
        return "/".join((self.provider, *self.types))

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else (self.group or self.subscription)

    @property
    def key(self) -> str:
        """The spelling used to compare: lower case. Worked out once, because everything is found by it."""
        if self._key is None:
            object.__setattr__(self, "_key", str(self).lower())
        assert self._key is not None
        return self._key

    @property
    def parent(self) -> ResourceId:
        """One level up: subnet -> VNet -> group -> subscription."""
        if len(self.names) > 1:
            return ResourceId(self.subscription, self.group, self.provider, self.types[:-1], self.names[:-1])
        if self.provider is not None:
            return ResourceId(self.subscription, self.group)
        return ResourceId(self.subscription)

    @property
    def group_id(self) -> ResourceId:
        return ResourceId(self.subscription, self.group)

    def child(self, kind: str, name: str) -> ResourceId:
        """The id of a child resource (`vnet.child("subnets", "default")`)."""
        return ResourceId(self.subscription, self.group, self.provider, (*self.types, kind), (*self.names, name))

    def resource(self, kind: str, name: str) -> ResourceId:
        """The id of a top-level resource of this id's group: `kind` is `Provider/type`."""
        provider, _, rest = kind.partition("/")
        return ResourceId(self.subscription, self.group, provider, (rest,), (name,))

    def within(self, scope: ResourceId) -> bool:
        """Whether this id is `scope` or lies below it, by path segment and never by string prefix."""
        mine, theirs = self.key.split("/"), scope.key.split("/")
        return mine[: len(theirs)] == theirs

    def __str__(self) -> str:
        path = f"/subscriptions/{self.subscription}"
        if self.group is not None:
            path += f"/resourceGroups/{self.group}"
        if self.provider is not None:
            path += f"/providers/{self.provider}"
            path += "".join(f"/{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
        return path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceId) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> ResourceId:
    parts = [part for part in text.split("/") if part]
    if len(text) > 4096 or not all(_SEGMENT.match(p) and p not in (".", "..") for p in parts):
        raise errors.invalid_resource_id(text)
    if len(parts) < 2 or parts[0].lower() != "subscriptions":
        raise errors.invalid_resource_id(text)
    subscription, rest = parts[1], parts[2:]
    group: str | None = None
    if rest and rest[0].lower() == "resourcegroups":
        if len(rest) < 2:
            raise errors.invalid_resource_id(text)
        group, rest = rest[1], rest[2:]
    if not rest:
        return ResourceId(subscription, group)
    if rest[0].lower() != "providers" or len(rest) < 4 or len(rest) % 2:
        raise errors.invalid_resource_id(text)
    return ResourceId(subscription, group, rest[1], tuple(rest[2::2]), tuple(rest[3::2]))
