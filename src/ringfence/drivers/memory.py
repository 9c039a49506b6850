"""A driver whose world is a dictionary: for tests and for trying the API without namespaces.

It obeys the contract of the real one (idempotent, ordered, honest about what failed) and
can be told to fail or to be slow. Nothing it holds carries a packet; `server --driver
memory` says so in its status.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ringfence.desired.diff import Plan
from ringfence.desired.state import (
    AnyItem,
    Balancer,
    Bundle,
    Container,
    Endpoint,
    Environment,
    Image,
    ImageBuild,
    Key,
    Network,
    Observed,
    Readiness,
    Router,
    Workload,
)
from ringfence.drivers.base import Failure, Instance, RuleCount

_T = TypeVar("_T")
_LIVING = (Environment, ImageBuild, Image, Bundle, Workload, Container, Router)


@dataclass(frozen=True, slots=True)
class _Held:
    item: AnyItem
    since: float


class MemoryDriver:
    """monotonic: seconds. All settings may be changed at any time, from any thread."""

    enforced = False

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._items: dict[Key, _Held] = {}
        self._refused: dict[str, tuple[str, str]] = {}
        self._broken: dict[str, tuple[str, str]] = {}
        self._slow: dict[str, float] = {}
        self._fault: Exception | None = None
        self._sick: set[str] = set()
        self._busy: dict[Key, Mapping[str, int]] = {}
        self.applied: list[Plan] = []

    def refuse(self, prefix: str, code: str, message: str) -> None:
        """Items whose key begins so cannot be made, nor removed."""
        self._refused[prefix] = (code, message)

    def break_after_start(self, prefix: str, code: str, message: str) -> None:
        """Living items whose key begins so are made, and are then seen as failed."""
        self._broken[prefix] = (code, message)

    def slow_down(self, prefix: str, seconds: float) -> None:
        """Living items whose key begins so take this long to be ready."""
        self._slow[prefix] = seconds

    def sicken(self, address: str) -> None:
        """A target (`address:port`) answers no probe any more."""
        self._sick.add(address)

    def burden(self, router: Key, requests: Mapping[str, int]) -> None:
        """A router has so many requests, by service."""
        self._busy[router] = requests

    def recover(self) -> None:
        """Forget every setting."""
        self._refused, self._broken, self._slow, self._fault = {}, {}, {}, None
        self._sick, self._busy = set(), {}

    def raise_on_observe(self, fault: Exception) -> None:
        """Every observation raises."""
        self._fault = fault

    def lose(self, key: Key) -> None:
        """An item vanishes, as when somebody deletes a namespace by hand."""
        with self._lock:
            del self._items[key]

    def observe(self) -> Mapping[Key, Observed]:
        if self._fault is not None:
            raise self._fault
        with self._lock:
            return {key: self._seen(held) for key, held in self._items.items()}

    def apply(self, plan: Plan) -> tuple[Failure, ...]:
        failures = []
        with self._lock:
            self.applied.append(plan)
            for key in plan.drop:
                if (why := _first(self._refused, key)) is not None:
                    failures.append(Failure(key, *why))
                else:
                    self._items.pop(key, None)
            for item in plan.put:
                if (why := _first(self._refused, item.key)) is not None:
                    failures.append(Failure(item.key, *why))
                else:
                    self._items[item.key] = _Held(item, self._monotonic())
        return tuple(failures)

    def logs(self, key: Key) -> str:
        held = self._items.get(key)
        return f"{key} is ready.\n" if held is not None and self._seen(held).readiness is Readiness.READY else ""

    def build_log(self, key: Key) -> str:
        held = self._items.get(key)
        if held is None or not isinstance(held.item, Environment):
            return ""
        return "".join(f"would install {line}\n" for line in held.item.pip)

    def instance(self, key: Key) -> Instance | None:
        held = self._items.get(key)
        if held is None:
            return None
        return Instance("Running" if self._seen(held).readiness is Readiness.READY else "Waiting")

    def terminal(self, key: Key, command: Sequence[str], rows: int, columns: int) -> socket.socket:
        """One that says what it was asked for, and then what it is told, until it is told `exit`."""
        held = self._items.get(key)
        if held is None or not isinstance(held.item, Container):
            raise KeyError(key)
        ours, theirs = socket.socketpair()
        theirs.sendall(f"{list(command)} {rows}x{columns}\r\n".encode())
        threading.Thread(target=_echo, args=(theirs,), daemon=True).start()
        return ours

    def counters(self, network: Key) -> tuple[RuleCount, ...]:
        return ()

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        with self._lock:
            found = [held.item for held in self._items.values() if isinstance(held.item, Balancer)]
        names = {item.key: [f"{target.address}:{target.port}" for target in item.targets] for item in found}
        return {key: {name: name not in self._sick for name in of} for key, of in names.items()}

    def load(self, key: Key) -> Mapping[str, int]:
        return self._busy.get(key, {})

    def namespace(self, key: Key) -> str:
        held = self._items.get(key)
        if held is None or not isinstance(held.item, Endpoint | Network):
            raise KeyError(key)
        return f"memory:{key}"

    def open_socket(self, key: Key, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket of the host: there are no namespaces."""
        return socket.socket(family, kind, socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else 0)

    def _seen(self, held: _Held) -> Observed:
        key, fingerprint = held.item.key, held.item.fingerprint
        if not isinstance(held.item, _LIVING):
            return Observed(fingerprint)
        if self._monotonic() - held.since < (_first(self._slow, key) or 0.0):
            return Observed(fingerprint, Readiness.STARTING)
        if (why := _first(self._broken, key)) is not None:
            return Observed(fingerprint, Readiness.FAILED, *why)
        return Observed(fingerprint)


def _echo(connection: socket.socket) -> None:
    with connection:
        while (data := connection.recv(4096)) and data.strip() != b"exit":
            connection.sendall(data)


def _first(settings: Mapping[str, _T], key: Key) -> _T | None:
    return next((value for prefix, value in settings.items() if key.startswith(prefix)), None)
