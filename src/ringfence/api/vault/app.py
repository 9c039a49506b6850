"""The application for `*.vault.azure.net`: who comes from where with which rights, and the verbs of secrets.

Clients ask without a token first, to learn from the challenge where to get one; that answer tells nothing of the
vault but its tenant. Everything else passes the vault's firewall, then its permissions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api import errors as table
from ringfence.api import source
from ringfence.api.entra.verify import Verifier
from ringfence.api.vault import documents
from ringfence.control import vault_secrets
from ringfence.control.engine import Engine
from ringfence.control.vault_secrets import Secret, Secrets
from ringfence.model import access as nouns
from ringfence.model import errors
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import access, arrivals, vaults

log = logging.getLogger(__name__)

AUDIENCE = "https://vault.azure.net"
SUFFIX = ".vault.azure.net"
_METHODS = ["GET", "PUT", "PATCH", "POST", "DELETE"]
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_MOST_BODY = 64 * 1024
_PAGE = 25
#: Refusals that Azure wraps as `Forbidden` with the reason inside.
_INNER = frozenset({"ForbiddenByPolicy", "ForbiddenByRbac", "ForbiddenByFirewall", "ForbiddenByConnection", "SecretDisabled"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request that the vault's firewall let through. parts: the path's segments, the collection's name first."""

    method: str
    base: str
    vault: Resource
    caller: access.Caller
    parts: tuple[str, ...]
    query: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return vault_secrets.vault_of(self.vault)

    @property
    def days(self) -> int:
        assert isinstance(self.vault.properties, nouns.Vault)
        return self.vault.properties.soft_delete_retention_in_days

    @property
    def name(self) -> str:
        return self.parts[1]


