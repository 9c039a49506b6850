"""A command in a container that runs, at a terminal of the container's own: what `az container exec` starts.

Run as a program of its own, because it joins namespaces: `main` reads a `TerminalSpec` from
standard input and leaves a process behind that carries bytes between a socket and the terminal. The command has
what the container's first process has: namespaces, limits, user, environment, folder; and no more.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from ringfence.drivers.linux import cell
from ringfence.kernel import syscalls

_READ = 1 << 15


class TerminalSpec(NamedTuple):
    """process: the first process of the container. socket: a descriptor. groups: control-group folders to join."""

    process: int
    socket: int
    argv: Sequence[str]
    groups: Sequence[str]
    rows: int
    columns: int


def main() -> None:
    spec = TerminalSpec(**json.loads(sys.stdin.read()))
    if os.fork():
        os._exit(0)
    os.setsid()
    quiet = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    try:
        _serve(spec)
    except BaseException as error:  # noqa: BLE001  # whoever waits at the socket is told, whatever it was
        os.write(spec.socket, f"the command could not be started: {error}\r\n".encode())
    os._exit(0)


def _serve(spec: TerminalSpec) -> None:
    process = os.pidfd_open(spec.process)
    folder = os.open(f"/proc/{spec.process}/cwd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with open(f"/proc/{spec.process}/environ", "rb") as file:
        variables = dict(entry.split(b"=", 1) for entry in file.read().split(b"\0") if b"=" in entry)
    with open(f"/proc/{spec.process}/uid_map", encoding="ascii") as file:
        user = int(file.read().split()[0])
    for group in spec.groups:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")
    kinds = ("NEWNET", "NEWUTS", "NEWIPC", "NEWCGROUP", "NEWNS", "NEWPID")
    syscalls.setns(process, sum(getattr(syscalls, f"CLONE_{kind}") for kind in kinds))
    terminal, screen = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", spec.rows, spec.columns, 0, 0))
    child = os.fork()
    if not child:
        _become(spec, _Place(process, folder, screen, user), {**variables, b"TERM": b"xterm"})
    os.close(screen)
    _carry(spec.socket, terminal, child)


class _Place(NamedTuple):
    """Where the command runs: descriptors of the first process, its folder and the terminal, and the user inside."""

    process: int
    folder: int
    screen: int
    user: int


def _become(spec: TerminalSpec, place: _Place, variables: dict[bytes, bytes]) -> NoReturn:
    try:
        os.setsid()
        fcntl.ioctl(place.screen, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(place.screen, descriptor)
        os.fchdir(place.folder)
        syscalls.setns(place.process, syscalls.CLONE_NEWUSER)
        os.setresgid(place.user, place.user, place.user)
        os.setresuid(place.user, place.user, place.user)
        cell.give_up_privileges()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 4096)
        os.execve(_program(spec.argv[0], variables), list(spec.argv), variables)
    except BaseException as error:  # noqa: BLE001  # a fork must not go on with its parent's work
        os.write(2, f"{spec.argv[0]}: {error}\r\n".encode())
    os._exit(126)


def _program(named: str, variables: dict[bytes, bytes]) -> str:
    return cell.program(named, variables.get(b"PATH", b"").decode("utf-8", "replace"))


def _carry(socket: int, terminal: int, child: int) -> None:
    """Until the command has ended and all it said is sent, or nobody listens any more."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    poll.register(terminal, select.POLLIN)
    while True:
        for descriptor, _events in poll.poll(1000):
            try:
                data = os.read(descriptor, _READ)
            except OSError:  # how Linux says that nobody has the other side of a terminal open
                data = b""
            if not data:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return
            _write(terminal if descriptor == socket else socket, data)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
