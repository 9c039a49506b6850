"""Tests whose parameter `user` is "root" or "ordinary" run in a sandbox of their own, as a child process.

The sandbox has user, network, mount, PID, IPC and UTS namespaces, a first process that reaps
(the holder's place), a private `/run`, and a user map as root or as an ordinary user has it.
Reports come back to pytest as if it had run the test. Everything else runs as usual.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from _pytest.runner import runtestprotocol

from ringfence.kernel import syscalls

if TYPE_CHECKING:
    from tests.workloads.process_world import World
else:
    pytest.register_assert_rewrite("process_world")
    from process_world import World

_HERE = Path(__file__).parent
_LONGEST_TEST_S = 90
#: Whom root becomes to see what an ordinary user can do.
_ORDINARY = 12345


@functools.cache
def _ordinary() -> int:
    """That uid, where this project is readable for it; else root's own, which a map of one user makes as powerless."""
    become = ("setpriv", f"--reuid={_ORDINARY}", f"--regid={_ORDINARY}", "--clear-groups")
    # `env` asks, because setpriv itself still has its capabilities when it looks for the program.
    question = (*become, "env", sys.executable, "-c", "import ringfence.cli, cryptography")
    readable = subprocess.run(question, stderr=subprocess.DEVNULL, check=False).returncode == 0
    return _ORDINARY if readable else 0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" in metafunc.fixturenames:
        metafunc.fixturenames.append("user")
        metafunc.parametrize("user", ["root", "ordinary"] if os.getuid() == 0 else ["ordinary"])


@pytest.fixture
def world(user: str) -> Iterator[World]:
    """Folders, endpoints and environments to start processes with."""
    made = World(cgroups=user == "root")
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    user = getattr(item, "callspec", None) and item.callspec.params.get("user")  # type: ignore[attr-defined]
    if user is None or _HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _in_a_sandbox(item, user):
        item.ihook.pytest_runtest_logreport(report=report)
    # What an earlier test of this process left set up for this one, the next one may not need.
    item.session._setupstate.teardown_exact(nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _in_a_sandbox(item: pytest.Item, user: str) -> list[pytest.TestReport]:
    inside, told_inside = os.pipe()
    told_mapped, mapped = os.pipe()
    reports, told_reports = os.pipe()
    child = os.fork()
    if child == 0:
        _hold(item, user, (told_inside, told_mapped, told_reports))
    for descriptor in (told_inside, told_mapped, told_reports):
        os.close(descriptor)
    if os.read(inside, 1):
        _map(child, user)
        os.write(mapped, b"x")
    with open(reports, "rb") as stream:
        content = stream.read()
    status = os.waitpid(child, 0)[1]
    os.close(inside)
    os.close(mapped)
    if status == 0 and content:
        return [_restored(item, data) for data in json.loads(content)]
    reason = f"the sandbox ended with {os.waitstatus_to_exitcode(status)}"
    return [pytest.TestReport(item.nodeid, item.location, {}, "failed", reason, "call")]


def _hold(item: pytest.Item, user: str, pipes: tuple[int, int, int]) -> NoReturn:
    """In the child: enter, then be the parent of the first process, which reaps, which is the parent of the test."""
    code = 1
    try:
        _enter(user, pipes[0], pipes[1])
        first = os.fork()
        if first == 0:
            _mount()
            tested = os.fork()
            if tested == 0:
                _write_all(pipes[2], json.dumps(_run(item)).encode())
                os._exit(0)
            os.close(pipes[2])
            code = _reap_until(tested)
        else:
            os.close(pipes[2])
            code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    except BaseException as error:  # noqa: BLE001  # a fork must not go on with its parent's work
        os.write(2, f"the sandbox of {item.nodeid} failed: {error!r}\n".encode())
    os._exit(abs(code))


def _reap_until(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _run(item: pytest.Item) -> list[object]:
    signal.alarm(_LONGEST_TEST_S)
    reports = runtestprotocol(item, log=False, nextitem=None)
    return [item.config.hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]


def _restored(item: pytest.Item, data: object) -> pytest.TestReport:
    report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
    assert isinstance(report, pytest.TestReport)
    return report


def _enter(user: str, told_inside: int, told_mapped: int) -> None:
    if user == "ordinary" and os.getuid() == 0:
        os.setgroups([])
        other = _ordinary()
        os.setresgid(other, other, other)
        os.setresuid(other, other, other)
    syscalls.dumpable(True)  # so that the parent may write the maps
    syscalls.die_with_parent(signal.SIGKILL)
    names = ("NEWUSER", "NEWNET", "NEWNS", "NEWPID", "NEWIPC", "NEWUTS")
    syscalls.unshare(sum(getattr(syscalls, f"CLONE_{name}") for name in names))
    os.write(told_inside, b"x")
    os.read(told_mapped, 1)
    os.setgid(0)
    os.setuid(0)


def _mount() -> None:
    syscalls.die_with_parent(signal.SIGKILL)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    syscalls.mount("tmpfs", "/run", "tmpfs", 0, "mode=0700")


def _map(child: int, user: str) -> None:
    folder = Path("/proc", str(child))
    if user == "root":
        uids = gids = "0 0 4294967295"
    else:
        here = _ordinary() if os.getuid() == 0 else os.getuid()
        uids, gids = f"0 {here} 1", f"0 {here if os.getuid() == 0 else os.getgid()} 1"
        (folder / "setgroups").write_text("deny")
    (folder / "uid_map").write_text(uids)
    (folder / "gid_map").write_text(gids)


def _write_all(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(content)
