"""The programs and libraries that a sandbox needs, looked for before one is started.

`doctor` tries the kernel's part as well; this is the part that a package provides.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from ringfence.kernel import nft
from ringfence.sandbox.errors import SandboxError

_SEARCHED = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a Debian package provides."""

    name: str
    package: str
    found: str


def parts() -> tuple[Part, ...]:
    """found: where it is, or "" when it is missing."""
    haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:{_SEARCHED}")
    return (
        Part("HAProxy", "haproxy", haproxy or ""),
        Part("libnftables", "libnftables1", "libnftables.so.1" if nft.available() else ""),
    )


def check() -> None:
    """Raises SandboxError naming everything that is missing and the one command that installs it."""
    missing = [part for part in parts() if not part.found]
    if missing:
        names = " and ".join(part.name for part in missing)
        packages = " ".join(part.package for part in missing)
        verb = "is" if len(missing) == 1 else "are"
        raise SandboxError(f"{names} {verb} not installed", f"apt-get install {packages} (as root)")
