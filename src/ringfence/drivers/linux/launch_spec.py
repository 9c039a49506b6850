"""What the launcher is told: one process, what it may see, and what it may use.

Written by the drivers of workloads and routers, read by `launch` in a process of its own.
Plain values as JSON; light to import, because every supervisor carries it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: The unprivileged user inside a cell, which owns nothing outside of it.
NOBODY = 65534


class LaunchSpec(NamedTuple):
    """One process and its cell.

    key: the item's key. argv, variables, directory: as inside the cell. network: path of the network namespace.
    binds: (source, target, kind); kind is "ro", "rw" or "device". links: (target, path) of symbolic links.
    files: path to text. scratch: folder to MiB of memory file system. root: an empty folder to build on.
    groups: control-group folders to join. data_bytes, processes: limits of the process itself; 0 for none.
    log: file that standard output and error go to, kept below log_bytes with one older file beside it.
    status: folder for the supervisor's status file. after: a process to outlive before starting, or 0.
    replaces: supervisors to send SIGUSR1 once the program serves. tells: the program says so on a descriptor that the variable
    SERVER_READY_FD names. tries: starts without ever serving after which it is given up, 0 for never; final: exit codes that
    need no second try. grace_s: from SIGTERM to SIGKILL; retire_s: from SIGUSR1 to SIGKILL.
    early_s: a process that ends sooner than this has failed to start.
    restart: "Always", "OnFailure" or "Never": whether it is started again once it has ended. quiet: the log is the program's.
    image: a root file system that the cell's root is a copy of (then root is only where it is put together, and what is
    written is lost with the process), or "". outer: the user outside that `user` is, where that one is ours to give.
    """

    key: str
    argv: Sequence[str]
    variables: Mapping[str, str]
    directory: str
    network: str
    hostname: str
    binds: Sequence[tuple[str, str, str]]
    links: Sequence[tuple[str, str]]
    files: Mapping[str, str]
    scratch: Mapping[str, int]
    root: str
    groups: Sequence[str]
    log: str
    status: str
    data_bytes: int = 0
    processes: int = 0
    log_bytes: int = 4 * 1024 * 1024
    after: int = 0
    replaces: Sequence[int] = ()
    tells: bool = False
    tries: int = 0
    final: Sequence[int] = ()
    retire_s: float = 10.0
    grace_s: float = 10.0
    early_s: float = 10.0
    user: int = NOBODY
    restart: str = "Always"
    quiet: bool = False
    image: str = ""
    outer: int = NOBODY

    def to_json(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> LaunchSpec:
        """Raises ValueError or TypeError on anything that `to_json` did not write."""
        return cls(**json.loads(text))
