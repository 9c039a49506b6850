"""A workload is replaced under load: nothing is lost, and what does not start replaces nothing."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from ringfence.desired.state import Readiness, Route, Router, Target, Workload
from ringfence.drivers.linux import processes
from ringfence.drivers.linux.processes import Supervisor

if TYPE_CHECKING:
    from tests.workloads.process_world import ENDPOINT, PORT, World, settled, until
else:
    from process_world import ENDPOINT, PORT, World, settled, until

KEY = "pod/a-0"
LOST = "raise LookupError('no model here')"
PATH = "/api/v1/service/s/score"


class Clients:
    """Ask through the router without a pause, some on connections that they keep and some on new ones, for at most 20 s."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._end = time.monotonic() + 20
        self.answers: list[tuple[float, str]] = []
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(4)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end = 0.0
        for thread in self._threads:
            thread.join()

    def _ask(self, keep: bool) -> None:
        connection = self._world.connect(80)
        while time.monotonic() < self._end:
            began = time.monotonic()
            try:
                connection.request("POST", PATH, b'"x"')
                answer = connection.getresponse()
                text = answer.read().decode()
                self.answers.append((began, text))
                if answer.status != 200:
                    self.faults.append(f"{answer.status} {text}")
                again = answer.will_close or not keep
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
                again = True
            if again:
                connection.close()
                connection = self._world.connect(80)
        connection.close()


def version(world: World, number: int, *, init: str = "pass", run: str = "pass") -> Workload:
    """One that answers with its number; a run takes 3 ms, so that requests are always under way."""
    return world.workload(
        f"import os, time\ndef init():\n    {init}\ndef run(data):\n    {run}\n    time.sleep(0.003)\n    return {number}\n"
    )


def route(world: World) -> None:
    target = Target(address="127.0.0.1", port=PORT)
    one = Route(service="s", auth=False, keys=(), targets=(target,), timeout_ms=5000, max_concurrent=8, max_queue_wait_ms=500)
    routers = world.routers()
    assert routers.put(Router(key="router/c", endpoint=ENDPOINT, port=80, routes=(one,))) is None
    until(lambda: routers.observe()["router/c"].readiness is Readiness.READY)


def found(world: World) -> list[Supervisor]:
    return processes.scan(world.folders.statuses, KEY).get(KEY, [])


