"""Asking the control plane's local API over its unix socket: one request, one connection, JSON.

HTTP/1.0 by hand: `ringfence exec` has to start fast, and the standard HTTP client alone
would take a third of its time to load. Which paths there are is `api/local`'s business.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

from ringfence.sandbox import record
from ringfence.sandbox.errors import START_IT, BadState, Busy, NotRunning, Refused
from ringfence.sandbox.layout import Layout

_POLL_S = 0.02


class Client:
    """state: the state folder. Raises NotRunning, Busy (no answer in time) and Refused.

    patience_s: how long to wait for a control plane that is just being started again.
    """

    def __init__(self, state: Path, *, patience_s: float = 0.0) -> None:
        self._layout = Layout(state)
        self._patience_s = patience_s

    def get(self, path: str, *, timeout_s: float = 30.0) -> Any:
        return self._ask("GET", path, None, timeout_s)

    def post(self, path: str, body: object, *, timeout_s: float = 30.0) -> Any:
        return self._ask("POST", path, body, timeout_s)

    def control_plane(self) -> int:
        """The process that serves the socket, by its number on this side."""
        with self._connect(2.0) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    def _ask(self, method: str, path: str, body: object, timeout_s: float) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        fields = f"Host: ringfence\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        try:
            with self._connect(timeout_s) as connection:
                connection.sendall(f"{method} {path} HTTP/1.0\r\n{fields}".encode() + content)
                received = bytearray()
                while block := connection.recv(65536):
                    received += block
        except TimeoutError as error:
            fact = f"the control plane did not answer {method} {path} within {timeout_s:g} s"
            raise Busy(fact, "see `ringfence logs control`") from error
        except ConnectionError as error:
            raise _gone() from error
        return _document(*_split(bytes(received)))

    def _connect(self, timeout_s: float) -> socket.socket:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._connect_once(timeout_s)
            except NotRunning as error:
                record.running(self._layout)
                if time.monotonic() >= deadline:
                    raise NotRunning(
                        "the control plane is just being started again", "try again, or see `ringfence logs`"
                    ) from error
            time.sleep(_POLL_S)

    def _connect_once(self, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(os.fsencode(self._layout.control_socket))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            raise NotRunning(f"Ringfence does not run (state folder {self._layout.folder})", START_IT) from error
        except PermissionError as error:
            connection.close()
            raise BadState.of_another_user(self._layout.folder) from error
        except BaseException:
            connection.close()
            raise
        return connection


def _split(received: bytes) -> tuple[int, bytes]:
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise _gone()
    return int(words[1]), body


def _document(status: int, body: bytes) -> Any:
    try:
        document = json.loads(body) if body else None
    except ValueError as error:
        raise Refused(status, "NoJson", f"the control plane answered {body[:200]!r}") from error
    if status >= 400:
        found = document.get("error", {}) if isinstance(document, dict) else {}
        raise Refused(status, str(found.get("code", status)), str(found.get("message", "the request was refused")))
    return document


def _gone() -> NotRunning:
    return NotRunning("the control plane went away during the request", "it is started again by itself; try again")
