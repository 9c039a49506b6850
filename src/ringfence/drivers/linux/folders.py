"""Where the process half of the driver keeps things: the state folder (kept) and the runtime folder (lost with the sandbox)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_SHORT = re.compile(r"[a-z]+/[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, slots=True)
class Folders:
    """state: the state folder. runtime: on a memory file system of the sandbox."""

    state: Path
    runtime: Path

    @property
    def statuses(self) -> Path:
        return self.runtime / "supervisors"

    @property
    def cell(self) -> Path:
        """An empty folder; every cell puts its root on it, in a mount namespace of its own."""
        return self.runtime / "cell"

    @property
    def routers(self) -> Path:
        return self.runtime / "routers"

    @property
    def volumes(self) -> Path:
        """What containers share or are given as files; on memory."""
        return self.runtime / "volumes"

    @property
    def environments(self) -> Path:
        return self.state / "environments"

    @property
    def images(self) -> Path:
        """Images as they were pulled."""
        return self.state / "images"

    @property
    def pulls(self) -> Path:
        """Which item pulled which image, since the sandbox began."""
        return self.runtime / "pulls"

    @property
    def bundles(self) -> Path:
        return self.state / "bundles"

    @property
    def blobs(self) -> Path:
        return self.state / "blobs"

    @property
    def trust(self) -> Path:
        """Certificates of the authorities that are trusted inside."""
        return self.state / "trust" / "bundle.pem"

    @property
    def builds(self) -> Path:
        """The socket of the environment builder."""
        return self.state / "run" / "build.sock"

    def log(self, key: str) -> Path:
        return self.state / "logs" / "pods" / f"{slug(key)}.log"

    def build_log(self, key: str) -> Path:
        return self.state / "logs" / "builds" / f"{slug(key).removeprefix('env-')}.log"

    def prepare(self) -> None:
        """Make what is missing."""
        for folder in (self.statuses, self.cell, self.routers, self.volumes, self.pulls, self.environments, self.bundles):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.state / "logs" / "pods", self.state / "logs" / "builds"):
            folder.mkdir(parents=True, exist_ok=True)


def slug(key: str) -> str:
    """A key as a file name. Raises ValueError on what is no key, so that no key leads out of a folder."""
    if not _SHORT.fullmatch(key) or key.endswith(".."):
        raise ValueError(f"{key!r} is not a key of the form kind/name")
    return key.replace("/", "-")


def tail(path: Path, most: int) -> str:
    """The newest `most` bytes of a log and of the older file beside it; "" if there is none."""
    text = b""
    for name in (path, path.with_name(path.name + ".1")):
        if len(text) < most and name.exists():
            with name.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - (most - len(text))))
                text = file.read(most - len(text)) + text
    return text.decode("utf-8", "replace")
