"""Balancers with real packets: who may come in, where it goes, what a failing target does."""

from __future__ import annotations

import collections
import http.server
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ringfence.desired.state import Balancer, Key, Network, Target
from ringfence.drivers.linux import balancers

if TYPE_CHECKING:
    from tests.fabric.fabric_world import DENY, World, eventually, rule, rule_set
else:
    from fabric_world import DENY, eventually, rule, rule_set

PUBLIC, INTERNAL = "198.19.0.20", "10.0.0.100"
ASKING = "198.19.255.4"
PROBES = rule("AllowAzureLoadBalancerInBound", True, sources=["168.63.129.16/32"])


class Cluster:
    """Three targets and a client in a network, a host on the internet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network: Network = world.network("a", 1, egress="198.19.0.9")
        self.client = world.endpoint("client", self.network, "10.0.0.4")
        self.targets = [world.endpoint(f"target{n}", self.network, f"10.0.1.{n}") for n in (4, 5, 6)]
        self.outside = world.endpoint("outside", None, ASKING)
        for key in self.targets:
            world.listen(key)

    def answers(self, key: Key, address: str, times: int = 24) -> collections.Counter[str]:
        """Who answered so many connections."""
        return collections.Counter(self.world.reach(key, address, 80).server for _ in range(times))


@pytest.fixture
def cluster(world: World) -> Iterator[Cluster]:
    yield Cluster(world)


def test_an_internal_balancer_spreads_and_keeps_the_client(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    item = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets)
    cluster.world.healthy(item, 3)
    assert set(cluster.answers(cluster.client, INTERNAL)) == set(cluster.targets)
    answer = cluster.world.reach(cluster.client, INTERNAL, 80)
    assert answer.client == "10.0.0.4"
    assert cluster.world.blocked(cluster.client, INTERNAL, 81)


def test_a_public_balancer_keeps_the_client_and_is_not_reached_privately(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    item = cluster.world.balancer(cluster.network, PUBLIC, cluster.targets, public=True)
    cluster.world.healthy(item, 3)
    answer = cluster.world.reach(cluster.outside, PUBLIC, 80)
    assert answer.client == ASKING
    internal = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets, key="lb/internal")
    cluster.world.healthy(internal, 3)
    assert cluster.world.blocked(cluster.outside, INTERNAL, 80)


def test_a_network_reaches_its_own_public_frontend_under_its_egress_address(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    cluster.world.healthy(cluster.world.balancer(cluster.network, PUBLIC, cluster.targets, public=True), 3)
    answer = cluster.world.reach(cluster.client, PUBLIC, 80)
    assert answer.client == "198.19.0.9"


def test_a_frontend_may_share_the_egress_address(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    cluster.world.listen(cluster.outside)
    item = cluster.world.balancer(cluster.network, "198.19.0.9", cluster.targets, public=True)
    cluster.world.healthy(item, 3)
    cluster.world.reach(cluster.outside, "198.19.0.9", 80)
    assert cluster.world.fabric.drop([item.key]) == []
    assert cluster.world.blocked(cluster.outside, "198.19.0.9", 80)
    cluster.world.reach(cluster.client, ASKING)


@pytest.mark.parametrize(
    ("floating", "address", "port", "opened"),
    [
        (True, PUBLIC, 80, True),
        (True, "10.0.1.0/24", 8080, False),
        (False, PUBLIC, 80, False),
        (False, "10.0.1.0/24", 8080, True),
    ],
)
def test_the_rule_that_opens_a_frontend(cluster: Cluster, floating: bool, address: str, port: int, opened: bool) -> None:
    """Floating: the frontend's address and port. Else: the target's. The other one opens nothing."""
    who, where = ("198.19.0.0/16",), {"destinations": (address,), "destination_ports": ((port, port),)}
    allow = rule("AllowScoring", True, protocol="tcp", sources=who, **where)
    guarded = rule_set("s", inbound=[allow, PROBES, DENY])
    cluster.world.filter(cluster.network, {key: ("s", None) for key in cluster.targets}, guarded)
    cluster.world.healthy(cluster.world.balancer(cluster.network, PUBLIC, cluster.targets, public=True, floating=floating), 3)
    assert cluster.world.blocked(cluster.outside, PUBLIC, 80) is not opened
    counted = {(name, rule) for name, _, rule in cluster.world.counts(cluster.network.key)}
    assert (("/nsg/s", "AllowScoring") in counted) is opened
    assert (("/nsg/s", "DenyAll") in counted) is not opened


def test_a_frontend_opened_by_several_port_ranges_of_any_protocol(cluster: Cluster) -> None:
    ports = ((70, 71), (80, 90), (443, 443))
    allow = rule("AllowScoring", True, sources=["198.19.0.0/16"], destinations=(PUBLIC, "10.9.0.0/16"), destination_ports=ports)
    cluster.world.filter(cluster.network, {k: ("s", None) for k in cluster.targets}, rule_set("s", inbound=[allow, PROBES, DENY]))
    for protocol in ("tcp", "udp"):
        key, port = f"lb/{protocol}", 80 if protocol == "tcp" else 71
        item = cluster.world.balancer(
            cluster.network, PUBLIC, cluster.targets, public=True, key=key, protocol=protocol, port=port
        )
        cluster.world.healthy(item, 3)
        cluster.world.reach(cluster.outside, PUBLIC, port, protocol=protocol)


def test_outbound_rules_see_the_frontend(cluster: Cluster) -> None:
    to_frontend = rule("DenyFrontend", False, destinations=(INTERNAL,))
    bound: dict[Key, tuple[str | None, str | None]] = {key: (None, None) for key in cluster.targets}
    sets = rule_set("s", outbound=[to_frontend, rule("AllowAll", True)])
    cluster.world.filter(cluster.network, bound | {cluster.client: ("s", None)}, sets)
    cluster.world.healthy(cluster.world.balancer(cluster.network, INTERNAL, cluster.targets), 3)
    assert cluster.world.blocked(cluster.client, INTERNAL, 80)
    cluster.world.reach(cluster.client, "10.0.1.4")


def test_probes_that_rules_block_leave_no_healthy_target(cluster: Cluster) -> None:
    """An explicit deny above the default rules makes every target unhealthy (RULES.md section 2.9)."""
    sources = rule("AllowInternet", True, sources=["198.19.0.0/16"])
    blocking = rule_set("s", inbound=[sources, rule("DenyEverything", False), PROBES])
    bound: dict[Key, tuple[str | None, str | None]] = {key: ("s", None) for key in cluster.targets}
    cluster.world.filter(cluster.network, bound, blocking)
    item = cluster.world.balancer(cluster.network, PUBLIC, cluster.targets, public=True)
    eventually(lambda: cluster.world.counts(cluster.network.key).get(("/nsg/s", "inbound", "DenyEverything"), 0) >= 3)
    assert cluster.world.blocked(cluster.outside, PUBLIC, 80)
    assert cluster.world.counts(cluster.network.key)["platform", "inbound", "NoHealthyTarget"] >= 1
    cluster.world.filter(cluster.network, bound, rule_set("s", inbound=[PROBES, sources, DENY]))
    cluster.world.healthy(item, 3)
    cluster.world.reach(cluster.outside, PUBLIC, 80)


def test_a_target_that_fails_gets_nothing_more_and_comes_back(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    item = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets)
    cluster.world.healthy(item, 3)
    failing, *others = cluster.targets
    cluster.world.deafen(failing)
    eventually(lambda: cluster.world.fabric.health()[item.key]["10.0.1.4:8080"] is False)
    assert set(cluster.answers(cluster.client, INTERNAL)) == set(others)
    cluster.world.listen(failing)
    cluster.world.healthy(item, 3)
    assert set(cluster.answers(cluster.client, INTERNAL)) == set(cluster.targets)


def test_a_connection_outlives_its_targets_health(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    item = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets[:1])
    cluster.world.healthy(item, 1)
    with cluster.world.connected(cluster.client, INTERNAL, 80) as connection:
        assert connection.recv(100)
        cluster.world.deafen(cluster.targets[0])
        cluster.world.healthy(item, 0)
        assert cluster.world.blocked(cluster.client, INTERNAL, 80)
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"


def test_an_http_probe_needs_200(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    answers = {cluster.targets[0]: 200, cluster.targets[1]: 503}
    for key, status in answers.items():
        _serve_status(cluster.world, key, status)
    item = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets, probe_port=9090, probe_path="/healthz")
    cluster.world.healthy(item, 1)
    assert cluster.world.fabric.health()[item.key]["10.0.1.4:8080"] is True
    assert set(cluster.answers(cluster.client, INTERNAL, 8)) == {cluster.targets[0]}


def test_a_balancer_changes_in_place(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    item = cluster.world.balancer(cluster.network, INTERNAL, cluster.targets[:2])
    cluster.world.healthy(item, 2)
    with cluster.world.connected(cluster.client, INTERNAL, 80) as connection:
        assert connection.recv(100)
        item = cluster.world.balancer(cluster.network, "10.0.0.101", cluster.targets[1:], floating=False)
        cluster.answers(cluster.client, "10.0.0.101", 4)  # a target that stays goes on serving without a pause
        cluster.world.healthy(item, 2)
        assert set(cluster.answers(cluster.client, "10.0.0.101")) == set(cluster.targets[1:])
        assert cluster.world.blocked(cluster.client, INTERNAL, 80)
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"


def test_udp_is_balanced_too(cluster: Cluster) -> None:
    cluster.world.open_all(cluster.network)
    cluster.world.healthy(cluster.world.balancer(cluster.network, INTERNAL, cluster.targets, protocol="udp"), 3)
    answer = cluster.world.reach(cluster.client, INTERNAL, 80, protocol="udp")
    assert answer.client == "10.0.0.4"
    assert cluster.world.blocked(cluster.client, INTERNAL, 80)


def test_a_public_address_belongs_to_one_network(cluster: Cluster) -> None:
    other = cluster.world.network("b", 2)
    taken = Balancer(
        key="lb/b-80", network=other.key, address="198.19.0.9", port=80, public=True, floating=True, targets=(), probe_port=80
    )
    [failure] = cluster.world.fabric.put([taken])
    assert (failure.key, failure.code) == ("lb/b-80", "PublicIPAddressInUse")


TARGETS = tuple(Target(address=f"10.0.0.{n}", port=80) for n in range(4, 9))


@pytest.mark.parametrize("count", range(1, 6))
def test_slots_are_spread_evenly(count: int) -> None:
    shares = collections.Counter(balancers.spread(TARGETS, frozenset(TARGETS[:count])).values())
    assert sum(shares.values()) == balancers.SLOTS
    assert max(shares.values()) - min(shares.values()) <= 4


@pytest.mark.parametrize("lost", TARGETS)
def test_losing_a_target_moves_only_its_slots(lost: Target) -> None:
    before = balancers.spread(TARGETS, frozenset(TARGETS))
    after = balancers.spread(TARGETS, frozenset(TARGETS) - {lost})
    assert {slot for slot in before if before[slot] != after[slot]} == {slot for slot in before if before[slot] == lost}


def test_without_healthy_targets_there_are_no_slots() -> None:
    assert balancers.spread(TARGETS, frozenset()) == {}
    assert balancers.spread((), frozenset()) == {}


def _serve_status(world: World, key: Key, status: int) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("", 0), Answer, bind_and_activate=False)
    server.socket.close()
    server.socket = world.open(key)
    server.socket.settimeout(None)
    server.socket.bind(("", 9090))
    server.socket.listen()
    threading.Thread(target=server.serve_forever, daemon=True).start()
