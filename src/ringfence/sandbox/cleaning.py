"""Removing what a sandbox had outside its state folder, and the traces of its run inside.

Used when a box ends in order and when the next command finds that one has crashed. Every
step tolerates that it was done before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from ringfence.sandbox import cgroups
from ringfence.sandbox.layout import Layout
from ringfence.sandbox.record import Record


def after_end(layout: Layout, groups: Sequence[str] = ()) -> None:
    """All processes of the box are gone: remove the folders for limits, mount points made in homes, sockets, the record.

    groups: folders for limits, besides those that are found by their name.
    """
    cgroups.remove([*groups, *cgroups.leftovers(layout.instance)], patience_s=5.0)
    _remove_mount_points(layout)
    for path in (layout.control_socket, layout.build_socket, layout.supervision, layout.record):
        path.unlink(missing_ok=True)


def after_crash(layout: Layout, found: Record) -> None:
    """End what is left of a crashed start, then as after an orderly end."""
    for process in found.survivors:
        process.kill()
    after_end(layout, found.cgroups)


def make_mount_point(layout: Layout, path: Path) -> bool:
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


def _remove_mount_points(layout: Layout) -> None:
    with contextlib.suppress(FileNotFoundError):
        for name in layout.mount_points.read_bytes().split(b"\0"):
            if name:
                with contextlib.suppress(OSError):  # something is in it by now, so it stays
                    os.rmdir(name)
        layout.mount_points.unlink()
