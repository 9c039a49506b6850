"""Contents on disk, named by their SHA-256, and uploads on their way there.

A content is complete or absent: bytes go to a file in `incoming`, are synced, and the
file is renamed into place. What names a content, and which account it belongs to, is
in `blobs`; nothing here knows the database.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ringfence.model import errors

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """A stored content. sha256, md5: hex; size: bytes."""

    sha256: str
    md5: str
    size: int


class Upload:
    """One content on its way in. Used from one thread at a time; ends with `finish` or `abort`."""

    def __init__(self, path: Path, place: Callable[[str], Path], most: int) -> None:
        self._path = path
        self._place = place
        self._most = most
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._file: BinaryIO = open(path, "xb")  # noqa: SIM115 (closed by `finish` or `abort`)

    def write(self, data: bytes) -> None:
        """Append. Raises errors.TooLarge beyond the limit given at the start."""
        self._size += len(data)
        if self._size > self._most:
            raise errors.TooLarge("RequestBodyTooLarge", f"The content has more than {self._most} bytes.")
        self._sha256.update(data)
        self._md5.update(data)
        self._file.write(data)

    def seal(self) -> Content:
        """What was written so far, by its sums; nothing is stored yet."""
        return Content(self._sha256.hexdigest(), self._md5.hexdigest(), self._size)

    def finish(self) -> Content:
        """Store what was written, durably."""
        content = self.seal()
        place = self._place(content.sha256)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if not place.parent.is_dir():
            place.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(place.parent.parent)
        self._path.replace(place)
        _sync_folder(place.parent)
        return content

    def abort(self) -> None:
        """Leave nothing behind; harmless after `finish`."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Contents:
    """The folder `blobs` of the state: `<2 hex>/<sha256>` and `incoming/`."""

    def __init__(self, folder: Path, new_id: Callable[[], str]) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._new_id = new_id
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def begin(self, most: int) -> Upload:
        """most: bytes that the content may have."""
        return Upload(self._incoming / self._new_id(), self.path, most)

    def store(self, data: bytes) -> Content:
        """Store a content that is in memory."""
        upload = self.begin(len(data))
        try:
            upload.write(data)
            return upload.finish()
        finally:
            upload.abort()

    def join(self, parts: Iterable[str], most: int) -> Content:
        """Store the concatenation of contents as one. Raises FileNotFoundError, errors.TooLarge."""
        upload = self.begin(most)
        try:
            for part in parts:
                with open(self.path(part), "rb") as source:
                    while block := source.read(_BLOCK):
                        upload.write(block)
            return upload.finish()
        finally:
            upload.abort()

    def sweep(self, wanted: Collection[str]) -> int:
        """Remove half-written uploads, and every content that `wanted` does not name. Returns how many went."""
        gone = [path for path in self._incoming.iterdir()]
        for shelf in self._folder.iterdir():
            if shelf != self._incoming and shelf.is_dir():
                gone += [path for path in shelf.iterdir() if path.name not in wanted]
        for path in gone:
            path.unlink()
        return len(gone)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
