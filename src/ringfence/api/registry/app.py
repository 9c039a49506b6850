"""The application for `*.azurecr.io`: which handler answers a path, and what its caller has to be allowed.

Repositories have slashes in their names, so paths are read here and not by the router. Every
operation names what it needs before it looks anything up; a caller without it learns nothing.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ringfence.api.registry import answers, manifests, scopes, sign_in
from ringfence.api.registry.answers import Need, RegistryError
from ringfence.api.registry.catalog import Catalog
from ringfence.api.registry.sign_in import Desk
from ringfence.api.registry.uploads import Uploads
from ringfence.control.blobs import account_of
from ringfence.control.images import MOST_MANIFEST, Images, Manifest, Repository
from ringfence.model import errors
from ringfence.model.resource import Resource

log = logging.getLogger(__name__)

_METHODS = ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"]
_MOST_FORM, _MOST_DISCARDED = 64 * 1024, 64 * 1024 * 1024
_PATHS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"/v2/?", "ping"),
        (r"/v2/_catalog", "catalog"),
        (r"/v2/(.+)/tags/list", "tags"),
        (r"/v2/(.+)/manifests/([^/]+)", "manifest"),
        (r"/v2/(.+)/referrers/([^/]+)", "referrers"),
        (r"/v2/(.+)/blobs/uploads/?", "uploads"),
        (r"/v2/(.+)/blobs/uploads/([^/]+)", "upload"),
        (r"/v2/(.+)/blobs/([^/]+)", "blob"),
        (r"/oauth2/exchange", "exchange"),
        (r"/oauth2/token", "token"),
        (r"/acr/v1/_catalog", "catalog"),
        (r"/acr/v1/(.+)/_tags", "acr-tags"),
        (r"/acr/v1/(.+)/_tags/([^/]+)", "acr-tag"),
        (r"/acr/v1/(.+)/_manifests", "acr-manifests"),
        (r"/acr/v1/(.+)/_manifests/([^/]+)", "acr-manifest"),
        (r"/acr/v1/(.+)", "acr-repository"),
    )
)
_PULL, _PUSH, _DELETE, _LIST = ("pull",), ("pull", "push"), ("delete",), ("metadata_read",)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request. name: the repository of the path, valid; rest: what follows it."""

    request: Request
    named: Resource
    host: str
    name: str
    rest: str

    @property
    def at(self) -> Repository:
        return Repository(account_of(self.named), self.name)


_Handler = Callable[[_Asked], Awaitable[Response]]


