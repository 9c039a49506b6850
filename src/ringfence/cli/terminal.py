"""What all commands share on a terminal: the state folder's option, JSON, and plain tables.

What is said is decided by the commands; nothing here asks the sandbox anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ringfence.sandbox.layout import default_folder

State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", show_default=False, help="State folder; overrides $RINGFENCE_STATE and the default."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


def folder(context: typer.Context, state: Path | None) -> Path:
    """The state folder: the command's own option, the program's, `$RINGFENCE_STATE`, or the default."""
    for given in (state, context.find_root().params.get("state")):
        if given is not None:
            return Path(given)
    return default_folder()


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def say_json(document: Any) -> None:
    say(json.dumps(document, indent=2))


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
    """Columns as wide as they need to be; the last one runs free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        say(indent + "  ".join([*cells, row[-1]]).rstrip())
