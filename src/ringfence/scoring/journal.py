"""The log of a scoring server: standard output, in the line format of Azure ML's inference server.

`YYYY-MM-DD HH:MM:SS,mmm L [pid] logger - message`, UTC. Access lines are gathered and written
by the loop a few times a second, because a write per request costs as much as the request.
Where the output goes and how much of it is kept is the business of whoever started the process.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
import threading
import time

ACCESS, PRINT, SCRIPT, ROOT = "azmlinfsrv", "azmlinfsrv.print", "azmlinfsrv.user_script", "root"
_MOST_PENDING = 2000


class Journal:
    """Thread-safe. Lines keep their order: an immediate line first writes what is pending."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._second = -1
        self._stamp = ""
        self.pending: list[str] = []

    def write(self, level: str, logger: str, message: str) -> None:
        """One line now. level: "D", "I", "W", "E" or "C"."""
        self.pending.append(self.format(level, logger, message))
        self.flush()

    def access(self, text: str) -> None:
        """One line later, at the next flush."""
        self.pending.append(self.format("I", ACCESS, text))
        if len(self.pending) > _MOST_PENDING:
            self.flush()

    def format(self, level: str, logger: str, message: str) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._stamp},{int((now - second) * 1000):03d} {level} [{self._pid}] {logger} - {message}\n"

    def flush(self) -> None:
        with self._lock:
            lines, self.pending = self.pending, []
            data = "".join(lines).encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._fd, data) :]

    def capture_print(self) -> None:
        """Make print() to standard output an INFO line, as Azure's server does; other files are left alone."""
        plain = builtins.print

        @functools.wraps(plain)
        def printed(*values: object, **options: object) -> None:
            if options.get("file") not in (None, sys.stdout):
                plain(*values, **options)  # type: ignore[call-overload]  # the caller's own keywords, passed on
                return
            separator = options.get("sep")
            self.write("I", PRINT, (" " if separator is None else str(separator)).join(map(str, values)))

        builtins.print = printed
