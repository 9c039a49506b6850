"""Namespaces, mounts and process attributes: thin, typed wrappers that raise OSError.

Python 3.11 has neither `os.unshare` nor `os.setns`, so they come from libc here. What
the calls are used for (sandbox, locations, workloads) is not decided here.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
from collections.abc import Iterator

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE = 4096, 8192, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 24, 38, 4, 36
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_LAST_CAP = 63

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Join the namespace behind fd; kind 0 lets the kernel read its type from the descriptor."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if v is None else os.fsencode(v) for v in (source, target, kind)]
    options = None if data is None else os.fsencode(data)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options), f"mount {source} on {target}")


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), f"umount {target}")


def bind(source: str, target: str, *, recursive: bool = True) -> None:
    mount(source, target, None, MS_BIND | (MS_REC if recursive else 0))


def restrict_mounts(target: str, *, read_only: bool, devices: bool = False) -> None:
    """No set-uid programs, no writing, no device files, in the mount at target and every one below it (Linux 5.12)."""
    flags = _ATTR_NOSUID | (_ATTR_RDONLY if read_only else 0) | (0 if devices else _ATTR_NODEV)
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    arguments = (ctypes.c_int(_AT_FDCWD), os.fsencode(target), ctypes.c_uint(_AT_RECURSIVE), attributes)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _check(_libc.syscall(ctypes.c_long(_SYS_MOUNT_SETATTR), *arguments, size), f"mount_setattr {target}")


def set_hostname(name: str) -> None:
    data = os.fsencode(name)
    _check(_libc.sethostname(data, ctypes.c_size_t(len(data))), f"sethostname {name}")


def pivot_root(new: str, old: str) -> None:
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _check(_libc.syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), f"pivot_root {new}")


def die_with_parent(signal_number: int) -> None:
    """Get this signal when the forking thread of the parent ends (it is lost over a setuid exec)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl PDEATHSIG")


def adopt_orphans(on: bool) -> None:
    """Become the parent of descendants whose own parent ends (child subreaper)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(int(on)), 0, 0, 0), "prctl CHILD_SUBREAPER")


def no_new_privileges() -> None:
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl NO_NEW_PRIVS")


def dumpable(on: bool) -> None:
    _check(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(int(on)), 0, 0, 0), "prctl DUMPABLE")


def drop_bounding_capabilities() -> None:
    """Empty the bounding set, so that no later exec can regain a capability."""
    for capability in range(_LAST_CAP + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            return  # EINVAL: past the last capability that this kernel knows


def raised(descriptor: int) -> int:
    """The same open file under a descriptor above 1023, if this process may have one.

    What is kept for long goes there: libnftables waits with select(2), which needs the low ones.
    """
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 1024)
    except OSError:  # the limit on open files is no higher, or all are in use
        return descriptor
    os.close(descriptor)
    return high


@contextlib.contextmanager
def in_network_namespace(fd: int) -> Iterator[None]:
    """Run the block in another network namespace; this thread only. Sockets made inside stay there."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(here, CLONE_NEWNET)
    finally:
        os.close(here)
