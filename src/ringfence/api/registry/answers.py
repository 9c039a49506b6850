"""What a registry answers: the codes of the OCI distribution specification with their statuses, and its challenges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import JSONResponse, Response

from ringfence.model import errors

#: Code -> status (OCI distribution 1.1, section "Error codes").
_STATUS: Mapping[str, int] = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 416,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "TAG_INVALID": 400,
    "TAG_UNKNOWN": 404,
    "PAGINATION_NUMBER_INVALID": 400,
    "SIZE_INVALID": 400,
    "RANGE_INVALID": 416,
    "TOOBIG": 413,
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "BAD_REQUEST": 400,
    "INTERNAL_ERROR": 500,
}
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0", "X-Content-Type-Options": "nosniff"}
_AUTHORIZE = "authentication required, visit https://aka.ms/acr/authorization for more information."

#: What an operation needs: kind of thing, its name, actions. Beside it nothing is asked for.
Need = tuple[str, str, tuple[str, ...]]


class RegistryError(Exception):
    """A refusal. detail: as clients print it. challenge: a WWW-Authenticate header."""

    def __init__(self, code: str, message: str, detail: object = None, challenge: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.detail, self.challenge = code, message, detail, challenge


def of_problem(problem: errors.Problem) -> RegistryError:
    """What the rooms below refuse, in a registry's codes."""
    if problem.code in _STATUS:
        return RegistryError(problem.code, problem.message)
    if isinstance(problem, errors.TooLarge):
        return RegistryError("TOOBIG", problem.message)
    if isinstance(problem, errors.Forbidden):
        return RegistryError("DENIED", problem.message)
    return RegistryError("BAD_REQUEST", problem.message, problem.code)


def unauthorized(host: str, need: Need | None, *, insufficient: bool = False) -> RegistryError:
    """The Bearer challenge of a registry. insufficient: the token holds, and allows less."""
    header = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
    detail: object = None
    if need is not None:
        kind, name, actions = need
        header += f',scope="{kind}:{name}:{",".join(actions)}"'
        detail = [{"Type": kind, "Class": "", "Name": name, "Action": action} for action in actions]
    if insufficient:
        header += ',error="insufficient_scope"'
    return RegistryError("UNAUTHORIZED", _AUTHORIZE, detail, header)


def refused(error: RegistryError, *, head: bool) -> Response:
    headers = {**_VERSION, **({"WWW-Authenticate": error.challenge} if error.challenge else {})}
    status = _STATUS[error.code]
    if head:
        return Response(status_code=status, headers=headers)
    body = {"errors": [{"code": error.code, "message": error.message, "detail": error.detail}]}
    return JSONResponse(body, status, headers=headers)


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=status, headers={**_VERSION, **(headers or {})})


def document(value: object, *, headers: Mapping[str, str] | None = None, media_type: str = "application/json") -> Response:
    return JSONResponse(value, headers={**_VERSION, **(headers or {})}, media_type=media_type)


def content(body: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
    return Response(body, headers={**_VERSION, **headers}, media_type=media_type)


def page(items: Sequence[str], most: int, path: str) -> tuple[list[str], dict[str, str]]:
    """The first `most` of the items, and the Link header that leads to the rest (one more was asked for than is shown)."""
    shown = list(items[:most])
    more = len(items) > most and shown
    return shown, {"Link": f'<{path}?last={shown[-1]}&n={most}&orderby=>; rel="next"'} if more else {}
