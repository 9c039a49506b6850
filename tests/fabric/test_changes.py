"""Rules change under traffic: no connection is lost that was allowed before and after, none is cut that exists."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from ringfence.desired.state import Rule

if TYPE_CHECKING:
    from tests.fabric.fabric_world import ALLOW, DENY, World, rule, rule_set
else:
    from fabric_world import ALLOW, DENY, rule, rule_set

_TCP_INFO, _RETRANSMITTED = 11, slice(100, 104)  # tcpi_total_retrans
_LOAD_S = 1.5


def _many(generation: int) -> list[Rule]:
    """Rules with sets of prefixes and ports, different in every generation; the traffic of the tests matches the last."""
    rules = [
        rule(
            f"Rule{number}-{generation}",
            False,
            protocol="tcp",
            sources=[f"172.{16 + generation % 10}.{number}.{n * 16}/28" for n in range(3)],
            destination_ports=((1000, 1010), (2000 + generation % 100, 2500), (3000, 3000)),
        )
        for number in range(60)
    ]
    return [*rules, ALLOW]


class Load:
    """Connects without pause, and counts the connections whose first packet had to be sent again."""

    def __init__(self, world: World, key: str, address: str) -> None:
        self._aim = (world, key, address)
        self._stopped = threading.Event()
        self.connections = self.lost = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        world, key, address = self._aim
        while not self._stopped.is_set():
            with contextlib.closing(world.connected(key, address, patience_s=5)) as connection:
                sent_again = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 200)[_RETRANSMITTED]
                self.lost += int.from_bytes(sent_again, "little") > 0
                self.connections += bool(connection.recv(100))


def test_replacing_a_filter_loses_no_packet(world: World) -> None:
    network = world.network("a", 1)
    client, server = world.endpoint("client", network, "10.0.0.4"), world.endpoint("server", network, "10.0.0.5")
    world.listen(server)
    bound = {key: ("s", None) for key in (client, server)}
    world.filter(network, bound, rule_set("s", inbound=_many(0), outbound=_many(0)))
    load = Load(world, client, "10.0.0.5")
    generation, until = 0, time.monotonic() + _LOAD_S
    try:
        while time.monotonic() < until:
            generation += 1
            world.filter(network, bound, rule_set("s", inbound=_many(generation), outbound=_many(generation)))
            time.sleep(0.02)
    finally:
        load.stop()
    assert generation >= 5 and load.connections >= 200
    assert load.lost == 0


def test_an_established_connection_outlives_a_deny(world: World) -> None:
    network = world.network("a", 1)
    client, server = world.endpoint("client", network, "10.0.0.4"), world.endpoint("server", network, "10.0.0.5")
    world.listen(server)
    world.open_all(network)
    with world.connected(client, "10.0.0.5") as connection:
        assert connection.recv(100)
        world.filter(network, {client: (None, None), server: ("s", "s")}, rule_set("s", inbound=[DENY], outbound=[DENY]))
        assert world.blocked(client, "10.0.0.5")
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"


def test_an_unchanged_rule_set_keeps_its_counters(world: World) -> None:
    network = world.network("a", 1)
    client, server = world.endpoint("client", network, "10.0.0.4"), world.endpoint("server", network, "10.0.0.5")
    world.listen(server)
    kept = rule_set("kept")
    world.filter(network, {client: (None, None), server: ("kept", None)}, kept, rule_set("changed"))
    world.reach(client, "10.0.0.5")
    changed = rule_set("changed", inbound=[DENY])
    world.filter(network, {client: ("changed", None), server: ("kept", None)}, kept, changed)
    assert world.counts(network.key)["/nsg/kept", "inbound", "AllowAll"] == 1
    world.filter(network, {client: (None, None), server: (None, None)})
    assert not [name for name, _, _ in world.counts(network.key) if name.startswith("/nsg/")]
    world.reach(client, "10.0.0.5")


def test_an_endpoint_that_is_unbound_again_is_closed(world: World) -> None:
    network = world.network("a", 1)
    client, server = world.endpoint("client", network, "10.0.0.4"), world.endpoint("server", network, "10.0.0.5")
    world.listen(server)
    world.open_all(network)
    world.reach(client, "10.0.0.5")
    world.filter(network, {client: (None, None)})
    assert world.blocked(client, "10.0.0.5")


def test_dropping_a_filter_closes_the_network(world: World) -> None:
    network = world.network("a", 1)
    client, server = world.endpoint("client", network, "10.0.0.4"), world.endpoint("server", network, "10.0.0.5")
    world.listen(server)
    item = world.open_all(network)
    assert world.fabric.drop([item.key]) == []
    assert item.key not in world.fabric.observe()
    assert world.blocked(client, "10.0.0.5")
    world.put(item)
    world.reach(client, "10.0.0.5")
