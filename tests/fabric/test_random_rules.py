"""Random rule lists with random packets against a plain reading of "first match decides".

The evaluator here is written from the sentences of RULES.md section 2, in a dozen lines
that share nothing with the driver. A packet is judged by what arrives.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import selectors
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from ringfence.desired.state import Filter, Rule, RuleSet

if TYPE_CHECKING:
    from tests.fabric.fabric_world import LOST_AFTER_S, World, filter_of
else:
    from fabric_world import LOST_AFTER_S, World, filter_of

ADDRESSES = ("10.0.0.4", "10.0.0.5", "10.0.1.4", "10.0.1.5")
PREFIXES = (
    "10.0.0.0/24",
    "10.0.1.0/24",
    "10.0.0.0/16",
    "0.0.0.0/0",
    "192.168.0.0/16",
    *(f"{address}/32" for address in ADDRESSES),
)
PORTS = (5000, 5001, 5002, 5003)
RANGES = ((5000, 5000), (5001, 5002), (5002, 5003), (5000, 5003), (0, 65535), (1, 5001), (6000, 7000))
PACKETS_PER_ROUND, ROUNDS = 60, 6
SETTLE_S = 0.2
LEVELS = (None, "x", "y", "z")


@dataclass(frozen=True)
class Packet:
    protocol: str
    source: str
    source_port: int
    destination: str
    port: int


def first_match(rules: tuple[Rule, ...], packet: Packet) -> bool:
    for candidate in rules:
        if _matches(candidate, packet):
            return candidate.allow
    return False


def passes(item: Filter, packet: Packet) -> bool:
    """Out of the source, interface then subnet; into the destination, subnet then interface; no group allows."""
    sets = {listed.name: listed for listed in item.rule_sets}
    by_address = {binding.address: binding for binding in item.bindings}
    sender, receiver = by_address.get(packet.source), by_address.get(packet.destination)
    if sender is None or receiver is None:
        return False
    out = all(first_match(sets[name].outbound, packet) for name in (sender.nic, sender.subnet) if name)
    return out and all(first_match(sets[name].inbound, packet) for name in (receiver.subnet, receiver.nic) if name)


def _matches(candidate: Rule, packet: Packet) -> bool:
    return (
        candidate.protocol in ("*", packet.protocol)
        and _among(packet.source, candidate.sources)
        and _among(packet.destination, candidate.destinations)
        and _within(packet.source_port, candidate.source_ports)
        and _within(packet.port, candidate.destination_ports)
    )


def _among(address: str, prefixes: tuple[str, ...]) -> bool:
    return not prefixes or any(ipaddress.ip_address(address) in ipaddress.ip_network(prefix) for prefix in prefixes)


def _within(port: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return not ranges or any(low <= port <= high for low, high in ranges)


class Draw:
    """Random values from a seed that the test names."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.random.sample(values, self.random.choice((0, 0, 1, 1, 2, 3))))

    def rules(self) -> tuple[Rule, ...]:
        rules = [self._rule(number) for number in range(self.random.randint(0, 12))]
        return (*rules, Rule(name="Last", priority=4096, protocol="*", allow=self.random.random() < 0.5))

    def _rule(self, number: int) -> Rule:
        return Rule(
            name=f"Rule{number}",
            priority=100 + number,
            protocol=self.random.choice(("tcp", "udp", "*")),
            sources=self.some(PREFIXES),
            source_ports=tuple(self.random.sample([(1, 32767), (32768, 65535), (0, 65535)], self.random.choice((0, 0, 0, 1)))),
            destinations=self.some(PREFIXES),
            destination_ports=tuple(self.random.sample(RANGES, self.random.choice((0, 1, 1, 2, 3)))),
            allow=self.random.random() < 0.6,
        )

    def rule_set(self, name: str) -> RuleSet:
        return RuleSet(id=name, name=name, inbound=self.rules(), outbound=self.rules())

    def packet(self) -> Packet:
        source, destination = self.random.sample(ADDRESSES, 2)
        return Packet(
            self.random.choice(("tcp", "udp")), source, self.random.randint(20000, 60000), destination, self.random.choice(PORTS)
        )


class Wire:
    """Sends many packets at once and says which were answered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = world.network("a", 1, "10.0.0.0/16")
        self.keys = {address: world.endpoint(address.replace(".", "-"), self.network, address) for address in ADDRESSES}
        for key in self.keys.values():
            world.listen(key, *PORTS)

    def answered(self, packets: list[Packet], expected: set[Packet]) -> set[Packet]:
        """Waits a while for what is expected, and then a moment for what is not."""
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            waiting = {stack.enter_context(self._send(packet)): packet for packet in packets}
            for sending in waiting:
                selector.register(sending, selectors.EVENT_READ)
            found: set[Packet] = set()
            until = time.monotonic() + LOST_AFTER_S
            settled = time.monotonic() + SETTLE_S
            while waiting and (left := (settled if found >= expected else until) - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    ready = cast(socket.socket, key.fileobj)
                    assert ready.recv(100)
                    selector.unregister(ready)
                    found.add(waiting.pop(ready))
        return found

    def _send(self, packet: Packet) -> socket.socket:
        kind = socket.SOCK_STREAM if packet.protocol == "tcp" else socket.SOCK_DGRAM
        sending = self.world.fabric.open_socket(self.keys[packet.source], socket.AF_INET, kind)
        sending.setblocking(False)
        sending.bind(("", packet.source_port))
        with contextlib.suppress(BlockingIOError):
            sending.connect((packet.destination, packet.port))
        if packet.protocol == "udp":
            sending.send(b"?")
        return sending


@pytest.mark.parametrize("seed", range(2))
def test_the_kernel_decides_as_the_sentences_say(world: World, seed: int) -> None:
    wire, draw = Wire(world), Draw(seed)
    allowed = denied = 0
    for number in range(ROUNDS):
        sets = [draw.rule_set(name) for name in LEVELS if name]
        bound = {wire.keys[a]: (a, draw.random.choice(LEVELS), draw.random.choice(LEVELS)) for a in ADDRESSES}
        item = filter_of(wire.network, bound, *sets)
        world.put(item)
        packets = list({(p.source, p.source_port): p for p in (draw.packet() for _ in range(PACKETS_PER_ROUND))}.values())
        expected = {packet for packet in packets if passes(item, packet)}
        answered = wire.answered(packets, expected)
        assert answered == expected, f"seed {seed}, round {number}: {answered ^ expected} of {item}"
        allowed += len(expected)
        denied += len(packets) - len(expected)
    assert allowed >= 20 and denied >= 20


def test_the_evaluator_knows_the_rules_of_thumb() -> None:
    web = Rule(name="web", priority=100, protocol="tcp", destination_ports=((80, 80),), allow=True)
    packet = Packet("tcp", "10.0.0.4", 1, "10.0.0.5", 80)
    assert first_match((web,), packet)
    assert not first_match((Rule(name="no", priority=99, protocol="*", sources=("10.0.0.0/24",), allow=False), web), packet)
    assert not first_match((web,), Packet("udp", "10.0.0.4", 1, "10.0.0.5", 80))
    assert not first_match((), packet)
