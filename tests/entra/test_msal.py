"""Microsoft's authentication library, unmodified, against the real applications on loopback TLS: every flow of `msal_client`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ml.test_sdk_flows import ROOT, client_python


def test_msal_signs_in_in_every_way(tmp_path: Path) -> None:
    world = ["unshare", "-Urnm", sys.executable, "-m", "tests.ml.sdk_world", str(tmp_path)]
    ended = subprocess.run(
        [*world, client_python(), str(ROOT / "tests" / "entra" / "msal_client.py")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.rstrip().endswith("all of it"), ended.stdout[-6000:]
