"""The whole document, typed by a script: the unmodified Azure CLI and SDK, and packets from every place that matters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.az.conftest import ROOT, Desk, az_program


def test_the_whole_document_holds() -> None:
    # Not in pytest's own folder: its path is too long for a unix socket on some machines.
    state = Path(tempfile.mkdtemp(prefix="ringfence-document-"))
    box = Desk(state, az_program())
    client = os.environ.get("RINGFENCE_CLIENT_PYTHON") or str(ROOT / ".venv-clients" / "bin" / "python")
    walk = [sys.executable, str(ROOT / "examples" / "document" / "walk.py"), "--json"]
    try:
        box.ringfence("up")
        done = subprocess.run(
            [*walk, "--state", str(state), "--az", box.program, "--client-python", client],
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        checks = json.loads(done.stdout)["checks"]
        assert len(checks) > 20 and all(holds for *_, holds in checks)
    finally:
        box.ringfence("down", "--purge")
        shutil.rmtree(state, ignore_errors=True)
