"""libnftables by ctypes: run a script as one transaction, or ask and get JSON.

One `Nft` belongs to one network namespace. Needs `libnftables.so.1` and no program.
What the scripts say is written elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import cast

_OUTPUT_JSON = 1 << 4
_LOCK = threading.Lock()  # libnftables does not promise that two contexts may be used at once
_LOCATION = re.compile(r"^/proc/self/fd/\d+:(\d+):\d+-\d+: ", re.MULTILINE)


#: libnftables waits with select(2), which ends the process for a descriptor from here on.
_SELECT_LIMIT = 1024
_LARGEST_PART = 150_000  # a third of what the default buffer takes
_BYTES_PER_CHARACTER, _BYTES_PER_OBJECT = 6.5, 400  # measured: scripts grow by so much on their way to the kernel


class NftError(Exception):
    """A script that libnftables or the kernel refused. line: the offending line of the script, "" if none is named."""

    def __init__(self, reason: str, line: str) -> None:
        super().__init__(f"{reason} in `{line}`" if line else reason)
        self.reason = reason
        self.line = line


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise NftError("libnftables.so.1 is not installed; the package is libnftables1 on Debian and Ubuntu", "") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_filename.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getter = getattr(library, name)
        getter.restype = ctypes.c_char_p
        getter.argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


def available() -> bool:
    """Whether libnftables can be loaded here."""
    try:
        _library()
    except NftError:
        return False
    return True


class Nft:
    """The packet filter of one namespace, from any thread. Raises NftError when the library is missing.

    entered: puts the calling thread into the namespace; without it, where the thread is counts.
    A context of the library costs 20 µs, so each call has its own: thousands of namespaces need
    no descriptors for it.
    """

    def __init__(self, entered: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> None:
        self._library = _library()
        self._entered = entered
        self._closed = False

    def close(self) -> None:
        """Later calls raise NftError."""
        self._closed = True

    def run(self, script: str) -> None:
        """Load a script in one transaction: all of it, or NftError and nothing."""
        with _LOCK:
            self._load(script, 0)

    def run_in_parts(self, units: Iterable[str]) -> None:
        """Load more than one transaction may hold: units in order, each of them whole, as many at once as fit.

        A user namespace may not enlarge the socket's buffer, and a transaction that does not fit is refused.
        """
        part: list[str] = []
        size = 0.0
        for unit in units:
            weight = _weight(unit)
            if part and size + weight > _LARGEST_PART:
                self.run("\n".join(part))
                part, size = [], 0.0
            part.append(unit)
            size += weight
        if part:
            self.run("\n".join(part))

    def query(self, command: str) -> list[dict[str, object]]:
        """The objects that a `list` command prints, without the heading."""
        with _LOCK:
            text = self._load(command, _OUTPUT_JSON)
        listed = json.loads(text)["nftables"] if text else []
        return [cast(dict[str, object], entry) for entry in listed if "metainfo" not in entry]

    def _load(self, script: str, flags: int) -> bytes:
        if self._closed:
            raise NftError("the namespace of this table is gone", script.splitlines()[0])
        with self._context() as context:
            return self._load_with(context, script, flags)

    @contextlib.contextmanager
    def _context(self) -> Iterator[int]:
        with self._entered():
            _need_low_descriptors()
            context = self._library.nft_ctx_new(0)
        if not context:
            raise NftError("libnftables could not open its netlink socket", "")
        try:
            self._library.nft_ctx_buffer_output(context)
            self._library.nft_ctx_buffer_error(context)
            yield context
        finally:
            self._library.nft_ctx_free(context)

    def _load_with(self, context: int, script: str, flags: int) -> bytes:
        # From a descriptor and not from a buffer: for a buffer, libnftables 1.0.6 names no line in its errors.
        descriptor = os.memfd_create("nft", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, script.encode() + b"\n")
            self._library.nft_ctx_output_set_flags(context, flags)
            path = f"/proc/self/fd/{descriptor}".encode()
            failed = self._library.nft_run_cmd_from_filename(context, path)
        finally:
            os.close(descriptor)
        if failed:
            raise _error(script, self._library.nft_ctx_get_error_buffer(context).decode(errors="replace"))
        return cast(bytes, self._library.nft_ctx_get_output_buffer(context))


def _need_low_descriptors() -> None:
    """Raises NftError rather than letting the library end the process."""
    lowest = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(lowest)
    if lowest + 8 >= _SELECT_LIMIT:
        raise NftError(
            f"more than {_SELECT_LIMIT - 8} descriptors are open, which libnftables cannot work with; close connections", ""
        )


def _weight(unit: str) -> float:
    objects = unit.count("\n") + unit.count("{") + 1
    return _BYTES_PER_CHARACTER * len(unit) + _BYTES_PER_OBJECT * objects


def _error(script: str, text: str) -> NftError:
    place = _LOCATION.search(text)
    if place is None:
        return NftError(text.strip()[:400] or "libnftables refused the script without a reason", script.splitlines()[0])
    lines = script.splitlines()
    number = int(place.group(1))
    reason = text[place.end() :].splitlines()[0].removeprefix("Error: ")
    return NftError(reason, lines[number - 1].strip() if number <= len(lines) else "")
