"""Control groups: memory, CPU and process limits, version 1 or 2, in folders that were given to us.

Each given folder is ours to make children in; a machine without any gives none, and the
limits then are those of the process itself (`LaunchSpec.data_bytes`, `processes`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US, _LEAST_US = 100_000, 1_000
_OURS = ("pod-", "router-", "ctr-")


class CgroupError(Exception):
    """A limit could not be set; the message names the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """memory_mb: MiB. cpu: cores, or 0 for no limit. processes: with threads."""

    memory_mb: int
    cpu: float
    processes: int


class Cgroups:
    """folders: one per controller (version 1), or one for all (version 2); the controllers are seen from their files."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = tuple(Path(folder) for folder in folders)
        for folder in self._folders:
            if _unified(folder):
                _delegate(folder)

    @property
    def enforced(self) -> bool:
        """Whether memory is limited by the kernel for a whole workload, and not only for each process."""
        return any(_unified(f) or (f / "memory.limit_in_bytes").exists() for f in self._folders)

    def make(self, name: str, limits: Limits) -> tuple[str, ...]:
        """A group in every folder, with limits set before anything is in it. Raises CgroupError."""
        made = []
        for parent in self._folders:
            folder = parent / name
            try:
                folder.mkdir(exist_ok=True)
                for file, value in _settings(folder, limits):
                    (folder / file).write_text(value)
            except OSError as error:
                raise CgroupError(f"{error.filename or folder}: {error.strerror}") from error
            made.append(str(folder))
        return tuple(made)

    def folders(self, name: str) -> tuple[str, ...]:
        """The folders of a group that was made."""
        return tuple(str(parent / name) for parent in self._folders)

    def sweep(self, wanted: Collection[str]) -> None:
        """Remove the groups of ours that nobody wants and nothing is in."""
        for parent in self._folders:
            for entry in os.scandir(parent):
                if entry.name.startswith(_OURS) and entry.name not in wanted:
                    with contextlib.suppress(OSError):  # in use: somebody is still in it, and the next sweep looks again
                        os.rmdir(entry.path)


def _unified(folder: Path) -> bool:
    return (folder / "cgroup.controllers").exists()


def _delegate(folder: Path) -> None:
    available = (folder / "cgroup.controllers").read_text().split()
    wanted = [f"+{name}" for name in ("memory", "cpu", "pids") if name in available]
    try:
        (folder / "cgroup.subtree_control").write_text(" ".join(wanted))
    except OSError as error:
        raise CgroupError(f"{folder}/cgroup.subtree_control: {error.strerror}; no process may be in this group itself") from error


def _settings(folder: Path, limits: Limits) -> list[tuple[str, str]]:
    """The files that exist here, in the order in which they can be written."""
    memory, quota = str(limits.memory_mb * 1024 * 1024), str(max(_LEAST_US, int(limits.cpu * _PERIOD_US)))
    first = [
        ("memory.limit_in_bytes", memory),
        ("memory.memsw.limit_in_bytes", memory),  # with swap: never below the limit without, so after it
        ("memory.max", memory),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", str(limits.processes)),
    ]
    if limits.cpu:
        first += [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", quota), ("cpu.max", f"{quota} {_PERIOD_US}")]
    return [(file, value) for file, value in first if (folder / file).exists()]
