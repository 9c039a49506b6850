"""Containers: a process whose root is an image, in a cell, kept alive as its restart policy says.

Found again by the stamp of its supervisor, as scoring processes are (`workloads`); the containers of one group share
their endpoint's namespace, and so the loopback and the ports. How the root is put together is `cell_image`, what
an image says is the image store's.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ringfence.desired.state import Container, Key, Observed, Readiness, Volume
from ringfence.drivers.base import Failure
from ringfence.drivers.linux import cell_image, processes, run
from ringfence.drivers.linux.cgroups import CgroupError, Cgroups, Limits
from ringfence.drivers.linux.folders import Folders, slug
from ringfence.drivers.linux.image_store import NotPulled
from ringfence.drivers.linux.launch_spec import NOBODY, LaunchSpec
from ringfence.drivers.linux.processes import Supervisor
from ringfence.drivers.linux.terminal import TerminalSpec

PREFIX = "ctr/"

_NOT_BUILT = 126
_PROCESSES, _WRITABLE_MB, _OVERHEAD_MB = 1024, 4096, 256
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWNED = "owned"


class Unpacked(Protocol):
    """An image that lies ready. root: a folder, not written to. user: a name or number, or ""."""

    @property
    def root(self) -> Path: ...
    @property
    def entrypoint(self) -> tuple[str, ...]: ...
    @property
    def command(self) -> tuple[str, ...]: ...
    @property
    def variables(self) -> dict[str, str]: ...
    @property
    def directory(self) -> str: ...
    @property
    def user(self) -> str: ...


class NotThere(Exception):
    """An image cannot be run; the message says why."""


class Containers:
    """namespace: path of an endpoint's network namespace; raises KeyError. image: what an image item pulled; raises NotPulled."""

    def __init__(
        self, folders: Folders, cgroups: Cgroups, namespace: Callable[[Key], str], image: Callable[[Key], Unpacked]
    ) -> None:
        self._folders, self._cgroups = folders, cgroups
        self._namespace, self._image = namespace, image

    def observe(self) -> dict[Key, Observed]:
        """The newest process of each key. It is ready once it was started: how it fares then is its owner's business."""
        found = processes.scan(self._folders.statuses, PREFIX)
        return {key: self._observed(supervisors[0]) for key, supervisors in found.items()}

    def put(self, item: Container) -> Failure | None:
        """Start it, after what runs under this key has ended."""
        others = processes.scan(self._folders.statuses, item.key).get(item.key, [])
        if others and others[0].fingerprint == item.fingerprint and not processes.going(others[0], self._namespace):
            return None
        for supervisor in others:
            supervisor.signal(signal.SIGTERM)
        try:
            group = processes.new_group(item.key)
            spec = self._spec(item, group, others[0].pid if others else 0)
            run.launch(spec, processes.stamps(item, group))
        except KeyError:
            return Failure(item.key, "NetworkNotReady", f"The endpoint {item.endpoint} of {item.key} does not exist.")
        except (CgroupError, NotThere, NotPulled, run.LaunchError, OSError) as error:
            return Failure(item.key, "ContainerCannotRun", f"The container '{item.container}' cannot be started: {error}")
        return None

    def drop(self, key: Key) -> None:
        """Ask it to finish, and forget what it printed; it is gone when `observe` no longer reports it."""
        for supervisor in processes.scan(self._folders.statuses, key).get(key, []):
            supervisor.signal(signal.SIGTERM)
        log = self._folders.log(key)
        for path in (log, log.with_name(f"{log.name}.1")):
            path.unlink(missing_ok=True)

    def alive(self, keys: frozenset[Key]) -> bool:
        """Whether a process of any of these keys is left, on its way out or not."""
        return not keys.isdisjoint(processes.scan(self._folders.statuses, PREFIX))

    def uses(self, dropped: Collection[Key]) -> frozenset[Key]:
        """Images that containers of other keys than these run from, or may be started from again."""
        found = processes.scan(self._folders.statuses, PREFIX)
        return frozenset(used for key, supervisors in found.items() if key not in dropped for s in supervisors for used in s.uses)

    def sweep(self) -> None:
        """Remove the folders of groups of which no container is left."""
        owners = {slug(key).rpartition("-")[0] for key in processes.scan(self._folders.statuses, PREFIX)}
        for folder in self._folders.volumes.iterdir():
            if not any(owner.startswith(folder.name) for owner in owners):
                shutil.rmtree(folder)

    def terminal(self, key: Key, argv: Sequence[str], rows: int, columns: int) -> socket.socket:
        """Run a command in a container; its terminal's bytes pass through the socket. Raises KeyError when it does not run."""
        supervisors = processes.scan(self._folders.statuses, key).get(key, [])
        if not supervisors or supervisors[0].status.state != "running":
            raise KeyError(key)
        ours, theirs = socket.socketpair()
        with theirs:
            child, groups = supervisors[0].status.child, self._cgroups.folders(supervisors[0].group)
            run.terminal(TerminalSpec(child, theirs.fileno(), list(argv), groups, rows, columns))
        return ours

    def _observed(self, supervisor: Supervisor) -> Observed:
        status = supervisor.status
        if gone := processes.going(supervisor, self._namespace):
            return Observed(gone, Readiness.STARTING)
        if status.exit == _NOT_BUILT and status.failures:
            return Observed(supervisor.fingerprint, Readiness.FAILED, "ContainerCannotRun", status.said.strip()[-2000:])
        started = status.state in ("running", "ended") or status.failures
        return Observed(supervisor.fingerprint, Readiness.READY if started else Readiness.STARTING)

    def _spec(self, item: Container, group: str, after: int) -> LaunchSpec:
        image = self._image(item.image)
        owner = cell_image.outside("uid", NOBODY)
        _own(image.root, owner)
        user = _user(image)
        argv = item.command or (*image.entrypoint, *image.command)
        if not argv:
            raise NotThere("the image says no command; give one")
        hostname = item.container[:63]
        limited = self._cgroups.enforced
        return LaunchSpec(
            key=item.key,
            argv=argv,
            variables=_variables(item, image, user, hostname),
            directory=image.directory,
            network=self._namespace(item.endpoint),
            hostname=hostname,
            binds=[self._volume(item, number, volume, owner) for number, volume in enumerate(item.volumes)],
            links=(),
            files=_settings(hostname, item.nameserver),
            scratch={"/": _WRITABLE_MB},
            root=str(self._folders.cell),
            groups=self._cgroups.make(group, Limits(memory_mb=item.memory_mb, cpu=item.cpu, processes=_PROCESSES)),
            log=str(self._folders.log(item.key)),
            status=str(self._folders.statuses),
            data_bytes=0 if limited else (item.memory_mb + _OVERHEAD_MB) * 1024 * 1024,
            processes=0 if limited else _PROCESSES,
            after=after,
            final=(_NOT_BUILT,),
            user=user,
            restart=item.restart,
            quiet=True,
            image=str(image.root),
        )

    def _volume(self, item: Container, number: int, volume: Volume, owner: int) -> tuple[str, str, str]:
        """A folder that the group shares, or one with files of this container's own."""
        group = self._folders.volumes / slug(item.group)
        folder = group / ((volume.shared and f"shared-{volume.shared}") or f"{slug(item.key)}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in volume.files:
            path = folder / name
            path.unlink(missing_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400), "wb") as file:
                file.write(base64.b64decode(content))
            os.chown(path, owner, owner)
        os.chown(folder, owner, owner)
        return str(folder), volume.path, "ro" if volume.read_only or volume.files else "rw"


