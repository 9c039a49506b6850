"""Removing what a sandbox had outside its state folder, and the traces of its run inside.

Used when a box ends in order and when the next command finds that one has crashed. Every
step tolerates that it was done before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.sandbox import cgroups, mountpoints
from ringfence.sandbox.layout import Layout
from ringfence.sandbox.record import Record


def after_end(layout: Layout, groups: Sequence[str] = ()) -> None:
    """All processes of the box are gone: remove the folders for limits, mount points made in homes, sockets, the record.

    groups: folders for limits, besides those that are found by their name.
    """
    cgroups.remove([*groups, *cgroups.leftovers(layout.instance)], patience_s=5.0)
    mountpoints.remove(layout)
    for path in (layout.control_socket, layout.build_socket, layout.supervision, layout.record):
        path.unlink(missing_ok=True)


def after_crash(layout: Layout, found: Record) -> None:
    """End what is left of a crashed start, then as after an orderly end."""
    for process in found.survivors:
        process.kill()
    after_end(layout, found.cgroups)
