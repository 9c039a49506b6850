"""A process that is killed at any statement loses no accepted write, leaves no operation stuck and leaks no address.

Each case forks a child that makes a few requests and kills itself (SIGKILL) before its
n-th statement, or inside the driver; then the store is opened again, as after a crash.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from tests import clouds
from tests.control.engine_world import COMPUTE, NSG, VNET, World

from ringfence.control.operations import Status
from ringfence.desired.diff import Plan
from ringfence.drivers.base import Failure
from ringfence.model import errors

#: Enough to reach into the last request; a child that is not killed by then ends the search.
_MOST_STATEMENTS = 400
_STRIDE = 7


def _requests(world: World, tell: Callable[[str], None]) -> None:
    """What the child does. tell: called after each request that was answered."""
    world.network()
    tell("network")
    world.workspace()
    tell("workspace")
    world.put(NSG, {}, also={f"securityRules/r{n}": clouds.rule(100 + n) for n in range(3)})
    tell("rules")
    world.put(COMPUTE, clouds.aks(VNET))
    world.let_in(scope=str(world.id(VNET)))
    tell("cluster")
    world.put(COMPUTE, clouds.aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default"))
    tell("internal")
    world.delete(COMPUTE)
    tell("deleted")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _child(folder: Path, arm: Callable[[World], None]) -> list[str]:
    """Run the requests in a fork; what was answered before it died. ["…", "end"] when it lived."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            world = World(folder)
            arm(world)
            world.engine.start()
            with open(writing, "w", buffering=1, closefd=False) as pipe:
                _requests(world, lambda word: print(word, file=pipe))
                print("end", file=pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as answers:
        told = answers.read().split()
    os.waitpid(pid, 0)
    return told


def _kill_at(number: int) -> Callable[[World], None]:
    def arm(world: World) -> None:
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen >= number:
                _die()

        event.listen(sa.Engine, "before_cursor_execute", count)
        event.listen(sa.Engine, "commit", count)

    return arm


#: What is there once a request was answered.
_ANSWERED = (("network", VNET), ("network", f"{VNET}/subnets/default"), ("rules", NSG), ("rules", f"{NSG}/securityRules/r2"))


def _check(folder: Path, told: list[str]) -> None:
    """What was answered is there, what was begun ends, and everything can be used and deleted."""
    world = World(folder)
    try:
        snapshot = world.engine.snapshot()
        for word, path in (
            ("network", VNET),
            ("network", f"{VNET}/subnets/default"),
            ("rules", NSG),
            ("rules", f"{NSG}/securityRules/r2"),
        ):
            if word in told:
                assert snapshot.get(world.id(path)) is not None, f"{path} was answered and is gone"
        if "cluster" in told and "internal" not in told:
            assert snapshot.get(world.id(COMPUTE)) is not None
        if "deleted" in told:
            assert snapshot.get(world.id(COMPUTE)) is None
        world.engine.start()
        assert world.engine.wait_settled(5.0), [str(o) for o in world.engine.pending()]
        world.consistent()
        for group in ("mlgroup", "mygroup"):
            operation = world.engine.delete(world.id(group))
            assert operation is None or world.ended(operation).status is Status.SUCCEEDED
        assert dict(world.engine.snapshot().resources) == {} and dict(world.engine.snapshot().allocations) == {}
        world.consistent()
    finally:
        world.close()


@pytest.mark.parametrize("offset", range(_STRIDE))
def test_killed_at_a_statement(tmp_path: Path, offset: int) -> None:
    for number in range(1 + offset, _MOST_STATEMENTS, _STRIDE):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = _child(folder, _kill_at(number))
        _check(folder, told)
        if told[-1:] == ["end"]:
            return
    pytest.fail("the requests take more statements than were tried")


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_in_the_driver(tmp_path: Path, number: int, moment: str) -> None:
    def arm(world: World) -> None:
        apply, calls = world.driver.apply, 0

        def dying(plan: Plan) -> tuple[Failure, ...]:
            nonlocal calls
            calls += 1
            if calls == number and moment == "before":
                _die()
            failures = apply(plan)
            if calls == number:
                _die()
            return failures

        world.driver.apply = dying  # type: ignore[method-assign] # the one way to die inside it

    _check(tmp_path, _child(tmp_path, arm))


def test_a_commit_that_fails_is_no_commit(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.engine.start()
    world.network()
    before = world.engine.snapshot()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    event.listen(sa.Engine, "commit", fail)
    try:
        with pytest.raises(OSError, match="no space"):
            world.accept(f"{VNET}/subnets/second", clouds.subnet("10.1.8.0/24"), location=None)
    finally:
        event.remove(sa.Engine, "commit", fail)
    assert world.engine.snapshot() is before
    assert world.put(f"{VNET}/subnets/second", clouds.subnet("10.1.8.0/24"), location=None).status is Status.SUCCEEDED
    world.consistent()
    with pytest.raises(errors.NotFound):
        world.engine.get(world.id(f"{VNET}/subnets/third"))
    world.close()
