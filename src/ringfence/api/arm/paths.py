"""What a path of Resource Manager is about. Matching is case-insensitive, and `//` counts as `/`.

Whether a type exists and a subscription is ours is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringfence.model import errors
from ringfence.model.ids import ResourceId


class About(Enum):
    """The kinds of thing a path can name."""

    SUBSCRIPTIONS = "subscriptions"
    SUBSCRIPTION = "subscription"
    TENANTS = "tenants"
    LOCATIONS = "locations"
    PROVIDERS = "providers"
    RESOURCES = "resources"
    GROUPS = "groups"
    OPERATION = "operation"
    RESULT = "result"
    COLLECTION = "collection"
    ITEM = "item"


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """about ITEM: `id`. COLLECTION: resources of `type` below `id` (a subscription, a group or a resource).

    name: of an operation; of a provider in PROVIDERS, or "". The id of RESOURCES and GROUPS is their scope.
    """

    about: About
    id: ResourceId | None = None
    type: str = ""
    name: str = ""


_OPERATIONS = frozenset(
    {"operations", "operationstatuses", "operationsstatus", "computeoperationsstatus", "workspaceoperationsstatus"}
)
_RESULTS = frozenset({"operationresults"})


def parse(text: str) -> Path:
    """text: the decoded path. Raises errors.Problem: InvalidResourceId, MissingSubscription."""
    parts = [part for part in text.split("/") if part]
    match [part.lower() for part in parts]:
        case ["subscriptions"]:
            return Path(about=About.SUBSCRIPTIONS)
        case ["tenants"]:
            return Path(about=About.TENANTS)
        case ["subscriptions", _, *rest]:
            return _below(ResourceId.parse("/" + "/".join(parts[:2])), parts[2:], rest, parts)
    raise errors.NotFound(
        "MissingSubscription", "The request did not have a subscription or a valid tenant level resource provider."
    )


def _below(subscription: ResourceId, parts: list[str], lower: list[str], whole: list[str]) -> Path:
    match lower:
        case []:
            return Path(about=About.SUBSCRIPTION, id=subscription)
        case ["locations"]:
            return Path(about=About.LOCATIONS, id=subscription)
        case ["resources"]:
            return Path(about=About.RESOURCES, id=subscription)
        case ["resourcegroups"]:
            return Path(about=About.GROUPS, id=subscription)
        case ["providers"]:
            return Path(about=About.PROVIDERS, id=subscription)
        case ["providers", _]:
            return Path(about=About.PROVIDERS, id=subscription, name=parts[1])
        case ["operationresults", _]:
            return Path(about=About.RESULT, id=subscription, name=parts[1])
        case ["operationstatuses", _]:
            return Path(about=About.OPERATION, id=subscription, name=parts[1])
        case ["providers", _, "locations", _, kind, _] if kind in _OPERATIONS:
            return Path(about=About.OPERATION, id=subscription, name=parts[5])
        case ["providers", _, "locations", _, kind, _] if kind in _RESULTS:
            return Path(about=About.RESULT, id=subscription, name=parts[5])
        case ["resourcegroups", _, "resources"]:
            return Path(about=About.RESOURCES, id=ResourceId.parse("/" + "/".join(whole[:4])))
    return _resource(whole)


def _resource(whole: list[str]) -> Path:
    """An item, or a collection: an id whose last type has no name."""
    providers = next((n for n, part in enumerate(whole) if part.lower() == "providers" and n in (2, 4)), None)
    if providers is None or len(whole) % 2 == 0 or len(whole) < providers + 3:
        return Path(about=About.ITEM, id=ResourceId.parse("/" + "/".join(whole)))
    scope = (
        ResourceId.parse("/" + "/".join(whole[:-1]))
        if len(whole) > providers + 3
        else ResourceId.parse("/" + "/".join(whole[:providers]))
    )
    types = whole[providers + 2 :: 2]
    return Path(about=About.COLLECTION, id=scope, type="/".join([whole[providers + 1], *types]))
