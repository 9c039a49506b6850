"""Microsoft Graph over HTTP: who is calling, which handler, its answer, and errors in Graph's form.

Serves `graph.microsoft.com`. Handlers may block and run in threads.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api.entra.verify import Verifier
from ringfence.api.graph import objects, wording
from ringfence.api.graph.applications import Applications
from ringfence.api.graph.asked import ORIGIN, Answer, Asked, Handler
from ringfence.api.graph.groups import Groups
from ringfence.api.graph.users import Users
from ringfence.api.graph.view import View
from ringfence.control.engine import Engine
from ringfence.model import errors
from ringfence.policy.access import Caller

log = logging.getLogger(__name__)

#: Audiences of Microsoft Graph, as clients spell them.
AUDIENCES = frozenset({ORIGIN, f"{ORIGIN}/", "00000003-0000-0000-c000-000000000000"})
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_MOST_BYTES = 1024 * 1024
#: `users('name')` is another spelling of `users/name`.
_KEY = re.compile(r"([A-Za-z]+)\((.+)\)")


class Graph:
    """The application's one endpoint. tenant: the one tenant's id."""

    def __init__(self, engine: Engine, verifier: Verifier, tenant: str) -> None:
        self._engine = engine
        self._verifier = verifier.accepting(AUDIENCES)
        self._tenant = tenant
        rows = [
            *objects.rows(),
            *(row for noun in (Applications, Users, Groups) for row in noun(engine.identities).rows()),
        ]
        # Literal segments come before placeholders: `directoryObjects/getByIds` is no id.
        self._rows = sorted(((method, tuple(path.split("/")), handler) for method, path, handler in rows), key=_placeholders)

    async def endpoint(self, request: Request) -> Response:
        id = self._engine.new_id()
        try:
            body = await _body(request)
            answer = await run_in_threadpool(self._answer, request, body)
        except errors.Problem as problem:
            log.info("graph %s %s refused: %s %s", request.method, request.url.path[:200], problem.code, problem)
            return self._refused(request, id, problem.code, problem.message, _status(problem))
        except Exception:  # the boundary: the cause goes to the log
            log.exception("graph %s %s failed (request %s)", request.method, request.url.path[:200], id)
            message = "The server could not answer because of a fault of its own. The request id finds the cause in the log."
            return self._refused(request, id, "UnknownError", message, 500)
        headers = {"request-id": id, "Cache-Control": "no-cache"}
        return Response(None, 204, headers) if answer.body is None else JSONResponse(answer.body, answer.status, headers)

    def _answer(self, request: Request, body: Mapping[str, Any]) -> Answer:
        caller = self._caller(request)
        version, *segments = [unquote(part) for part in request.scope["path"].split("/") if part] or [""]
        if version.lower() not in ("v1.0", "beta"):
            raise errors.Invalid("BadRequest", f"Invalid version: {version[:50]}. Use v1.0 or beta.")
        handler, found = self._find(request.method, _plain(segments))
        asked = Asked(
            method=request.method,
            url=f"{ORIGIN}{request.scope['path']}",
            version=version.lower(),
            options=dict(request.query_params),
            body=body,
            caller=caller,
            view=View(self._engine.identities.directory(), self._engine.snapshot, self._tenant),
        )
        return handler(asked, *found)

    def _caller(self, request: Request) -> Caller:
        header = request.headers.get("authorization")
        if header is None:
            raise errors.Unauthenticated("InvalidAuthenticationToken", "Access token is empty.")
        try:
            return self._verifier.verify(header)
        except errors.Unauthenticated as problem:
            raise errors.Unauthenticated(
                "InvalidAuthenticationToken", f"Access token validation failure. {problem.message}"
            ) from problem

    def _find(self, method: str, segments: list[str]) -> tuple[Handler, list[str]]:
        """Raises Invalid (`BadRequest`) for what is not served."""
        known = False
        for verb, pattern, handler in self._rows:
            found = _matched(pattern, segments)
            if found is not None:
                known = True
                if verb == method:
                    return handler, found
        if known:
            raise errors.Invalid("Request_BadRequest", f"Specified HTTP method '{method}' is not allowed for the request target.")
        raise wording.no_segment("/".join(segments))

    def _refused(self, request: Request, id: str, code: str, message: str, status: int) -> Response:
        now = self._engine.clock().astimezone(dt.UTC)
        about = {
            "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": id,
            "client-request-id": request.headers.get("client-request-id", id)[:64],
        }
        return JSONResponse({"error": {"code": code, "message": message, "innerError": about}}, status, {"request-id": id})


def build(engine: Engine, verifier: Verifier, tenant: str) -> Starlette:
    """The application for `graph.microsoft.com`. verifier: of Resource Manager; its audiences are replaced here."""
    graph = Graph(engine, verifier, tenant)
    return Starlette(routes=[Route("/{path:path}", graph.endpoint, methods=_METHODS)])


def _placeholders(row: tuple[str, tuple[str, ...], Handler]) -> tuple[bool, ...]:
    return tuple(part == "{}" for part in row[1])


def _matched(pattern: tuple[str, ...], segments: list[str]) -> list[str] | None:
    """What stands at the placeholders; None when the path is another one."""
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(part not in ("{}", segment) and part.lower() != segment.lower() for part, segment in pairs):
        return None
    return [segment for part, segment in pairs if part == "{}"]


def _plain(segments: list[str]) -> list[str]:
    found: list[str] = []
    for segment in segments:
        key = _KEY.fullmatch(segment)
        found += [segment] if key is None else [key[1], key[2].strip("'")]
    return found


def _status(problem: errors.Problem) -> int:
    if isinstance(problem, errors.TooLarge):
        return 413
    return wording.STATUS.get(problem.code, 400)


async def _body(request: Request) -> Mapping[str, Any]:
    """Raises Invalid, TooLarge."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _MOST_BYTES:
            raise errors.TooLarge("RequestEntityTooLarge", f"The body has more than {_MOST_BYTES} bytes.")
    if not taken:
        return {}
    try:
        found = json.loads(taken)
    except (ValueError, RecursionError) as error:
        raise errors.Invalid("BadRequest", "Unable to read JSON request payload.") from error
    if not isinstance(found, dict):
        raise errors.Invalid("BadRequest", "Unable to read JSON request payload: an object is expected.")
    return found
