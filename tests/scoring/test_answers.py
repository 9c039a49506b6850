"""The answers of the scoring server, row by row as Azure's inference server gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scoring.scoring_server import Server

CRASHED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ("hi", b'["hi", 5]'),
        ("", b'["", 5]'),
        ('{"a":1}', b'["{\\"a\\":1}", 5]'),
        ("none", b"{}"),
        ("tuple", b'["x", 201]'),
        ("nan", b"NaN"),
        ("text", b'"\\u00e9"'),
        ("dict", b'{"a": [1]}'),
    ],
)
def test_what_run_returns_becomes_json(server: Server, given: str, body: bytes) -> None:
    answer = server.ask(body=given)
    assert (answer.status, answer.body) == (200, body)
    assert answer.fields["content-type"] == "application/json"
    assert answer.fields["x-ms-run-function-failed"] == "False"
    assert re.fullmatch(r"\d+\.\d{3}", answer.fields["x-ms-run-fn-exec-ms"])
    assert answer.fields["x-ms-server-version"].startswith("ringfence-scoring/")


@pytest.mark.parametrize(
    ("given", "status", "message", "failed"),
    [
        ("raise", 500, CRASHED, "True"),
        ("exit", 500, CRASHED, "True"),
        ("timeout", 500, "Scoring timeout after 400 ms", "True"),
        ("slow", 500, "Scoring timeout after 400 ms", "True"),
        ("sleep", 500, "Scoring timeout after 400 ms", "True"),
        ("bytes", 500, INTERNAL, "False"),
    ],
)
def test_failures_of_run(server: Server, given: str, status: int, message: str, failed: str) -> None:
    answer = server.ask(body=given)
    assert (answer.status, answer.message, answer.fields["x-ms-run-function-failed"]) == (status, message, failed)
    assert "x-ms-run-fn-exec-ms" not in answer.fields
    assert server.ask(body="hi").status == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_arrives_as_nothing(server: Server, kind: str) -> None:
    assert server.ask(body="a=1", content_type=kind).body == b'["", 5]'


def test_bytes_that_are_no_text_are_refused(server: Server) -> None:
    answer = server.ask(body=b"\xff\xfe")
    assert answer.status == 400 and answer.message.startswith("Input cannot be decoded as UTF-8: ")


def test_headers_arrive_in_title_case_and_joined(server: Server) -> None:
    raw = b"POST /score HTTP/1.1\r\nHost: x\r\nx-tEst: 1\r\nX-Test: 2\r\nContent-Length: 7\r\n\r\nheaders"
    assert server.raw(raw).json() == {"X-Test": "1,2"}


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'["{}", 5]'),
        ("?a=1&b=%5B1%2C2%5D&c=x&c=y&d=", b'["{\\"a\\": 1, \\"b\\": [1, 2], \\"c\\": [\\"x\\", \\"y\\"], \\"d\\": \\"\\"}", 5]'),
    ],
)
def test_a_get_hands_over_its_query(server: Server, query: str, body: bytes) -> None:
    assert server.ask("GET", f"/score{query}").body == body


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "ids"),
    [
        ("GET", "/", 200, b"Healthy", True),
        ("HEAD", "/", 200, b"", True),
        ("OPTIONS", "/", 200, b"", True),
        ("OPTIONS", "/score", 200, b"", True),
        ("HEAD", "/score", 405, b"", True),
        ("DELETE", "/score", 405, b"The method is not allowed", False),
        ("POST", "/", 405, b"The method is not allowed", False),
        ("GET", "/score/", 404, b"The requested URL was not found", False),
        ("GET", "/nothing", 404, b"The requested URL was not found", False),
        ("GET", "//score", 200, b'["{}", 5]', True),
        ("GET", "/sc%6Fre", 200, b'["{}", 5]', True),
    ],
)
def test_routes(server: Server, method: str, path: str, status: int, body: bytes, ids: bool) -> None:
    answer = server.ask(method, path)
    assert answer.status == status and body in answer.body and bool(body) == bool(answer.body)
    assert ("x-request-id" in answer.fields) == ids == ("x-ms-server-version" in answer.fields)
    assert ("x-ms-run-function-failed" in answer.fields) == (path != "/" or status != 200)


def test_ids_are_made_echoed_and_derived(server: Server) -> None:
    def ids(**given: str) -> tuple[str | None, str | None, str | None]:
        fields = server.ask(body="hi", **given).fields
        return fields.get("x-request-id"), fields.get("x-ms-request-id"), fields.get("x-ms-client-request-id")

    own, legacy, client = ids()
    assert own is not None and UUID.fullmatch(own) and legacy == own and client is None
    assert ids(x_request_id="r") == ("r", "r", None)
    assert ids(x_request_id="r", x_ms_client_request_id="c") == ("r", "c", "c")
    assert ids(x_request_id="r", x_ms_request_id="l") == ("r", "l", "l")
    assert ids(x_request_id="r", x_ms_request_id="l", x_ms_client_request_id="c") == ("r", "l", "c")
    assert ids(x_request_id="") == (None, None, None)
    assert server.ask(body="hi", TraceId="t").fields["traceid"] == "t"


def test_an_id_of_more_than_a_hundred_characters_is_refused(server: Server) -> None:
    assert server.ask("GET", "/", x_request_id="a" * 100).status == 200
    answer = server.ask("GET", "/", x_request_id="a" * 101)
    assert (answer.status, answer.message) == (431, "x-request-id must not exceed 100 characters")
    assert "x-request-id" not in answer.fields
    answer = server.ask("GET", "/", x_request_id="r", x_ms_client_request_id="a" * 101)
    assert (answer.status, answer.fields["x-request-id"]) == (431, "r")
    assert answer.message == "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"


def test_the_service_describes_itself(server: Server) -> None:
    second = server.ask("GET", "/swagger.json").json()
    assert isinstance(second, dict) and second["swagger"] == "2.0" and set(second["paths"]) == {"/", "/score"}
    third = server.ask("GET", "/swagger.json?version=3").json()
    assert isinstance(third, dict) and third["openapi"].startswith("3.0")
    for version in ("9", ""):
        answer = server.ask("GET", f"/swagger.json?version={version}")
        assert answer.status == 404
        assert answer.message == f"Swagger version [{version}] is not valid. Supported versions: [2, 3, 3.1]."


def test_the_log_has_prints_requests_and_tracebacks(server: Server) -> None:
    server.ask(body="raise")
    server.ask("GET", "/score?a=1")
    log = server.logged("GET /score?a=1 200 ")
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] azmlinfsrv\.print - hello there$", log, re.M)
    assert "\nto stderr\n" in log
    assert re.search(r"I \[\d+\] azmlinfsrv - POST /score 500 \d+\.\d{3}ms \d+$", log, re.M)
    assert "ValueError: boom" in log
    assert "GET / " not in log, "probes are not logged"
