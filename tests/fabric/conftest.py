"""Every test of this folder runs in a child process with namespaces of its own: user, network, mount.

The child is root in there whoever runs the tests, `/run` is private, and nothing reaches
the machine's own network. Its reports come back to pytest as if it had run the test.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

from ringfence.kernel import syscalls

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World
else:
    pytest.register_assert_rewrite("fabric_world")
    from fabric_world import World

_HERE = Path(__file__).parent
_LONGEST_TEST_S = 60


@pytest.fixture
def world() -> Iterator[World]:
    """A prepared fabric with the means to send packets through it."""
    made = World()
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if _HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _in_a_child(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _in_a_child(item: pytest.Item) -> list[pytest.TestReport]:
    inside, told_inside = os.pipe()
    told_mapped, mapped = os.pipe()
    reports, told_reports = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _enter(told_inside, told_mapped)
            _write_all(told_reports, json.dumps(_run(item)).encode())
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    for descriptor in (told_inside, told_mapped, told_reports):
        os.close(descriptor)
    if os.read(inside, 1):
        _map(child)
        os.write(mapped, b"x")
    with open(reports, "rb") as stream:
        content = stream.read()
    status = os.waitpid(child, 0)[1]
    os.close(inside)
    os.close(mapped)
    if status == 0 and content:
        return [_restored(item, data) for data in json.loads(content)]
    code = os.waitstatus_to_exitcode(status)
    reason = f"the child process ended with {signal.Signals(-code).name if code < 0 else code}"
    return [pytest.TestReport(item.nodeid, item.location, {}, "failed", reason, "call")]


def _run(item: pytest.Item) -> list[object]:
    signal.alarm(_LONGEST_TEST_S)
    reports = runtestprotocol(item, log=False, nextitem=None)
    return [item.config.hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]


def _restored(item: pytest.Item, data: object) -> pytest.TestReport:
    report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
    assert isinstance(report, pytest.TestReport)
    return report


def _enter(told_inside: int, told_mapped: int) -> None:
    syscalls.die_with_parent(signal.SIGKILL)
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
    os.write(told_inside, b"x")
    os.read(told_mapped, 1)
    os.setgid(0)
    os.setuid(0)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", "/run", "tmpfs", 0)


def _map(child: int) -> None:
    """As root the whole range of ids, else only our own, as the product does it."""
    folder = Path("/proc", str(child))
    if os.getuid() == 0:
        uids = gids = "0 0 4294967295"
    else:
        uids, gids = f"0 {os.getuid()} 1", f"0 {os.getgid()} 1"
        (folder / "setgroups").write_text("deny")
    (folder / "uid_map").write_text(uids)
    (folder / "gid_map").write_text(gids)


def _write_all(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(content)
