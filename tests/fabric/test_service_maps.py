"""Service maps: a cluster's virtual addresses from inside a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ringfence.desired.state import Network, ServiceAddress, ServiceMap

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World, rule, rule_set
else:
    from fabric_world import rule, rule_set

RANGE = "10.2.0.0/24"


class Pods:
    def __init__(self, world: World) -> None:
        self.world = world
        self.network: Network = world.network("a", 1)
        self.pod = world.endpoint("pod", self.network, "10.0.0.4")
        self.web, self.other = world.endpoint("web", self.network, "10.0.0.5"), world.endpoint("other", self.network, "10.0.0.6")
        for key in (self.pod, self.web, self.other):
            world.listen(key)
        world.open_all(self.network)

    def put(self, *services: tuple[str, str, int, str]) -> None:
        listed = tuple(
            ServiceAddress(address=address, protocol=protocol, port=port, target=target, target_port=8080)
            for address, protocol, port, target in services
        )
        self.world.put(ServiceMap(key="svc/pod", endpoint=self.pod, range=RANGE, services=listed))


@pytest.fixture
def pods(world: World) -> Pods:
    return Pods(world)


def test_an_address_of_the_range_is_its_target(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.5"), ("10.2.0.10", "udp", 53, "10.0.0.6"))
    tcp = pods.world.reach(pods.pod, "10.2.0.20", 80)
    udp = pods.world.reach(pods.pod, "10.2.0.10", 53, protocol="udp")
    assert (tcp.server, tcp.client) == (pods.web, "10.0.0.4")
    assert (udp.server, udp.client) == (pods.other, "10.0.0.4")


def test_a_pod_reaches_itself_through_its_service(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.4"))
    answer = pods.world.reach(pods.pod, "10.2.0.20", 80)
    assert answer.server == pods.pod


def test_what_no_service_has_is_refused_at_once(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.5"))
    for address, port in (("10.2.0.21", 80), ("10.2.0.20", 81)):
        with pytest.raises(ConnectionRefusedError):
            pods.world.connected(pods.pod, address, port)


def test_other_endpoints_do_not_see_the_range(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.5"))
    assert pods.world.blocked(pods.other, "10.2.0.20", 80)


def test_rules_judge_the_target_and_not_the_service(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.5"))
    denied = rule_set("s", outbound=[rule("DenyTarget", False, destinations=("10.0.0.5",)), rule("AllowAll", True)])
    pods.world.filter(pods.network, {pods.pod: ("s", None), pods.web: (None, None)}, denied)
    assert pods.world.blocked(pods.pod, "10.2.0.20", 80)
    assert pods.world.counts(pods.network.key)["/nsg/s", "outbound", "DenyTarget"] >= 1


def test_services_change_in_place_and_go(pods: Pods) -> None:
    pods.put(("10.2.0.20", "tcp", 80, "10.0.0.5"))
    with pods.world.connected(pods.pod, "10.2.0.20", 80) as connection:
        assert connection.recv(100)
        pods.put(("10.2.0.20", "tcp", 80, "10.0.0.6"), ("10.2.0.22", "tcp", 80, "10.0.0.5"))
        answer = pods.world.reach(pods.pod, "10.2.0.20", 80)
        assert answer.server == pods.other
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"
    assert pods.world.fabric.drop(["svc/pod"]) == []
    assert pods.world.blocked(pods.pod, "10.2.0.20", 80)
    assert "svc/pod" not in pods.world.fabric.observe()
