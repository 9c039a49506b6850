"""`login`: answer the sign-in of a program that shows a code, without a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.terminal import State, folder
from ringfence.sandbox import client

Code = Annotated[str, typer.Argument(metavar="CODE", help="The code that the program shows.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Who signs in; the administrator unless told.")]
Decline = Annotated[bool, typer.Option("--decline", help="Decline the sign-in instead.")]


def register(app: typer.Typer) -> None:
    app.command()(login)


def login(context: typer.Context, code: Code, user: User = None, decline: Decline = False, state: State = None) -> None:
    """Sign a user in to the program that shows a code.

    The program asks people to open https://microsoft.com/devicelogin. That page exists
    inside (`ringfence exec --at internet -- …`); this command answers from outside, and
    needs no password, because whoever may use the state folder may do everything in it.

    \b
    Examples:
      ringfence login ABCDEFGHJ
      ringfence login ABCDEFGHJ --user ada@ringfence.onmicrosoft.com
    """
    body = {"code": code, "user": user, "decline": decline}
    found = client.Client(folder(context, state)).post("/sign-in", body)
    done = "is signed in" if found["approved"] else "has declined to sign in"
    typer.echo(f"{found['user']} {done} to application {found['application']}")
