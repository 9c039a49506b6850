"""What changed in a cluster, under resource versions: what lists are of, and what watches begin at.

What a cluster holds follows from the snapshot and from what is seen, so changes are found by
comparing two looks. Versions grow over restarts (they begin with the time of the start);
a watch that begins before them is told to list again, as Kubernetes tells it (410).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.api.kubernetes.statuses import expired

Document = Mapping[str, Any]
_Place = tuple[str, str, str]

_MOST = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """before, after: the object as it was and as it is, with resource versions; None where it is not."""

    version: int
    before: Document | None
    after: Document | None


@dataclass(frozen=True, slots=True)
class Look:
    """Everything at one version, in the order of namespaces and names."""

    version: int
    documents: tuple[Document, ...]


class History:
    """Of one cluster. first: the version to begin with; it has to be greater than any of an earlier process."""

    def __init__(self, first: int) -> None:
        self._lock = threading.Lock()
        self._version = self._oldest = first
        self._held: dict[_Place, tuple[Document, Document]] = {}
        self._events: deque[Event] = deque()

    def look(self, documents: Iterable[Document]) -> Look:
        """Compare what there is with what there was. documents: without resource versions."""
        found = {_place(document): document for document in documents}
        with self._lock:
            begun = not self._held
            for place in [place for place in self._held if place not in found]:
                self._note(self._held.pop(place)[1], None)
            for place, document in found.items():
                held = self._held.get(place)
                if held is None or held[0] != document:
                    self._held[place] = document, self._note(None if held is None else held[1], document)
            if begun:
                # Nobody can have seen anything before the first look.
                self._events.clear()
                self._oldest = self._version
            return Look(self._version, tuple(shown for _, (_, shown) in sorted(self._held.items())))

    def since(self, version: int) -> tuple[Event, ...]:
        """The events after a version, oldest first. Raises Refusal (410) when they are no longer known."""
        with self._lock:
            if version < self._oldest:
                raise expired(version, self._oldest)
            return tuple(event for event in self._events if event.version > version)

    def _note(self, before: Document | None, after: Document | None) -> Document:
        """The object with its new version; of one that is gone, as it was last."""
        self._version += 1
        document = after if after is not None else before
        assert document is not None
        shown = {**document, "metadata": {**document["metadata"], "resourceVersion": str(self._version)}}
        event = Event(self._version, before, shown) if after is not None else Event(self._version, shown, None)
        self._events.append(event)
        if len(self._events) > _MOST:
            self._oldest = self._events.popleft().version
        return shown


def _place(document: Document) -> _Place:
    about = document["metadata"]
    return document["kind"], about.get("namespace", ""), about["name"]
