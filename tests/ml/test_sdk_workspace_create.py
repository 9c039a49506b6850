"""`Workspace.create` of the official SDK, unmodified, against the real applications on loopback TLS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ml.test_sdk_flows import ROOT, client_python


def test_the_official_sdk_creates_a_workspace(tmp_path: Path) -> None:
    script = str(ROOT / "tests" / "ml" / "sdk_workspace_client.py")
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    ended = subprocess.run(
        ["unshare", "-Urnm", sys.executable, "-m", "tests.ml.sdk_world", str(tmp_path), client_python(), script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.rstrip().endswith("all of it"), ended.stdout[-6000:]