def _own(root: Path, owner: int) -> None:
    """Let the files of an image belong to whom its user is outside, once."""
    mark = root.with_name(_OWNED)
    if not owner or mark.exists():
        return
    for folder, names, files in os.walk(root):
        for name in (".", *names, *files):
            os.chown(f"{folder}/{name}", owner, owner, follow_symlinks=False)
    mark.touch()


def _user(image: Unpacked) -> int:
    """The number of the image's user; the root of the image where it names none. Raises NotThere."""
    name = image.user.partition(":")[0]
    if not name or name.isdigit():
        return int(name or "0")
    listed = image.root / "etc" / "passwd"
    lines = [] if listed.is_symlink() or listed.parent.is_symlink() or not listed.exists() else listed.read_text().splitlines()
    for entry in (line.split(":") for line in lines):
        if entry[0] == name and len(entry) > 2 and entry[2].isdigit():
            return int(entry[2])
    raise NotThere(f"unable to find user {name}: no matching entries in passwd file")


def _variables(item: Container, image: Unpacked, user: int, hostname: str) -> Mapping[str, str]:
    home = "/root" if user == 0 else "/"
    return {"PATH": _PATH, "HOME": home, "HOSTNAME": hostname} | image.variables | dict(item.variables)


def _settings(hostname: str, nameserver: str) -> Mapping[str, str]:
    return {
        "/etc/hostname": f"{hostname}\n",
        "/etc/hosts": f"127.0.0.1 localhost {hostname}\n",
        "/etc/resolv.conf": f"nameserver {nameserver}\n" if nameserver else "",
    }
