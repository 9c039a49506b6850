"""A small world to test in: a fabric, servers that say who they are, clients that ask, rules in few words."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import dns.message
import dns.rdatatype

from ringfence.desired.state import (
    INTERNET,
    PLATFORM_ADDRESS,
    AnyItem,
    Balancer,
    Binding,
    Endpoint,
    Filter,
    Key,
    Network,
    Rule,
    RuleSet,
    Target,
)
from ringfence.drivers.linux.fabric import Fabric
from ringfence.kernel import syscalls

BLOCKED_AFTER_S = 0.15
"""When a packet counts as dropped; an answer takes well under a millisecond."""
LOST_AFTER_S = 0.9
"""When an answer that must come is missing: before the first SYN would be sent again, so that a lost packet fails a test."""


@dataclass(frozen=True)
class Answer:
    """server: the key of the endpoint that answered. client: the source address that it saw."""

    server: Key
    client: str


def rule(name: str, allow: bool, *, protocol: str = "*", sources: Iterable[str] = (), **more: object) -> Rule:
    """A rule with what matters to the test; priorities follow from the order in a set."""
    values: dict[str, object] = {"priority": 100, **more}
    return Rule(name=name, protocol=protocol, sources=tuple(sources), allow=allow, **values)  # type: ignore[arg-type]


ALLOW, DENY = rule("AllowAll", True), rule("DenyAll", False)


def rule_set(name: str, *, inbound: Iterable[Rule] = (ALLOW,), outbound: Iterable[Rule] = (ALLOW,)) -> RuleSet:
    return RuleSet(id=f"/nsg/{name}", name=name, inbound=tuple(inbound), outbound=tuple(outbound))


class World:
    """Makes items and fails on any Failure; keeps servers until it is closed."""

    def __init__(self) -> None:
        self.fabric = Fabric()
        self.fabric.prepare()
        self.addresses: dict[Key, str] = {}
        self.networks: dict[Key, Key] = {}
        self._open: list[socket.socket] = []
        self._listening: dict[tuple[Key, int], tuple[socket.socket, ...]] = {}

    def close(self) -> None:
        self.fabric.close()
        for opened in self._open:
            opened.close()

    def put(self, *items: AnyItem) -> None:
        failures = self.fabric.put(items)
        assert failures == []

    def network(self, name: str, index: int, *prefixes: str, egress: str | None = None) -> Network:
        item = Network(key=f"net/{name}", index=index, prefixes=prefixes or ("10.0.0.0/16",), egress=egress)
        self.put(item)
        return item

    def endpoint(self, name: str, network: Network | None, address: str) -> Key:
        """network: None for a host on the internet."""
        key = f"nic/{name}"
        at = INTERNET if network is None else network.key
        self.put(Endpoint(key=key, network=at, address=address))
        self.addresses[key], self.networks[key] = address, at
        return key

    def filter(self, network: Network, bound: Mapping[Key, tuple[str | None, str | None]], *sets: RuleSet) -> Filter:
        """bound: for each endpoint, the names of the sets at its subnet and its interface."""
        item = filter_of(network, {key: (self.addresses[key], *levels) for key, levels in bound.items()}, *sets)
        self.put(item)
        return item

    def open_all(self, network: Network) -> Filter:
        """Bind every endpoint of a network, with no group at any level."""
        return self.filter(network, {key: (None, None) for key, at in self.networks.items() if at == network.key})

    def balancer(self, network: Network, address: str, targets: Iterable[Key], **more: object) -> Balancer:
        """From port 80 to port 8080 of the targets, probed fast, unless told otherwise."""
        values: dict[str, object] = {
            "key": f"lb/{network.key[4:]}-80",
            "port": 80,
            "public": False,
            "floating": True,
            "probe_port": 8080,
            "probe_interval_s": 0.2,
            **more,
        }
        aims = tuple(Target(address=self.addresses[key], port=8080) for key in targets)
        item = Balancer(network=network.key, address=address, targets=aims, **values)  # type: ignore[arg-type]
        self.put(item)
        return item

    def healthy(self, item: Balancer, count: int) -> None:
        """Wait until so many targets answer probes."""
        eventually(lambda: sum(self.fabric.health()[item.key].values()) == count)

    def counts(self, network: Key) -> dict[tuple[str, str, str], int]:
        """Packets by rule set, direction and rule; what has none is left out."""
        return {(c.rule_set, c.direction, c.rule): c.packets for c in self.fabric.counters(network) if c.packets}

    def open(self, key: Key, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        made = self.fabric.open_socket(key, socket.AF_INET, kind)
        made.settimeout(BLOCKED_AFTER_S)
        self._open.append(made)
        return made

    def listen(self, key: Key, *ports: int, address: str = "0.0.0.0") -> None:
        """Serve TCP and UDP: say who we are and who asked; over TCP then echo what comes."""
        for port in ports or (8080,):
            tcp, udp = self.open(key), self.open(key, socket.SOCK_DGRAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for bound in (tcp, udp):
                bound.settimeout(None)
                bound.bind((address, port))
            tcp.listen(256)
            self._listening[key, port] = (tcp, udp)
            threading.Thread(target=_serve_tcp, args=(key, tcp), daemon=True).start()
            threading.Thread(target=_serve_udp, args=(key, udp), daemon=True).start()

    def deafen(self, key: Key, port: int = 8080) -> None:
        """Stop listening; connections that exist go on."""
        for bound in self._listening.pop((key, port)):
            with contextlib.suppress(OSError):  # UDP sockets are woken by it, and say that they are not connected
                bound.shutdown(socket.SHUT_RDWR)
            bound.close()

    def reach(self, key: Key, address: str, port: int = 8080, *, protocol: str = "tcp") -> Answer:
        """Ask over one new connection (or with one datagram); fails when nothing answers."""
        answer = self._ask(key, address, port, protocol, LOST_AFTER_S)
        assert answer is not None, f"{key} got no answer from {address}:{port}/{protocol}"
        return answer

    def blocked(self, key: Key, address: str, port: int = 8080, *, protocol: str = "tcp") -> bool:
        """Whether nothing answers."""
        return self._ask(key, address, port, protocol, BLOCKED_AFTER_S) is None

    def _ask(self, key: Key, address: str, port: int, protocol: str, patience_s: float) -> Answer | None:
        with contextlib.suppress(OSError):
            if protocol == "tcp":
                with self.connected(key, address, port, patience_s=patience_s) as connection:
                    return _answer(connection.recv(200))
            with self.open(key, socket.SOCK_DGRAM) as asking:
                asking.settimeout(patience_s)
                asking.sendto(b"?", (address, port))
                return _answer(asking.recv(200))
        return None

    def connected(
        self, key: Key, address: str, port: int = 8080, *, source_port: int = 0, patience_s: float = LOST_AFTER_S
    ) -> socket.socket:
        """Raises OSError."""
        connection = self.open(key)
        connection.settimeout(patience_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if source_port:
            connection.bind(("", source_port))
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def ping(self, key: Key, address: str) -> bool:
        with self._raw(key) as asking, contextlib.suppress(OSError):
            asking.sendto(_echo_request(), (address, 0))
            deadline = time.monotonic() + BLOCKED_AFTER_S
            while time.monotonic() < deadline:
                if asking.recv(200)[20:21] == b"\0":
                    return True
        return False

    def resolve(self, key: Key, name: str, kind: str = "A", *, server: str = PLATFORM_ADDRESS) -> dns.message.Message | None:
        query = dns.message.make_query(name, kind)
        with contextlib.suppress(OSError), self.open(key, socket.SOCK_DGRAM) as asking:
            asking.sendto(query.to_wire(), (server, 53))
            return dns.message.from_wire(asking.recv(4096))
        return None

    def addresses_of(self, key: Key, name: str, *, server: str = PLATFORM_ADDRESS) -> list[str]:
        answer = self.resolve(key, name, server=server)
        assert answer is not None, f"no resolver answered {key}"
        return [data.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for data in rrset]

    def _raw(self, key: Key) -> socket.socket:
        descriptor = os.open(self.fabric.namespace(key), os.O_RDONLY)
        with syscalls.in_network_namespace(descriptor):
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        os.close(descriptor)
        raw.settimeout(BLOCKED_AFTER_S)
        return raw


def filter_of(network: Network, bound: Mapping[Key, tuple[str, str | None, str | None]], *sets: RuleSet) -> Filter:
    bindings = tuple(Binding(endpoint=k, address=a, subnet=subnet, nic=nic) for k, (a, subnet, nic) in bound.items())
    return Filter(key=f"filter/{network.key[4:]}", network=network.key, rule_sets=sets, bindings=bindings)


def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def in_another_process(work: Callable[[], object]) -> None:
    """Run the work in a child that is then killed by SIGKILL, as a crash would."""
    done, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(told, b"1")
            signal.pause()
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(told)
    finished = os.read(done, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(done)
    assert finished == b"1", "the work in the other process failed"


def _answer(data: bytes) -> Answer | None:
    return Answer(*data.decode().split()[:2]) if data else None


def _serve_tcp(key: Key, listening: socket.socket) -> None:
    while True:
        try:
            connection, (client, _) = listening.accept()
        except OSError:
            return
        threading.Thread(target=_converse, args=(key, client, connection), daemon=True).start()


def _converse(key: Key, client: str, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.sendall(f"{key} {client}\n".encode())
        while data := connection.recv(4096):
            connection.sendall(data)


def _serve_udp(key: Key, bound: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, sender = bound.recvfrom(4096)
            if not data:
                return  # shut down
            bound.sendto(f"{key} {sender[0]}\n".encode(), sender)


def _echo_request() -> bytes:
    header = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    checksum = ~(0x0800 + 1 + 1) & 0xFFFF
    return header[:2] + struct.pack("!H", checksum) + header[4:]
