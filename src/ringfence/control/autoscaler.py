"""The autoscaler: asks the inference routers how busy they are, and stores how many replicas follow from it.

One thread. The decision is `policy.autoscaling`'s; here it is held against the room on the nodes
and stored in the service, without an operation, because nobody waits for it. What was seen is
forgotten with the process: a new one waits a minute before it takes replicas away.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ringfence.control import judgement
from ringfence.control.ledger import Change, Ledger
from ringfence.desired import alloc, keys
from ringfence.desired.state import Key, Observed
from ringfence.drivers.base import Driver
from ringfence.model import errors, serving
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.model.serving import Scale
from ringfence.policy import autoscaling, places
from ringfence.policy.admission import ml as ml_rules
from ringfence.policy.autoscaling import CALM_S, Sample

log = logging.getLogger(__name__)

#: How often routers are asked: while nobody asks them anything, and while somebody does.
_IDLE_S, _BUSY_S = 1.0, 0.2


@dataclass(slots=True)
class _Sight:
    """What was seen of one service. raw: since the last decision; samples: one for each decision, for CALM_S."""

    decided: float
    raw: list[int] = field(default_factory=list)
    samples: deque[Sample] = field(default_factory=deque)


class Autoscaler:
    """observed: what the reconciler saw last. changed: told when there is something to do. monotonic: seconds."""

    def __init__(
        self,
        ledger: Ledger,
        driver: Driver,
        observed: Callable[[], Mapping[Key, Observed]],
        changed: Callable[[], None],
        *,
        clock: Callable[[], dt.datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger, self._driver = ledger, driver
        self._observed, self._changed = observed, changed
        self._clock, self._monotonic = clock, monotonic
        self._sights: dict[str, _Sight] = {}
        self._cramped: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autoscaler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Measure once, and decide for whom the time has come. Returns whether any service is busy."""
        scaled = list(_scaled(self._ledger.snapshot()))
        self._sights = {key: sight for key, sight in self._sights.items() if key in {s.key for s in scaled}}
        loads = {router: self._driver.load(router) for router in {_router(service) for service in scaled}}
        now, busy = self._monotonic(), False
        for service in scaled:
            assert isinstance(service.properties, serving.Service)
            sight = self._sights.setdefault(service.key, _Sight(now))
            requests = loads[_router(service)].get(service.id.name)
            if requests is None:
                continue
            busy = busy or requests > 0
            sight.raw.append(requests)
            if now - sight.decided >= service.properties.auto_scaler.period_s:
                self._decide(service, sight, now)
        return busy

    def _run(self) -> None:
        wait, last = _IDLE_S, ""
        while not self._stopped.wait(wait):
            try:
                wait = _BUSY_S if self.look() else _IDLE_S
                last = ""
            except Exception as error:  # whatever one service or router does, the others are scaled
                if str(error) != last:
                    log.exception("the autoscaler failed; it goes on")
                wait, last = _IDLE_S, str(error)

    def _decide(self, service: Resource, sight: _Sight, now: float) -> None:
        assert isinstance(service.properties, serving.Service)
        sight.samples.append(Sample(now, sum(sight.raw) / len(sight.raw)))
        sight.raw.clear()
        sight.decided = now
        # One sample from before the window stays: it shows that the window is a whole one.
        while len(sight.samples) > 1 and sight.samples[1].at <= now - CALM_S:
            sight.samples.popleft()
        count = autoscaling.aim(sight.samples, service.properties)
        scale = autoscaling.step(service.properties, count, self._ready(service), self._clock())
        if scale is not None:
            self._store(service, scale)

    def _ready(self, service: Resource) -> int:
        """How many of its replicas, from the first on, stand ready."""
        assert isinstance(service.properties, serving.Service)
        state, observed = self._ledger.wanted()[1], self._observed()
        wanted = (keys.pod(service.key, number) for number in range(service.properties.replicas))
        standing = [judgement.stands(state.items.get(key), observed.get(key)) for key in wanted]
        return standing.index(False) if False in standing else len(standing)

    def _store(self, service: Resource, scale: Scale) -> None:
        """Store it, or what of it there is room for."""
        assert isinstance(service.properties, serving.Service)
        with self._ledger.write() as change:
            if change.before.get(service.key) is not service:
                return  # it has changed since; the next look decides again
            for running in range(scale.running, min(scale.running, service.properties.replicas) - 1, -1):
                if _written(change, service, scale.model_copy(update={"running": running, "routed": min(scale.routed, running)})):
                    break
            else:
                return
        self._tell(service, scale.running, running)
        if running != service.properties.replicas or scale.routed != service.properties.routed:
            self._changed()

    def _tell(self, service: Resource, wanted: int, got: int) -> None:
        if wanted == got:
            self._cramped.discard(service.key)
        elif service.key not in self._cramped:
            self._cramped.add(service.key)
            log.warning("%s has %d replicas; its nodes have no room for the %d that its load asks for", service.id, got, wanted)


def _written(change: Change, service: Resource, scale: Scale) -> bool:
    """Whether there is room for it; then it is part of the change."""
    assert isinstance(service.properties, serving.Service)
    draft = dataclasses.replace(service, properties=service.properties.model_copy(update={"scale": scale}))
    after = change.before.changed([draft])
    where = places.compute_of(service)
    cluster = after.get(where) if where is not None else None
    if cluster is None:
        return False
    grows = scale.running > service.properties.replicas
    if grows and any(True for _ in ml_rules.services_fit(after, cluster, "autoScaler")):
        return False
    try:
        allocated = alloc.plan_all(after, [draft]) if grows else ()
    except errors.Invalid:
        return False
    released = _unused(after, draft, scale.running)
    change.become(after.changed(allocated=allocated, released=released), [draft], allocated, released)
    change.follow()
    return True


def _unused(snapshot: Snapshot, service: Resource, running: int) -> list[tuple[str, str]]:
    """Addresses of replicas that are no more."""
    kept = {places.replica(number) for number in range(running)}
    held = [a.purpose for a in snapshot.allocated(service.key) if a.purpose.startswith(places.replica(0)[:-1])]
    return [(service.key, purpose) for purpose in held if purpose not in kept]


def _scaled(snapshot: Snapshot) -> Iterator[Resource]:
    """Services whose number of replicas follows the load, and that nobody is changing."""
    for service in snapshot.of_type(serving.SERVICE):
        assert isinstance(service.properties, serving.Service)
        settled = service.state is ProvisioningState.SUCCEEDED
        if settled and service.properties.auto_scaler.autoscale_enabled and places.compute_of(service) is not None:
            yield service


def _router(service: Resource) -> Key:
    where = places.compute_of(service)
    assert where is not None
    return keys.router(where.key)
