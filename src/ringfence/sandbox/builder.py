"""The environment builder: on the host's side, because this is where packages may come from the network.

`serve` answers one line of JSON with one line of JSON on a unix socket that only the owner
can open. `put` orders a build and returns at once, `list` tells how builds stand, `drop` gives
one up. A finished environment is recognised by its marker, written last; one without is
removed and built again. How one is built is in `environment_build`.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringfence.sandbox import environment_build
from ringfence.sandbox.environment_build import MARKER, BuildFailed, Order

#: A file beside a finished environment that nobody wants at present.
UNUSED = ".unused"

_AT_ONCE = 2
_KEPT = 10
_MOST_REQUEST = 4 * 1024 * 1024
_IDLE_S = 30.0


@dataclass(slots=True)
class _Build:
    fingerprint: str
    state: str = "starting"
    code: str = ""
    message: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def described(self) -> dict[str, str]:
        return {"fingerprint": self.fingerprint, "state": self.state, "code": self.code, "message": self.message}


class Builder:
    """Thread-safe. state: the state folder. build: what makes one environment; raises BuildFailed."""

    def __init__(self, state: Path, build: Callable[[Path, Order, threading.Event], None] = environment_build.build) -> None:
        self._state, self._build = state, build
        self._folder = state / "environments"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._builds: dict[str, _Build] = {}
        #: Held while a folder is worked on: a build that was given up may not have ended when the next begins.
        self._places: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="build")
        for leftover in self._folder.glob(".old-*"):
            shutil.rmtree(leftover)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request. Raises ValueError, TypeError or KeyError on a malformed one."""
        match request["op"]:
            case "put":
                return self.put(Order.from_request(request))
            case "drop":
                return self.drop(environment_build.checked_name(request["name"]))
            case "list":
                with self._lock:
                    return {"builds": {name: build.described() for name, build in self._builds.items()}}
            case other:
                raise ValueError(f"no such operation: {other!r}")

    def put(self, order: Order) -> dict[str, Any]:
        """Order a build, unless it is there, under way, or has failed just so."""
        with self._lock:
            known = self._builds.get(order.name)
            if known is not None and known.fingerprint == order.fingerprint and not known.stop.is_set():
                return known.described()
            if known is not None:
                known.stop.set()
            build = _Build(order.fingerprint)
            self._builds[order.name] = build
            if self._is_finished(order):
                build.state = "ready"
                self._unused(order.name).unlink(missing_ok=True)
            else:
                self._workers.submit(self._run, order, build, self._places.setdefault(order.name, threading.Lock()))
            return build.described()

    def drop(self, name: str) -> dict[str, Any]:
        """Give up a build; put a finished environment aside, and remove the ones that have been aside the longest."""
        with self._lock:
            build = self._builds.pop(name, None)
            if build is not None:
                build.stop.set()
            if (self._folder / name / MARKER).exists():
                self._unused(name).touch()
            aside = sorted(self._folder.glob(f"*{UNUSED}"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in aside[_KEPT:]:
                self._remove(path.name.removesuffix(UNUSED))
        return {}

    def close(self) -> None:
        """Stop what is being built."""
        with self._lock:
            for build in self._builds.values():
                build.stop.set()
        self._workers.shutdown(cancel_futures=True)

    def _run(self, order: Order, build: _Build, place: threading.Lock) -> None:
        try:
            with place:
                if build.stop.is_set():
                    return
                self._build(self._state, order, build.stop)
        except BuildFailed as error:
            result = ("failed", "ImageBuildFailure", str(error))
        except Exception as error:  # noqa: BLE001  # reported as the state of the build, where the caller looks for it
            result = ("failed", "ImageBuildFailure", f"{type(error).__name__}: {error}")
        else:
            result = ("ready", "", "")
        with self._lock:
            build.state, build.code, build.message = result
            if build.state == "ready":
                self._unused(order.name).unlink(missing_ok=True)

    def _is_finished(self, order: Order) -> bool:
        try:
            marker = json.loads((self._folder / order.name / MARKER).read_text())
        except FileNotFoundError:
            return False
        return bool(marker["fingerprint"] == order.fingerprint)

    def _unused(self, name: str) -> Path:
        return self._folder / f"{name}{UNUSED}"

    def _remove(self, name: str) -> None:
        doomed = self._folder / f".old-{name}"
        if (self._folder / name).exists() and not doomed.exists():
            (self._folder / name).rename(doomed)
            self._workers.submit(shutil.rmtree, doomed)
        self._unused(name).unlink(missing_ok=True)


def serve(state: Path, listener: socket.socket, stop: threading.Event) -> None:
    """Answer until stop is set. listener: bound, listening, in a folder that only the owner may enter."""
    builder = Builder(state)
    listener.settimeout(0.25)
    try:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=_converse, args=(builder, connection), name="build-client", daemon=True).start()
    finally:
        listener.close()
        builder.close()


def _converse(builder: Builder, connection: socket.socket) -> None:
    connection.settimeout(_IDLE_S)
    with connection, connection.makefile("rb") as reader:
        try:
            while line := reader.readline(_MOST_REQUEST):
                try:
                    reply = builder.answer(json.loads(line))
                except (ValueError, TypeError, KeyError) as error:
                    reply = {"error": f"{type(error).__name__}: {error}"}
                connection.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            return  # the client went away, or said nothing for too long
