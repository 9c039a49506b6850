"""The command line: help that teaches, exit codes, JSON, errors with a way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.sandbox.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("up", "down", "status", "doctor", "exec", "shell", "env", "logs", "demo")


def ringfence(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RINGFENCE_STATE"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120", **variables}
    command = [sys.executable, "-m", "ringfence.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_the_program_lists_its_commands_and_first_steps() -> None:
    shown = ringfence("--help")
    assert shown.returncode == 0
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)
    assert "First steps:" in shown.stdout and "--install-completion" in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str) -> None:
    shown = ringfence(name, "--help")
    assert shown.returncode == 0
    assert "Examples:\n" in shown.stdout and ("ringfence " in shown.stdout or "make " in shown.stdout)
    if name != "doctor":
        assert "--state" in shown.stdout


def test_the_version() -> None:
    shown = ringfence("--version")
    assert shown.returncode == 0 and shown.stdout.startswith("ringfence 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("up", "--bogus"),
        ("exec", "--at", "internet"),
        ("exec", "--", "true"),
        ("exec", "--at"),
        ("shell",),
        ("shell", "--at", "internet", "too", "much"),
        ("env", "--at", "internet", "--shell", "tcsh"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    refused = ringfence(*arguments)
    assert refused.returncode == 2
    assert "Error: " in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("status",), 1), (("env", "--at", "internet"), 1), (("exec", "--at", "internet", "true"), 125), (("logs",), 1)],
)
def test_without_a_sandbox_every_command_says_how_to_start_one(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    refused = ringfence("--state", str(tmp_path / "none"), *arguments)
    assert refused.returncode == code
    assert "ringfence up" in refused.stderr + refused.stdout
    assert not (tmp_path / "none").exists()


def test_the_state_folder_comes_from_option_program_variable_or_default_in_this_order(tmp_path: Path) -> None:
    def state(*arguments: str, **variables: str) -> str:
        return str(json.loads(ringfence(*arguments, **variables).stdout)["state"])

    one, two, three = (str(tmp_path / name) for name in ("one", "two", "three"))
    assert state("--state", two, "status", "--json", "--state", one, RINGFENCE_STATE=three) == one
    assert state("--state", two, "status", "--json", RINGFENCE_STATE=three) == two
    assert state("status", "--json", RINGFENCE_STATE=three) == three
    assert state("status", "--json", XDG_STATE_HOME=three) == f"{three}/ringfence"
    assert state("status", "--json", XDG_STATE_HOME="", HOME=three) == f"{three}/.local/state/ringfence"


def test_doctor_for_a_machine_to_read() -> None:
    shown = ringfence("doctor", "--json")
    document = json.loads(shown.stdout)
    assert (shown.returncode == 0) == document["ok"]
    assert document["seconds"] < 1
    assert all(set(check) == {"name", "ok", "required", "detail", "remedy"} for check in document["checks"])


def test_an_unknown_log_names_the_known_ones(tmp_path: Path) -> None:
    refused = ringfence("--state", str(tmp_path), "logs", "everything")
    assert refused.returncode == 1 and "build/NAME or service/NAME" in refused.stderr
    assert "deploy a model" in ringfence("--state", str(tmp_path), "logs", "build").stderr


def test_the_demo_without_clients_names_the_remedy(tmp_path: Path) -> None:
    refused = ringfence("demo", "--client-python", str(tmp_path / "python"))
    assert refused.returncode == 1 and "make demo" in refused.stderr


def test_completion_can_be_had() -> None:
    shown = ringfence("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert shown.returncode == 0 and "_RINGFENCE_COMPLETE" in shown.stdout


def test_a_refusal_says_what_to_do_by_its_code_first() -> None:
    assert "start the sign-in again" in Refused(404, "CodeNotFound", "no code").remedy
    assert "`ringfence status`" in Refused(404, "LocationNotFound", "no location").remedy
    assert "`ringfence logs control`" in Refused(500, "InternalServerError", "broken").remedy
