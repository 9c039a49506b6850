"""What `exec` and `shell` do, and the command line of the plain case.

Loading the command framework takes longer than everything else that `exec` does, so plain,
correct command lines are read here without it; help, completion and mistakes are left to
`locations`, which has the same options.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ringfence.cli.complaint import complain
from ringfence.sandbox import enter
from ringfence.sandbox.errors import SandboxError
from ringfence.sandbox.layout import default_folder


def visit(state: Path, at: str, command: Sequence[str]) -> int:
    """Run a command, or without one the user's shell, at a location. Returns what to exit with."""
    # The variable is shown in the prompt by Debian's and Ubuntu's own settings of bash.
    extra = {} if command else {"debian_chroot": f"ringfence {at}"}
    try:
        return enter.run(state, at, command or [os.environ.get("SHELL") or "/bin/sh"], extra)
    except SandboxError as error:
        complain(error)
        return enter.OURS


def plain(arguments: Sequence[str]) -> int | None:
    """Do what a plain command line asks. None when it is not one of `exec` or `shell`, or not plain."""
    general = _options(arguments, {"--state"})
    if general is None or not general[1] or general[1][0] not in ("exec", "shell"):
        return None
    verb, *rest = general[1]
    own = _options(rest, {"--state", "--at"})
    if own is None or not own[0].get("--at") or (verb == "exec") != bool(own[1]):
        return None
    state = own[0].get("--state") or general[0].get("--state")
    return visit(Path(state) if state else default_folder(), own[0]["--at"], own[1])


def _options(words: Sequence[str], names: set[str]) -> tuple[dict[str, str], list[str]] | None:
    """Leading options, each with a value, and what follows them."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name not in names or not (equals or rest):
            return None
        found[name] = value if equals else rest.pop(0)
    return found, rest
