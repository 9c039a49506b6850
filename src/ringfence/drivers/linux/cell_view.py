"""What every cell sees of the machine: programs and libraries, read-only, and a small /etc of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ringfence.drivers.linux.launch_spec import NOBODY

Bind = tuple[str, str, str]

#: Where the certificates of the trusted authorities are, inside.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FROM_ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/ssl/openssl.cnf")
_PROCESSORS = "/sys/devices/system/cpu"


def system() -> tuple[list[Bind], list[tuple[str, str]]]:
    """Binds and symbolic links for /usr and its old names, where they are links or real folders."""
    binds: list[Bind] = [("/usr", "/usr", "ro")]
    links: list[tuple[str, str]] = []
    for name in _MERGED:
        path = f"/{name}"
        if os.path.islink(path):
            links.append((os.readlink(path), path))
        elif os.path.isdir(path):
            binds.append((path, path, "ro"))
    binds += [(path, path, "ro") for path in (*_FROM_ETC, _PROCESSORS) if os.path.exists(path)]
    return binds, links


def certificates(trust: Path) -> list[Bind]:
    """Ours, or the machine's where there are none of ours."""
    for path in (str(trust), CERTIFICATES):
        if os.path.exists(path):
            return [(os.path.realpath(path), CERTIFICATES, "ro")]
    return []


def prefixes(folders: Iterable[str]) -> list[Bind]:
    """Read-only binds, at their own paths, of the folders that are not in /usr already."""
    real = sorted({os.path.realpath(folder) for folder in folders})
    return [(folder, folder, "ro") for folder in real if not folder.startswith("/usr/") and folder != "/usr"]


def settings(hostname: str, nameserver: str, search: Sequence[str] = ()) -> dict[str, str]:
    """The text files of /etc. search: domains of a cluster, tried first for names with few dots, as Kubernetes has it."""
    completing = f"search {' '.join(search)}\noptions ndots:5\n" if search else ""
    return {
        "/etc/passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:{NOBODY}:{NOBODY}:nobody:/tmp:/usr/sbin/nologin\n",
        "/etc/group": f"root:x:0:\nnogroup:x:{NOBODY}:\n",
        "/etc/hostname": f"{hostname}\n",
        "/etc/hosts": f"127.0.0.1 localhost {hostname}\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": f"nameserver {nameserver}\n{completing}" if nameserver else "",
    }
