"""Leaving the host: the steps by which a process gets namespaces of its own, and what to do where one is refused.

`create` makes the box for the broker; `doctor` walks the same steps in a child that it
throws away. What happens inside the box is `holder`'s.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from ringfence.kernel import syscalls
from ringfence.sandbox.errors import CannotIsolate

USER_STEP = "making a user namespace"
MAP_STEP = "mapping users into it"
MOUNT_STEP = "mounting inside a mount namespace"
PROC_STEP = "mounting /proc in a process namespace"
STEPS = (
    ("making a mount namespace", syscalls.CLONE_NEWNS),
    ("making a network namespace", syscalls.CLONE_NEWNET),
    ("making a process namespace", syscalls.CLONE_NEWPID),
    ("making an IPC namespace", syscalls.CLONE_NEWIPC),
    ("making a host name namespace", syscalls.CLONE_NEWUTS),
)
_GO = b"."


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Raises CannotIsolate with the step's name and remedy for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise CannotIsolate(name, os.strerror(error.errno or 0), remedy(name, error.errno or 0)) from error


def create(start: Callable[[], int]) -> int:
    """Make the box and start its first process. Returns that process's number here; it is our child.

    start: called inside, in all namespaces but the process namespace, which only a child enters; returns the child's number.
    The calling process has to be single-threaded. Raises CannotIsolate.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        # The go-between ends as soon as it has started the first process, which then becomes our child.
        syscalls.adopt_orphans(True)
        stage = os.fork()
        if stage == 0:
            ours.close()
            _go_between(theirs, start)
        theirs.close()
        try:
            guide(ours, stage)
            return int(report(ours.recv(65536))["pid"])
        finally:
            os.waitpid(stage, 0)
            syscalls.adopt_orphans(False)


def guide(channel: socket.socket, pid: int) -> None:
    """From outside: map users into the namespace of a process that is in `leave`. Raises CannotIsolate."""
    report(channel.recv(65536))
    with step(MAP_STEP):
        _map_users(pid)
    channel.send(_GO)


def leave(channel: socket.socket) -> None:
    """Get namespaces of one's own, with the help of a process outside that is in `guide`. Raises CannotIsolate."""
    with step(USER_STEP):
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    channel.send(b"{}")
    if channel.recv(1) != _GO:
        os._exit(1)  # the process outside has the reason
    for name, flag in STEPS:
        with step(name):
            syscalls.unshare(flag)


def failure(error: CannotIsolate) -> bytes:
    """The message that carries an error to the process outside."""
    return json.dumps({"step": error.step, "reason": error.reason, "remedy": error.remedy}).encode()


def _go_between(channel: socket.socket, start: Callable[[], int]) -> NoReturn:
    try:
        leave(channel)
        with step("starting a process inside"):
            channel.send(json.dumps({"pid": start()}).encode())
        os._exit(0)
    except CannotIsolate as error:
        channel.send(failure(error))
        os._exit(1)
    finally:
        os._exit(70)  # nothing may return into the caller's copy of the program


def report(message: bytes) -> dict[str, int]:
    """What a process inside sent. Raises CannotIsolate if it sent a failure, or nothing before it ended."""
    found = json.loads(message or b'{"step": "leaving the host", "reason": "the process ended", "remedy": ""}')
    if "step" in found:
        raise CannotIsolate(found["step"], found["reason"], found["remedy"] or remedy("", 0))
    return dict(found)


def _map_users(pid: int) -> None:
    """As root the whole range, number for number; else the one user, as 0."""
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # root of a container may lack CAP_SETUID; then as an ordinary user
            write_map(pid, "uid", [(inside, inside, count) for inside, _, count in read_map(os.getpid(), "uid")])
            write_map(pid, "gid", [(inside, inside, count) for inside, _, count in read_map(os.getpid(), "gid")])
            return
    Path(f"/proc/{pid}/setgroups").write_text("deny")
    write_map(pid, "uid", [(0, os.geteuid(), 1)])
    write_map(pid, "gid", [(0, os.getegid(), 1)])


def read_map(pid: int, kind: str) -> list[tuple[int, int, int]]:
    """Rows of (number inside, number as seen from here, count). kind: "uid" or "gid"."""
    rows = Path(f"/proc/{pid}/{kind}_map").read_text().splitlines()
    return [(int(inside), int(outside), int(count)) for inside, outside, count in (row.split() for row in rows)]


def write_map(pid: int, kind: str, rows: list[tuple[int, int, int]]) -> None:
    """rows of (number inside, number in the parent namespace, count)."""
    text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in rows)
    Path(f"/proc/{pid}/{kind}_map").write_text(text)


def remedy(name: str, number: int) -> str:
    """What to do when a step was refused with this errno."""
    if number == errno.ENOSPC:
        limits = " ".join(f"user.max_{kind}_namespaces=15000" for kind in ("user", "mnt", "net", "pid"))
        return f"raise the limits: sysctl -w {limits}"
    if name == PROC_STEP:
        return "this container hides parts of /proc; start it with `--security-opt systempaths=unconfined`"
    if os.geteuid() != 0:
        for setting, wanted in _SETTINGS:
            path = Path("/proc/sys", setting.replace(".", "/"))
            if path.exists() and path.read_text().strip() != wanted:
                return f"allow it: sysctl -w {setting}={wanted} (or run Ringfence as root)"
    return (
        "a container or security module forbids it; with Docker start the container with "
        "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined`, or use a virtual machine"
    )


_SETTINGS = (("kernel.unprivileged_userns_clone", "1"), ("kernel.apparmor_restrict_unprivileged_userns", "0"))
