"""Starting, ending, and dying in every order: what stays, and what must not."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.sandbox import cgroups
from ringfence.sandbox.layout import Layout

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box, until
else:
    from boxes import Box, until


def _asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _host() -> dict[str, Any]:
    """Everything of the host that a sandbox must leave alone."""
    resolver = Path("/etc/resolv.conf")
    folders = ("/run/netns", "/run/ringfence", *(f"/sys/fs/cgroup/{name}" for name in ("", "memory", "cpu", "pids")))
    return {
        "addresses": [
            (link["ifname"], [a["local"] for a in link["addr_info"]]) for link in json.loads(_asked("ip", "-j", "addr"))
        ],
        "routes": json.loads(_asked("ip", "-j", "route", "show", "table", "all")),
        "links": [link["ifname"] for link in json.loads(_asked("ip", "-j", "link"))],
        "neighbours": sorted(n["dst"] for n in json.loads(_asked("ip", "-j", "neigh")) if "PERMANENT" in n["state"]),
        "rules": _asked("nft", "list", "ruleset") if os.geteuid() == 0 else "",
        "mounts": Path("/proc/mounts").read_text(),
        "resolver": hashlib.sha256(resolver.read_bytes()).hexdigest() if resolver.exists() else None,
        "folders": {name: _listed(Path(name)) for name in folders},
        "home": sorted(os.listdir(Path.home())),
    }


def _listed(folder: Path) -> list[str] | None:
    """Its entries but for other sandboxes' folders: theirs may come and go."""
    return sorted(set(os.listdir(folder)) - {path.name for path in folder.glob("ringfence-*")}) if folder.is_dir() else None


def test_the_host_is_as_it_was(box: Box) -> None:
    before = _host()
    assert box.up().returncode == 0
    assert _host() == before
    assert box.at("internet", "true").returncode == 0
    assert box.down().returncode == 0
    assert _host() == before
    assert box.processes() == []
    assert cgroups.leftovers(Layout(box.state).instance) == ()


def test_up_is_idempotent_and_down_too(box: Box) -> None:
    assert box.down().stdout == "Ringfence was not running.\n"
    assert box.up().returncode == 0
    first = box.status()
    assert box.up().returncode == 0
    assert box.status()["processes"] == first["processes"]
    assert box.down().stdout == "Ringfence is down.\n"
    assert box.down().stdout == "Ringfence was not running.\n"
    assert not box.status()["running"]


def test_two_starts_at_once_make_one_sandbox(box: Box) -> None:
    starts = [subprocess.Popen(box.up_command(), env=box.environment) for _ in range(4)]
    assert [start.wait(30) for start in starts] == [0, 0, 0, 0]
    brokers = [line for line in box.processes() if "sandbox.broker" in line]
    assert len(brokers) == 1


def test_what_was_made_is_kept_until_it_is_purged(box: Box) -> None:
    box.up()
    admin, authority = (box.state / "admin.json").read_text(), (box.state / "pki/ca.pem").read_text()
    box.down()
    box.up()
    assert (box.state / "admin.json").read_text() == admin
    assert (box.state / "pki/ca.pem").read_text() == authority
    assert box.down("--purge").returncode == 0
    assert not box.state.exists()


def test_a_purge_removes_read_only_environments(box: Box) -> None:
    box.up()
    folder = box.state / "environments" / "abc" / "lib"
    folder.mkdir(parents=True)
    (folder / "module.py").touch()
    folder.chmod(0o555)
    folder.parent.chmod(0o555)
    assert box.down("--purge").returncode == 0
    assert not box.state.exists()


def test_the_control_plane_is_started_again_and_finds_its_namespaces(box: Box) -> None:
    box.up()
    before = box.at("internet", "readlink", "/proc/self/ns/net").stdout
    first = box.status()["processes"]["controlPlane"]
    os.kill(first, signal.SIGKILL)
    until(lambda: box.status()["processes"]["controlPlane"] not in (None, first), "a new control plane")
    assert box.at("internet", "readlink", "/proc/self/ns/net").stdout == before
    assert box.status()["starts"] == 2


