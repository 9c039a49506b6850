"""What to change: the difference between a State and what a driver observes.

Pure. Creates come before what refers to them (by rank), deletes after; an item whose
needs are not ready yet waits for a later round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.desired.state import AnyItem, Key, Observed, Readiness, State


@dataclass(frozen=True, slots=True)
class Plan:
    """put: items to create or replace, in order. drop: keys to remove, in order. waiting: keys held back by their needs."""

    put: tuple[AnyItem, ...] = ()
    drop: tuple[Key, ...] = ()
    waiting: tuple[Key, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.put or self.drop)


#: Kinds of key from the last to be dropped to the first, beside the ranks of the item classes.
_DROP_ORDER = ("router", "pod", "ctr", "dns", "lb", "filter", "svc", "peer", "nic", "net", "bundle", "img", "build", "env")


def plan(state: State, observed: Mapping[Key, Observed]) -> Plan:
    """What makes `observed` equal to `state`. Failed items are left alone until their fingerprint changes."""
    put, waiting = [], []
    for item in sorted(state, key=lambda i: (i.rank, i.key)):
        seen = observed.get(item.key)
        if seen is not None and seen.fingerprint == item.fingerprint:
            continue
        if all(_ready(state, observed, need) for need in item.needs):
            put.append(item)
        else:
            waiting.append(item.key)
    surplus = [key for key in observed if key not in state.items]
    drop = sorted(surplus, key=lambda key: (_drop_rank(key), key))
    return Plan(tuple(put), tuple(drop), tuple(waiting))


def _ready(state: State, observed: Mapping[Key, Observed], key: Key) -> bool:
    wanted, seen = state.items.get(key), observed.get(key)
    if wanted is None or seen is None:
        return False
    return seen.fingerprint == wanted.fingerprint and seen.readiness is Readiness.READY


def _drop_rank(key: Key) -> int:
    kind = key.partition("/")[0]
    return _DROP_ORDER.index(kind) if kind in _DROP_ORDER else -1
