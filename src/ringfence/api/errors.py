"""One table: which HTTP status a problem has, and the body that Azure Resource Manager sends with it.

Every face that answers in ARM's form uses it. What is a problem is decided below; the
faces with another form of body (token endpoint, blob storage) map the same classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.model import errors


class MethodNotAllowed(errors.Problem):
    """A verb that the thing does not know; only faces that speak HTTP raise it."""


STATUS: Mapping[type[errors.Problem], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.Unsupported: 400,
    MethodNotAllowed: 405,
}


def status(problem: errors.Problem) -> int:
    """The HTTP status code of a problem."""
    return STATUS[type(problem)]


def body(problem: errors.Problem) -> dict[str, Any]:
    """`{"error": {code, message, target?, details?}}`."""
    return {"error": entry(problem)}


def entry(problem: errors.Problem) -> dict[str, Any]:
    """The inner object, as it also stands in `details` and in the documents of failed operations."""
    found: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.target is not None:
        found["target"] = problem.target
    if problem.details:
        found["details"] = [entry(detail) for detail in problem.details]
    return found


def internal() -> dict[str, Any]:
    """The body of a 500: the cause stands in the log, under the request id of the answer."""
    message = (
        "The server could not answer because of a fault of its own. The request id of this answer finds the cause in the log."
    )
    return {"error": {"code": "InternalServerError", "message": message}}
