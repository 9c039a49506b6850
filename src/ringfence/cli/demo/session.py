"""One client process at a location, fed step by step.

The process is `job.py`: it reads a step's name from standard input, prints what it does,
and ends the step with a line `@@ {json}`. What the steps mean is not known here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ringfence.cli.demo import report
from ringfence.sandbox import layout, run

_MARK = "@@ "


class StepFailed(Exception):
    """A step of the job did not succeed; the text says which."""


def examples() -> Path:
    """The folder of the example, in a checkout or in an installed package."""
    here = Path(__file__).resolve()
    for root in (here.parents[2], here.parents[4]):
        folder = root / "examples" / "secure-inferencing"
        if folder.is_dir():
            return folder
    raise StepFailed("the folder examples/secure-inferencing is missing; reinstall Ringfence")


def at(state: Path, location: str, *command: str) -> list[str]:
    """The argument list of `ringfence exec --at LOCATION -- COMMAND`."""
    return [sys.executable, "-m", "ringfence.cli", "--state", str(state), "exec", "--at", location, "--", *command]


class Job:
    """The running job. facts: what each step reported; seconds: how long each took."""

    def __init__(self, state: Path, client_python: Path, out: report.Report) -> None:
        self.facts: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}
        self._out = out
        work = state / "demo"
        work.mkdir(exist_ok=True)
        command = at(state, "internet", str(client_python), "-u", str(examples() / "job.py"))
        self._process = run.start_piped(command, cwd=work, env=os.environ | sign_in(state))

    def run(self, step: str, title: str) -> dict[str, Any]:
        """Do one step and show its output. Raises StepFailed."""
        with self._out.step(title):
            self._process.write(step + "\n")
            for line in self._process.lines():
                if line.startswith(_MARK):
                    result = json.loads(line[len(_MARK) :])
                    break
                self._out.say(line.rstrip("\n"))
            else:
                raise StepFailed(f"the client process ended during the step {step!r} (exit code {self._process.wait()})")
            if not result["ok"]:
                raise StepFailed(f"the step {step!r} failed; its traceback stands above")
        self.facts[step], self.seconds[step] = result["facts"], result["seconds"]
        return self.facts[step]

    def close(self) -> None:
        self._process.close()


def sign_in(state: Path) -> dict[str, str]:
    """The administrator's service principal, as the variables that azureml-core reads."""
    admin = layout.Layout(state).admin()
    return {
        "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": admin.tenant_id,
        "AZUREML_SERVICE_PRINCIPAL_ID": admin.client_id,
        "AZUREML_SERVICE_PRINCIPAL_PASSWORD": admin.client_secret,
        "RINGFENCE_SUBSCRIPTION_ID": admin.subscription_id,
        "AZUREML_LOG_DEPRECATION_WARNING_ENABLED": "False",
        "PYTHONWARNINGS": "ignore",
    }
