"""The books: the snapshot in memory, the transactions that change it, and how operations end in it.

`Ledger.write()` is one transaction of the store; what was read in it is what is written.
When something may be written is decided by `engine`; when an operation has ended, by
`reconciler`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import sqlalchemy as sa

from ringfence.control import explanations, judgement, operations, resources, store, wording
from ringfence.control.judgement import Outcome
from ringfence.control.operations import Kind, Operation, Status
from ringfence.desired.build import build
from ringfence.desired.state import AnyItem, Key, Observed, State, Workload
from ringfence.model import serving
from ringfence.model.resource import Allocation, ProvisioningState, Resource, Snapshot

log = logging.getLogger(__name__)

#: Old operations are forgotten once in so many versions.
_FORGET_EVERY = 256


class Ledger:
    """The one writer of resources and operations."""

    def __init__(self, opened: store.Store, clock: Callable[[], dt.datetime]) -> None:
        self._store = opened
        self._clock = clock
        self._writing = threading.Lock()
        self._ended = threading.Condition()
        with opened.read() as connection:
            self._snapshot = resources.load(connection)
        self._state: State | None = None

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def wanted(self) -> tuple[int, State]:
        with self._writing:
            if self._state is None:
                self._state = build(self._snapshot)
            return self._snapshot.version, self._state

    @contextlib.contextmanager
    def write(self) -> Iterator[Change]:
        """One transaction. It becomes visible when the block ends, and never was when the block raises."""
        with self._writing:
            with self._store.begin() as connection:
                change = Change(connection, self._current(connection), self._state, self._clock())
                yield change
                change.store()
            self._snapshot, self._state = change.after, change.state
        if change.ended:
            self._announce()

    def pending(self) -> tuple[Operation, ...]:
        with self._store.read() as connection:
            return operations.pending(connection)

    def operation(self, id: str) -> Operation | None:
        with self._store.read() as connection:
            found = operations.find(connection, id)
        if found is not None and found.status.terminal:
            # A commit is seen in the store a moment before the snapshot in memory follows; whoever learns
            # of the end here has to find its outcome there.
            with self._writing:
                pass
        return found

    def latest(self, resource: str) -> Operation | None:
        with self._store.read() as connection:
            return operations.latest(connection, resource)

    def await_end(self, id: str, timeout_s: float) -> Operation | None:
        """Block until the operation has ended, or for so long; then the operation, None if it is forgotten."""
        deadline = time.monotonic() + timeout_s
        with self._ended:
            while (found := self.operation(id)) is not None and not found.status.terminal:
                left = deadline - time.monotonic()
                if left <= 0 or not self._ended.wait(left):
                    break
        return found

    def now(self) -> dt.datetime:
        return self._clock()

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        with self.write() as change:
            for outcome in outcomes:
                change.end(outcome)

    def explained(self, observed: Mapping[Key, Observed]) -> Mapping[Key, Observed]:
        return explanations.explained(self._snapshot, observed)

    def recover(self, observed: Mapping[Key, Observed], failures: Collection[Key]) -> None:
        """A service whose deployment failed for want of its image works once the image came: it is not asked for again."""
        if not self._recovered(observed, failures):
            return
        with self.write() as change:
            found = self._recovered(observed, failures)
            held = {key for operation in operations.pending(change.connection) for key in operation.covers}
            states = [dataclasses.replace(r, state=ProvisioningState.SUCCEEDED) for r in found if r.key not in held]
            change.become(change.before.changed(states), states, ())
            log.info("%d services work that had failed", len(states))

    def _recovered(self, observed: Mapping[Key, Observed], failures: Collection[Key]) -> list[Resource]:
        failed = [r for r in self._snapshot.of_type(serving.SERVICE) if r.state is ProvisioningState.FAILED]
        if not failed:
            return []
        state = self._state if self._state is not None else build(self._snapshot)

        def works(service: Resource) -> bool:
            owned = judgement.owned(state, frozenset({service.key}))
            runs = any(isinstance(state.items[key], Workload) for key in owned)
            return runs and all(key not in failures and judgement.stands(state.items[key], observed.get(key)) for key in owned)

        return [service for service in failed if works(service)]

    def note(self, progress: Mapping[str, str]) -> None:
        with self._store.begin() as connection:
            for id, text in progress.items():
                operations.add_event(connection, id, self._clock(), text)

    def _current(self, connection: sa.Connection) -> Snapshot:
        if store.version(connection) != self._snapshot.version:
            log.warning("the store was changed by another process; reading it again")
            self._snapshot, self._state = resources.load(connection), None
        return self._snapshot

    def _announce(self) -> None:
        with self._ended:
            self._ended.notify_all()


class Change:
    """What one transaction changes. `become` or `end` first, `begin` after; `store` writes the rows."""

    def __init__(self, connection: sa.Connection, before: Snapshot, state: State | None, now: dt.datetime) -> None:
        self.before = self.after = before
        self.state = state
        self.ended = False
        self.connection = connection
        self._now = now
        self._written: dict[str, Resource] = {}
        self._gone: set[str] = set()
        self._allocated: tuple[Allocation, ...] = ()
        self._released: tuple[tuple[str, str], ...] = ()
        self._changed = False

    def become(
        self,
        after: Snapshot,
        written: Sequence[Resource],
        allocated: Sequence[Allocation],
        released: Sequence[tuple[str, str]] = (),
    ) -> None:
        """The snapshot to be, the resources in it that differ, new allocations, and those given back (owner, purpose)."""
        self.after = after
        self._written |= {resource.key: resource for resource in written}
        self._allocated, self._released = tuple(allocated), tuple(released)
        self._changed = True

    def follow(self) -> None:
        """What shall exist follows from this change, and no operation waits for it."""
        old = self.state if self.state is not None else build(self.before)
        self.state = _interned(build(self.after), old)

    def begin(self, operation: Operation, covers: frozenset[str]) -> Operation:
        """Store an operation over the resources `covers`. Ends it at once when nothing follows from it.

        Operations in progress about the same resources end Canceled, unless they delete; this one waits for
        what they waited for.
        """
        old = self.state if self.state is not None else build(self.before)
        self.state = _interned(build(self.after), old)
        touches = {
            key for key in old.items.keys() | self.state.items.keys() if old.items.get(key) is not self.state.items.get(key)
        }
        for earlier in operations.pending(self.connection, covers):
            touches |= earlier.touches
            if earlier.kind is not Kind.DELETE:
                covers |= earlier.covers & self.after.resources.keys()
                self._end(earlier, Status.CANCELED, wording.SUPERSEDED, wording.superseded(earlier.resource_id))
        begun = dataclasses.replace(operation, covers=covers, touches=frozenset(touches), revision=self.before.version + 1)
        operations.insert(self.connection, begun)
        if begun.deploys or touches or judgement.owned(self.state, covers):
            return begun
        return self.end(Outcome(begun, Status.SUCCEEDED))

    def end(self, outcome: Outcome) -> Operation:
        """Store how an operation ended, unless it has by now, and what its resources are then."""
        operation = outcome.operation
        if operation.ended_at is not None or not operations.is_pending(self.connection, operation.id):
            return operation
        ended = self._end(operation, outcome.status, outcome.code, outcome.message)
        held = {key for other in operations.pending(self.connection) for key in other.covers}
        blamed = self._blamed(outcome)
        for key in operation.covers - held:
            resource = self.after.get(key)
            if resource is None or resource.state.terminal:
                continue
            if resource.state is ProvisioningState.DELETING:
                self._gone.add(key)
            else:
                state = ProvisioningState.FAILED if key in blamed else ProvisioningState.SUCCEEDED
                self._written[key] = dataclasses.replace(resource, state=state)
        self.after = self.after.changed((r for k, r in self._written.items() if k not in self._gone), self._gone)
        self._changed = True
        return ended

    def deleting(self, resource: Resource) -> Operation | None:
        """The operation that is deleting a resource."""
        for operation in operations.pending(self.connection):
            if operation.kind is Kind.DELETE and resource.key in operation.covers:
                return operation
        return operations.latest(self.connection, resource.key)

    def store(self) -> None:
        """Write the rows."""
        if not self._changed:
            return
        resources.write(self.connection, [r for k, r in self._written.items() if k not in self._gone])
        resources.release(self.connection, self._released)
        resources.allocate(self.connection, [a for a in self._allocated if a.owner not in self._gone])
        resources.remove(self.connection, self._gone)
        self.after = self.after.changed(version=store.advance(self.connection))
        if self.after.version % _FORGET_EVERY == 0:
            operations.forget_old(self.connection)

    def _blamed(self, outcome: Outcome) -> set[str]:
        """The resources that a failed operation leaves Failed: the one it was about, and owners of what failed."""
        if outcome.status is not Status.FAILED:
            return set()
        items = [self.state.items.get(key) for key in outcome.failed] if self.state is not None else []
        return {outcome.operation.resource, *(owner for item in items if item is not None for owner in item.owners)}

    def _end(self, operation: Operation, status: Status, code: str, message: str) -> Operation:
        ended = dataclasses.replace(operation, status=status, code=code, message=message, ended_at=self._now)
        operations.end(self.connection, ended)
        self.ended = True
        if status is Status.FAILED:
            log.warning("%s of %s failed: %s: %s", operation.kind.value, operation.resource_id, code, message)
        return ended


def _interned(new: State, old: State) -> State:
    """The new state with equal items taken from the old one, so that their fingerprints are known already."""
    items: dict[Key, AnyItem] = {}
    for key, item in new.items.items():
        before = old.items.get(key)
        items[key] = before if before == item else item
    return State(items, new.refused)
