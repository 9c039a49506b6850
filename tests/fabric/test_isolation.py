"""Networks keep apart: overlapping address space, spoofing, no way out, nothing without a binding."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ringfence.desired.state import INTERNET

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World

_IP_TRANSPARENT = 19  # send from any address; the test is root in its namespaces


def test_the_same_addresses_in_two_networks_are_two_worlds(world: World) -> None:
    for name, index in (("a", 1), ("b", 2)):
        network = world.network(name, index)
        world.endpoint(f"{name}1", network, "10.0.0.4")
        world.listen(world.endpoint(f"{name}2", network, "10.0.0.5"))
        world.open_all(network)
    seen = [world.reach(f"nic/{name}1", "10.0.0.5") for name in ("a", "b")]
    assert [(answer.server, answer.client) for answer in seen] == [("nic/a2", "10.0.0.4"), ("nic/b2", "10.0.0.4")]


def test_networks_without_peering_do_not_reach_each_other(world: World) -> None:
    left, right = world.network("left", 1, "10.0.0.0/16", egress="198.19.0.1"), world.network("right", 2, "10.1.0.0/16")
    asking = world.endpoint("asking", left, "10.0.0.4")
    world.listen(world.endpoint("asked", right, "10.1.0.4"))
    world.open_all(left)
    world.open_all(right)
    assert world.blocked(asking, "10.1.0.4")
    assert world.counts(left.key)["platform", "outbound", "NoRoute"] >= 1
    assert world.counts(right.key) == {}


def test_an_address_that_nobody_has_answers_nothing(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.1")
    asking = world.endpoint("asking", network, "10.0.0.4")
    world.open_all(network)
    assert world.blocked(asking, "10.0.0.77")
    assert world.counts(INTERNET) == {}


def test_an_endpoint_without_a_binding_gets_and_sends_nothing(world: World) -> None:
    network = world.network("a", 1)
    bound, unbound = world.endpoint("bound", network, "10.0.0.4"), world.endpoint("unbound", network, "10.0.0.5")
    world.listen(bound)
    world.listen(unbound)
    world.filter(network, {bound: (None, None)})
    assert world.blocked(bound, "10.0.0.5")
    assert world.blocked(unbound, "10.0.0.4")
    assert not world.ping(unbound, "168.63.129.16")
    counts = world.counts(network.key)
    assert counts["platform", "inbound", "Unbound"] >= 1
    assert counts["platform", "outbound", "Unbound"] >= 1


def test_a_network_without_a_filter_passes_nothing(world: World) -> None:
    network = world.network("a", 1)
    asking, asked = world.endpoint("asking", network, "10.0.0.4"), world.endpoint("asked", network, "10.0.0.5")
    world.listen(asked)
    assert world.blocked(asking, "10.0.0.5")


def test_only_an_endpoints_own_address_may_leave_it(world: World) -> None:
    network = world.network("a", 1)
    liar, victim = world.endpoint("liar", network, "10.0.0.4"), world.endpoint("victim", network, "10.0.0.5")
    neighbour = world.endpoint("neighbour", network, "10.0.0.6")
    world.listen(victim)
    world.open_all(network)
    for claimed in ("10.0.0.6", "10.0.0.99", "198.19.0.7", "168.63.129.16"):
        with world.open(liar, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
            sender.bind((claimed, 0))
            sender.sendto(b"?", ("10.0.0.5", 8080))
    assert world.counts(network.key)["platform", "outbound", "Spoofed"] == 4
    world.reach(neighbour, "10.0.0.5", protocol="udp")


def test_egress_goes_out_under_the_networks_public_address(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    inside = world.endpoint("inside", network, "10.0.0.4")
    world.listen(world.endpoint("outside", None, "198.19.255.4"))
    world.open_all(network)
    assert world.reach(inside, "198.19.255.4").client == "198.19.0.9"
    assert world.reach(inside, "198.19.255.4", protocol="udp").client == "198.19.0.9"


def test_without_egress_there_is_no_way_out(world: World) -> None:
    network = world.network("a", 1)
    inside = world.endpoint("inside", network, "10.0.0.4")
    world.listen(world.endpoint("outside", None, "198.19.255.4"))
    world.open_all(network)
    assert world.blocked(inside, "198.19.255.4")
    assert world.counts(network.key)["platform", "outbound", "NoRoute"] >= 1


def test_egress_comes_and_goes_without_disturbing_the_network(world: World) -> None:
    network = world.network("a", 1)
    inside = world.endpoint("inside", network, "10.0.0.4")
    world.listen(inside)
    world.listen(world.endpoint("outside", None, "198.19.255.4"))
    other = world.endpoint("other", network, "10.0.0.5")
    world.open_all(network)
    with world.connected(other, "10.0.0.4") as connection:
        assert connection.recv(100)
        world.network("a", 1, "10.0.0.0/16", "10.9.0.0/16", egress="198.19.0.9")
        answer = world.reach(inside, "198.19.255.4")
        assert answer.client == "198.19.0.9"
        world.network("a", 1)
        assert world.blocked(inside, "198.19.255.4")
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"


def test_the_internet_does_not_reach_private_addresses(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    world.listen(world.endpoint("inside", network, "10.0.0.4"))
    outside = world.endpoint("outside", None, "198.19.255.4")
    world.open_all(network)
    assert world.blocked(outside, "10.0.0.4")
    assert world.counts(INTERNET)["platform", "inbound", "PrivateAddressFromInternet"] >= 1


def test_the_internet_does_not_come_in_by_the_egress_address(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    world.listen(world.endpoint("inside", network, "10.0.0.4"))
    outside = world.endpoint("outside", None, "198.19.255.4")
    world.open_all(network)
    assert world.blocked(outside, "198.19.0.9")


def test_any_address_of_azure_is_answered_by_one_listener(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    inside, outside = world.endpoint("inside", network, "10.0.0.4"), world.endpoint("outside", None, "198.19.255.4")
    world.open_all(network)
    world.listen(INTERNET, 443, 80)
    for asking in (inside, outside):
        for address in ("198.18.0.17", "198.18.1.65", "198.18.127.254"):
            world.reach(asking, address, 443)
        assert world.blocked(asking, "198.18.0.17", 80)
    assert world.blocked(outside, "198.19.7.7", 443)


def test_endpoints_answer_ping_and_the_gateway_does_not(world: World) -> None:
    network = world.network("a", 1)
    asking, asked = world.endpoint("asking", network, "10.0.0.4"), world.endpoint("asked", network, "10.0.0.5")
    world.open_all(network)
    assert asked and world.ping(asking, "10.0.0.5")
    assert not world.ping(asking, "169.254.1.1")
    assert not world.ping(asking, "168.63.129.16")
