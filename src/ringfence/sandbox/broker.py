"""The part of Ringfence that stays in the host's namespaces: it makes the box, watches it, cleans up after it.

Started by `ringfence up` with `python -m ringfence.sandbox.broker`. It opens what has to be
opened on the host (the proxy's loopback port, the builder's socket, the folders for
resource limits) before the box exists, and builds environments while it runs. If it
dies, the box dies with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import resource
import secrets
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import ringfence
from ringfence.sandbox import cgroups, cleaning, holder, isolation, record, run
from ringfence.sandbox.errors import CannotIsolate, SandboxError
from ringfence.sandbox.layout import Layout
from ringfence.sandbox.processes import Process, boot_id

log = logging.getLogger("broker")
_PATIENCE_S = 5.0
_MOST_DESCRIPTORS = 1 << 20


def main(arguments: Sequence[str]) -> None:
    given = _parse(arguments)
    for first, beyond in ((3, given.report), (given.report + 1, _MOST_DESCRIPTORS)):
        os.closerange(first, beyond)  # a pipe of the caller's shell must not stay open because of us
    if os.fork():  # whoever started us is not to wait for us
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.set_inheritable(given.report, False)
    Broker(Layout(given.state), json.loads(given.daemon), given.report).run()


class Broker:
    """report: a descriptor that is told `{}` or the reason of a failure, once, and closed."""

    def __init__(self, layout: Layout, daemon: Sequence[str], report: int) -> None:
        self._layout = layout
        self._daemon = json.dumps(list(daemon))
        self._report = report

    def run(self) -> None:
        """Until SIGTERM, or until the box has ended."""
        with contextlib.ExitStack() as stack:
            try:
                wake = _signals_on_a_pipe()
                box = self._open(stack)
            except (SandboxError, OSError) as error:
                log.error("the sandbox cannot be made: %s", error)
                self._tell(_failure(error))
                return
            self._tell(b"{}")
            log.info("the sandbox runs, its first process is %d", box.pid)
            self._serve_builds(stack)
            _watch(box, wake)

    def _open(self, stack: contextlib.ExitStack) -> Process:
        """What the host side needs, then the box. On the stack: how to undo it, in reverse order."""
        proxy = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        groups = cgroups.prepare(self._layout.instance)
        stack.callback(cleaning.after_end, self._layout, groups)
        gate, gate_end = os.pipe()  # our end stays open as long as we live: the box looks at it
        report, report_end = os.pipe()
        descriptors = {"gate": gate, "report": report_end, "proxy": proxy.fileno()}
        options = [word for name, number in descriptors.items() for word in (f"--{name}", str(number))]
        command = run.module("ringfence.sandbox.holder", "--state", str(self._layout.folder), "--daemon", self._daemon, *options)
        variables = os.environ | {"RINGFENCE_CGROUPS": ":".join(groups)}
        pid = isolation.create(lambda: run.spawn(command, output=2, keep=list(descriptors.values()), env=variables, session=True))
        box = Process.of(pid)
        stack.callback(_end, box)
        record.save(self._layout, self._record(box, proxy, groups))
        os.write(gate_end, holder.GO)
        os.close(report_end)
        isolation.report(os.read(report, 65536))
        os.close(report)
        os.close(gate)
        return box

    def _record(self, box: Process, proxy: socket.socket, groups: tuple[str, ...]) -> record.Record:
        return record.Record(
            instance=self._layout.instance,
            version=ringfence.__version__,
            boot=boot_id(),
            broker=Process.of(os.getpid()),
            holder=box,
            since=time.time(),
            proxy_port=proxy.getsockname()[1],
            proxy_secret=secrets.token_urlsafe(24),
            cgroups=groups,
        )

    def _serve_builds(self, stack: contextlib.ExitStack) -> None:
        from ringfence.sandbox import builder  # here, because the box starts sooner while this loads

        path = self._layout.build_socket
        path.unlink(missing_ok=True)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(os.fsencode(path))
        path.chmod(0o600)
        listener.listen(16)
        stop = threading.Event()
        thread = threading.Thread(target=builder.serve, args=(self._layout.folder, listener, stop), name="builder", daemon=True)
        thread.start()
        stack.callback(thread.join, _PATIENCE_S)
        stack.callback(_knock, path)  # so that it looks at `stop` at once
        stack.callback(stop.set)

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more; the log has it too
            os.write(self._report, message)
        os.close(self._report)


def _watch(box: Process, wake: int) -> None:
    """Until a signal comes or the box ends."""
    handle = os.pidfd_open(box.pid)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.register(wake, select.POLLIN)
        found = [descriptor for descriptor, _ in poller.poll()]
        log.info("the box ended by itself" if handle in found else "asked to end")
    finally:
        os.close(handle)


def _end(box: Process) -> None:
    """End the box, and with its first process everything inside."""
    if box.alive() and not box.end(patience_s=_PATIENCE_S):
        log.warning("the box had to be killed")
    os.waitpid(box.pid, 0)


def _knock(path: Path) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.connect(os.fsencode(path))


def _failure(error: SandboxError | OSError) -> bytes:
    if isinstance(error, CannotIsolate):
        return isolation.failure(error)
    fact, remedy = (error.fact, error.remedy) if isinstance(error, SandboxError) else (str(error), "see `ringfence logs broker`")
    return json.dumps({"fact": fact, "remedy": remedy}).encode()


def _signals_on_a_pipe() -> int:
    """A descriptor that becomes readable when we are asked to end."""
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    signal.set_wakeup_fd(wake_end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return wake


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ringfence.sandbox.broker")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--daemon", required=True, help="the control plane's command, as a JSON list")
    parser.add_argument("--report", type=int, required=True, help="descriptor that is told how the start went")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
