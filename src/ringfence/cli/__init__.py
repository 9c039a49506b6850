"""The command line: thin, and quick to start.

Commands are grouped in `box` (up, down, status, doctor), `locations` (exec, shell, env),
`logs` and `demo`; they ask the sandbox room and the control plane's local API, and
print. How errors look is `complaint`'s.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The program `ringfence`. Exits: 0 done, 1 failed, 2 wrong usage; `exec` and `shell` exit as their command does."""
    from ringfence.cli.visiting import plain

    if (code := plain(sys.argv[1:])) is not None:
        sys.exit(code)

    from ringfence.cli.complaint import complain
    from ringfence.cli.program import app
    from ringfence.sandbox.errors import SandboxError

    try:
        app(prog_name="ringfence")
    except SandboxError as error:
        complain(error)
        sys.exit(1)
