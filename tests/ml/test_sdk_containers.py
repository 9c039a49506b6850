"""The official SDK, unmodified, deploys to container groups: every flow of `sdk_aci_client.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ml.test_sdk_flows import EXAMPLE, ROOT, client_python


def test_the_official_sdk_deploys_to_container_instances(tmp_path: Path) -> None:
    script = [str(ROOT / "tests" / "ml" / "sdk_aci_client.py"), str(EXAMPLE / "source")]
    world = ["unshare", "-Urnm", sys.executable, "-m", "tests.ml.sdk_world", str(tmp_path)]
    ended = subprocess.run(
        [*world, client_python(), *script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.rstrip().endswith("all of it"), ended.stdout[-6000:]
