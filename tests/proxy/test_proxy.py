"""The proxy against real sockets on loopback: who passes, what is carried, and what is said when not."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import cast

import dns.message
import dns.rcode
import dns.rrset
import httpx
import pytest

from ringfence.api import proxy

SECRET = "s3cret"
RECORDS = {"web.test.": "127.0.0.1", "nowhere.test.": "127.0.0.1"}


@dataclass
class World:
    """A running proxy, a web server behind it, and what the proxy opened and where."""

    port: int
    web: int
    opened: list[tuple[str, socket.SocketKind]] = field(default_factory=list)

    def url(self, user: str = "mynetwork%2Fdefault", password: str = SECRET) -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


class Resolver(asyncio.DatagramProtocol):
    """Answers from RECORDS; the name `silent.test` gets no answer, `broken.test` gets SERVFAIL."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text().lower()
        answer = dns.message.make_response(question)
        if name == "silent.test.":
            return
        if name == "alias.test.":
            answer.answer.append(dns.rrset.from_text(name, 10, "IN", "CNAME", "web.test."))
            name = "web.test."
        if name in RECORDS:
            answer.answer.append(dns.rrset.from_text(name, 10, "IN", "A", RECORDS[name]))
        else:
            answer.set_rcode(dns.rcode.SERVFAIL if name == "broken.test." else dns.rcode.NXDOMAIN)
        self.transport.sendto(b"noise", addr)
        self.transport.sendto(answer.to_wire(), addr)


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echoes what it is sent, as the body of an answer; /raw answers in something that is no HTTP."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")), 0)
    body = head + await reader.readexactly(length)
    if b" /raw " in head:
        writer.write(b"nonsense\r\n\r\n")
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    ready: Future[World] = Future()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        made = World(0, 0)

        async def locate(at: str) -> proxy.Place:
            if at not in ("mynetwork/default", "internet"):
                raise LookupError(f"There is no location {at!r}; `ringfence status` lists them.")
            return proxy.Place(f"nic/{at}", "127.0.0.1")

        def open_socket(key: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
            made.opened.append((key, kind))
            return socket.socket(family, kind)

        transport, _ = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
        exit_ = proxy.Exit(SECRET, locate, open_socket, 0.3, 0.2, transport.get_extra_info("sockname")[1])
        listener = socket.create_server(("127.0.0.1", 0))
        server = await asyncio.start_server(web, "127.0.0.1", 0)
        made.port, made.web = listener.getsockname()[1], server.sockets[0].getsockname()[1]
        started = await proxy.start(listener, exit_)
        ready.set_result(made)
        await stop.wait()
        started.close()
        server.close()
        transport.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    yield ready.result(5)
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def tunnel(world: World, target: str, credentials: str | None = f"mynetwork/default:{SECRET}") -> tuple[socket.socket, bytes]:
    stream = world.connect()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if credentials is not None:
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(credentials.encode()).decode())
    stream.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (block := stream.recv(4096)):
        answer += block
    return stream, answer


def test_a_plain_request_goes_out_at_the_location(world: World) -> None:
    world.opened.clear()
    with httpx.Client(proxy=world.url()) as client:
        answer = client.post(f"http://web.test:{world.web}/path?q=1", content=b"body", headers={"Proxy-Connection": "x"})
    assert answer.status_code == 200
    assert answer.text.startswith(f"POST /path?q=1 HTTP/1.1\r\nHost: web.test:{world.web}\r\n") and answer.text.endswith("body")
    assert "proxy-" not in answer.text.lower() and "x-hop" not in answer.headers
    assert world.opened == [
        ("nic/mynetwork/default", socket.SOCK_DGRAM),
        ("nic/mynetwork/default", socket.SOCK_STREAM),
    ]


def test_requests_follow_one_another_on_one_connection(world: World) -> None:
    with httpx.Client(proxy=world.url("internet")) as client:
        for number in range(3):
            assert f"/{number} HTTP/1.1" in client.get(f"http://127.0.0.1:{world.web}/{number}").text


