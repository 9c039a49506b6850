"""Sandboxes for tests: one per test, or one for a whole file of tests that only visit it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.boxes import ROOT, Box
else:
    pytest.register_assert_rewrite("boxes")
    from boxes import ROOT, Box


def _another_user() -> Sequence[str]:
    """What runs a command as an ordinary user: another uid where the files are readable for it, else one of a user namespace."""
    if os.geteuid() != 0:
        return ()
    other = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")
    question = [*other, "env", f"PYTHONPATH={ROOT / 'src'}", sys.executable, "-c", "import ringfence.cli, cryptography, uv"]
    if subprocess.run(question, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return other
    return ("unshare", "--user", "--map-user=12345", "--map-group=12345")


def _open(folder: Path, become: Sequence[str] = ()) -> Iterator[Box]:
    home = folder / "home"
    home.mkdir()
    if become and become[0] == "setpriv":
        for path in (folder, home):
            os.chown(path, 12345, 12345)
        for parent in list(folder.parents)[:3]:  # pytest closes its folders to other users
            parent.chmod(parent.stat().st_mode | 0o011)
    box = Box(folder / "state", home, become)
    yield box
    box.down("--purge")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """Not started; ended and removed after the test."""
    yield from _open(tmp_path)


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[Box]:
    """As `box`, but everything is done by an ordinary user."""
    yield from _open(tmp_path, _another_user())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Started once for a file of tests that only visit it."""
    for box in _open(tmp_path_factory.mktemp("box")):
        started = box.up()
        assert started.returncode == 0, started.stderr
        yield box
