"""Which programs answer `GET /`: asked in a thread, so that a slow one holds nobody up.

The connections start inside the program's own network namespace, at its loopback address.
A program that has answered once counts as ready until it is started again.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_GOOD = (b"HTTP/1.1 200", b"HTTP/1.0 200")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _PATIENCE_S = 0.02, 0.5, 30.0

#: One life of one program: supervisor's PID, its start, and how often the program was started.
Life = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Address:
    """endpoint: key of the endpoint in whose namespace the program listens."""

    endpoint: str
    port: int


@dataclass(slots=True)
class _Trial:
    address: Address
    socket: socket.socket | None = None
    received: bytes = b""
    next_at: float = 0.0
    until: float = 0.0
    pause_s: float = field(default=_FIRST_PAUSE_S)


class Prober:
    """dial: makes a socket inside an endpoint's namespace; raises KeyError or OSError when there is none."""

    def __init__(self, dial: Callable[[str], socket.socket]) -> None:
        self._dial = dial
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition()
        self._trials: dict[Life, _Trial] = {}
        self._ready: set[Life] = set()
        self._wanted: dict[Life, Address] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._thread.start()

    def ready(self, programs: Mapping[Life, Address], patience_s: float) -> frozenset[Life]:
        """Which of these have answered; the others are asked from now on. Waits at most patience_s for them."""
        with self._changed:
            self._wanted = dict(programs)
            self._ready &= programs.keys()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready >= self._wanted.keys(), patience_s)
            return frozenset(self._ready)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        for trial in self._trials.values():
            self._drop(trial)
        self._selector.close()

    def _run(self) -> None:
        while self._refresh():
            now = time.monotonic()
            for life, trial in self._trials.items():
                if trial.socket is None and now >= trial.next_at:
                    self._begin(life, trial)
                elif trial.socket is not None and now >= trial.until:
                    self._retry(trial)
            for key, _events in self._selector.select(_FIRST_PAUSE_S):
                self._progress(key.data, self._trials[key.data])

    def _refresh(self) -> bool:
        """Take over what is wanted; sleep while that is nothing. False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._ready >= self._wanted.keys())
            open_ones = {life: a for life, a in self._wanted.items() if life not in self._ready}
        for life in [life for life in self._trials if life not in open_ones]:
            self._drop(self._trials.pop(life))
        for life, address in open_ones.items():
            self._trials.setdefault(life, _Trial(address))
        return not self._closed

    def _begin(self, life: Life, trial: _Trial) -> None:
        try:
            trial.socket = self._dial(trial.address.endpoint)
        except (KeyError, OSError):
            # The endpoint is not there (yet, or any more); whether it shall be is not known here.
            trial.next_at = time.monotonic() + _LONGEST_PAUSE_S
            return
        trial.socket.setblocking(False)
        trial.received = b""
        trial.until = time.monotonic() + _PATIENCE_S
        if trial.socket.connect_ex(("127.0.0.1", trial.address.port)) in (0, errno.EINPROGRESS):
            self._selector.register(trial.socket, selectors.EVENT_WRITE, life)
        else:
            self._retry(trial)

    def _progress(self, life: Life, trial: _Trial) -> None:
        assert trial.socket is not None
        try:
            if self._selector.get_key(trial.socket).events == selectors.EVENT_WRITE:
                trial.socket.send(_REQUEST)
                self._selector.modify(trial.socket, selectors.EVENT_READ, life)
                return
            data = trial.socket.recv(4096)
        except OSError:
            data = b""
        trial.received += data
        if trial.received.startswith(_GOOD):
            with self._changed:
                self._ready.add(life)
                self._changed.notify_all()
            self._drop(trial)
        elif not data or len(trial.received) > len(_GOOD[0]):
            self._retry(trial)

    def _retry(self, trial: _Trial) -> None:
        self._drop(trial)
        trial.next_at = time.monotonic() + trial.pause_s
        trial.pause_s = min(trial.pause_s * 1.5, _LONGEST_PAUSE_S)

    def _drop(self, trial: _Trial) -> None:
        if trial.socket is not None:
            with contextlib.suppress(KeyError):  # refused before it was registered
                self._selector.unregister(trial.socket)
            trial.socket.close()
            trial.socket = None
