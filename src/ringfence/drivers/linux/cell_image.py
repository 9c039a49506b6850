"""The root of a cell that is an image: a writable copy that costs nothing, under devices, /proc and files of its own.

What is written lies in memory and goes with the process. The image is trusted with nothing: every path of it is
followed only once it is the root itself, so that no link of it leads out. Where the machine's
files are meanwhile, only a random name says, and that is gone before the program starts.
"""

from __future__ import annotations

import os
import secrets

from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.kernel import syscalls

DEVICES = ("null", "zero", "full", "random", "urandom")
STREAMS = (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"))
_PRIVATE = syscalls.MS_NOSUID | syscalls.MS_NODEV
_SHARED_MB = 64


def build(spec: LaunchSpec) -> None:
    """Make the image the root of this process, with the mount namespace already its own. Raises OSError."""
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", spec.root, "tmpfs", _PRIVATE, f"size={spec.scratch.get('/', 0)}m,mode=0755")
    upper, work, merged = (f"{spec.root}/{name}" for name in ("upper", "work", "root"))
    for folder in (upper, work, merged):
        os.mkdir(folder, 0o755)
    owner = outside("uid", spec.outer)
    os.chown(upper, owner, owner)
    lower = spec.image.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
    options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
    syscalls.mount("overlay", merged, "overlay", _PRIVATE, options)
    machine = f".{secrets.token_hex(16)}"
    os.mkdir(f"{merged}/{machine}", 0o700)
    os.chdir(merged)
    syscalls.pivot_root(".", machine)
    os.chdir("/")
    _furnish(spec, f"/{machine}", owner)
    syscalls.unmount(f"/{machine}")
    os.rmdir(f"/{machine}")


def outside(kind: str, wanted: int) -> int:
    """The user outside that a cell's user is: the one wanted where it is ours to give, else ourselves. kind: "uid" or "gid"."""
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        ranges = [line.split() for line in file]
    ours = any(int(inner) <= wanted < int(inner) + int(count) for inner, _, count in ranges)
    return wanted if ours else 0


def _furnish(spec: LaunchSpec, machine: str, owner: int) -> None:
    _devices(machine)
    _processes()
    _folder(spec.directory, owner)
    for path, text in spec.files.items():
        _folder(os.path.dirname(path), owner)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        os.chown(path, owner, owner)
    for source, path, kind in spec.binds:
        _folder(path, owner)
        syscalls.bind(machine + source, path)
        syscalls.restrict_mounts(path, read_only=kind != "rw")


def _devices(machine: str) -> None:
    _folder("/dev", 0)
    syscalls.mount("tmpfs", "/dev", "tmpfs", syscalls.MS_NOSUID, "size=1m,mode=0755")
    for name in DEVICES:
        os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        syscalls.bind(f"{machine}/dev/{name}", f"/dev/{name}")
        syscalls.restrict_mounts(f"/dev/{name}", read_only=True, devices=True)
    for name, target in (*STREAMS, ("ptmx", "pts/ptmx")):
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/pts")
    syscalls.mount("devpts", "/dev/pts", "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0666")
    os.mkdir("/dev/shm")
    syscalls.mount("tmpfs", "/dev/shm", "tmpfs", _PRIVATE, f"size={_SHARED_MB}m,mode=1777")


def _processes() -> None:
    """A /proc of the cell's own PID namespace, whose settings cannot be changed from inside."""
    _folder("/proc", 0)
    syscalls.mount("proc", "/proc", "proc", _PRIVATE | syscalls.MS_NOEXEC)
    restrict_settings("/proc/sys")


def restrict_settings(place: str) -> None:
    """`user` stays writable for the one thing that the cell writes there itself; later only a capability could."""
    for entry in os.scandir(place):
        if entry.is_dir() and entry.name != "user":
            syscalls.bind(entry.path, entry.path)
            syscalls.restrict_mounts(entry.path, read_only=True)


def _folder(path: str, owner: int) -> None:
    """Make what is missing on the way; it belongs to the cell's user. Anything but a folder makes way."""
    here = ""
    for part in path.strip("/").split("/"):
        here += f"/{part}"
        if os.path.isdir(here):
            continue
        if os.path.lexists(here):
            os.unlink(here)
        os.mkdir(here, 0o755)
        os.chown(here, owner, owner)
