"""Bundles: folders made of stored blobs, complete or absent, which workloads see read-only.

`bundles/<hash>` holds `content` and `bundle.json`; it is put together beside its place and
moved there at once. Archives come from clients and are trusted with nothing: no entry may
leave the folder, by name or by link.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import IO

from ringfence.desired.state import Bundle, File, Key, Observed, Readiness

MOST_BYTES, MOST_ENTRIES = 16 * 1024**3, 200_000
_BLOCK = 1 << 20
_PATIENCE_S = 0.5


class BadBundle(Exception):
    """A bundle cannot be made of what was given; the message names the file."""


class Bundles:
    """folder: where bundles lie. blobs: where contents lie, at <2 hex>/<sha256>. Work is done in a thread."""

    def __init__(self, folder: Path, blobs: Path) -> None:
        self._folder, self._blobs = folder, blobs
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bundles")
        self._pending: dict[Key, tuple[str, Future[None]]] = {}

    def prepare(self) -> None:
        """Remove what was left half-made."""
        for entry in self._folder.iterdir():
            if entry.name.startswith("."):
                shutil.rmtree(entry)

    def observe(self) -> dict[Key, Observed]:
        found = {}
        for entry in self._folder.iterdir():
            if not entry.name.startswith("."):
                found[f"bundle/{entry.name}"] = Observed(json.loads((entry / "bundle.json").read_text())["fingerprint"])
        for key, (fingerprint, future) in list(self._pending.items()):
            if not future.done():
                found[key] = Observed(fingerprint, Readiness.STARTING)
            elif error := future.exception():
                found[key] = Observed(fingerprint, Readiness.FAILED, "InvalidBundle", str(error))
        return found

    def put(self, item: Bundle) -> None:
        """Begin, and wait a moment: most bundles are small."""
        future = self._worker.submit(self._make, item)
        self._pending[item.key] = (item.fingerprint, future)
        try:
            future.exception(_PATIENCE_S)
        except TimeoutError:
            return

    def drop(self, key: Key) -> None:
        self._pending.pop(key, None)
        place = self._folder / _name(key)
        if place.exists():
            doomed = self._folder / f".old-{_name(key)}"
            place.rename(doomed)
            self._worker.submit(shutil.rmtree, doomed)

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)

    def _make(self, item: Bundle) -> None:
        place, new = self._folder / _name(item.key), self._folder / f".new-{_name(item.key)}"
        shutil.rmtree(new, ignore_errors=True)
        (new / "content").mkdir(parents=True)
        room = _Room()
        try:
            for file in item.files:
                self._add(new / "content", file, room)
        except BadBundle:
            shutil.rmtree(new)
            raise
        (new / "bundle.json").write_text(json.dumps({"fingerprint": item.fingerprint}))
        _publish(new)
        if place.exists():
            shutil.rmtree(place)
        new.rename(place)
        _sync(self._folder)

    def _add(self, root: Path, file: File, room: _Room) -> None:
        source = self._blobs / file.blob[:2] / file.blob
        target = root / _inside(file.path)
        if not source.is_file():
            raise BadBundle(f"{file.path}: the content {file.blob} is not in the blob store")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(root.resolve()):
            raise BadBundle(f"{file.path}: a link in the bundle leads out of it")
        if file.unpack:
            unpack(source, target.parent, room, file.path)
        else:
            with source.open("rb") as reader:
                digest = _write(reader, target, room)
            if digest != file.blob:
                raise BadBundle(f"{file.path}: the stored content does not have the digest {file.blob} it is named by")


class _Room:
    """How much may still be written."""

    def __init__(self) -> None:
        self._bytes, self._entries = MOST_BYTES, MOST_ENTRIES

    def take(self, *, size: int = 0, entries: int = 0) -> None:
        self._bytes -= size
        self._entries -= entries
        if self._bytes < 0 or self._entries < 0:
            raise BadBundle(f"more than {MOST_BYTES} bytes or {MOST_ENTRIES} files in one bundle")


def content(folder: Path, key: Key) -> Path:
    """What a workload sees of a bundle."""
    return folder / _name(key) / "content"


def unpack(archive: Path, folder: Path, room: _Room, name: str) -> None:
    """A tar.gz into folder. Raises BadBundle on a damaged one and on entries that lead out of the folder."""
    links: list[tuple[Path, str]] = []
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _extract(tar, member, folder, room, links)
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
        raise BadBundle(f"{name}: the archive cannot be unpacked: {error}") from error
    # Links last, so that no entry is written through one; then each must really end inside.
    root = folder.resolve()
    for path, target in links:
        try:
            path.symlink_to(target)
        except OSError as error:
            raise BadBundle(f"{name}: the link {path.name} cannot be made: {error.strerror}") from error
    for path, target in links:
        if not path.resolve().is_relative_to(root):
            raise BadBundle(f"{name}: the link {path.name} leads out of the bundle, to {target}")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, room: _Room, links: list[tuple[Path, str]]) -> None:
    target = folder / _inside(member.name)
    room.take(entries=1)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        links.append((target, member.linkname))
        return
    source = tar.extractfile(member) if member.isreg() or member.islnk() else None
    if source is None:
        raise BadBundle(f"{member.name}: neither a file nor a folder nor a link inside the archive")
    with source:
        _write(source, target, room)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _write(source: IO[bytes], target: Path, room: _Room) -> str:
    """Copy; returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while block := source.read(_BLOCK):
            room.take(size=len(block))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _inside(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or not path:
        raise BadBundle(f"{path!r}: a path that leads out of the bundle")
    return pure


def _publish(folder: Path) -> None:
    """Readable by the workloads' user, and on the disk before it is moved into place."""
    for base, folders, files in os.walk(folder):
        for name in files:
            path = Path(base, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                _sync(path)
        for name in (".", *folders):
            Path(base, name).chmod(0o755)
        _sync(Path(base))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(key: Key) -> str:
    name = key.removeprefix("bundle/")
    if not name.isalnum():
        raise ValueError(f"{key!r} is not the key of a bundle")
    return name
