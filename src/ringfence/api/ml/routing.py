"""From a path to a noun's handler: services, the workspace they are about, and what is left.

    /modelmanagement/v1.0/subscriptions/…/workspaces/W/services/diabetes/logs
     service              workspace                    pattern `services/{name}/logs`

Segments are decoded one by one, so that an encoded slash stays inside its segment;
literal segments match in any casing, as Azure's do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api import errors as table
from ringfence.model import errors, ml
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy.access import Caller

#: Path prefixes of the services; the number of segments that follow before the workspace's id (the version).
_SERVICES: Mapping[str, int] = {"modelmanagement": 1, "artifact": 1, "environment": 1, "history": 1, "execution": 1}
_WORKSPACE_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was let in.

    base: scheme and host as the client wrote them, for absolute URLs in answers.
    params: the placeholders of the pattern. query: lower-case names. body: parsed JSON, or None.
    """

    base: str
    path: str
    workspace: Resource
    caller: Caller
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonValue


Handler = Callable[[Asked], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. pattern: segments below the workspace; `{name}` takes one, a last `{name*}` all that are left."""

    method: str
    service: str
    pattern: str
    handler: Handler

    def match(self, segments: Sequence[str]) -> Mapping[str, str] | None:
        """The placeholders, or None."""
        wanted = self.pattern.split("/")
        rest = wanted[-1].endswith("*}")
        if len(segments) < len(wanted) or (len(segments) > len(wanted) and not rest):
            return None
        if rest:
            segments = [*segments[: len(wanted) - 1], "/".join(segments[len(wanted) - 1 :])]
        found: dict[str, str] = {}
        for part, segment in zip(wanted, segments, strict=True):
            if part.startswith("{"):
                found[part.strip("{*}")] = segment
            elif part.lower() != segment.lower():
                return None
        return found


@dataclass(frozen=True, slots=True)
class Target:
    """What a path is about. rest: the segments below the workspace."""

    service: str
    workspace: ResourceId
    rest: tuple[str, ...]


def segments(raw_path: bytes) -> tuple[str, ...]:
    """The decoded segments of a path; empty ones (double slashes) vanish. Raises errors.Invalid."""
    try:
        found = [unquote_to_bytes(part).decode() for part in raw_path.split(b"?")[0].split(b"/") if part]
    except UnicodeDecodeError as error:
        raise errors.Invalid("BadRequest", "The path is not UTF-8.") from error
    if any("\0" in part for part in found):
        raise errors.Invalid("BadRequest", "The path holds a NUL.")
    return tuple(found)


def target(path: Sequence[str]) -> Target | None:
    """Service, workspace and rest of a path; None for a path of another shape. Raises errors.Invalid."""
    if [part.lower() for part in path[:2]] == ["rp", "workspaces"]:
        service, start = "rp", 2
    else:
        service = path[0].lower() if path else ""
        start = 1 + _SERVICES.get(service, 0)
        if service not in _SERVICES:
            return None
    id_, rest = path[start : start + _WORKSPACE_DEPTH], path[start + _WORKSPACE_DEPTH :]
    if len(id_) < _WORKSPACE_DEPTH:
        return None
    workspace = ResourceId.parse("/" + "/".join(id_))
    if workspace.type.lower() != ml.WORKSPACE or any("/" in part for part in id_):
        return None
    return Target(service, workspace, tuple(rest))


def find(routes: Sequence[Route], method: str, about: Target) -> tuple[Route, Mapping[str, str]]:
    """The operation for a request. Raises errors.NotFound for a path, MethodNotAllowed for a verb that is not served."""
    verbs = []
    for route in routes:
        if route.service == about.service and (params := route.match(about.rest)) is not None:
            if route.method == method:
                return route, params
            verbs.append(route.method)
    shown = f"{about.service}/…/{'/'.join(about.rest)[:200]}"
    if verbs:
        raise table.MethodNotAllowed("MethodNotAllowed", f"{method} is not served on {shown}; {', '.join(sorted(verbs))} is.")
    raise errors.NotFound("NotFound", f"Nothing is served at {shown}.")
