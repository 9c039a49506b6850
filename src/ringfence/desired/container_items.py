"""The part of the contract with drivers that is about containers; `state` holds the rest and all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ringfence.desired.item import PLATFORM_ADDRESS, Item, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder inside a container. shared: a name, for a folder that the containers of one group share; else files.

    files: name to content in base64. read_only: it cannot be written from this container.
    """

    path: str
    shared: str = ""
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container(Item):
    """A process whose root is an image, sandboxed, in an endpoint's namespace; containers there share its loopback.

    container: its name in its group. image: key of the Image. command: exec form, or empty for what the image says.
    variables, cpu, memory_mb, nonce: as a Workload's. restart: "Always", "OnFailure" or "Never".
    group: key that shared folders belong to.
    """

    rank: ClassVar[int] = 72
    endpoint: Key
    group: Key
    container: str
    image: Key
    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    volumes: tuple[Volume, ...] = ()
    cpu: float
    memory_mb: int
    restart: str = "Always"
    nameserver: str = PLATFORM_ADDRESS
    nonce: str = ""
