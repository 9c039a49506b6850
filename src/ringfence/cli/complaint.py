"""How an error looks on a terminal: the fact, and the way out."""

from __future__ import annotations

import sys

from ringfence.sandbox.errors import SandboxError


def complain(error: SandboxError) -> None:
    sys.stderr.write(f"ringfence: {error.fact}\n")
    if error.remedy:
        sys.stderr.write(f"  what to do: {error.remedy}\n")
