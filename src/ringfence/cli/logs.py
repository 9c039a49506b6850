"""`logs`: what the processes of Ringfence and the models in it have printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from ringfence.cli.terminal import State, folder
from ringfence.sandbox import client
from ringfence.sandbox.errors import START_IT, SandboxError
from ringfence.sandbox.layout import Layout

_POLL_S = 0.5
_NEWEST, _OVERLAP = 256 * 1024, 4096

Source = Annotated[str, typer.Argument(metavar="[control|broker|build|build/NAME|service/NAME]", help="Whose log.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what is added, until Ctrl-C.")]


def register(app: typer.Typer) -> None:
    app.command()(logs)


def logs(context: typer.Context, source: Source = "control", follow: Follow = False, state: State = None) -> None:
    """Print a log.

    \b
    control       the control plane: every request that failed, and why
    broker        starts, stops and crashes of the sandbox
    build         the newest build of a Python environment
    build/NAME    the build of the environment of a deployed model
    service/NAME  what the replicas of a deployed model printed

    \b
    Examples:
      ringfence logs
      ringfence logs service/diabetes -f
    """
    read = _reader(folder(context, state), source)
    shown = ""
    while True:
        text = read()
        sys.stdout.write(_added(shown, text))
        sys.stdout.flush()
        if not follow:
            return
        shown = text
        time.sleep(_POLL_S)


def _reader(state: Path, source: str) -> Callable[[], str]:
    """What reads the newest part of a log. Raises SandboxError for a source that does not exist."""
    layout = Layout(state)
    kind, _, name = source.partition("/")
    if kind in ("service", "build") and name:
        query = urlencode({"service": name, "build": int(kind == "build")})
        return lambda: str(client.Client(state).get(f"/logs?{query}")["text"])
    files = {"control": layout.control_log, "broker": layout.broker_log}
    if source == "build" and (builds := sorted(layout.build_logs.glob("*.log"), key=lambda path: path.stat().st_mtime)):
        files["build"] = builds[-1]
    elif source == "build":
        raise SandboxError("no environment has been built yet", "deploy a model; its environment is built first")
    if source not in files:
        raise SandboxError(f"there is no log {source!r}", "name control, broker, build, build/NAME or service/NAME")
    path = files[source]
    if not path.exists():
        raise SandboxError(f"{path} does not exist: nothing was started with this state folder", START_IT)
    return lambda: _tail(path)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _NEWEST))
        return file.read().decode("utf-8", "replace")


def _added(before: str, now: str) -> str:
    """What `now` has beyond `before`, where both are the newest part of one growing text."""
    last = before[-_OVERLAP:]
    place = now.rfind(last) if last else -1
    return now[place + len(last) :] if place >= 0 else now
