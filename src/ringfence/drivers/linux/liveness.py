"""Liveness probes: a scoring process that no longer answers `GET /` is ended, so that its supervisor starts it again.

As a kubelet does it: the first probe after a delay, then one in each period; so many failures, not
undone by enough successes, and the process is killed. Probes start inside the process's own
network namespace. Whether a process is ready at all is in `readiness`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringfence.desired.state import Key, Liveness
from ringfence.drivers.linux.loop import LoopThread
from ringfence.drivers.linux.readiness import Life

log = logging.getLogger(__name__)

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe\r\nConnection: close\r\n\r\n"
_GOOD = (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.0 2", b"HTTP/1.0 3")


@dataclass(frozen=True, slots=True)
class Probed:
    """One life of a process. began: seconds since 1970."""

    key: Key
    endpoint: Key
    port: int
    began: float
    rules: Liveness


class Watch:
    """dial: a socket inside an endpoint's namespace; raises KeyError or OSError. end: kills a life; told a reason in words."""

    def __init__(self, dial: Callable[[Key], socket.socket], end: Callable[[Key, Life, str], None]) -> None:
        self._dial, self._end = dial, end
        self._thread = LoopThread("liveness")
        self._tasks: dict[Life, asyncio.Task[None]] = {}

    def follow(self, lives: Mapping[Life, Probed]) -> None:
        """Probe these, and no others any more."""
        if lives.keys() != self._tasks.keys():
            self._thread.call(self._follow, dict(lives))

    def close(self) -> None:
        self._thread.close()

    def _follow(self, lives: Mapping[Life, Probed]) -> None:
        for life in self._tasks.keys() - lives.keys():
            self._tasks.pop(life).cancel()
        for life in lives.keys() - self._tasks.keys():
            self._tasks[life] = self._thread.loop.create_task(self._probe(life, lives[life]))

    async def _probe(self, life: Life, probed: Probed) -> None:
        rules = probed.rules
        await asyncio.sleep(max(0.0, probed.began + rules.delay_s - time.time()))
        failures = successes = 0
        while failures < rules.failures:
            if await self._answers(probed):
                successes += 1
                failures = 0 if successes >= rules.successes else failures
            else:
                failures, successes = failures + 1, 0
            if failures < rules.failures:
                await asyncio.sleep(rules.period_s)
        reason = f"it failed {failures} liveness probes in a row (GET / within {rules.timeout_s:g} s, every {rules.period_s:g} s)"
        log.warning("%s is ended and started again: %s", probed.key, reason)
        self._end(probed.key, life, reason)

    async def _answers(self, probed: Probed) -> bool:
        try:
            connection = self._dial(probed.endpoint)
        except KeyError:
            return True  # the endpoint is on its way out, and its process with it
        except OSError:
            log.exception("no socket to probe %s", probed.key)
            return True
        loop = asyncio.get_running_loop()
        with contextlib.closing(connection):
            connection.setblocking(False)
            try:
                async with asyncio.timeout(probed.rules.timeout_s):
                    await loop.sock_connect(connection, ("127.0.0.1", probed.port))
                    await loop.sock_sendall(connection, _REQUEST)
                    return (await loop.sock_recv(connection, 4096)).startswith(_GOOD)
            except OSError:
                return False
