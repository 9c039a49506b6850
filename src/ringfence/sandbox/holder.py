"""The first process of the sandbox: it keeps the namespaces alive, reaps, and restarts the control plane.

Started by the broker with `python -m ringfence.sandbox.holder`, it is pid 1 of the box.
If it ends, the kernel ends every process inside. It knows of the control plane only its
command, and reads nothing that a workload could write.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ringfence.kernel import syscalls
from ringfence.sandbox import isolation, run
from ringfence.sandbox.errors import CannotIsolate
from ringfence.sandbox.layout import Layout, write

NETWORK_NAMESPACES = Path("/run/ringfence/netns")
_WATCHED = (signal.SIGCHLD, signal.SIGTERM)
GO = b"."
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STABLE_S = 0.1, 5.0, 10.0
_PATIENCE_S, _IDLE_S = 3.0, 3600.0
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


class Holder:
    """daemon: the control plane's command. proxy: the inherited listening descriptor that it gets."""

    def __init__(self, layout: Layout, daemon: Sequence[str], proxy: int) -> None:
        self._layout = layout
        self._daemon = [*daemon, "--state", str(layout.folder), "--proxy-fd", str(proxy)]
        self._proxy = proxy
        self._pid = 0
        self._starts = 0
        self._last_exit = ""
        self._ending = False
        self._begun = self._due = time.monotonic()
        self._pause_s = _FIRST_PAUSE_S / 2

    def run(self) -> None:
        """Until SIGTERM. What is left inside when this returns is ended by the kernel."""
        while True:
            if not self._pid and time.monotonic() >= self._due:
                self._start()
            timeout_s = _IDLE_S if self._pid else max(0.0, self._due - time.monotonic())
            got = signal.sigtimedwait(_WATCHED, timeout_s)
            if got is not None and got.si_signo == signal.SIGTERM:
                return self._stop()
            self._reap()

    def _start(self) -> None:
        self._begun = time.monotonic()
        self._starts += 1
        log = os.open(self._layout.control_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._pid = run.spawn(self._daemon, output=log, keep=[self._proxy], env=_without_proxies(os.environ))
        except OSError as error:
            self._ended(f"cannot be started: {error}")
        finally:
            os.close(log)
        self._write_down()

    def _reap(self) -> None:
        """Collect every child that ended; orphans of the whole box become our children."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self._ended(f"ended with signal {-code}" if code < 0 else f"ended with exit code {code}")
                self._write_down()

    def _ended(self, how: str) -> None:
        now = time.monotonic()
        stable = now - self._begun > _STABLE_S
        self._pause_s = _FIRST_PAUSE_S if stable else min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self._pid, self._due, self._last_exit = 0, now + self._pause_s, how
        _say(f"the control plane {how}" + ("" if self._ending else f"; it is started again in {self._pause_s:g} s"))

    def _stop(self) -> None:
        self._ending = True
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE_S
        while self._pid and (left_s := deadline - time.monotonic()) > 0:
            signal.sigtimedwait([signal.SIGCHLD], left_s)
            self._reap()

    def _write_down(self) -> None:
        document = {"starts": self._starts, "lastExit": self._last_exit}
        write(self._layout.supervision, json.dumps(document) + "\n", mode=0o600)


def furnish() -> None:
    """Mounts of the box: the host's file system as it is, but with a /run and a /proc of its own. Raises CannotIsolate."""
    with isolation.step(isolation.MOUNT_STEP):
        # A slave, not a private copy: what the host unmounts later must not stay busy because of us.
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
        syscalls.mount("tmpfs", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    with isolation.step(isolation.PROC_STEP):
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def main(arguments: Sequence[str]) -> None:
    given = _parse(arguments)
    for descriptor in (given.gate, given.report, given.proxy):
        os.set_inheritable(descriptor, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    if not _tied_to_broker(given.gate):
        return
    try:
        furnish()
        NETWORK_NAMESPACES.mkdir(parents=True)
    except CannotIsolate as error:
        os.write(given.report, isolation.failure(error))
        return
    os.write(given.report, b"{}")
    os.close(given.report)
    Holder(Layout(given.state), json.loads(given.daemon), given.proxy).run()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ringfence.sandbox.holder")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--daemon", required=True, help="the control plane's command, as a JSON list")
    for name, meaning in (("gate", "read end that opens the way"), ("report", "write end"), ("proxy", "listening socket")):
        parser.add_argument(f"--{name}", type=int, required=True, help=f"descriptor: {meaning}")
    return parser.parse_args(arguments)


def _tied_to_broker(gate: int) -> bool:
    """Wait until the broker is our parent, and end with it from then on. False if it is gone already."""
    if os.read(gate, 1) != GO:
        return False
    syscalls.die_with_parent(signal.SIGKILL)
    poller = select.poll()
    poller.register(gate, select.POLLHUP)
    return not poller.poll(0)  # it may have died between its message and our wish


def _without_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.lower() not in _PROXIES}


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} holder: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
