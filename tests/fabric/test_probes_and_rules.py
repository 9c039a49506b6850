"""A cluster's scoring endpoint behind the rules of its subnet, from the resources down to the packets."""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests import clouds
from tests.clouds import NOW, Cloud

from ringfence.control import endpoints
from ringfence.desired import build
from ringfence.desired.state import Balancer, Endpoint, Filter, Network, Router, ServiceMap
from ringfence.policy import places

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World, eventually
else:
    from fabric_world import World, eventually

NSG = clouds.nsg_path("mynetwork-nsg")
COMPUTE = f"{clouds.ws_path()}/computes/myaks"
OUTSIDE = "nic/internet"
#: The document's rule, for the service's address and port.
ALLOW = {"access": "Allow", "sourceAddressPrefix": "Internet", "destinationPortRange": "80", "protocol": "Tcp"}


class Scored:
    """The seed's cluster, whose router answers on port 80; rules are resources."""

    def __init__(self, world: World) -> None:
        self.world, self.cloud = world, clouds.served_cloud()
        self._held: dict[str, object] = {}
        self.apply()
        self.compute = self.cloud.snapshot.need(clouds.rid(COMPUTE))
        self.pod = next(item.endpoint for item in build.build(self.cloud.snapshot) if isinstance(item, Router))
        world.listen(self.pod, 80)
        address = places.frontend_address(self.cloud.snapshot, self.compute)
        assert address is not None
        self.address = address

    def apply(self) -> None:
        """What the reconciler would do with the fabric's share of the state; probes are faster."""
        fabric = Network | Endpoint | ServiceMap | Filter | Balancer
        items = [item for item in build.build(self.cloud.snapshot) if isinstance(item, fabric)]
        quick = [dataclasses.replace(i, probe_interval_s=0.1) if isinstance(i, Balancer) else i for i in items]
        fresh = [item for item in quick if self._held.get(item.key) != item]
        assert self.world.fabric.drop([key for key in self._held if key not in {item.key for item in quick}]) == []
        self.world.put(*sorted(fresh, key=lambda item: item.rank))
        self._held = {item.key: item for item in quick}

    def rule(self, name: str, priority: int, **more: object) -> None:
        self.cloud.put(f"{NSG}/securityRules/{name}", clouds.rule(priority, **more), location=None)  # type: ignore[arg-type]
        self.apply()

    def no_rule(self, name: str) -> None:
        self.cloud.gone(f"{NSG}/securityRules/{name}")
        self.apply()

    def fault(self) -> endpoints.Fault | None:
        later = NOW + dt.timedelta(hours=1)
        return endpoints.fault(self.cloud.snapshot, self.world.fabric.health(), self.compute, later)

    def said(self, connection: socket.socket, words: bytes) -> bytes:
        connection.sendall(words)
        return connection.recv(200)


@pytest.fixture
def scored(world: World) -> Iterator[Scored]:
    made = Scored(world)
    eventually(lambda: made.fault() is None)
    yield made


def test_the_rule_of_the_document_opens_and_closes_the_endpoint(scored: Scored) -> None:
    world, address = scored.world, scored.address
    assert world.blocked(OUTSIDE, address, 80), "without a rule the internet stays outside"
    scored.rule("other-port", 200, **{**ALLOW, "destinationPortRange": "443"})
    scored.rule("other-address", 210, **{**ALLOW, "destinationAddressPrefix": "198.19.0.250"})
    assert world.blocked(OUTSIDE, address, 80)
    scored.rule("scoring", 220, **{**ALLOW, "destinationAddressPrefix": address})
    world.reach(OUTSIDE, address, 80)
    kept = world.connected(OUTSIDE, address, 80)
    assert kept.recv(200)
    assert scored.said(kept, b"first") == b"first"
    scored.no_rule("scoring")
    assert world.blocked(OUTSIDE, address, 80), "nobody new comes in"
    assert scored.said(kept, b"second") == b"second", "what runs goes on"
    scored.rule("deny", 100, access="Deny")
    assert scored.said(kept, b"third") == b"third"
    scored.no_rule("deny")
    scored.rule("scoring", 220, **ALLOW)
    world.reach(OUTSIDE, address, 80)
    kept.close()


def test_a_deny_all_that_blocks_probes_takes_the_endpoint_down_and_is_named(scored: Scored) -> None:
    world, address = scored.world, scored.address
    scored.rule("scoring", 220, **ALLOW)
    kept = world.connected(OUTSIDE, address, 80)
    assert kept.recv(200)
    scored.rule("DenyAll", 4096, access="Deny")
    eventually(lambda: scored.fault() is not None)
    fault = scored.fault()
    assert fault is not None and fault.code == "LoadBalancerProbeBlocked"
    for words in ("'DenyAll'", str(clouds.rid(NSG)), "AzureLoadBalancer", f"{address}:80"):
        assert words in fault.message
    assert world.blocked(OUTSIDE, address, 80), "although a rule would let it in"
    assert scored.said(kept, b"on") == b"on"
    kept.close()
    scored.rule("probes", 4000, access="Allow", sourceAddressPrefix="AzureLoadBalancer")
    eventually(lambda: scored.fault() is None)
    world.reach(OUTSIDE, address, 80)
    scored.no_rule("probes")
    eventually(lambda: scored.fault() is not None)
    scored.no_rule("DenyAll")
    eventually(lambda: scored.fault() is None)
    world.reach(OUTSIDE, address, 80)


def test_a_router_that_is_silent_is_not_blamed_on_a_rule(scored: Scored) -> None:
    scored.world.deafen(scored.pod, 80)
    eventually(lambda: scored.fault() is not None)
    fault = scored.fault()
    assert fault is not None and fault.code == "LoadBalancerProbeFailed"
    health, compute = scored.world.fabric.health(), scored.compute
    assert endpoints.fault(scored.cloud.snapshot, health, compute, compute.changed_at) is None, "it may be about to come"


def test_an_endpoint_with_tls_has_port_443_and_no_other(scored: Scored) -> None:
    world, address = scored.world, scored.address
    scored.rule("scoring", 220, **ALLOW)
    kept = world.connected(OUTSIDE, address, 80)
    assert kept.recv(200)
    scored.cloud.put(COMPUTE, clouds.aks(sslConfiguration={"status": "Auto", "leafDomainLabel": "contoso"}))
    world.listen(scored.pod, 443)
    scored.apply()
    eventually(lambda: scored.fault() is None)
    assert scored.said(kept, b"goes on") == b"goes on", "what ran over port 80 ends by itself"
    kept.close()
    assert world.blocked(OUTSIDE, address, 443), "the rule for port 80 says nothing of 443"
    scored.rule("scoring", 220, **{**ALLOW, "destinationPortRange": "443"})
    world.reach(OUTSIDE, address, 443)
    assert world.blocked(OUTSIDE, address, 80)


def test_clusters_have_addresses_of_their_own(scored: Scored) -> None:
    second = Cloud()
    second.snapshot = scored.cloud.snapshot
    second.put(f"{clouds.ws_path()}/computes/second", clouds.aks())
    scored.cloud.snapshot = second.snapshot
    found = {one.owner: one.address for one in places.frontends(second.snapshot)}
    assert len(found) == len(set(found.values())) == 2
    scored.apply()
    scored.rule("scoring", 220, **ALLOW)
    assert scored.world.reach(OUTSIDE, scored.address, 80).server == scored.pod
