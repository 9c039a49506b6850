"""The TLS door with real connections: a context by the address that was dialled, and the client's certificate in the scope."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp
from tests import clouds
from tests.hosts.authority import make_authority
from tests.kubernetes.kube_world import managed_cluster

from ringfence.api import doors, tls
from ringfence.api.kubernetes.keys import Account, Keys
from ringfence.api.kubernetes.plates import plates

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)  # noqa: TID251 (OpenSSL judges certificates by the real clock)
KEYS = Keys(b"k" * 32)


async def _who(request: Request) -> PlainTextResponse:
    certificate = request.scope["state"].get("client_certificate")
    if certificate is None:
        return PlainTextResponse("nobody")
    return PlainTextResponse(x509.load_der_x509_certificate(certificate).subject.rfc4514_string())


@contextmanager
def listening(app: ASGIApp, choose: Callable[[str], ssl.SSLContext]) -> Iterator[int]:
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    config.http_protocol_class = doors.protocol(choose)
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10.0)


def ask(port: int, context: ssl.SSLContext, name: str | None) -> str:
    plain = socket.create_connection(("127.0.0.1", port), timeout=5.0)
    with plain, context.wrap_socket(plain, server_hostname=name) as secured:
        secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b"".join(iter(lambda: secured.recv(4096), b""))
    return found.rpartition(b"\r\n\r\n")[2].decode()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("state"), NOW)


@pytest.fixture(scope="module")
def port(state: Path) -> Iterator[int]:
    """One server whose address is a cluster's own."""
    (plate,) = plates(clouds.served_cloud().snapshot, KEYS).values()
    listeners = tls.Listeners(state, {"one.example"}.__contains__, lambda: NOW)
    with listening(Starlette(routes=[Route("/", _who)]), lambda _: listeners.of(plate)) as found:
        yield found


def trusting(state: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(state / "pki" / "ca.pem"))


@pytest.mark.parametrize("name", ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.0.0.1", "one.example"])
def test_an_own_address_has_a_certificate_for_each_of_its_names(state: Path, port: int, name: str) -> None:
    """A client that dials an address sends no name at all, and checks the address."""
    assert ask(port, trusting(state), name) == "nobody"


def test_a_stranger_at_an_own_address_is_refused(state: Path, port: int) -> None:
    with pytest.raises(ssl.SSLError):
        ask(port, trusting(state), "two.example")


def test_a_clients_certificate_reaches_the_application(state: Path, port: int, tmp_path: Path) -> None:
    cluster = managed_cluster(clouds.served_cloud().snapshot)
    found = []
    for keys in (KEYS, Keys(b"x" * 32)):
        issued = keys.certificate(cluster, Account.ADMIN)
        (tmp_path / "both.pem").write_bytes(issued.key + issued.certificate)
        context = trusting(state)
        context.load_cert_chain(tmp_path / "both.pem")
        try:
            found.append(ask(port, context, "kubernetes.default.svc"))
        except OSError:
            found.append("")
    assert found == ["CN=masterclient,O=system:masters", ""], "another cluster's certificate ends the handshake"


def test_who_says_nothing_does_no_harm(state: Path, port: int) -> None:
    for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"\xff" * 512):
        with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            assert b"200" not in connection.recv(100)
    assert ask(port, trusting(state), "one.example") == "nobody"
