"""Bytes on a connection: keep-alive, pipelining, chunks, limits, and requests that are none."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scoring.conftest import Starter
    from tests.scoring.scoring_server import Server, receive
else:
    from scoring_server import receive

HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\n"


def test_a_connection_is_kept_and_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as connection:
        for number in (b"1", b"2", b"3"):
            connection.sendall(HEAD + b"Content-Length: 1\r\n\r\n" + number)
            assert receive(connection).json() == [number.decode(), 5]
        connection.sendall(b"".join(HEAD + b"Content-Length: 1\r\n\r\n" + n for n in (b"4", b"5", b"6")))
        received = b""
        while received.count(b"HTTP/1.1 200") < 3 or not received.endswith(b"]"):
            received += connection.recv(65536)
        assert [received.index(f'["{n}", 5]'.encode()) for n in (4, 5, 6)] == sorted(
            received.index(f'["{n}", 5]'.encode()) for n in (4, 5, 6)
        )


@pytest.mark.parametrize("line", [b"Connection: close\r\n", b"Connection: Close\r\n"])
def test_a_client_may_ask_for_the_end(server: Server, line: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + line + b"Content-Length: 1\r\n\r\nx")
        assert receive(connection).fields["connection"] == "close"
        assert connection.recv(1) == b""


def test_http_1_0_is_one_request(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /score HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
        assert receive(connection).json() == ["x", 5]
        assert connection.recv(1) == b""


def test_a_client_that_has_sent_all_and_closed_its_half_still_gets_its_answer(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection).json() == ["x", 5]
        assert connection.recv(1) == b""


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert receive(connection).json() == ["abcde", 5]


def test_a_client_that_expects_a_go_ahead_gets_it(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert receive(connection).json() == ["ok", 5]


def test_a_large_body_goes_in_and_out(server: Server) -> None:
    body = b"x" * (20 * 1024 * 1024)
    answer = server.ask(body=body)
    assert answer.status == 200 and len(answer.body) == len(body) + 7


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /\x01 HTTP/1.1\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 8200 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70000, 431),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (HEAD + b"Content-Length: 1, 1\r\n\r\nx", 400),
        (HEAD + b"Content-Length: +1\r\n\r\nx", 400),
        (HEAD + b"Content-Length: -1\r\n\r\nx", 400),
        (HEAD + b"Content-Length: 104857601\r\n\r\n", 413),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n6400001\r\n", 413),
        (b"POST /score HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(server: Server, data: bytes, status: int) -> None:
    with server.connect() as connection:
        connection.sendall(data)
        answer = receive(connection)
        assert answer.status == status and answer.message and answer.fields["connection"] == "close"
        assert connection.recv(65536) == b""
    assert server.ask(body="hi").status == 200


def test_health_is_answered_while_run_computes(serve: Starter) -> None:
    spin = "    end = time.time() + 1.5\n    while time.time() < end: pass\n    return 1\n"
    server = serve(f"import time\ndef init(): pass\ndef run(data):\n{spin}")
    with server.connect() as busy:
        busy.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")
        time.sleep(0.1)
        began = time.monotonic()
        assert server.ask("GET", "/").status == 200
        assert time.monotonic() - began < 0.5
        with server.connect() as half:
            half.sendall(b"POST /sco")
            assert server.ask("GET", "/").status == 200, "half a request holds nobody up"
        assert receive(busy).json() == 1


def test_a_client_that_goes_away_while_it_is_served_costs_nothing(serve: Starter) -> None:
    server = serve("import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.5)\n    return 1\n")
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    before = _processor_seconds(server.process.pid)
    time.sleep(0.3)
    assert _processor_seconds(server.process.pid) - before < 0.15
    assert server.ask(body="x").json() == 1


def _processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_what_waits_too_long_is_refused_while_run_still_runs(serve: Starter) -> None:
    """maxQueueWaitMs of a service: the second request is answered before the first one is."""
    slow = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(float(data))\n    return 1\n"
    server = serve(slow, MAX_QUEUE_WAIT_MS="100")
    with server.connect() as first, server.connect() as second:
        began = time.monotonic()
        first.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n0.6")
        time.sleep(0.05)
        second.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n0")
        refused = receive(second)
        assert refused.status == 503 and 0.1 <= time.monotonic() - began < 0.5
        assert receive(first).status == 200
        second.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n0")
        assert receive(second).status == 200


def test_what_counts_as_being_worked_on_does_not_wait_too_long(serve: Starter) -> None:
    """Of four at a time two are worked on, as far as patience goes; run() is still called for one after the other."""
    slow = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.4)\n    return data\n"
    server = serve(slow, MAX_QUEUE_WAIT_MS="100", MAX_CONCURRENT_REQUESTS="2")
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(server.ask(body="1").status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [503, 503, 200, 200]
