"""`kubectl get -w`: a stream of what changes, that ends when its time is up or its reader leaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from ringfence.api.kubernetes.history import Event, Look
from ringfence.api.kubernetes.selection import Test
from ringfence.api.kubernetes.statuses import Refusal

Document = Mapping[str, Any]

_PERIOD_S = 0.25
#: How long a watch lasts that does not say; Kubernetes chooses between half an hour and an hour.
LASTS_S = 1800.0


async def stream(
    look: Callable[[], Look | None],
    since: Callable[[int], tuple[Event, ...]],
    version: int | None,
    wanted: Test,
    shape: Callable[[Document, bool], Document],
    lasts_s: float,
) -> AsyncIterator[str]:
    """One JSON document a line: `{"type": "ADDED", "object": …}`.

    look: compares what there is with what there was; None when the cluster is gone. version: begin after it;
    None: begin with everything there is. shape: how an object is shown; True for the first of the stream.
    """
    ends, first = time.monotonic() + lasts_s, True
    now = await run_in_threadpool(look)
    if version is None and now is not None:
        version = now.version
        for document in filter(wanted, now.documents):
            yield _line("ADDED", shape(document, first))
            first = False
    at = version or 0
    while now is not None:
        try:
            events = since(at)
        except Refusal as refusal:
            yield _line("ERROR", refusal.document())
            return
        for event in events:
            at = event.version
            if (change := _change(event, wanted)) is not None:
                yield _line(change[0], shape(change[1], first))
                first = False
        left = ends - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(_PERIOD_S, left))
        now = await run_in_threadpool(look)


def _change(event: Event, wanted: Test) -> tuple[str, Document] | None:
    """An object that begins or ceases to be selected is one that comes or goes."""
    before = event.before if event.before is not None and wanted(event.before) else None
    after = event.after if event.after is not None and wanted(event.after) else None
    if after is not None:
        return ("ADDED" if before is None else "MODIFIED"), after
    return None if before is None else ("DELETED", before)


def _line(type: str, document: Document) -> str:
    return json.dumps({"type": type, "object": document}, separators=(",", ":")) + "\n"
