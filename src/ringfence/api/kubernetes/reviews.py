"""`kubectl auth can-i` and `whoami`: reviews that are posted and answered at once, about the one who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringfence.api.kubernetes.identity import User
from ringfence.api.kubernetes.kinds import SHOWN, Kind
from ringfence.api.kubernetes.rights import Attributes, Decision
from ringfence.api.kubernetes.statuses import invalid

Document = dict[str, Any]
Decide = Callable[[Attributes], Decision]

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_PATHS = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version")


def answer(kind: Kind, body: Mapping[str, Any], user: User, decide: Decide) -> Document:
    """The review with its status. Raises Refusal (400) for a review of nothing."""
    spec = body.get("spec") or {}
    if not isinstance(spec, Mapping):
        raise invalid("spec: it is an object")
    found: Document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"creationTimestamp": None}}
    match kind.kind:
        case "SelfSubjectReview":
            about: Document = {"username": user.name, "groups": list(user.groups)}
            return found | {"status": {"userInfo": about | ({"extra": user.extra} if user.extra else {})}}
        case "SelfSubjectRulesReview":
            return found | {"spec": dict(spec), "status": _rules(str(spec.get("namespace") or ""), decide)}
        case _:
            decision = decide(_attributes(spec))
            status = {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})
            return found | {"spec": dict(spec), "status": status}


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(resource, Mapping) and other is None:
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        return Attributes(**{name: str(resource.get(name) or "") for name in names})
    if isinstance(other, Mapping) and resource is None:
        return Attributes(verb=str(other.get("verb") or ""), path=str(other.get("path") or ""))
    raise invalid("spec: exactly one of nonResourceAttributes or resourceAttributes must be specified")


def _rules(namespace: str, decide: Decide) -> Document:
    """One rule for each kind of which something is allowed."""
    rules = []
    for kind in SHOWN.values():
        for subresource in ("", *kind.subresources):
            asked = {"group": kind.group, "resource": kind.plural, "subresource": subresource, "namespace": namespace}
            verbs = [verb for verb in _VERBS if decide(Attributes(verb=verb, **asked)).allowed]
            if verbs:
                shown = f"{kind.plural}/{subresource}" if subresource else kind.plural
                rules.append({"verbs": verbs, "apiGroups": [kind.group], "resources": [shown]})
    paths = {"verbs": ["get"], "nonResourceURLs": list(_PATHS)}
    return {"resourceRules": rules, "nonResourceRules": [paths], "incomplete": False}
