"""What each route answers, and the main thread's work: calling run().

User code runs on the main thread, because libraries expect it there and a timeout is delivered
as a signal. The loop's thread answers everything else and watches the clock of the running call.
Texts, status codes and header rules are those of Azure ML's inference server.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
import traceback
from collections import deque
from queue import SimpleQueue
from typing import Any
from urllib.parse import parse_qs, unquote

from . import interop, wire
from .journal import ACCESS, Journal
from .loop import Connection
from .script import BadInput, Script
from .settings import Settings
from .swagger import Swagger

_JSON, _HTML = b"application/json", b"text/html; charset=utf-8"
_FAILED, _NOT_FAILED = b"x-ms-run-function-failed: True\r\n", b"x-ms-run-function-failed: False\r\n"
_ALLOW = b"Allow: GET, HEAD, OPTIONS\r\n"
_MOST_ID = 100
_CRASHED = "An unexpected error occurred in scoring script. Check the logs for more info."
_INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
_NO_ROUTE = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."
)
_METHODS = {
    "/": ("GET", "HEAD", "OPTIONS"),
    "/score": ("GET", "POST", "OPTIONS", "HEAD"),
    "/swagger.json": ("GET", "HEAD", "OPTIONS"),
}


class _IdRefused(Exception):
    """An id header is too long; carries the message and the id fields that the reply still has."""

    def __init__(self, message: str, fields: bytes) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class Exchange:
    """One request and what its reply needs. ids: the id fields; logged: whether the access log shows it."""

    __slots__ = ("_turn", "connection", "ids", "logged", "request")

    def __init__(self, connection: Connection, request: wire.Request) -> None:
        self.connection = connection
        self.request = request
        self.ids = b""
        self.logged = False
        self._turn = [True]

    @property
    def taken(self) -> bool:
        return not self._turn

    def take(self) -> bool:
        """True for the first who asks: the main thread at its turn, or the loop's when it waited too long."""
        try:
            return self._turn.pop()  # one bytecode under the interpreter's lock
        except IndexError:
            return False


