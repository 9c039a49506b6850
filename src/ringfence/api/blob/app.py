"""The blob service of every storage account: `<account>.blob.core.windows.net`.

Each request is judged by its signature, or by the roles of its token, before its names are looked up.
Bodies are streamed to disk and never held in memory; file and database work runs in
threads. Signatures are in `sas`, wording in `answers`, reading of requests in
`requests`, memory in `control.blobs`.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ringfence.api import source
from ringfence.api.blob import listing, requests, sas
from ringfence.api.blob.answers import BlobError, refused
from ringfence.api.blob.bearer import Bearers
from ringfence.control.blobs import About, Address, Blob, Blobs, Condition
from ringfence.control.content import Content
from ringfence.model import errors

log = logging.getLogger(__name__)

SUFFIX = ".blob.core.windows.net"
_MIB = 1024 * 1024
_MOST_DISCARDED = 64 * _MIB
_METHODS = ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that a request may bring (Azure Storage, scalability targets for blobs)."""

    blob: int = 5000 * _MIB
    block: int = 4000 * _MIB
    block_list: int = 8 * _MIB
    committed: int = 50_000 * 4000 * _MIB


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, read and let in. granted: letters of what it may do, as in signatures."""

    request: Request
    query: Mapping[str, str]
    at: Address
    granted: str


Accounts = Callable[[str, str], str | None]


class BlobService:
    """The handlers. accounts: name of a storage account -> its `control.blobs.account_of`, or None.

    bearers: judges tokens; without it, signatures are all that counts.
    """

    def __init__(
        self,
        blobs: Blobs,
        accounts: Accounts,
        clock: Callable[[], dt.datetime],
        new_id: Callable[[], str],
        limits: Limits,
        bearers: Bearers | None = None,
    ) -> None:
        self._blobs = blobs
        self._accounts = accounts
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        self._bearers = bearers

    async def handle(self, request: Request) -> Response:
        request_id = self._new_id()
        try:
            answer = await self._answer(request, request_id)
        except ClientDisconnect:
            log.info("blob: an upload ended before its body did")
            answer = self._refused(request, BlobError("IncompleteBody"), request_id)
        answer.headers["x-ms-request-id"] = request_id
        answer.headers["x-ms-version"] = sas.VERSION
        return answer

    async def _answer(self, request: Request, request_id: str) -> Response:
        try:
            return await self._dispatch(request)
        except BlobError as error:
            answer = self._refused(request, error, request_id)
        except errors.Problem as problem:
            answer = self._refused(request, BlobError(problem.code), request_id)
        await self._discard(request)
        return answer

    async def _discard(self, request: Request) -> None:
        """Take what is left of a body that was refused unread: a client that is cut off while sending loses the answer."""
        if getattr(request.state, "begun", False):
            return
        left = _MOST_DISCARDED
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                return

    async def fault(self, request: Request, _: Exception) -> Response:
        """The server logs the cause; the client learns that it is not its own."""
        return refused(BlobError("InternalError"), self._new_id(), self._clock(), head=request.method == "HEAD")

    def _refused(self, request: Request, error: BlobError, request_id: str) -> Response:
        log.info("blob: %s %s refused: %s", request.method, request.url.path, error)
        return refused(error, request_id, self._clock(), head=request.method == "HEAD")

    async def _dispatch(self, request: Request) -> Response:
        query = requests.query(request)
        container, name = requests.names(request.scope["path"])
        kind = (request.method, query.get("comp", ""), query.get("restype", ""))
        handlers: dict[tuple[str, str, str], tuple[str, Callable[[_Asked], Awaitable[Response]]]] = {
            ("PUT", "", ""): ("cw", self._put),
            ("PUT", "block", ""): ("cw", self._put_block),
            ("PUT", "blocklist", ""): ("cw", self._put_list),
            ("PUT", "metadata", ""): ("w", self._put_metadata),
            ("GET", "", ""): ("r", self._get),
            ("HEAD", "", ""): ("r", self._get),
            ("GET", "metadata", ""): ("r", self._get_metadata),
            ("DELETE", "", ""): ("d", self._delete),
            ("GET", "list", "container"): ("l", self._list),
        }
        if request.method not in ("PUT", "GET", "HEAD", "DELETE"):
            raise BlobError("UnsupportedHttpVerb")
        if kind not in handlers or (name is None) != (kind[2] == "container"):
            raise BlobError("InvalidQueryParameterValue", "This operation is not served: comp and restype do not fit the verb.")
        needed, handler = handlers[kind]
        account, granted = await self._admit(request, query, container, name, needed)
        return await handler(_Asked(request, query, Address(account, container, name or ""), granted))

    async def _admit(
        self, request: Request, query: Mapping[str, str], container: str, name: str | None, needed: str
    ) -> tuple[str, str]:
        """The account's identity and what is granted on it, for a signature that holds or a token with a role."""
        host = request.headers.get("host", "").partition(":")[0].lower()
        account_name = host.removesuffix(SUFFIX)
        account = self._accounts(account_name, source.of(request))
        if account is None:
            raise BlobError("ResourceNotFound", f"There is no storage account {account_name[:63]!r}.")
        authorization = request.headers.get("authorization", "")
        if "sig" not in query:
            if self._bearers is None or not authorization.lower().startswith("bearer "):
                raise BlobError("NoAuthenticationInformation")
            admit = self._bearers.admit
            return account, await to_thread.run_sync(admit, authorization, account_name, container, needed)
        key = await to_thread.run_sync(self._blobs.key, account)
        try:
            sas.check(key, sas.Scope(account_name, container, name), query, needed, self._clock())
        except sas.Refused as error:
            raise BlobError(error.code, auth=error.detail) from error
        return account, query.get("sp", "")

    async def _put(self, asked: _Asked) -> Response:
        request = asked.request
        kind = request.headers.get("x-ms-blob-type")
        if kind is None:
            raise BlobError("MissingRequiredHeader", "x-ms-blob-type is missing.")
        if kind != "BlockBlob" or "x-ms-copy-source" in request.headers:
            raise BlobError("InvalidHeaderValue", "Only block blobs with a body are kept here.")
        about = About(requests.content_type(request, "content-type"), requests.metadata(request))
        condition = requests.condition(request)
        await self._early(asked, condition)
        content = await self._receive(request, self._limits.blob)
        blob = await to_thread.run_sync(self._blobs.put, asked.at, content, about, condition)
        return self._written(blob, 201)

    async def _put_block(self, asked: _Asked) -> Response:
        block = requests.block_id(asked.query.get("blockid", ""))
        content = await self._receive(asked.request, self._limits.block)
        await to_thread.run_sync(self._blobs.stage, asked.at, block, content)
        return Response(status_code=201, headers={"Content-MD5": _base64(content.md5), "x-ms-request-server-encrypted": "true"})

    async def _put_list(self, asked: _Asked) -> Response:
        request = asked.request
        requests.length(request, self._limits.block_list)
        about = About(requests.content_type(request, "x-ms-blob-content-type"), requests.metadata(request))
        condition = requests.condition(request)
        await self._early(asked, condition)
        request.state.begun = True
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._limits.block_list:
                raise BlobError("RequestBodyTooLarge")
        listed = requests.block_list(bytes(body))
        staged = await to_thread.run_sync(self._blobs.staged, asked.at)
        if missing := [block for block in listed if block not in staged]:
            raise BlobError("InvalidBlockList", f"The block {missing[0]!r} was not uploaded.")
        parts = [staged[block] for block in listed]
        content = await to_thread.run_sync(self._blobs.contents.join, parts, self._limits.committed)
        blob = await to_thread.run_sync(self._blobs.commit, asked.at, content, about, condition)
        return self._written(blob, 201)

    async def _early(self, asked: _Asked, condition: Condition) -> None:
        """Refuse before the body what would be refused after it: no container, or a blob that is in the way."""
        at = asked.at
        if not await to_thread.run_sync(self._blobs.has_container, at.account, at.container):
            raise BlobError("ContainerNotFound")
        exists = await to_thread.run_sync(self._blobs.find, at) is not None
        if exists and (condition.absent or "w" not in asked.granted):
            raise BlobError("BlobAlreadyExists")

    async def _receive(self, request: Request, most: int) -> Content:
        """Stream a body to disk. Leaves nothing behind unless it is whole and its MD5 is the one announced."""
        announced, expected = requests.length(request, most), requests.md5(request, "content-md5")
        request.state.begun = True
        upload = await to_thread.run_sync(self._blobs.contents.begin, most)
        try:
            pending = bytearray()
            async for chunk in request.stream():
                pending += chunk
                if len(pending) >= _MIB:
                    await to_thread.run_sync(upload.write, bytes(pending))
                    pending.clear()
            await to_thread.run_sync(upload.write, bytes(pending))
            sums = upload.seal()
            if announced is not None and sums.size != announced:
                raise BlobError("IncompleteBody")
            if expected is not None and sums.md5 != expected:
                raise BlobError("Md5Mismatch")
            return await to_thread.run_sync(upload.finish)
        finally:
            upload.abort()

    async def _put_metadata(self, asked: _Asked) -> Response:
        about = requests.metadata(asked.request), requests.condition(asked.request)
        return self._written(await to_thread.run_sync(self._blobs.set_metadata, asked.at, *about), 200)

    async def _get_metadata(self, asked: _Asked) -> Response:
        blob = await to_thread.run_sync(self._blobs.get, asked.at)
        return Response(status_code=200, headers={**_stamps(blob), **_metadata(blob)})

    async def _get(self, asked: _Asked) -> Response:
        request = asked.request
        blob = await to_thread.run_sync(self._blobs.get, asked.at)
        match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
        if match not in (None, "*", f'"{blob.etag}"'):
            raise BlobError("ConditionNotMet")
        if none_match in ("*", f'"{blob.etag}"'):
            return Response(status_code=304, headers=_stamps(blob))
        wanted = requests.span(request, blob.content.size)
        first, last = wanted or (0, blob.content.size - 1)
        headers = {**_described(blob), "Content-Length": str(last - first + 1)}
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{last}/{blob.content.size}"
            del headers["Content-MD5"], headers["Content-sha256"]
        status = 206 if wanted else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._bytes(blob, first, last), status, headers=headers)

    async def _bytes(self, blob: Blob, first: int, last: int) -> AsyncIterator[bytes]:
        file = await to_thread.run_sync(open, self._blobs.contents.path(blob.content.sha256), "rb")
        with file:
            file.seek(first)
            left = last - first + 1
            while left > 0 and (block := await to_thread.run_sync(file.read, min(left, _MIB))):
                left -= len(block)
                yield block

    async def _delete(self, asked: _Asked) -> Response:
        await to_thread.run_sync(self._blobs.delete, asked.at)
        return Response(status_code=202, headers={"x-ms-delete-type-permanent": "true"})

    async def _list(self, asked: _Asked) -> Response:
        page = listing.Page.of(asked.query)
        found = await to_thread.run_sync(
            self._blobs.list, asked.at.account, asked.at.container, page.prefix, page.after, page.most + 1
        )
        host = asked.request.headers["host"]
        return Response(listing.document(host, asked.at.container, page, found), 200, media_type="application/xml")

    def _written(self, blob: Blob, status: int) -> Response:
        headers = {**_stamps(blob), "Content-MD5": _base64(blob.content.md5), "x-ms-request-server-encrypted": "true"}
        return Response(status_code=status, headers=headers)


