"""What a rule of admission is given, and what it may answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from ringfence.model import errors
from ringfence.model.resource import Resource, Snapshot


@dataclass(frozen=True, slots=True)
class Advice:
    """What Azure advises against but allows."""

    message: str


@dataclass(frozen=True, slots=True)
class Case:
    """A resource about to be stored. snapshot: everything as it would be afterwards. old: what the resource was, if it was."""

    snapshot: Snapshot
    new: Resource
    old: Resource | None


Finding = errors.Problem | Advice
Rule = Callable[[Case], Iterator[Finding]]


#: The length of a prefix in CIDR notation: a number, and neither a mask nor a number with zeros before it.
LENGTH = re.compile(r"/(0|[1-9][0-9]?)", re.ASCII)


@lru_cache(maxsize=16_384)
def ipv4(text: str) -> IPv4Network | None:
    """A network in CIDR notation without host bits, or None."""
    if LENGTH.fullmatch(text[text.find("/") :]) is None:
        return None
    try:
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def unsupported(what: str, target: str, way_out: str = "Remove it.") -> errors.Unsupported:
    """The refusal of something that would be promised and not kept."""
    return errors.Unsupported("NotSupported", f"Ringfence cannot enforce {what}. {way_out}", target=target)
