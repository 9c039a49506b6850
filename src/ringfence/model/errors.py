"""The error tree of the thinking rooms: Azure's code, a message, and where the fault lies.

    Problem                 what the caller asked cannot be done; carries code, target, details
      Invalid               change the request              (400)
      Unauthenticated       sign in again                   (401)
      Forbidden             get the right, or the route     (403)
      NotFound              create it, or mend the name     (404)
      Conflict              wait, or change something else  (409)
      PreconditionFailed    read again, then write          (412)
      TooLarge              send less                       (413)
      Unsupported           ask for something we enforce    (400)

The branch says what the caller would do next. The number sent on the wire is in
`api/errors.py`, in one table; nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence


class Problem(Exception):
    """A refusal with Azure's code.

    code: Azure's error code, verbatim (RULES.md section 10 where it is listed there).
    target: the wire path of the offending value (`properties.subnets[0].name`) or a resource id.
    details: further problems of the same request; their own details are not nested.
    """

    def __init__(self, code: str, message: str, *, target: str | None = None, details: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.target = target
        self.details = tuple(details)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r}, target={self.target!r})"


class Invalid(Problem):
    """The request itself has to change."""


class Unauthenticated(Problem):
    """No token, or one that does not hold."""


class Forbidden(Problem):
    """Known caller, missing right."""


class NotFound(Problem):
    """The named thing does not exist (or the caller may not know that it does)."""


class Conflict(Problem):
    """True at another time: an operation runs, the name is taken, something still uses it."""


class PreconditionFailed(Problem):
    """The ETag that was sent is not the current one."""


class TooLarge(Problem):
    """More bytes than a request of this kind may have."""


class Unsupported(Problem):
    """Ringfence cannot enforce this, so it refuses it."""


def invalid_resource_id(text: str) -> Invalid:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return Invalid("InvalidResourceId", f"The resource id {shown!r} is not a well-formed Azure resource id.", target=shown)
