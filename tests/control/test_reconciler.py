"""Operations end by what is seen; passes survive faults; drift is mended; restarts take up what was left."""

from __future__ import annotations

import logging

import pytest
from tests import clouds
from tests.control.engine_world import COMPUTE, NSG, OTHER, VNET, WORKSPACE, World

from ringfence.control import judgement
from ringfence.control.operations import Kind, Operation, Status
from ringfence.desired.state import INTERNET, Endpoint, Observed, Readiness, State
from ringfence.drivers.base import Failure
from ringfence.model import errors
from ringfence.model.resource import ProvisioningState

A = Endpoint(key="nic/a", owners=("r",), network="net/x", address="10.0.0.4")
B = Endpoint(key="nic/b", owners=("other",), network="net/x", address="10.0.0.5")
READY, OLD = Observed(A.fingerprint), Observed("something else")
STARTING = Observed(A.fingerprint, Readiness.STARTING)
BROKEN = Observed(A.fingerprint, Readiness.FAILED, "SubnetIsFull", "no room")
TROUBLE = {"nic/a": Failure("nic/a", "Busy", "in use")}

#: kind, items wanted, observed, failures -> status (None: goes on), code
VERDICTS: list[tuple[str, Kind, tuple[Endpoint, ...], dict[str, Observed], dict[str, Failure], Status | None, str]] = [
    ("ready", Kind.CREATE, (A,), {"nic/a": READY}, {}, Status.SUCCEEDED, ""),
    ("missing", Kind.CREATE, (A,), {}, {}, None, ""),
    ("stale", Kind.UPDATE, (A,), {"nic/a": OLD}, {}, None, ""),
    ("starting", Kind.CREATE, (A,), {"nic/a": STARTING}, {}, None, ""),
    ("failed", Kind.CREATE, (A,), {"nic/a": BROKEN}, {}, Status.FAILED, "SubnetIsFull"),
    ("cannot be made", Kind.CREATE, (A,), {}, TROUBLE, Status.FAILED, "Busy"),
    ("others do not matter", Kind.CREATE, (A, B), {"nic/a": READY}, {}, Status.SUCCEEDED, ""),
    ("still there", Kind.DELETE, (), {"nic/a": READY}, {}, None, ""),
    ("gone", Kind.DELETE, (), {}, {}, Status.SUCCEEDED, ""),
    ("cannot be removed", Kind.DELETE, (), {"nic/a": READY}, TROUBLE, None, ""),
]


@pytest.mark.parametrize(("row"), VERDICTS, ids=[row[0] for row in VERDICTS])
def test_verdicts(
    row: tuple[str, Kind, tuple[Endpoint, ...], dict[str, Observed], dict[str, Failure], Status | None, str],
) -> None:
    _, kind, wanted, observed, failures, status, code = row
    operation = Operation(
        id="o",
        resource="r",
        resource_id=clouds.rid("r"),
        kind=kind,
        status=Status.IN_PROGRESS,
        revision=1,
        covers=frozenset({"r"}),
        touches=frozenset({"nic/a"}),
        created_at=clouds.NOW,
    )
    outcomes, progress = judgement.judge(State.of(wanted), observed, failures, [operation], operation.created_at)
    assert [(o.status, o.code) for o in outcomes] == ([] if status is None else [(status, code)])
    assert (operation.id in progress) == (status is None)


def test_a_failure_reaches_the_operation_and_the_resource(world: World) -> None:
    world.driver.break_after_start("router/", "RouterFailed", "it ended with exit code 1")
    done = world.cluster()
    assert (done.status, done.code, done.message) == (Status.FAILED, "RouterFailed", "it ended with exit code 1")
    assert world.engine.get(world.id(COMPUTE)).state is ProvisioningState.FAILED
    assert world.engine.get(world.id(VNET)).state is ProvisioningState.SUCCEEDED


def test_asking_again_tries_again(world: World) -> None:
    world.driver.break_after_start("router/", "RouterFailed", "it ended")
    world.cluster()
    tried = len(world.driver.applied)
    assert world.engine.wait_settled(5.0) and len(world.driver.applied) == tried, "a failed item is left alone"
    world.driver.recover()
    assert world.put(COMPUTE, clouds.aks(VNET)).status is Status.SUCCEEDED
    assert world.engine.get(world.id(COMPUTE)).state is ProvisioningState.SUCCEEDED


