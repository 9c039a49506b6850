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
    AUTHORIZATION = "authorization"
    MANAGEMENT_GROUPS = "management groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """about ITEM: `id`. COLLECTION: resources of `type` below `id` (a subscription, a group or a resource).

    name: of an operation; of a provider in PROVIDERS, or "". The id of RESOURCES and GROUPS is their scope.
    AUTHORIZATION: Microsoft.Authorization's `type` and `name` (or "") at a `scope`, which is `id` from a subscription on.
    """

    about: About
    id: ResourceId | None = None
    type: str = ""
    name: str = ""
    scope: str = ""


_OPERATIONS = frozenset(
    {"operations", "operationstatuses", "operationsstatus", "computeoperationsstatus", "workspaceoperationsstatus"}
    | {"privatednsoperationstatuses"}
)
_RESULTS = frozenset({"operationresults"})


def parse(text: str) -> Path:
    """text: the decoded path. Raises errors.Problem: InvalidResourceId, MissingSubscription."""
    parts = [part for part in text.split("/") if part]
    extended = _authorization(parts)
    if extended is not None:
        return extended
    match [part.lower() for part in parts]:
        case ["subscriptions"]:
            return Path(about=About.SUBSCRIPTIONS)
        case ["tenants"]:
            return Path(about=About.TENANTS)
        case ["providers", "microsoft.management", "managementgroups", *name] if len(name) <= 1:
            return Path(about=About.MANAGEMENT_GROUPS, name="".join(name))
        case ["subscriptions", _, *rest]:
            return _below(ResourceId.parse("/" + "/".join(parts[:2])), parts[2:], rest, parts)
    raise errors.NotFound(
        "MissingSubscription", "The request did not have a subscription or a valid tenant level resource provider."
    )


def _authorization(parts: list[str]) -> Path | None:
    """Microsoft.Authorization extends every scope there is, the tenant's root among them."""
    lower = [part.lower() for part in parts]
    starts = [n for n in range(len(parts) - 2) if lower[n : n + 2] == ["providers", "microsoft.authorization"]]
    if not starts or len(parts) > starts[-1] + 4:
        return None
    at = starts[-1]
    scope = "/" + "/".join(parts[:at])
    id = ResourceId.parse(scope) if lower[:1] == ["subscriptions"] else None
    name = parts[at + 3] if len(parts) > at + 3 else ""
    return Path(about=About.AUTHORIZATION, id=id, type=parts[at + 2], name=name, scope=scope)


#: What a single segment below a subscription names.
_PLAIN = {
    "locations": About.LOCATIONS,
    "resources": About.RESOURCES,
    "resourcegroups": About.GROUPS,
    "providers": About.PROVIDERS,
}
#: What a pair of segments below a subscription names: its second is the name.
_NAMED = {"providers": About.PROVIDERS, "operationresults": About.RESULT, "operationstatuses": About.OPERATION}


def _below(subscription: ResourceId, parts: list[str], lower: list[str], whole: list[str]) -> Path:
    match lower:
        case []:
            return Path(about=About.SUBSCRIPTION, id=subscription)
        case [word] if word in _PLAIN:
            return Path(about=_PLAIN[word], id=subscription)
        case [word, _] if word in _NAMED:
            return Path(about=_NAMED[word], id=subscription, name=parts[1])
        case ["providers", _, "locations", _, kind, _] if kind in _OPERATIONS | _RESULTS:
            about = About.OPERATION if kind in _OPERATIONS else About.RESULT
            return Path(about=about, id=subscription, name=parts[5])
        case ["resourcegroups", _, "resources"]:
            return Path(about=About.RESOURCES, id=ResourceId.parse("/" + "/".join(whole[:4])))
        case ["resourcegroups", _, "deployments", _, *_]:
            # The older spelling, which clients still use to ask for the operations of a deployment.
            return _resource([*whole[:4], "providers", "Microsoft.Resources", *whole[4:]])
    return _resource(whole)


def _resource(whole: list[str]) -> Path:
    """An item, or a collection: an id whose last type has no name."""
    providers = next((n for n in (2, 4) if n < len(whole) and whole[n].lower() == "providers"), None)
    if providers is None or len(whole) % 2 == 0 or len(whole) < providers + 3:
        return Path(about=About.ITEM, id=ResourceId.parse("/" + "/".join(whole)))
    scope = whole[:-1] if len(whole) > providers + 3 else whole[:providers]
    type = "/".join([whole[providers + 1], *whole[providers + 2 :: 2]])
    return Path(about=About.COLLECTION, id=ResourceId.parse("/" + "/".join(scope)), type=type)
