"""`demo`: the main job, from nothing to a private model, with evidence. What it does is in the folder `demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ringfence.cli.terminal import Json, State, folder
from ringfence.sandbox.errors import SandboxError

_USUAL = Path(".venv-clients/bin/python")

ClientPython = Annotated[
    Path | None,
    typer.Option("--client-python", metavar="PATH", show_default=False, help="A Python that has azureml-core and scikit-learn."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the service in place at the end.")]


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    context: typer.Context, client_python: ClientPython = None, keep: Keep = False, json: Json = False, state: State = None
) -> None:
    """Build a private inference environment with Microsoft's own SDK, and prove that it is private.

    Takes about a minute. `make demo` in the source folder installs the SDK first.

    \b
    Examples:
      make demo
      ringfence demo --client-python ~/azureml/bin/python --json > evidence.json
    """
    from ringfence.cli.demo import main

    # Not resolved: the program of a virtual environment is a link, and its place is what makes it one.
    python = (client_python or _USUAL).absolute()
    if not python.is_file():
        fact = f"{python} does not exist, so there is no Python that has the official SDK"
        remedy = "run `make demo`, which installs it, or name one that has azureml-core with --client-python"
        raise SandboxError(fact, remedy)
    sys.exit(main(folder(context, state), python, as_json=json, keep=keep))
