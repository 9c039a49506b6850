"""Processes that may have been replaced since we wrote down their number.

A process is named by its number and its start time (in clock ticks since boot), so that
a number that was given away again is never signalled. What a process is for is not known here.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTED = 0, 19  # positions after the closing parenthesis of /proc/PID/stat


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this pid namespace. started: clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Raises ProcessLookupError when there is none, or only a zombie of it."""
        fields = _stat(pid)
        if fields is None or fields[_STATE] in "ZX":
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, int(fields[_STARTED]))

    def alive(self) -> bool:
        try:
            return Process.of(self.pid) == self
        except ProcessLookupError:
            return False

    def end(self, *, patience_s: float) -> bool:
        """SIGTERM, and SIGKILL when it is still there after so many seconds. Returns False if it had to be killed."""
        return not self.alive() or (self._signal_and_wait(signal.SIGTERM, patience_s) or self._killed())

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.alive():
            self._killed()

    def _killed(self) -> bool:
        if not self._signal_and_wait(signal.SIGKILL, 30.0):
            raise TimeoutError(f"process {self.pid} does not end after SIGKILL")
        return False

    def _signal_and_wait(self, number: signal.Signals, patience_s: float) -> bool:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():  # looked at again with the handle in hand, so it cannot be replaced any more
                return True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            return bool(poller.poll(patience_s * 1000))
        finally:
            os.close(handle)


def boot_id() -> str:
    """Different after each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
