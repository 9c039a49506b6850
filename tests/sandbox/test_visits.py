"""A command at a location: what is as the caller has it, what is not, and what the command cannot do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box, until
else:
    from boxes import Box, until


def _script(running: Box, source: str) -> str:
    """What a Python program at the location `internet` prints."""
    done = running.at("internet", sys.executable, "-c", source)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 42"), 42),
        (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
    ],
)
def test_exit_codes(running: Box, command: tuple[str, ...], code: int) -> None:
    assert running.at("internet", *command).returncode == code


def test_a_failure_of_ringfence_itself_is_125(running: Box) -> None:
    unknown = running.at("nowhere", "true")
    assert unknown.returncode == 125
    assert "There is no location 'nowhere'. (LocationNotFound)" in unknown.stderr and "what to do:" in unknown.stderr
    nested = running.at("internet", *running.at_command("internet", "true"))
    assert nested.returncode == 125 and "already" in nested.stderr


def test_standard_streams_pass_through(running: Box) -> None:
    data = os.urandom(1 << 20)
    done = subprocess.run(
        running.at_command("internet", "cat"), input=data, capture_output=True, env=running.environment, check=True
    )
    assert done.stdout == data
    split = running.at("internet", "sh", "-c", "echo out; echo err >&2")
    assert (split.stdout, split.stderr) == ("out\n", "err\n")


def test_descriptors_of_the_caller_are_inherited_and_no_others(running: Box) -> None:
    told, tell = os.pipe()
    source = f"import os; os.write({tell}, b'hello\\n'); print(*os.listdir('/proc/self/fd'))"
    done = running.at("internet", sys.executable, "-c", source, pass_fds=[tell], stdin=subprocess.DEVNULL)
    os.close(tell)
    with open(told, "rb") as reader:
        assert reader.read() == b"hello\n"
    assert set(done.stdout.split()) == {"0", "1", "2", "3", str(tell)}  # 3 reads the folder


def test_the_caller_is_who_and_where_they_were(running: Box, tmp_path: Path) -> None:
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "file").write_text("content")
    seen = running.at("internet", "sh", "-c", "id -u; id -g; pwd; cat file; umask", cwd=place, umask=0o027)
    assert seen.stdout.splitlines() == [str(os.getuid()), str(os.getgid()), str(place), "content0027"]


def test_a_working_folder_that_is_not_there_is_said(running: Box) -> None:
    done = running.at("internet", "pwd", cwd="/run")
    assert done.stdout == "/run\n"  # a /run is there, though another one
    assert running.at("internet", "pwd", cwd="/proc/self").stdout == "/\n"


def test_names_are_looked_up_at_the_platform_address_only(running: Box) -> None:
    assert running.at("internet", "cat", "/etc/resolv.conf").stdout == "nameserver 168.63.129.16\n"
    assert running.at("internet", "grep", "^hosts:", "/etc/nsswitch.conf").stdout == "hosts: files dns\n"
    others = "grep -v '^hosts:' /etc/nsswitch.conf"
    assert running.at("internet", "sh", "-c", others).stdout == running.program("sh", "-c", others).stdout
    hosts = running.at("internet", "cat", "/etc/hosts").stdout
    assert [line.split()[0].split(".")[0] for line in hosts.splitlines()] == ["127", "127"]
    assert _script(running, "import socket; print(socket.gethostbyname(socket.gethostname()))").startswith("127.")


def test_the_own_certificates_are_trusted_and_the_system_file_says_so(running: Box) -> None:
    authority = (running.state / "pki/ca.pem").read_text().strip()
    host = {"SSL_CERT_FILE": "/host.pem", "SSL_CERT_DIR": "/host", "https_proxy": "http://host:1", "NO_PROXY": "*"}
    variables = json.loads(
        running.at("internet", sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))", env=host).stdout
    )
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "PIP_CERT")
    assert {authority in _script(running, f"print(open({variables[name]!r}).read())") for name in names} == {True}
    assert not {"SSL_CERT_DIR", "https_proxy", "NO_PROXY"} & set(variables)
    assert variables["RINGFENCE_LOCATION"] == "internet"
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    if system.exists():
        assert authority in running.at("internet", "cat", str(system)).stdout
        assert authority not in system.read_text()
    count = "import ssl; print(sum('Ringfence' in str(c['subject']) for c in ssl.create_default_context().get_ca_certs()))"
    assert _script(running, count) == "1"


def test_profiles_are_kept_apart(running: Box) -> None:
    real = running.home / ".azure"
    real.mkdir(exist_ok=True)
    (real / "token").write_text("a real one")
    done = running.at("internet", "sh", "-c", "cat ~/.azure/token; echo ours > ~/.azure/mine; echo ours > ~/.azureml/mine")
    assert "a real one" not in done.stdout
    assert os.listdir(real) == ["token"]
    assert (running.state / "home/azure/mine").read_text() == (running.state / "home/azureml/mine").read_text() == "ours\n"
    assert list((running.home / ".azureml").iterdir()) == []
    (real / "token").unlink()


def test_there_is_no_way_out(running: Box) -> None:
    source = """
