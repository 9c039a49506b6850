"""The part of the contract with drivers that is about what is: how far an item is, and why it is not. See `state`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringfence.desired.item import Key


class Readiness(Enum):
    """How far an observed item is."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A connection that did not come about: from an endpoint (by key) to an address. name: whose address it was."""

    source: Key
    address: str
    port: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a driver sees of one item. code and message say why it failed, in words for the resource's owner.

    flow: what did not get through, when that is why.
    """

    fingerprint: str
    readiness: Readiness = Readiness.READY
    code: str = ""
    message: str = ""
    flow: Flow | None = None
