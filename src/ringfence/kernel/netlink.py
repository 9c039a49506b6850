"""Raw rtnetlink: links, addresses, routes and neighbours, many messages in one send.

A `Rtnl` lives in the network namespace of the thread that made it and can be used from
elsewhere afterwards. Messages are queued and sent by `commit`; only what this project
needs is here, IPv4 only. Names, addresses and order are chosen by the caller. Packet
filtering has its own door in `nft`.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ringfence.kernel import syscalls

LOOPBACK = 1
"""The index of `lo` in every network namespace."""

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR = 20
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH = 28
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400
_ERROR, _DONE = 2, 3
_CAPPED, _ACK_TLVS = 0x100, 0x200
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT = 270, 10, 11, 12

_HEADER = struct.Struct("IHHII")
_LINK = struct.Struct("BBHiII")
_ROUTE = struct.Struct("BBBBBBBBI")
_IFF_UP = 1
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_PROTOCOL_STATIC = 4
_SCOPE_GLOBAL, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_TYPES = {"unicast": 1, "local": 2, "blackhole": 6}
_ONLINK = 4
_NUD_PERMANENT = 0x80
_OPERATIONAL = b"\x06"
_LARGEST_SEND = 60_000


class NetlinkError(OSError):
    """The kernel refused a message; `strerror` says which one, in words, and the kernel's reason."""


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a pair: its name, its (chosen) index in its namespace, its MAC address."""

    name: str
    index: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the kernel reports it. alias: the text stamped on it, or ""."""

    index: int
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Route:
    """An IPv4 route of the main table. kind: "unicast", "blackhole", or "" for others. link: index, 0 for none."""

    destination: str
    kind: str
    link: int


@dataclass(frozen=True, slots=True)
class _Message:
    kind: int
    flags: int
    body: bytes
    what: str


