"""Peerings, private endpoints and service endpoints: who gets where, as packets show it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Iterator

import pytest
from tests.fabric.fabric_world import World, eventually, filter_of, in_another_process, rule, rule_set

from ringfence.desired.state import (
    INTERNET,
    Binding,
    Filter,
    Network,
    Peering,
    PrivateAddress,
    ServiceSource,
)
from ringfence.drivers.linux.fabric import Fabric

STORAGE, VAULT = "198.18.2.1", "198.18.2.49"
LINK, SUBNET_LINK = "198.18.128.4", "198.18.128.5"
PRIVATE = "10.0.0.9"
ENDPOINT = PrivateAddress(address=PRIVATE, port=443, target=STORAGE, link=LINK)


class Paths:
    """Network a with two subnets and a private endpoint, b peered to it, c not, d with the same addresses as a."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.a = Network(key="net/a", index=1, prefixes=("10.0.0.0/16",), egress="198.19.0.1", private=(ENDPOINT,))
        self.b = Network(key="net/b", index=2, prefixes=("10.2.0.0/16",), egress="198.19.0.2")
        self.c = Network(key="net/c", index=3, prefixes=("10.3.0.0/16",), egress="198.19.0.3")
        self.d = Network(key="net/d", index=4, prefixes=("10.0.0.0/16",), egress="198.19.0.4")
        world.put(self.a, self.b, self.c, self.d)
        self.own = world.endpoint("own", self.a, "10.0.0.4")
        self.next = world.endpoint("next", self.a, "10.0.1.4")
        self.peered = world.endpoint("peered", self.b, "10.2.0.4")
        self.apart = world.endpoint("apart", self.c, "10.3.0.4")
        self.same = world.endpoint("same", self.d, "10.0.0.4")
        self.outside = world.endpoint("outside", None, "198.19.200.1")
        for network in (self.a, self.b, self.c, self.d):
            world.open_all(network)
        world.listen(INTERNET, 443)

    def peer(self) -> Peering:
        item = Peering(key="peer/ab", one="net/a", other="net/b", one_prefixes=self.a.prefixes, other_prefixes=self.b.prefixes)
        self.a = dataclasses.replace(self.a, peered=self.b.prefixes)
        self.b = dataclasses.replace(self.b, peered=self.a.prefixes)
        self.world.put(item, self.a, self.b)
        return item

    def serve(self) -> None:
        for key in (self.own, self.next, self.peered, self.same, self.apart):
            self.world.listen(key)


@pytest.fixture
def paths() -> Iterator[Paths]:
    world = World()
    with contextlib.closing(world):
        yield Paths(world)


def test_a_private_endpoint_is_there_for_its_network_and_its_peers_only(paths: Paths) -> None:
    paths.peer()
    for key in (paths.own, paths.next, paths.peered):
        answer = paths.world.reach(key, PRIVATE, 443)
        assert (answer.server, answer.client) == (INTERNET, LINK)
    for key in (paths.apart, paths.same, paths.outside):
        assert paths.world.blocked(key, PRIVATE, 443)


def test_a_private_endpoint_has_its_targets_port_and_nothing_else(paths: Paths) -> None:
    paths.world.listen(INTERNET, 80)
    assert paths.world.blocked(paths.own, PRIVATE, 80)
    assert paths.world.blocked(paths.own, PRIVATE, 443, protocol="udp")
    assert not paths.world.ping(paths.own, PRIVATE)
    assert paths.world.reach(paths.own, STORAGE, 443).client == "198.19.0.1"
    assert paths.world.blocked(paths.outside, LINK, 443)


def test_an_endpoint_that_is_no_longer_approved_ends_what_runs(paths: Paths) -> None:
    with paths.world.connected(paths.own, PRIVATE, 443) as running:
        assert running.recv(200)
        paths.world.put(dataclasses.replace(paths.a, private=()))
        assert paths.world.blocked(paths.own, PRIVATE, 443)
        running.settimeout(0.15)
        running.sendall(b"still there?")
        with pytest.raises(socket.timeout):
            running.recv(200)
        paths.world.put(paths.a)
        running.settimeout(5.0)
        assert running.recv(200) == b"still there?"


def test_rules_hold_at_an_endpoints_address_only_where_they_are_bound(paths: Paths) -> None:
    deny = rule("NotFromNext", False, protocol="tcp", sources=["10.0.1.0/24"], destination_ports=((443, 443),))
    guard = rule_set("g", inbound=(deny, rule("Rest", True)))
    everyone = {paths.own: ("10.0.0.4", "g", None), paths.next: ("10.0.1.4", None, None)}
    unbound = filter_of(paths.a, everyone, guard)
    paths.world.put(unbound)
    assert paths.world.reach(paths.next, PRIVATE, 443).client == LINK
    bound = Binding(endpoint="pe/x", address=PRIVATE, subnet="g", nic=None, private=True)
    paths.world.put(Filter(key=unbound.key, network=paths.a.key, rule_sets=(guard,), bindings=(*unbound.bindings, bound)))
    assert paths.world.blocked(paths.next, PRIVATE, 443)
    assert paths.world.reach(paths.own, PRIVATE, 443).client == LINK
    paths.world.put(unbound)
    assert paths.world.reach(paths.next, PRIVATE, 443).client == LINK


