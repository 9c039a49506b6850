"""What a request to the API server is about: kind, namespace, name, subresource and verb, as its authorizer sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.api.kubernetes.kinds import BY_PATH, Kind
from ringfence.api.kubernetes.statuses import unknown_path

_TRUE = frozenset({"true", "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """kind: None for a path that is no resource (`/version`). verb: Kubernetes' (get, list, watch, create, …)."""

    verb: str
    path: str
    kind: Kind | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str]

    def says(self, name: str) -> bool:
        """Whether a parameter is set to true."""
        return self.query.get(name, "").lower() in _TRUE


def parse(method: str, path: str, query: Mapping[str, str]) -> Asked:
    """path: decoded. Raises Refusal (404) for a group, version or kind that is not there."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", version, plural, *rest]:
            return _resource(method, path, query, ("", version), [plural, *rest])
        case ["apis", group, version, plural, *rest]:
            return _resource(method, path, query, (group, version), [plural, *rest])
    verb = {"HEAD": "get"}.get(method, method.lower())
    return Asked(verb=verb, path=path, query=query)


def _resource(method: str, path: str, query: Mapping[str, str], group: tuple[str, str], rest: list[str]) -> Asked:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = BY_PATH.get((*group, rest[0]))
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise unknown_path()
    name, subresource = [*rest[1:], "", ""][:2]
    watching = query.get("watch", "").lower() in _TRUE
    verb = _verb(method, named=bool(name), watching=watching)
    return Asked(verb=verb, path=path, kind=kind, namespace=namespace, name=name, subresource=subresource, query=query)


def _verb(method: str, *, named: bool, watching: bool) -> str:
    match method:
        case "GET" | "HEAD":
            return "watch" if watching else "get" if named else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case _:
            return "delete" if named else "deletecollection"
