"""The supervisors that run: found in /proc by the stamps in their environment.

A stamp counts only in a process of our own PID namespace, because a workload may write
into its environment what it likes. Their status files (see `supervise`) lie beside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringfence.desired.state import Container, Liveness, Router, Workload
from ringfence.drivers.linux.folders import slug

ITEM, FINGERPRINT, ENDPOINT, PORT = "RINGFENCE_ITEM", "RINGFENCE_FINGERPRINT", "RINGFENCE_ENDPOINT", "RINGFENCE_PORT"
GROUP, USES, LIVENESS = "RINGFENCE_GROUP", "RINGFENCE_USES", "RINGFENCE_LIVENESS"


@dataclass(frozen=True, slots=True)
class Status:
    """What a supervisor says of its program. state: "waiting", "running", "stopping", "failed" (given up) or "ended" (done).

    child: its PID, or 0. served: the last attempt whose program said that it serves, 0 for none.
    said: the last output of the life before.
    attempts: how often it was started. failures: ends in a row that came too early. exit: the last exit code, negative
    for a signal. oom: whether it was ended by its memory limit. began, ended: of the last life, seconds since 1970, or 0.
    before: exit, began and ended of the life before it.
    """

    state: str = "waiting"
    child: int = 0
    attempts: int = 0
    failures: int = 0
    exit: int = 0
    oom: bool = False
    served: int = 0
    said: str = ""
    began: float = 0.0
    ended: float = 0.0
    before: Mapping[str, float] = field(default_factory=dict)

    @property
    def serving(self) -> bool:
        return self.state == "running" and self.served == self.attempts


@dataclass(frozen=True, slots=True)
class Supervisor:
    """One that is alive. started: kernel ticks since boot, so that (pid, started) names it for ever. group: its control group.

    uses: keys of the bundle and the image that its program runs from. liveness: when it is started again.
    """

    pid: int
    started: int
    key: str
    fingerprint: str
    endpoint: str
    port: int
    group: str
    uses: frozenset[str]
    status: Status
    liveness: Liveness | None = None

    def signal(self, number: signal.Signals) -> None:
        """Nothing, if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def going(supervisor: Supervisor, namespace: Callable[[str], str]) -> str:
    """A fingerprint, equal to none, for a process that is on its way out or cut off from its endpoint; "" for any other.

    namespace: path of an endpoint's network namespace; raises KeyError.
    """
    if supervisor.status.state == "stopping":
        return "stopping"
    own = _identity(f"/proc/{supervisor.status.child}/ns/net") if supervisor.status.state == "running" else None
    # Not there: it has just ended. Still ours: it is about to be put into its own.
    if own is None or own == _identity("/proc/self/ns/net"):
        return ""
    try:
        return "" if own == _identity(namespace(supervisor.endpoint)) else "stranded"
    except KeyError:
        return "stranded"


def _identity(path: str) -> tuple[int, int] | None:
    """What tells one namespace from another; None when the process or mount is gone, or the process about to be."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return found.st_dev, found.st_ino


def stamps(item: Workload | Router | Container, group: str) -> dict[str, str]:
    """The environment of a supervisor."""
    port = 0 if isinstance(item, Container) else item.port
    marks = {ITEM: item.key, FINGERPRINT: item.fingerprint, ENDPOINT: item.endpoint, PORT: str(port), GROUP: group}
    if isinstance(item, Workload):
        marks[USES] = f"{item.image} {item.bundle}"
        if item.liveness is not None:
            marks[LIVENESS] = json.dumps(dataclasses.asdict(item.liveness))
    elif isinstance(item, Container):
        marks[USES] = item.image
    return {**marks, "PATH": "/usr/bin:/bin"}


def new_group(key: str) -> str:
    """A name for a control group that no other start of the same item has: the one before removes its own when it ends."""
    return f"{slug(key)}-{time.monotonic_ns():x}"


def scan(status_folder: Path, prefix: str) -> dict[str, list[Supervisor]]:
    """Supervisors of the keys that begin with prefix, by key, the newest first."""
    found: dict[str, list[Supervisor]] = {}
    for pid, started, values in _stamped():
        if values[ITEM].startswith(prefix):
            found.setdefault(values[ITEM], []).append(_supervisor(pid, started, values, status_folder))
    for supervisors in found.values():
        supervisors.sort(key=lambda s: (s.started, s.pid), reverse=True)
    return found


def groups(status_folder: Path) -> frozenset[str]:
    """The control groups that are in use."""
    return frozenset(s.group for supervisors in scan(status_folder, "").values() for s in supervisors)


def sweep(status_folder: Path) -> None:
    """Remove the status files of supervisors that were killed."""
    for path in status_folder.glob("*.json"):
        if not Path("/proc", path.stem).exists():
            path.unlink(missing_ok=True)


def _supervisor(pid: int, started: int, values: Mapping[str, str], folder: Path) -> Supervisor:
    return Supervisor(
        pid=pid,
        started=started,
        key=values[ITEM],
        fingerprint=values.get(FINGERPRINT, ""),
        endpoint=values.get(ENDPOINT, ""),
        port=int(values.get(PORT, "0")),
        group=values.get(GROUP, ""),
        uses=frozenset(values.get(USES, "").split()),
        status=_status(folder / f"{pid}.json", values[ITEM]),
        liveness=Liveness(**json.loads(values[LIVENESS])) if LIVENESS in values else None,
    )


def _status(path: Path, key: str) -> Status:
    """A missing file is a supervisor that has only just begun; one of another key is left over from an earlier process."""
    try:
        value = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return Status()
    if value.pop("key") != key:
        return Status()
    return Status(**value)


def _stamped() -> Iterator[tuple[int, int, dict[str, str]]]:
    here = os.readlink("/proc/self/ns/pid")
    for name in os.listdir("/proc"):
        if name.isdigit():
            # A process may end between any two of these reads, and kernel threads have no environment.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                values = _environment(name)
                if ITEM in values and os.readlink(f"/proc/{name}/ns/pid") == here:
                    yield int(name), _started(name), values


def _environment(name: str) -> dict[str, str]:
    data = Path("/proc", name, "environ").read_bytes()
    if f"{ITEM}=".encode() not in data:
        return {}
    pairs = (entry.partition("=") for entry in data.decode("utf-8", "replace").split("\0"))
    return {key: value for key, _, value in pairs}


def _started(name: str) -> int:
    return int(Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])
