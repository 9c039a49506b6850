"""What this machine can do, found out by doing it in a child that is thrown away.

The child leaves the host as the sandbox does and tries there what the fabric needs; the
host's own namespaces are never touched. Which packages are missing is `preflight`'s.
"""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ringfence.kernel import netlink, nft, syscalls
from ringfence.sandbox import cgroups, holder, isolation, preflight
from ringfence.sandbox.errors import CannotIsolate


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. required: Ringfence does not start without it. remedy: "" when all is well."""

    name: str
    ok: bool
    required: bool
    detail: str
    remedy: str = ""


def examine() -> tuple[Check, ...]:
    """Everything, in the order in which a sandbox is made. Takes well under a second."""
    return (*_packages(), *_inside(), _limits(), _loopback())


def _packages() -> Iterator[Check]:
    for part in preflight.parts():
        remedy = "" if part.found else f"apt-get install {part.package} (as root)"
        yield Check(part.name, bool(part.found), True, part.found or "not installed", remedy)


def _limits() -> Check:
    found = cgroups.usable()
    missing = [name for name in cgroups.WANTED if name not in found]
    detail = "limits on " + ", ".join(found) if found else "no cgroup can be made here"
    remedy = "run as root, or start it in a delegated scope: systemd-run --user --scope -p Delegate=yes ringfence up"
    return Check("limits for models", not missing, False, detail, remedy if missing else "")


def _loopback() -> Check:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return Check("a port for the proxy", True, True, "127.0.0.1 can be listened on")
    except OSError as error:
        return Check("a port for the proxy", False, True, str(error), "bring up the loopback interface: ip link set lo up")


def _inside() -> Iterator[Check]:
    """The findings of the child: each as it comes; the first required step that fails is the last."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        _try_all(theirs)
    theirs.close()
    try:
        isolation.guide(ours, child)
        while message := ours.recv(65536):
            found = json.loads(message)
            if "step" in found:
                raise CannotIsolate(found["step"], found["reason"], found["remedy"])
            yield Check(**found)
    except CannotIsolate as error:
        yield Check(error.step, False, True, error.reason, error.remedy)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _try_all(channel: socket.socket) -> NoReturn:
    def say(check: Check) -> None:
        channel.send(json.dumps({name: getattr(check, name) for name in Check.__slots__}).encode())

    try:
        isolation.leave(channel)
        say(Check("namespaces", True, True, "user, mount, network, process, IPC and host name namespaces can be made"))
        with isolation.step("starting a process inside"):
            inner = os.fork()
        if inner:
            os.waitpid(inner, 0)
            os._exit(0)
        holder.furnish()
        say(Check("file systems", True, True, "/run and /proc of its own"))
        for check in _network():
            say(check)
    except CannotIsolate as error:
        channel.send(isolation.failure(error))
    finally:
        os._exit(0)


def _network() -> Iterator[Check]:
    yield _attempt("virtual links", _links, "the kernel lacks veth: modprobe veth (as root), or another kernel")
    container = "this container's /proc/sys is read-only; start it with --privileged, or use a virtual machine"
    yield _attempt("forwarding", lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"), container)
    if nft.available():  # if not, a missing package is reported already
        kernel = (
            "the kernel lacks it: modprobe nf_tables nft_ct nft_fib_ipv4 nft_nat nft_hash nft_numgen (as root), or another kernel"
        )
        for name, rules in _FILTERS.items():
            yield _attempt(f"packet filter: {name}", functools.partial(_load, rules), kernel)


def _attempt(name: str, action: Callable[[], object], remedy: str) -> Check:
    try:
        action()
    except (OSError, nft.NftError) as error:
        return Check(name, False, True, str(error), remedy)
    return Check(name, True, True, "works")


def _links() -> None:
    """A pair of links with its ends in two namespaces."""
    first = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    rtnl = netlink.Rtnl()
    ends = [netlink.VethEnd(name, 10, bytes((2, 0, 0, 0, 0, number))) for number, name in enumerate(("near", "far"))]
    rtnl.add_veth(ends[0], ends[1], first)
    rtnl.set_up(10)
    rtnl.commit()


def _load(rules: Sequence[str]) -> None:
    table = nft.Nft()
    table.run("table ip probe")
    for rule in rules:
        table.run(f"table ip probe {{\n{rule}\n}}")
    table.run("delete table ip probe")


_FILTERS = {
    "connection tracking": ("chain a {\n type filter hook forward priority 0;\n ct state established counter accept\n }",),
    "spoofing": ("chain a {\n type filter hook prerouting priority -300;\n fib saddr . iif oif 0 drop\n }",),
    "verdict maps": (
        "map m {\n type ipv4_addr . inet_proto . inet_service : verdict;\n }",
        "chain a {\n type filter hook forward priority 0;\n ip daddr . meta l4proto . th dport vmap @m\n }",
    ),
    "load balancing": (
        "map m {\n typeof numgen inc mod 64 : ip daddr . tcp dport;\n }",
        "chain a {\n type nat hook prerouting priority -100;\n"
        " meta l4proto tcp ct mark set 1 dnat ip to jhash ip saddr . tcp sport mod 64 seed 1 map @m\n }",
    ),
    "source translation": ("chain a {\n type nat hook postrouting priority 100;\n snat to 192.0.2.1\n }",),
}
