"""SOCKS5 (RFC 1928) with user name and password (RFC 1929): CONNECT, by name or IPv4 address."""

from __future__ import annotations

import asyncio
import ipaddress

from ringfence.api.proxy.exits import Exit, Place, Refusal
from ringfence.api.proxy.streams import splice

VERSION = b"\x05"
_GREETING_S = 10.0

_BY_PASSWORD, _NO_METHOD = 2, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GRANTED, _REFUSED, _UNREACHABLE, _EXPIRED, _NO_SUCH_COMMAND, _NO_SUCH_ADDRESS_TYPE = 0, 2, 4, 6, 7, 8


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exit_: Exit) -> None:
    """One conversation, after the version byte."""
    async with asyncio.timeout(_GREETING_S):
        place = await _authenticate(reader, writer, exit_)
        wanted = await _request(reader) if place else None
    if place is None or wanted is None:
        return
    if isinstance(wanted, int):
        await _answer(writer, wanted)
        return
    try:
        far = await exit_.dial(place, *wanted)
    except Refusal as refusal:
        await _answer(writer, _EXPIRED if refusal.status == 504 else _UNREACHABLE)
        return
    try:
        await _answer(writer, _GRANTED)
        await splice((reader, writer), far)
    finally:
        far[1].close()


async def _authenticate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exit_: Exit) -> Place | None:
    methods = await reader.readexactly((await reader.readexactly(1))[0])
    if _BY_PASSWORD not in methods:
        writer.write(bytes((5, _NO_METHOD)))
        await writer.drain()
        return None
    writer.write(bytes((5, _BY_PASSWORD)))
    await writer.drain()
    await reader.readexactly(1)
    user = await _counted(reader)
    password = await _counted(reader)
    try:
        place = await exit_.admit(user.decode("utf-8", "replace"), password.decode("utf-8", "replace"))
    except Refusal:
        writer.write(b"\x01\x01")
        await writer.drain()
        return None
    writer.write(b"\x01\x00")
    await writer.drain()
    return place


async def _request(reader: asyncio.StreamReader) -> tuple[str, int] | int:
    """The wanted host and port, or the code of the refusal."""
    _, command, _, kind = await reader.readexactly(4)
    if kind == _IPV4:
        host = str(ipaddress.IPv4Address(await reader.readexactly(4)))
    elif kind == _NAME:
        host = (await _counted(reader)).decode("ascii", "replace")
    else:
        return _NO_SUCH_ADDRESS_TYPE
    port = int.from_bytes(await reader.readexactly(2), "big")
    return (host, port) if command == _CONNECT else _NO_SUCH_COMMAND


async def _counted(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly((await reader.readexactly(1))[0])


async def _answer(writer: asyncio.StreamWriter, code: int) -> None:
    writer.write(bytes((5, code, 0, _IPV4)) + bytes(6))
    await writer.drain()
