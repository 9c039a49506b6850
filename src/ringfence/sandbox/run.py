"""The one door to other programs on the host's side: start, capture, talk to.

Programs of the sandbox's inside (workloads, routers) have a door of their own in
`drivers/linux/run.py`. Which programs are started is decided by the callers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import subprocess
    import threading

_CLEAN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Done:
    """A program that ended. code: its exit code, or -N for signal N."""

    code: int
    output: str
    error: str


class Piped:
    """A running program whose standard input and output are pipes of text lines; its errors go where ours go."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def lines(self) -> Iterator[str]:
        """The lines that it prints, as they come, until it closes its output."""
        assert self._process.stdout is not None
        yield from iter(self._process.stdout.readline, "")

    def wait(self) -> int:
        return self._process.wait()

    def close(self, *, patience_s: float = 10.0) -> int:
        """Close its input, which asks it to end; end it if it does not. Returns its exit code."""
        import subprocess

        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended already
            self._process.stdin.close()
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process.stdout.close()
        return code


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours in an interpreter of its own, whatever the current folder holds."""
    return [sys.executable, "-P", "-m", name, *arguments]


def capture(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Run to the end, without input, and keep what it prints."""
    import subprocess

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def start_piped(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Piped:
    import subprocess

    pipe = subprocess.PIPE
    return Piped(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env, cwd=cwd))


def output(command: Sequence[str], *, timeout_s: float) -> str:
    """What a program prints on standard output, whatever its exit code. Raises OSError (TimeoutError when it does not end)."""
    import subprocess

    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} did not end within {timeout_s:g} s") from error
    return done.stdout.decode("utf-8", "replace")


def logged(command: Sequence[str], env: Mapping[str, str], log: BinaryIO, stop: threading.Event, timeout_s: float) -> int:
    """Run a program with both its outputs going to a log; it is killed, with its children, on stop or timeout.

    Returns its exit code, -N for signal N. Raises OSError when it cannot be started.
    """
    import subprocess

    deadline = time.monotonic() + timeout_s
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True
    )
    while True:
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            if stop.is_set() or time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):  # it ended in between
                    os.killpg(process.pid, signal.SIGKILL)


def spawn(command: Sequence[str], *, output: int, keep: Sequence[int] = (), env: Mapping[str, str], session: bool = False) -> int:
    """Start a program without input, and return its number; the caller waits for it.

    output: descriptor of its standard output and error; keep: descriptors that it inherits under their numbers.
    session: make it the leader of a session of its own. Signals are as a program expects them. Raises OSError.
    """
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        given = [(null, 0), (output, 1), (output, 2), *((descriptor, descriptor) for descriptor in keep)]
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in given]
        return os.posix_spawn(
            command[0], list(command), env, file_actions=actions, setsid=session, setsigmask=(), setsigdef=_CLEAN
        )
    finally:
        os.close(null)
