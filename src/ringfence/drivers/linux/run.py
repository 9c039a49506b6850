"""Starting programs: the one place of this room that may.

Short programs are waited for; the launcher is started detached. What the programs are
told is put together by their callers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ringfence
from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.drivers.linux.terminal import TerminalSpec

_ROOT = str(Path(ringfence.__file__).resolve().parent.parent)
_LAUNCH = "import sys; sys.path.insert(0, sys.argv[1]); from ringfence.drivers.linux.launch import main; main()"
_TERMINAL = "import sys; sys.path.insert(0, sys.argv[1]); from ringfence.drivers.linux.terminal import main; main()"
_LAUNCH_S = 20.0


class LaunchError(Exception):
    """The launcher did not start a supervisor; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Finished:
    """code: exit code, negative for a signal. output: standard output and error together."""

    code: int
    output: str


def finish(argv: Sequence[str], *, timeout_s: float) -> Finished:
    """Run a program to its end. Raises OSError when it cannot be started and TimeoutError when it does not end."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{argv[0]} did not end within {timeout_s:g} s") from error
    return Finished(done.returncode, done.stdout.decode("utf-8", "replace"))


def launch(spec: LaunchSpec, stamps: Mapping[str, str]) -> None:
    """Start a supervisor. stamps: its whole environment, by which `processes` finds it again. Raises LaunchError."""
    _detached(_LAUNCH, spec.to_json(), stamps)


def terminal(spec: TerminalSpec) -> None:
    """Start a command at a terminal of a container; the socket of the spec is given to it. Raises LaunchError."""
    _detached(_TERMINAL, json.dumps(spec._asdict()), {"PATH": "/usr/bin:/bin"}, (spec.socket,))


def _detached(program: str, text: str, variables: Mapping[str, str], descriptors: Sequence[int] = ()) -> None:
    # -I -S: neither the environment nor the site's packages decide what the launcher imports; it also starts faster.
    argv = [sys.executable, "-I", "-S", "-c", program, _ROOT]
    try:
        done = subprocess.run(
            argv,
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LAUNCH_S,
            check=False,
            env=dict(variables),
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"the launcher did not run: {error}") from error
    if done.returncode:
        raise LaunchError(done.stdout.decode("utf-8", "replace").strip()[-2000:])
