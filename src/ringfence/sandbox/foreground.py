"""The parent of a command at a location: it passes signals on, hands over the terminal, and waits.

The command is in another process namespace, so what the shell and the terminal mean by
"this job" is carried across: Ctrl-C, Ctrl-Z, `fg` and `kill` act on the command. Alone on
a terminal the command gets a process group of its own; in a pipeline, a script or without
a terminal it stays in ours, as it would without us.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import TracebackType

_FORWARDED = {
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT,
}  # fmt: skip
_WATCHED = _FORWARDED | {signal.SIGCHLD}
# SIGTTOU: we hand the terminal over from the background. SIGTTIN: we stop after the command did, never beside it.
_HELD = _WATCHED | {signal.SIGTTOU, signal.SIGTTIN}
_FROM_KERNEL = 0x80  # SI_KERNEL: sent by the terminal, to the whole group
_TERMINAL = 0


class Foreground:
    """Holds back signals from before the command exists until it has ended."""

    def __init__(self) -> None:
        self._child = 0
        self._hands_over = _alone_on_terminal()
        self._before: set[int] = set()

    def __enter__(self) -> Foreground:
        self._before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._take_terminal_back()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def release(self) -> None:
        """In the command's process: signals as the caller had them."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # the interpreter ignores these
            signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def adopt(self, child: int) -> None:
        """The child that will become the command; call before it runs."""
        self._child = child
        if self._hands_over:
            os.setpgid(child, child)
            os.tcsetpgrp(_TERMINAL, child)

    def wait(self) -> int:
        """Until the command has ended: its exit code, or 128 + N for signal N."""
        while True:
            got = signal.sigwaitinfo(_WATCHED)
            if got.si_signo != signal.SIGCHLD:
                self._pass_on(got)
                continue
            pid, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self._stop_too(os.WSTOPSIG(status))
            elif pid:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else code

    def _pass_on(self, got: signal.struct_siginfo) -> None:
        if got.si_code == _FROM_KERNEL and not self._hands_over:
            return  # the command is in our group and got it from the terminal as well
        os.kill(self._child, got.si_signo)

    def _stop_too(self, number: int) -> None:
        """The command was stopped: so are we, which the shell sees; when it resumes us, the command goes on."""
        self._take_terminal_back()
        # The terminal's own signal, so that the kernel declines where no shell could resume us.
        number = number if number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU) else signal.SIGTSTP
        os.kill(os.getpid(), number)
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._hands_over and os.tcgetpgrp(_TERMINAL) == os.getpgrp():
            os.tcsetpgrp(_TERMINAL, self._child)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGCONT) if self._hands_over else os.kill(self._child, signal.SIGCONT)

    def _take_terminal_back(self) -> None:
        if self._hands_over and self._child and os.tcgetpgrp(_TERMINAL) == self._child:
            os.tcsetpgrp(_TERMINAL, os.getpgrp())


def _alone_on_terminal() -> bool:
    if not (os.isatty(0) and os.isatty(1)):
        return False
    try:
        return os.tcgetpgrp(_TERMINAL) == os.getpgrp() == os.getpid()
    except OSError:  # a terminal, but not ours
        return False
