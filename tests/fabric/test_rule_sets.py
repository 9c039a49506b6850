"""Rule sets with real packets: levels, order, protocols, ports, probes, counters (RULES.md section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ringfence.desired.state import Key, Network, Record, Rule, RuleSet, View

if TYPE_CHECKING:
    from tests.fabric import fabric_world
    from tests.fabric.fabric_world import World, rule, rule_set
else:
    import fabric_world
    from fabric_world import rule, rule_set

CLIENT, OTHER, SERVER = "10.0.0.4", "10.0.0.5", "10.0.1.4"


class Three:
    """Two clients in one subnet and a server in another, on one network."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network: Network = world.network("a", 1)
        self.client = world.endpoint("client", self.network, CLIENT)
        self.other = world.endpoint("other", self.network, OTHER)
        self.server = world.endpoint("server", self.network, SERVER)
        for key in (self.client, self.other, self.server):
            world.listen(key, 8080, 8081, 9000)

    def bind(self, *sets: RuleSet, **levels: tuple[str | None, str | None]) -> None:
        """levels: for client, other and server, the sets at subnet and interface; none where nothing is said."""
        bound = {key: levels.get(key[4:], (None, None)) for key in (self.client, self.other, self.server)}
        self.world.filter(self.network, bound, *sets)

    def reached(self, key: Key, port: int = 8080) -> bool:
        return not self.world.blocked(key, SERVER, port)


@pytest.fixture
def three(world: World) -> Three:
    return Three(world)


@pytest.mark.parametrize("levels", [("s", "n"), ("n", "s"), (None, "n"), ("n", None)])
def test_inbound_passes_only_if_subnet_and_interface_both_allow(three: Three, levels: tuple[str | None, str | None]) -> None:
    deny_other = rule_set("n", inbound=[rule("DenyOther", False, sources=[OTHER]), fabric_world.ALLOW])
    three.bind(deny_other, rule_set("s"), server=levels)
    assert three.reached(three.client)
    assert not three.reached(three.other)
    assert three.world.counts(three.network.key)["/nsg/n", "inbound", "DenyOther"] >= 1


@pytest.mark.parametrize("levels", [("s", "n"), ("n", "s"), (None, "n"), ("n", None)])
def test_outbound_passes_only_if_interface_and_subnet_both_allow(three: Three, levels: tuple[str | None, str | None]) -> None:
    deny = rule_set("n", outbound=[rule("DenyServer", False, destinations=(SERVER,)), fabric_world.ALLOW])
    three.bind(deny, rule_set("s"), other=levels)
    assert three.reached(three.client)
    assert not three.reached(three.other)
    assert three.world.counts(three.network.key)["/nsg/n", "outbound", "DenyServer"] >= 1


def test_the_order_of_levels_is_subnet_first_inbound_and_interface_first_outbound(three: Three) -> None:
    sets = [rule_set(name, inbound=[fabric_world.DENY], outbound=[fabric_world.DENY]) for name in ("subnet", "nic")]
    three.bind(*sets, server=("subnet", "nic"))
    assert not three.reached(three.client)
    assert three.world.blocked(three.server, CLIENT)
    counted = set(three.world.counts(three.network.key))
    assert counted == {("/nsg/subnet", "inbound", "DenyAll"), ("/nsg/nic", "outbound", "DenyAll")}


def test_a_subnets_rules_hold_between_its_own_endpoints(three: Three) -> None:
    three.bind(rule_set("s", inbound=[fabric_world.DENY]), client=("s", None), other=("s", None))
    assert three.world.blocked(three.client, OTHER)
    assert three.reached(three.client)


def test_the_first_match_decides(three: Three) -> None:
    rules = [
        rule("AllowClient", True, sources=[CLIENT], destination_ports=((8080, 8080),)),
        rule("DenyClient", False, sources=[CLIENT]),
        rule("AllowSubnet", True, sources=["10.0.0.0/24"]),
        fabric_world.DENY,
    ]
    three.bind(rule_set("s", inbound=rules), server=("s", None))
    assert three.reached(three.client, 8080)
    assert not three.reached(three.client, 8081)
    assert three.reached(three.other, 8081)
    counts = three.world.counts(three.network.key)
    assert counts["/nsg/s", "inbound", "AllowClient"] == 1
    assert counts["/nsg/s", "inbound", "DenyClient"] >= 1
    assert counts["/nsg/s", "inbound", "AllowSubnet"] == 1


def test_a_rule_set_that_matches_nothing_denies(three: Three) -> None:
    three.bind(rule_set("s", inbound=[]), server=("s", None))
    assert not three.reached(three.client)


@pytest.mark.parametrize(
    ("protocol", "tcp", "udp", "icmp"),
    [
        ("tcp", True, False, False),
        ("udp", False, True, False),
        ("icmp", False, False, True),
        ("*", True, True, True),
        ("esp", False, False, False),
    ],
)
def test_protocols(three: Three, protocol: str, tcp: bool, udp: bool, icmp: bool) -> None:
    three.bind(rule_set("s", inbound=[rule("Allow", True, protocol=protocol), fabric_world.DENY]), server=("s", None))
    assert three.reached(three.client) is tcp
    assert three.world.blocked(three.client, SERVER, protocol="udp") is not udp
    assert three.world.ping(three.client, SERVER) is icmp