def build(
    blobs: Blobs,
    accounts: Accounts,
    clock: Callable[[], dt.datetime],
    new_id: Callable[[], str],
    limits: Limits | None = None,
    bearers: Bearers | None = None,
) -> Starlette:
    """The application for `*.blob.core.windows.net`. accounts: whose blobs a name stands for, for a peer's address.

    It raises errors.Forbidden when the account does not answer there.
    """
    service = BlobService(blobs, accounts, clock, new_id, limits or Limits(), bearers)
    routes = [Route("/{path:path}", service.handle, methods=_METHODS)]
    return Starlette(routes=routes, exception_handlers={Exception: service.fault})


def _stamps(blob: Blob) -> dict[str, str]:
    return {"ETag": f'"{blob.etag}"', "Last-Modified": format_datetime(blob.changed_at.astimezone(dt.UTC), usegmt=True)}


def _metadata(blob: Blob) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in blob.metadata.items()}


def _described(blob: Blob) -> dict[str, str]:
    return {
        **_stamps(blob),
        **_metadata(blob),
        "Content-Type": blob.content_type,
        "Content-MD5": _base64(blob.content.md5),
        # Not Azure Storage's; the machine learning SDK checks it where it is sent.
        "Content-sha256": _base64(blob.content.sha256),
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-creation-time": format_datetime(blob.created_at.astimezone(dt.UTC), usegmt=True),
        "x-ms-lease-state": "available",
        "x-ms-lease-status": "unlocked",
        "x-ms-server-encrypted": "true",
    }


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
