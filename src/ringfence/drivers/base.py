"""The seam between the engine and the hands: what a driver must be able to do.

A driver makes no choices. Every verb is idempotent, every object it makes is stamped
so that a fresh process recognises it as ours, and what it cannot enforce it refuses.
The drivers themselves live beside this file; which one runs is decided in `server`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ringfence.desired.diff import Plan
from ringfence.desired.state import Image, ImageBuild, Key, Observed


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be made. code: Azure's code where one fits; message: fact and remedy."""

    key: Key
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Packets that one rule of one NSG decided since it was loaded."""

    rule_set: str  # RuleSet.id
    direction: str  # "inbound" | "outbound"
    rule: str
    allow: bool
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a host signs in at a registry with: an Entra token of its identity, or a user and password.

    A host that acts as a service principal (`client_id`) has neither: it gets its token at the sign-in service of
    `tenant`, through its own network, with `assertion` in place of the secret that nobody keeps.
    """

    token: str = ""
    client_id: str = ""
    tenant: str = ""
    assertion: str = ""
    username: str = ""
    password: str = ""


class Registries(Protocol):
    """What a driver needs of those who keep images. Callable from any thread."""

    def builds(self) -> Mapping[Key, Observed]:
        """How the images that were ordered stand; those that were made before are there without an order."""
        ...

    def build(self, item: ImageBuild, environment: Path) -> None:
        """Order an image of a finished environment's folder."""
        ...

    def forget(self, key: Key) -> None:
        """An image is no longer wanted."""
        ...

    def credential(self, item: Image) -> Credential | None:
        """What to sign in with, None for nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Instance:
    """What is seen of one container. state: "Waiting", "Running" or "Terminated". Times in seconds since 1970.

    detail: Kubernetes' word for the state (`CrashLoopBackOff`, `Completed`, `Error`). previous: its life before, if it had one.
    exit_code: of one that ended, 128 and the signal for one that was killed.
    """

    state: str
    detail: str = ""
    began: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    restarts: int = 0
    previous: Instance | None = None


class Driver(Protocol):
    """The verbs of a place where desired state can be made true. Called from one thread at a time, but `dial` from any."""

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of ours that exists now, read from the kernel and never from memory alone."""
        ...

    def apply(self, plan: Plan) -> tuple[Failure, ...]:
        """Make the plan true, drops first where a put reuses what they held. Failures of one item do not stop the others."""
        ...

    def logs(self, key: Key) -> str:
        """What a workload or router has printed (the newest 256 KiB), or "" when it has not run."""
        ...

    def build_log(self, key: Key) -> str:
        """What the build of an environment has printed so far."""
        ...

    def instance(self, key: Key) -> Instance | None:
        """What is seen of a container or a scoring process; None when nothing of it was started. Callable from any thread."""
        ...

    def terminal(self, key: Key, command: Sequence[str], rows: int, columns: int) -> socket.socket:
        """Run a command in a container, at a terminal; its bytes pass through the socket. Callable from any thread.

        Raises KeyError when the container does not run, OSError when the command cannot be started.
        """
        ...

    def counters(self, network: Key) -> tuple[RuleCount, ...]:
        """How many packets each rule decided, from the kernel."""
        ...

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        """For each balancer, which targets (`address:port`) answer its probe."""
        ...

    def load(self, key: Key) -> Mapping[str, int]:
        """Of an inference router: how many requests each service has, waiting ones included; {} while it does not say."""
        ...

    def namespace(self, key: Key) -> str:
        """The path, inside the sandbox, of the network namespace of an endpoint or a network. Raises KeyError."""
        ...

    def open_socket(self, key: Key, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket that lives in the namespace of an endpoint or a network. Callable from any thread. Raises KeyError."""
        ...
