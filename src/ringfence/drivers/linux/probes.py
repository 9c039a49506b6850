"""Health probes: a connect or an HTTP GET from 168.63.129.16 to every target of every balancer.

Runs on the loop's thread. A change of health is handed to the balancer's slots at once.
What a probe may reach is for the rules to say: probes are judged as any other packet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringfence.desired.state import PLATFORM_ADDRESS, Balancer, Key, Target
from ringfence.drivers.linux.loop import LoopThread
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.kernel.nft import NftError

_log = logging.getLogger(__name__)

_EAGER_INTERVAL_S, _EAGER_TIMEOUT_S, _EAGER_FOR_S = 0.1, 0.5, 10.0
"""How a target is probed until its first answer: often, but not for ever."""
_LONGEST_TIMEOUT_S = 2.0
_LONGEST_STATUS_LINE = 4096
_IP_BIND_ADDRESS_NO_PORT = 24

Fill = Callable[[frozenset[Target]], None]


@dataclass
class _Watch:
    """The probing of one balancer."""

    router: Namespace
    item: Balancer
    fill: Fill
    healthy: set[Target]
    filled: frozenset[Target]
    tasks: dict[Target, asyncio.Task[None]] = field(default_factory=dict)


class Prober:
    """Watches balancers. Methods are for any thread but the loop's."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._watches: dict[Key, _Watch] = {}

    def watch(self, router: Namespace, item: Balancer, healthy: frozenset[Target], fill: Fill) -> None:
        """Probe the item's targets from now on, in place of what was watched under its key.

        healthy: targets taken for healthy until probes say otherwise. fill: told, on the loop's thread, who is healthy.
        """
        self._thread.call(self._watch, _Watch(router, item, fill, set(healthy), healthy))

    def forget(self, key: Key) -> None:
        self._thread.call(self._forget, key)

    def fingerprint(self, key: Key) -> str:
        """Of the balancer that is watched under this key; "" for none."""
        watch = self._watches.get(key)
        return "" if watch is None else watch.item.fingerprint

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        return self._thread.call(self._health)

    def _health(self) -> Mapping[Key, Mapping[str, bool]]:
        return {
            key: {f"{target.address}:{target.port}": target in watch.healthy for target in watch.item.targets}
            for key, watch in self._watches.items()
        }

    def _watch(self, watch: _Watch) -> None:
        self._forget(watch.item.key)
        self._watches[watch.item.key] = watch
        if not watch.item.probe_port:
            watch.healthy = set(watch.item.targets)
            _tell(watch)
            return
        for target in watch.item.targets:
            watch.tasks[target] = self._thread.loop.create_task(_follow(watch, target))

    def _forget(self, key: Key) -> None:
        watch = self._watches.pop(key, None)
        for task in watch.tasks.values() if watch else ():
            task.cancel()


async def _follow(watch: _Watch, target: Target) -> None:
    """Probe one target for ever: at once, then eagerly until it answers, then at the balancer's interval."""
    item = watch.item
    eager_until = time.monotonic() + _EAGER_FOR_S
    answered = target in watch.healthy
    failures = 0
    while True:
        eager = not answered and time.monotonic() < eager_until
        timeout = _EAGER_TIMEOUT_S if eager else min(item.probe_interval_s, _LONGEST_TIMEOUT_S)
        if await _answers(watch.router, item, target, timeout):
            answered, failures = True, 0
            watch.healthy.add(target)
        else:
            failures += 1
            if failures >= item.probe_threshold:
                watch.healthy.discard(target)
        _tell(watch)
        await asyncio.sleep(_EAGER_INTERVAL_S if eager and not answered else item.probe_interval_s)


def _tell(watch: _Watch) -> None:
    healthy = frozenset(watch.healthy)
    if healthy == watch.filled:
        return
    try:
        watch.fill(healthy)
    except (NftError, OSError):
        # The next probe tries again; a router that is gone takes its watches with it.
        _log.exception("the slots of %s could not be changed", watch.item.key)
    else:
        watch.filled = healthy


async def _answers(router: Namespace, item: Balancer, target: Target, timeout_s: float) -> bool:
    try:
        probe = router.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        _log.exception("no socket to probe a target of %s", item.key)
        return False
    with contextlib.closing(probe):
        probe.setblocking(False)
        probe.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            async with asyncio.timeout(timeout_s):
                probe.bind((PLATFORM_ADDRESS, 0))
                await asyncio.get_running_loop().sock_connect(probe, (target.address, item.probe_port))
                return item.probe_path is None or await _is_ok(probe, target, item.probe_path)
        except OSError:
            return False


async def _is_ok(probe: socket.socket, target: Target, path: str) -> bool:
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: {target.address}\r\nUser-Agent: Load Balancer Agent\r\nConnection: close\r\n\r\n"
    await loop.sock_sendall(probe, request.encode("ascii"))
    head = b""
    while b"\r\n" not in head and len(head) < _LONGEST_STATUS_LINE:
        received = await loop.sock_recv(probe, 1024)
        if not received:
            return False
        head += received
    return head.split(b" ", 2)[:2][-1] == b"200" and head.startswith(b"HTTP/1.")
