"""Blobs of a repository: reading with ranges, and uploads in one piece, in chunks, or by mounting (OCI distribution 1.1).

Bodies are streamed to disk; file and database work runs in threads. Who may call is decided in `app`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ringfence.api.registry import scopes
from ringfence.api.registry.answers import RegistryError, empty
from ringfence.control.content import Content
from ringfence.control.images import MOST_BLOB, Images, Repository

_MIB = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?")


class Uploads:
    """The handlers."""

    def __init__(self, images: Images) -> None:
        self._images = images

    async def get(self, request: Request, at: Repository, text: str) -> Response:
        """GET and HEAD of a blob."""
        sha256 = scopes.digest(text)
        size = await to_thread.run_sync(self._images.blob, at, sha256)
        if size is None:
            raise _unknown(text)
        etag = f'"{text}"'
        headers = {"Docker-Content-Digest": text, "ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "max-age=31536000"}
        if request.headers.get("if-none-match") in (etag, "*"):
            return empty(304, headers)
        headers["Content-Type"] = "application/octet-stream"
        first, last = _span(request.headers.get("range"), size)
        partly = (first, last) != (0, size - 1)
        headers["Content-Length"] = str(last - first + 1)
        if partly:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        if request.method == "HEAD":
            return empty(206 if partly else 200, headers)
        return StreamingResponse(self._bytes(sha256, first, last), 206 if partly else 200, headers=headers)

    async def delete(self, at: Repository, text: str) -> Response:
        if not await to_thread.run_sync(self._images.forget_blob, at, scopes.digest(text)):
            raise _unknown(text)
        return empty(202)

    async def begin(self, request: Request, at: Repository, source: Repository | None) -> Response:
        """POST: mount, or the whole blob at once, or a session. source: where to mount from, if the caller may read there."""
        query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        if "mount" in query and source is not None:
            if await to_thread.run_sync(self._images.mount, at, source, scopes.digest(query["mount"])):
                return _created(at, query["mount"])
        elif "digest" in query:
            sha256 = scopes.digest(query["digest"])
            content = await self._receive(request)
            if content.sha256 != sha256:
                raise RegistryError("DIGEST_INVALID", f"provided digest did not match uploaded content sha256:{content.sha256}")
            await to_thread.run_sync(self._images.keep, at, content)
            return _created(at, query["digest"])
        upload = await to_thread.run_sync(self._images.begin, at)
        return _accepted(at, upload, 0)

    async def patch(self, request: Request, at: Repository, upload: str) -> Response:
        """The next chunk, or the whole body as one."""
        kept = await to_thread.run_sync(self._images.received, at, upload)
        begin, length = _chunk(request, kept)
        chunk = await self._receive(request)
        if length is not None and chunk.size != length:
            raise RegistryError("SIZE_INVALID", f"the chunk has {chunk.size} bytes, its range {length}")
        kept = await to_thread.run_sync(self._images.append, at, upload, begin, chunk)
        return _accepted(at, upload, kept)

    async def finish(self, request: Request, at: Repository, upload: str) -> Response:
        """PUT: the last chunk, if any, and the digest."""
        query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        sha256 = scopes.digest(query.get("digest", ""))
        kept = await to_thread.run_sync(self._images.received, at, upload)
        begin, _ = _chunk(request, kept)
        chunk = await self._receive(request)
        if chunk.size:
            await to_thread.run_sync(self._images.append, at, upload, begin, chunk)
        await to_thread.run_sync(self._images.complete, at, upload, sha256)
        return _created(at, query["digest"])

    async def status(self, at: Repository, upload: str) -> Response:
        """GET: how much is kept, so that a client can go on."""
        kept = await to_thread.run_sync(self._images.received, at, upload)
        return empty(204, _where(at, upload, kept))

    async def cancel(self, at: Repository, upload: str) -> Response:
        await to_thread.run_sync(self._images.cancel, at, upload)
        return empty(204)

    async def _receive(self, request: Request) -> Content:
        """Stream a body to disk; leaves nothing behind unless it is whole."""
        length = request.headers.get("content-length")
        upload = await to_thread.run_sync(self._images.contents.begin, MOST_BLOB)
        try:
            pending = bytearray()
            async for part in request.stream():
                pending += part
                if len(pending) >= _MIB:
                    await to_thread.run_sync(upload.write, bytes(pending))
                    pending.clear()
            await to_thread.run_sync(upload.write, bytes(pending))
            sealed = upload.seal()
            if length is not None and str(sealed.size) != length.strip():
                raise RegistryError("SIZE_INVALID", "provided length did not match content length")
            return await to_thread.run_sync(upload.finish)
        finally:
            upload.abort()

    async def _bytes(self, sha256: str, first: int, last: int) -> AsyncIterator[bytes]:
        file = await to_thread.run_sync(open, self._images.contents.path(sha256), "rb")
        with file:
            file.seek(first)
            left = last - first + 1
            while left > 0 and (block := await to_thread.run_sync(file.read, min(left, _MIB))):
                left -= len(block)
                yield block


def _span(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte. A header that is no single range is ignored (RFC 9110). Raises RegistryError (RANGE_INVALID)."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.group(0) == "bytes=-":
        return 0, size - 1
    begin, end = found.groups()
    first = int(begin) if begin else max(0, size - int(end))
    last = min(int(end), size - 1) if begin and end else size - 1
    if first > last:
        raise RegistryError("RANGE_INVALID", f"the blob has {size} bytes", {"range": header[:100] if header else ""})
    return first, last


def _chunk(request: Request, kept: int) -> tuple[int, int | None]:
    """Where a chunk begins, and how long it says to be. Without a range it is the next one."""
    header = request.headers.get("content-range")
    if header is None:
        return kept, None
    found = _CHUNK.fullmatch(header.strip())
    if found is None:
        raise RegistryError("BLOB_UPLOAD_INVALID", "Content-Range has to be <begin>-<end>")
    begin, end = (int(part) for part in found.groups())
    if begin != kept:
        raise RegistryError("BLOB_UPLOAD_INVALID", f"the upload has {kept} bytes; the next chunk has to begin there")
    return begin, end - begin + 1


def _where(at: Repository, upload: str, kept: int) -> dict[str, str]:
    return {
        "Location": f"/v2/{at.name}/blobs/uploads/{upload}",
        "Docker-Upload-UUID": upload,
        "Range": f"0-{max(kept - 1, 0)}",
    }


def _accepted(at: Repository, upload: str, kept: int) -> Response:
    return empty(202, _where(at, upload, kept))


def _created(at: Repository, digest: str) -> Response:
    return empty(201, {"Location": f"/v2/{at.name}/blobs/{digest}", "Docker-Content-Digest": digest})


def _unknown(text: str) -> RegistryError:
    return RegistryError("BLOB_UNKNOWN", "blob unknown to registry", {"digest": text})
