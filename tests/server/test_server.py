"""The control plane as a process, over the memory driver: start, TLS, sign-in, kill and restart, the end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import ssl
import stat
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Headers = Mapping[str, str]
ARM, LOGIN = "management.azure.com", "login.microsoftonline.com"


class _Unix(http.client.HTTPConnection):
    """HTTP to the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("ringfence", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5.0)
        self.sock.connect(str(self._path))


class _Named(http.client.HTTPSConnection):
    """HTTPS to the edge under one of Azure's names."""

    def __init__(self, name: str, port: int, ca: Path) -> None:
        self._trust = ssl.create_default_context(cafile=str(ca))
        super().__init__(name, timeout=5.0)
        self._port = port

    def connect(self) -> None:
        with contextlib.ExitStack() as unless_it_works:
            plain = unless_it_works.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=5.0))
            self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)
            unless_it_works.pop_all()


class Server:
    """One state folder and the process that serves it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.log = state.with_suffix(".log")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "ringfence.server", "--state", str(self.state), "--driver", "memory"]
        begun = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < begun + 20.0, self.log.read_text()
            try:
                self.status()
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
        self.seconds = time.monotonic() - begun
        message = next(line["message"] for line in self.lines() if line["message"].startswith("serving"))
        self.port = int(message.split("127.0.0.1:")[1].split(",")[0])

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def status(self) -> dict[str, Any]:
        with contextlib.closing(_Unix(self.state / "run" / "control.sock")) as connection:
            connection.request("GET", "/status")
            found: dict[str, Any] = json.load(connection.getresponse())
            return found

    def ask(self, name: str, method: str, path: str, body: object = None, headers: Headers | None = None) -> tuple[int, Any]:
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        with contextlib.closing(_Named(name, self.port, self.state / "pki" / "ca.pem")) as connection:
            connection.request(method, path, content, dict(headers or {}))
            answer = connection.getresponse()
            found = answer.read()
            return answer.status, json.loads(found) if found else None

    def admin(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.state / "admin.json").read_text())
        return found

    def sign_in(self) -> dict[str, str]:
        admin = self.admin()
        form = {
            "grant_type": "client_credentials",
            "client_id": admin["clientId"],
            "client_secret": admin["clientSecret"],
            "scope": "https://management.azure.com/.default",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/{admin['tenantId']}/oauth2/v2.0/token"
        status, answer = self.ask(LOGIN, "POST", path, urllib.parse.urlencode(form), headers)
        assert status == 200, answer
        return {"Authorization": f"Bearer {answer['access_token']}", "Content-Type": "application/json"}

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(10.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("server") / "state")
    yield found
    if found.process.poll() is None:
        found.end(signal.SIGKILL)


def group(server: Server) -> str:
    return f"/subscriptions/{server.admin()['subscriptionId']}/resourceGroups/mygroup"


def test_the_doors_are_closed_to_others(server: Server) -> None:
    for name in ("run/control.sock", "ringfence.db", "admin.json", "pki/ca.key", "pki/tokens.key"):
        assert stat.S_IMODE((server.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(server.state.stat().st_mode) == 0o700


def test_it_is_small(server: Server) -> None:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))
    assert resident < 120 * 1024


def test_it_rests(server: Server) -> None:
    def spent() -> int:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = spent()
    time.sleep(1.0)
    assert spent() - before <= 5, "an idle second costs less than 50 ms"


def test_it_is_known_by_azures_names_and_by_no_other(server: Server) -> None:
    status, document = server.ask(ARM, "GET", "/metadata/endpoints?api-version=2022-09-01")
    assert status == 200 and document["name"] == "AzureCloud"
    with pytest.raises(ssl.SSLError):
        server.ask("example.com", "GET", "/")


def test_a_token_opens_resource_manager(server: Server) -> None:
    path = f"{group(server)}?api-version=2024-03-01"
    assert server.ask(ARM, "GET", path)[0] == 401
    status, document = server.ask(ARM, "PUT", path, {"location": "eastus2"}, server.sign_in())
    assert status == 201 and document["name"] == "mygroup"


def test_small_answers_do_not_wait_for_acknowledgements(server: Server) -> None:
    """With Nagle's algorithm on, each of them takes 40 ms."""
    with contextlib.closing(_Named(ARM, server.port, server.state / "pki" / "ca.pem")) as connection:
        headers, took = server.sign_in(), []
        for _ in range(40):
            begun = time.perf_counter()
            connection.request("GET", f"{group(server)}?api-version=2024-03-01", headers=headers)
            connection.getresponse().read()
            took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.02


def test_garbage_on_the_sockets_does_no_harm(server: Server) -> None:
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", server.port)),
        (socket.AF_UNIX, str(server.state / "run" / "control.sock")),
    ):
        for garbage in (
            b"",
            b"\x00" * 1000,
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
            b"\x16\x03\x01\x02\x00" + b"\xff" * 512,
        ):
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(2.0)
                connection.connect(address)
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(100)
                except OSError:
                    continue
    assert server.status()["version"]


def test_many_clients_at_once(server: Server) -> None:
    headers = server.sign_in()

    async def all() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(one, n) for n in range(12)))

    def one(number: int) -> int:
        path = f"{group(server)}/providers/Microsoft.Network/networkSecurityGroups/nsg{number}?api-version=2024-01-01"
        return server.ask(ARM, "PUT", path, {"location": "eastus2", "properties": {}}, headers)[0]

    assert asyncio.run(all()) == [201] * 12


def test_a_killed_process_is_followed_by_one_that_knows(server: Server) -> None:
    headers = server.sign_in()
    server.end(signal.SIGKILL)
    server.start()
    status, document = server.ask(ARM, "GET", f"{group(server)}?api-version=2024-03-01", headers=headers)
    assert status == 200 and document["name"] == "mygroup", "the token holds over a restart, and so does the group"


def test_a_person_stays_signed_in_while_the_process_is_killed(server: Server) -> None:
    admin, form = server.admin(), {"Content-Type": "application/x-www-form-urlencoded"}
    asked = {"client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "scope": "https://graph.microsoft.com/.default offline_access"}

    def token(**more: str) -> dict[str, Any]:
        path = f"/{admin['tenantId']}/oauth2/v2.0/token"
        status, answer = server.ask(LOGIN, "POST", path, urllib.parse.urlencode(asked | more), form)
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    first = token(grant_type="password", username="admin@ringfence.onmicrosoft.com", password=admin["clientSecret"])
    server.end(signal.SIGKILL)
    server.start()
    again = token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    bearer = {"Authorization": f"Bearer {again['access_token']}"}
    status, me = server.ask("graph.microsoft.com", "GET", "/v1.0/me", headers=bearer)
    assert status == 200 and me["userPrincipalName"] == "admin@ringfence.onmicrosoft.com"
    managing = token(
        grant_type="refresh_token", refresh_token=first["refresh_token"], scope="https://management.azure.com/.default"
    )
    bearer = {"Authorization": f"Bearer {managing['access_token']}"}
    status, document = server.ask(ARM, "GET", f"{group(server)}?api-version=2024-03-01", headers=bearer)
    assert status == 200 and document["name"] == "mygroup", "the administrator owns everything as a person too"


def test_it_ends_in_order(server: Server) -> None:
    assert server.end(signal.SIGTERM) == 0
    assert not (server.state / "run" / "control.sock").exists()
    assert server.lines()[-1]["message"] == "ended"
    assert [line for line in server.lines() if line["level"] == "error"] == []
