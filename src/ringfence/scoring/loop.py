"""Connections: one epoll loop in a thread of its own, so that the server answers while run() computes.

It cuts the byte stream into requests and hands each to `handle`; at most one request of a
connection is under way. Whoever made the answer calls `Connection.reply`, from any thread: the
bytes go to the socket at once, and only what the socket does not take comes back to the loop,
which saves a wake-up per request. What a request means is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from . import wire

IDLE_S, STALL_S = 120.0, 60.0
#: For how long a kept connection may lie idle while draining. The patient one leaves it to the client to close first,
#: because a request may be on its way; it is told so with the next answer.
DRAIN_IDLE_S, PATIENT_IDLE_S = 1.0, 5.0
#: Whoever asks for the end may put one to it earlier.
DRAIN_S = 3600.0
_READ, _MOST_WAITING, _MOST_QUEUED = 262_144, 65_536, 65_536
_IN, _OUT = select.EPOLLIN | select.EPOLLRDHUP, select.EPOLLOUT


class Connection:
    """One client. Only the loop's thread reads, parses and closes; `reply` may be called from any."""

    __slots__ = ("_chunks", "_loop", "_mask", "_request", "buffer", "busy", "eof", "last", "out", "over", "socket")

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self._loop = loop
        self.socket = sock
        self.buffer = bytearray()
        self.out = bytearray()
        self.busy = False  # a request is with `handle`
        self.eof = False  # the client sends no more
        self.over = False  # close when `out` is empty
        self.last = time.monotonic()
        self._mask: int | None = _IN  # None: no longer polled
        self._request: wire.Request | None = None
        self._chunks: wire.ChunkReader | None = None

    def reply(self, data: bytes, close: bool) -> None:
        """Answer the request that `handle` was given, and let the next one come."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent, close = len(data), True
        if sent < len(data):
            self.out += data[sent:]
        if close:
            self.over = True
        self.last = time.monotonic()
        self.busy = False
        # The order matters: the loop appends to `buffer`, then looks at `busy`; this looks at `buffer` after it cleared `busy`.
        if self.over or self.out or self.buffer or self.eof:
            self._loop.revisit(self)

    def received(self) -> None:
        """Read what is there; cut it into requests unless one is under way."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.last = time.monotonic()
        if data:
            self.buffer += data
        else:
            self.eof = True
        if self.busy or self.out:
            self.listen()
        else:
            self.advance()

    def advance(self) -> None:
        """Hand on the next request, if it is complete."""
        try:
            while not (self.busy or self.over or self.out) and self._next():
                request, self._request = self._request, None
                assert request is not None
                self.busy = True
                self._loop.handle(self, request)
        except wire.BadRequest as error:
            body = json.dumps({"message": error.message}).encode()
            self.busy = True
            self.reply(wire.reply(error.status, b"application/json", b"", body, True), True)
        if self.eof and not (self.busy or self.out):
            self.over = True
        self.listen()

    def _next(self) -> bool:
        if self._request is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > wire.MOST_HEAD:
                    raise wire.BadRequest(431, f"the header is longer than {wire.MOST_HEAD} bytes")
                return False
            self._request = request = wire.parse_head(bytes(self.buffer[:end]))
            del self.buffer[: end + 4]
            self._chunks = wire.ChunkReader() if request.chunked else None
            if request.expects and not self.buffer and (request.chunked or request.length):
                with contextlib.suppress(OSError):  # a client that is gone is noticed at the next read
                    self.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._body(self._request)

    def _body(self, request: wire.Request) -> bool:
        if self._chunks is not None:
            if not self._chunks.feed(self.buffer):
                return False
            request.body = bytes(self._chunks.body)
            self._chunks = None
        elif request.length:
            if len(self.buffer) < request.length:
                return False
            request.body = bytes(self.buffer[: request.length])
            del self.buffer[: request.length]
        return True

    def listen(self) -> None:
        """Tell epoll what this connection waits for now."""
        waiting = (self.busy or self.out) and len(self.buffer) > _MOST_WAITING
        mask = (0 if self.eof or waiting or self.over else _IN) | (_OUT if self.out else 0)
        if mask != self._mask and self._mask is not None:
            self._mask = mask
            self._loop.poll.modify(self.socket, mask)

    def ignore(self) -> None:
        """Poll no more: a hang-up is reported for ever, and while run() works nobody can act on it."""
        if self._mask is not None:
            self._mask = None
            self._loop.poll.unregister(self.socket)

    def flush(self) -> None:
        try:
            del self.out[: self.socket.send(self.out)]
            self.last = time.monotonic()
        except BlockingIOError:
            return
        except OSError:
            self.out.clear()
            self.over = True

    @property
    def unfinished(self) -> bool:
        """A request has begun to arrive, or an answer has not been taken."""
        return bool(self.buffer or self.out or self._request)