@pytest.mark.parametrize(
    ("ports", "open_ports"),
    [
        (((8080, 8080),), {8080}),
        (((8081, 9000),), {8081, 9000}),
        (((8000, 8080), (8081, 8999)), {8080, 8081}),
        (((1, 8079), (9000, 9000)), {9000}),
        (((0, 65535),), {8080, 8081, 9000}),
        ((), {8080, 8081, 9000}),
    ],
)
def test_destination_ports(three: Three, ports: tuple[tuple[int, int], ...], open_ports: set[int]) -> None:
    allow = rule("Allow", True, protocol="tcp", destination_ports=ports)
    three.bind(rule_set("s", inbound=[allow, fabric_world.DENY]), server=("s", None))
    assert {port for port in (8080, 8081, 9000) if three.reached(three.client, port)} == open_ports


def test_ports_of_any_protocol_mean_tcp_and_udp(three: Three) -> None:
    allow = rule("Allow", True, destination_ports=((8080, 8080),))
    three.bind(rule_set("s", inbound=[allow, fabric_world.DENY]), server=("s", None))
    assert three.reached(three.client)
    three.world.reach(three.client, SERVER, protocol="udp")
    assert not three.world.ping(three.client, SERVER)
    assert not three.reached(three.client, 8081)


def test_source_ports(three: Three) -> None:
    allow = rule("Allow", True, protocol="tcp", source_ports=((4000, 4010), (5000, 5000)))
    three.bind(rule_set("s", inbound=[allow, fabric_world.DENY]), server=("s", None))
    for port in (4000, 4010, 5000):
        three.world.connected(three.client, SERVER, source_port=port).close()
    for port in (3999, 4011):
        with pytest.raises(TimeoutError):
            three.world.connected(three.client, SERVER, source_port=port, patience_s=fabric_world.BLOCKED_AFTER_S)


def test_prefixes_that_overlap_are_one_condition(three: Three) -> None:
    sources = ("10.0.0.0/24", "10.0.0.5/32", "10.0.0.0/25", "192.168.0.0/16")
    three.bind(rule_set("s", inbound=[rule("Allow", True, sources=sources), fabric_world.DENY]), server=("s", None))
    assert three.reached(three.client)
    assert three.reached(three.other)


def test_answers_need_no_rule(three: Three) -> None:
    three.bind(
        rule_set("s", inbound=[fabric_world.DENY]),
        rule_set("t", outbound=[fabric_world.DENY]),
        client=("s", None),
        server=("t", None),
    )
    assert three.reached(three.client)
    assert three.world.blocked(three.server, CLIENT)


def test_the_platforms_resolver_is_never_filtered(three: Three) -> None:
    three.bind(rule_set("s", inbound=[fabric_world.DENY], outbound=[fabric_world.DENY]), client=("s", "s"))
    three.world.put(View(key="dns/a", at=three.network.key, records=(Record(name="a.example", kind="A", values=("10.0.1.4",)),)))
    assert three.world.addresses_of(three.client, "a.example") == [SERVER]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (rule("Odd", True, protocol="sctp"), "'sctp'"),
        (rule("Odd", True, protocol="icmp", destination_ports=((80, 80),)), "icmp does not have"),
    ],
)
def test_what_cannot_be_enforced_is_refused_and_changes_nothing(three: Three, broken: Rule, said: str) -> None:
    three.bind(rule_set("s", inbound=[fabric_world.DENY]), server=("s", None))
    bad = fabric_world.filter_of(three.network, {three.server: (SERVER, "s", None)}, rule_set("s", inbound=[broken]))
    [failure] = three.world.fabric.put([bad])
    assert (failure.key, failure.code) == ("filter/a", "NotSupported")
    assert said in failure.message
    assert not three.reached(three.client)


@pytest.mark.parametrize("names", [("Upper",), ("a.b",), ("",), ("x" * 41,), ("twice", "twice")])
def test_names_that_no_chain_can_bear_are_refused(world: World, names: tuple[str, ...]) -> None:
    network = world.network("a", 1)
    [failure] = world.fabric.put([fabric_world.filter_of(network, {}, *map(rule_set, names))])
    assert repr(names[0]) in failure.message


def test_an_nsg_of_a_thousand_rules_is_loaded_and_obeyed(three: Three) -> None:
    prefixes = [f"172.16.{n}.0/24" for n in range(4)]
    many = [rule(f"Rule{n}", False, protocol="tcp", sources=prefixes, destination_ports=((n + 1, n + 1),)) for n in range(998)]
    closing = [rule("DenyOther", False, sources=[OTHER]), fabric_world.ALLOW]
    three.bind(rule_set("s", inbound=[*many, *closing]), server=("s", None))
    assert three.reached(three.client)
    assert not three.reached(three.other)
    assert three.world.counts(three.network.key)["/nsg/s", "inbound", "DenyOther"] >= 1
    three.bind(rule_set("s"), server=("s", None))
    assert three.reached(three.other)


def test_a_binding_to_a_set_that_is_not_there_is_refused(three: Three) -> None:
    [failure] = three.world.fabric.put([fabric_world.filter_of(three.network, {three.server: (SERVER, "gone", None)})])
    assert "'gone'" in failure.message


def test_counters_name_every_rule_in_order(three: Three) -> None:
    three.bind(rule_set("s", inbound=[fabric_world.ALLOW, fabric_world.DENY], outbound=[fabric_world.DENY]), server=("s", None))
    three.reached(three.client)
    listed = [c for c in three.world.fabric.counters(three.network.key) if c.rule_set == "/nsg/s"]
    assert sorted((c.direction, c.rule, c.allow, c.packets) for c in listed) == [
        ("inbound", "AllowAll", True, 1),
        ("inbound", "DenyAll", False, 0),
        ("outbound", "DenyAll", False, 0),
    ]