def test_a_tunnel_carries_bytes_both_ways_and_keeps_half_closing(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answering = threading.Thread(target=_answer_once, args=(server,))
        answering.start()
        stream, answer = tunnel(world, f"alias.test:{port}")
        with stream:
            assert answer.startswith(b"HTTP/1.1 200 Connection established")
            sent = b"x" * 300_000
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
            received = b""
            while block := stream.recv(65536):
                received += block
        answering.join(5)
    assert received == sent[::-1] + b"!"


def _answer_once(server: socket.socket) -> None:
    peer, _ = server.accept()
    with peer:
        taken = b""
        while block := peer.recv(65536):
            taken += block
        peer.sendall(taken[::-1] + b"!")


@pytest.mark.parametrize("credentials", [None, "mynetwork/default:wrong", "mynetwork/default:", "nocolon", f":{SECRET}x"])
def test_without_the_secret_nobody_passes(world: World, credentials: str | None) -> None:
    world.opened.clear()
    stream, answer = tunnel(world, f"127.0.0.1:{world.web}", credentials)
    stream.close()
    assert answer.startswith(b"HTTP/1.1 407 ") and b'proxy-authenticate: basic realm="ringfence"' in answer.lower()
    assert world.opened == []


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("unknown.test:80", 502, b"does not exist"),
        ("broken.test:80", 502, b"SERVFAIL"),
        ("silent.test:80", 504, b"did not answer for silent.test"),
        ("nowhere.test:1", 502, b"cannot be reached from here: Connection refused"),
        ("[::1]:80", 502, b"IPv4"),
        ("127.0.0.1:99999", 502, b"no TCP port"),
        ("a..b:80", 502, b"no host name"),
        ("127.0.0.1", 400, b"host:port"),
    ],
)
def test_what_cannot_be_reached_is_said_with_its_reason(world: World, target: str, status: int, words: bytes) -> None:
    stream, answer = tunnel(world, target)
    with stream:
        while block := stream.recv(4096):
            answer += block
    assert answer.startswith(b"HTTP/1.1 %d " % status) and words in answer


def test_silence_becomes_a_gateway_timeout(world: World) -> None:
    # A listener whose queue is full drops the handshake, as a rule in the network would.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        stream, answer = tunnel(world, f"127.0.0.1:{silent.getsockname()[1]}")
        stream.close()
        for filler in fillers:
            filler.close()
    assert answer.startswith(b"HTTP/1.1 504 ")


def test_a_location_that_is_not_there_is_named(world: World) -> None:
    with httpx.Client(proxy=world.url("mynetwork%2Fnone")) as client:
        answer = client.get(f"http://127.0.0.1:{world.web}/")
    assert answer.status_code == 502 and "'mynetwork/none'" in answer.text


def test_an_answer_that_is_no_http_is_not_passed_on(world: World) -> None:
    with httpx.Client(proxy=world.url()) as client:
        assert client.get(f"http://web.test:{world.web}/raw").status_code == 502


@pytest.mark.parametrize(
    "request_line", ["GET / HTTP/1.1", "GET https://web.test/ HTTP/1.1", "\x00\x01\x02", "GET http:// HTTP/1.1"]
)
def test_requests_that_are_not_for_a_proxy(world: World, request_line: str) -> None:
    credentials = base64.b64encode(f"internet:{SECRET}".encode()).decode()
    with world.connect() as stream:
        stream.sendall(f"{request_line}\r\nHost: x\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
        assert stream.recv(4096).startswith(b"HTTP/1.1 400 ")


def _socks(world: World, user: bytes, password: bytes) -> tuple[socket.socket, bytes]:
    stream = world.connect()
    stream.sendall(b"\x05\x02\x00\x02")
    assert stream.recv(2) == b"\x05\x02"
    stream.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
    return stream, stream.recv(2)


def _by_name(host: bytes, port: int, command: int = 1) -> bytes:
    return bytes([5, command, 0, 3, len(host)]) + host + port.to_bytes(2, "big")


def test_socks_resolves_and_dials_at_the_location(world: World) -> None:
    world.opened.clear()
    stream, admitted = _socks(world, b"mynetwork/default", SECRET.encode())
    with stream:
        assert admitted == b"\x01\x00"
        stream.sendall(_by_name(b"web.test", world.web))
        assert stream.recv(10)[:2] == b"\x05\x00"
        stream.sendall(b"GET /socks HTTP/1.1\r\nHost: web.test\r\n\r\n")
        assert b"GET /socks" in _all(stream)
    assert [kind for _, kind in world.opened] == [socket.SOCK_DGRAM, socket.SOCK_STREAM]


def _all(stream: socket.socket) -> bytes:
    taken = b""
    while block := stream.recv(4096):
        taken += block
    return taken


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (lambda w: _by_name(b"unknown.test", 80), 4),
        (lambda w: _by_name(b"silent.test", 80), 6),
        (lambda w: b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01", 4),
        (lambda w: _by_name(b"web.test", w.web, command=2), 7),
        (lambda w: b"\x05\x01\x00\x04" + bytes(18), 8),
    ],
)
def test_socks_refusals(world: World, request_: Callable[[World], bytes], code: int) -> None:
    stream, _ = _socks(world, b"internet", SECRET.encode())
    with stream:
        stream.sendall(request_(world))
        assert stream.recv(10)[1] == code


def test_socks_asks_for_the_secret(world: World) -> None:
    world.opened.clear()
    stream, answer = _socks(world, b"internet", b"wrong")
    with stream:
        assert answer == b"\x01\x01" and stream.recv(1) == b""
    with world.connect() as stream:
        stream.sendall(b"\x05\x01\x00")
        assert stream.recv(2) == b"\x05\xff" and stream.recv(1) == b""
    assert world.opened == []
