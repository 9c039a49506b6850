"""Whether an operation has ended: what was wanted against what is seen. Pure; the reconciler asks, the engine stores.

An operation concerns the items it added, changed or removed, and those its resources own.
It succeeds when each of them is there and ready, or gone if it is no longer wanted; it
fails with the first of them that failed. A deletion does not fail: it ends when it is true.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ringfence.control.operations import Kind, Operation, Status
from ringfence.desired.state import (
    AnyItem,
    Bundle,
    Container,
    Environment,
    Image,
    ImageBuild,
    Key,
    Observed,
    Readiness,
    Router,
    State,
    Workload,
)
from ringfence.drivers.base import Failure

#: How long an operation waits for a right that is missing: clients grant it while what they asked for is being made.
PATIENCE = dt.timedelta(seconds=4)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended. failed: keys of desired items that are to blame."""

    operation: Operation
    status: Status
    code: str = ""
    message: str = ""
    failed: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class _Open:
    """Something that is not as wanted yet, in words; or why it never will be."""

    waiting: str = ""
    code: str = ""
    message: str = ""


def judge(
    state: State,
    observed: Mapping[Key, Observed],
    failures: Mapping[Key, Failure],
    pending: Iterable[Operation],
    now: dt.datetime,
) -> tuple[list[Outcome], dict[str, str]]:
    """Outcomes of those that ended; for the others, by operation id, what they wait for."""
    outcomes, progress = [], {}
    for operation in pending:
        found = {key: _open(state.items.get(key), observed.get(key), failures.get(key)) for key in concerned(state, operation)}
        faults = {key: f for key, f in sorted(found.items()) if f is not None and f.code}
        waits = [f.waiting for _, f in sorted(found.items()) if f is not None and f.waiting]
        refused = [state.refused[key] for key in sorted(operation.covers) if key in state.refused]
        if refused and operation.kind is not Kind.DELETE and not (faults or waits):
            if now - operation.created_at < PATIENCE:
                progress[operation.id] = f"waiting for a role assignment: {refused[0].message}"
            else:
                outcomes.append(Outcome(operation, Status.FAILED, refused[0].code, refused[0].message))
        elif faults and operation.kind is not Kind.DELETE:
            first = next(iter(faults.values()))
            outcomes.append(Outcome(operation, Status.FAILED, first.code, first.message, frozenset(faults)))
        elif faults or waits:
            progress[operation.id] = waits[0] if waits else f"waiting: {next(iter(faults.values())).message}"
        else:
            outcomes.append(Outcome(operation, Status.SUCCEEDED))
    return outcomes, progress


def concerned(state: State, operation: Operation) -> set[Key]:
    """The items an operation waits for."""
    return set(operation.touches) | owned(state, operation.covers)


def owned(state: State, resources: frozenset[str]) -> set[Key]:
    """The items that one of these resources (by key) owns."""
    return {item.key for item in state if not resources.isdisjoint(item.owners)}


def retried(state: State, observed: Mapping[Key, Observed], new: Iterable[Operation]) -> set[Key]:
    """Items that failed before and are asked for again by a new operation."""
    wanted = {key for operation in new for key in concerned(state, operation)}
    return {key for key in wanted if key in observed and observed[key].readiness is Readiness.FAILED}


def stands(item: AnyItem | None, seen: Observed | None) -> bool:
    """Whether an item that is wanted is there, as wanted, and ready."""
    if item is None or seen is None:
        return False
    return seen.fingerprint == item.fingerprint and seen.readiness is Readiness.READY


def _open(item: AnyItem | None, seen: Observed | None, failure: Failure | None) -> _Open | None:
    """What keeps one item from being as wanted; None when nothing does."""
    if failure is not None:
        return _Open(code=failure.code, message=failure.message)
    if item is None:
        return None if seen is None else _Open(waiting="removing what is no longer needed")
    if seen is None or seen.fingerprint != item.fingerprint:
        return _Open(waiting=_words(item))
    match seen.readiness:
        case Readiness.READY:
            return None
        case Readiness.STARTING:
            return _Open(waiting=_words(item))
        case Readiness.FAILED:
            return _Open(code=seen.code or "InternalServerError", message=seen.message or f"{item.key} failed.")


def _words(item: AnyItem) -> str:
    match item:
        case Environment():
            return "building the environment"
        case ImageBuild():
            return "pushing the image"
        case Image():
            return "pulling the image"
        case Bundle():
            return "laying out the files"
        case Workload() | Container():
            return "starting the containers"
        case Router():
            return "updating the inference router"
        case _:
            return "programming the network"