class Service:
    """Serves one script. `handle` and `tick` run in the loop's thread, `work` in the main one."""

    def __init__(self, settings: Settings, script: Script, journal: Journal) -> None:
        self._settings, self._script, self._journal = settings, script, journal
        self._swagger = Swagger(settings, script)
        self._jobs: SimpleQueue[Exchange | None] = SimpleQueue()
        self._waiting: deque[Exchange] = deque()
        self._version = f"x-ms-server-version: {settings.server_version}\r\n".encode() if settings.server_version else b""
        self._deadline = self._fired = 0.0
        self._main = threading.main_thread().ident or 0
        self._timed_out = f"Scoring timeout after {settings.timeout_ms} ms"
        self._patience = settings.max_queue_wait_ms / 1000
        self._spare = settings.max_concurrent - 1
        self._waited = f"The request waited more than {settings.max_queue_wait_ms} ms for its turn. Try again later."
        self.draining = False
        signal.signal(signal.SIGALRM, self._alarm)

    # The loop's thread.

    def handle(self, connection: Connection, request: wire.Request) -> None:
        """Answer, or queue for the main thread."""
        exchange = Exchange(connection, request)
        path = request.path
        if "%" in path or "//" in path:
            path = re.sub("/+", "/", unquote(path))
        methods = _METHODS.get(path)
        if methods is None or request.method not in methods:
            text = _NO_ROUTE if methods is None else "The method is not allowed for the requested URL."
            self._error(exchange, 404 if methods is None else 405, text)
            return
        try:
            exchange.ids = self._ids(request)
        except _IdRefused as refused:
            exchange.ids = self._version + refused.fields
            self._error(exchange, 431, refused.message)
            return
        if path == "/":
            self._health(exchange)
        else:
            exchange.logged = True
            self._described(exchange) if path == "/swagger.json" else self._scored(exchange)

    def tick(self) -> None:
        """Write the log; refuse what waited too long; raise the timeout of a call that is past its deadline."""
        if self._waiting:
            self._refuse_late()
        if self._journal.pending:
            self._journal.flush()
        deadline = self._deadline
        if deadline and deadline != self._fired and time.perf_counter() > deadline:
            self._fired = deadline
            signal.pthread_kill(self._main, signal.SIGALRM)

    def wants_tick(self) -> bool:
        return bool(self._journal.pending or self._deadline or not self._jobs.empty())

    def stop(self) -> None:
        """Let `work` return once the queue is empty."""
        self._jobs.put(None)

    def _health(self, exchange: Exchange) -> None:
        if exchange.request.method == "OPTIONS":
            self._send(exchange, 200, _HTML, _ALLOW + exchange.ids, b"")
        else:
            self._send(exchange, 200, _HTML, exchange.ids, b"Healthy")

    def _described(self, exchange: Exchange) -> None:
        if exchange.request.method == "OPTIONS":
            self._send(exchange, 200, _HTML, _ALLOW + exchange.ids, b"")
            return
        version = parse_qs(exchange.request.query, keep_blank_values=True).get("version", ["2"])[0]
        status, value = self._swagger.find(version)
        self._send(exchange, status, _JSON, _NOT_FAILED + exchange.ids, json.dumps(value).encode())

    def _scored(self, exchange: Exchange) -> None:
        if exchange.request.method in ("GET", "POST") or self._script.mode == "raw":
            if self._patience:
                self._waiting.append(exchange)
            self._jobs.put(exchange)
        elif exchange.request.method == "OPTIONS":
            self._send(exchange, 200, _HTML, _NOT_FAILED + exchange.ids, b"")
        else:
            self._error(exchange, 405, "Method not allowed")

    def _refuse_late(self) -> None:
        """The queue is in order of arrival: behind those that count as being worked on, only its head has to be looked at."""
        late = time.perf_counter() - self._patience
        while self._waiting and self._waiting[0].taken:
            self._waiting.popleft()
        while len(self._waiting) > self._spare and self._waiting[self._spare].request.started < late:
            exchange = self._waiting[self._spare]
            del self._waiting[self._spare]
            if exchange.take():
                self._error(exchange, 503, self._waited)

    def _ids(self, request: wire.Request) -> bytes:
        """The id fields of the reply. Raises _IdRefused."""
        fields = request.fields
        own = fields.get(b"x-request-id")
        if own is None:
            own = _new_id()
        elif len(own) > _MOST_ID:
            raise _IdRefused(f"x-request-id must not exceed {_MOST_ID} characters", b"")
        shown = b"x-request-id: %b\r\n" % own if own else b""
        legacy, client = fields.get(b"x-ms-request-id", b""), fields.get(b"x-ms-client-request-id", b"")
        if legacy:
            text = "x-ms-request-id header has been deprecated and will be removed from future versions of the server."
            self._journal.write("W", ACCESS, f"{text} Please use x-ms-client-request-id.")
            client = client or legacy
        else:
            legacy = client or own
        if len(legacy) > _MOST_ID or len(client) > _MOST_ID:
            raise _IdRefused(f"x-ms-request-id and x-ms-client-request-id must not exceed {_MOST_ID} characters", shown)
        trace = fields.get(b"traceid")
        return b"".join(
            (
                self._version,
                shown,
                b"x-ms-request-id: %b\r\n" % legacy if legacy else b"",
                b"x-ms-client-request-id: %b\r\n" % client if client else b"",
                b"TraceId: %b\r\n" % trace if trace is not None else b"",
            )
        )

    # The main thread.

    def work(self) -> None:
        """Call run() for one request after another, in the order they came, until `stop`."""
        while True:
            exchange = self._jobs.get()
            if exchange is None:
                return
            try:
                if exchange.take():
                    self._answer(exchange)
            except TimeoutError:
                # The alarm may arrive in the few instructions between the end of run() and the disarming.
                self._deadline = 0.0
                self._fail(exchange, self._timed_out)

    def _answer(self, exchange: Exchange) -> None:
        try:
            arguments = self._script.arguments(exchange.request)
        except BadInput as bad:
            self._error(exchange, bad.status, bad.message)
            return
        except Exception:
            self._log_exception()
            self._error(exchange, 500, _INTERNAL)
            return
        started = time.perf_counter()
        try:
            self._deadline = started + self._settings.timeout_ms / 1000
            output = self._script.run(**arguments)
        except BaseException as error:  # sys.exit() in run() ends the request, not the server
            self._deadline = 0.0
            self._log_exception()
            self._fail(exchange, self._timed_out if isinstance(error, TimeoutError) else _CRASHED)
            return
        self._deadline = 0.0
        self._deliver(exchange, output, (time.perf_counter() - started) * 1000)

    def _deliver(self, exchange: Exchange, output: Any, elapsed_ms: float) -> None:
        spent = b"x-ms-run-fn-exec-ms: %.3f\r\n" % elapsed_ms
        try:
            parts = interop.response_parts(output)
            body = b"" if parts else b"{}" if output is None else json.dumps(output).encode()
        except Exception:
            self._log_exception()
            self._error(exchange, 500, _INTERNAL)
            return
        if parts is None:
            self._send(exchange, 200, _JSON, b"".join((_NOT_FAILED, exchange.ids, spent)), body)
        else:
            status, kind, fields, body = _own_reply(*parts)
            self._send(exchange, status, kind, b"".join((fields, exchange.ids, spent)), body)

    def _fail(self, exchange: Exchange, message: str) -> None:
        self._error(exchange, 500, message, failed=True)

    def _log_exception(self) -> None:
        self._journal.write("E", ACCESS, f"Encountered Exception: {traceback.format_exc()}")

    def _alarm(self, _number: int, _frame: object) -> None:
        if self._deadline and time.perf_counter() > self._deadline:
            raise TimeoutError

    # Both.

    def _error(self, exchange: Exchange, status: int, message: str, *, failed: bool = False) -> None:
        fields = (_FAILED if failed else _NOT_FAILED) + exchange.ids
        self._send(exchange, status, _JSON, fields, json.dumps({"message": message}).encode())

    def _send(self, exchange: Exchange, status: int, kind: bytes, fields: bytes, body: bytes) -> None:
        request = exchange.request
        close = request.close or self.draining
        data = wire.reply(status, kind, fields, body, close)
        if request.method == "HEAD" and body:
            data = data[: -len(body)]
        if exchange.logged:
            spent = (time.perf_counter() - request.started) * 1000
            self._journal.access(f"{request.method} {request.shown} {status} {spent:.3f}ms {len(body)}")
        exchange.connection.reply(data, close)


def _own_reply(status: int, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes, bytes, bytes]:
    """A reply that the script built itself; 500 and above counts as a failure of run()."""
    kind, lines = _HTML, []
    for name, value in headers:
        lower = name.lower()
        if lower == "content-type":
            kind = value.encode("latin-1", "replace")
        elif lower == "x-ms-run-function-failed" and status >= 500:
            continue
        elif lower not in ("content-length", "transfer-encoding", "connection", "date"):
            line = f"{name}: {value}".replace("\r", " ").replace("\n", " ")
            lines.append(line.encode("latin-1", "replace") + b"\r\n")
    if status >= 500:
        lines.append(_FAILED)
    return status, kind, b"".join(lines), body


def _new_id() -> bytes:
    """A random UUID, version 4."""
    h = os.urandom(16).hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}".encode()
