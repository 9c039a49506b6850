"""How a container is, in the words of Azure Container Instances, from what its supervisor says."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.drivers.base import Instance
from ringfence.drivers.linux.processes import Status

_SIGNALS = 128


def of(status: Status) -> Instance:
    """The life that runs or ran last, and the one before it."""
    restarts = max(0, status.attempts - 1)
    previous = _ended(status.before, 0) if status.before else None
    last = {"exit": float(status.exit), "began": status.began, "ended": status.ended}
    match status.state:
        case "running":
            return Instance("Running", "", began=status.began or None, restarts=restarts, previous=previous)
        case "waiting" if not status.attempts:
            return Instance("Waiting", "ContainerCreating")
        case "waiting":
            return Instance("Waiting", "CrashLoopBackOff", restarts=restarts, previous=_ended(last, 0))
        case _:
            return _ended(last, restarts, previous, oom=status.oom)


def _ended(life: Mapping[str, float], restarts: int, previous: Instance | None = None, *, oom: bool = False) -> Instance:
    code = int(life["exit"])
    code = _SIGNALS - code if code < 0 else code
    detail = "OOMKilled" if oom else "Error" if code else "Completed"
    return Instance(
        "Terminated",
        detail,
        began=life["began"] or None,
        ended=life["ended"] or None,
        exit_code=code,
        restarts=restarts,
        previous=previous,
    )
