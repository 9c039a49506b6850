"""Images on this machine: root folders by the digest of their manifest, complete or absent, and who uses which.

`images/roots/<digest>` holds `rootfs` and `image.json`; it is put together beside its place and moved there at
once. Layers of images that have several are kept beside, for images that share them. All of it is a cache of
registries: it is kept over restarts, and not trusted after the machine itself was started
anew, because nothing here waits for the disk. Which item pulled which image is noted on the
runtime folder, so a sandbox that starts again pulls again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ringfence.desired.state import Key
from ringfence.drivers.linux.folders import Folders, slug

_BOOT = "/proc/sys/kernel/random/boot_id"
#: Roots that nothing uses are kept up to this number, the newest.
_KEPT = 10


class NotPulled(Exception):
    """The image is not there."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that lies ready. root: its file system, not to be written to. config: the `config` of its configuration."""

    digest: str
    root: Path
    config: Mapping[str, object]

    @property
    def entrypoint(self) -> tuple[str, ...]:
        return _strings(self.config.get("Entrypoint"))

    @property
    def command(self) -> tuple[str, ...]:
        return _strings(self.config.get("Cmd"))

    @property
    def variables(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in _strings(self.config.get("Env")))
        return {name: value for name, _, value in pairs}

    @property
    def directory(self) -> str:
        return str(self.config.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        return str(self.config.get("User") or "")

    @property
    def labels(self) -> Mapping[str, object]:
        found = self.config.get("Labels")
        return found if isinstance(found, dict) else {}


def find(folders: Folders, key: Key) -> Pulled:
    """What an `Image` item pulled. Raises NotPulled."""
    try:
        note = json.loads(_note(folders, key).read_text())
        digest = str(note["digest"])
        return read(folders, digest)
    except FileNotFoundError:
        raise NotPulled(f"the image {key} is not pulled") from None


def read(folders: Folders, digest: str) -> Pulled:
    """Raises FileNotFoundError."""
    place = folders.images / "roots" / digest
    about = json.loads((place / "image.json").read_text())
    return Pulled(digest, place / "rootfs", about["config"])


def noted(folders: Folders) -> dict[Key, tuple[str, str]]:
    """What was pulled: key -> fingerprint of the item, digest."""
    found = {}
    for path in folders.pulls.glob("*.json"):
        note = json.loads(path.read_text())
        found[str(note["key"])] = (str(note["fingerprint"]), str(note["digest"]))
    return found


def note(folders: Folders, key: Key, fingerprint: str, digest: str) -> None:
    """Say that an item has its image."""
    path = _note(folders, key)
    half = path.with_suffix(".new")
    half.write_text(json.dumps({"key": key, "fingerprint": fingerprint, "digest": digest}))
    half.rename(path)
    os.utime(folders.images / "roots" / digest)


def forget(folders: Folders, key: Key) -> None:
    _note(folders, key).unlink(missing_ok=True)


def publish(folders: Folders, made: Path, digest: str, config: Mapping[str, object]) -> None:
    """Move a finished folder, with its `rootfs`, to its place; if another one was quicker, that one stays."""
    (made / "image.json").write_text(json.dumps({"config": config, "boot": _boot()}))
    made.chmod(0o755)
    place = folders.images / "roots" / digest
    try:
        made.rename(place)
    except OSError:
        if not (place / "image.json").exists():
            raise
        shutil.rmtree(made)


def prepare(folders: Folders) -> None:
    """Once, before anything is pulled: remove what is half-made, of an earlier boot, or unused for long."""
    for name in ("roots", "layers"):
        (folders.images / name).mkdir(parents=True, exist_ok=True)
    stamp = folders.images / "boot"
    if not stamp.exists() or stamp.read_text() != _boot():
        for name in ("roots", "layers"):
            shutil.rmtree(folders.images / name)
            (folders.images / name).mkdir()
        stamp.write_text(_boot())
    used = {digest for _, digest in noted(folders).values()}
    for entry in folders.images.iterdir():
        if entry.name.startswith("."):
            shutil.rmtree(entry)
    roots = sorted((folders.images / "roots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [path for path in roots if path.name not in used][_KEPT:]:
        shutil.rmtree(path)
    layers = sorted((folders.images / "layers").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in layers:
        if path.name.startswith(".") or path in layers[_KEPT * 4 :]:
            path.unlink()


def _note(folders: Folders, key: Key) -> Path:
    return folders.pulls / f"{slug(key)}.json"


def _boot() -> str:
    return Path(_BOOT).read_text(encoding="ascii").strip()


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()
