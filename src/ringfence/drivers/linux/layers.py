"""Layers of images: one tar after the other, laid into a root folder as a container runtime would.

A layer comes from a registry and is trusted with nothing. No entry is written outside of the root, by name
or through a link; hard links end inside; bits that give rights (setuid, setgid, sticky) and extended attributes
are dropped, devices and pipes are left out (a container gets its own). Everything belongs to
whoever unpacks, who may be an ordinary user. Whiteouts are those of the OCI image specification.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import zstandard

MOST_BYTES, MOST_ENTRIES = 32 * 1024**3, 2_000_000
_BLOCK = 1 << 20
_MOST_LINKS = 40
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


class BadImage(Exception):
    """What came is no image that can be run; the message names the entry."""


class Source(Protocol):
    """Bytes on their way in."""

    def read(self, size: int = -1, /) -> bytes: ...


def plain(source: Source, media_type: str) -> Source:
    """The tar inside a layer, by its media type. Raises BadImage for one that is not read."""
    kind = media_type.rpartition(".")[2]
    if "+gzip" in media_type or kind in ("gzip", "tgz"):
        return _Gzip(source)
    if "+zstd" in media_type:
        return zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)  # type: ignore[arg-type]
    if kind == "tar":
        return source
    raise BadImage(f"a layer has the media type {media_type[:100]!r}; tar is read, alone and with gzip or zstd")


class _Gzip:
    """zlib's own gzip reader, member after member."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(wbits=31)
        self._ready = bytearray()

    def read(self, size: int = -1, /) -> bytes:
        while (size < 0 or len(self._ready) < size) and self._fill():
            continue
        taken = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(taken)]
        return taken

    def _fill(self) -> bool:
        data = self._inflate.unused_data or self._inflate.unconsumed_tail or self._source.read(1 << 16)
        if self._inflate.eof:
            if not data:
                return False
            self._inflate = zlib.decompressobj(wbits=31)
        if not data:
            raise BadImage("a layer ends before its compression does")
        self._ready += self._inflate.decompress(data, _BLOCK)
        return True


