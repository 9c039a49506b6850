"""The launcher: a small program that starts one supervisor and leaves it to the sandbox's first process.

Started as a program of its own because what a supervisor does (joining and leaving
namespaces, forking) is not allowed or not safe in a process with threads. It reads a
`LaunchSpec` from standard input; its environment carries the stamps. Exit code 0: the
supervisor runs.
"""

from __future__ import annotations

import os
import sys

from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.drivers.linux.supervise import Supervisor


def main() -> None:
    spec = LaunchSpec.from_json(sys.stdin.read())
    if os.fork():
        os._exit(0)
    os.setsid()
    quiet = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    log = os.open(spec.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for descriptor, target in ((0, quiet), (1, quiet), (2, log)):
        os.dup2(target, descriptor)
    os.close(quiet)
    os.close(log)
    Supervisor(spec).run()
