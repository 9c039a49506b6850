"""Building one Python environment with uv: an interpreter of this machine, and the packages that were asked for.

Requirement lines come from clients, and this runs outside the sandbox: they may name
packages and web addresses, but no option and no file of this machine. (A package that has
to be compiled still runs its own build code here, as with pip.)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import uv

from ringfence.sandbox import interpreters, package_sources, run

#: Written last: `fingerprint`, and `prefixes`, the folders outside that the interpreter needs.
MARKER = "ringfence.json"

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._,\s-]*\])?\s*([=<>!~;(].*|@\s*(git\+)?https://\S+.*)?")
_URL = re.compile(r"(git\+)?https://\S+")
_NAME = re.compile(r"[0-9A-Za-z]{1,128}")
_ASK = "import json, sys; print(json.dumps([sys.base_prefix, sys.base_exec_prefix, sys.version.split()[0]]))"
_MOST_S = 3600.0
_SHOWN_LINES = 25


class BuildFailed(Exception):
    """The environment cannot be built; the message is fit for the client."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to build. name: content hash, the folder's name."""

    name: str
    fingerprint: str
    python: str
    pip: tuple[str, ...]
    index_options: tuple[tuple[str, str], ...]
    apt: tuple[str, ...]

    @classmethod
    def from_request(cls, request: dict[str, Any]) -> Order:
        """Raises ValueError, TypeError or KeyError."""
        return cls(
            name=checked_name(request["name"]),
            fingerprint=str(request["fingerprint"]),
            python=str(request["python"]),
            pip=tuple(str(line) for line in request["pip"]),
            index_options=tuple((str(name), str(value)) for name, value in request["index_options"]),
            apt=tuple(str(line) for line in request["apt"]),
        )


def checked_name(name: object) -> str:
    """Raises ValueError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an environment")
    return name


def build(state: Path, order: Order, stop: threading.Event) -> None:
    """Make `environments/<name>`, with a log in `logs/builds/<name>.log`. Raises BuildFailed."""
    path = state / "logs" / "builds" / f"{order.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=0) as log:
        try:
            _build(state, order, log, stop)
        except BuildFailed as error:
            _say(log, f"FAILED: {str(error).splitlines()[0]}")
            raise
        except OSError as error:
            _say(log, f"FAILED: {error}")
            raise BuildFailed(f"The environment cannot be built: {error}") from error


def _build(state: Path, order: Order, log: BinaryIO, stop: threading.Event) -> None:
    started = time.monotonic()
    folder = state / "environments" / order.name
    _say(log, f"Building environment {order.name}")
    _check(order)
    try:
        interpreter, remark = interpreters.choose(order.python, interpreters.find())
    except interpreters.NoInterpreter as error:
        raise BuildFailed(str(error)) from error
    if remark:
        _say(log, f"warning: {remark}")
    sources = package_sources.with_options(package_sources.of_machine(os.environ), order.index_options)
    for text in sources.remarks:
        _say(log, f"warning: {text}")
    variables = _variables(state, sources)
    shutil.rmtree(folder, ignore_errors=True)
    tool = uv.find_uv_bin()
    _say(log, f"Creating it with Python {interpreter.version[0]}.{interpreter.version[1]}")
    _step(
        log,
        stop,
        [tool, "--directory", "/", "venv", "--quiet", "--no-project", "--python", str(interpreter.path), str(folder)],
        variables,
    )
    if order.pip:
        _install(folder, order, log, stop, variables)
    program = str(folder / "bin" / "python")
    prefix, exec_prefix, version = json.loads(run.output([program, "-I", "-c", _ASK], timeout_s=60))
    marker = {"fingerprint": order.fingerprint, "prefixes": [prefix, exec_prefix], "version": version}
    temporary = folder / f"{MARKER}.new"
    temporary.write_text(json.dumps(marker))
    temporary.rename(folder / MARKER)
    _say(log, f"Environment {order.name} is ready: Python {version}, {time.monotonic() - started:.1f} s")


def _install(folder: Path, order: Order, log: BinaryIO, stop: threading.Event, variables: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="requirements-") as requirements:
        requirements.write("".join(f"{line.strip()}\n" for line in order.pip))
        requirements.flush()
        argv = [uv.find_uv_bin(), "--directory", "/", "pip", "install", "--python", str(folder / "bin" / "python")]
        argv += ["--index-strategy", "unsafe-best-match", "--compile-bytecode", "-r", requirements.name]
        _say(log, "Installing " + ", ".join(package_sources.without_secrets(line.strip()) for line in order.pip))
        _step(log, stop, argv, variables)


def _step(log: BinaryIO, stop: threading.Event, argv: list[str], variables: dict[str, str]) -> None:
    begin = log.tell()
    code = run.logged(argv, variables, log, stop, _MOST_S)
    if stop.is_set():
        raise BuildFailed("The build was given up: nothing refers to the environment any more, or Ringfence stops.")
    if code:
        with open(log.name, "rb") as reader:
            reader.seek(begin)
            lines = reader.read().decode("utf-8", "replace").splitlines()
        shown = package_sources.without_secrets("\n".join(lines[-_SHOWN_LINES:]))
        raise BuildFailed(f"The packages of the environment could not be installed:\n{shown}")


def _check(order: Order) -> None:
    for line in order.pip:
        text = line.strip()
        if not (_REQUIREMENT.fullmatch(text) or _URL.fullmatch(text)) or "file:" in text.lower():
            raise BuildFailed(f"The requirement {line!r} names neither a package nor an https address; name the package.")
    missing = [name for name in order.apt if not _installed(name)]
    if missing:
        names = " ".join(missing)
        raise BuildFailed(f"The environment needs the Debian packages {names}; install them here: apt-get install {names}")


def _installed(package: str) -> bool:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", package):
        return False
    try:
        return "ok installed" in run.output(["dpkg-query", "-W", "-f", "${Status}", package], timeout_s=20)
    except OSError:
        return False


def _variables(state: Path, sources: package_sources.Sources) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA"))}
    fixed = {
        "UV_CACHE_DIR": str(state / "cache" / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "hardlink",
        "NO_COLOR": "1",
    }
    return {**kept, **sources.variables(), **fixed}


def _say(log: BinaryIO, text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    log.write(f"{stamp} {text}\n".encode())