class Root:
    """A root folder that layers are laid into, lowest first. folder: empty, and reached by nobody else meanwhile."""

    def __init__(self, folder: Path, wanted: Callable[[], bool] = lambda: True) -> None:
        self._root = os.path.realpath(folder)
        self._wanted = wanted
        self._bytes, self._entries = MOST_BYTES, MOST_ENTRIES
        self._parents: dict[str, str] = {}
        self._fresh: set[str] = set()

    def lay(self, layer: Source) -> None:
        """One layer, uncompressed. Raises BadImage; what was laid then is of no use."""
        self._fresh.clear()
        try:
            with tarfile.open(fileobj=layer, mode="r|", bufsize=_BLOCK) as tar:  # type: ignore[call-overload]
                for member in tar:
                    self._member(tar, member)
            while layer.read(_BLOCK):  # padding after the end counts for the digest
                continue
        except (tarfile.TarError, zlib.error, zstandard.ZstdError, EOFError, ValueError, RecursionError) as error:
            raise BadImage(f"a layer cannot be unpacked: {error}") from error

    def _member(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._entries -= 1
        if self._entries < 0 or not self._wanted():
            raise BadImage(f"more than {MOST_ENTRIES} entries in one image" if self._entries < 0 else "it is no longer wanted")
        name = _inside(member.name)
        if not name:
            return
        place = self._place(name)
        base = os.path.basename(place)
        if base == _OPAQUE:
            self._empty(os.path.dirname(place))
        elif base.startswith(_WHITEOUT):
            self._remove(os.path.join(os.path.dirname(place), base.removeprefix(_WHITEOUT)))
        else:
            try:
                self._make(tar, member, place)
            except OSError as error:
                raise BadImage(f"{member.name[:200]}: {error.strerror or error}") from error

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> None:
        if member.isdir():
            if os.path.islink(place) or not os.path.isdir(place):
                self._remove(place)
                os.mkdir(place)
            os.chmod(place, (member.mode & 0o777) | 0o700)
        elif member.isreg():
            self._remove(place)
            self._write(tar, member, place)
        elif member.issym():
            self._remove(place)
            os.symlink(member.linkname, place)
            self._parents.clear()
        elif member.islnk():
            self._link(member, place)
        else:
            return
        self._fresh.add(place)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> None:
        self._bytes -= member.size
        if self._bytes < 0:
            raise BadImage(f"more than {MOST_BYTES} bytes in one image")
        source = tar.extractfile(member)
        assert source is not None
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _copy(source, handle, member.size)
            os.fchmod(handle, (member.mode & 0o777) | 0o400)
            # Compiled Python files name the time of their source; another time would have it compiled at each start.
            os.utime(handle, (max(member.mtime, 0), max(member.mtime, 0)))
        finally:
            os.close(handle)

    def _link(self, member: tarfile.TarInfo, place: str) -> None:
        target = self._place(_inside(member.linkname))
        found = os.lstat(target) if os.path.lexists(target) else None
        if found is None or not stat.S_ISREG(found.st_mode):
            raise BadImage(f"{member.name[:200]}: a hard link to {member.linkname[:200]!r}, which is no file of the image")
        if target != place:
            self._remove(place)
            os.link(target, place, follow_symlinks=False)

    def _place(self, name: str) -> str:
        """Where an entry lies: its folder with links followed inside the root, as the container would see it."""
        folder, base = posixpath.split(name)
        known = self._parents.get(folder)
        if known is None:
            known = self._parents[folder] = self._resolved(folder)
        return f"{known}/{base}"

    def _resolved(self, folder: str) -> str:
        """The real folder of a path in the root, made where it is missing. Raises BadImage where something else is in the way."""
        left, here, links = [part for part in folder.split("/") if part][::-1], self._root, 0
        while left:
            part = left.pop()
            if part == "..":
                here = here if here == self._root else os.path.dirname(here)
                continue
            if part == ".":
                continue
            step = f"{here}/{part}"
            if os.path.islink(step):
                links += 1
                if links > _MOST_LINKS:
                    raise BadImage(f"{folder[:200]}: too many symbolic links")
                target = os.readlink(step)
                here = self._root if target.startswith("/") else here
                left += [piece for piece in target.split("/") if piece][::-1]
                continue
            if not os.path.lexists(step):
                os.mkdir(step, 0o755)
            elif not os.path.isdir(step):
                self._remove(step)
                os.mkdir(step, 0o755)
            here = step
        return here

    def _empty(self, folder: str) -> None:
        """An opaque folder: what lower layers put into it is gone."""
        for name in os.listdir(folder):
            if f"{folder}/{name}" not in self._fresh:
                self._remove(f"{folder}/{name}")

    def _remove(self, place: str) -> None:
        if os.path.islink(place) or not os.path.isdir(place):
            if os.path.lexists(place):
                os.unlink(place)
            return
        if place == self._root:
            raise BadImage("a layer replaces the root")
        shutil.rmtree(place)
        self._parents.clear()


def _inside(path: str) -> str:
    """A name relative to the root, without steps upwards; "" for the root itself. Raises BadImage."""
    if "\0" in path or ".." in path.split("/"):
        raise BadImage(f"{path[:200]!r}: a path that leads out of the image")
    return posixpath.normpath(path).lstrip("/").removeprefix("./").rstrip("/").removesuffix(".") if path.strip("/.") else ""


def _copy(source: IO[bytes], handle: int, size: int) -> None:
    left = size
    while left:
        block = source.read(min(left, _BLOCK))
        if not block:
            raise BadImage("a layer ends in the middle of a file")
        view = memoryview(block)
        while view:
            view = view[os.write(handle, view) :]
        left -= len(block)
