"""The reconciler: makes the world equal to what was accepted, again and again, and ends operations.

One thread. A pass takes no argument: it reads what shall exist and what does, has the
driver apply the difference, and judges every pending operation by what it then sees.
Hints only wake it earlier. A pass that raises is logged once and tried again, more and
more slowly; the thread lives until it is stopped.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ringfence.control.judgement import Outcome, judge, retried
from ringfence.control.operations import Operation
from ringfence.desired import diff
from ringfence.desired.diff import Plan
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
from ringfence.drivers.base import Driver, Failure

log = logging.getLogger(__name__)

#: How long an observation is trusted while nothing is starting or failing, in seconds: drift is found within this time.
SETTLED_S = 5.0
#: Waiting times while something starts: the first, by how much each is longer, the longest.
_FIRST_S, _GROWTH, _LONGEST_S = 0.02, 1.5, 0.5
#: Waiting times after a pass that raised.
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.2, 10.0
#: Rounds of one pass: each makes what the one before made possible.
_MOST_ROUNDS = 12
#: Items that go on changing after the driver has made them. All others are complete once `apply` returns.
_LIVING = (Environment, ImageBuild, Image, Bundle, Workload, Container, Router)


class Ledger(Protocol):
    """What the reconciler needs of the engine."""

    def wanted(self) -> tuple[int, State]:
        """The version of the store, and what shall exist by it."""
        ...

    def pending(self) -> tuple[Operation, ...]:
        """Operations in progress, oldest first."""
        ...

    def now(self) -> dt.datetime:
        """With a zone."""
        ...

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Store how operations ended, and what that means for their resources."""
        ...

    def explained(self, observed: Mapping[Key, Observed]) -> Mapping[Key, Observed]:
        """What was seen, with the rules that decided it in its messages."""
        ...

    def recover(self, observed: Mapping[Key, Observed], failures: Collection[Key]) -> None:
        """Store that services work after all whose deployment had failed."""
        ...

    def note(self, progress: Mapping[str, str]) -> None:
        """Store what operations (by id) are waiting for, in words."""
        ...


@dataclass(slots=True)
class _Sight:
    """What is known of the world, and until when that is trusted."""

    observed: dict[Key, Observed] = field(default_factory=dict)
    until: float = 0.0


class Reconciler:
    """`start()`, `wake()`, `stop()`. monotonic: seconds."""

    def __init__(self, ledger: Ledger, driver: Driver, monotonic: Callable[[], float]) -> None:
        self._ledger = ledger
        self._driver = driver
        self._monotonic = monotonic
        self._wakened = threading.Event()
        self._stopped = threading.Event()
        self._passed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._sight = _Sight()
        self._retried: set[str] = set()
        self._noted: dict[str, str] = {}
        self._failing: Mapping[Key, Failure] = {}
        self.settled = False

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wakened.set()

    def stop(self) -> None:
        """End after the pass that is under way."""
        self._stopped.set()
        self._wakened.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_for(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Ask after every pass whether something is true, for so long."""
        with self._passed:
            return self._passed.wait_for(true, timeout_s)

    @property
    def observed(self) -> Mapping[Key, Observed]:
        """What was seen last."""
        return self._sight.observed

    def _run(self) -> None:
        delay, faults, last = 0.0, 0, ""
        while not self._stopped.is_set():
            self._wakened.clear()
            try:
                busy = self.reconcile()
            except Exception as error:  # whatever a driver raises, the other resources go on
                faults += 1
                fault = f"{type(error).__name__}: {error}"
                if fault != last:
                    log.exception("a reconciling pass failed; it will be tried again")
                last, self._sight.until, self.settled = fault, 0.0, False
                self._stopped.wait(min(_BACKOFF_S * 2 ** min(faults - 1, 10), _LONGEST_BACKOFF_S))
                continue
            if last:
                log.info("reconciling goes on after %d failed passes", faults)
            faults, last = 0, ""
            delay = min(max(delay * _GROWTH, _FIRST_S), _LONGEST_S) if busy else 0.0
            if self._wakened.wait(delay if busy else SETTLED_S):
                delay = 0.0

    def reconcile(self) -> bool:
        """One pass. Returns whether something is still starting or waiting."""
        version, state = self._ledger.wanted()
        pending = [operation for operation in self._ledger.pending() if operation.revision <= version and not operation.deploys]
        observed = dict(self._look())
        for key in retried(state, observed, [o for o in pending if o.id not in self._retried]):
            del observed[key]
        self._retried = {operation.id for operation in pending}
        failures = self._apply(state, observed)
        outcomes, progress = judge(state, self._ledger.explained(self._sight.observed), failures, pending, self._ledger.now())
        if outcomes:
            self._ledger.finish(outcomes)
        self._ledger.recover(self._sight.observed, failures)
        self._tell({id: text for id, text in progress.items() if self._noted.get(id) != text})
        self._noted = progress
        busy = bool(progress) or _unsettled(state, self._sight.observed)
        if busy or failures:
            self._sight.until = 0.0
        self.settled = not (busy or failures)
        with self._passed:
            self._passed.notify_all()
        return busy

    def _tell(self, news: Mapping[str, str]) -> None:
        if news:
            self._ledger.note(news)

    def _look(self) -> Mapping[Key, Observed]:
        """The last sight while it is trusted, else a new one."""
        if self._monotonic() >= self._sight.until:
            self._sight = _Sight(dict(self._driver.observe()), self._monotonic() + SETTLED_S)
        return self._sight.observed

    def _apply(self, state: State, observed: dict[Key, Observed]) -> Mapping[Key, Failure]:
        """Apply plans until nothing is left that can be done now. Returns what failed, each tried once."""
        failures: dict[Key, Failure] = {}
        for _ in range(_MOST_ROUNDS):
            plan = _without(diff.plan(state, observed), failures)
            if not (plan.put or plan.drop):
                break
            new = self._driver.apply(plan)
            failures |= {failure.key: failure for failure in new}
            observed = self._see(plan, {failure.key for failure in new})
        for failure in failures.values():
            if self._failing.get(failure.key) != failure:
                log.warning("%s is not as wanted: %s: %s", failure.key, failure.code, failure.message)
        self._failing = failures
        return failures

    def _see(self, plan: Plan, failed: Collection[Key]) -> dict[Key, Observed]:
        """The world after a plan: by what the driver acknowledged, or looked at again where that does not tell."""
        if failed or any(isinstance(item, _LIVING) for item in plan.put):
            self._sight.until = 0.0
            return dict(self._look())
        seen = {key: value for key, value in self._sight.observed.items() if key not in plan.drop}
        seen |= {item.key: Observed(item.fingerprint) for item in plan.put}
        self._sight = _Sight(seen, self._sight.until)
        return dict(seen)


def _without(plan: Plan, failures: Collection[Key]) -> Plan:
    put = tuple(item for item in plan.put if item.key not in failures)
    return Plan(put, tuple(key for key in plan.drop if key not in failures), plan.waiting)


def _unsettled(state: State, observed: Mapping[Key, Observed]) -> bool:
    """Whether something wanted is still on its way. What failed is not: it stays so until it is asked for again."""
    return any(_on_its_way(item, observed.get(item.key)) for item in state)


def _on_its_way(item: AnyItem, seen: Observed | None) -> bool:
    return seen is not None and seen.readiness is Readiness.STARTING and seen.fingerprint == item.fingerprint
