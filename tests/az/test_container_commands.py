"""`az container` in a delegated subnet, by the unmodified Azure CLI: create, show, logs, exec, restart, delete."""

from __future__ import annotations

import pty
import select
import subprocess
import sys
import time

import pytest
from tests import shells
from tests.az.conftest import Desk

_GROUP, _NAME = ("-g", "containers"), ("-n", "app")
_STAY = "trap 'exit 0' TERM; echo hello from $NAME; while :; do sleep 0.05; done"
_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def app(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A network whose subnet is delegated by the CLI itself, and a container in it from a registry of the customer's."""
    desk.az("group", "create", *_GROUP, "-l", "eastus2")
    desk.az("network", "vnet", "create", *_GROUP, "-n", "v", "--address-prefixes", "10.4.0.0/16")
    desk.az("acr", "create", *_GROUP, "-n", "containerimages", "--sku", "Basic", "--admin-enabled")
    password = desk.az("acr", "credential", "show", *_GROUP, "-n", "containerimages")["passwords"][0]["value"]
    image = shells.layout(tmp_path_factory.mktemp("image"), ["sh", "-c", _STAY])
    copy = ("skopeo", "copy", "--insecure-policy", "--dest-creds", f"containerimages:{password}")
    where = "containerimages.azurecr.io"
    desk.ringfence("exec", "--at", "internet", "--", *copy, f"oci:{image}:1", f"docker://{where}/app:1")
    login = ("--registry-login-server", where, "--registry-username", "containerimages", "--registry-password", password)
    network = ("--vnet", "v", "--subnet", "aci", "--subnet-address-prefix", "10.4.1.0/24")
    size = ("--os-type", "Linux", "--cpu", "0.5", "--memory", "0.5")
    variables = ("--environment-variables", "NAME=az", "--secure-environment-variables", "SECRET=hush")
    desk.az("container", "create", *_GROUP, *_NAME, "--image", f"{where}/app:1", *size, *network, *login, *variables)
    return desk


def test_a_container_lives_in_the_subnet_and_tells_no_secret(app: Desk) -> None:
    shown = app.az("container", "show", *_GROUP, *_NAME)
    assert (shown["provisioningState"], shown["instanceView"]["state"]) == ("Succeeded", "Running")
    assert (shown["ipAddress"]["type"], shown["ipAddress"]["ip"]) == ("Private", "10.4.1.4")
    assert "hush" not in str(shown)
    logs = app.ringfence("exec", "--at", "internet", "--", app.program, "container", "logs", *_GROUP, *_NAME)
    assert "hello from az" in logs


def test_a_command_runs_in_the_container_at_a_terminal(app: Desk) -> None:
    command = [sys.executable, "-m", "ringfence.cli", "--state", str(app.state), "exec", "--at", "internet", "--", app.program]
    ours, theirs = pty.openpty()
    inside = ["container", "exec", *_GROUP, *_NAME, "--exec-command", "/bin/sh"]
    running = subprocess.Popen([*command, *inside], stdin=theirs, stdout=theirs, stderr=theirs)
    said, asked, end = b"", False, time.monotonic() + _PATIENCE_S
    with open(ours, "r+b", buffering=0) as terminal:
        while running.poll() is None and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                said += terminal.read(4096)
            if b"# " in said and not asked:
                terminal.write(b"echo $NAME-$SECRET; id -u; exit\r")
                asked = True
        running.kill()
    assert b"az-hush" in said, said


def test_it_restarts_and_goes_and_its_subnet_is_free(app: Desk) -> None:
    app.az("container", "restart", *_GROUP, *_NAME)
    app.az("container", "delete", *_GROUP, *_NAME, "--yes")
    app.az("network", "vnet", "subnet", "delete", *_GROUP, "--vnet-name", "v", "-n", "aci")
