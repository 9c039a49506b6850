"""A command at a location on a terminal, under an interactive shell: Ctrl-C, Ctrl-Z, fg, pipelines."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.boxes import CLI, Box, until
else:
    from boxes import CLI, Box, until

PROMPT = "host> "
# Says when it can be interrupted or stopped, and when it goes on; a shell loses a Ctrl-C that comes between two commands.
SLEEPER = """
import signal, time
signal.signal(signal.SIGCONT, lambda *_: print('go' + 'ing on', flush=True))
print('re' + 'ady', flush=True)
time.sleep(60)
"""


class Terminal:
    """A shell on a pseudo-terminal, and what it shows."""

    def __init__(self, box: Box) -> None:
        self.shown = ""
        environment = box.environment | {"PS1": PROMPT, "TERM": "dumb", "HISTFILE": "/dev/null"}
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            command = [*box.become, "bash", "--norc", "--noprofile", "-i"]
            os.execvpe(command[0], command, environment)
        self.expect(PROMPT)

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def expect(self, text: str, within_s: float = 10.0) -> str:
        """Wait for text; returns what came before it, and forgets both."""
        deadline = time.monotonic() + within_s
        while text not in self.shown:
            left_s = deadline - time.monotonic()
            ready, _, _ = select.select([self.end], [], [], max(0.0, left_s))
            assert ready, f"{text!r} was not shown within {within_s:g} s, but {self.shown!r}"
            self.shown += os.read(self.end, 4096).decode(errors="replace").replace("\r\n", "\n")
        before, _, self.shown = self.shown.partition(text)
        return before

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.end)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(running: Box) -> Iterator[Terminal]:
    opened = Terminal(running)
    yield opened
    opened.close()


def _exec(running: Box, *command: str) -> str:
    return shlex.join(running.at_command("internet", *command))


def test_a_command_has_the_terminal(running: Box, terminal: Terminal) -> None:
    source = "import os; print('tty', [os.isatty(n) for n in (0, 1, 2)], os.tcgetpgrp(0) == os.getpgrp(), input())"
    terminal.type(_exec(running, sys.executable, "-c", source) + "\n")
    terminal.type("typed\n")
    terminal.expect("tty [True, True, True] True typed")
    terminal.expect(PROMPT)


def test_the_size_of_the_terminal_is_seen(running: Box, terminal: Terminal) -> None:
    terminal.type("stty rows 33 cols 77\n")
    terminal.expect(PROMPT)
    terminal.type(_exec(running, "stty", "size") + "\n")
    terminal.expect("33 77\n")


def test_control_c_interrupts_the_command_once_and_not_the_shell(running: Box, terminal: Terminal) -> None:
    source = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print('re' + 'ady', flush=True)
time.sleep(0.5) or time.sleep(0.5)
sys.exit(50 + len(seen))
"""
    terminal.type(_exec(running, sys.executable, "-c", source) + "; echo code=$?\n")
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("code=51")
    terminal.expect(PROMPT)


def test_control_c_ends_a_command_that_does_not_mind(running: Box, terminal: Terminal) -> None:
    terminal.type(_exec(running, sys.executable, "-c", SLEEPER) + "\n")
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("KeyboardInterrupt")
    terminal.expect(PROMPT)
    terminal.type("echo code=$?\n")
    terminal.expect("code=130")


def test_control_z_stops_it_and_fg_goes_on(running: Box, terminal: Terminal) -> None:
    terminal.type(
        _exec(running, sys.executable, "-c", "print('re' + 'ady', flush=True); print('got', input(), flush=True)") + "\n"
    )
    terminal.expect("ready")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect(PROMPT)
    terminal.type("jobs | grep -c Stopped\n")
    terminal.expect("\n1\n")
    terminal.type("fg\n")
    terminal.expect("exec --at internet")
    terminal.type("a line\n")
    terminal.expect("got a line")
    terminal.expect(PROMPT)


def test_a_job_in_the_background_goes_on_and_stops_when_it_wants_the_terminal(running: Box, terminal: Terminal) -> None:
    terminal.type(_exec(running, "sh", "-c", "echo re''ady; read line; echo got $line") + " &\n")
    terminal.expect("ready")
    terminal.type("echo pid=$!=\n")
    terminal.expect("pid=")
    terminal.expect("pid=")
    number = terminal.expect("=")
    until(lambda: Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
    terminal.type("kill -CHLD $$; fg\n")  # a bash that runs commands one after another may overlook the first one
    terminal.expect("exec --at internet")
    terminal.type("a line\n")
    terminal.expect("got a line")


def test_a_pager_after_the_command_keeps_the_terminal(running: Box, terminal: Terminal) -> None:
    reader = "sh -c 'cat; read line < /dev/tty; echo pager got $line'"
    terminal.type(_exec(running, "echo", "out") + " | " + reader + "\n")
    terminal.expect("out\n")
    terminal.type("q\n")
    terminal.expect("pager got q")


def test_a_script_is_interrupted_as_a_whole(running: Box, terminal: Terminal) -> None:
    script = _exec(running, sys.executable, "-c", SLEEPER) + "; echo the script went on"
    terminal.type(f"sh -c {shlex.quote(script)}\n")
    terminal.expect("ready")
    terminal.type("\x03")
    assert "went on" not in terminal.expect(PROMPT)


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_shell_has_job_control_of_its_own(running: Box, terminal: Terminal, shell: str, tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text(SLEEPER)
    words = shlex.join([*CLI, "--state", str(running.state), "shell", "--at", "internet"])
    terminal.type(f"env -u PS1 SHELL={shell} {words}\n")
    prompt = "# " if os.getuid() == 0 else "$ "
    terminal.expect(prompt)
    terminal.type(f"{sys.executable} {sleeper}\n")
    terminal.expect("ready")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect(prompt)
    terminal.type("fg\n")
    terminal.expect("going on")
    terminal.type("\x03")
    terminal.expect("KeyboardInterrupt")
    terminal.expect(prompt)
    terminal.type("echo $RINGFENCE_LOCATION\n")
    terminal.expect("internet\n")
    terminal.type("exit 3\n")
    terminal.expect(PROMPT)
    terminal.type("echo code=$?\n")
    terminal.expect("code=3")


def test_hanging_up_ends_the_command(running: Box) -> None:
    terminal = Terminal(running)
    terminal.type(_exec(running, "sh", "-c", "echo re''ady; exec sleep 4343") + "\n")
    terminal.expect("ready")
    terminal.close()
    deadline = time.monotonic() + 10
    while "sleep 4343" in running.at("internet", "ps", "-eo", "args").stdout.splitlines():
        assert time.monotonic() < deadline, "the command outlived its terminal"
