"""The sign-in service: discovery, published keys and the token endpoint for applications.

Serves `login.microsoftonline.com` and its aliases. Who exists, and whether a secret is
right, is asked of `control.identities`; tokens are made in `tokens`, wording is in
`refusals`.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api.entra import documents, refusals, tokens
from ringfence.api.entra.refusals import Refusal
from ringfence.model import errors

log = logging.getLogger(__name__)

_DEFAULT = "/.default"
_MOST_BYTES = 65536
_LONGEST_AUDIENCE = 1024


class Principal(Protocol):
    """An application of the tenant."""

    @property
    def client_id(self) -> str: ...
    @property
    def object_id(self) -> str: ...


class Directory(Protocol):
    """Who may sign in."""

    def get(self, client_id: str) -> Principal | None: ...
    def authenticate(self, client_id: str, secret: str) -> Principal:
        """Raises errors.Unauthenticated for a wrong secret."""
        ...


class Entra:
    """The handlers, for one tenant."""

    def __init__(
        self,
        tenant: str,
        directory: Directory,
        signer: tokens.Signer,
        clock: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._tenant = tenant
        self._directory = directory
        self._signer = signer
        self._clock = clock
        self._new_id = new_id

    def app(self) -> Starlette:
        def answered(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
            async def endpoint(request: Request) -> Response:
                try:
                    return await handler(request)
                except Refusal as refusal:
                    return self._refused(request, refusal)

            return endpoint

        get, post = ["GET"], ["POST"]
        routes = [
            Route("/{tenant}/discovery/instance", answered(self._instance), methods=get),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", answered(self._configuration_v2), methods=get),
            Route("/{tenant}/.well-known/openid-configuration", answered(self._configuration_v1), methods=get),
            Route("/{tenant}/discovery/v2.0/keys", answered(self._keys), methods=get),
            Route("/{tenant}/discovery/keys", answered(self._keys), methods=get),
            Route("/{tenant}/oauth2/v2.0/token", answered(self._token_v2), methods=post),
            Route("/{tenant}/oauth2/token", answered(self._token_v1), methods=post),
            Route("/{path:path}", answered(self._nothing), methods=["GET", "POST", "PUT", "DELETE"]),
        ]
        return Starlette(routes=routes)

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

    async def _token_v2(self, request: Request) -> Response:
        form = await self._form(request)
        scope = _wanted(form, "scope")
        audience = scope.removesuffix(_DEFAULT)
        if audience == scope or not audience or len(scope) > _LONGEST_AUDIENCE or any(c.isspace() for c in scope):
            raise refusals.bad_scope(scope)
        return self._granted(self._client(request, form), audience, {})

    async def _token_v1(self, request: Request) -> Response:
        form = await self._form(request)
        resource = _wanted(form, "resource")
        if len(resource) > _LONGEST_AUDIENCE or any(c.isspace() for c in resource):
            raise refusals.bad_resource(resource)
        now = int(self._clock().timestamp())
        times = {"expires_on": str(now + tokens.LIFETIME_S), "not_before": str(now), "resource": resource}
        return self._granted(self._client(request, form), resource, times)

    def _known_tenant(self, request: Request) -> str:
        named = request.path_params["tenant"]
        if named.lower() not in documents.ANY_TENANT and named.lower() != self._tenant:
            raise refusals.unknown_tenant(named)
        return self._tenant

    async def _form(self, request: Request) -> dict[str, str]:
        self._known_tenant(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise refusals.unreadable(f"its content type is {kind or 'missing'}, not application/x-www-form-urlencoded.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise Refusal(413, "invalid_request", 90014, f"The request body has more than {_MOST_BYTES} bytes.")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=64)
        except ValueError as error:
            raise refusals.unreadable("it is not a form in UTF-8.") from error
        form: dict[str, str] = {}
        for name, value in pairs:
            if name in form:
                raise refusals.repeated(name)
            form[name] = value
        grant = _wanted(form, "grant_type")
        if grant != "client_credentials":
            raise refusals.unsupported_grant(grant)
        return form

    def _client(self, request: Request, form: dict[str, str]) -> Principal:
        in_body = form.get("client_id", ""), form.get("client_secret", "")
        client_id, secret = _basic(request.headers.get("authorization")) or in_body
        if not client_id:
            raise refusals.missing("client_id")
        if not secret:
            raise refusals.no_secret()
        if self._directory.get(client_id) is None:
            raise refusals.unknown_application(client_id, self._tenant)
        try:
            return self._directory.authenticate(client_id, secret)
        except errors.Unauthenticated as error:
            raise refusals.wrong_secret(client_id) from error

    def _granted(self, principal: Principal, audience: str, more: dict[str, str]) -> Response:
        token = self._signer.issue(tokens.Subject(principal.client_id, principal.object_id), audience)
        times = {"expires_in": tokens.LIFETIME_S, "ext_expires_in": tokens.LIFETIME_S}
        answer = {"token_type": "Bearer", **times, **more, "access_token": token}
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

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
        return JSONResponse(body, refusal.status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def build(
    tenant: str, directory: Directory, signer: tokens.Signer, clock: Callable[[], dt.datetime], new_id: Callable[[], str]
) -> Starlette:
    """The application for `documents.ALIASES`. tenant: the one tenant's id, lower case."""
    return Entra(tenant, directory, signer, clock, new_id).app()


def _wanted(form: dict[str, str], parameter: str) -> str:
    value = form.get(parameter, "")
    if not value:
        raise refusals.missing(parameter)
    return value


def _basic(header: str | None) -> tuple[str, str] | None:
    """Client id and secret of a Basic header; both are form-encoded inside it (RFC 6749 section 2.3.1)."""
    if header is None or not header.lower().startswith("basic "):
        return None
    try:
        user, colon, secret = base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise refusals.unreadable("its Authorization header is not valid Basic.") from error
    return (unquote(user), unquote(secret)) if colon else None
