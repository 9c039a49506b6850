"""`kubectl logs`: what a pod has printed, from its end, and on as it prints more.

Lines are kept without the time at which they were printed, so times cannot be shown; and
a period can be asked for only if it covers the whole life of the pod.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from ringfence.api.kubernetes.requests import Asked
from ringfence.api.kubernetes.statuses import Refusal, invalid

_PERIOD_S = 0.25
#: By so many of its last characters a text is found again in a later one.
_ANCHOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """tail: lines from the end, None for all. most: bytes, None for all."""

    follow: bool
    tail: int | None
    most: int | None


def wanted(asked: Asked, container: str, begun: dt.datetime, now: dt.datetime) -> Wanted:
    """Raises Refusal (400) for another container, an earlier life, and what needs the time of a line."""
    given = asked.query.get("container") or container
    if given != container:
        raise invalid(f"container {given[:100]} is not valid for pod {asked.name}")
    if asked.says("previous"):
        raise invalid(f'previous terminated container "{container}" in pod "{asked.name}" not found')
    if asked.says("timestamps"):
        raise invalid("timestamps: the engine of this cluster keeps lines without their times; ask without --timestamps")
    since = _since(asked.query, now)
    if since is not None and since > begun:
        raise invalid(
            f"sinceTime: the engine of this cluster keeps lines without their times, and the pod began at {begun:%FT%TZ}; "
            "ask for its last lines (--tail) or for all of them"
        )
    return Wanted(follow=asked.says("follow"), tail=_number(asked.query, "tailLines"), most=_number(asked.query, "limitBytes"))


def _since(query: Mapping[str, str], now: dt.datetime) -> dt.datetime | None:
    seconds = _number(query, "sinceSeconds")
    if seconds is not None:
        return now - dt.timedelta(seconds=seconds)
    if not query.get("sinceTime"):
        return None
    try:
        given = dt.datetime.fromisoformat(query["sinceTime"])
    except ValueError as error:
        raise invalid(f"sinceTime: {query['sinceTime'][:50]!r} is no time (RFC 3339)") from error
    return given if given.tzinfo is not None else given.replace(tzinfo=dt.UTC)


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        raise invalid(f"{name}: {text[:50]!r} must be greater than or equal to 0")
    return int(text)


def cut(text: str, wanted: Wanted) -> str:
    """The lines that were asked for."""
    if wanted.tail is not None:
        lines = text.splitlines(keepends=True)
        text = "".join(lines[max(len(lines) - wanted.tail, 0) :])
    return text if wanted.most is None else text.encode()[: wanted.most].decode(errors="ignore")


async def following(read: Callable[[], str | None], first: str, shown: str) -> AsyncIterator[str]:
    """What was asked for, and on until the pod is gone. read: all that was printed, None when the pod is gone."""
    yield shown
    before = first
    while True:
        await asyncio.sleep(_PERIOD_S)
        now = await run_in_threadpool(read)
        if now is None:
            return
        more = _more(before, now)
        before = now
        if more:
            yield more


def _more(before: str, now: str) -> str:
    """What `now` has beyond `before`. Of a long text only the end is kept, so it is found by its last characters."""
    if now.startswith(before):
        return now[len(before) :]
    anchor = before[-_ANCHOR:]
    at = now.rfind(anchor)
    return now if at < 0 else now[at + len(anchor) :]


def not_started(container: str, pod: str, reason: str) -> Refusal:
    return invalid(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
