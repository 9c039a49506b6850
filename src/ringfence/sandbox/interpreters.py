"""Which Python interpreters this machine has, and the nearest one to a wanted version.

None is downloaded: an environment is built with what is here, and the build log says so
when that is not the version that was asked for.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: What the scoring server runs under.
OLDEST = (3, 8)
_NAME = re.compile(r"python(3)\.(\d+)")
_WANTED = re.compile(r"\s*[=<>~!]*\s*(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """version: major and minor. path: the program itself, not a link to it."""

    version: tuple[int, int]
    path: Path


class NoInterpreter(Exception):
    """Not one usable interpreter was found."""


def choose(wanted: str, found: list[Interpreter]) -> tuple[Interpreter, str]:
    """The interpreter for "3.11", "3.11.4" or "" (any), and a remark if it is another version. Raises NoInterpreter."""
    if not found:
        raise NoInterpreter("No Python interpreter of version 3.8 or later was found; install one (apt-get install python3).")
    match = _WANTED.match(wanted)
    if match is None or match.group(2) is None:
        return _nearest(sys.version_info[:2], found), ""
    version = (int(match.group(1)), int(match.group(2)))
    nearest = _nearest(version, found)
    if nearest.version == version:
        return nearest, ""
    have = ", ".join(sorted({f"3.{i.version[1]}" for i in found}, key=lambda v: int(v[2:])))
    asked = f"Python {version[0]}.{version[1]} was asked for and is not on this machine (it has {have})"
    return nearest, f"{asked}; Python {nearest.version[0]}.{nearest.version[1]} is used. Install that version to have it."


def _nearest(version: tuple[int, int], found: list[Interpreter]) -> Interpreter:
    return min(found, key=lambda i: (abs(i.version[0] - version[0]), abs(i.version[1] - version[1]), -i.version[1]))


def find() -> list[Interpreter]:
    """What is on the search path, in the places of the usual installers, and the one that runs this."""
    found: dict[Path, Interpreter] = {}
    for folder in _folders():
        for path in _matching(folder, "python3.*"):
            match = _NAME.fullmatch(path.name)
            if match and os.access(path, os.X_OK):
                version, real = (int(match.group(1)), int(match.group(2))), path.resolve()
                if version >= OLDEST:
                    found.setdefault(real, Interpreter(version, real))
    return list(found.values())


def _folders() -> Iterator[Path]:
    yield Path(sys.base_prefix, "bin")
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # pyenv's shims are scripts that may lead nowhere; a virtual environment is no base for another.
        if folder and Path(folder).name != "shims" and not _matching(Path(folder).parent, "pyvenv.cfg"):
            yield Path(folder)
    yield from (Path("/usr/bin"), Path("/usr/local/bin"))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    managed = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"), "uv", "python")
    for installed in (pyenv, managed):
        yield from _matching(installed, "*/bin")


def _matching(folder: Path, pattern: str) -> list[Path]:
    """What is in a folder; one that is closed to this user holds nothing that could be run."""
    try:
        return sorted(folder.glob(pattern))
    except PermissionError:
        return []
