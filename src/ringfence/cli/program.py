"""The program's commands put together, and its general options.

Commands load what they need when they run: `exec` is started very often.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ringfence
from ringfence.cli import box, demonstration, locations, logs, signing_in

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

app = typer.Typer(
    name="ringfence",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ringfence {ringfence.__version__}")
        raise typer.Exit


@app.callback()
def program(
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", envvar="RINGFENCE_STATE", show_default=False, help="State folder.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A hermetic, private Azure Machine Learning on this machine.

    Official clients run in it unmodified; networks, rules and models in it are real.

    \b
    First steps:
      ringfence doctor                                  can this machine do it?
      ringfence up                                      start
      ringfence exec --at internet -- python deploy.py  run a program in it
      ringfence shell --at mynetwork/default            a shell inside a subnet
      ringfence down                                    stop; what you made is kept

    Everything that Ringfence keeps is in one state folder
    (default: $XDG_STATE_HOME/ringfence or ~/.local/state/ringfence).
    """


for register in (box.register, locations.register, logs.register, signing_in.register, demonstration.register):
    register(app)