class _Door:
    """Lets requests in and answers them."""

    def __init__(self, engine: Engine, secrets: Secrets, verifier: Verifier, tenant: str) -> None:
        self._engine = engine
        self._secrets = secrets
        self._verifier = verifier.accepting(frozenset({AUDIENCE, f"{AUDIENCE}/"}))
        self._tenant = tenant
        self._verbs: dict[tuple[str, str, int], tuple[str, Callable[[_Asked], Response]]] = {
            ("GET", "secrets", 1): ("list", self._names),
            ("PUT", "secrets", 2): ("set", self._put),
            ("GET", "secrets", 2): ("get", self._get),
            ("GET", "secrets", 3): ("get", self._get),
            ("PATCH", "secrets", 3): ("update", self._change),
            ("DELETE", "secrets", 2): ("delete", self._delete),
            ("GET", "deletedsecrets", 1): ("list", self._deleted),
            ("GET", "deletedsecrets", 2): ("get", self._one_deleted),
            ("POST", "deletedsecrets", 3): ("recover", self._recover),
            ("DELETE", "deletedsecrets", 2): ("purge", self._purge),
        }

    async def handle(self, request: Request) -> Response:
        request_id = self._engine.new_id()
        try:
            answer = await self._answer(request)
        except errors.Problem as problem:
            log.info("vault: %s %s refused: %s (request %s)", request.method, request.url.path, problem.code, request_id)
            answer = self._refused(problem)
        except ClientDisconnect:
            answer = self._refused(documents.bad("The body ended early."))
        answer.headers["x-ms-request-id"] = request_id
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    async def _answer(self, request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0].lower()
        vault = self._vault(host.removesuffix(SUFFIX))
        found = self._verifier.verify(request.headers.get("authorization"))
        caller = access.Caller(object_id=found.object_id, client_id=found.client_id, groups=getattr(found, "groups", frozenset()))
        arrivals.require(self._engine.snapshot(), vault, source.of(request))
        parts = tuple(part for part in str(request.scope["path"]).split("/") if part)
        query = {name.lower(): value for name, value in request.query_params.items()}
        if "api-version" not in query:
            raise documents.bad("api-version must be specified")
        body = await request.body() if int(request.headers.get("content-length", "0")) <= _MOST_BODY else None
        if body is None or len(body) > _MOST_BODY:
            raise errors.TooLarge("RequestTooLarge", f"A body has up to {_MOST_BODY} bytes.")
        asked = _Asked(request.method, f"https://{host}", vault, caller, parts, query, body)
        return await to_thread.run_sync(self._dispatch, asked)

    def _vault(self, name: str) -> Resource:
        for vault in self._engine.snapshot().of_type(nouns.VAULT):
            if vault.id.name.lower() == name and vault.state is not ProvisioningState.DELETING:
                return vault
        raise errors.NotFound("VaultNotFound", f"There is no vault {name[:63]!r}.")

    def _dispatch(self, asked: _Asked) -> Response:
        kind = asked.parts[0].lower() if asked.parts else ""
        if kind == "secrets" and len(asked.parts) == 3 and asked.method == "GET" and asked.parts[2].lower() == "versions":
            known: tuple[str, Callable[[_Asked], Response]] | None = ("list", self._versions)
        else:
            known = self._verbs.get((asked.method, kind, len(asked.parts)))
            if kind == "deletedsecrets" and len(asked.parts) == 3 and asked.parts[2].lower() != "recover":
                known = None
        if known is None:
            served = "Ringfence serves the secrets of a vault, and not its keys, certificates and backups."
            raise errors.NotFound("NotFound", f"Nothing is served at {asked.method} /{'/'.join(asked.parts)[:200]}. {served}")
        permission, verb = known
        name = asked.parts[1] if len(asked.parts) > 1 else ""
        if name and not _NAME.fullmatch(name):
            raise documents.bad(f"The request URI contains an invalid name: {name[:127]}")
        vaults.require(self._engine.snapshot(), asked.caller, asked.vault, permission, name)
        return verb(asked)

    def _put(self, asked: _Asked) -> Response:
        sent = documents.parsed(asked.body)
        made = self._secrets.put(asked.key, asked.name, documents.value_in(sent), documents.about_in(sent))
        return JSONResponse(documents.bundle(asked.base, made, asked.days, value=True))

    def _get(self, asked: _Asked) -> Response:
        found = self._version(asked)
        if not found.about.enabled:
            raise errors.Forbidden("SecretDisabled", "Operation get is not allowed on a disabled secret.")
        return JSONResponse(documents.bundle(asked.base, found, asked.days, value=True))

    def _change(self, asked: _Asked) -> Response:
        found = self._version(asked)
        about = documents.about_in(documents.parsed(asked.body), found.about)
        self._secrets.change(asked.key, asked.name, found.version, about)
        return JSONResponse(documents.bundle(asked.base, self._version(asked), asked.days, value=False))

    def _names(self, asked: _Asked) -> Response:
        held = [one for one in self._secrets.latest(asked.key) if one.deleted_at is None]
        return self._page(asked, [documents.item(asked.base, one, asked.days, versioned=False) for one in held])

    def _versions(self, asked: _Asked) -> Response:
        held = self._alive(asked)
        return self._page(asked, [documents.item(asked.base, one, asked.days, versioned=True) for one in held])

    def _delete(self, asked: _Asked) -> Response:
        self._alive(asked)
        self._secrets.mark(asked.key, asked.name, deleted=True)
        last = self._secrets.versions(asked.key, asked.name)[-1]
        assert isinstance(asked.vault.properties, nouns.Vault)
        if not asked.vault.properties.enable_soft_delete:
            self._secrets.purge(asked.key, asked.name)
        return JSONResponse(documents.deleted(asked.base, last, asked.days))

    def _deleted(self, asked: _Asked) -> Response:
        held = [one for one in self._secrets.latest(asked.key) if one.deleted_at is not None]
        return self._page(asked, [documents.deleted(asked.base, one, asked.days) for one in held])

    def _one_deleted(self, asked: _Asked) -> Response:
        return JSONResponse(documents.deleted(asked.base, self._gone(asked), asked.days))

    def _recover(self, asked: _Asked) -> Response:
        found = self._gone(asked)
        self._secrets.mark(asked.key, asked.name, deleted=False)
        return JSONResponse(documents.bundle(asked.base, found, asked.days, value=False))

    def _purge(self, asked: _Asked) -> Response:
        self._gone(asked)
        assert isinstance(asked.vault.properties, nouns.Vault)
        if asked.vault.properties.enable_purge_protection:
            message = 'Operation "purge" is not allowed because purge protection is enabled for this vault.'
            raise errors.Forbidden("ForbiddenByPolicy", message)
        self._secrets.purge(asked.key, asked.name)
        return Response(status_code=204)

    def _alive(self, asked: _Asked) -> list[Secret]:
        held = self._secrets.versions(asked.key, asked.name)
        if not held or held[-1].deleted_at is not None:
            raise errors.NotFound(
                "SecretNotFound",
                f"A secret with (name/id) {asked.name} was not found in this key vault. If you recently deleted this secret you "
                "may be able to recover it using the correct recovery command. For help resolving this issue, please see "
                "https://go.microsoft.com/fwlink/?linkid=2125182",
            )
        return held

    def _version(self, asked: _Asked) -> Secret:
        held = self._alive(asked)
        if len(asked.parts) < 3:
            return held[-1]
        for one in held:
            if one.version == asked.parts[2].lower():
                return one
        shown = f"{asked.name}/{asked.parts[2][:64]}"
        raise errors.NotFound("SecretNotFound", f"A secret with (name/id) {shown} was not found in this key vault.")

    def _gone(self, asked: _Asked) -> Secret:
        held = self._secrets.versions(asked.key, asked.name)
        if not held or held[-1].deleted_at is None:
            raise errors.NotFound("SecretNotFound", f"Deleted Secret not found: {asked.name}")
        return held[-1]

    def _page(self, asked: _Asked, found: list[documents.Document]) -> Response:
        start, most = (_number(asked.query.get(name), default) for name, default in (("$skiptoken", 0), ("maxresults", _PAGE)))
        most = max(1, min(most, _PAGE))
        rest = f"api-version={asked.query['api-version']}&$skiptoken={start + most}&maxresults={most}"
        following = f"{asked.base}/{'/'.join(asked.parts)}?{rest}" if start + most < len(found) else None
        return JSONResponse({"value": found[start : start + most], "nextLink": following})

    def _refused(self, problem: errors.Problem) -> Response:
        status, shown = table.status(problem), {"code": problem.code, "message": problem.message}
        if problem.code in _INNER:
            shown = {"code": "Forbidden", "message": problem.message}
            return JSONResponse({"error": {**shown, "innererror": {"code": problem.code}}}, status)
        headers = {}
        if status == 401:
            shown["code"] = "Unauthorized"
            authority = f"https://login.microsoftonline.com/{self._tenant}"
            headers["WWW-Authenticate"] = f'Bearer authorization="{authority}", resource="{AUDIENCE}"'
        return JSONResponse({"error": shown}, status, headers=headers)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default


def build(engine: Engine, secrets: Secrets, verifier: Verifier, tenant: str) -> Starlette:
    """The application for the host names of vaults. verifier: of Resource Manager; its audience is replaced here."""
    door = _Door(engine, secrets, verifier, tenant)
    return Starlette(routes=[Route("/{path:path}", door.handle, methods=_METHODS)], exception_handlers={Exception: _fault})


async def _fault(_: Request, __: Exception) -> Response:
    # The server logs the cause; the client learns that it is not its own.
    return JSONResponse(table.internal(), 500)
