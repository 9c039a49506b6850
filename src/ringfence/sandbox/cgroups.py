"""Resource limits' outer folders: one `ringfence-<instance>` in each usable hierarchy of the host.

Made before the sandbox exists and handed to it as paths; what is put below them is the
launcher's choice. Where no folder can be made, workloads go without: `doctor` says so.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

WANTED = ("memory", "cpu", "pids")


def prepare(instance: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Make the folders, and return their paths: up to three in version 1, at most one in version 2.

    root: where /proc and /sys are looked for.
    """
    return tuple(str(folder) for folder in _make(instance, root))


def usable(root: Path = Path("/")) -> tuple[str, ...]:
    """The controllers that workloads can be limited with here, found by making and removing folders."""
    made = _make(f"probe-{os.getpid()}", root)
    remove([str(folder) for folder in made], patience_s=1.0)
    return tuple(name for name in WANTED if any(name in controllers for controllers in made.values()))


def leftovers(instance: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Folders of this instance that exist, whoever made them."""
    return tuple(str(f) for parent in _parents(root) if (f := parent / f"ringfence-{instance}").is_dir())


def remove(folders: Sequence[str], *, patience_s: float) -> None:
    """Remove the folders and all below. A group whose last process is just ending is waited for. Raises OSError."""
    deadline = time.monotonic() + patience_s
    for folder in folders:
        for path, _, _ in os.walk(folder, topdown=False):
            while not _removed(path):
                if time.monotonic() > deadline:
                    os.rmdir(path)  # for its error
                time.sleep(0.005)


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _make(instance: str, root: Path) -> dict[Path, tuple[str, ...]]:
    """The folders made, each with the controllers that it limits."""
    made: dict[Path, tuple[str, ...]] = {}
    for parent, controllers in _parents(root).items():
        folder = parent / f"ringfence-{instance}"
        try:
            folder.mkdir(exist_ok=True)
            if (parent / "cgroup.controllers").exists():
                (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in WANTED))
        except OSError as error:
            log.info("no limits by %s: %s", ", ".join(controllers), error)
            continue
        made[folder] = controllers
    return made


def _parents(root: Path) -> dict[Path, tuple[str, ...]]:
    """Where folders may be made: a hierarchy's root where that is ours, else the nearest folder around us that is."""
    own = _own_groups(root)
    parents: dict[Path, tuple[str, ...]] = {}
    for mount, kind, options in _mounts(root):
        here: list[Path] = []
        controllers = tuple(name for name in WANTED if kind == "cgroup2" or name in options)
        if kind == "cgroup2" and _offers(mount / "cgroup.controllers"):
            around = [mount, *_upwards(mount, own.get("", "/"))[1:]]  # a group that holds processes cannot share out controllers
            here = [folder for folder in around if _offers(folder / "cgroup.subtree_control")]
        elif kind == "cgroup" and controllers:
            here = [mount, *_upwards(mount, own.get(controllers[0], "/"))]
        writable = [folder for folder in here if os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)]
        parents.update(dict.fromkeys(writable[:1], controllers))
    return parents


def _upwards(mount: Path, own: str) -> list[Path]:
    here = mount / own.lstrip("/")
    return [folder for folder in (here, *here.parents) if folder.is_relative_to(mount) and folder != mount]


def _offers(file: Path) -> bool:
    """Whether the controllers listed in the file are all that is wanted."""
    try:
        return set(WANTED) <= set(file.read_text().split())
    except OSError:
        return False


def _own_groups(root: Path) -> dict[str, str]:
    """This process's group by controller; "" stands for the unified hierarchy."""
    found = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _mounts(root: Path) -> list[tuple[Path, str, list[str]]]:
    found = []
    for line in (root / "proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split(" ")
        if kind.startswith("cgroup"):
            found.append((root / place.lstrip("/"), kind, options.split(",")))
    return found
