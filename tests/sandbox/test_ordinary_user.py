"""The same without root: start, visit, end, by an ordinary user."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box, until
else:
    from boxes import Box, until


@pytest.fixture
def started(ordinary: Box) -> Box:
    done = ordinary.up()
    assert done.returncode == 0, done.stderr
    return ordinary


def test_the_caller_stays_who_they_are_and_has_no_power(started: Box) -> None:
    own = started.program("sh", "-c", "id -u; id -g").stdout
    assert own != "0\n0\n"
    assert started.at("internet", "sh", "-c", "id -u; id -g").stdout == own
    assert started.at("internet", "grep", "CapEff", "/proc/self/status").stdout.split() == ["CapEff:", "0" * 16]
    for attempt in ("ip link set lo down", "nsenter -t 1 -n true", "umount ~/.azure", "ls /proc/1/root/"):
        assert started.at("internet", "sh", "-c", f"PATH=$PATH:/usr/sbin:/sbin; {attempt}").returncode != 0


def test_files_that_are_made_belong_to_the_caller(started: Box) -> None:
    assert started.at("internet", "sh", "-c", "echo content > ~/made; echo token > ~/.azure/made").returncode == 0
    made, kept = started.home / "made", started.state / "home" / "azure" / "made"
    assert made.stat().st_uid == kept.stat().st_uid == started.state.stat().st_uid


def test_the_control_plane_comes_back_and_everything_ends(started: Box) -> None:
    before = started.at("internet", "readlink", "/proc/self/ns/net").stdout
    first = started.status()["processes"]["controlPlane"]
    os.kill(first, signal.SIGKILL)
    until(lambda: started.status()["processes"]["controlPlane"] not in (None, first), "a new control plane")
    assert started.at("internet", "readlink", "/proc/self/ns/net").stdout == before
    assert started.down().returncode == 0
    assert started.processes() == []


def test_folders_made_in_the_home_go_again(started: Box) -> None:
    assert started.at("internet", "true").returncode == 0
    assert {name for name in os.listdir(started.home) if name.startswith(".azure")} == {".azure", ".azureml"}
    (started.home / ".azureml" / "made meanwhile by the host").touch()
    started.down()
    assert {name for name in os.listdir(started.home) if name.startswith(".azure")} == {".azureml"}


def test_folders_made_in_the_home_go_again_after_a_crash(started: Box) -> None:
    started.at("internet", "true")
    os.kill(started.status()["processes"]["broker"], signal.SIGKILL)
    until(lambda: not started.processes(), "no process left")
    assert (started.home / ".azure").is_dir()
    started.up()
    assert not (started.home / ".azure").exists()


def test_the_machine_is_found_fit(ordinary: Box) -> None:
    assert ordinary.ringfence("doctor").returncode == 0
