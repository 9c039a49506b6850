"""Network namespaces as bind mounts in one folder: made, found again, entered, given up.

A namespace outlives the process that made it for as long as its mount is there. What is
inside (links, addresses, tables) is put there by the neighbours of this module.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from ringfence.kernel import netlink, nft, syscalls

_FIRST_INDEX = 10
_SYSCTLS = (
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),  # a rule does this work, and counts what it drops
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/tcp_congestion_control", "reno"),  # the only one a child namespace may choose, and faster than bbr on veth
)


class Namespace:
    """One network namespace. rtnl is for one thread at a time; everything else may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path = path
        self._descriptor = syscalls.raised(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self._lock = threading.Lock()
        self._rtnl: netlink.Rtnl | None = None
        self._nft: nft.Nft | None = None
        self._next_index = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def rtnl(self) -> netlink.Rtnl:
        with self._lock:
            if self._rtnl is None:
                with self.entered():
                    self._rtnl = netlink.Rtnl()
            return self._rtnl

    @property
    def nft(self) -> nft.Nft:
        with self._lock:
            if self._nft is None:
                self._nft = nft.Nft(self.entered)
            return self._nft

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run the block inside; this thread only."""
        with syscalls.in_network_namespace(self._descriptor):
            yield

    def open_socket(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket that lives inside, whoever uses it."""
        # With the protocol named, asyncio switches Nagle's algorithm off; else a small answer waits 40 ms for an acknowledgement.
        protocol = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else 0
        with self.entered():
            made = socket.socket(family, kind, protocol)
        return socket.socket(family, kind, protocol, fileno=syscalls.raised(made.detach()))

    def chains(self, table: str) -> tuple[str, ...]:
        """The names of the chains of an nftables table, from the kernel."""
        with self.entered():
            return netlink.chain_names(table)

    def new_index(self) -> int:
        """A link index that no link here has or had since this process looked first."""
        if not self._next_index:
            self._next_index = max([_FIRST_INDEX, *(link.index + 1 for link in self.rtnl.links())])
        self._next_index += 1
        return self._next_index - 1

    def set_sysctl(self, name: str, value: str) -> None:
        with self.entered():
            Path("/proc/sys", name).write_text(value)

    def close(self) -> None:
        """Let go of it; the namespace itself stays as long as its mount."""
        with self._lock:
            if self._rtnl is not None:
                self._rtnl.close()
            if self._nft is not None:
                self._nft.close()
            self._rtnl = self._nft = None
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


class Namespaces:
    """The folder of mounts. Files in it that are no namespaces, and names that nobody asks for, are left alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._kind = os.stat("/proc/self/ns/net").st_dev

    def names(self) -> frozenset[str]:
        """The namespaces that exist."""
        return frozenset(entry.name for entry in os.scandir(self.folder) if self._mounted(entry.path))

    def open(self, name: str) -> Namespace:
        """Raises KeyError when there is no such namespace."""
        path = self.folder / name
        if not self._mounted(str(path)):
            raise KeyError(name)
        return Namespace(path)

    def create(self, name: str) -> Namespace:
        """A new namespace with `lo` up and IPv6 off. What a dead process left half-made under this name is removed first."""
        self.destroy(name)
        path = self.folder / name
        path.touch(mode=0o600)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            try:
                for sysctl, value in _SYSCTLS:
                    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6 has nothing to switch off
                        Path("/proc/sys", sysctl).write_text(value)
                syscalls.bind("/proc/thread-self/ns/net", str(path), recursive=False)
            finally:
                syscalls.setns(here, syscalls.CLONE_NEWNET)
        finally:
            os.close(here)
        namespace = Namespace(path)
        namespace.rtnl.set_up(netlink.LOOPBACK)
        namespace.rtnl.commit()
        return namespace

    def destroy(self, name: str) -> None:
        """Take the mount away; the kernel frees the namespace, its links and tables when nothing uses it any more."""
        path = self.folder / name
        if self._mounted(str(path)):
            syscalls.unmount(str(path))
        path.unlink(missing_ok=True)

    def _mounted(self, path: str) -> bool:
        try:
            return os.stat(path).st_dev == self._kind
        except FileNotFoundError:
            return False
