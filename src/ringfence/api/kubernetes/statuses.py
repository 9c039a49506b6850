"""Refusals in Kubernetes' words: a `Status` object with the code, the reason and the message that clients print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.api.kubernetes.kinds import Kind


class Refusal(Exception):
    """A request that is not answered with what it asked for."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})

    def document(self) -> dict[str, Any]:
        """The `Status` object."""
        found: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        found |= {"message": self.message, "reason": self.reason}
        if self.details:
            found["details"] = self.details
        return found | {"code": self.code}


def unauthorized() -> Refusal:
    return Refusal(401, "Unauthorized", "Unauthorized")


def unknown_path() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def not_found(kind: Kind, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def invalid(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def expired(given: int, oldest: int) -> Refusal:
    return Refusal(410, "Expired", f"too old resource version: {given} ({oldest})")


def forbidden(kind: Kind | None, name: str, words: str, why: str) -> Refusal:
    """words: `User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    if kind is None:
        return Refusal(403, "Forbidden", f"forbidden: {words}" + (f": {why}" if why else ""))
    what = f'{kind.resource} "{name}"' if name else kind.resource
    message = f"{what} is forbidden: {words}" + (f": {why}" if why else "")
    return Refusal(403, "Forbidden", message, _details(kind, name))


def not_allowed(kind: Kind, verb: str, subresource: str = "") -> Refusal:
    """What may be allowed to the caller, but is not what this engine does."""
    what = f"{kind.resource}/{subresource}" if subresource else kind.resource
    message = (
        f"the server does not allow this method on the requested resource: {verb} of {what}. The engine of this cluster runs "
        "what Azure Machine Learning places on it and nothing else; deploy a service of a workspace, or change the cluster "
        "through Azure. Here it can be read: get, list, watch, logs."
    )
    return Refusal(405, "MethodNotAllowed", message, _details(kind, ""))


def _details(kind: Kind, name: str) -> dict[str, Any]:
    found = {"name": name} if name else {}
    return found | ({"group": kind.group} if kind.group else {}) | {"kind": kind.plural}
