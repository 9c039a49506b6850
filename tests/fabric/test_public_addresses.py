"""Public addresses that single endpoints have, and balancers without probes or by the client alone, with real packets."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fabric.fabric_world import DENY, Answer, World, eventually, rule_set
else:
    from fabric_world import DENY, Answer, eventually, rule_set

PUBLIC, ASKING = "198.19.0.30", "198.19.255.4"


def test_an_address_of_its_own_works_both_ways_and_ends(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    inside = world.endpoint("inside", network, "10.0.0.4")
    other = world.endpoint("other", network, "10.0.0.5")
    outside = world.endpoint("outside", None, ASKING)
    for key in (inside, other, outside):
        world.listen(key)
    world.open_all(network)
    assert world.blocked(outside, PUBLIC, 8080)
    world.put(dataclasses.replace(network, owned=((PUBLIC, "10.0.0.4"),)))
    assert world.reach(outside, PUBLIC, 8080) == Answer(inside, ASKING)
    assert world.reach(inside, ASKING, 8080).client == PUBLIC
    assert world.reach(other, ASKING, 8080).client == "198.19.0.9"
    world.filter(network, {inside: (None, "shut"), other: (None, None)}, rule_set("shut", inbound=[DENY]))
    assert world.blocked(outside, PUBLIC, 8080)
    world.put(network)
    world.open_all(network)
    assert world.blocked(outside, PUBLIC, 8080)
    assert world.reach(inside, ASKING, 8080).client == "198.19.0.9"


def test_without_probes_everyone_counts_and_by_source_one_client_stays_with_one(world: World) -> None:
    network = world.network("a", 1)
    client = world.endpoint("client", network, "10.0.0.4")
    targets = [world.endpoint(f"target{n}", network, f"10.0.1.{n}") for n in (4, 5, 6)]
    world.open_all(network)
    item = world.balancer(network, "10.0.0.100", targets, probe_port=0, key="lb/plain")
    eventually(lambda: sum(world.fabric.health()[item.key].values()) == 3)  # nobody listens yet
    for key in targets:
        world.listen(key)
    assert set(collections.Counter(world.reach(client, "10.0.0.100", 80).server for _ in range(24))) == set(targets)
    world.balancer(network, "10.0.0.101", targets, probe_port=0, by_source=True, key="lb/sticky")
    assert len({world.reach(client, "10.0.0.101", 80).server for _ in range(12)}) == 1


def test_who_was_connected_to_a_former_frontend_stays_and_nobody_else_comes(world: World) -> None:
    """The switch of a cluster to an internal load balancer (azure-docs#64948): clients inside and outside lose nothing."""
    network = world.network("a", 1, egress="198.19.0.9")
    inside = world.endpoint("inside", network, "10.0.0.4")
    target = world.endpoint("target", network, "10.0.1.4")
    outside = world.endpoint("outside", None, ASKING)
    world.listen(target, 8080)
    world.open_all(network)
    item = world.balancer(network, PUBLIC, [target], public=True)
    world.healthy(item, 1)
    with world.connected(inside, PUBLIC, 80) as within, world.connected(outside, PUBLIC, 80) as beyond:
        assert within.recv(100) and beyond.recv(100)  # the greeting
        world.put(dataclasses.replace(network, kept=(PUBLIC,)))
        assert world.fabric.drop([item.key]) == []
        assert world.blocked(inside, PUBLIC, 80) and world.blocked(outside, PUBLIC, 80)
        assert goes_on(within) and goes_on(beyond)
        world.put(network)
        assert world.blocked(outside, PUBLIC, 80) and not goes_on(beyond)


def goes_on(connection: socket.socket) -> bool:
    """Whether what is said on a connection is still echoed."""
    connection.sendall(b"still there")
    with contextlib.suppress(TimeoutError):
        return connection.recv(100) == b"still there"
    return False
