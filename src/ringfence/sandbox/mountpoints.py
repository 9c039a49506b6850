"""Empty folders in a user's home that exist only so that something can be mounted over them.

Each is noted in the state folder before it is made, and removed, if it is still empty,
when the sandbox has ended. What is mounted there is decided by `surroundings`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ringfence.sandbox.layout import Layout


def make(layout: Layout, path: Path) -> bool:
    """Make an empty folder in the user's home for a mount, noted first so that it is removed again. False if it cannot be."""
    if path.is_dir():
        return True
    with contextlib.suppress(OSError):  # a home that cannot be written cannot receive a token either
        handle = os.open(layout.mount_points, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, os.fsencode(path) + b"\0")
        finally:
            os.close(handle)
        path.mkdir(mode=0o700, exist_ok=True)
        return True
    return False


def remove(layout: Layout) -> None:
    """Nobody may be inside any more: a folder that is removed takes the mounts over it along."""
    with contextlib.suppress(FileNotFoundError):
        for name in layout.mount_points.read_bytes().split(b"\0"):
            if name:
                with contextlib.suppress(OSError):  # something is in it by now, so it stays
                    os.rmdir(name)
        layout.mount_points.unlink()