class RegistryService:
    """find: the registry of a host name. arrive: raises errors.Problem where the registry is closed to a caller's address."""

    def __init__(
        self,
        images: Images,
        desk: Desk,
        find: Callable[[str], Resource | None],
        arrive: Callable[[Resource, str], None],
    ) -> None:
        self._images, self._desk, self._find, self._arrive = images, desk, find, arrive
        self._uploads, self._catalog = Uploads(images), Catalog(images)
        self._handlers: dict[tuple[str, str], tuple[tuple[str, ...], _Handler]] = {
            ("GET", "tags"): (_LIST, self._read(lambda a: self._catalog.tags(a.request, a.at))),
            ("GET", "manifest"): (_PULL, self._get_manifest),
            ("HEAD", "manifest"): (_PULL, self._get_manifest),
            ("PUT", "manifest"): (_PUSH, self._put_manifest),
            ("DELETE", "manifest"): (_DELETE, self._delete_manifest),
            ("GET", "referrers"): (_PULL, self._read(self._referrers)),
            ("POST", "uploads"): (_PUSH, self._begin),
            ("GET", "upload"): (_PUSH, lambda a: self._uploads.status(a.at, a.rest)),
            ("PATCH", "upload"): (_PUSH, lambda a: self._uploads.patch(a.request, a.at, a.rest)),
            ("PUT", "upload"): (_PUSH, lambda a: self._uploads.finish(a.request, a.at, a.rest)),
            ("DELETE", "upload"): (_PUSH, lambda a: self._uploads.cancel(a.at, a.rest)),
            ("GET", "blob"): (_PULL, lambda a: self._uploads.get(a.request, a.at, a.rest)),
            ("HEAD", "blob"): (_PULL, lambda a: self._uploads.get(a.request, a.at, a.rest)),
            ("DELETE", "blob"): (_DELETE, lambda a: self._uploads.delete(a.at, a.rest)),
            ("GET", "acr-repository"): (_LIST, self._read(lambda a: self._catalog.about(a.at, a.host))),
            ("DELETE", "acr-repository"): (_DELETE, self._read(lambda a: self._catalog.delete(a.at))),
            ("GET", "acr-tags"): (_LIST, self._read(lambda a: self._catalog.tag_list(a.request, a.at, a.host))),
            ("GET", "acr-tag"): (_LIST, self._read(lambda a: self._catalog.tag(a.at, a.host, a.rest))),
            ("DELETE", "acr-tag"): (_DELETE, self._read(lambda a: self._catalog.untag(a.at, a.rest))),
            ("GET", "acr-manifests"): (_LIST, self._read(lambda a: self._catalog.manifest_list(a.request, a.at, a.host))),
            ("GET", "acr-manifest"): (_LIST, self._read(lambda a: self._catalog.manifest(a.at, a.host, a.rest))),
        }

    async def handle(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except ClientDisconnect:
            log.info("registry: an upload ended before its body did")
            return answers.refused(RegistryError("SIZE_INVALID", "the body ended early"), head=False)
        except errors.Problem as problem:
            error = answers.of_problem(problem)
        except RegistryError as refusal:
            error = refusal
        log.info("registry: %s %s refused: %s %s", request.method, request.scope["path"][:300], error.code, error)
        await _discard(request)
        return answers.refused(error, head=request.method == "HEAD")

    async def fault(self, request: Request, _: Exception) -> Response:
        """The server logs the cause."""
        return answers.refused(RegistryError("INTERNAL_ERROR", "unknown error"), head=request.method == "HEAD")

    async def _dispatch(self, request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0].lower()
        named = self._find(host)
        if named is None:
            raise RegistryError("NAME_UNKNOWN", f"There is no registry {host[:100]!r}.")
        self._arrive(named, request.client.host if request.client is not None else "")
        kind, name, rest = _route(str(request.scope["path"]))
        authorization = request.headers.get("authorization")
        match request.method, kind:
            case (("GET" | "HEAD"), "ping"):
                await to_thread.run_sync(self._desk.known, named, host, authorization)
                return answers.document({})
            case (("GET" | "POST"), ("exchange" | "token")):
                return await self._sign_in(request, named, host, kind)
            case "GET", "catalog":
                await to_thread.run_sync(self._desk.admit, named, host, authorization, ("registry", "catalog", ("*",)))
                return await to_thread.run_sync(self._catalog.repositories, request, account_of(named))
        if (request.method, kind) not in self._handlers:
            raise RegistryError("UNSUPPORTED", "The operation is unsupported.")
        actions, handler = self._handlers[request.method, kind]
        need: Need = ("repository", scopes.repository(name), actions)
        await to_thread.run_sync(self._desk.admit, named, host, authorization, need)
        return await handler(_Asked(request, named, host, name, rest))

    async def _sign_in(self, request: Request, named: Resource, host: str, kind: str) -> Response:
        basic = request.headers.get("authorization")
        form = sign_in.joined(parse_qsl(request.url.query, keep_blank_values=True))
        if request.method == "POST":
            form = sign_in.form(await _body(request, _MOST_FORM))
        if kind == "exchange":
            return answers.document(await to_thread.run_sync(self._desk.exchange, named, host, form))
        return answers.document(await to_thread.run_sync(self._desk.token, named, host, form, basic))

    def _read(self, handler: Callable[[_Asked], Response]) -> _Handler:
        async def threaded(asked: _Asked) -> Response:
            return await to_thread.run_sync(handler, asked)

        return threaded

    async def _begin(self, asked: _Asked) -> Response:
        """A mount counts only from where the caller may pull; else it is an upload like any other."""
        query = dict(parse_qsl(asked.request.url.query))
        source = None
        if "mount" in query and query.get("from"):
            name = scopes.repository(query["from"])
            authorization = asked.request.headers.get("authorization")
            need: Need = ("repository", name, _PULL)
            try:
                await to_thread.run_sync(self._desk.admit, asked.named, asked.host, authorization, need)
                source = Repository(asked.at.registry, name)
            except RegistryError:
                log.info("registry: a mount from %s is answered with an upload: the token does not allow to pull there", name)
        return await self._uploads.begin(asked.request, asked.at, source)

    async def _get_manifest(self, asked: _Asked) -> Response:
        reference = scopes.reference(asked.rest)
        found = await to_thread.run_sync(self._images.manifest, asked.at, reference)
        if found is None:
            raise _unknown(reference)
        headers = {"Docker-Content-Digest": found.digest, "ETag": f'"{found.digest}"'}
        if asked.request.headers.get("if-none-match") == headers["ETag"]:
            return answers.empty(304, headers)
        if asked.request.method == "HEAD":
            return answers.empty(200, {**headers, "Content-Type": found.media_type, "Content-Length": str(found.size)})
        path = self._images.contents.path(found.sha256)
        return answers.content(await to_thread.run_sync(path.read_bytes), found.media_type, headers)

    async def _put_manifest(self, asked: _Asked) -> Response:
        reference = scopes.reference(asked.rest)
        body = await _body(asked.request, MOST_MANIFEST)
        read = manifests.read(body, asked.request.headers.get("content-type", ""))
        sha256 = hashlib.sha256(body).hexdigest()
        tag = None if reference.startswith("sha256:") else reference
        if tag is None and reference != f"sha256:{sha256}":
            raise RegistryError("DIGEST_INVALID", f"provided digest did not match uploaded content sha256:{sha256}")
        lost = await to_thread.run_sync(self._images.missing, asked.at, read.blobs, read.manifests)
        if lost:
            detail = {"digest": f"sha256:{lost[0]}"}
            raise RegistryError("MANIFEST_BLOB_UNKNOWN", "manifest blob unknown to registry", detail)
        await to_thread.run_sync(self._store, asked.at, body, read, tag)
        headers = {"Location": f"/v2/{asked.name}/manifests/sha256:{sha256}", "Docker-Content-Digest": f"sha256:{sha256}"}
        return answers.empty(201, {**headers, **({"OCI-Subject": read.subject} if read.subject else {})})

    def _store(self, at: Repository, body: bytes, read: manifests.Read, tag: str | None) -> None:
        content = self._images.contents.store(body)
        manifest = Manifest(
            sha256=content.sha256,
            size=content.size,
            media_type=read.media_type,
            artifact_type=read.artifact_type,
            subject=read.subject,
            annotations=read.annotations,
            image_size=read.size,
            created_at=self._images.now(),
        )
        self._images.put_manifest(at, manifest, (*read.blobs, *read.manifests), tag)

    async def _delete_manifest(self, asked: _Asked) -> Response:
        """By digest with its tags; a tag alone is taken off (OCI distribution 1.1)."""
        reference = scopes.reference(asked.rest)
        if reference.startswith("sha256:"):
            gone = await to_thread.run_sync(self._images.delete_manifest, asked.at, reference.removeprefix("sha256:"))
        else:
            gone = await to_thread.run_sync(self._images.untag, asked.at, reference)
        if not gone:
            raise _unknown(reference)
        return answers.empty(202)

    def _referrers(self, asked: _Asked) -> Response:
        digest = "sha256:" + scopes.digest(asked.rest)
        wanted = asked.request.query_params.get("artifactType")
        found = [one for one in self._images.referrers(asked.at, digest) if wanted in (None, one.artifact_type)]
        listed = [
            {
                "mediaType": one.media_type,
                "digest": one.digest,
                "size": one.size,
                "artifactType": one.artifact_type,
                **({"annotations": one.annotations} if one.annotations else {}),
            }
            for one in found
        ]
        index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": listed}
        headers = {"OCI-Filters-Applied": "artifactType"} if wanted is not None else {}
        return answers.document(index, headers=headers, media_type=manifests.OCI_INDEX)


def build(
    images: Images, desk: Desk, find: Callable[[str], Resource | None], arrive: Callable[[Resource, str], None]
) -> Starlette:
    """The application for `*.azurecr.io`."""
    service = RegistryService(images, desk, find, arrive)
    routes = [Route("/{path:path}", service.handle, methods=_METHODS)]
    return Starlette(routes=routes, exception_handlers={Exception: service.fault})


def _route(path: str) -> tuple[str, str, str]:
    """Kind, repository, rest. Raises RegistryError for a path that means nothing."""
    for pattern, kind in _PATHS:
        found = pattern.fullmatch(path)
        if found is not None:
            name, rest = (*found.groups(), "", "")[:2]
            return kind, name, rest
    raise RegistryError("NAME_UNKNOWN", f"The path {path[:200]!r} is not one of a registry.")


async def _body(request: Request, most: int) -> bytes:
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > most:
            raise RegistryError("TOOBIG", f"the body has more than {most} bytes")
    return bytes(taken)


async def _discard(request: Request) -> None:
    """Take what is left of a body that was refused unread: a client that is cut off while sending loses the answer."""
    left = _MOST_DISCARDED
    try:
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                return
    except (RuntimeError, ClientDisconnect):
        return  # it was read already, or the client is gone


def _unknown(reference: str) -> RegistryError:
    return RegistryError("MANIFEST_UNKNOWN", f"manifest tagged by {reference!r} is not found", {"Tag": reference})
