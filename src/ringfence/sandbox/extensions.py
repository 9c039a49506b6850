"""The extension for `az` in the profile that locations show: put there at each start, never into the user's own profile.

What it does is in the room `extension`. The name is that of the extension which had these
commands, so that `az extension list` shows what a script asks for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import ringfence
from ringfence.sandbox.errors import SandboxError
from ringfence.sandbox.layout import Layout

NAME = "azure-cli-ml"
#: Of the extension that it stands in for; what depends on it asks for at least 1.
VERSION = f"1.41.0+ringfence.{ringfence.__version__}"
_SOURCE = Path(ringfence.__file__).parent / "extension" / "azext_computetarget"
_METADATA = (
    f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
    "Summary: az ml computetarget for AKS, installed by Ringfence into this profile alone\n"
)


def install(layout: Layout) -> Path:
    """Make the extension's folder what this version of Ringfence has; returns it. Raises SandboxError.

    A folder that is the same already is left alone, so that a running `az` does not lose its modules.
    """
    folder = layout.homes[".azure"] / "cliextensions" / NAME
    wanted = _wanted()
    try:
        if _found(folder) != wanted:
            _replace(folder, wanted)
    except OSError as error:
        raise SandboxError(
            f"the extension for az cannot be put into {folder}: {error.strerror}", "see who owns the state folder"
        ) from error
    return folder


def _wanted() -> dict[str, bytes]:
    """Content by path below the folder."""
    found = {f"{_SOURCE.name}/{path.name}": path.read_bytes() for path in _SOURCE.iterdir() if path.suffix in (".py", ".json")}
    info = f"{NAME.replace('-', '_')}-{VERSION}.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: ringfence\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return found | {f"{info}/METADATA": _METADATA.encode(), f"{info}/WHEEL": wheel.encode()}


def _found(folder: Path) -> dict[str, bytes]:
    """What is there, without what Python compiled from it."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _replace(folder: Path, wanted: dict[str, bytes]) -> None:
    """Beside it first: what is half-written is never found under the name, and is overwritten by the next start."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in wanted.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    os.rename(fresh, folder)
