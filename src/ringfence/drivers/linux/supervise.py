"""One supervisor per workload or router: starts the cell, keeps its log, starts it again when it ends.

It is stamped (see `processes`) and needs no daemon: it is a child of the sandbox's first
process, so a killed control plane takes nothing along. It tells how things stand in one small
status file. What a failed start means for the resource is decided by who reads that file.
One that replaces others lets them go on until its own program serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

from ringfence.drivers.linux import cell, cell_image
from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.kernel import syscalls

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_READ = 1 << 16
_READY_FD = "SERVER_READY_FD"
#: How much of a life's output the status file repeats once it has ended.
_LAST_WORDS = 1 << 14
#: What a program may print per second; beyond it, it waits.
_LOG_RATE = 16 * 1024 * 1024


class LogFile:
    """A file of bounded size: when it is full it becomes `<path>.1` and a new one begins."""

    def __init__(self, path: str, most: int) -> None:
        self._path, self._most = path, most
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size
        self._second, self._spent = 0, 0

    def write(self, data: bytes) -> None:
        if self._size + len(data) > self._most and not self._followed():
            os.close(self._fd)
            os.rename(self._path, f"{self._path}.1")
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = 0
        os.write(self._fd, data)
        self._size += len(data)
        self._spent += len(data)

    def _followed(self) -> bool:
        """Whether another process with the same log has begun a new file, and there is room in it: then go on there."""
        with contextlib.suppress(FileNotFoundError):
            there, here = os.stat(self._path), os.fstat(self._fd)
            if there.st_ino != here.st_ino and there.st_size < self._most // 2:
                os.close(self._fd)
                self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._size = os.fstat(self._fd).st_size
                return True
        return False

    def full(self) -> bool:
        """Whether this second's share is used up."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._spent = second, 0
        return self._spent > _LOG_RATE

    def note(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S,000", time.gmtime())
        self.write(f"{stamp} I [0] ringfence - {text}\n".encode())


class Supervisor:
    """Runs in a single-threaded process of its own until it is told to stop."""

    def __init__(self, spec: LaunchSpec) -> None:
        self._spec = spec
        self._log = LogFile(spec.log, spec.log_bytes)
        self._status_path = f"{spec.status}/{os.getpid()}.json"
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._wake, wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._child = self._attempts = self._failures = self._exit = self._asked = 0
        self._served = 0
        self._words = self._said = b""
        self._ready = -1
        self._oom = False
        self._began = self._ended_at = 0.0
        self._before: dict[str, float] = {}
        self._kill_at, self._farewell = 0.0, signal.SIGTERM
        self._replaced = _opened(spec.replaces)
        self.stopping = False
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._retire)
        signal.signal(signal.SIGUSR2, self._reload)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def run(self) -> None:
        self._status("waiting")
        self._await_predecessor()
        while not self.stopping:
            started = time.monotonic()
            oom_kills = self._oom_kills()
            self._attempt()
            self._oom = self._oom_kills() > oom_kills
            early = time.monotonic() - started < self._spec.early_s
            unfit = self._spec.tells and self._served < self._attempts
            self._failures = self._failures + 1 if early or unfit else 1
            if not self.stopping:
                self._rest() if self._finished() else self._give_up() if self._hopeless() else self._back_off()
        self._leave()

    def _stop(self, _number: int, _frame: object) -> None:
        self._end(signal.SIGTERM, self._spec.grace_s)

    def _retire(self, _number: int, _frame: object) -> None:
        """Another one serves in our place: there is time to finish."""
        if not self.stopping:
            self._end(signal.SIGUSR1, self._spec.retire_s)

    def _end(self, farewell: signal.Signals, grace_s: float) -> None:
        """A second, more urgent one counts; the same again does not prolong it."""
        if not self.stopping or farewell is not self._farewell:
            self.stopping, self._farewell = True, farewell
            self._kill_at = time.monotonic() + grace_s
            self._signal(farewell)

    def _reload(self, number: int, _frame: object) -> None:
        self._signal(number)

    def _signal(self, number: int) -> None:
        if self._child:
            os.kill(self._child, number)
            self._asked = self._child

    def _await_predecessor(self) -> None:
        """The one before holds the port until it is gone."""
        try:
            before = os.pidfd_open(self._spec.after) if self._spec.after else -1
        except ProcessLookupError:
            return
        if before >= 0:
            poll = select.poll()
            poll.register(before, select.POLLIN)
            while not self.stopping and not poll.poll(250):
                continue
            os.close(before)

    def _attempt(self) -> None:
        """One life of the program."""
        output, inward = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(inward, True)
        self._ready, ready_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._attempts:
            self._before = {"exit": self._exit, "began": self._began, "ended": self._ended_at}
        self._attempts += 1
        self._words = b""
        self._began, self._ended_at = time.time(), 0.0
        self._child = spawn(self._spec, inward, self._own_pids, ready_in if self._spec.tells else -1)
        os.close(inward)
        os.close(ready_in)
        self._status("running")
        told = False
        while not self._ended():
            self._wait(output)
            if self.stopping:
                # Again and again, because the first process of a PID namespace ignores it until it has a handler; but a
                # program of somebody else's may take the second one for impatience.
                late = time.monotonic() > self._kill_at
                if late or not self._spec.image or self._asked != self._child:
                    self._signal(signal.SIGKILL if late else self._farewell)
                if not told:
                    self._status("stopping")
                told = True
        while self._copy(output):
            continue
        os.close(output)
        self._close_ready()
        self._said = self._words

    def _heed(self) -> None:
        """The program serves, or has closed the pipe without a word."""
        told = os.read(self._ready, 1)
        self._close_ready()
        if not told:
            return
        self._served = self._attempts
        if not self.stopping:
            self._status("running")
            while self._replaced:
                _retire(self._replaced.pop())

    def _close_ready(self) -> None:
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _wait(self, output: int) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if not self._log.full():
            poll.register(output, select.POLLIN)
        if self._ready >= 0:
            poll.register(self._ready, select.POLLIN)
        limited = self.stopping or self._log.full()
        for fd, _events in poll.poll(200 if limited else 60_000):
            if fd == self._wake:
                os.read(fd, 4096)
            elif fd == self._ready:
                self._heed()
            else:
                self._copy(fd)

    def _copy(self, output: int) -> bool:
        try:
            data = os.read(output, _READ)
        except BlockingIOError:
            return False
        if data:
            self._log.write(data)
            self._words = (self._words + data)[-_LAST_WORDS:]
        elif self._child:
            time.sleep(0.01)  # closed its output but lives on; do not spin on the end of file
        return bool(data)

    def _ended(self) -> bool:
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if pid:
            self._child = 0
            self._exit = os.waitstatus_to_exitcode(status)
            self._ended_at = time.time()
        return bool(pid)

    def _finished(self) -> bool:
        """Whether it has done what it was started for."""
        return self._spec.restart == "Never" or (self._spec.restart == "OnFailure" and self._exit == 0)

    def _rest(self) -> None:
        """It is not started again; this stays to tell how it ended until it is told to stop."""
        self._status("ended")
        self._sleep(float("inf"))

    def _note(self, text: str) -> None:
        if not self._spec.quiet:
            self._log.note(text)

    def _hopeless(self) -> bool:
        """Whether it never served, and another try would be as good as the last."""
        spent = self._failures >= self._spec.tries or self._exit in self._spec.final
        return bool(self._spec.tries) and not self._served and spent

    def _give_up(self) -> None:
        """Whom it was to replace goes on; this stays to tell why until it is told to stop."""
        self._note(f"the process {self._end_in_words()}; it is not started again, and the one before goes on")
        self._status("failed")
        self._sleep(float("inf"))

    def _back_off(self) -> None:
        wait = min(_FIRST_WAIT_S * 2 ** min(self._failures - 1, 10), _LONGEST_WAIT_S)
        self._note(f"the process {self._end_in_words()}; it starts again in {wait:g} s")
        self._status("waiting")
        self._sleep(wait)

    def _end_in_words(self) -> str:
        how = f"was killed by signal {-self._exit}" if self._exit < 0 else f"ended with exit code {self._exit}"
        return how + (" after it went over its memory limit" if self._oom else "")

    def _sleep(self, seconds: float) -> None:
        """Until then, or until it is told to stop."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self.stopping and (left := until - time.monotonic()) > 0:
            if poll.poll(min(left, 3600.0) * 1000):
                os.read(self._wake, 4096)

    def _status(self, state: str) -> None:
        value = {
            "key": self._spec.key,
            "state": state,
            "child": self._child,
            "attempts": self._attempts,
            "failures": self._failures,
            "exit": self._exit,
            "oom": self._oom,
            "served": self._served,
            "said": self._said.decode("utf-8", "replace"),
            "began": self._began,
            "ended": self._ended_at,
            "before": self._before,
        }
        temporary = f"{self._status_path}.new"
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(value, file)
        os.rename(temporary, self._status_path)

    def _oom_kills(self) -> int:
        for folder in self._spec.groups:
            for name in ("memory.oom_control", "memory.events"):
                if os.path.exists(f"{folder}/{name}"):
                    with open(f"{folder}/{name}", encoding="ascii") as file:
                        return int(dict(line.split() for line in file).get("oom_kill", 0))
        return 0

    def _leave(self) -> None:
        for folder in self._spec.groups:
            try:
                os.rmdir(folder)
            except OSError as error:
                self._note(f"control group {folder} stays: {error.strerror}")
        if os.path.exists(self._status_path):
            os.unlink(self._status_path)


def _opened(pids: Sequence[int]) -> list[int]:
    """A descriptor for each of these processes that is there."""
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def _retire(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGUSR1)
    os.close(process)


def spawn(spec: LaunchSpec, output: int, own_pids: int, told: int = -1) -> int:
    """Start the program in a new cell; its first process is number 1 there. Returns its PID as seen from here.

    told: the descriptor on which it says that it serves, or -1.
    """
    if told >= 0:
        spec = spec._replace(variables={**spec.variables, _READY_FD: str(told)})
    ready, ready_in = os.pipe2(os.O_CLOEXEC)
    proceed, proceed_in = os.pipe2(os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        if told >= 0:
            os.set_inheritable(told, True)
        _become_child(spec, output, ready_in, proceed)
    syscalls.setns(own_pids, syscalls.CLONE_NEWPID)
    for descriptor in (ready_in, proceed):
        os.close(descriptor)
    if os.read(ready, 1) == b"u":
        _map_user(pid, spec)
        os.write(proceed_in, b"m")
    for descriptor in (ready, proceed_in):
        os.close(descriptor)
    return pid


def _become_child(spec: LaunchSpec, output: int, ready: int, proceed: int) -> NoReturn:
    """Never returns: what goes wrong is printed to the log, and the exit code is 126."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        cell.enter(spec, ready, proceed)
    except BaseException as error:  # noqa: BLE001  # a fork must not go on with its parent's work, whatever went wrong
        os.write(2, f"ringfence: the sandbox could not be built: {error}\n".encode())
    finally:
        os._exit(126)


def _map_user(pid: int, spec: LaunchSpec) -> None:
    """One user inside. Outside it is an unprivileged one, or ourselves where no other is ours to give."""
    for kind in ("gid", "uid"):
        outer = cell_image.outside(kind, spec.outer)
        with open(f"/proc/{pid}/{kind}_map", "w", encoding="ascii") as file:
            file.write(f"{spec.user} {outer} 1")
