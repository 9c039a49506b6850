"""Inside the child: from a fork of the supervisor to the confined program.

A cell has namespaces of its own (mount, PID, IPC, UTS, cgroup, user; the network's is joined),
a root that is put together read-only, no capability and no way to regain one, and an
unprivileged user that exists in no other cell's files. Who starts it, and what happens when
it ends, is in `supervise`. Runs single-threaded: a thread would forbid a new user namespace.
"""

from __future__ import annotations

import os
import resource
import signal

from ringfence.drivers.linux import cell_image
from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.kernel import syscalls

_LOW_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#: What waits at a listener that is closed goes to another one on the same port. Linux 5.14 and later.
_MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req"
_OPEN_FILES = 16384


def enter(spec: LaunchSpec, ready: int, proceed: int) -> None:
    """Become the program. ready: written to when the user map is wanted; proceed: read until it is there. Raises OSError."""
    for folder in spec.groups:
        _write(f"{folder}/cgroup.procs", "0")
    network = os.open(spec.network, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(network, syscalls.CLONE_NEWNET)
    _write(_LOW_PORTS, "0")
    if os.path.exists(_MIGRATE):
        _write(_MIGRATE, "1")
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    syscalls.unshare(flags)
    syscalls.set_hostname(spec.hostname)
    cell_image.build(spec) if spec.image else _build_root(spec)
    _become_nobody(spec, ready, proceed)
    os.umask(0o022)
    os.chdir(spec.directory)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and ignoring is inherited
        signal.signal(number, signal.SIG_DFL)
    os.execve(program(spec.argv[0], spec.variables.get("PATH", "")), list(spec.argv), dict(spec.variables))


def _become_nobody(spec: LaunchSpec, ready: int, proceed: int) -> None:
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    os.write(ready, b"u")
    if os.read(proceed, 1) != b"m":
        raise OSError("the supervisor could not map the user")
    with open("/proc/self/setgroups", encoding="ascii") as file:
        if file.read().strip() == "allow":
            os.setgroups([])
    os.setresgid(spec.user, spec.user, spec.user)
    os.setresuid(spec.user, spec.user, spec.user)
    # No user namespace, so no capability in one either: most of the kernel's attack surface needs that.
    _write("/proc/sys/user/max_user_namespaces", "0")
    _limit(spec)
    give_up_privileges()


def give_up_privileges() -> None:
    """No capability, and no way to get one; ends with its parent."""
    syscalls.drop_bounding_capabilities()
    syscalls.no_new_privileges()
    syscalls.die_with_parent(signal.SIGKILL)


def program(named: str, search: str) -> str:
    """Where a program is: as it is named, or in a folder of the search path. Raises OSError."""
    if "/" in named:
        return named
    for folder in search.split(":"):
        if os.access(f"{folder}/{named}", os.X_OK) and not os.path.isdir(f"{folder}/{named}"):
            return f"{folder}/{named}"
    raise OSError(f'exec: "{named}": executable file not found in $PATH')


def _limit(spec: LaunchSpec) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if spec.data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (spec.data_bytes, spec.data_bytes))
    if spec.processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (spec.processes, spec.processes))


def _build_root(spec: LaunchSpec) -> None:
    private = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", spec.root, "tmpfs", private, "size=4m,mode=0755")
    for path, text in spec.files.items():
        _write(_place(spec, path, folder=False), text, 0o644)
    for target, path in spec.links:
        os.symlink(target, _place(spec, path))
    # Before the binds: the state folder, and so an environment, may itself lie below /tmp.
    for folder, mebibytes in spec.scratch.items():
        place = _place(spec, folder, folder=True)
        syscalls.mount("tmpfs", place, "tmpfs", private, f"size={mebibytes}m,mode=1777")
    for source, path, kind in spec.binds:
        _bind(spec, source, path, kind)
    _devices(spec)
    _processes(spec)
    syscalls.mount(None, spec.root, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | private)
    os.chdir(spec.root)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".")
    os.chdir("/")


def _place(spec: LaunchSpec, path: str, *, folder: bool | None = None) -> str:
    """Where a path of the cell is while its root is built; the path itself is made as a folder or a file, or left out (None)."""
    place = spec.root + path
    os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
    if folder:
        os.makedirs(place, mode=0o755, exist_ok=True)
    elif folder is not None:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    return place


def _bind(spec: LaunchSpec, source: str, path: str, kind: str) -> None:
    place = _place(spec, path, folder=os.path.isdir(source))
    syscalls.bind(source, place)
    syscalls.restrict_mounts(place, read_only=kind != "rw", devices=kind == "device")


def _devices(spec: LaunchSpec) -> None:
    for name in cell_image.DEVICES:
        _bind(spec, f"/dev/{name}", f"/dev/{name}", "device")
    for name, target in cell_image.STREAMS:
        os.symlink(target, _place(spec, f"/dev/{name}"))


def _processes(spec: LaunchSpec) -> None:
    """A /proc of the cell's own PID namespace, whose settings cannot be changed from inside."""
    place = _place(spec, "/proc", folder=True)
    syscalls.mount("proc", place, "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    cell_image.restrict_settings(f"{place}/sys")


def _write(path: str, text: str, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT * (mode != 0o600) | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
