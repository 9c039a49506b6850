"""A Ringfence and the unmodified Azure CLI, signed in as its administrator at the location `internet`."""

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
class Desk:
    """Where a person types. state: of the box. program: the Azure CLI's."""

    state: Path
    program: str

    def ringfence(self, *arguments: str, timeout_s: float = 90, env: dict[str, str] | None = None) -> str:
        """Standard output of a command that has to succeed."""
        command = [sys.executable, "-m", "ringfence.cli", "--state", str(self.state), *arguments]
        variables = {**os.environ, "AZURE_CORE_COLLECT_TELEMETRY": "false", **(env or {})}
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=variables)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def az(self, *arguments: str, at: str = "internet") -> Any:
        """What a command prints, as JSON; None for nothing."""
        out = self.ringfence("exec", "--at", at, "--", self.program, *arguments)
        return json.loads(out) if out.strip() else None

    def refused(self, *arguments: str, at: str = "internet") -> str:
        """What a command that has to fail says."""
        command = [sys.executable, "-m", "ringfence.cli", "--state", str(self.state), "exec", "--at", at, "--", self.program]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    @property
    def admin(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.state / "admin.json").read_text())
        return found

    def arm(self, method: str, path: str, body: object = None) -> Any:
        """One request below the subscription, by `az rest`."""
        asked = ["rest", "--method", method, "--url", "/subscriptions/{subscriptionId}" + path]
        return self.az(*asked, *(["--body", json.dumps(body)] if body is not None else []))


def az_program() -> str:
    """The Azure CLI; `make setup` makes the usual one."""
    found = os.environ.get("RINGFENCE_AZ") or str(ROOT / ".venv-az" / "bin" / "az")
    assert Path(found).exists(), f"{found} is missing: run `make setup`, or set RINGFENCE_AZ"
    return found


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    # Not in pytest's own folder: its path is too long for a unix socket on some machines.
    state = Path(tempfile.mkdtemp(prefix="ringfence-az-"))
    made = Desk(state, az_program())
    try:
        made.ringfence("up")
        who = made.admin
        made.az("login", "--service-principal", "-u", who["clientId"], "-p", who["clientSecret"], "--tenant", who["tenantId"])
        yield made
    finally:
        made.ringfence("down", "--purge")
        shutil.rmtree(state, ignore_errors=True)
