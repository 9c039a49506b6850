"""One Ringfence for all end-to-end tests: the main job runs once, with its service left in place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """The box after the main job. client: the SDK's Python. evidence: what the demo printed as JSON; told: its progress."""

    state: Path
    client: str
    evidence: dict[str, Any]
    told: str

    def ringfence(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ringfence.cli", "--state", str(self.state), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)

    def status(self) -> Any:
        return json.loads(self.ringfence("status", "--json").stdout)

    def ask(self, location: str, uri: str, key: str = "") -> Any:
        """What `ask.py` found out from a location."""
        script = str(ROOT / "examples" / "secure-inferencing" / "ask.py")
        done = self.ringfence("exec", "--at", location, "--", sys.executable, script, uri, *([key] if key else []))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def client_python() -> str:
    """A Python that has the unmodified azureml-core; `make setup` makes the usual one."""
    found = os.environ.get("RINGFENCE_CLIENT_PYTHON") or str(ROOT / ".venv-clients" / "bin" / "python")
    assert Path(found).exists(), f"{found} is missing: run `make setup`, or set RINGFENCE_CLIENT_PYTHON"
    return found


@pytest.fixture(scope="session")
def job() -> Iterator[Job]:
    # Not in pytest's own folder: its path is too long for a unix socket on some machines.
    state = Path(tempfile.mkdtemp(prefix="ringfence-e2e-"))
    client = client_python()
    made = Job(state, client, {}, "")
    try:
        done = made.ringfence("demo", "--client-python", client, "--keep", "--json", timeout_s=240)
        assert done.returncode == 0, done.stderr[-6000:]
        yield Job(state, client, json.loads(done.stdout), done.stderr)
    finally:
        made.ringfence("down", "--purge")
        shutil.rmtree(state, ignore_errors=True)
