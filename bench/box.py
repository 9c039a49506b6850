"""A Ringfence of its own for a benchmark: started in a temporary state folder, purged at the end.

with box.Box() as ringfence:
    ringfence.at("internet", "python", "script.py")
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CLI = [sys.executable, "-m", "ringfence.cli"]


def client_python() -> str:
    """A Python that has azureml-core: $RINGFENCE_CLIENT_PYTHON, else the one that `make setup` installs."""
    return os.environ.get("RINGFENCE_CLIENT_PYTHON") or str(ROOT / ".venv-clients" / "bin" / "python")


def az() -> str:
    """The Azure CLI: $RINGFENCE_AZ, else the one that `make setup` installs."""
    return os.environ.get("RINGFENCE_AZ") or str(ROOT / ".venv-az" / "bin" / "az")


class Box:
    """seconds_up: how long `ringfence up` took, as a whole process."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
        self.seconds_up = 0.0

    def __enter__(self) -> Box:
        begun = time.perf_counter()
        self.ringfence("up")
        self.seconds_up = time.perf_counter() - begun
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run([*CLI, "--state", str(self.state), "down", "--purge"], stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.state, ignore_errors=True)

    def ringfence(self, *arguments: str) -> str:
        command = [*CLI, "--state", str(self.state), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ | self.sign_in()).stdout

    def status(self) -> Any:
        return json.loads(self.ringfence("status", "--json"))

    def at(self, location: str, *command: str) -> str:
        """Standard output of a command at a location."""
        return self.ringfence("exec", "--at", location, "--", *command)

    def arm(self, task: str, *arguments: object) -> Any:
        """The JSON that a task of arm_client.py prints, run on the internet of this box."""
        words = [str(argument) for argument in arguments]
        return json.loads(self.at("internet", sys.executable, str(ROOT / "bench" / "arm_client.py"), task, *words))

    def sign_in(self) -> dict[str, str]:
        file = self.state / "admin.json"
        if not file.exists():
            return {}
        admin = json.loads(file.read_text())
        return {
            "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": admin["tenantId"],
            "AZUREML_SERVICE_PRINCIPAL_ID": admin["clientId"],
            "AZUREML_SERVICE_PRINCIPAL_PASSWORD": admin["clientSecret"],
            "RINGFENCE_SUBSCRIPTION_ID": admin["subscriptionId"],
        }
