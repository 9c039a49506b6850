"""The sign-in service over HTTP: discovery, published keys, the token and device endpoints, and the pages.

Serves `login.microsoftonline.com` and its aliases, and the page where a device's code is
entered. What a token is given for is decided in `granting`, what people see is in `pages`,
wording is in `refusals`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api.entra import documents, forms, granting, refusals, tokens
from ringfence.api.entra.attempts import Attempts
from ringfence.api.entra.granting import Granting
from ringfence.api.entra.pages import Pages
from ringfence.api.entra.refusals import Refusal
from ringfence.control.identities import Identities
from ringfence.model.directory import DOMAIN

log = logging.getLogger(__name__)

_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_Handler = Callable[[Request], Awaitable[Response]]


class Entra:
    """The handlers, for one tenant."""

    def __init__(
        self,
        tenant: str,
        identities: Identities,
        signer: tokens.Signer,
        clock: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._tenant = tenant
        self._signer = signer
        self._clock = clock
        self._new_id = new_id
        attempts = Attempts(clock)
        self._granting = Granting(tenant, identities, signer, attempts, clock)
        self._pages = Pages(identities, self._granting, attempts)

    def app(self) -> Starlette:
        get, both = ["GET"], ["GET", "POST"]
        routes = [
            ("/{tenant}/discovery/instance", self._instance, get),
            ("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration_v2, get),
            ("/{tenant}/.well-known/openid-configuration", self._configuration_v1, get),
            ("/{tenant}/discovery/v2.0/keys", self._keys, get),
            ("/{tenant}/discovery/keys", self._keys, get),
            ("/{tenant}/userrealm/{user}", self._realm, get),
            ("/{tenant}/oauth2/v2.0/token", self._answers(self._granting.answer, 2), both),
            ("/{tenant}/oauth2/token", self._answers(self._granting.answer, 1), both),
            ("/{tenant}/oauth2/v2.0/devicecode", self._answers(self._granting.device, 2), both),
            ("/{tenant}/oauth2/devicecode", self._answers(self._granting.device, 1), both),
            ("/{tenant}/oauth2/v2.0/authorize", self._authorize, both),
            ("/{tenant}/oauth2/authorize", self._authorize, both),
            ("/{tenant}/oauth2/deviceauth", self._device, both),
        ]
        return _application([*routes, *self._device_routes(both)], self._endpoint, self._nothing)

    def device_page(self) -> Starlette:
        """What `microsoft.com` serves of all this."""
        return _application(self._device_routes(["GET", "POST"]), self._endpoint, self._nothing)

    def _device_routes(self, methods: list[str]) -> list[tuple[str, _Handler, list[str]]]:
        return [("/devicelogin", self._pages.device, methods), ("/device", self._pages.device, methods)]

    def _endpoint(self, handler: _Handler) -> _Handler:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                return self._refused(request, refusal)

        return endpoint

    async def _nothing(self, request: Request) -> Response:
        raise refusals.unknown_page(request.url.path)

    async def _instance(self, request: Request) -> Response:
        endpoint = request.query_params.get("authorization_endpoint", "")
        if urlsplit(endpoint).hostname not in documents.ALIASES:
            raise refusals.unknown_instance(endpoint)
        segment = urlsplit(endpoint).path.strip("/").split("/")[0] or "common"
        return JSONResponse(documents.instance_discovery(segment if segment in documents.ANY_TENANT else self._tenant))

    async def _configuration_v2(self, request: Request) -> Response:
        return JSONResponse(documents.openid_configuration(self._known_tenant(request), "v2.0"))

    async def _configuration_v1(self, request: Request) -> Response:
        return JSONResponse(documents.openid_configuration(self._known_tenant(request), ""))

    async def _keys(self, request: Request) -> Response:
        self._known_tenant(request)
        return JSONResponse(self._signer.key_set())

    async def _realm(self, request: Request) -> Response:
        self._known_tenant(request)
        return JSONResponse(documents.user_realm(request.path_params["user"], DOMAIN))

    async def _authorize(self, request: Request) -> Response:
        self._known_tenant(request)
        return await self._pages.authorize(request)

    async def _device(self, request: Request) -> Response:
        self._known_tenant(request)
        return await self._pages.device(request)

    def _answers(self, grant: Callable[[granting.Request], granting.Answer], version: int) -> _Handler:
        async def answer(request: Request) -> Response:
            if request.method != "POST":
                raise refusals.only_post(request.method)
            self._known_tenant(request)
            form: Mapping[str, str] = await forms.read(request)
            asked = granting.Request(form, version, request.headers.get("authorization"))
            return JSONResponse(await run_in_threadpool(grant, asked), headers=_NOT_KEPT)

        return answer

    def _known_tenant(self, request: Request) -> str:
        named = request.path_params["tenant"].lower()
        if named not in documents.ANY_TENANT and named not in (self._tenant, DOMAIN):
            raise refusals.unknown_tenant(request.path_params["tenant"])
        return self._tenant

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        trace, correlation = self._new_id(), request.headers.get("client-request-id", "")
        if not correlation or len(correlation) > 64 or not correlation.isprintable():
            correlation = self._new_id()
        when = f"{self._clock():%Y-%m-%d %H:%M:%SZ}"
        log.info("sign-in refused: AADSTS%d (trace %s)", refusal.number, trace)
        body = {
            "error": refusal.word,
            "error_description": f"AADSTS{refusal.number}: {refusal.text} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {when}",
            "error_codes": [refusal.number],
            "timestamp": when,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{documents.AUTHORITY}/error?code={refusal.number}",
        }
        return JSONResponse(body, refusal.status, headers=_NOT_KEPT)


def _application(
    routes: list[tuple[str, _Handler, list[str]]], endpoint: Callable[[_Handler], _Handler], nothing: _Handler
) -> Starlette:
    served = [Route(path, endpoint(handler), methods=methods) for path, handler, methods in routes]
    return Starlette(routes=[*served, Route("/{path:path}", endpoint(nothing), methods=["GET", "POST", "PUT", "DELETE"])])


def build(
    tenant: str, identities: Identities, signer: tokens.Signer, clock: Callable[[], dt.datetime], new_id: Callable[[], str]
) -> Entra:
    """The applications for `documents.ALIASES` and for the device page. tenant: the one tenant's id, lower case."""
    return Entra(tenant, identities, signer, clock, new_id)
