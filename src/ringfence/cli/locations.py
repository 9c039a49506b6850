"""`exec`, `shell` and `env`: acting from a location.

A location is `internet`, a subnet (`VNET/SUBNET`), or the full resource id of a subnet or a network interface. What
a command finds there is `sandbox/surroundings`' business.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from ringfence.cli.terminal import Json, State, folder, say, say_json
from ringfence.cli.visiting import visit
from ringfence.sandbox.errors import SandboxError


def _known(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion: the locations that exist. Silence is an answer."""
    from ringfence.sandbox import client

    try:
        found = client.Client(folder(context, context.params.get("state"))).get("/locations", timeout_s=1.0)
    except SandboxError:
        return ["internet"]
    names = [row["location"] if isinstance(row, dict) else str(row) for row in found.get("locations", ())]
    return [name for name in names if name.startswith(incomplete)]


At = Annotated[
    str,
    typer.Option("--at", metavar="LOCATION", autocompletion=_known, help="internet, VNET/SUBNET, or the id of a subnet or NIC."),
]
Command = Annotated[list[str], typer.Argument(metavar="CMD [ARG]...", help="The program and its arguments.")]


class Shell(StrEnum):
    """Shells whose syntax `env` knows."""

    SH = "sh"
    FISH = "fish"


ShellOption = Annotated[Shell, typer.Option("--shell", help="Whose syntax to print.")]


def register(app: typer.Typer) -> None:
    app.command("exec", context_settings={"allow_interspersed_args": False})(execute)
    app.command()(shell)
    app.command()(env)


def execute(context: typer.Context, at: At, command: Command, state: State = None) -> None:
    """Run a program at a location.

    Azure's public names resolve to Ringfence there, its certificates are trusted, and nothing
    else is reachable. Files, working folder, user, environment, terminal and signals are
    yours; ~/.azure and ~/.azureml are folders of the state folder.

    Exits with the program's own code, 128+N if signal N ended it, 127 if it is not found, 126
    if it cannot be run, 125 if Ringfence failed.

    \b
    Examples:
      ringfence exec --at internet -- python deploy.py
      ringfence exec --at mynetwork/default -- curl -i http://10.1.0.7/
      echo '{"data": [[1,2]]}' | ringfence exec --at mynetwork/default -- curl -d @- http://10.1.0.7/score
    """
    sys.exit(visit(folder(context, state), at, command))


def shell(context: typer.Context, at: At, state: State = None) -> None:
    """Start your shell ($SHELL) at a location; leave with exit or Ctrl-D.

    \b
    Examples:
      ringfence shell --at mynetwork/default
      ringfence shell --at internet
    """
    sys.exit(visit(folder(context, state), at, ()))


def env(context: typer.Context, at: At, shell: ShellOption = Shell.SH, json: Json = False, state: State = None) -> None:
    """Print variables that make the clients of this shell speak from a location, by proxy.

    For programs that cannot run under `exec`. Names are resolved and connections made at the
    location. The proxy listens on 127.0.0.1 only and asks for a secret that is in the variables.

    \b
    Examples:
      eval "$(ringfence env --at internet)"
      ringfence env --at mynetwork/default --shell fish | source
      ringfence env --at internet --json | jq -r .variables.https_proxy
    """
    from ringfence.sandbox import enter, record, surroundings
    from ringfence.sandbox.layout import Layout

    where = folder(context, state)
    layout = Layout(where)
    place = enter.locate(where, at)
    found = record.running(layout)
    variables, unset = surroundings.beside(layout, place.location, found.proxy_port, found.proxy_secret)
    if json:
        return say_json({"location": place.location, "variables": variables, "unset": list(unset)})
    for line in _lines(shell, variables, unset):
        say(line)


def _lines(shell: Shell, variables: Mapping[str, str], unset: Sequence[str]) -> list[str]:
    if shell is Shell.FISH:
        return [*(f"set -e {name};" for name in unset), *(f"set -gx {n} {_fish(v)};" for n, v in variables.items())]
    return [*(f"unset {name};" for name in unset), *(f"export {n}={shlex.quote(v)};" for n, v in variables.items())]


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
