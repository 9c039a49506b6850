"""Resolvers: the sockets on which views are answered, one UDP and one TCP each, in their namespaces.

Runs on the loop's thread, and lives no longer than the process. What is answered is in
`zones`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from ringfence.desired.state import Key, View
from ringfence.drivers.linux.loop import LoopThread
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.drivers.linux.zones import Zone

_PORT = 53
_MOST_AT_ONCE = 64
_TCP_PATIENCE_S = 5.0


class Resolvers:
    """The views being answered. Methods are for any thread but the loop's."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._open: dict[Key, _Service] = {}

    def serve(self, namespace: Namespace, address: str, view: View) -> None:
        """Answer this view from now on, in place of what was answered under its key. Raises OSError, ValueError."""
        zone = Zone(view.records)
        present = self._open.get(view.key)
        if present is not None and (present.view.at, present.address) == (view.at, address):
            present.zone, present.view = zone, view
            return
        self.stop(view.key)
        service = _Service(view, address, zone)
        service.bind(namespace)
        self._thread.call(service.start, self._thread.loop)
        self._open[view.key] = service

    def stop(self, key: Key) -> None:
        service = self._open.pop(key, None)
        if service is not None:
            self._thread.call(service.stop, self._thread.loop)

    def stop_at(self, place: Key) -> None:
        """Stop every view at an endpoint or a network, as its namespace goes."""
        for key in [key for key, service in self._open.items() if service.view.at == place]:
            self.stop(key)

    def fingerprints(self) -> dict[Key, str]:
        """Of the views being answered."""
        return {key: service.view.fingerprint for key, service in self._open.items()}

    def close(self) -> None:
        for key in list(self._open):
            self.stop(key)


class _Service:
    """One view being answered: a UDP socket, a listening one, and the connections made to it."""

    def __init__(self, view: View, address: str, zone: Zone) -> None:
        self.view = view
        self.address = address
        self.zone = zone
        self._sockets: list[socket.socket] = []
        self._connections: set[asyncio.Task[None]] = set()

    def bind(self, namespace: Namespace) -> None:
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                bound = namespace.open_socket(socket.AF_INET, kind)
                self._sockets.append(bound)
                bound.setblocking(False)
                if kind is socket.SOCK_STREAM:
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind((self.address, _PORT))
            self._sockets[1].listen(_MOST_AT_ONCE)
        except OSError:
            self._close_sockets()
            raise

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        udp, tcp = self._sockets
        loop.add_reader(udp, self._datagrams, udp)
        loop.add_reader(tcp, self._accept, tcp, loop)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        for bound in self._sockets:
            loop.remove_reader(bound)
        for task in self._connections:
            task.cancel()
        self._close_sockets()

    def _datagrams(self, udp: socket.socket) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                query, sender = udp.recvfrom(4096)
            except OSError:  # nothing more to read, or news of an answer that found nobody
                return
            answer = self.zone.answer(query, tcp=False)
            if answer is not None:
                with contextlib.suppress(OSError):  # datagrams may be lost: the asker asks again
                    udp.sendto(answer, sender)

    def _accept(self, tcp: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        try:
            connection, _ = tcp.accept()
        except OSError:  # the asker went away before it was served
            return
        if len(self._connections) >= _MOST_AT_ONCE:
            connection.close()
            return
        connection.setblocking(False)
        task = loop.create_task(self._converse(connection, loop))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what comes over one connection until it is silent for a while or closed."""
        with contextlib.closing(connection), contextlib.suppress(OSError, EOFError):
            while True:
                async with asyncio.timeout(_TCP_PATIENCE_S):
                    length = int.from_bytes(await _exactly(connection, 2, loop), "big")
                    answer = self.zone.answer(await _exactly(connection, length, loop), tcp=True)
                    if answer is None:
                        return
                    await loop.sock_sendall(connection, len(answer).to_bytes(2, "big") + answer)

    def _close_sockets(self) -> None:
        for bound in self._sockets:
            bound.close()


async def _exactly(connection: socket.socket, count: int, loop: asyncio.AbstractEventLoop) -> bytes:
    received = b""
    while len(received) < count:
        more = await loop.sock_recv(connection, count - len(received))
        if not more:
            raise EOFError
        received += more
    return received
