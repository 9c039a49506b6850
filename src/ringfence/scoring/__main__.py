"""Start: read the settings, load the script, serve. Exit code 3 means that the script did not load.

The server listens once init() has returned, on a port that it shares: the process it replaces
answers until then. Whoever waits for that is told on a descriptor that SERVER_READY_FD names.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
import traceback

from . import interop, script, settings
from .journal import ACCESS, SCRIPT, Journal
from .loop import Loop
from .service import Service

_DID_NOT_LOAD = 3
_BACKLOG = 2048
_READY_FD = "SERVER_READY_FD"
_TREE_LINES = 200
# The interpreter's 5 ms would make the loop wait that long for a run() that computes in Python.
_SWITCH_S = 0.0005


def main() -> int:
    journal = Journal()
    faulthandler.enable()
    told = _readiness()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, _leave)
    try:
        chosen = settings.read(os.environ)
    except settings.SettingsError as error:
        journal.write("C", ACCESS, str(error))
        return _DID_NOT_LOAD
    loaded = _load(chosen, journal)
    if loaded is None:
        return _DID_NOT_LOAD
    listener = _listen(chosen.port)
    if told is not None:
        os.write(told, b"r")
        os.close(told)
    _serve(listener, Service(chosen, loaded, journal), journal)
    return 0


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _readiness() -> int | None:
    """The descriptor to tell on, which is no business of the script and its children."""
    text = os.environ.pop(_READY_FD, "")
    if not text:
        return None
    os.set_inheritable(int(text), False)
    return int(text)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(_BACKLOG)
    return listener


def _load(chosen: settings.Settings, journal: Journal) -> script.Script | None:
    if chosen.model_dir is None:
        journal.write("W", ACCESS, "AZUREML_MODEL_DIR is not set; the script finds no model by it.")
    script.extend_path(chosen.app_root, chosen.source_directory)
    interop.install_aliases()
    journal.capture_print()
    try:
        loaded = script.load(chosen.app_root, chosen.entry_script)
        journal.write("I", SCRIPT, f"Found user script at {chosen.entry_script or 'main'}; run() takes {loaded.mode} input.")
    except BaseException as error:
        _raise_if_leaving(error)
        journal.write("E", ACCESS, traceback.format_exc())
        return None
    try:
        journal.write("I", SCRIPT, "Invoking user's init function")
        loaded.init()
    except BaseException as error:
        _raise_if_leaving(error)
        journal.write("E", ACCESS, "User's init function failed")
        journal.write("E", ACCESS, f"Encountered Exception {traceback.format_exc()}")
        _list_models(chosen.model_dir, journal)
        return None
    journal.write("I", SCRIPT, "Users's init has completed successfully")
    return loaded


def _raise_if_leaving(error: BaseException) -> None:
    """SystemExit of our own handler ends the process; the script's own sys.exit() is a failure to load."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is _leave.__code__:
            raise error
        trace = trace.tb_next


def _list_models(folder: str | None, journal: Journal) -> None:
    if not folder or not os.path.isdir(folder):
        return
    journal.write("I", ACCESS, "Model Directory Contents:")
    lines = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
    for line in sorted(lines)[:_TREE_LINES]:
        journal.write("I", ACCESS, line)


def _serve(listener: socket.socket, service: Service, journal: Journal) -> None:
    loop = Loop(listener, service.handle, service.tick, service.wants_tick)

    def drain(number: int, _frame: object) -> None:
        service.draining = True
        loop.drain(patient=number == signal.SIGUSR1)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, drain)
    sys.setswitchinterval(_SWITCH_S)
    failure: list[BaseException] = []

    def loop_thread() -> None:
        try:
            loop.run()
        except BaseException as error:
            failure.append(error)
            journal.write("C", ACCESS, f"The server's loop failed: {traceback.format_exc()}")
        service.stop()

    threading.Thread(target=loop_thread, name="loop", daemon=True).start()
    journal.write("I", ACCESS, f"Worker with pid {os.getpid()} ready for serving traffic")
    service.work()
    journal.flush()
    if failure:
        raise failure[0]


if __name__ == "__main__":
    sys.exit(main())
