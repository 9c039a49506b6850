"""HTTP to the proxy: CONNECT for tunnels, absolute form for plain HTTP.

Requests in absolute form are re-framed by h11 on both sides, one upstream connection
each; headers between two neighbours only (RFC 9110 section 7.6.1) are not passed on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable
from urllib.parse import urlsplit

import h11

from ringfence.api.proxy.exits import Exit, Place, Refusal
from ringfence.api.proxy.streams import Stream, splice

_HEAD_S = 10.0
_BLOCK = 65536
_NEIGHBOURLY = {b"connection", b"keep-alive", b"te", b"upgrade"}
_NEIGHBOURLY |= {b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"}
_REASONS = {400: b"Bad Request", 407: b"Proxy Authentication Required", 502: b"Bad Gateway", 504: b"Gateway Timeout"}


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, exit_: Exit) -> None:
    """One connection's conversation; requests in absolute form may follow one another."""
    near = _Side(h11.Connection(h11.SERVER, max_incomplete_event_size=_BLOCK), reader, writer)
    near.state.receive_data(first)
    try:
        while await _one(near, exit_):
            near.state.start_next_cycle()
    except Refusal as refusal:
        await _refuse(near, refusal)
    except h11.RemoteProtocolError as error:
        await _refuse(near, Refusal(400, f"That is no HTTP request to a proxy: {error}."))
    except h11.LocalProtocolError as error:
        await _refuse(near, Refusal(502, f"The answer cannot be passed on: {error}."))


class _Side:
    """One end of the proxy: a connection and what h11 knows of it."""

    def __init__(self, state: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.state = state
        self.reader = reader
        self.writer = writer

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self.state.next_event()
            if event is h11.PAUSED or isinstance(event, h11.Event):
                return event
            if self.state.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.state.receive_data(await self.reader.read(_BLOCK))

    async def send(self, event: h11.Event) -> None:
        data = self.state.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()


async def _one(near: _Side, exit_: Exit) -> bool:
    """Answer one request. Returns whether another may follow on this connection."""
    async with asyncio.timeout(_HEAD_S):
        request = await near.event()
    if not isinstance(request, h11.Request):
        return False
    place = await exit_.admit(*_credentials(request))
    if request.method == b"CONNECT":
        host, port = _authority(request.target)
        far = await exit_.dial(place, host, port)
        try:
            await _tunnel(near, far)
        finally:
            far[1].close()
        return False
    await _relay(near, request, place, exit_)
    return near.state.our_state is h11.DONE and near.state.their_state is h11.DONE


async def _tunnel(near: _Side, far: Stream) -> None:
    while (await near.event()) is not h11.PAUSED:
        continue
    await near.send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
    early, _ = near.state.trailing_data
    if early:
        far[1].write(early)
    await splice((near.reader, near.writer), far)


async def _relay(near: _Side, request: h11.Request, place: Place, exit_: Exit) -> None:
    host, port, authority, target = _absolute(request.target)
    reader, writer = await exit_.dial(place, host, port)
    far = _Side(h11.Connection(h11.CLIENT, max_incomplete_event_size=_BLOCK), reader, writer)
    try:
        kept = [(n, v) for n, v in _kept(request.headers) if n not in (b"host", b"expect")]
        headers = [(b"Host", authority), *kept, (b"Connection", b"close")]
        await far.send(h11.Request(method=request.method, target=target, headers=headers))
        await _copy(near, far)
        await _copy(far, near)
    except h11.RemoteProtocolError as error:
        if near.state.our_state is h11.SEND_RESPONSE and near.state.their_state is not h11.ERROR:
            raise Refusal(502, f"{authority.decode()} did not answer in HTTP: {error}.") from error
        raise
    finally:
        writer.close()


async def _copy(source: _Side, sink: _Side) -> None:
    """Pass a message on, from the event after its start (a request) or with it (a response)."""
    while True:
        event = await source.event()
        if isinstance(event, h11.Response):
            event = h11.Response(status_code=event.status_code, headers=_kept(event.headers), reason=event.reason)
        elif not isinstance(event, h11.Data | h11.EndOfMessage):
            if isinstance(event, h11.InformationalResponse):
                continue
            raise Refusal(502, "The connection ended in the middle of a message.")
        await sink.send(event)
        if isinstance(event, h11.EndOfMessage):
            return


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = list(headers)
    named = {part.strip().lower() for name, value in pairs if name == b"connection" for part in value.split(b",")}
    return [(name, value) for name, value in pairs if name not in _NEIGHBOURLY and name not in named]


def _credentials(request: h11.Request) -> tuple[str, str]:
    given = next((value for name, value in request.headers if name == b"proxy-authorization"), None)
    if given is None:
        raise Refusal(407, "The proxy wants a location as user name and this start's secret as password; see `ringfence env`.")
    scheme, _, encoded = given.partition(b" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    user, colon, password = decoded.rpartition(":")
    if scheme.lower() != b"basic" or not colon:
        raise Refusal(407, "The Proxy-Authorization header is not `Basic` with a user name and a password.")
    return user, password


def _authority(target: bytes) -> tuple[str, int]:
    host, colon, port = target.decode("ascii", "replace").rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise Refusal(400, "CONNECT wants `host:port`.")
    return host, int(port)


def _absolute(target: bytes) -> tuple[str, int, bytes, bytes]:
    """Host, port, authority and origin-form target of an absolute-form target. Raises Refusal."""
    try:
        url = urlsplit(target.decode("ascii"))
        host, port = url.hostname, url.port
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal(400, "The request target is no URL.") from error
    if url.scheme != "http" or not host:
        raise Refusal(400, "A proxy takes CONNECT, or a whole http:// URL; https goes through CONNECT.")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    authority = host if port in (None, 80) else f"{host}:{port}"
    return host, port or 80, authority.encode(), path.encode()


async def _refuse(near: _Side, refusal: Refusal) -> None:
    if near.state.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    body = refusal.message.encode() + b"\n"
    headers = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")]
    if refusal.status == 407:
        headers.append((b"Proxy-Authenticate", b'Basic realm="Ringfence", charset="UTF-8"'))
    await near.send(h11.Response(status_code=refusal.status, headers=headers, reason=_REASONS[refusal.status]))
    await near.send(h11.Data(data=body))
    await near.send(h11.EndOfMessage())
