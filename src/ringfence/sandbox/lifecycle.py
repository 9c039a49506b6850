"""`up`, `down` and `status`: starting a sandbox, ending it, and telling how it is.

Two commands at once on one state folder wait for each other. What a crash left is
recognised by the record it left, and removed by whichever command comes next.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence.sandbox import cleaning, client, extensions, preflight, record, run, trust
from ringfence.sandbox.errors import Busy, CannotIsolate, NotRunning, SandboxError
from ringfence.sandbox.layout import Layout, ensure_admin

DAEMON = ("ringfence.server",)
_ANSWER_S = 30.0
_POLL_S = 0.005
_HOPELESS_STARTS = 4
_LOG_LIMIT = 4 * 1024 * 1024
_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Started:
    """already: it ran before. seconds: until the control plane answered."""

    already: bool
    seconds: float


def up(state: Path, *, daemon: Sequence[str] | None = None, tell: Callable[[str], None] = lambda _: None) -> Started:
    """Start the sandbox unless it runs, and wait until its control plane answers. Raises SandboxError.

    daemon: the control plane's command; `--state DIR --proxy-fd N` is added. tell: called with each step, in words.
    """
    begun = time.monotonic()
    layout = Layout(state)
    layout.create()
    with _alone(layout):
        found = record.load(layout)
        running = found is not None and found.running
        if not running:
            preflight.check()
            _clear(layout, found, tell)
            tell("identity and trust")
            ensure_admin(layout)
            trust.ensure(layout, dt.datetime.fromtimestamp(time.time(), dt.UTC))
            extensions.install(layout)
            tell("namespaces")
            _start_broker(layout, daemon or run.module(*DAEMON))
        tell("control plane")
        _wait_for_answer(layout)
    return Started(running, time.monotonic() - begun)


def down(state: Path, *, purge: bool = False) -> bool:
    """End the sandbox; with purge, remove the state folder too. Returns False if nothing ran. Raises SandboxError."""
    layout = Layout(state)
    if not layout.folder.exists():
        return False
    with _alone(layout):
        found = record.load(layout)
        ran = found is not None and found.running
        if found is not None:
            _end(found)
        cleaning.after_end(layout, found.cgroups if found else ())
        if purge:
            _remove(layout.folder)
    return ran


def status(state: Path) -> dict[str, Any]:
    """What runs, for a machine to read. `running` is False, and little else there, when nothing does."""
    layout = Layout(state)
    found = record.load(layout)
    if found is None or not found.running:
        return {"running": False, "state": str(layout.folder)}
    asked = client.Client(state)
    processes: dict[str, int | None] = {"broker": found.broker.pid, "holder": found.holder.pid, "controlPlane": None}
    answer = None
    with contextlib.suppress(NotRunning):  # it is being started again, which `controlPlane: null` says
        processes["controlPlane"] = asked.control_plane()
        answer = asked.get("/status")
    return {
        "running": True,
        "state": str(layout.folder),
        "version": found.version,
        "since": dt.datetime.fromtimestamp(found.since, dt.UTC).isoformat(timespec="seconds"),
        "processes": processes,
        "starts": _supervision(layout)["starts"],
        "proxyPort": found.proxy_port,
        "cgroups": list(found.cgroups),
        "controlPlane": answer,
    }


def _clear(layout: Layout, found: record.Record | None, tell: Callable[[str], None]) -> None:
    if found is not None:
        tell("cleaning up after a crash")
        cleaning.after_crash(layout, found)
    else:
        cleaning.after_end(layout)
    for log in (layout.broker_log, layout.control_log):
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))


def _start_broker(layout: Layout, daemon: Sequence[str]) -> None:
    report, report_end = os.pipe()
    log = os.open(layout.broker_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    command = run.module("ringfence.sandbox.broker", "--state", str(layout.folder), "--daemon", json.dumps(list(daemon)))
    try:
        pid = run.spawn([*command, "--report", str(report_end)], output=log, keep=[report_end], env=_variables(), session=True)
    finally:
        os.close(report_end)
        os.close(log)
    os.waitpid(pid, 0)
    with open(report, "rb") as reader:
        message = json.loads(reader.read() or b'{"fact": "the broker ended without a word"}')
    if "step" in message:
        raise CannotIsolate(message["step"], message["reason"], message["remedy"])
    if "fact" in message:
        raise SandboxError(message["fact"], message.get("remedy", f"see {layout.broker_log}"))


def _variables() -> dict[str, str]:
    """Our environment, with Python's search path made independent of the current folder."""
    variables = dict(os.environ)
    if "PYTHONPATH" in variables:
        variables["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in variables["PYTHONPATH"].split(os.pathsep))
    return variables


def _wait_for_answer(layout: Layout) -> None:
    asked = client.Client(layout.folder)
    deadline = time.monotonic() + _ANSWER_S
    while True:
        try:
            asked.get("/status", timeout_s=_ANSWER_S)
            return
        except NotRunning as error:
            found = record.load(layout)
            if found is None or not found.running:
                raise Busy("the sandbox ended while it started", f"see {layout.broker_log}") from error
            supervision = _supervision(layout)
            if supervision["starts"] >= _HOPELESS_STARTS or time.monotonic() > deadline:
                fact = f"the control plane does not come up: it {supervision['lastExit'] or 'does not answer'}"
                remedy = "mend the cause; it is tried again until `ringfence down`"
                raise Busy(f"{fact}\n{_tail(layout.control_log)}", remedy) from error
        time.sleep(_POLL_S)


def _supervision(layout: Layout) -> dict[str, Any]:
    try:
        return dict(json.loads(layout.supervision.read_text()))
    except FileNotFoundError:
        return {"starts": 0, "lastExit": ""}


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-12:])


def _end(found: record.Record) -> None:
    """The broker ends the box; what does not end in time is killed."""
    broker, holder = found.broker, found.holder
    for process in found.survivors:
        if process == broker:
            broker.end(patience_s=_PATIENCE_S)
        elif process == holder:
            holder.kill()


@contextlib.contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """One `up` or `down` at a time. A folder that was purged while we waited is made again."""
    while True:
        layout.create()
        handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if layout.lock.exists() and os.path.samestat(os.fstat(handle), layout.lock.stat()):
                yield
                return
        finally:
            os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a tree, also where built environments made their folders read-only."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)
