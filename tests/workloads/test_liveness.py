"""Liveness probes: who stops answering is started again, who is only slow is not."""

from __future__ import annotations

import contextlib
import http.client
import threading
from typing import TYPE_CHECKING

from ringfence.desired.state import Liveness, Readiness
from ringfence.drivers.linux import processes

if TYPE_CHECKING:
    from tests.workloads.process_world import World, settled, until
else:
    from process_world import World, settled, until

KEY = "pod/a-0"
#: An expression that backtracks for ages, in C, without letting any other thread run.
SCRIPT = """
import re, time
def init(): pass
def run(data):
    if "hang" in data: re.match("(a+)+$", "a" * 60 + "b")
    if "slow" in data: time.sleep(1)
    return data
"""


def quick(failures: int = 2) -> Liveness:
    return Liveness(delay_s=0, period_s=0.1, timeout_s=0.2, successes=1, failures=failures)


def attempts(world: World) -> int:
    return processes.scan(world.folders.statuses, KEY)[KEY][0].status.attempts


def hang(world: World) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(world.connect()) as connection:
        connection.request("POST", "/score", b'"hang"', {"Content-Type": "application/json"})
        connection.getresponse()


def test_who_stops_answering_is_started_again(world: World) -> None:
    assert world.workloads().put(world.workload(SCRIPT, liveness=quick())) is None
    later = world.workloads()  # a control plane that was started since finds the probes in the stamp
    assert settled(later).readiness is Readiness.READY
    assert world.score('"slow"') == '"slow"' and attempts(world) == 1, "a model that computes answers its probes"
    thread = threading.Thread(target=hang, args=(world,))
    thread.start()
    until(lambda: attempts(world) == 2)
    thread.join()
    until(lambda: later.observe()[KEY].readiness is Readiness.READY)
    assert world.score('"again"') == '"again"'
    assert "failed 2 liveness probes in a row" in world.folders.log(KEY).read_text()


def test_without_probes_nobody_is_ended(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(world.workload(SCRIPT)) is None
    assert settled(workloads).readiness is Readiness.READY
    assert processes.scan(world.folders.statuses, KEY)[KEY][0].liveness is None
