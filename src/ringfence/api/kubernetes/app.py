"""The API server's endpoint: who asks, what for, may they, and the answer.

Which cluster is meant says the host name, or the address that was dialled (pods know the
server as `kubernetes.default.svc` or by the first address of the service range). Version and
health are open; everything else needs credentials.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ringfence.api import source
from ringfence.api.kubernetes import discovery, protobuf, requests, reviews, statuses
from ringfence.api.kubernetes.cluster import Cluster, find
from ringfence.api.kubernetes.identity import Authenticator, User
from ringfence.api.kubernetes.kinds import Kind
from ringfence.api.kubernetes.reading import Reader
from ringfence.api.kubernetes.requests import Asked
from ringfence.api.kubernetes.rights import Attributes, Decision, decide
from ringfence.api.kubernetes.statuses import Refusal
from ringfence.control.engine import Engine
from ringfence.model import errors
from ringfence.policy import arrivals

log = logging.getLogger(__name__)

_HEALTH = ("/healthz", "/livez", "/readyz")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_MOST_BYTES = 1024 * 1024


class ApiServer:
    """One endpoint for the API servers of all clusters. ca: PEM of who signs their certificates."""

    def __init__(self, engine: Engine, authenticator: Authenticator, ca: str, clock: Callable[[], dt.datetime]) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._reader = Reader(engine, ca, clock)

    async def endpoint(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Refusal as refusal:
            log.info("%s %r refused: %s", request.method, str(request.url.path)[:300], refusal.message)
            return JSONResponse(refusal.document(), refusal.code)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:  # the boundary: the cause goes to the log
            log.exception("%s %r failed", request.method, str(request.url.path)[:300])
            problem = Refusal(500, "InternalError", "Internal error occurred: the cause stands in the log of the control plane")
            return JSONResponse(problem.document(), 500)

    async def _answer(self, request: Request) -> Response:
        # Clients write `/version/` as well.
        path = str(request.scope["path"]).rstrip("/") or "/"
        cluster = await run_in_threadpool(self._cluster, request)
        if request.method in ("GET", "HEAD"):
            if path in _HEALTH:
                return PlainTextResponse("ok")
            if path == "/version":
                return JSONResponse(discovery.version())
        certificate = request.scope.get("state", {}).get("client_certificate")
        user = self._authenticator.user(cluster, request.headers.get("authorization"), certificate)
        _no_impersonation(request, user)
        asked = requests.parse(request.method, path, dict(request.query_params))
        _require(cluster, user, asked)
        if asked.kind is None:
            return _discovered(asked, request.headers.get("accept", ""))
        if asked.kind.reviewed:
            return await _reviewed(request, cluster, user, asked)
        if asked.verb not in ("get", "list", "watch") or (asked.subresource and asked.subresource not in asked.kind.subresources):
            raise statuses.not_allowed(asked.kind, asked.verb, asked.subresource)
        return await self._reader.answer(cluster, asked, request.headers.get("accept", ""))

    def _cluster(self, request: Request) -> Cluster:
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        server = request.scope.get("server")
        engine = self._engine
        found = find(
            engine.snapshot(),
            engine.state(),
            engine.observed(),
            host=host.lower().rstrip("."),
            address=server[0] if server else "",
        )
        if found is None:
            raise statuses.unknown_path()
        try:
            arrivals.require(found.snapshot, found.resource, source.of(request))
        except errors.Forbidden as problem:
            raise Refusal(403, "Forbidden", problem.message) from problem
        return found


def _require(cluster: Cluster, user: User, asked: Asked) -> None:
    """Raises Refusal (403)."""
    attributes = _attributes(asked)
    decision = decide(cluster, user, attributes)
    if not decision.allowed:
        raise statuses.forbidden(asked.kind, asked.name, attributes.words(user), decision.reason)


def _attributes(asked: Asked) -> Attributes:
    if asked.kind is None:
        return Attributes(verb=asked.verb, path=asked.path)
    return Attributes(
        verb=asked.verb,
        group=asked.kind.group,
        resource=asked.kind.plural,
        subresource=asked.subresource,
        namespace=asked.name if asked.kind.kind == "Namespace" else asked.namespace,
        name=asked.name,
    )


def _no_impersonation(request: Request, user: User) -> None:
    """Acting as another would need an authorizer for people who are not there. Raises Refusal (403)."""
    named = next((value for name, value in request.headers.items() if name.startswith("impersonate-")), None)
    if named is not None:
        words = f'User "{user.name}" cannot impersonate resource "users" in API group "" at the cluster scope'
        raise Refusal(403, "Forbidden", f'users "{named[:100]}" is forbidden: {words}: this API server impersonates nobody')


def _discovered(asked: Asked, accept: str) -> Response:
    found = discovery.answer(asked.path, accept) if asked.verb == "get" else None
    if found is None:
        raise statuses.unknown_path()
    document, media_type = found
    return Response(json.dumps(document), media_type=media_type)


async def _reviewed(request: Request, cluster: Cluster, user: User, asked: Asked) -> Response:
    assert asked.kind is not None
    if asked.verb != "create":
        raise statuses.not_allowed(asked.kind, asked.verb)

    def decided(attributes: Attributes) -> Decision:
        return decide(cluster, user, attributes)

    body = await _body(request, asked.kind)
    return JSONResponse(await run_in_threadpool(reviews.answer, asked.kind, body, user, decided), 201)


async def _body(request: Request, kind: Kind) -> Mapping[str, Any]:
    """Raises Refusal: 413, 415, 400."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _MOST_BYTES:
            raise Refusal(413, "RequestEntityTooLarge", f"Request entity too large: limit is {_MOST_BYTES}")
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if given not in ("application/json", protobuf.MEDIA_TYPE):
        accepted = f"accepted media types include: application/json, {protobuf.MEDIA_TYPE}"
        raise Refusal(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - {accepted}")
    try:
        found = protobuf.review(bytes(taken), kind.kind) if given == protobuf.MEDIA_TYPE else json.loads(bytes(taken) or b"{}")
    except (ValueError, RecursionError) as error:
        raise statuses.invalid("the object provided is unrecognized") from error
    if not isinstance(found, Mapping):
        raise statuses.invalid("the object provided is unrecognized: it is no object")
    return found


def build(engine: Engine, authenticator: Authenticator, ca: str, clock: Callable[[], dt.datetime]) -> Starlette:
    """The application for host names and addresses of clusters; `api.hosts` sends it nothing else."""
    server = ApiServer(engine, authenticator, ca, clock)
    return Starlette(routes=[Route("/{path:path}", server.endpoint, methods=_METHODS)])
