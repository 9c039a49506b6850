"""Python environments, as the sandbox sees them: asked for over a socket, found on the disk.

They are built on the host's side (`sandbox/builder.py`), which has the network. A finished one
is a folder with a marker file; that is enough for workloads, so nothing here waits for the
builder. Builds under way and failed ones are known to the builder alone.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence.desired.state import Environment, Key, Observed, Readiness
from ringfence.drivers.base import Failure
from ringfence.drivers.linux.folders import Folders

_TIMEOUT_S = 5.0
_MOST_REPLY = 16 * 1024 * 1024
#: The builder's names (sandbox/builder.py): written last into a finished environment, and beside it while nobody wants it.
_MARKER, _UNUSED = "ringfence.json", ".unused"


class NotBuilt(Exception):
    """The environment is not there."""


class _Unreachable(Exception):
    """The builder does not answer; the message says how."""


@dataclass(frozen=True, slots=True)
class Built:
    """folder: the environment. prefixes: folders outside of it that its interpreter needs."""

    folder: Path
    prefixes: tuple[str, ...]


def find(environments: Path, key: Key) -> Built:
    """Raises NotBuilt."""
    folder = environments / _name(key)
    try:
        marker = json.loads((folder / _MARKER).read_text())
    except FileNotFoundError:
        raise NotBuilt(f"the environment {key} is not built") from None
    return Built(folder, tuple(marker["prefixes"]))


class Environments:
    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def observe(self) -> dict[Key, Observed]:
        """Finished ones from the disk; the others from the builder, or none while it does not answer."""
        found = dict(self._finished())
        try:
            builds = self._ask({"op": "list"})
        except _Unreachable:
            return found
        for name, build in builds["builds"].items():
            key = f"env/{name}"
            if key not in found:
                state = Readiness(build["state"])
                found[key] = Observed(build["fingerprint"], state, build.get("code", ""), build.get("message", ""))
        return found

    def put(self, item: Environment) -> Failure | None:
        """Order it; returns at once."""
        order = {
            "op": "put",
            "name": _name(item.key),
            "fingerprint": item.fingerprint,
            "python": item.python,
            "pip": item.pip,
            "index_options": item.index_options,
            "apt": item.apt,
        }
        return self._tell(item.key, order)

    def drop(self, key: Key) -> Failure | None:
        """It is no longer reported; the builder keeps some, to save building them again."""
        return self._tell(key, {"op": "drop", "name": _name(key)})

    def _tell(self, key: Key, request: Mapping[str, Any]) -> Failure | None:
        try:
            self._ask(request)
        except _Unreachable as error:
            return Failure(key, "ImageBuildFailure", f"The environment builder cannot be asked for {key}: {error}")
        return None

    def _finished(self) -> dict[Key, Observed]:
        found = {}
        for entry in self._folders.environments.iterdir():
            marker = entry / _MARKER
            if marker.is_file() and not entry.with_name(entry.name + _UNUSED).exists():
                found[f"env/{entry.name}"] = Observed(json.loads(marker.read_text())["fingerprint"])
        return found

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_TIMEOUT_S)
                connection.connect(str(self._folders.builds))
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as reader:
                    reply = json.loads(reader.readline(_MOST_REPLY))
        except (OSError, ValueError) as error:
            raise _Unreachable(str(error)) from error
        if not isinstance(reply, dict) or "error" in reply:
            raise _Unreachable(str(reply))
        return reply


def _name(key: Key) -> str:
    name = key.removeprefix("env/")
    if not name.isalnum():
        raise ValueError(f"{key!r} is not the key of an environment")
    return name