class Rtnl:
    """One rtnetlink socket. Used by one thread at a time."""

    def __init__(self) -> None:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket = socket.socket(fileno=syscalls.raised(made.detach()))
        self._socket.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK, _STRICT):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0
        self._queue: list[_Message] = []

    def close(self) -> None:
        self._socket.close()

    def add_veth(self, end: VethEnd, peer: VethEnd, peer_namespace: int, mtu: int = 1500) -> None:
        """Make a pair; `end` stays here, `peer` goes to the namespace behind the descriptor. Both are down."""
        other = _LINK.pack(0, 0, 0, peer.index, 0, 0) + _end(peer, mtu) + _attribute(28, struct.pack("I", peer_namespace))
        pair = _attribute(1, b"veth\0") + _attribute(2, _attribute(1, other))
        body = _LINK.pack(0, 0, 0, end.index, 0, 0) + _end(end, mtu) + _attribute(18, pair)
        self._add(_NEWLINK, _CREATE | _EXCLUSIVE, body, f"add link {end.name}")

    def set_up(self, index: int) -> None:
        self._add(_NEWLINK, 0, _LINK.pack(0, 0, 0, index, _IFF_UP, _IFF_UP), f"set link {index} up")

    def set_alias(self, index: int, alias: str) -> None:
        """Stamp a link (at most 255 bytes); an empty alias takes the stamp off."""
        body = _LINK.pack(0, 0, 0, index, 0, 0) + _attribute(20, alias.encode())
        self._add(_NEWLINK, 0, body, f"set alias of link {index} to {alias!r}")

    def delete_link(self, index: int) -> None:
        """Remove a link, and its peer. About 20 ms each, with the kernel's network lock held."""
        self._add(_DELLINK, 0, _LINK.pack(0, 0, 0, index, 0, 0), f"delete link {index}")

    def add_address(self, index: int, address: str) -> None:
        """Give a link an address of its own (/32)."""
        packed = socket.inet_aton(address)
        body = struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, index) + _attribute(2, packed) + _attribute(1, packed)
        self._add(_NEWADDR, _CREATE | _EXCLUSIVE, body, f"add address {address} to link {index}")

    def add_route(self, destination: str, *, kind: str = "unicast", link: int | None = None, via: str | None = None) -> None:
        """destination: a prefix. kind: "unicast", "local" or "blackhole". via: a gateway that is on the link."""
        self._add(_NEWROUTE, _CREATE | _EXCLUSIVE, _route(destination, kind, link, via), f"add {kind} route {destination}")

    def delete_route(self, destination: str, *, kind: str = "unicast", link: int | None = None) -> None:
        self._add(_DELROUTE, 0, _route(destination, kind, link, None, deleting=True), f"delete {kind} route {destination}")

    def add_neighbour(self, index: int, address: str, mac: bytes) -> None:
        """A permanent neighbour: no ARP is ever sent for it. Replaces what was there."""
        body = struct.pack("BBHiHBB", socket.AF_INET, 0, 0, index, _NUD_PERMANENT, 0, 0)
        body += _attribute(1, socket.inet_aton(address)) + _attribute(2, mac)
        self._add(_NEWNEIGH, _CREATE | _REPLACE, body, f"add neighbour {address} on link {index}")

    def commit(self) -> None:
        """Send what is queued, and empty the queue.

        The kernel works on after a message that fails, so a batch is no transaction: whoever
        gets the error undoes what was made. Raises NetlinkError for the first message that failed.
        """
        queue, self._queue = self._queue, []
        error: NetlinkError | None = None
        for batch in _batches(queue):
            error = self._send(batch) or error
        if error is not None:
            raise error

    def links(self) -> tuple[Link, ...]:
        without_statistics = _attribute(29, struct.pack("I", 8))
        found = []
        for body in self._ask(_GETLINK, _LINK.pack(0, 0, 0, 0, 0, 0) + without_statistics, _DUMP):
            index = _LINK.unpack_from(body)[3]
            attributes = dict(_attributes(body, _LINK.size))
            found.append(Link(index, _text(attributes.get(3)), _text(attributes.get(20))))
        return tuple(found)

    def link(self, name: str) -> Link | None:
        """The link of this name, if there is one."""
        try:
            for body in self._ask(_GETLINK, _LINK.pack(0, 0, 0, 0, 0, 0) + _attribute(3, name.encode() + b"\0"), _ACK):
                attributes = dict(_attributes(body, _LINK.size))
                return Link(_LINK.unpack_from(body)[3], _text(attributes.get(3)), _text(attributes.get(20)))
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
        return None

    def is_operational(self, index: int) -> bool:
        """Whether a link sends yet. From Linux 6.8 on, the question itself makes the kernel finish what is due.

        A veth that was up before its peer drops what it sends until the kernel's link watch has run.
        """
        for body in self._ask(_GETLINK, _LINK.pack(0, 0, 0, index, 0, 0), _ACK):
            return dict(_attributes(body, _LINK.size)).get(16) == _OPERATIONAL
        return False

    def routes(self, link: int | None = None) -> tuple[Route, ...]:
        """The routes of the main table, or those of one link."""
        only = b"" if link is None else _attribute(4, struct.pack("I", link))
        kinds = {number: kind for kind, number in _TYPES.items()}
        found = []
        for body in self._ask(_GETROUTE, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0) + only, _DUMP):
            _, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
            if table != _TABLE_MAIN:
                continue
            attributes = dict(_attributes(body, _ROUTE.size))
            address = socket.inet_ntoa(attributes.get(1, bytes(4)))
            through = struct.unpack("I", attributes.get(4, bytes(4)))[0]
            found.append(Route(f"{address}/{length}", kinds.get(kind, ""), through))
        return tuple(found)

    def _add(self, kind: int, flags: int, body: bytes, what: str) -> None:
        self._queue.append(_Message(kind, flags, body, what))

    def _send(self, batch: list[_Message]) -> NetlinkError | None:
        first = self._sequence + 1
        self._sequence += len(batch)
        out = []
        for number, message in enumerate(batch, first):
            flags = message.flags | _REQUEST | (_ACK if number == self._sequence else 0)
            out.append(_HEADER.pack(_HEADER.size + len(message.body), message.kind, flags, number, 0) + message.body)
        self._socket.send(b"".join(out))
        error: NetlinkError | None = None
        while True:
            for kind, flags, number, body in _messages(self._socket.recv(1 << 16)):
                if kind != _ERROR or number < first:
                    continue
                refused = _refusal(body, flags, batch[number - first].what)
                error = error or refused
                if number == self._sequence:
                    return error

    def _ask(self, kind: int, body: bytes, how: int) -> Iterator[bytes]:
        """The answers to a question, up to the end of a dump or an acknowledgement."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | how, self._sequence, 0)
        self._socket.send(header + body)
        answers: list[bytes] = []
        while True:
            for kind_of_answer, _, number, content in _messages(self._socket.recv(1 << 18)):
                if number != self._sequence:
                    continue
                if kind_of_answer == _ERROR:
                    refused = _refusal(content, 0, f"answer question {kind}")
                    if refused is not None:
                        raise refused
                if kind_of_answer in (_DONE, _ERROR):
                    return iter(answers)
                answers.append(content)


def chain_names(table: str) -> tuple[str, ...]:
    """The names of the nftables chains of an IPv4 table in this thread's network namespace; none if there is no table.

    A tenth of the cost of asking libnftables, and no context is needed.
    """
    get_chain = (10 << 8) | 4
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12) as nfnetlink:
        nfnetlink.bind((0, 0))
        body = struct.pack("BBH", socket.AF_INET, 0, 0)
        nfnetlink.send(_HEADER.pack(_HEADER.size + len(body), get_chain, _REQUEST | _DUMP, 1, 0) + body)
        names: list[str] = []
        while True:
            for kind, _, _, content in _messages(nfnetlink.recv(1 << 18)):
                if kind == _DONE:
                    return tuple(names)
                if kind == _ERROR:
                    refused = _refusal(content, 0, "list chains")
                    if refused is not None:
                        raise refused
                    continue
                attributes = dict(_attributes(content, 4))
                if _text(attributes.get(1)) == table:
                    names.append(_text(attributes.get(3)))


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("HH", length, kind) + value + bytes(-length % 4)


def _attributes(body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while start + 4 <= len(body):
        length, kind = struct.unpack_from("HH", body, start)
        if length < 4:
            return
        yield kind & 0x3FFF, body[start + 4 : start + length]
        start += (length + 3) & ~3


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, flags, number, _ = _HEADER.unpack_from(data, start)
        yield kind, flags, number, data[start + _HEADER.size : start + length]
        start += (length + 3) & ~3


def _refusal(body: bytes, flags: int, what: str) -> NetlinkError | None:
    number = -struct.unpack_from("i", body)[0]
    if number == 0:
        return None
    reason = ""
    if flags & _ACK_TLVS:
        request = 4 + _HEADER.size
        if not flags & _CAPPED:
            request += _HEADER.unpack_from(body, 4)[0] - _HEADER.size
        reason = _text(dict(_attributes(body, request)).get(1))
    return NetlinkError(number, f"cannot {what}: {os.strerror(number)}" + (f" ({reason})" if reason else ""))


def _text(value: bytes | None) -> str:
    return "" if value is None else value.rstrip(b"\0").decode(errors="replace")


def _end(end: VethEnd, mtu: int) -> bytes:
    return _attribute(3, end.name.encode() + b"\0") + _attribute(1, end.mac) + _attribute(4, struct.pack("I", mtu))


def _route(destination: str, kind: str, link: int | None, via: str | None, *, deleting: bool = False) -> bytes:
    network = ipaddress.IPv4Network(destination)
    scope = _SCOPE_GLOBAL if via is not None or kind == "blackhole" else _SCOPE_HOST if kind == "local" else _SCOPE_LINK
    if deleting:
        scope = 255  # any: the kernel compares it otherwise
    table = _TABLE_LOCAL if kind == "local" else _TABLE_MAIN
    flags = _ONLINK if via is not None else 0
    fixed = (socket.AF_INET, network.prefixlen, 0, 0, table, _PROTOCOL_STATIC, scope, _TYPES[kind], flags)
    body = _ROUTE.pack(*fixed)
    if network.prefixlen:
        body += _attribute(1, network.network_address.packed)
    if link is not None:
        body += _attribute(4, struct.pack("I", link))
    if via is not None:
        body += _attribute(5, socket.inet_aton(via))
    return body


def _batches(queue: list[_Message]) -> Iterator[list[_Message]]:
    batch: list[_Message] = []
    size = 0
    for message in queue:
        length = _HEADER.size + len(message.body)
        if batch and size + length > _LARGEST_SEND:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
