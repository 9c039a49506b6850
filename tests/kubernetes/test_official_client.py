"""The official Kubernetes client, unmodified, against the real applications on loopback TLS: the flow of `official_client.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ml.test_sdk_flows import ROOT, client_python


def test_the_official_client_reads_a_cluster(tmp_path: Path) -> None:
    world = ["unshare", "-Urnm", sys.executable, "-m", "tests.ml.sdk_world", str(tmp_path)]
    ended = subprocess.run(
        [*world, client_python(), str(Path(__file__).with_name("official_client.py"))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.rstrip().endswith("all of it"), ended.stdout[-6000:]
