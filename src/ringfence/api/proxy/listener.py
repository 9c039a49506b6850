"""Accepting the proxy's connections: the first byte says which protocol follows."""

from __future__ import annotations

import asyncio
import logging
import socket

from ringfence.api.proxy import http, socks
from ringfence.api.proxy.exits import Exit

log = logging.getLogger(__name__)

#: Seconds until a client's first byte.
_GREETING_S = 10.0
_MOST_CONNECTIONS = 512


async def start(listener: socket.socket, exit_: Exit) -> asyncio.Server:
    """Serve on an inherited listening socket. Close the returned server to end; tunnels end with the loop."""
    listener.setblocking(False)
    slots = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with slots:
                await _converse(reader, writer, exit_)
        except (OSError, asyncio.IncompleteReadError) as error:
            log.debug("a client of the proxy went away: %r", error)
        finally:
            writer.close()

    return await asyncio.start_server(serve, sock=listener)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exit_: Exit) -> None:
    async with asyncio.timeout(_GREETING_S):
        first = await reader.readexactly(1)
    if first == socks.VERSION:
        await socks.speak(reader, writer, exit_)
    else:
        await http.speak(reader, writer, first, exit_)
