"""Connections into containers: what `az container exec` and `attach` talk to, by websocket.

Resource Manager hands out a ticket (an address and a password) once it has found that its caller may; whoever
connects says the password first, and says it once. Tickets are not kept over a restart: the
client asks for another one. Bytes of the terminal pass as binary messages in both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import shlex
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ringfence.api.arm.container_actions import Session, Ticket
from ringfence.control.engine import Engine
from ringfence.policy import container_groups

log = logging.getLogger(__name__)

#: How long a ticket counts, and how long a client may take to say its password, in seconds.
_VALID_S, _PATIENCE_S = 60.0, 10.0
_MOST_TICKETS = 1000
_READ = 1 << 15
_FOLLOW_S = 0.5
_REFUSED, _GONE = 1008, 1011


@dataclass(frozen=True, slots=True)
class _Held:
    session: Session
    password: str
    until: float


class Terminals:
    """The application, and the desk that hands out its tickets. monotonic: seconds."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._tickets: dict[str, _Held] = {}

    def issue(self, session: Session) -> Ticket:
        """A ticket for one connection. Callable from any thread."""
        name, password, now = secrets.token_hex(16), secrets.token_urlsafe(24), self._monotonic()
        with self._lock:
            alive = {name: held for name, held in self._tickets.items() if held.until > now}
            while len(alive) >= _MOST_TICKETS:
                alive.pop(next(iter(alive)))
            self._tickets = {**alive, name: _Held(session, password, now + _VALID_S)}
        host = container_groups.terminal_host(session.region)
        return Ticket(f"wss://{host}/exec/{name}?rows={session.rows}&cols={session.columns}", password)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = WebSocket(scope, receive, send)
        await connection.accept()
        with contextlib.suppress(WebSocketDisconnect):
            session = self._admitted(connection.url.path.rpartition("/")[2], await _first(connection))
            if session is None:
                await connection.close(_REFUSED, "The password or the address is not valid (any more).")
            elif session.command:
                await self._execute(connection, session)
            else:
                await self._follow(connection, session)

    def _admitted(self, name: str, said: str) -> Session | None:
        """A ticket is used up by the first who names it, whatever they say."""
        with self._lock:
            held = self._tickets.pop(name, None)
        if held is None or held.until <= self._monotonic():
            return None
        return held.session if hmac.compare_digest(held.password.encode(), said.encode()) else None

    async def _execute(self, connection: WebSocket, session: Session) -> None:
        try:
            command = shlex.split(session.command)
            terminal = await run_in_threadpool(
                self._engine.terminal, session.group, session.container, command, session.rows, session.columns
            )
        except (KeyError, OSError, ValueError) as error:
            log.info("no terminal in %s of %s: %s", session.container, session.group, error)
            await connection.close(_GONE, f"The command cannot be started: {error}"[:120])
            return
        terminal.setblocking(False)
        with terminal:
            out = asyncio.create_task(_shown(connection, terminal))
            typed = asyncio.create_task(_typed(connection, terminal))
            await asyncio.wait([out, typed], return_when=asyncio.FIRST_COMPLETED)
            for task in (out, typed):
                task.cancel()
            await asyncio.gather(out, typed, return_exceptions=True)
        with contextlib.suppress(RuntimeError):  # the client was quicker
            await connection.close()

    async def _follow(self, connection: WebSocket, session: Session) -> None:
        """What the container prints, until it has gone or the client has."""
        sent = 0
        leaving = asyncio.create_task(connection.receive())
        while not leaving.done():
            text = await run_in_threadpool(self._engine.container_log, session.group, session.container)
            data = text.encode()
            if len(data) != sent:
                await connection.send_bytes(data[sent:] if len(data) > sent else data)
                sent = len(data)
            if session.container not in self._engine.containers(session.group):
                leaving.cancel()
                await connection.close()
                return
            await asyncio.wait([leaving], timeout=_FOLLOW_S)


async def _first(connection: WebSocket) -> str:
    """The first message as text; "" when none comes in time."""
    try:
        message = await asyncio.wait_for(connection.receive(), _PATIENCE_S)
    except TimeoutError:
        return ""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return str(message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace"))


async def _shown(connection: WebSocket, terminal: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(terminal, _READ):
        await connection.send_bytes(data)


async def _typed(connection: WebSocket, terminal: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while (message := await connection.receive())["type"] == "websocket.receive":
        data = message.get("bytes") or (message.get("text") or "").encode()
        await loop.sock_sendall(terminal, data)
