"""The one door to other programs on the host's side: start, capture, talk to.

Programs of the sandbox's inside (workloads, routers) have a door of their own in
`drivers/linux/run.py`. Which programs are started is decided by the callers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

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
            command[0], command, env, file_actions=actions, setsid=session, setsigmask=(), setsigdef=_CLEAN
        )
    finally:
        os.close(null)