def test_an_item_that_cannot_be_made_fails_its_owner_alone(world: World) -> None:
    world.network()
    world.driver.refuse("net/", "OutOfNamespaces", "no more namespaces")
    world.put("mygroup", {})
    done = world.put(OTHER, clouds.network("10.3.0.0/16"))
    assert (done.status, done.code) == (Status.FAILED, "OutOfNamespaces")
    assert world.put(NSG, {}).status is Status.SUCCEEDED
    world.driver.recover()
    assert world.put(OTHER, clouds.network("10.3.0.0/16")).status is Status.SUCCEEDED
    world.consistent()


def test_progress_is_told(world: World) -> None:
    world.network()
    world.workspace()
    world.driver.slow_down("router/", 0.2)
    done = world.put(COMPUTE, clouds.aks(VNET))
    assert done.status is Status.SUCCEEDED and [text for _, text in done.events] == ["updating the inference router"]


def test_a_deletion_ends_when_it_is_true(world: World) -> None:
    world.cluster()
    world.driver.refuse("net/", "Busy", "still in use")
    operation = world.engine.delete(world.id("mlgroup"))
    assert operation is not None and world.ended(operation).status is Status.SUCCEEDED, "the network is in another group"
    operation = world.engine.delete(world.id("mygroup"))
    assert operation is not None
    assert not world.engine.wait(operation.id, 0.3).status.terminal
    assert world.engine.get(world.id(VNET)).state is ProvisioningState.DELETING
    again = world.engine.delete(world.id("mygroup"))
    assert again is not None and again.id == operation.id
    world.driver.recover()
    assert world.engine.wait_settled(8.0)
    assert world.engine.operation(operation.id).status is Status.SUCCEEDED
    assert dict(world.engine.snapshot().resources) == {} and dict(world.engine.snapshot().allocations) == {}
    world.consistent()


def test_deleting_nothing_is_no_operation(world: World) -> None:
    assert world.engine.delete(world.id("nogroup")) is None


def test_what_is_used_stays(world: World) -> None:
    world.cluster()
    before = world.engine.snapshot()
    with pytest.raises(errors.Problem) as raised:
        world.engine.delete(world.id(f"{VNET}/subnets/default"))
    assert raised.value.code == "InUseSubnetCannotBeDeleted"
    with pytest.raises(errors.Conflict) as blocked:
        world.engine.delete(world.id("mygroup"))
    assert blocked.value.code == "ResourceGroupDeletionBlocked" and blocked.value.details
    assert world.engine.snapshot() is before


def test_deleting_ends_what_was_being_made(world: World) -> None:
    world.network()
    world.workspace()
    world.driver.slow_down("router/", 60.0)
    making = world.accept(COMPUTE, clouds.aks(VNET)).operation
    assert world.delete(COMPUTE) is not None
    assert world.engine.operation(making.id).status is Status.CANCELED
    world.consistent()


def test_a_pass_that_raises_is_logged_once_and_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.network()
    world.driver.raise_on_observe(OSError("no netlink"))
    world.engine.close()
    world.open()
    with caplog.at_level(logging.ERROR):
        world.engine.start()
        world.put("mlgroup", {})
        making = world.accept(WORKSPACE, {}).operation
        world.engine.wait_ready({"no/such"}, 0.7)
    assert sum("reconciling pass failed" in record.message for record in caplog.records) == 1
    world.driver.recover()
    assert world.ended(making).status is Status.SUCCEEDED


def test_drift_is_mended(world: World) -> None:
    world.network()
    lost = next(key for key in world.driver.observe() if key.startswith("net/") and key != INTERNET)
    world.driver.lose(lost)
    world.restart()
    assert world.engine.wait_ready({lost}, 5.0)
    world.consistent()


def test_a_restart_takes_up_what_was_left(world: World) -> None:
    world.network()
    world.workspace()
    world.driver.slow_down("router/", 60.0)
    making = world.accept(COMPUTE, clouds.aks(VNET)).operation
    removing = world.engine.delete(world.id(NSG))
    assert removing is None
    world.restart()
    assert world.engine.operation(making.id).status is Status.IN_PROGRESS
    world.driver.recover()
    world.restart()
    assert world.ended(making).status is Status.SUCCEEDED
    world.consistent()


def test_everything_is_made_again_in_a_new_box(world: World) -> None:
    world.cluster()
    keys = set(world.driver.observe())
    world.restart(forgetful=True)
    assert world.engine.wait_ready(keys, 5.0)
    world.consistent()


def test_nothing_happens_while_nothing_changes(world: World) -> None:
    world.cluster()
    assert world.engine.wait_settled(5.0)
    applied = len(world.driver.applied)
    world.engine.wait_ready({"no/such"}, 0.5)
    assert len(world.driver.applied) == applied
