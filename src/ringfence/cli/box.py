"""`up`, `down`, `status` and `doctor`: the sandbox as a whole.

The work is done in `ringfence.sandbox`; here it is asked for and shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ringfence.cli.terminal import Json, State, folder, say, say_json, table

Purge = Annotated[bool, typer.Option("--purge", help="Also remove the state folder: everything you made.")]


def register(app: typer.Typer) -> None:
    for command in (up, down, status, doctor):
        app.command()(command)


def up(context: typer.Context, json: Json = False, state: State = None) -> None:
    """Start Ringfence, unless it runs, and wait until it answers.

    The first start makes an administrator (a service principal with a random secret) and a
    certificate authority of its own; both stay in the state folder. What an earlier run made
    is there again.

    \b
    Examples:
      ringfence up
      ringfence --state /tmp/try up        a second one, independent of the first
    """
    from ringfence.sandbox import lifecycle
    from ringfence.sandbox.layout import Layout

    steps = _Steps(quiet=json)
    where = folder(context, state)
    started = lifecycle.up(where, tell=steps.begin)
    steps.end()
    layout = Layout(where)
    if json:
        seconds = {"seconds": round(started.seconds, 3), "already": started.already}
        return say_json(seconds | {"state": str(layout.folder), "admin": str(layout.admin_file)})
    say("Ringfence was up already." if started.already else f"Ringfence is up after {started.seconds:.2f} s.")
    say(f"  administrator: {layout.admin_file}")
    say("  try: ringfence exec --at internet -- curl https://management.azure.com/metadata/endpoints?api-version=2019-05-01")


def down(context: typer.Context, purge: Purge = False, state: State = None) -> None:
    """Stop Ringfence: every process, namespace and mount of it. What you made is kept for the next `up`.

    \b
    Examples:
      ringfence down
      ringfence down --purge               and forget everything
    """
    from ringfence.sandbox import lifecycle

    where = folder(context, state)
    ran = lifecycle.down(where, purge=purge)
    say("Ringfence is down." if ran else "Ringfence was not running.")
    if purge:
        say(f"  removed: {where}")


def status(context: typer.Context, json: Json = False, state: State = None) -> None:
    """Show what runs: processes, clusters, services, locations. Exits with 1 if nothing does.

    \b
    Examples:
      ringfence status
      ringfence status --json | jq .processes.controlPlane
    """
    from ringfence.sandbox import lifecycle

    found = lifecycle.status(folder(context, state))
    if json:
        say_json(found)
    else:
        _show(found)
    raise typer.Exit(0 if found["running"] else 1)


def doctor(json: Json = False) -> None:
    """Find out what this machine lacks, and how to get it. Exits with 1 if Ringfence cannot run here.

    Everything is tried for real, in a child process with namespaces of its own; nothing of
    this machine is changed.

    \b
    Examples:
      ringfence doctor
      ringfence doctor --json | jq '.checks[] | select(.ok | not)'
    """
    from ringfence.sandbox import doctor as examination

    begun = time.perf_counter()
    checks = examination.examine()
    fit = all(check.ok or not check.required for check in checks)
    if json:
        listed = [{name: getattr(check, name) for name in ("name", "ok", "required", "detail", "remedy")} for check in checks]
        say_json({"ok": fit, "checks": listed, "seconds": round(time.perf_counter() - begun, 3)})
    else:
        for check in checks:
            mark = "ok" if check.ok else "MISSING" if check.required else "without"
            table([(mark.ljust(7), check.name.ljust(36), check.detail)])
            if check.remedy:
                say(f"           what to do: {check.remedy}")
        say("This machine can run Ringfence." if fit else "Ringfence cannot run here until what is MISSING is there.")
    raise typer.Exit(0 if fit else 1)


_MOST_LISTED = 4


def _show(found: Mapping[str, Any]) -> None:
    if not found["running"]:
        say(f"Ringfence does not run (state folder {found['state']}).")
        say("  what to do: start it with `ringfence up`")
        return
    processes = {name: str(pid or "being started again") for name, pid in found["processes"].items()}
    say(f"Ringfence {found['version']} runs since {found['since']}.")
    table([("state folder", found["state"]), *((f"process {name}", pid) for name, pid in processes.items())])
    for title, rows in (found["controlPlane"] or {}).items():
        if isinstance(rows, list) and rows:
            say(f"{title}:")
            table([_cells(row) for row in rows])


def _cells(row: Any) -> tuple[str, ...]:
    """A row for a person: what it is called and how it is, without its long id."""
    return tuple(_cell(value) for name, value in row.items() if name != "id") if isinstance(row, dict) else (str(row),)


def _cell(value: Any) -> str:
    """A list is cut after a few: the whole is in the JSON."""
    if not isinstance(value, list):
        return str(value)
    more = len(value) - _MOST_LISTED
    return ", ".join(map(str, value[:_MOST_LISTED])) + (f" and {more} more" if more > 0 else "")


class _Steps:
    """Says which step runs, and how long it took, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._title = ""
        self._begun = 0.0

    def begin(self, title: str) -> None:
        self.end()
        self._title, self._begun = title, time.perf_counter()
        if sys.stderr.isatty() and not self._quiet:
            sys.stderr.write(f"  {title} …")
            sys.stderr.flush()

    def end(self) -> None:
        if self._title and sys.stderr.isatty() and not self._quiet:
            sys.stderr.write(f"\r  {self._title}: {time.perf_counter() - self._begun:.2f} s\n")
        self._title = ""
