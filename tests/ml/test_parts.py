"""The pure parts of the data plane: routes, patches, transcripts, links."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api import errors as table
from ringfence.api.ml import patches, reading, routing
from ringfence.api.ml.links import Links
from ringfence.api.ml.transcripts import Transcripts
from ringfence.control.operations import Kind, Operation, Status
from ringfence.model import errors
from ringfence.model.ids import ResourceId

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
WORKSPACE = "subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ID = ResourceId.parse(f"/{WORKSPACE}")


def unused(_: routing.Asked) -> Response:
    raise AssertionError


ROUTES = [
    routing.Route("POST", "modelmanagement", "services/validate", unused),
    routing.Route("GET", "modelmanagement", "services/{name}", unused),
    routing.Route("PATCH", "modelmanagement", "services/{name}", unused),
    routing.Route("GET", "artifact", "artifacts/contentinfo/{origin}/{container}/{path*}", unused),
    routing.Route("GET", "rp", "computes", unused),
]


@pytest.mark.parametrize(
    ("method", "path", "pattern", "params"),
    [
        ("GET", f"/modelmanagement/v1.0/{WORKSPACE}/services/diabetes", "services/{name}", {"name": "diabetes"}),
        ("GET", f"//modelmanagement//v1.0/{WORKSPACE.upper()}//SERVICES/d", "services/{name}", {"name": "d"}),
        ("GET", f"/modelmanagement/v1.0/{WORKSPACE}/services/m%3A1", "services/{name}", {"name": "m:1"}),
        ("GET", f"/modelmanagement/v1.0/{WORKSPACE}/services/a%2Fb", "services/{name}", {"name": "a/b"}),
        ("POST", f"/modelmanagement/v1.0/{WORKSPACE}/services/validate", "services/validate", {}),
        ("GET", f"/rp/workspaces/{WORKSPACE}/computes", "computes", {}),
        (
            "GET",
            f"/artifact/v2.0/{WORKSPACE}/artifacts/contentinfo/LocalUpload/c/dir/file",
            "artifacts/contentinfo/{origin}/{container}/{path*}",
            {"origin": "LocalUpload", "container": "c", "path": "dir/file"},
        ),
    ],
)
def test_paths_lead_to_operations(method: str, path: str, pattern: str, params: dict[str, str]) -> None:
    about = routing.target(routing.segments(path.encode()))
    assert about is not None and about.workspace == ID
    route, found = routing.find(ROUTES, method, about)
    assert (route.pattern, found) == (pattern, params)


@pytest.mark.parametrize(
    ("method", "rest", "problem"),
    [
        ("GET", "services", errors.NotFound),
        ("GET", "services/a/b", errors.NotFound),
        ("DELETE", "services/a", table.MethodNotAllowed),
        ("GET", "", errors.NotFound),
    ],
)
def test_what_is_not_served_is_said(method: str, rest: str, problem: type[errors.Problem]) -> None:
    about = routing.target(routing.segments(f"/modelmanagement/v1.0/{WORKSPACE}/{rest}".encode()))
    assert about is not None
    with pytest.raises(problem):
        routing.find(ROUTES, method, about)


@pytest.mark.parametrize("path", ["/", "/other/v1.0/x", "/modelmanagement/v1.0/subscriptions/s", f"/modelmanagement/{WORKSPACE}"])
def test_paths_of_another_shape_have_no_target(path: str) -> None:
    assert routing.target(routing.segments(path.encode())) is None


@pytest.mark.parametrize("path", [b"/%ff", b"/a%00b"])
def test_paths_that_are_no_text_are_refused(path: bytes) -> None:
    with pytest.raises(errors.Invalid):
        routing.segments(path)


@given(st.binary(max_size=300))
def test_any_path_is_read_or_refused(path: bytes) -> None:
    with contextlib.suppress(errors.Problem):
        routing.target(routing.segments(b"/modelmanagement/v1.0/subscriptions/" + path))


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"op": "replace", "path": "/a", "value": 2}], {"a": 2, "b": {"c": 1}}),
        ([{"op": "add", "path": "/b/d", "value": [1]}], {"a": 1, "b": {"c": 1, "d": [1]}}),
        ([{"op": "add", "path": "/b/x~1y~0z", "value": 1}], {"a": 1, "b": {"c": 1, "x/y~z": 1}}),
        ([{"op": "remove", "path": "/b/c"}], {"a": 1, "b": {}}),
        ([{"op": "replace", "path": "/n/m", "value": 1}], {"a": 1, "b": {"c": 1}, "n": {"m": 1}}),
        ([], {"a": 1, "b": {"c": 1}}),
    ],
)
def test_patches(patch: JsonValue, expected: JsonValue) -> None:
    document: dict[str, JsonValue] = {"a": 1, "b": {"c": 1}}
    assert patches.apply(document, patch, {"a", "b", "n"}) == expected
    assert document == {"a": 1, "b": {"c": 1}}


@pytest.mark.parametrize(
    "patch",
    [
        {},
        [1],
        [{"op": "replace", "path": "/secret", "value": 1}],
        [{"op": "replace", "path": "a", "value": 1}],
        [{"op": "replace", "path": "/a/b", "value": 1}],
        [{"op": "replace", "path": "/a"}],
        [{"op": "remove", "path": "/b/nothing"}],
        [{"op": "move", "path": "/a", "from": "/b"}],
        [{"op": "replace", "path": 1, "value": 1}],
        [{"op": "replace", "path": "/a", "value": 1}] * 257,
    ],
)
def test_patches_that_are_refused(patch: JsonValue) -> None:
    with pytest.raises(errors.Invalid):
        patches.apply({"a": 1, "b": {}}, patch, {"a", "b"})


def operation(*texts: str, status: Status = Status.IN_PROGRESS) -> Operation:
    events = tuple((NOW + dt.timedelta(seconds=i), text) for i, text in enumerate(texts))
    return Operation(
        id="op", resource="r", resource_id=ID, kind=Kind.CREATE, status=status, revision=1, created_at=NOW, events=events
    )


def shown_by_the_sdk(chunks: list[str]) -> list[str]:
    """What the SDK prints: `webservice.py`, _wait_for_operation_to_complete."""
    lines = []
    for chunk in chunks:
        for record in chunk.split("#"):
            parts = record.split("|")
            if len(parts) == 2:
                dt.datetime.strptime(parts[0], "%Y%m%d%H%M%S")
                lines.append(parts[1])
    return lines


def test_a_client_that_polls_sees_every_line_once_and_in_order() -> None:
    transcripts, offset, chunks = Transcripts(), 0, []
    transcripts.begin("op", built_before=False, now=NOW)
    log = "Resolved 3 packages\nInstalled | all #1\n"
    steps = [
        (operation("accepted"), ""),
        (operation("accepted"), "Resolved 3 packages\nInst"),
        (operation("accepted", "environment ready"), log),
        (operation("accepted", "environment ready", "done", status=Status.SUCCEEDED), log + "end"),
    ]
    for at, printed in steps:
        chunk = transcripts.read(at, printed, NOW, offset)
        offset += len(chunk)
        chunks.append(chunk)
    expected = ["accepted", "Resolved 3 packages", "environment ready", "Installed ! all *1", "end", "done"]
    assert shown_by_the_sdk(chunks) == expected


def test_the_log_of_an_earlier_build_is_no_news() -> None:
    transcripts = Transcripts()
    transcripts.begin("op", built_before=True, now=NOW)
    text = transcripts.read(operation("accepted"), "Resolved 3 packages\n", NOW, 0)
    assert shown_by_the_sdk([text]) == ["using the environment that was built before", "accepted"]


def test_a_transcript_is_plain_and_bounded() -> None:
    transcripts = Transcripts()
    text = transcripts.read(operation("ü" * 2000), "\n".join("line" for _ in range(9000)) + "\n", NOW, 0)
    records = text.split("#")
    assert text.isascii() and len(records) == 5001 and len(records[0]) == 15 + 500
    assert records[-1].endswith("this view of it ends here.")


def test_a_log_that_starts_again_is_read_from_its_start() -> None:
    transcripts = Transcripts()
    transcripts.read(operation(), "a long log of an earlier build\n", NOW, 0)
    assert transcripts.read(operation(), "new\n", NOW, 0).endswith("|new")


def test_a_signed_link_is_for_one_path_and_some_hours() -> None:
    now = [NOW]
    links = Links(b"k" * 32, lambda: now[0])
    url = urlsplit(links.sign("https://host", "/a b/log"))
    query = dict(parse_qsl(url.query))
    assert url.path == "/a%20b/log"
    links.check("/a b/log", query)
    for path, changed in (("/other/log", query), ("/a b/log", query | {"se": "99999999999"}), ("/a b/log", {})):
        with pytest.raises(errors.Unauthenticated):
            links.check(path, changed)
    with pytest.raises(errors.Unauthenticated):
        Links(b"x" * 32, lambda: NOW).check("/a b/log", query)
    now[0] += dt.timedelta(hours=8)
    with pytest.raises(errors.Unauthenticated, match="run out"):
        links.check("/a b/log", query)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0b", "a" * 10_000, "a?b", "a%b", "a:b"])
def test_names_from_outside_stay_names(name: str) -> None:
    with pytest.raises(errors.Invalid):
        reading.child(ID, "services", name)


def test_an_id_of_a_child_keeps_its_name() -> None:
    assert reading.child(ID, "services", "Diabetes-1").name == "Diabetes-1"
    assert dataclasses.replace(ID, names=("w",)) == ID
