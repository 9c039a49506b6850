"""Changes as watches see them: the history of a cluster, and the stream that is made of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests import clouds
from tests.kubernetes.kube_world import World

from ringfence.api.kubernetes import logs, watching
from ringfence.api.kubernetes.history import History, Look
from ringfence.api.kubernetes.statuses import Refusal


def thing(name: str, value: int = 0, kind: str = "Pod") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "default"}, "value": value}


def test_a_look_changes_nothing_unless_something_changed() -> None:
    history = History(100)
    first = history.look([thing("a"), thing("b")])
    again = history.look([thing("b"), thing("a")])
    assert again == first and first.version > 100
    assert [d["metadata"]["name"] for d in first.documents] == ["a", "b"]
    changed = history.look([thing("a"), thing("b", 1)])
    assert changed.documents[0] == first.documents[0] and changed.version == first.version + 1
    assert changed.documents[1]["metadata"]["resourceVersion"] == str(changed.version)


def test_the_events_since_a_look_lead_to_the_next() -> None:
    history = History(0)
    looks = [history.look(things) for things in ([thing("a")], [thing("a", 1), thing("b")], [thing("b")], [])]
    held = {d["metadata"]["name"]: d for d in looks[0].documents}
    for event in history.since(looks[0].version):
        document = event.after or event.before
        assert document is not None
        if event.after is None:
            held.pop(document["metadata"]["name"])
        else:
            held[document["metadata"]["name"]] = event.after
    assert held == {}
    assert [e.before is None for e in history.since(looks[0].version)] == [False, True, False, False]


def test_what_was_before_the_process_is_to_be_listed_again() -> None:
    history = History(1000)
    history.look([thing("a")])
    with pytest.raises(Refusal) as caught:
        history.since(999)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def _watched(looks: list[Look | None], history: History, version: int | None, wanted: Any) -> list[Mapping[str, Any]]:
    async def collect() -> list[Mapping[str, Any]]:
        pending = iter(looks)
        lines = watching.stream(
            lambda: next(pending), history.since, version, wanted, lambda document, first: {**document, "first": first}, 60.0
        )
        return [json.loads(line) async for line in lines]

    return asyncio.run(collect())


def test_a_stream_begins_with_everything_and_tells_what_comes_goes_and_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PERIOD_S", 0.001)
    history = History(0)
    looks: list[Look | None] = []

    def wanted(document: Mapping[str, Any]) -> bool:
        return bool(document["kind"] == "Pod" and document["value"] < 5)

    contents: tuple[list[dict[str, Any]], ...] = (
        [thing("a"), thing("n", kind="Node")],
        [thing("a", 1), thing("b", 9)],
        [thing("a", 9), thing("b", 1)],
        [],
    )
    for content in contents:
        looks.append(history.look(content))
    first = History(0)
    found = _watched([first.look(contents[0]), None], first, None, wanted)
    assert [(line["type"], line["object"]["metadata"]["name"], line["object"]["first"]) for line in found] == [
        ("ADDED", "a", True)
    ]
    assert looks[0] is not None
    found = _watched([*looks, None], history, looks[0].version, wanted)
    told = [(line["type"], line["object"]["metadata"]["name"]) for line in found]
    assert told == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b"), ("DELETED", "b")]


def test_a_stream_from_too_long_ago_says_so() -> None:
    history = History(1000)
    found = _watched([history.look([thing("a")])], history, 5, lambda _: True)
    assert [(line["type"], line["object"]["code"]) for line in found] == [("ERROR", 410)]


def test_a_watch_ends_in_time_and_begins_where_a_list_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LASTS_S", 0.0)
    client = world.server()
    version = client.get("/api/v1/namespaces/azureml-ws/pods").json()["metadata"]["resourceVersion"]
    path = "/api/v1/namespaces/azureml-ws/pods?watch=true&timeoutSeconds=5"
    assert client.get(f"{path}&resourceVersion={version}").text == ""
    everything = [json.loads(line) for line in client.get(f"{path}").text.splitlines()]
    assert [line["type"] for line in everything] == ["ADDED"]
    world.put(f"{clouds.ws_path()}/services/diabetes", clouds.service(numReplicas=2))
    world.settle()
    after = [json.loads(line) for line in client.get(f"{path}&resourceVersion={version}").text.splitlines()]
    assert "ADDED" in {line["type"] for line in after} and {line["object"]["kind"] for line in after} == {"Pod"}
    world.put(f"{clouds.ws_path()}/services/diabetes", clouds.service())
    world.settle()


def test_what_is_printed_more_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PERIOD_S", 0.001)
    texts = iter(["one\n", "one\ntwo\n", "two\n" * 1000, "two\n" * 900 + "three\n", None])

    async def collect() -> list[str]:
        return [more async for more in logs.following(lambda: next(texts), "one\n", "one\n")]

    found = asyncio.run(collect())
    assert found[:2] == ["one\n", "two\n"] and found[-1] == "three\n"
