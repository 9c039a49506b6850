"""One request as handlers see it, and the answers they give: api-version, etags, operation headers, error bodies.

What a path is about is `paths`; which handler answers is `app`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from ringfence.api import errors as table
from ringfence.api.arm.registry import ROWS
from ringfence.control.operations import Operation
from ringfence.model import errors
from ringfence.model.resource import region_of
from ringfence.policy.access import Caller

#: Where clients reach Resource Manager; operations are polled at absolute URLs below it.
ORIGIN = "https://management.azure.com"
#: Seconds between two polls. Zero would count as absent, and as half a minute.
RETRY_AFTER = "1"

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+(\.\d+)?)?", re.ASCII)


_NOBODY = Caller(object_id="", client_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """method: HEAD counts as GET with the body left out. query: names in lower case. path: decoded. body: raw.

    caller: whom the token names; without one, somebody without any right.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    caller: Caller = _NOBODY

    @property
    def version(self) -> str:
        """The api-version. Any well-formed one is served. Raises Invalid."""
        given = self.query.get("api-version", "")
        if not given:
            raise errors.Invalid(
                "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests."
            )
        if not _VERSION.fullmatch(given):
            raise errors.Invalid(
                "InvalidApiVersionParameter",
                f"The api-version '{given[:50]}' is invalid. Its form is YYYY-MM-DD, with '-preview' behind it for a preview.",
            )
        return given

    @property
    def if_match(self) -> str | None:
        return _etag(self.headers.get("if-match"))

    @property
    def if_none_match(self) -> str | None:
        return _etag(self.headers.get("if-none-match"))


def _etag(given: str | None) -> str | None:
    """Without quotes and weakness; None for none."""
    if given is None or not given.strip():
        return None
    return given.strip().removeprefix("W/").strip('"')


def document(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(value, status, headers=dict(headers or {}))


def listing(values: list[Mapping[str, Any]]) -> Response:
    """Everything on one page."""
    return JSONResponse({"value": values})


def nothing(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=status, headers=dict(headers or {}))


def refused(problem: errors.Problem, tenant: str) -> Response:
    """ARM's error body, with the headers that clients act on."""
    status, headers = table.status(problem), {}
    if status == 401:
        words = problem.message.replace("\\", "").replace('"', "'")
        word = "invalid_token" if problem.code != "AuthenticationFailed" else "invalid_request"
        authority = f'authorization_uri="https://login.microsoftonline.com/{tenant}"'
        headers["WWW-Authenticate"] = f'Bearer {authority}, error="{word}", error_description="{_ascii(words)}"'
    if problem.code in ("ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound"):
        headers["x-ms-failure-cause"] = "gateway"
    return JSONResponse(table.body(problem), status, headers=headers)


def following(operation: Operation, version: str, location: str | None) -> dict[str, str]:
    """The headers by which a client follows an operation, in both styles."""
    row, id = ROWS.get(operation.resource_id.type.lower()), operation.resource_id
    base = f"{ORIGIN}/subscriptions/{id.subscription}"
    if row is None or id.provider is None:
        status, result = f"{base}/operationStatuses/{operation.id}", f"{base}/operationresults/{operation.id}"
    else:
        at = f"{base}/providers/{row.provider}/locations/{region_of(location or 'global')}"
        status, result = f"{at}/{row.operations}/{operation.id}", f"{at}/operationResults/{operation.id}"
    return {
        "Azure-AsyncOperation": f"{status}?api-version={version}",
        "Location": f"{result}?api-version={version}",
        "Retry-After": RETRY_AFTER,
    }


def correlation(given: str | None, otherwise: str) -> str:
    """The client's correlation id if it is a plain short word, else ours."""
    if given and len(given) <= 64 and re.fullmatch(r"[A-Za-z0-9._-]+", given):
        return given
    return otherwise


def _ascii(text: str) -> str:
    return json.dumps(text)[1:-1]