import errno, socket
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    print(errno.errorcode[s.connect_ex(('192.0.2.1', 443))])
"""
    assert _script(running, source) == "ENETUNREACH"
    assert running.at("internet", "ls", "/sys/class/net").stdout == "lo\n"
    assert running.at("internet", "sh", "-c", "ls /run | sort").stdout == "lock\nringfence\n"


@pytest.mark.parametrize(
    "attempt",
    [
        "ip link add dummy0 type veth",
        "ip link set lo down",
        "nft add table ip mine",
        "nsenter -t 1 -n true",
        "nsenter -t 1 -m true",
        "ls /proc/1/root/",
        "umount ~/.azure",
        "umount /etc/resolv.conf",
        "umount /run",
        "mount -t proc proc /proc",
    ],
)
def test_what_a_command_has_no_power_to_do(running: Box, attempt: str) -> None:
    assert running.at("internet", "sh", "-c", f"PATH=$PATH:/usr/sbin:/sbin; {attempt}").returncode != 0


def test_processes_of_the_host_are_not_seen(running: Box) -> None:
    numbers = running.at("internet", "sh", "-c", "ls /proc").stdout.split()
    assert sum(number.isdigit() for number in numbers) < 10
    assert "sandbox.holder" in running.at("internet", "cat", "/proc/1/cmdline").stdout


def test_locations_are_different_networks(running: Box) -> None:
    seen = [running.at(at, "readlink", "/proc/self/ns/net").stdout for at in ("internet", "mynetwork/default", "internet")]
    assert seen[0] == seen[2] != seen[1]
    assert os.readlink("/proc/self/ns/net") + "\n" not in seen


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_signals_reach_the_command(running: Box, name: str) -> None:
    source = f"""
import signal, sys, time
signal.signal(signal.{name}, lambda *_: sys.exit(33))
print('ready', flush=True)
time.sleep(20)
"""
    command = running.at_command("internet", sys.executable, "-c", source)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=running.environment) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, name))
        assert process.wait(10) == 33


def test_a_killed_command_line_takes_its_command_along(running: Box) -> None:
    with subprocess.Popen(running.at_command("internet", "sleep", "4242"), env=running.environment) as process:
        until(lambda: "sleep 4242" in _listed(running), "the command runs")
        process.kill()
    until(lambda: "sleep 4242" not in _listed(running), "the command is gone")


def test_signals_are_as_a_program_expects_them(running: Box) -> None:
    ignored = running.at("internet", "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
    expected = running.program("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
    assert ignored.stdout == expected.stdout


def test_entering_is_quick(running: Box) -> None:
    def seconds(*command: str) -> float:
        begun = time.perf_counter()
        assert running.program(*command).returncode == 0
        return time.perf_counter() - begun

    running.at("internet", "true")
    entering = min(seconds(*running.at_command("internet", "true")) for _ in range(5))
    assert entering - min(seconds("true") for _ in range(5)) < 0.15


def _listed(running: Box) -> list[str]:
    return running.at("internet", "ps", "-eo", "args").stdout.splitlines()