def test_no_request_is_lost_while_a_workload_is_replaced(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(version(world, 0)) is None
    assert settled(workloads).readiness is Readiness.READY
    route(world)
    clients = Clients(world)
    done = []
    for number in (1, 2, 3):
        item = version(world, number)
        assert workloads.put(item) is None
        seen = settled(workloads)
        assert (seen.fingerprint, seen.readiness) == (item.fingerprint, Readiness.READY)
        done.append(time.monotonic())
        assert len(found(world)) == 1
    time.sleep(0.1)
    clients.stop()
    assert clients.faults == [], len(clients.answers)
    assert {text for _, text in clients.answers} == {"0", "1", "2", "3"}
    for number, at in enumerate(done, 1):
        assert min(int(text) for began, text in clients.answers if began > at) >= number, "an older version after it was ready"


def test_connections_that_the_router_keeps_do_not_hold_a_replacement_up(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(version(world, 1)) is None
    assert settled(workloads).readiness is Readiness.READY
    route(world)
    clients = Clients(world)
    until(lambda: len(clients.answers) > 40)
    clients.stop()
    began = time.monotonic()
    assert workloads.put(version(world, 2)) is None
    assert settled(workloads).readiness is Readiness.READY
    assert time.monotonic() - began < 3
    clients = Clients(world)
    until(lambda: len(clients.answers) > 40)
    clients.stop()
    assert clients.faults == [] and {text for _, text in clients.answers} == {"2"}


def test_what_does_not_load_replaces_nothing(world: World) -> None:
    workloads = world.workloads()
    old = version(world, 1, run=r"print('Traceback (most recent call last):\nZeroDivisionError')")
    assert workloads.put(old) is None
    assert settled(workloads).readiness is Readiness.READY
    route(world)
    clients = Clients(world)
    broken = version(world, 2, init=LOST)
    assert workloads.put(broken) is None
    seen = settled(workloads)
    assert (seen.fingerprint, seen.readiness, seen.code) == (broken.fingerprint, Readiness.FAILED, "CrashLoopBackOff")
    assert seen.message.rstrip().endswith("LookupError: no model here") and "ZeroDivisionError" not in seen.message
    assert "LookupError: no model here" in world.folders.log(KEY).read_text()
    attempt, serving = found(world)
    assert (attempt.status.state, attempt.status.attempts, serving.status.attempts) == ("failed", 1, 1)
    assert world.workloads().observe()[KEY] == seen, "another daemon sees the same"
    assert workloads.put(broken) is None, "asked for again: tried again"
    until(lambda: [s.pid for s in found(world)] != [attempt.pid, serving.pid] and len(found(world)) == 2)
    assert settled(workloads).readiness is Readiness.FAILED
    assert workloads.put(old) is None, "back: the one that serves is still the same"
    until(lambda: workloads.observe()[KEY].readiness is Readiness.READY)
    assert [s.pid for s in found(world)] == [serving.pid] and workloads.observe()[KEY].fingerprint == old.fingerprint
    clients.stop()
    assert clients.faults == [] and {text for _, text in clients.answers} == {"1"}


def test_what_keeps_dying_or_has_too_little_memory_replaces_nothing(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(version(world, 1)) is None
    assert settled(workloads).readiness is Readiness.READY
    assert workloads.put(version(world, 2, init="os._exit(7)")) is None
    seen = settled(workloads)
    assert seen.readiness is Readiness.FAILED and "exit code 7, 3 times" in seen.message
    assert world.score("x") == 1
    assert workloads.put(version(world, 3, init="globals()['hoard'] = bytearray(b'x' * (1 << 30))")) is None
    seen = settled(workloads)
    assert seen.readiness is Readiness.FAILED
    assert ("went over its memory limit" if world.cgroups.enforced else "MemoryError") in seen.message
    assert world.score("x") == 1
    assert [s.status.state for s in found(world)] == ["failed", "running"]
    found(world)[1].signal(signal.SIGKILL)
    until(lambda: workloads.observe()[KEY].fingerprint == "given up")
    workloads.drop(KEY)
    until(lambda: not workloads.observe())
    # A killed supervisor leaves its groups to the sweep, which takes them once the kernel has let go of the process.
    until(lambda: not _groups_after_a_sweep(world))


def _groups_after_a_sweep(world: World) -> list[str]:
    world.cgroups.sweep(processes.groups(world.folders.statuses))
    return [entry.path for folder in world.groups for entry in os.scandir(folder) if entry.is_dir()]


def test_a_daemon_that_is_killed_in_the_middle_of_a_replacement(world: World) -> None:
    assert world.workloads().put(version(world, 1)) is None
    assert settled(world.workloads()).readiness is Readiness.READY
    item = version(world, 2, init="time.sleep(0.7)")
    daemon = os.fork()
    if daemon == 0:
        world.workloads().put(item)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(daemon, 0)[1]) == signal.SIGKILL
    again = world.workloads()
    seen = again.observe()[KEY]
    assert (seen.fingerprint, seen.readiness) == (item.fingerprint, Readiness.STARTING)
    assert len(found(world)) == 2 and world.score("x") == 1
    assert again.put(item) is None and len(found(world)) == 2
    assert settled(again).readiness is Readiness.READY
    assert world.score("x") == 2 and len(found(world)) == 1


def test_the_one_that_was_replaced_finishes_what_takes_long(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(version(world, 1, run="time.sleep(1.5)")) is None
    assert settled(workloads).readiness is Readiness.READY
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(world.score("x")))
    asking.start()
    time.sleep(0.1)
    assert workloads.put(version(world, 2)) is None
    until(lambda: [one.status.state for one in found(world)] == ["running", "stopping"])
    time.sleep(0.05)  # until the one that goes has closed its socket
    assert world.score("x") == 2 and answers == []
    asking.join()
    assert answers == [1]
    assert settled(workloads).readiness is Readiness.READY


def test_a_drop_ends_both(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(version(world, 1)) is None
    assert settled(workloads).readiness is Readiness.READY
    assert workloads.put(version(world, 2, init="time.sleep(20)")) is None
    until(lambda: found(world)[0].status.state == "running")
    workloads.drop(KEY)
    until(lambda: not found(world), 3)