class Loop:
    """listener: bound and listening. handle: called in the loop's thread with each complete request.

    tick: called at least every 20 ms while `wants_tick()` says so, and once a second otherwise.
    """

    def __init__(
        self,
        listener: socket.socket,
        handle: Callable[[Connection, wire.Request], None],
        tick: Callable[[], None],
        wants_tick: Callable[[], bool],
    ) -> None:
        self.handle = handle
        self.poll = select.epoll()
        self.draining = False
        self._listener: socket.socket | None = listener
        self._tick, self._wants_tick = tick, wants_tick
        self._connections: dict[int, Connection] = {}
        self._revisit: deque[Connection] = deque()
        self._thread = 0
        self._wake_in, self._wake_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._drain_by = 0.0
        self._drain_idle_s = DRAIN_IDLE_S
        self._swept = time.monotonic()
        listener.setblocking(False)
        self.poll.register(listener, select.EPOLLIN)
        self.poll.register(self._wake_in, select.EPOLLIN)

    def revisit(self, connection: Connection) -> None:
        """Look at a connection again soon. From any thread."""
        self._revisit.append(connection)
        if threading.get_ident() != self._thread:
            self.wake()

    def wake(self) -> None:
        try:
            os.write(self._wake_out, b"!")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already

    def drain(self, *, patient: bool = False) -> None:
        """Take no new connections, answer what is under way, then let `run` return. From any thread or a signal handler.

        patient: another process serves in our place, so there is time until the clients have closed what they keep.
        """
        self._drain_idle_s = PATIENT_IDLE_S if patient else DRAIN_IDLE_S
        self.draining = True
        self.wake()

    def run(self) -> None:
        """Serve until drained."""
        self._thread = threading.get_ident()
        while not self._drained():
            wait = 0.02 if self._wants_tick() else 0.25 if self.draining else 1.0
            for fd, events in self.poll.poll(wait):
                self._event(fd, events)
            self._tick()
            while self._revisit:
                self._settle(self._revisit.popleft())
            self._sweep()

    def _event(self, fd: int, events: int) -> None:
        connection = self._connections.get(fd)
        if connection is None:
            if fd == self._wake_in:
                os.read(fd, 4096)
            elif self._listener is not None and fd == self._listener.fileno():
                self._accept(self._listener, 64)
            return
        if events & _OUT and connection.out:
            connection.flush()
            self._settle(connection)
        if events & ~_OUT and not connection.over:
            connection.received()
        if events & (select.EPOLLHUP | select.EPOLLERR):
            connection.ignore()
            connection.out.clear()
            connection.over = True
        if connection.over and not connection.busy and not connection.out:
            self._close(connection)

    def _settle(self, connection: Connection) -> None:
        if connection.socket.fileno() < 0 or connection.busy:
            return
        if connection.out:
            connection.flush()
        if not connection.out and not connection.over:
            connection.advance()
        if connection.over and not connection.out and not connection.busy:
            self._close(connection)
        else:
            connection.listen()

    def _accept(self, listener: socket.socket, most: int) -> None:
        for _ in range(most):
            try:
                sock, _address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._close_idle(0.0)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[sock.fileno()] = Connection(self, sock)
            self.poll.register(sock, _IN)

    def _close(self, connection: Connection) -> None:
        fd = connection.socket.fileno()
        if fd >= 0:
            self._connections.pop(fd, None)
            connection.ignore()
            connection.socket.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._swept < (0.25 if self.draining else 1.0):
            return
        self._swept = now
        for connection in list(self._connections.values()):
            if not connection.busy and connection.unfinished and now - connection.last > STALL_S:
                self._close(connection)
        self._close_idle(self._drain_idle_s if self.draining else IDLE_S)

    def _close_idle(self, seconds: float) -> None:
        now = time.monotonic()
        for connection in list(self._connections.values()):
            if not (connection.busy or connection.unfinished) and now - connection.last > seconds:
                self._close(connection)

    def _drained(self) -> bool:
        if not self.draining:
            return False
        if self._listener is not None:
            self.poll.unregister(self._listener)
            self._accept(self._listener, _MOST_QUEUED)
            # A process that run() forked may hold the listener too; this ends it for all of them.
            self._listener.shutdown(socket.SHUT_RD)
            self._listener.close()
            self._listener = None
            self._drain_by = time.monotonic() + DRAIN_S
        return not self._connections or time.monotonic() > self._drain_by
