"""The `metadata` of objects, and how moments are written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ringfence.model.resource import Resource


def about(
    owner: Resource, kind: str, name: str, namespace: str = "", labels: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """owner: the resource that the object follows from; the uid and the time of creation are its own.

    more: further members, in the wire's spelling.
    """
    found: dict[str, Any] = {"name": name}
    if namespace:
        found["namespace"] = namespace
    found |= {"uid": owner.guid(f"{kind}/{namespace}/{name}"), "creationTimestamp": moment(owner.created_at)}
    if labels:
        found["labels"] = dict(labels)
    return found | more


def moment(when: dt.datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
