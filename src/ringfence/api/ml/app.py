"""The data plane's front door: who may come in, which workspace is meant, which noun answers.

Serves `<region>.api.azureml.ms` and `<guid>.workspace.<region>.api.azureml.ms`. Every
request but discovery carries a token that holds, or is a signed link to a log. Handlers
are synchronous and run in threads, because the engine blocks.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Path

from ringfence.api import errors as table
from ringfence.api import source
from ringfence.api.entra.verify import MACHINE_LEARNING, Verifier
from ringfence.api.ml import answers, discovery, reading, rights, routing
from ringfence.api.ml.artifacts import Artifacts
from ringfence.api.ml.assets import Assets
from ringfence.api.ml.computes import Computes
from ringfence.api.ml.environments import Environments
from ringfence.api.ml.images import Images
from ringfence.api.ml.links import Links
from ringfence.api.ml.models import Models
from ringfence.api.ml.operations import Operations
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.service_drafts import Drafts
from ringfence.api.ml.services import Services
from ringfence.api.ml.transcripts import Transcripts
from ringfence.api.ml.writing import Writer
from ringfence.control.blobs import Blobs
from ringfence.control.engine import Engine
from ringfence.model import errors, ml
from ringfence.policy import arrivals
from ringfence.policy.access import Caller

_BEARER = Caller(object_id="", client_id="")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class _Door:
    """Lets requests in and answers them."""

    def __init__(self, engine: Engine, verifier: Verifier, tenant: str, routes: Sequence[Route], links: Links) -> None:
        self._engine = engine
        self._verifier = verifier
        self._tenant = tenant
        self._routes = routes
        self._links = links

    async def handle(self, request: Request) -> Response:
        request_id = self._engine.new_id()
        try:
            answer = await self._answer(request)
        except errors.Problem as problem:
            answer = answers.refused(problem, request_id, self._tenant)
        except ClientDisconnect:
            answer = answers.refused(errors.Invalid("BadRequest", "The body ended early."), request_id, self._tenant)
        answer.headers["x-ms-request-id"] = request_id
        return answer

    async def _answer(self, request: Request) -> Response:
        base = f"https://{request.headers.get('host', '')}"
        path = routing.segments(request.scope["raw_path"])
        if discovery.answers_for(path) and request.method == "GET":
            return JSONResponse(discovery.document(base))
        query = {name.lower(): value for name, value in request.query_params.items()}
        plain = "/" + "/".join(path)
        caller = self._caller(request, plain, query)
        about = routing.target(path)
        if about is None:
            raise errors.NotFound("NotFound", f"Nothing is served at {plain[:200]}.")
        route, params = routing.find(self._routes, "GET" if request.method == "HEAD" else request.method, about)
        body = await reading.body(request)
        if caller is not None:
            rights.require(self._engine.snapshot(), caller, route, about, params, body)
        workspace = await to_thread.run_sync(self._engine.get, about.workspace)
        assert workspace.type == ml.WORKSPACE
        arrivals.require(self._engine.snapshot(), workspace, source.of(request))
        asked = Asked(base, plain, workspace, caller or _BEARER, params, query, body)
        return await to_thread.run_sync(route.handler, asked)

    def _caller(self, request: Request, path: str, query: dict[str, str]) -> Caller | None:
        """Whom the token names; None for a signed link, which is its bearer's right to one log."""
        if request.method == "GET" and path.endswith("/log") and "sig" in query:
            self._links.check(path, query)
            return None
        return self._verifier.verify(request.headers.get("authorization"))


def build(engine: Engine, blobs: Blobs, verifier: Verifier, tenant: str) -> Starlette:
    """The application for the data plane's host names. verifier: of Resource Manager; its audiences are widened here."""
    links, transcripts, writer = Links(secrets.token_bytes(32), engine.clock), Transcripts(), Writer(engine)
    artifacts = Artifacts(blobs, engine.snapshot, engine.clock)
    assets, environments = Assets(engine, artifacts, writer), Environments(engine, writer)
    models = Models(engine, assets, writer)
    services = Services(engine, Drafts(artifacts, environments), environments, writer, transcripts)
    images, operations = Images(engine, environments, writer, links), Operations(engine, transcripts, links)
    nouns = (artifacts, assets, models, environments, images, services, operations, Computes(engine))
    routes = [route for noun in nouns for route in noun.routes()]
    door = _Door(engine, verifier.accepting(MACHINE_LEARNING), tenant, routes, links)
    return Starlette(routes=[Path("/{path:path}", door.handle, methods=_METHODS)], exception_handlers={Exception: _fault})


async def _fault(_: Request, __: Exception) -> Response:
    # The server logs the cause; the client learns that it is not its own.
    return JSONResponse(table.internal(), 500)
