"""The official SDK, unmodified, against the real applications on loopback TLS: every flow of `sdk_client.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "secure-inferencing"


def client_python() -> str:
    """The interpreter with azureml-core: made by `make setup`, or named by the variable."""
    named = os.environ.get("RINGFENCE_CLIENT_PYTHON") or str(ROOT / ".venv-clients" / "bin" / "python")
    if not Path(named).is_file():
        pytest.fail(f"{named} does not exist: run `make setup`, or set RINGFENCE_CLIENT_PYTHON to a Python that has azureml-core")
    return named


@pytest.mark.parametrize("client", ["sdk_client.py", "sdk_options_client.py"])
def test_the_official_sdk_does_its_work(tmp_path: Path, client: str) -> None:
    script = [str(ROOT / "tests" / "ml" / client), str(EXAMPLE / "seed"), str(EXAMPLE / "source")]
    world = ["unshare", "-Urnm", sys.executable, "-m", "tests.ml.sdk_world", str(tmp_path)]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    ended = subprocess.run(
        [*world, client_python(), *script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.rstrip().endswith("all of it"), ended.stdout[-6000:]
