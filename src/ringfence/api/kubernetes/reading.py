"""Answers to get, list, watch and logs, from what a cluster holds now."""

from __future__ import annotations

import datetime as dt
import functools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ringfence.api.kubernetes import logs, objects, pods, selection, statuses, tables, watching
from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.history import History, Look
from ringfence.api.kubernetes.kinds import Kind
from ringfence.api.kubernetes.requests import Asked
from ringfence.api.kubernetes.selection import Test
from ringfence.control.engine import Engine

Document = Mapping[str, Any]

_JSON = "application/json"
_TABLE = "as=Table"


class Reader:
    """ca: PEM of who signs the certificates of API servers."""

    def __init__(self, engine: Engine, ca: str, clock: Callable[[], dt.datetime]) -> None:
        self._engine = engine
        self._ca = ca
        self._clock = clock
        self._lock = threading.Lock()
        self._histories: dict[str, tuple[History, tuple[object, ...], Look | None]] = {}

    async def answer(self, cluster: Cluster, asked: Asked, accept: str) -> Response:
        """Raises Refusal. The caller may do this, and the kind and subresource are there."""
        assert asked.kind is not None
        if asked.subresource == "log":
            return await self._log(cluster, asked)
        if asked.verb == "watch":
            return self._watch(cluster, asked, accept)
        look = await run_in_threadpool(self._look, cluster)
        if asked.verb == "get":
            return self._one(look, asked.kind, asked, accept)
        return self._list(look, asked.kind, asked, accept)

    def _look(self, cluster: Cluster) -> Look:
        """What there is; found anew only when something was written or seen since."""
        key = f"{cluster.resource.key}|{cluster.resource.guid()}"
        basis = (cluster.snapshot, cluster.state, cluster.observed)
        with self._lock:
            if key not in self._histories:
                self._histories[key] = History(int(self._clock().timestamp() * 1000)), (), None
            history, known, look = self._histories[key]
            if look is None or any(one is not other for one, other in zip(known, basis, strict=True)):
                look = history.look(objects.everything(cluster, self._ca))
                self._histories[key] = history, basis, look
            return look

    def _now(self, cluster: Cluster) -> Cluster | None:
        """The cluster as it is now; None when it is gone."""
        engine = self._engine
        return cluster.again(engine.snapshot(), engine.state(), engine.observed())

    def _one(self, look: Look, kind: Kind, asked: Asked, accept: str) -> Response:
        found = [d for d in look.documents if d["kind"] == kind.kind and selection.place(d) == (asked.namespace, asked.name)]
        if not found:
            raise statuses.not_found(kind, asked.name)
        if _TABLE in accept:
            shown = tables.table(kind, found, self._clock(), asked.query.get("includeObject", "Metadata"))
            shown["metadata"] = {"resourceVersion": found[0]["metadata"]["resourceVersion"]}
            return _json(shown)
        return _json(found[0])

    def _list(self, look: Look, kind: Kind, asked: Asked, accept: str) -> Response:
        wanted = _test(kind, asked)
        found, rest, left = selection.page(
            [d for d in look.documents if wanted(d)], asked.query.get("limit", ""), asked.query.get("continue", "")
        )
        about: dict[str, Any] = {"resourceVersion": str(look.version)}
        if rest:
            about |= {"continue": rest, "remainingItemCount": left}
        if _TABLE in accept:
            shown = tables.table(kind, found, self._clock(), asked.query.get("includeObject", "Metadata"))
            return _json(shown | {"metadata": about})
        return _json({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": about, "items": found})

    def _watch(self, cluster: Cluster, asked: Asked, accept: str) -> Response:
        kind = asked.kind
        assert kind is not None
        if asked.says("sendInitialEvents"):
            raise statuses.invalid("sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        whole = asked.query.get("includeObject", "Metadata")
        as_table = _TABLE in accept

        def shape(document: Document, first: bool) -> Document:
            return tables.table(kind, [document], self._clock(), whole, head=first) if as_table else document

        def look() -> Look | None:
            now = self._now(cluster)
            return None if now is None else self._look(now)

        lines = watching.stream(
            look, functools.partial(self._since, cluster), _version(asked), _test(kind, asked), shape, _lasts(asked)
        )
        return StreamingResponse(lines, media_type=_JSON)

    def _since(self, cluster: Cluster, version: int) -> tuple[Any, ...]:
        return self._histories[f"{cluster.resource.key}|{cluster.resource.guid()}"][0].since(version)

    async def _log(self, cluster: Cluster, asked: Asked) -> Response:
        found = await run_in_threadpool(pods.place_of, cluster, asked.namespace, asked.name)
        assert asked.kind is not None
        if found is None:
            raise statuses.not_found(asked.kind, asked.name)
        group, place = found
        wanted = logs.wanted(asked, group.container, group.source.changed_at, self._clock())
        key = cluster.log_key(place)

        def read() -> str | None:
            now = self._now(cluster)
            if now is None or pods.place_of(now, asked.namespace, asked.name) is None:
                return None
            return self._engine.log(key) if key is not None else ""

        text = await run_in_threadpool(read) or ""
        seen = dict(group.members)[place]
        if not text and not seen.current:
            raise logs.not_started(group.container, asked.name, "ContainerCreating")
        shown = logs.cut(text, wanted)
        if not wanted.follow:
            return PlainTextResponse(shown)
        return StreamingResponse(logs.following(read, text, shown), media_type="text/plain; charset=utf-8")


def _test(kind: Kind, asked: Asked) -> Test:
    """Whether an object is of the kind, in the namespace, of the name, and selected. Raises Refusal (400)."""
    by_label = selection.labels(asked.query.get("labelSelector", ""))
    by_field = selection.fields(kind, asked.query.get("fieldSelector", ""))

    def test(document: Document) -> bool:
        about = document["metadata"]
        return (
            document["kind"] == kind.kind
            and asked.namespace in ("", about.get("namespace", ""))
            and asked.name in ("", about["name"])
            and by_label(document)
            and by_field(document)
        )

    return test


def _version(asked: Asked) -> int | None:
    """The version to begin after; None for everything there is. Raises Refusal (400)."""
    text = asked.query.get("resourceVersion", "")
    if text in ("", "0"):
        return None
    if not text.isdecimal() or len(text) > 20:
        raise statuses.invalid(f"invalid resource version: {text[:50]!r}")
    return int(text)


def _lasts(asked: Asked) -> float:
    text = asked.query.get("timeoutSeconds", "")
    if text and not text.isdecimal():
        raise statuses.invalid(f"timeoutSeconds: {text[:50]!r} is no number of seconds")
    return min(float(text), watching.LASTS_S) if text and int(text) else watching.LASTS_S


def _json(document: Document) -> Response:
    return Response(json.dumps(document, separators=(",", ":")), media_type=_JSON)
