"""What an API server says it serves: groups, versions and kinds, in the plain form and in the aggregated one; and OpenAPI.

OpenAPI is only as deep as clients need to know that a kind is there; fields are not described.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ringfence.api.kubernetes.kinds import BY_PATH, GROUPS, Kind, of_group
from ringfence.model.compute import KUBERNETES_VERSION

Document = dict[str, Any]

#: The media types of aggregated discovery, newest first, by what clients write for them.
_AGGREGATED = {
    version: f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
}
_JSON = "application/json"


def version() -> Document:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    build = {"gitCommit": "", "gitTreeState": "clean", "buildDate": "", "goVersion": "", "compiler": ""}
    return {"major": major, "minor": minor, "gitVersion": f"v{KUBERNETES_VERSION}", **build, "platform": "linux/amd64"}


def answer(path: str, accept: str) -> tuple[Document, str] | None:
    """The document at a path of discovery, and its media type; None for another path."""
    match [part for part in path.split("/") if part]:
        case ["api"]:
            aggregated = _aggregated(accept, ("",))
            plain: Document = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            return aggregated or (plain, _JSON)
        case ["apis"]:
            aggregated = _aggregated(accept, GROUPS)
            plain = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in GROUPS]}
            return aggregated or (plain, _JSON)
        case ["api", "v1"]:
            return _resources("", "v1"), _JSON
        case ["apis", group] if group in GROUPS:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}, _JSON
        case ["apis", group, version] if any(kind.version == version for kind in of_group(group)):
            return _resources(group, version), _JSON
        case ["openapi", "v3"]:
            return {"paths": {path: _reference(path) for path in _documents()}}, _JSON
        case ["openapi", "v3", *rest] if "/".join(rest) in _documents():
            return _described("/".join(rest)), _JSON
    return None


def _group(name: str) -> Document:
    versions = sorted({kind.version for kind in of_group(name)})
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[-1]}


def _resources(group: str, version: str) -> Document:
    found: list[Document] = []
    for kind in of_group(group):
        entry: Document = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced}
        entry |= {"kind": kind.kind, "verbs": list(kind.verbs)}
        entry |= {"shortNames": list(kind.short)} if kind.short else {}
        entry |= {"categories": list(kind.categories)} if kind.categories else {}
        found.append(entry)
        for name in kind.subresources:
            sub = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
            found.append({**sub, "kind": kind.kind, "verbs": ["get"]})
    shown = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": shown, "resources": found}


def _aggregated(accept: str, groups: tuple[str, ...]) -> tuple[Document, str] | None:
    wanted = accept.replace(" ", "")
    version = next((version for version in _AGGREGATED if f"v={version};as=APIGroupDiscoveryList" in wanted), None)
    if version is None:
        return None
    items = []
    for group in groups:
        resources = [_discovered(kind) for kind in of_group(group)]
        about: Document = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
        items.append({"metadata": about, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]})
    document = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}, "items": items}
    return document, _AGGREGATED[version]


def _discovered(kind: Kind) -> Document:
    found: Document = {
        "resource": kind.plural,
        "responseKind": _gvk(kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        "shortNames": list(kind.short),
        "categories": list(kind.categories),
    }
    found["subresources"] = [{"subresource": name, "responseKind": _gvk(kind), "verbs": ["get"]} for name in kind.subresources]
    return found


def _gvk(kind: Kind) -> Mapping[str, str]:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _documents() -> frozenset[str]:
    """The documents of OpenAPI: one for each group and version."""
    return frozenset(f"apis/{group}/{version}" if group else f"api/{version}" for group, version, _ in BY_PATH)


def _reference(path: str) -> Mapping[str, str]:
    digest = hashlib.sha256(repr(_described(path)).encode()).hexdigest().upper()
    return {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}


def _described(document: str) -> Document:
    """The paths of a group's kinds, and a schema for each that says no more than its name."""
    parts = document.split("/")
    group = parts[1] if parts[0] == "apis" else ""
    paths: Document = {}
    schemas: Document = {}
    for kind in of_group(group):
        where = f"/{document}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"/{document}/{kind.plural}"
        about = {"x-kubernetes-group-version-kind": _gvk(kind)}
        validation = {"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        answers = {"responses": {"200": {"description": "OK"}}}
        paths[f"{where}/{{name}}"] = {
            "get": {**answers, **about, "x-kubernetes-action": "get"},
            "patch": {**answers, **about, "x-kubernetes-action": "patch", "parameters": [validation]},
        }
        schemas[f"io.k8s.api.{(group or 'core').split('.')[0]}.{kind.version}.{kind.kind}"] = {
            "type": "object",
            "description": f"{kind.kind}, as Ringfence shows it. Its fields are not described here.",
            "x-kubernetes-group-version-kind": [_gvk(kind)],
        }
    about_it = {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"}
    return {"openapi": "3.0.0", "info": about_it, "paths": paths, "components": {"schemas": schemas}}