def test_outbound_rules_judge_an_endpoints_own_address(paths: Paths) -> None:
    deny = rule("NotThere", False, destinations=(f"{PRIVATE}/32",))
    paths.world.filter(
        paths.a, {paths.own: (None, "n"), paths.next: (None, None)}, rule_set("n", outbound=(deny, rule("R", True)))
    )
    assert paths.world.blocked(paths.own, PRIVATE, 443)
    assert paths.world.reach(paths.own, STORAGE, 443).client == "198.19.0.1"


def test_peers_reach_each_other_with_their_own_addresses(paths: Paths) -> None:
    paths.serve()
    assert paths.world.blocked(paths.own, "10.2.0.4") and paths.world.blocked(paths.peered, "10.0.0.4")
    item = paths.peer()
    assert paths.world.reach(paths.own, "10.2.0.4").client == "10.0.0.4"
    assert paths.world.reach(paths.peered, "10.0.1.4").client == "10.2.0.4"
    assert paths.world.reach(paths.peered, "10.0.0.4").server == paths.own
    assert paths.world.blocked(paths.own, "10.3.0.4") and paths.world.blocked(paths.apart, "10.0.0.4")
    assert paths.world.reach(paths.peered, STORAGE, 443).client == "198.19.0.2"
    assert paths.world.fabric.observe()[item.key].fingerprint == item.fingerprint
    assert paths.world.fabric.drop([item.key]) == []
    assert paths.world.blocked(paths.peered, "10.0.0.4") and paths.world.blocked(paths.own, "10.2.0.4")


def test_peers_are_no_way_to_others(paths: Paths) -> None:
    """b is peered with a and with c: a and c stay apart."""
    paths.serve()
    paths.peer()
    second = Peering(key="peer/bc", one="net/b", other="net/c", one_prefixes=paths.b.prefixes, other_prefixes=paths.c.prefixes)
    paths.world.put(
        second,
        dataclasses.replace(paths.b, peered=(*paths.a.prefixes, *paths.c.prefixes)),
        dataclasses.replace(paths.c, peered=(*paths.b.prefixes, *paths.a.prefixes)),
    )
    assert paths.world.reach(paths.peered, "10.3.0.4").client == "10.2.0.4"
    assert paths.world.blocked(paths.apart, "10.0.0.4") and paths.world.blocked(paths.apart, PRIVATE, 443)


def test_rules_hold_on_both_sides_of_a_peering(paths: Paths) -> None:
    paths.serve()
    paths.peer()
    inbound = rule_set("i", inbound=(rule("NotFromOwn", False, sources=["10.0.0.4/32"]), rule("Rest", True)))
    paths.world.filter(paths.b, {paths.peered: ("i", None)}, inbound)
    assert paths.world.blocked(paths.own, "10.2.0.4")
    assert paths.world.reach(paths.next, "10.2.0.4").client == "10.0.1.4"
    outbound = rule_set("o", outbound=(rule("NotToPeer", False, destinations=("10.2.0.0/16",)), rule("Rest", True)))
    paths.world.filter(paths.a, {paths.own: (None, None), paths.next: ("o", None)}, outbound)
    assert paths.world.blocked(paths.next, "10.2.0.4")


def test_an_internal_frontend_is_there_for_peers(paths: Paths) -> None:
    paths.serve()
    paths.peer()
    balancer = paths.world.balancer(paths.a, "10.0.0.100", [paths.own])
    paths.world.healthy(balancer, 1)
    answer = paths.world.reach(paths.peered, "10.0.0.100", 80)
    assert (answer.server, answer.client) == (paths.own, "10.2.0.4")
    assert paths.world.blocked(paths.apart, "10.0.0.100", 80)


def test_a_service_endpoint_is_for_its_subnet_and_its_service(paths: Paths) -> None:
    paths.peer()
    source = ServiceSource(prefix="10.0.0.0/24", destinations=("198.18.2.0/28",), link=SUBNET_LINK)
    paths.world.put(dataclasses.replace(paths.a, sources=(source,)))
    seen = {key: paths.world.reach(key, STORAGE, 443).client for key in (paths.own, paths.next, paths.peered, paths.same)}
    assert seen == {
        paths.own: SUBNET_LINK, paths.next: "198.19.0.1", paths.peered: "198.19.0.2", paths.same: "198.19.0.4",
    }  # fmt: skip
    assert paths.world.reach(paths.own, VAULT, 443).client == "198.19.0.1"
    assert paths.world.reach(paths.own, PRIVATE, 443).client == LINK


def test_a_new_process_takes_everything_over(paths: Paths) -> None:
    item = paths.peer()

    def look() -> None:
        fabric = Fabric()
        fabric.prepare()
        observed = fabric.observe()
        assert observed[item.key].fingerprint == item.fingerprint
        assert observed["net/a"].fingerprint == paths.a.fingerprint

    in_another_process(look)
    eventually(lambda: paths.world.reach(paths.peered, PRIVATE, 443).client == LINK)
