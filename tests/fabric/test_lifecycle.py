"""Items come, change, are found again by a fresh process and go, and leave nothing; what is not ours stays."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ringfence.desired import diff
from ringfence.desired.state import (
    INTERNET,
    AnyItem,
    Balancer,
    Binding,
    Endpoint,
    Filter,
    Key,
    Network,
    Observed,
    Record,
    ServiceAddress,
    ServiceMap,
    State,
    Target,
    View,
)
from ringfence.drivers.linux import stamps
from ringfence.drivers.linux.fabric import Fabric
from ringfence.drivers.linux.namespaces import Namespaces
from ringfence.kernel import netlink

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World, eventually, filter_of, in_another_process, rule_set
else:
    from fabric_world import World, eventually, filter_of, in_another_process, rule_set

NETNS = Path("/run/ringfence/netns")


def everything() -> State:
    """One item of each kind, two networks, a host on the internet."""
    bindings = tuple(Binding(endpoint=f"nic/{n}", address=f"10.0.0.{n}", subnet="s", nic=None) for n in (4, 5))
    items: list[AnyItem] = [
        Network(key="net/a", index=1, prefixes=("10.0.0.0/16",), egress="198.19.0.9"),
        Network(key="net/b", index=2, prefixes=("10.0.0.0/16",)),
        *(Endpoint(key=f"nic/{n}", network="net/a", address=f"10.0.0.{n}") for n in (4, 5)),
        Endpoint(key="nic/b", network="net/b", address="10.0.0.4"),
        Endpoint(key="nic/internet", network=INTERNET, address="198.19.255.4"),
        ServiceMap(
            key="svc/4",
            endpoint="nic/4",
            range="10.2.0.0/24",
            services=(ServiceAddress(address="10.2.0.20", protocol="tcp", port=80, target="10.0.0.5", target_port=8080),),
        ),
        Filter(key="filter/a", network="net/a", rule_sets=(rule_set("s"),), bindings=bindings),
        Balancer(
            key="lb/a-public-80",
            network="net/a",
            address="198.19.0.20",
            port=80,
            public=True,
            floating=True,
            targets=(Target(address="10.0.0.5", port=8080),),
            probe_port=8080,
            probe_interval_s=0.2,
        ),
        View(key="dns/a", at="net/a", records=(Record(name="a.example", kind="A", values=("10.0.0.5",)),)),
    ]
    return State.of(items)


def build() -> Fabric:
    fabric = Fabric()
    fabric.prepare()
    assert fabric.put(diff.plan(everything(), fabric.observe()).put) == []
    return fabric


def marks(observed: Mapping[Key, Observed]) -> dict[Key, str]:
    return {key: seen.fingerprint for key, seen in observed.items()}


def wanted() -> dict[Key, str]:
    return {item.key: item.fingerprint for item in everything()}


def test_what_was_put_is_observed_and_nothing_is_left_to_do(world: World) -> None:
    world.put(*everything())
    assert marks(world.fabric.observe()) == wanted()
    assert diff.plan(everything(), world.fabric.observe()).empty


def test_putting_the_same_again_changes_nothing(world: World) -> None:
    world.put(*everything())
    namespace = os.stat(world.fabric.namespace("nic/4")).st_ino
    world.put(*everything())
    assert os.stat(world.fabric.namespace("nic/4")).st_ino == namespace
    assert diff.plan(everything(), world.fabric.observe()).empty


def test_a_fresh_process_finds_everything_and_takes_over_what_needs_a_process() -> None:
    in_another_process(build)
    world = World()
    observed = world.fabric.observe()
    process_bound = {"lb/a-public-80": "", "dns/a": None}
    assert {key: marks(observed).get(key) for key in process_bound} == process_bound
    assert {k: v for k, v in marks(observed).items() if k not in process_bound} == {
        k: v for k, v in wanted().items() if k not in process_bound
    }
    plan = diff.plan(everything(), observed)
    assert [item.key for item in plan.put] == ["lb/a-public-80", "dns/a"] and not plan.drop
    world.put(*plan.put)
    assert diff.plan(everything(), world.fabric.observe()).empty
    world.close()


def test_traffic_goes_on_while_no_process_is_there_and_while_it_is_taken_over() -> None:
    in_another_process(_build_and_serve_a_moment)
    world = World()
    world.listen("nic/5")
    world.reach("nic/4", "10.0.0.5")
    world.reach("nic/internet", "198.19.0.20", 80)
    with world.connected("nic/internet", "198.19.0.20", 80) as connection:
        assert connection.recv(100)
        world.put(*everything())
        for _ in range(20):
            world.reach("nic/internet", "198.19.0.20", 80)
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"
    assert [
        count.packets for count in world.fabric.counters("net/a") if count.rule == "AllowAll" and count.direction == "inbound"
    ]
    world.close()


def _build_and_serve_a_moment() -> None:
    """Until the probe has found the target, so that its slots are filled."""
    fabric = build()
    listening = fabric.open_socket("nic/5", socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("", 8080))
    listening.listen()
    eventually(lambda: fabric.health()["lb/a-public-80"]["10.0.0.5:8080"])


def test_dropping_everything_leaves_only_the_edge(world: World) -> None:
    world.put(*everything())
    assert world.fabric.drop([item.key for item in everything()]) == []
    assert world.fabric.observe() == {}
    assert sorted(path.name for path in NETNS.iterdir()) == ["edge"]
    eventually(lambda: _links("edge") == ["lo"])
    assert _routes("edge") == ["198.18.0.0/15"]
    assert list(Path("/run/ringfence/labels").iterdir()) == []


def test_dropping_a_network_takes_with_it_what_is_inside(world: World) -> None:
    world.put(*everything())
    assert world.fabric.drop(["net/a"]) == []
    assert set(world.fabric.observe()) == {"net/b", "nic/b", "nic/internet"}
    world.put(*everything())
    assert marks(world.fabric.observe()) == wanted()


def test_dropping_what_is_not_there_is_no_failure(world: World) -> None:
    assert world.fabric.drop(["net/a", "nic/4", "dns/a", "lb/x"]) == []


def test_the_end_of_an_endpoint_is_immediate_even_if_something_still_lives_there(world: World) -> None:
    network = world.network("a", 1)
    asking, going = world.endpoint("asking", network, "10.0.0.4"), world.endpoint("going", network, "10.0.0.5")
    world.listen(going)
    world.open_all(network)
    with world.connected(asking, "10.0.0.5") as connection:
        assert connection.recv(100)
        assert world.fabric.drop([going]) == []
        assert world.blocked(asking, "10.0.0.5")
        connection.settimeout(0.2)
        connection.sendall(b"anybody?")
        with pytest.raises(TimeoutError):
            connection.recv(100)
    world.listen(world.endpoint("coming", network, "10.0.0.5"))
    world.open_all(network)
    assert world.reach(asking, "10.0.0.5").server == "nic/coming"


def test_an_endpoint_that_moves_is_made_again(world: World) -> None:
    network, other = world.network("a", 1), world.network("b", 2)
    asking = world.endpoint("asking", network, "10.0.0.4")
    for address in ("10.0.0.5", "10.0.0.6"):
        world.listen(world.endpoint("moving", network, address))
        world.open_all(network)
        world.reach(asking, address)
    world.endpoint("moving", other, "10.0.0.6")
    world.open_all(network)
    assert world.blocked(asking, "10.0.0.6")
    assert set(world.fabric.observe()) == {"net/a", "net/b", "nic/asking", "nic/moving", "filter/a"}


def test_an_address_is_held_by_one_endpoint(world: World) -> None:
    network = world.network("a", 1)
    world.endpoint("first", network, "10.0.0.4")
    [failure] = world.fabric.put([Endpoint(key="nic/second", network=network.key, address="10.0.0.4")])
    assert (failure.key, failure.code) == ("nic/second", "PrivateIPAddressIsAllocated")
    assert set(world.fabric.observe()) == {"net/a", "nic/first"}


def test_items_of_networks_that_are_not_there_fail_alone(world: World) -> None:
    good = Network(key="net/b", index=2, prefixes=("10.0.0.0/16",))
    failures = world.fabric.put([Endpoint(key="nic/1", network="net/a", address="10.0.0.4"), good])
    assert [failure.key for failure in failures] == ["nic/1"] and "net/a" in failures[0].message
    assert set(world.fabric.observe()) == {"net/b"}


def test_a_table_that_somebody_removes_is_made_again_around_the_endpoints(world: World) -> None:
    world.put(*everything())
    world.listen("nic/5")
    with Namespaces(NETNS).open("n1") as router:
        router.nft.run("delete table ip fabric")
    plan = diff.plan(everything(), world.fabric.observe())
    assert [item.key for item in plan.put] == ["net/a", "filter/a", "lb/a-public-80"]
    world.put(*plan.put)
    assert diff.plan(everything(), world.fabric.observe()).empty
    world.reach("nic/4", "10.0.0.5")
    assert world.counts("net/a")["/nsg/s", "inbound", "AllowAll"] >= 1


def test_what_is_not_ours_is_left_alone() -> None:
    NETNS.mkdir(parents=True)
    (NETNS / "keep-me").write_text("not a namespace")
    (NETNS / "n1").write_text("looks like one of ours, and is a file")
    in_another_process(_build_beside_strangers)
    world = World()
    assert marks(world.fabric.observe()).keys() == wanted().keys() - {"dns/a"}
    assert world.fabric.drop(list(wanted())) == []
    eventually(lambda: _links("edge") == ["lo", "theirs"])
    assert (NETNS / "keep-me").read_text() == "not a namespace"
    assert "theirs" in os.listdir(NETNS)
    world.close()


def _build_beside_strangers() -> None:
    """A namespace, a link and a stamped-looking alias that others made."""
    fabric = build()
    assert fabric.observe()
    namespaces = Namespaces(NETNS)
    end, peer = netlink.VethEnd("theirs", 900, b"\2\0\0\0\0\1"), netlink.VethEnd("other", 2, b"\2\0\0\0\0\2")
    with namespaces.create("theirs") as theirs, namespaces.open("edge") as edge:
        edge.rtnl.add_veth(end, peer, theirs.descriptor)
        edge.rtnl.set_alias(900, "somebody else's: nic/4")
        edge.rtnl.commit()


def test_what_a_dead_process_left_half_made_is_removed() -> None:
    in_another_process(_leave_halves)
    world = World()
    assert world.fabric.observe() == {}
    assert sorted(path.name for path in NETNS.iterdir()) == ["edge"]
    world.put(*everything())
    assert marks(world.fabric.observe()) == wanted()
    world.close()


def _leave_halves() -> None:
    Fabric().prepare()
    for name in ("n1", "e0123456789"):
        Namespaces(NETNS).create(name).close()


def test_a_balancer_that_is_no_longer_wanted_after_a_restart_is_dropped() -> None:
    in_another_process(build)
    world = World()
    rest = State.of(item for item in everything() if item.key != "lb/a-public-80")
    plan = diff.plan(rest, world.fabric.observe())
    assert plan.drop == ("lb/a-public-80",)
    assert world.fabric.drop(plan.drop) == []
    assert "198.19.0.20/32" not in _routes("edge")
    world.close()


@pytest.mark.parametrize("key", ["net/UPPER", "net/with space", "net/" + "x" * 100])
def test_a_key_that_no_stamp_can_carry_is_refused(world: World, key: str) -> None:
    [failure] = world.fabric.put([Network(key=key, index=1, prefixes=("10.0.0.0/16",))])
    assert failure.key == key and "key" in failure.message
    assert world.fabric.observe() == {}


def test_an_index_belongs_to_one_network(world: World) -> None:
    world.network("a", 1)
    [failure] = world.fabric.put([Network(key="net/b", index=1, prefixes=("10.0.0.0/16",))])
    assert "net/a" in failure.message


def test_namespaces_are_known_by_key(world: World) -> None:
    world.put(*everything())
    assert world.fabric.namespace("net/a") == str(NETNS / "n1")
    assert world.fabric.namespace(INTERNET) == str(NETNS / "edge")
    assert Path(world.fabric.namespace("nic/4")).name.startswith("e")
    for key in ("nic/gone", "filter/a"):
        with pytest.raises(KeyError):
            world.fabric.namespace(key)


@pytest.mark.parametrize(
    "alias", ["", "rf1:", "rf1:net/a", "rf0:net/a:0123456789abcdef", "rf1:net/a:xyz", "rf1:A:0123456789abcdef"]
)
def test_other_aliases_are_no_stamps(alias: str) -> None:
    assert stamps.in_alias(alias) is None


def test_a_stamp_is_read_back() -> None:
    stamp = stamps.stamp("balancer", "lb/0a-public.x_80", "0123456789abcdef")
    assert stamps.in_chains(["other", stamp.chain]) == (stamp,)
    assert stamps.in_alias(stamps.stamp("endpoint", "nic/a", "0" * 16).alias) == stamps.Stamp("endpoint", "nic/a", "0" * 16)


def _links(name: str) -> list[str]:
    with Namespaces(NETNS).open(name) as namespace:
        return [link.name for link in namespace.rtnl.links()]


def _routes(name: str) -> list[str]:
    with Namespaces(NETNS).open(name) as namespace:
        return [route.destination for route in namespace.rtnl.routes()]


def test_an_endpoint_that_was_just_made_loses_no_packet(world: World) -> None:
    """A veth whose peer comes up after it drops what it sends for a few milliseconds; `put` waits that out."""
    network = world.network("a", 1)
    world.listen(world.endpoint("server", network, "10.0.0.4"))
    clients = {f"nic/{n}": (f"10.0.1.{n}", None, None) for n in range(1, 31)}
    world.put(filter_of(network, {"nic/server": ("10.0.0.4", None, None), **clients}))
    for key, (address, _, _) in clients.items():
        world.put(Endpoint(key=key, network=network.key, address=address))
        world.reach(key, "10.0.0.4")