def test_a_command_outlives_the_control_plane(box: Box) -> None:
    box.up()
    with subprocess.Popen(
        box.at_command("internet", "sh", "-c", "echo in; read line; echo $line"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=box.environment,
    ) as command:  # fmt: skip
        assert command.stdin and command.stdout and command.stdout.readline() == "in\n"
        os.kill(box.status()["processes"]["controlPlane"], signal.SIGKILL)
        command.stdin.write("still here\n")
        command.stdin.close()
        assert command.stdout.readline() == "still here\n"
        assert command.wait(10) == 0


@pytest.mark.parametrize("victim", ["holder", "broker"])
def test_with_the_holder_or_the_broker_everything_ends(box: Box, victim: str) -> None:
    box.up()
    with subprocess.Popen(box.at_command("internet", "sleep", "60"), env=box.environment) as command:
        until(lambda: any(line.startswith("sleep") for line in _inside(box)), "the command runs")
        os.kill(box.status()["processes"][victim], signal.SIGKILL)
        assert command.wait(10) == 128 + signal.SIGKILL
    until(lambda: not box.processes(), "no process left")
    if victim == "holder":  # the broker lives on for as long as it takes to clean up
        assert not (box.state / "run/broker.json").exists()
        assert cgroups.leftovers(Layout(box.state).instance) == ()
    assert not box.status()["running"]
    assert box.at("internet", "true").returncode == 125


def test_a_crash_is_recognised_and_cleaned_by_the_next_start(box: Box) -> None:
    box.up()
    os.kill(box.status()["processes"]["broker"], signal.SIGKILL)
    until(lambda: not box.processes(), "no process left")
    assert (box.state / "run/broker.json").exists()
    assert box.up().returncode == 0
    assert box.status()["running"]
    box.down()
    assert cgroups.leftovers(Layout(box.state).instance) == ()
    assert sorted(path.name for path in (box.state / "run").iterdir()) == ["lock"]


def test_a_crash_is_cleaned_by_down_too(box: Box) -> None:
    box.up()
    os.kill(box.status()["processes"]["broker"], signal.SIGKILL)
    until(lambda: not box.processes(), "no process left")
    assert box.down().stdout == "Ringfence was not running.\n"
    assert cgroups.leftovers(Layout(box.state).instance) == ()
    assert sorted(path.name for path in (box.state / "run").iterdir()) == ["lock"]


def test_a_number_that_was_given_away_again_is_not_signalled(box: Box) -> None:
    box.up()
    box.down()
    record = {"pid": os.getpid(), "started": 1}
    document = {
        "instance": "0" * 8, "version": "0", "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "since": 0.0,
        "broker": record, "holder": record, "proxy_port": 1, "proxy_secret": "", "cgroups": [],
    }  # fmt: skip
    (box.state / "run/broker.json").write_text(json.dumps(document))
    assert box.up().returncode == 0  # and we are alive to say so
    assert box.status()["running"]


def test_a_control_plane_that_does_not_come_up_is_reported_with_its_last_words(box: Box) -> None:
    begun = time.monotonic()
    failed = box.up("--crash")
    assert failed.returncode == 1
    assert "the stand-in ends at once, as it was told" in failed.stderr
    assert "ended with exit code 1" in failed.stderr
    assert time.monotonic() - begun < 10
    assert box.down().returncode == 0
    assert box.processes() == []


def test_a_folder_that_holds_something_else_is_left_alone(box: Box) -> None:
    box.state.mkdir(mode=0o755)
    (box.state / "thesis.tex").write_text("…")
    refused = box.up()
    assert refused.returncode == 1 and "not empty" in refused.stderr
    assert box.down("--purge").returncode == 1
    assert os.listdir(box.state) == ["thesis.tex"] and box.state.stat().st_mode & 0o777 == 0o755
    (box.state / "thesis.tex").unlink()


def test_what_the_control_plane_is_given(box: Box) -> None:
    started = box.program("env", "https_proxy=http://proxy.example:1", "true")
    assert started.returncode == 0
    box.environment["https_proxy"] = "http://proxy.example:1"
    box.up()
    status = box.status()
    arguments = status["controlPlane"]["arguments"]
    assert arguments[:2] == ["--state", str(box.state)] and arguments[2] == "--proxy-fd"
    environment = Path(f"/proc/{status['processes']['controlPlane']}/environ").read_bytes().split(b"\0")
    assert not any(entry.lower().startswith(b"https_proxy") for entry in environment)
    listener = Path(f"/proc/{status['processes']['controlPlane']}/fd/{arguments[3]}").readlink()
    assert str(listener).startswith("socket:")
    assert status["controlPlane"]["cgroups"] == ":".join(status["cgroups"])


def test_pipes_of_the_caller_are_not_kept_open(box: Box) -> None:
    told, tell = os.pipe()
    assert box.up(pass_fds=[tell]).returncode == 0
    os.close(tell)
    with open(told, "rb") as reader:
        assert reader.read() == b""  # returns, because nobody has the other end


def test_other_users_see_nothing(box: Box) -> None:
    box.up()
    modes = {name: (box.state / name).stat().st_mode & 0o777 for name in (".", "admin.json", "pki/ca.key", "run/broker.json")}
    assert modes == {".": 0o700, "admin.json": 0o600, "pki/ca.key": 0o600, "run/broker.json": 0o600}


def _inside(box: Box) -> list[str]:
    """Command lines of the processes inside."""
    return box.at("internet", "ps", "-eo", "args").stdout.splitlines()
