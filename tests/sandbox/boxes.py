"""A sandbox for a test, with a stand-in for the control plane, driven through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "ringfence.cli"]
_UP = """
import json, sys
from pathlib import Path
from ringfence.sandbox import errors, lifecycle
try:
    lifecycle.up(Path(sys.argv[1]), daemon=json.loads(sys.argv[2]))
except errors.SandboxError as error:
    sys.exit(f"{error.fact}\\n{error.remedy}")
"""


class Box:
    """state: its state folder; become: what is put before every command, to run it as another user."""

    def __init__(self, state: Path, home: Path, become: Sequence[str] = ()) -> None:
        self.state = state
        self.home = home
        self.become = list(become)
        unwanted = ("RINGFENCE_STATE", "XDG_STATE_HOME", "PYTHONDONTWRITEBYTECODE")
        self.environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT / "src")}

    def up(self, *options: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return self.program(*self.up_command(*options), **settings)

    def up_command(self, *options: str) -> list[str]:
        """`ringfence up` with the stand-in for a control plane. options: of the stand-in."""
        return [sys.executable, "-c", _UP, str(self.state), json.dumps([*STAND_IN, *options])]

    def down(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.ringfence("down", *options)

    def status(self) -> Any:
        return json.loads(self.ringfence("status", "--json").stdout)

    def ringfence(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return self.program(*CLI, "--state", str(self.state), *arguments, **settings)

    def at(self, location: str, *command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return self.program(*self.at_command(location, *command), **settings)

    def at_command(self, location: str, *command: str) -> list[str]:
        return [*CLI, "--state", str(self.state), "exec", "--at", location, "--", *command]

    def program(self, *command: str, env: Mapping[str, str] | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
        variables = {**self.environment, **(env or {})}
        settings = {"capture_output": True, "text": True, "timeout": 60, "check": False} | settings
        return subprocess.run([*self.become, *command], env=variables, **settings)

    def processes(self) -> list[str]:
        """Command lines of every process that names this box's state folder, or is inside it."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:  # it ended while we looked
                    continue
                if str(self.state) in words:
                    found.append(" ".join(words))
        return found


def until(condition: Callable[[], Any], what: str, within_s: float = 10.0) -> None:
    """Look again and again; fails the test when it does not become true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.01)
