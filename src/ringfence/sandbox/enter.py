"""Running a command at a location: joining the box's namespaces, and giving the command its own on top.

The caller's process joins and stays outside as the command's parent (`foreground` waits
there). Its child enters the process namespace, furnishes a mount namespace of its own and
then a user namespace with the caller's ids, so that the command has no power over the
box's networks and cannot take the mounts away again. What the mounts are is
`surroundings`' business.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ringfence.kernel import syscalls
from ringfence.sandbox import client, foreground, isolation, record, surroundings
from ringfence.sandbox.errors import Busy, SandboxError
from ringfence.sandbox.layout import Layout

OURS, CANNOT_RUN, NOT_FOUND = 125, 126, 127
"""Exit codes of env(1): Ringfence itself failed; the command is there but cannot be run; it is not there."""

_GO = b"."
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A location as the control plane describes it. namespace: a path inside the box."""

    location: str
    namespace: str
    address: str
    resolver: str


def locate(state: Path, at: str) -> Place:
    """`internet`, `VNET/SUBNET` or a full resource id. The location comes into being if it must. Raises SandboxError."""
    if surroundings.BUNDLE.exists():
        here = os.environ.get(surroundings.LOCATION, "unknown")
        raise Busy(f"this process is at the location {here} already", "run the command from the host")
    found = client.Client(state, patience_s=_PATIENCE_S).post("/locations", {"at": at})
    return Place(found["location"], found["namespace"], found["address"], found["resolver"])


def run(state: Path, at: str, command: Sequence[str], extra: Mapping[str, str] | None = None) -> int:
    """Run a command at a location and return what `ringfence exec` has to exit with.

    extra: variables to be added. To be called once, in a single-threaded process: afterwards
    that process is inside. Raises SandboxError as long as the command has not been started.
    """
    layout = Layout(state)
    place = locate(state, at)
    holder = record.running(layout).holder.pid
    variables = surroundings.inside(os.environ, place.location) | dict(extra or {})
    visit = _Visit(layout, place, command, variables, _here(), _homes())
    maps = {kind: [(outside, inside, n) for inside, outside, n in isolation.read_map(holder, kind)] for kind in ("uid", "gid")}
    _join(holder, place)
    told, tell = os.pipe()
    gate, gate_end = os.pipe()
    with foreground.Foreground() as front:
        child = os.fork()
        if child == 0:
            os.close(gate_end)
            visit.begin(front, tell, gate)
        os.close(tell)
        os.close(gate)
        try:
            _let_go(os.read(told, 65536), maps, front, child)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        os.write(gate_end, _GO)
        return front.wait()


@dataclass(frozen=True, slots=True)
class _Visit:
    """The command's side of it."""

    layout: Layout
    place: Place
    command: Sequence[str]
    variables: Mapping[str, str]
    folder: str
    homes: tuple[Path, ...]

    def begin(self, front: foreground.Foreground, tell: int, gate: int) -> NoReturn:
        """In the forked child: prepare, tell the parent, and become the command."""
        try:
            self._prepare()
            os.write(tell, json.dumps({"pid": os.getpid()}).encode())
            if os.read(gate, 1) == _GO:
                self._settle()
                front.release()
                self._become()
        except OSError as error:
            os.write(tell, json.dumps({"fact": f"the location cannot be furnished: {error}"}).encode())
        finally:
            os._exit(OURS)

    def _prepare(self) -> None:
        mask = os.umask(0o022)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        surroundings.furnish(self.layout, self.place.resolver, self.homes, self.variables)
        # Made by the box's own user namespace so far, the mounts cannot be taken away from the next one.
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        syscalls.die_with_parent(signal.SIGKILL)
        os.umask(mask)

    def _settle(self) -> None:
        try:
            os.chdir(self.folder)
        except OSError as error:
            os.chdir("/")
            _say(f"warning: the folder {self.folder} is not there at a location ({error.strerror}); starting in /")

    def _become(self) -> NoReturn:
        try:
            os.execvpe(self.command[0], list(self.command), dict(self.variables))
        except OSError as error:
            _say(f"cannot run {self.command[0]!r}: {error.strerror}")
            os._exit(NOT_FOUND if error.errno == errno.ENOENT else CANNOT_RUN)


def _join(holder: int, place: Place) -> None:
    """Become a member of the box: its users, its mounts, the location's network; children also of its processes."""
    try:
        with contextlib.ExitStack() as stack:
            doors = {}
            for kind in ("user", "mnt", "pid"):
                doors[kind] = os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, doors[kind])
            syscalls.setns(doors["user"], syscalls.CLONE_NEWUSER)
            syscalls.setns(doors["mnt"], syscalls.CLONE_NEWNS)
            network = os.open(place.namespace, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, network)
            syscalls.setns(doors["pid"], syscalls.CLONE_NEWPID)
            syscalls.setns(network, syscalls.CLONE_NEWNET)
    except OSError as error:
        raise Busy(
            f"the location {place.location} cannot be entered: {error}", "see `ringfence status`, and try again"
        ) from error


def _let_go(message: bytes, maps: Mapping[str, list[tuple[int, int, int]]], front: foreground.Foreground, child: int) -> None:
    """The command's process is ready: give it the caller's ids and the terminal."""
    found = json.loads(message or b'{"fact": "the command ended before it began"}')
    if "fact" in found:
        raise SandboxError(found["fact"], "see `ringfence doctor`")
    for kind, rows in maps.items():
        isolation.write_map(found["pid"], kind, rows)
    front.adopt(child)


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _homes() -> tuple[Path, ...]:
    """Where clients look for their profiles: `$HOME`, and the home of the user's entry."""
    found = [Path(os.environ["HOME"])] if os.environ.get("HOME") else []
    with contextlib.suppress(KeyError):  # a user without an entry
        found.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return tuple(dict.fromkeys(path for path in found if path.is_dir()))


def _say(text: str) -> None:
    sys.stderr.write(f"ringfence: {text}\n")
    sys.stderr.flush()
