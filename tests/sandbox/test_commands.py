"""The command line against a running sandbox: status, env, logs, exec in its two readings, errors of a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ringfence.cli.logs import _added
from ringfence.sandbox.client import Client
from ringfence.sandbox.errors import NotRunning, Refused

if TYPE_CHECKING:
    from tests.sandbox.boxes import CLI, Box, until
else:
    from boxes import CLI, Box, until


def test_up_on_a_running_sandbox(running: Box) -> None:
    assert running.ringfence("up").stdout.startswith("Ringfence was up already.")
    document = json.loads(running.ringfence("up", "--json").stdout)
    assert document == {
        "seconds": document["seconds"], "already": True,
        "state": str(running.state), "admin": str(running.state / "admin.json"),
    }  # fmt: skip


def test_status_for_people_and_for_machines(running: Box) -> None:
    document = running.status()
    assert set(document["processes"]) == {"broker", "holder", "controlPlane"}
    for name, words in (("broker", "sandbox.broker"), ("holder", "sandbox.holder"), ("controlPlane", "stand_in.py")):
        assert words in Path(f"/proc/{document['processes'][name]}/cmdline").read_text()
    shown = running.ringfence("status")
    assert shown.returncode == 0
    assert str(running.state) in shown.stdout and "clusters:\n  inference  192.0.2.7\n" in shown.stdout


def test_variables_for_a_shell(running: Box) -> None:
    printed = running.ringfence("env", "--at", "mynetwork/default").stdout
    found = running.program(
        "sh", "-c", f"SSL_CERT_DIR=x\n{printed}\nexport -p; echo [${{SSL_CERT_DIR-unset}}]; echo $https_proxy"
    ).stdout
    document = running.ringfence("env", "--at", "mynetwork/default", "--json").stdout
    variables = json.loads(document)["variables"]
    port, secret = (json.loads((running.state / "run/broker.json").read_text())[name] for name in ("proxy_port", "proxy_secret"))
    assert variables["https_proxy"] == f"http://mynetwork%2Fdefault:{secret}@127.0.0.1:{port}"
    assert found.endswith(f"[unset]\n{variables['https_proxy']}\n")
    bundle = str(running.state / "trust/bundle.pem")
    assert variables["SSL_CERT_FILE"] == variables["REQUESTS_CA_BUNDLE"] == variables["NODE_EXTRA_CA_CERTS"] == bundle
    assert variables["AZURE_CONFIG_DIR"] == str(running.state / "home/azure")


def test_variables_for_fish(running: Box) -> None:
    lines = running.ringfence("env", "--at", "internet", "--shell", "fish").stdout.splitlines()
    assert lines[0] == "set -e SSL_CERT_DIR;"
    assert "set -gx RINGFENCE_LOCATION 'internet';" in lines


def test_variables_of_a_host_shell_do_not_hinder_a_visit(running: Box) -> None:
    variables = json.loads(running.ringfence("env", "--at", "internet", "--json").stdout)["variables"]
    seen = running.at("mynetwork/default", "sh", "-c", "echo $RINGFENCE_LOCATION $https_proxy", env=variables)
    assert seen.stdout == "mynetwork/default\n"


@pytest.mark.parametrize(
    "words",
    [
        ("exec", "--at", "internet", "--", "sh", "-c", "exit 9"),
        ("exec", "--at=internet", "sh", "-c", "exit 9"),
        ("exec", "--at", "internet", "sh", "-c", "exit 9"),
        ("shell", "--at", "internet"),
    ],
)
def test_visits_can_be_written_in_every_usual_way(running: Box, words: tuple[str, ...]) -> None:
    shell = running.home / "shell"
    shell.write_text("#!/bin/sh\nexit 9\n")
    shell.chmod(0o755)
    assert running.ringfence(*words, env={"SHELL": str(shell)}).returncode == 9


def test_the_frameworks_reading_agrees(running: Box) -> None:
    command = ["-c", "from ringfence.cli.program import app; app()", "--state", str(running.state)]
    for words in (("exec", "--at", "internet", "--", "sh", "-c", "exit 9"), ("exec", "--at=internet", "sh", "-c", "exit 9")):
        assert running.program(sys.executable, *command, *words).returncode == 9


def test_options_of_the_command_are_the_commands_own(running: Box) -> None:
    assert running.ringfence("exec", "--at", "internet", "echo", "--at", "--help", "--", "-x").stdout == "--at --help -- -x\n"


def test_logs(running: Box) -> None:
    assert "the sandbox runs" in running.ringfence("logs", "broker").stdout
    assert running.ringfence("logs").returncode == 0
    assert running.ringfence("logs", "service/diabetes").stdout == "log of diabetes&build=0\n"
    (running.state / "logs/builds/one.log").write_text("built one\n")
    assert running.ringfence("logs", "build").stdout == "built one\n"


def test_a_log_can_be_followed(running: Box) -> None:
    log = running.state / "logs/builds/two.log"
    log.write_text("first\n")
    command = [*running.at_command("x")[:5], "logs", "build", "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=running.environment) as following:
        assert following.stdout and following.stdout.readline() == "first\n"
        with log.open("a") as file:
            file.write("second\n")
        assert following.stdout.readline() == "second\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(10) in (1, 130)


@pytest.mark.parametrize(
    ("before", "now", "added"),
    [
        ("", "a\n", "a\n"),
        ("a\n", "a\nb\n", "b\n"),
        ("a\n", "a\n", ""),
        ("xa\n", "a\nb\n", "a\nb\n"),
        ("x" * 9000, "x" * 5000 + "y", "y"),
    ],
)
def test_what_a_log_has_beyond_what_was_shown(before: str, now: str, added: str) -> None:
    assert _added(before, now) == added


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("exec --at my", "mynetwork/default"), ("exec --at ", "internet\nmynetwork/default"), ("env --at int", "internet")],
)
def test_locations_complete(running: Box, typed: str, offered: str) -> None:
    line = f"ringfence --state {running.state} {typed}"
    request = {"_RINGFENCE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert running.program(*CLI, env=request).stdout.strip() == offered


def test_a_visit_waits_for_a_control_plane_that_is_being_started_again(running: Box) -> None:
    os.kill(running.status()["processes"]["controlPlane"], signal.SIGKILL)
    assert running.at("internet", "true").returncode == 0
    until(lambda: running.status()["processes"]["controlPlane"], "it answers again")


def test_the_client_tells_refusals_from_silence(running: Box, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        Client(running.state).post("/locations", {"at": "nowhere"})
    assert (refused.value.status, refused.value.code) == (404, "LocationNotFound")
    with pytest.raises(NotRunning, match="does not run"):
        Client(tmp_path).get("/status")
