"""The autoscaler on a real store: replicas come when there is load, serve when ready, and go without losing anything."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator

import pytest
from tests import clouds
from tests.clouds import NOW
from tests.control.engine_world import COMPUTE, WORKSPACE, World

from ringfence.control.autoscaler import Autoscaler
from ringfence.control.operations import Status
from ringfence.desired import keys
from ringfence.desired.state import Router, Workload
from ringfence.drivers.memory import MemoryDriver
from ringfence.model import serving

SERVICE = f"{WORKSPACE}/services/diabetes"
#: Long enough for the last request of a replica that gets no more.
DRAINED = dt.timedelta(minutes=2)


@dataclasses.dataclass
class Scaled:
    """A world with a service whose replicas follow what `meter` says; its own autoscaler sees no load at all."""

    world: World
    meter: MemoryDriver
    scaler: Autoscaler = dataclasses.field(init=False)
    seconds: float = 0.0
    time: dt.datetime = NOW

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        """As after a restart of the control plane."""
        engine = self.world.engine
        self.scaler = Autoscaler(
            engine._ledger,
            self.meter,
            engine.observed,
            engine._reconciler.wake,
            clock=lambda: self.time,
            monotonic=lambda: self.seconds,
        )

    def after(self, requests: int, seconds: float = 1.0) -> None:
        """So much time passes with so many requests under way, and everything comes to rest."""
        self.meter.burden(keys.router(clouds.rid(COMPUTE).key), {"diabetes": requests})
        self.scaler.look()
        self.seconds += seconds
        self.time += dt.timedelta(seconds=seconds)
        self.scaler.look()
        engine = self.world.engine
        assert engine._reconciler.wait_for(self._applied, 5.0)

    def _applied(self) -> bool:
        wanted, seen = self.world.engine.state().items, self.world.engine.observed()
        return {key: item.fingerprint for key, item in wanted.items()} == {key: one.fingerprint for key, one in seen.items()}

    def numbers(self) -> tuple[int, int]:
        """Processes, and those that the router knows."""
        items = list(self.world.engine.state())
        routes = [route for item in items if isinstance(item, Router) for route in item.routes]
        return sum(isinstance(item, Workload) for item in items), sum(len(route.targets) for route in routes)

    def held(self) -> int:
        snapshot = self.world.engine.snapshot()
        return sum(a.purpose.startswith("replica") for a in snapshot.allocated(clouds.rid(SERVICE)))


@pytest.fixture
def scaled(world: World) -> Iterator[Scaled]:
    assert world.cluster().status is Status.SUCCEEDED
    asset = f"{WORKSPACE}/assets/diabetes-1"
    world.put(asset, {"name": "diabetes", "blobs": [{"path": "m.pkl", "sha256": clouds.DIGEST}]}, location=None)
    model = {"name": "diabetes", "version": 1, "url": "aml://asset/diabetes-1"}
    world.put(f"{WORKSPACE}/models/diabetes/versions/1", model, location=None)
    scaler = {"autoscaleEnabled": True, "maxReplicas": 30, "targetUtilization": 100}
    done = world.put(SERVICE, clouds.service(numReplicas=None, autoScaler=scaler), location=None)
    assert done.status is Status.SUCCEEDED, done
    yield Scaled(world, MemoryDriver(time.monotonic))


def test_replicas_follow_the_load_up_and_down(scaled: Scaled) -> None:
    assert scaled.numbers() == (1, 1)
    scaled.after(3)
    assert scaled.numbers() == (3, 1), "what is not ready gets no requests"
    scaled.after(3)
    assert scaled.numbers() == (3, 3) and scaled.held() == 3
    scaled.after(0, 30)
    assert scaled.numbers() == (3, 3), "the load was there within the last minute"
    scaled.after(0, 61)
    scaled.after(0)
    assert scaled.numbers() == (3, 1), "nothing is taken from under a request"
    scaled.after(0)
    assert scaled.numbers() == (3, 1)
    scaled.after(0, DRAINED.total_seconds())
    assert scaled.numbers() == (1, 1) and scaled.held() == 1, "addresses are given back"
    assert scaled.world.engine.latest(clouds.rid(SERVICE)) is not None
    scaled.world.consistent()


def test_a_replica_that_is_not_ready_gets_no_requests(scaled: Scaled) -> None:
    pod = keys.pod(clouds.rid(SERVICE).key, 2)
    scaled.world.driver.break_after_start(pod, "CrashLoopBackOff", "it does not start")
    scaled.after(4)
    scaled.after(4)
    assert scaled.numbers() == (4, 2)


def test_the_number_survives_a_restart(scaled: Scaled) -> None:
    scaled.after(3)
    scaled.after(3)
    etag = scaled.world.engine.get(clouds.rid(SERVICE)).etag
    scaled.world.restart(forgetful=True)
    scaled.again()
    assert scaled.world.engine.wait_settled(5.0)
    assert scaled.numbers() == (3, 3) and scaled.world.engine.get(clouds.rid(SERVICE)).etag == etag
    scaled.after(0, 59)
    scaled.after(0, 0.5)
    assert scaled.numbers() == (3, 3), "a new process has not seen a calm minute yet"


def test_the_nodes_bound_what_is_started(scaled: Scaled, caplog: pytest.LogCaptureFixture) -> None:
    scaled.after(30)
    scaled.after(30)
    assert scaled.numbers() == (24, 24), "three nodes of four cores hold 24 replicas of half a core"
    assert sum("no room" in record.message for record in caplog.records) == 1


def test_what_its_owner_changes_is_left_alone(scaled: Scaled) -> None:
    scaled.after(3)
    scaled.after(3)
    draft = clouds.service(numReplicas=2, autoScaler={"autoscaleEnabled": False})
    assert scaled.world.put(SERVICE, draft, location=None).status is Status.SUCCEEDED
    scaled.after(9)
    assert scaled.numbers() == (2, 2)
    service = scaled.world.engine.get(clouds.rid(SERVICE)).properties
    assert isinstance(service, serving.Service) and service.scale is None


def test_a_router_that_says_nothing_changes_nothing(scaled: Scaled) -> None:
    scaled.after(3)
    scaled.after(3)
    version = scaled.world.engine.snapshot().version
    scaled.meter.recover()
    scaled.seconds += 120
    assert scaled.scaler.look() is False
    assert scaled.numbers() == (3, 3) and scaled.world.engine.snapshot().version == version
