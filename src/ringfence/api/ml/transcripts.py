"""The live log of a deployment: what happened and what the build printed, growing only at its end.

Clients ask for what lies beyond an offset, so what was shown once keeps its place. A
transcript lives in memory; after a restart it is begun again, which costs a client some
repeated lines and nothing else. Record form: `yyyymmddHHMMSS|text`, joined by `#`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.control.operations import Operation

_MOST_KEPT = 256
_MOST_RECORDS = 5000
_LONGEST = 500
#: The SDK splits at these two, and prints to terminals of any encoding.
_REPLACED = str.maketrans({"#": "*", "|": "!"})


@dataclass
class _Transcript:
    built_before: bool = False
    build_seen: int = 0
    events_seen: int = 0
    records: list[str] = field(default_factory=list)


class Transcripts:
    """The transcripts of the newest operations. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_operation: OrderedDict[str, _Transcript] = OrderedDict()

    def begin(self, operation: str, *, built_before: bool, now: dt.datetime) -> None:
        """Called when a deployment is accepted. built_before: what the build of its environment printed is not news."""
        with self._lock:
            transcript = self._of(operation)
            transcript.built_before = built_before
            if built_before:
                self._add(transcript, [(now, "using the environment that was built before")])

    def read(self, operation: Operation, build_log: str, now: dt.datetime, offset: int) -> str:
        """What was added beyond `offset` characters, with everything that is known by now."""
        with self._lock:
            transcript = self._of(operation.id)
            news = operation.events[transcript.events_seen :]
            transcript.events_seen = len(operation.events)
            # The last event of an ended operation tells the outcome, and stands last.
            tail = news[-1:] if operation.status.terminal else ()
            self._add(transcript, news[: len(news) - len(tail)])
            self._add(transcript, [(now, line) for line in self._built(transcript, build_log, operation.status.terminal)])
            self._add(transcript, tail)
            return "#".join(transcript.records)[offset:]

    def _of(self, operation: str) -> _Transcript:
        found = self._by_operation.setdefault(operation, _Transcript())
        self._by_operation.move_to_end(operation)
        while len(self._by_operation) > _MOST_KEPT:
            self._by_operation.popitem(last=False)
        return found

    def _built(self, transcript: _Transcript, build_log: str, ended: bool) -> Sequence[str]:
        """The new whole lines of the build; at the end, the unfinished one as well."""
        if transcript.built_before:
            return ()
        # A log that became shorter belongs to another build.
        start = transcript.build_seen if transcript.build_seen <= len(build_log) else 0
        end = len(build_log) if ended else build_log.rfind("\n") + 1
        if end <= start:
            return ()
        transcript.build_seen = end
        return build_log[start:end].splitlines()

    def _add(self, transcript: _Transcript, entries: Sequence[tuple[dt.datetime, str]]) -> None:
        for when, text in entries:
            if len(transcript.records) > _MOST_RECORDS:
                return
            if len(transcript.records) == _MOST_RECORDS:
                text = "The log goes on; this view of it ends here."
            for line in text.splitlines():
                plain = line.translate(_REPLACED).encode("ascii", "replace").decode()[:_LONGEST].rstrip()
                if plain:
                    transcript.records.append(f"{when:%Y%m%d%H%M%S}|{plain}")
