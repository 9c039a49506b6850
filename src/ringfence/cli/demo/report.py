"""What the demo prints: steps with their times, the client's own output, the table.

Plain text with a little emphasis on a terminal; nothing here decides anything.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the evidence."""

    source: str
    target: str
    expected: str
    measured: str
    agrees: bool


_WIDE = 200  # columns, where no terminal says how many there are


class Report:
    """Writes to one stream. Emphasis only if it is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, run the block, say how long it took."""
        self._line(self._emphasis("1", f"▸ {title}"))
        begun = time.perf_counter()
        yield
        self._line(self._emphasis("2", f"  done in {time.perf_counter() - begun:.1f} s"))

    def say(self, text: str) -> None:
        if text.strip():
            self._line(self._emphasis("2", "  │ ") + text)

    def failed(self, text: str) -> None:
        self._line(self._emphasis("1;31", f"✗ {text}"))

    def table(self, rows: Sequence[Row], seconds: float) -> None:
        """The evidence: one line a question, and whether the measurement agrees. A narrow terminal gets wrapped cells."""
        from rich import box, console, table, text  # here, because nothing else of the demo needs it

        drawn = table.Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("from", "to", "expected", "measured", ""):
            drawn.add_column(heading, overflow="fold")
        for row in rows:
            verdict = "[green]✓[/]" if row.agrees else "[bold red]✗ DISAGREES[/]"
            cells = (row.source, row.target, row.expected, row.measured)
            drawn.add_row(*map(text.Text, cells), verdict)
        width = None if self._colour else _WIDE
        console.Console(file=self._stream, width=width, highlight=False).print(drawn)
        agreed = sum(row.agrees for row in rows)
        self._line(f"{agreed} of {len(rows)} rows as expected, {seconds:.0f} s in all.")

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def _emphasis(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def as_json(rows: Sequence[Row], facts: Mapping[str, Any], seconds: Mapping[str, float]) -> None:
    """The same evidence for a machine, on standard output. Keys are left out: they are secrets."""
    public = {step: {k: v for k, v in found.items() if k != "key"} for step, found in facts.items()}
    document = {"rows": [asdict(row) for row in rows], "facts": public, "seconds": dict(seconds)}
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
